"""Windows of series: what a forecast reads, what is subtracted, and how it is scaled.

Nothing of a window depends on what comes after its origin, but for columns that are known
ahead. Windows are places in the series; what is computed for each of them are some numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.random import sample_without_replacement

from ._dates import calendar_columns
from ._panel import Panel, steps_of
from ._sequences import Sequences

# Windows whose steps are in memory side by side while their scales are computed.
WINDOWS_AT_ONCE = 4096

# The scale of a window is at least this share of its standard deviation: a series that repeats
# itself exactly has no seasonal differences. Below the second share of its level a standard
# deviation is rounding, and the window is constant.
LEAST_SCALE, ROUNDING = 0.02, 1e-12

# Up to this share of all windows, some are drawn one by one; else they are the first ones of a
# random order of all.
FEW = 0.01

# The logarithm of scale over level in windows that hardly change.
LEAST_CHANGE = -8.0

# What is followed by numbers beyond so many scales, as windows that happen to be almost
# constant are, is not learnt from by the linear part. It sees values cut off there.
FARTHEST = 30.0

BASELINES = ("zero", "last", "seasonal")
SCALINGS = {
    "differences": "the mean absolute difference of values a season apart (the scale of MASE)",
    "standard": "the standard deviation",
    "mean_abs": "the mean absolute value",
    "none": "1, and nothing is subtracted from the inputs",
}


@dataclass
class WindowLayout:
    """What windows of all series have in common; settled when a forecaster is fitted.

    Parameters
    ----------
    context : int
        Steps (T) that the network reads, fewer at the start of a series.
    horizon : int
        Steps (h) that it forecasts.
    season : int
    baseline : {"zero", "last", "seasonal"}
    scaling : str
        A key of SCALINGS.
    calendar : tuple of str
        Columns of the calendar.
    n_targets : int
    ratios : bool array of shape (n_targets,)
        Which targets are never negative: their changes can be compared with their level.
    gaps : dict of str to bool array
        "targets", "past", "known" -> which of their columns have missing values, and an
        indicator among the inputs.
    offsets, scales : dict of str to array
        "past", "known", "static" -> what standardizes these columns.
    """

    context: int
    horizon: int
    season: int
    baseline: str
    scaling: str
    calendar: tuple[str, ...]
    n_targets: int
    ratios: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    gaps: dict[str, np.ndarray] = field(default_factory=dict)
    offsets: dict[str, np.ndarray] = field(default_factory=dict)
    scales: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def least(self) -> int:
        """Steps that a series needs: one for each part of a season, and one more."""
        return self.season + 1

    @property
    def n_ahead(self) -> int:
        """Steps that the network goes on for after the origin, where it reads what is known
        ahead: those of the horizon, or none. A calendar alone is no reason to: that of the
        horizon follows from that of the context."""
        return self.horizon if len(self.gaps["known"]) else 0

    @property
    def back(self) -> int:
        """How many steps before a step of the horizon the network reads a value: whole
        seasons, from before the origin."""
        return -(-self.n_ahead // self.season) * self.season

    def learn_columns(self, panel: Panel, lengths: np.ndarray) -> None:
        """Gaps, means and deviations of the columns, from the first steps of each series."""
        part = panel.first(lengths)
        rows = part.rows()
        for name in ("targets", "past", "known"):
            self.gaps[name] = np.isnan(getattr(panel, name)[rows]).any(axis=0)
        self.ratios = np.logical_not((panel.targets[rows] < 0).any(axis=0))
        of_rows = {
            "past": panel.past[rows],
            "known": panel.known[rows],
            "static": panel.static,
        }
        if "year" in self.calendar and panel.times is not None:
            of_rows["year"], _ = calendar_columns(panel.times[rows], ["year"], panel.zone)
        for name, columns in of_rows.items():
            seen = ~np.isnan(columns)
            count = np.maximum(seen.sum(axis=0), 1)
            mean = np.where(seen, columns, 0).sum(axis=0) / count
            deviation = np.sqrt((np.where(seen, columns - mean, 0) ** 2).sum(axis=0) / count)
            self.offsets[name] = mean
            self.scales[name] = np.where(deviation > ROUNDING * np.abs(mean), deviation, 1)

    def standardized(self, name: str, columns: np.ndarray) -> np.ndarray:
        return (columns - self.offsets[name]) / self.scales[name]


@dataclass
class Windows:
    """Some windows of a panel.

    Parameters
    ----------
    series : int array of shape (n,)
    origins : int array of shape (n,)
        Steps of the series before the forecast.
    lengths : int array of shape (n,)
        Steps that the network reads.
    center, scale, change : arrays of shape (n, n_targets)
        What is subtracted from values and what they are divided by (0: the window is
        constant), and the logarithm of the scale over the level.
    baseline : array of shape (n, horizon, n_targets)
    """

    series: np.ndarray
    origins: np.ndarray
    lengths: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    change: np.ndarray
    baseline: np.ndarray

    def __len__(self):
        return len(self.series)

    def take(self, which: Any) -> Windows:
        """Some of them."""
        return Windows(**{name: array[which] for name, array in vars(self).items()})


class SeriesInputs:
    """A panel as windows see it: a row for each step, computed from the steps up to it.

    Rows of no series, or after the steps of one that count (Panel.first), are never read.

    Parameters
    ----------
    layout : WindowLayout
    panel : Panel
    future : array of shape (n_series, n_future, n_known), optional
        What is known of the steps after each series, of the horizon or the first of it.

    Attributes
    ----------
    values : float64 array of shape (n_rows, n_inputs)
        Inputs of the network, targets not yet scaled.
    first : int array of shape (n_series,)
        Steps before the first value of any target.
    """

    def __init__(self, layout, panel, future=None):
        self.layout = layout
        self.panel = panel
        self.lengths = panel.lengths
        self._moved = future is not None  # rows are elsewhere than in the panel
        if self._moved:
            lengths = panel.lengths + future.shape[1]
            self.starts = np.cumsum(lengths) - lengths
            self._ends = self.starts + lengths
            self.n_rows = int(lengths.sum())
        else:
            self.starts = panel.starts
            self._ends = panel.starts + panel.lengths
            self.n_rows = len(panel.targets)
        self.targets = self._laid_out(panel.targets)
        self._static = np.nan_to_num(layout.standardized("static", panel.static))
        self._fill()
        self.values = self._inputs(self._known_columns(future))

    def _steps(self, lengths, offset=0):
        """Rows of steps `offset` to offset + lengths[k] of each series."""
        return steps_of(self.starts + offset, lengths)

    def _laid_out(self, columns):
        """Rows of the panel where this object has them, NaN in the future."""
        if not self._moved:
            return columns
        out = np.full((self.n_rows, columns.shape[1]), np.nan)
        out[self._steps(self.lengths)] = columns[self.panel.rows()]
        return out

    def _known_columns(self, future):
        """(n_rows, n) what is known ahead, standardized: columns of the user's and those of
        the calendar; NaN where missing."""
        layout, panel = self.layout, self.panel
        known = self._laid_out(panel.known)
        ahead = None
        if future is not None:
            ahead = self._steps(np.full(len(panel), future.shape[1]), panel.lengths)
            known[ahead] = future.reshape(len(ahead), known.shape[1])
        known = layout.standardized("known", known)
        if not layout.calendar:
            return known
        if panel.times is None:
            raise ValueError(
                f"calendar={layout.calendar!r} needs dates: give a data frame with a column "
                "of them, or a Series or data frame whose index they are."
            )
        times = panel.times
        if ahead is not None:
            times = np.empty(self.n_rows, panel.times.dtype)
            times[self._steps(self.lengths)] = panel.times[panel.rows()]
            times[ahead] = panel.future_times(future.shape[1]).ravel()
        columns, names = calendar_columns(times, layout.calendar, panel.zone)
        if "year" in names:
            year = [names.index("year")]
            columns[:, year] = layout.standardized("year", columns[:, year])
        return np.hstack([known, columns])

    def _fill(self):
        """Carry values forward where some are missing: the last one, and for the seasonal
        baseline the last one of the same part of the season."""
        season = self.layout.season
        missing = np.isnan(self.panel.targets[self.panel.rows()])
        self.first = np.zeros_like(self.lengths)
        if not missing.any():
            self.filled = self.seasonal = self.targets
            return
        self.first = first_seen(~missing.all(axis=1), self.lengths)
        rows = self._steps(self.lengths)
        # By series, then by part of the season: steps a season apart follow each other.
        series = np.repeat(np.arange(len(self.lengths)), self.lengths)
        part = (rows - self.starts[series]) % season
        order = np.lexsort((rows, part, series))
        bounds = np.flatnonzero(np.r_[True, np.diff((series * season + part)[order]) != 0])
        lengths = np.diff(np.r_[bounds, len(order)])
        order = rows[order]
        self.filled = self.targets.copy()
        self.seasonal = self.targets.copy()
        for j in range(self.targets.shape[1]):
            carried = _carried(self.targets[:, j], self.starts, self.lengths)
            # Before the first value of one target, where others have some.
            self.filled[:, j] = np.where(np.isnan(carried), 0, carried)
            same_part = _carried(self.targets[order, j], bounds, lengths)
            self.seasonal[order, j] = np.where(
                np.isnan(same_part), self.filled[order, j], same_part
            )

    def _inputs(self, known):
        layout = self.layout
        n_targets = layout.n_targets
        past = layout.standardized("past", self._laid_out(self.panel.past))
        self._known = self._carried_columns(known)
        # What the network reads of a group beyond the origin of a window: itself or a number.
        itself, nothing, flag = np.nan, 0.0, 1.0
        groups = [
            *((group, itself) for group in self._earlier()),
            *((group, nothing) for group in self._gaps(self.targets, "targets")),
            (np.zeros((1, n_targets)), itself),  # change of the window
            (self._carried_columns(past), nothing),
            *((group, nothing) for group in self._gaps(past, "past")),
            (self._known, itself),
            *((group, itself) for group in self._gaps(known, "known")),
            (np.zeros((1, int(layout.n_ahead > 0))), flag),
            (np.zeros((1, self._static.shape[1])), itself),
        ]
        widths = [2 * n_targets, *(group.shape[1] for group, _ in groups)]
        self._beyond = np.repeat([nothing, *(beyond for _, beyond in groups)], widths)
        # Filled in without a copy, for it is large.
        values = np.empty((self.n_rows, len(self._beyond)))
        values[:, :n_targets] = self.filled
        self._differences = values[:, n_targets : 2 * n_targets]
        self._write_differences()
        at = 2 * n_targets
        for group, _ in groups:
            values[:, at : at + group.shape[1]] = group
            at += group.shape[1]
        return values

    def _write_differences(self):
        """Values less those a season before; 0 where there are none before."""
        m, out = self.layout.season, self._differences
        out[:m] = 0
        np.subtract(self.filled[m:], self.filled[:-m], out=out[m:])
        out[self._steps(np.minimum(self.first + m, self.lengths))] = 0

    def _earlier(self):
        """Where the network goes on: values so many whole seasons before that, at each step of
        a horizon, they are from before its origin; the first one where there are none."""
        layout = self.layout
        if not layout.n_ahead:
            return []
        lengths = self._ends - self.starts
        rows = self._steps(lengths)
        earlier = np.zeros((self.n_rows, layout.n_targets))
        earlier[rows] = self.filled[
            np.maximum(rows - layout.back, np.repeat(self.starts + self.first, lengths))
        ]
        return [earlier]

    def _gaps(self, columns, name):
        which = np.flatnonzero(self.layout.gaps[name])
        return [np.isnan(columns[:, which]).astype(float)] if len(which) else []

    def _carried_columns(self, columns):
        """Missing values carried forward, and the mean before the first."""
        if not np.isnan(columns).any():
            return columns
        lengths = self._ends - self.starts
        carried = [_carried(c, self.starts, lengths) for c in columns.T]
        return np.nan_to_num(np.column_stack(carried))

    # Windows

    def make_windows(self, series: np.ndarray, origins: np.ndarray) -> Windows:
        """Windows that end before these origins of these series."""
        layout = self.layout
        lengths = np.minimum(origins - self.first[series], layout.context)
        shape = len(series), layout.n_targets
        windows = Windows(
            series,
            origins,
            lengths,
            np.empty(shape),
            np.empty(shape),
            np.empty(shape),
            self.baseline(layout.baseline, series, origins),
        )
        for start in range(0, len(series), WINDOWS_AT_ONCE):
            self._measure(windows, slice(start, start + WINDOWS_AT_ONCE))
        if layout.baseline == "zero":
            windows.baseline[...] = windows.center[:, None]
        return windows

    def baseline(self, name: str, series: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """(n, horizon, n_targets) a simple forecast, one of BASELINES."""
        layout = self.layout
        ends = (self.starts[series] + origins)[:, None]
        steps = np.arange(layout.horizon)
        if name == "seasonal":
            return self.seasonal[ends - layout.season + steps % layout.season]
        if name == "last":
            return np.repeat(self.filled[ends - 1], layout.horizon, axis=1)
        return np.zeros((len(series), layout.horizon, layout.n_targets))

    def _measure(self, windows, part):
        """Fill in center, scale and change of some windows."""
        layout = self.layout
        rows, inside = self._rows(windows, part)
        inside = inside[:, :, None]
        count = windows.lengths[part, None]
        values = np.where(inside, self.filled[rows], 0)
        mean = values.sum(axis=1) / count
        deviation = np.sqrt(
            (np.where(inside, values - mean[:, None], 0) ** 2).sum(axis=1) / count
        )
        level = np.abs(values).sum(axis=1) / count
        constant = deviation <= ROUNDING * level
        if layout.scaling == "none":
            scale, mean, constant = (
                np.ones_like(mean),
                np.zeros_like(mean),
                np.zeros_like(constant),
            )
        elif layout.scaling == "standard":
            scale = deviation
        elif layout.scaling == "mean_abs":
            scale = level
        else:
            defined = inside & (
                rows[:, :, None]
                >= (self.starts + self.first)[windows.series[part], None, None] + layout.season
            )
            differences = np.abs(np.where(defined, self._differences[rows], 0)).sum(axis=1)
            scale = differences / np.maximum(defined.sum(axis=1), 1)
            scale = np.maximum(scale, LEAST_SCALE * deviation)
        if np.any(constant):
            which = constant.any(axis=1)
            usual = self._usual_change(
                windows.series[part][which], windows.origins[part][which]
            )
            scale[which] = np.where(constant[which], usual, scale[which])
        windows.center[part] = mean
        windows.scale[part] = scale
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log(scale / np.maximum(level, scale))
        change[np.isnan(change)] = LEAST_CHANGE
        windows.change[part] = np.where(layout.ratios, np.maximum(change, LEAST_CHANGE), 0)

    def _usual_change(self, series, origins):
        """(n, n_targets) the mean absolute difference over all of a series before an origin:
        the scale of a window that is constant; 0 where the series has always been so."""
        out = np.zeros((len(series), self.layout.n_targets))
        for k in np.unique(series):
            first = self.first[k] + self.layout.season
            rows = slice(self.starts[k] + first, self.starts[k] + self.lengths[k])
            before, n_before = np.zeros((1, out.shape[1])), 0
            if self.panel.changes is not None:
                before, n_before = (of[k : k + 1] for of in self.panel.changes)
            changes = np.concatenate([before, np.abs(self._differences[rows])])
            which = np.flatnonzero(series == k)
            n = origins[which] - first  # 1 at least
            out[which] = np.cumsum(changes, axis=0)[n] / (n_before + n)[:, None]
        return out

    def _rows(self, windows, part):
        """(n, context) rows of some windows, at the right, and which of them are inside."""
        back = np.arange(self.layout.context, 0, -1)
        ends = (self.starts[windows.series[part]] + windows.origins[part])[:, None]
        inside = back <= windows.lengths[part, None]
        return np.where(inside, ends - back, ends - 1), inside

    def sequences(self, windows: Windows) -> Sequences:
        """What the network reads of windows: places in `values`, with shifts and scales. Where
        it goes on over the horizon that too, or as much of it as there is."""
        layout = self.layout
        n_targets, n_static = layout.n_targets, self._static.shape[1]
        shift = np.zeros((len(windows), self.values.shape[1]))
        scale = np.ones_like(shift)
        inverse = _inverse(windows.scale)
        at = 0
        # Values, differences and earlier values.
        for center in (windows.center, 0, windows.center)[: 3 if layout.n_ahead else 2]:
            shift[:, at : at + n_targets] = center
            scale[:, at : at + n_targets] = inverse
            at += n_targets
        at += int(layout.gaps["targets"].sum())
        shift[:, at : at + n_targets] = -windows.change
        if n_static:
            shift[:, -n_static:] = -self._static[windows.series]
        ends = self.starts[windows.series] + windows.origins
        n_ahead = np.minimum(self._ends[windows.series] - ends, layout.n_ahead)
        return Sequences(
            self.values,
            ends - windows.lengths,
            windows.lengths + n_ahead,
            shift=shift,
            scale=scale,
            seams=windows.lengths if layout.n_ahead else None,
            beyond=self._beyond if layout.n_ahead else None,
        )

    def targets_of(self, windows: Windows) -> np.ndarray:
        """(n, horizon, n_targets) what followed, less the baseline, in units of the scale; NaN
        where that is not known or the window is constant."""
        followed = self.followed(windows) - windows.baseline
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = followed / windows.scale[:, None]
        return np.where(windows.scale[:, None] > 0, scaled, np.nan)

    def followed(self, windows: Windows) -> np.ndarray:
        """(n, horizon, n_targets) the values after the origins; NaN where there are none."""
        steps = windows.origins[:, None] + np.arange(self.layout.horizon)
        there = steps < self.lengths[windows.series, None]
        rows = self.starts[windows.series, None] + np.where(there, steps, 0)
        return np.where(there[:, :, None], self.targets[rows], np.nan)

    def linear_inputs(self, windows: Windows, target: int) -> np.ndarray:
        """(n, p) what the linear part sees of windows for one target: its scaled values, and
        what is constant in a window."""
        rows, inside = self._rows(windows, slice(None))
        values = self.filled[rows, target] - windows.center[:, target, None]
        values *= _inverse(windows.scale[:, target, None])
        np.clip(values, -FARTHEST, FARTHEST, out=values)
        constant = windows.change[:, target, None], self._static[windows.series]
        return np.concatenate([np.where(inside, values, 0), *constant], axis=1)

    def known_of_steps(self, windows: Windows, target: int, unit: float) -> np.ndarray:
        """(n, horizon, q) what the linear part sees of each step to be forecast: all that is
        known of it, and the user's columns where the baseline comes from. The user's are there
        a second time in units of the window's scale over `unit`: what they add to the series
        may go with its scale or not."""
        layout, n_own = self.layout, self.panel.known.shape[1]
        steps = np.arange(layout.horizon)
        ends = (self.starts[windows.series] + windows.origins)[:, None]
        there = ends + steps < self._ends[windows.series, None]
        ahead = self._known[np.where(there, ends + steps, 0)]
        ahead = np.where(there[:, :, None], ahead, 0)  # the mean where that is beyond
        before = np.zeros((len(windows), layout.horizon, n_own))
        if layout.baseline == "seasonal":
            before = self._known[ends - layout.season + steps % layout.season, :n_own]
        elif layout.baseline == "last":
            before += self._known[ends - 1, :n_own]
        own = np.concatenate([ahead[:, :, :n_own], before], axis=2)
        own_units = own * (unit * _inverse(windows.scale[:, target, None, None]))
        return np.concatenate([ahead, before, own_units], axis=2)


def first_seen(seen: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(n_series,) steps of each series before the first one that was seen, of a flag for each
    step of series of these lengths; all of them if none was."""
    starts = np.cumsum(lengths) - lengths
    rows = np.append(np.flatnonzero(seen), len(seen))
    return np.minimum(rows[np.searchsorted(rows, starts)] - starts, lengths)


def _inverse(scale):
    """1 / scale, but 0 where that is 0."""
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)


def _carried(column, starts, lengths):
    """A column with missing values replaced by the last one of the same piece, NaN before the
    first."""
    last = np.where(np.isnan(column), -1, np.arange(len(column)))
    out = np.full(len(column), np.nan)
    rows = steps_of(starts, lengths)
    last = np.maximum.accumulate(last)[rows]
    known = last >= np.repeat(starts, lengths)
    out[rows[known]] = column[last[known]]
    return out


class WindowPool:
    """All windows to train on, from which each epoch draws some.

    Parameters
    ----------
    inputs : SeriesInputs
    first, last : int arrays of shape (n_series,)
        The first and last origin of each series; none where the last is before the first.
    stride : int
        Steps from one origin to the next, back from the last.
    """

    def __init__(self, inputs, first, last, stride=1):
        self.inputs = inputs
        self.last = last
        self.stride = stride
        self.counts = np.maximum((last - first) // stride + 1, 0)
        self.ends = np.cumsum(self.counts)

    def __len__(self):
        return int(self.ends[-1])

    def take(self, numbers: np.ndarray) -> Windows:
        """The windows of these numbers."""
        series = np.searchsorted(self.ends, numbers, side="right")
        back = self.ends[series] - 1 - numbers
        return self.inputs.make_windows(series, self.last[series] - back * self.stride)

    def draw(self, n: int, random_state: np.random.RandomState) -> Windows:
        """So many of them in random order, no more than there are."""
        if n > len(self) * FEW:
            return self.take(random_state.permutation(len(self))[:n])
        numbers = sample_without_replacement(
            len(self), n, method="tracking_selection", random_state=random_state
        )
        return self.take(np.asarray(numbers, dtype=np.int64))
