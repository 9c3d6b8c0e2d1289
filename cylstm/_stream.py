"""Predictions on live sequences, one step at a time."""

import copy
from contextlib import nullcontext
from numbers import Integral

import numpy as np

from ._threads import single_threaded_blas

# Numbers multiplied in the head from which on BLAS may use several threads.
LARGE = 1 << 18

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def blas_for(n_sequences, architecture):
    """The context of one step of a stream. Limiting BLAS costs some microseconds, which only
    large steps are worth; BLAS itself keeps small products on one thread."""
    n_products = n_sequences * architecture.n_features * architecture.n_scores
    return single_threaded_blas if n_products > LARGE else nullcontext


class Stream:
    """What `estimator.stream()` returns.

    Parameters
    ----------
    estimator : fitted LSTMRegressor or LSTMClassifier
    n_sequences : int
    method : str
    """

    def __init__(self, estimator, n_sequences, method):
        if not isinstance(n_sequences, Integral) or n_sequences < 1:
            raise ValueError(f"n_sequences={n_sequences!r} must be an int of at least 1.")
        if method not in METHODS or not hasattr(estimator, method):
            known = [name for name in METHODS if hasattr(estimator, name)]
            raise ValueError(f"method={method!r} must be one of {known}.")
        architecture = estimator._network.architecture
        if architecture.bidirectional:
            raise ValueError(
                "A bidirectional network cannot stream: its backward direction begins at "
                "the end of a sequence, which has not come yet."
            )
        self._vocabulary = architecture.vocabulary
        self._shape = (n_sequences, architecture.n_state)
        self._dtype = estimator._network.dtype
        # As it is now, whatever is fitted or set later.
        self._decode = copy.copy(estimator)._decode
        self._method = method
        self._kernel = estimator._network.stream(n_sequences)
        self._blas = blas_for(n_sequences, architecture)
        self._inputs = self._kernel.inputs
        self._scores = self._kernel.scores

    def step(self, x_t):
        """Predict after one more step of each sequence.

        Parameters
        ----------
        x_t : array-like of shape (n_sequences, n_features), or (n_features,) for one
            The inputs of the step; with an embedding n_sequences tokens.

        Returns
        -------
        prediction : array of shape (n_sequences, ...), as `predict` returns it
        """
        inputs = self._inputs
        x_t = np.asarray(x_t)
        fits = x_t.shape == inputs.shape or (
            x_t.size == inputs.size and x_t.ndim <= 1 and 1 in inputs.shape
        )
        if not fits:
            raise ValueError(
                f"x_t has shape {x_t.shape}, but a step has shape {inputs.shape}."
            )
        if self._vocabulary:
            if x_t.dtype.kind not in "iu":
                raise ValueError(f"x_t has dtype {x_t.dtype}, but tokens are integers.")
            if x_t.min() < 0 or x_t.max() >= self._vocabulary:
                raise ValueError(
                    f"x_t={x_t} must hold tokens from 0 to {self._vocabulary - 1}."
                )
        elif x_t.dtype.kind not in "fiub":
            raise ValueError(f"x_t has dtype {x_t.dtype}, but numbers are expected.")
        inputs[...] = x_t.reshape(inputs.shape)
        if not self._vocabulary and not np.isfinite(inputs).all():
            raise ValueError(f"x_t={x_t} contains NaN or infinity; the state is unchanged.")
        with self._blas():
            self._kernel.step()
        return self._decode(self._scores.astype(np.float64), self._method)

    @property
    def state(self):
        """Array of shape (n_sequences, n_state): h and c of each layer in turn. Setting it
        puts the sequences back to where it was taken."""
        state = np.empty(self._shape, self._dtype)
        self._kernel.store(state)
        return state

    @state.setter
    def state(self, state):
        state = np.array(state, dtype=self._dtype, order="C")
        if state.shape != self._shape:
            raise ValueError(f"state has shape {state.shape}, expected {self._shape}.")
        if not np.isfinite(state).all():
            raise ValueError("state contains NaN or infinity.")
        self._kernel.load(state)

    def reset(self):
        """Start all sequences anew."""
        self.state = np.zeros(self._shape)
