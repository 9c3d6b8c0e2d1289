"""Small series in every form, and a small forecaster to fit to them."""

import numpy as np
import pandas as pd

from cylstm import LSTMForecaster

SEASON = 4
SMALL = {
    "horizon": 3,
    "season": SEASON,
    "context": 8,
    "hidden_layer_sizes": 4,
    "max_iter": 1,
    "random_state": 0,
}
ROLES = {"known": ("promo",), "past": ("visits",), "static": ("size",)}
INDICES = {"known": (1,), "past": (2,), "static": (3,)}
NAMES = ["y", "promo", "visits", "size"]
LENGTHS = {"b": 70, "c": 50, "a": 60}


def forecaster(**settings):
    return LSTMForecaster(**SMALL | settings)


def columns(n, seed):
    """y, promo, visits, size of one series."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 10 + seed + np.sin(2 * np.pi * t / SEASON) + 0.3 * rng.normal(size=n)
    return np.column_stack([y, rng.normal(size=(n, 2)), np.full(n, float(seed))])


def holes(x, which=(0, 1, 2), seed=9):
    """A fifth of some columns is missing."""
    x, rng = x.copy(), np.random.default_rng(seed)
    for column in which:
        x[rng.random(len(x)) < 0.2, column] = np.nan
    return x


SERIES = [columns(n, seed) for seed, n in enumerate(LENGTHS.values())]
PANEL = [x[:, 0] for x in SERIES]
Y = PANEL[0]
FUTURE = [np.full((3, 1), 0.1 * k) for k in range(3)]


def dates(n, start="2024-01-30", freq="h"):
    return pd.date_range(start, periods=n, freq=freq)


def long(series=SERIES, freq="h"):
    """A long frame of the series, each from a start of its own."""
    return pd.concat(
        [
            pd.DataFrame(x, columns=NAMES).assign(
                unique_id=name, ds=dates(len(x), f"2024-01-0{k + 1}", freq)
            )
            for k, (name, x) in enumerate(zip(LENGTHS, series, strict=True))
        ],
        ignore_index=True,
    )


def long_future(horizon=3):
    """The promos of FUTURE after the ends of `long`."""
    return pd.concat(
        [
            pd.DataFrame({"promo": f[:horizon, 0]}).assign(
                unique_id=name, ds=dates(n + horizon, f"2024-01-0{k + 1}")[-horizon:]
            )
            for k, ((name, n), f) in enumerate(zip(LENGTHS.items(), FUTURE, strict=True))
        ],
        ignore_index=True,
    )


def assert_same(one, other):
    """Forecasts, in any nested form of arrays, have the same bits."""
    if isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        np.testing.assert_array_equal(one, other, strict=True)
