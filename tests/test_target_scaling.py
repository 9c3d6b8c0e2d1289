"""Targets of a regressor on any scale."""

import numpy as np
import pytest
from example_sequences import RAGGED, SUMS, N, X, Y, regressor, weights_of
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMRegressor
from cylstm._losses import robust_scaling, standard_scaling


@pytest.mark.parametrize("y", [Y, 1e6 + 1e-3 * SUMS[:, -2:]], ids=["one", "two"])
def test_it_is_standardised_as_by_a_transformed_target_regressor(y):
    settings = {"dtype": "float64", "learning_rate_init": 0.01}
    inside = regressor(**settings).fit(X, y)
    outside = TransformedTargetRegressor(regressor(**settings), transformer=StandardScaler())
    scale = y.std()
    np.testing.assert_allclose(
        (inside.predict(X) - y.mean()) / scale,
        (outside.fit(X, y).predict(X) - y.mean()) / scale,
        rtol=0,
        atol=1e-5,  # a change of 1e-10 at 1e6 is 1e-7 of the standard deviation
    )
    scaler = StandardScaler().fit(y.reshape(N, -1))
    np.testing.assert_allclose(inside.y_offset_, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(inside.y_scale_, scaler.scale_, rtol=1e-7)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
@pytest.mark.parametrize("per_step", [False, True])
def test_units_do_not_matter(loss, per_step):
    y = SUMS if per_step else Y
    settings = {"loss": loss, "return_sequences": per_step, "dtype": "float64"}
    plain = regressor(**settings).fit(X, y)
    scaled = regressor(**settings).fit(X, 1024 * y)
    assert weights_of(plain) == weights_of(scaled)
    np.testing.assert_array_equal(scaled.predict(X), 1024 * plain.predict(X))
    assert plain.loss_curve_ == scaled.loss_curve_
    shifted = regressor(**settings).fit(X, y + 1000)
    np.testing.assert_allclose(shifted.predict(X), plain.predict(X) + 1000, rtol=0, atol=1e-9)
    assert shifted.score(X, y + 1000) == pytest.approx(plain.score(X, y))


def test_large_targets_are_learnt_with_the_defaults():
    y = 5e7 + 2e4 * X[:, :, 0].sum(axis=1)
    assert (
        LSTMRegressor(32, learning_rate_init=0.01, random_state=0).fit(X, y).score(X, y) > 0.5
    )


def test_derivatives_and_streams_are_of_predictions():
    model = regressor(dtype="float64").fit(X, 100 + 50 * Y)
    stream = model.stream(N)
    for x_t in X.swapaxes(0, 1):
        predicted = stream.step(x_t)
    np.testing.assert_array_equal(predicted, model.predict(X))
    gradients = model.input_gradients(X)
    moved = X.copy()
    moved[:, 1, 2] += 1e-6
    slopes = (model.predict(moved) - model.predict(X)) / 1e-6
    np.testing.assert_allclose(gradients[:, 1, 2], slopes, rtol=1e-4, atol=1e-6)


def test_an_integer_weight_counts_as_copies():
    rng = np.random.default_rng(0)
    y, counts = rng.normal(size=(20, 2)) ** 3, rng.integers(0, 4, size=20)
    for scaling in (standard_scaling, robust_scaling):
        weighted = scaling(y, counts.astype(np.float32))
        repeated = scaling(np.repeat(y, counts, axis=0), np.ones(counts.sum(), np.float32))
        np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_robust_scaling():
    rng = np.random.default_rng(0)
    y = rng.normal(3, 2, size=(10_001, 1))
    y[:50] = 1e9
    offset, scale = robust_scaling(y, np.ones(len(y)))
    assert offset == pytest.approx(3, abs=0.3)
    assert scale == pytest.approx(2, rel=0.1)
    offset, scale = robust_scaling(np.array([[7.0], [7], [7], [7], [9]]), np.ones(5))
    assert offset == 7
    assert scale == pytest.approx(0.08)  # a tenth of the standard deviation
    np.testing.assert_array_equal(robust_scaling(np.full((5, 1), 7.0), np.ones(5)), [[7], [1]])
    assert robust_scaling(np.array([[0.0], [10]]), np.ones(2))[0] == 5


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
def test_numbers_that_differ_by_roundings_are_constant(scaling):
    y = np.where(np.arange(20) % 2, 0.3, 0.1 + 0.2)[:, None]
    assert scaling(y, np.ones(20))[1] == 1
    y[0] = 5
    assert scaling(y, np.ones(20))[1] > 0.05
    tiny = np.arange(20.0)[:, None] * 1e-200
    assert scaling(tiny, np.ones(20))[1] == pytest.approx(
        scaling(tiny * 1e200, np.ones(20))[1] * 1e-200
    )


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
def test_few_targets_that_are_not_zero_are_learnt(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4, 2))
    y = np.maximum(X[:, -1].sum(axis=1) - np.quantile(X[:, -1].sum(axis=1), 0.749), 0) * 5
    model = LSTMRegressor(16, loss=loss, learning_rate_init=0.01, max_iter=60, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("scaling", [standard_scaling, robust_scaling])
def test_only_the_ratios_of_weights_matter(scaling):
    y = np.random.default_rng(0).normal(size=(40, 2))
    for factor in (0.1, 1 / 40, 1e-300, 1e300):
        np.testing.assert_allclose(
            scaling(y, np.full(40, factor)), scaling(y, np.ones(40)), rtol=1e-12, atol=1e-15
        )


def test_constant_targets():
    for loss in ("squared_error", "absolute_error"):
        model = regressor(loss=loss).fit(RAGGED, np.full(N, 1e6))
        assert model.y_scale_ == 1
        np.testing.assert_allclose(model.predict(RAGGED), 1e6, atol=2)


def test_counts_are_learnt_as_they_are():
    model = regressor(loss="poisson").fit(X, np.abs(Y))
    assert (model.y_offset_, model.y_scale_) == (0, 1)


def test_resumed_training_keeps_the_first_scale():
    model = regressor().partial_fit(X, Y)
    before = model.y_offset_[0], model.y_scale_[0]
    model.partial_fit(X, 10 * Y + 5)
    assert (model.y_offset_[0], model.y_scale_[0]) == before
    again = regressor(warm_start=True).fit(X, Y).fit(X, 10 * Y + 5)
    assert (again.y_offset_[0], again.y_scale_[0]) == before
