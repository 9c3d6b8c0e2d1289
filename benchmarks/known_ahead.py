"""Where columns that are known ahead should enter a forecast.

    python benchmarks/known_ahead.py [--ett ETTh1.csv] [--seeds 3]

- lead: what LSTMForecaster does. Its network reads the columns as they are, and as they will
  be a horizon later; the linear part sees them over context and horizon.
- head: they enter the linear part alone; the network reads them as they are.
- decoder: the network goes on over the steps of the horizon, where it reads the columns, the
  baseline in place of the value, and how far ahead it is, and has a score at each of them
  (seq2seq with one LSTM as encoder and decoder). The linear part is as before.

All three also without the linear part, where "head" sees nothing of the future. Everything
else is the same: windows, scales, baseline, units, solver and epochs. Mean and standard
deviation over seeds of the error, and seconds of fit.

- added, by level, first day: 100 series of 400 days with a season of 7 and promotions of one
  to four days, known for 14 days ahead. A promotion adds the same on each day; or it adds only
  while the series is below its mean, where it stays for weeks; or only on its first day. MASE
  from 4 origins.
- ETTh1: the temperature of the oil over 24 hours as if the six loads were known. Mean squared
  error, with training targets of unit variance.
"""

import argparse
import time

import numpy as np
from datasets import etth1
from measure import table_head, table_row
from scipy.signal import lfilter

from cylstm import LSTMForecaster, LSTMRegressor
from cylstm._window_training import AUTO_WINDOWS
from cylstm._windows import SeriesInputs, WindowPool
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


class Lead:
    name = "lead"
    linear = True

    def __init__(self, **settings):
        self.forecaster = LSTMForecaster(linear=self.linear, **settings)

    def fit(self, series):
        self.forecaster.fit(series)
        return self

    def forecast(self, series, which, origins):
        """(n, horizon) forecasts, and the values that came."""
        model = self.forecaster
        inputs = self.read(series)
        windows = inputs.make_windows(which, origins)
        return model._forecast(inputs, windows)[:, :, 0, 0], inputs.followed(windows)[:, :, 0]

    def read(self, series):
        model = self.forecaster
        return SeriesInputs(model._layout, model._read(series, "y"))


class WithoutLead(SeriesInputs):
    def _lead(self):
        return np.zeros_like(self._known)


class Head(Lead):
    name = "head"

    def fit(self, series):
        from cylstm import _forecaster

        _forecaster.SeriesInputs = WithoutLead
        try:
            return super().fit(series)
        finally:
            _forecaster.SeriesInputs = SeriesInputs

    def read(self, series):
        model = self.forecaster
        return WithoutLead(model._layout, model._read(series, "y"))


class Decoder(Lead):
    name = "decoder"

    def __init__(self, **settings):
        super().__init__(**settings)
        self.forecaster.set_params(max_iter=1, max_windows=1)  # for all but its network

    def fit(self, series):
        super().fit(series)
        model, inputs = self.forecaster, self.read(series)
        layout = model._layout
        last = inputs.lengths - layout.horizon
        pool = WindowPool(inputs, np.full(len(last), layout.context), last)
        n = min(len(pool), AUTO_WINDOWS)
        windows = pool.draw(n, np.random.RandomState(model.random_state))
        left = model._left(inputs, windows) - model._left_offset
        X, y = self.steps(inputs, windows), np.zeros((n, layout.context + layout.horizon))
        y[:, layout.context :] = (left / model._left_scale)[:, :, 0]
        weights = np.zeros_like(y)
        weights[:, layout.context :] = 1
        names = "hidden_layer_sizes", "learning_rate_init", "learning_rate", "clip_norm"
        settings = LSTMForecaster().get_params()
        self.network = LSTMRegressor(
            loss="absolute_error",
            return_sequences=True,
            batch_size=int(np.clip(n // 10, 8, 256)),
            max_iter=settings["max_iter"],
            n_iter_no_change=None,
            random_state=model.random_state,
            **{name: settings[name] for name in names},
        ).fit(X, y, sample_weight=weights)
        return self

    def steps(self, inputs, windows):
        """(n, context + horizon, n_inputs) what the network reads of whole windows."""
        layout = inputs.layout
        context, h = layout.context, layout.horizon
        ends = (inputs.starts[windows.series] + windows.origins)[:, None]
        before, rows = ends + np.arange(-context, 0), ends + np.arange(-context, h)
        center, scale = windows.center[:, None, 0], windows.scale[:, None, 0]
        X = np.zeros((len(windows), context + h, 4 + inputs._known.shape[1]), np.float32)
        X[:, :context, 0] = (inputs.filled[before, 0] - center) / scale
        X[:, context:, 0] = (windows.baseline[:, :, 0] - center) / scale
        X[:, :context, 1] = inputs._differences[before, 0] / scale
        X[:, context:, 2] = np.arange(1, h + 1) / h
        X[:, :, 3] = windows.change
        X[:, :, 4:] = inputs._known[rows]
        return X

    def forecast(self, series, which, origins):
        model, inputs = self.forecaster, self.read(series)
        windows = inputs.make_windows(which, origins)
        left = self.network.predict(self.steps(inputs, windows))[:, model.context_ :]
        left = left * model._left_scale[:, 0] + model._left_offset[:, 0]
        if model._linear is not None:
            left += model._linear.predict(inputs, windows)[:, :, 0]
        forecasts = windows.baseline[:, :, 0] + windows.scale * left
        return forecasts, inputs.followed(windows)[:, :, 0]


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


def transformer_task(path):
    y = etth1(path)
    y = (y - y[:8640].mean(axis=0)) / y[:8640].std(axis=0)
    origins = np.arange(11520, 14400 - 24 + 1, 3)

    def error(forecasts, actual):
        return np.mean((forecasts - actual) ** 2)

    settings = {"horizon": 24, "season": 24, "known": [*range(6)]}
    return [y[:8640]], [y[:14400]], np.zeros_like(origins), origins, settings, error


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ett")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tasks = {name: promotion_task(name) for name in EFFECTS}
    if arguments.ett:
        tasks["ETTh1"] = transformer_task(arguments.ett)
    ways = [Lead, Head, Decoder]
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
