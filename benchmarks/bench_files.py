"""What saving and loading a model costs, beside pickle, joblib and torch.save.

    python benchmarks/bench_files.py [--units 64 512 2048] [--repeats 9]

Regressors of 64 inputs that have been fitted, and torch.nn modules of the same weights. Files
are in the page cache; the writer of cylstm waits for the disk (fsync), so a second row has its
time without. "mmap" maps the file. Times are medians with the programs in turn; "MB of memory"
is the peak of what Python and NumPy allocate while they load, without the pages of a mapped
file; torch's own memory is not seen.
"""

import argparse
import os
import pickle
import tempfile
import tracemalloc
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
from measure import medians, table_head, table_row

import cylstm
from cylstm import LSTMRegressor


def pickled(model, path):
    with open(path, "wb") as file:
        pickle.dump(model, file, protocol=5)


def unpickled(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def saved_unsynced(model, path):
    with mock.patch("os.fsync"):
        model.save(path)


def peak_mb(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def programs(model, folder):
    """Name -> (path, save, load)."""
    path = Path(folder, "model")
    found = {
        "save, load": (model.save, cylstm.load),
        "without fsync, mmap": (
            lambda p: saved_unsynced(model, p),
            lambda p: cylstm.load(p, mmap=True),
        ),
        "save(optimizer=True)": (lambda p: model.save(p, optimizer=True), cylstm.load),
        "pickle": (lambda p: pickled(model, p), unpickled),
        "joblib": (lambda p: joblib.dump(model, p), joblib.load),
        "joblib, mmap": (
            lambda p: joblib.dump(model, p),
            lambda p: joblib.load(p, mmap_mode="r"),
        ),
    }
    try:
        import torch

        from cylstm.interop import to_torch
    except ImportError:
        print("torch is not installed.")
    else:
        module = to_torch(model)
        found["torch.save of a state_dict"] = (
            lambda p: torch.save(module.state_dict(), p),
            lambda p: module.load_state_dict(torch.load(p)),
        )
    return {
        name: (path.with_suffix(f".{k}"), *functions)
        for k, (name, functions) in enumerate(found.items())
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[64, 512, 2048])
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 3, 64)), rng.normal(size=8)
    head = ["units", "program", "MB", "save ms", "load ms", "MB of memory to load"]
    print(table_head(head))
    for units in arguments.units:
        model = LSTMRegressor(units, max_iter=1, random_state=0).fit(X, y)
        with tempfile.TemporaryDirectory() as folder:
            of = programs(model, folder)
            saves = [lambda path=p, save=s: save(path) for p, s, _ in of.values()]
            loads = [lambda path=p, load=x: load(path) for p, _, x in of.values()]
            times = zip(
                medians(saves, arguments.repeats),
                medians(loads, arguments.repeats),
                strict=True,
            )
            for (name, (path, _, load)), (save_us, load_us) in zip(
                of.items(), times, strict=True
            ):
                cells = [
                    str(units),
                    name,
                    f"{os.path.getsize(path) / 1e6:.2f}",
                    f"{save_us / 1e3:.1f}",
                    f"{load_us / 1e3:.1f}",
                    "" if "torch" in name else f"{peak_mb(lambda x=load, p=path: x(p)):.2f}",
                ]
                print(table_row(cells))


if __name__ == "__main__":
    main()
