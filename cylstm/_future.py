"""The columns that are known ahead: of the steps after the end of each series."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arguments import check_collection, shown
from ._dates import shown_time
from ._forms import ArrayForm, ListForm, LongForm, TableForm
from ._panel import (
    ColumnRoles,
    Panel,
    frame_of,
    is_list_of_series,
    kind_of_times,
    numbers_of_array,
    read_columns,
)


def read_future(future: Any, panel: Panel, roles: ColumnRoles, horizon: int) -> np.ndarray:
    """Read the columns that are known ahead, of the steps after each series.

    Parameters
    ----------
    future : array, data frame, or list of these; None if no columns are known
        For a long frame with ids: a frame with its columns of ids, times and known values.
        Else for each series a frame with the known columns, or an array (n_steps, n_known) of
        them in the order of `known`. Rows with times are looked up, whatever their order, and
        there may be more; without them they are the `horizon` ones after the series. Of one
        known column it may be a Series.
    panel : Panel
    roles : ColumnRoles
        Those of the panel.
    horizon : int

    Returns
    -------
    known : float64 array of shape (n_series, horizon, n_known)

    Raises
    ------
    ValueError
        If future is not what the form of the series asks for, or a row or value is missing.
    """
    n_known = len(roles.known)
    if n_known == 0:
        if future is not None:
            raise ValueError("future was given, but known=() names no columns to be in it.")
        return np.empty((len(panel), horizon, 0))
    if future is None:
        raise ValueError(
            f"future is missing: a forecast of {horizon} steps needs as many rows "
            f"{'of each series ' * (len(panel) > 1)}with the columns "
            f"known={shown(roles.known)}."
        )
    times = panel.future_times(horizon)
    form = panel.form
    if isinstance(form, LongForm) and form.has_ids:
        values, there = _future_of_long(future, panel, roles, times)
    elif isinstance(form, ListForm):
        is_list = is_list_of_series(future)
        if not is_list or len(future) != len(panel):
            what = (
                f"a list of {len(future)}" if is_list else f"of type {type(future).__name__}"
            )
            raise ValueError(
                f"future is {what}, but y is a list of {len(panel)} series; expected a list "
                "with an array or data frame for each."
            )
        read = [
            _future_of_one(x, one, roles, t, f"future[{k}]")
            for k, (x, one, t) in enumerate(zip(future, form.forms, times, strict=True))
        ]
        values, there = (np.stack(arrays) for arrays in zip(*read, strict=True))
    else:
        values, there = _future_of_one(future, form, roles, times[0], "future")
        values, there = values[None], there[None]
    _check_complete(values, there, panel, roles, times)
    return values


def _check_complete(values, there, panel, roles, times):
    """Refuse missing and infinite values, and missing rows."""
    wrong = ~np.isfinite(values).all(axis=2)
    n_wrong = int(wrong.sum())
    if not n_wrong:
        return
    k, step = np.argwhere(wrong)[0]
    what = "row"
    if there[k, step]:
        column = np.flatnonzero(~np.isfinite(values[k, step]))[0]
        what = f"finite value in column {shown(roles.known[column])}"
    when = panel.show_time(times[k, step])
    raise ValueError(
        f"future has no {what} for {panel.name(k)} at "
        + (when if panel.times is not None else f"step {when}")
        + (f", and {n_wrong - 1} more such rows." if n_wrong > 1 else ".")
    )


def _future_of_long(future, panel, roles, times):
    """(values, whether there is a row for them) of all series."""
    from . import _frames

    frame = frame_of(future, "future")
    if not hasattr(frame, "columns"):
        columns = (roles.id_column, roles.time_column, *roles.known)
        raise ValueError(
            f"future is of type {type(future).__name__}, but y is a long data frame; expected "
            f"one with the columns {shown(columns)}."
        )
    _frames.check_columns([roles.id_column, roles.time_column], frame, "future")
    numbers, ids, _ = _frames.number_ids(frame.get_column(roles.id_column), "ids of future")
    number_of = {an_id: k for k, an_id in enumerate(panel.ids)}
    if number_of.keys().isdisjoint(ids):
        raise ValueError(
            f"future has no row of any series: its ids are {shown(ids)}, those of the series "
            f"{shown(panel.ids)}."
        )
    codes = np.array([number_of.get(an_id, -1) for an_id in ids])[numbers]
    needed = np.array([number_of[an_id] for an_id in panel.ids])
    return _look_up(frame, roles, panel.form, codes, needed, times, "future", panel.name)


def _future_of_one(future, form, roles, times, name):
    """(values, whether there is a row for them) of one series."""
    check_collection(future, name, "the known columns of the steps to forecast")
    frame = None if isinstance(form, ArrayForm) else frame_of(future, name)
    if frame is not None and not hasattr(frame, "columns") and len(roles.known) == 1:
        frame = _as_known(frame, roles.known[0], name)
    if hasattr(frame, "columns"):
        from . import _frames

        _frames.check_columns(roles.known, frame, name)
        if form.time_type is not None and not _is_numbered(frame, form, len(times)):
            codes = np.zeros(len(frame), dtype=np.int64)
            values, there = _look_up(frame, roles, form, codes, codes[:1], times[None], name)
            return values[0], there[0]
        values = read_columns(frame, {"known": [*roles.known]}, slice(None), name)["known"]
    else:
        values = numbers_of_array(future, name, are_targets=False)
        values = values[:, None] if values.ndim == 1 else values
    if values.shape != (len(times), len(roles.known)):
        raise ValueError(
            f"{name} has the shape {values.shape}; expected {len(times)} rows, those after "
            f"the end of the series, of the columns known={shown(roles.known)}."
        )
    return values, np.ones(len(times), dtype=bool)


def _as_known(series, column, name):
    """A series as a frame of the one known column."""
    if series.name not in (None, "", column):
        raise ValueError(
            f"{name} is a series named {shown(series.name)}, but known={shown((column,))}."
        )
    return series.alias(column).to_frame()


def _is_numbered(frame, form, horizon):
    """Whether the rows of a frame have no labels but their numbers from 0 on, and are as many
    as are needed: then they are those that follow the series, which had numbers too."""
    from . import _frames

    if not isinstance(form, TableForm) or form.time_type.kind != "integers":
        return False
    times, _ = _frames.times_of_index(frame, "future")
    return times is not None and np.array_equal(times, np.arange(horizon))


def _look_up(frame, roles, form, codes, needed, times, name, series_name=None):
    """The known columns of a frame at times of series.

    Parameters
    ----------
    frame : narwhals.DataFrame
    roles : ColumnRoles
    form : Form
        That of the series.
    codes : int array of shape (n_rows,)
        The number of each row's series.
    needed : int array of shape (n_series,)
        The numbers of the series.
    times : array of shape (n_series, horizon)
    name : str
    series_name : callable(k) -> str, or None if there is one
        For messages.

    Returns
    -------
    values : float64 array of shape (n_series, horizon, n_known)
        NaN where there is no row.
    there : bool array of shape (n_series, horizon)
    """
    from . import _frames

    if isinstance(form, LongForm):
        _frames.check_columns([roles.time_column, *roles.known], frame, name)
        column = frame.get_column(roles.time_column)
        of = f"column {shown(roles.time_column)} of {name}"
        given, time_type = _frames.read_times(column, of)
    else:
        given, time_type = _frames.times_of_index(frame, name)
    if not _comparable(time_type, form.time_type):
        raise ValueError(
            f"{name} has {kind_of_times(time_type)}, but the series have "
            f"{kind_of_times(form.time_type)}."
        )
    _, places = np.unique(np.concatenate([given, times.reshape(-1)]), return_inverse=True)
    n_times = int(places.max()) + 1
    keys = codes * n_times + places[: len(given)]
    keys_needed = needed[:, None] * n_times + places[len(given) :].reshape(times.shape)
    order = np.argsort(keys)
    keys = keys[order]
    first, end = (np.searchsorted(keys, keys_needed, side) for side in ("left", "right"))
    if (end - first > 1).any():
        k, step = np.argwhere(end - first > 1)[0]
        when = shown_time(times[k, step], form.time_type.zone)
        of = "" if series_name is None else f"{series_name(k)} at "
        raise ValueError(f"{name} has {end[k, step] - first[k, step]} rows for {of}{when}.")
    there = end > first
    values = np.full((*times.shape, len(roles.known)), np.nan)
    known = read_columns(frame, {"known": [*roles.known]}, slice(None), name)["known"]
    values[there] = known[order[first[there]]]
    return values, there


def _comparable(time_type, other):
    """Whether times of both types can be compared."""
    if time_type is None or time_type.kind != other.kind:
        return False
    return (time_type.zone is None) == (other.zone is None)
