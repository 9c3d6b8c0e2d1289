"""Time of one step of a live sequence: cylstm's stream against onnxruntime and PyTorch.

    python benchmarks/bench_stream.py [--units 32 64 128] [--inputs 8]

Median microseconds from the inputs of a step to the prediction, with the state carried over,
on one thread. onnxruntime and onnx are optional.
"""

import argparse

import numpy as np
from bench_step import medians

from cylstm import LSTMRegressor


def cylstm_step(x, n_units):
    X = np.tile(x, (4, 5, 1))
    stream = LSTMRegressor(n_units, max_iter=1).fit(X, np.arange(4.0)).stream()
    return lambda: stream.step(x)


def torch_step(x, n_units):
    import torch

    lstm = torch.nn.LSTM(len(x), n_units)
    head = torch.nn.Linear(n_units, 1)
    state = [torch.zeros(1, 1, n_units), torch.zeros(1, 1, n_units)]

    @torch.inference_mode()
    def step():
        nonlocal state
        y, state = lstm(torch.from_numpy(x).view(1, 1, -1), state)
        return head(y[0]).numpy()

    return step


def onnxruntime_step(x, n_units):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    n_inputs = len(x)
    weights = {
        "W": rng.normal(size=(1, 4 * n_units, n_inputs)),
        "R": rng.normal(size=(1, 4 * n_units, n_units)) / np.sqrt(n_units),
        "B": np.zeros((1, 8 * n_units)),
        "V": rng.normal(size=(n_units, 1)),
    }
    shapes = {
        "X": (1, 1, n_inputs),
        "h": (1, 1, n_units),
        "c": (1, 1, n_units),
        "y": (1, 1, 1),
        "h_out": (1, 1, n_units),
        "c_out": (1, 1, n_units),
    }
    info = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "LSTM",
                ["X", "W", "R", "B", "", "h", "c"],
                ["", "h_out", "c_out"],
                hidden_size=n_units,
            ),
            helper.make_node("MatMul", ["h_out", "V"], ["y"]),
        ],
        "step",
        [info[name] for name in ("X", "h", "c")],
        [info[name] for name in ("y", "h_out", "c_out")],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    state = [np.zeros((1, 1, n_units), np.float32) for _ in range(2)]

    def step():
        nonlocal state
        y, *state = session.run(None, {"X": x.reshape(1, 1, -1), "h": state[0], "c": state[1]})
        return y

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--inputs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    x = np.random.default_rng(0).normal(size=arguments.inputs).astype(np.float32)
    makers = {"cylstm": cylstm_step, "torch": torch_step}
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

        makers["onnxruntime"] = onnxruntime_step
    except ImportError:
        print("onnxruntime: not installed")
    print(f"| I, H | {' us | '.join(makers)} us |\n|{'---|' * (len(makers) + 1)}")
    for n_units in arguments.units:
        times = medians([make(x, n_units) for make in makers.values()], arguments.repeats)
        cells = " | ".join(f"{t:.1f}" for t in times)
        print(f"| {arguments.inputs}, {n_units} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
