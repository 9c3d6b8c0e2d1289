"""What the displays of plotting.py share: Axes, and checks of what they draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._arguments import as_array, check_collection, reading_numbers, shown


def make_axes(
    n: int, given: Any, name: str, n_columns: int = 1, sharex: bool = True
) -> np.ndarray:
    """n Axes: those given, or of a new figure, by row in so many columns."""
    if given is not None:
        axes = np.ravel(given)
        if len(axes) != n or not all(hasattr(ax, "imshow") for ax in axes):
            raise ValueError(f"{name}={shown(given)} must be {n} matplotlib Axes.")
        return axes
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: pip install "cylstm[plot]".') from error
    n_rows = -(-n // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        sharex=sharex,
        squeeze=False,
        figsize=(max(8, 4 * n_columns), 1.5 + 1.8 * n_rows),
        layout="constrained",
    )
    axes = axes.reshape(-1)
    for ax in axes[n:]:
        figure.delaxes(ax)
    return axes[:n]


def check_has(estimator: Any, attribute: str, display: str) -> None:
    """Refuse what is not fitted, or not one of cylstm's estimators."""
    if not hasattr(estimator, "fit"):
        raise ValueError(f"{display} needs a fitted estimator; got {shown(estimator)}.")
    check_is_fitted(estimator)
    if not hasattr(estimator, attribute):
        raise ValueError(
            f"{display} needs a fitted estimator with {attribute}; "
            f"{type(estimator).__name__} has none."
        )


def plain_numbers(values: Any, name: str, expected: str) -> np.ndarray:
    """An array of numbers of the shape that `expected` spells, not empty."""
    check_collection(values, name, f"numbers of shape {expected}")
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        with reading_numbers(name):
            try:
                array = array.astype(np.float64, casting="same_kind")
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} must hold numbers: {error}.") from error
    if array.ndim != expected.count("n_") or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected {expected}, not empty.")
    return array
