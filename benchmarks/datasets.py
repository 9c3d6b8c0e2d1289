"""The data that several benchmarks read."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(seed=0):
    """scikit-learn's images, whose rows are the steps, in two parts: X, X_test, y, y_test."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(
        images.reshape(-1, 8, 8) / 16,
        labels,
        test_size=0.25,
        stratify=labels,
        random_state=seed,
    )


def pendigits(directory):
    """Eight points of the pen for each digit; the test set is by other writers (UCI 81)."""
    tables = [
        np.loadtxt(Path(directory) / name, delimiter=",")
        for name in ("pendigits.tra", "pendigits.tes")
    ]
    (X, y), (X_test, y_test) = (
        (table[:, :16].reshape(-1, 8, 2) / 50 - 1, table[:, 16].astype(int))
        for table in tables
    )
    return X, X_test, y, y_test


def indoor_movement(directory):
    """Four signal strengths over 19 to 129 steps, and whether the user changed rooms (UCI 348,
    Indoor User Movement)."""
    folder = Path(directory) / "dataset"
    targets = np.loadtxt(folder / "MovementAAL_target.csv", delimiter=",")
    X = [
        np.loadtxt(folder / f"MovementAAL_RSS_{k}.csv", delimiter=",")
        for k in targets[:, 0].astype(int)
    ]
    return X, targets[:, 1]


def panel(path):
    """Series of a competition and what follows them, (n, horizon): an .npz with `train`, all
    series one after the other, `lengths` and `test`, as made of M4 hourly (M4-methods of
    github.com/Mcompetitions) or M3 monthly (the R package Mcomp)."""
    arrays = np.load(path)
    ends = np.cumsum(arrays["lengths"])
    train = np.split(arrays["train"].astype(np.float64), ends[:-1])
    return train, arrays["test"].astype(np.float64)


def airline(path):
    """Passengers of an airline, 144 months from 1949 on (Box & Jenkins)."""
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)


def etth1(path):
    """Hours of a transformer, (17420, 7): six loads and, last, the temperature of its oil
    (Zhou et al., arXiv:2012.07436)."""
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 8))
