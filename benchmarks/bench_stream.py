"""Time of one step of a live sequence: cylstm's stream against PyTorch and onnxruntime, with
weights in float32 and in int8.

    python benchmarks/bench_stream.py [--units 64 256 512 1024] [--inputs 8]

Median microseconds from the inputs of a step to the prediction, with the state carried over,
on one thread. A column named after another program is its time divided by cylstm's. All have
the same weights, and the predictions are compared once. The bandwidth is as in the table of
single sequences of bench_step.py. onnxruntime and onnx are optional.

The last columns are of int8: microseconds; the time with float32, and that of onnxruntime's
dynamically quantized LSTM, divided by it; and the largest error of a hidden state in 100
steps, relative to the root mean square of all.
"""

import argparse
import functools
import statistics

import numpy as np
from bench_step import check_predictions
from measure import BANDWIDTH_HEAD, bandwidth_cells, microseconds, table_head, table_row
from peers import (
    is_installed,
    onnx_model,
    onnxruntime_session,
    quantize_onnx_model,
    torch_modules,
)
from problem import Problem


def cylstm_step(problem, weights=None):
    stream = problem.model(n_threads=1).stream(weights=weights)
    x = problem.X[0, 0]
    return lambda: stream.step(x)


def torch_step(problem):
    import torch

    torch.set_num_threads(1)
    lstm, head = torch_modules(problem)
    state = None

    @torch.inference_mode()
    def step():
        nonlocal state
        y, state = lstm(torch.from_numpy(problem.X), state)
        return head(y[0]).numpy()

    return step


def onnxruntime_step(problem, quantized=False):
    model = onnx_model(problem, with_state=True)
    if quantized:
        model = quantize_onnx_model(model)
    session = onnxruntime_session(model, n_threads=1)
    state = [np.zeros((1, 1, problem.n_units), np.float32) for _ in range(2)]

    def step():
        nonlocal state
        values = {"X": problem.X, "h0": state[0], "c0": state[1]}
        y, *state = session.run(["scores", "h0_out", "c0_out"], values)
        return y

    return step


def error_of_int8(problem):
    """The largest error of h in 100 steps, relative to the root mean square of h."""
    model = problem.model(n_threads=1)
    X = np.random.default_rng(1).normal(size=(1, 100, problem.X.shape[2]))
    expected, actual = (m.gate_values(X)["layers.0.h"] for m in (model, model.quantize()))
    return np.abs(actual - expected).max() / np.sqrt(np.mean(expected**2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[64, 256, 512, 1024])
    parser.add_argument("--inputs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    makers = {"torch": torch_step}
    if is_installed("onnx", "onnxruntime"):
        makers["onnxruntime"] = onnxruntime_step
    int8_makers = [functools.partial(cylstm_step, weights="int8")]
    int8_head = ["int8 us", "float32 / int8", "error"]
    if "onnxruntime" in makers:
        int8_makers.append(functools.partial(onnxruntime_step, quantized=True))
        int8_head.insert(2, "onnxruntime int8")
    print(table_head(["I, H", "cylstm us", *makers, *BANDWIDTH_HEAD, *int8_head]))
    for n_units in arguments.units:
        problem = Problem(1, 1, arguments.inputs, n_units)
        steps = [make(problem) for make in (cylstm_step, *makers.values())]
        for _ in range(3):
            expected, *others = [step() for step in steps]
        for peer, actual in zip(makers, others, strict=True):
            check_predictions(peer, actual, expected)
        steps += [make(problem) for make in int8_makers]
        times = microseconds(steps, arguments.repeats)
        own, *others = map(statistics.median, times)
        others, (own_int8, *others_int8) = others[: len(makers)], others[len(makers) :]
        cells = [f"{arguments.inputs}, {n_units}", f"{own:.1f}"]
        cells += [f"{other / own:.2f}" for other in others]
        cells += bandwidth_cells(problem, min(times[0]), n_threads=1)
        cells += [f"{own_int8:.1f}"]
        cells += [f"{other / own_int8:.2f}" for other in (own, *others_int8)]
        cells += [f"{100 * error_of_int8(problem):.1f}%"]
        print(table_row(cells), flush=True)


if __name__ == "__main__":
    main()
