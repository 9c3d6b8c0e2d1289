"""Cells and directions, each on a task that it can learn."""

import numpy as np
import pytest
from example_sequences import SUMS, X, classifier, regressor
from sklearn.model_selection import train_test_split

from cylstm import _plan


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_every_cell_learns(cell, activation):
    model = regressor(
        cell=cell, activation=activation, max_iter=100, learning_rate_init=0.01
    ).fit(X, SUMS[:, -1])
    assert model.score(X, SUMS[:, -1]) > 0.8


def test_bidirectional_layers_see_the_future():
    # The label of a step is the sign of the next step's input.
    y = np.where(np.roll(X[:, :, 0], -1, axis=1) > 0, 1, 0)
    y[:, -1] = 0
    settings = {"return_sequences": True, "max_iter": 60, "learning_rate_init": 0.02}
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    scores = [
        classifier(bidirectional=both, **settings).fit(X_train, y_train).score(X_test, y_test)
        for both in (False, True)
    ]
    assert scores[0] < 0.75 < 0.9 < scores[1]
