"""Data frames and series of pandas, polars, pyarrow, ...: read and made through narwhals.

Imported only where there is one, so that whoever passes arrays need not wait for narwhals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.exceptions import DuplicateError

from ._arguments import as_array, check_numeric, reading_numbers, shown
from ._dates import check_zone, looks_like_date, shown_time, standard_times

# What fits into integers of fewer bits than times have.
SMALL_INTEGERS = {
    getattr(nw, name): np.iinfo(name.lower())
    for name in ("Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32")
}
# Those of ids that files have: pandas' own, and those of narwhals for other libraries.
PANDAS_DTYPES = {"object", "str", "string", "category", "bool", "float32", "float64"} | {
    f"{sign}nt{bits}" for sign in ("i", "I", "ui", "UI") for bits in (8, 16, 32, 64)
}
VALUE_DTYPES: dict[str, Any] = {
    **{name: getattr(nw, name) for name in ("String", "Boolean", "Categorical")},
    **{name: getattr(nw, name) for name in ("Float32", "Float64", "Int64", "UInt64")},
    **{dtype.__name__: dtype for dtype in SMALL_INTEGERS},
}

# Those of times, by names that files have.
TIME_DTYPES: dict[str, Any] = {
    **{name: getattr(nw, name) for name in ("Int64", "UInt64", "Date")},
    **{dtype.__name__: dtype for dtype in SMALL_INTEGERS},
    **{f"Datetime[{unit}]": nw.Datetime(unit) for unit in ("s", "ms", "us", "ns")},
}


def as_narwhals(x: Any, name: str) -> nw.DataFrame[Any] | nw.Series[Any] | None:
    """A data frame or series through narwhals; None if x is neither."""
    try:
        found = nw.from_native(x, eager_only=True, allow_series=True, pass_through=True)
    except DuplicateError as error:
        raise ValueError(f"{name} has several columns of one name: {error}") from error
    return found if isinstance(found, (nw.DataFrame, nw.Series)) else None


def library_of(frame: nw.DataFrame[Any] | nw.Series[Any]) -> str:
    """What it came in: "pandas", "polars", "pyarrow", ..."""
    return frame.implementation.value


def check_columns(columns: Iterable[Any], frame: nw.DataFrame[Any], name: str) -> None:
    """Refuse a frame without one of the columns."""
    there = frame.columns
    for column in columns:
        if column not in there:
            raise ValueError(
                f"{name} has no column {shown(column)}. It has {', '.join(map(shown, there))}."
            )


def numbers(column: nw.Series[Any], name: str, is_target: bool = False) -> np.ndarray:
    """A column as float64, NaN where it is missing; for messages, whether it is forecast."""
    dtype = column.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return column.cast(nw.Float64).to_numpy()
    if dtype.is_temporal():
        raise ValueError(
            f"{name} holds dates or durations ({dtype}), but numbers are expected. If it is "
            "the time of each step, name it as time_column."
        )
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        check_no_strings(column.drop_nulls().head(1).to_list(), name, is_target)
    native = nw.to_native(column)
    if hasattr(native, "iloc") and dtype == nw.Object:
        check_no_strings(native, name, is_target)
        with reading_numbers(name):  # pandas.NA is not a number
            return native.to_numpy(np.float64, na_value=np.nan)
    values = as_array(column.to_numpy(), name)
    check_numeric(values, name)
    with reading_numbers(name):
        return values.astype(np.float64)


def check_no_strings(values: Iterable[Any], name: str, is_target: bool) -> None:
    """Refuse strings among objects; categories may be of columns that are not forecast."""
    for value in values:
        if not isinstance(value, (str, bytes)):
            continue
        if looks_like_date(value) and not _is_number(value):
            advice = (
                "If they are the time of each step, convert them with pandas.to_datetime (in "
                "polars str.to_datetime), and name the column as time_column."
            )
        elif is_target or _is_number(value):
            advice = "Convert them with pandas.to_numeric (in polars cast to Float64)."
        else:
            advice = (
                "Encode them as numbers first, for example with OneHotEncoder or "
                "OrdinalEncoder of scikit-learn."
            )
        raise ValueError(f"{name} holds strings, such as {shown(value)}. {advice}")


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class TimeType:
    """How the user's times are written.

    Parameters
    ----------
    dtype : narwhals.dtypes.DType
        Of integers, dates, or times, the latter without their zone.
    zone : str or None
    period : str or None
        The frequency of pandas' periods; None if the times are none.
    """

    dtype: Any
    zone: str | None = None
    period: str | None = None

    def __getstate__(self):
        names = (name for name, dtype in TIME_DTYPES.items() if dtype == self.dtype)
        # What is not among them is left as it is.
        return {**vars(self), "dtype": next(names, self.dtype)}

    def __setstate__(self, state):
        dtype = state["dtype"]
        vars(self).update({**state, "dtype": TIME_DTYPES.get(dtype, dtype)})

    @property
    def kind(self) -> str:
        return "integers" if self.dtype.is_integer() else "dates"

    def restore(self, times: np.ndarray, name: Any, library: Any) -> nw.Series[Any]:
        """Standard times as the user's; integers of 64 bits where they do not fit there."""
        if self.period is not None:
            pandas = import_module("pandas")
            periods = pandas.PeriodIndex(pandas.DatetimeIndex(times), freq=self.period)
            return nw.from_native(pandas.Series(periods, name=name), series_only=True)
        series = nw.new_series(name, times, backend=library)
        limits = SMALL_INTEGERS.get(self.dtype)
        fits = limits is None or (limits.min <= times.min() and times.max() <= limits.max)
        if series.dtype != self.dtype and fits:
            series = series.cast(self.dtype)
        if self.zone is not None:
            series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        return series


def read_times(column: nw.Series[Any], name: str) -> tuple[np.ndarray, TimeType]:
    """A column of times as standard times, and what they were."""
    if column.null_count():
        row = column.is_null().to_numpy().argmax()
        raise ValueError(f"{name} is missing in row {row}; every row needs a time.")
    dtype = column.dtype
    zone, period = _zone_of(column), _period_of(column)
    if zone is not None:
        check_zone(zone, name)
        column = _in_utc(column)
        dtype = column.dtype
    if period is not None:
        values = nw.to_native(column).dt.to_timestamp().to_numpy()
        dtype = nw.Datetime()
    elif dtype.is_integer() or dtype in (nw.Datetime, nw.Date):
        values = column.to_numpy()
    else:
        hint = " Convert them with pandas.to_datetime (in polars str.to_datetime)."
        hint = "" if dtype.is_numeric() else hint
        what = "numbers" if dtype.is_numeric() else f"{dtype} values"
        raise ValueError(
            f"{name} holds {what} such as {shown(column.head(1).to_list()[0])}, but dates or "
            f"integers are expected.{hint}"
        )
    return standard_times(values, name), TimeType(dtype, zone, period)


def _zone_of(column):
    """The time zone of a column of dates."""
    # narwhals takes pandas' dtypes for unknown where the zone has an underscore or a digit.
    tz = getattr(getattr(nw.to_native(column), "dtype", None), "tz", None)
    return getattr(column.dtype, "time_zone", None) if tz is None else str(tz)


def _in_utc(column):
    """A column of dates with a time zone as those of UTC without one."""
    native = nw.to_native(column)
    if getattr(getattr(native, "dtype", None), "tz", None) is None:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return nw.from_native(native.dt.tz_convert("UTC").dt.tz_localize(None), series_only=True)


def _period_of(column):
    """The frequency of a column of pandas' periods, as its dtype writes it: "M", "Q-DEC"."""
    dtype = getattr(nw.to_native(column), "dtype", None)
    return dtype.name[len("period[") : -1] if hasattr(dtype, "freq") else None


def index_of(table: nw.DataFrame[Any] | nw.Series[Any]) -> tuple[bool, Any]:
    """Whether the rows of a table have labels, as pandas' do, and the name of these."""
    index: Any = getattr(nw.to_native(table), "index", None)
    has_index = hasattr(index, "to_series")  # polars' series have a method of this name
    return has_index, index.name if has_index else None


def times_of_index(table: Any, name: str) -> tuple[np.ndarray, TimeType] | tuple[None, None]:
    """The times of rows whose labels are dates, periods or integers; None where they are
    nothing of the kind. Several levels, and what only stands for dates, are refused."""
    if not index_of(table)[0]:
        return None, None
    labels = nw.to_native(table).index
    if labels.nlevels > 1:
        raise ValueError(
            f"the index of {name} has {labels.nlevels} levels, {shown([*labels.names])}. Make "
            "columns of them with reset_index(), and name these as id_column and time_column."
        )
    column = nw.from_native(labels.to_series(), series_only=True)
    is_time = column.dtype.is_integer() or column.dtype in (nw.Datetime, nw.Date)
    if not is_time and _zone_of(column) is None and _period_of(column) is None:
        _check_no_dates(column, f"the index of {name}")
        return None, None
    return read_times(column, f"the index of {name}")


def _check_no_dates(labels, name):
    """Refuse labels of rows that are no times, but were meant as such."""
    for label in labels.drop_nulls().head(1).to_list():
        if isinstance(label, (date, timedelta)) or looks_like_date(label):
            raise ValueError(
                f"{name} holds {type(label).__name__} values such as {shown(label)}, but "
                "dates or integers are expected. Convert it with pandas.to_datetime, or leave "
                "it out with reset_index(drop=True)."
            )


def order_of_index(
    table: Any, name: str, id_column: Any
) -> tuple[np.ndarray | slice, np.ndarray | None, TimeType | None]:
    """(order of the rows by time, the times in it, what they were), where the labels of rows
    are times; else they are in order. The table has no column of ids."""
    times, time_type = times_of_index(table, name)
    if times is None or time_type is None:
        return slice(None), None, None
    order = in_time_order(times, time_type, name, hint=_no_ids(table, id_column))
    return order, times[order], time_type


def _no_ids(table, id_column):
    """What to say where the rows of a table seem to be of several series."""
    columns = getattr(table, "columns", None)
    if columns is None:
        return ""
    return (
        f" It has no column {shown(id_column)} of ids (it has "
        f"{', '.join(map(shown, columns))}): name yours by id_column."
    )


def in_time_order(
    times: np.ndarray,
    time_type: TimeType,
    name: str,
    codes: np.ndarray | None = None,
    ids: list[Any] | None = None,
    hint: str = "",
) -> np.ndarray | slice:
    """Where rows go by series and time, of which no two may be of one series and time.

    Parameters
    ----------
    times : array of shape (n_rows,)
    time_type : TimeType
    name : str
    codes : int array of shape (n_rows,), or None
        The number of each row's series; None: all are of one.
    ids : list or None
        Of the series by number.
    hint : str
        For the error.

    Returns
    -------
    order : int array of shape (n_rows,), or slice(None) if they are in order already
    """
    order: np.ndarray | slice = slice(None)
    if not _increasing(times, codes)[0].all():
        order = np.argsort(times) if codes is None else np.lexsort((times, codes))
        times, codes = times[order], None if codes is None else codes[order]
    increasing, same = _increasing(times, codes)
    if same.any():
        row = same.argmax()
        of = (
            f" of series {shown(ids[codes[row]])}"
            if ids is not None and codes is not None
            else ""
        )
        more = f", and {same.sum() - 1} more such rows" if same.sum() > 1 else ""
        raise ValueError(
            f"{name} has two rows{of} at {shown_time(times[row], time_type.zone)}{more}.{hint}"
        )
    return order


def _increasing(times, codes):
    """Whether each row after the first is after the one before, and whether it is at it."""
    later, same = times[1:] > times[:-1], times[1:] == times[:-1]
    if codes is None:
        return later, same
    one_series = codes[1:] == codes[:-1]
    return (codes[1:] > codes[:-1]) | (one_series & later), one_series & same


@dataclass(frozen=True)
class LongRows:
    """The rows of a long frame, one series after the other and each in the order of time.

    Parameters
    ----------
    order : int array of shape (n_rows,), or slice(None)
        Their places in the frame.
    ids : list
        In the order of their first rows; one None if the frame has no column of them.
    id_rows : int array of shape (n_series,)
        A row of the frame for each id.
    times : array of shape (n_rows,)
    time_type : TimeType
    lengths : int64 array of shape (n_series,)
    """

    order: np.ndarray | slice
    ids: list[Any]
    id_rows: np.ndarray
    times: np.ndarray
    time_type: TimeType
    lengths: np.ndarray


def read_long(
    frame: nw.DataFrame[Any], id_column: Any, time_column: Any, name: str
) -> LongRows:
    """Sort the rows of a long frame, which without a column of ids is one series."""
    check_columns([time_column], frame, name)
    if len(frame) == 0:
        raise ValueError(f"{name} has no rows; at least one series of one step is required.")
    times, time_type = read_times(
        frame.get_column(time_column), f"column {shown(time_column)} of {name}"
    )
    codes, ids, id_rows = None, [None], np.zeros(1, dtype=np.int64)
    hint = _no_ids(frame, id_column)
    if id_column in frame.columns:
        hint = ""
        codes, ids, id_rows = number_ids(
            frame.get_column(id_column), f"column {shown(id_column)} of {name}"
        )
    order = in_time_order(times, time_type, name, codes, ids, hint)
    lengths = np.array([len(times)]) if codes is None else np.bincount(codes)
    return LongRows(order, ids, id_rows, times[order], time_type, lengths.astype(np.int64))


def number_ids(column: nw.Series[Any], name: str) -> tuple[np.ndarray, list[Any], np.ndarray]:
    """(number of each row's id, ids in the order of first rows, the first row of each)."""
    if column.null_count():
        row = column.is_null().to_numpy().argmax()
        raise ValueError(
            f"{name} is missing in row {row}; every row needs the id of a series."
        )
    values = column.to_numpy()
    firsts = np.flatnonzero(np.r_[True, np.asarray(values[1:] != values[:-1], dtype=bool)])
    numbers_of: dict[Any, int] = {}  # looked up once for rows of one id in a row
    try:
        codes = [numbers_of.setdefault(x, len(numbers_of)) for x in column[firsts].to_list()]
    except TypeError as error:
        raise TypeError(f"{name} must hold ids that are hashable: {error}.") from error
    id_rows = firsts[np.unique(codes, return_index=True)[1]]
    return np.repeat(codes, np.diff(np.r_[firsts, len(values)])), [*numbers_of], id_rows


def long_frame(columns: Mapping[Any, Any], library: Any = "pandas") -> Any:
    """A data frame of columns: arrays, lists or series of the library's.

    Parameters
    ----------
    columns : mapping
        Name -> values.
    library : str
        "pandas", "polars", "pyarrow", ...
    """
    columns = {
        name: nw.to_native(values) if isinstance(values, nw.Series) else values
        for name, values in columns.items()
    }
    if library == "pandas":
        return pandas_for("a data frame of the results").DataFrame(columns)
    return nw.to_native(nw.from_dict(columns, backend=library))


def pandas_for(what: str) -> Any:
    """The module pandas, or an error that says what needs it."""
    try:
        return import_module("pandas")
    except ImportError as error:
        raise ImportError(
            f"{what} needs pandas: pip install pandas, or pass data frames of a library that "
            "you have, such as polars."
        ) from error


def gather(column: Any, rows: np.ndarray) -> Any:
    """Some entries of a series, in the order of `rows`, as one of its library's."""
    taken = nw.from_native(column, series_only=True)[rows]
    return nw.to_native(nw.maybe_reset_index(taken))


def plain_series(column: Any, exact: bool) -> dict[str, Any] | Any:
    """A series as its values and the name of a dtype, for `series_of`.

    If it would be another one then, as of an unusual dtype, it is returned itself where it is
    to be exact.
    """
    series = nw.from_native(column, series_only=True)
    library, values = library_of(series), series.to_list()
    dtype = str(column.dtype) if library == "pandas" else str(series.dtype)
    if dtype not in (PANDAS_DTYPES if library == "pandas" else VALUE_DTYPES):
        if exact:
            return column
        dtype = "object" if library == "pandas" else "String"
    if exact and _native_dtype(series_of(values, dtype, library)) != _native_dtype(column):
        return column
    return {"values": values, "dtype": dtype}


def _native_dtype(column):
    return getattr(column, "dtype", getattr(column, "type", None))


def series_of(values: list[Any], dtype: str, library: Any) -> Any:
    """A series of the library's.

    Raises
    ------
    ValueError, TypeError
        If the values are not of this dtype.
    """
    if library == "pandas":
        if dtype not in PANDAS_DTYPES:
            raise ValueError(f"pandas has no dtype {shown(dtype)} of ids")
        return pandas_for("a Series").Series(values, dtype=dtype)
    return nw.to_native(nw.new_series("", values, VALUE_DTYPES[dtype], backend=library))


def split(frame: nw.DataFrame[Any], order: np.ndarray | slice, ends: np.ndarray) -> list[Any]:
    """The rows of a frame, in this order, as one frame of its library up to each end."""
    frame = nw.maybe_reset_index(frame[order] if isinstance(order, np.ndarray) else frame)
    starts = np.r_[0, ends[:-1]]
    pieces = [frame[int(a) : int(b)] for a, b in zip(starts, ends, strict=True)]
    return [nw.to_native(nw.maybe_reset_index(piece)) for piece in pieces]


def new_series(name: Any, values: np.ndarray, library: Any) -> Any:
    """A series of the library's."""
    if library == "pandas":
        return pandas_for("a Series").Series(values, name=name)
    return nw.to_native(nw.new_series(name, values, backend=library))


def labelled(table: Any, labels: nw.Series[Any] | np.ndarray, name: Any) -> Any:
    """A table of pandas with these labels of its rows."""
    labels = nw.to_native(labels) if isinstance(labels, nw.Series) else labels
    table.index = pandas_for("an index").Index(labels, name=name)
    return table
