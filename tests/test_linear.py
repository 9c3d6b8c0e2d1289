"""The linear part of forecasts, and errors in units of scales."""

import numpy as np

from cylstm._forecasting import _in_scales
from cylstm._linear import RIDGE, _Moments


def test_both_parts_are_one_ridge_regression():
    """Of vectors for each step and one that all steps share, with free intercepts."""
    rng = np.random.default_rng(0)
    n, h, p, q = 40, 3, 2, 2
    x = rng.normal(size=(n, p))
    z = rng.normal(size=(n, h, q)) + x[:, None, :1]
    y = rng.normal(size=(n, h)) + z.sum(axis=2) + x[:, :1]
    moments = _Moments()
    for part in (slice(15), slice(15, n)):
        moments.add(y[part], x[part], z[part])
    of_window, of_step, intercepts = moments.solve()
    design = np.zeros((h, n, h * p + q))
    for k in range(h):
        design[k, :, k * p : (k + 1) * p] = x - x.mean(axis=0)
        design[k, :, h * p :] = z[:, k] - z[:, k].mean(axis=0)
    design = design.reshape(h * n, -1)
    rows = (y - y.mean(axis=0)).T.ravel()
    penalized = design.T @ design + RIDGE * np.eye(h * p + q)
    expected = np.linalg.solve(penalized, design.T @ rows)
    np.testing.assert_allclose(of_window, expected[: h * p].reshape(h, p).T)
    np.testing.assert_allclose(of_step, expected[h * p :])
    fitted = x @ of_window + z @ of_step + intercepts
    np.testing.assert_allclose((y - fitted).mean(axis=0), 0, atol=1e-12)


def test_an_error_of_a_constant_window_is_infinite():
    errors = np.array([2.0, 2, -3, 0, np.nan])
    found = _in_scales(errors, np.array([4.0, 0, 0, 0, 0]))
    np.testing.assert_array_equal(found, [0.5, np.inf, -np.inf, 0, np.nan])
