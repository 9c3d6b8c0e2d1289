"""Predictions on live sequences, one step at a time."""

import copy
from numbers import Integral

import numpy as np

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


class Stream:
    """What `estimator.stream()` returns.

    It pickles and copies: a copy goes on by itself from the state that it was taken in.

    Parameters
    ----------
    estimator : fitted LSTMRegressor or LSTMClassifier
        Its weights are copied: training or changing it does not change the stream.
    n_sequences : int
    method : str
    weights : str or None
        What its weights are quantized to.
    """

    def __init__(self, estimator, n_sequences, method, weights):
        if not isinstance(n_sequences, Integral) or n_sequences < 1:
            raise ValueError(f"n_sequences={n_sequences!r} must be an int of at least 1.")
        known = [name for name in METHODS if hasattr(estimator, name)]
        if method not in known:
            raise ValueError(f"method={method!r} must be one of {known}.")
        if estimator._network.architecture.bidirectional:
            raise ValueError(
                "A bidirectional network cannot stream: its backward direction starts at the "
                "end of a sequence, which is still to come."
            )
        if estimator._network.architecture.chain and method != "decision_function":
            raise ValueError(
                f'method="{method}" cannot stream with loss="crf": it needs the whole '
                "sequence, of which steps are still to come. "
                'method="decision_function" can.'
            )
        self._estimator = (
            estimator._copy_to_predict() if weights is None else estimator.quantize(weights)
        )
        self._n_sequences = int(n_sequences)
        self._method = method
        self._open()

    def _open(self):
        network = self._estimator._network
        self._vocabulary = network.architecture.vocabulary
        self._kernel = network.stream(self._n_sequences)
        self._inputs = self._kernel.inputs
        self._scores = self._kernel.scores

    def __getstate__(self):
        return {
            "_estimator": self._estimator,
            "_n_sequences": self._n_sequences,
            "_method": self._method,
            "state": self.state,
        }

    def __setstate__(self, saved):
        state = saved.pop("state")
        self.__dict__.update(saved)
        self._open()
        self.state = state

    def __copy__(self):
        # The kernel's memory cannot be shared.
        return copy.deepcopy(self)

    def step(self, x_t):
        """Predict after one more step of each sequence.

        Parameters
        ----------
        x_t : array-like of shape (n_sequences, n_features), or (n_features,) for one
            The inputs of the step; with an embedding n_sequences tokens.

        Returns
        -------
        prediction : array of shape (n_sequences, ...), as `predict` returns it
            Bit for bit what `predict` gives for the sequences up to this step.

        Raises
        ------
        ValueError
            If x_t is no step; the state is unchanged.
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
        with np.errstate(over="ignore"):  # overflow to infinity is reported below
            inputs[...] = x_t.reshape(inputs.shape)
        if not self._vocabulary and not np.isfinite(inputs).all():
            raise ValueError(f"x_t={x_t} contains NaN or infinity; the state is unchanged.")
        self._kernel.step()
        return self._estimator._decode(self._scores.astype(np.float64), self._method)

    @property
    def state(self):
        """Array of shape (n_sequences, n_state): h and c (of a GRU only h) of each layer in
        turn, then what has been pooled. Setting it takes the sequences back to where it was
        read."""
        network = self._estimator._network
        state = np.empty((self._n_sequences, network.architecture.n_state), network.dtype)
        self._kernel.store(state)
        return state

    @state.setter
    def state(self, state):
        network = self._estimator._network
        shape = (self._n_sequences, network.architecture.n_state)
        state = np.array(state, dtype=network.dtype, order="C")
        if state.shape != shape:
            raise ValueError(f"state has shape {state.shape}, expected {shape}.")
        if not np.isfinite(state).all():
            raise ValueError("state contains NaN or infinity.")
        self._kernel.load(state)

    def reset(self):
        """Start all sequences anew."""
        network = self._estimator._network
        self.state = np.zeros((self._n_sequences, network.architecture.n_state))
