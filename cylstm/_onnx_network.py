"""The layers of a network in ONNX: its LSTM and GRU operators, and Scan for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._network import Network
from ._onnx_graph import Graph
from ._plan import CELLS

# Of layer normalization.
EPSILON = 1e-5

PHI = {"tanh": "Tanh", "relu": "Relu"}


@dataclass(frozen=True)
class Operator:
    """An operator of ONNX that computes a cell.

    Parameters
    ----------
    name : str
    gates : str
        In its order, by our letters.
    n_phi : int
        How many of its activations are ours to choose.
    attributes : tuple of (str, int)
    """

    name: str
    gates: str
    n_phi: int
    attributes: tuple[tuple[str, int], ...] = ()


OPERATORS = {
    "lstm": Operator("LSTM", "iofg", 2),
    "peephole": Operator("LSTM", "iofg", 2),
    "coupled": Operator("LSTM", "iofg", 2, (("input_forget", 1),)),
    "gru": Operator("GRU", "zrn", 1, (("linear_before_reset", 1),)),
    "gru_v1": Operator("GRU", "zrn", 1, (("linear_before_reset", 0),)),
}


def operator_of(architecture: Any) -> Operator | None:
    """The operator that computes the layers, if there is one. That of onnxruntime computes in
    float32 only, and none has projections or layer normalization."""
    a = architecture
    if a.dtype != "float32" or a.projection or a.layer_norm:
        return None
    return OPERATORS.get(a.cell)


def add_features(graph: Graph, network: Network, x: str, lengths: str | None) -> str:
    """Add the layers and the pooling of a network.

    Parameters
    ----------
    graph : Graph
    network : Network
    x : str
        Inputs of shape (n_samples, n_timesteps, n_inputs), or tokens of shape (n_samples,
        n_steps).
    lengths : str or None
        int64 of shape (n_samples,); None: all have n_timesteps.

    Returns
    -------
    features : str
        Of shape (n_samples, n_features), or per step (n_samples, n_timesteps, n_features).
        What they are beyond the end of a sequence has no meaning.
    """
    a = network.architecture
    if a.vocabulary:
        by_step = graph.add("Transpose", x, perm=[1, 0])
        table = graph.constant(network.weights["embedding.weight"], "embedding.weight")
        outputs = graph.add("Gather", table, by_step)
    else:
        outputs = graph.add("Transpose", x, perm=[1, 0, 2])
    layers = _Layers(graph, network, lengths)
    for k in range(len(a.hidden_layer_sizes)):
        outputs = layers.add(k, outputs)
    if a.per_step:
        return graph.add("Transpose", outputs, perm=[1, 0, 2])
    return _Pooling(graph, network, lengths).add(outputs)


class _Layers:
    """Adds layers, whose inputs and outputs are (n_timesteps, n_samples, n)."""

    def __init__(self, graph: Graph, network: Network, lengths: str | None) -> None:
        self.graph, self.lengths = graph, lengths
        self.a, self.weights = network.architecture, network.weights
        self.operator = operator_of(self.a)
        self.lengths32 = None
        if self.operator and lengths:
            self.lengths32 = graph.cast(lengths, "int32")

    def add(self, k: int, x: str) -> str:
        """Outputs of layer k in all directions."""
        if self.operator:
            outputs = self._by_operator(self.operator, k, x)
        else:
            ways = [self._by_scan(k, d, x) for d in self.a.directions]
            outputs = ways[0] if len(ways) == 1 else self.graph.add("Concat", *ways, axis=-1)
        n_inputs = self.a.places[f"layers.{k}.weight_ih"].shape[1]
        n_outputs = self.a.output_sizes[k] * len(self.a.directions)
        if self.a.residual and n_inputs == n_outputs:
            outputs = self.graph.add("Add", outputs, x)
        return outputs

    def _by_operator(self, operator: Operator, k: int, x: str) -> str:
        n_units, n_directions = self.a.hidden_layer_sizes[k], len(self.a.directions)
        matrices = [self._operands(operator, k, d) for d in self.a.directions]
        operands = [
            self.graph.constant(np.stack(both), f"layers.{k}.{name}")
            for name, both in zip("WRBP", zip(*matrices, strict=True), strict=False)
        ]
        lengths = self.lengths32
        peepholes = operands[3:]
        if peepholes:  # before which skl2onnx takes nothing that is left out
            n_samples = self.graph.sizes(x, 1, 2)
            n_steps = self.graph.cast(self.graph.sizes(x, 0, 1), "int32")
            lengths = lengths or self.graph.add("Expand", n_steps, n_samples)
            shape = np.array([n_directions]), n_samples, np.array([n_units])
            shape = self.graph.add("Concat", *shape, axis=0)
            zeros = self.graph.add("Expand", self.graph.number(0), shape)
            peepholes = [zeros, zeros, *peepholes]
        phi = PHI[self.a.activation]
        y = self.graph.add(
            operator.name,
            x,
            *operands[:3],
            *[lengths] * (lengths is not None),
            *peepholes,
            hidden_size=n_units,
            direction="bidirectional" if n_directions == 2 else "forward",
            activations=["Sigmoid", *[phi] * operator.n_phi] * n_directions,
            **dict(operator.attributes),
        )
        if n_directions == 1:
            return self.graph.add("Squeeze", y, np.array([1]))
        y = self.graph.add("Transpose", y, perm=[0, 2, 1, 3])
        return self.graph.add("Reshape", y, np.array([0, 0, n_directions * n_units]))

    def _operands(self, operator: Operator, k: int, direction: str) -> list[np.ndarray]:
        """W, R, B and perhaps P of one direction."""
        w = self._of_layer(k, direction)
        see_x = CELLS[self.a.cell].see_x

        def in_order(stacked):
            blocks = dict(zip(see_x, np.split(stacked, len(see_x)), strict=True))
            if "f" in operator.gates and "f" not in blocks:
                # f = sigmoid(-z_i) is 1 - i also where input_forget is not known, or is read
                # the other way round.
                blocks["f"] = -blocks["i"]
            return np.concatenate([blocks[gate] for gate in operator.gates])

        bias = in_order(w["bias"])
        recurrent_bias = np.zeros_like(bias)
        if "bias_hn" in w:  # n is the last gate in both orders
            recurrent_bias[-len(w["bias_hn"]) :] = w["bias_hn"]
        operands = [in_order(w["weight_ih"]), in_order(w["weight_hh"])]
        operands.append(np.concatenate([bias, recurrent_bias]))
        if "peephole" in w:
            of_gate = dict(zip(CELLS[self.a.cell].see_c, w["peephole"], strict=True))
            order = [gate for gate in operator.gates if gate in of_gate]
            operands.append(np.concatenate([of_gate[gate] for gate in order]))
        return operands

    def _by_scan(self, k: int, direction: str, x: str) -> str:
        """All inputs are multiplied at once, before the loop over the steps."""
        graph, w = self.graph, self._of_layer(k, direction)
        n_outputs, n_units = self.a.output_sizes[k], self.a.hidden_layer_sizes[k]
        turned = bool(direction) and self.lengths is not None
        if turned:
            x = self._turn(x)
        products = _normalized(graph, graph.add("MatMul", x, w["weight_ih"].T), w, "norm_ih")
        products = graph.add("Add", products, w["bias"])

        n_samples = graph.sizes(x, 1, 2)
        sizes = {"h": n_outputs, "c": n_units}
        cell = CELLS[self.a.cell]
        names = [v for v in cell.state if v == "c" or cell.see_h]
        body = Graph(graph.dtype, graph)
        states, before = [], {}
        for name in names:
            shape = graph.add("Concat", n_samples, np.array([sizes[name]]), axis=0)
            states.append(graph.add("Expand", graph.number(0), shape))
            before[name] = body.input(body.name(name), graph.dtype, ["n_samples", sizes[name]])
        n_products = len(w["bias"])
        step = body.input(body.name("products"), graph.dtype, ["n_samples", n_products])
        after = _Step(body, self.a, w).add(step, **before)
        for name in [*names, "h"]:  # the last one is what the layer gives out
            body.output(body.name(name), after[name], graph.dtype, ["n_samples", sizes[name]])
        hs = graph.loop(body, states, products, backward=bool(direction) and not turned)[-1]
        return self._turn(hs) if turned else hs

    def _turn(self, x: str) -> str:
        """Each sequence from its last step to its first."""
        return self.graph.add("ReverseSequence", x, self.lengths, time_axis=0, batch_axis=1)

    def _of_layer(self, k: int, direction: str) -> dict[str, np.ndarray]:
        prefix = f"layers.{k}.{direction}"
        names = (name.removeprefix(prefix) for name in self.weights if prefix in name)
        return {name: self.weights[prefix + name] for name in names if "." not in name}


class _Step:
    """Adds one step of a cell to the body of a loop."""

    def __init__(self, body: Graph, architecture: Any, w: dict[str, np.ndarray]) -> None:
        self.body, self.a, self.w = body, architecture, w
        self.cell = CELLS[architecture.cell]

    def add(self, products: str, **before: str) -> dict[str, str]:
        """h, and c if the cell has it, after a step, from the products of its inputs and the
        state before."""
        step = self._lstm if "c" in self.cell.state else self._gru
        return step(products, **before)

    def _phi(self, z: str) -> str:
        return self.body.add(PHI[self.a.activation], z)

    def _seen(self, h: str, rows: slice = slice(None)) -> str:
        """Products of a hidden state with these rows of the weights."""
        product = self.body.add("MatMul", h, self.w["weight_hh"][rows].T)
        return _normalized(self.body, product, self.w, "norm_hh", rows)

    def _lstm(self, z: str, c: str, h: str | None = None) -> dict[str, str]:
        body = self.body
        if h is not None:
            z = body.add("Add", z, self._seen(h))
        gates = dict(zip(self.cell.gates, body.split(z, len(self.cell.gates)), strict=True))
        peepholes = dict(zip(self.cell.see_c, self.w.get("peephole", ()), strict=True))

        def gate(name, seen):
            z = gates[name]
            if name in peepholes:
                z = body.add("Add", z, body.add("Mul", seen, peepholes[name]))
            return body.add("Sigmoid", z)

        i = gate("i", c)
        f = gate("f", c) if "f" in gates else body.add("Sub", body.number(1), i)
        new = body.add("Mul", i, self._phi(gates["g"]))
        after = body.add("Add", body.add("Mul", f, c), new)
        o = gate("o", c if self.a.cell == "peephole_lagged" else after)
        shown = _normalized(body, after, self.w, "norm_c", bias="bias_c")
        out = body.add("Mul", o, self._phi(shown))
        if self.a.projection:
            out = body.add("MatMul", out, self.w["weight_hr"].T)
        return {"h": out, "c": after}

    def _gru(self, products: str, h: str) -> dict[str, str]:
        body = self.body
        n_units = self.w["weight_hh"].shape[1]
        x_r, x_z, x_n = body.split(products, 3)
        if self.cell.see_rh:
            first, last = slice(0, 2 * n_units), slice(2 * n_units, None)
            h_r, h_z = body.split(self._seen(h, first), 2)
        else:
            h_r, h_z, m = body.split(self._seen(h), 3)
        r = body.add("Sigmoid", body.add("Add", x_r, h_r))
        z = body.add("Sigmoid", body.add("Add", x_z, h_z))
        if self.cell.see_rh:
            seen = self._seen(body.add("Mul", r, h), last)
        else:
            seen = body.add("Mul", r, body.add("Add", m, self.w["bias_hn"]))
        n = self._phi(body.add("Add", x_n, seen))
        # (1 - z) n + z h
        change = body.add("Mul", z, body.add("Sub", h, n))
        return {"h": body.add("Add", n, change)}


def _normalized(
    graph: Graph,
    value: str,
    w: dict[str, np.ndarray],
    gain: str,
    rows: slice = slice(None),
    bias: str = "",
) -> str:
    """Layer normalization, where the network has that gain."""
    if gain not in w:
        return value
    biases = [w[bias]] if bias else []
    return graph.add(
        "LayerNormalization", value, w[gain][rows], *biases, axis=-1, epsilon=EPSILON
    )


class _Pooling:
    """Adds what makes one vector of the steps (n_timesteps, n_samples, n_features) of each
    sequence. What is beyond its end may be NaN."""

    def __init__(self, graph: Graph, network: Network, lengths: str | None) -> None:
        self.graph, self.network, self.lengths = graph, network, lengths

    def add(self, outputs: str) -> str:
        return getattr(self, f"_{self.network.architecture.pooling}")(outputs)

    def _last(self, outputs: str) -> str:
        graph, a = self.graph, self.network.architecture
        if self.lengths is None:
            last = graph.add("Gather", outputs, np.array(-1), axis=0)
        else:
            by_sequence = graph.add("Transpose", outputs, perm=[1, 0, 2])
            steps = graph.add("Sub", self.lengths, np.array(1))
            steps = graph.add("Unsqueeze", steps, np.array([1]))
            last = graph.add("GatherND", by_sequence, steps, batch_dims=1)
        if not a.bidirectional:
            return last
        # The backward direction ends at the first step.
        first = graph.add("Gather", outputs, np.array(0), axis=0)
        ends = graph.split(last, 2)[0], graph.split(first, 2)[1]
        return graph.add("Concat", *ends, axis=-1)

    def _mean(self, outputs: str) -> str:
        graph = self.graph
        if self.lengths is None:
            return graph.add("ReduceMean", outputs, np.array([0]), keepdims=0)
        total = self._sum(self._where_real(outputs, 0))
        n = graph.add("Unsqueeze", graph.cast(self.lengths, graph.dtype), np.array([1]))
        return graph.add("Div", total, n)

    def _max(self, outputs: str) -> str:
        lowest = float(np.finfo(self.graph.dtype).min)
        outputs = self._where_real(outputs, lowest)
        return self.graph.add("ReduceMax", outputs, np.array([0]), keepdims=0)

    def _attention(self, outputs: str) -> str:
        graph, weights = self.graph, self.network.weights
        u = graph.add("MatMul", outputs, weights["attention.weight"].T)
        u = graph.add("Tanh", graph.add("Add", u, weights["attention.bias"]))
        scores = graph.add("MatMul", u, weights["attention.query"][:, None])
        scores = self._where_real(scores, float(np.finfo(graph.dtype).min))
        shares = graph.add("Softmax", scores, axis=0)
        return self._sum(graph.add("Mul", shares, self._where_real(outputs, 0)))

    def _sum(self, outputs: str) -> str:
        return self.graph.add("ReduceSum", outputs, np.array([0]), keepdims=0)

    def _where_real(self, values: str, otherwise: float) -> str:
        """Values of the real steps, and a number beyond the end of each sequence."""
        graph = self.graph
        if self.lengths is None:
            return values
        n_steps = graph.add("Squeeze", graph.sizes(values, 0, 1))
        steps = graph.add("Range", np.array(0), n_steps, np.array(1))
        steps = graph.add("Unsqueeze", steps, np.array([1, 2]))
        ends = graph.add("Unsqueeze", self.lengths, np.array([0, 2]))
        real = graph.add("Less", steps, ends)
        return graph.add("Where", real, values, graph.number(otherwise))
