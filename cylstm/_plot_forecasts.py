"""ForecastDisplay: plots of forecasts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ._arguments import as_array, shown
from ._panel import ColumnRoles
from ._plot_axes import check_has, make_axes, plain_numbers
from ._plotted_series import ends_of, levels_of, of_backtest, of_forecaster

# Column -> label and style of its line.
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "y": ("actual", {"color": "0.2", "linewidth": 1.2}),
    "naive": ("last value", {"color": "C2", "linewidth": 0.8}),
    "seasonal_naive": ("a season before", {"color": "C0", "linewidth": 0.8}),
    "y_hat": ("forecast", {"color": "C1", "linewidth": 1.5}),
}
HISTORY = {"color": "0.55", "linewidth": 1.2, "label": "history"}

# How much of the forecast's colour is in the widest and the narrowest interval.
SHADES = 0.25, 0.6


class ForecastDisplay:
    """Forecasts of series with their intervals, what was before and what came: one of the Axes
    for each series.

    Parameters
    ----------
    forecasts : dict of str to dict of str to array-like of shape (n_steps,)
        By title of the Axes, the columns of a forecast: "time" (numbers or datetime64) and
        "y_hat"; optionally the ends of intervals "y_hat-lo-80", "y_hat-hi-80", ...; "y" (what
        came), "naive" and "seasonal_naive" (forecasts to compare with); and "cutoff", the time
        that each was made at. Lines are broken between cutoffs, unless each has one step.
    histories : dict of str to tuple (times, values), default=None
        By the same titles, what else is known of the series.
    time_zone : str or None, default=None
        Where to show times in; these are UTC then.
    time_label : str or None, default=None
        Label of the axis of time.

    Attributes
    ----------
    axes_ : array of matplotlib Axes
    lines_ : list of dict of str to matplotlib Line2D
        For each Axes its lines, by column; that of the history is "history".
    intervals_ : list of dict of float to matplotlib Collection
        For each Axes its shaded intervals, by level in percent.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMForecaster
    >>> from cylstm.plotting import ForecastDisplay
    >>> y = np.sin(np.arange(120) / 2)
    >>> model = LSTMForecaster(horizon=6, level=80, max_iter=2).fit(y[:-6])
    >>> display = ForecastDisplay.from_forecaster(model, actual=y[-6:])
    """

    def __init__(
        self,
        *,
        forecasts: Mapping[str, Mapping[str, npt.ArrayLike]],
        histories: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]] | None = None,
        time_zone: str | None = None,
        time_label: str | None = None,
    ) -> None:
        self.forecasts = forecasts
        self.histories = histories
        self.time_zone = time_zone
        self.time_label = time_label

    @classmethod
    def from_forecaster(
        cls,
        forecaster: Any,
        y: Any = None,
        *,
        future: Any = None,
        horizon: int | None = None,
        level: Sequence[float] | float | None = None,
        actual: Any = None,
        n_history: int | None = None,
        ids: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what a forecaster says of the steps after the end of series.

        Parameters
        ----------
        forecaster : fitted LSTMForecaster
        y, future, horizon, level
            As its `predict` takes them.
        actual : series in the form of those forecast, default=None
            What came after. With times these tell which steps they are, else the first value
            is that of the first step forecast. Columns that are not forecast may be left out.
        n_history : int, default=None
            Number of steps before the forecast to draw. If None, as many as the forecaster
            reads. (Of the series that it was fitted on it keeps only a few more.)
        ids : id or sequence of ids, default=None
            The series to draw; in a list they are "series 0", "series 1", ... If None, the
            first ones, as many as fit into nine Axes.
        ax : matplotlib Axes or sequence of these, default=None
            Where to draw: one for each target of each series. If None, in a new figure.
        **kwargs
            Passed to matplotlib's plot for the forecasts.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        ValueError
            If there is no series of one of the ids, actual has no value of the steps forecast,
            or `predict` refuses y or future.
        """
        check_has(forecaster, "backtest", cls.__name__)
        plotted = of_forecaster(forecaster, y, future, horizon, level, actual, n_history, ids)
        return cls(**vars(plotted)).plot(ax=ax, **kwargs)

    @classmethod
    def from_backtest(
        cls,
        frame: Any,
        *,
        ids: Any = None,
        cutoff: Any = None,
        history: Any = None,
        n_history: int | None = None,
        level: Sequence[float] | float | None = None,
        baselines: bool = True,
        id_column: Hashable = "unique_id",
        time_column: Hashable = "ds",
        target_column: Hashable = "y",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the forecasts of a backtest beside what came.

        Parameters
        ----------
        frame : data frame
            As `LSTMForecaster.backtest` returns it.
        ids : id or sequence of ids, default=None
            The series to draw. If None, the first ones, as many as fit into nine Axes.
        cutoff : time, default=None
            Draw only the forecasts made at this time. If None, those made last, and as many
            earlier ones as do not overlap.
        history : series in the form that `backtest` took, default=None
            What was before the forecasts. Only of a long data frame may it have columns that
            are not forecast.
        n_history : int, default=None
            Number of steps of it to draw. If None, twice as many as are forecast.
        level : sequence of float, default=None
            Levels of the intervals to draw, in percent: all if None, none if ().
        baselines : bool, default=True
            Whether to draw the naive forecasts too, by thin lines.
        id_column, time_column, target_column : column name, default="unique_id", "ds", "y"
            The columns of ids and times in the frame and the history, and that of the values
            in the history.
        ax : matplotlib Axes or sequence of these, default=None
            Where to draw: one for each target of each series. If None, in a new figure.
        **kwargs
            Passed to matplotlib's plot for the forecasts.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        ValueError
            If the frame lacks a column, or there is no series of one of the ids, no forecast
            of the cutoff or no interval of a level.
        """
        roles = ColumnRoles(
            id_column=id_column, time_column=time_column, target_column=target_column
        )
        plotted = of_backtest(frame, ids, cutoff, history, n_history, level, baselines, roles)
        return cls(**vars(plotted)).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of these, default=None
            Where to draw: one for each of the forecasts. If None, in a new figure.
        **kwargs
            Passed to matplotlib's plot for the forecasts.

        Returns
        -------
        display : ForecastDisplay
        """
        forecasts, histories = self._check()
        n = len(forecasts)
        # Few are one below the other, since series are wide.
        n_columns = 1 if n <= 3 else 2 if n <= 4 else 3
        self.axes_ = make_axes(n, ax, "ax", n_columns, sharex=False)
        self.figure_ = self.axes_[0].figure
        self.lines_, self.intervals_ = [], []
        handles: dict[str, Any] = {}
        for one, (title, columns) in zip(self.axes_, forecasts.items(), strict=True):
            lines, intervals = self._draw(one, columns, histories.get(title), kwargs)
            self.lines_.append(lines)
            self.intervals_.append(intervals)
            one.set_title(title)
            if self.time_label is not None:
                one.set_xlabel(self.time_label)
            for handle in [*lines.values(), *intervals.values()]:
                handles.setdefault(handle.get_label(), handle)
        entries = [*handles.values()]
        if ax is None and n > 1:  # beside the small ones, which it would cover
            self.figure_.legend(
                handles=entries, loc="outside lower center", ncols=len(entries)
            )
        else:
            self.axes_[0].legend(handles=entries, loc="upper left", fontsize="small")
        return self

    def _check(self):
        """Forecasts and histories as arrays."""
        if not isinstance(self.forecasts, Mapping) or not self.forecasts:
            raise ValueError(
                f"forecasts={shown(self.forecasts)} must be a dict of dicts of columns, not "
                "empty."
            )
        forecasts = {
            title: _check_columns(columns, f"forecasts[{title!r}]")
            for title, columns in self.forecasts.items()
        }
        histories = {}
        for title, (times, values) in (self.histories or {}).items():
            if title not in forecasts:
                raise ValueError(
                    f"histories has {shown(title)}, but forecasts only {shown([*forecasts])}."
                )
            if len(times):
                columns = {"time": times, "y_hat": values}
                checked = _check_columns(columns, f"histories[{title!r}]")
                histories[title] = checked["time"], checked["y_hat"]
        return forecasts, histories

    def _draw(self, ax, columns, history, kwargs):
        """(lines by column, intervals by level) of one series."""
        times, columns, cutoffs = _broken_at_cutoffs(columns)
        _show_times(ax, times, self.time_zone)
        lines, intervals = {}, {}
        if history is not None:
            (lines["history"],) = ax.plot(*history, **HISTORY)
        single = {"marker": "o", "markersize": 4} if len(times) == 1 else {}
        for name, (label, style) in LINES.items():
            if name in columns:
                own = kwargs if name == "y_hat" else {}
                options = {"label": label, **style, **single, **own}
                (lines[name],) = ax.plot(times, columns[name], **options)
        color = lines["y_hat"].get_color()
        levels = sorted(levels_of(columns).items(), key=lambda item: -item[1])
        for shade, (name, level) in zip(
            np.linspace(*SHADES, len(levels)), levels, strict=True
        ):
            style = {"color": _lighter(color, shade), "label": f"{name}%", "zorder": 1}
            ends = [columns[end] for end in ends_of(name)]
            if single:
                intervals[level] = ax.vlines(times, *ends, linewidth=6, **style)
            else:
                intervals[level] = ax.fill_between(times, *ends, linewidth=0, **style)
        for time in cutoffs:
            ax.axvline(time, color="0.8", linewidth=0.8, linestyle=":", zorder=0)
        return lines, intervals


def _check_columns(columns, name):
    """The columns of a forecast as arrays of one length."""
    if not isinstance(columns, Mapping):
        raise ValueError(f"{name}={shown(columns)} must be a dict of columns.")
    ends = [end for level in levels_of(columns) for end in ends_of(level)]
    needed = dict.fromkeys(["time", "y_hat", *ends])
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(
            f"{name} has no column {shown(missing[0])}. It has {shown([*columns])}."
        )
    out = {}
    for column in [*needed, *({"cutoff", *LINES} & {*columns} - {*needed})]:
        of = f"column {shown(column)} of {name}"
        values = as_array(columns[column], of)
        if column not in ("time", "cutoff") or values.dtype.kind != "M":
            values = plain_numbers(values, of, "(n_steps,)")
        out[column] = values
        if values.shape != out["time"].shape:
            raise ValueError(
                f"{of} has the shape {values.shape}, but 'time' has {out['time'].shape}."
            )
    return out


def _broken_at_cutoffs(columns):
    """(times, columns, cutoffs) with NaN between forecasts of several steps each; the cutoffs
    of these."""
    times = columns["time"]
    cutoffs = columns.get("cutoff")
    columns = {name: x for name, x in columns.items() if name not in ("time", "cutoff")}
    if cutoffs is None:
        return times, columns, []
    breaks = np.flatnonzero(cutoffs[1:] != cutoffs[:-1]) + 1
    if len(breaks) == len(times) - 1:
        return times, columns, []
    columns = {name: np.insert(x.astype(float), breaks, np.nan) for name, x in columns.items()}
    return np.insert(times, breaks, times[breaks]), columns, np.unique(cutoffs)


def _show_times(ax, times, zone):
    """Prepare the axis of time for dates or integers."""
    if times.dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(tz=zone)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)


def _lighter(color, share):
    """A colour mixed with white, of which it is this share."""
    from matplotlib.colors import to_rgb

    return tuple(share * np.array(to_rgb(color)) + 1 - share)
