"""Transformers before an estimator in ONNX, by skl2onnx, and ours in what it converts."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._classifier import LSTMClassifier
from ._onnx_estimator import add_estimator, check_estimator, labels_of
from ._onnx_graph import Graph, import_package
from ._regressor import LSTMRegressor
from .preprocessing import StepwiseTransformer

# Version of the operators of ai.onnx.ml.
ML_OPSET = 3


def add_step(graph: Graph, step: Any, x: str, opset: int, *, of_columns: bool) -> str:
    """Add a step of a Pipeline that stands before its estimator.

    Parameters
    ----------
    graph : Graph
    step : transformer
    x : str
        Of shape (n_samples, n_columns), or (n_samples, n_timesteps, n_features).
    opset : int
    of_columns : bool
        Which of them.

    Returns
    -------
    x : str
        What `transform` returns.

    Raises
    ------
    NotFittedError
    ValueError
        If skl2onnx does not convert the transformer, or it takes sequences and is no
        StepwiseTransformer.
    """
    check_is_fitted(step)
    if of_columns:
        return _add_rows(graph, step, x, step.n_features_in_, opset)
    if not isinstance(step, StepwiseTransformer):
        raise ValueError(
            f"{type(step).__name__} cannot be converted to ONNX: of transformers of sequences "
            "only StepwiseTransformer can."
        )
    return _add_steps(graph, step, x, opset)


def _add_steps(graph, step, x, opset):
    """Add a StepwiseTransformer."""
    rows = graph.add("Reshape", x, np.array([-1, step.n_features_in_]))
    rows = _add_rows(graph, step.transformer_, rows, step.n_features_in_, opset)
    shape = graph.add("Concat", graph.sizes(x, 0, 2), np.array([-1]), axis=0)
    return graph.add("Reshape", rows, shape)


def _add_rows(graph, transformer, rows, n_features, opset):
    """Add a transformer of 2-D data."""
    skl2onnx = import_package("skl2onnx")
    kind = _type_of(graph.dtype)([None, n_features])
    try:
        model = skl2onnx.to_onnx(
            transformer,
            initial_types=[("X", kind)],
            target_opset={"": opset, "ai.onnx.ml": ML_OPSET},
        )
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"skl2onnx cannot convert {type(transformer).__name__}: {error}"
        ) from error
    graph.domains |= {d.domain: d.version for d in model.opset_import if d.domain}
    return graph.cast(graph.inline(model.graph, rows), graph.dtype)


def _type_of(dtype):
    """skl2onnx's type of arrays of a dtype."""
    types = import_package("skl2onnx.common.data_types")
    return {
        "float32": types.FloatTensorType,
        "float64": types.DoubleTensorType,
        "int64": types.Int64TensorType,
        "object": types.StringTensorType,
    }[np.dtype(dtype).name]


def register_converters() -> None:
    """Tell skl2onnx of ours. It asks a parser for the outputs of an operator, another function
    for their shapes, which ours have already, and a converter for its nodes."""
    skl2onnx = import_package("skl2onnx")
    for kind, parser, convert in (
        (StepwiseTransformer, _parse_stepwise, _convert_stepwise),
        (LSTMRegressor, _parse_regressor, _convert_estimator),
        (LSTMClassifier, _parse_classifier, _convert_estimator),
    ):
        skl2onnx.update_registered_converter(
            kind,
            f"Cylstm{kind.__name__}",
            lambda operator: None,
            convert,
            parser=parser,
            options={"zipmap": [True, False]} if kind is LSTMClassifier else None,
        )


def _declare(scope, model, inputs, outputs):
    """An operator with outputs {name: (dtype, shape)}."""
    operator = scope.declare_local_operator(f"Cylstm{type(model).__name__}", model)
    operator.inputs = inputs
    for name, (dtype, shape) in outputs.items():
        kind = _type_of(dtype)(shape)
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _parse_stepwise(scope, model, inputs, custom_parsers=None):
    check_is_fitted(model)
    return _declare(scope, model, inputs, {"steps": (_dtype_of(inputs[0]), [None] * 3)})


def _parse_regressor(scope, model, inputs, custom_parsers=None):
    check_estimator(model)
    a = model._network.architecture
    axes = [None] * (1 + a.per_step)
    return _declare(scope, model, inputs, {"prediction": (a.dtype, axes)})


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    check_estimator(model)
    a = model._network.architecture
    axes = [None] * (1 + a.per_step)
    labels = "int64" if model._multilabel else labels_of(model.classes_).dtype
    outputs = {"label": (labels, axes), "probabilities": (a.dtype, axes)}
    return _declare(scope, model, inputs, outputs)


def _convert_stepwise(scope, operator, container):
    graph = Graph(_dtype_of(operator.inputs[0]))
    x = graph.input("X", graph.dtype, [None] * 3)
    steps = _add_steps(graph, operator.raw_operator, x, container.target_opset)
    graph.output("steps", steps, graph.dtype, [None] * 3)
    _hand_over(graph, scope, operator, container)


def _convert_estimator(scope, operator, container):
    model = operator.raw_operator
    graph = Graph(model._network.architecture.dtype)
    tokens = model._input_format.form == "tokens"
    x = graph.input("X", "int64" if tokens else graph.dtype, None)
    add_estimator(graph, model, x, None)
    _hand_over(graph, scope, operator, container)


def _dtype_of(variable):
    """Of the numbers that are made of skl2onnx's variable."""
    return "float64" if isinstance(variable.type, _type_of("float64")) else "float32"


def _hand_over(graph, scope, operator, container):
    """Give the nodes of a graph to skl2onnx, under names of its own."""
    onnx = import_package("onnx")
    prefix = scope.get_unique_variable_name("cylstm") + "_"
    proto = onnx.compose.add_prefix_graph(graph.finish("cylstm"), prefix)
    (x,) = proto.input
    kind = x.type.tensor_type.elem_type
    container.add_node("Cast", [operator.inputs[0].full_name], [x.name], to=kind)
    for tensor in proto.initializer:
        container.add_node("Constant", [], [tensor.name], value=tensor)
    for node in proto.node:
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            op_domain=node.domain,
            **{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
        )
    for value, variable in zip(proto.output, operator.outputs, strict=True):
        container.add_node("Identity", [value.name], [variable.full_name])
