"""Converts every accepted form of X to a Sequences object."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import _get_feature_names

from . import _updates
from ._arguments import (
    as_array,
    check_collection,
    check_numeric,
    reading_numbers,
    shown,
    warn_caller,
)
from ._engine import PRECISIONS

# The kernels number tokens in 32 bits.
MAX_VOCABULARY = (1 << 31) - 1

FORMS = (
    "a 3-D array (n_samples, n_timesteps, n_features), a list of 2-D arrays (n_timesteps_k, "
    "n_features), or a 2-D array or data frame (n_samples, n_columns)"
)

# Numbers that are looked at together, while the cache holds them: X may be larger than memory.
BLOCK = 1 << 16

TOKEN_FORMS = (
    "an integer array (n_samples, n_timesteps) or a list of 1-D integer arrays, since "
    "embedding_dim is set"
)

# Library of data frames -> arguments of its concat that put rows below rows.
CONCAT_SETTINGS = {"pandas": {"ignore_index": True}, "polars": {"how": "vertical_relaxed"}}


class Sequences:
    """Sequences of any lengths, one after the other in one array.

    Parameters
    ----------
    values : C-contiguous array of shape (n_rows, n_features), or None
        Sequence k is ``values[starts[k] : starts[k] + lengths[k]]``. Windows of a series may
        share rows; then what the network writes for each row is that of one of them.
    starts, lengths : int64 arrays of shape (n_sequences,)
    tokens : int64 array of shape (n_rows,), or None
        Given instead of values.
    shape : (n_sequences, n_steps), or None
        The shape of X if it was an array; None if it was a list of sequences.
    shift, scale : float64 arrays of shape (n_sequences, n_features), or None
        With them values are float64, and what a network of any precision reads of sequence k
        is ``(values - shift[k]) * scale[k]``.
    seams : int64 array of shape (n_sequences,), or None
        With a shift and a scale only: steps from which on less is known.
    beyond : float64 array of shape (n_features,), or None
        What is read from the seams on, whatever the values are; NaN for features that go on.
    """

    def __init__(
        self,
        values,
        starts,
        lengths,
        tokens=None,
        shape=None,
        *,
        shift=None,
        scale=None,
        seams=None,
        beyond=None,
    ):
        self.shape = shape
        self.values = values
        self.starts = starts
        self.lengths = lengths
        self.tokens = tokens
        self.shift = shift
        self.scale = scale
        self.seams = seams
        self.beyond = beyond

    def __len__(self):
        return len(self.lengths)

    @property
    def n_rows(self):
        return len(self.tokens if self.values is None else self.values)

    @property
    def n_features(self):
        return self.values.shape[1]

    def take(self, indices):
        """Some of the sequences, in the order of `indices`. The steps are not copied."""
        return Sequences(
            self.values,
            self.starts[indices],
            self.lengths[indices],
            self.tokens,
            shift=None if self.shift is None else self.shift[indices],
            scale=None if self.scale is None else self.scale[indices],
            seams=None if self.seams is None else self.seams[indices],
            beyond=self.beyond,
        )

    def chunk(self, first, n_steps):
        """Steps first to first + n_steps of each sequence, or as many of them as it has."""
        return Sequences(
            self.values,
            self.starts + first,
            np.clip(self.lengths - first, 0, n_steps),
            self.tokens,
            shift=self.shift,
            scale=self.scale,
            seams=None if self.seams is None else self.seams - first,
            beyond=self.beyond,
        )

    @classmethod
    def from_equal_lengths(cls, X):
        """From a C-contiguous (n_samples, n_timesteps, n_features) array, or a token array
        (n_samples, n_timesteps); no copy."""
        n, T = X.shape[:2]
        starts = np.arange(n, dtype=np.int64) * T
        lengths = np.full(n, T, dtype=np.int64)
        if X.ndim == 2:
            return cls(None, starts, lengths, X.reshape(n * T), (n, T))
        return cls(X.reshape(n * T, X.shape[2]), starts, lengths, None, (n, T))

    def real_rows(self):
        """Indices of the rows that are real steps, not padding, sequence by sequence."""
        ends = np.cumsum(self.lengths)
        within = np.arange(ends[-1]) - np.repeat(ends - self.lengths, self.lengths)
        return np.repeat(self.starts, self.lengths) + within

    def gather_steps(self, y, name):
        """Entries of y for every step, as one array of those of the real steps.

        y is an array (n_sequences, n_steps, ...), whose padding is ignored, or a list with
        an array (n_steps_k, ...) for each sequence.
        """
        if hasattr(y, "iloc"):
            y = y.to_numpy()
        if self.shape is not None and {_n_entries(steps) for steps in y} == {self.shape[1:]}:
            y = np.asarray(y)
            if y.shape[:2] == self.shape:
                return y.reshape(-1, *y.shape[2:])[self.real_rows()]
        if len(y) != len(self):
            raise ValueError(f"{name} has {len(y)} samples, but X has {len(self)}.")
        arrays = [as_array(steps, f"{name}[{k}]") for k, steps in enumerate(y)]
        for k, (steps, length) in enumerate(zip(arrays, self.lengths, strict=True)):
            if steps.ndim == 0 or len(steps) != length:
                raise ValueError(
                    f"{name}[{k}] has shape {steps.shape}, but X[{k}] has {length} steps "
                    "and return_sequences=True requires an entry for each."
                )
        if len({steps.shape[1:] for steps in arrays}) > 1:
            k = next(k for k, x in enumerate(arrays) if x.shape[1:] != arrays[0].shape[1:])
            raise ValueError(
                f"{name}[{k}] has shape {arrays[k].shape}, but {name}[0] has "
                f"{arrays[0].shape}: all steps must have the same number of outputs."
            )
        strings = [steps.dtype.kind in "US" for steps in arrays]
        if len(set(strings)) > 1:
            raise ValueError(
                f"{name}[{strings.index(True)}] holds strings, but "
                f"{name}[{strings.index(False)}] holds {arrays[strings.index(False)].dtype}."
            )
        return np.concatenate(arrays)

    def spread_steps(self, numbers):
        """One row per real step -> one row per row of `values`, with zeros at padding."""
        out = np.zeros((self.n_rows, *numbers.shape[1:]), dtype=numbers.dtype)
        out[self.real_rows()] = numbers
        return out

    def shape_steps(self, numbers):
        """The opposite of gather_steps: one row per real step -> the form of X. Padding is
        NaN, or None among labels that are not numbers."""
        if self.shape is None:
            return np.split(numbers, np.cumsum(self.lengths)[:-1])
        if self.lengths.sum() == self.n_rows:
            return numbers.reshape(*self.shape, *numbers.shape[1:])
        out = np.full((self.n_rows, *numbers.shape[1:]), None, dtype=object)
        if numbers.dtype.kind in "fiu":
            dtype = np.result_type(numbers.dtype, np.float32)
            out = np.full((self.n_rows, *numbers.shape[1:]), np.nan, dtype=dtype)
        out[self.real_rows()] = numbers
        return out.reshape(*self.shape, *numbers.shape[1:])


def _n_entries(steps):
    """(n,) of an array-like; () of a number, or of lists that no array holds."""
    try:
        return np.shape(steps)[:1]
    except ValueError:
        return ()


def form_of(X: Any) -> str:
    """Name the form of X: "columns" (2-D), "steps" (3-D or more dimensions) or "ragged".

    Anything else counts as "columns", so that scikit-learn's validation says what is wrong
    with it.
    """
    if isinstance(X, (list, tuple)) or _is_1d_of_objects(X):
        dimensions = {_n_dimensions(x) for x in X}
        if max(dimensions, default=0) >= 2:
            return "ragged"
        if dimensions == {1} and len({len(x) for x in X}) > 1:
            return "ragged"  # where the missing axis is reported
        return "columns"
    return "steps" if getattr(X, "ndim", 0) >= 3 else "columns"


def is_plain(X, n_dimensions):
    """Whether X is an array of numbers that scikit-learn's validation does nothing with but
    convert it, for which it takes 50 to 100 microseconds: more than a small network."""
    if type(X) not in (np.ndarray, np.memmap) or X.ndim != n_dimensions:
        return False
    return X.dtype.kind in "fiub" and len(X) > 0


def convert_plain(X, dtype):
    """A plain array in C order, itself or a copy; what overflows becomes infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(X, dtype=dtype, order="C")


def columns_to_sequences(X, n_step_features):
    """Read the columns of a 2-D array step by step.

    Columns k * n_step_features to (k + 1) * n_step_features are the features of step k.
    """
    sequences = Sequences.from_equal_lengths(split_columns(X, n_step_features))
    _check_finite(sequences)
    return sequences


def split_columns(X, n_step_features):
    """A view of a 2-D array in C order as (n_samples, n_timesteps, n_step_features)."""
    n, n_columns = X.shape
    if n_columns % n_step_features:
        raise ValueError(
            f"X has {n_columns} columns, which is not a multiple of "
            f"n_step_features={n_step_features}: every step must have the same features."
        )
    return X.reshape(n, -1, n_step_features)


def _check_finite(sequences):
    if not _all_finite(sequences.values):
        row = np.flatnonzero(~np.isfinite(sequences.values).all(axis=1))[0]
        sample = np.searchsorted(sequences.starts, row, side="right") - 1
        _raise_not_finite(sequences.values[row], sample, row - sequences.starts[sample])


def steps_to_sequences(X, dtype):
    """Read a 3-D array; trailing steps that are NaN in every feature are padding."""
    _check_3d(X)
    if is_plain(X, 3):
        X = convert_plain(X, dtype)
    else:
        with reading_numbers("X"):
            X = check_array(
                X,
                dtype=dtype,
                order="C",
                allow_nd=True,
                ensure_all_finite=False,
                input_name="X",
            )
    sequences = Sequences.from_equal_lengths(X)
    if not _all_finite(X):
        sequences.lengths = _check_padded(X)
    return sequences


def _check_padded(X):
    """Number of real steps of each sequence of a 3-D X, all of which must be finite."""
    n, T, n_features = X.shape
    lengths = np.empty(n, dtype=np.int64)
    first_bad = None
    n_together = max(1, BLOCK // (T * n_features))
    for start in range(0, n, n_together):
        some = slice(start, start + n_together)
        lengths[some] = _unpadded_lengths(X[some])
        inside = np.arange(T) < lengths[some, None]
        bad = ~np.isfinite(X[some]).all(axis=2) & inside
        if first_bad is None and bad.any():
            sample, step = np.argwhere(bad)[0]
            first_bad = start + sample, step
    check_not_empty(lengths)
    if first_bad is not None:
        _raise_not_finite(X[first_bad], *first_bad)
    return lengths


def blocks_of_steps(sequences):
    """The real steps of all sequences, which share no rows, some rows at a time, in the order
    in which they stand in `values`: views of it if it has no other rows, else copies."""
    values = sequences.values
    n_rows = max(1, BLOCK // values.shape[1])
    sequences = sequences.take(np.argsort(sequences.starts))
    ends = np.cumsum(sequences.lengths)
    from_step_to_row = sequences.starts + sequences.lengths - ends
    for start in range(0, ends[-1], n_rows):
        steps = slice(start, start + n_rows)
        if ends[-1] < len(values):
            steps = np.arange(start, min(start + n_rows, ends[-1]))
            steps += from_step_to_row[np.searchsorted(ends, steps, side="right")]
        yield values[steps]


def check_not_empty(lengths):
    """Refuse sequences of a 3-D X that are all padding."""
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise ValueError(
            f"X[{empty[0]}] has length 0: all of its steps are NaN, which is padding. "
            "Every sequence needs at least one step."
        )


def check_not_infinite(rows, lengths):
    """Refuse infinity, but not NaN, in the steps of sequences of these lengths."""
    infinite = np.isinf(rows)
    if infinite.any():
        row = np.flatnonzero(infinite.any(axis=1))[0]
        ends = np.cumsum(lengths)
        sample = np.searchsorted(ends, row, side="right")
        step = row - (ends[sample] - lengths[sample])
        _raise_not_finite(rows[row, infinite[row]], sample, step)


def _check_3d(X):
    if X.ndim != 3 or 0 in X.shape[1:]:
        raise ValueError(
            f"X has shape {X.shape}; expected (n_samples, n_timesteps, n_features) with at "
            "least one step and one feature."
        )
    check_numeric(X, "X")


def ragged_to_sequences(X, dtype):
    """Read a list of (n_timesteps_k, n_features) arrays."""
    arrays = [_as_steps(x, k) for k, x in enumerate(X)]
    _check_same_features(arrays)
    with np.errstate(over="ignore"):  # overflow to infinity is reported below
        values = np.empty((sum(map(len, arrays)), arrays[0].shape[1]), dtype=dtype)
        np.concatenate(arrays, out=values, casting="unsafe")
    lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
    starts = np.cumsum(lengths) - lengths
    sequences = Sequences(values, starts, lengths)
    _check_finite(sequences)
    return sequences


def check_same_names(X):
    """Refuse a ragged X whose sequences differ in the names or the order of their columns.

    Only data frames have names, and, as in scikit-learn, only if these are strings: then all
    sequences must have them.

    Returns
    -------
    first : array or data frame
        A sequence, whose names are those of all.
    """
    first = next(iter(X))
    if {*map(type, X)} == {np.ndarray}:
        return first
    columns, names = _columns_of(first), _names_of(first)
    for k, x in enumerate(X):
        if columns is not None and _columns_of(x) == columns:
            continue  # found ten times as fast as names
        others = _names_of(x)
        if others != names:
            raise ValueError(_difference(k, others, names))
    return first


def _columns_of(x):
    columns = getattr(x, "columns", None)
    return None if columns is None else list(columns)


def _names_of(x):
    names = None if isinstance(x, (np.ndarray, list, tuple)) else _get_feature_names(x)
    return None if names is None else list(names)


def _difference(k, names, names_of_first):
    """What to say of sequence k, whose names are not those of the first."""
    if names is None or names_of_first is None:
        without, having, shared = (k, 0, names_of_first) if names is None else (0, k, names)
        return (
            f"X[{without}] has no column names, but X[{having}] has {shown(shared)}: X must "
            "hold data frames or arrays, not both."
        )
    only_here = [name for name in names if name not in names_of_first]
    only_first = [name for name in names_of_first if name not in names]
    if only_here or only_first:
        lists = {k: only_here, 0: only_first}
        only = [f"only X[{i}] has {shown(names)}" for i, names in lists.items() if names]
        what = f"X[{k}] has other columns than X[0]: {', '.join(only)}. All"
    else:
        what = (
            f"X[{k}] has the columns {shown(names)}, but X[0] has {shown(names_of_first)}: all"
        )
    return f"{what} sequences must have the same features in the same order."


def tokens_to_sequences(X, vocabulary_size):
    """Read token ids: an integer array (n_samples, n_timesteps), or a list of 1-D arrays.
    If vocabulary_size is None, any tokens from 0 on are valid."""
    check_collection(X, "X", TOKEN_FORMS)
    if isinstance(X, (list, tuple)) or _is_1d_of_objects(X):
        arrays = [_as_tokens(x, f"X[{k}]", 1) for k, x in enumerate(X)]
        if not arrays:
            raise ValueError("X is empty; at least one sequence is required.")
        for k, x in enumerate(arrays):
            if len(x) == 0:
                raise ValueError(
                    f"X[{k}] has length 0. Every sequence needs at least one step."
                )
        lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
        sequences = Sequences(
            None, np.cumsum(lengths) - lengths, lengths, np.concatenate(arrays)
        )
    else:
        X = _as_tokens(X, "X", 2)
        if X.size == 0:
            raise ValueError(
                f"X has shape {X.shape}; at least one sequence of one step is required."
            )
        sequences = Sequences.from_equal_lengths(X)
    tokens = sequences.tokens
    if vocabulary_size is None:
        vocabulary_size = min(max(int(tokens.max()) + 1, 1), MAX_VOCABULARY)
    outside = (tokens < 0) | (tokens >= vocabulary_size)
    if outside.any():
        row = np.flatnonzero(outside)[0]
        sample = np.searchsorted(sequences.starts, row, side="right") - 1
        raise ValueError(
            f"X has token {tokens[row]} in sample {sample} at step "
            f"{row - sequences.starts[sample]}, but vocabulary_size={vocabulary_size} "
            f"allows tokens from 0 to {vocabulary_size - 1}."
        )
    return sequences


def _as_tokens(x, name, n_dimensions):
    if issparse(x):
        raise TypeError(f"Sparse data was passed for {name}; expected {TOKEN_FORMS}.")
    x = as_array(x, name)
    if (x.dtype == object and x.size and all(isinstance(k, int) for k in x.flat)) or (
        x.dtype == np.uint64 and (x >> 63).any()
    ):
        raise ValueError(
            f"{name} has integers beyond 64 bits, but tokens are at most {MAX_VOCABULARY - 1}."
        )
    if x.dtype.kind not in "iu" and x.size:
        raise ValueError(
            f"{name} has dtype {x.dtype}, but with embedding_dim X holds token ids: "
            "integers from 0 to vocabulary_size - 1."
        )
    if x.ndim != n_dimensions:
        expected = "(n_samples, n_timesteps)" if n_dimensions == 2 else "(n_timesteps,)"
        raise ValueError(
            f"{name} has shape {x.shape}, but expected {expected}: X is {TOKEN_FORMS}."
        )
    return np.ascontiguousarray(x, dtype=np.int64)


def flatten_steps(X, dtype=None, keep_frames=False):
    """All real steps of a 3-D or ragged X as the rows of one array, which may have NaN.

    Parameters
    ----------
    X : array or list of arrays
    dtype : dtype, list of dtypes or None
        The dtype of the rows, as check_array takes it.
    keep_frames : bool
        Whether to stack data frames that have column names as they are, whatever their
        columns hold.

    Returns
    -------
    rows : array or data frame of shape (n_rows, n_features)
    lengths : array of shape (n_samples,)
        Steps of each sequence.
    rebuild : callable(rows) -> X
        Cuts transformed rows into sequences, in the form of X.
    """
    if form_of(X) == "steps":
        _check_3d(X)
        with reading_numbers("X"):
            X = check_array(
                X, dtype=dtype, allow_nd=True, ensure_all_finite=False, input_name="X"
            )
        lengths = _unpadded_lengths(X)
        inside = np.arange(X.shape[1]) < lengths[:, None]

        def rebuild(rows):
            if inside.all():
                return rows.reshape(*inside.shape, rows.shape[1])
            dtype = rows.dtype
            if dtype.kind != "f":  # padding is NaN, which integers cannot represent
                dtype = np.result_type(dtype, np.float32)
            out = np.full((*inside.shape, rows.shape[1]), np.nan, dtype=dtype)
            out[inside] = rows
            return out

        return X[inside], lengths, rebuild

    stack = _stacker_of_frames(X) if keep_frames else None
    if stack is not None:
        steps = list(X)
        for k, x in enumerate(steps):
            _check_shape(x, k)
        rows = stack(steps)
    else:
        steps = [_as_steps(x, k) for k, x in enumerate(X)]
        _check_same_features(steps)
        # In C order, since sums over F-ordered rows round differently.
        rows = check_array(
            np.concatenate(steps), dtype=dtype, order="C", ensure_all_finite=False
        )
    lengths = np.fromiter(map(len, steps), dtype=np.int64, count=len(steps))

    def rebuild(rows):
        pieces = np.split(rows, np.cumsum(lengths)[:-1])
        if not _is_1d_of_objects(X):
            return pieces
        out = np.empty(len(pieces), dtype=object)
        out[:] = pieces
        return out

    return rows, lengths, rebuild


def _stacker_of_frames(X):
    """callable(sequences of X) -> one data frame of all their steps; None if they are no data
    frames of pandas or polars with column names."""
    first = check_same_names(X)
    if _names_of(first) is None:
        return None
    library = library_of(first)
    if library not in CONCAT_SETTINGS:
        return None
    for k, x in enumerate(X):
        if library_of(x) != library:
            raise ValueError(
                f"X[{k}] is a data frame of {library_of(x)}, but X[0] is one of {library}: "
                "all must be of one library."
            )
    return functools.partial(import_module(library).concat, **CONCAT_SETTINGS[library])


def library_of(x):
    """The library of a data frame: "pandas" for all that are like its own, "polars", ..."""
    return "pandas" if hasattr(x, "iloc") else type(x).__module__.partition(".")[0]


def has_gaps(rows):
    """Whether steps, as flatten_steps stacks them, have missing values."""
    if isinstance(rows, np.ndarray):
        return rows.dtype.kind == "f" and bool(np.isnan(rows).any())
    if library_of(rows) == "pandas":
        return bool(rows.isna().to_numpy().any())
    return sum(rows.fill_nan(None).null_count().row(0)) > 0


def warn_of_gaps_or_padding(X, rows, lengths, gaps_in_fit=False):
    """Warn if a 3-D X has padding that may as well be missing values, since its real steps,
    the rows, or those of fit have some too."""
    if getattr(X, "ndim", 0) != 3:
        return
    padded = np.flatnonzero((lengths < X.shape[1]) & (lengths > 0))
    if len(padded) == 0:
        return
    gaps_in_X = has_gaps(rows)
    if not gaps_in_X and not gaps_in_fit:
        return
    samples = ", ".join(map(str, padded[:5])) + ", ..." * (len(padded) > 5)
    warn_caller(
        f"The last steps of {len(padded)} of {len(lengths)} sequences are NaN in every "
        f"feature (sample{'s' * (len(padded) > 1)} {samples}). They were taken for padding "
        f"and left out, but in {'X' if gaps_in_X else 'fit'} there was NaN inside sequences "
        "too. If they are missing values, pass list(X), in which every step is real; if they "
        "are padding, unpad_sequences(X, lengths) from cylstm.preprocessing makes a list "
        "without them."
    )


def _unpadded_lengths(X):
    """Number of steps of each sequence up to the last that is not NaN in every feature."""
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
    # A pandas Series of arrays as well.
    return getattr(X, "ndim", 0) == 1 and getattr(X.dtype, "kind", "") == "O"


def _n_dimensions(x):
    try:
        return np.ndim(x)
    except ValueError:  # nested lists of different lengths
        return 2


def _as_steps(x, k):
    try:
        given, x = x, np.asarray(x)
        if x.dtype == object and hasattr(given, "iloc"):  # pandas.NA is not a number
            x = given.to_numpy(np.float64, na_value=np.nan)
        elif x.dtype == object:
            x = x.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"X[{k}] cannot be read as an array of numbers of shape (n_timesteps, "
            f"n_features): {error}"
        ) from error
    if x.dtype.kind not in "fiub":
        kind = "Complex data not supported" if x.dtype.kind == "c" else "not numbers"
        raise ValueError(f"X[{k}] has dtype {x.dtype}: {kind}.")
    _check_shape(x, k)
    return x


def _check_shape(x, k):
    if len(x.shape) != 2:
        raise ValueError(
            f"X[{k}] has shape {x.shape}, but a sequence must have shape (n_timesteps, "
            "n_features)."
            + (" For one feature write x[:, None]." if len(x.shape) == 1 else "")
        )
    if x.shape[0] == 0:
        raise ValueError(f"X[{k}] has length 0. Every sequence needs at least one step.")
    if x.shape[1] == 0:
        raise ValueError(f"X[{k}] has 0 features; at least one is required.")


def _all_finite(values):
    """Of a C-contiguous float32 or float64 array."""
    return _updates.all_finite[PRECISIONS[values.dtype]](values.reshape(-1))


def _raise_not_finite(step_values, sample, step):
    what = "NaN" if np.isnan(step_values).any() else "infinity or a value too large"
    hint = (
        " Fill it in first, for example with SequenceImputer() from cylstm.preprocessing; "
        "steps of a 3-D X that are NaN in every feature are padding "
        "only at the end of a sequence."
        if what == "NaN"
        else f" for {step_values.dtype}."
    )
    raise ValueError(
        f"Input X contains {what}"
        + ("." if what == "NaN" else "")
        + hint
        + f" The first one is in sample {sample} at step {step}."
    )
