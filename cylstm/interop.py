"""Weights from and to other programs. What writes to one needs it installed; what reads from
one does not."""

from ._keras import from_keras, to_keras
from ._torch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]
