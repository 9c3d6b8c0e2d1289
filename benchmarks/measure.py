"""Times, and what the CPU can do at most."""

import statistics
import time

import numpy as np

from cylstm import _simd


def seconds(function, loops=1):
    """Seconds of a call, the mean of `loops` calls."""
    start = time.perf_counter()
    for _ in range(loops):
        function()
    return (time.perf_counter() - start) / loops


def microseconds(functions, repeats):
    """Microseconds of each repeat of each function, with repeats taken in turn."""
    once = []
    for function in functions:
        start = time.perf_counter()
        # The first 8 calls of cylstm find out whether teams of threads are faster, where they
        # do not take too long.
        for _ in range(10):
            function()
            if time.perf_counter() - start > 2:
                break
        once.append(seconds(function))
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, expected, of_function in zip(functions, once, times, strict=True):
            time.sleep(0.01)  # idle threads of the previous function still spin
            if expected < 0.1:  # else a cold start does not show
                function()
            of_function.append(seconds(function, max(1, int(0.02 / expected))) * 1e6)
    return times


def medians(functions, repeats):
    """Median microseconds of each function, with repeats taken in turn."""
    return [statistics.median(t) for t in microseconds(functions, repeats)]


def geometric_mean(values):
    return statistics.geometric_mean(values) if all(v > 0 for v in values) else float("nan")


def highest_rate(work):
    """The most per second of what `work` does and returns the amount of: the best of five
    runs after a first one."""
    work()
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        rates.append(work() / (time.perf_counter() - start))
    return max(rates)


def peak(n_threads):
    """GFLOP/s of multiply-adds in registers."""
    return highest_rate(lambda: _simd.multiply_adds(10_000_000, n_threads)) / 1e9


def bandwidth(n_bytes, n_threads):
    """GB/s at which threads read n_bytes over and over, each its own part: the rate of the
    cache that the part fits in."""
    memory = np.ones(max(n_bytes, 512 * n_threads) // 4 + 16, np.float32)
    rounds = max(1, 10**9 // n_bytes)
    return highest_rate(lambda: _simd.read_bytes(memory, rounds, n_threads)) / 1e9


BANDWIDTH_HEAD = ["MB of weights", "us per step", "GB/s", "cache GB/s", "of the cache"]


def bandwidth_cells(problem, step, n_threads):
    """The weights that a step of `step` microseconds reads, their bytes over that time, and
    this rate as a share of that of the cache."""
    n_bytes = 4 * problem.weights_per_step
    rate, highest = n_bytes / step / 1e3, bandwidth(n_bytes, n_threads)
    return [
        f"{n_bytes / 1e6:.2f}",
        f"{step:.1f}",
        f"{rate:.0f}",
        f"{highest:.0f}",
        f"{rate / highest:.0%}",
    ]


def table_row(cells):
    return f"| {' | '.join(map(str, cells))} |"


def table_head(cells):
    return f"{table_row(cells)}\n{'|---' * len(cells)}|"
