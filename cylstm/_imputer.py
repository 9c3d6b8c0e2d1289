"""SequenceImputer: fills gaps from the past of their sequence."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import (
    FLOAT_DTYPES,
    _check_feature_names_in,
    check_is_fitted,
)

from ._arguments import check_64_bits, check_collection
from ._base import rollback_on_error
from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._checks import check_form, check_step_features, check_step_names, read_columns
from ._docs import fill_docstrings
from ._persistence import PersistentMixin
from ._sequences import (
    FORMS,
    check_not_empty,
    check_not_infinite,
    flatten_steps,
    form_of,
    split_columns,
    warn_of_gaps_or_padding,
)

GAPPY_SEQUENCES = """\
X : array-like or list of arrays
    A 3-D array (n_samples, n_timesteps, n_features), where trailing steps that are NaN
    in every feature are padding; a list, tuple or object array of 2-D arrays or data
    frames (n_timesteps_k, n_features), where every step is real, data frames with the same
    column names; or a 2-D array or data frame (n_samples, n_columns), read as n_columns //
    n_step_features real steps. All other NaN are gaps. It is never written to.
"""

FILLED_SEQUENCES = """\
X : array or list of arrays, in the form given
    float16 and float32 stay what they are, other numbers become float64. Padding
    remains NaN.
"""


@fill_docstrings(X=GAPPY_SEQUENCES, filled=FILLED_SEQUENCES)
class SequenceImputer(  # type: ignore[call-arg]
    PersistentMixin,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Fill gaps (NaN) in sequences, and tell the network where they were.

    A gap is filled from the past of its own sequence or with a constant from training,
    never from a later step and never from another sequence.

    Parameters
    ----------
    strategy : {"forward", "mean", "constant"}, default="forward"
        "forward" repeats the last value seen in the sequence; before the first one it
        takes the training mean of the feature. "mean" takes the training mean
        everywhere, "constant" `fill_value`.

    add_indicator : bool or "auto", default="auto"
        Append for each feature a column that is 1 at gaps and 0 elsewhere. "auto": for
        the features that had gaps in fit; with a 2-D X for every feature, since the width of
        a step, which a later estimator has to be told, must not depend on the data of a fit.

    add_elapsed : bool, default=False
        Append for each feature that has an indicator the steps since its last value
        before this step, the delta of [1]_: 0 at the first step of a sequence; 1 if the
        step before has a value, even if this one has one too; one more than at the step
        before if that is a gap. Until the first value it counts from the first step.
        With add_indicator=False: for the features that had gaps in fit.

    fill_value : float, default=0.0
        For strategy="constant". The others take it instead of the mean of a feature that
        has no value at all in fit; such features are kept.

    n_step_features : int, default=1
        Number of consecutive columns that form one step of a 2-D X.

    Attributes
    ----------
    statistics_ : array of shape (n_features,)
        What fills the gaps of each feature (for "forward": before its first value): the
        training mean or `fill_value`.

    indicator_features_, elapsed_features_ : int arrays
        Indices of the features with an indicator, and with the steps elapsed.

    n_features_in_ : int
        Number of columns of a 2-D X; otherwise the number of features of one step.

    feature_names_in_ : array of str
        Column names, if X was a data frame, or a list of data frames, with string names.

    See Also
    --------
    StepwiseTransformer : With sklearn.impute.SimpleImputer, other fills that do not
        depend on the sequence, such as the median.

    Notes
    -----
    Each step of the output has the features in their order, then the indicators, then the
    steps elapsed, both in the order of the features. A 2-D X becomes the columns of such
    steps, one step after the other: give their number of columns as `n_step_features` to
    the estimator that follows.

    If a feature that had no gap in fit has one later, it is filled, but no column is added.

    A 3-D array cannot tell a gap in every feature at the end of a sequence from padding;
    where it may be either, since there are other gaps, in X or in fit, a warning says so.
    Pass a list of 2-D arrays where sequences may end in such gaps, as with one feature:
    ``list(X)``, or ``unpad_sequences(X, lengths)`` if X has padding as well.

    References
    ----------
    .. [1] Che, Purushotham, Cho, Sontag & Liu (2018). Recurrent neural networks for
       multivariate time series with missing values. Scientific Reports 8, 6085.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm.preprocessing import SequenceImputer
    >>> x = np.array([[np.nan, 1.0], [4.0, 2.0], [np.nan, 3.0], [np.nan, 4.0]])
    >>> imputer = SequenceImputer(add_elapsed=True).fit([x, x[1:2] + 4])
    >>> imputer.transform([x])[0]
    array([[6., 1., 1., 0.],
           [4., 2., 0., 1.],
           [4., 3., 1., 1.],
           [4., 4., 1., 2.]])
    >>> imputer.get_feature_names_out()
    array(['x0', 'x1', 'missingindicator_x0', 'elapsed_x0'], dtype=object)
    """

    _parameter_constraints = {
        "strategy": [StrOptions({"forward", "mean", "constant"})],
        "add_indicator": [StrOptions({"auto"}), "boolean"],
        "add_elapsed": ["boolean"],
        "fill_value": [Interval(Real, None, None, closed="neither")],
        "n_step_features": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        strategy: Literal["forward", "mean", "constant"] = "forward",
        *,
        add_indicator: bool | Literal["auto"] = "auto",
        add_elapsed: bool = False,
        fill_value: float = 0.0,
        n_step_features: int = 1,
    ) -> None:
        self.strategy = strategy
        self.add_indicator = add_indicator
        self.add_elapsed = add_elapsed
        self.fill_value = fill_value
        self.n_step_features = n_step_features

    @rollback_on_error
    @with_callbacks
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Self:
        """Learn the means, and which features have gaps.

        Parameters
        ----------
        %(X)s
        y : ignored

        Returns
        -------
        self : SequenceImputer
        """
        check_64_bits({"n_step_features": self.n_step_features})
        self._validate_params()
        check_collection(X, "X", FORMS)
        form, n_step_features = form_of(X), int(self.n_step_features)
        tasks = FitTasks(self, X, y, None, n_epochs=0)
        rows, lengths, _ = self._read(X, form, n_step_features, reset=True)
        warn_of_gaps_or_padding(X, rows, lengths)
        if form != "columns":
            self.n_features_in_ = rows.shape[1]
        self._form, self._n_step_features = form, n_step_features
        seen = ~np.isnan(rows)
        self._had_gaps = not seen.all()
        self.statistics_ = self._find_fills(rows, seen)
        _cast_fills(self.statistics_, rows.dtype)
        self._carries_forward = self.strategy == "forward"
        automatic = isinstance(self.add_indicator, str)
        every_feature = form == "columns" if automatic else self.add_indicator
        chosen = np.flatnonzero(~seen.all(axis=0) | every_feature)
        self.indicator_features_ = chosen if self.add_indicator else chosen[:0]
        self.elapsed_features_ = chosen if self.add_elapsed else chosen[:0]
        tasks.end_fit()
        return self

    def transform(self, X: npt.ArrayLike) -> Any:
        """Fill the gaps and append the columns that describe them.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        %(filled)s
        """
        return self._transform(X, warn=True)

    def fit_transform(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Any:
        """Learn the means, and which features have gaps, and fill them.

        Parameters
        ----------
        %(X)s
        y : ignored

        Returns
        -------
        %(filled)s
        """
        return self.fit(X)._transform(X, warn=False)

    def get_feature_names_out(self, input_features: npt.ArrayLike | None = None) -> np.ndarray:
        """Names of the features of one step; after a fit to a 2-D X, of all columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features of X. If None, `feature_names_in_`, or else x0, x1, ...

        Returns
        -------
        names : array of str
            Those of the appended columns start with ``missingindicator_`` and ``elapsed_``.
        """
        check_is_fitted(self)
        return self._append_names(_check_feature_names_in(self, input_features))

    def set_output(self, *, transform: str | None = None) -> Self:
        """Return data frames: one for a 2-D X, a list of them for a list of sequences.

        A 3-D array remains an array.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            None leaves the setting as it is.

        Returns
        -------
        self : SequenceImputer
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}  # clone copies it
        return self

    def _transform(self, X, warn):
        check_is_fitted(self)
        form = check_form(self, X, self._form)
        rows, lengths, rebuild = self._read(X, form, self._n_step_features, reset=False)
        check_step_features(self, rows.shape[1], len(self.statistics_))
        if warn:
            warn_of_gaps_or_padding(X, rows, lengths, self._had_gaps)
        filled = rebuild(self._fill(rows, lengths))
        adapter = _get_container_adapter("transform", self)
        if adapter is None or form == "steps":
            return filled
        if form == "columns":
            return adapter.create_container(filled, X, columns=self.get_feature_names_out)
        names = self._append_names(self._step_names())
        sequences = cast("Iterable[Any]", X)
        for k, (sequence, given) in enumerate(zip(filled, sequences, strict=True)):
            filled[k] = adapter.create_container(sequence, given, columns=names)
        return filled

    def _read(self, X, form, n_step_features, reset):
        """The steps of X as rows, their number in each sequence, and what rebuilds X; sets or
        checks the names."""
        if form == "columns":
            X = read_columns(self, X, FLOAT_DTYPES, reset)
            steps = split_columns(X, n_step_features)
            rows = steps.reshape(-1, n_step_features)
            lengths = np.full(len(steps), steps.shape[1])

            def rebuild(rows):
                return rows.reshape(len(steps), -1)
        else:
            if reset or self._form != "columns":  # names of columns are not those of a step
                check_step_names(self, X, form, reset)
            rows, lengths, rebuild = flatten_steps(X, FLOAT_DTYPES)
            check_not_empty(lengths)
        check_not_infinite(rows, lengths)
        return rows, lengths, rebuild

    def _find_fills(self, rows, seen):
        """The fill of each feature, as float64."""
        counts = np.count_nonzero(seen, axis=0)
        with np.errstate(over="ignore"):  # reported by _cast_fills
            means = np.sum(rows, axis=0, dtype=np.float64, where=seen) / np.maximum(counts, 1)
        has_mean = (counts > 0) & (self.strategy != "constant")
        return np.where(has_mean, means, float(self.fill_value))

    def _fill(self, rows, lengths):
        """Rows without gaps, and with the appended columns."""
        seen = ~np.isnan(rows)
        filled = np.where(seen, rows, _cast_fills(self.statistics_, rows.dtype))
        index = np.arange(len(rows))[:, None]
        first = np.repeat(np.cumsum(lengths) - lengths, lengths)[:, None]
        # For each entry the row of the last value up to it. If that is before the first
        # row of the sequence, the sequence has none so far.
        last = np.maximum.accumulate(np.where(seen, index, -1), axis=0)
        if self._carries_forward:
            np.copyto(filled, np.take_along_axis(rows, last, axis=0), where=last >= first)
        before = np.roll(last[:, self.elapsed_features_], 1, axis=0)
        before[0] = 0
        missing = ~seen[:, self.indicator_features_]
        elapsed = index - np.maximum(before, first)
        columns = [filled, missing.astype(rows.dtype), elapsed.astype(rows.dtype)]
        return np.concatenate(columns, axis=1)

    def _step_names(self):
        """Names of the features of one step, whatever form fit was given."""
        if self._form == "columns":
            return np.array([f"x{k}" for k in range(len(self.statistics_))], dtype=object)
        return _check_feature_names_in(self, None)

    def _append_names(self, names):
        """Names of the output for those of the input, step by step."""
        steps = names.reshape(-1, len(self.statistics_)).astype(object)
        missing = "missingindicator_" + steps[:, self.indicator_features_]
        elapsed = "elapsed_" + steps[:, self.elapsed_features_]
        return np.concatenate([steps, missing, elapsed], axis=1).ravel()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags


def _cast_fills(fills, dtype):
    with np.errstate(over="ignore"):  # reported here
        rounded = fills.astype(dtype)
    if not np.isfinite(rounded).all():
        k = np.flatnonzero(~np.isfinite(rounded))[0]
        raise ValueError(
            f"The gaps of feature {k} would be filled with {fills[k]:.3g}, which overflows "
            f"{rounded.dtype}: scale X or fill_value down, or pass X as float64."
        )
    return rounded
