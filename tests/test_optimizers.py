"""Optimizer steps against the published formulas, schedules, clipping."""

import numpy as np
import pytest

from cylstm import _updates
from cylstm._network import Gradients
from cylstm._optimizers import SGD, Adam, AdamW, Optimizer

# Longer than some vectors of every instruction set, with a rest.
N = 103


def dense(gradients):
    n = len(gradients)
    return Gradients(gradients, np.empty(0, np.int64), _updates.cut(0, n), n)


def rows_of_4(flat, rows):
    """Gradients of 5 dense parameters and of some rows of 4."""
    places = [(5 + 4 * row, 5 + 4 * k, 4) for k, row in enumerate(rows)]
    pieces = np.array([(0, 0, 5), *places])
    return Gradients(flat, np.empty(0, np.int64), pieces, 5 + 4 * len(rows))


def run(rule, n_steps=5, dtype="float64", **settings):
    """Parameters after some steps with random gradients, and those gradients."""
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=N).astype(dtype)
    gradients = rng.normal(size=(n_steps, N)).astype(dtype)
    settings = {"learning_rate_init": 0.1, "clip_norm": None, **settings}
    optimizer = Optimizer(rule, "constant", **settings)
    start = parameters.copy()
    for g in gradients:
        assert optimizer.step(parameters, dense(g))
    return start, gradients, parameters


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("beta_1", [0.9, 0.0])
def test_adam_is_algorithm_1_of_kingma_and_ba(beta_1, dtype):
    w, gradients, parameters = run(Adam(beta_1, 0.99, 1e-3), dtype=dtype)
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = 0.99 * v + (1 - 0.99) * g**2
        w = w - 0.1 * m / (1 - beta_1**t) / (np.sqrt(v / (1 - 0.99**t)) + 1e-3)
    np.testing.assert_allclose(
        parameters, w, rtol=0, atol=1e-13 if dtype == "float64" else 1e-6
    )


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum(nesterov):
    w, gradients, parameters = run(SGD(0.8, nesterov))
    velocity = 0
    for g in gradients:
        velocity = 0.8 * velocity - 0.1 * g
        w = w + (0.8 * velocity - 0.1 * g if nesterov else velocity)
    np.testing.assert_allclose(parameters, w, rtol=0, atol=1e-13)


def test_large_gradients_are_scaled_down_to_clip_norm():
    start, gradients, parameters = run(SGD(0.0, False), n_steps=1, clip_norm=0.5)
    step = parameters - start
    assert np.linalg.norm(step) == pytest.approx(0.1 * 0.5)
    np.testing.assert_allclose(
        step / np.linalg.norm(step), -gradients[0] / np.linalg.norm(gradients[0])
    )


def test_small_gradients_are_not_clipped():
    free = run(SGD(0.0, False), clip_norm=None)[2]
    assert free.tobytes() == run(SGD(0.0, False), clip_norm=1e6)[2].tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_moves_where_the_gradient_is_not_finite(bad):
    optimizer = Optimizer(Adam(0.9, 0.999, 1e-8), "constant", 0.1, 1.0)
    parameters, gradients = np.ones(3), np.array([1.0, bad, 1.0])
    assert not optimizer.step(parameters, dense(gradients))
    assert parameters.tolist() == [1, 1, 1]
    assert optimizer.n_steps == 0


def test_invscaling_follows_the_samples_seen():
    optimizer = Optimizer(SGD(0.9, True), "invscaling", 0.1, None)
    optimizer.end_epoch(99)
    assert optimizer.learning_rate == pytest.approx(0.01)
    assert not optimizer.lower_rate_on_plateau()


def test_adaptive_divides_by_five_down_to_a_limit():
    optimizer = Optimizer(SGD(0.9, True), "adaptive", 0.1, None)
    rates = []
    while optimizer.lower_rate_on_plateau():
        rates.append(optimizer.learning_rate)
    np.testing.assert_allclose(rates, 0.1 / 5.0 ** np.arange(1, 9))
    assert optimizer.learning_rate < 1e-6


def test_constant_stops_at_a_halt():
    optimizer = Optimizer(SGD(0.9, True), "constant", 0.1, None)
    optimizer.end_epoch(99)
    assert optimizer.learning_rate == 0.1
    assert not optimizer.lower_rate_on_plateau()


def test_resume_takes_moments_and_keeps_new_settings():
    first = Optimizer(SGD(0.9, True), "adaptive", 0.1, None)
    parameters = np.ones(3)
    first.step(parameters, dense(np.ones(3)))
    first.lower_rate_on_plateau()
    same = Optimizer(SGD(0.9, True), "adaptive", 0.1, None).resume(first, new_period=True)
    assert same.learning_rate == first.learning_rate
    assert same.moments is first.moments  # which the next step changes
    assert same.n_steps == 1
    new_rate = Optimizer(SGD(0.9, True), "adaptive", 0.3, None).resume(first, new_period=True)
    assert new_rate.learning_rate == 0.3
    other_rule = Optimizer(Adam(0.9, 0.99, 1e-8), "adaptive", 0.1, None).resume(
        first, new_period=True
    )
    assert other_rule.moments is None
    assert other_rule.n_steps == 0


def test_adamw_decays_apart_from_the_gradient():
    decayed = [(0, 40), (50, N)]
    w, gradients, parameters = run(AdamW(0.9, 0.99, 1e-3, 0.3, decayed))
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        for begin, end in decayed:
            w[begin:end] *= 1 - 0.1 * 0.3
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.99 * v + (1 - 0.99) * g**2
        w = w - 0.1 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + 1e-3)
    np.testing.assert_allclose(parameters, w, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rule", [SGD(0.8, True), Adam(0.9, 0.99, 1e-3)])
def test_rows_that_a_batch_does_not_touch_stay_as_they_are(rule):
    # 5 dense parameters and an embedding of 6 rows of 4.
    rng = np.random.default_rng(0)
    start = rng.normal(size=5 + 24)
    sparse, full = (Optimizer(rule, "constant", 0.1, 0.5) for _ in range(2))
    by_rows, by_all = start.copy(), start.copy()
    for touched in ([4, 1], [1], [5, 0, 4]):
        flat = rng.normal(size=5 + 24)
        before = by_rows.copy()
        assert sparse.step(by_rows, rows_of_4(flat, touched))
        embedding = (by_rows - before)[5:].reshape(6, 4)
        assert set(np.flatnonzero(embedding.any(axis=1))) == set(touched)
    # Where all rows are touched each time it is a step like any other.
    for _ in range(3):
        flat = rng.normal(size=5 + 24)
        order = rng.permutation(6)
        shuffled = np.concatenate([flat[:5], flat[5:].reshape(6, 4)[order].ravel()])
        by_rows, by_all = (by_all.copy() for _ in range(2))
        sparse.moments, sparse.n_steps = None, 0
        full.moments, full.n_steps = None, 0
        sparse.step(by_rows, rows_of_4(shuffled, order))
        full.step(by_all, dense(flat))
        np.testing.assert_allclose(by_rows, by_all, rtol=1e-12)


def test_cosine_falls_to_zero_and_starts_again():
    optimizer = Optimizer(SGD(0.9, True), "cosine", 0.1, None, n_epochs=4)
    rates = []
    for epoch in range(1, 6):
        optimizer.end_epoch(99 * epoch)
        rates.append(optimizer.learning_rate)
    way = np.array([1, 2, 3, 4, 5]) % 4 / 4
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * way)))


@pytest.mark.parametrize(
    ("decay_after", "expected"),
    # Zaremba et al.: "after 3 epochs we decrease it by a factor of 2 after each epoch".
    [(3, [2, 2, 2, 1, 0.5, 0.25]), (0, [1, 0.5, 0.25, 0.125, 0.0625, 0.03125])],
)
def test_exponential_waits_and_falls(decay_after, expected):
    optimizer = Optimizer(
        SGD(0.0, False), "exponential", 2.0, None, decay_rate=0.5, decay_after=decay_after
    )
    rates = [optimizer.learning_rate]
    for epoch in range(1, 6):
        optimizer.end_epoch(99 * epoch)
        rates.append(optimizer.learning_rate)
    assert rates == expected


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 1 << 15, (1 << 15) + 1, 100_000])
@pytest.mark.parametrize("precision", ["float", "double"])
def test_copies_of_any_length(precision, n, n_threads):
    dtype = {"float": np.float32, "double": np.float64}[precision]
    source = np.random.default_rng(0).normal(size=n).astype(dtype)
    target = np.zeros_like(source)
    _updates.copy[precision](source, target, n_threads)
    np.testing.assert_array_equal(target, source)
    with pytest.raises(ValueError, match="do not fit"):
        _updates.copy[precision](source, target[1:], n_threads)


@pytest.mark.parametrize("precision", ["float", "double"])
def test_penalty_and_its_gradient(precision):
    dtype = {"float": np.float32, "double": np.float64}[precision]
    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=(2, N)).astype(dtype)
    before = gradients.copy()
    value = _updates.penalize[precision](w, gradients, [(0, 40), (50, N)], 0.2, 0.3)
    penalized = np.r_[0:40, 50:N]
    v = w[penalized].astype(float)
    assert value == pytest.approx(0.2 * np.abs(v).sum() + 0.15 * np.sum(v**2))
    expected = before.copy()
    expected[penalized] += 0.2 * np.sign(v) + 0.3 * v
    np.testing.assert_allclose(gradients, expected, rtol=1e-6, atol=1e-6)
    assert _updates.norm[precision](w) == pytest.approx(np.linalg.norm(w), rel=1e-6)
