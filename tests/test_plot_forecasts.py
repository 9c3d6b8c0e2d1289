"""ForecastDisplay."""

import re

import numpy as np
import pandas as pd
import pytest
from frame_libraries import as_library
from sklearn.exceptions import NotFittedError

from cylstm import LSTMForecaster, LSTMRegressor
from cylstm.plotting import ForecastDisplay

RNG = np.random.default_rng(0)
Y = 10 + np.sin(np.arange(90) * 2 * np.pi / 12) + 0.1 * RNG.normal(size=90)
H = 6


def forecaster(horizon=H, **settings):
    return LSTMForecaster(
        horizon,
        **{"max_iter": 1, "season": 12, "level": [80, 50], "random_state": 0, **settings},
    )


def long_frame(n_series=3, zone=None):
    dates = pd.date_range("2024-01-29", periods=len(Y), freq="h", tz=zone)
    return pd.concat(
        [
            pd.DataFrame({"unique_id": f"s{k}", "ds": dates, "y": (k + 1) * Y})
            for k in range(n_series)
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module", autouse=True)
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


@pytest.fixture(autouse=True)
def _close(plt):
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    return forecaster().fit(Y[:-H])


@pytest.fixture(scope="module")
def fitted_long():
    return forecaster().fit(long_frame())


@pytest.fixture(scope="module")
def frame():
    return forecaster().backtest(long_frame(), n_windows=3)


def values_of(line):
    return line.get_ydata()


def top_and_bottom(interval):
    """Ends of a shaded interval, from left to right."""
    path = interval.get_paths()[0].vertices
    times = np.unique(path[:, 0])
    return tuple(
        np.array([of(path[path[:, 0] == time, 1]) for time in times])
        for of in (np.min, np.max)
    )


def label_times(ax):
    ax.figure.canvas.draw()
    return [label.get_text() for label in ax.get_xticklabels()]


def test_forecast_of_an_array(fitted):
    display = ForecastDisplay.from_forecaster(fitted, actual=Y[-H:], color="r")
    predicted = fitted.predict()
    (lines,), (intervals,) = display.lines_, display.intervals_
    assert set(lines) == {"history", "y", "y_hat"}
    np.testing.assert_array_equal(values_of(lines["y_hat"]), predicted[:, 0])
    np.testing.assert_array_equal(values_of(lines["y"]), Y[-H:])
    np.testing.assert_array_equal(values_of(lines["history"]), Y[:-H][-fitted.context_ :])
    np.testing.assert_array_equal(lines["y_hat"].get_xdata(), np.arange(1, H + 1))
    assert lines["history"].get_xdata()[-1] == 0
    assert lines["y_hat"].get_color() == "r"
    assert [*intervals] == [80, 50]
    for level, columns in ((80, (1, 2)), (50, (3, 4))):
        lower, upper = top_and_bottom(intervals[level])
        np.testing.assert_array_equal(lower, predicted[:, columns[0]])
        np.testing.assert_array_equal(upper, predicted[:, columns[1]])
    shades = [interval.get_facecolor()[0] for interval in intervals.values()]
    assert shades[0][1] > shades[1][1]  # the narrower one is darker
    assert display.axes_.shape == (1,)
    assert display.axes_[0].get_xlabel() == "steps after the last"
    labels = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert labels == ["history", "actual", "forecast", "80%", "50%"]


def test_settings_of_predict(fitted):
    other = Y[:50] + 5
    display = ForecastDisplay.from_forecaster(fitted, other, horizon=9, level=80, n_history=4)
    predicted = fitted.predict(other, horizon=9, level=80)
    (lines,), (intervals,) = display.lines_, display.intervals_
    np.testing.assert_array_equal(values_of(lines["y_hat"]), predicted[:, 0])
    np.testing.assert_array_equal(values_of(lines["history"]), other[-4:])
    assert [*intervals] == [80]
    without = ForecastDisplay.from_forecaster(fitted, level=(), n_history=0)
    assert without.intervals_ == [{}]
    assert set(without.lines_[0]) == {"y_hat"}


def test_one_step_is_seen():
    model = forecaster(1).fit(Y[:-1])
    display = ForecastDisplay.from_forecaster(model, actual=Y[-1:])
    assert display.lines_[0]["y_hat"].get_marker() == "o"
    segment = display.intervals_[0][80].get_segments()[0]
    np.testing.assert_array_equal(segment[:, 1], model.predict()[0, 1:3])


def test_series_given_ax_and_several_of_it(fitted, plt):
    _, axes = plt.subplots(2)
    display = ForecastDisplay.from_forecaster(fitted, ax=axes[1])
    assert display.axes_[0] is axes[1]
    assert not axes[0].lines
    with pytest.raises(ValueError, match="must be 1 matplotlib Axes"):
        ForecastDisplay.from_forecaster(fitted, ax=axes)
    again = display.plot()
    assert again.axes_[0] is not axes[1]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_panel(library):
    train = long_frame()
    last = train.groupby("unique_id").cumcount() >= len(Y) - H
    given, came = (as_library(part, library) for part in (train[~last], train[last][::-1]))
    model = forecaster().fit(given)
    display = ForecastDisplay.from_forecaster(model, actual=came, ids=["s2", "s0"])
    assert [ax.get_title() for ax in display.axes_] == ["s2", "s0"]
    predicted = model.predict()
    names = np.array(predicted["unique_id"].to_list())
    for lines, name, scale in zip(display.lines_, ("s2", "s0"), (3, 1), strict=True):
        expected = predicted["y_hat"].to_numpy()[names == name]
        np.testing.assert_array_equal(values_of(lines["y_hat"]), expected)
        np.testing.assert_array_equal(values_of(lines["y"]), scale * Y[-H:])
        dates = lines["y_hat"].get_xdata()
        assert dates[0] == np.datetime64("2024-02-01T12")
        assert lines["history"].get_xdata()[-1] == np.datetime64("2024-02-01T11")
    assert "Feb-01" in label_times(display.axes_[0])


def test_as_many_as_fit():
    y = [Y + k for k in range(11)]
    model = forecaster(max_iter=1).fit(y)
    display = ForecastDisplay.from_forecaster(model)
    assert len(display.axes_) == len(display.figure_.axes) == 9
    chosen = ForecastDisplay.from_forecaster(model, ids="series 10")
    assert [ax.get_title() for ax in chosen.axes_] == ["series 10"]
    np.testing.assert_array_equal(
        values_of(chosen.lines_[0]["y_hat"]), model.predict(level=())[10]
    )
    all_of_them = ForecastDisplay.from_forecaster(
        model, ids=[f"series {k}" for k in range(11)]
    )
    assert len(all_of_them.figure_.axes) == 11
    assert len(all_of_them.figure_.legends) == 1


def test_several_targets():
    y = pd.DataFrame({"a": Y, "b": -Y}, index=pd.period_range("2000-01", periods=90, freq="M"))
    model = forecaster(season=None).fit(y[:-H])
    display = ForecastDisplay.from_forecaster(model, actual=y[-H:])
    assert [ax.get_title() for ax in display.axes_] == ["a", "b"]
    np.testing.assert_array_equal(values_of(display.lines_[1]["y"]), -Y[-H:])
    assert display.lines_[1]["y"].get_xdata()[-1] == np.datetime64("2007-06")
    arrays = ForecastDisplay.from_forecaster(forecaster().fit([y.to_numpy()] * 2))
    titles = [ax.get_title() for ax in arrays.axes_]
    assert titles[1:3] == ["series 0, column 1", "series 1, column 0"]
    frame = forecaster(season=None).backtest(y, n_windows=1)
    tested = ForecastDisplay.from_backtest(frame, history=y)
    assert [ax.get_title() for ax in tested.axes_] == ["y, column a", "y, column b"]
    np.testing.assert_array_equal(values_of(tested.lines_[1]["y"]), -Y[-H:])
    np.testing.assert_array_equal(values_of(tested.lines_[1]["history"]), -Y[-3 * H :])


def test_known_columns_of_the_future():
    holiday = (np.arange(90) % 7 == 0).astype(float)
    y = np.column_stack([Y, holiday])
    model = forecaster(known=[1]).fit(y[:-H])
    display = ForecastDisplay.from_forecaster(model, future=holiday[-H:], actual=y[-H:])
    lines = display.lines_[0]
    expected = model.predict(future=holiday[-H:], level=())[:, 0]
    np.testing.assert_array_equal(values_of(lines["y_hat"]), expected)
    np.testing.assert_array_equal(values_of(lines["y"]), Y[-H:])
    bare = ForecastDisplay.from_forecaster(model, future=holiday[-H:], actual=Y[-H:])
    np.testing.assert_array_equal(values_of(bare.lines_[0]["y"]), Y[-H:])
    with pytest.raises(ValueError, match="future is missing"):
        ForecastDisplay.from_forecaster(model)


def test_known_columns_of_chosen_series():
    y = long_frame().assign(price=lambda frame: RNG.normal(size=len(frame)))
    future = y.groupby("unique_id").tail(H)
    model = forecaster(known=["price"], max_iter=3).fit(y.drop(future.index))
    display = ForecastDisplay.from_forecaster(model, future=future, ids=["s2", "s1"])
    expected = model.predict(future=future).set_index("unique_id").y_hat
    for lines, name in zip(display.lines_, ("s2", "s1"), strict=True):
        np.testing.assert_array_equal(values_of(lines["y_hat"]), expected[name])


def test_time_zone():
    y = long_frame(1, zone="Asia/Tokyo")
    display = ForecastDisplay.from_forecaster(forecaster().fit(y), n_history=3)
    last = display.lines_[0]["history"].get_xdata()[-1]
    assert last == y.ds.iloc[-1].tz_convert("UTC").tz_localize(None)
    hours = label_times(display.axes_[0])  # 15:00 to 23:00 there, 6:00 to 14:00 in UTC
    assert "18:00" in hours
    assert "08:00" not in hours
    days = ForecastDisplay.from_forecaster(forecaster(context=90).fit(y)).axes_[0].get_xticks()
    np.testing.assert_allclose(days % 0.5, 0.125)  # noon and midnight there


def test_backtest(frame):
    display = ForecastDisplay.from_backtest(frame, history=long_frame())
    assert [ax.get_title() for ax in display.axes_] == ["s0", "s1", "s2"]
    rows = frame[frame.unique_id == "s1"]
    lines, intervals = display.lines_[1], display.intervals_[1]
    assert set(lines) == {"history", "y", "naive", "seasonal_naive", "y_hat"}
    for name in ("y", "naive", "seasonal_naive", "y_hat"):
        drawn = values_of(lines[name])
        np.testing.assert_array_equal(drawn[~np.isnan(drawn)], rows[name])
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(drawn)), [H, 2 * H + 1])
    assert lines["naive"].get_linewidth() < lines["y_hat"].get_linewidth()
    # Twice as many steps as are forecast, and up to the end of these.
    np.testing.assert_array_equal(values_of(lines["history"]), 2 * Y[-9 * H :])
    assert [*intervals] == [80, 50]
    assert len(intervals[80].get_paths()) == 3
    cutoffs = [line for line in display.axes_[1].lines if line.get_linestyle() == ":"]
    assert len(cutoffs) == 3


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_a_cutoff_may_be_a_string(library, zone):
    frame = forecaster().backtest(long_frame(1, zone))
    cutoff = frame.cutoff.unique()[1]
    display = ForecastDisplay.from_backtest(
        as_library(frame, library), cutoff=cutoff.strftime("%Y-%m-%d %H:%M")
    )
    (lines,) = display.lines_
    expected = frame[frame.cutoff == cutoff].y_hat
    np.testing.assert_array_equal(values_of(lines["y_hat"]), expected)
    with pytest.raises(ValueError, match="frame has no forecasts with cutoff='2020-01-01'"):
        ForecastDisplay.from_backtest(as_library(frame, library), cutoff="2020-01-01")
    with pytest.raises(ValueError, match="cutoff='last' is no time"):
        ForecastDisplay.from_backtest(as_library(frame, library), cutoff="last")


def test_ids_that_are_written_alike():
    y = pd.concat(
        [long_frame(1).assign(unique_id=pd.Series([an_id] * len(Y))) for an_id in (1, "1")]
    )
    model = forecaster().fit(y)
    frame = model.backtest(y)
    for display in (
        ForecastDisplay.from_forecaster(model),
        ForecastDisplay.from_backtest(frame, history=y),
    ):
        assert [ax.get_title() for ax in display.axes_] == ["1", "'1'"]
    wide = pd.DataFrame({1: Y, "1": 2 * Y})
    display = ForecastDisplay.from_forecaster(forecaster().fit(wide))
    assert [ax.get_title() for ax in display.axes_] == ["1", "'1'"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_part_of_a_backtest(frame, library):
    cutoff = frame.cutoff.unique()[1]
    display = ForecastDisplay.from_backtest(
        as_library(frame.sample(frac=1, random_state=0), library),
        ids="s2",
        cutoff=cutoff if library == "pandas" else cutoff.to_pydatetime(),
        level=50,
        baselines=False,
        ax=None,
        linestyle="--",
    )
    rows = frame[(frame.unique_id == "s2") & (frame.cutoff == cutoff)]
    (lines,), (intervals,) = display.lines_, display.intervals_
    assert set(lines) == {"y", "y_hat"}
    np.testing.assert_array_equal(values_of(lines["y_hat"]), rows.y_hat)
    np.testing.assert_array_equal(lines["y"].get_xdata(), rows.ds)
    assert lines["y_hat"].get_linestyle() == "--"
    assert [*intervals] == [50]
    np.testing.assert_array_equal(top_and_bottom(intervals[50])[0], rows["y_hat-lo-50"])


def test_overlapping_forecasts_are_left_out():
    frame = forecaster().backtest(Y, n_windows=10, step=2)
    (lines,) = ForecastDisplay.from_backtest(frame).lines_
    kept = frame[frame.cutoff.isin([89 - H, 89 - 2 * H, 89 - 3 * H, 89 - 4 * H])]
    drawn = values_of(lines["y_hat"])
    np.testing.assert_array_equal(drawn[~np.isnan(drawn)], kept.y_hat)


def test_forecasts_of_one_step_are_joined():
    frame = forecaster(1, season=1).backtest(Y, n_windows=20, step=1)
    display = ForecastDisplay.from_backtest(frame, history=Y, n_history=7)
    (lines,) = display.lines_
    np.testing.assert_array_equal(values_of(lines["y_hat"]), frame.y_hat)
    np.testing.assert_array_equal(lines["y_hat"].get_xdata(), np.arange(70, 90))
    np.testing.assert_array_equal(values_of(lines["history"]), Y[-27:])
    assert "seasonal_naive" not in lines  # without a season that is the last value


def test_other_names_of_columns():
    names = {"unique_id": "shop", "ds": "day", "y": "sales"}
    y = long_frame(2).rename(columns=names)
    roles = {"id_column": "shop", "time_column": "day", "target_column": "sales"}
    frame = forecaster(**roles).backtest(y, n_windows=1)
    with pytest.raises(ValueError, match="frame has no column 'unique_id'. It has 'shop'"):
        ForecastDisplay.from_backtest(frame)
    display = ForecastDisplay.from_backtest(frame, history=y, **roles)
    assert [ax.get_title() for ax in display.axes_] == ["s0", "s1"]


def test_missing_values_and_infinite_ends_are_gaps(plt):
    columns = {
        "time": np.arange(4),
        "y_hat": [1, 2, np.nan, 4],
        "y_hat-lo-95": [0, -np.inf, 1, 2],
        "y_hat-hi-95": [2, np.inf, 3, 5],
    }
    display = ForecastDisplay(forecasts={"a": columns}).plot()
    assert np.isfinite(display.axes_[0].get_ylim()).all()
    assert len(display.intervals_[0][95].get_paths()) == 2
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"ids": ["s0", "x"]},
            "ids=['s0', 'x']: there is no series 'x'. The series are ['s0'",
        ),
        ({"ids": []}, "ids=[]: no series is chosen"),
        (
            {"cutoff": pd.Timestamp("2030-01-01")},
            "frame has no forecasts with cutoff=Timestamp",
        ),
        ({"level": 90}, "level=90: frame has no intervals of 90%, only of [80.0, 50.0]"),
        ({"history": Y}, "history has no times, but frame has dates"),
        ({"history": long_frame(1)}, "history has no series 's1'. Its series are ['s0']"),
        ({"history": long_frame(1, zone="UTC"), "ids": "s0"}, "history has dates in the time"),
        ({"history": np.ones((90, 2))}, "history has 2 columns, but 1 is forecast"),
        (
            {"history": long_frame(), "n_history": -1},
            "n_history=-1 must be an int of at least",
        ),
    ],
)
def test_bad_arguments_for_a_backtest(frame, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ForecastDisplay.from_backtest(frame, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ids": 3}, "ids=[3]: there is no series 3. The series are ['s0', 's1', 's2']"),
        ({"n_history": 1.5}, "n_history=1.5 must be an int of at least 0"),
        ({"level": 99.99}, "level=99.99: an interval of 99.99% needs 9999 windows"),
        ({"actual": long_frame()}, "actual has no value at the times that are forecast"),
        ({"actual": [Y, Y]}, "actual has no series 's0'. Its series are ['series 0'"),
        ({"actual": long_frame(zone="UTC")}, "actual has dates in the time zone UTC, but"),
        ({"actual": np.ones((9, 2))}, "actual has 2 columns, but 1 is forecast"),
    ],
)
def test_bad_arguments_for_a_forecaster(fitted_long, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ForecastDisplay.from_forecaster(fitted_long, **settings)


def test_what_cannot_be_drawn(fitted):
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_forecaster(LSTMForecaster())
    model = LSTMRegressor(2, max_iter=1).fit(np.ones((4, 3, 1)), np.arange(4))
    with pytest.raises(ValueError, match="LSTMRegressor has none"):
        ForecastDisplay.from_forecaster(model)
    with pytest.raises(ValueError, match="actual is of 2 series, but 1 are forecast"):
        ForecastDisplay.from_forecaster(fitted, actual=[Y, Y])
    with pytest.raises(ValueError, match="frame is of type ndarray"):
        ForecastDisplay.from_backtest(Y)
    frame = forecaster().backtest(Y, n_windows=1)
    for column in ("ds", "cutoff", "y", "y_hat"):
        with pytest.raises(ValueError, match=f"frame has no column '{column}'"):
            ForecastDisplay.from_backtest(frame.drop(columns=column))
    later = frame.assign(ds=frame.ds + 1000)
    with pytest.raises(ValueError, match="history has 90 steps and no times, but the fore"):
        ForecastDisplay.from_backtest(later, history=Y)
    with pytest.raises(ValueError, match="frame has no rows"):
        ForecastDisplay.from_backtest(frame[:0])


@pytest.mark.parametrize(
    ("forecasts", "message"),
    [
        ({}, "forecasts={} must be a dict of dicts"),
        ({"a": [1]}, "forecasts['a']=[1] must be a dict of columns"),
        ({"a": {"time": [1]}}, "forecasts['a'] has no column 'y_hat'. It has ['time']"),
        ({"a": {"time": [1], "y_hat": [1], "y_hat-lo-80": [0]}}, "no column 'y_hat-hi-80'"),
        ({"a": {"time": [1], "y_hat": [1, 2]}}, "has the shape (2,), but 'time' has (1,)"),
        ({"a": {"time": ["x"], "y_hat": [1]}}, "column 'time' of forecasts['a'] must hold"),
        ({"a": {"time": [], "y_hat": []}}, "has shape (0,)"),
    ],
)
def test_bad_columns(forecasts, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ForecastDisplay(forecasts=forecasts).plot()


def test_histories_of_other_titles():
    forecasts = {"a": {"time": [1], "y_hat": [1]}}
    with pytest.raises(ValueError, match="histories has 'b', but forecasts only"):
        ForecastDisplay(forecasts=forecasts, histories={"b": ([0], [1])}).plot()
