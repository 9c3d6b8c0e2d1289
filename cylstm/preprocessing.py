"""Scaling, filling and cutting of sequences before they are learnt from."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._docs import shared_docs
from ._sequences import flatten_steps, form_of

__all__ = ["StepwiseTransformer", "make_windows"]

_X = """\
X : array of shape (n_samples, n_timesteps, n_features) or list of 2-D arrays
            Sequences. In a 3-D array, trailing steps that are NaN in every feature are
            padding and stay so; NaN elsewhere is handed to the transformer."""


def _transformer_has(method):
    return available_if(
        lambda self: hasattr(getattr(self, "transformer_", self.transformer), method)
    )


@shared_docs(steps=_X)
class StepwiseTransformer(
    CallbackSupportMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Apply a scikit-learn transformer to every time step.

    The steps of all sequences are put one below the other as the rows of one matrix; the
    transformer is fitted to it and transforms it; the sequences are then cut out again.

    Parameters
    ----------
    transformer : transformer
        Any scikit-learn transformer of rows: StandardScaler, SimpleImputer, PCA, a
        Pipeline of such, ...

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.

    n_features_in_ : int
        Features of one step.

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

    def __init__(self, transformer):
        self.transformer = transformer

    @with_callbacks
    def fit(self, X, y=None):
        """Fit the transformer to all steps.

        Parameters
        ----------
        <<steps>>
        y : array-like of shape (n_samples, ...), default=None
            Handed to the transformer, each target repeated for every step of its
            sequence.

        Returns
        -------
        self : StepwiseTransformer
        """
        self._validate_params()
        rows, y_rows, _ = self._flatten(X, y)
        tasks = FitTasks(self, X, y, None, n_epochs=0, fitted_attributes=dict)
        self.transformer_ = clone(self.transformer).fit(rows, y_rows)
        self.n_features_in_ = rows.shape[1]
        tasks.end_fit()
        return self

    @_transformer_has("partial_fit")
    def partial_fit(self, X, y=None):
        """Go on fitting the transformer, with all steps of more sequences.

        Parameters
        ----------
        <<steps>>
        y : array-like of shape (n_samples, ...), default=None

        Returns
        -------
        self : StepwiseTransformer
        """
        self._validate_params()
        rows, y_rows, _ = self._flatten(X, y)
        transformer = getattr(self, "transformer_", None) or clone(self.transformer)
        self.transformer_ = transformer.partial_fit(rows, y_rows)
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, X):
        """Transform every step.

        Parameters
        ----------
        <<steps>>

        Returns
        -------
        X : array or list of arrays, in the form given
        """
        return self._apply("transform", X)

    @_transformer_has("inverse_transform")
    def inverse_transform(self, X):
        """Undo the transformation of every step.

        Parameters
        ----------
        <<steps>>

        Returns
        -------
        X : array or list of arrays, in the form given
        """
        return self._apply("inverse_transform", X)

    @_transformer_has("get_feature_names_out")
    def get_feature_names_out(self, input_features=None):
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

    def set_output(self, *, transform=None):
        """Accepted so that it can be set on a whole Pipeline: sequences stay arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None

        Returns
        -------
        self : StepwiseTransformer
        """
        return self

    def _flatten(self, X, y=None):
        if form_of(X) == "columns":
            raise ValueError(
                "StepwiseTransformer expects sequences: a 3-D array (n_samples, "
                "n_timesteps, n_features) or a list of 2-D arrays. Got "
                f"{type(X).__name__} of shape {np.shape(X)}; a transformer of 2-D data "
                "needs no StepwiseTransformer."
            )
        rows, lengths, rebuild = flatten_steps(X)
        if y is not None:
            if len(y) != len(lengths):
                raise ValueError(f"y has {len(y)} samples, but X has {len(lengths)}.")
            y = np.repeat(np.asarray(y), lengths, axis=0)
        return rows, y, rebuild

    def _apply(self, method, X):
        check_is_fitted(self)
        rows, _, rebuild = self._flatten(X)
        rows = getattr(self.transformer_, method)(rows)
        return rebuild(rows.toarray() if issparse(rows) else np.asarray(rows))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


@validate_params(
    {
        "series": ["array-like"],
        "window": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "targets": [Integral, "array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def make_windows(series, window, horizon=1, stride=1, targets=None):
    """Cut a series into input windows and the values that follow each.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, n_features)
    window : int
        Steps of an input window.
    horizon : int, default=1
        Steps to predict after it.
    stride : int, default=1
        Steps from one window to the next.
    targets : int or sequence of int, default=None
        Features to predict; None is all.

    Returns
    -------
    X : read-only view of shape (n_windows, window, n_features)
    y : array of shape (n_windows, horizon, n_targets), without the axes of length 1
        A read-only view where `targets` is None or an int.

    Raises
    ------
    ValueError
        If the series is shorter than window + horizon, or a target is no feature of it.

    Examples
    --------
    >>> from cylstm.preprocessing import make_windows
    >>> X, y = make_windows([1, 2, 3, 4, 5, 6], window=3, horizon=2)
    >>> X[:, :, 0]
    array([[1, 2, 3],
           [2, 3, 4]])
    >>> y
    array([[4, 5],
           [5, 6]])
    """
    series = np.asarray(series)
    if series.ndim not in (1, 2):
        raise ValueError(
            f"series has shape {series.shape}; expected (n_steps,) or (n_steps, n_features)."
        )
    if series.ndim == 1:
        series = series[:, None]
    n_steps, n_features = series.shape
    if n_steps < window + horizon:
        raise ValueError(
            f"series has {n_steps} steps, fewer than window + horizon = {window} + {horizon}."
        )
    followed = series
    if targets is not None:
        columns = np.atleast_1d(targets)
        if (
            columns.ndim != 1
            or columns.dtype.kind not in "iu"
            or not ((columns >= -n_features) & (columns < n_features)).all()
        ):
            raise ValueError(
                f"targets={targets!r} must be indices of the {n_features} features."
            )
        # An int keeps a view.
        followed = series[:, [*columns]] if np.ndim(targets) else series[:, targets, None]
    X = np.lib.stride_tricks.sliding_window_view(series, window, axis=0)
    y = np.lib.stride_tricks.sliding_window_view(followed[window:], horizon, axis=0)
    X = X[: len(y)][::stride].swapaxes(1, 2)
    y = y[::stride].swapaxes(1, 2)
    y = y.squeeze(axis=tuple(axis for axis in (1, 2) if y.shape[axis] == 1))
    return X, y
