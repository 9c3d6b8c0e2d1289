"""How good and how fast LSTMForecaster is, beside simple forecasts and other libraries.

    python benchmarks/bench_forecast.py --data PATH [--sets ...] [--peers ...]
    python benchmarks/bench_forecast.py --memory

PATH is a folder with m4_hourly/m4_hourly.npz, m3_monthly/m3_monthly.npz, ett/ETTh1.csv and
airline/airline-passengers.csv (datasets.py says what they are); sets whose file is not there
are left out. LSTMForecaster is given the horizon and the season, and nothing else.

- M4 hourly, M3 monthly: a forecast from the end of each of many series.
- ETTh1: the temperature of the oil, or all 7 variables, from every third hour of the test part
  (hours 11520 to 14400), trained on the first 8640; all of unit variance in these.
- airline: a year ahead from each month of the last third, trained on the months before it.
- sunspots: a year ahead from each of the last third, trained on those before it.

The first table of a set has the seconds of fit and predict, and errors: the mean over seeds
and, where these make a difference, the standard deviation. Regressions on lags see as many
as LSTMForecaster does: ridge gives all steps at once, HistGradientBoosting one, and the next
from it. Statistical models are fitted from every origin, or once, and continued.

The second table has intervals, calibrated with `level`: which part of the values they cover,
on average over steps and at the step with the least and the most; at how many steps it is
within 3 points of the level; at how many it would be by chance, if each of the n values of a
step were inside with just that probability; and how wide they are, compared with those of the
seasonal naive forecast (without a season of the naive one) that are calibrated alike.

--memory: 10,000 series of 1,000 steps, a context of 168, a horizon of 24; an epoch of 200,000
windows, then a forecast of all series.
"""

import argparse
import resource
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import datasets
import numpy as np
from forecast_peers import PEERS, RANDOM, Unable
from measure import table_head, table_row
from scipy.stats import binom

from cylstm import LSTMForecaster
from cylstm._demo import load_sunspots
from cylstm.metrics import mase, nd, smape

OWN = "LSTMForecaster"
TABLES = ["errors", "intervals"]
LEVELS = 80, 95
POINTS = 3
PANEL_MEASURES = "MASE", "sMAPE", "ND"


@dataclass
class Task:
    """What is to be forecast.

    Parameters
    ----------
    season, horizon, lags : int
    train : list of arrays of shape (n_steps,) or (n_steps, n_variables)
        The series to fit on.
    series : list of arrays
        The same with what follows.
    which, origins : int arrays of shape (n,)
        Forecasts are of series[which] from its first `origins` steps.
    measures : tuple of str
        Names of errors.
    """

    season: int
    horizon: int
    lags: int
    train: list
    series: list
    which: np.ndarray
    origins: np.ndarray
    measures: tuple

    @cached_property
    def histories(self):
        return [self.series[k][:o] for k, o in zip(self.which, self.origins, strict=True)]

    @cached_property
    def actual(self):
        return np.stack(
            [
                self.series[k][o : o + self.horizon]
                for k, o in zip(self.which, self.origins, strict=True)
            ]
        )

    def errors(self, forecasts):
        """Those of `measures`."""
        difference = forecasts - self.actual
        of = {
            "MSE": lambda: np.mean(difference**2),
            "RMSE": lambda: np.sqrt(np.mean(difference**2)),
            "MAE": lambda: np.mean(np.abs(difference)),
            "MASE": lambda: mase(self.actual, forecasts, self.histories, self.season),
            "sMAPE": lambda: smape(self.actual, forecasts),
            "ND": lambda: nd(self.actual, forecasts),
        }
        return [of[name]() for name in self.measures]


def competition(path, season, lags):
    train, test = datasets.panel(path)
    series = [np.concatenate(pair) for pair in zip(train, test, strict=True)]
    ends = np.array([len(y) for y in train])
    horizon = test.shape[1]
    return Task(
        season, horizon, lags, train, series, np.arange(len(train)), ends, PANEL_MEASURES
    )


def rolling(y, n_train, first, end, step, season, horizon, lags, measures):
    """One series, forecast from the steps first, first + step, ... such that the horizon ends
    before `end`."""
    origins = np.arange(first, end - horizon + 1, step)
    which = np.zeros(len(origins), dtype=int)
    return Task(season, horizon, lags, [y[:n_train]], [y], which, origins, measures)


def transformer(path, columns, horizon):
    y = datasets.etth1(path)[:, columns]
    y = (y - y[:8640].mean(axis=0)) / y[:8640].std(axis=0)
    lags = max(168, 3 * horizon)
    return rolling(y, 8640, 11520, 14400, 3, 24, horizon, lags, ("MSE", "MAE"))


def airline(path):
    measures = "RMSE", *PANEL_MEASURES
    return rolling(datasets.airline(path), 96, 96, 144, 1, 12, 12, 24, measures)


def sunspots():
    _, y = load_sunspots()
    n_train = len(y) * 2 // 3
    return rolling(y, n_train, n_train, len(y), 1, 1, 1, 28, ("RMSE", "MAE", "MASE"))


def make_tasks(folder):
    """Name -> function that reads the task."""
    tasks = {"sunspots": sunspots}
    if folder is None:
        return tasks
    files = {
        "M4 hourly": ("m4_hourly/m4_hourly.npz", lambda path: competition(path, 24, 168)),
        "M3 monthly": ("m3_monthly/m3_monthly.npz", lambda path: competition(path, 12, 24)),
        "airline": ("airline/airline-passengers.csv", airline),
    }
    for name, columns in (("OT", -1), ("all", slice(None))):
        for h in (24, 48, 168):
            files[f"ETTh1 {name} {h}"] = (
                "ett/ETTh1.csv",
                lambda path, columns=columns, h=h: transformer(path, columns, h),
            )
    for name, (file, read) in files.items():
        if (folder / file).exists():
            tasks[name] = lambda read=read, path=folder / file: read(path)
    return tasks


def own(task, seed):
    model = LSTMForecaster(task.horizon, season=task.season, random_state=seed)
    model.fit(task.train)
    # More than that it does not read.
    n_steps = model.context_ + task.season + 1
    return lambda: np.stack(model.predict([y[-n_steps:] for y in task.histories]))


def print_errors(task, peers, n_seeds):
    print("\n" + table_head(["model", "fit s", "predict s", *task.measures]))
    for name, peer in {OWN: own, **peers}.items():
        rows = []
        for seed in range(n_seeds if name == OWN or name in RANDOM else 1):
            start = time.perf_counter()
            try:
                predict = peer(task, seed)
            except Unable:
                break
            fitted = time.perf_counter()
            forecasts = predict()
            seconds = [fitted - start, time.perf_counter() - fitted]
            rows.append([*seconds, *task.errors(forecasts)])
        if rows:
            fit, predict, *errors = zip(*rows, strict=True)
            cells = [name, f"{np.mean(fit):.2f}", f"{np.mean(predict):.2f}"]
            cells += [
                f"{np.mean(e):.4g}" + (f" +- {np.std(e):.2g}" if len(e) > 1 else "")
                for e in errors
            ]
            print(table_row(cells), flush=True)


def intervals(task, seed):
    """For each level (horizon,) shares of the values inside, and the width over that of naive
    intervals; and the errors of the forecasts."""
    model = LSTMForecaster(task.horizon, season=task.season, level=LEVELS, random_state=seed)
    model.fit(task.train)
    panel = model._read(task.series, "y")
    forecasts = model._forecasts(panel, task.which, task.origins)
    columns, actual = forecasts.columns, forecasts.followed
    naive = "seasonal_naive" if task.season > 1 else "naive"
    shares, widths = [], []
    for level in LEVELS:
        lower, upper, *ends_of_naive = (
            columns[f"{name}-{end}-{level}"]
            for name in ("y_hat", naive)
            for end in ("lo", "hi")
        )
        shares.append(np.mean((lower <= actual) & (actual <= upper), axis=(0, 2)))
        width, of_naive = upper - lower, ends_of_naive[1] - ends_of_naive[0]
        some = of_naive > 0
        widths.append(np.mean(width[some] / of_naive[some]))
    errors = task.errors(columns["y_hat"].reshape(task.actual.shape))
    return shares, widths, errors


def by_chance(n, level):
    """The probability that the share of n independent values inside is within POINTS."""
    near, far = (n * (level + sign * POINTS) / 100 for sign in (-1, 1))
    return binom.cdf(np.floor(far + 1e-9), n, level / 100) - binom.cdf(
        np.ceil(near - 1e-9) - 1, n, level / 100
    )


def print_intervals(task, n_seeds):
    head = ["level", "coverage", "least", "most", f"within {POINTS}", "by chance", "width"]
    print("\n" + table_head([*head, task.measures[0]]))
    found = [intervals(task, seed) for seed in range(n_seeds)]
    for k, level in enumerate(LEVELS):
        shares = np.array([of_levels[k] for of_levels, _, _ in found])  # (n_seeds, horizon)
        within = np.abs(100 * shares - level) <= POINTS
        cells = [100 * shares.mean(), 100 * shares.min(), 100 * shares.max()]
        print(
            table_row(
                [
                    f"{level}%",
                    *(f"{share:.1f}" for share in cells),
                    f"{within.mean():.0%}",
                    f"{by_chance(len(task.which), level):.0%}",
                    f"{np.mean([widths[k] for _, widths, _ in found]):.2f}",
                    f"{np.mean([errors[0] for _, _, errors in found]):.4g}",
                ]
            ),
            flush=True,
        )


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_memory(n_series=10_000, n_steps=1_000):
    rng = np.random.default_rng(0)
    t = np.arange(n_steps)
    phase, level = rng.uniform(0, 24, (n_series, 1)), rng.lognormal(3, 1, (n_series, 1))
    y = rng.normal(10, 1, (n_series, n_steps))
    y += 3 * np.sin((t + phase) * (2 * np.pi / 24))
    y *= level
    series = list(y)
    print(f"{y.nbytes / 2**20:.0f} MiB of series, peak {peak_mib():.0f} MiB", flush=True)
    model = LSTMForecaster(
        24, season=24, context=168, max_windows=200_000, max_iter=1, random_state=0
    )
    for name, call in (("fit", lambda: model.fit(series)), ("predict", model.predict)):
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        print(f"{name}: {seconds:.1f} s, peak {peak_mib():.0f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of sets, or how they begin")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[*PEERS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    if arguments.memory:
        print_memory()
        return
    for name, read in make_tasks(arguments.data).items():
        if arguments.sets and not name.startswith(tuple(arguments.sets)):
            continue
        task = read()
        print(f"\n**{name}**, season {task.season}, horizon {task.horizon}")
        if "errors" in arguments.tables:
            peers = {peer: PEERS[peer] for peer in arguments.peers}
            print_errors(task, peers, arguments.seeds)
        if "intervals" in arguments.tables:
            print_intervals(task, arguments.seeds)


if __name__ == "__main__":
    main()
