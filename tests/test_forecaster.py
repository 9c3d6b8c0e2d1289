"""LSTMForecaster: forecasts in every form, of every kind of series; parameters; sklearn."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from example_sequences import training_of, weights_of
from example_series import (
    FUTURE,
    INDICES,
    NAMES,
    PANEL,
    ROLES,
    SERIES,
    Y,
    assert_same,
    columns,
    dates,
    forecaster,
    holes,
    long,
    long_future,
)
from frame_libraries import LIBRARIES, as_library
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from cylstm import LSTMForecaster, TimeSeriesOrigins, _forecaster
from cylstm._linear import LinearPart
from cylstm._panel import read_panel
from cylstm._training import NonFiniteLossError
from cylstm._windows import SeriesInputs


def gap(x, which):
    """20 more steps, in which some columns are missing but for the last target."""
    more = x[-20:].copy()
    more[:, which] = np.nan
    more[-9:, 0] = x[-9:, 0]
    return more


WITH_DATES = pd.Series(Y, dates(len(Y)))


class TestForms:
    @pytest.mark.parametrize(
        "form",
        [
            list,
            tuple,
            lambda y: y[:, None],
            lambda y: pd.Series(y, name="y"),
            lambda y: pd.Series(y, dates(len(y)))[::-1],
            lambda y: pd.DataFrame({"sales": y}, dates(len(y))),
            lambda y: pd.DataFrame({"ds": dates(len(y)), "y": y}),
            lambda y: [y],
        ],
        ids=["list", "tuple", "2-D", "Series", "dates", "wide", "long", "list of one"],
    )
    def test_one_series_in_any_form(self, form):
        expected = forecaster(level=80).fit(Y).predict()
        model = forecaster(level=80).fit(form(Y))
        assert expected.shape == (3, 3)
        for forecast in (model.predict(), model.predict(form(Y)), model.predict(Y)):
            if isinstance(forecast, pd.DataFrame):
                forecast = forecast.drop(columns="ds", errors="ignore").to_numpy()
            np.testing.assert_array_equal(np.reshape(forecast, (3, 3)), expected)

    @pytest.mark.parametrize("library", LIBRARIES)
    def test_a_panel_in_any_form(self, library):
        settings = {"level": (80, 50), "quantiles": (0.25, 0.75)}
        model = forecaster(**INDICES, **settings).fit(SERIES)
        expected = model.predict(future=FUTURE)
        assert expected[0].shape == (3, 1, 7)
        shuffled = long().sample(frac=1, random_state=0)
        # Ids come in the order of their first rows.
        shuffled = pd.concat([long().groupby("unique_id", sort=False).head(1), shuffled])
        frame = as_library(shuffled.drop_duplicates().reset_index(drop=True), library)
        future = as_library(long_future().iloc[::-1].reset_index(drop=True), library)
        of_frame = forecaster(**ROLES, **settings).fit(frame)
        assert weights_of(of_frame) == weights_of(model)
        found = of_frame.predict(future=future)
        names = ["y_hat", *(f"y_hat-{end}-{q}" for q in (80, 50) for end in ("lo", "hi"))]
        names += ["y_hat-q0.25", "y_hat-q0.75"]
        given = found.columns if library != "pyarrow" else found.column_names
        assert list(given) == ["unique_id", "ds", *names]
        values = np.column_stack([np.asarray(found[name]) for name in names])
        np.testing.assert_array_equal(values, np.concatenate(expected)[:, 0])
        if library == "pandas":
            wanted = long_future()[["unique_id", "ds"]]
            pd.testing.assert_frame_equal(found[["unique_id", "ds"]], wanted)

    @pytest.mark.parametrize(
        "form",
        [
            lambda y: pd.Series(y, [f"week {k}" for k in range(len(y))]),
            lambda y: pd.DataFrame({"sales": y}, ["x"] * len(y)),
            lambda y: pd.Series(y),
            lambda y: pd.Series(y, dates(len(y))),
            lambda y: pd.DataFrame({"ds": dates(len(y)), "y": y}),
            lambda y: pd.DataFrame({"ds": dates(len(y)), "y": y, "unique_id": "a"}),
        ],
        ids=["labels", "wide", "numbers", "dates", "one long", "long"],
    )
    def test_labels_after_fit_are_those_of_the_series(self, form):
        y = form(Y)
        model = forecaster().fit(y)
        forecast = model.predict()
        assert forecast.equals(model.predict(y))
        if "unique_id" not in y:
            of_list = forecaster().fit([y, y[10:]])
            after, expected = of_list.predict(), of_list.predict([y, y[10:]])
            assert all(one.equals(other) for one, other in zip(after, expected, strict=True))

    def test_steps_in_messages_are_those_of_the_series(self):
        model = forecaster(known=(1,)).fit(SERIES[0][:, :2])
        with pytest.raises(ValueError, match="no finite value in column 1 for y at step 71"):
            model.predict(future=[1, np.nan, 2])

    def test_several_targets(self):
        both = [x[:, :2] for x in SERIES]
        model = forecaster(level=80).fit(both)
        forecasts = model.predict()
        assert [f.shape for f in forecasts] == [(3, 2, 3)] * 3
        assert_same(forecasts, model.predict(both))
        wide = pd.DataFrame(both[0], dates(len(Y)), ["u", "v"])
        found = forecaster(level=80).fit(wide).predict()
        ends = ["u_hat", "u_hat-lo-80", "u_hat-hi-80", "v_hat", "v_hat-lo-80", "v_hat-hi-80"]
        assert list(found) == ends
        expected = forecaster(level=80).fit(both[0]).predict().reshape(3, 6)
        np.testing.assert_array_equal(found, expected)

    def test_roles_of_columns(self):
        wide = [pd.DataFrame(x, columns=NAMES) for x in SERIES]
        future = [pd.DataFrame(f, columns=["promo"]) for f in FUTURE]
        expected = forecaster(**INDICES).fit(SERIES).predict(future=FUTURE)
        found = forecaster(**ROLES).fit(wide).predict(future=future)
        assert_same([f.to_numpy() for f in found], expected)
        negative = forecaster(known=(-3,), past=(-2,), static=(-1,)).fit(SERIES)
        assert_same(negative.predict(future=FUTURE), expected)
        one = forecaster(known="promo", past=["visits"], static=pd.Index(["size"])).fit(wide)
        assert_same([f.to_numpy() for f in one.predict(future=future)], expected)

    def test_integers_and_single_precision(self):
        whole = np.round(100 * Y)
        expected = forecaster().fit(whole).predict()
        for y in (whole.astype(int), whole.astype("f4"), pd.Series(whole, dtype="Int64")):
            assert_same(np.asarray(forecaster().fit(y).predict()), expected)

    def test_the_season_and_the_calendar_come_from_the_dates(self):
        model = forecaster(season=None, calendar=("hour", "dayofweek")).fit(WITH_DATES)
        assert model.season_ == 24
        assert forecaster(season=None).fit(Y).season_ == 1
        # Its own name, one column, and both of all rows are read.
        assert forecaster(calendar="hour").fit(long()).predict().shape == (9, 3)
        found = model.predict()
        assert (found.index == dates(len(Y) + 3)[-3:]).all()
        later = WITH_DATES.set_axis(WITH_DATES.index + pd.Timedelta("5h"))
        assert not np.array_equal(model.predict(later), found)

    @pytest.mark.parametrize(
        ("season", "n", "horizon", "context"),
        [
            (1, 400, 1, 28),
            (24, 1000, 24, 168),
            (12, 100, 12, 24),
            (4, 90, 3, 20),
            (1, 9, 6, 6),
        ],
    )
    def test_the_automatic_context(self, season, n, horizon, context):
        model = forecaster(context=None, season=season, horizon=horizon)
        assert model.fit(np.sin(np.arange(n))).context_ == context


class TestSameBits:
    @pytest.mark.parametrize(
        "series",
        [
            SERIES,
            [holes(x) for x in SERIES],
            [holes(x, [1]) for x in SERIES],
            [holes(x, [2]) for x in SERIES],
            [np.vstack([[[np.nan] * 3 + [float(k)]] * 30, x]) for k, x in enumerate(SERIES)],
            [np.vstack([x, gap(x, (0, 2))]) for x in SERIES],
            [np.vstack([x, gap(x, (1,))]) for x in SERIES],
            [np.vstack([x, gap(x, (2,))]) for x in SERIES],
            [np.vstack([x, [x[-1]] * 40]) for x in SERIES],
        ],
        ids=[
            "whole",
            "holes",
            "holes in known",
            "holes in past",
            "late start",
            "gap at the end",
            "gap in known",
            "gap in past",
            "constant at the end",
        ],
    )
    def test_of_the_end_of_the_fitted_series(self, series):
        model = forecaster(level=80, calibration_windows=9, **INDICES).fit(series)
        expected = model.predict(future=FUTURE)
        assert np.isfinite(expected).all()
        assert_same(model.predict(series, future=FUTURE), expected)
        assert_same(pickle.loads(pickle.dumps(model)).predict(future=FUTURE), expected)

    @pytest.mark.parametrize("horizon", [1, 3, 7])
    @pytest.mark.parametrize("role", ["past", "known"])
    def test_of_a_series_alone_and_among_others(self, horizon, role):
        series = [x[:, :2] for x in SERIES]
        model = forecaster(horizon=horizon, level=80, **{role: (1,)}).fit(series)
        futures = [{} for _ in series]
        if role == "known":
            rng = np.random.default_rng(0)
            futures = [{"future": rng.normal(size=(horizon, 1))} for _ in series]

        def predict(which):
            future = {key: [futures[k][key] for k in which] for key in futures[0]}
            return model.predict([series[k] for k in which], **future)

        expected = predict([0, 1, 2])
        alone = [model.predict(x, **f) for x, f in zip(series, futures, strict=True)]
        assert_same(alone, expected)
        assert_same(predict([1, 2] * 50), expected[1:] * 50)

    def test_no_value_is_carried_from_one_series_to_the_next(self):
        series = [x[-9:].copy() for x in SERIES]
        for x in series:
            x[:7, 1:3] = np.nan
        model = forecaster(**INDICES).fit([holes(x) for x in SERIES])
        together = model.predict(series, future=FUTURE)
        alone = [model.predict(x, future=f) for x, f in zip(series, FUTURE, strict=True)]
        assert_same(together, alone)

    @pytest.mark.parametrize("roles", [{}, INDICES], ids=["plain", "known ahead"])
    def test_with_any_number_of_threads(self, roles):
        future = {"future": FUTURE * 5} if roles else {}

        def fitted(n_jobs):
            settings = {"level": 80, "early_stopping": True, "max_iter": 2, **roles}
            return forecaster(n_jobs=n_jobs, **settings).fit((SERIES if roles else PANEL) * 5)

        one, two = fitted(1), fitted(2)
        assert training_of(one) == training_of(two)
        assert one.validation_scores_ == two.validation_scores_
        assert_same(one.predict(**future), two.predict(**future))

    @pytest.mark.parametrize("baseline", ["zero", "last", "seasonal"])
    @pytest.mark.parametrize("scaling", ["differences", "standard", "mean_abs"])
    @pytest.mark.parametrize("scale", [2.0**30, 2.0**-30])
    def test_of_series_in_units_of_a_power_of_two(self, baseline, scaling, scale):
        def predicted(factor):
            model = forecaster(baseline=baseline, scaling=scaling, level=80)
            return model.fit([factor * y for y in PANEL]).predict()

        for one, other in zip(predicted(1), predicted(scale), strict=True):
            np.testing.assert_array_equal(one * scale, other)


class TestSeries:
    @pytest.mark.parametrize("scale", [1e9, 1e-9, 1e100, 1e-100])
    def test_any_units(self, scale):
        settings = {"dtype": "float64", "level": 80}
        expected = forecaster(**settings).fit(Y).predict()
        np.testing.assert_allclose(
            forecaster(**settings).fit(scale * Y).predict() / scale, expected, rtol=1e-6
        )

    def test_a_distant_level(self):
        expected = forecaster(level=80).fit(Y - Y.mean()).predict() + Y.mean()
        for shift in (1e9, -1e9):
            found = forecaster(level=80).fit(Y + shift).predict() - shift
            np.testing.assert_allclose(found, expected, atol=0.3)

    @pytest.mark.parametrize("value", [0.0, 5.0, -1e9, 1e-300])
    def test_a_constant_series_goes_on(self, value):
        for settings in ({}, {"linear": False}, {"quantiles": (0.1, 0.9)}):
            model = forecaster(level=80, baseline="last", **settings)
            assert (model.fit(np.full(50, value)).predict() == value).all()
        model = forecaster(level=80, warm_start=True).fit([Y, np.full(50, value)])
        forecasts = model.predict()
        assert (forecasts[1] == value).all()
        assert (forecasts[0][:, 1] < forecasts[0][:, 2]).all()
        np.testing.assert_array_equal(model.predict(np.full(9, value)), forecasts[1])

    def test_a_repeated_pattern_goes_on(self):
        pattern = np.tile([1.0, 5, 2, 9], 12)
        forecast = forecaster(level=80).fit(pattern).predict()
        np.testing.assert_allclose(forecast, [[1] * 3, [5] * 3, [2] * 3], atol=0.1)

    @pytest.mark.filterwarnings("ignore:horizon=3")
    @pytest.mark.parametrize("n", range(6, 16))
    def test_short_series(self, n):
        model = forecaster().fit(Y[:n])
        assert np.isfinite(model.predict()).all()
        assert np.isfinite(model.predict(Y[:5])).all()
        x = SERIES[0]
        model = forecaster(**INDICES).fit(x[:n])
        assert np.isfinite(model.predict(future=x[n : n + 3, 1])).all()
        assert np.isfinite(model.predict(x[:5], future=x[5:8, 1])).all()

    def test_too_short_series_are_named(self):
        with pytest.raises(ValueError, match="season . 2 = 6 steps at least"):
            forecaster().fit(Y[:5])
        with pytest.raises(ValueError, match=r"^y: too short.* 5 steps.* y has 1 step\. "):
            forecaster().fit(Y[:1])
        model = forecaster().fit(PANEL)
        for call in (forecaster().fit, model.predict, model.transform, model.partial_fit):
            with pytest.raises(ValueError, match="series 1, series 3: too short"):
                call([Y, Y[:4], Y, Y[:3]])
        frame = long().groupby("unique_id").tail(4)
        with pytest.raises(ValueError, match="series 'b', series 'c', series 'a': too short"):
            forecaster().fit(frame)
        late = np.r_[np.full(30, np.nan), Y[:4]]
        with pytest.raises(ValueError, match="has 4 steps from its first value on"):
            forecaster().fit(late)

    def test_a_series_without_values(self):
        empty = np.full(50, np.nan)
        with pytest.raises(ValueError, match="series 1: too short.*0 steps"):
            forecaster().fit([Y, empty])
        with pytest.raises(ValueError, match="y has no value of target 1"):
            forecaster().fit(np.column_stack([Y[:50], empty]))

    def test_a_series_longer_than_the_others(self):
        model = forecaster(level=80).fit([*PANEL, Y[:6], Y[:5]])
        assert np.isfinite(model.predict()).all()

    @pytest.mark.parametrize(("horizon", "stride", "n_ahead"), [(20, 1, 15), (17, 2, 15)])
    def test_a_horizon_that_is_whole_after_no_window(self, horizon, stride, n_ahead):
        model = forecaster(horizon=horizon, stride=stride)
        with pytest.warns(UserWarning, match=f"horizon={horizon}.* step {n_ahead + 1} a"):
            model.fit([Y[:20], Y[:6]])
        assert np.isfinite(model.predict()).all()
        # Where one window has it all nothing is said.
        assert forecaster(horizon=15).fit([Y[:20], Y[:6]]).predict()[0].shape == (15,)

    def test_a_horizon_longer_than_every_series(self):
        for horizon in (71, 10**15):
            with pytest.raises(ValueError, match=f"horizon={horizon} is more than the 70 st"):
                forecaster(horizon=horizon).fit(PANEL)

    @pytest.mark.parametrize("context", [71, 10**15])
    def test_a_context_longer_than_every_series(self, context):
        model = forecaster(context=context, warm_start=True).fit(PANEL)
        assert model.context_ == 70
        assert_same(model.predict(), forecaster(context=70).fit(PANEL).predict())
        model.fit(PANEL).set_params(context=70).fit(PANEL)
        with pytest.raises(ValueError, match="context from 70 to 72"):
            model.set_params(context=72).fit(PANEL)

    def test_missing_values(self):
        y = Y.copy()
        y[[20, 33, 34, 35, 36, 37, 69]] = np.nan
        model = forecaster(level=80, max_iter=3).fit(np.r_[np.full(9, np.nan), y])
        forecast = model.predict()
        assert np.isfinite(forecast).all()
        # Steps before the first value are as if they were not there.
        np.testing.assert_array_equal(model.predict(y), forecast)
        # The last value is carried forward, and there is an indicator.
        carried = y.copy()
        carried[69] = carried[68]
        assert not np.array_equal(model.predict(carried), forecast)
        np.testing.assert_allclose(model.predict(carried), forecast, atol=0.5)

    @pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e200])
    def test_values_that_are_too_large(self, bad):
        y = Y.copy()
        y[7] = bad
        with pytest.raises(ValueError, match="y contains infinity or .* beyond .* at step 7"):
            forecaster().fit(y)
        x = SERIES[0].copy()
        x[7, 2] = bad
        with pytest.raises(ValueError, match="at step 7, in column 2"):
            forecaster(**INDICES).fit(x)

    def test_dates_that_are_wrong(self):
        frame = long()
        twice = pd.concat([frame, frame.iloc[[75]]])
        with pytest.raises(ValueError, match="two rows of series 'c' at 2024-01-02 05:00"):
            forecaster().fit(twice)
        gap = frame.drop(index=75)
        with pytest.raises(ValueError, match="series 'c' is not equally spaced: .* 06:00 fol"):
            forecaster().fit(gap)
        model = forecaster().fit(frame)
        with pytest.raises(ValueError, match="step of 2 hours .* fitted with one hour"):
            model.predict(long(freq="2h"))

    def test_days_that_are_business_days(self):
        days = pd.date_range("2024-01-01", periods=len(Y), freq="B")
        model = forecaster(season=1).fit(pd.Series(Y, days))
        week = pd.Series(Y[:5], days[:5])  # Monday to Friday
        assert [*model.predict(week).index] == [*days[5:8]]
        model.partial_fit(week)
        assert [*model.predict().index] == [*days[5:8]]
        with pytest.raises(ValueError, match="step of one day .* with one business day"):
            model.predict(week.set_axis(days[:5] + pd.Timedelta("1D")))

    def test_static_columns_are_constant(self):
        frame = long()
        frame.loc[75, "size"] = 3
        with pytest.raises(ValueError, match="static has the column 'size', but series 'c'"):
            forecaster(static=["size"]).fit(frame)


class TestFuture:
    @pytest.mark.parametrize("scaling", ["differences", "standard", "none"])
    def test_known_columns_are_used(self, scaling):
        rng = np.random.default_rng(0)
        promo = rng.integers(2, size=400).astype(float)
        x = np.column_stack([5 * promo + 0.1 * rng.normal(size=400), promo])
        settings = {"season": 1, "horizon": 30, "context": 16, "scaling": scaling}
        known = forecaster(known=(1,), **settings).fit(x[:-30]).predict(future=promo[-30:])
        unknown = forecaster(past=(1,), **settings).fit(x[:-30]).predict()
        errors = [np.abs(f - x[-30:, :1]).mean() for f in (known, unknown)]
        assert errors[0] < 0.3 < 1.5 < errors[1]

    def test_the_effect_of_a_rare_event(self):
        rng = np.random.default_rng(0)
        events = np.zeros(4000)
        events[rng.choice(3900, 4, replace=False) + 50] = 1  # more than 30 deviations
        x = np.column_stack([rng.normal(size=4000) + 20 * events, events])
        model = forecaster(known=(1,), season=1, context=16).fit(x)
        without, there = (model.predict(future=[0.0, flag, 0]) for flag in (0.0, 1.0))
        assert there[1] - without[1] == pytest.approx(20, abs=2)
        np.testing.assert_allclose(there[[0, 2]], without[[0, 2]], atol=0.5)

    def test_years_are_standardized(self):
        y = pd.Series(Y, dates(len(Y)))
        model = forecaster(season=1, calendar=["year", "month"]).fit(y)
        panel = model._read(y, "y")
        values = SeriesInputs(model._layout, panel).values[:, 2:]
        assert np.abs(values).max() < 5

    def test_the_calendar_is_used(self):
        days = dates(400, freq="D")
        y = pd.Series(np.where(days.day_of_week == 2, 5.0, 0.0), days)
        y += 0.1 * np.random.default_rng(0).normal(size=400)
        model = forecaster(season=1, context=3, horizon=7, calendar="dayofweek", max_iter=3)
        forecast = model.fit(y).predict()
        np.testing.assert_array_equal(forecast.idxmax().day_of_week, 2)

    def test_the_effect_of_a_step_on_those_after_it(self):
        """An event counts on its first day alone, which no sum of effects of steps says."""
        rng = np.random.default_rng(0)
        events = (rng.random((20, 300)) < 0.3).astype(float)
        first = events * (np.roll(events, 1, axis=1) == 0)
        y = first + 0.05 * rng.normal(size=events.shape)
        settings = {"season": 1, "horizon": 5, "context": 20, "hidden_layer_sizes": 16}
        model = forecaster(known=(1,), max_iter=20, learning_rate_init=0.01, **settings)
        model.fit([*np.dstack([y, events])])
        x = np.column_stack([y[0], events[0]])
        x[-1] = 0
        forecast = model.predict(x, future=[0.0, 1, 1, 1, 0])[:, 0]
        np.testing.assert_allclose(forecast, [0, 1, 0, 0, 0], atol=0.15)

    def test_several_targets_with_known_columns(self):
        series = [x[:, :3] for x in SERIES]
        settings = {"known": (2,), "level": 80, "quantiles": (0.1, 0.9)}
        model = forecaster(calibration_windows=20, **settings)
        model.fit([holes(x) for x in series])
        assert model.weights_["head.weight"].shape == (2 * 3, 4)
        forecasts = model.predict(future=FUTURE)
        assert [f.shape for f in forecasts] == [(3, 2, 5)] * 3
        assert np.isfinite(forecasts).all()
        again = model.predict([holes(x) for x in series], future=FUTURE)
        assert_same(forecasts, again)

    def test_pooling_has_no_place_where_the_network_goes_on(self):
        for pooling in ("mean", "max", "attention"):
            with pytest.raises(ValueError, match=f'pooling={pooling!r} must be "last" with'):
                forecaster(known=(1,), pooling=pooling).fit(SERIES[0][:, :2])
            forecaster(calendar="hour", pooling=pooling).fit(WITH_DATES)

    def test_rows_of_the_future(self):
        model = forecaster(**ROLES).fit(long())
        expected = model.predict(future=long_future())
        more = pd.concat([long_future(), long_future().assign(unique_id="new")])
        pd.testing.assert_frame_equal(model.predict(future=more), expected)
        with pytest.raises(ValueError, match=r"no row for series 'c' at 2024-01-04 04:00\."):
            model.predict(future=long_future().drop(index=5))
        with pytest.raises(ValueError, match="needs? as many rows of each series .*'promo'"):
            model.predict()
        with pytest.raises(ValueError, match="future has no row of any series: its ids"):
            model.predict(future=long_future().assign(unique_id="new"))
        with pytest.raises(ValueError, match=r"known=\(\) names no columns"):
            forecaster().fit(long()).predict(future=long_future())

    def test_fewer_steps_than_were_learnt(self):
        model = forecaster(level=80).fit(PANEL)
        assert_same([f[:2] for f in model.predict()], model.predict(horizon=2))
        known = forecaster(**ROLES).fit(long())
        assert len(known.predict(horizon=2, future=long_future())) == 6

    @pytest.mark.parametrize("known", [False, True])
    def test_more_steps_than_were_learnt_are_fed_back(self, known):
        settings = {"known": (1,)} if known else {}
        series = [x[:, : 1 + known] for x in SERIES]
        model = forecaster(level=80, **settings).fit(series)
        future = [np.random.default_rng(k).normal(size=(6, 1)) for k in range(3)]

        def predict(y, steps, **arguments):
            if known:
                arguments["future"] = [f[steps] for f in future]
            return model.predict(y, **arguments)

        blocks = predict(series, slice(6), horizon=6)
        first = predict(series, slice(3))
        followed = [
            np.vstack([x, np.hstack([f[:, :, 0], p[:3]])[:, : 1 + known]])
            for x, f, p in zip(series, first, future, strict=True)
        ]
        second = predict(followed, slice(3, 6))
        for both, one, two in zip(blocks, first, second, strict=True):
            np.testing.assert_array_equal(both[:3], one)
            np.testing.assert_array_equal(both[3:, :, 0], two[:, :, 0])
            width = both[:, 0, 2] - both[:, 0, 1]
            assert (width[3:] > width[:3]).all()

    def test_more_steps_with_a_calendar(self):
        model = forecaster(calendar="hour").fit(WITH_DATES)
        found = model.predict(horizon=6)
        first = model.predict()
        pd.testing.assert_series_equal(found[:3], first)
        second = model.predict(pd.concat([WITH_DATES, first]))
        pd.testing.assert_series_equal(found[3:], second, check_freq=False)

    def test_more_steps_than_past_columns_are_known_for(self):
        model = forecaster(past=(1,)).fit(SERIES[0][:, :2])
        assert model.predict(horizon=3).shape == (3, 1)
        with pytest.raises(ValueError, match=r"horizon=4 .* past=\(1,\) is not known"):
            model.predict(horizon=4)

    @pytest.mark.parametrize("horizon", [0, -1, 1.5, "3", True, 2**70])
    def test_bad_horizons(self, horizon):
        model = forecaster().fit(Y)
        with pytest.raises(ValueError, match="horizon"):
            model.predict(np.full(3, np.inf), horizon=horizon)  # seen before y is read

    def test_a_calendar_without_dates(self):
        with pytest.raises(ValueError, match="calendar=.* needs dates"):
            forecaster(calendar=("hour",)).fit(Y)
        with pytest.raises(ValueError, match="needs dates, but the times are integers"):
            forecaster(calendar=("hour",)).fit(pd.Series(Y))
        with pytest.raises(ValueError, match="calendar=.* needs dates"):
            forecaster(calendar=("hour",)).fit(WITH_DATES).predict(Y)


class TestIntervals:
    def test_levels(self):
        model = forecaster(level=(80, 50), quantiles=(0.1, 0.9)).fit(PANEL * 3)
        forecast = model.predict(Y)
        median, low_80, high_80, low_50, high_50, q10, q90 = forecast.T
        assert (q10 <= median).all()
        assert (median <= q90).all()
        assert (low_80 <= median).all()
        assert (median <= high_80).all()
        np.testing.assert_allclose(median - low_50, high_50 - median)  # around the median
        # Around the quantiles: widened or narrowed alike on both sides.
        np.testing.assert_allclose(q10 - low_80, high_80 - q90, atol=1e-12)
        np.testing.assert_array_equal(model.predict(Y, level=50), forecast[:, [0, 3, 4, 5, 6]])
        np.testing.assert_array_equal(model.predict(Y, level=()), forecast[:, [0, 5, 6]])
        assert model.predict(Y, level=(50, 80)).shape == (3, 7)
        with pytest.raises(ValueError, match="level=99: an interval of 99% needs 99 windows"):
            model.predict(Y, level=99)

    def test_quantiles_never_cross(self):
        model = forecaster(quantiles=np.linspace(0.05, 0.95, 19), linear=False)
        forecast = model.fit(PANEL).predict()[0]
        order = np.r_[1:10, 0, 10:19]
        assert (np.diff(forecast[:, order], axis=1) >= 0).all()

    def test_more_windows_are_kept_where_there_are_few_series(self):
        assert forecaster(level=80).fit(Y).calibration_windows_ == 8
        assert forecaster(level=80).fit(PANEL).calibration_windows_ == 3
        assert forecaster(level=80).fit(PANEL * 4).calibration_windows_ == 2
        assert forecaster(level=80, calibration_windows=5).fit(PANEL).calibration_windows_ == 5
        assert forecaster().fit(Y).calibration_windows_ == 0
        # Twice as many as the level needs, or where that leaves nothing just as many.
        assert forecaster(level=95).fit(Y[:58]).calibration_windows_ == 38
        assert forecaster(level=95).fit(Y[:47]).calibration_windows_ == 19
        with pytest.raises(ValueError, match="level=95 keeps the last 21 steps .*ate.$"):
            forecaster(level=95).fit(Y[:25])
        with pytest.raises(ValueError, match="keeps the last 4.*Lower calibration_windows"):
            forecaster(level=80).fit([Y[:9]] * 20)
        with pytest.warns(UserWarning, match="step 2 ahead"):
            forecaster(level=80, calibration_windows=1).fit([Y[:9]] * 20)
        with pytest.raises(ValueError, match="keeps the last 4 .*calibrate.$"):
            forecaster(level=80).fit([Y[:8]] * 20)

    def test_too_few_errors_give_infinite_intervals(self):
        y = np.r_[Y[:60], np.full(10, np.nan)]  # none of the last windows is followed by any
        model = forecaster(level=80, context=16)
        with pytest.warns(UserWarning, match=r"80% are infinite at step 1 .* \(0 of 8\)"):
            forecast = model.fit(y).predict()
        assert np.isfinite(forecast[:, 0]).all()
        assert (forecast[:, 1:] == [-np.inf, np.inf]).all()
        with pytest.raises(ValueError, match="50% needs 1 windows .* but fit kept 0"):
            model.predict(level=50)

    def test_steps_at_which_intervals_are_infinite(self):
        y = Y.copy()
        y[-6:] = np.nan  # of 8 windows 4 are followed by one value, 3 by two, 2 by three
        with pytest.warns(UserWarning, match=r"80% are infinite at step 2 .* \(3 of 8\)"):
            forecast = forecaster(level=80).fit(y).predict()
        infinite = [[False] * 3, *[[False, True, True]] * 2]
        assert np.isinf(forecast).tolist() == infinite

    def test_short_series_keep_no_windows(self):
        series = [Y, *[Y[:7]] * 30]
        model = forecaster(level=80).fit(series)
        assert model.calibration_windows_ == 8
        assert np.isfinite(model.predict()).all()
        # With 8 steps they have a window each.
        assert forecaster(level=80).fit([Y, *[Y[:8]] * 3]).calibration_windows_ == 5
        late = [np.r_[np.full(60, np.nan), Y[:7]]] * 30
        assert forecaster(level=80).fit([Y, *late]).calibration_windows_ == 8

    def test_higher_levels_contain_lower_ones(self):
        series = [columns(400, k)[:, 0] for k in range(4)]
        settings = {"quantiles": (0.1, 0.9), "calibration_windows": 20, "linear": False}
        model = forecaster(level=(95, 80), **settings).fit(series)
        model._errors["model"][..., 1] *= 0.01  # of the median, which that of 95% is around
        windows = [y[:n] for y in series for n in range(20, 400, 20)]
        forecasts = np.array(model.predict(windows))
        low_95, high_95, low_80, high_80 = (forecasts[..., k] for k in range(1, 5))
        assert (low_95 <= low_80).all()
        assert (high_80 <= high_95).all()
        alone = np.array(model.predict(windows, level=95))
        assert (alone[..., 1] > low_80).all()

    def test_an_interval_contains_the_median(self):
        model = forecaster(level=80, quantiles=(0.1, 0.9), calibration_windows=9).fit(PANEL)
        model._errors["model"] *= 1e-6  # so that ends move by as much as quantiles are apart
        model._errors["model"][..., 0] += 50
        model._errors["model"][..., -1] -= 50
        forecast = model.predict(Y)
        np.testing.assert_array_equal(forecast[:, 1], forecast[:, 0])
        np.testing.assert_array_equal(forecast[:, 2], forecast[:, 0])

    def test_levels_of_one_name_are_one(self):
        forecast = forecaster(level=(50, 50.0000001)).fit(PANEL).predict()[0]
        assert forecast.shape == (3, 3)
        quantiles = (0.1, 0.1000000001, 0.5)
        assert forecaster(quantiles=quantiles).fit(PANEL).predict()[0].shape == (3, 2)

    def test_variances_of_blocks_add_up(self):
        settings = {"level": (50, 80), "quantiles": (0.1, 0.3, 0.9), "calibration_windows": 9}
        model = forecaster(**settings).fit(PANEL)
        signs = np.array([-1, 1, -1, 1, -1, -1, 1])

        def distances(y):
            forecast = model.predict(y)
            return (forecast[:, 1:] - forecast[:, :1]) * signs

        found = model.predict(Y, horizon=9)
        np.testing.assert_array_equal(found[:3], model.predict(Y))
        first = distances(Y)
        assert (first > 0).all()
        assert (first[:, 2:4] > first[:, :2]).all()
        reach_50, reach_80 = first[:, :2], first[:, 2:4] - first[:, [4, 6]]
        for block in (1, 2):
            steps = slice(3 * block, 3 * block + 3)
            alone = distances(np.r_[Y, found[: 3 * block, 0]])
            # In units of the first window's scale.
            alone[:, :2] = reach_50
            alone[:, 2:4] = np.maximum(alone[:, [4, 6]] + reach_80, reach_50)
            expected = np.sqrt(alone**2 + block * first[-1] ** 2)
            np.testing.assert_allclose((found[steps, 1:] - found[steps, :1]) * signs, expected)

    def test_coverage_at_each_step(self):
        """Of random walks, in which windows are exchangeable."""
        n_fits, n, levels = 8, 1000, (80, 95)
        covered = np.zeros((2, 4))
        for seed in range(n_fits):
            walks = np.random.default_rng(seed).normal(size=(n, 44)).cumsum(axis=1)
            model = LSTMForecaster(
                4,
                context=10,
                hidden_layer_sizes=2,
                max_iter=1,
                max_windows=100,
                level=levels,
                calibration_windows=1,
                random_state=0,
            )
            forecast = np.array(model.fit([*walks[:, :40]]).predict())
            after = walks[:, 40:]
            for k in range(2):
                lower, upper = forecast[:, :, 2 * k + 1], forecast[:, :, 2 * k + 2]
                covered[k] += ((lower <= after) & (after <= upper)).mean(axis=0) / n_fits
        for level, shares in zip(levels, covered, strict=True):
            p = level / 100
            # As much chance is in the windows to calibrate on as in those to come.
            deviation = np.sqrt(2 * p * (1 - p) / (n_fits * n))
            assert (np.abs(shares - p) < 4 * deviation).all()

    def test_coverage_of_later_blocks(self):
        rng = np.random.default_rng(0)
        walks = rng.normal(size=(300, 120)).cumsum(axis=1)
        model = LSTMForecaster(
            4,
            context=8,
            hidden_layer_sizes=4,
            max_iter=3,
            level=80,
            quantiles=(0.1, 0.9),
            learning_rate_init=0.01,
            random_state=0,
        )
        forecast = np.array(model.fit([*walks[:, :100]]).predict(horizon=20))
        _, lower, upper, q10, q90 = np.moveaxis(forecast, 2, 0)
        for low, high in ((lower, upper), (q10, q90)):
            covered = ((low <= walks[:, 100:]) & (walks[:, 100:] <= high)).mean(axis=0)
            assert (covered.reshape(5, 4).mean(axis=1) > 0.72).all()


class TestTraining:
    @pytest.mark.filterwarnings("ignore:Intervals of 80% are infinite")
    @pytest.mark.parametrize(
        "settings", [{}, {"linear": False}, {"early_stopping": True, "max_iter": 3}]
    )
    @pytest.mark.parametrize("roles", [{}, {"known": (1,), "past": (2,)}])
    def test_what_is_kept_for_calibration_does_not_change_the_weights(self, settings, roles):
        n = 3 + 8 - 1
        x = SERIES[0][:, : 3 if roles else 1]
        future = {"future": FUTURE[0]} if roles else {}
        one = forecaster(level=80, **settings, **roles).fit(x)
        assert one.calibration_windows_ == 8
        for tail in (np.full((n, 1), 1e6), -x[-n:], np.full((n, 1), np.nan)):
            y = x.copy()
            y[-n:] = tail
            other = forecaster(level=80, **settings, **roles).fit(y)
            assert training_of(one) == training_of(other)
            assert one.validation_scores_ == other.validation_scores_
            assert_same(*(m.predict(x[:20], level=(), **future) for m in (one, other)))

    @pytest.mark.parametrize("roles", [{}, {"known": (1,), "past": (2,)}])
    def test_what_is_held_out_does_not_change_the_weights(self, roles):
        settings = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 3, **roles}
        x = SERIES[0][:, : 3 if roles else 1]
        one = forecaster(**settings).fit(x)
        # 63 windows, of which the last 13 are held out.
        n = 13 + 3 - 1
        other = forecaster(**settings).fit(np.r_[x[:-n], -100 * x[-n:]])
        assert len(one.validation_scores_) == 3
        assert one.loss_curve_ == other.loss_curve_
        assert one.validation_scores_ != other.validation_scores_
        assert one.best_validation_score_ == max(one.validation_scores_)
        y = x.copy()
        y[-n - 1, 0] += 1  # the last one that is trained on
        assert forecaster(**settings).fit(y).loss_curve_ != one.loss_curve_

    def test_validation_score_is_the_loss_in_the_units_of_training(self):
        settings = {"validation_fraction": 0.2, "linear": False, "scaling": "none"}
        model = forecaster(early_stopping=True, **settings).fit(Y)
        errors = [
            np.abs(model.predict(Y[:k]) - Y[k : k + 3]) / model._left_scale[:, 0]
            for k in range(70 - 3 - 13 + 1, 68)
        ]
        assert -np.mean(errors) == pytest.approx(model.best_validation_score_)

    def test_validation_of_almost_constant_windows(self):
        y = np.r_[5 + 1e-9 * np.sin(np.arange(100)), 10 * Y]
        model = forecaster(early_stopping=True, validation_fraction=0.9).fit(y)
        assert -200 < model.best_validation_score_ < 0

    @pytest.mark.filterwarnings("ignore:horizon=3")
    def test_nothing_to_validate_on(self):
        for y in (Y[:7], np.ones(60)):
            with pytest.raises(ValueError, match="nothing to validate on: .* season . 1 = 5"):
                forecaster(early_stopping=True).fit(y)

    def test_missing_targets_leave_the_linear_part(self):
        """Where hardly any horizon is whole, it is learnt from those with holes."""
        rng = np.random.default_rng(0)
        t = np.arange(400)
        y = np.sin(t * 2 * np.pi / 12 + rng.uniform(0, 6, size=(8, 1))) + 0.1 * rng.normal(
            size=(8, 400)
        )
        seen = np.where(rng.random(y.shape) < 0.15, np.nan, y)
        errors = []
        for of_fit in (y, seen):
            model = forecaster(season=1, context=36, horizon=30).fit(list(of_fit[:, :-30]))
            errors.append(np.abs(model.predict(list(y[:, :-30])) - y[:, -30:]).mean())
        assert errors[1] < 1.2 * errors[0] < 0.2

    def test_missing_targets_are_not_trained_on(self):
        # Not the value that is carried forward, whatever it is.
        y = np.tile([1.0, 2.0, 3.0, 10.0], 30)
        y += 0.01 * np.random.default_rng(0).normal(size=120)
        y[np.arange(120) % 4 == 3] = np.nan
        y[11::16] = 10
        forecast = forecaster(horizon=4, max_iter=3).fit(y).predict()
        np.testing.assert_allclose(forecast[3], 10, atol=0.5)

    def test_windows_that_the_linear_part_is_learnt_from(self, monkeypatch):
        monkeypatch.setattr(_forecaster, "LINEAR_WINDOWS", 40)
        monkeypatch.setattr(_forecaster, "SCALE_WINDOWS", 10)
        n_windows = []

        class CountedPart(LinearPart):
            def __init__(self, inputs, windows):
                n_windows.append(len(windows))
                super().__init__(inputs, windows)

            def predict(self, inputs, windows):
                n_windows.append(len(windows))
                return super().predict(inputs, windows)

        monkeypatch.setattr(_forecaster, "LinearPart", CountedPart)
        forecaster(max_windows=5).fit(Y)
        assert n_windows == [40, 10, 5]

    def test_windows_of_an_epoch(self):
        assert forecaster().fit(Y).t_ == 70 - 3 - 5 + 1
        assert forecaster(stride=5).fit(Y).t_ == 13
        assert forecaster(max_windows=20, max_iter=3).fit(Y).t_ == 60
        assert forecaster().fit([Y, Y[:6]]).t_ == 63 + 1

    def test_partial_fit_continues_with_known_columns(self):
        settings = {"learning_rate": "constant", "max_iter": 3, **INDICES}
        whole = forecaster(**settings, level=80).fit(SERIES)
        parts = forecaster(**settings, level=80)
        for _ in range(3):
            parts.partial_fit(SERIES)
        assert training_of(parts) == training_of(whole)
        warm = forecaster(**settings | {"max_iter": 1}, level=80, warm_start=True)
        warm.fit(SERIES).fit(SERIES).fit(SERIES)
        assert training_of(warm) == training_of(whole)
        assert_same(warm.predict(future=FUTURE), whole.predict(future=FUTURE))

    def test_partial_fit_continues(self):
        settings = {"learning_rate": "constant", "max_iter": 3}
        whole = forecaster(**settings, level=80).fit(PANEL)
        parts = forecaster(**settings, level=80)
        for _ in range(3):
            parts.partial_fit(PANEL)
        assert training_of(parts) == training_of(whole)
        assert_same(parts.predict(), whole.predict())
        warm = forecaster(**settings | {"max_iter": 1}, level=80, warm_start=True).fit(PANEL)
        warm.fit(PANEL).fit(PANEL)
        assert training_of(warm) == training_of(whole)
        other = parts.partial_fit(PANEL[1][:30])
        assert (other.n_iter_, other.predict().shape) == (4, (3, 3))
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
            forecaster(early_stopping=True).partial_fit(Y)

    def test_windows_that_were_trained_on_are_not_calibrated_on(self):
        def n_errors(model):
            return model._count_errors()[:, 0].tolist()

        def infinite():
            return pytest.warns(UserWarning, match="infinite")

        model = forecaster(warm_start=True).fit(Y[:60])
        with infinite():
            model.set_params(level=80).fit(Y[:60])
        assert n_errors(model) == [0] * 3
        # Of 8 windows those that forecast nothing of the first 60 steps.
        with infinite():
            assert n_errors(model.fit(Y[:65])) == [3] * 3
        assert n_errors(model.fit(Y)) == [8] * 3
        trained = len(Y) - 3 - 8 + 1
        assert n_errors(model.fit(Y)) == [8] * 3
        assert model._trained_lengths.tolist() == [trained]
        # More windows are kept of one series alone.
        model = forecaster(level=80).fit(PANEL)
        assert n_errors(model) == [9] * 3
        with infinite():
            assert n_errors(model.partial_fit([PANEL[0]])) == [3] * 3
        # Other series of the same name, and the same ones of other names.
        assert n_errors(model.partial_fit([Y + 1])) == [8] * 3
        frame = long()
        model = forecaster(level=80).fit(frame)
        with infinite():
            model.partial_fit(frame[frame["unique_id"] == "c"])
        assert n_errors(model) == [3] * 3

    @pytest.mark.parametrize(
        "change",
        [
            {"horizon": 4},
            {"context": 9},
            {"season": 5},
            {"baseline": "last"},
            {"scaling": "standard"},
            {"linear": False},
            {"known": (2,), "past": (1,)},
            {"static": ()},
            {"calendar": "hour"},
            {"quantiles": (0.1, 0.9)},
            {"hidden_layer_sizes": 5},
        ],
    )
    def test_windows_stay_as_they_are_while_training_continues(self, change):
        model = forecaster(warm_start=True, **INDICES).fit(SERIES)
        before = pickle.dumps(model)
        model.set_params(**change)
        with pytest.raises(ValueError, match="Training cannot continue|columns to forecast"):
            model.fit(SERIES)
        given = forecaster(**INDICES).get_params()
        model.set_params(**{name: given[name] for name in change})
        assert pickle.dumps(model) == before

    def test_a_failed_fit_leaves_the_model_as_it_was(self):
        model = forecaster(level=80).fit(PANEL)
        before, expected = pickle.dumps(model), model.predict()
        for y in ([1.0], "text", [np.full(9, np.inf)], {}, [], np.zeros((2, 2, 2)), None):
            for call in (model.fit, model.partial_fit):
                with pytest.raises((ValueError, TypeError)):
                    call(y)
        model.set_params(max_iter=0)
        with pytest.raises(ValueError, match="max_iter"):
            model.fit(Y)
        assert pickle.dumps(model.set_params(max_iter=1)) == before
        assert_same(model.predict(), expected)

    def test_a_loss_that_overflows_leaves_finite_weights(self):
        wild = {"solver": "sgd", "clip_norm": None, "learning_rate_init": 1e300}
        model = forecaster(level=80, **wild)
        with pytest.raises(NonFiniteLossError):
            model.fit(Y)
        assert np.isfinite(model.predict()).all()
        model = forecaster(level=80, warm_start=True).fit(PANEL)
        expected = weights_of(model)
        with pytest.raises(NonFiniteLossError):
            model.set_params(**wild).fit(PANEL)
        assert weights_of(model) == expected
        assert np.isfinite(model.predict()).all()

    def test_a_random_state_is_used_up(self):
        def fitted(**settings):
            return forecaster(max_windows=20, **settings).fit(Y)

        random_state = np.random.RandomState(3)
        one, two = fitted(random_state=random_state), fitted(random_state=random_state)
        assert weights_of(one) == weights_of(fitted(random_state=np.random.RandomState(3)))
        assert weights_of(one) != weights_of(two)
        assert weights_of(fitted(random_state=3)) != weights_of(fitted(random_state=4))

    def test_what_is_printed(self, capsys):
        forecaster(max_iter=2, verbose=1, early_stopping=True).fit(Y)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("Epoch 1 of 2, loss = ")
        assert "validation score = -" in lines[0]
        assert " windows/s, " in lines[0]
        assert "samples" not in lines[0]

    @pytest.mark.parametrize(
        "settings",
        [
            {"cell": "gru", "bidirectional": True, "pooling": "mean"},
            {"hidden_layer_sizes": (4, 4), "residual": True, "dropout": 0.2},
            {"projection_size": 2, "layer_norm": True, "pooling": "attention"},
            {"dtype": "float64", "solver": "adamw", "alpha": 1.0, "recurrent_dropout": 0.1},
        ],
    )
    def test_any_network(self, settings):
        forecasts = forecaster(level=80, **settings).fit(PANEL).predict()
        assert np.isfinite(forecasts).all()
        model = forecaster(level=80, **settings | {"pooling": "last"}, **INDICES).fit(SERIES)
        assert np.isfinite(model.predict(future=FUTURE)).all()


class TestScikitLearn:
    def test_not_fitted(self):
        model = forecaster()
        for call in (model.predict, lambda: model.score(Y), lambda: model.transform(Y)):
            with pytest.raises(NotFittedError):
                call()
        assert not hasattr(model, "context_")

    def test_parameters_and_copies(self):
        model = forecaster(level=(80,), known=(1,))
        assert clone(model).get_params() == model.get_params()
        assert model.set_params(horizon=5).horizon == 5
        model = forecaster(level=80).fit(PANEL)
        for other in (
            copy.copy(model),
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
        ):
            assert_same(other.predict(), model.predict())
            assert training_of(other.partial_fit(PANEL)) == training_of(
                copy.copy(model).partial_fit(PANEL)
            )
        assert not hasattr(clone(model), "_network")

    def test_the_user_may_change_what_was_fitted(self):
        y = Y.copy()
        model = forecaster(level=80).fit(y)
        expected = model.predict()
        y[:] = 0
        np.testing.assert_array_equal(model.predict(), expected)

    def test_quantized(self):
        model = forecaster(level=80).fit(PANEL)
        for one, other in zip(model.quantize().predict(), model.predict(), strict=True):
            np.testing.assert_allclose(one, other, atol=0.05)
        model = forecaster(**INDICES).fit(SERIES)
        both = (m.predict(future=FUTURE) for m in (model.quantize(), model))
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, atol=0.05)

    def test_transform(self):
        model = forecaster().fit(PANEL)
        features = model.transform(PANEL)
        assert features.shape == (3, 4)
        assert len(model.get_feature_names_out()) == 4
        np.testing.assert_array_equal(model.transform(Y), features[:1])
        np.testing.assert_array_equal(forecaster().fit_transform(PANEL), features)
        np.testing.assert_array_equal(model.transform(y=PANEL), features)
        assert not hasattr(model, "set_output")
        with config_context(transform_output="pandas"):
            np.testing.assert_array_equal(forecaster().fit_transform(PANEL), features)

    @pytest.mark.parametrize("known", [False, True])
    def test_transform_gives_the_state_that_forecasts_have(self, known):
        """With known columns that of the last step, else of all."""
        columns, of_step = ([0, 1], slice(2, 3)) if known else ([0], slice(None))
        x = pd.DataFrame(SERIES[0][:, columns], dates(70))
        future = pd.DataFrame({1: [3.0, -1, 2]}, dates(73)[70:]) if known else None
        model = forecaster(calendar="hour", linear=False, dtype="float64")
        model.set_params(known=columns[1:]).fit(x)
        features = model.transform(x, future=future)
        assert features.shape == (1, 4)
        assert len(model.get_feature_names_out()) == 4
        head = model.weights_["head.weight"], model.weights_["head.bias"]
        scores = features[0] @ head[0].T + head[1]
        left = scores * model._left_scale[of_step, 0] + model._left_offset[of_step, 0]
        inputs = SeriesInputs(model._layout, model._read(x, "y"))
        windows = inputs.make_windows(np.array([0]), np.array([70]))
        expected = windows.baseline[0, of_step, 0] + windows.scale[0, 0] * left
        found = np.ravel(model.predict(x, future=future))[of_step]
        np.testing.assert_allclose(found, expected)
        if known:
            with pytest.raises(ValueError, match="future is missing"):
                model.transform(x)

    @pytest.mark.parametrize("y", [Y, WITH_DATES, long()], ids=["array", "Series", "long"])
    def test_grid_search_over_origins(self, y):
        grid = {"context": [4, 8], "hidden_layer_sizes": [2, (3, 3)]}
        search = GridSearchCV(forecaster(), grid, cv=TimeSeriesOrigins(2, horizon=3))
        search.fit(y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        model, scores = clone(search.best_estimator_), []
        for split in TimeSeriesOrigins(2, horizon=3).split(y):
            train, test = (y.iloc[p] if hasattr(y, "iloc") else y[p] for p in split)
            scores.append(model.fit(train).score(test))
        assert search.best_score_ == pytest.approx(np.mean(scores))
        assert np.shape(search.predict(y))[0] == np.shape(search.best_estimator_.predict())[0]

    def test_nested_names(self):
        search = GridSearchCV(forecaster(), {"context": [4]}, cv=TimeSeriesOrigins(2))
        search = clone(search.set_params(estimator__horizon=1, estimator__max_windows=9))
        assert search.fit(Y).best_estimator_.t_ == 9
        assert search.predict(Y).shape == (1,)


BAD = {
    "horizon": [0, 1.5, "1", None, 2**70],
    "context": [0, 1.5, "8", 2**70],
    "season": [0, -1, 1.5, "day"],
    "baseline": ["mean", None, 1],
    "scaling": ["minmax", None],
    "linear": ["yes", 2, None],
    "quantiles": [0.1, (0,), (0.1, 1), ("a",), [[None]], (np.nan,), "0.1"],
    "level": [0, 100, (80, 100), 0.8, (-1,), ("a",), np.nan, "80%", True, (80, True)],
    "calibration_windows": [0, 1.5, None],
    "known": [1, ("nothing",), ([1],), (0, 0), (9,), None],
    "past": [1, ("nothing",), ([1],), (9,)],
    "static": [1, ("nothing",), ([1],), (9,), (0,)],
    "calendar": [1, ("second",), ([1],), "hours"],
    "id_column": [["unique_id"], {}],
    "time_column": [["ds"]],
    "target_column": [{"y"}],
    "stride": [0, 1.5],
    "max_windows": [0, 1.5, "all"],
    "batch_size": [0, "all"],
    "early_stopping": ["yes", None],
    "validation_fraction": [0, 1, None, "0.1"],
    "max_iter": [0, 1.5],
    "hidden_layer_sizes": [0, (), "8"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in BAD.items() for v in vs])
def test_wrong_parameters_are_named(name, value):
    y = pd.DataFrame({0: Y, 1: SERIES[0][:, 1]}, dates(len(Y)))
    for method in ("fit", "partial_fit"):
        with pytest.raises((ValueError, TypeError), match=name.split("_")[0]):
            getattr(forecaster(**{name: value}), method)(y)


def test_defaults_fit_a_plain_series():
    model = LSTMForecaster(12, random_state=0, max_iter=2)
    assert model.fit(columns(300, 0)[:, 0]).predict().shape == (12,)


class TestHorizonsOfSeveralSeasons:
    """With columns known ahead, whose network reads values of whole seasons before."""

    X = columns(120, 0)[:, :2]
    FUTURE = columns(140, 1)[:12, 1:2]

    @pytest.fixture(params=[1, 4], ids="season {}".format)
    def model(self, request):
        settings = {"horizon": 6, "season": request.param, "known": [1], "level": 80}
        return forecaster(**settings, calibration_windows=5).fit(self.X)

    def test_what_is_kept_of_the_series_is_enough(self, model):
        future = self.FUTURE[:6]
        expected = model.predict(self.X, future=future)
        np.testing.assert_array_equal(model.predict(future=future), expected)

    def test_the_first_of_two_blocks_is_that_of_one(self, model):
        expected = model.predict(self.X, future=self.FUTURE[:6])
        for n in (7, 12):
            found = model.predict(self.X, future=self.FUTURE[:n], horizon=n)
            np.testing.assert_array_equal(found[:6], expected)

    def test_errors_are_those_of_the_whole_series(self, model, monkeypatch):
        kept = copy.deepcopy(model._errors)
        monkeypatch.setattr(model, "_end_of", lambda panel, n=0: panel.last(10**6))
        model._calibrate(read_panel(self.X, model._roles))
        for name, errors in kept.items():
            np.testing.assert_array_equal(errors, model._errors[name])

    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_a_shorter_horizon_ends_where_it_is_known(self, bidirectional):
        """As a window at the end of a series that was trained on."""
        model = forecaster(horizon=6, known=[1], bidirectional=bidirectional).fit(self.X)
        short = model.predict(self.X, future=self.FUTURE[:4], horizon=4)
        whole = model.predict(self.X, future=self.FUTURE[:6])
        if not bidirectional:
            np.testing.assert_array_equal(short, whole[:4])
        known = np.r_[self.X, np.c_[np.zeros(4), self.FUTURE[:4]]]
        inputs = SeriesInputs(model._layout, read_panel(known, model._roles))
        windows = inputs.make_windows(np.zeros(1, int), np.array([len(self.X)]))
        expected = model._forecast(inputs, windows)[0, :4, :, 0]
        np.testing.assert_array_equal(short, expected)
