"""Plot how the time of a training step grows.

    python benchmarks/bench_scaling.py [--threads 2] [--out scaling.png] [--no-torch]

Starting from (B, T, I, H) = (32, 50, 8, 64), one of T, B, H and the number of threads (up to
--threads) varies at a time.
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from measure import medians
from peers import torch_steps
from problem import Problem, cylstm_batch

from cylstm._threads import single_threaded_blas

BASE = {"B": 32, "T": 50, "I": 8, "H": 64}
VALUES = {
    "T": [10, 30, 100, 300, 1000],
    "B": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "H": [8, 16, 32, 64, 128, 256, 512],
}


def times(shape, n_threads, with_torch, repeats):
    """Milliseconds of a training step in cylstm and, if asked for, in PyTorch."""
    problem = Problem(*shape)
    functions = [cylstm_batch(problem, n_threads)]
    if with_torch:
        functions.append(torch_steps(problem, n_threads)[0])
    with single_threaded_blas():
        return [t / 1e3 for t in medians(functions, repeats)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default="scaling.png")
    parser.add_argument("--no-torch", action="store_true")
    arguments = parser.parse_args()
    with_torch = not arguments.no_torch
    threads = [1]
    while threads[-1] < arguments.threads:
        threads.append(min(2 * threads[-1], arguments.threads))
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.6), layout="constrained")
    panels = {**VALUES, "threads": threads}
    for axis, (varied, values) in zip(axes, panels.items(), strict=True):
        rows = []
        for value in values:
            shape = BASE | ({varied: value} if varied in BASE else {})
            n_threads = value if varied == "threads" else arguments.threads
            rows.append(times(shape.values(), n_threads, with_torch, arguments.repeats))
            print(varied, value, *(f"{t:.3f}" for t in rows[-1]), "ms", flush=True)
        for name, curve in zip(("cylstm", "PyTorch"), zip(*rows, strict=True), strict=False):
            axis.loglog(values, curve, marker="o", label=name)
        fixed = ", ".join(f"{k} {v}" for k, v in BASE.items() if k != varied)
        axis.set(xlabel=varied, title=fixed, xticks=values, xticklabels=values)
        axis.minorticks_off()
    axes[0].set_ylabel("training step, ms")
    axes[0].legend()
    figure.suptitle(f"{arguments.threads} threads")
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
