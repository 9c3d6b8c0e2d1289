"""Equally spaced times: their step, the times that follow, and columns of the calendar.

Times are integers, or datetime64 in microseconds or nanoseconds: in UTC where they have a time
zone, else as they were given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from ._arguments import shown

# Nanoseconds, and months, of a unit.
UNITS = {
    "week": 604_800 * 10**9,
    "day": 86_400 * 10**9,
    "hour": 3_600 * 10**9,
    "minute": 60 * 10**9,
    "second": 10**9,
    "millisecond": 10**6,
    "microsecond": 10**3,
    "nanosecond": 1,
}
MONTHS = {"year": 12, "quarter": 3, "month": 1}

SHORTEST_MONTH = 28 * UNITS["day"]

DAY = np.timedelta64(1, "D")
NO_TIME = np.timedelta64(0, "D")

# How strings begin that are written for dates: 2024, 20240131, 2024-01, 2024Q1, 2024-W05;
# 31.1.24, 1/31/2024, 1/2024; 31 Jan 2024, Jan-24.
_YEAR = r"(1[5-9]|2[01])\d\d"
_MONTH = (
    "(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(t|tember)?"
    "|oct(ober)?|nov(ember)?|dec(ember)?)"
)
DATE = re.compile(
    rf"{_YEAR}($|(0[1-9]|1[0-2])[0-3]\d\b|[-/. ]\d\d?\b|[- ]?(Q[1-4]|W\d\d))"
    rf"|(\d\d?[-/.]){{2}}(\d\d|{_YEAR})\b|\d\d?[-/.]{_YEAR}\b"
    rf"|(\d\d?[-. ]+)?{_MONTH}[-., ]+\d",
    re.IGNORECASE,
)

# Offsets of time zones are looked up once for all times of a quarter of an hour, in which
# none of them changes.
QUARTER = 900


@dataclass(frozen=True)
class Frequency:
    """The step from each time of a series to the next.

    Parameters
    ----------
    kind : {"integers", "fixed", "months", "business days"}
    step : int
        Of integers, nanoseconds, months or business days.
    month_end : bool
        Whether the times are last days of months.
    zone : str or None
        The time zone in whose local time the step is constant; None: in that of the times.
        Days, months and years are constant where one lives, hours everywhere.
    """

    kind: Literal["integers", "fixed", "months", "business days"]
    step: int
    month_end: bool = False
    zone: str | None = None

    def after(self, last: np.ndarray, n: int) -> np.ndarray:
        """The times that follow.

        Parameters
        ----------
        last : time, or array of times
        n : int

        Returns
        -------
        times : array of shape (\\*last.shape, n)
        """
        last = np.asarray(last)[..., None]
        steps = np.arange(1, n + 1) * self.step
        if self.kind == "integers":
            return last + steps
        if self.zone is not None:
            last = to_local(last, self.zone)
        if self.kind == "fixed":
            unit, _ = np.datetime_data(last.dtype)
            times = last + steps.astype("m8[ns]").astype(f"m8[{unit}]")
        elif self.kind == "months":
            times = _add_months(last, steps, self.month_end)
        else:
            day = last.astype("M8[D]")
            times = np.busday_offset(day, steps, roll="backward") + (last - day)
        return times if self.zone is None else to_utc(times, self.zone)

    def fits(self, times: np.ndarray, lengths: np.ndarray) -> bool:
        """Whether it is the step of all series, which may be too short to tell it.

        Parameters
        ----------
        times : array of shape (n_rows,)
            Those of one series after the other, each in increasing order.
        lengths : array of shape (n_series,)
        """
        if (times.dtype.kind == "i") != (self.kind == "integers"):
            return False
        if self.kind == "business days" and not np.is_busday(times.astype("M8[D]")).all():
            return False
        follow = self.after(times[:-1], 1)[:, 0] == times[1:]
        return bool(follow[_inside(lengths)].all())

    @property
    def season(self) -> int:
        """Steps of one season: a day for steps of a minute to hours (an hour for seconds), a
        week for days, a year for weeks and months; 1 where steps do not divide it."""
        if self.kind == "integers":
            return 1
        if self.kind == "business days":
            return 5
        if self.kind == "months":
            return _times_in(12, self.step)
        if self.step % UNITS["week"] == 0:
            return _times_in(52, self.step // UNITS["week"])
        if self.step >= UNITS["minute"]:
            whole = UNITS["week"] if self.step >= UNITS["day"] else UNITS["day"]
            return _times_in(whole, self.step)
        return _times_in(UNITS["hour"], self.step) if self.step >= UNITS["second"] else 1

    @property
    def name(self) -> str:
        """The step in words: "hour", "15 minutes", "quarter"."""
        if self.kind == "integers":
            return str(self.step)
        if self.kind == "business days":
            return "business day"
        units = UNITS if self.kind == "fixed" else MONTHS
        unit = next(unit for unit, n in units.items() if self.step % n == 0)
        n = self.step // units[unit]
        return unit if n == 1 else f"{n} {unit}s"

    @property
    def in_words(self) -> str:
        """The same with its number: "one hour", "15 minutes", "one quarter"."""
        return self.name if self.name[0].isdigit() else f"one {self.name}"


def _times_in(whole, part):
    return whole // part if whole % part == 0 else 1


def _add_months(times, n, month_end):
    """Times n months later, on the same day or, where the month is shorter, on its last one;
    from a last day to last days where these are asked for."""
    month = times.astype("M8[M]")
    day = times.astype("M8[D]") - month.astype("M8[D]")
    later = month + n
    last_day = (later + 1).astype("M8[D]") - DAY - later.astype("M8[D]")
    to_the_end = month_end & is_month_end(times)
    day = np.where(to_the_end, last_day, np.minimum(day, last_day))
    return later.astype("M8[D]") + day + (times - times.astype("M8[D]"))


def is_month_end(times: np.ndarray) -> np.ndarray:
    """Whether each time is on the last day of a month."""
    return (times.astype("M8[D]") + DAY).astype("M8[M]") != times.astype("M8[M]")


def standard_times(times: np.ndarray, name: str) -> np.ndarray:
    """Integers as int64, datetime64 of any unit in microseconds, or in nanoseconds where some
    times are between two microseconds."""
    if times.dtype.kind in "iu":
        if times.dtype == np.uint64 and (times >> np.uint64(63)).any():
            raise ValueError(f"{name} has integers beyond 64 bits.")
        return times.astype(np.int64, copy=False)
    standard = times.astype("M8[us]")
    return standard if (standard == times).all() else times.astype("M8[ns]")


def to_local(times: np.ndarray, zone: str) -> np.ndarray:
    """Times in UTC -> what clocks show there."""
    where = _zone(zone)
    # On Windows datetime.fromtimestamp knows nothing before 1970.
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return times + _offsets(
        times, lambda s: (epoch + timedelta(seconds=s)).astimezone(where).utcoffset()
    )


def to_utc(times: np.ndarray, zone: str) -> np.ndarray:
    """What clocks show -> times in UTC: the first of an hour that they show twice; of one
    that they skip the hour after."""
    epoch = datetime(1970, 1, 1, tzinfo=_zone(zone))
    return times - _offsets(times, lambda s: (epoch + timedelta(seconds=s)).utcoffset())


def _offsets(times, offset_at):
    quarters, inverse = np.unique(
        times.astype("M8[s]").astype(np.int64) // QUARTER, return_inverse=True
    )
    offsets = [offset_at(q * QUARTER) for q in quarters.tolist()]
    return np.array(offsets, dtype="m8[us]")[inverse.reshape(times.shape)]


def check_zone(name: str, argument: str) -> None:
    """Refuse time zones that are neither in the database nor a difference from UTC."""
    try:
        _zone(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{argument} has the time zone {name!r}, which is not known. Convert the times to "
            "UTC or to a zone with a name, such as Europe/Berlin. Where the system has no "
            "database of time zones: pip install tzdata."
        ) from error


def _zone(name):
    if name.removeprefix("UTC")[:1] in ("+", "-"):
        return datetime.strptime(name.removeprefix("UTC"), "%z").tzinfo
    return ZoneInfo(name)


def looks_like_date(value: object) -> bool:
    """Whether this is a string that someone wrote for a date."""
    return isinstance(value, str) and DATE.match(value.strip()) is not None


def shown_time(time: np.generic, zone: str | None = None) -> str:
    """A time for messages, as short as it can be."""
    if isinstance(time, np.integer):
        return str(time)
    local = np.asarray(time) if zone is None else to_local(np.asarray(time), zone)
    return str(np.datetime_as_string(local, unit="auto")).replace("T", " ")


def find_frequency(
    times: np.ndarray,
    lengths: np.ndarray,
    series_name: Callable[[int], str],
    zone: str | None = None,
) -> Frequency | None:
    """The one frequency of all series.

    Parameters
    ----------
    times : array of shape (n_rows,)
        Those of one series after the other, each in increasing order.
    lengths : array of shape (n_series,)
    series_name : callable(k) -> str
        For messages.
    zone : str or None
        Of times in UTC the zone that they had.

    Returns
    -------
    frequency : Frequency, or None if no series has two steps

    Raises
    ------
    ValueError
        If the times of a series are not equally spaced, or not as those of others.
    """
    inside = _inside(lengths)
    if not inside.any():
        return None
    if times.dtype.kind == "i":
        steps = np.diff(times)[inside]
        frequency = Frequency("integers", _most_common(steps))
    elif zone is None:
        frequency, steps = _frequency_of_dates(times, inside)
    else:
        frequency, steps = _frequency_of_zoned(times, inside, zone)
    wrong = steps != frequency.step
    if wrong.any():
        row = np.flatnonzero(inside)[wrong.argmax()]
        k = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
        before, after = (shown_time(t, zone) for t in times[row : row + 2])
        fix = "Give the missing rows with y NaN, or "
        if frequency.kind == "integers":
            fix += "number the steps without gaps."
        elif (np.diff(times.astype("M8[M]").astype(np.int64))[inside] == 1).all():
            fix = "Each is in the month after: make periods of them with to_period('M')."
        else:
            fix += "resample, or number the steps with integers instead."
        raise ValueError(
            f"{series_name(k)} is not equally spaced: {after} follows {before}, but the most "
            f"common step is {frequency.in_words}. {fix}"
        )
    return frequency


def _inside(lengths):
    """Whether each row and the next are of one series."""
    inside = np.ones(max(int(lengths.sum()) - 1, 0), dtype=bool)
    inside[np.cumsum(lengths)[:-1] - 1] = False
    return inside


def _frequency_of_zoned(times, inside, zone):
    frequency, steps = _frequency_of_dates(to_local(times, zone), inside)
    if frequency.kind == "fixed":
        elapsed = _nanoseconds(np.diff(times)[inside])
        in_utc = Frequency("fixed", _most_common(elapsed))
        fewer_gaps = (elapsed != in_utc.step).sum() < (steps != frequency.step).sum()
        if fewer_gaps or frequency.step % UNITS["day"]:
            return in_utc, elapsed
    return replace(frequency, zone=zone), steps


def _frequency_of_dates(times, inside):
    """The frequency that suits times best, and all steps inside series in its units."""
    fixed = _nanoseconds(np.diff(times)[inside])
    in_fixed = Frequency("fixed", _most_common(fixed))
    if in_fixed.step < SHORTEST_MONTH and (fixed == in_fixed.step).all():
        return in_fixed, fixed
    day = times.astype("M8[D]")
    if not (np.diff(times - day) != NO_TIME)[inside].any():  # all at one time of the day
        in_pair = np.zeros(len(times), dtype=bool)
        in_pair[:-1] |= inside
        in_pair[1:] |= inside
        month = times.astype("M8[M]")
        months = np.diff(month.astype(np.int64))[inside]
        month_end = bool(is_month_end(times[in_pair]).all())
        same_day = not (np.diff(day - month.astype("M8[D]")) != NO_TIME)[inside].any()
        if (months > 0).all() and (month_end or same_day):
            return Frequency("months", _most_common(months), month_end), months
        if np.is_busday(day[in_pair]).all():
            business = np.busday_count(day[:-1], day[1:])[inside]
            if _most_common(business) == 1:
                return Frequency("business days", 1), business
    return in_fixed, fixed


def _nanoseconds(steps):
    return steps.astype("m8[ns]").astype(np.int64)


def _most_common(steps):
    if (steps == steps[0]).all():
        return int(steps[0])
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def calendar_columns(
    times: np.ndarray, names: Iterable[str], zone: str | None = None
) -> tuple[np.ndarray, list[str]]:
    """Where times are in the calendar.

    Parameters
    ----------
    times : datetime64 array of shape (n,)
    names : iterable of {"minute", "hour", "dayofweek", "dayofmonth", "dayofyear", "week", \
            "month", "quarter", "year"}
    zone : str or None
        Of times in UTC the zone whose calendar counts.

    Returns
    -------
    columns : float64 array of shape (n, n_columns)
        A sine and a cosine for each name, but for "year" the year.
    column_names : list of str
    """
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if not isinstance(name, str) or name not in CALENDAR]
    if unknown:
        raise ValueError(
            f"calendar has {shown(unknown[0])}, but knows {', '.join(map(repr, CALENDAR))}."
        )
    times = np.asarray(times)
    if names and times.dtype.kind != "M":
        raise ValueError(
            f"calendar={shown(tuple(names))} needs dates, but the times are integers."
        )
    local = times if zone is None or not names else to_local(times, zone)
    columns, column_names = [], []
    for name in names:
        values = CALENDAR[name](local)
        if name == "year":
            columns.append(values)
            column_names.append(name)
        else:
            columns += [np.sin(2 * np.pi * values), np.cos(2 * np.pi * values)]
            column_names += [f"{name}_sin", f"{name}_cos"]
    out = np.empty((len(times), len(columns)))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out, column_names


def _since(times, unit):
    """Whole units since 1970, as integers."""
    return times.astype(f"M8[{unit}]").astype(np.int64)


def _fraction(times, of, unit="D"):
    """Whole units since the month or year that each time is in began, as a part of it."""
    whole = times.astype(f"M8[{of}]")
    start, end = _since(whole, unit), _since(whole + 1, unit)
    return (_since(times, unit) - start) / (end - start)


def _week_fraction(times):
    """Whole weeks since the first of the year as in ISO 8601, as a part of it."""
    # A week belongs to the year of its Thursday. 1970 began with one.
    thursday = (_since(times, "D") + 3) // 7 * 7
    year = thursday.astype("M8[D]").astype("M8[Y]")
    first, following = (-(-_since(y, "D") // 7) for y in (year, year + 1))
    return (thursday // 7 - first) / (following - first)


# Name -> times to the part of their cycle that has passed, from 0 to 1; "year": to its number.
CALENDAR: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minute": lambda times: _since(times, "m") % 60 / 60,
    "hour": lambda times: _since(times, "h") % 24 / 24,
    "dayofweek": lambda times: (_since(times, "D") + 3) % 7 / 7,
    "dayofmonth": lambda times: _fraction(times, "M"),
    "dayofyear": lambda times: _fraction(times, "Y"),
    "week": _week_fraction,
    "month": lambda times: _since(times, "M") % 12 / 12,
    "quarter": lambda times: _since(times, "M") % 12 // 3 / 4,
    "year": lambda times: _since(times, "Y") + 1970.0,
}
