"""Penalties, weight decay and dropout."""

import numpy as np
import pytest
from example_sequences import SUMS, N, X, Y, regressor, weights_of
from sklearn.base import clone

from cylstm import LSTMLanguageModel


def penalty(model, l1_ratio):
    """Of alpha = 1, before it is divided by the weight of all samples."""
    matrices = [
        w.astype(np.float64)
        for name, w in model.weights_.items()
        if "weight" in name and name != "embedding.weight"
    ]
    l1 = sum(np.abs(w).sum() for w in matrices)
    return l1_ratio * l1 + (1 - l1_ratio) / 2 * sum((w**2).sum() for w in matrices)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("l1_ratio", [0, 0.3, 1])
def test_the_penalty_is_per_sample(per_step, l1_ratio):
    y = SUMS if per_step else Y
    sample_weight = np.random.default_rng(0).uniform(size=N)
    total = sample_weight.sum() * (X.shape[1] if per_step else 1)
    settings = {"return_sequences": per_step, "l1_ratio": l1_ratio, "dtype": "float64"}
    # Too small a rate to change the weights; two batches.
    settings.update(solver="sgd", learning_rate_init=1e-14, max_iter=1)
    free, penalized = (
        regressor(alpha=a, **settings).fit(X, y, sample_weight=sample_weight) for a in (0, 5.0)
    )
    expected = free.loss_ + 5.0 * penalty(free, l1_ratio) / total
    assert penalized.loss_ == pytest.approx(expected, rel=1e-12)


def test_the_penalty_of_a_language_model_is_per_token():
    texts = ["abcab", "ba", "caab"]
    settings = {
        "dtype": "float64",
        "solver": "sgd",
        "learning_rate_init": 1e-14,
        "max_iter": 1,
    }
    free, penalized = (
        LSTMLanguageModel(3, alpha=a, random_state=0, **settings).fit(texts) for a in (0, 5.0)
    )
    n_tokens = 5 + 2 + 4 + 3  # ends of texts are tokens too
    expected = free.loss_ + 5.0 * penalty(free, 0) / n_tokens
    assert penalized.loss_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "weights", "message"),
    [
        ({}, 1e-37, "total weight of the samples, 6e-36, overflows dtype='float32'"),
        ({"solver": "adamw"}, 1e-3, "learning_rate_init=0.1 is at least 1: the weight decay"),
    ],
)
def test_penalties_that_light_samples_make_too_large(settings, weights, message):
    model = regressor(alpha=1e4, learning_rate_init=0.1, **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, sample_weight=np.full(N, weights))


def test_alpha_shrinks_weights():
    penalized, free = (
        regressor(alpha=a, learning_rate_init=0.01, max_iter=60).fit(X, Y) for a in (N, 0)
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
            alpha=0.1 * N, l1_ratio=ratio, solver="sgd", learning_rate_init=0.01, max_iter=80
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
        solver: regressor(solver=solver, alpha=0.5 * N, learning_rate_init=0.01).fit(
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
