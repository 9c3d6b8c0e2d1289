"""Live sequences, one step at a time."""

import copy
import pickle

import numpy as np
import pytest
from problem import PRODUCT, as_parameters, label

from cylstm import LSTMClassifier, LSTMRegressor, _plan

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 3))
Y = X[:, :, 0].sum(axis=1)
TOKENS = RNG.integers(9, size=(20, 6))


def regressor(**settings):
    return LSTMRegressor(
        **{
            "hidden_layer_sizes": (5, 4),
            "max_iter": 3,
            "random_state": 0,
            "dtype": "float64",
            **settings,
        }
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_a_stream_has_the_bits_of_predict(cell, dtype):
    model = regressor(cell=cell, dtype=dtype).fit(X, Y)
    expected = model.predict(X)
    many = model.stream(20)
    for t in range(6):
        together = many.step(X[:, t])
    np.testing.assert_array_equal(together, expected)
    one = model.stream()
    for k in (3, 7):
        one.reset()
        for x_t in X[k]:
            alone = one.step(x_t)
        np.testing.assert_array_equal(alone, expected[k : k + 1])


@pytest.mark.parametrize(
    "around", [around for around in PRODUCT if not around["bidirectional"]], ids=label
)
def test_a_stream_of_any_network_has_the_bits_of_predict(around):
    model = regressor(
        **as_parameters(around), hidden_layer_sizes=(3, 3), max_iter=1, dtype="float32"
    )
    model.fit(X, X[:, :, 0] if around["per_step"] else Y)
    stream = model.stream(20)
    steps = np.stack([stream.step(X[:, t]) for t in range(6)], axis=1)
    got = steps if around["per_step"] else steps[:, -1]
    np.testing.assert_array_equal(got, model.predict(X))


def test_every_step_of_a_stream_equals_every_step_of_predict():
    y = np.where(np.cumsum(X[:, :, 0], axis=1) > 0, "up", "down")
    model = LSTMClassifier(5, return_sequences=True, max_iter=3, dtype="float64").fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        stream = model.stream(20, method=method)
        expected = getattr(model, method)(X)
        for t in range(6):
            got = stream.step(X[:, t])
            np.testing.assert_array_equal(got, expected[:, t])


def test_a_stream_of_tokens():
    model = regressor(embedding_dim=3).fit(TOKENS, Y)
    stream = model.stream(20)
    for t in range(6):
        got = stream.step(TOKENS[:, t])
    np.testing.assert_array_equal(got, model.predict(TOKENS))
    one = model.stream()
    for token in TOKENS[0]:
        got = one.step(token)
    np.testing.assert_array_equal(got, model.predict(TOKENS[:1]))
    with pytest.raises(ValueError, match="must hold tokens from 0 to 8"):
        one.step(9)
    with pytest.raises(ValueError, match="tokens are integers"):
        one.step(0.5)


def test_state_can_be_kept_and_put_back():
    model = regressor().fit(X, Y)
    stream = model.stream(20)
    stream.step(X[:, 0])
    state = stream.state
    assert state.shape == (20, 2 * (5 + 4))
    expected = stream.step(X[:, 1])
    stream.state = state
    np.testing.assert_array_equal(stream.step(X[:, 1]), expected)
    stream.reset()
    assert not stream.state.any()
    with pytest.raises(ValueError, match=r"state has shape \(3,\), expected \(20, 18\)"):
        stream.state = np.zeros(3)
    with pytest.raises(ValueError, match="state contains NaN"):
        stream.state = np.full((20, 18), np.nan)
    with pytest.raises(ValueError, match=r"x_t has shape \(60,\)"):
        stream.step(np.zeros(60))


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_a_stream_keeps_its_weights_when_the_model_is_fitted_again(again):
    model = regressor().fit(X, Y)
    expected, stream = model.predict(X), model.stream(20)
    getattr(model, again)(X, -Y)
    for t in range(6):
        got = stream.step(X[:, t])
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copied_or_pickled_stream_goes_on_by_itself(twin):
    model = regressor().fit(X, Y)
    stream = model.stream(20)
    for t in range(3):
        stream.step(X[:, t])
    other = twin(stream)
    model.fit(X, -Y)
    for t in range(3, 6):
        expected = stream.step(X[:, t])
    for t in range(3, 6):
        got = other.step(X[:, t])
    np.testing.assert_array_equal(got, expected)


def test_a_stream_does_not_see_weights_that_are_set_later():
    model = regressor(embedding_dim=3).fit(TOKENS, Y)
    expected, stream = model.predict(TOKENS), model.stream(20)
    for weights in model.weights_.values():
        weights[...] = 0
    for t in range(6):
        got = stream.step(TOKENS[:, t])
    np.testing.assert_array_equal(got, expected)


def test_a_stream_keeps_its_classes_when_the_model_is_fitted_again():
    model = LSTMClassifier(4, max_iter=2).fit(X, np.where(Y > 0, "a", "b"))
    stream = model.stream()
    model.fit(X, np.array(["c", "d", "e"])[np.arange(20) % 3])
    assert stream.step(X[0, 0])[0] in ("a", "b")


@pytest.mark.parametrize(
    ("x_t", "message"),
    [
        (np.zeros((1, 1, 3)), r"x_t has shape \(1, 1, 3\)"),
        (np.zeros(3, complex), "x_t has dtype complex128, but numbers"),
        (np.zeros(2), r"x_t has shape \(2,\), but a step has shape \(1, 3\)"),
        (np.zeros((3, 1)), r"x_t has shape \(3, 1\)"),
        ([0, np.nan, 0], "contains NaN or infinity"),
        ([0, 1e300 * 1e300, 0], "contains NaN or infinity"),
        (["a", "b", "c"], "x_t has dtype <U1, but numbers"),
    ],
)
def test_bad_steps(x_t, message):
    stream = regressor().fit(X, Y).stream()
    stream.step(X[0, 0])
    state = stream.state
    with pytest.raises(ValueError, match=message):
        stream.step(x_t)
    np.testing.assert_array_equal(stream.state, state)


def test_what_cannot_stream():
    model = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="n_sequences=0 must be an int of at least 1"):
        model.stream(0)
    with pytest.raises(ValueError, match=r"method='predict_proba' must be one of \['predict'"):
        model.stream(method="predict_proba")
    with pytest.raises(ValueError, match="bidirectional network cannot stream"):
        regressor(bidirectional=True).fit(X, Y).stream()
