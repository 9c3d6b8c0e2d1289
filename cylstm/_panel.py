"""Every accepted form of series to forecast -> one Panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arguments import (
    as_array,
    check_collection,
    check_numeric,
    reading_numbers,
    shown,
    warn_caller,
)
from ._dates import Frequency, find_frequency, shown_time
from ._forms import ArrayForm, Form, ListForm, LongForm, OneSeries, TableForm

if TYPE_CHECKING:
    from ._frames import TimeType

FORMS = (
    "one series (1-D array or Series), a 2-D array or data frame (n_steps, n_columns), a list "
    "of these, or a long data frame with columns of ids and times"
)
ROLES = ("known", "past", "static")

# The squares of so large numbers can still be added up.
LARGEST = 1e150


@dataclass(frozen=True)
class ColumnRoles:
    """What the columns of series are.

    Parameters
    ----------
    known : tuple
        Names, or of arrays indices, of the columns that are known ahead.
    past : tuple
        Of those that are known up to now only.
    static : tuple
        Of those with one value for each series.
    id_column, time_column, target_column : str
        Of long frames. In other forms all columns without a role are targets.
    """

    known: tuple[Any, ...] = ()
    past: tuple[Any, ...] = ()
    static: tuple[Any, ...] = ()
    id_column: Any = "unique_id"
    time_column: Any = "ds"
    target_column: Any = "y"


@dataclass
class Panel:
    """Series, one after the other in arrays.

    Parameters
    ----------
    targets : float64 array of shape (n_rows, n_targets)
        NaN where missing, as in the next two. Series k is `targets[panel.series(k)]`; rows
        that belong to no series are possible.
    known : float64 array of shape (n_rows, n_known)
    past : float64 array of shape (n_rows, n_past)
    static : float64 array of shape (n_series, n_static)
    times : array of shape (n_rows,), or None
        Integers or datetime64, the latter in UTC if they had a time zone.
    frequency : Frequency, or None without times or where no series has two steps
    starts, lengths : int64 arrays of shape (n_series,)
    offsets : int64 array of shape (n_series,)
        Steps of each series that were before these: without times, they count.
    form : Form
        How results are given back.
    ids : list
        Those of a long frame; "series 3", ... of a list; the name of a single series.
    changes : (array of shape (n_series, n_targets), int array of shape (n_series,)), or None
        Of series whose first steps were left out, the sum and the number of the absolute
        seasonal differences that they had.
    """

    targets: np.ndarray
    known: np.ndarray
    past: np.ndarray
    static: np.ndarray
    times: np.ndarray | None
    frequency: Frequency | None
    starts: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray
    form: Form
    ids: list[Any]
    changes: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def zone(self) -> str | None:
        """The time zone of the user's times."""
        return None if self.form.time_type is None else self.form.time_type.zone

    def rows(self) -> np.ndarray | slice:
        """The rows of all series, one after the other; all there are as a slice, which copies
        nothing."""
        in_order = (self.starts == np.cumsum(self.lengths) - self.lengths).all()
        if in_order and self.lengths.sum() == len(self.targets):
            return slice(None)
        return steps_of(self.starts, self.lengths)

    def series(self, k: int) -> slice:
        """The rows of a series."""
        return slice(int(self.starts[k]), int(self.starts[k] + self.lengths[k]))

    def name(self, k: int) -> str:
        """A series, for messages."""
        return _series_name(self.ids[k], self.form)

    def first(self, lengths: np.ndarray) -> Panel:
        """Only the first steps of each series. Nothing is copied."""
        return replace(self, lengths=np.asarray(lengths, dtype=np.int64))

    def last(self, n: int) -> Panel:
        """A copy of the last n steps of each series, of all where it has fewer."""
        lengths = np.minimum(self.lengths, n)
        rows = steps_of(self.starts + self.lengths - lengths, lengths)
        return replace(
            self,
            targets=self.targets[rows],
            known=self.known[rows],
            past=self.past[rows],
            times=None if self.times is None else self.times[rows],
            starts=np.cumsum(lengths) - lengths,
            lengths=lengths,
            offsets=self.offsets + self.lengths - lengths,
        )

    def followed_by(self, targets: np.ndarray, known: np.ndarray) -> Panel:
        """With further steps after each series, in columns of shape (n_series, n, ...)."""
        n = targets.shape[1]
        lengths = self.lengths + n
        starts = np.cumsum(lengths) - lengths
        new = (starts + self.lengths)[:, None] + np.arange(n)
        old = np.ones(int(lengths.sum()), dtype=bool)
        old[new] = False
        rows = steps_of(self.starts, self.lengths)

        def joined(before, after):
            out = np.empty((len(old), *before.shape[1:]), before.dtype)
            out[old] = before[rows]
            out[new] = after
            return out

        return replace(
            self,
            targets=joined(self.targets, targets),
            known=joined(self.known, known),
            past=joined(self.past, np.nan),
            times=None if self.times is None else joined(self.times, self.future_times(n)),
            starts=starts,
            lengths=lengths,
        )

    def take(self, indices: np.ndarray) -> Panel:
        """Some of the series, in the order of `indices`. Their steps are not copied."""
        return replace(
            self,
            static=self.static[indices],
            starts=self.starts[indices],
            lengths=self.lengths[indices],
            offsets=self.offsets[indices],
            form=self.form.take(indices),
            ids=[self.ids[k] for k in indices],
            changes=self.changes and tuple(of[indices] for of in self.changes),
        )

    def last_times(self) -> np.ndarray:
        """The last time of each series, of shape (n_series,); without times the number of the
        last step."""
        if self.times is None:
            return self.offsets + self.lengths - 1
        return self.times[self.starts + self.lengths - 1]

    def future_times(self, horizon: int) -> np.ndarray:
        """The times after each series, of shape (n_series, horizon); without times the numbers
        of the steps."""
        if self.times is None:
            return (self.offsets + self.lengths)[:, None] + np.arange(horizon)
        if self.frequency is None:
            raise ValueError(
                f"The times after {self.show_time(self.last_times()[0])}, the end of "
                f"{self.name(0)}, are not known: no series has two steps, to tell how far "
                "they are apart."
            )
        return self.frequency.after(self.last_times(), horizon)

    def show_time(self, time: np.generic) -> str:
        """A time of the panel for messages, in the user's time zone."""
        return shown_time(time, self.zone)

    def to_frame(self, series: np.ndarray, times: Any, columns: Any) -> Any:
        """A long frame about series; see `Form.to_frame`."""
        return self.form.to_frame(self, series, times, columns)


def steps_of(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The rows of all series, one after the other, that begin at `starts`."""
    rows = np.arange(int(lengths.sum()))
    rows += np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    return rows


def read_panel(y: Any, roles: ColumnRoles, name: str = "y") -> Panel:
    """Read series of any form.

    Parameters
    ----------
    y : array-like, Series, data frame, or list of these
        One series: numbers of shape (n_steps,) or (n_steps, n_columns), a Series, or a data
        frame with a column for each variable, whose index, if it holds dates or integers, is
        the time; or a data frame with a column of times. Several: a list of these, or a data
        frame that also has a column of ids. Rows that have a time may be in any order.
    roles : ColumnRoles
    name : str
        The argument's, for messages.

    Returns
    -------
    panel : Panel

    Raises
    ------
    ValueError, TypeError
        If y is nothing of these, a column is missing or holds no numbers, a value is infinite,
        a static one not constant, a time missing or there twice, or times not equally spaced.
    """
    check_collection(y, name, FORMS)
    if is_list_of_series(y):
        return _read_list(y, roles, name)
    frame = frame_of(y, name)
    check_named_columns(frame, vars(roles), name)
    if _has_column(frame, roles.id_column):
        return _read_long(frame, roles, name)
    return _panel_of([_read_one(y, frame, roles, name)], [name], None)


def is_list_of_series(y: Any) -> bool:
    """Whether y is several series rather than the numbers of one."""
    is_list = isinstance(y, (list, tuple))
    is_array = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype == object
    return (is_list or is_array) and any(
        hasattr(x, "__len__") and getattr(x, "ndim", 1) and not isinstance(x, (str, bytes))
        for x in y
    )


def frame_of(y: Any, name: str) -> Any:
    """A data frame or series through narwhals, else None."""
    if isinstance(y, (np.ndarray, list, tuple)):
        return None
    from . import _frames

    return _frames.as_narwhals(y, name)


def _has_column(frame, column):
    """Whether this is a data frame with the column."""
    return column in getattr(frame, "columns", ())


def check_named_columns(frame: Any, settings: Mapping[str, Any], name: str) -> None:
    """Refuse a data frame without a column that the user named.

    Parameters
    ----------
    frame : narwhals.DataFrame, or anything else, of which nothing is asked
    settings : mapping
        "id_column", "time_column" and "target_column", or some of them. Their defaults need
        not be there. The time may also be the name of labels of rows.
    name : str
    """
    if not hasattr(frame, "columns"):
        return
    from . import _frames

    index_name = _frames.index_of(frame)[1]
    for parameter in ("id_column", "time_column", "target_column"):
        column = settings.get(parameter)
        default = getattr(ColumnRoles, parameter)
        if column in (None, default) or column in frame.columns:
            continue
        if parameter == "time_column" and column == index_name:
            continue
        raise ValueError(
            f"{name} has no column {shown(column)}, which is {parameter}. It has "
            f"{', '.join(map(shown, frame.columns))}."
        )


@dataclass
class _Series:
    """One series as it was read.

    Parameters
    ----------
    columns : dict
        Role -> names or indices of its columns; "targets" is a role too.
    values : dict
        Role -> float64 array of shape (n_steps, n_columns of the role).
    form : OneSeries
    times : array of shape (n_steps,), or None
    """

    columns: dict[str, list[Any]]
    values: dict[str, np.ndarray]
    form: OneSeries
    times: np.ndarray | None = None


def _read_list(y, roles, name):
    items = []
    for k, x in enumerate(y):
        of = f"{name}[{k}]"
        check_collection(x, of, "numbers of shape (n_steps,) or (n_steps, n_columns)")
        frame = frame_of(x, of)
        if _has_column(frame, roles.id_column):
            raise ValueError(
                f"{of} has a column {shown(roles.id_column)} of ids: give one long data frame "
                "of all series instead of a list."
            )
        # The id is a name for results alone.
        check_named_columns(frame, vars(roles) | {"id_column": ColumnRoles.id_column}, of)
        items.append(_read_one(x, frame, roles, of))
    first = items[0]
    for k, item in enumerate(items):
        if item.columns != first.columns:
            columns = [
                [c for of_role in x.columns.values() for c in of_role] for x in (item, first)
            ]
            raise ValueError(
                f"{name}[{k}] has the columns {shown(columns[0])}, but {name}[0] has "
                f"{shown(columns[1])}: all series must have the same."
            )
        kinds = [kind_of_times(x.form.time_type) for x in (item, first)]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"{name}[{k}] has {kinds[0]}, but {name}[0] has {kinds[1]}: all series must "
                "have times of one kind."
            )
    form = ListForm([item.form for item in items])
    return _panel_of(items, [f"series {k}" for k in range(len(items))], form)


def kind_of_times(time_type: TimeType | None) -> str:
    """In words, for messages."""
    if time_type is None:
        return "no times"
    zone = time_type.zone
    return time_type.kind + (f" in the time zone {zone}" if zone else "")


def _panel_of(items, ids, form):
    lengths = np.array([len(item.values["targets"]) for item in items], dtype=np.int64)
    values = {role: _joined([item.values[role] for item in items]) for role in items[0].values}
    times = None if items[0].times is None else _joined([item.times for item in items])
    return _checked(items[0].columns, values, times, lengths, form or items[0].form, ids)


def _joined(arrays):
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _read_one(y, frame, roles, name):
    """Read one series; `frame` is y through narwhals, if it is a frame or a series."""
    if frame is None:
        return _read_array(y, roles, name)
    if len(frame) == 0:
        raise _no_steps(name)
    from . import _frames

    if _has_column(frame, roles.time_column):
        rows = _frames.read_long(frame, roles.id_column, roles.time_column, name)
        form = LongForm(
            roles.id_column, roles.time_column, _frames.library_of(frame), rows.time_type
        )
        columns = _columns_of_long(frame, roles, name)
        return _Series(
            columns, read_columns(frame, columns, rows.order, name), form, rows.times
        )
    order, times, time_type = _frames.order_of_index(frame, name, roles.id_column)
    is_series = not hasattr(frame, "columns")
    if is_series:
        columns = _split_columns([0], roles, name)
        column = _frames.numbers(frame, name, is_target=True)[order][:, None]
        values = {role: column[:, : len(columns[role])] for role in columns}
    else:
        columns = _split_columns(frame.columns, roles, name)
        values = read_columns(frame, columns, order, name)
    form = TableForm(
        roles.id_column,
        roles.time_column,
        (frame.name,) if is_series else tuple(columns["targets"]),
        is_series,
        _frames.library_of(frame),
        *_frames.index_of(frame),
        time_type,
    )
    return _Series(columns, values, form, times)


def _read_array(y, roles, name):
    array = numbers_of_array(y, name, not any(getattr(roles, role) for role in ROLES))
    form = ArrayForm(roles.id_column, roles.time_column, array.ndim)
    array = array[:, None] if array.ndim == 1 else array
    columns = _split_columns(range(array.shape[1]), roles, name)
    if len(columns["targets"]) > len(array) > 1:
        warn_caller(
            f"{name} has {len(columns['targets'])} columns to forecast, of {len(array)} steps."
            " If it has a row for each of them, pass the transpose."
        )
    values = {
        role: array if len(chosen) == array.shape[1] else array[:, chosen]
        for role, chosen in columns.items()
    }
    return _Series(columns, values, form)


def numbers_of_array(y: Any, name: str, are_targets: bool) -> np.ndarray:
    """One series of numbers as a float64 array of one or two dimensions."""
    check_numeric(y, name)
    array = as_array(y, name)
    check_numeric(array, name)
    if array.ndim not in (1, 2):
        hint = " Of series of equal lengths make a list: list(y)." if array.ndim == 3 else ""
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n_steps,) or (n_steps, n_columns)."
            + hint
        )
    if array.dtype.kind not in "fiub":
        from . import _frames

        _frames.check_no_strings(array.ravel().tolist(), name, are_targets)
    with reading_numbers(name):
        array = array.astype(np.float64, copy=False)
    if len(array) == 0:
        raise _no_steps(name)
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; at least one column is required.")
    return array


def _no_steps(name):
    return ValueError(f"{name} has length 0. Every series needs at least one step.")


def _read_long(frame, roles, name):
    from . import _frames

    columns = _columns_of_long(frame, roles, name)
    rows = _frames.read_long(frame, roles.id_column, roles.time_column, name)
    form = LongForm(
        roles.id_column,
        roles.time_column,
        _frames.library_of(frame),
        rows.time_type,
        _frames.gather(frame.get_column(roles.id_column), rows.id_rows),
    )
    values = read_columns(frame, columns, rows.order, name)
    return _checked(columns, values, rows.times, rows.lengths, form, rows.ids)


def _columns_of_long(frame, roles, name):
    """Role -> columns of a frame that has columns of times, maybe of ids, and of others."""
    from . import _frames

    used = {role: [*getattr(roles, role)] for role in ROLES}
    columns = {"targets": [roles.target_column], **used}
    _check_once(columns, {roles.id_column: "the id", roles.time_column: "the time"})
    _frames.check_columns([c for of_role in columns.values() for c in of_role], frame, name)
    return columns


def _split_columns(there, roles, name):
    """Role -> columns of those that are there, all of which have one."""
    there = list(there)
    is_array = there == [*range(len(there))]
    columns = {"targets": []}
    for role in ROLES:
        columns[role] = []
        for column in getattr(roles, role):
            index = column
            if is_array and _is_index(column) and column < 0:
                index = column + len(there)
            if index not in there or (is_array and not _is_index(column)):
                raise ValueError(
                    f"{role} has {shown(column)}, but the columns of {name} are "
                    f"{', '.join(map(shown, there))}."
                )
            columns[role].append(index)
    _check_once(columns, {})
    taken = {c for of_role in columns.values() for c in of_role}
    columns["targets"] = [column for column in there if column not in taken]
    if not columns["targets"]:
        raise ValueError(
            f"{name} has no column left to forecast: known, past and static name all of its "
            f"{len(there)}."
        )
    return columns


def _is_index(column):
    return isinstance(column, Integral) and not isinstance(column, bool)


def _check_once(columns, taken):
    """Refuse columns of two roles."""
    taken = dict(taken)
    for role, of_role in columns.items():
        for column in of_role:
            if column in taken:
                raise ValueError(
                    f"{role} has the column {shown(column)}, which is {taken[column]} already."
                )
            taken[column] = f"in {role}" if role in ROLES else "the target"


def read_columns(
    frame: Any, columns: dict[str, list[Any]], order: np.ndarray | slice, name: str
) -> dict[str, np.ndarray]:
    """Role -> its columns of a frame as one array."""
    from . import _frames

    values = {}
    for role, of_role in columns.items():
        out = np.empty((len(frame), len(of_role)))
        for k, column in enumerate(of_role):
            of = f"column {shown(column)} of {name}"
            out[:, k] = _frames.numbers(
                frame.get_column(column), of, is_target=role == "targets"
            )[order]
        values[role] = out
    return values


def _checked(columns, values, times, lengths, form, ids):
    """The Panel of all series, after the checks that need their names."""
    starts = np.cumsum(lengths) - lengths

    def series_name(k):
        return _series_name(ids[k], form)

    for role, array in values.items():
        too_large = (array > LARGEST) | (array < -LARGEST)
        if too_large.any():
            row, column = np.argwhere(too_large)[0]
            k = int(np.searchsorted(starts, row, side="right")) - 1
            raise ValueError(
                f"{series_name(k)} contains infinity or a value beyond {LARGEST:g} at step "
                f"{row - starts[k]}, in column {shown(columns[role][column])}."
            )
    static = _constants(values["static"], columns["static"], starts, series_name)
    panel = Panel(
        **{**values, "static": static},
        times=times,
        frequency=None,
        starts=starts,
        lengths=lengths,
        offsets=np.zeros_like(starts),
        form=form,
        ids=ids,
    )
    if times is not None:
        panel.frequency = find_frequency(times, lengths, series_name, panel.zone)
    return panel


def _constants(static, columns, starts, series_name):
    """One row for each series, of values that are the same in all of its rows."""
    low = np.fmin.reduceat(static, starts, axis=0)
    high = np.fmax.reduceat(static, starts, axis=0)
    varying = np.argwhere(low < high)
    if len(varying):
        k, column = varying[0]
        raise ValueError(
            f"static has the column {shown(columns[column])}, but {series_name(k)} has more "
            f"than one value of it: {low[k, column]:g} and {high[k, column]:g}."
        )
    return low


def _series_name(an_id, form):
    return f"series {shown(an_id)}" if isinstance(form, LongForm) and form.has_ids else an_id
