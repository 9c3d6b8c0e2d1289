"""Forecast many series on the workers of dask: a forecaster for each group, or one for all.

    python examples/many_machines.py [--workers 2] [--groups 4] [--series 20] [--days 400]

The data are made up: daily customers of the branches of some chains, each with a week of its
own. A chain is a file or a query in practice; here a worker makes its series up.

A forecaster for each chain is a task of its own: a worker loads the chain, fits and forecasts.
That needs nothing but dask.

One forecaster for all chains is trained in this process, by passes over the chains, which
workers load and keep: no more than one of them has to fit into its memory. The workers then
forecast all chains with it (cylstm.dask.predict). Training itself is not distributed: to send
the gradient of a network of this size takes longer than to compute it. Needs pandas, dask and
distributed.
"""

import argparse
import time

import dask
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

import cylstm.dask
from cylstm import LSTMForecaster
from cylstm.metrics import mase

HORIZON, SEASON = 14, 7


def load(group, n_series, n_days):
    """The long frame of the series of a chain."""
    rng = np.random.default_rng(group)
    week = rng.uniform(0.5, 1.5, SEASON)
    days = pd.date_range("2024-01-01", periods=n_days)
    series = []
    for k in range(n_series):
        weather = np.zeros(n_days)  # lasts for some days
        for t in range(1, n_days):
            weather[t] = 0.8 * weather[t - 1] + rng.normal(scale=0.1)
        y = rng.uniform(50, 2000) * np.exp(weather) * week[np.arange(n_days) % SEASON]
        series.append(pd.DataFrame({"unique_id": f"{group}-{k}", "ds": days, "y": y}))
    return pd.concat(series, ignore_index=True)


def past(frame):
    """Without the last days of each series, which are forecast."""
    return frame[frame["ds"] <= frame["ds"].max() - pd.Timedelta(days=HORIZON)]


def fit_and_forecast(frame, n_epochs):
    # On the one thread that a task has.
    model = LSTMForecaster(HORIZON, season=SEASON, max_iter=n_epochs, n_jobs=1, random_state=0)
    return model.fit(past(frame)).predict()


def fit_in_passes(chains, n_epochs):
    """A forecaster trained on one chain after the other, again and again."""
    n_calls = n_epochs * len(chains)
    model = LSTMForecaster(HORIZON, season=SEASON, cosine_epochs=n_calls, random_state=0)
    for _ in range(n_epochs):
        for chain in chains:
            model.partial_fit(past(chain.compute()))
    return model


def repeat_week(frame):
    """What is to be beaten: the last week again."""
    weeks = past(frame).groupby("unique_id").tail(SEASON)
    return pd.concat([weeks] * (HORIZON // SEASON)).rename(columns={"y": "y_hat"})


def error(frames, forecasts):
    """Mean absolute scaled error of the forecasts of all series."""
    errors = []
    for frame, forecast in zip(frames, forecasts, strict=True):
        values = {name: y.to_numpy() for name, y in frame.groupby("unique_id")["y"]}
        for name, y_hat in forecast.groupby("unique_id")["y_hat"]:
            y = values[name]
            errors.append(mase(y[-HORIZON:], y_hat.to_numpy(), y[:-HORIZON], SEASON))
    return np.mean(errors)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--series", type=int, default=20, help="in each group")
    parser.add_argument("--days", type=int, default=400, help="of each series")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()

    with (
        LocalCluster(
            n_workers=arguments.workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        chains = [
            dask.delayed(load)(group, arguments.series, arguments.days)
            for group in range(arguments.groups)
        ]
        chains = list(client.persist(chains))
        frames = client.gather(client.compute(chains))  # to measure errors

        print(f"The last week again: MASE {error(frames, map(repeat_week, frames)):.3f}")

        start = time.perf_counter()
        forecasts = dask.compute(
            *[dask.delayed(fit_and_forecast)(chain, arguments.epochs) for chain in chains]
        )
        seconds = time.perf_counter() - start
        print(
            f"A forecaster for each group: {seconds:.1f} s, "
            f"MASE {error(frames, forecasts):.3f}"
        )

        start = time.perf_counter()
        model = fit_in_passes(chains, arguments.epochs)
        trained = time.perf_counter()
        pasts = [dask.delayed(past)(chain) for chain in chains]
        forecasts = dask.compute(*cylstm.dask.predict(model, pasts))
        print(
            f"One forecaster for all: {trained - start:.1f} s to train, "
            f"{time.perf_counter() - trained:.1f} s to forecast, "
            f"MASE {error(frames, forecasts):.3f}"
        )


if __name__ == "__main__":
    main()
