"""Checks of settings and data. They return what they read, and raise errors that name the
argument, what was given and what is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import (
    _check_feature_names,
    _check_sample_weight,
    validate_data,
)

from ._arguments import check_collection, check_numeric, reading_numbers, warn_caller
from ._dataset import Dataset
from ._plan import CELLS
from ._sequences import (
    FORMS,
    MAX_VOCABULARY,
    Sequences,
    blocks_of_steps,
    check_same_names,
    columns_to_sequences,
    convert_plain,
    form_of,
    is_plain,
    ragged_to_sequences,
    steps_to_sequences,
    tokens_to_sequences,
)

# The engine sums the weights of a batch and their products with losses in float64, and
# divides by the sum of the weights.
LARGEST_SUM = 1e300
SMALLEST_WEIGHT = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class InputFormat:
    """How a fitted model reads X, whatever its parameters are set to later.

    Parameters
    ----------
    form : {"columns", "steps", "ragged", "tokens"}
    n_features : int
        Features of one step; 1 for tokens.
    n_step_features : int
        Columns of one step of a 2-D X.
    vocabulary : int
        Number of different tokens; 0 if X holds numbers.
    dtype : str
    per_step : bool
        Whether y and the predictions have an entry for every step.
    """

    form: str
    n_features: int
    n_step_features: int
    vocabulary: int
    dtype: str
    per_step: bool


def check_precision(settings: dict[str, Any]) -> None:
    """Refuse settings that over- or underflow in the model's dtype."""
    for name in ("alpha", "epsilon", "init_scale"):
        value = settings.get(name)
        if value is None:
            continue
        with np.errstate(over="ignore"):  # reported here
            rounded = np.dtype(settings["dtype"]).type(value)
        if not np.isfinite(rounded) or (name == "epsilon" and rounded == 0):
            what = "underflows" if rounded == 0 else "overflows"
            raise ValueError(f"{name}={value} {what} dtype={rounded.dtype.name!r}.")


def check_settings(estimator: Any) -> None:
    """Refuse parameters of LSTMRegressor and LSTMClassifier that are valid separately, but
    not in combination."""
    size = estimator.vocabulary_size
    if size is not None and estimator.embedding_dim is None:
        raise ValueError(
            f"vocabulary_size={size} was given without embedding_dim, the length of the "
            "vectors that represent tokens."
        )
    if (size or 0) > MAX_VOCABULARY:
        raise ValueError(
            f"vocabulary_size={size} is too large; at most {MAX_VOCABULARY} different tokens "
            "are supported."
        )
    check_dropout(estimator)
    if estimator.return_sequences and estimator.pooling != "last":
        raise ValueError(
            f'pooling="{estimator.pooling}" cannot be combined with return_sequences=True, '
            "which predicts at every step and leaves nothing to pool."
        )
    if estimator.loss == "crf":
        check_crf(estimator)
    if estimator.bptt_steps is not None and estimator.bidirectional:
        raise ValueError(
            f"bptt_steps={estimator.bptt_steps} cannot be combined with bidirectional=True: "
            "the backward direction starts at the end of a sequence, which is not in every "
            "chunk of steps."
        )


def check_layer_norm(architecture: Any) -> None:
    """Refuse to normalize what would be left without content."""
    if not architecture.layer_norm:
        return
    reason = (
        "layer_norm=True takes the size of a step's vectors away and leaves their direction, "
        "but"
    )
    if architecture.n_inputs == 1:
        what = "embedding_dim is 1" if architecture.vocabulary else "a step has one feature"
        raise ValueError(f"{reason} {what}. Give more, if only a constant feature of 1.")
    sizes = [*architecture.hidden_layer_sizes, *architecture.output_sizes]
    if min(sizes) == 1:
        raise ValueError(f"{reason} a layer has one unit or a projection of one number.")


def check_residual(architecture: Any) -> None:
    """Refuse residual connections where there are none to make."""
    n_outputs = [n * len(architecture.directions) for n in architecture.output_sizes]
    n_inputs = [architecture.n_inputs, *n_outputs[:-1]]
    if architecture.residual and all(n != i for n, i in zip(n_outputs, n_inputs, strict=True)):
        raise ValueError(
            "residual=True adds the inputs of a layer to its outputs, but no layer has as "
            f"many inputs ({n_inputs}) as outputs ({n_outputs}). Give several layers of equal "
            "size in hidden_layer_sizes."
        )


def check_projection(size: int | None, cell: str, hidden_layer_sizes: list[int]) -> None:
    """Refuse a projection of a hidden state that cannot have one, or that is no smaller."""
    if size is None:
        return
    if "c" not in CELLS[cell].state:
        raise ValueError(
            f'projection_size={size} cannot be combined with cell="{cell}": a GRU mixes its '
            "hidden state of the step before with the new one, number by number, so that both "
            "have as many numbers as units."
        )
    if size >= min(hidden_layer_sizes):
        raise ValueError(
            f"projection_size={size} must be smaller than the number of units of every layer; "
            f"hidden_layer_sizes has {hidden_layer_sizes}."
        )


def check_dropout(estimator: Any) -> None:
    """Refuse dropout of a hidden state that no gate sees, and of weights that do not exist."""
    if CELLS[estimator.cell].see_h:
        return
    for name, reason in {
        "recurrent_dropout": "whose gates see no hidden state",
        "weight_dropout": "which has no recurrent weights",
    }.items():
        if getattr(estimator, name):
            raise ValueError(
                f"{name}={getattr(estimator, name)} cannot be combined with "
                f'cell="{estimator.cell}", {reason}.'
            )


def check_crf(estimator: Any) -> None:
    """Refuse what a loss of all labels of a sequence together cannot be combined with."""
    of_sequence = "its loss is that of all labels of a sequence"
    conflicts = {
        "return_sequences": (
            not estimator.return_sequences,
            "a CRF scores the transitions between the labels of successive steps. Set "
            "return_sequences=True",
        ),
        "bptt_steps": (
            estimator.bptt_steps is not None,
            f"{of_sequence}, which must not be cut into chunks",
        ),
        "class_weight": (
            estimator.class_weight is not None,
            f"{of_sequence}, not of single ones",
        ),
    }
    for name, (conflicting, reason) in conflicts.items():
        if conflicting:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} cannot be combined with "
                f'loss="crf": {reason}.'
            )


def check_whole_sequences(weights: np.ndarray, sequences: Sequences, name: str) -> None:
    """Refuse weights of real steps that differ within a sequence."""
    starts = np.cumsum(sequences.lengths) - sequences.lengths
    differ = weights != np.repeat(weights[starts], sequences.lengths)
    if differ.any():
        k = np.searchsorted(starts, np.argmax(differ), side="right") - 1
        raise ValueError(
            f'{name} differs between the steps of sample {k}, but loss="crf" is one loss of '
            "all labels of a sequence. Give one weight per sequence."
        )


def read_X(estimator: Any, X: Any) -> tuple[Sequences, InputFormat]:
    """Read the X of a first fit.

    Like scikit-learn's validate_data it sets n_features_in_ and feature_names_in_.

    Returns
    -------
    sequences : Sequences
    input_format : InputFormat
        Determines how every later X is read.
    """
    dtype = np.dtype(estimator.dtype)
    vocabulary = 0
    if estimator.embedding_dim is not None:
        form = "tokens"
        estimator.__dict__.pop("feature_names_in_", None)
        sequences = tokens_to_sequences(X, estimator.vocabulary_size)
        vocabulary = int(estimator.vocabulary_size or sequences.tokens.max() + 1)
    else:
        check_collection(X, "X", FORMS)
        form = form_of(X)
        if form != "columns":
            check_step_names(estimator, X, form, reset=True)
        sequences = _READERS[form](estimator, X, dtype, int(estimator.n_step_features), True)
    n_features = 1 if form == "tokens" else sequences.n_features
    if form != "columns":
        estimator.n_features_in_ = n_features
    return sequences, InputFormat(
        form=form,
        n_features=n_features,
        n_step_features=int(estimator.n_step_features),
        vocabulary=vocabulary,
        dtype=dtype.name,
        per_step=bool(estimator.return_sequences),
    )


def check_X(estimator: Any, X: Any, input_format: InputFormat) -> Sequences:
    """Read the X of a fitted model."""
    if input_format.form == "tokens":
        return tokens_to_sequences(X, input_format.vocabulary)
    form = check_form(estimator, X, input_format.form)
    if "columns" not in (form, input_format.form):  # whose names are not those of a step
        check_step_names(estimator, X, form, reset=False)
    sequences = _READERS[form](
        estimator, X, np.dtype(input_format.dtype), input_format.n_step_features, False
    )
    check_step_features(estimator, sequences.n_features, input_format.n_features)
    return sequences


# A root mean square that is too large for a feature, and a largest number that is too small:
# rare ones among zeros are as they should be.
LARGE, SMALL = 10.0, 0.1


def warn_of_size(sequences: Sequences, scaler: str) -> None:
    """Warn of features that an LSTM learns badly from, since they saturate its gates or hardly
    move them, and name what scales them."""
    if sequences.values is None:
        return
    squares = np.zeros(sequences.n_features)
    largest = 0.0
    for steps in blocks_of_steps(sequences):
        squares += np.einsum("ij,ij->j", steps, steps, dtype=np.float64)
        largest = max(largest, steps.max(), -steps.min())
    rms = np.sqrt(squares / sequences.lengths.sum())
    all_small = rms.max() < SMALL and largest < SMALL
    if rms.max() <= LARGE and not (all_small and rms.any()):
        return
    warn_caller(
        f"The features of X are {'small' if all_small else 'large'}: feature {rms.argmax()}, "
        f"the largest, has a root mean square of {rms.max():.3g}. An LSTM learns little from "
        f"inputs that are far from mean 0 and unit variance; scale them, for example with "
        f"{scaler} in a Pipeline."
    )


def check_form(estimator: Any, X: Any, fitted_form: str) -> str:
    """The form of X, given to an estimator fitted on X of another form or the same."""
    check_collection(X, "X", FORMS)
    form = form_of(X)
    if form == "columns" and fitted_form != "columns" and len(X):
        raise ValueError(
            f"X has shape {np.shape(X)}, but {type(estimator).__name__} was fitted on "
            "sequences: give a 3-D array (n_samples, n_timesteps, n_features) or a list of "
            "2-D arrays. For a single sequence x that is X = [x]."
        )
    return form


def check_step_names(estimator: Any, X: Any, form: str, reset: bool) -> None:
    """Set or check feature_names_in_ with a 3-D or ragged X, of which data frames have names,
    like scikit-learn's validate_data with one data frame."""
    first = check_same_names(X) if form == "ragged" else X
    named = hasattr(estimator, "feature_names_in_")
    if named or type(first) is not np.ndarray:  # asked first, since it takes 15 us
        _check_feature_names(estimator, first, reset=reset)


def check_step_features(estimator: Any, n_features: int, n_fitted: int) -> None:
    """Refuse steps that have other features than those of the first fit."""
    if n_features != n_fitted:
        raise ValueError(
            f"X has {n_features} features at every step, but {type(estimator).__name__} was "
            f"fitted with {n_fitted}."
        )


def read_columns(estimator: Any, X: Any, dtype: Any, reset: bool) -> np.ndarray:
    """A 2-D X in C order, which may have NaN and infinity. Like scikit-learn's validate_data
    it sets or checks n_features_in_ and feature_names_in_."""
    if isinstance(X, (list, tuple)) and len(X) == 0:
        raise ValueError("X is empty: found array with 0 sample(s), at least 1.")
    check_numeric(X, "X")
    one_dtype = isinstance(dtype, np.dtype)  # and not a list to choose from
    if not reset and one_dtype and is_plain(X, 2) and _has_same_columns(estimator, X):
        return convert_plain(X, dtype)
    with reading_numbers("X"):
        return validate_data(
            estimator, X, reset=reset, dtype=dtype, order="C", ensure_all_finite=False
        )


def _has_same_columns(estimator, X):
    named = hasattr(estimator, "feature_names_in_")
    return not named and X.shape[1] == estimator.n_features_in_


# Form of X -> callable(estimator, X, dtype, n_step_features, reset) -> Sequences
_READERS: dict[str, Callable[..., Sequences]] = {
    "columns": lambda estimator, X, dtype, n_step_features, reset: columns_to_sequences(
        read_columns(estimator, X, dtype, reset), n_step_features
    ),
    "steps": lambda estimator, X, dtype, *rest: steps_to_sequences(X, dtype),
    "ragged": lambda estimator, X, dtype, *rest: ragged_to_sequences(X, dtype),
}


def check_y(
    estimator: Any, y: Any, sequences: Sequences, per_step: bool, name: str = "y"
) -> np.ndarray:
    """y as the estimator reads it, with an entry per sequence, or per real step."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target {name} is "
            "None."
        )
    check_collection(y, name, "one target per sequence")
    if per_step:
        return estimator._read_y(sequences.gather_steps(y, name), name)
    y = estimator._read_y(y, name)
    if len(y) != len(sequences):
        raise ValueError(
            f"{name} has {len(y)} samples, but {name.replace('y', 'X', 1)} has "
            f"{len(sequences)}; samples are the first axis of both."
        )
    return y


def check_weights(
    weights: Any, sequences: Sequences, per_step: bool, dtype: Any, name: str
) -> np.ndarray:
    """Sample weights of the given dtype, one per sequence or per real step."""
    dtype = np.dtype(dtype)
    n = int(sequences.lengths.sum()) if per_step else len(sequences)
    if weights is None:
        return np.ones(n, dtype)
    if not isinstance(weights, Real):
        check_collection(weights, name, "one number per sequence")
        check_numeric(weights, name)
    if per_step:
        with reading_numbers(name):
            if not _is_one_per_sequence(weights):
                weights = sequences.gather_steps(weights, name)
            else:
                weights = _check_sample_weight(weights, np.empty((len(sequences), 1)))
                weights = np.repeat(weights, sequences.lengths)
    with reading_numbers(name):
        weights = _check_sample_weight(weights, np.empty((n, 1)), dtype=np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} has NaN or infinity; all weights must be finite.")
    if (weights < 0).any():
        raise ValueError(f"{name} has negative weights; all must be at least 0.")
    if not weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number, but all of "
            f"{name} are 0."
        )
    with np.errstate(over="ignore"):  # reported here
        return check_weight_range(weights.astype(dtype), weights, name)


def check_weight_range(
    weights: np.ndarray, exact: np.ndarray, name: str, nonzero: bool = True
) -> np.ndarray:
    """Refuse weights that over- or underflow in the model's dtype.

    Parameters
    ----------
    weights : array of the model's dtype
    exact : float64 array
        The same weights before rounding to that dtype.
    name : str
        Where they come from.
    nonzero : bool
        Whether any of them is meant to be larger than 0.

    Returns
    -------
    weights : array
        Those that are too small to divide by are 0.
    """
    with np.errstate(over="ignore"):
        total = exact.sum()
    largest = f"the largest weight is {exact.max():.3g}"
    hint = "without a penalty only the ratios of the weights matter"
    if not np.isfinite(weights).all() or total > LARGEST_SUM:
        limit = min(float(np.finfo(weights.dtype).max), LARGEST_SUM)
        raise ValueError(
            f"{name} overflows {weights.dtype}: {largest}, the sum {total:.3g}; at most "
            f"{limit:.3g} is supported. Scale it down: {hint}."
        )
    if nonzero and float(weights.max()) < SMALLEST_WEIGHT:
        limit = max(float(np.finfo(weights.dtype).smallest_subnormal), SMALLEST_WEIGHT)
        raise ValueError(
            f"{name} underflows {weights.dtype}: {largest}; one of at least {limit:.3g} is "
            f"needed. Scale it up: {hint}."
        )
    return np.where(weights < SMALLEST_WEIGHT, 0, weights).astype(weights.dtype, copy=False)


def check_weight_left(data: Dataset) -> None:
    """Refuse to train where all weights are 0, as they may be after holding some out."""
    if not data.weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number among the sequences to "
            "train on."
        )


def check_enough_to_score(weights: np.ndarray, advice: str) -> None:
    """Refuse validation data that scores such as R^2 are not defined for."""
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
