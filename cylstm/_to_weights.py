"""What other programs need of a fitted model: that they can say it, and its head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from ._supervised import BaseLSTM

# Field of the architecture -> the only value that layers of other programs can have, and why.
LIMITS = {
    "layer_norm": (False, "its layers do not normalize products and cell states"),
    "weights": (None, "convert the model that was quantized"),
    "chain": (False, "its layers do not score the transitions between labels"),
}
# As users know them.
NAMES = {
    "chain": 'loss="crf"',
    "weights": "A quantized model",
    "projection": "projection_size",
}


def check_exports(
    model: Any, program: str, cells: Sequence[str], limits: dict[str, tuple[Any, str]]
) -> BaseLSTM:
    """Refuse what a program cannot say.

    Parameters
    ----------
    model : fitted LSTMRegressor or LSTMClassifier
    program : str
        For messages.
    cells : sequence of str
        Those that it has.
    limits : dict
        More of LIMITS.
    """
    if not isinstance(model, BaseLSTM):
        raise TypeError(
            f"model is of type {type(model).__name__}; expected a fitted LSTMRegressor or "
            "LSTMClassifier."
        )
    check_is_fitted(model)
    architecture = model._network.architecture
    possible = " or ".join(f'"{cell}"' for cell in cells)
    if architecture.cell not in cells:
        raise ValueError(
            f'cell="{architecture.cell}" cannot be converted to {program}, whose layers have '
            f"the cells {possible}."
        )
    for name, (value, reason) in (LIMITS | limits).items():
        given = getattr(architecture, name)
        if given != value:
            what = NAMES.get(name, name)
            if name not in ("chain", "weights"):
                what = f"{what}={json.dumps(given) if isinstance(given, str) else given}"
            raise ValueError(f"{what} cannot be converted to {program}: {reason}.")
    return model


def head_of(model: BaseLSTM) -> tuple[np.ndarray, np.ndarray]:
    """Weight (n_scores, n_features) and bias (n_scores,) of a head that predicts on the scale
    of y, in the model's dtype; of a classifier those that it has."""
    weights = model._network.weights
    weight, bias = weights["head.weight"], weights["head.bias"]
    if is_classifier(model):
        return weight.copy(), bias.copy()
    n_quantiles = len(bias) // model.n_outputs_
    offset, scale = (np.repeat(a, n_quantiles) for a in (model.y_offset_, model.y_scale_))
    dtype = weight.dtype
    return (weight * scale[:, None]).astype(dtype), (bias * scale + offset).astype(dtype)
