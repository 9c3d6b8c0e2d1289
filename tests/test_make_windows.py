"""make_windows: what windows hold, what follows them, and in which form they come."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMRegressor
from cylstm.preprocessing import StepwiseTransformer, make_windows

SERIES = np.arange(20.0).reshape(10, 2)  # features 2 t and 2 t + 1
NAMES = ["sales", "price"]


def pandas_frame(values, names=NAMES, start="2024-01-01"):
    dates = pd.date_range(start, periods=len(values))
    return pd.DataFrame(np.array(values), index=dates, columns=names)


def polars_frame(values, names=NAMES):
    return pytest.importorskip("polars").DataFrame(np.array(values), schema=names)


FRAMES = [pandas_frame, polars_frame]


def test_windows_and_what_follows():
    X, y = make_windows(SERIES, window=3, horizon=2, stride=2)
    assert X.shape == (3, 3, 2)
    assert y.shape == (3, 4)
    for k in range(3):
        np.testing.assert_array_equal(X[k], SERIES[2 * k : 2 * k + 3])
        np.testing.assert_array_equal(y[k].reshape(2, 2), SERIES[2 * k + 3 : 2 * k + 5])


def test_the_last_window_ends_horizon_steps_before_the_end():
    for horizon in (1, 2, 5):
        X, y = make_windows(np.arange(10), window=3, horizon=horizon)
        assert len(X) == len(y) == 10 - 3 - horizon + 1
        assert np.max(y) == 9
    X, y = make_windows(np.arange(4), window=3)
    assert (X.shape, y.tolist()) == ((1, 3, 1), [3])


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (7, 2)),
        ({"targets": 1}, (7,)),
        ({"targets": [1]}, (7,)),
        ({"targets": [1, 0]}, (7, 2)),
        ({"targets": 0, "horizon": 3}, (5, 3)),
        ({"targets": -1, "horizon": 3}, (5, 3)),
        ({"horizon": 3}, (5, 6)),
        ({"known": 1}, (7,)),
        ({"known": [], "horizon": 3}, (5, 6)),
    ],
)
def test_shapes_of_targets_are_those_that_fit_takes(settings, shape):
    X, y, last = make_windows(SERIES, window=3, subtract_last=True, **settings)
    assert y.shape == last.shape == shape
    model = LSTMRegressor(2, max_iter=1, random_state=0).fit(X / 20, y / 20)
    assert model.predict(X / 20).shape == shape
    assert make_windows(SERIES, window=3, **settings)[1].shape == shape


def test_targets_choose_features():
    y = make_windows(SERIES, window=3, targets=[1, 0])[1]
    np.testing.assert_array_equal(y, SERIES[3:, ::-1])
    for target in (1, -1):
        y = make_windows(SERIES, window=3, targets=target)[1]
        np.testing.assert_array_equal(y, SERIES[3:, 1])


@pytest.mark.parametrize(
    "settings",
    [{}, {"targets": 1}, {"targets": [0, 1]}, {"horizon": 3}, {"horizon": 3, "targets": 0}],
)
def test_windows_are_views(settings):
    X, y, X_future = make_windows(SERIES, window=3, return_future=True, **settings)
    for array in (X, y, X_future):
        assert np.shares_memory(array, SERIES)
        assert not array.flags.writeable


def test_the_final_window_has_no_target():
    X, y, X_future = make_windows(SERIES, window=3, horizon=2, return_future=True)
    np.testing.assert_array_equal(X_future, SERIES[None, -3:])
    np.testing.assert_array_equal(X, make_windows(SERIES, window=3, horizon=2)[0])
    assert len(X) == len(y)
    # A series that goes on gives it the target that was still to come.
    longer = np.concatenate([SERIES, SERIES[:2]])
    np.testing.assert_array_equal(
        make_windows(longer, window=3, horizon=2)[0][-1], X_future[0]
    )


def test_what_is_known_ahead():
    X, y = make_windows(SERIES, window=3, horizon=2, targets=0, known=1)
    assert X.shape == (6, 3, 3)
    for k in range(6):
        np.testing.assert_array_equal(X[k, :, :2], SERIES[k : k + 3])
        np.testing.assert_array_equal(X[k, :, 2], SERIES[k + 2 : k + 5, 1])
        np.testing.assert_array_equal(X[k, -2:, 2], SERIES[k + 3 : k + 5, 1])  # beside y
        np.testing.assert_array_equal(y[k], SERIES[k + 3 : k + 5, 0])


def test_known_values_of_the_future():
    n_ahead = 2
    series = SERIES.copy()
    series[-n_ahead:, 0] = np.nan
    X, y, X_future = make_windows(
        series, window=3, horizon=2, targets=0, known=1, return_future=True
    )
    # The rows to come are in no target and, but for what is known, in no window.
    known_only = make_windows(SERIES[:-n_ahead], window=3, horizon=2, targets=0, known=1)
    np.testing.assert_array_equal(X, known_only[0])
    np.testing.assert_array_equal(y, known_only[1])
    np.testing.assert_array_equal(X_future[0, :, :2], SERIES[5:8])
    np.testing.assert_array_equal(X_future[0, :, 2], SERIES[7:10, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64, bool])
def test_last_values_are_subtracted_and_can_be_added_again(dtype):
    series = (SERIES[::-1] % 7).astype(dtype)  # falls: unsigned differences would wrap
    settings = {"window": 3, "horizon": 2, "targets": 0, "return_future": True}
    X, y, X_future = make_windows(series, **settings)
    X_less, y_less, last, future_less, last_future = make_windows(
        series, **settings, subtract_last=True
    )
    assert X_less.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert not X_less[:, -1, 0].any()
    assert not future_less[:, -1, 0].any()
    np.testing.assert_array_equal(X_less[:, :, 0] + last[:, :1], X[:, :, 0])
    np.testing.assert_array_equal(X_less[:, :, 1], X[:, :, 1])
    np.testing.assert_array_equal(y_less + last, y)
    np.testing.assert_array_equal(future_less[:, :, 0] + last_future[:, :1], X_future[:, :, 0])


def test_last_values_of_several_targets():
    X, y, last = make_windows(SERIES, window=3, horizon=2, targets=[1, 0], subtract_last=True)
    np.testing.assert_array_equal(X[0], [[-4, -4], [-2, -2], [0, 0]])
    np.testing.assert_array_equal(y[0], [2, 2, 4, 4])  # of 1 and 0, then one step later
    np.testing.assert_array_equal(last[0], [5, 4, 5, 4])


def test_windows_with_missing_values():
    series = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    X, y = make_windows(series, window=2)
    np.testing.assert_array_equal(X[:, :, 0], [[1, 2], [2, np.nan], [np.nan, 4]])
    np.testing.assert_array_equal(y, [np.nan, 4, 5])
    X, y, last = make_windows(series, window=2, subtract_last=True)
    np.testing.assert_array_equal(X[:, :, 0], [[-1, 0], [np.nan] * 2, [np.nan, 0]])
    np.testing.assert_array_equal(y, [np.nan, np.nan, 1])


def test_several_series_follow_one_another():
    panel = [SERIES, SERIES[:3], -SERIES[:6]]
    options = {"horizon": 2, "stride": 2, "subtract_last": True}
    parts = [make_windows(panel[k], window=3, **options) for k in (0, 2)]
    *joined, X_future, last_future = make_windows(
        panel, window=3, **options, return_future=True
    )
    for array, *of_series in zip(joined, *parts, strict=True):
        np.testing.assert_array_equal(array, np.concatenate(of_series))
    # The second series has no window with targets, but a final one.
    np.testing.assert_array_equal(last_future[:, :2], [SERIES[-1], SERIES[2], -SERIES[5]])
    np.testing.assert_array_equal(
        X_future + last_future[:, None, :2], [one[-3:] for one in panel]
    )
    assert make_windows((SERIES[:, 0], SERIES[:, :1]), window=3)[0].shape == (14, 3, 1)


def test_a_list_of_numbers_or_of_lists_is_one_series():
    X, y = make_windows([1, 2, 3], window=2)
    assert (X.tolist(), y.tolist()) == ([[[1], [2]]], [3])
    assert make_windows(SERIES.tolist(), window=3)[0].shape == (7, 3, 2)


@pytest.mark.parametrize("make_frame", FRAMES)
def test_data_frames_keep_their_names(make_frame):
    names = [*NAMES, "price+2"]
    options = {"window": 3, "horizon": 2, "subtract_last": True, "return_future": True}
    series = SERIES.copy()
    series[-2:, 0] = np.nan
    frame = make_frame(series)
    given = make_windows(frame, **options, targets="sales", known=["price"])
    by_index = make_windows(frame, **options, targets=0, known=[-1])
    expected = make_windows(series, **options, targets=0, known=1)
    for of_frame, of_indices, array in zip(given, by_index, expected, strict=True):
        np.testing.assert_array_equal([np.asarray(x) for x in of_frame], array)
        np.testing.assert_array_equal([np.asarray(x) for x in of_indices], array)
    X, y, _, X_future, _ = given
    assert isinstance(X, list)
    assert {type(x) for x in [*X, *X_future]} == {type(frame)}
    assert [*X[0].columns] == [*X_future[0].columns] == names
    model = make_pipeline(
        StepwiseTransformer(StandardScaler()), LSTMRegressor(2, max_iter=1, random_state=0)
    ).fit(X, y)
    assert model.feature_names_in_.tolist() == names
    assert model.predict(X_future).shape == (1, 2)


def test_windows_of_pandas_keep_their_dates():
    frame = pandas_frame(SERIES)
    X, _, X_future = make_windows(frame, window=3, stride=4, return_future=True)
    for start, x in zip((0, 4, 7), [*X, *X_future], strict=True):
        pd.testing.assert_frame_equal(x, frame.iloc[start : start + 3], check_freq=False)


@pytest.mark.parametrize("make_frame", FRAMES)
def test_a_list_of_frames(make_frame):
    X, y = make_windows([make_frame(SERIES), make_frame(-SERIES)], window=3, targets="price")
    assert len(X) == len(y) == 14
    assert [*X[-1].columns] == NAMES
    np.testing.assert_array_equal(np.asarray(X[-1]), -SERIES[6:9])
    np.testing.assert_array_equal(y, np.concatenate([SERIES[3:, 1], -SERIES[3:, 1]]))


def test_columns_of_any_numbers():
    nullable = pd.DataFrame(
        {"a": pd.array([1, None, 3], "Int64"), "b": [True, False, True], "c": [1, 2, 3]}
    )
    X, y = make_windows(nullable, window=2, targets=["a", "b"])
    np.testing.assert_array_equal(np.asarray(X[0]), [[1, 1, 1], [np.nan, 0, 2]])
    np.testing.assert_array_equal(y, [[3, 1]])
    nameless = pd.DataFrame(SERIES)  # whose columns are numbers, as those of an array
    assert make_windows(nameless, window=3, targets=1)[0].shape == (7, 3, 2)


def test_differences_from_the_last_value_follow_a_trend():
    steps = np.arange(240)
    series = 0.05 * steps + np.sin(steps / 3)
    n_train = 150
    errors = {}
    for subtract_last in (False, True):
        X, y, *last = make_windows(series, window=12, subtract_last=subtract_last)
        last = last[0] if subtract_last else np.zeros(len(y))
        model = LSTMRegressor(16, random_state=0).fit(X[:n_train] / 4, y[:n_train])
        predictions = model.predict(X[n_train:] / 4) + last[n_train:]
        truth = series[12 + n_train :]
        errors[subtract_last] = root_mean_squared_error(truth, predictions)
        if subtract_last:
            assert predictions.max() > series[: n_train + 12].max()
    assert errors[True] < 0.25 * errors[False]


AHEAD = {"window": 3, "horizon": 2, "targets": 0, "known": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": np.zeros(3), "window": 3}, r"series has 3 steps, fewer than .* 3 \+ 1"),
        ({"series": np.zeros((2, 2, 2)), "window": 1}, r"series has shape \(2, 2, 2\)"),
        ({"series": SERIES * 1j, "window": 3}, "series has dtype complex128"),
        ({"series": np.ma.masked_less(SERIES, 3), "window": 3}, "series is a MaskedArray"),
        ({"series": SERIES, "window": 0}, "'window' parameter"),
        ({"series": SERIES, "window": 2, "horizon": 0}, "'horizon' parameter"),
        ({"series": SERIES, "window": 2, "stride": 0}, "'stride' parameter"),
        ({"series": SERIES, "window": 2, "subtract_last": 2}, "'subtract_last' parameter"),
        ({"series": SERIES, "window": 2, "targets": 2}, "targets=2 must be indices"),
        ({"series": SERIES, "window": 2, "targets": ["a"]}, "must be indices of the 2"),
        ({"series": SERIES, "window": 2, "targets": 0.5}, "'targets' parameter"),
        ({"series": SERIES, "window": 2, "known": "a"}, "known='a' must be indices of the 2"),
        (
            {"series": pandas_frame(SERIES), "window": 2, "targets": ["sales", "cost"]},
            r"targets=\['sales', 'cost'\] must be indices .* names, \['sales', 'price'\]",
        ),
        ({"series": SERIES, "window": 2, "targets": [0, 1], "known": 1}, "Feature 1 is both"),
        (
            {"series": pandas_frame(SERIES), "window": 2, "targets": 0, "known": "sales"},
            "Feature 'sales' is both in known and in targets",
        ),
        ({"series": SERIES, "window": 2, "known": [0, 1]}, "none is left to predict"),
        (
            {"series": SERIES, **AHEAD, "window": 1},
            "window=1 is shorter than horizon=2: the last",
        ),
        (
            {"series": SERIES, **AHEAD, "return_future": True},
            "must end with horizon=2 rows .* in row 8 of series target 0 is 16",
        ),
        (
            {"series": [pandas_frame(SERIES)], **AHEAD, "return_future": True},
            r"in row 8 of series\[0\] target 'sales' is 16",
        ),
        (
            {"series": SERIES[:6], **AHEAD, "return_future": True},
            "series has 4 steps before the last 2, fewer than window",
        ),
        (
            {"series": [SERIES, SERIES[:2]], "window": 3, "return_future": True},
            r"series\[1\] has 2 steps, fewer than window=3: with return_future every series",
        ),
        (
            {"series": [SERIES[:2], SERIES[:3]], "window": 3},
            "The longest of 2 series has 3 steps, fewer than",
        ),
        ({"series": [SERIES, SERIES[:, 0]], "window": 3}, r"series\[1\] has 1 features, but"),
        ({"series": [SERIES, None], "window": 3}, r"series\[1\] is None; expected numbers"),
        (
            {"series": [pandas_frame(SERIES), SERIES], "window": 3},
            r"series\[1\] has no column names, but series\[0\] has the columns \['sales'",
        ),
        (
            {"series": [pandas_frame(SERIES), pandas_frame(SERIES, NAMES[::-1])], "window": 3},
            r"series\[1\] has the columns \['price', 'sales'\], but series\[0\]",
        ),
        (
            {"series": pd.DataFrame({"a": [1, 2, 3], "shop": list("xyz")}), "window": 2},
            "column 'shop' of series must hold numbers: could not convert",
        ),
        (
            {"series": pandas_frame(SERIES).reset_index(), "window": 2},
            "column 'index' of series is an array of datetime64",
        ),
        (
            {"series": pandas_frame(SERIES, ["a", "a"]), "window": 3},
            "Expected unique column names|series has several columns",
        ),
        (
            {"series": pandas_frame(SERIES, ["a", "a+1"]), "window": 3, "known": "a"},
            r"X would have several columns of the names \['a\+1'\]",
        ),
    ],
)
def test_bad_windows(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_windows(**arguments)
