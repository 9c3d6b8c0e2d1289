"""Time of one training step and one inference: cylstm, PyTorch and onnxruntime in one run.

    python benchmarks/bench_step.py [--threads 1 2] [--repeats 15] [--shapes 32,50,8,64]

A training step is the forward pass, the backward pass and the Adam update on one batch. The
network has one LSTM layer, a linear head on the last hidden state and squared error. In a
shape B,T,I,H, a fifth number sets the number of layers and a sixth that of directions. Times
are medians of alternating repeats. FLOP = 2 B T 4H (I + H) for inference with one layer, and
three times that for training. GFLOP/s are those of the fastest training step. The peak is that
of multiply-adds in registers, the best of five runs before each shape. onnxruntime is optional
and runs inference only.
"""

import argparse
import statistics
import time

import numpy as np

from cylstm import _plan, _simd
from cylstm._dataset import Dataset
from cylstm._network import Architecture, Network
from cylstm._optimizers import Adam, Optimizer
from cylstm._sequences import Sequences
from cylstm._threads import single_threaded_blas
from cylstm._training import Trainer

GRID = [
    (32, 20, 1, 32),
    (32, 50, 8, 64),
    (128, 50, 8, 64),
    (256, 20, 16, 32),
    (64, 50, 100, 100),
    (32, 100, 32, 128),
    (128, 100, 64, 256),
    (1, 100, 8, 64),
    (1, 100, 64, 256),
]
LARGER = [
    (32, 50, 64, 512),
    (32, 20, 64, 1024),
    (32, 50, 8, 64, 2),
    (32, 50, 8, 64, 1, 2),
    (64, 50, 100, 100, 2, 2),
]


def cylstm_trainer(sequences, y, n_units, n_threads, n_layers=1, **architecture):
    """A Trainer that fits a new network to the sequences with Adam."""
    rng = np.random.RandomState(0)
    n_inputs = architecture.pop("n_inputs", None) or sequences.n_features
    network = Network(
        Architecture(
            n_inputs, [n_units] * n_layers, 1, "squared_error", "float32", **architecture
        )
    )
    network.initialize(rng)
    return Trainer(
        network,
        Optimizer(Adam(0.9, 0.999, 1e-8), "constant", 1e-3, clip_norm=1.0),
        Dataset(sequences, y, np.ones(len(y), np.float32)),
        batch_size=len(y),
        shuffle=False,
        l1=0.0,
        l2=0.0,
        n_threads=n_threads,
        random_state=rng,
    )


def cylstm_steps(n_threads, B, T, n_inputs, n_units, n_layers=1, n_directions=1):
    """Callables for one training step and one inference in cylstm."""
    rng = np.random.RandomState(0)
    sequences = Sequences.from_equal_lengths(
        rng.normal(size=(B, T, n_inputs)).astype(np.float32)
    )
    y = rng.normal(size=(B, 1)).astype(np.float32)
    trainer = cylstm_trainer(
        sequences, y, n_units, n_threads, n_layers, bidirectional=n_directions == 2
    )
    rows = np.arange(B)
    return lambda: trainer.step(rows), lambda: trainer.network.forward(sequences, n_threads)


def torch_steps(B, T, n_inputs, n_units, n_layers=1, n_directions=1):
    import torch

    torch.manual_seed(0)
    X, y = torch.randn(B, T, n_inputs), torch.randn(B, 1)
    lstm = torch.nn.LSTM(
        n_inputs, n_units, n_layers, batch_first=True, bidirectional=n_directions == 2
    )
    linear = torch.nn.Linear(n_units * n_directions, 1)

    def head(h):
        return linear(h[-n_directions:].transpose(0, 1).flatten(1))

    parameters = [*lstm.parameters(), *linear.parameters()]
    optimizer = torch.optim.Adam(parameters)

    def train():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(head(lstm(X)[1][0]), y)
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def infer():
        head(lstm(X)[1][0])

    return train, infer


def onnxruntime_step(n_threads, B, T, n_inputs, n_units, n_layers=1, n_directions=1):
    """A callable for one inference, or None if onnxruntime or onnx is not installed."""
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    rng = np.random.default_rng(0)
    weights, nodes, x = {}, [], "X"
    for layer in range(n_layers):
        D, width = n_directions, n_inputs if layer == 0 else n_units * n_directions
        W, R, y, h = f"W{layer}", f"R{layer}", f"y{layer}", f"h{layer}"
        weights[W] = rng.normal(size=(D, 4 * n_units, width)) / np.sqrt(width)
        weights[R] = rng.normal(size=(D, 4 * n_units, n_units)) / np.sqrt(n_units)
        nodes.append(
            helper.make_node(
                "LSTM",
                [x, W, R],
                [y, h],
                hidden_size=n_units,
                direction="bidirectional" if D == 2 else "forward",
            )
        )
        # (T, D, B, H) -> (T, B, D H)
        nodes += [
            helper.make_node("Transpose", [y], [f"{y}t"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"{y}t", f"shape{layer}"], [f"x{layer + 1}"]),
        ]
        weights[f"shape{layer}"] = np.array([T, B, D * n_units])
        x = f"x{layer + 1}"
    info = {
        "X": helper.make_tensor_value_info("X", TensorProto.FLOAT, (T, B, n_inputs)),
        h: helper.make_tensor_value_info(h, TensorProto.FLOAT, (n_directions, B, n_units)),
    }
    graph = helper.make_graph(
        nodes,
        "inference",
        [info["X"]],
        [info[h]],
        [
            numpy_helper.from_array(v.astype(np.int64 if "shape" in k else np.float32), k)
            for k, v in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = {"X": rng.normal(size=(T, B, n_inputs)).astype(np.float32)}
    return lambda: session.run([h], values)


def flop(B, T, n_inputs, n_units, n_layers=1, n_directions=1):
    """Floating-point operations of one inference."""
    upper = (n_layers - 1) * (n_directions + 1) * n_units
    return 2 * B * T * 4 * n_units * n_directions * (n_inputs + n_units + upper)


def peak(n_threads, rounds=10_000_000):
    """GFLOP/s of multiply-adds in registers, the best of five runs."""
    _simd.multiply_adds(rounds, n_threads)
    best = 0
    for _ in range(5):
        start = time.perf_counter()
        done = _simd.multiply_adds(rounds, n_threads)
        best = max(best, done / (time.perf_counter() - start) / 1e9)
    return best


def medians(functions, repeats):
    """Median microseconds of each function, with repeats taken in turn."""
    return [statistics.median(t) for t in microseconds(functions, repeats)]


def microseconds(functions, repeats):
    """Microseconds of each repeat of each function, with repeats taken in turn."""
    loops = []
    for function in functions:
        function()
        function()
        start = time.perf_counter()
        function()
        loops.append(max(1, int(0.02 / (time.perf_counter() - start))))
    times = [[] for _ in functions]
    for _ in range(repeats):
        for k, function in enumerate(functions):
            time.sleep(0.01)  # idle threads of the previous function still spin
            function()
            start = time.perf_counter()
            for _ in range(loops[k]):
                function()
            times[k].append((time.perf_counter() - start) / loops[k] * 1e6)
    return times


def geometric_mean(values):
    return statistics.geometric_mean(values) if all(v > 0 for v in values) else float("nan")


def overhead(repeats):
    """Microseconds per mini-batch when there is next to nothing to compute."""
    train, _ = cylstm_steps(1, 1, 1, 1, 1)
    with single_threaded_blas():
        return medians([train], repeats)[0]


def compare(shape, n_threads, arguments):
    """Print a row; return PyTorch's ratios for training and inference, and onnxruntime's."""
    highest = peak(n_threads)
    functions = [*cylstm_steps(n_threads, *shape)]
    if not arguments.no_torch:
        import torch

        torch.set_num_threads(n_threads)
        functions += torch_steps(*shape)
    nan = onnx_infer = float("nan")
    with single_threaded_blas():
        times = microseconds(functions, arguments.repeats)
        train, infer, *others = map(statistics.median, times)
        torch_train, torch_infer = others or (nan, nan)
        # Its idle threads spin for very long, so it is measured alone, after the others.
        session = None if arguments.no_onnxruntime else onnxruntime_step(n_threads, *shape)
        if session:
            (onnx_infer,) = medians([session], arguments.repeats)
            del session
    gflops = 3 * flop(*shape) / min(times[0]) / 1e3
    print(
        f"| {', '.join(map(str, shape))} | {n_threads} "
        f"| {train:.0f} | {torch_train:.0f} | {torch_train / train:.2f} "
        f"| {gflops:.0f} | {gflops / highest:.0%} "
        f"| {infer:.0f} | {torch_infer:.0f} | {torch_infer / infer:.2f} "
        f"| {onnx_infer:.0f} | {onnx_infer / infer:.2f} |",
        flush=True,
    )
    return torch_train / train, torch_infer / infer, onnx_infer / infer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument(
        "--shapes", nargs="+", help="B,T,I,H[,layers[,directions]] ...; default: the grid"
    )
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--no-onnxruntime", action="store_true")
    arguments = parser.parse_args()
    shapes, larger = GRID, LARGER
    if arguments.shapes:
        shapes = [tuple(map(int, shape.split(","))) for shape in arguments.shapes]
        larger = []
    print(f"cylstm kernels: {_simd.in_use()}, {_plan.products()}")
    print(f"overhead per mini-batch: {overhead(arguments.repeats):.1f} us\n")
    print(
        "| B, T, I, H | threads | train us | torch | ratio | GFLOP/s | of peak "
        "| infer us | torch | ratio | onnxruntime | ratio |\n" + "|---" * 12 + "|"
    )
    for n_threads in arguments.threads:
        ratios = [compare(shape, n_threads, arguments) for shape in shapes]
        means = [geometric_mean(ratio) for ratio in zip(*ratios, strict=True)]
        print(
            f"| geometric mean | {n_threads} | | | {means[0]:.2f} | | "
            f"| | | {means[1]:.2f} | | {means[2]:.2f} |"
        )
        for shape in larger:
            compare(shape, n_threads, arguments)


if __name__ == "__main__":
    main()
