"""Layers whose hidden state is a projection of what their cells put out."""

import pickle

import numpy as np
import pytest
from problem import PROJECTED, Problem, assert_same_bits

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor, _plan
from cylstm._network import Architecture, Network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 4))
RAGGED = [x[: 1 + k % 6] for k, x in enumerate(X)]
Y = X[:, :, 0].sum(axis=1)
ESTIMATORS = [LSTMRegressor, LSTMClassifier, LSTMLanguageModel]


# The network


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", PROJECTED)
def test_gradients(cell, bidirectional, per_step, products):
    problem = Problem(
        (4, 3),
        [4, 7, 1],
        "squared_error",
        n_inputs=2 * (1 + bidirectional),
        cell=cell,
        projection=2,
        bidirectional=bidirectional,
        per_step=per_step,
        residual=True,
        dropout=0.3,
        recurrent_dropout=0.3,
        weight_dropout=0.3,
    )
    problem.check_central_differences()
    problem.check_oracle()


@pytest.mark.parametrize("cell", PROJECTED)
def test_gradients_of_the_oracle(cell):
    problem = Problem(
        (4, 3), [4, 1], "squared_error", cell=cell, projection=2, bidirectional=True
    )
    problem.check_oracle_itself()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 2e-5)])
@pytest.mark.parametrize("size", [1, 16, 33, 70, 129])
def test_sizes_of_whole_and_part_blocks_equal_the_oracle(
    size, dtype, tolerance, products, instruction_set
):
    # More steps than a gradient is summed over at a time.
    problem = Problem((130,), [45] * 7 + [3], "squared_error", projection=size, dtype=dtype)
    problem.network.parameters[:] *= 0.2
    problem.check_oracle(tolerance, n_threads=2)


def test_more_shards_than_lanes_equal_the_oracle(products):
    problem = Problem((7, 5), [2, 1, 3] * 91, "squared_error", projection=3)
    problem.check_oracle(n_threads=2)


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", PROJECTED)
@pytest.mark.parametrize("lengths", [[60], [60, 31, 60, 7], [40] * 13], ids=len)
def test_teams_do_not_change_the_bits(lengths, cell, bidirectional, per_step, teams):
    problem = Problem(
        (150, 90),
        lengths,
        "squared_error",
        cell=cell,
        projection=70,
        bidirectional=bidirectional,
        per_step=per_step,
        n_inputs=120,
        recurrent_dropout=0.2 if cell == "lstm" else 0,
    )
    problem.network.parameters[:] *= 0.2
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=4)
    assert problem.workspace.n_members > 1


def test_teams_predict_the_same_bits(teams):
    # More steps than prediction holds at a time.
    problem = Problem((150,), [900, 700], "squared_error", dtype="float32", projection=70)
    forward = problem.network.forward
    expected = forward(problem.sequences, 1)[0].tobytes()
    assert {forward(problem.sequences, n)[0].tobytes() for n in (2, 3, 4, 7)} == {expected}
    assert problem.network._workspaces[0].n_members > 1


def test_initial_weights():
    network = Network(Architecture(5, (16, 8), 2, "squared_error", "float64", projection=6))
    network.initialize(np.random.RandomState(0))
    for name, n_units in [("layers.0", 16), ("layers.1", 8)]:
        for gate in network.weights[f"{name}.weight_hh"].reshape(4, n_units, 6):
            np.testing.assert_allclose(gate.T @ gate, np.eye(6), atol=1e-12)
        limit = np.sqrt(6 / (n_units + 6))
        assert 0.9 * limit < np.abs(network.weights[f"{name}.weight_hr"]).max() <= limit


def test_the_penalty_is_on_projections_too():
    network = Network(Architecture(3, (4,), 1, "squared_error", "float64", projection=2))
    place = network.architecture.places["layers.0.weight_hr"]
    assert (place.start, place.stop) in network.penalized


# The estimators


def regressor(**settings):
    settings = {"max_iter": 3, "random_state": 0, "projection_size": 3, **settings}
    return LSTMRegressor(settings.pop("hidden_layer_sizes", (6, 5)), **settings)


@pytest.mark.parametrize("weights", [None, "int8"])
@pytest.mark.parametrize("pooling", ["last", "attention"])
@pytest.mark.parametrize("cell", PROJECTED)
def test_a_stream_has_the_bits_of_predict(cell, pooling, weights):
    model = regressor(cell=cell, pooling=pooling).fit(X, Y)
    expected = (model.quantize(weights) if weights else model).predict(X)
    many, one = model.stream(20, weights=weights), model.stream(weights=weights)
    assert many.state.shape[1] == 6 + 5 + 2 * 3 + (5 if pooling == "attention" else 0)
    for t in range(6):
        if t == 3:
            many, one.state = pickle.loads(pickle.dumps(many)), one.state
        together, alone = many.step(X[:, t]), one.step(X[4, t])
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_array_equal(alone, expected[4:5])


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_hidden_states_are_projections(bidirectional):
    model = regressor(bidirectional=bidirectional, dtype="float64").fit(RAGGED, Y)
    assert model.transform(RAGGED).shape == (20, 3 * (1 + bidirectional))
    assert len(model.get_feature_names_out()) == 3 * (1 + bidirectional)
    # More steps than prediction holds at a time, some of rows that end early.
    for xs in (RAGGED, [RNG.normal(size=(n, 4)) for n in (700, 520, 3, 1)]):
        values = model.gate_values(xs)
        for name in ("layers.0.", "layers.1.") + ("layers.1.reverse.",) * bidirectional:
            W_hr = model.weights_[f"{name}weight_hr"]
            for o, c, h in zip(*(values[name + part] for part in "och"), strict=True):
                np.testing.assert_allclose(h, o * np.tanh(c) @ W_hr.T, atol=1e-12)
        ends = [h[-1] for h in values["layers.1.h"]]
        np.testing.assert_array_equal(model.transform(xs)[:, :3], ends)


def test_attention_sees_projections():
    model = regressor(pooling="attention", residual=True, dtype="float64").fit(RAGGED, Y)
    values = model.gate_values(RAGGED)
    for k, weights in enumerate(model.attention_weights(RAGGED)):
        outputs = values["layers.0.h"][k] + values["layers.1.h"][k]
        np.testing.assert_allclose(model.transform(RAGGED)[k], weights @ outputs, atol=1e-12)


def test_chunks_carry_the_state():
    y = np.cumsum(X[:, :, 0], axis=1)
    settings = {"return_sequences": True, "batch_size": 20, "shuffle": False, "max_iter": 1}
    whole = regressor(**settings, solver="sgd", learning_rate_init=1e-12).fit(X, y)
    chunks = regressor(**settings, solver="sgd", learning_rate_init=1e-12, bptt_steps=2)
    # Weights that hardly move: the loss of chunks is that of whole sequences.
    assert chunks.fit(X, y).loss_ == pytest.approx(whole.loss_, rel=1e-5)


def test_residual_connections_are_between_projections():
    first = regressor(residual=True).fit(X, Y)
    assert first.transform(X).shape == (20, 3)
    message = r"no layer has as many inputs \(\[4\]\) as outputs \(\[3\]\)"
    with pytest.raises(ValueError, match=message):
        regressor(residual=True, hidden_layer_sizes=4).fit(X, Y)


def test_training_goes_on_after_pickling():
    model = regressor().partial_fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    expected = model.partial_fit(X, Y)._network.parameters
    np.testing.assert_array_equal(again.partial_fit(X, Y)._network.parameters, expected)


@pytest.mark.parametrize("tie_weights", [False, True])
def test_a_language_model(tie_weights):
    texts = ["to be or not to be", "that is the question", "whether"]
    model = LSTMLanguageModel(
        (8, 6),
        projection_size=5,
        tie_weights=tie_weights,
        batch_size=2,
        max_iter=40,
        dropout=0.0,
        learning_rate="constant",
        learning_rate_init=0.05,
        random_state=0,
    ).fit(texts)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    assert model.transform(texts).shape == (3, 5)
    np.testing.assert_array_equal(model.transform(texts[2])[-1], model.transform(texts)[2])
    assert len(model.sample(9, random_state=0)) <= 9


# Refused


@pytest.mark.parametrize("cell", sorted({*_plan.CELLS} - {*PROJECTED}))
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_cells_whose_state_is_h_have_none(estimator, cell):
    model = estimator(8, cell=cell, projection_size=3)
    with pytest.raises(ValueError, match=f'projection_size=3 .* with cell="{cell}": a GRU'):
        model.fit(None, None)


@pytest.mark.parametrize(("sizes", "shown"), [(3, r"\[3\]"), ((9, 2), r"\[9, 2\]")])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_is_smaller_than_every_layer(estimator, sizes, shown):
    message = f"projection_size=3 must be smaller than .* hidden_layer_sizes has {shown}"
    with pytest.raises(ValueError, match=message):
        estimator(sizes, projection_size=3).fit(None, None)


@pytest.mark.parametrize("size", [0, -1, 2.0, "3", [3]])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_is_a_positive_integer(estimator, size):
    with pytest.raises(ValueError, match="The 'projection_size' parameter"):
        estimator(8, projection_size=size).fit(None, None)


def test_it_does_not_change_while_training_goes_on():
    model = regressor(warm_start=True).fit(X, Y)
    before = model.predict(X)
    for size in (2, None):
        model.set_params(projection_size=size)
        for train in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=f"projection_size from 3 to {size}"):
                train(X, Y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_tied_weights_are_as_wide_as_the_projection():
    model = LSTMLanguageModel(8, projection_size=5, tie_weights=True, embedding_dim=8)
    message = "embedding_dim=8 must be projection_size, 5, with tie_weights=True"
    with pytest.raises(ValueError, match=message):
        model.fit("to be or not to be")
