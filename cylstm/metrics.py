"""Errors of forecasts and of prediction intervals, of one series or a panel."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._arguments import (
    as_array,
    as_numbers,
    check_64_bits,
    check_collection,
    shown,
    warn_caller,
)

__all__ = [
    "coverage",
    "interval_score",
    "mase",
    "nd",
    "pinball_loss",
    "rmsse",
    "smape",
]

FORMS = "a series (n_steps,), an array (n_series, n_steps) or a list of 1-D arrays"

TRANSPOSE = " Of several targets, (n_steps, n_targets), pass the transpose."


def mase(
    y_true: Any, y_pred: Any, y_train: Any, season: int = 1, *, average: bool = True
) -> float | np.ndarray:
    """Mean absolute scaled error (Hyndman & Koehler 2006).

    For a series with the training values x[0], ..., x[n - 1] it is

        mean(|y_true - y_pred|) / mean(|x[t] - x[t - season]| for t = season, ..., n - 1)

    so that 1 is the error within the training values of the seasonal naive forecast, which
    repeats the value of a season before.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    y_pred : in the form of `y_true`
        The forecasts.
    y_train : array-like of shape (n_train,) or (n_series, n_train), or list of 1-D arrays
        The values of each series that the forecasts were made from. Differences with NaN are
        left out.
    season : int, default=1
        Steps of one season.
    average : bool, default=True
        Whether to return the mean over the series.

    Returns
    -------
    error : float, or array of shape (n_series,) if `average` is False
        NaN for a series without a scale, since its training values do not change from one
        season to the next, or of which no value was observed. The mean leaves such series
        out, with a warning; it is NaN if there are no others.

    Raises
    ------
    ValueError
        If the series differ in number or in length, `y_train` has a series of no more than
        `season` steps, or a forecast is NaN where a value was observed.

    References
    ----------
    Hyndman & Koehler (2006). Another look at measures of forecast accuracy. International
    Journal of Forecasting 22, 679-688.

    Examples
    --------
    >>> from cylstm.metrics import mase
    >>> mase([5, 7], [6, 6], y_train=[1, 3, 2, 5])  # 1 / ((2 + 1 + 3) / 3)
    0.5
    """
    y_true, y_pred = _read_point_forecasts(y_true, y_pred)
    scales = _mean_changes(y_train, season, y_true.n_series, power=1)
    errors = y_true.means(np.abs(y_true.values - y_pred))
    return _mean(_ratios(errors, scales), average, OF_SCALED)


def rmsse(
    y_true: Any, y_pred: Any, y_train: Any, season: int = 1, *, average: bool = True
) -> float | np.ndarray:
    """Root mean squared scaled error (Hyndman & Koehler 2006), the measure of the M5
    competition (Makridakis et al. 2022).

    For a series with the training values x[0], ..., x[n - 1] it is

        sqrt(mean((y_true - y_pred)^2) / mean((x[t] - x[t - season])^2 for t >= season))

    The M5 competition took a season of 1 and cut leading zeros off the training values.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    y_pred : in the form of `y_true`
        The forecasts.
    y_train : array-like of shape (n_train,) or (n_series, n_train), or list of 1-D arrays
        The values of each series that the forecasts were made from. Differences with NaN are
        left out.
    season : int, default=1
        Steps of one season.
    average : bool, default=True
        Whether to return the mean over the series.

    Returns
    -------
    error : float, or array of shape (n_series,) if `average` is False
        NaN for a series without a scale, since its training values do not change from one
        season to the next, or of which no value was observed. The mean leaves such series
        out, with a warning; it is NaN if there are no others.

    Raises
    ------
    ValueError
        If the series differ in number or in length, `y_train` has a series of no more than
        `season` steps, or a forecast is NaN where a value was observed.

    References
    ----------
    Hyndman & Koehler (2006). Another look at measures of forecast accuracy. International
    Journal of Forecasting 22, 679-688.

    Makridakis, Spiliotis & Assimakopoulos (2022). M5 accuracy competition: Results, findings,
    and conclusions. International Journal of Forecasting 38, 1346-1364.

    Examples
    --------
    >>> from cylstm.metrics import rmsse
    >>> rmsse([5, 7], [6, 6], y_train=[1, 3, 1, 3])  # sqrt(1 / 4)
    0.5
    """
    y_true, y_pred = _read_point_forecasts(y_true, y_pred)
    scales = _mean_changes(y_train, season, y_true.n_series, power=2)
    errors = y_true.means((y_true.values - y_pred) ** 2)
    return _mean(np.sqrt(_ratios(errors, scales)), average, OF_SCALED)


def smape(y_true: Any, y_pred: Any, *, average: bool = True) -> float | np.ndarray:
    """Symmetric mean absolute percentage error, as in the M4 competition (Makridakis et al.
    2020):

        mean(200 |y_true - y_pred| / (|y_true| + |y_pred|))

    in percent, from 0 to 200. A step at which both are 0 counts as 0.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    y_pred : in the form of `y_true`
        The forecasts.
    average : bool, default=True
        Whether to return the mean over the series.

    Returns
    -------
    error : float, or array of shape (n_series,) if `average` is False
        NaN for a series of which no value was observed. The mean leaves such series out, with
        a warning; it is NaN if there are no others.

    Raises
    ------
    ValueError
        If the series differ in number or in length, or a forecast is NaN where a value was
        observed.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020). The M4 competition: 100,000 time series and
    61 forecasting methods. International Journal of Forecasting 36, 54-74.

    Examples
    --------
    >>> from cylstm.metrics import smape
    >>> smape([3, 0], [1, 0])  # (200 * 2 / 4 + 0) / 2
    50.0
    """
    y_true, y_pred = _read_point_forecasts(y_true, y_pred)
    errors = np.abs(y_true.values - y_pred)
    sizes = np.abs(y_true.values) + np.abs(y_pred)
    sizes[sizes == 0] = 1  # as are the errors
    return _mean(y_true.means(200 * errors / sizes), average, OF_OBSERVED)


def nd(y_true: Any, y_pred: Any, *, average: bool = True) -> float | np.ndarray:
    """Normalized deviation (Salinas et al. 2020):

        sum(|y_true - y_pred|) / sum(|y_true|)

    where both sums are over all steps of all series: large series count more than small ones.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    y_pred : in the form of `y_true`
        The forecasts.
    average : bool, default=True
        Whether to return the ratio of the sums over all series, else one ratio for each.

    Returns
    -------
    error : float, or array of shape (n_series,) if `average` is False
        NaN where `y_true` has no values but 0 and NaN; for all series together with a warning.

    Raises
    ------
    ValueError
        If the series differ in number or in length, or a forecast is NaN where a value was
        observed.

    References
    ----------
    Salinas, Flunkert, Gasthaus & Januschowski (2020). DeepAR: Probabilistic forecasting with
    autoregressive recurrent networks. International Journal of Forecasting 36, 1181-1191.

    Examples
    --------
    >>> from cylstm.metrics import nd
    >>> nd([[2, 4], [10, 4]], [[1, 4], [12, 2]])  # (1 + 0 + 2 + 2) / 20
    0.25
    """
    y_true, y_pred = _read_point_forecasts(y_true, y_pred)
    errors = y_true.sums(np.abs(y_true.values - y_pred))
    sizes = y_true.sums(np.abs(y_true.values))
    if not average:
        return _ratios(errors, sizes)
    if not sizes.any():
        warn_caller("y_true has no values but 0 and NaN: there is no normalized deviation.")
        return np.nan
    return float(errors.sum() / sizes.sum())


def pinball_loss(
    y_true: Any, y_pred: Any, quantile: float, *, average: bool = True
) -> float | np.ndarray:
    """Pinball loss of forecasts of a quantile (Koenker & Bassett 1978):

        mean(max(quantile (y_true - y_pred), (quantile - 1) (y_true - y_pred)))

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    y_pred : in the form of `y_true`
        The forecasts of the quantile.
    quantile : float
        Its level, between 0 and 1.
    average : bool, default=True
        Whether to return the mean over the series.

    Returns
    -------
    loss : float, or array of shape (n_series,) if `average` is False
        NaN for a series of which no value was observed. The mean leaves such series out, with
        a warning; it is NaN if there are no others.

    Raises
    ------
    ValueError
        If the series differ in number or in length, a forecast is NaN where a value was
        observed, or `quantile` is not between 0 and 1.

    See Also
    --------
    sklearn.metrics.mean_pinball_loss : The same over all steps of a single series.

    References
    ----------
    Koenker & Bassett (1978). Regression quantiles. Econometrica 46, 33-50.

    Examples
    --------
    >>> from cylstm.metrics import pinball_loss
    >>> pinball_loss([5, 5], [1, 6], quantile=0.75)  # (0.75 * 4 + 0.25 * 1) / 2
    1.625
    """
    if not isinstance(quantile, Real) or not 0 < quantile < 1:
        raise ValueError(f"quantile={shown(quantile)} must be between 0 and 1.")
    y_true, y_pred = _read_point_forecasts(y_true, y_pred)
    short = y_true.values - y_pred
    losses = np.maximum(quantile * short, (quantile - 1) * short)
    return _mean(y_true.means(losses), average, OF_OBSERVED)


def interval_score(
    y_true: Any, lower: Any, upper: Any, level: float, *, average: bool = True
) -> float | np.ndarray:
    """Interval score, or Winkler score (Winkler 1972; Gneiting & Raftery 2007): the width of
    the intervals plus a penalty for each value outside. With a = 1 - level / 100 it is

        mean(upper - lower + 2 / a max(lower - y_true, 0) + 2 / a max(y_true - upper, 0))

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    lower, upper : in the form of `y_true`
        The bounds of the intervals.
    level : float
        Their nominal coverage in percent, such as 80.
    average : bool, default=True
        Whether to return the mean over the series.

    Returns
    -------
    score : float, or array of shape (n_series,) if `average` is False
        The lower, the better. NaN for a series of which no value was observed. The mean
        leaves such series out, with a warning; it is NaN if there are no others.

    Raises
    ------
    ValueError
        If the series differ in number or in length, a bound is NaN where a value was
        observed, a lower bound is above the upper one, or `level` is not a percentage from 1
        to below 100.

    References
    ----------
    Gneiting & Raftery (2007). Strictly proper scoring rules, prediction, and estimation.
    Journal of the American Statistical Association 102, 359-378.

    Winkler (1972). A decision-theoretic approach to interval estimation. Journal of the
    American Statistical Association 67, 187-191.

    Examples
    --------
    >>> from cylstm.metrics import interval_score
    >>> interval_score([5, 9], [4, 4], [8, 8], level=75)  # (4 + 4 + 2 / 0.25 * 1) / 2
    8.0
    """
    if not isinstance(level, Real) or not 1 <= level < 100:
        raise ValueError(
            f"level={shown(level)} must be a percentage from 1 to below 100, such as 80."
        )
    y_true, lower, upper = _read_intervals(y_true, lower, upper)
    outside = np.maximum(lower - y_true.values, 0) + np.maximum(y_true.values - upper, 0)
    scores = upper - lower + 2 / (1 - level / 100) * outside
    return _mean(y_true.means(scores), average, OF_OBSERVED)


def coverage(
    y_true: Any, lower: Any, upper: Any, *, by_step: bool = False
) -> float | np.ndarray:
    """Share of the observed values that lie inside their intervals, bounds included.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,) or (n_series, n_steps), or list of 1-D arrays
        What was observed. NaN, which is a missing value, is left out. Of several targets,
        (n_steps, n_targets), pass the transpose.
    lower, upper : in the form of `y_true`
        The bounds of the intervals.
    by_step : bool, default=False
        Whether to return a share for each step, over the series that have it, instead of one
        over all values.

    Returns
    -------
    share : float, or array of shape (n_steps,) if `by_step`
        From 0 to 1; n_steps is that of the longest series. NaN where no value was observed;
        over all values with a warning.

    Raises
    ------
    ValueError
        If the series differ in number or in length, a bound is NaN where a value was
        observed, or a lower bound is above the upper one.

    Examples
    --------
    >>> from cylstm.metrics import coverage
    >>> y_true, lower, upper = [[1, 2], [3, 9]], [[1, 1], [1, 1]], [[4, 4], [4, 4]]
    >>> coverage(y_true, lower, upper)
    0.75
    >>> coverage(y_true, lower, upper, by_step=True)
    array([1. , 0.5])
    """
    y_true, lower, upper = _read_intervals(y_true, lower, upper)
    inside = (lower <= y_true.values) & (y_true.values <= upper)
    observed = ~np.isnan(y_true.values)
    if by_step:
        return _ratios(np.bincount(y_true.steps, inside), np.bincount(y_true.steps, observed))
    if not observed.any():
        warn_caller(f"{OF_OBSERVED}: there is no coverage.")
        return np.nan
    return float(inside[observed].mean())


# What to say of series that a mean leaves out.
OF_OBSERVED = "y_true has no observed value"
OF_SCALED = f"{OF_OBSERVED}, or y_train does not change from one season to the next"


@dataclass(frozen=True)
class _Panel:
    """The values of one or several series, one after the other.

    Parameters
    ----------
    name : str
        The argument that they come from.
    values : float64 array of shape (n_values,)
    lengths : int64 array of shape (n_series,)
        All at least 1.
    one : bool
        Whether it was given as a single series.
    """

    name: str
    values: np.ndarray
    lengths: np.ndarray
    one: bool

    @property
    def n_series(self):
        return len(self.lengths)

    @property
    def starts(self):
        return np.cumsum(self.lengths) - self.lengths

    @property
    def steps(self):
        """The step of each value in its series."""
        return np.arange(len(self.values)) - np.repeat(self.starts, self.lengths)

    def sums(self, numbers):
        """Sum over each series of numbers that belong to the values, without NaN."""
        return np.add.reduceat(np.where(np.isnan(numbers), 0, numbers), self.starts)

    def means(self, numbers):
        """The same for the mean; NaN where there are no numbers."""
        n_numbers = np.add.reduceat(~np.isnan(numbers), self.starts, dtype=np.int64)
        return _ratios(self.sums(numbers), n_numbers)

    def refuse(self, bad, what):
        """An error that says where the first value is that has been found bad."""
        if bad.any():
            row = np.argmax(bad)
            k = np.searchsorted(self.starts, row, side="right") - 1
            series = self.name if self.one else f"{self.name}[{k}]"
            raise ValueError(f"{series}[{row - self.starts[k]}] is {self.values[row]}{what}")


def _read(x: Any, name: str) -> _Panel:
    """A series, or several: the rows of a 2-D array, or the arrays of a list."""
    check_collection(x, name, FORMS)
    if hasattr(x, "columns"):
        raise ValueError(f"{name} is a data frame; expected {FORMS}.")
    if _is_list_of_series(x, name):
        arrays = [_read_one(series, f"{name}[{k}]") for k, series in enumerate(x)]
        lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
        values, one = np.concatenate(arrays), False
    else:
        array = as_numbers(x, name)
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(f"{name} has shape {array.shape}; expected {FORMS}.")
        lengths = np.full(array.size // array.shape[-1], array.shape[-1])
        values, one = array.ravel(), array.ndim == 1
    return _Panel(name, values.astype(np.float64), lengths, one)


def _is_list_of_series(x, name):
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    is_list = isinstance(x, (list, tuple)) or kind == "O"
    return is_list and len(x) > 0 and as_array(next(iter(x)), f"{name}[0]").ndim > 0


def _read_one(x, name):
    array = as_numbers(x, name)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected a series (n_steps,).")
    return array


def _read_together(y_true, **forecasts):
    """What was observed and forecasts of it, of which there must be one for each value."""
    y_true = _read(y_true, "y_true")
    y_true.refuse(np.isinf(y_true.values), ", but must be finite; NaN is a missing value.")
    panels = [_read(x, name) for name, x in forecasts.items()]
    for panel in panels:
        if panel.n_series != y_true.n_series:
            raise ValueError(
                f"{panel.name} has {panel.n_series} series, but y_true has {y_true.n_series}."
                + TRANSPOSE
            )
        differ = np.flatnonzero(panel.lengths != y_true.lengths)
        if len(differ):
            k = differ[0]
            series = "" if y_true.one else f"[{k}]"
            raise ValueError(
                f"{panel.name}{series} has {panel.lengths[k]} steps, but y_true{series} has "
                f"{y_true.lengths[k]}."
            )
        missing = np.isnan(panel.values) & ~np.isnan(y_true.values)
        panel.refuse(missing, ", but a value was observed there.")
    return y_true, *panels


def _read_point_forecasts(y_true, y_pred):
    y_true, y_pred = _read_together(y_true, y_pred=y_pred)
    y_pred.refuse(np.isinf(y_pred.values), ", but must be finite.")
    return y_true, y_pred.values


def _read_intervals(y_true, lower, upper):
    y_true, lower, upper = _read_together(y_true, lower=lower, upper=upper)
    lower.refuse(lower.values > upper.values, ", above the upper bound.")
    return y_true, lower.values, upper.values


def _mean_changes(y_train, season, n_series, power):
    """Mean of |x[t] - x[t - season]| ** power over each series."""
    check_64_bits({"season": season})
    if not isinstance(season, Integral) or season < 1:
        raise ValueError(f"season={shown(season)} must be an int of at least 1.")
    y_train, season = _read(y_train, "y_train"), int(season)
    y_train.refuse(np.isinf(y_train.values), ", but must be finite; NaN is a missing value.")
    if y_train.n_series != n_series:
        raise ValueError(
            f"y_train has {y_train.n_series} series, but y_true has {n_series}.{TRANSPOSE}"
        )
    short = np.flatnonzero(y_train.lengths <= season)
    if len(short):
        series = "y_train" if y_train.one else f"y_train[{short[0]}]"
        raise ValueError(
            f"{series} has {y_train.lengths[short[0]]} steps, but season={season} needs at "
            f"least {season + 1}."
        )
    changes = np.full(len(y_train.values), np.nan)
    changes[season:] = np.abs(y_train.values[season:] - y_train.values[:-season]) ** power
    changes[y_train.steps < season] = np.nan  # from another series
    return y_train.means(changes)


def _ratios(numerators, denominators):
    """NaN where the denominator is 0 or NaN."""
    out = np.full(len(numerators), np.nan)
    return np.divide(numerators, denominators, out=out, where=denominators > 0)


def _mean(of_series, average, reason):
    """The mean over series of their errors, or the errors themselves."""
    if not average:
        return of_series
    defined = ~np.isnan(of_series)
    if not defined.all():
        warn_caller(
            f"{np.count_nonzero(~defined)} of {len(of_series)} series are left out of the "
            f"mean: {reason}."
        )
    return float(of_series[defined].mean()) if defined.any() else np.nan
