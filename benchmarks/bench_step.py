"""One training step and one inference, cylstm beside PyTorch in the same run.

    python benchmarks/bench_step.py [--threads 1 2] [--repeats 15] [--shapes 32,50,8,64]

A training step is forward, backward and Adam on one batch; the network is one LSTM
layer, a linear head on the last state and squared error. Medians of alternating
repeats. FLOP = 2 B T 4H (I + H) for inference and three times that for training.
"""

import argparse
import statistics
import time

import numpy as np

from cylstm import _engine
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


def cylstm_trainer(sequences, y, n_units, n_threads, **architecture):
    """A Trainer with Adam for a network of one layer on some sequences."""
    rng = np.random.RandomState(0)
    n_inputs = architecture.pop("n_inputs", None) or sequences.n_features
    network = Network(
        Architecture(n_inputs, [n_units], 1, "squared_error", "float32", **architecture)
    )
    network.initialize(rng)
    return Trainer(
        network,
        Optimizer(Adam(0.9, 0.999, 1e-8), "constant", 1e-3, clip_norm=1.0),
        sequences,
        y,
        np.ones(len(y), np.float32),
        np.arange(len(y)),
        batch_size=len(y),
        shuffle=False,
        l1=0.0,
        l2=0.0,
        n_threads=n_threads,
        random_state=rng,
    )


def cylstm_steps(B, T, n_inputs, n_units, n_threads):
    """Callables for one training step and one inference."""
    rng = np.random.RandomState(0)
    sequences = Sequences.from_equal_lengths(
        rng.normal(size=(B, T, n_inputs)).astype(np.float32)
    )
    y = rng.normal(size=(B, 1)).astype(np.float32)
    trainer = cylstm_trainer(sequences, y, n_units, n_threads)
    rows = np.arange(B)
    return lambda: trainer.step(rows), lambda: trainer.network.forward(sequences, n_threads)


def torch_steps(B, T, n_inputs, n_units):
    import torch

    torch.manual_seed(0)
    X, y = torch.randn(B, T, n_inputs), torch.randn(B, 1)
    lstm = torch.nn.LSTM(n_inputs, n_units, batch_first=True)
    head = torch.nn.Linear(n_units, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters)

    def train():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(head(lstm(X)[1][0][-1]), y)
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def infer():
        head(lstm(X)[1][0][-1])

    return train, infer


def medians(functions, repeats):
    """Median microseconds of each function, the repeats of all taken in turn."""
    loops = []
    for function in functions:
        function()
        function()
        begin = time.perf_counter()
        function()
        loops.append(max(1, int(0.02 / (time.perf_counter() - begin))))
    times = [[] for _ in functions]
    for _ in range(repeats):
        for k, function in enumerate(functions):
            begin = time.perf_counter()
            for _ in range(loops[k]):
                function()
            times[k].append((time.perf_counter() - begin) / loops[k] * 1e6)
    return [statistics.median(t) for t in times]


def geometric_mean(values):
    return statistics.geometric_mean(values)


def overhead(repeats):
    """Microseconds per mini-batch where there is next to nothing to compute."""
    train, _ = cylstm_steps(1, 1, 1, 1, 1)
    with single_threaded_blas():
        return medians([train], repeats)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--shapes", nargs="+", help="B,T,I,H ...; default: the grid")
    parser.add_argument("--no-torch", action="store_true")
    arguments = parser.parse_args()
    shapes = GRID
    if arguments.shapes:
        shapes = [tuple(map(int, shape.split(","))) for shape in arguments.shapes]
    if not arguments.no_torch:
        import torch

        print(f"torch {torch.__version__}")
    print(f"cylstm kernels: {_engine.simd()[0]}")
    print(f"overhead per mini-batch: {overhead(arguments.repeats):.1f} us\n")
    print(
        "| B, T, I, H | threads | train us | torch | ratio | GFLOP/s "
        "| infer us | torch | ratio |\n|---|---|---|---|---|---|---|---|---|"
    )
    for n_threads in arguments.threads:
        ratios = []
        for shape in shapes:
            B, T, n_inputs, n_units = shape
            train, infer = cylstm_steps(*shape, n_threads)
            functions = [train, infer]
            if not arguments.no_torch:
                torch.set_num_threads(n_threads)
                functions += torch_steps(*shape)
            with single_threaded_blas():
                own_train, own_infer, *other = medians(functions, arguments.repeats)
            other = other or [float("nan")] * 2
            ratios.append((other[0] / own_train, other[1] / own_infer))
            gflops = 3 * 2 * B * T * 4 * n_units * (n_inputs + n_units) / own_train / 1e3
            print(
                f"| {B}, {T}, {n_inputs}, {n_units} | {n_threads} "
                f"| {own_train:.0f} | {other[0]:.0f} | {ratios[-1][0]:.2f} "
                f"| {gflops:.0f} "
                f"| {own_infer:.0f} | {other[1]:.0f} | {ratios[-1][1]:.2f} |",
                flush=True,
            )
        if not arguments.no_torch:
            train_mean, infer_mean = map(geometric_mean, zip(*ratios, strict=True))
            print(
                f"| geometric mean | {n_threads} | | | {train_mean:.2f} | "
                f"| | | {infer_mean:.2f} |"
            )


if __name__ == "__main__":
    main()
