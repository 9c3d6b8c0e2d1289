"""Levels of LSTMForecaster's intervals that predict is asked for, other than those of fit."""

import numpy as np
import pytest

from cylstm import LSTMForecaster

T = np.arange(160)
Y = [np.sin(T / 3) + np.random.default_rng(k).normal(size=160) for k in range(3)]


def fitted(level, **settings):
    settings = {"hidden_layer_sizes": 3, "max_iter": 1, "random_state": 0, **settings}
    return LSTMForecaster(4, level=level, calibration_windows=20, **settings).fit(Y)


@pytest.mark.parametrize("quantiles", [None, [0.05, 0.1, 0.9, 0.95]])
@pytest.mark.parametrize("horizon", [4, 10])
def test_as_if_fitted_for_them(quantiles, horizon):
    model = fitted(80, quantiles=quantiles)
    levels = [50, 95, 90]
    expected = fitted(levels, quantiles=quantiles)
    assert expected.calibration_windows_ == model.calibration_windows_ == 20
    for a, b in zip(
        model.predict(level=levels, horizon=horizon),
        expected.predict(horizon=horizon),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("quantiles", [None, [0.05, 0.1, 0.9, 0.95]])
@pytest.mark.parametrize(("level", "n_inside"), [(80, 49), (90, 55)])
def test_share_of_calibration_windows_inside(quantiles, level, n_inside):
    model = fitted(80, quantiles=quantiles)
    # Of 60 windows the ceil(61 level)-th smallest error is on the border.
    last = [y[: 160 - 4 - k] for y in Y for k in range(20)]
    followed = np.array([y[160 - 4 - k :][:4] for y in Y for k in range(20)])
    forecasts = np.array(model.predict(last, level=level))
    forecast, lower, upper = (forecasts[:, :, k] for k in range(3))
    inside = (lower - 1e-9 <= followed) & (followed <= upper + 1e-9)
    assert (inside.sum(axis=0) == n_inside).all()
    if quantiles is None:
        np.testing.assert_allclose(forecast - lower, upper - forecast)


@pytest.mark.parametrize("level", [None, 80])
def test_too_few_windows(level):
    model = fitted(level)
    n = 0 if level is None else 60
    with pytest.raises(
        ValueError, match=f"99.5% needs 199 windows .* fit kept {n}. Fit with level=99.5"
    ):
        model.predict(level=[50, 99.5])
    assert model.predict(level=())[0].shape == (4,)
