"""A graph of ONNX while it grows, and the model of one that is complete."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

import cylstm


def import_package(name: str) -> Any:
    """A package that only exchange with ONNX needs."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f'This exchange with ONNX needs {name}: pip install "cylstm[onnx]".'
        ) from error


class Graph:
    """Nodes and constants, in the order in which they are added.

    Parameters
    ----------
    dtype : str or dtype
        Of the model's numbers, float32 or float64.
    parent : Graph, optional
        That this is the body of a loop in: no name may occur in both.

    Attributes
    ----------
    nodes : list of NodeProto
    constants : list of TensorProto
    inputs, outputs : list of ValueInfoProto
    domains : dict of str to int
        Version of each set of operators but the standard one.
    """

    def __init__(self, dtype: npt.DTypeLike, parent: Graph | None = None) -> None:
        self._onnx = import_package("onnx")
        self.dtype = np.dtype(dtype)
        self._numbers: Iterator[int] = itertools.count() if parent is None else parent._numbers
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.domains: dict[str, int] = {}

    def name(self, what: str) -> str:
        """One that no other value has."""
        return f"{what}_{next(self._numbers)}"

    def number(self, value: float) -> np.ndarray:
        """A number of the model's dtype."""
        return np.array(value, self.dtype)

    def constant(self, array: np.ndarray, name: str | None = None) -> str:
        """The name under which nodes read an array."""
        name = self.name("constant" if name is None else name)
        array = np.ascontiguousarray(array) if array.ndim else array
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: Any, n_outputs: int = 1, **attributes: Any) -> Any:
        """Add a node.

        Parameters
        ----------
        operator : str
        *inputs : str or array
            Names of values, or constants.
        n_outputs : int
        **attributes
            Of the node.

        Returns
        -------
        outputs : str, or tuple of str if there are several
        """
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        outputs = tuple(self.name(operator) for _ in range(n_outputs))
        self.nodes.append(self._onnx.helper.make_node(operator, names, outputs, **attributes))
        return outputs if n_outputs > 1 else outputs[0]

    def cast(self, value: str, dtype: Any) -> str:
        """A value in another dtype."""
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", value, to=kind)

    def split(self, value: str, n_parts: int, axis: int = -1) -> tuple[str, ...]:
        """Equal parts of a value."""
        if n_parts == 1:
            return (value,)
        return self.add("Split", value, n_outputs=n_parts, axis=axis, num_outputs=n_parts)

    def sizes(self, value: str, start: int, end: int | None = None) -> str:
        """Sizes of some axes."""
        ends = {} if end is None else {"end": end}
        return self.add("Shape", value, start=start, **ends)

    def loop(
        self, body: Graph, states: list[str], steps: str, *, backward: bool
    ) -> tuple[str, ...]:
        """Run a body over the first axis of `steps`.

        Parameters
        ----------
        body : Graph
            Its inputs are the states and a step; its outputs the states after it, and one
            more number or vector.
        states : list of str
            Before the first step.
        steps : str
        backward : bool
            Whether to go from the last step to the first.

        Returns
        -------
        outputs : tuple of str
            The states after the last step, and what the body gave at each.
        """
        return self.add(
            "Scan",
            *states,
            steps,
            n_outputs=len(states) + 1,
            body=body.finish("step"),
            num_scan_inputs=1,
            scan_input_directions=[int(backward)],
            scan_output_directions=[int(backward)],
        )

    def input(self, name: str, dtype: Any, shape: list[Any]) -> str:
        """Declare an input; names among its sizes stand for any number."""
        self.inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, name: str, value: str, dtype: Any, shape: list[Any]) -> None:
        """Give a value out under a name."""
        self.nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self._value(name, dtype, shape))

    def _value(self, name: str, dtype: Any, shape: list[Any]) -> Any:
        helper = self._onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    def inline(self, graph: Any, *inputs: str) -> str:
        """Add the nodes of another graph.

        Parameters
        ----------
        graph : GraphProto
        *inputs : str
            What its inputs are here.

        Returns
        -------
        output : str
            Its first output.
        """
        prefix = self.name("inlined") + "_"
        graph = self._onnx.compose.add_prefix_graph(graph, prefix)
        names = {value.name: name for value, name in zip(graph.input, inputs, strict=True)}
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        return graph.output[0].name

    def finish(self, name: str) -> Any:
        """GraphProto of what has been added."""
        return self._onnx.helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, self.constants
        )

    def model(self, name: str, opset: int) -> Any:
        """ModelProto of what has been added, checked."""
        helper = self._onnx.helper
        imports = [helper.make_opsetid("", opset)]
        imports += [helper.make_opsetid(*item) for item in self.domains.items()]
        model = helper.make_model(
            self.finish(name),
            opset_imports=imports,
            # The oldest, which most programs read.
            ir_version=helper.find_min_ir_version_for(imports),
            producer_name="cylstm",
            producer_version=cylstm.__version__,
        )
        self._onnx.checker.check_model(model, full_check=True)
        return model
