"""Penalties, weight decay and dropout."""

import numpy as np
from example_sequences import SUMS, X, Y, regressor, weights_of
from sklearn.base import clone


def test_alpha_shrinks_weights_and_counts_in_the_loss():
    free, penalized = (regressor(alpha=a, max_iter=1).fit(X, Y) for a in (0, 1.0))
    assert penalized.loss_ > free.loss_ + 1
    penalized, free = (
        regressor(alpha=a, learning_rate_init=0.01, max_iter=60).fit(X, Y) for a in (1.0, 0)
    )
    largest = [np.abs(m.weights_["layers.0.weight_hh"]).max() for m in (penalized, free)]
    assert largest[0] < 0.1 * largest[1]


def test_dropout_applies_only_in_training():
    rates = dict.fromkeys(["dropout", "recurrent_dropout", "weight_dropout"], 0.5)
    model = regressor(**rates, hidden_layer_sizes=(6, 6))
    model.fit(X, SUMS[:, -1])
    undropped = clone(model).set_params(**dict.fromkeys(rates, 0), max_iter=1)
    undropped.fit(X, SUMS[:, -1])
    undropped._network.parameters[:] = model._network.parameters
    np.testing.assert_array_equal(model.predict(X), undropped.predict(X))
    plain = regressor(hidden_layer_sizes=(6, 6)).fit(X, SUMS[:, -1])
    assert weights_of(plain) != weights_of(model)
    for rate in rates:
        other = regressor(hidden_layer_sizes=(6, 6), **{rate: 0.5}).fit(X, SUMS[:, -1])
        assert weights_of(other) not in (weights_of(plain), weights_of(model))


def test_l1_makes_weights_sparse():
    l1, l2 = (
        regressor(
            alpha=0.1, l1_ratio=ratio, solver="sgd", learning_rate_init=0.01, max_iter=80
        ).fit(X, SUMS[:, -1])
        for ratio in (1.0, 0.0)
    )
    small = [np.mean(np.abs(m.weights_["layers.0.weight_ih"]) < 2e-3) for m in (l1, l2)]
    assert small[0] > 2 * small[1]


def test_weight_decay_shrinks_weights_without_gradients():
    # The third feature is always 0: only decay moves its weights.
    still = X.copy()
    still[:, :, 2] = 0
    runs = {
        solver: regressor(solver=solver, alpha=0.5, learning_rate_init=0.01).fit(
            still, SUMS[:, -1]
        )
        for solver in ("adamw", "adam")
    }
    start = regressor(solver="adam", learning_rate_init=0.01).fit(still, SUMS[:, -1])
    untouched = start.weights_["layers.0.weight_ih"][:, 2]
    n_steps = 3 * 2
    np.testing.assert_allclose(
        runs["adamw"].weights_["layers.0.weight_ih"][:, 2],
        untouched * (1 - 0.01 * 0.5) ** n_steps,
        rtol=1e-5,
    )
    # As part of the loss, the penalty is scaled by Adam like the gradient.
    followed = runs["adam"].weights_["layers.0.weight_ih"][:, 2]
    assert not np.allclose(followed, untouched * (1 - 0.01 * 0.5) ** n_steps, rtol=1e-2)
