"""The linear part of a forecast: ridge regressions on windows, one for each target.

Like the autoregressive component of LSTNet (Lai et al., arXiv:1703.07015) it follows levels
and scales that a network saturates at; the network learns what it leaves.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve

from ._threads import single_threaded_blas
from ._windows import FARTHEST, WINDOWS_AT_ONCE, SeriesInputs, Windows

# Penalty on the squared coefficients, in units of one window.
RIDGE = 10.0

# Times that the regressions are solved where targets are missing: these are the baseline's at
# first, then what has been learnt.
PASSES = 4

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
        self._fits = [self._fit(inputs, windows, j) for j in range(inputs.layout.n_targets)]

    def _fit(self, inputs, windows, target):
        """Coefficients and intercepts of one target: (p, horizon) of what holds for the whole
        window, a vector for each step; (q,) of what is known of a step, the same at all steps;
        (horizon,) intercepts.

        The latter come first: what is left of them, and of the targets, by a regression on the
        former, step by step, has all their moments (Frisch & Waugh 1933).
        """
        fit = None
        for _ in range(PASSES):
            moments, missing = _Moments(), False
            for start in range(0, len(windows), WINDOWS_AT_ONCE):
                part = windows.take(slice(start, start + WINDOWS_AT_ONCE))
                y = inputs.targets_of(part)[:, :, target]
                x, z = self._read(inputs, part, target)
                holes = np.isnan(y)
                use = ~(holes.all(axis=1) | (np.abs(y) > FARTHEST).any(axis=1))
                missing |= bool(holes[use].any())
                y = np.where(holes, 0 if fit is None else _predict(fit, x, z), y)
                moments.add(y[use], x[use], z[use])
            with single_threaded_blas():  # whose sums depend on the number of threads
                fit = moments.solve()
            if not missing:
                break
        return fit

    def _read(self, inputs, windows, target):
        """(n, p) and (n, horizon, q) what the regressions see of windows."""
        of_steps = inputs.known_of_steps(windows, target, self._units[target])
        return inputs.linear_inputs(windows, target), of_steps

    def predict(self, inputs: SeriesInputs, windows: Windows) -> np.ndarray:
        """(n, horizon, n_targets) in units of the windows' scales."""
        out = np.empty((len(windows), inputs.layout.horizon, inputs.layout.n_targets))
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            part = slice(start, start + WINDOWS_AT_ONCE)
            for j, fit in enumerate(self._fits):
                x, z = self._read(inputs, windows.take(part), j)
                out[part, :, j] = _predict(fit, x, z)
        return out


class _Moments:
    """Sums over windows of y (n, horizon), x (n, p), z (n, horizon, q) and their products."""

    def __init__(self):
        self.n = 0
        self.sums = self.products = self.of_steps = 0

    def add(self, y, x, z):
        # y and z side by side, of each step in turn.
        both = np.concatenate([y[:, :, None], z], axis=2)
        flat = both.reshape(len(x), both.shape[1] * both.shape[2])
        with single_threaded_blas():
            self.products = self.products + x.T @ np.concatenate([x, flat], axis=1)
            steps = both.transpose(1, 0, 2)
            self.of_steps = self.of_steps + steps.transpose(0, 2, 1) @ steps
        self.sums = self.sums + np.concatenate([x, flat], axis=1).sum(axis=0)
        self.n += len(x)
        self.shape = x.shape[1], *both.shape[1:]

    def solve(self):
        p, h, width = self.shape
        mean = self.sums / max(self.n, 1)
        mean_x, mean_both = mean[:p], mean[p:].reshape(h, width)
        products = self.products - self.n * np.outer(mean_x, mean)
        products[:, :p][np.diag_indices(p)] += RIDGE
        of_steps = self.of_steps - self.n * mean_both[:, :, None] * mean_both[:, None, :]
        with_both = products[:, p:].reshape(p, h, width)
        on_x = solve(products[:, :p], products[:, p:], assume_a="pos").reshape(p, h, width)
        # What x leaves of the moments of y and z, over all steps.
        left = sum(of_steps[k] - with_both[:, k].T @ on_x[:, k] for k in range(h))
        of_step = np.zeros(width - 1)
        if width > 1:
            of_step = solve(
                left[1:, 1:] + RIDGE * np.eye(width - 1), left[1:, 0], assume_a="pos"
            )
        of_window = on_x[:, :, 0] - on_x[:, :, 1:] @ of_step
        means = mean_both[:, 0] - mean_both[:, 1:] @ of_step
        return of_window, of_step, means - mean_x @ of_window


def _predict(fit, x, z):
    """(n, horizon) of coefficients and intercepts."""
    of_window, of_step, intercepts = fit
    n, h, q = z.shape
    of_steps = _product(z.reshape(n * h, q), of_step[:, None]).reshape(n, h)
    return _product(x, of_window) + of_steps + intercepts


def _product(x, coefficients):
    """x @ coefficients, in blocks of the same number of rows: BLAS then treats each row alike,
    and a forecast has the same bits beside any others."""
    n, p = x.shape
    blocks = np.zeros((-(-n // ROWS_AT_ONCE) * ROWS_AT_ONCE, p))
    blocks[:n] = x
    with single_threaded_blas():
        out = blocks.reshape(len(blocks) // ROWS_AT_ONCE, ROWS_AT_ONCE, p) @ coefficients
    return out.reshape(len(blocks), coefficients.shape[1])[:n]
