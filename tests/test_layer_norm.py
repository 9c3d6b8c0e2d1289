"""Layer normalization of the products and of the cell state."""

import numpy as np
import pytest
import reference_lstm as reference

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor, _plan
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 4))
RAGGED = [x[: 1 + k % 6] for k, x in enumerate(X)]
Y = X[:, :, 0].sum(axis=1)


def regressor(**settings):
    few_steps = {"max_iter": 3, "batch_size": 32, "learning_rate": "constant"}
    few_steps["learning_rate_init"] = 1e-3
    settings = {"random_state": 0, "layer_norm": True, **few_steps, **settings}
    return LSTMRegressor(settings.pop("hidden_layer_sizes", 12), **settings)


@pytest.fixture(params=_plan.CELLS)
def cell(request):
    return request.param


def test_the_last_gate_makes_h_of_the_cell_state():
    # What follows the cell in src/kernels/norm.h relies on it.
    last = {facts.gates[-1] for facts in _plan.CELLS.values() if "c" in facts.state}
    assert last == {"o"}


def test_weights_of_every_cell(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(3, 2)).fit(X, Y)
    n_gates = {"coupled": 3, "gru": 3, "gru_v1": 3}.get(cell, 4)
    for k, n_units in enumerate((3, 2)):
        prefix = f"layers.{k}."
        expected = {"norm_ih": n_gates * n_units}
        if cell != "input_gated":
            expected["norm_hh"] = n_gates * n_units
        if not cell.startswith("gru"):
            expected |= {"norm_c": n_units, "bias_c": n_units}
        shapes = {
            name.removeprefix(prefix): view.shape
            for name, view in model.weights_.items()
            if name.startswith(prefix) and ("norm" in name or "bias_c" in name)
        }
        assert shapes == {name: (size,) for name, size in expected.items()}


@pytest.mark.parametrize("scale", [None, 0.1])
def test_gains_start_at_1(scale):
    network = Network(Architecture(3, (4,), 1, "squared_error", "float64", layer_norm=True))
    network.initialize(np.random.RandomState(0), scale)
    for name in ("norm_ih", "norm_hh", "norm_c"):
        assert (network.weights[f"layers.0.{name}"] == 1).all()
    # As any other bias.
    assert (scale is None) != network.weights["layers.0.bias_c"].any()
    assert np.abs(network.weights["layers.0.bias_c"]).max() <= (scale or 0)


def test_gains_and_biases_are_not_penalized():
    network = Network(Architecture(3, (4,), 1, "squared_error", "float64", layer_norm=True))
    penalized = {network.architecture.places[f"layers.0.weight_{x}h"].start for x in "ih"}
    penalized.add(network.architecture.places["head.weight"].start)
    assert {start for start, _ in network.penalized} == penalized


def test_the_scale_of_the_weights_does_not_matter(cell):
    model = regressor(cell=cell, dtype="float64").fit(X, Y)

    def scale_weights(factor):
        for name in ("weight_ih", "weight_hh"):
            if f"layers.0.{name}" in model.weights_:
                model.weights_[f"layers.0.{name}"][...] *= factor

    scale_weights(10)
    before = model.predict(X)
    scale_weights(100)
    # But for epsilon, which is 1e-5, beside a variance of 100.
    np.testing.assert_allclose(model.predict(X), before, atol=1e-4)
    model.weights_["layers.0.norm_ih"][...] *= 2
    assert np.abs(model.predict(X) - before).max() > 0.01


def test_a_stream_has_the_bits_of_predict(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(37, 4)).fit(X, Y)
    many, one = model.stream(20), model.stream()
    for t in range(6):
        together, alone = many.step(X[:, t]), one.step(X[4, t])
    np.testing.assert_array_equal(together, model.predict(X))
    np.testing.assert_array_equal(alone, model.predict(X[4:5]))


def test_a_sequence_has_the_same_bits_in_any_batch(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(30, 7), max_iter=1).fit(X, Y)
    # More steps than prediction holds at a time.
    xs = [*RAGGED, RNG.normal(size=(700, 4))]
    together = model.predict(xs)
    for n in (1, 2, 5):
        rows = RNG.permutation(len(xs))[:n]
        np.testing.assert_array_equal(model.predict([xs[k] for k in rows]), together[rows])


def test_prediction_in_chunks_equals_the_oracle(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(20, 3), dtype="float64").fit(X, Y)
    network = model._network
    xs = [RNG.normal(size=(T, 4)) for T in (700, 520, 1)]
    scores = [reference.forward(network.architecture, network.weights, x)[0] for x in xs]
    expected = model.y_offset_ + model.y_scale_ * np.ravel(scores)
    np.testing.assert_allclose(model.predict(xs), expected, atol=1e-10)


def test_gate_values_are_of_the_normalized_network():
    model = regressor(dtype="float64").fit(X, Y)
    values = model.gate_values(X)
    c, o = (values[f"layers.0.{name}"][3][-1] for name in "co")
    weights = {name: model.weights_[f"layers.0.{name}"] for name in ("norm_c", "bias_c")}
    h = o * np.tanh(weights["norm_c"] * reference.standardize(c) + weights["bias_c"])
    np.testing.assert_allclose(values["layers.0.h"][3][-1], h, atol=1e-12)


def test_numbers_without_variance_are_zeros(cell):
    architecture = Architecture(4, (5,), 1, "squared_error", "float64", cell, layer_norm=True)
    network = Network(architecture)
    x = np.zeros((6, 4))  # so that all products of the first step are 0
    for value in (0, 1):
        network.parameters[:] = value
        network.changed()
        _, features = network.forward(
            Sequences.from_equal_lengths(x[None] + 3), 1, features=True
        )
        _, (_, expected, _, _) = reference.forward(architecture, network.weights, x + 3)
        np.testing.assert_allclose(features[0], expected, atol=1e-12)


def test_left_padded_sequences_are_learnt(cell):
    rng = np.random.default_rng(0)
    padded = rng.normal(size=(200, 14, 3))
    for x, n in zip(padded, rng.integers(0, 10, size=200), strict=True):
        x[:n] = 0
    y = padded[:, -1, 0]
    model = regressor(cell=cell, max_iter=40, learning_rate_init=0.01)
    assert model.fit(padded, y).score(padded, y) > 0.5


def test_chunks_of_steps_carry_the_state(cell):
    # The sum so far needs what came before the chunk.
    y = np.cumsum(X[:, :, 0], axis=1)
    model = regressor(cell=cell, return_sequences=True, max_iter=1, dtype="float64")
    whole = model.fit(X, y).loss_
    assert model.set_params(bptt_steps=6).fit(X, y).loss_ == whole
    # The first step of the solver comes after two steps, the same way with any chunks.
    model.set_params(bptt_steps=2, learning_rate_init=1e-12)
    assert model.fit(X, y).loss_ == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "X", "message"),
    [
        ({}, X[:, :, :1], "but a step has one feature. Give more, if only a constant"),
        ({"embedding_dim": 1}, RNG.integers(5, size=(20, 6)), "but embedding_dim is 1"),
        ({"hidden_layer_sizes": (4, 1, 4)}, X, "but a layer has one unit"),
        ({"projection_size": 1}, X, "or a projection of one number"),
    ],
)
def test_vectors_of_one_number_are_refused(settings, X, message):
    with pytest.raises(ValueError, match=message):
        regressor(**settings).fit(X, Y)


def test_weights_in_int8_are_refused():
    model = LSTMClassifier(6, layer_norm=True, max_iter=1, random_state=0).fit(X, Y > 0)
    message = r"weights='int8' is not possible with layer_norm=True, which normalizes"
    with pytest.raises(ValueError, match=message):
        model.quantize()
    with pytest.raises(ValueError, match=message):
        model.stream(weights="int8")


def test_it_cannot_change_while_training_continues():
    model = regressor().partial_fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="layer_norm from True to False"):
        model.set_params(layer_norm=False).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="The 'layer_norm' parameter"):
        regressor(layer_norm="yes").fit(X, Y)


@pytest.mark.parametrize("init_scale", [None, 0.1])
def test_a_language_model_trains(init_scale):
    text = "the cat sat on the mat and the dog sat on the log. " * 20
    model = LSTMLanguageModel(
        (16, 16),
        layer_norm=True,
        init_scale=init_scale,
        max_iter=40,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(text)
    assert model.perplexity(text) < 3
