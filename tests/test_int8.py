"""Predictions with weights in int8."""

import copy
import pickle

import numpy as np
import pytest
import reference_lstm as reference
from problem import Problem
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor, _plan
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences, ragged_to_sequences

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6, 3))
Y = X[:, :, 0].sum(axis=1)

QUANTIZED = [name for name, cell in _plan.CELLS.items() if not cell.see_rh]
PROJECTED = [name for name in QUANTIZED if "c" in _plan.CELLS[name].state]


# The kernels


def rounded(rows):
    """What int8 makes of each row: its scale times integers, halves away from zero."""
    rows = rows.astype(np.float32)
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        twice = (rows * (np.float32(254) / largest)).astype(np.int64)
    integers = np.where(largest > 0, (np.abs(twice) + 1) // 2 * np.sign(twice), 0)
    return integers * (largest / np.float32(127)).astype(np.float64)


def layer_weights(network, name):
    """Of a layer in one direction, its matrices as int8 has them."""
    weights = {
        key.removeprefix(name): value.astype(np.float64)
        for key, value in network.weights.items()
        if key.startswith(name) and "." not in key.removeprefix(name)
    }
    for key in ("weight_ih", "weight_hh"):
        if key in weights:
            weights[key] = rounded(weights[key])
    return weights


def traced(problem, network):
    """Of every layer and direction in turn: gates, c and h of all steps, side by side."""
    a = network.architecture
    traces = [
        np.empty(
            (problem.sequences.n_rows, (len(a.gates) + 1) * n_units + n_outputs), np.float32
        )
        for n_units, n_outputs in zip(a.hidden_layer_sizes, a.output_sizes, strict=True)
        for _ in a.directions
    ]
    states = problem.states.astype(np.float32)
    network.forward(problem.sequences, 2, scores=False, traces=traces, state_in=states)
    return traces


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", QUANTIZED)
def test_every_step_equals_the_oracle(cell, activation, bidirectional, instruction_set):
    check_every_step(cell=cell, activation=activation, bidirectional=bidirectional)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", PROJECTED)
def test_every_step_with_a_projection_equals_the_oracle(cell, bidirectional, instruction_set):
    check_every_step(cell=cell, bidirectional=bidirectional, projection=17)


def check_every_step(**architecture):
    # Each step from the state that the kernels had before it: where an error of 1e-7 moves a
    # state to the next integer, later steps differ by far more.
    lengths = [7, 3, 5, 1, 9]
    problem = Problem(
        (37, 19),
        lengths,
        "squared_error",
        dtype="float32",
        **architecture,
    )
    problem.network.parameters[:] *= 0.3
    problem.network.weights["layers.0.weight_ih"][1] = 0  # a row of zeros
    problem.states[2] = 0
    network = problem.network.copy(weights="int8")
    a, n_gates = network.architecture, len(network.architecture.gates)
    traces = traced(problem, network)
    inputs, at = problem.sequences.values, 0
    for k, n_units in enumerate(a.hidden_layer_sizes):
        outputs = []
        for d, direction in enumerate(a.directions):
            weights = layer_weights(network, f"layers.{k}.{direction}")
            trace = traces.pop(0)
            n_outputs = a.output_sizes[k]
            n_state = n_outputs + n_units * ("c" in _plan.CELLS[a.cell].state)
            outputs.append(trace[:, (n_gates + 1) * n_units :])
            for row, length in enumerate(lengths):
                h = problem.states[row, at : at + n_outputs]
                c = problem.states[row, at : at + n_state][-n_units:]
                for t in range(length)[:: -1 if d else 1]:
                    place = problem.sequences.starts[row] + t
                    (step,) = reference.layer_forward(
                        a, weights, [rounded(inputs[place])], rounded(h), c, 1.0
                    )
                    expected = np.concatenate([step[name] for name in (*a.gates, "c", "h")])
                    np.testing.assert_allclose(trace[place], expected, rtol=1e-5, atol=1e-5)
                    c, h = np.split(trace[place, n_gates * n_units :], [n_units])
            at += n_state
        inputs = np.concatenate(outputs, axis=1)


def random_network(sizes=(70, 33), n_scores=5, **architecture):
    network = Network(
        Architecture(5, sizes, n_scores, "squared_error", "float32", **architecture)
    )
    network.initialize(np.random.RandomState(0))
    return network.copy(weights="int8")


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_a_sequence_has_the_same_bits_in_any_batch(bidirectional, instruction_set):
    rng = np.random.default_rng(0)
    network = random_network(bidirectional=bidirectional)
    xs = [rng.normal(scale=10.0 ** rng.integers(-3, 3), size=(T, 5)) for T in [12, 7, 1] * 25]

    def outputs(rows, n_threads=2):
        sequences = ragged_to_sequences([xs[k] for k in rows], "float32")
        return network.forward(sequences, n_threads, features=True)[1]

    whole = outputs(range(75))
    for n in (1, 2, 3, 7, 8, 9, 40):
        rows = rng.permutation(75)[:n]
        np.testing.assert_array_equal(outputs(rows), whole[rows])
    for n_threads in (1, 3, 4):
        np.testing.assert_array_equal(outputs(range(75), n_threads), whole)


@pytest.mark.parametrize("cell", QUANTIZED)
@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
def test_teams_predict_the_same_bits(per_step, cell, teams):
    # More steps than prediction holds at a time. A sequence alone multiplies its inputs first.
    lengths = [900] if per_step else [900, 700]
    problem = Problem(
        (130, 90),
        lengths,
        "squared_error",
        dtype="float32",
        n_inputs=120,
        per_step=per_step,
        cell=cell,
    )
    problem.network.parameters[:] *= 0.2
    network = problem.network.copy(weights="int8")
    forward = network.forward
    expected = forward(problem.sequences, 1)[0].tobytes()
    assert {forward(problem.sequences, n)[0].tobytes() for n in (2, 3, 4)} == {expected}
    assert network._workspaces[0].n_members > 1


def test_a_stream_has_the_bits_of_the_whole_sequence(instruction_set):
    x = np.random.default_rng(0).normal(size=(19, 12, 5)).astype(np.float32)
    x[3, 4] = 0
    network = random_network(n_scores=37, per_step=True)
    expected = network.forward(Sequences.from_equal_lengths(x), 2)[0].reshape(19, 12, 37)
    stream = network.stream(19)
    for t in range(12):
        stream.inputs[:] = x[:, t]
        stream.step()
        np.testing.assert_array_equal(stream.scores, expected[:, t])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(value, instruction_set):
    network = random_network((20,))
    network.weights["layers.0.weight_hh"][3, 5] = value
    network.changed()
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    scores, _ = network.forward(Sequences.from_equal_lengths(x), 1)
    assert np.isnan(scores).all()


def test_numbers_of_any_size_predict_finite_numbers():
    network = random_network((20,))
    for scale in (0, 1e-45, 1e-30, 1e-10, 1e30, 3e38):
        x = np.full((3, 4, 5), scale, np.float32)
        scores, _ = network.forward(Sequences.from_equal_lengths(x), 1)
        assert np.isfinite(scores).all()


# The estimators


def fitted(estimator=LSTMRegressor, **settings):
    y = Y if estimator is LSTMRegressor else np.where(Y > 0, "up", "down")
    return estimator(16, max_iter=20, random_state=0, **settings).fit(X, y)


def test_predictions_are_close_to_those_of_float32():
    model = fitted(learning_rate_init=0.01)
    quantized = model.quantize()
    # Each number is off by at most half of 1/127 of the largest one beside it; over 16 units
    # and 6 steps such errors stay below a twentieth of the spread of the targets.
    error = np.abs(quantized.predict(X) - model.predict(X)).max()
    assert 0 < error < 0.05 * Y.std()
    assert quantized.score(X, Y) == pytest.approx(model.score(X, Y), abs=0.01)
    features = model.transform(X)
    error = np.abs(quantized.transform(X) - features)
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(features**2))


def test_a_quantized_classifier_has_all_methods():
    model = fitted(LSTMClassifier, learning_rate_init=0.01)
    quantized = model.quantize("int8")
    assert (quantized.predict(X) == model.predict(X)).mean() > 0.95
    for method in ("predict_proba", "decision_function"):
        actual, expected = getattr(quantized, method)(X), getattr(model, method)(X)
        np.testing.assert_allclose(actual, expected, atol=0.1)
        assert not np.array_equal(actual, expected)
    assert quantized.loss_curve_ == model.loss_curve_
    assert quantized.n_iter_ == 20


def test_a_quantized_language_model():
    text = "to be or not to be, that is the question. " * 30
    model = LSTMLanguageModel(32, learning_rate_init=0.01, batch_size=4, random_state=0)
    quantized = model.fit(text).quantize()
    assert quantized.bits_per_token(text) != model.bits_per_token(text)
    assert quantized.bits_per_token(text) == pytest.approx(
        model.bits_per_token(text), abs=0.05
    )
    assert quantized.sample(15, prompt="to be or ", temperature=0) == "not to be, that"


@pytest.mark.parametrize("settings", [{}, {"return_sequences": True}])
def test_streams_have_the_bits_of_the_quantized_model(settings):
    y = np.cumsum(X[:, :, 0], axis=1) if settings else Y
    model = LSTMRegressor((16, 9), max_iter=3, random_state=0, **settings).fit(X, y)
    quantized = model.quantize()
    expected = quantized.predict(X)
    for stream in (model.stream(40, weights="int8"), quantized.stream(40)):
        for t in range(6):
            got = stream.step(X[:, t])
            if settings:
                np.testing.assert_array_equal(got, expected[:, t])
        np.testing.assert_array_equal(got, expected[:, -1] if settings else expected)
    with_float32 = model.stream(40)
    assert not np.array_equal(with_float32.step(X[:, 0]), stream.step(X[:, 0]))


TWINS = [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


@pytest.mark.parametrize("twin", TWINS)
def test_copies_and_pickles_are_quantized(twin):
    model = fitted()
    quantized = model.quantize()
    expected = quantized.predict(X)
    other = twin(quantized)
    model.fit(X, -Y)
    np.testing.assert_array_equal(quantized.predict(X), expected)
    np.testing.assert_array_equal(other.predict(X), expected)
    np.testing.assert_array_equal(other.quantize().predict(X), expected)
    stream = quantized.stream(40)
    for t in range(6):
        got = twin(stream).step(X[:, t])
        stream.step(X[:, t])
    np.testing.assert_array_equal(got, expected)


def test_quantizing_leaves_the_model_as_it_was():
    model, same = fitted(warm_start=True), fitted(warm_start=True)
    expected = model.predict(X)
    model.quantize()
    model.stream(weights="int8")
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(model.fit(X, Y).predict(X), same.fit(X, Y).predict(X))


def test_weights_that_are_set_are_quantized_again():
    quantized = fitted().quantize()
    before = quantized.predict(X)
    quantized.weights_["layers.0.weight_ih"][:] *= 2
    assert not np.array_equal(quantized.predict(X), before)


@pytest.mark.parametrize("estimator", [LSTMRegressor, LSTMClassifier])
def test_a_quantized_model_cannot_be_trained(estimator):
    quantized = fitted(estimator).quantize()
    expected = quantized.predict(X)
    y = Y if estimator is LSTMRegressor else np.where(Y > 0, "up", "down")
    message = f"This {estimator.__name__} has quantized weights, which have no gradients"
    for train in (quantized.fit, quantized.partial_fit, copy.copy(quantized).fit):
        with pytest.raises(ValueError, match=message):
            train(X, y)
    with pytest.raises(ValueError, match=message):
        quantized.input_gradients(X)
    np.testing.assert_array_equal(quantized.predict(X), expected)
    unfitted = clone(quantized)
    with pytest.raises(NotFittedError):
        unfitted.predict(X)
    np.testing.assert_array_equal(unfitted.fit(X, y).predict(X), fitted(estimator).predict(X))


def test_a_quantized_network_has_no_gradients():
    problem = Problem((3,), [4], "squared_error", dtype="float32")
    problem.network = problem.network.copy(weights="int8")
    with pytest.raises(ValueError, match="int8 weights has no gradients"):
        problem.loss_and_gradients()


def test_what_cannot_be_quantized(monkeypatch):
    with pytest.raises(NotFittedError):
        LSTMRegressor().quantize()
    model = fitted()
    for weights in ("int4", None, 8, ["int8"]):
        with pytest.raises(ValueError, match=r"weights=.* must be one of \['int8'\]"):
            model.quantize(weights)
    with pytest.raises(ValueError, match=r"weights='int4' must be one of \['int8'\]"):
        model.stream(weights="int4")
    double = fitted(dtype="float64")
    for quantize in (double.quantize, lambda: double.stream(weights="int8")):
        with pytest.raises(ValueError, match=r"needs dtype='float32', .* dtype='float64'"):
            quantize()
    reset_first = fitted(cell="gru_v1")
    for quantize in (reset_first.quantize, lambda: reset_first.stream(weights="int8")):
        with pytest.raises(ValueError, match="not possible with cell='gru_v1', which"):
            quantize()
    monkeypatch.setenv("CYLSTM_PRODUCTS", "blas")
    with pytest.raises(ValueError, match="not possible with CYLSTM_PRODUCTS='blas'"):
        model.quantize()


def test_sums_that_could_overflow_are_refused():
    message = (
        "at most 131072 inputs and numbers of the hidden state of a layer, but one has 131073"
    )
    architecture = Architecture(131073, [1], 1, "squared_error", "float32", weights="int8")
    with pytest.raises(ValueError, match=message):
        Network(architecture)
    # The largest sum, of 131072 times 127 * 127.
    network = Network(Architecture(131072, [1], 1, "squared_error", "float32", weights="int8"))
    network.weights["layers.0.weight_ih"][:] = 1e-6
    x = np.ones((1, 1, 131072), np.float32)
    traces = [np.empty((1, 6), np.float32)]
    network.forward(Sequences.from_equal_lengths(x), 1, scores=False, traces=traces)
    z = np.float64(np.float32(1e-6)) * 131072
    expected = reference.sigmoid(z)
    np.testing.assert_allclose(traces[0][0, 0], expected, rtol=1e-6)
