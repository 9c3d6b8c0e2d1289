"""Other ways to forecast: naive ones, regressions on lags, statsforecast, NeuralForecast.

Each of PEERS is a function (task, seed) that fits and returns a function without arguments,
which gives the forecasts (n, horizon) or (n, horizon, n_variables). It raises Unable where a
task is not for it or its library is not installed.
"""

import functools
import logging
import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

# Windows that a regression on lags learns from, at most.
MOST_WINDOWS = 50_000

# From so many origins a statistical model is fitted again at each of them; from more it is
# fitted once, and continued with its parameters as they are.
MOST_REFITS = 500


class Unable(Exception):
    """What keeps a peer from a task."""


def naive(task, seed):
    return lambda: np.stack([np.repeat(y[-1:], task.horizon, axis=0) for y in task.histories])


def seasonal_naive(task, seed):
    if task.season == 1:
        raise Unable("no season")
    steps = np.arange(task.horizon) % task.season
    return lambda: np.stack([y[-task.season :][steps] for y in task.histories])


# -- Regressions on lags --


class Lags:
    """Windows of single variables: of one series as they are, of a panel each divided by its
    mean."""

    def __init__(self, task):
        self.task = task
        self.scaled = len(task.train) > 1

    def of_training(self, variable, horizon, seed):
        """(n, lags) and (n, horizon)."""
        length = self.task.lags + horizon
        windows = [
            np.lib.stride_tricks.sliding_window_view(y[:, variable], length)
            for y in map(as_columns, self.task.train)
            if len(y) >= length
        ]
        numbers = np.arange(sum(map(len, windows)))
        if len(numbers) > MOST_WINDOWS:
            rng = np.random.default_rng(seed)
            numbers = np.sort(rng.choice(numbers, MOST_WINDOWS, replace=False))
        ends = np.cumsum([len(w) for w in windows])
        parts = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
        chosen = [w[part - end] for w, part, end in zip(windows, parts, ends, strict=True)]
        X, y = np.split(np.concatenate(chosen), [self.task.lags], axis=1)
        scale = self.scale(X)
        return X / scale, y / scale

    def of_histories(self, variable):
        """(n, lags), where a history is too short with its first value before it; and the
        scales (n, 1)."""
        lags = self.task.lags
        rows = [as_columns(y)[-lags:, variable] for y in self.task.histories]
        X = np.stack([np.pad(row, (lags - len(row), 0), mode="edge") for row in rows])
        scale = self.scale(X)
        return X / scale, scale

    def scale(self, X):
        return X.mean(axis=1, keepdims=True) if self.scaled else np.ones((len(X), 1))


def as_columns(y):
    return y.reshape(len(y), -1)


def on_lags(make_model, horizon_of_model, forecast):
    """A peer with a model of each variable: `forecast(model, X, horizon)` from windows."""

    def peer(task, seed):
        lags = Lags(task)
        n_variables = as_columns(task.train[0]).shape[1]
        models = []
        for variable in range(n_variables):
            X, y = lags.of_training(variable, horizon_of_model(task), seed)
            models.append(make_model(seed).fit(X, y if y.shape[1] > 1 else y.ravel()))

        def predict():
            columns = []
            for variable, model in enumerate(models):
                X, scale = lags.of_histories(variable)
                columns.append(scale * forecast(model, X, task.horizon))
            return np.stack(columns, axis=-1) if task.train[0].ndim > 1 else columns[0]

        return predict

    return peer


def direct(model, X, horizon):
    return model.predict(X).reshape(len(X), horizon)


def recursive(model, X, horizon):
    """Each step from those before it."""
    for _ in range(horizon):
        window = X[:, -model.n_features_in_ :]
        X = np.column_stack([X, model.predict(window)])
    return X[:, -horizon:]


ridge = on_lags(lambda seed: Ridge(), lambda task: task.horizon, direct)
boosting = on_lags(
    lambda seed: HistGradientBoostingRegressor(random_state=seed), lambda task: 1, recursive
)


# -- Libraries --


def statistical(name, once, task, seed):
    """A model of statsforecast for each history, or one that is continued from each."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise Unable("not installed") from error
    from joblib import Parallel, delayed

    if task.train[0].ndim > 1:
        raise Unable("of one variable each")
    is_panel = len(task.train) > 1
    if once and is_panel:
        raise Unable("one origin")
    if not once and len(task.histories) > MOST_REFITS and not is_panel:
        raise Unable("too many origins")
    model = getattr(models, name)(season_length=task.season)
    if once:
        model.fit(task.train[0])
    forecast = delayed(forecast_continued if once else forecast_fitted)
    return lambda: np.stack(
        Parallel(n_jobs=2)(forecast(model, y, task.horizon) for y in task.histories)
    )


def forecast_fitted(model, y, horizon):
    return model.forecast(y, horizon)["mean"]


def forecast_continued(model, y, horizon):
    return model.forward(y, horizon)["mean"]


def neuralforecast(task, seed):
    """Its LSTM with the steps and the parameters that it has by default, but for padding where
    a series is shorter than its context."""
    try:
        import pandas as pd
        from neuralforecast import NeuralForecast
        from neuralforecast.models import LSTM
    except ImportError as error:
        raise Unable("not installed") from error
    if len(task.train) == 1:
        raise Unable("for panels")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(task.train)), list(map(len, task.train))),
            "ds": np.concatenate([np.arange(len(y)) for y in task.train]),
            "y": np.concatenate(task.train),
        }
    )
    model = LSTM(
        task.horizon,
        random_seed=seed,
        start_padding_enabled=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )
    forecaster = NeuralForecast([model], freq=1)
    forecaster.fit(frame)

    def predict():
        forecasts = forecaster.predict().sort_values(["unique_id", "ds"])
        return forecasts["LSTM"].to_numpy().reshape(len(task.train), task.horizon)

    return predict


PEERS = {
    "naive": naive,
    "seasonal naive": seasonal_naive,
    "ridge on lags": ridge,
    "HistGradientBoosting on lags": boosting,
    "AutoETS": functools.partial(statistical, "AutoETS", False),
    "AutoTheta": functools.partial(statistical, "AutoTheta", False),
    "AutoETS, fitted once": functools.partial(statistical, "AutoETS", True),
    "AutoTheta, fitted once": functools.partial(statistical, "AutoTheta", True),
    "NeuralForecast's LSTM": neuralforecast,
}

# Whose forecasts depend on the seed.
RANDOM = {"NeuralForecast's LSTM"}
