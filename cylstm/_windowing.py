"""Cuts series into windows for the estimators of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import _get_feature_names

from ._arguments import as_array, as_numbers, check_64_bits, check_collection, shown
from ._sequences import library_of

FORMS = (
    "numbers of shape (n_steps,) or (n_steps, n_features), a data frame, or a list of these"
)

SIZE = Interval(Integral, 1, None, closed="left")
COLUMNS = [Integral, str, "array-like", None]
CONSTRAINTS = {
    "window": [SIZE],
    "horizon": [SIZE],
    "stride": [SIZE],
    "targets": COLUMNS,
    "known": COLUMNS,
    "subtract_last": ["boolean"],
    "return_future": ["boolean"],
}


def make_windows(
    series: Any,
    window: int,
    horizon: int = 1,
    stride: int = 1,
    targets: npt.ArrayLike | None = None,
    *,
    known: npt.ArrayLike | None = None,
    subtract_last: bool = False,
    return_future: bool = False,
) -> tuple[Any, ...]:
    """Cut series into input windows, each with the values that follow it.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, n_features), data frame, or list
        A series; or a list or tuple of arrays or data frames, whose windows follow one
        another. A list of lists of one length is one series of shape (n_steps, n_features),
        not, as LSTMForecaster reads it, several. Those too short for a window and what follows
        it contribute none. Windows with NaN are returned like others.
    window : int
        Number of steps of an input window.
    horizon : int, default=1
        Number of steps after it to predict.
    stride : int, default=1
        Number of steps from one window to the next.
    targets : int, str, sequence of int or of str, or None, default=None
        Indices, or in data frames names, of the features to predict. If None, all but those
        in `known`.
    known : int, str, sequence of int or of str, or None, default=None
        Indices or names of features that are known `horizon` steps ahead, as the calendar or
        planned prices are. For each, its value `horizon` steps later is appended to the
        features of a step, so that the last `horizon` steps of a window hold all of what is
        known of the steps to predict.
    subtract_last : bool, default=False
        Whether to subtract from each target, in X and in y, its value at the last step of the
        window: a network that learns differences can follow a level that it has not seen. In
        a window that ends with NaN the target becomes NaN throughout.
    return_future : bool, default=False
        Whether to return the final window of each series too, whose values to predict are
        still to come. With `known`, each series must then have `horizon` more rows at its
        end: with the known values to come, and NaN for the targets.

    Returns
    -------
    X : array of shape (n_windows, window, n_features + n_known), or list of data frames
        Of one series without `subtract_last` a read-only view: the windows share their steps.
        Of data frames whose columns have names, one data frame for each window, in which
        "price" known 24 steps ahead is named "price+24".
    y : array of shape (n_windows,) or (n_windows, horizon * n_targets)
        The latter if there are several steps or targets, all targets of a step together:
        ``y.reshape(-1, horizon, n_targets)`` tells them apart. A read-only view if it can be.
    last : array of the shape of y
        Only with `subtract_last`: what was subtracted, so that ``predictions + last`` are on
        the scale of the series.
    X_future : as X, of one window for each series
        Only with `return_future`.
    last_future : as `last`, of those windows
        Only with both.

    Raises
    ------
    ValueError
        If no series has window + horizon steps; with `return_future`, if one is shorter than
        `window`, or has no `horizon` rows for the values of `known` to come; if series differ
        in their features; if `targets` or `known` are not among these, or have one in common;
        or with `known` if the window is shorter than the horizon.

    Notes
    -----
    With early stopping the last windows are held out if X is a view. Otherwise pass
    ``validation_fraction=TimeSeriesSplit(10)`` to the estimator for the same: windows held
    out at random share their steps with those that are trained on.

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
    >>> X, y, last, X_future, last_future = make_windows(
    ...     [1, 2, 3, 4, 5, 6], window=3, horizon=2, subtract_last=True, return_future=True
    ... )
    >>> y
    array([[1., 2.],
           [1., 2.]])
    >>> X_future[:, :, 0], last_future
    (array([[-2., -1.,  0.]]), array([[6., 6.]]))
    """
    settings = {
        "window": window,
        "horizon": horizon,
        "stride": stride,
        "targets": targets,
        "known": known,
        "subtract_last": subtract_last,
        "return_future": return_future,
    }
    check_64_bits(settings)
    validate_parameter_constraints(CONSTRAINTS, settings, caller_name="make_windows")
    panel = _read_panel(series)
    plan = _make_plan(panel[0], settings)
    _check_lengths(panel, plan)
    windows = [_cut(one, plan) for one in panel if plan.n_windows(one) > 0]
    X, y, last = zip(*windows, strict=True)
    parts = [X, y, last] if subtract_last else [X, y]
    if return_future:
        X_future, last_future = zip(*(_final(one, plan) for one in panel), strict=True)
        parts += [X_future, last_future] if subtract_last else [X_future]
    return tuple(map(_join, parts))


@dataclass(frozen=True)
class _Series:
    """A series as it was read.

    Parameters
    ----------
    label : str
        What errors call it.
    values : array of shape (n_steps, n_features)
    frame : data frame or None
        What the values were read from if its columns have names.
    names : list of str or None
    """

    label: str
    values: np.ndarray
    frame: Any = None
    names: list[str] | None = None


@dataclass(frozen=True)
class _Plan:
    """What make_windows was asked for; targets and known are indices of features."""

    window: int
    horizon: int
    stride: int
    targets: list[int]
    known: list[int]
    subtract_last: bool
    return_future: bool
    names: list[str] | None

    @property
    def n_ahead(self):
        """Rows at the end of each series that hold nothing but known values to come."""
        return self.horizon if self.known and self.return_future else 0

    def n_steps(self, one):
        return max(0, len(one.values) - self.n_ahead)

    def n_windows(self, one):
        """How many windows a stride of 1 gives."""
        return max(0, self.n_steps(one) - self.window - self.horizon + 1)


def _read_panel(series):
    check_collection(series, "series", FORMS)
    is_list = isinstance(series, (list, tuple))
    if not (is_list and any(len(getattr(one, "shape", ())) for one in series)):
        return [_read_series(series, "series")]
    panel = [_read_series(one, f"series[{k}]") for k, one in enumerate(series)]
    first = panel[0]
    for one in panel:
        if one.names != first.names:
            raise ValueError(
                f"{one.label} has {_columns_in_words(one)}, but series[0] has "
                f"{_columns_in_words(first)}: all must have the same, in the same order."
            )
        if one.values.shape[1] != first.values.shape[1]:
            raise ValueError(
                f"{one.label} has {one.values.shape[1]} features, but series[0] has "
                f"{first.values.shape[1]}."
            )
    return panel


def _read_series(series, label):
    check_collection(series, label, FORMS)
    names = None if isinstance(series, (list, tuple)) else _get_feature_names(series)
    if names is not None:
        names = [*map(str, names)]
        _check_distinct(names, f"{label} has")
        columns = [as_numbers(series[name], f"column {name!r} of {label}") for name in names]
        return _Series(label, np.column_stack(columns), series, names)
    values = as_numbers(series, label)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(
            f"{label} has shape {values.shape}; expected numbers of shape (n_steps,) or "
            "(n_steps, n_features)."
        )
    return _Series(label, values)


def _columns_in_words(one):
    return "no column names" if one.names is None else f"the columns {shown(one.names)}"


def _check_distinct(names, where):
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{where} several columns of the names {shown(twice)}.")


def _make_plan(first, settings):
    """The settings for series with the features of the first."""
    names, n_features = first.names, first.values.shape[1]
    sizes = {name: int(settings[name]) for name in ("window", "horizon", "stride")}
    targets, known = settings["targets"], settings["known"]
    known = [] if _is_empty(known) else _select(known, "known", names, n_features)
    if targets is None:
        targets = [k for k in range(n_features) if k not in known]
    else:
        targets = _select(targets, "targets", names, n_features)
    if known:
        _check_known(known, targets, names, sizes["window"], sizes["horizon"])
    if names is not None:
        names = [*names, *(f"{names[k]}+{sizes['horizon']}" for k in known)]
        _check_distinct(names, "X would have")
    return _Plan(
        **sizes,
        targets=targets,
        known=known,
        names=names,
        subtract_last=settings["subtract_last"],
        return_future=settings["return_future"],
    )


def _is_empty(columns):
    is_one = isinstance(columns, (str, Integral))
    return columns is None or (not is_one and len(columns) == 0)


def _select(columns, argument, names, n_features):
    """Indices of the features that an argument chooses by index or by name."""
    array = np.atleast_1d(as_array(columns, argument))
    if names is not None and array.ndim == 1 and all(k in names for k in array.tolist()):
        chosen = [names.index(name) for name in array.tolist()]
    elif array.ndim == 1 and array.dtype.kind in "iu":
        chosen = [k % n_features for k in array.tolist() if -n_features <= k < n_features]
    else:
        chosen = []
    if not len(chosen) == array.size > 0:
        what = f"indices of the {n_features} features"
        if names is not None:
            what = f"{what} or some of their names, {shown(names)}"
        raise ValueError(f"{argument}={shown(columns)} must be {what}.")
    return chosen


def _check_known(known, targets, names, window, horizon):
    """Refuse known features that are to be predicted, or that no window has room for."""
    both = [k if names is None else names[k] for k in known if k in targets]
    if both:
        raise ValueError(
            f"Feature {both[0]!r} is both in known and in targets: what is known ahead need "
            "not be predicted."
        )
    if not targets:
        raise ValueError("All features are in known; none is left to predict.")
    if window < horizon:
        raise ValueError(
            f"window={window} is shorter than horizon={horizon}: the last `horizon` steps of "
            "a window must have room for what is known of the steps to predict."
        )


def _check_lengths(panel, plan):
    """Refuse series that no window fits into, or that lack the known values to come."""
    needed = f"window + horizon = {plan.window} + {plan.horizon}"
    before = f" before the last {plan.n_ahead}" if plan.n_ahead else ""
    longest = max(map(plan.n_steps, panel))
    if not any(map(plan.n_windows, panel)):
        what = f"The longest of {len(panel)} series" if len(panel) > 1 else panel[0].label
        raise ValueError(f"{what} has {longest} steps{before}, fewer than {needed}.")
    if not plan.return_future:
        return
    for one in panel:
        n_steps = plan.n_steps(one)
        if n_steps < plan.window:
            raise ValueError(
                f"{one.label} has {n_steps} steps{before}, fewer than window={plan.window}: "
                "with return_future every series needs a final window."
            )
        observed = ~np.isnan(one.values[n_steps:, plan.targets])
        if observed.any():
            row, column = np.argwhere(observed)[0]
            target = plan.targets[column]
            raise ValueError(
                "With return_future and known a series must end with horizon="
                f"{plan.horizon} rows of known values to come, in which the targets are NaN, "
                f"but in row {n_steps + row} of {one.label} target "
                f"{target if plan.names is None else plan.names[target]!r} is "
                f"{one.values[n_steps + row, target]}."
            )


def _cut(one, plan):
    """The windows of a series that is long enough, what follows them, and their last values
    in its shape."""
    n_steps = plan.n_steps(one)
    chosen = slice(0, plan.n_windows(one), min(plan.stride, n_steps))
    X = _slide(_features(one, plan), plan.window)[chosen]
    followed = one.values[plan.window :, _as_slice(plan.targets)]
    y = _slide(followed, plan.horizon)[chosen]
    last = None
    if plan.subtract_last:
        X, last = _subtract_last(X, plan)
        y = y - last
        last = _flatten(last)
    starts = range(n_steps)[chosen]
    return _in_form_of(one, X, starts, plan), _flatten(y), last


def _final(one, plan):
    """The window of the last steps of a series, and its last values in the shape of y."""
    X, last = _slide(_features(one, plan), plan.window)[-1:], None
    if plan.subtract_last:
        X, last = _subtract_last(X, plan)
        last = _flatten(last)
    return _in_form_of(one, X, [plan.n_steps(one) - plan.window], plan), last


def _features(one, plan):
    """What windows hold: all features, and the known ones of `horizon` steps later."""
    if not plan.known:
        return one.values
    ahead = one.values[plan.horizon :, plan.known]
    return np.concatenate([one.values[: -plan.horizon], ahead], axis=1)


def _slide(values, length):
    """Read-only view of shape (n_steps - length + 1, length, n_features)."""
    return sliding_window_view(values, length, axis=0).swapaxes(1, 2)


def _as_slice(columns):
    """Successive columns as a slice, with which indexing makes a view."""
    first, n = columns[0], len(columns)
    return slice(first, first + n) if columns == [*range(first, first + n)] else columns


def _subtract_last(X, plan):
    """Windows without the values of the targets at their last step, and these, for each of
    the steps to predict."""
    X = np.array(X, dtype=X.dtype if X.dtype.kind == "f" else np.float64)
    last = X[:, -1:, plan.targets]
    X[:, :, plan.targets] -= last
    return X, np.repeat(last, plan.horizon, axis=1)


def _flatten(y):
    """(n_windows, horizon, n_targets) as fit takes it; a view if it can be."""
    y = y.reshape(len(y), -1)
    return y[:, 0] if y.shape[1] == 1 else y


def _in_form_of(one, X, starts, plan):
    """Windows as a list of data frames if the series was one; starts are their first rows."""
    if one.frame is None:
        return X
    make, names = type(one.frame), plan.names
    if library_of(one.frame) != "pandas":
        return [make(x, names, orient="row") for x in X]
    index = one.frame.index
    return [
        make(x, index[start : start + plan.window], names, copy=False)
        for x, start in zip(X, starts, strict=True)
    ]


def _join(parts):
    """What was cut from each of several series as one."""
    if isinstance(parts[0], list):
        return list(chain.from_iterable(parts))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
