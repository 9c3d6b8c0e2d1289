"""What ForecastDisplay draws: of a fitted forecaster, or of the data frame of a backtest."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from ._arguments import check_64_bits, shown
from ._dates import standard_times, to_utc
from ._forms import ListForm, LongForm
from ._future import read_future
from ._panel import ColumnRoles, Panel, frame_of, kind_of_times, read_panel

# Without ids no more Axes than fit on a screen.
MOST_AXES = 9

NAIVE = ("naive", "seasonal_naive")
LOWER_END = re.compile(r"y_hat-lo-(\d+\.?\d*)")


@dataclass
class PlottedSeries:
    """The arguments of ForecastDisplay."""

    forecasts: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    histories: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    time_zone: str | None = None
    time_label: str | None = None


def levels_of(columns: Iterable[Any]) -> dict[str, float]:
    """As they are written -> levels in percent of the intervals among columns of forecasts."""
    found = (LOWER_END.fullmatch(str(column)) for column in columns)
    return {match[1]: float(match[1]) for match in found if match}


def ends_of(level: str) -> tuple[str, str]:
    """The columns of an interval."""
    return f"y_hat-lo-{level}", f"y_hat-hi-{level}"


def of_forecaster(
    estimator: Any,
    y: Any,
    future: Any,
    horizon: int | None,
    level: Any,
    actual: Any,
    n_history: int | None,
    ids: Any,
) -> PlottedSeries:
    """Forecasts after the end of series; see ForecastDisplay.from_forecaster."""
    horizon = estimator._check_horizon(horizon)
    levels = estimator._chosen_levels(level)
    n_history = estimator.context_ if n_history is None else _check_count(n_history)
    panel = estimator._panel if y is None else estimator._read(y, "y")
    n_targets = panel.targets.shape[1]
    chosen = _choose(ids, panel.ids, n_targets)
    future = read_future(future, panel, estimator._roles, horizon)[chosen]
    came = None
    if actual is not None:
        came = _read_actual(actual, estimator._roles, panel, chosen, horizon)
    panel = panel.take(chosen)
    forecasts = estimator._forecasts_after(panel, future, levels)
    names = estimator._output_names(levels)
    numbered = panel.times is None
    after = panel.future_times(horizon)
    history = panel.last(n_history)
    plotted = PlottedSeries(
        time_zone=panel.zone, time_label="steps after the last" if numbered else None
    )
    names_of = _distinct(panel.ids)
    for k in range(len(panel)):
        rows = history.series(k)
        if numbered:
            before, steps = np.arange(rows.start - rows.stop, 0) + 1, np.arange(horizon) + 1
        else:
            before, steps = history.times[rows], after[k]
        for j, title in enumerate(_titles(panel, k, names_of[k])):
            plotted.histories[title] = before, history.targets[rows, j]
            columns = {name: forecasts[k, :, j, i] for i, name in enumerate(names)}
            plotted.forecasts[title] = {"time": steps, **columns}
            if came is not None:
                plotted.forecasts[title]["y"] = came[k, :, j]
    return plotted


def _distinct(labels):
    """Texts of labels, of which no two are the same."""
    names = [str(label) for label in labels]
    return names if len({*names}) == len({*labels}) else [repr(label) for label in labels]


def _titles(panel, k, name):
    """What to call the targets of a series; a single array has nothing to be called by."""
    form = panel.form.forms[k] if isinstance(panel.form, ListForm) else panel.form
    several = isinstance(panel.form, ListForm) or getattr(form, "has_ids", False)
    n_targets = panel.targets.shape[1]
    targets = getattr(form, "targets", None)
    if targets is None:
        targets = [f"column {j}" if n_targets > 1 else None for j in range(n_targets)]
    elif several and n_targets == 1:
        targets = [None]
    names = [name] if several else []
    targets = [None] if targets == [None] else _distinct(targets)
    return [", ".join(x for x in [*names, t] if x is not None) for t in targets]


def _choose(ids, known, n_targets):
    """Places of the series to draw."""
    if ids is None:
        return np.arange(min(len(known), max(1, MOST_AXES // n_targets)))
    if isinstance(ids, str) or not hasattr(ids, "__iter__"):
        ids = [ids]
    places = {an_id: k for k, an_id in enumerate(known)}
    ids = list(dict.fromkeys(ids))
    missing = [an_id for an_id in ids if an_id not in places]
    if missing or not ids:
        what = f"there is no series {shown(missing[0])}" if missing else "no series is chosen"
        raise ValueError(f"ids={shown(ids)}: {what}. The series are {shown([*known])}.")
    return np.array([places[an_id] for an_id in ids])


def _check_count(n_history):
    check_64_bits({"n_history": n_history})
    is_count = isinstance(n_history, Integral) and not isinstance(n_history, bool)
    if not is_count or n_history < 0:
        raise ValueError(f"n_history={shown(n_history)} must be an int of at least 0.")
    return int(n_history)


def _read_targets(y, name, roles, n_targets):
    """A panel of what is forecast; columns of other roles may be there or not."""
    bare = ColumnRoles(
        id_column=roles.id_column,
        time_column=roles.time_column,
        target_column=roles.target_column,
    )
    panel = read_panel(y, bare, name)
    if panel.targets.shape[1] != n_targets and roles != bare:
        panel = read_panel(y, roles, name)
    if panel.targets.shape[1] != n_targets:
        raise ValueError(
            f"{name} has {panel.targets.shape[1]} columns, but {n_targets} "
            f"{'is' if n_targets == 1 else 'are'} forecast."
        )
    return panel


def _read_actual(actual, roles, panel, chosen, horizon):
    """(n_chosen, horizon, n_targets) what came after some series of the panel; NaN where that
    is not known."""
    came = _read_targets(actual, "actual", roles, panel.targets.shape[1])
    by_id = isinstance(panel.form, LongForm) and panel.form.has_ids
    if not by_id and len(came) != len(panel):
        raise ValueError(
            f"actual is of {len(came)} series, but {len(panel)} are forecast; expected the "
            "values of each."
        )
    place_of = {an_id: k for k, an_id in enumerate(came.ids)}
    if by_id and not any(panel.ids[k] in place_of for k in chosen):
        raise ValueError(
            f"actual has no series {shown(panel.ids[chosen[0]])}. Its series are "
            f"{shown(came.ids)}."
        )
    out = np.full((len(chosen), horizon, panel.targets.shape[1]), np.nan)
    timed = panel.times is not None and came.times is not None
    kinds = [kind_of_times(one.form.time_type) for one in (came, panel)]
    if timed and kinds[0] != kinds[1]:
        raise ValueError(f"actual has {kinds[0]}, but the series have {kinds[1]}.")
    times = panel.future_times(horizon)
    for row, k in enumerate(chosen):
        place = place_of.get(panel.ids[k]) if by_id else k
        if place is None:
            continue
        values = came.targets[came.series(place)]
        if timed:
            _, here, there = np.intersect1d(
                times[k], came.times[came.series(place)], return_indices=True
            )
            out[row, here] = values[there]
        else:
            values = values[:horizon]
            out[row, : len(values)] = values
    if np.isnan(out).all():
        k = chosen[0]
        raise ValueError(
            f"actual has no value at the times that are forecast, for {panel.name(k)} from "
            f"{panel.show_time(times[k, 0])} to {panel.show_time(times[k, -1])}."
        )
    return out


def of_backtest(
    frame: Any,
    ids: Any,
    cutoff: Any,
    history: Any,
    n_history: int | None,
    level: Any,
    baselines: bool,
    roles: ColumnRoles,
) -> PlottedSeries:
    """Forecasts of a backtest; see ForecastDisplay.from_backtest."""
    table = frame_of(frame, "frame")
    if not hasattr(table, "columns"):
        raise ValueError(
            f"frame is of type {type(frame).__name__}; expected the data frame that backtest "
            "returns."
        )
    from . import _frames

    needed = [roles.id_column, roles.time_column, "cutoff", "y", "y_hat"]
    _frames.check_columns(needed, table, "frame")
    if cutoff is not None:
        table = _at_cutoff(table, cutoff)
    if len(table) == 0:
        raise ValueError("frame has no rows.")
    id_column = table.get_column(roles.id_column)
    codes, known, _ = _frames.number_ids(id_column, f"column {shown(roles.id_column)}")
    times, time_type = _frames.read_times(
        table.get_column(roles.time_column), f"column {shown(roles.time_column)}"
    )
    cutoffs, _ = _frames.read_times(table.get_column("cutoff"), "column 'cutoff'")
    targets = np.zeros(len(times), dtype=np.int64)
    if "target" in table.columns:
        targets = table.get_column("target").to_numpy()
    names = ["y", "y_hat", *_interval_columns(table.columns, level)]
    names += [name for name in NAIVE if baselines and name in table.columns]
    values = {
        name: _frames.numbers(table.get_column(name), f"column {shown(name)}")
        for name in names
    }
    naive = [values[name] for name in NAIVE if name in values]
    if len(naive) == 2 and np.array_equal(naive[0], naive[1], equal_nan=True):
        del values[NAIVE[1]]  # without a season both are the last value
    n_targets = len(np.unique(targets))
    past = None
    if history is not None:
        past = _read_targets(history, "history", roles, n_targets)
    plotted = PlottedSeries(time_zone=time_type.zone)
    names_of = _distinct(known)
    for k in _choose(ids, known, n_targets):
        for j, target in enumerate(np.unique(targets)):
            rows = np.flatnonzero((codes == k) & (targets == target))
            rows = _apart(rows[np.lexsort((times[rows], cutoffs[rows]))], times, cutoffs)
            title = f"{names_of[k]}, column {target}" if n_targets > 1 else names_of[k]
            columns = {name: column[rows] for name, column in values.items()}
            plotted.forecasts[title] = {
                "time": times[rows],
                "cutoff": cutoffs[rows],
                **columns,
            }
            if past is not None:
                one = _history_of(past, known[k], times[rows], time_type)
                length = 2 * len(rows) if n_history is None else _check_count(n_history)
                plotted.histories[title] = _between(past, one, j, times[rows], length)
    return plotted


def _at_cutoff(table, cutoff):
    from . import _frames

    column = table.get_column("cutoff")
    if isinstance(cutoff, str):
        times, time_type = _frames.read_times(column, "column 'cutoff'")
        chosen = times == _time_of(cutoff, time_type)
    else:
        chosen = (column == cutoff).to_numpy()
    if not chosen.any():
        there = [str(x) for x in column.unique().sort().to_list()]
        raise ValueError(
            f"frame has no forecasts with cutoff={shown(cutoff)}; its cutoffs are "
            f"{shown(there)}."
        )
    return table.filter(chosen.tolist())


def _time_of(text, time_type):
    """The time that a string says, as standard times are, in the zone of these."""
    try:
        time = standard_times(np.array([text], "M8"), "cutoff")
    except ValueError as error:
        raise ValueError(f"cutoff={shown(text)} is no time: {error}") from error
    return time if time_type.zone is None else to_utc(time, time_type.zone)


def _interval_columns(columns, level):
    """The columns of the intervals to draw."""
    there = levels_of(columns)
    wanted = [*there.values()] if level is None else np.ravel(level).tolist()
    missing = [q for q in wanted if q not in there.values()]
    if missing:
        raise ValueError(
            f"level={shown(level)}: frame has no intervals of {shown(missing[0])}%, only of "
            f"{shown([*there.values()])}."
        )
    return [end for name, q in there.items() if q in wanted for end in ends_of(name)]


def _apart(rows, times, cutoffs):
    """Rows of one series, by cutoff and time, without those of origins whose forecasts overlap
    with later ones."""
    starts = np.flatnonzero(np.r_[True, np.diff(cutoffs[rows]).astype(np.int64) != 0])
    pieces = np.split(rows, starts[1:])
    kept = pieces[-1:]
    for piece in reversed(pieces[:-1]):
        if times[piece[-1]] < times[kept[0][0]]:
            kept.insert(0, piece)
    return np.concatenate(kept)


def _history_of(past: Panel, an_id: Hashable, times: np.ndarray, time_type: Any) -> int:
    """The place of a series of the frame in the history."""
    alone = len(past) == 1 and not getattr(past.form, "has_ids", False)
    if an_id not in past.ids and not alone:
        raise ValueError(
            f"history has no series {shown(an_id)}. Its series are {shown(past.ids)}."
        )
    k = 0 if alone else past.ids.index(an_id)
    kinds = [kind_of_times(t) for t in (past.form.time_type, time_type)]
    numbered = past.times is None and time_type.kind == "integers"
    if kinds[0] != kinds[1] and not numbered:
        raise ValueError(f"history has {kinds[0]}, but frame has {kinds[1]}.")
    if numbered and times[0] > past.lengths[k]:
        raise ValueError(
            f"history has {past.lengths[k]} steps and no times, but the forecasts begin at "
            f"{times[0]}."
        )
    return k


def _between(past, k, j, times, length):
    """Times and values of a series: so many before those of forecasts, and up to their end."""
    rows = past.series(k)
    at = np.arange(past.lengths[k]) if past.times is None else past.times[rows]
    first = max(int(np.searchsorted(at, times[0])) - length, 0)
    end = int(np.searchsorted(at, times[-1], side="right"))
    return at[first:end], past.targets[rows, j][first:end]
