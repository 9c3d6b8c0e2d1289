"""Errors of forecasts against worked examples, and what is left out of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss

from cylstm.metrics import (
    coverage,
    interval_score,
    mase,
    nd,
    pinball_loss,
    rmsse,
    smape,
)

# Two series and forecasts of three and two steps. The errors are 1, 0, 2 and 3, 1.
Y = [[2.0, 4.0, 6.0], [10.0, 0.0]]
P = [[1.0, 4.0, 8.0], [13.0, 1.0]]
LOWER = [[0.0, 5.0, 6.0], [8.0, -1.0]]
UPPER = [[3.0, 7.0, 9.0], [9.0, 1.0]]
# Changes over one step: 2, 1, 3 and 4, 4; over two: 1, 2 and 0.
TRAIN = [[1.0, 3.0, 2.0, 5.0], [1.0, 5.0, 1.0]]


@pytest.mark.parametrize(
    ("metric", "of_series", "together"),
    [
        # Mean errors 1 and 2, mean changes 2 and 4.
        (lambda **k: mase(Y, P, TRAIN, **k), [1 / 2, 2 / 4], 1 / 2),
        # Mean squared errors (1 + 0 + 4) / 3 and (9 + 1) / 2, changes (4 + 1 + 9) / 3 and 16.
        (
            lambda **k: rmsse(Y, P, TRAIN, **k),
            [(5 / 14) ** 0.5, (5 / 16) ** 0.5],
            ((5 / 14) ** 0.5 + (5 / 16) ** 0.5) / 2,
        ),
        # 200 / 3, 0, 400 / 14 and 600 / 23, 200 / 1.
        (
            lambda **k: smape(Y, P, **k),
            [(200 / 3 + 400 / 14) / 3, (600 / 23 + 200) / 2],
            ((200 / 3 + 400 / 14) / 3 + (600 / 23 + 200) / 2) / 2,
        ),
        # Sums of errors 3 and 4, of values 12 and 10.
        (lambda **k: nd(Y, P, **k), [3 / 12, 4 / 10], 7 / 22),
        # y - p is 1, 0, -2 and -3, -1: 0.8 of what is above, 0.2 of what is below.
        (
            lambda **k: pinball_loss(Y, P, 0.8, **k),
            [(0.8 + 0 + 0.4) / 3, (0.6 + 0.2) / 2],
            (0.4 + 0.4) / 2,
        ),
        # Widths 3, 2, 3 and 1, 2. At 80% 2 / 0.2 times what is outside: 4 is 1 below 5, and
        # 10 is 1 above 9.
        (
            lambda **k: interval_score(Y, LOWER, UPPER, 80, **k),
            [(3 + (2 + 10) + 3) / 3, ((1 + 10) + 2) / 2],
            (6 + 6.5) / 2,
        ),
    ],
)
def test_worked_examples(metric, of_series, together):
    np.testing.assert_allclose(metric(average=False), of_series, rtol=1e-14)
    assert metric() == pytest.approx(together, rel=1e-14)
    assert isinstance(metric(), float)


def test_worked_example_of_coverage():
    # Inside are 2 and 6 (on the bound), not 4; not 10, but 0.
    assert coverage(Y, LOWER, UPPER) == 3 / 5
    np.testing.assert_array_equal(
        coverage(Y, LOWER, UPPER, by_step=True), [1 / 2, 1 / 2, 1 / 1]
    )


def test_season_is_the_step_of_the_naive_forecast():
    # Changes over two steps: |2 - 1| and |5 - 3|, mean 1.5.
    assert mase(Y[0], P[0], TRAIN[0], season=2) == pytest.approx(1 / 1.5)
    assert rmsse(Y[0], P[0], TRAIN[0], season=2) == pytest.approx(((5 / 3) / 2.5) ** 0.5)
    # No change from one series to the next counts.
    train = [[1.0, 2.0, 3.0], [101.0, 103.0, 106.0]]
    one_by_one = [mase(Y[k], P[k], train[k], season=2) for k in range(2)]
    np.testing.assert_allclose(mase(Y, P, train, season=2, average=False), one_by_one)


def all_metrics(y, p, train, **options):
    return [
        mase(y, p, train, **options),
        rmsse(y, p, train, **options),
        smape(y, p, **options),
        nd(y, p, **options),
        pinball_loss(y, p, 0.3, **options),
        interval_score(y, p, p, 90, **options),
    ]


def test_the_forms_of_series():
    rng = np.random.default_rng(0)
    y, p, train = rng.normal(size=(3, 4, 9))
    expected = all_metrics(y, p, train)
    forms = [list, tuple, np.ndarray.tolist, np.asfortranarray]
    forms += [lambda x: [pd.Series(row) for row in x], lambda x: x.astype(object)]
    for form in forms:
        assert all_metrics(form(y), form(p), form(train)) == expected
    of_series = all_metrics(y, p, train, average=False)
    for k in range(4):
        one = all_metrics(y[k], p[k], train[k])
        np.testing.assert_allclose([values[k] for values in of_series], one, rtol=1e-14)
        assert all_metrics(y[k].tolist(), pd.Series(p[k]), train[k]) == one
        np.testing.assert_allclose(all_metrics([y[k]], [p[k]], train[k]), one)


def test_integers_and_missing_values_of_any_library():
    nullable = pd.Series([2, None, 6], dtype="Int64")
    assert mase(nullable, [1, 5, 8], pd.Series([1, 3, None, 5, 9], dtype="Int64")) == 1.5 / 3
    assert nd([np.uint8([2, 4])], [np.uint8([3, 2])]) == 3 / 6
    assert nd([2, None, 6], [1, 5, 8]) == 3 / 8
    polars = pytest.importorskip("polars")
    assert nd(polars.Series([2, None, 6]), [1, 5, 8]) == 3 / 8


def test_missing_values_are_left_out():
    y, p = [2.0, np.nan, 6.0], [1.0, 7.0, 8.0]
    for with_gap, without in zip(
        all_metrics(y, p, TRAIN[0]), all_metrics(y[::2], p[::2], TRAIN[0]), strict=True
    ):
        assert with_gap == without
    assert all_metrics(y, [1.0, np.nan, 8.0], TRAIN[0]) == all_metrics(y, p, TRAIN[0])
    assert coverage(y, [0, 0, 0], [3, 3, 3]) == 1 / 2
    np.testing.assert_array_equal(coverage(y, [0] * 3, [3] * 3, by_step=True), [1, np.nan, 0])
    # Of the changes 2, NaN, NaN, 3 the mean is 2.5.
    assert mase(Y[0], P[0], [1, 3, np.nan, 2, 5]) == 1 / 2.5


def test_series_without_a_scale_are_left_out_of_the_mean():
    y, p = np.ones((4, 2)), np.zeros((4, 2))
    y[1] = np.nan
    train = [[1, 3], [1, 3], [5, 5, 5], [1, np.nan, 2]]
    for metric, expected in ((mase, 1 / 2), (rmsse, 1 / 2)):
        np.testing.assert_array_equal(
            metric(y, p, train, average=False), [expected, *[np.nan] * 3]
        )
        with pytest.warns(
            UserWarning, match="3 of 4 series are left out of the mean"
        ) as caught:
            assert metric(y, p, train) == expected
        assert caught[0].filename == __file__
        with pytest.warns(UserWarning, match="2 of 2 .* y_train does not change"):
            assert np.isnan(metric(y[2:], p[2:], train[2:]))


def test_small_scales_count():
    tiny = 1e-12
    expected = mase(Y, P, TRAIN), rmsse(Y, P, TRAIN)
    scaled = [[np.multiply(x, tiny) for x in panel] for panel in (Y, P, TRAIN)]
    np.testing.assert_allclose([mase(*scaled), rmsse(*scaled)], expected)


def test_series_without_observed_values():
    y, p = [[np.nan, np.nan], [2.0, 4.0]], [[1.0, 1.0], [1.0, 5.0]]
    for metric in (smape, lambda *a, **k: pinball_loss(*a, 0.5, **k)):
        assert np.isnan(metric(y, p, average=False)).tolist() == [True, False]
        with pytest.warns(UserWarning, match="1 of 2 series are .* has no observed value"):
            assert metric(y, p) == metric(y[1], p[1])
    assert nd(y, p) == 2 / 6
    assert np.isnan(nd(y, p, average=False)).tolist() == [True, False]
    with pytest.warns(UserWarning, match="no values but 0 and NaN"):
        assert np.isnan(nd([0, np.nan], [1, 1]))
    with pytest.warns(UserWarning, match="no observed value"):
        assert np.isnan(coverage([np.nan], [0], [1]))


def test_steps_at_which_both_are_0_have_no_percentage_error():
    assert smape([0, 1], [0, 3]) == 100 / 2
    assert smape([0], [-1]) == 200


def test_intervals_without_bounds_cover():
    assert coverage([1, 5], [-np.inf, 0], [np.inf, 4]) == 1 / 2
    assert interval_score([1, 5], [-np.inf, 0], [np.inf, 4], 80) == np.inf


def test_pinball_loss_is_that_of_scikit_learn():
    y, p = np.random.default_rng(0).normal(size=(2, 50))
    for quantile in (0.1, 0.5, 0.9):
        expected = mean_pinball_loss(y, p, alpha=quantile)
        assert pinball_loss(y, p, quantile) == pytest.approx(expected)


def test_agreement_with_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    rng = np.random.default_rng(0)
    y, p, lower = rng.normal(size=(3, 5, 12)) + 2
    upper = lower + rng.uniform(0, 3, size=lower.shape)
    train = rng.normal(size=(5, 40))

    def frame(**columns):
        n, n_steps = columns["y"].shape
        keys = {"unique_id": np.repeat(range(n), n_steps), "ds": np.tile(range(n_steps), n)}
        return pd.DataFrame({**keys, **{name: x.ravel() for name, x in columns.items()}})

    df = frame(y=y, m=p, **{"m-lo-80": lower, "m-hi-80": upper})
    scaled = {"seasonality": 7, "train_df": frame(y=train)}
    for ours, theirs in [
        (mase(y, p, train, 7, average=False), losses.mase(df, ["m"], **scaled)),
        (rmsse(y, p, train, 7, average=False), losses.rmsse(df, ["m"], **scaled)),
        (smape(y, p, average=False) / 200, losses.smape(df, ["m"])),
        (nd(y, p, average=False), losses.nd(df, ["m"])),
        (
            [coverage(*one) for one in zip(y, lower, upper, strict=True)],
            losses.coverage(df, ["m"], 80),
        ),
    ]:
        np.testing.assert_allclose(ours, theirs["m"], rtol=1e-12)
    if hasattr(losses, "winkler_score"):
        ours = interval_score(y, lower, upper, 80, average=False)
        np.testing.assert_allclose(ours, losses.winkler_score(df, ["m"], 80)["m"], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smape(None, [1]), "y_true is None; expected a series"),
        (lambda: smape([1], "text"), "y_pred is of type str; expected a series"),
        (lambda: smape([1], ["a"]), "y_pred has shape .1,. and dtype <U1; expected numbers"),
        (lambda: smape(["a", None], [1, 2]), "y_true must hold numbers: could not convert"),
        (lambda: smape(np.array([1j]), [1]), "y_true has dtype complex128"),
        (lambda: smape([], []), r"y_true has shape \(0,\); expected a series"),
        (lambda: smape([[1], []], [[1], []]), r"y_true\[1\] has shape \(0,\); expected"),
        (lambda: smape([[1], 2], [[1], 2]), r"y_true\[1\] has shape \(\); expected"),
        (lambda: smape(np.zeros((1, 1, 1)), [1]), r"y_true has shape \(1, 1, 1\)"),
        (lambda: smape(pd.DataFrame({"a": [1]}), [1]), "y_true is a data frame; expected"),
        (
            lambda: smape(Y, P[:1]),
            "y_pred has 1 series, but y_true has 2. Of several .* pass the transpose",
        ),
        (lambda: smape(Y, P[::-1]), r"y_pred\[0\] has 2 steps, but y_true\[0\] has 3"),
        (lambda: smape([1, 2], [1]), "y_pred has 1 steps, but y_true has 2"),
        (lambda: smape([1, 2], [1, np.nan]), r"y_pred\[1\] is nan, but a value was observed"),
        (lambda: smape(Y, [P[0], [1, np.nan]]), r"y_pred\[1\]\[1\] is nan, but a value"),
        (lambda: smape([1, 2], [1, np.inf]), r"y_pred\[1\] is inf, but must be finite"),
        (lambda: smape([-np.inf, 2], [1, 2]), r"y_true\[0\] is -inf, but must be finite"),
        (lambda: mase([1], [1], [1, np.inf]), r"y_train\[1\] is inf, but must be finite"),
        (lambda: mase([1], [1], None), "y_train is None"),
        (
            lambda: mase(Y, P, TRAIN[0]),
            "y_train has 1 series, but y_true has 2. Of several .* pass the transpose",
        ),
        (lambda: mase(Y, P, TRAIN, 3), r"y_train\[1\] has 3 steps, but season=3 needs at"),
        (lambda: rmsse([1], [1], [1]), "y_train has 1 steps, but season=1 needs at least 2"),
        (lambda: mase(Y, P, TRAIN, 0), "season=0 must be an int of at least 1"),
        (lambda: mase(Y, P, TRAIN, 1.5), "season=1.5 must be an int"),
        (lambda: mase(Y, P, TRAIN, 2**70), "season must fit in 64 bits"),
        (lambda: pinball_loss(Y, P, 1), "quantile=1 must be between 0 and 1"),
        (lambda: pinball_loss(Y, P, 80), "quantile=80 must be between 0 and 1"),
        (lambda: pinball_loss(Y, P, [0.5]), r"quantile=\[0.5\] must be between 0 and 1"),
        (lambda: interval_score(Y, LOWER, UPPER, 100), "level=100 must be a percentage"),
        (lambda: interval_score(Y, LOWER, UPPER, 0.8), "level=0.8 must be a percentage .* 80"),
        (lambda: interval_score(Y, LOWER, UPPER, "80"), "level='80' must be a percentage"),
        (lambda: interval_score(Y, UPPER, LOWER, 80), r"lower\[0\]\[0\] is 3.0, above the"),
        (lambda: coverage([1, 2], [0, 3], [1, 2]), r"lower\[1\] is 3.0, above the upper"),
        (lambda: coverage([1], [0], [np.nan]), r"upper\[0\] is nan, but a value was observed"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
