"""Pooling the steps of a sequence."""

import numpy as np
import pytest
from sklearn.base import clone

from cylstm import LSTMClassifier, LSTMRegressor, _plan

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 3))
RAGGED = [x[: 1 + k % 6] for k, x in enumerate(X)]
Y = X[:, :, 0].max(axis=1)
POOLINGS = [name for name in _plan.POOLINGS if name != "last"]


def regressor(pooling, **settings):
    settings = {"max_iter": 5, "random_state": 0, "dtype": "float64", **settings}
    return LSTMRegressor((5, 4), pooling=pooling, learning_rate_init=0.05, **settings)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_features_are_what_the_name_says(bidirectional):
    models = {name: regressor(name, bidirectional=bidirectional) for name in _plan.POOLINGS}
    for model in models.values():
        model.fit(RAGGED, Y)
    for name, model in models.items():
        values = model.gate_values(RAGGED)
        outputs = values["layers.1.h"]
        ends = [h[-1] for h in outputs]
        if bidirectional:
            backwards = values["layers.1.reverse.h"]
            outputs = [np.hstack(both) for both in zip(outputs, backwards, strict=True)]
            # The backward direction ends at the first step.
            ends = [np.hstack([h[-1, :4], h[0, 4:]]) for h in outputs]
        expected = {
            "last": ends,
            "mean": [h.mean(axis=0) for h in outputs],
            "max": [h.max(axis=0) for h in outputs],
        }
        if name == "attention":
            weights = model.attention_weights(RAGGED)
            assert [len(w) for w in weights] == [len(x) for x in RAGGED]
            np.testing.assert_allclose([w.sum() for w in weights], 1)
            expected[name] = [w @ h for w, h in zip(weights, outputs, strict=True)]
        np.testing.assert_allclose(model.transform(RAGGED), expected[name], atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_stream_has_the_bits_of_predict(pooling, cell):
    model = regressor(pooling, dtype="float32", cell=cell).fit(X, Y)
    many, one = model.stream(20), model.stream()
    for t in range(6):
        together, alone = many.step(X[:, t]), one.step(X[4, t])
        if t == 2:
            state = many.state
    np.testing.assert_array_equal(together, model.predict(X))
    np.testing.assert_array_equal(alone, model.predict(X[4:5]))
    many.state = state
    for t in range(3, 6):
        again = many.step(X[:, t])
    np.testing.assert_array_equal(again, together)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_bits_do_not_depend_on_batch_threads_or_form(pooling):
    # More steps than prediction holds at a time.
    long = [RNG.normal(size=(n, 3)) for n in (700, 3, 520, 1)]
    model = regressor(pooling, dtype="float32").fit(RAGGED, Y)
    whole = model.predict(long)
    for k, x in enumerate(long):
        np.testing.assert_array_equal(model.set_params(n_jobs=1).predict([x]), whole[k])
    padded = np.full((4, 700, 3), np.nan)
    for row, x in zip(padded, long, strict=True):
        row[: len(x)] = x
    np.testing.assert_array_equal(model.predict(list(long)), whole)
    fitted_on_padded = clone(model).fit(padded, np.arange(4.0))
    np.testing.assert_array_equal(
        fitted_on_padded.predict(padded), fitted_on_padded.predict(long)
    )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_chunks_of_steps_carry_what_has_been_pooled(pooling):
    # With a learning rate of next to nothing the last loss is that of the initial network.
    settings = {"learning_rate_init": 1e-12, "max_iter": 1, "shuffle": False}
    whole = regressor(pooling).set_params(**settings).fit(X, Y)
    chunks = regressor(pooling, bptt_steps=2).set_params(**settings).fit(X, Y)
    assert chunks.loss_ == pytest.approx(whole.loss_, rel=1e-9)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_finds_an_event_anywhere(pooling):
    rng = np.random.default_rng(0)
    x = rng.normal(scale=0.1, size=(300, 40, 1))
    y = rng.integers(2, size=300)
    x[np.arange(300), rng.integers(40, size=300), 0] += np.where(y, 2, -2)
    model = LSTMClassifier(
        8, pooling=pooling, learning_rate_init=0.03, max_iter=40, random_state=0
    )
    assert model.fit(x[:200], y[:200]).score(x[200:], y[200:]) > 0.95


def test_attention_starts_as_the_mean():
    settings = {"learning_rate_init": 1e-12, "max_iter": 1}
    mean = regressor("mean").set_params(**settings).fit(X, Y)
    attention = regressor("attention").set_params(**settings).fit(X, Y)
    np.testing.assert_allclose(attention.attention_weights(X), 1 / 6, rtol=1e-6)
    assert not attention._network.copy().weights["attention.bias"].round(6).any()
    assert attention.attention_weights(X).shape == (20, 6)
    assert set(attention.weights_) - set(mean.weights_) == {
        "attention.weight",
        "attention.bias",
        "attention.query",
    }


@pytest.mark.parametrize("cell", _plan.CELLS)
def test_attention_of_any_width_starts_without_bias(cell):
    settings = {"cell": cell, "max_iter": 1, "learning_rate_init": 1e-12}
    model = LSTMRegressor(7, pooling="attention", **settings).fit(X, Y)
    assert np.abs(model.weights_["attention.bias"]).max() < 1e-6


def test_what_cannot_be_pooled():
    with pytest.raises(ValueError, match=r'pooling="mean" cannot .* return_sequences=True'):
        regressor("mean", return_sequences=True).fit(X, X[:, :, 0])
    with pytest.raises(ValueError, match="The 'pooling' parameter"):
        regressor("median").fit(X, Y)
    with pytest.raises(ValueError, match='was fitted with pooling="max"; only'):
        regressor("max").fit(X, Y).attention_weights(X)
