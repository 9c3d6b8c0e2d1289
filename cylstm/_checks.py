"""What both estimators check of their parameters and their data."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from . import _plan
from ._sequences import (
    MAX_VOCABULARY,
    columns_to_sequences,
    form_of,
    ragged_to_sequences,
    steps_to_sequences,
    tokens_to_sequences,
)

PARAMETER_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "cell": [StrOptions(set(_plan.CELLS))],
    "activation": [StrOptions({"tanh", "relu"})],
    "bidirectional": ["boolean"],
    "return_sequences": ["boolean"],
    "vocabulary_size": [Interval(Integral, 1, None, closed="left"), None],
    "embedding_dim": [Interval(Integral, 1, None, closed="left"), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "solver": [StrOptions({"adam", "adamw", "rmsprop", "sgd"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "cosine"})],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "bptt_steps": [Interval(Integral, 1, None, closed="left"), None],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "dtype": [
        StrOptions({"float32", "float64"}),
        Options(type, {np.float32, np.float64}),
    ],
    "n_jobs": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Integral, None, -1, closed="right"),
        None,
    ],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "n_step_features": [Interval(Integral, 1, None, closed="left")],
}


class ChecksMixin:
    """Reads X, y and weights in every form they may have; a subclass reads the numbers of y
    (_read_y) and encodes them (_encode)."""

    _parameter_constraints = PARAMETER_CONSTRAINTS

    def _check_parameters(self):
        self._validate_params()
        if self.vocabulary_size is not None and self.embedding_dim is None:
            raise ValueError(
                f"vocabulary_size={self.vocabulary_size} was given without embedding_dim, "
                "the length of the vector that stands for a token."
            )
        if (self.vocabulary_size or 0) > MAX_VOCABULARY:
            raise ValueError(
                f"vocabulary_size={self.vocabulary_size} is too large; at most "
                f"{MAX_VOCABULARY} tokens can be told apart."
            )
        if self.cell == "input_gated" and self.recurrent_dropout:
            raise ValueError(
                f"recurrent_dropout={self.recurrent_dropout} cannot go with "
                'cell="input_gated", whose gates see no hidden state.'
            )
        if self.bptt_steps is not None and self.bidirectional:
            raise ValueError(
                "bptt_steps cannot go with bidirectional=True: the backward direction "
                "begins at the end of a sequence, which a chunk of steps does not know."
            )

    def _check_X(self, X, reset):
        dtype = np.dtype(self.dtype if reset else self._dtype)
        # What a fitted model reads is what it was fitted on, whatever is set since.
        if reset:
            self._per_step = bool(self.return_sequences)
            self._n_step_features = self.n_step_features
        if self.embedding_dim is not None if reset else self._form == "tokens":
            form = "tokens"
            size = self.vocabulary_size if reset else self._vocabulary
            sequences = tokens_to_sequences(X, size)
        elif (form := form_of(X)) == "columns":
            if isinstance(X, (list, tuple)) and len(X) == 0:
                raise ValueError("X is empty: found array with 0 sample(s), at least 1.")
            if not reset and self._form != "columns":
                raise ValueError(
                    f"X has shape {np.shape(X)}, but {type(self).__name__} was fitted on "
                    "sequences: give a 3-D array (n_samples, n_timesteps, n_features) or a "
                    "list of 2-D arrays. One sequence x is X = [x]."
                )
            with np.errstate(over="ignore"):  # overflow to infinity is reported below
                X = validate_data(
                    self, X, reset=reset, dtype=dtype, order="C", ensure_all_finite=False
                )
            sequences = columns_to_sequences(X, self._n_step_features)
        else:
            read = steps_to_sequences if form == "steps" else ragged_to_sequences
            sequences = read(X, dtype)
        n_features = 1 if form == "tokens" else sequences.n_features
        if not reset:
            if n_features != self._n_inputs:
                raise ValueError(
                    f"X has {n_features} features at every step, but "
                    f"{type(self).__name__} was fitted with {self._n_inputs}."
                )
            return sequences
        self._form = form
        self._dtype = dtype.name
        self._n_inputs = n_features
        self._vocabulary = 0
        if form == "tokens":
            self._vocabulary = self.vocabulary_size or int(sequences.tokens.max()) + 1
        if form != "columns":
            self.n_features_in_ = n_features
            self.__dict__.pop("feature_names_in_", None)
        return sequences

    def _check_y(self, y, sequences, name):
        """y as the subclass reads it: one row per sequence, or per real step."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target {name} "
                "is None."
            )
        if self._per_step:
            return self._read_y(sequences.gather_steps(y, name), name)
        y = self._read_y(y, name)
        if len(y) != len(sequences):
            raise ValueError(
                f"{name} has {len(y)} samples, but {name.replace('y', 'X', 1)} has "
                f"{len(sequences)}; samples are the first axis of both."
            )
        return y

    def _check_weights(self, weights, sequences, name):
        """One per sequence, or per real step."""
        n = len(sequences)
        if self._per_step:
            n = int(sequences.lengths.sum())
            if weights is not None and not _is_one_per_sequence(weights):
                weights = sequences.gather_steps(weights, name)
            elif weights is not None:
                weights = _check_sample_weight(weights, np.empty((len(sequences), 1)))
                weights = np.repeat(weights, sequences.lengths)
        weights = _check_sample_weight(weights, np.empty((n, 1)), dtype=np.dtype(self.dtype))
        if (weights < 0).any():
            raise ValueError(f"{name} has negative weights; all must be at least 0.")
        if not weights.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, but all of "
                f"{name} are 0."
            )
        return weights

    def _check_validation(self, X_val, y_val, sample_weight_val):
        try:
            sequences = self._check_X(X_val, reset=False)
        except ValueError as error:
            raise ValueError(f"In X_val: {error}") from error
        y_val = self._check_y(y_val, sequences, "y_val")
        self._encode(y_val, going_on=True, classes=None, name="y_val")
        weights = self._check_weights(sample_weight_val, sequences, "sample_weight_val")
        check_enough_to_score(weights, "Give more in X_val and y_val")
        return sequences, y_val, weights


def check_weight_left(weights):
    if not weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number among the sequences to "
            "learn from."
        )


def check_enough_to_score(weights, advice):
    n = np.count_nonzero(weights)
    if n < 2:
        raise ValueError(
            f"{n} sample is too small a validation set; at least 2 are needed to score. "
            f"{advice}."
        )


def _is_one_per_sequence(weights):
    if hasattr(weights, "ndim"):
        return weights.ndim <= 1 and weights.dtype != object
    return np.isscalar(weights) or all(np.ndim(w) == 0 for w in weights)
