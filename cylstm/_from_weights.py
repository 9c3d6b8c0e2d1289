"""A fitted model made of weights that were trained elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ._arguments import shown
from ._base import NetworkEstimator
from ._checks import InputFormat, check_settings
from ._classifier import LSTMClassifier
from ._labels import find_classes
from ._network import Network
from ._regressor import LSTMRegressor

# What the weights say of an estimator.
OF_WEIGHTS = (
    "hidden_layer_sizes",
    "cell",
    "activation",
    "projection_size",
    "bidirectional",
    "vocabulary_size",
    "embedding_dim",
)


def fitted_model(
    weights: Mapping[str, np.ndarray],
    *,
    classes: Any = None,
    multilabel: bool = False,
    **parameters: Any,
) -> LSTMRegressor | LSTMClassifier:
    """An estimator with given weights, as if it had been fitted and had seen no epoch yet: it
    predicts, and partial_fit and warm_start go on from there.

    Parameters
    ----------
    weights : mapping of str to array
        All of them, by the names of `weights_`. "head.weight" has the targets as they are,
        `y_offset_` being 0 and `y_scale_` 1.
    classes : array-like of shape (n_classes,), default=None
        Labels of the head's scores, in their order: an LSTMClassifier is made. Of two classes
        there may be one score, that of the second against the first, or two.
    multilabel : bool, default=False
        An LSTMClassifier of indicator matrices is made, with a score for each column.
    **parameters
        Of the estimator. Those that shape the network must fit the weights. By default dtype
        is float64 if one of the weights is, else float32.

    Returns
    -------
    model : LSTMClassifier, or LSTMRegressor without classes

    Raises
    ------
    ValueError
        If weights are missing, unknown, of another shape than the parameters make them, or not
        finite in dtype.
    """
    weights = {name: np.asarray(array) for name, array in weights.items()}
    for name, array in weights.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} has dtype {array.dtype}; expected numbers.")
    double = any(array.dtype == np.float64 for array in weights.values())
    parameters = {"dtype": "float64" if double else "float32", **parameters}
    n_scores = _count_scores(weights)
    if classes is not None and multilabel:
        raise ValueError(
            "classes was given with multilabel=True, whose classes are the columns of y."
        )
    model: LSTMRegressor | LSTMClassifier
    if multilabel:
        model, y = LSTMClassifier(**parameters), np.zeros((1, n_scores), dtype=np.int64)
        if n_scores < 2:
            raise ValueError("multilabel=True, but the head has a single score.")
    elif classes is not None:
        model, y = LSTMClassifier(**parameters), find_classes(np.empty(0), classes)
        weights |= _sort_scores(weights, n_scores, np.asarray(classes), y)
    else:
        model = LSTMRegressor(**parameters)
        y = _targets_like(model, n_scores)
    model._validate_params()
    check_settings(model)
    tokens = model.embedding_dim is not None
    model._input_format = InputFormat(
        form="tokens" if tokens else "steps",
        n_features=1 if tokens else _count_inputs(weights),
        n_step_features=int(model.n_step_features),
        vocabulary=int(model.vocabulary_size or 0),
        dtype=np.dtype(model.dtype).name,
        per_step=bool(model.return_sequences),
    )
    model.n_features_in_ = model._input_format.n_features
    # Of constant targets offset and scale are 0 and 1.
    model._set_targets(y, np.ones(len(y)), None)
    network = model._make_network(False, **model._layout())
    _begin_training(model, network)
    fill(network, weights)
    return model


def check_free(parameters: Mapping[str, Any], fixed: Sequence[str] = OF_WEIGHTS) -> None:
    """Refuse parameters that follow from what the model is made of."""
    names = [name for name in fixed if name in parameters]
    if names:
        raise ValueError(
            f"{', '.join(names)} cannot be given: the model that is converted says it."
        )


def fill(network: Network, weights: Mapping[str, np.ndarray]) -> None:
    """Give a network its weights, all of them and no others, of the shapes that it has."""
    missing = network.weights.keys() - weights.keys()
    unknown = weights.keys() - network.weights.keys()
    for names, what in ((missing, "are missing"), (unknown, "are not of this network")):
        if names:
            raise ValueError(
                f"Weights {what}: {', '.join(sorted(names))}. The network has "
                f"{', '.join(network.weights)}."
            )
    for name, view in network.weights.items():
        array = np.asarray(weights[name])
        if array.shape != view.shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {view.shape}.")
        with np.errstate(over="ignore"):  # reported here
            view[...] = array
        if not np.isfinite(view).all():
            raise ValueError(
                f"{name} has numbers that are not finite in dtype='{network.dtype}'."
            )
    network.changed()


def _begin_training(model: NetworkEstimator, network: Network) -> None:
    """The state of a training of this network whose first epoch is to come."""
    model._start_training(network, False, None, scale=0.0)
    if not isinstance(model.random_state, Integral):
        # Drawn from by others: training would change their numbers.
        model._random_state = copy.deepcopy(model._random_state)
    model._network = network
    model._optimizer = model._make_optimizer(network, 0.0, resume=False, partial=False)


def _count_inputs(weights):
    first = weights.get("layers.0.weight_ih")
    if first is None or first.ndim != 2:
        raise ValueError(
            f"layers.0.weight_ih must have shape (n_rows, n_inputs); it has {np.shape(first)}."
        )
    return first.shape[1]


def _count_scores(weights):
    shapes = [np.shape(weights.get(f"head.{what}")) for what in ("weight", "bias")]
    if [len(shape) for shape in shapes] != [2, 1] or shapes[0][:1] != shapes[1]:
        raise ValueError(
            "head.weight and head.bias must have shapes (n_scores, n_units) and (n_scores,); "
            f"they have {shapes[0]} and {shapes[1]}."
        )
    return len(weights["head.bias"])


def _targets_like(model, n_scores):
    """A target of as many outputs as a regressor with so many scores has."""
    n_levels = 1
    if model.loss == "quantile":
        n_levels = len(model._levels())
    if n_scores % n_levels:
        raise ValueError(
            f"The head has {n_scores} scores, which are not a multiple of the {n_levels} "
            f"levels of quantile={shown(model.quantile)}."
        )
    n_outputs = n_scores // n_levels
    return np.zeros((1, n_outputs)[: 1 + (n_outputs > 1)])


def _sort_scores(weights, n_scores, given, classes):
    """The head with a score for each of the sorted classes, or of two a single one."""
    names = ("head.weight", "head.bias")
    if given.ndim != 1 or len(given) != len(classes):
        raise ValueError(f"classes={shown(given)} has a class more than once.")
    order = np.argsort(given)
    if len(classes) == 2 and n_scores == 1:
        sign = 1 if order[0] == 0 else -1
        return {name: sign * weights[name] for name in names}
    if n_scores != len(classes):
        raise ValueError(
            f"The head has {n_scores} scores, but classes={shown(given)} holds {len(classes)}."
        )
    heads = {name: weights[name][order] for name in names}
    if len(classes) == 2:
        # Their softmax is the logistic function of their difference.
        return {name: head[1:] - head[:1] for name, head in heads.items()}
    return heads
