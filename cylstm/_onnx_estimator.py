"""A fitted regressor or classifier in ONNX: from its inputs to its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._arguments import shown
from ._classifier import LSTMClassifier
from ._onnx_graph import Graph
from ._onnx_network import add_features
from ._regressor import LSTMRegressor
from ._to_weights import head_of


def check_estimator(model: Any) -> None:
    """Refuse what is not fitted, and what has no counterpart in ONNX.

    Raises
    ------
    NotFittedError
    TypeError
        If it is neither LSTMRegressor nor LSTMClassifier.
    ValueError
    """
    if not isinstance(model, (LSTMRegressor, LSTMClassifier)):
        raise TypeError(
            "Only LSTMRegressor, LSTMClassifier and a Pipeline that ends in one can be "
            f"converted to ONNX; got {shown(model)}."
        )
    check_is_fitted(model)
    refused = f"This {type(model).__name__} cannot be converted to ONNX:"
    if model._network.architecture.weights:
        raise ValueError(
            f"{refused} its weights are quantized. Convert the model that was quantized; "
            "onnxruntime.quantization makes a file's weights int8."
        )
    if model.out_activation_ == "crf":
        raise ValueError(
            f'{refused} loss="crf" needs the best path through the labels of a sequence.'
        )


def add_estimator(
    graph: Graph, model: Any, x: str, lengths: str | None, with_features: bool = False
) -> None:
    """Add a fitted model and its outputs.

    Parameters
    ----------
    graph : Graph
    model : LSTMRegressor or LSTMClassifier
    x : str
        What `predict` takes: an array in the form that the model was fitted on, but
        (n_samples, n_timesteps, n_features) where that was a list.
    lengths : str or None
        int64 of shape (n_samples,); None: all sequences have n_timesteps.
    with_features : bool
        Whether what `transform` returns is an output, the last.
    """
    a = model._network.architecture
    if model._input_format.form == "columns":
        x = graph.add("Reshape", x, np.array([0, -1, a.n_inputs]))
    features = add_features(graph, model._network, x, lengths)
    axes = ["n_samples", "n_timesteps"][: 1 + a.per_step]
    if a.per_step and model._input_format.form == "columns":
        axes[1] = model.n_features_in_ // a.n_inputs
    add = _add_classes if isinstance(model, LSTMClassifier) else _add_prediction
    add(graph, model, features, axes)
    if with_features:
        graph.output("features", features, graph.dtype, [*axes, a.n_features])


def _add_scores(graph, model, features):
    """Scores of the head, of a regressor on the scale of y."""
    weight, bias = head_of(model)
    weight = graph.constant(weight.T, "head.weight")
    bias = graph.constant(bias, "head.bias")
    return graph.add("Add", graph.add("MatMul", features, weight), bias)


def _add_prediction(graph, model, features, axes):
    """The output "prediction", as predict returns it."""
    n_scores, n_outputs = model._network.architecture.n_scores, model.n_outputs_
    n_quantiles = n_scores // n_outputs
    y = _add_scores(graph, model, features)
    if model.out_activation_ == "exp":
        y = graph.add("Exp", y)
    shape = [n_scores]
    if n_quantiles > 1:
        shape = [n_outputs] * (n_outputs > 1) + [n_quantiles]
        y = graph.add("Reshape", y, np.array([0] * len(axes) + shape))
        y, _ = graph.add("TopK", y, np.array([n_quantiles]), largest=0, n_outputs=2)
    elif model._y_is_1d:
        shape = []
        y = graph.add("Squeeze", y, np.array([len(axes)]))
    graph.output("prediction", y, graph.dtype, [*axes, *shape])


def _add_classes(graph, model, features, axes):
    """The outputs "label", as predict returns it, and "probabilities", as predict_proba."""
    scores = _add_scores(graph, model, features)
    classes, shape = model.classes_, []
    if model.out_activation_ == "softmax":
        label = graph.add("ArgMax", scores, axis=-1, keepdims=0)
        p = graph.add("Softmax", scores, axis=-1)
    else:
        label = graph.cast(graph.add("Greater", scores, graph.number(0)), "int64")
        if model._multilabel:
            shape = [len(classes)]
        else:
            label = graph.add("Squeeze", label, np.array([len(axes)]))
            scores = graph.add("Concat", graph.add("Neg", scores), scores, axis=-1)
        p = graph.add("Sigmoid", scores)
    if not model._multilabel:
        classes = labels_of(classes)
        label = graph.add("Gather", classes, label)
    graph.output("label", label, classes.dtype, [*axes, *shape])
    graph.output("probabilities", p, graph.dtype, [*axes, len(model.classes_)])


def labels_of(classes: np.ndarray) -> np.ndarray:
    """Classes as ONNX has them: strings, or int64, also for bool and floats.

    Raises
    ------
    ValueError
        If int64 does not hold them.
    """
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    with np.errstate(invalid="ignore"):  # reported here
        labels = classes.astype(np.int64)
    if not np.array_equal(labels, classes) or (labels[-1] < 0) != (classes[-1] < 0):
        raise ValueError(
            f"Labels in ONNX are strings or int64, which cannot hold {shown(classes)}."
        )
    return labels
