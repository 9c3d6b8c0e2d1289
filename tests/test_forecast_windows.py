"""What a forecast depends on: nothing after its origin but columns that are known ahead. The
windows that the network reads."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from example_series import INDICES, PANEL, SERIES, Y, dates, forecaster, holes
from peak_memory import peak

from cylstm import LSTMForecaster
from cylstm._panel import ColumnRoles, read_panel, steps_of
from cylstm._windows import SeriesInputs, WindowLayout, WindowPool

CUT = 45
ROLES = ColumnRoles(**INDICES)


def forecasts_from(model, series, origin):
    """All columns of forecasts from a step of one series, as the model computes them from the
    whole series."""
    found = model._forecasts(model._read(series, "y"), np.array([0]), np.array([origin]))
    return {name: values.tobytes() for name, values in found.columns.items()}


def futures(x, horizon=3):
    """The series with other values after CUT, but for known ones within the horizon."""
    rng = np.random.default_rng(1)
    for value in (1e6, -1.0, np.nan, rng.normal(size=(len(x) - CUT, 4)), 0.0):
        other = x.copy()
        other[CUT:] = value
        other[:, 3] = x[:, 3]
        other[CUT : CUT + horizon, 1] = x[CUT : CUT + horizon, 1]
        yield other


class TestNoLeak:
    @pytest.mark.parametrize("baseline", ["zero", "last", "seasonal"])
    @pytest.mark.parametrize("scaling", ["differences", "standard", "mean_abs", "none"])
    @pytest.mark.parametrize("horizon", [3, 6])  # less and more than a season
    def test_forecasts(self, baseline, scaling, horizon):
        settings = {"baseline": baseline, "scaling": scaling, "horizon": horizon, **INDICES}
        model = forecaster(
            level=80, quantiles=(0.1, 0.9), calibration_windows=9, **settings
        ).fit([holes(x) for x in SERIES])
        for x in (SERIES[0], holes(SERIES[0])):
            future = x[CUT : CUT + horizon, 1:2] = np.full((horizon, 1), 0.4)
            expected = forecasts_from(model, x, CUT)
            for other in futures(x, horizon):
                assert forecasts_from(model, other, CUT) == expected
            predicted = model.predict(x[:CUT], future=future)[:, 0]
            names = model._output_names(model._levels)
            for k, name in enumerate(names):
                assert predicted[:, k].tobytes() == expected[name]
            assert len(expected) == len(names) + 6  # and those of two naive ones with ends

    @pytest.mark.parametrize("linear", [False, True])
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_known_columns_within_the_horizon_count(self, linear, bidirectional):
        model = forecaster(linear=linear, bidirectional=bidirectional, **INDICES).fit(SERIES)
        expected = forecasts_from(model, SERIES[0], CUT)
        for step, counts in enumerate([True, True, True, False]):
            other = SERIES[0].copy()
            other[CUT + step, 1] += 1
            assert (forecasts_from(model, other, CUT) != expected) == counts

    def test_a_step_of_the_horizon_counts_from_there_on(self):
        """Forecasts of steps before it do not see it, but in a bidirectional network."""
        for bidirectional in (False, True):
            model = forecaster(linear=False, bidirectional=bidirectional, **INDICES)
            model.fit(SERIES)
            future = np.zeros((3, 1))
            expected = model.predict(SERIES[0], future=future)[:, 0]
            future[1] = 1
            changed = model.predict(SERIES[0], future=future)[:, 0] != expected
            assert changed.tolist() == [bidirectional, True, True]

    def test_past_columns_in_any_order_after_the_origin(self):
        model = forecaster(**INDICES).fit(SERIES)
        expected = forecasts_from(model, SERIES[0], CUT)
        other = SERIES[0].copy()
        np.random.default_rng(0).shuffle(other[CUT:, 2])
        assert forecasts_from(model, other, CUT) == expected
        other[CUT - 1, 2] += 1
        assert forecasts_from(model, other, CUT) != expected

    @pytest.mark.parametrize("refit", [False, True])
    def test_backtests(self, refit):
        model = forecaster(level=80, past=(1,))
        x = SERIES[0][:, :2]
        expected = model.backtest(x, n_windows=2, step=5, refit=refit)
        origin = len(x) - 8
        other = x.copy()
        other[origin:] = np.random.default_rng(0).normal(size=(8, 2)) * 100
        found = model.backtest(other, n_windows=2, step=5, refit=refit)
        names = [name for name in expected if name != "y"]
        np.testing.assert_array_equal(found[names][:3], expected[names][:3])
        assert not np.array_equal(found[names][3:], expected[names][3:])

    def test_what_a_layout_learns_of_columns(self):
        panel = read_panel([x.copy() for x in SERIES], ROLES)
        lengths = panel.lengths - 7
        layouts = []
        for value in (None, np.nan, -1e9):
            other = panel
            if value is not None:
                other = read_panel([x.copy() for x in SERIES], ROLES)
                for k in range(3):
                    after = slice(other.series(k).stop - 7, other.series(k).stop)
                    for columns in (other.targets, other.past, other.known):
                        columns[after] = value
            layout = WindowLayout(8, 3, 4, "seasonal", "standard", (), 1)
            layout.learn_columns(other, lengths)
            layouts.append(layout)
        for layout in layouts[1:]:
            for name in ("gaps", "offsets", "scales"):
                for key, value in getattr(layouts[0], name).items():
                    np.testing.assert_array_equal(getattr(layout, name)[key], value)
            assert layout.ratios == layouts[0].ratios == [True]


def layout(panel, **settings):
    settings = {"context": 8, "horizon": 3, "season": 4, "baseline": "last"} | settings
    found = WindowLayout(
        **{"scaling": "standard", "calendar": (), "n_targets": panel.targets.shape[1]}
        | settings
    )
    found.learn_columns(panel, panel.lengths)
    return found


def rows_of(sequences, k):
    """What the network reads of a window."""
    rows = slice(sequences.starts[k], sequences.starts[k] + sequences.lengths[k])
    read = (sequences.values[rows] - sequences.shift[k]) * sequences.scale[k]
    if sequences.seams is not None:
        hidden = ~np.isnan(sequences.beyond)
        read[sequences.seams[k] :, hidden] = sequences.beyond[hidden]
    return read


class TestWindows:
    def test_baselines(self):
        panel = read_panel([Y, PANEL[1]], ColumnRoles())
        for name in ("zero", "last", "seasonal"):
            inputs = SeriesInputs(layout(panel, horizon=6, baseline=name), panel)
            windows = inputs.make_windows(np.array([0, 1]), np.array([20, 30]))
            expected = {
                "zero": [[Y[12:20].mean()] * 6, [PANEL[1][22:30].mean()] * 6],
                "last": [[Y[19]] * 6, [PANEL[1][29]] * 6],
                "seasonal": [
                    [*y[n - 4 : n], *y[n - 4 : n - 2]] for y, n in ((Y, 20), (PANEL[1], 30))
                ],
            }
            np.testing.assert_allclose(windows.baseline[:, :, 0], expected[name])

    def test_scales(self):
        panel = read_panel(Y, ColumnRoles())
        window = Y[12:20]
        expected = {
            "differences": np.abs(window - Y[8:16]).mean(),
            "standard": window.std(),
            "mean_abs": np.abs(window).mean(),
            "none": 1.0,
        }
        for name, scale in expected.items():
            inputs = SeriesInputs(layout(panel, scaling=name), panel)
            windows = inputs.make_windows(np.array([0]), np.array([20]))
            assert windows.scale[0, 0] == pytest.approx(scale)
            center = 0 if name == "none" else window.mean()
            assert windows.center[0, 0] == pytest.approx(center)
            level = max(np.abs(window).mean(), scale)
            assert windows.change[0, 0] == pytest.approx(np.log(scale / level))
            followed = (Y[20:23] - Y[19]) / scale
            np.testing.assert_allclose(inputs.targets_of(windows)[0, :, 0], followed)

    def test_inputs_of_the_network(self):
        x = np.column_stack([Y, np.roll(Y, 1), -Y, np.full(70, 2.0)])
        x[15, 0] = x[17, 1] = np.nan
        panel = read_panel([x, SERIES[1]], ROLES)
        inputs = SeriesInputs(layout(panel), panel)
        windows = inputs.make_windows(np.array([0, 1]), np.array([20, 7]))
        sequences = inputs.sequences(windows)
        assert sequences.seams.tolist() == [8, 7]
        assert sequences.lengths.tolist() == [11, 10]
        filled = x[:, 0].copy()
        filled[15] = filled[14]
        seen = filled[12:20]
        both = np.concatenate([x, SERIES[1]])
        known, past = (
            (x[:, k] - np.nanmean(both[:, k])) / np.nanstd(both[:, k]) for k in (1, 2)
        )
        known[17] = known[16]
        size = (2 - 1.5) / 0.5

        def then(values, beyond):
            return [*values, *np.full(3, beyond)]

        expected = [
            then((seen - seen.mean()) / seen.std(), 0),
            then((seen - filled[8:16]) / seen.std(), 0),
            (filled[8:19] - seen.mean()) / seen.std(),
            then(np.arange(12, 20) == 15, 0),
            np.full(11, np.log(seen.std() / np.abs(seen).mean())),
            then(past[12:20], 0),
            known[12:23],
            np.arange(12, 23) == 17,
            then(np.zeros(8), 1),
            np.full(11, size),
        ]
        np.testing.assert_allclose(rows_of(sequences, 0).T, expected, atol=1e-12)

    @pytest.mark.parametrize(("horizon", "back"), [(1, 4), (4, 4), (5, 8), (8, 8)])
    def test_earlier_values_are_known_at_the_origin(self, horizon, back):
        x = SERIES[0][:, :2].copy()
        x[:2, 0] = x[50, 0] = np.nan
        panel = read_panel([SERIES[1][:, :2], x], ColumnRoles(known=(1,)))
        inputs = SeriesInputs(layout(panel, horizon=horizon, context=40), panel)
        windows = inputs.make_windows(np.array([1, 1]), np.array([52, 7]))
        sequences = inputs.sequences(windows)
        x[50, 0] = x[49, 0]
        for k, origin in enumerate((52, 7)):
            earlier = x[np.maximum(np.arange(origin + horizon) - back, 2), 0]
            read = rows_of(sequences, k)[:, 2] * windows.scale[k] + windows.center[k]
            np.testing.assert_allclose(read, earlier[-len(read) :])

    def test_without_known_columns_the_network_ends_at_the_origin(self):
        y = pd.Series(Y, dates(70))
        panel = read_panel(y, ColumnRoles())
        for calendar, n_inputs in (((), 3), (("hour",), 5)):
            inputs = SeriesInputs(layout(panel, calendar=calendar), panel)
            windows = inputs.make_windows(np.array([0]), np.array([20]))
            sequences = inputs.sequences(windows)
            assert (sequences.seams, sequences.beyond) == (None, None)
            assert sequences.lengths.tolist() == [8]
            assert sequences.n_features == n_inputs

    def test_nothing_is_known_beyond_the_end(self):
        """Not the columns of the next series either."""
        panel = read_panel([SERIES[0], 100 + SERIES[1]], ROLES)
        inputs = SeriesInputs(layout(panel), panel)
        windows = inputs.make_windows(np.array([0, 1]), np.array([69, 50]))
        sequences = inputs.sequences(windows)
        assert sequences.seams.tolist() == [8, 8]
        assert sequences.lengths.tolist() == [8 + 1, 8]
        ahead = inputs.known_of_steps(windows, 0, 1.0)[:, :, 0]
        assert ahead[0, 0] != 0
        assert (ahead[0, 1:] == 0).all()
        followed = inputs.followed(windows)[0, :, 0]
        assert followed[0] == Y[69]
        assert np.isnan(followed[1:]).all()

    def test_a_constant_window_in_a_series_that_changes(self):
        y = np.r_[Y[:30], np.full(10, Y[29])]
        panel = read_panel([Y, y], ColumnRoles())
        windows = SeriesInputs(layout(panel), panel).make_windows(
            np.array([1]), np.array([40])
        )
        np.testing.assert_allclose(windows.scale, np.abs(y[4:] - y[:-4]).mean())

    def test_a_constant_window(self):
        panel = read_panel(np.r_[np.full(20, 0.1 + 0.2), Y], ColumnRoles())
        for scaling in ("differences", "standard", "mean_abs"):
            inputs = SeriesInputs(layout(panel, scaling=scaling), panel)
            windows = inputs.make_windows(np.array([0]), np.array([20]))
            assert windows.scale[0, 0] == 0
            assert np.isfinite(rows_of(inputs.sequences(windows), 0)).all()
            assert np.isnan(inputs.targets_of(windows)).all()

    def test_the_seasonal_baseline_looks_for_the_last_value_of_each_part(self):
        y = np.arange(24.0)
        y[[16, 20, 23]] = np.nan
        panel = read_panel(y, ColumnRoles())
        inputs = SeriesInputs(layout(panel, baseline="seasonal"), panel)
        windows = inputs.make_windows(np.array([0]), np.array([24]))
        assert windows.baseline[0, :, 0].tolist() == [12, 21, 22]
        assert inputs.baseline("last", np.array([0]), np.array([24]))[0].tolist() == [[22]] * 3

    @pytest.mark.parametrize("lengths", [[70, 50, 60], [40, 0, 9], [0, 50, 0], [0, 0, 0]])
    def test_some_steps_of_a_panel(self, lengths):
        """As if the others were not there, whether they are left out or behind other rows."""
        series = [holes(x) for x in SERIES]
        series[0][:7, 0] = np.nan
        panel = read_panel(series, ROLES)
        part = panel.first(lengths)
        found = SeriesInputs(layout(panel), part)
        used = [k for k, n in enumerate(lengths) if n]
        assert found.first.tolist() == [
            7 if n and k == 0 else 0 for k, n in enumerate(lengths)
        ]
        if used:
            cut = read_panel([series[k][: lengths[k]] for k in used], ROLES)
            cut = replace(cut, static=panel.static[used])
            expected = SeriesInputs(layout(panel), cut)
            rows = steps_of(found.starts, part.lengths)
            np.testing.assert_array_equal(found.values[rows], expected.values)

    def test_the_future_is_known(self):
        """Steps to come are as if the series went on."""
        panel = read_panel([x[:-3] for x in SERIES], ROLES)
        whole = read_panel(SERIES, ROLES)
        future = np.stack([x[-3:, 1:2] for x in SERIES])
        of_panel = SeriesInputs(layout(whole), panel, future)
        of_whole = SeriesInputs(layout(whole), whole)
        index = np.arange(3), panel.lengths
        one, other = (i.make_windows(*index) for i in (of_panel, of_whole))
        for k in range(3):
            a, b = (
                rows_of(i.sequences(w), k) for i, w in ((of_panel, one), (of_whole, other))
            )
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(
            of_panel.known_of_steps(one, 0, 2.0), of_whole.known_of_steps(other, 0, 2.0)
        )


class TestPool:
    def pool(self, stride=1):
        panel = read_panel([np.arange(30.0), np.arange(4.0), np.arange(20.0)], ColumnRoles())
        inputs = SeriesInputs(layout(panel), panel)
        return WindowPool(inputs, np.full(3, 5), panel.lengths - 3, stride)

    def test_windows(self):
        pool = self.pool()
        assert len(pool) == 23 + 13
        windows = pool.take(np.arange(len(pool)))
        assert windows.series.tolist() == [0] * 23 + [2] * 13
        assert windows.origins.tolist() == [*range(5, 28), *range(5, 18)]

    def test_steps_go_back_from_the_last(self):
        windows = self.pool(10).take(np.arange(5))
        assert windows.origins.tolist() == [7, 17, 27, 7, 17]

    @pytest.mark.parametrize("n", [1, 20, 35, 36, 50])
    def test_draws_are_in_random_order(self, n):
        pool = self.pool()
        drawn = pool.draw(n, np.random.RandomState(0))
        places = list(zip(drawn.series.tolist(), drawn.origins.tolist(), strict=True))
        assert len(set(places)) == len(places) == min(n, 36)
        assert n == 1 or places != sorted(places)

    def test_almost_all_of_many_are_in_random_order(self):
        panel = read_panel(np.arange(2000.0), ColumnRoles())
        inputs = SeriesInputs(layout(panel), panel)
        pool = WindowPool(inputs, np.array([5]), np.array([1997]))
        for n in (5, 1990):
            origins = pool.draw(n, np.random.RandomState(0)).origins
            assert len(np.unique(origins)) == n
            assert abs(np.corrcoef(np.arange(n), origins)[0, 1]) < (0.9 if n == 5 else 0.1)


def test_windows_are_not_copied():
    rng = np.random.default_rng(0)
    series = [*rng.normal(size=(2000, 1000)).cumsum(axis=1)]
    n_bytes = 2000 * 1000 * 8
    model = LSTMForecaster(
        24,
        season=24,
        context=168,
        max_windows=2000,
        max_iter=1,
        hidden_layer_sizes=4,
        level=80,
    )
    # All windows would be 168 + 24 times as much.
    assert peak(lambda: model.fit(series)) < 9 * n_bytes
    assert peak(model.predict) < 5 * n_bytes
    assert peak(lambda: model.predict(series)) < 9 * n_bytes
    # Nor are they where the network goes on.
    both = [np.column_stack([y, y[::-1]]) for y in series]
    model.set_params(known=(1,))
    assert peak(lambda: model.fit(both)) < 18 * n_bytes
    assert peak(lambda: model.predict(future=[x[:24, 1] for x in both])) < 5 * n_bytes
