"""The engine against numerical derivatives, the NumPy oracle and PyTorch."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import reference_lstm as reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problem import (
    N_SCORES,
    PRODUCT,
    Problem,
    as_many_as_outputs,
    assert_close_to_largest,
    assert_same_bits,
    label,
)

from cylstm import _engine, _plan
from cylstm._network import Architecture, Network
from cylstm._sequences import Sequences

LENGTHS = {"equal": [5] * 9, "ragged": [4, 9, 1, 6, 2, 9, 3, 8, 5], "single": [7]}
SIZES = {"one layer": (5,), "two layers": (4, 3), "three layers": (3, 5, 2)}


@pytest.mark.parametrize("loss", ["squared_error", "logistic", "softmax", "quantile"])
@pytest.mark.parametrize("lengths", ["equal", "ragged"])
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_equal_central_differences(sizes, lengths, loss):
    Problem(SIZES[sizes], LENGTHS[lengths], loss).check_central_differences()


@pytest.mark.parametrize("loss", N_SCORES)
def test_gradients_of_the_oracle_equal_central_differences(loss):
    problem = Problem((3, 2), [4, 1, 6], loss)
    problem.check_oracle_itself()


@pytest.mark.parametrize("states", [True, False], ids=["initial state", "zero state"])
@pytest.mark.parametrize("loss", N_SCORES)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("sizes", SIZES)
def test_loss_and_gradients_equal_the_oracle(sizes, lengths, loss, states):
    Problem(SIZES[sizes], LENGTHS[lengths], loss, states=states).check_oracle()


@st.composite
def problems(draw):
    """Anything that the architecture allows, on ragged sequences of 1 to 9 steps; with an
    initial state and a first step they are chunks of longer ones."""
    around = draw(st.sampled_from(PRODUCT))
    losses = {*N_SCORES} - {"absolute_error", "quantile"}
    if not around["per_step"]:
        losses.remove("crf")
    sizes = draw(st.sampled_from([(3, 3), (3,), (4, 3), (3, 4, 3)]))
    return Problem(
        sizes,
        [*draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)), 4],
        # Near its kink a numerical derivative of the two that are left out says nothing.
        draw(st.sampled_from(sorted(losses))),
        states=draw(st.booleans()),
        n_inputs=as_many_as_outputs(sizes[0], around),
        **around,
        activation=draw(st.sampled_from(["tanh", "relu"])),
        vocabulary=draw(st.sampled_from([0, 6])),
        dropout=draw(st.sampled_from([0.0, 0.4])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.3])),
        weight_dropout=draw(st.sampled_from([0.0, 0.4])),
        embedding_dropout=draw(st.sampled_from([0.0, 0.3])),
        first_step=draw(st.sampled_from([0, 6])),
    )


@settings(deadline=None, max_examples=150, derandomize=True)
@given(problem=problems())
def test_any_network_equals_the_oracle(problem):
    problem.check_oracle()


@settings(deadline=None, max_examples=40, derandomize=True)
@given(problem=problems())
def test_gradients_of_any_network_equal_central_differences(problem):
    problem.check_central_differences()


def small_problem(around):
    """Ragged; inputs of both layers are added to their outputs where there are residual
    connections."""
    return Problem(
        (3, 3),
        [4, 1, 7],
        "squared_error",
        n_inputs=as_many_as_outputs(3, around),
        dropout=0.3,
        recurrent_dropout=0.3,
        weight_dropout=0.3,
        **around,
    )


@pytest.mark.parametrize("around", PRODUCT, ids=label)
def test_all_that_may_stand_around_a_cell_equals_the_oracle(around):
    small_problem(around).check_oracle()


@settings(deadline=None, max_examples=100, derandomize=True)
@given(around=st.sampled_from(PRODUCT))
def test_gradients_of_what_stands_around_a_cell_equal_central_differences(around):
    small_problem(around).check_central_differences()


@settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(around=st.sampled_from(PRODUCT))
def test_bits_of_any_network_are_the_same_in_teams(teams, around):
    around = {**around, "projection": around["projection"] and 40}
    problem = Problem(
        (66, 66),  # several blocks
        [20, 7, 20, 20],
        "squared_error",
        dtype="float32",
        n_inputs=as_many_as_outputs(66, around),
        recurrent_dropout=0.2,
        **around,
    )
    problem.network.parameters[:] *= 0.2  # gates are not all 0 or 1
    assert_same_bits(problem)
    problem.loss_and_gradients(n_threads=4)
    assert problem.workspace.n_members > 1


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_gradients_of_every_cell(cell, activation, bidirectional, per_step):
    architecture = {
        "cell": cell,
        "activation": activation,
        "bidirectional": bidirectional,
        "per_step": per_step,
    }
    problem = Problem((3, 2), [4, 9, 1, 6], "squared_error", **architecture)
    problem.check_central_differences()
    problem.check_oracle()
    problem.check_oracle_itself()


@pytest.mark.parametrize("states", [True, False], ids=["initial state", "zero state"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("pooling", _plan.POOLINGS)
def test_gradients_of_every_pooling(pooling, bidirectional, states):
    problem = Problem(
        (3, 5),
        [4, 9, 1, 6],
        "squared_error",
        states=states,
        pooling=pooling,
        bidirectional=bidirectional,
        dropout=0.3,
    )
    problem.check_central_differences()
    problem.check_oracle()
    problem.check_oracle_itself()


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("pooling", ["last", "max", None])
def test_gradients_of_residual_connections(pooling, bidirectional):
    # Inputs of the first layer are added, too, and those of the third are too few.
    problem = Problem(
        (3, 3, 2) if bidirectional else (6, 6),
        [4, 9, 1, 6],
        "squared_error",
        n_inputs=6,
        residual=True,
        per_step=pooling is None,
        pooling=pooling or "last",
        bidirectional=bidirectional,
        dropout=0.3,
    )
    problem.check_central_differences()
    problem.check_oracle()
    problem.check_oracle_itself()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_gradients_of_layer_normalization(cell, activation):
    problem = Problem(
        (3, 2),
        [4, 1, 3],
        "squared_error",
        cell=cell,
        activation=activation,
        bidirectional=activation == "tanh",
        recurrent_dropout=0.0 if cell == "input_gated" else 0.3,
        layer_norm=True,
    )
    problem.check_central_differences()
    problem.check_oracle()
    problem.check_oracle_itself()


@pytest.mark.parametrize("products", ["packed", "blas"])
@pytest.mark.parametrize("cell", _plan.CELLS)
def test_layers_of_several_blocks_are_normalized(cell, products, monkeypatch):
    # Whole blocks of 16 units alone, several with a part of one, and the smallest part.
    monkeypatch.setenv("CYLSTM_PRODUCTS", products)
    problem = Problem(
        (32, 43, 1), LENGTHS["ragged"], "squared_error", cell=cell, layer_norm=True
    )
    problem.check_oracle()


def test_a_batch_is_any_choice_of_the_sequences():
    problem = Problem((4,), LENGTHS["ragged"], "squared_error", states=False)
    batch = np.array([7, 2, 2, 0])
    loss, _ = problem.loss_and_gradients(batch=batch)
    expected = reference.batch_loss(
        problem.architecture,
        problem.reference_weights(),
        [problem.xs[k] for k in batch],
        problem.ys[batch],
        problem.weights[batch],
    )
    assert loss == pytest.approx(expected, rel=1e-10)


OF_SCORES = sorted({*N_SCORES} - {"softmax", "crf"})


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("loss", OF_SCORES)
def test_missing_targets_count_nothing(loss, per_step):
    lengths = LENGTHS["ragged"]
    problem = Problem((4, 3), lengths, loss, per_step=per_step, dropout=0.3, missing=True)
    assert 0 < np.isnan(problem.ys).sum() < problem.ys.size
    problem.check_oracle()
    problem.check_central_differences()
    problem.check_oracle_itself()


@pytest.mark.parametrize("loss", OF_SCORES)
def test_a_loss_with_missing_targets_is_that_without_their_scores(loss):
    problem = Problem((4,), LENGTHS["ragged"], loss, n_scores=6)
    n_targets = problem.ys.shape[1]
    problem.ys[:, n_targets // 2 :] = np.nan
    part = Problem((4,), LENGTHS["ragged"], loss, n_scores=3)
    part.ys = problem.ys[:, : n_targets // 2]
    for same in ("xs", "sequences", "weights", "states"):
        setattr(part, same, getattr(problem, same))
    for name, weight in part.network.weights.items():
        whole = problem.network.weights[name]
        weight[...] = whole[:3] if name.startswith("head") else whole
    # Half of six scores weigh as much as they do beside three others.
    share = 1 if loss == "logistic" else 1 / 2
    (value, gradients), (of_part, gradients_of_part) = (
        p.loss_and_gradients() for p in (problem, part)
    )
    assert value == pytest.approx(share * of_part, rel=1e-14)
    gradients, gradients_of_part = problem.named(gradients), part.named(gradients_of_part)
    for name, expected in gradients_of_part.items():
        actual = gradients[name]
        if name.startswith("head"):
            assert not actual[3:].any()
            actual = actual[:3]
        assert_close_to_largest(actual, share * expected, 1e-13, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", OF_SCORES)
def test_without_any_target_nothing_is_learned_and_a_bad_score_still_seen(loss, dtype):
    problem = Problem((4,), LENGTHS["ragged"], loss, dtype=dtype, per_step=True)
    problem.ys[:] = np.nan
    value, gradients = problem.loss_and_gradients()
    assert value == 0
    assert not gradients.used.any()
    for bad in (np.nan, np.inf):
        problem.network.weights["head.bias"][0] = bad
        assert np.isnan(problem.loss_and_gradients()[0])


@pytest.mark.parametrize("loss", OF_SCORES)
def test_a_score_of_nan_is_a_loss_of_nan_beside_missing_targets(loss):
    problem = Problem((4,), LENGTHS["ragged"], loss)
    problem.ys[:, 0] = np.nan
    bias = problem.network.weights["head.bias"]
    for place in range(len(bias)):
        bias[...] = 0
        bias[place] = np.nan
        assert np.isnan(problem.loss_and_gradients()[0])


def test_a_batch_without_weight_has_no_loss():
    problem = Problem((4,), LENGTHS["ragged"], "squared_error", states=False)
    problem.weights[:] = 0
    assert problem.loss_and_gradients()[0] == 0


@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("n_sequences", [1, 40])
def test_forward_equals_the_oracle_over_many_chunks(n_sequences, bidirectional, per_step):
    # 700 steps are more than prediction holds at a time.
    lengths = [700] + [k * 13 + 1 for k in range(n_sequences - 1)]
    problem = Problem(
        (6, 5), lengths, "squared_error", bidirectional=bidirectional, per_step=per_step
    )
    a, sequences = problem.architecture, problem.sequences
    state_out = np.empty_like(problem.states)
    traces = [
        np.full((sequences.n_rows, 6 * n_units), np.nan)
        for n_units in a.hidden_layer_sizes
        for _ in a.directions
    ]
    scores, features = problem.network.forward(
        sequences,
        2,
        features=True,
        state_in=problem.states,
        state_out=state_out,
        traces=traces,
    )
    weights = problem.reference_weights()
    for k, (x, state) in enumerate(zip(problem.xs, problem.states, strict=True)):
        expected, (layers, expected_features, _, _) = reference.forward(a, weights, x, state)
        rows = slice(sequences.starts[k], sequences.starts[k] + len(x)) if per_step else k
        np.testing.assert_allclose(scores[rows], expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(features[rows], expected_features, rtol=0, atol=1e-10)
        last = [steps[-1][name] for layer in layers for steps in layer for name in "hc"]
        np.testing.assert_allclose(state_out[k], np.concatenate(last), atol=1e-10)
        for trace, (direction, steps) in zip(
            traces, [pair for layer in layers for pair in enumerate(layer)], strict=True
        ):
            expected = np.array(
                [np.concatenate([step[name] for name in "ifgoch"]) for step in steps]
            )
            actual = trace[sequences.starts[k] : sequences.starts[k] + len(x)]
            np.testing.assert_allclose(
                actual, expected[::-1] if direction else expected, rtol=0, atol=1e-10
            )


@pytest.mark.parametrize("vocabulary", [0, 6])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_gradients_of_inputs(bidirectional, vocabulary):
    problem = Problem(
        (4, 3),
        LENGTHS["ragged"],
        "squared_error",
        bidirectional=bidirectional,
        vocabulary=vocabulary,
    )
    out = np.full((problem.sequences.n_rows, 3), np.nan)
    problem.loss_and_gradients(input_gradients=out)
    expected = reference.batch_gradients(
        problem.architecture, problem.reference_weights(), *problem.reference_arguments()
    )
    np.testing.assert_allclose(out, np.concatenate(expected["x"]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("products", ["packed", "blas"])
def test_passes_with_and_without_dropped_weights_do_not_mix(products, monkeypatch):
    monkeypatch.setenv("CYLSTM_PRODUCTS", products)
    problem = Problem(
        (20, 5), LENGTHS["ragged"], "squared_error", states=False, weight_dropout=0.5
    )
    a, network, masks = problem.architecture, problem.network, problem.dropout
    options = {"weight_dropout": 0.5, "seed": masks.seed}
    weights = problem.reference_weights()
    for update in (None, 5, None, 6, 5, None):
        masks.parameter_update = update
        of_layers, dropped = weights, {}
        if update is not None:
            of_layers = masks.weights(a, weights)
            dropped = {**options, "parameter_update": update}
        scores, _ = network.forward(problem.sequences, 2, **dropped)
        for x, score in zip(problem.xs, scores, strict=True):
            expected, _ = reference.forward(a, of_layers, x)
            np.testing.assert_allclose(score, expected, rtol=0, atol=1e-10)


def test_dropout_keeps_its_share_and_the_mean():
    dropout = reference.Dropout(0.3, seed=7, update=3)
    masks = np.array([dropout.mask(0.3, 1, row, 0, 1000) for row in range(300)])
    # 300,000 draws: a standard deviation is 8e-4.
    assert abs(np.mean(masks > 0) - 0.7) < 4e-3
    assert np.mean(masks) == pytest.approx(1, abs=6e-3)
    # And the kernels drop what the oracle drops.
    Problem((60,), [1] * 40, "squared_error", states=False, dropout=0.3).check_oracle()


def test_masks_differ_between_rows_steps_units_layers_and_updates():
    dropout = reference.Dropout(0.5, 0.5, seed=1, update=2)
    masks = [
        tuple(reference.Dropout(0.5, 0.5, seed, update).mask(0.5, place, row, step, 64))
        for seed in (1, 2)
        for update in (0, 1)
        for place in (0, 1, 128, 256, 384)
        for row in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(masks)) == len(masks)
    assert 20 < np.count_nonzero(dropout.mask(0.5, 0, 0, 0, 64)) < 44


def golden(name):
    """Case -> its arrays."""
    cases = {}
    with np.load(Path(__file__).parent / f"golden_{name}.npz") as arrays:
        for key, value in arrays.items():
            case, _, what = key.partition("/")
            cases.setdefault(case, {})[what] = value
    return cases


GOLDEN_TORCH = {
    "lstm": golden("torch") | golden("torch_around") | golden("crf") | golden("layer_norm"),
    "projection": golden("torch_projection"),
    "gru": golden("torch_gru"),
}
GOLDEN_OTHERS = golden("others")


@pytest.mark.parametrize(
    ("layer", "case"),
    [(layer, case) for layer, cases in GOLDEN_TORCH.items() for case in cases],
)
def test_outputs_and_gradients_equal_torch(layer, case):
    arrays = GOLDEN_TORCH[layer][case]
    dtype = arrays["x"].dtype
    per_step, bidirectional = bool(arrays["per_step"]), bool(arrays["bidirectional"])
    n_outputs = arrays["features"].shape[1] // (1 + bidirectional)
    # What two correct programs may differ by: float32 sums of some hundred terms.
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    network = Network(
        Architecture(
            arrays["x"].shape[2],
            arrays["sizes"].tolist(),
            arrays["scores"].shape[1],
            str(arrays["loss_name"]),
            dtype,
            str(arrays.get("cell", "gru" if layer == "gru" else "lstm")),
            pooling=str(arrays.get("pooling", "last")),
            residual=bool(arrays.get("residual", False)),
            projection=n_outputs if layer == "projection" else None,
            bidirectional=bidirectional,
            per_step=per_step,
            layer_norm="layers.0.norm_ih" in arrays["names"],
        )
    )
    cuts = np.cumsum([network.weights[name].size for name in arrays["names"]])[:-1]
    weights, expected = (
        dict(zip(arrays["names"], np.split(arrays[what], cuts), strict=True))
        for what in ("weights", "gradients")
    )
    for name, view in network.weights.items():
        view[...] = weights[name].reshape(view.shape)
    sequences = Sequences.from_equal_lengths(arrays["x"])
    sequences.lengths = arrays["lengths"]
    scores, features = network.forward(sequences, 1, features=True)
    y, ones = arrays["y"], np.ones(len(arrays["y"]), dtype)
    if per_step:
        rows = sequences.real_rows()
        scores, features = scores[rows], features[rows]
        y, ones = sequences.spread_steps(y), sequences.spread_steps(ones)
    assert_close_to_largest(scores, arrays["scores"], tolerance, "scores")
    assert_close_to_largest(features, arrays["features"], tolerance, "features")
    gradients = network.new_gradients(0)
    loss, _ = network.loss_and_gradients(
        _engine.Workspace(), sequences, y, ones, np.arange(len(sequences)), gradients, 1
    )
    assert loss == pytest.approx(float(arrays["loss"]), rel=tolerance)
    named = network.copy()
    named.parameters[:] = gradients.flat
    for name, view in named.weights.items():
        assert_close_to_largest(view.ravel(), expected[name], tolerance, name)
    if "best_paths" in arrays:
        paths = network.best_paths(scores.astype(np.float64), arrays["lengths"], 1)
        np.testing.assert_array_equal(paths, arrays["best_paths"])


@pytest.mark.parametrize("case", GOLDEN_OTHERS)
def test_outputs_equal_onnxruntime_and_keras(case):
    arrays = GOLDEN_OTHERS[case]
    _, _, n_inputs = arrays["x"].shape
    network = Network(
        Architecture(
            n_inputs,
            [arrays["w/layers.0.weight_hh"].shape[1]],
            1,
            "squared_error",
            "float32",
            cell=str(arrays["cell"]),
            activation=str(arrays["activation"]),
            bidirectional=bool(arrays["bidirectional"]),
            per_step=True,
        )
    )
    for name, view in network.weights.items():
        if not name.startswith("head"):
            view[...] = arrays[f"w/{name}"]
    sequences = Sequences.from_equal_lengths(arrays["x"])
    sequences.lengths = arrays["lengths"]
    _, features = network.forward(sequences, 1, scores=False, features=True)
    rows = sequences.real_rows()
    expected = arrays["outputs"].reshape(len(features), -1)
    assert_close_to_largest(features[rows], expected[rows], 2e-6, "outputs")


def test_initial_weights():
    network = Network(Architecture(5, (16, 8), 2, "squared_error", "float64"))
    network.initialize(np.random.RandomState(0))
    for name, n_inputs, n_units in [("layers.0", 5, 16), ("layers.1", 16, 8)]:
        weights = {
            key: network.weights[f"{name}.{key}"].reshape(4, n_units, -1)
            for key in ("weight_ih", "weight_hh", "bias")
        }
        limit = np.sqrt(6 / (n_inputs + n_units))
        assert np.abs(weights["weight_ih"]).max() <= limit
        assert np.abs(weights["weight_ih"]).max() > 0.9 * limit
        for gate in weights["weight_hh"]:
            np.testing.assert_allclose(gate @ gate.T, np.eye(n_units), atol=1e-12)
        np.testing.assert_array_equal(
            weights["bias"][:, :, 0], np.outer([0, 1, 0, 0], np.ones(n_units))
        )
    assert not network.weights["head.bias"].any()


@pytest.mark.parametrize(
    ("cell", "keeps", "adds"),
    [("lstm", 1, 0), ("coupled", None, 0), ("input_gated", 1, 0), ("gru", 1, None)],
)
def test_units_keep_their_state_over_a_number_of_steps(cell, keeps, adds):
    architecture = Architecture(5, (300,), 2, "squared_error", "float64", cell=cell)
    network = Network(architecture)
    network.initialize(np.random.RandomState(0), span=21)
    biases = network.weights["layers.0.bias"].reshape(-1, 300)
    kept = biases[keeps] if keeps is not None else -biases[adds]
    # A gate of sigmoid(b) keeps 1 / (1 + exp(-b)) of a state: it decays over 1 + exp(b) steps.
    steps = np.sort(np.exp(kept))
    np.testing.assert_allclose(steps, np.linspace(1, 20, 300), atol=2)
    if adds is not None:
        np.testing.assert_array_equal(biases[adds], -kept)
    others = [k for k in range(len(biases)) if k not in (keeps, adds)]
    assert not biases[others].any()


def test_short_sequences_start_with_a_forget_gate_of_1():
    network = Network(Architecture(5, (4,), 2, "squared_error", "float64"))
    network.initialize(np.random.RandomState(0), span=2)
    expected = np.repeat([0, 1, 0, 0], 4)
    np.testing.assert_array_equal(network.weights["layers.0.bias"], expected)


def test_weights_are_views_before_and_after_pickling():
    network = Network(Architecture(3, (4,), 1, "squared_error", "float32"))
    network.initialize(np.random.RandomState(0))
    again = pickle.loads(pickle.dumps(network))
    assert again.parameters.tobytes() == network.parameters.tobytes()
    again.weights["layers.0.bias"][...] = 7
    assert (again.parameters == 7).sum() == 16
    assert not (network.parameters == 7).any()


def test_too_many_layers():
    with pytest.raises(ValueError, match="65 layers were given, at most 64"):
        Network(Architecture(3, [1] * 65, 1, "squared_error", "float32"))
