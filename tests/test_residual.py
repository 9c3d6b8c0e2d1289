"""Residual connections between layers."""

import numpy as np
import pytest

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 4))
RAGGED = [x[: 1 + k % 6] for k, x in enumerate(X)]
Y = X[:, :, 0].sum(axis=1)


def regressor(**settings):
    settings = {"max_iter": 3, "random_state": 0, "residual": True, **settings}
    return LSTMRegressor(settings.pop("hidden_layer_sizes", (4, 4)), **settings)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_stream_has_the_bits_of_predict(pooling):
    model = regressor(pooling=pooling).fit(X, Y)
    many, one = model.stream(20), model.stream()
    for t in range(6):
        together, alone = many.step(X[:, t]), one.step(X[4, t])
    np.testing.assert_array_equal(together, model.predict(X))
    np.testing.assert_array_equal(alone, model.predict(X[4:5]))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_features_are_sums_of_states_and_inputs(bidirectional):
    n_units = 2 if bidirectional else 4
    model = regressor(
        hidden_layer_sizes=(n_units, n_units), bidirectional=bidirectional, dtype="float64"
    ).fit(RAGGED, Y)
    # More steps than prediction holds at a time, some of rows that end early.
    for xs in (RAGGED, [RNG.normal(size=(n, 4)) for n in (700, 520, 3, 1)]):
        values = model.gate_values(xs)
        for k, x in enumerate(xs):
            outputs = x
            for layer in ("layers.0.", "layers.1."):
                h = values[f"{layer}h"][k]
                if bidirectional:
                    h = np.hstack([h, values[f"{layer}reverse.h"][k]])
                outputs = outputs + h
            ends = outputs[-1]
            if bidirectional:
                ends = np.hstack([outputs[-1, :2], outputs[0, 2:]])
            np.testing.assert_allclose(model.transform(xs)[k], ends, atol=1e-12)


def test_attention_sees_the_sums():
    model = regressor(pooling="attention", learning_rate_init=0.05, dtype="float64")
    model.fit(RAGGED, Y)
    values = model.gate_values(RAGGED)
    for k, weights in enumerate(model.attention_weights(RAGGED)):
        outputs = RAGGED[k] + values["layers.0.h"][k] + values["layers.1.h"][k]
        np.testing.assert_allclose(model.transform(RAGGED)[k], weights @ outputs, atol=1e-12)


@pytest.mark.parametrize("n_sequences", [1, 3])
def test_a_language_model_returns_sums_too(n_sequences):
    texts = ["to be or not to be", "that is the question", "whether"][:n_sequences]
    model = LSTMLanguageModel(
        (5, 5), embedding_dim=5, residual=True, max_iter=1, random_state=0
    )
    features = model.fit(texts).transform(texts)
    # Of a single text those of every token are returned.
    expected = [model.transform([text, text])[0] for text in texts]
    got = features[-1:] if n_sequences == 1 else features
    np.testing.assert_array_equal(np.ravel(got), np.ravel(expected))


def test_layers_of_other_sizes_have_none():
    first = regressor(hidden_layer_sizes=(5, 5)).fit(X, Y)
    assert next(w.shape for w in first.weights_.values()) == (20, 4)
    message = r"no layer has as many inputs \(\[4, 5\]\) as outputs \(\[5, 3\]\)"
    with pytest.raises(ValueError, match=message):
        regressor(hidden_layer_sizes=(5, 3)).fit(X, Y)
    with pytest.raises(ValueError, match="The 'residual' parameter"):
        regressor(residual="yes").fit(X, Y)
    kept = LSTMClassifier((4, 4), residual=True, max_iter=2).fit(X, Y > 0)
    before = kept.predict_proba(X)
    with pytest.raises(ValueError, match="no layer has as many"):
        kept.set_params(hidden_layer_sizes=(5, 3)).fit(X, Y > 0)
    np.testing.assert_array_equal(kept.predict_proba(X), before)
