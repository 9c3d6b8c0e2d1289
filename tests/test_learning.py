"""Tasks that only a correct LSTM learns."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cylstm import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.slow

# One thread, since the workers of pytest-xdist share the cores.
SETTINGS = {"n_jobs": 1, "random_state": 0}


def adding_problem(n, T, rng):
    """The sum of two marked numbers (Hochreiter & Schmidhuber 1997, experiment 4)."""
    numbers = rng.uniform(size=(n, T))
    marks = np.zeros((n, T))
    first, second = rng.integers(T // 2, size=n), rng.integers(T // 2, T, size=n)
    rows = np.arange(n)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([numbers, marks], axis=2), (numbers * marks).sum(axis=1)


def temporal_order(n, rng):
    """Which of X, Y came first and which second, among 100 to 110 distractors
    (Hochreiter & Schmidhuber 1997, experiment 6a). Symbols: a, b, c, d, X, Y, E, B."""
    sequences, labels = [], []
    for _ in range(n):
        symbols = rng.integers(4, size=rng.integers(100, 111))
        first, second = rng.integers(2, size=2)
        symbols[[0, -1]] = 6, 7
        symbols[rng.integers(10, 21)] = 4 + first
        symbols[rng.integers(50, 61)] = 4 + second
        sequences.append(np.eye(8)[symbols])
        labels.append("XY"[first] + "XY"[second])
    return sequences, np.array(labels)


def test_adding_problem_over_100_steps():
    rng = np.random.default_rng(0)
    X, y = adding_problem(10_000, 100, rng)
    X_test, y_test = adding_problem(2560, 100, rng)
    model = LSTMRegressor(
        16,
        learning_rate_init=0.02,
        learning_rate="cosine",
        batch_size=25,
        max_iter=15,
        n_iter_no_change=15,
        **SETTINGS,
    ).fit(X, y)
    assert (np.abs(model.predict(X_test) - y_test) < 0.04).sum() >= 2540


def test_temporal_order():
    rng = np.random.default_rng(0)
    X, y = temporal_order(5000, rng)
    X_test, y_test = temporal_order(2560, rng)
    model = LSTMClassifier(
        16,
        learning_rate_init=2e-3,
        batch_size=16,
        max_iter=12,
        early_stopping=True,
        **SETTINGS,
    ).fit(X, y)
    assert model.score(X_test, y_test) >= 0.98


def test_digits_read_row_by_row():
    images, labels = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        images.reshape(-1, 8, 8) / 16,
        labels,
        test_size=0.25,
        stratify=labels,
        random_state=0,
    )
    model = LSTMClassifier(learning_rate_init=5e-3, max_iter=40, **SETTINGS)
    assert model.fit(X_train, y_train).score(X_test, y_test) >= 0.96
