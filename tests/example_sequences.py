"""Small data sets in every form of X and y, and small models to fit to them."""

import pickle

import numpy as np
import pytest

from cylstm import LSTMClassifier, LSTMRegressor

RNG = np.random.default_rng(0)
N, T, F = 60, 7, 3
X = RNG.normal(size=(N, T, F))
LENGTHS = RNG.integers(1, T + 1, size=N)
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
PADDED = np.where((np.arange(T) < LENGTHS[:, None])[:, :, None], X, np.nan)
Y = X[:, :, 0].sum(axis=1)
Y_RAGGED = np.array([x[:, 0].sum() for x in RAGGED])
LABELS = np.array(["high", "low", "middle"])[np.digitize(Y, [-1.5, 1.5])]
SUMS = np.cumsum(X[:, :, 0], axis=1)
SUMS_RAGGED = [s[:n] for s, n in zip(SUMS, LENGTHS, strict=True)]
SIGNS = np.where(SUMS > 0, "up", "down")
SIGNS_RAGGED = [s[:n] for s, n in zip(SIGNS, LENGTHS, strict=True)]
TOKENS = [RNG.integers(12, size=n) for n in LENGTHS]
HAS_SEVEN = np.array([7 in x for x in TOKENS])


# At a constant rate three epochs are the first three of any fit.
SMALL = {
    "hidden_layer_sizes": 6,
    "max_iter": 3,
    "learning_rate": "constant",
    "batch_size": 32,
    "random_state": 0,
}


def regressor(**settings):
    return LSTMRegressor(**SMALL | settings)


def classifier(**settings):
    return LSTMClassifier(**SMALL | settings)


def weights_of(model):
    return model._network.parameters.tobytes()


def training_of(model):
    """All that later training depends on, in any kind of estimator."""
    optimizer = model._optimizer
    return (
        weights_of(model),
        optimizer.moments.tobytes(),
        (optimizer.n_steps, optimizer.learning_rate, optimizer.n_epochs_done),
        model._history,
        pickle.dumps(model._random_state),
    )


def assert_rolls_back(model, call, message):
    """The call fails with this message and leaves the fitted model as it was."""
    before = pickle.dumps(model)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match=message):
        call()
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(model.predict(X), predicted)
