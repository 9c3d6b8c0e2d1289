"""Costs of cylstm other than run time: memory of a training step, import time, disk space.

    python benchmarks/bench_footprint.py [--shapes 128,50,8,64 128,100,64,256]

Memory is the growth of the peak memory of a fresh process over three training steps. Import
time is the median over fresh processes, compared with that of sklearn.neural_network.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    ).stdout


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(library, shape):
    """MiB that three training steps add to the peak memory of this process."""
    from peers import torch_steps
    from problem import Problem, cylstm_batch

    def training_step(*shape):
        problem = Problem(*shape)
        if library == "torch":
            return torch_steps(problem, 2)[0]
        return cylstm_batch(problem, 2)

    # A small step first, to exclude what a library loads and reserves at its first use.
    training_step(2, 3, *shape[2:3], 8)()
    train = training_step(*shape)
    before = peak_mib()
    for _ in range(3):
        train()
    return peak_mib() - before


def seconds_to_import(name, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run("-c", f"import {name}")
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    run("-c", "pass")
    return statistics.median(times) - (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shapes", nargs="+", default=["32,50,8,64", "128,50,8,64", "128,100,64,256"]
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        library, shape = arguments.measure
        print(json.dumps(growth(library, tuple(map(int, shape.split(","))))))
        return
    print("| B, T, I, H | cylstm MiB | torch MiB |\n|---|---|---|")
    for shape in arguments.shapes:
        own, other = (
            float(run(__file__, "--measure", library, shape))
            for library in ("cylstm", "torch")
        )
        print(f"| {shape.replace(',', ', ')} | {own:.1f} | {other:.1f} |")
    own, other = (
        seconds_to_import(name, arguments.repeats)
        for name in ("cylstm", "sklearn.neural_network")
    )
    print(f"\nimport cylstm: {own:.2f} s, {own / other:.2f} times sklearn.neural_network")
    folder = Path(run("-c", "import cylstm; print(cylstm.__file__)").strip()).parent
    size = sum(
        file.stat().st_size for file in folder.rglob("*") if "__pycache__" not in file.parts
    )
    print(f"installed: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
