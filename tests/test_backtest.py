"""Forecasts from earlier origins, and their errors beside naive ones."""

import numpy as np
import pandas as pd
import pytest
from example_series import (
    INDICES,
    LENGTHS,
    PANEL,
    ROLES,
    SERIES,
    Y,
    dates,
    forecaster,
    holes,
    long,
)
from frame_libraries import LIBRARIES, as_library
from sklearn.model_selection import GridSearchCV

from cylstm import LSTMForecaster, TimeSeriesOrigins
from cylstm.metrics import coverage, mase, nd, smape

NAMES = ["y_hat", "y_hat-lo-80", "y_hat-hi-80"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_of_a_long_frame(library):
    frame = long()
    model = forecaster(level=80, **ROLES)
    found = model.backtest(as_library(frame, library), n_windows=2, step=4)
    assert type(found).__module__.partition(".")[0] == library
    names = ["unique_id", "ds", "cutoff", "y", *NAMES, "naive", "seasonal_naive"]
    assert list(found.column_names if library == "pyarrow" else found.columns) == names
    found = pd.DataFrame({name: np.asarray(found[name]) for name in names})
    assert found["unique_id"].tolist() == np.repeat([*LENGTHS], 6).tolist()
    both = found.merge(frame, on=["unique_id", "ds"])
    np.testing.assert_array_equal(both["y_x"], both["y_y"])
    cuts = {
        name: [part["ds"].iloc[n - 3 - back - 1] for back in (4, 0)]
        for (name, n), (_, part) in zip(
            LENGTHS.items(), frame.groupby("unique_id", sort=False), strict=True
        )
    }
    by_origin = found.groupby(["unique_id", "cutoff"], sort=False)
    assert [key for key, _ in by_origin] == [
        (name, cut) for name in LENGTHS for cut in cuts[name]
    ]
    # A model that was fitted before the first origin forecasts from each of them.
    first = frame["unique_id"].map({name: cut[0] for name, cut in cuts.items()})
    model.fit(frame[frame["ds"] <= first])
    for (name, cut), rows in by_origin:
        series = frame[frame["unique_id"] == name]
        before, after = series[series["ds"] <= cut], series[series["ds"] > cut]
        expected = model.predict(before, future=after)
        np.testing.assert_array_equal(rows[NAMES], expected[NAMES])
        assert (rows["ds"].to_numpy() == expected["ds"].to_numpy()).all()
        assert (rows["naive"] == before["y"].iloc[-1]).all()
        np.testing.assert_array_equal(rows["seasonal_naive"], before["y"][-4:-1])


def test_of_arrays():
    series = [holes(x) for x in SERIES]
    model = forecaster(**INDICES)
    found = model.backtest(series, n_windows=2)
    names = ["unique_id", "ds", "cutoff", "y", "y_hat", "naive", "seasonal_naive"]
    assert list(found) == names
    assert found["unique_id"].unique().tolist() == ["series 0", "series 1", "series 2"]
    assert found["ds"].iloc[:6].tolist() == [*range(64, 70)]
    assert found["cutoff"].iloc[:6].tolist() == [63] * 3 + [66] * 3
    np.testing.assert_array_equal(found["y"].iloc[:6], series[0][-6:, 0])
    model.fit([x[:-6] for x in series])
    one = model.predict(series[1][:-3], future=holes(SERIES[1])[-3:, 1:2] * 0 + 1)
    assert one.shape == (3, 1)
    assert not hasattr(forecaster(**INDICES), "_network")


def test_of_a_series_with_dates_and_of_a_numbered_one():
    of_dates = forecaster().backtest(pd.Series(Y, dates(70)), n_windows=1)
    assert of_dates["ds"].tolist() == dates(70)[-3:].tolist()
    assert of_dates["cutoff"].tolist() == [dates(70)[-4]] * 3
    of_numbers = forecaster().backtest(Y, n_windows=1)
    np.testing.assert_array_equal(of_dates["y_hat"], of_numbers["y_hat"])


def test_of_several_targets():
    x = SERIES[0][:, :2]
    found = forecaster().backtest(x, n_windows=2)
    assert found["target"].tolist() == [0, 1] * 6
    np.testing.assert_array_equal(found["y"], x[-6:].ravel())
    expected = forecaster().fit(x[:-6]).predict()
    np.testing.assert_array_equal(found["y_hat"][:6], expected.ravel())
    wide = pd.DataFrame(x, columns=["u", "v"])
    assert forecaster().backtest(wide)["target"].tolist() == ["u", "v"] * 9
    assert forecaster().backtest([wide] * 2)["target"].tolist() == ["u", "v"] * 18


def test_refitted():
    model = forecaster(level=80)
    found = model.backtest(PANEL, n_windows=2, step=1, refit=True)
    for k, y in enumerate(PANEL):
        for window, n in enumerate((len(y) - 4, len(y) - 3)):
            cut = [other[: len(other) - len(y) + n] for other in PANEL]
            start = 6 * k + 3 * window
            expected = model.fit(cut).predict()[k]
            np.testing.assert_array_equal(found[NAMES][start : start + 3], expected)


def test_the_forecaster_itself_is_not_fitted(tmp_path):
    model = forecaster(checkpoint=tmp_path / "fit")
    model.backtest(Y, n_windows=2, refit=True)
    model.evaluate(Y)
    assert not hasattr(model, "_network")
    assert not [*tmp_path.iterdir()]
    model.fit(Y[:50])
    expected = model.predict()
    model.backtest(Y)
    np.testing.assert_array_equal(model.predict(), expected)


# From some origin nothing was observed.
@pytest.mark.filterwarnings("ignore:1 of .* series are left out of the mean")
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("missing", [False, True])
def test_evaluate(n_targets, missing):
    series = [x[:, :n_targets] for x in SERIES]
    if missing:
        series = [holes(x, range(n_targets)) for x in series]
    model = forecaster(level=(80, 50), calibration_windows=9)
    found = model.evaluate(series, n_windows=2)
    frame = model.backtest(series, n_windows=2)
    shape = 3, 2, 3, n_targets  # series, origins, steps, targets
    actual = frame["y"].to_numpy().reshape(shape)
    histories = [
        x[: len(x) - back, j] for j in range(n_targets) for x in series for back in (6, 3)
    ]

    def by_series(values):
        return np.asarray(values).reshape(shape).transpose(3, 0, 1, 2).reshape(-1, 3)

    assert found["model"].tolist() == ["LSTMForecaster", "naive", "seasonal_naive"]
    measures = [f"{m}-{level}" for level in (80, 50) for m in ("coverage", "width")]
    assert list(found) == ["model", "mae", "rmse", "mase", "smape", "nd", *measures]
    y = by_series(actual)
    for row, name in enumerate(("y_hat", "naive", "seasonal_naive")):
        forecast = by_series(frame[name])
        error = (y - forecast)[~np.isnan(y)]
        expected = {
            "mae": np.abs(error).mean(),
            "rmse": np.sqrt((error**2).mean()),
            "mase": mase(y, forecast, histories, 4),
            "smape": smape(y, forecast),
            "nd": nd(y, forecast),
        }
        for measure, value in expected.items():
            assert found[measure][row] == pytest.approx(value), measure
    for level in (80, 50):
        lower, upper = (by_series(frame[f"y_hat-{end}-{level}"]) for end in ("lo", "hi"))
        assert found[f"coverage-{level}"][0] == pytest.approx(coverage(y, lower, upper))
        assert found[f"width-{level}"][0] == pytest.approx((upper - lower).mean())
        assert (found[f"coverage-{level}"] <= 1).all()
        assert np.isfinite(found[f"width-{level}"]).all()


def test_score_is_minus_the_mase_of_the_last_horizon():
    model = forecaster().fit(PANEL)
    cut = [y[:-3] for y in PANEL]
    after = [y[-3:] for y in PANEL]
    assert model.score(PANEL) == pytest.approx(-mase(after, model.predict(cut), cut, 4))
    known = forecaster(**ROLES).fit(long())
    assert known.score(long()) < 0  # with the promos that are in it


def test_scored_steps_that_were_trained_on():
    model = forecaster().fit([y[:-1] for y in PANEL])
    with pytest.warns(UserWarning, match=r"^2 of the 3 steps of series 0 .*s\(horizon=3\)"):
        model.score(PANEL)
    model.score([y[:-1] for y in PANEL])  # all of them
    model.fit([y[:-3] for y in PANEL]).score(PANEL)  # none
    model.score([PANEL[1], PANEL[0]])  # other series
    with pytest.warns(UserWarning, match="1 of the 3 steps of series 1"):
        model.fit([Y[:-3], PANEL[1][:-2]]).score(PANEL)
    # What intervals are calibrated on is not trained on.
    forecaster(level=80).fit(Y[:-1]).score(Y)
    y = Y.copy()
    y[60:63] = np.nan
    with pytest.warns(UserWarning, match="2 of the 3 steps of y"):
        forecaster().fit(y[:-1]).score(y)
    search = GridSearchCV(forecaster(), {"context": [4]}, cv=TimeSeriesOrigins(2, horizon=1))
    with pytest.warns(UserWarning, match="2 of the 3 steps of y"):
        search.fit(Y)


def test_intervals_cover():
    """Of random walks, whose errors are alike over time."""
    rng = np.random.default_rng(0)
    walks = [*rng.normal(size=(300, 80)).cumsum(axis=1)]
    model = LSTMForecaster(
        4,
        season=1,
        context=10,
        hidden_layer_sizes=4,
        max_iter=2,
        level=(80, 95),
        random_state=0,
    )
    found = model.evaluate(walks, n_windows=3)
    for level in (80, 95):
        for covered in found[f"coverage-{level}"][:2]:
            assert covered == pytest.approx(level / 100, abs=0.04)
    quantiles = model.set_params(quantiles=(0.1, 0.9)).evaluate(walks)
    assert quantiles["coverage-80"][0] == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_windows": 0}, "'n_windows' parameter of backtest"),
        ({"n_windows": 1.5}, "'n_windows'"),
        ({"step": 0}, "'step'"),
        ({"step": 2**70}, "step must fit in 64 bits"),
        ({"refit": "yes"}, "'refit'"),
        ({"n_windows": 30}, "y has 70 steps, too few for n_windows=30: .* the last 90 to "),
        ({"n_windows": 22}, "n_windows=22: .* last 66 .* season . 1 = 5 are needed before"),
    ],
)
def test_bad_settings(settings, message):
    for method in ("backtest", "evaluate"):
        with pytest.raises(ValueError, match=message):
            getattr(forecaster(), method)(Y, **settings)


def test_origins_before_which_there_is_too_little():
    model = forecaster().fit(Y)
    with pytest.raises(ValueError, match="series 1 has 4 steps: .* last 3 from season"):
        model.score([Y, Y[:4]])
    with pytest.raises(ValueError, match="y has 1 step: too few to forecast the last 3 from"):
        model.score(Y[:1])
    with pytest.raises(ValueError, match="y has 3 steps: too few"):
        model.score(np.r_[np.full(30, np.nan), Y[:3]])
    with pytest.raises(ValueError, match="y has 9 steps, too few for n_windows=3: "):
        forecaster().backtest(np.r_[np.full(30, np.nan), Y[:9]])
    with pytest.raises(ValueError, match="y has no value in the steps that are forecast"):
        forecaster().evaluate(np.r_[Y[:-9], np.full(9, np.nan)])
    with pytest.raises(ValueError, match="'horizon' parameter"):
        forecaster(horizon=0).backtest(Y)
