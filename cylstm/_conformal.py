"""Split conformal prediction: how wide intervals have to be, from errors on windows that were
kept from training.

Of n errors that are as likely to come in any order as the next one, that one is at most the
ceil((n + 1) level)-th smallest with a probability of at least `level` (Vovk et al. 2005). Here
an error is in units of the scale of its window, pooled over all series, one step ahead, two
steps, ... each for itself (Stankeviciute et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def errors_needed(levels: Sequence[float]) -> int:
    """How many errors the highest of these levels, in percent, needs at least."""
    miss = 1 - max(levels) / 100
    return int(np.ceil(round(1 / miss, 9))) - 1


def radii(errors: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """What intervals of each level reach beyond what they are put around.

    Parameters
    ----------
    errors : array of shape (n, horizon, n_targets)
        How far beyond it each window was, in units of its scale; NaN where that is not known.
    levels : sequence of float
        In percent.

    Returns
    -------
    radii : array of shape (n_levels, horizon, n_targets)
        Infinite where there are too few errors.
    """
    n = np.sum(~np.isnan(errors), axis=0)
    ordered = np.sort(errors, axis=0)  # NaN last
    out = np.full((len(levels), *errors.shape[1:]), np.inf)
    for q, level in enumerate(levels):
        rank = np.ceil(np.round((n + 1) * level / 100, 9)).astype(int)
        enough = (rank <= n) & (n > 0)
        index = np.where(enough, rank - 1, 0)[None]
        found = np.take_along_axis(ordered, index, axis=0)[0] if len(errors) else out[q]
        out[q] = np.where(enough, found, np.inf)
    return out


def distances(above_lower: np.ndarray, above_upper: np.ndarray) -> np.ndarray:
    """How far values are outside an interval, negative inside, where they are known to be so
    far above its lower and its upper end. With two equal ends that is the absolute error, with
    learnt quantiles the score of conformalized quantile regression (Romano et al. 2019).
    """
    return np.maximum(-above_lower, above_upper)
