"""Solvers and learning rate schedules."""

import itertools

import numpy as np
import pytest
from example_sequences import SUMS, X, Y, regressor


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_schedules(rate):
    settings = {"learning_rate": rate, "learning_rate_init": 1e-3, "max_iter": 60}
    model = regressor(**settings, n_iter_no_change=1 if rate == "adaptive" else None, tol=1e9)
    model.fit(X, Y)
    if rate == "adaptive":  # 1e-3 / 5^k falls to 1e-6 at k = 5
        assert model.n_iter_ == 1 + 2 * 6
        assert model._optimizer.learning_rate == pytest.approx(1e-3 / 5**5)
    elif rate == "invscaling":
        assert model._optimizer.learning_rate == pytest.approx(1e-3 / np.sqrt(1 + model.t_))


@pytest.mark.parametrize("solver", ["adam", "rmsprop", "sgd"])
def test_every_solver_learns(solver):
    rate = {"adam": 0.01, "rmsprop": 0.01, "sgd": 0.1}[solver]
    model = regressor(solver=solver, learning_rate_init=rate, max_iter=60).fit(X, Y)
    assert model.score(X, Y) > 0.8


def test_cosine_schedule_ends_at_zero():
    model = regressor(learning_rate="cosine", max_iter=8, n_iter_no_change=8)
    model.fit(X, SUMS[:, -1])
    assert model._optimizer.learning_rate == model.learning_rate_init  # a new period
    weights = []
    model = regressor(learning_rate="cosine", max_iter=8, n_iter_no_change=8, tol=0)

    class Watcher:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            weights.append(estimator._network.parameters.copy())

    pytest.importorskip("sklearn.callback")
    model.set_callbacks(Watcher()).fit(X, SUMS[:, -1])
    steps = [np.abs(b - a).max() for a, b in itertools.pairwise(weights)]
    assert steps[-1] < 0.2 * steps[0]
