"""The network of a Problem in other programs, with the same weights."""

import importlib.util
import logging
import tempfile
from pathlib import Path

import numpy as np


def is_installed(*modules):
    return all(importlib.util.find_spec(module) for module in modules)


def torch_modules(problem):
    """LSTM or GRU, and Linear, of PyTorch."""
    import torch

    bidirectional = len(problem.directions) == 2
    n_inputs, n_units = problem.X.shape[2], problem.n_units
    options = {"proj_size": problem.projection} if problem.projection else {}
    network = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[problem.cell](
        n_inputs,
        n_units,
        problem.n_layers,
        batch_first=True,
        bidirectional=bidirectional,
        **options,
    )
    head = torch.nn.Linear(problem.weights["head.weight"].shape[1], 1)
    weights = {}
    for k in range(problem.n_layers):
        for direction, suffix in zip(problem.directions, ("", "_reverse"), strict=False):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for name, array in zip(names, problem.layer(k, direction), strict=True):
                weights[f"{name}_l{k}{suffix}"] = torch.tensor(array)
            if problem.projection:
                array = problem.weights[f"layers.{k}.{direction}weight_hr"]
                weights[f"weight_hr_l{k}{suffix}"] = torch.tensor(array)
    network.load_state_dict(weights)
    head.load_state_dict(
        {name: torch.tensor(problem.weights[f"head.{name}"]) for name in ("weight", "bias")}
    )
    return network, head


def torch_steps(problem, n_threads):
    """Callables for one training step and one inference in PyTorch."""
    import torch

    torch.set_num_threads(n_threads)
    X, y = torch.from_numpy(problem.X), torch.from_numpy(problem.y)
    network, head = torch_modules(problem)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()])
    n_directions = len(problem.directions)

    def forward():
        state = network(X)[1]
        h = state[0] if problem.cell == "lstm" else state
        return head(h[-n_directions:].transpose(0, 1).flatten(1))

    def train():
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(forward(), y).backward()
        optimizer.step()

    return train, torch.inference_mode()(forward)


def onnx_model(problem, with_state=False):
    """The network as bytes in the format of ONNX: X of shape (T, B, I), and with_state h0, c0,
    h1, ... of each layer (a GRU has no c) -> scores, and with_state h0_out, c0_out, ..."""
    from onnx import TensorProto, helper, numpy_helper

    B, T, n_inputs = problem.X.shape
    n_directions, n_units = len(problem.directions), problem.n_units
    inputs, outputs = {"X": (T, B, n_inputs)}, {"scores": (B, 1)}
    states = "hc" if problem.cell == "lstm" else "h"
    constants, nodes, x = {"rows": np.array([B, -1])}, [], "X"
    for k in range(problem.n_layers):
        layers = [onnx_layer(*problem.layer(k, name)) for name in problem.directions]
        for name, of_directions in zip("WRB", zip(*layers, strict=True), strict=True):
            constants[f"{name}{k}"] = np.stack(of_directions)
        if with_state:
            inputs |= {f"{s}{k}": (n_directions, B, n_units) for s in states}
            outputs |= {f"{s}{k}_out": (n_directions, B, n_units) for s in states}
        state = ["", *(f"{s}{k}" for s in states)] if with_state else []
        nodes.append(
            helper.make_node(
                problem.cell.upper(),
                [x, f"W{k}", f"R{k}", f"B{k}", *state],
                [f"y{k}", *(f"{s}{k}_out" for s in states)],
                hidden_size=n_units,
                direction="bidirectional" if n_directions == 2 else "forward",
                **({"linear_before_reset": 1} if problem.cell == "gru" else {}),
            )
        )
        if k < problem.n_layers - 1:  # (T, directions, B, H) -> (T, B, directions H)
            x = f"x{k + 1}"
            constants["steps"] = np.array([T, B, -1])
            nodes += [
                helper.make_node("Transpose", [f"y{k}"], [f"t{k}"], perm=[0, 2, 1, 3]),
                helper.make_node("Reshape", [f"t{k}", "steps"], [x]),
            ]
    constants |= {"V": problem.weights["head.weight"], "b": problem.weights["head.bias"]}
    nodes += [
        helper.make_node("Transpose", [f"h{k}_out"], ["h"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["h", "rows"], ["features"]),
        helper.make_node("Gemm", ["features", "V", "b"], ["scores"], transB=1),
    ]

    def described(shapes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(
        nodes,
        "network",
        described(inputs),
        described(outputs),
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    return model.SerializeToString()


def onnx_layer(w_ih, w_hh, bias_ih, bias_hh):
    """W, R, B of a direction: ONNX stacks an LSTM's gates i, o, f, g and a GRU's z, r, n."""

    def stacked(weights):
        if len(w_ih) == 4 * w_hh.shape[1]:
            i, f, g, o = np.split(weights, 4)
            return np.concatenate([i, o, f, g])
        r, z, n = np.split(weights, 3)
        return np.concatenate([z, r, n])

    return stacked(w_ih), stacked(w_hh), np.concatenate([stacked(bias_ih), stacked(bias_hh)])


def onnxruntime_session(model, n_threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def quantize_onnx_model(model):
    """The model with its LSTM's weights in int8, and inputs quantized at each step."""
    from onnxruntime.quantization import quantize_dynamic

    # It advises to optimize models first, of which there is nothing in a single LSTM.
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        given, quantized = Path(folder, "given.onnx"), Path(folder, "quantized.onnx")
        given.write_bytes(model)
        quantize_dynamic(given, quantized, op_types_to_quantize=["LSTM"], per_channel=True)
        return quantized.read_bytes()


def onnxruntime_inference(problem, n_threads):
    """A callable for one inference in onnxruntime."""
    session = onnxruntime_session(onnx_model(problem), n_threads)
    values = {"X": np.ascontiguousarray(problem.X.transpose(1, 0, 2))}
    return lambda: session.run(["scores"], values)[0]


def openvino_inference(problem, n_threads):
    """A callable for one inference in OpenVINO."""
    import openvino

    core = openvino.Core()
    request = core.compile_model(
        core.read_model(onnx_model(problem)),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": n_threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        },
    ).create_infer_request()
    values = [np.ascontiguousarray(problem.X.transpose(1, 0, 2))]
    return lambda: request.infer(values, share_inputs=True, share_outputs=True)["scores"]
