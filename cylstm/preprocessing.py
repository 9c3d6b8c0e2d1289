"""Scaling, imputing and cutting sequences before training."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils._param_validation import (
    HasMethods,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from ._arguments import (
    as_array,
    check_collection,
    check_numeric,
    shown,
)
from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._docs import fill_docstrings
from ._imputer import SequenceImputer
from ._panel import frame_of
from ._persistence import PersistentMixin
from ._sequences import flatten_steps, form_of, has_gaps, warn_of_gaps_or_padding
from ._windowing import make_windows

__all__ = [
    "SequenceImputer",
    "StepwiseTransformer",
    "from_long",
    "make_windows",
    "unpad_sequences",
]

SEQUENCE_FORMS = "a 3-D array (n_samples, n_timesteps, n_features) or a list of 2-D arrays"

SEQUENCES = """\
X : array of shape (n_samples, n_timesteps, n_features) or list of 2-D arrays or data frames
    Sequences. Of data frames all must have the same columns; if these have names, the
    transformer gets one data frame of all steps (from pandas or polars), whose columns keep
    their types. In a 3-D array, trailing steps that are NaN in every feature are padding
    and remain so; NaN elsewhere is passed to the transformer. With both, or NaN elsewhere
    in fit, a warning says how to tell padding from missing values.
"""


def _transformer_has(method):
    return available_if(
        lambda self: hasattr(getattr(self, "transformer_", self.transformer), method)
    )


@fill_docstrings(X=SEQUENCES)
class StepwiseTransformer(  # type: ignore[call-arg]
    PersistentMixin,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Apply a scikit-learn transformer to every time step.

    The steps of all sequences are stacked as the rows of one matrix, which the transformer
    is fitted to and transforms; the result is then cut into sequences again.

    Parameters
    ----------
    transformer : transformer
        Any scikit-learn transformer of 2-D data: StandardScaler, SimpleImputer, PCA, a
        Pipeline of them, ...

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.

    n_features_in_ : int
        Features of one step.

    feature_names_in_ : array of str
        Their names, if X was a list of data frames with string names.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cylstm.preprocessing import StepwiseTransformer
    >>> X = [np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[4.0, 5.0]])]
    >>> StepwiseTransformer(StandardScaler()).fit_transform(X)[1]
    array([[1.22474487, 0.        ]])
    """

    _parameter_constraints = {"transformer": [HasMethods(["fit", "transform"])]}

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    @with_callbacks
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Self:
        """Fit the transformer to all steps.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples, ...) or list of arrays, default=None
            Passed to the transformer, each target repeated for every step of its sequence.
            Arrays of different lengths hold one target per step.

        Returns
        -------
        self : StepwiseTransformer
        """
        self._validate_params()
        rows, y_rows, lengths, _ = self._flatten(X, y)
        warn_of_gaps_or_padding(X, rows, lengths)
        had_gaps = has_gaps(rows)  # which the transformer may fill in place
        tasks = FitTasks(self, X, y, None, n_epochs=0)
        self.transformer_ = clone(self.transformer).fit(rows, y_rows)
        self._set_features(rows)
        self._had_gaps = had_gaps
        tasks.end_fit()
        return self

    @_transformer_has("partial_fit")
    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Self:
        """Continue fitting the transformer, with all steps of more sequences.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples, ...), default=None

        Returns
        -------
        self : StepwiseTransformer
        """
        self._validate_params()
        rows, y_rows, lengths, _ = self._flatten(X, y)
        had_gaps = hasattr(self, "transformer_") and self._had_gaps
        warn_of_gaps_or_padding(X, rows, lengths, had_gaps)
        had_gaps = had_gaps or has_gaps(rows)
        if hasattr(self, "transformer_"):
            _check_feature_names(self, rows, reset=False)
            self.transformer_ = self.transformer_.partial_fit(rows, y_rows)
        else:
            self.transformer_ = clone(self.transformer).partial_fit(rows, y_rows)
            self._set_features(rows)
        self._had_gaps = had_gaps
        return self

    def transform(self, X: npt.ArrayLike) -> Any:
        """Transform every step.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        X : array or list of arrays, in the form given
        """
        return self._apply("transform", X, warn=True)

    def fit_transform(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Any:
        """Fit the transformer to all steps, and transform them.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples, ...) or list of arrays, default=None

        Returns
        -------
        X : array or list of arrays, in the form given
        """
        return self.fit(X, y)._apply("transform", X, warn=False)

    @_transformer_has("inverse_transform")
    def inverse_transform(self, X: npt.ArrayLike) -> Any:
        """Invert the transformation of every step.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        X : array or list of arrays, in the form given
        """
        return self._apply("inverse_transform", X, warn=False)

    @_transformer_has("get_feature_names_out")
    def get_feature_names_out(self, input_features: npt.ArrayLike | None = None) -> np.ndarray:
        """Names of the features of one transformed step.

        Parameters
        ----------
        input_features : array-like of str, default=None

        Returns
        -------
        names : array of str
        """
        check_is_fitted(self)
        return self.transformer_.get_feature_names_out(input_features)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing: sequences stay arrays. It exists so that a whole Pipeline can be set.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None

        Returns
        -------
        self : StepwiseTransformer
        """
        return self

    def _flatten(self, X, y):
        check_collection(X, "X", SEQUENCE_FORMS)
        if form_of(X) == "columns":
            raise ValueError(
                "StepwiseTransformer expects sequences: a 3-D array (n_samples, "
                "n_timesteps, n_features) or a list of 2-D arrays. Got "
                f"{type(X).__name__} of shape {np.shape(X)}; 2-D data can be passed to the "
                "transformer itself."
            )
        rows, lengths, rebuild = flatten_steps(X, keep_frames=True)
        if y is not None:
            check_collection(y, "y", "one target per sequence")
            if len(y) != len(lengths):
                raise ValueError(f"y has {len(y)} samples, but X has {len(lengths)}.")
            y = _targets_of_steps(y, lengths)
        return rows, y, lengths, rebuild

    def _set_features(self, rows):
        self.n_features_in_ = rows.shape[1]
        _check_feature_names(self, rows, reset=True)

    def _apply(self, method, X, warn):
        check_is_fitted(self)
        rows, _, lengths, rebuild = self._flatten(X, None)
        if warn:
            warn_of_gaps_or_padding(X, rows, lengths, self._had_gaps)
        if method == "transform":
            _check_feature_names(self, rows, reset=False)
        out = getattr(self.transformer_, method)(rows)
        out = out.toarray() if issparse(out) else np.asarray(out)
        if out.ndim != 2 or len(out) != len(rows):
            raise ValueError(
                f"{type(self.transformer_).__name__}.{method} returned an array of shape "
                f"{out.shape} for {len(rows)} steps; expected a row of features for each."
            )
        return rebuild(out)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _targets_of_steps(y, lengths):
    """The targets of sequences of these lengths, one per step."""
    is_list = isinstance(y, (list, tuple)) or getattr(y, "dtype", "") == "object"
    if is_list and len({np.shape(targets)[:1] for targets in y}) > 1:
        for k, (targets, length) in enumerate(zip(y, lengths, strict=True)):
            if np.shape(targets)[:1] != (length,):
                raise ValueError(
                    f"y[{k}] has shape {np.shape(targets)}, but X[{k}] has {length} steps: y "
                    "must have one target per sequence or one per step."
                )
        return np.concatenate(y)
    return np.repeat(np.asarray(y), lengths, axis=0)


def from_long(
    frame: Any,
    id: Hashable = "unique_id",
    time: Hashable = "ds",
    features: Sequence[Hashable] | None = None,
    target: Hashable | None = "y",
) -> tuple[list[Any] | None, list[np.ndarray] | None, list[Any]]:
    """Cut a long data frame into its series.

    Parameters
    ----------
    frame : data frame of pandas, polars or pyarrow
        A row for each step of each series, in any order.
    id, time : str, default="unique_id", "ds"
        The columns that tell which series a row is of, and when: dates or integers.
    features : sequence of str or None, default=None
        The columns of X. If None, all but `id`, `time` and `target`.
    target : str or None, default="y"
        The column of y, if any.

    Returns
    -------
    X : list of data frames of shape (n_steps_k, n_features), or None
        The features of each series in the order of time, in frames of the same library; None
        if there are no features.
    y : list of arrays of shape (n_steps_k,), or None
        The target at the same steps: numbers, NaN where missing, or labels of classes as they
        are; None if `target` is None.
    ids : list
        Those of the series, in the order of their first rows.

    Raises
    ------
    ValueError
        If a column is not there, an id or time is missing, or a series has two rows at one
        time.

    See Also
    --------
    make_windows : Cuts a series into windows.

    Examples
    --------
    >>> import pandas as pd
    >>> from cylstm.preprocessing import from_long
    >>> frame = pd.DataFrame(
    ...     {
    ...         "unique_id": ["b", "a", "b"],
    ...         "ds": pd.to_datetime(["2030-01-02", "2030-01-01", "2030-01-01"]),
    ...         "y": [2.0, 5.0, 1.0],
    ...         "price": [9, 8, 7],
    ...     }
    ... )
    >>> X, y, ids = from_long(frame)
    >>> X[0]
       price
    0      7
    1      9
    >>> y
    [array([1., 2.]), array([5.])]
    >>> ids
    ['b', 'a']
    """
    check_collection(frame, "frame", "a long data frame")
    table = frame_of(frame, "frame")
    if not hasattr(table, "columns"):
        raise TypeError(
            f"frame is of type {type(frame).__name__}; expected a long data frame."
        )
    from . import _frames

    _frames.check_columns([id], table, "frame")
    rows = _frames.read_long(table, id, time, "frame")
    if features is None:
        features = [name for name in table.columns if name not in (id, time, target)]
    elif isinstance(features, str):
        raise ValueError(f"features={features!r} must be a list of columns: [{features!r}].")
    features = [*features]
    twice = [name for name in features if features.count(name) > 1]
    if twice:
        raise ValueError(f"features={shown(features)} has {shown(twice[0])} twice.")
    chosen = [*features] if target is None else [*features, target]
    _frames.check_columns(chosen, table, "frame")
    ends = np.cumsum(rows.lengths)
    X, y = None, None
    if features:
        X = _frames.split(table.select(*features), rows.order, ends)
    if target is not None:
        column = table.get_column(target)
        if column.dtype.is_temporal():
            raise ValueError(
                f"column {shown(target)} of frame holds dates or durations ({column.dtype}), "
                "but a target is expected."
            )
        y = np.split(column.to_numpy()[rows.order], ends[:-1])
    return X, y, rows.ids


def unpad_sequences(X: npt.ArrayLike, lengths: npt.ArrayLike) -> list[np.ndarray]:
    """Cut padding off, whatever its value, where the lengths of the sequences are known.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, n_features)
        Or tokens of shape (n_samples, n_timesteps).
    lengths : array-like of int of shape (n_samples,)
        Number of real steps of each sequence, from its first on.

    Returns
    -------
    sequences : list of arrays
        Views of X, of shape (lengths[k], n_features) or (lengths[k],). Every estimator and
        transformer takes them, and takes all of their steps for real: NaN, at the end too,
        is a missing value.

    Raises
    ------
    ValueError
        If there is not one length per sequence, or one is not an int from 1 to n_timesteps.

    See Also
    --------
    SequenceImputer : Fills missing values.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm.preprocessing import unpad_sequences
    >>> X = np.array([[[1.0], [2.0], [-1.0]], [[3.0], [4.0], [np.nan]]])
    >>> unpad_sequences(X, lengths=[2, 3])
    [array([[1.],
           [2.]]), array([[ 3.],
           [ 4.],
           [nan]])]
    """
    expected = (
        "a 3-D array (n_samples, n_timesteps, n_features), or tokens (n_samples, n_timesteps)"
    )
    check_collection(X, "X", expected)
    check_numeric(X, "X")
    array = as_array(X, "X")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"X has shape {array.shape}; expected {expected}.")
    check_collection(lengths, "lengths", "an int per sequence")
    n_steps = as_array(lengths, "lengths")
    if n_steps.shape != array.shape[:1]:
        raise ValueError(
            f"lengths has shape {n_steps.shape}, but X has {len(array)} samples; expected an "
            "int for each."
        )
    if n_steps.dtype.kind not in "iu":
        raise ValueError(f"lengths has dtype {n_steps.dtype}; expected integers.")
    outside = np.flatnonzero((n_steps < 1) | (n_steps > array.shape[1]))
    if len(outside):
        raise ValueError(
            f"lengths[{outside[0]}] is {n_steps[outside[0]]}, but must be from 1 to the "
            f"{array.shape[1]} steps of X."
        )
    return [x[:n] for x, n in zip(array, n_steps, strict=True)]
