"""The step of equally spaced times, the times after them, and columns of the calendar."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cylstm import _dates
from cylstm._dates import (
    CALENDAR,
    Frequency,
    calendar_columns,
    check_zone,
    find_frequency,
    looks_like_date,
    shown_time,
    standard_times,
    to_local,
    to_utc,
)

ZONE = "Europe/Berlin"


def dates(start, n, freq, **kwargs):
    return pd.date_range(start, periods=n, freq=freq, **kwargs)


def utc(index):
    return standard_times(index.to_numpy(), "ds")


def found(*series, zone=None):
    return find_frequency(
        np.concatenate(series), np.array([len(s) for s in series]), "series {}".format, zone
    )


# pandas' name of the step, ours, and the steps of one season.
STEPS = [
    ("100ms", "100 milliseconds", 1),
    ("s", "second", 3600),
    ("30s", "30 seconds", 120),
    ("min", "minute", 1440),
    ("15min", "15 minutes", 96),
    ("30min", "30 minutes", 48),
    ("h", "hour", 24),
    ("6h", "6 hours", 4),
    ("7h", "7 hours", 1),
    ("36h", "36 hours", 1),
    ("D", "day", 7),
    ("2D", "2 days", 1),
    ("B", "business day", 5),
    ("W", "week", 52),
    ("W-WED", "week", 52),
    ("2W", "2 weeks", 26),
    ("MS", "month", 12),
    ("ME", "month", 12),
    ("2MS", "2 months", 6),
    ("QS", "quarter", 4),
    ("QE", "quarter", 4),
    ("QS-FEB", "quarter", 4),
    ("YS", "year", 1),
    ("YE", "year", 1),
    ("5YS", "5 years", 1),
]


@pytest.mark.parametrize("start", ["2019-11-29 05:00", "2024-02-29", "1965-07-31 23:59:59"])
@pytest.mark.parametrize(("freq", "name", "season"), STEPS)
def test_steps_of_pandas_are_found_and_go_on(freq, name, season, start):
    times = utc(dates(start, 40, freq))
    frequency = found(times[:20])
    assert (frequency.name, frequency.season) == (name, season)
    assert frequency.in_words.removeprefix("one ") == name
    assert frequency.in_words[0].isdigit() == name[0].isdigit()
    assert frequency.fits(times, np.array([20, 20]))
    assert not frequency.fits(np.delete(times, 5), np.array([39]))
    np.testing.assert_array_equal(frequency.after(times[19], 20), times[20:])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("1950-01-01")),
    st.sampled_from([freq for freq, *_ in STEPS]),
    st.integers(7, 30),
    st.integers(1, 30),
)
def test_any_part_of_a_series_tells_the_rest(start, freq, n, horizon):
    times = utc(dates(start, n + horizon, freq))
    np.testing.assert_array_equal(found(times[:n]).after(times[n - 1], horizon), times[n:])


def test_several_series_share_a_step():
    first, second = utc(dates("2020", 5, "h")), utc(dates("2021-03-01 00:30", 1, "h"))
    frequency = found(second, first, second)
    assert frequency.name == "hour"
    after = frequency.after(np.array([first[-1], second[-1]]), 2)
    assert after.shape == (2, 2)
    assert shown_time(after[1, 1]) == "2021-03-01 02:30"


def test_series_of_one_step_have_no_frequency():
    one = utc(dates("2020", 1, "h"))
    assert found(one, one) is None
    assert found(np.array([3])) is None


def test_five_weekdays_are_days_unless_other_series_tell():
    week = utc(dates("2024-01-01", 5, "B"))
    assert found(week).name == "day"
    assert found(week, utc(dates("2024-01-01", 6, "B"))).name == "business day"


def test_business_days_after_a_weekend():
    frequency = found(utc(dates("2024-01-01", 6, "B")))
    saturday = utc(dates("2024-01-06 09:00", 1, "D"))[0]
    assert shown_time(frequency.after(saturday, 1)[0]) == "2024-01-08 09:00"


def test_integers():
    frequency = found(np.array([3, 5, 7]), np.array([10]), np.array([-2, 0]))
    assert frequency == Frequency("integers", 2)
    assert (frequency.name, frequency.season) == ("2", 1)
    assert frequency.after(np.array([7, 0]), 2).tolist() == [[9, 11], [2, 4]]


def test_days_that_a_month_lacks():
    on_the_30th = utc(pd.DatetimeIndex(["2023-08-30", "2023-10-30", "2023-12-30"]))
    after = found(on_the_30th).after(on_the_30th[-1], 2)
    assert list(map(shown_time, after)) == ["2024-02-29", "2024-04-30"]
    # The end of a month is not what counts, if only one of several times is one.
    on_the_28th = utc(pd.DatetimeIndex(["2023-01-28", "2023-02-28"]))
    after = found(on_the_28th).after(on_the_28th[-1], 1)
    assert shown_time(after[0]) == "2023-03-28"
    # A series of one step among month ends keeps its own day.
    ends = found(utc(dates("2023-01-31", 3, "ME")))
    assert shown_time(ends.after(utc(dates("2023-04-15", 1, "D"))[0], 1)[0]) == "2023-05-15"


def test_months_are_not_31_days():
    times = utc(pd.DatetimeIndex(["2023-07-01", "2023-08-01", "2023-09-01"]))
    assert found(times).name == "month"
    assert found(utc(dates("2021-01-01", 3, "365D"))).name == "year"
    assert found(utc(dates("2021-01-01", 8, "31D"))).name == "31 days"


@pytest.mark.parametrize(
    ("freq", "step"),
    [("h", "hour"), ("D", "day"), ("B", "business day"), ("W", "week"), ("ME", "month")],
)
def test_a_missing_row_is_named(freq, step):
    times = utc(dates("2024-01-01 06:00", 20, freq))
    message = (
        f"series 1 is not equally spaced: {shown_time(times[12])} follows "
        f"{shown_time(times[10])}, but the most common step is one {step}. Give the missing "
        "rows with y NaN, or resample, or number the steps with integers"
    )
    with pytest.raises(ValueError, match=message):
        found(times, np.delete(times, 11), np.delete(times, 3))


@pytest.mark.parametrize("freq", ["BMS", "BME"])
def test_days_of_months_that_differ(freq):
    with pytest.raises(
        ValueError, match=r"31 days. Each is in the month after: .*to_period\('M'\)"
    ):
        found(utc(dates("2010-01-01", 60, freq)))


def test_a_missing_integer_is_named():
    with pytest.raises(ValueError, match="series 0 is not .* 7 follows 5, .* step is 1"):
        found(np.array([3, 4, 5, 7, 8]))


def test_a_series_of_another_step_is_named():
    hours, days = utc(dates("2020", 9, "h")), utc(dates("2020", 4, "D"))
    with pytest.raises(ValueError, match="series 1 .* 2020-01-02 follows 2020-01-01, .* hour"):
        found(hours, days)


@pytest.mark.parametrize("start", ["2024-03-29", "2024-10-25"])  # clocks change on Sunday
@pytest.mark.parametrize("freq", ["15min", "h", "6h", "D", "B", "W", "MS", "ME", "YS"])
def test_time_zones(freq, start):
    # pandas steps through local time, except with hours and less.
    index = dates(start, 40, freq, tz=ZONE)
    times = utc(index.tz_convert("UTC").tz_localize(None))
    frequency = found(times[:20], zone=ZONE)
    np.testing.assert_array_equal(frequency.after(times[19], 20), times[20:])
    np.testing.assert_array_equal(to_local(times, ZONE), utc(index.tz_localize(None)))


def test_days_of_utc_in_another_zone():
    times = utc(dates("2024-03-01", 60, "D"))
    assert found(times, zone=ZONE) == found(times)
    with pytest.raises(ValueError, match="2024-03-04 01:00 follows 2024-03-02 01:00"):
        found(np.delete(times, 2), zone=ZONE)


def test_local_times_that_are_skipped_or_shown_twice():
    skipped, twice = np.array(["2024-03-31T02:30", "2024-10-27T02:30"], dtype="M8[us]")
    assert shown_time(to_utc(skipped, ZONE)) == "2024-03-31 01:30"
    assert shown_time(to_local(to_utc(skipped, ZONE), ZONE)) == "2024-03-31 03:30"
    assert shown_time(to_utc(twice, ZONE)) == "2024-10-27 00:30"
    assert shown_time(to_utc(twice, ZONE), ZONE) == "2024-10-27 02:30"


def test_zones_that_are_a_difference_from_utc():
    times = utc(dates("2024-01-01 23:00", 9, "D"))
    for zone in ("+01:00", "UTC+01:00"):
        check_zone(zone, "ds")
        assert shown_time(times[0], zone) == "2024-01-02"
        frequency = found(times[:4], zone=zone)
        np.testing.assert_array_equal(frequency.after(times[3], 5), times[4:])


def test_times_before_1970_where_the_system_knows_none(monkeypatch):
    class OnWindows(datetime):
        @classmethod
        def fromtimestamp(cls, seconds, tz=None):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(_dates, "datetime", OnWindows)
    times = utc(dates("1965-07-01 12:00", 3, "D"))
    assert shown_time(to_local(times, "America/New_York")[0]) == "1965-07-01 08:00"


def test_unknown_zones():
    check_zone(ZONE, "ds")
    for zone in ("Europe/Ghent", "UTC+1:xx", "../etc", "", "tzfile('/x')"):
        with pytest.raises(
            ValueError, match="ds has the time zone .* to UTC .* install tzdata"
        ):
            check_zone(zone, "ds")


def test_standard_times():
    assert standard_times(np.array(["2020"], dtype="M8[D]"), "ds").dtype == "M8[us]"
    assert standard_times(np.array([1500], dtype="M8[ns]"), "ds").dtype == "M8[ns]"
    assert standard_times(np.array([1000], dtype="M8[ns]"), "ds").dtype == "M8[us]"
    assert standard_times(np.array([7], dtype=np.uint8), "ds").dtype == np.int64
    with pytest.raises(ValueError, match="beyond 64 bits"):
        standard_times(np.array([2**63], dtype=np.uint64), "ds")


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.datetimes(pd.Timestamp("1890-01-01"), pd.Timestamp("2190-01-01")), min_size=1),
    st.sampled_from(["M8[us]", "M8[s]", "M8[ns]"]),
)
def test_calendar_is_that_of_pandas(moments, dtype):
    index = pd.DatetimeIndex(moments)
    iso = index.isocalendar()
    december_28 = pd.DatetimeIndex([f"{year}-12-28" for year in iso.year])
    parts = {
        "minute": index.minute / 60,
        "hour": index.hour / 24,
        "dayofweek": index.dayofweek / 7,
        "dayofmonth": (index.day - 1) / index.days_in_month,
        "dayofyear": (index.dayofyear - 1) / np.where(index.is_leap_year, 366, 365),
        "week": (iso.week.to_numpy(float) - 1)
        / december_28.isocalendar().week.to_numpy(float),
        "month": (index.month - 1) / 12,
        "quarter": (index.quarter - 1) / 4,
    }
    columns, names = calendar_columns(index.to_numpy().astype(dtype), CALENDAR)
    assert columns.dtype == np.float64
    assert names == [*(f"{c}_{f}" for c in parts for f in ("sin", "cos")), "year"]
    for k, part in enumerate(parts.values()):
        angle = 2 * np.pi * np.asarray(part, dtype=float)
        np.testing.assert_allclose(columns[:, 2 * k], np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(columns[:, 2 * k + 1], np.cos(angle), atol=1e-12)
    np.testing.assert_array_equal(columns[:, -1], index.year)


def test_calendar_of_a_zone_is_local():
    times = np.array(["2024-06-30T22:00"], dtype="M8[us]")  # July there
    columns, _ = calendar_columns(times, ["hour", "month"], ZONE)
    local, _ = calendar_columns(np.array(["2024-07-01"], dtype="M8[us]"), ["hour", "month"])
    np.testing.assert_array_equal(columns, local)


def test_calendar_columns_in_the_order_asked_for():
    times = utc(dates("2020", 3, "D"))
    assert calendar_columns(times, ["year", "hour"])[1] == ["year", "hour_sin", "hour_cos"]
    assert calendar_columns(times, "hour")[1] == ["hour_sin", "hour_cos"]
    assert calendar_columns(times, [])[0].shape == (3, 0)
    assert calendar_columns(np.arange(3), [])[0].shape == (3, 0)


def test_calendar_errors():
    with pytest.raises(
        ValueError, match="calendar has 'weekday', but knows 'minute', 'hour', "
    ):
        calendar_columns(utc(dates("2020", 3, "D")), ["hour", "weekday"])
    with pytest.raises(ValueError, match=r"calendar=\('hour',\) needs dates, .* integers"):
        calendar_columns(np.arange(3), ["hour"])


@pytest.mark.parametrize(
    "text",
    [
        *["2024", "20240131", "2024-01", "2024-1-5", "2024/01/31", "2024-01-31T12:00"],
        *["2024Q1", "2024-Q4", "2024-W05", "31.1.24", "1/31/2024", "01/2024"],
        *["31 January 2024", "Jan 2024", "jan-24", "January 5, 2024", " 1999-12-31 23:59"],
    ],
)
def test_strings_that_are_dates(text):
    assert looks_like_date(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "week 3", "1", "12", "1.5", "-1", "120.5", "20249999", "mark 1", "x2024", 2024],
)
def test_strings_that_are_none(text):
    assert not looks_like_date(text)
