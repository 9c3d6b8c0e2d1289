"""What two worker processes of dask, of one thread each, bring on a machine of two cores,
beside one process with two threads.

    python benchmarks/bench_dask.py [search] [predict] [forecasters] [--repeats 3]

Prints the fastest of some repeats, after a first one that starts processes and imports cylstm:

- seconds of GridSearchCV, 4 settings in 3 folds, on scikit-learn's digits;
- seconds of predict, for data of 5 or 80 MB that workers have already;
- seconds of a forecaster for each group of made-up series and of one for all, and their MASE.

More machines than one only add what their network takes. Needs dask and distributed.
"""

import argparse
from functools import partial

import dask.array as da
import joblib
import numpy as np
from datasets import digits
from distributed import Client, LocalCluster, get_client
from measure import seconds, table_head, table_row
from sklearn.model_selection import GridSearchCV

import cylstm.dask
from cylstm import LSTMClassifier, LSTMForecaster, LSTMRegressor
from cylstm.metrics import mase

N_WORKERS = 2
HORIZON, SEASON, N_DAYS = 14, 7, 400


def fastest(repeats, function, *arguments):
    """The least seconds of some calls, as text."""
    function(*arguments)
    return f"{min(seconds(partial(function, *arguments)) for _ in range(repeats)):.2f}"


def search(X, y, n_units, n_threads, backend, n_jobs):
    model = LSTMClassifier(n_units, max_iter=10, n_jobs=n_threads, random_state=0)
    grid = {"learning_rate_init": [3e-3, 1e-2], "cell": ["lstm", "gru"]}
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        GridSearchCV(model, grid, cv=3, refit=False).fit(X, y)


def print_search(repeats):
    X, _, y, _ = digits()
    ways = [
        (1, "sequential", 1),
        (N_WORKERS, "sequential", 1),
        (1, "loky", N_WORKERS),
        (1, "dask", N_WORKERS),
    ]
    print(table_head(["units", "one thread", "two threads", "loky", "dask"]))
    for n_units in (16, 64, 128):
        times = [fastest(repeats, search, X, y, n_units, *way) for way in ways]
        print(table_row([n_units, *times]), flush=True)


def print_predict(repeats):
    columns = ["n, T, F, units", "sequences in a block", "two threads", "dask's threads"]
    print(table_head([*columns, "dask"]))
    for shape, n_units in (((3_000, 50, 8), 64), ((50_000, 50, 8), 64)):
        for n_rows in (100, 1_000):
            rng = da.random.default_rng(0)
            drawn = rng.normal(size=shape, chunks=(n_rows, *shape[1:])).astype(np.float32)
            there = drawn.persist()
            X = there.compute()
            model = LSTMRegressor(n_units, max_iter=1, random_state=0)
            model.fit(X[:500], X[:500, :, 0].sum(axis=1))

            def predict(blocks, scheduler=None, model=model):
                return cylstm.dask.predict(model, blocks).compute(scheduler=scheduler)

            here = da.from_array(X, chunks=there.chunks)
            cells = [
                ", ".join(map(str, (*shape, n_units))),
                n_rows,
                fastest(repeats, model.predict, X),
                fastest(repeats, predict, here, "threads"),
                fastest(repeats, predict, there),
            ]
            print(table_row(cells), flush=True)


def series_of(group, n_series):
    """Daily values with the week of the group and weather that lasts for some days."""
    rng = np.random.default_rng(group)
    week = rng.uniform(0.5, 1.5, SEASON)[np.arange(N_DAYS) % SEASON]
    weather = np.zeros((n_series, N_DAYS))
    for t in range(1, N_DAYS):
        weather[:, t] = 0.8 * weather[:, t - 1] + rng.normal(scale=0.1, size=n_series)
    return list(rng.uniform(50, 2000, (n_series, 1)) * np.exp(weather) * week)


def fit_and_forecast(series, n_threads):
    model = LSTMForecaster(HORIZON, season=SEASON, n_jobs=n_threads, random_state=0)
    return model.fit([y[:-HORIZON] for y in series]).predict()


def error(series, forecasts):
    parts = [(y[-HORIZON:], y[:-HORIZON]) for y in series]
    actual, past = zip(*parts, strict=True)
    return mase(list(actual), list(forecasts), list(past), SEASON)


def print_forecasters(repeats, n_groups=8):
    client = get_client()
    columns = ["series in each of 8 groups", "each, two threads", "each, dask", "MASE"]
    print(table_head([*columns, "one for all, two threads", "MASE"]))
    for n_series in (2, 10, 40):
        groups = [series_of(k, n_series) for k in range(n_groups)]
        together = [y for group in groups for y in group]
        sent = client.scatter(groups)

        def each(groups=groups):
            return [y for group in groups for y in fit_and_forecast(group, N_WORKERS)]

        def each_on_workers(sent=sent):
            # Not pure: dask would remember the forecasts.
            return client.gather(client.map(fit_and_forecast, sent, n_threads=1, pure=False))

        cells = [
            n_series,
            fastest(repeats, each),
            fastest(repeats, each_on_workers),
            f"{error(together, each()):.3f}",
            fastest(repeats, fit_and_forecast, together, N_WORKERS),
            f"{error(together, fit_and_forecast(together, N_WORKERS)):.3f}",
        ]
        print(table_row(cells), flush=True)


QUESTIONS = {
    "search": print_search,
    "predict": print_predict,
    "forecasters": print_forecasters,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", nargs="*", default=list(QUESTIONS))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with (
        LocalCluster(N_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        for question in arguments.questions:
            QUESTIONS[question](arguments.repeats)
            print()


if __name__ == "__main__":
    main()
