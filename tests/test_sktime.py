"""SktimeLSTMForecaster: sktime's own checks; forecasts equal to those of LSTMForecaster."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

pytest.importorskip("sktime")

from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.model_evaluation import evaluate
from sktime.performance_metrics.forecasting.probabilistic import PinballLoss
from sktime.split import ExpandingWindowSplitter
from sktime.utils.estimator_checks import check_estimator

from cylstm import LSTMForecaster
from cylstm.sktime import SktimeLSTMForecaster

N = 80
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=N).cumsum() + 30
DAYS = pd.date_range("2024-01-01", periods=N)
Y = pd.Series(VALUES, DAYS, name="sales")
X = pd.DataFrame({"price": RNG.normal(size=N), 0: np.arange(N) % 7 == 0}, DAYS)
INDEXES = {
    "days": DAYS,
    "days without frequency": pd.DatetimeIndex(DAYS.to_numpy()),
    "business days": pd.date_range("2024-01-01", periods=N, freq="B"),
    "ends of months": pd.date_range("2000-01-31", periods=N, freq="ME"),
    "quarters": pd.period_range("2000Q1", periods=N, freq="Q"),
    "integers": pd.RangeIndex(5, N + 5),
}


def tiny(horizon=1, **settings):
    settings = {"hidden_layer_sizes": 3, "max_iter": 1, "random_state": 0, **settings}
    return LSTMForecaster(horizon, **settings)


def panel(instances, lengths):
    """A column of values of series that begin together."""
    tuples = [
        (*instance, day)
        for instance, length in zip(instances, lengths, strict=True)
        for day in DAYS[:length]
    ]
    names = [*(f"level {k}" for k in range(len(instances[0]))), "day"]
    index = pd.MultiIndex.from_tuples(tuples, names=names)
    return pd.DataFrame({"sales": np.random.default_rng(1).normal(size=len(index))}, index)


HIERARCHY = panel([("north", "a"), ("north", "b"), ("south", "a")], [60, 57, 60])


def own_frame(y, *columns):
    """The long frame that LSTMForecaster takes."""
    frame = {"unique_id": y.index.droplevel(-1).to_flat_index()}
    frame |= {"ds": y.index.get_level_values(-1), "y": y.iloc[:, 0].to_numpy()}
    return pd.DataFrame(frame | {c.name: c.to_numpy() for c in columns})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
# The first two are of its own code.
@pytest.mark.filterwarnings("ignore:Forecasters' predict_proba requires skpro")
@pytest.mark.filterwarnings("ignore:horizon=.*no window to train on")  # of very short series
def test_checks_of_sktime():
    results = check_estimator(SktimeLSTMForecaster, raise_exceptions=True, verbose=False)
    names = {name.split("[")[0] for name in results}
    assert {"test_predict_interval", "test_hierarchical_with_exogenous"} <= names


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_one_series(index):
    y = pd.Series(VALUES, index, name="sales")
    own = tiny(3).fit(y[:-4]).predict()
    forecast = SktimeLSTMForecaster(tiny()).fit(y[:-4], fh=[1, 3]).predict()
    pd.testing.assert_series_equal(
        forecast, own.iloc[[0, 2]], check_freq=False, check_names=False
    )
    assert forecast.name == "sales"
    assert forecast.index.equals(index[[-4, -2]])
    absolute = ForecastingHorizon(index[[-4, -2]], is_relative=False)
    again = SktimeLSTMForecaster(tiny()).fit(y[:-4], fh=absolute).predict()
    pd.testing.assert_series_equal(again, forecast, check_freq=False)


def test_differences_of_times_as_horizon():
    forecaster = SktimeLSTMForecaster(tiny(3)).fit(Y[:-4])
    fh = ForecastingHorizon([pd.Timedelta(2, "D")])
    assert forecaster.predict(fh).equals(forecaster.predict([2]))


def test_horizon_of_fit_and_others():
    forecaster = SktimeLSTMForecaster(tiny(4)).fit(Y)
    assert forecaster.forecaster_.horizon == 4
    own = tiny(4).fit(Y)
    for fh in ([2], [1, 7]):  # shorter, and fed back
        expected = own.predict(horizon=fh[-1]).to_numpy()[np.array(fh) - 1]
        np.testing.assert_array_equal(forecaster.predict(fh), expected)
    assert forecaster.clone().fit(Y, fh=[2]).forecaster_.horizon == 4
    assert forecaster.clone().fit(Y, fh=[2, 6]).forecaster_.horizon == 6
    with pytest.raises(NotImplementedError, match="in-sample"):
        forecaster.predict([0, 1])


@pytest.mark.parametrize(
    "y",
    [
        HIERARCHY,
        pd.concat([HIERARCHY.loc[["south"]], HIERARCHY.loc[["north"]]]),
        HIERARCHY.sort_index(level=-1),
        HIERARCHY.loc["north"],
    ],
    ids=["hierarchy", "not by name", "by time", "panel"],
)
def test_one_model_for_all_series(y):
    forecaster = SktimeLSTMForecaster(tiny()).fit(y, fh=[1, 3])
    own = tiny(3).fit(own_frame(y)).predict()
    forecast = forecaster.predict()
    assert forecast.index.names == y.index.names
    assert list(forecast.columns) == ["sales"]
    expected = own[own.groupby("unique_id").cumcount() != 1]
    np.testing.assert_array_equal(forecast["sales"], expected["y_hat"])
    assert [*forecast.index.droplevel(-1)] == [*expected["unique_id"]]
    assert [*forecast.index.get_level_values(-1)] == [*expected["ds"]]


def test_times_after_series_of_different_ends():
    forecaster = SktimeLSTMForecaster(tiny(6)).fit(HIERARCHY)
    fh = ForecastingHorizon(pd.date_range(DAYS[60], periods=3), is_relative=False)
    at_days = forecaster.predict(fh)
    assert set(at_days.index.get_level_values(-1)) == set(DAYS[60:63])
    by_steps = forecaster.predict(range(1, 7))
    pd.testing.assert_frame_equal(at_days, by_steps.loc[at_days.index])


def test_columns_of_y_have_models_of_their_own():
    y = pd.DataFrame({"a": Y, "b": -2 * Y})
    forecast = SktimeLSTMForecaster(tiny(2)).fit(y).predict([1, 2])
    for name in y:
        expected = tiny(2).fit(y[name]).predict()
        np.testing.assert_array_equal(forecast[name], expected)


def test_columns_known_ahead():
    forecaster = SktimeLSTMForecaster(tiny()).fit(Y[:-4], X=X[:-4], fh=[1, 3])
    assert forecaster.forecaster_.known == ["price", 0]
    forecast = forecaster.predict(X=X[-4:])
    own = tiny(3, known=["price", 0]).fit(pd.concat([Y, X], axis=1)[:-4])
    expected = own.predict(future=X[-4:])["sales"].to_numpy()[[0, 2]]
    np.testing.assert_array_equal(forecast, expected)
    assert not forecast.equals(forecaster.predict(X=X[-4:] + 1))
    more_of_x = SktimeLSTMForecaster(tiny()).fit(Y[5:-4], X=X, fh=[1, 3])
    same = SktimeLSTMForecaster(tiny()).fit(Y[5:-4], X=X[5:-4], fh=[1, 3])
    assert more_of_x.predict(X=X).equals(same.predict(X=X))
    with pytest.raises(ValueError, match="no row for series 'y' at 2024-03-17"):
        forecaster.predict(X=X[-3:])
    with pytest.raises(ValueError, match="future is missing"):
        forecaster.predict()


def test_names_of_columns_of_one_series():
    model = tiny(3, id_column="shop", time_column="day", target_column="sold")
    forecast = SktimeLSTMForecaster(model).fit(Y, fh=[1, 2, 3]).predict()
    assert forecast.equals(SktimeLSTMForecaster(tiny(3)).fit(Y, fh=[1, 2, 3]).predict())


def test_columns_known_ahead_of_a_hierarchy():
    known = pd.DataFrame({"price": np.arange(len(HIERARCHY)) % 5.0}, HIERARCHY.index)
    fitted = HIERARCHY.groupby(level=[0, 1]).head(50)
    forecaster = SktimeLSTMForecaster(tiny()).fit(fitted, X=known.loc[fitted.index], fh=[1, 2])
    own = tiny(2, known=["price"]).fit(own_frame(fitted, known.loc[fitted.index, "price"]))
    expected = own.predict(future=own_frame(known, known["price"]).drop(columns="y"))
    np.testing.assert_array_equal(forecaster.predict(X=known)["sales"], expected["y_hat"])
    with pytest.raises(ValueError, match=r"no row for series \('south', 'a'\) at 2024-02-20"):
        forecaster.predict(X=known.drop(index=("south", "a", DAYS[50])))


def test_columns_with_other_roles():
    columns = X.assign(size=3.0)
    forecaster = SktimeLSTMForecaster(tiny(past=["price"], static=["size"]))
    forecaster.fit(Y[:-4], X=columns[:-4], fh=[1, 2])
    assert forecaster.forecaster_.known == [0]
    forecast = forecaster.predict(X=columns[-4:])
    changed = columns[-4:].assign(price=np.nan)
    assert forecast.equals(forecaster.predict(X=changed))
    only_past = SktimeLSTMForecaster(tiny(past=["price"])).fit(Y, X=X[["price"]], fh=1)
    assert len(only_past.predict()) == 1
    named = SktimeLSTMForecaster(tiny(known=["price"])).fit(Y, X=X, fh=1)
    assert named.forecaster_.known == ["price"]
    with pytest.raises(ValueError, match="X has a column 'ds', which is .* time_column"):
        forecaster.fit(Y, X=columns.rename(columns={"price": "ds"}), fh=1)


def test_intervals():
    forecaster = SktimeLSTMForecaster(tiny(level=80)).fit(Y, fh=[1, 2])
    own = tiny(2, level=80).fit(Y)
    intervals = forecaster.predict_interval(coverage=[0.5, 0.8])
    expected = own.predict(level=[50, 80])
    columns = [f"y_hat-{end}-{level}" for level in (50, 80) for end in ("lo", "hi")]
    np.testing.assert_array_equal(intervals, expected[columns])
    assert [*intervals.columns] == [
        ("sales", coverage, end) for coverage in (0.5, 0.8) for end in ("lower", "upper")
    ]
    quantiles = forecaster.predict_quantiles(alpha=[0.75, 0.5, 0.1, 0.4999])
    np.testing.assert_array_equal(
        quantiles.iloc[:, :3], expected[["y_hat-hi-50", "y_hat", "y_hat-lo-80"]]
    )
    assert (quantiles.iloc[:, 3] <= expected["y_hat"]).all()
    with pytest.raises(ValueError, match="99% needs 99 windows .* kept 8"):
        forecaster.predict_interval(coverage=0.99)


def test_default_gives_the_intervals_of_sktime():
    forecaster = SktimeLSTMForecaster().fit(Y, fh=[1, 2])
    interval = forecaster.predict_interval()
    assert np.isfinite(interval).all(axis=None)
    expected = clone(forecaster.forecaster_).set_params(level=90)
    assert expected.get_params() == forecaster.forecaster_.get_params()


def test_missing_values():
    y, known = Y.copy(), X.astype(float)
    y.iloc[[3, 4, -1]] = np.nan
    known.iloc[10, 0] = np.nan
    forecaster = SktimeLSTMForecaster(tiny()).fit(y[:-2], X=known[:-2], fh=[1, 2])
    assert np.isfinite(forecaster.predict(X=known[-2:])).all()


@pytest.mark.parametrize("y", [Y, HIERARCHY], ids=["series", "hierarchy"])
def test_update(y):
    def steps(start, stop):
        times = y.index.get_level_values(-1)
        return y[(times >= DAYS[start]) & (times < DAYS[stop])]

    def of_own(model, y):
        series = isinstance(y.index, pd.MultiIndex)
        forecast = model.predict(own_frame(y) if series else y)
        return forecast["y_hat"] if series else forecast

    def check():
        expected = of_own(own, steps(0, stop))
        np.testing.assert_array_equal(np.ravel(forecaster.predict()), expected)

    forecaster = SktimeLSTMForecaster(tiny()).fit(steps(0, 40), fh=[1, 2])
    own = clone(forecaster.forecaster_)
    own.fit(own_frame(steps(0, 40)) if y is HIERARCHY else steps(0, 40))
    stop = 50
    forecaster.update(steps(40, stop), update_params=False)
    check()
    stop = 55
    forecaster.update(steps(50, stop))
    own.partial_fit(own_frame(steps(0, stop)) if y is HIERARCHY else steps(0, stop))
    check()
    # Back: a forecast from an earlier time sees nothing after it.
    stop = 45
    forecast = forecaster.update_predict_single(steps(44, stop), update_params=False)
    assert type(forecast) is type(y)
    assert forecast.index.get_level_values(-1)[0] == DAYS[45]
    check()


def test_update_with_early_stopping_does_not_train():
    forecaster = SktimeLSTMForecaster(tiny(early_stopping=True)).fit(Y[:60], fh=[1, 2])
    own = clone(forecaster.forecaster_).fit(Y[:60])
    with pytest.warns(UserWarning, match="With early_stopping=True update does not train"):
        forecaster.update(Y[60:70])
    np.testing.assert_array_equal(forecaster.predict(), own.predict(Y[:70]))


def test_update_of_known_columns():
    forecaster = SktimeLSTMForecaster(tiny()).fit(Y[:60], X=X[:60], fh=[1, 2])
    forecaster.update(Y[60:70], X=X[60:70], update_params=False)
    own = tiny(2, known=["price", 0]).fit(pd.concat([Y, X], axis=1)[:60])
    expected = own.predict(pd.concat([Y, X], axis=1)[:70], future=X[70:])["sales"]
    np.testing.assert_array_equal(forecaster.predict(X=X[70:]), expected)


@pytest.mark.parametrize("strategy", ["refit", "update", "no-update_params"])
def test_cross_validation(strategy):
    cv = ExpandingWindowSplitter(fh=[1, 2, 3], initial_window=65, step_length=6)
    forecaster = SktimeLSTMForecaster(tiny(level=80))
    scores = evaluate(
        forecaster,
        cv=cv,
        y=Y,
        strategy=strategy,
        scoring=PinballLoss(alpha=[0.1, 0.9]),
        error_score="raise",
        return_data=True,
    )
    assert len(scores) == 3
    assert np.isfinite(scores["test_PinballLoss"]).all()
    model = tiny(3, level=80).fit(Y[:65])
    for k, quantiles in enumerate(scores["y_pred_quantiles"]):
        stop = 65 + 6 * k
        if k and strategy == "refit":
            model.fit(Y[:stop])
        elif k and strategy == "update":
            model.partial_fit(Y[:stop])
        expected = model.predict(Y[:stop])[["y_hat-lo-80", "y_hat-hi-80"]]
        np.testing.assert_array_equal(quantiles, expected)


def test_parameters_are_those_of_the_forecaster():
    forecaster = SktimeLSTMForecaster(tiny())
    forecaster.set_params(forecaster__context=9)
    assert forecaster.forecaster.context == 9
    assert forecaster.fit(Y, fh=3).forecaster_.context_ == 9
    assert forecaster.forecaster.horizon == 1
    again = pickle.loads(pickle.dumps(forecaster))
    assert again.predict().equals(forecaster.predict())
