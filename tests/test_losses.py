"""Losses of the regressor and of the classifier."""

import pickle

import numpy as np
import pytest
from example_sequences import (
    LABELS,
    LENGTHS,
    PADDED,
    RAGGED,
    SUMS,
    N,
    T,
    X,
    Y,
    classifier,
    regressor,
)
from sklearn.metrics import d2_pinball_score


def test_losses_are_stable_for_huge_scores():
    for y in (Y > 0, LABELS):
        model = classifier(max_iter=1, learning_rate_init=1e-9).fit(X, y)
        model.weights_["head.bias"][...] = np.linspace(-1e4, 1e4, model.n_outputs_ + 1)[1:]
        model.set_params(warm_start=True)
        model.fit(X, y)
        assert 100 < model.loss_ < 1e5


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        (1.0, "'quantile' parameter"),
        ([0.5, 1.5], "must be a number between 0 and 1"),
        ([], "must be a number between 0 and 1"),
        (["a"], "must be a number between 0 and 1"),
    ],
)
def test_bad_quantiles(quantile, message):
    with pytest.raises(ValueError, match=message):
        regressor(loss="quantile", quantile=quantile).fit(X, SUMS[:, -1])


def test_counts_are_not_negative():
    with pytest.raises(ValueError, match='y has negative numbers, but loss="poisson"'):
        regressor(loss="poisson").fit(X, SUMS[:, -1])


LEARNING = {"hidden_layer_sizes": 16, "max_iter": 60, "learning_rate_init": 0.01}


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_losses_of_regression_learn(loss):
    model = regressor(loss=loss, **LEARNING).fit(X, SUMS[:, -1])
    assert model.score(X, SUMS[:, -1]) > 0.8
    two = regressor(loss=loss).fit(X, SUMS[:, -2:])
    assert two.predict(X).shape == (N, 2)


def test_robust_losses_do_not_follow_outliers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4, 1))
    y = X[:, -1, 0].copy()
    bad = rng.random(600) < 0.1
    y[bad] += 50
    errors = {}
    for loss in ("squared_error", "absolute_error", "huber"):
        model = regressor(loss=loss, max_iter=15, learning_rate_init=0.01).fit(X, y)
        errors[loss] = np.abs(model.predict(X) - y)[~bad].mean()
    assert max(errors["absolute_error"], errors["huber"]) < 0.1 * errors["squared_error"]


def test_quantiles_cover_their_share_and_do_not_cross():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3, 1))
    y = X[:, -1, 0] + rng.normal(size=2000)
    levels = [0.9, 0.1, 0.5]
    model = regressor(
        loss="quantile", quantile=levels, max_iter=15, learning_rate_init=0.01
    ).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (2000, 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    np.testing.assert_allclose(
        (y[:, None] < predicted).mean(axis=0), np.sort(levels), atol=0.05
    )
    expected = [
        d2_pinball_score(y, predicted[:, k], alpha=level)
        for k, level in enumerate(np.sort(levels))
    ]
    assert model.score(X, y) == pytest.approx(np.mean(expected))


LEVELS = [0.9, 0.1, 0.5]


def several_quantiles(**settings):
    return regressor(loss="quantile", quantile=LEVELS, dtype="float64", **settings)


def alone(model, k, y, X=X):
    """A model of one level, whose head is that of the k-th lowest level of `model`."""
    level = sorted(LEVELS)[k]
    one = regressor(**model.get_params() | {"quantile": level, "max_iter": 1}).fit(X, y)
    for name, weight in one.weights_.items():
        weight[...] = model.weights_[name][k::3] if "head" in name else model.weights_[name]
    one.y_offset_, one.y_scale_ = model.y_offset_, model.y_scale_
    return one


def test_quantiles_of_several_outputs_are_those_of_each_level():
    y = SUMS[:, -2:]
    model = several_quantiles(early_stopping=True).fit(X, y, 1 + np.arange(N) % 2)
    assert model.n_outputs_ == 2
    assert model.weights_["head.weight"].shape == (6, 6)
    predicted = model.predict(X)
    assert predicted.shape == (N, 2, 3)
    models = [alone(model, k, y) for k in range(3)]
    # With a bias that keeps the levels apart sorting changes nothing.
    for one, shift in zip([model, *models], [[-9, 0, 9] * 2, -9, 0, 9], strict=True):
        one.weights_["head.bias"][...] += shift
    apart = model.predict(X)
    for k, one in enumerate(models):
        np.testing.assert_allclose(apart[:, :, k], one.predict(X), rtol=0, atol=1e-12)
    stream = model.stream(N)
    for t in range(T):
        step = stream.step(X[:, t])
    np.testing.assert_array_equal(step, apart)
    gradients = model.input_gradients(X, output=1 * 3 + 2)
    np.testing.assert_allclose(gradients, models[2].input_gradients(X, output=1), atol=1e-12)


def test_quantiles_of_several_outputs_do_not_cross_and_are_scored_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3, 1))
    y = X[:, -1] * [1, -2] + rng.normal(size=(2000, 2)) * [1, 3]
    weights = rng.integers(1, 3, size=2000)
    model = several_quantiles(max_iter=30, learning_rate_init=0.003).fit(X, y)
    predicted = model.predict(X)
    assert (np.diff(predicted, axis=2) >= 0).all()
    below = (y[:, :, None] < predicted).mean(axis=0)
    np.testing.assert_allclose(below, [sorted(LEVELS)] * 2, atol=0.05)
    expected = [
        d2_pinball_score(y[:, j], predicted[:, j, k], sample_weight=weights, alpha=level)
        for j in range(2)
        for k, level in enumerate(sorted(LEVELS))
    ]
    assert model.score(X, y, weights) == pytest.approx(np.mean(expected))
    # The scores themselves cross where the biases do.
    bias = model.weights_["head.bias"]
    bias[...] = bias[::-1].copy()
    assert (np.diff(model.predict(X), axis=2) >= 0).all()


def test_quantiles_of_several_outputs_per_step():
    two = np.stack([SUMS, -SUMS], axis=2)
    model = several_quantiles(return_sequences=True).fit(X, two)
    predicted = model.predict(X)
    assert predicted.shape == (N, T, 2, 3)
    ragged, padded = model.predict(RAGGED), model.predict(PADDED)
    for k, n in enumerate(LENGTHS):
        assert ragged[k].shape == (n, 2, 3)
        np.testing.assert_allclose(ragged[k], predicted[k, :n], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(padded[k, :n], ragged[k])
        assert np.isnan(padded[k, n:]).all()
    model.partial_fit(RAGGED, [y[:n] for y, n in zip(two, LENGTHS, strict=True)])
    assert model.predict(RAGGED)[0].shape == ragged[0].shape
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    # Two outputs of three levels and one of six have as many scores.
    with pytest.raises(ValueError, match="y has 1 outputs, but LSTMRegressor was fitted with"):
        model.partial_fit(X, SUMS)


def test_one_level_in_a_list_is_that_level():
    y = SUMS[:, -2:]
    one, listed = (regressor(loss="quantile", quantile=q).fit(X, y) for q in (0.3, [0.3]))
    np.testing.assert_array_equal(listed.predict(X), one.predict(X))
    assert listed.predict(X).shape == (N, 2)
    assert listed.score(X, y) == one.score(X, y)


def test_poisson_predicts_rates():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4, 1))
    rate = np.exp(X[:, -1, 0] + 0.5)
    y = rng.poisson(rate)
    model = regressor(loss="poisson", max_iter=30, learning_rate_init=0.01).fit(X, y)
    assert model.out_activation_ == "exp"
    assert (model.predict(X) > 0).all()
    assert np.corrcoef(model.predict(X), rate)[0, 1] > 0.95


def test_several_labels():
    y = np.column_stack([SUMS[:, -1] > 0, X[:, -1, 1] > 0, X[:, 0, 2] > 1]).astype(int)
    model = classifier(**LEARNING).fit(X, y)
    assert model.n_outputs_ == 3
    assert model.classes_.tolist() == [0, 1, 2]
    p = model.predict_proba(X)
    assert p.shape == (N, 3)
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)
    assert model.score(X, y) > 0.8
    per_step = np.stack([SUMS > 0, X[:, :, 1] > 0], axis=2).astype(int)
    steps = classifier(return_sequences=True).fit(X, per_step)
    assert steps.predict(X).shape == (N, T, 2)
    with pytest.raises(ValueError, match="indicator matrix of 0 and 1"):
        classifier().fit(X, y * 3)
    with pytest.raises(ValueError, match="class_weight cannot be combined with"):
        classifier(class_weight="balanced").fit(X, y)
