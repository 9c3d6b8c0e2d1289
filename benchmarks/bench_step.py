"""Time of training and inference: cylstm, PyTorch, onnxruntime and OpenVINO in one run.

    python benchmarks/bench_step.py [--threads 1 2] [--repeats 5] [--groups grid wide]
    python benchmarks/bench_step.py --shapes 32,50,8,64 --peers torch
    python benchmarks/bench_step.py --cell gru --groups grid
    python benchmarks/bench_step.py --projection 64 --groups wide

The network has one layer, a linear head on the last hidden state and squared error. In a shape
B,T,I,H, a fifth number sets the number of layers and a sixth that of directions.
Training takes one step of Adam on one batch, measured as a mini-batch within fit and as a call
of partial_fit; inference is a call of predict. A column named after another program is its
time divided by cylstm's. All have the same weights, and the predictions are compared once.
Times are medians. Programs that are not installed are left out.

FLOP = 2 B T 4H (I + H) for inference with one layer (3H for a GRU), and three times that for
training. A projection, which of the other programs only PyTorch has, makes it
2 B T (4H (I + R) + H R).
GFLOP/s are those of the fastest mini-batch. The peak is that of multiply-adds in registers.
For single sequences, a second table divides the bytes of the layers' weights, which each step
reads, by the time of a step in the fastest predict, and compares this rate with that of
reading as many bytes over and over. Both limits are the best of five runs, taken before or
after the shape.
"""

import argparse
import copy
import statistics

import numpy as np
from measure import (
    BANDWIDTH_HEAD,
    bandwidth_cells,
    geometric_mean,
    medians,
    microseconds,
    peak,
    table_head,
    table_row,
)
from peers import is_installed, onnxruntime_inference, openvino_inference, torch_steps
from problem import Problem, cylstm_batch

from cylstm import _plan, _simd
from cylstm._threads import single_threaded_blas

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
GROUPS = {
    "grid": GRID,
    "small": [(32, 20, 1, 32), (256, 20, 16, 32), (16, 150, 3, 48), (48, 37, 6, 96)],
    "layers": [(32, 50, 8, 64, 2), (32, 50, 8, 64, 1, 2), (64, 50, 100, 100, 2, 2)],
    "wide": [
        (B, *steps)
        for steps in ((30, 64, 512), (20, 64, 768), (20, 64, 1024), (10, 64, 2048))
        for B in (1, 8, 32, 128)
    ],
}
# Program -> the modules that it needs.
PEERS = {
    "torch": ["torch"],
    "onnxruntime": ["onnx", "onnxruntime"],
    "openvino": ["onnx", "openvino"],
}
# What is measured of cylstm -> the programs that it is compared with.
COMPARED = {
    "fit": ["torch"],
    "partial_fit": ["torch"],
    "predict": ["torch", "onnxruntime", "openvino"],
}


def overhead(repeats):
    """Microseconds per mini-batch when there is next to nothing to compute."""
    return medians([cylstm_batch(Problem(1, 1, 1, 1), 1)], repeats)[0]


def check_predictions(peer, actual, expected):
    np.testing.assert_allclose(
        np.ravel(actual), np.ravel(expected), rtol=0, atol=1e-4, err_msg=peer
    )


def measure(problem, n_threads, peers, repeats):
    """Microseconds of each repeat, by what is measured and program."""
    learner = problem.model(n_threads)
    predictor = copy.deepcopy(learner)
    expected = predictor.predict(problem.X)
    functions = {
        ("fit", "cylstm"): cylstm_batch(problem, n_threads),
        ("partial_fit", "cylstm"): lambda: learner.partial_fit(problem.X, problem.y),
        ("predict", "cylstm"): lambda: predictor.predict(problem.X),
    }
    if "torch" in peers:
        train, infer = torch_steps(problem, n_threads)
        check_predictions("torch", infer(), expected)
        functions |= {("fit", "torch"): train, ("predict", "torch"): infer}
    times = dict(zip(functions, microseconds(functions.values(), repeats), strict=True))
    if "torch" in peers:
        times["partial_fit", "torch"] = times["fit", "torch"]
    # Their idle threads spin for very long, so each is measured alone, after the others.
    for peer, make in (
        ("onnxruntime", onnxruntime_inference),
        ("openvino", openvino_inference),
    ):
        if peer in peers:
            infer = make(problem, n_threads)
            check_predictions(peer, infer(), expected)
            (times["predict", peer],) = microseconds([infer], repeats)
            del infer
    return times


def print_group(shapes, layer, n_threads, peers, repeats):
    """A row for each shape, printed as it is measured, and the geometric means of the ratios.
    Then a table of the weights that single sequences read."""
    columns = [
        (what, program)
        for what, others in COMPARED.items()
        for program in ["cylstm", *(peer for peer in others if peer in peers)]
    ]
    head = [f"{what} us" if program == "cylstm" else program for what, program in columns]
    print(table_head(["B, T, I, H", *head, "GFLOP/s of fit", "of peak"]), flush=True)
    ratios = {column: [] for column in columns}
    single = []
    for shape in shapes:
        highest = peak(n_threads)
        problem = Problem(*shape, **layer)
        with single_threaded_blas():
            times = measure(problem, n_threads, peers, repeats)
        cells = [", ".join(map(str, shape))]
        for what, program in columns:
            own, time = (statistics.median(times[what, p]) for p in ("cylstm", program))
            ratios[what, program].append(time / own)
            cells.append(f"{own:.0f}" if program == "cylstm" else f"{time / own:.2f}")
        B, T, *_ = shape
        flop = 3 * 2 * B * T * problem.weights_per_step
        gflops = flop / min(times["fit", "cylstm"]) / 1e3
        print(table_row([*cells, f"{gflops:.0f}", f"{gflops / highest:.0%}"]), flush=True)
        if B == 1:
            step = min(times["predict", "cylstm"]) / T
            single.append([cells[0], *bandwidth_cells(problem, step, n_threads)])
    means = [
        "" if program == "cylstm" else f"{geometric_mean(ratios[what, program]):.2f}"
        for what, program in columns
    ]
    if any(means):
        print(table_row(["geometric mean", *means, "", ""]))
    if single:
        print("\n" + table_head(["B, T, I, H", *BANDWIDTH_HEAD]))
        print(*map(table_row, single), sep="\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cell", choices=["lstm", "gru"], default="lstm")
    parser.add_argument("--projection", type=int, help="size of the hidden state")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument(
        "--shapes", nargs="+", help="B,T,I,H[,layers[,directions]] ... instead of the groups"
    )
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    arguments = parser.parse_args()
    groups = {name: GROUPS[name] for name in arguments.groups}
    if arguments.shapes:
        groups = {"shapes": [tuple(map(int, s.split(","))) for s in arguments.shapes]}
    layer = {"cell": arguments.cell, "projection": arguments.projection}
    able = ["torch"] if arguments.projection else PEERS
    peers = [peer for peer in arguments.peers if peer in able and is_installed(*PEERS[peer])]
    print(f"cylstm kernels: {_simd.in_use()}, {_plan.products()}")
    print(f"overhead per mini-batch: {overhead(arguments.repeats):.1f} us")
    for n_threads in arguments.threads:
        for name, shapes in groups.items():
            print(f"\n{name}, {n_threads} thread{'s' * (n_threads > 1)}\n")
            print_group(shapes, layer, n_threads, peers, arguments.repeats)


if __name__ == "__main__":
    main()
