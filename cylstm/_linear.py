"""The linear part of a forecast: ridge regressions on windows, one for each target.

Like the autoregressive component of LSTNet (Lai et al., arXiv:1703.07015) it follows levels
and scales that a network saturates at; the network learns what it leaves.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve

from ._threads import single_threaded_blas
from ._windows import WINDOWS_AT_ONCE, SeriesInputs, Windows

# Penalty on the squared coefficients, in units of one window.
RIDGE = 1.0

# Inputs and targets are cut off there: so many scales of its window away is what comes of
# windows that happen to be almost constant.
FARTHEST = 30.0

# Rows of a product.
ROWS_AT_ONCE = 64


class LinearPart:
    """Ridge regressions of what follows a window on what it holds, solved exactly.

    Parameters
    ----------
    inputs : SeriesInputs
    windows : Windows
        To learn from.
    """

    def __init__(self, inputs: SeriesInputs, windows: Windows):
        scales = np.where(windows.scale > 0, windows.scale, np.nan)
        self._units = [
            1.0 if np.isnan(of_target).all() else float(np.nanmedian(of_target))
            for of_target in scales.T
        ]
        fits = [self._fit(inputs, windows, j) for j in range(inputs.layout.n_targets)]
        self._coefficients = [coefficients for coefficients, _ in fits]
        self._intercepts = [intercept for _, intercept in fits]

    def _fit(self, inputs, windows, target):
        """(p, horizon) coefficients and (horizon,) intercepts of one target."""
        n, moments, products, sum_x, sum_y = 0, 0, 0, 0, 0
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            part = windows.take(slice(start, start + WINDOWS_AT_ONCE))
            y = _cut_off(inputs.targets_of(part)[:, :, target])
            whole = ~np.isnan(y).any(axis=1)
            x = _cut_off(inputs.linear_inputs(part, target, self._units[target]))
            y, x = y[whole], x[whole]
            with single_threaded_blas():  # whose sums depend on the number of threads
                moments = moments + x.T @ x
                products = products + x.T @ y
            sum_x, sum_y, n = sum_x + x.sum(axis=0), sum_y + y.sum(axis=0), n + len(x)
        mean_x, mean_y = sum_x / max(n, 1), sum_y / max(n, 1)
        moments -= n * np.outer(mean_x, mean_x)
        products -= n * np.outer(mean_x, mean_y)
        moments[np.diag_indices(len(moments))] += RIDGE
        with single_threaded_blas():
            coefficients = solve(moments, products, assume_a="pos")
            return coefficients, mean_y - mean_x @ coefficients

    def predict(self, inputs: SeriesInputs, windows: Windows) -> np.ndarray:
        """(n, horizon, n_targets) in units of the windows' scales."""
        out = np.empty((len(windows), inputs.layout.horizon, inputs.layout.n_targets))
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            part = slice(start, start + WINDOWS_AT_ONCE)
            for j, (coefficients, intercept) in enumerate(
                zip(self._coefficients, self._intercepts, strict=True)
            ):
                x = _cut_off(inputs.linear_inputs(windows.take(part), j, self._units[j]))
                out[part, :, j] = _product(x, coefficients) + intercept
        return out


def _product(x, coefficients):
    """x @ coefficients, in blocks of the same number of rows: BLAS then treats each row alike,
    and a forecast has the same bits beside any others."""
    n, p = x.shape
    blocks = np.zeros((-(-n // ROWS_AT_ONCE), ROWS_AT_ONCE, p))
    blocks.reshape(-1, p)[:n] = x
    with single_threaded_blas():
        return (blocks @ coefficients).reshape(-1, coefficients.shape[1])[:n]


def _cut_off(x):
    return np.clip(x, -FARTHEST, FARTHEST)
