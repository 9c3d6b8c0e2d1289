"""Where columns that are known ahead should enter a forecast.

    python benchmarks/known_ahead.py [--ett ETTh1.csv] [--m3 m3_monthly.npz] [--seeds 3]

- decoder: the network goes on over the steps of the horizon, where it reads the columns, and
  has a score at each of them (seq2seq with one LSTM as encoder and decoder): what
  LSTMForecaster does with columns in `known`. The linear part sees them over the horizon.
- lead: the network ends at the origin, where it has the scores of all steps. It reads the
  columns as they are, and as they will be a horizon later. The linear part is as before.
- head: they enter the linear part alone; the network reads them as they are, and ends at the
  origin: what LSTMForecaster does with columns in `calendar` alone.

All three also without the linear part, where "head" sees nothing of the future. Everything
else is the same: windows, scales, baseline, units, solver and epochs. Mean and standard
deviation over seeds of the error, and seconds of fit.

- added, by level, first day: 100 series of 400 days with a season of 7 and promotions of one
  to four days, known for 14 days ahead. A promotion adds the same on each day; or it adds only
  while the series is below its mean, where it stays for weeks; or only on its first day. MASE
  from 4 origins.
- ETTh1: the temperature of the oil over 24 hours as if the six loads were known, or with the
  calendar alone. Mean squared error, with training targets of unit variance.
- M3 monthly with the calendar alone, which says nothing, since all series are given the same
  first month. MASE.
"""

import argparse
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
from datasets import etth1, panel
from measure import table_head, table_row
from scipy.signal import lfilter

from cylstm import LSTMForecaster, _forecaster
from cylstm._windows import SeriesInputs, WindowLayout
from cylstm.metrics import mase

EFFECTS = {
    "added": lambda promotion, state: 0.5 * promotion,
    "by level": lambda promotion, state: 0.5 * promotion * (state < 0),
    "first day": lambda promotion, state: (
        0.5 * promotion * (np.roll(promotion, 1, axis=1) == 0)
    ),
}


def promotions(effect, n_series=100, n_steps=400):
    """Series (n_steps, 2): sales and, known ahead, whether there is a promotion."""
    rng = np.random.default_rng(0)
    promotion = np.zeros((n_series, n_steps))
    for row in promotion:
        t = rng.integers(0, 14)
        while t < n_steps:
            row[t : t + rng.integers(1, 5)] = 1
            t += rng.integers(6, 20)
    noise = rng.normal(0, np.sqrt(1 - 0.97**2), (n_series, n_steps))
    state = lfilter([1], [1, -0.97], noise, axis=1)
    season = np.sin(2 * np.pi * (np.arange(n_steps) + rng.integers(0, 7, (n_series, 1))) / 7)
    y = 2 + 0.2 * season + 0.15 * state + EFFECTS[effect](promotion, state)
    y += rng.normal(0, 0.05, y.shape)
    y *= rng.lognormal(3, 1, (n_series, 1))
    return [*np.dstack([y, promotion])]


class GoesOn(WindowLayout):
    """Windows that go on over the horizon, whatever is known ahead."""

    @property
    def n_ahead(self):
        return self.horizon


class EndsAtTheOrigin(WindowLayout):
    n_ahead = 0


class WithLead(SeriesInputs):
    def _inputs(self, known):
        """What will be known at the step a horizon later, before the static columns. The mean
        where that is beyond the series."""
        values = super()._inputs(known)
        h = self.layout.horizon
        rows = self._steps(np.maximum(self._ends - self.starts - h, 0))
        lead = np.zeros_like(self._known)
        lead[rows] = self._known[rows + h]
        at = values.shape[1] - self._static.shape[1]
        return np.concatenate([values[:, :at], lead, values[:, at:]], axis=1)


class Decoder:
    name = "decoder"
    linear = True
    layout, inputs = GoesOn, SeriesInputs

    def __init__(self, **settings):
        self.forecaster = LSTMForecaster(linear=self.linear, **settings)

    @contextmanager
    def _own_windows(self):
        _forecaster.WindowLayout, _forecaster.SeriesInputs = self.layout, self.inputs
        try:
            yield
        finally:
            _forecaster.WindowLayout, _forecaster.SeriesInputs = WindowLayout, SeriesInputs

    def fit(self, series):
        with self._own_windows():
            self.forecaster.fit(series)
        return self

    def forecast(self, series, which, origins):
        """(n, horizon) forecasts, and the values that came."""
        model = self.forecaster
        inputs = self.inputs(model._layout, model._read(series, "y"))
        windows = inputs.make_windows(which, origins)
        return model._forecast(inputs, windows)[:, :, 0, 0], inputs.followed(windows)[:, :, 0]


class Lead(Decoder):
    name = "lead"
    layout, inputs = EndsAtTheOrigin, WithLead


class Head(Decoder):
    name = "head"
    layout = EndsAtTheOrigin


def without_linear(cls):
    return type(cls.__name__, (cls,), {"name": f"{cls.name}, no linear part", "linear": False})


def promotion_task(effect):
    series = promotions(effect)
    horizon, n_origins = 14, 4
    n_train = len(series[0]) - n_origins * horizon
    which = np.repeat(np.arange(len(series)), n_origins)
    origins = n_train + np.tile(np.arange(n_origins) * horizon, len(series))
    histories = [series[k][:o, 0] for k, o in zip(which, origins, strict=True)]

    def error(forecasts, actual):
        return mase(actual, forecasts, histories, 7)

    settings = {"horizon": horizon, "season": 7, "known": [1]}
    return [y[:n_train] for y in series], series, which, origins, settings, error


def dated(y, frequency):
    return pd.Series(y, pd.date_range("2001-01-01", periods=len(y), freq=frequency))


def transformer_task(path, known):
    y = etth1(path)
    y = (y - y[:8640].mean(axis=0)) / y[:8640].std(axis=0)
    origins = np.arange(11520, 14400 - 24 + 1, 3)
    settings = {"horizon": 24, "season": 24, "known": [*range(6)]}
    if not known:
        y = dated(y[:, 6], "h")
        settings |= {"known": (), "calendar": ("hour", "dayofweek")}

    def error(forecasts, actual):
        return np.mean((forecasts - actual) ** 2)

    return [y[:8640]], [y[:14400]], np.zeros_like(origins), origins, settings, error


def month_task(path):
    train, test = panel(path)
    series = [dated(np.concatenate(both), "MS") for both in zip(train, test, strict=True)]
    ends = np.array([len(y) for y in train])
    cut = [y[:n] for y, n in zip(series, ends, strict=True)]

    def error(forecasts, actual):
        return mase(actual, forecasts, train, 12)

    settings = {"horizon": test.shape[1], "season": 12, "calendar": "month"}
    return cut, series, np.arange(len(series)), ends, settings, error


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ett")
    parser.add_argument("--m3")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tasks = {name: promotion_task(name) for name in EFFECTS}
    if arguments.ett:
        tasks["ETTh1"] = transformer_task(arguments.ett, known=True)
        tasks["ETTh1, calendar"] = transformer_task(arguments.ett, known=False)
    if arguments.m3:
        tasks["M3, calendar"] = month_task(arguments.m3)
    ways = [Decoder, Lead, Head]
    ways += [without_linear(way) for way in ways]
    rows = {way.name: [] for way in ways}
    for train, series, which, origins, settings, error in tasks.values():
        for way in ways:
            errors, seconds = [], []
            for seed in range(arguments.seeds):
                start = time.perf_counter()
                model = way(**settings, random_state=seed).fit(train)
                seconds.append(time.perf_counter() - start)
                errors.append(error(*model.forecast(series, which, origins)))
            rows[way.name] += [
                f"{np.mean(errors):.4f} +- {np.std(errors):.4f}",
                f"{np.mean(seconds):.1f}",
            ]
    print(table_head(["known columns", *(cell for name in tasks for cell in (name, "s"))]))
    for name, cells in rows.items():
        print(table_row([name, *cells]))


if __name__ == "__main__":
    main()
