"""An LSTM or GRU of an ONNX file as a fitted LSTMRegressor.

The file is run on random sequences, by onnx's own evaluator, in which LSTM and GRU are ours:
they write down what weights they are given. The model made of these must then predict what
the file computes. So it does not matter how the nodes between the layers arrange numbers, and
nothing is taken for such a model that computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ._arguments import shown
from ._from_weights import fill, fitted_model
from ._network import Architecture, Network
from ._onnx_graph import import_package
from ._onnx_network import OPERATORS, PHI
from ._plan import CELLS
from ._regressor import LSTMRegressor
from ._sequences import Sequences

# What only moves numbers, or computes shapes and lengths.
MOVES = frozenset(
    (
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Expand",
        "Flatten",
        "Gather",
        "GatherND",
        "Identity",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    )
)
RECURRENT = frozenset(operator.name for operator in OPERATORS.values())
HEAD = frozenset(("Add", "Gemm", "MatMul"))

# Of the random sequences, where the file takes any number.
N_SAMPLES, N_TIMESTEPS = 3, 5

# By how much of the largest number the model and the file may differ.
TOLERANCE = 1e-4


class Layer(NamedTuple):
    """A layer in one direction or both, its weights by the ends of our names."""

    cell: str
    activation: str
    bidirectional: bool
    weights: dict[str, np.ndarray]

    @property
    def n_units(self) -> int:
        return self.weights["weight_hh"].shape[1]

    @property
    def n_outputs(self) -> int:
        return self.n_units * (1 + self.bidirectional)


class Trial(NamedTuple):
    """A run of the file: sequences, what came out, and the layers that were in use."""

    sequences: list[np.ndarray]
    n_timesteps: int
    output: np.ndarray
    layers: list[Layer]


def read_model(proto: Any) -> LSTMRegressor:
    """A fitted regressor that predicts what an ONNX model computes.

    Raises
    ------
    ValueError
        If that is not a stack of LSTM or GRU operators with one linear head or none.
    """
    graph = proto.graph
    _check_operators(graph)
    head = _head_of(graph)
    errors: list[Exception] = []
    trials = list(_trials(proto, errors))
    if not trials:
        raise ValueError(f"The ONNX model does not run on sequences: {errors[0]}")
    for trial in trials:
        for per_step in (False, True):
            model = _model_of(trial.layers, head, per_step)
            if _predicts(model, trial, per_step):
                return model
    raise ValueError(
        "The ONNX model has layers that LSTMRegressor has too, but computes something else "
        "with them."
    )


def _check_operators(graph):
    operators = {node.op_type for node in graph.node}
    unknown = sorted(operators - MOVES - RECURRENT - HEAD)
    if unknown:
        raise ValueError(
            f"The ONNX model has the operators {', '.join(unknown)}. from_onnx reads LSTM or "
            "GRU operators, one after the other, with a linear head or none."
        )
    if not operators & RECURRENT:
        raise ValueError("The ONNX model has no LSTM or GRU operator.")


def _inputs_of(graph):
    """The input of sequences, and that of their lengths or None."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    kinds = [value.type.tensor_type for value in inputs]
    x = [v for v, k in zip(inputs, kinds, strict=True) if len(k.shape.dim) == 3]
    lengths = [v for v, k in zip(inputs, kinds, strict=True) if len(k.shape.dim) == 1]
    if len(x) != 1 or len(x + lengths) != len(inputs) or len(lengths) > 1:
        raise ValueError(
            f"The ONNX model has the inputs {', '.join(v.name for v in inputs)}. from_onnx "
            "reads models of sequences with three axes, and perhaps of their lengths."
        )
    if not x[0].type.tensor_type.shape.dim[2].dim_value:
        raise ValueError(f"The number of features of the input {x[0].name} is not known.")
    return x[0], *(lengths or [None])


def _head_of(graph):
    """Weight (n_outputs, n_features) and bias of the linear layer, or None."""
    onnx = import_package("onnx")
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    nodes = [node for node in graph.node if node.op_type in HEAD]
    if not nodes:
        return None
    kinds = [node.op_type for node in nodes]
    given = [[constants[name] for name in node.input if name in constants] for node in nodes]
    if kinds not in (["Gemm"], ["MatMul"], ["MatMul", "Add"]) or not all(given):
        raise ValueError(
            f"The ONNX model has {', '.join(kinds)}, which are not one linear layer of "
            "constant weights."
        )
    weight, *bias = (array for arrays in given for array in arrays)
    settings = {a.name: onnx.helper.get_attribute_value(a) for a in nodes[0].attribute}
    if not settings.get("transB", 0):
        weight = weight.T
    bias = settings.get("beta", 1.0) * bias[0] if bias else np.zeros(len(weight))
    return settings.get("alpha", 1.0) * weight, np.broadcast_to(bias.ravel(), len(weight))


def _trials(proto: Any, errors: list[Exception]) -> Iterator[Trial]:
    """Runs with the samples on the first axis, as ours, and with the steps; errors go to the
    list."""
    onnx = import_package("onnx")
    evaluator = import_package("onnx.reference").ReferenceEvaluator
    x, lengths = _inputs_of(proto.graph)
    kind = x.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if dtype.name not in ("float32", "float64"):
        raise ValueError(f"The ONNX model computes in {dtype}, not in float32 or float64.")
    sizes = [dim.dim_value for dim in kind.shape.dim]
    for order in ((0, 1), (1, 0)):
        n_samples, n_timesteps = sizes[order[0]] or N_SAMPLES, sizes[order[1]] or N_TIMESTEPS
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (n_samples, n_timesteps, sizes[2])).astype(dtype)
        ends = np.full(n_samples, n_timesteps)
        feeds = {x.name: np.ascontiguousarray(X.transpose(*order, 2))}
        if lengths is not None:
            ends[1:] = rng.integers(1, n_timesteps, n_samples - 1, endpoint=True)
            number = lengths.type.tensor_type.elem_type
            feeds[lengths.name] = ends.astype(onnx.helper.tensor_dtype_to_np_dtype(number))
        layers: list[Layer] = []
        try:
            output = evaluator(proto, new_ops=_recorders(layers)).run(None, feeds)[0]
        except _Refused as error:
            raise ValueError(*error.args) from error
        except Exception as error:  # of any kind, where shapes do not fit
            errors.append(error)
            continue
        if order == (1, 0) and output.ndim == 3:
            output = output.swapaxes(0, 1)
        sequences = [x[:n] for x, n in zip(X, ends, strict=True)]
        yield Trial(sequences, n_timesteps, output, layers)


class _Refused(Exception):
    """A layer is none of ours."""


def _recorders(layers):
    """LSTM and GRU for onnx's evaluator, which append to `layers`."""
    base = import_package("onnx.reference.op_run").OpRun

    def run(node, x, W, R, B=None, lengths=None, h=None, c=None, P=None, **attributes):
        if any(state is not None and state.any() for state in (h, c)):
            raise _Refused("The ONNX model starts with a state other than 0.")
        if B is None:
            B = np.zeros((len(W), 2 * W.shape[1]), W.dtype)
        layers.append(_layer_of(node.op_type, W, R, B, P, attributes))
        return _outputs_of(layers[-1], x, lengths)[: len(node.output)]

    def make(name):
        def _run(self, *inputs, **attributes):
            return run(self.onnx_node, *inputs, **attributes)

        return type(name, (base,), {"op_domain": "", "_run": _run})

    return [make(name) for name in RECURRENT]


def _layer_of(operator, W, R, B, P, attributes):
    """What the operator was given, as ours has it."""
    given = {name: value for name, value in attributes.items() if value}
    if operator == "GRU":
        cell = "gru" if given.pop("linear_before_reset", 0) else "gru_v1"
        P = None
    else:
        peepholes = P is not None and P.any()
        coupled = given.pop("input_forget", 0)
        if coupled and peepholes:
            raise _Refused("The ONNX model has an LSTM with input_forget and peepholes.")
        cell = "coupled" if coupled else "peephole" if peepholes else "lstm"
    given.pop("hidden_size", None)
    direction = given.pop("direction", "forward")
    if direction == "reverse":
        raise _Refused(f"The ONNX model has {operator} with direction='reverse' alone.")
    n_phi = OPERATORS[cell].n_phi
    default = ["Sigmoid", *["Tanh"] * n_phi] * len(W)
    names = [name.lower() for name in given.pop("activations", default)]
    phi = names[-1]
    expected = ["sigmoid", *[phi] * n_phi] * len(W)
    if names != expected or phi not in PHI:
        raise _Refused(f"The ONNX model has {operator} with activations {shown(names)}.")
    if given:
        raise _Refused(f"The ONNX model has {operator} with {', '.join(sorted(given))}.")
    weights = {}
    for d, direction in enumerate(("", "reverse.")[: len(W)]):
        peepholes = P[d] if cell == "peephole" else None
        for name, array in _weights_of(cell, W[d], R[d], B[d], peepholes).items():
            weights[direction + name] = array
    return Layer(cell, phi, len(W) == 2, weights)


def _weights_of(cell, W, R, B, P):
    """Our weights of a layer in one direction."""
    gates, see_x = OPERATORS[cell].gates, CELLS[cell].see_x

    def in_order(stacked, wanted, given=gates):
        blocks = dict(zip(given, np.split(stacked, len(given)), strict=True))
        return np.concatenate([blocks[gate] for gate in wanted])

    input_bias, recurrent_bias = np.split(B, 2)
    weights = {"weight_ih": in_order(W, see_x), "weight_hh": in_order(R, see_x)}
    if cell == "gru":  # n is the last gate in both orders
        n_units = R.shape[1]
        weights["bias_hn"] = recurrent_bias[-n_units:]
        recurrent_bias = np.append(recurrent_bias[:-n_units], np.zeros(n_units, B.dtype))
    weights["bias"] = in_order(input_bias + recurrent_bias, see_x)
    if P is not None:
        weights["peephole"] = in_order(P, CELLS[cell].see_c, "iof").reshape(3, -1)
    return weights


def _outputs_of(layer, x, lengths):
    """Y, Y_h and Y_c of a layer. Of the last one, which ours does not tell, nobody may make
    use: it is NaN."""
    n_timesteps, n_samples, n_inputs = x.shape
    network = Network(
        Architecture(
            n_inputs,
            (layer.n_units,),
            1,
            "squared_error",
            x.dtype,
            layer.cell,
            layer.activation,
            bidirectional=layer.bidirectional,
            per_step=True,
        )
    )
    weights = {f"layers.0.{name}": array for name, array in layer.weights.items()}
    no_head = {"head.weight": np.zeros((1, layer.n_outputs)), "head.bias": np.zeros(1)}
    fill(network, weights | no_head)
    sequences = Sequences.from_equal_lengths(np.ascontiguousarray(x.swapaxes(0, 1)))
    if lengths is not None:
        sequences.lengths = lengths.astype(np.int64)
    _, h = network.forward(sequences, 1, scores=False, features=True)
    h = np.nan_to_num(h).reshape(n_samples, n_timesteps, -1, layer.n_units)
    last = h[np.arange(n_samples), sequences.lengths - 1]
    ends = [last[:, 0], *([h[:, 0, 1]] if layer.bidirectional else [])]
    Y_h = np.stack(ends)
    return h.transpose(1, 2, 0, 3), Y_h, np.full_like(Y_h, np.nan)


def _model_of(layers, head, per_step):
    """The regressor with these layers and this head; without one it predicts the hidden
    state."""
    first, last = layers[0], layers[-1]
    kinds = {layer[:3] for layer in layers}
    if len(kinds) > 1:
        raise ValueError(
            "The ONNX model has layers of different cells, activations or directions: "
            f"{shown(sorted(kinds))}."
        )
    if head is None:
        head = np.eye(last.n_outputs), np.zeros(last.n_outputs)
    weights = {"head.weight": head[0], "head.bias": head[1]}
    for k, layer in enumerate(layers):
        weights |= {f"layers.{k}.{name}": array for name, array in layer.weights.items()}
    model = fitted_model(
        weights,
        hidden_layer_sizes=tuple(layer.n_units for layer in layers),
        cell=first.cell,
        activation=first.activation,
        bidirectional=first.bidirectional,
        return_sequences=per_step,
        dtype=first.weights["bias"].dtype.name,
    )
    assert isinstance(model, LSTMRegressor)
    return model


def _predicts(model, trial, per_step):
    """Whether the model predicts what the file computes, in any order of the axes that
    operators give."""
    n_samples, y = len(trial.sequences), trial.output
    axes = (n_samples, trial.n_timesteps) if per_step else (n_samples,)
    orders = [y]
    if y.ndim == 4:  # Y itself
        orders.append(y.transpose(2, 0, 1, 3))
    if y.ndim == 3:  # Y_h itself
        orders += [y.swapaxes(0, 1)]
    predicted = model.predict(trial.sequences)
    if per_step:
        predicted = np.concatenate(predicted)
    predicted = predicted.reshape(len(predicted), -1)
    for y in orders:
        if y.size != np.prod(axes) * predicted.shape[1]:
            continue
        y = y.reshape(*axes, -1)
        if per_step:
            y = np.concatenate(
                [steps[: len(x)] for steps, x in zip(y, trial.sequences, strict=True)]
            )
        bound = TOLERANCE * max(1.0, np.abs(predicted).max())
        if np.abs(y - predicted).max() <= bound:
            return True
    return False
