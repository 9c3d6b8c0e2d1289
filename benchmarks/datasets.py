"""The classified sequences that several benchmarks read."""

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
