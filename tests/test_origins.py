"""TimeSeriesOrigins: what is before each origin, and what a score there is given."""

import numpy as np
import pandas as pd
import pytest
from frame_libraries import as_library
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from cylstm import TimeSeriesOrigins


def lists(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


def long(lengths, seed=None):
    """A long frame of series of these lengths, whose y is the step; shuffled with a seed."""
    frame = pd.concat(
        pd.DataFrame({"unique_id": f"s{k}", "ds": np.arange(n) + k, "y": np.arange(n)})
        for k, n in enumerate(lengths)
    )
    return frame if seed is None else frame.sample(frac=1, random_state=seed)


class LastValue(BaseEstimator):
    """Forecasts that repeat the last value, plus a drift. score(y) is as LSTMForecaster's."""

    def __init__(self, drift=0.0, horizon=1):
        self.drift = drift
        self.horizon = horizon

    def fit(self, y):
        self.n_steps_ = len(y)
        return self

    def score(self, y):
        steps = np.arange(1, self.horizon + 1)
        future = y[-self.horizon :]
        return -np.abs(y[-self.horizon - 1] + self.drift * steps - future).mean()


def test_one_series():
    origins = TimeSeriesOrigins(n_windows=2, horizon=3, step=2)
    assert lists(origins.split(np.arange(9))) == [
        ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]),
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ]
    assert origins.get_n_splits() == origins.get_n_splits(np.arange(9)) == 2


def test_steps_are_a_horizon_apart_unless_given():
    splits = lists(TimeSeriesOrigins(horizon=2).split(np.arange(10)))
    assert [len(train) for train, _ in splits] == [4, 6, 8]
    assert [len(test) for _, test in splits] == [6, 8, 10]


@pytest.mark.parametrize(
    "X",
    [
        list(range(7)),
        np.zeros((7, 2)),
        pd.Series(range(7)),
        pd.Series(range(7), list("abcdefg")),
        pd.DataFrame(np.zeros((7, 2)), index=pd.date_range("2020", periods=7)),
        pd.DataFrame({"ds": range(7), "y": 1.0}),
    ],
)
def test_forms_of_one_series(X):
    expected = lists(TimeSeriesOrigins().split(np.arange(7)))
    assert lists(TimeSeriesOrigins().split(X)) == expected


def test_rows_with_times_may_be_in_any_order():
    days = pd.date_range("2020", periods=4)[[2, 0, 3, 1]]
    forms = [
        pd.Series(1.0, days),
        pd.DataFrame({"y": 1.0}, index=days),
        pd.DataFrame({"ds": days, "y": 1.0}),
        pd.DataFrame({"unique_id": "a", "ds": days, "y": 1.0}),
    ]
    for X in forms:
        splits = lists(TimeSeriesOrigins(2).split(X))
        assert splits == [([1, 3], [0, 1, 3]), ([0, 1, 3], [0, 1, 2, 3])]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    n_windows=st.integers(1, 3),
    horizon=st.integers(1, 3),
    step=st.none() | st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_each_series_is_split_at_its_own_end(library, lengths, n_windows, horizon, step, seed):
    apart = horizon if step is None else step
    shortest = horizon + (n_windows - 1) * apart + 1
    lengths = [n + shortest for n in lengths]
    frame = long(lengths, seed)
    origins = TimeSeriesOrigins(n_windows, horizon=horizon, step=step)
    splits = list(origins.split(as_library(frame, library)))
    assert len(splits) == n_windows
    for window, (train, test) in enumerate(splits):
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
        assert np.isin(train, test).all()
        for k, n in enumerate(lengths):
            origin = n - horizon - (n_windows - 1 - window) * apart
            for rows, end in ((train, origin), (test, origin + horizon)):
                steps = frame.iloc[rows].query(f"unique_id == 's{k}'")["y"]
                assert sorted(steps) == list(range(end))
    assert len(splits[-1][1]) == len(frame)


def test_other_column_names():
    frame = long([4, 5]).rename(columns={"unique_id": "shop", "ds": "day"})
    origins = TimeSeriesOrigins(1, id_column="shop", time_column="day")
    assert lists(origins.split(frame)) == [([0, 1, 2, 4, 5, 6, 7], [*range(9)])]


def test_a_search_scores_just_the_steps_after_each_origin():
    y = np.array([0.0, 1, 2, 3, 4, 5, 6, 7])
    origins = TimeSeriesOrigins(2, horizon=2)
    model = LastValue(drift=0.5, horizon=2)
    np.testing.assert_allclose(cross_val_score(model, y, cv=origins), [-0.75, -0.75])
    search = GridSearchCV(model, {"drift": [0.0, 1.0, 2.0]}, cv=origins).fit(y)
    assert search.best_params_ == {"drift": 1.0}
    assert search.best_estimator_.n_steps_ == 8


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_search_over_a_long_frame(library):
    class OfFrames(LastValue):
        def score(self, y):
            y = y.sort("ds") if hasattr(y, "sort") else y.sort_values("ds")
            return -abs(float(y["y"].to_list()[-1]) - self.drift)

    search = GridSearchCV(OfFrames(), {"drift": [3.5, 9.0]}, cv=TimeSeriesOrigins(2))
    search.fit(as_library(long([5], seed=1), library))
    assert search.best_score_ == -0.5  # of 3 and 4


def test_repr_and_clone():
    origins = TimeSeriesOrigins(2, horizon=4)
    assert repr(origins) == (
        "TimeSeriesOrigins(horizon=4, id_column='unique_id', n_windows=2, step=None,\n"
        "         time_column='ds')"
    )
    assert clone(origins, safe=False).horizon == 4


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.arange(4), "X has 4 steps, but n_windows=2, horizon=2 and step=2 need at least 5"),
        (long([9, 4, 5]), "series 's1' has 4 steps, but"),
        (
            [np.arange(9), np.arange(9)],
            "X is a list of series.* with the columns 'uniq",
        ),
        ([[1.0, 2], [3, 4]], "X is a list of series"),
        (None, "X is None; expected one series"),
        (long([9]).drop(columns="ds"), "X has no column 'ds'"),
        (
            pd.concat([long([9])] * 2),
            "X has two rows of series 's0' at 0, and 8 more",
        ),
        (
            long([9, 9]).rename(columns={"unique_id": "shop"}),
            "two rows at 1, and 7 more such rows. It has no column 'unique_id' of ids",
        ),
        (long([9]).set_index(["unique_id", "ds"])["y"], "the index of X has 2 levels"),
    ],
)
def test_bad_series(X, message):
    with pytest.raises(ValueError, match=message):
        next(TimeSeriesOrigins(2, horizon=2).split(X))


def test_columns_that_are_named_and_missing():
    with pytest.raises(ValueError, match="X has no column 'shop', which is id_column"):
        next(TimeSeriesOrigins(2, horizon=2, id_column="shop").split(long([9])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_windows": 0}, "'n_windows' parameter of TimeSeriesOrigins"),
        ({"horizon": 1.5}, "'horizon' parameter"),
        ({"step": 0}, "'step' parameter"),
        ({"step": 2**70}, "step must fit in 64 bits"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        TimeSeriesOrigins(**settings)
