"""Every accepted form of X becomes one packed batch of sequences."""

import numpy as np
from sklearn.utils import check_array


class Sequences:
    """Sequences of any lengths, one after the other in one array.

    Parameters
    ----------
    values : array of shape (n_rows, n_features), C-contiguous
        Sequence k is ``values[starts[k] : starts[k] + lengths[k]]``.
    starts, lengths : int64 arrays of shape (n_sequences,)
    """

    def __init__(self, values, starts, lengths):
        self.values = values
        self.starts = starts
        self.lengths = lengths

    def __len__(self):
        return len(self.lengths)

    @property
    def n_features(self):
        return self.values.shape[1]

    def take(self, indices):
        """Some of the sequences, in the order of `indices`; their steps stay shared."""
        return Sequences(self.values, self.starts[indices], self.lengths[indices])

    @classmethod
    def from_equal_lengths(cls, X):
        """From a C-contiguous (n_samples, n_timesteps, n_features) array; no copy."""
        n, T, n_features = X.shape
        return cls(
            X.reshape(n * T, n_features),
            np.arange(n, dtype=np.int64) * T,
            np.full(n, T, dtype=np.int64),
        )


def form_of(X):
    """Name the form of X: "columns" (2-D), "steps" (3-D) or "ragged".

    What is none of them counts as "columns", where scikit-learn's validation says what
    is wrong with it.
    """
    if isinstance(X, (list, tuple)) or _is_1d_of_objects(X):
        if len(X) > 0:
            first = X[0] if isinstance(X, (list, tuple)) else np.asarray(X)[0]
            if _n_dimensions(first) >= 2:
                return "ragged"
        return "columns"
    return "steps" if getattr(X, "ndim", 0) == 3 else "columns"


def columns_to_sequences(X, n_step_features):
    """Read the columns of a validated 2-D array step by step.

    Columns k * n_step_features to (k + 1) * n_step_features are the features of step k.
    """
    n, n_columns = X.shape
    if n_columns % n_step_features:
        raise ValueError(
            f"X has {n_columns} columns, which is not a multiple of "
            f"n_step_features={n_step_features}: every step must have the same features."
        )
    return Sequences.from_equal_lengths(X.reshape(n, -1, n_step_features))


def steps_to_sequences(X, dtype):
    """Read a 3-D array; trailing steps that are NaN in every feature are padding."""
    X = check_array(
        X, dtype=dtype, order="C", allow_nd=True, ensure_all_finite=False, input_name="X"
    )
    n, T, n_features = X.shape
    if T == 0 or n_features == 0:
        raise ValueError(
            f"X has shape {X.shape}; at least one step and one feature are required."
        )
    sequences = Sequences.from_equal_lengths(X)
    if _all_finite(X):
        return sequences
    sequences.lengths = _unpadded_lengths(X)
    empty = np.flatnonzero(sequences.lengths == 0)
    if len(empty):
        raise ValueError(
            f"X[{empty[0]}] has length 0: all of its steps are NaN, which is padding. "
            "Every sequence needs at least one step."
        )
    inside = np.arange(T) < sequences.lengths[:, None]
    bad = ~np.isfinite(X).all(axis=2) & inside
    if bad.any():
        sample, step = np.argwhere(bad)[0]
        _raise_not_finite(X[sample, step], sample, step)
    return sequences


def ragged_to_sequences(X, dtype):
    """Read a list of (n_timesteps_k, n_features) arrays."""
    arrays = [_as_steps(x, k) for k, x in enumerate(X)]
    _check_same_features(arrays)
    with np.errstate(over="ignore"):  # overflow to infinity is reported below
        values = np.concatenate(arrays, dtype=dtype, casting="unsafe")
    lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
    starts = np.cumsum(lengths) - lengths
    if not _all_finite(values):
        row = np.flatnonzero(~np.isfinite(values).all(axis=1))[0]
        sample = np.searchsorted(starts, row, side="right") - 1
        _raise_not_finite(values[row], sample, row - starts[sample])
    return Sequences(values, starts, lengths)


def flatten_steps(X):
    """All steps of a 3-D or ragged X as the rows of one array, NaN and all but padding.

    Returns
    -------
    rows : array of shape (n_rows, n_features)
    lengths : array of shape (n_samples,)
        Steps of each sequence.
    rebuild : callable(rows) -> X
        Cuts transformed rows into sequences of the form given.
    """
    if form_of(X) == "steps":
        X = check_array(
            X, dtype=None, allow_nd=True, ensure_all_finite=False, input_name="X"
        )
        lengths = _unpadded_lengths(X)
        inside = np.arange(X.shape[1]) < lengths[:, None]

        def rebuild(rows):
            if inside.all():
                return rows.reshape(*inside.shape, rows.shape[1])
            out = np.full((*inside.shape, rows.shape[1]), np.nan, dtype=rows.dtype)
            out[inside] = rows
            return out

        return X[inside], lengths, rebuild

    arrays = [_as_steps(x, k) for k, x in enumerate(X)]
    _check_same_features(arrays)
    lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))

    def rebuild(rows):
        pieces = np.split(rows, np.cumsum(lengths)[:-1])
        if not _is_1d_of_objects(X):
            return pieces
        out = np.empty(len(pieces), dtype=object)
        out[:] = pieces
        return out

    return np.concatenate(arrays), lengths, rebuild


def _unpadded_lengths(X):
    """Steps of each sequence up to the last one that is not NaN in every feature."""
    if X.dtype.kind != "f":
        return np.full(len(X), X.shape[1], dtype=np.int64)
    real_step = ~np.isnan(X).all(axis=2)
    return np.where(
        real_step.any(axis=1), X.shape[1] - real_step[:, ::-1].argmax(axis=1), 0
    ).astype(np.int64)


def _check_same_features(arrays):
    n_features = arrays[0].shape[1]
    for k, x in enumerate(arrays):
        if x.shape[1] != n_features:
            raise ValueError(
                f"X[{k}] has {x.shape[1]} features at every step, but X[0] has "
                f"{n_features}: all sequences must have the same features."
            )


def _is_1d_of_objects(X):
    # Also a pandas Series of arrays.
    return getattr(X, "ndim", 0) == 1 and getattr(X.dtype, "kind", "") == "O"


def _n_dimensions(x):
    try:
        return np.ndim(x)
    except ValueError:  # nested lists of different lengths
        return 2


def _as_steps(x, k):
    try:
        x = np.asarray(x)
        if x.dtype == object:
            x = x.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X[{k}] cannot be read as an array of numbers of shape (n_timesteps, "
            f"n_features): {error}"
        ) from error
    if x.dtype.kind not in "fiub":
        kind = "Complex data not supported" if x.dtype.kind == "c" else "not numbers"
        raise ValueError(f"X[{k}] has dtype {x.dtype}: {kind}.")
    if x.ndim != 2:
        raise ValueError(
            f"X[{k}] has shape {x.shape}, but a sequence must have shape (n_timesteps, "
            "n_features). For one feature write x[:, None]."
        )
    if x.shape[0] == 0:
        raise ValueError(f"X[{k}] has length 0. Every sequence needs at least one step.")
    if x.shape[1] == 0:
        raise ValueError(f"X[{k}] has 0 features; at least one is required.")
    return x


def _all_finite(values):
    # The sum is finite where all values are, and cheap; where it is not (it may also
    # overflow), look closely.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum(dtype=np.float64))) or bool(
            np.isfinite(values).all()
        )


def _raise_not_finite(step_values, sample, step):
    what = "NaN" if np.isnan(step_values).any() else "infinity or a value too large"
    hint = (
        " Fill it in first, for example with StepwiseTransformer(SimpleImputer()) from "
        "cylstm.preprocessing; trailing steps of a 3-D X that are NaN in every feature "
        "are padding."
        if what == "NaN"
        else f" for {step_values.dtype}."
    )
    raise ValueError(
        f"Input X contains {what}"
        + ("." if what == "NaN" else "")
        + hint
        + f" The first one is in sample {sample} at step {step}."
    )
