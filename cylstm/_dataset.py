"""What training and validation get: sequences, targets and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._sequences import Sequences


@dataclass(frozen=True)
class Dataset:
    """Sequences with a target and a weight for each, or for each of their real steps.

    Parameters
    ----------
    sequences : Sequences
    targets : array of shape (n, ...)
    weights : array of shape (n,)
    per_step : bool
        Whether n counts real steps, in the order of ``sequences.real_rows()``, instead of
        sequences.
    """

    sequences: Sequences
    targets: np.ndarray
    weights: np.ndarray
    per_step: bool = False

    def __len__(self) -> int:
        return len(self.sequences)

    def arrays(self, suffix: str = "") -> dict[str, tuple[np.ndarray | None, ...]]:
        """All that it consists of, by the names of fit's arguments, with a suffix."""
        x = self.sequences
        return {
            f"X{suffix}": (
                *(x.values, x.tokens, x.starts, x.lengths, x.shift, x.scale),
                *(x.seams, x.beyond),
            ),
            f"y{suffix}": (self.targets,),
            f"sample_weight{suffix}": (self.weights,),
        }

    def take(self, indices: np.ndarray) -> Dataset:
        """Some of the sequences, in the order of `indices`."""
        part = self.sequences.take(indices)
        targets, weights = self.spread()
        rows = part.real_rows() if self.per_step else indices
        return Dataset(part, targets[rows], weights[rows], self.per_step)

    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets and weights as the kernels take them: per step there is one for each row
        of the sequences' values, padding included."""
        if not self.per_step:
            return self.targets, self.weights
        spread = self.sequences.spread_steps
        return spread(self.targets), spread(self.weights)
