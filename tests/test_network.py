"""The engine against numerical derivatives, the NumPy oracle and PyTorch."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference_lstm as reference

from cylstm import _engine
from cylstm._network import Network
from cylstm._sequences import Sequences, ragged_to_sequences

GOLDEN = Path(__file__).parent / "golden_torch.npz"
LENGTHS = {"equal": [5] * 9, "ragged": [4, 9, 1, 6, 2, 9, 3, 8, 5], "single": [7]}
SIZES = {"one layer": [5], "two layers": [4, 3], "three layers": [3, 5, 2]}
LOSSES = {"squared_error": 3, "logistic": 1, "softmax": 4}  # with their scores


class Problem:
    """A network with random weights and everything a gradient needs."""

    def __init__(self, sizes, lengths, loss, *, dtype=np.float64, states=True, n_inputs=3):
        rng = np.random.default_rng(0)
        n, n_scores = len(lengths), LOSSES[loss]
        self.loss = loss
        self.network = Network(n_inputs, sizes, n_scores, loss, dtype)
        self.network.parameters[:] = rng.normal(
            scale=0.5, size=self.network.parameters.size
        )
        self.xs = [rng.normal(size=(T, n_inputs)) for T in lengths]
        if loss == "squared_error":
            self.ys = rng.normal(size=(n, n_scores))
        else:
            self.ys = rng.integers(max(n_scores, 2), size=(n, 1)).astype(float)
        self.weights = rng.uniform(0.5, 2, size=n)
        self.weights[n // 2] = 0 if n > 1 else 1
        self.states = rng.normal(size=(n, 2 * sum(sizes))) if states else None
        self.sequences = ragged_to_sequences(self.xs, dtype)

    def loss_and_gradients(self, n_threads=1, batch=None):
        dtype = self.network.dtype
        gradients = np.empty_like(self.network.parameters)
        loss, _ = self.network.loss_and_gradients(
            _engine.Workspace(),
            self.sequences,
            self.ys.astype(dtype),
            self.weights.astype(dtype),
            np.arange(len(self.xs)) if batch is None else batch,
            gradients,
            n_threads,
            None if self.states is None else self.states.astype(dtype),
        )
        return loss, gradients

    def reference_weights(self):
        return {k: v.astype(np.float64) for k, v in self.network.weights.items()}

    def reference_arguments(self):
        return self.loss, self.xs, self.ys, self.weights, self.states

    def named(self, flat):
        other = self.network.copy()
        other.parameters[:] = flat
        return other.weights


def numerical_gradient(function, x, step=1e-5):
    """Central differences of function() with respect to the array x."""
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        value = x[k]
        x[k] = value + step
        above = function()
        x[k] = value - step
        below = function()
        x[k] = value
        gradient[k] = (above - below) / (2 * step)
    return gradient


def assert_close_to_largest(actual, desired, tolerance, name):
    """Differences relative to the largest number of the tensor."""
    error = np.abs(actual - desired).max() / np.abs(desired).max()
    assert error < tolerance, f"{name} is off by {error:.2e} of its largest element"


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("lengths", ["equal", "ragged"])
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_equal_central_differences(sizes, lengths, loss):
    problem = Problem(SIZES[sizes], LENGTHS[lengths], loss)
    gradients = problem.named(problem.loss_and_gradients()[1])
    for name, weight in problem.network.weights.items():
        numerical = numerical_gradient(lambda: problem.loss_and_gradients()[0], weight)
        assert_close_to_largest(gradients[name], numerical, 1e-7, name)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_oracle_equal_central_differences(loss):
    problem = Problem([3, 2], [4, 1, 6], loss)
    weights = problem.reference_weights()
    gradients = reference.batch_gradients(weights, *problem.reference_arguments())
    for name, weight in weights.items():
        numerical = numerical_gradient(
            lambda: reference.batch_loss(weights, *problem.reference_arguments()), weight
        )
        assert_close_to_largest(gradients[name], numerical, 1e-7, name)


@pytest.mark.parametrize("states", [True, False], ids=["initial state", "zero state"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("sizes", SIZES)
def test_loss_and_gradients_equal_the_oracle(sizes, lengths, loss, states):
    problem = Problem(SIZES[sizes], LENGTHS[lengths], loss, states=states)
    value, flat = problem.loss_and_gradients()
    weights = problem.reference_weights()
    arguments = problem.reference_arguments()
    assert value == pytest.approx(reference.batch_loss(weights, *arguments), rel=1e-10)
    gradients = problem.named(flat)
    for name, expected in reference.batch_gradients(weights, *arguments).items():
        assert_close_to_largest(gradients[name], expected, 1e-10, name)


# Wide enough for whole vectors of every instruction set with some units left over, and
# for several shards.
WIDE = {"sizes": [37, 19], "lengths": [7, 3, 5, 1, 9] * 11, "loss": "softmax"}


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # float32: some hundred roundings of 6e-8 add up along a gradient.
    [("float64", 1e-10), ("float32", 1e-5)],
)
def test_wide_layers_and_several_shards_equal_the_oracle(dtype, tolerance):
    problem = Problem(**WIDE, dtype=dtype)
    value, flat = problem.loss_and_gradients(n_threads=2)
    weights = problem.reference_weights()
    arguments = problem.reference_arguments()
    assert value == pytest.approx(reference.batch_loss(weights, *arguments), rel=tolerance)
    gradients = problem.named(flat)
    for name, expected in reference.batch_gradients(weights, *arguments).items():
        assert_close_to_largest(gradients[name], expected, tolerance, name)


def available_levels():
    levels = ["baseline", "avx2", "avx512"]
    return levels[: levels.index(_engine.simd()[1]) + 1]


@pytest.mark.parametrize("level", available_levels())
def test_every_instruction_set_equals_the_oracle(level):
    test = f"{__file__}::test_wide_layers_and_several_shards_equal_the_oracle"
    script = (
        "import sys, pytest; from cylstm import _engine;"
        f"assert _engine.simd()[0] == {level!r}, _engine.simd();"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {test!r}]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "CYLSTM_SIMD": level},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", ["equal", "ragged"])
def test_bits_do_not_depend_on_threads(lengths, dtype):
    lengths = {"equal": [20] * 150, "ragged": list(range(1, 31)) * 5}[lengths]
    problem = Problem([32, 16], lengths, "squared_error", dtype=dtype)
    results = [problem.loss_and_gradients(n_threads=n) for n in (1, 2, 4, 1)]
    for loss, gradients in results[1:]:
        assert loss == results[0][0]
        assert gradients.tobytes() == results[0][1].tobytes()


def test_a_batch_is_any_choice_of_the_sequences():
    problem = Problem([4], LENGTHS["ragged"], "squared_error", states=False)
    batch = np.array([7, 2, 2, 0])
    loss, flat = problem.loss_and_gradients(batch=batch)
    expected = reference.batch_loss(
        problem.reference_weights(),
        "squared_error",
        [problem.xs[k] for k in batch],
        problem.ys[batch],
        problem.weights[batch],
    )
    assert loss == pytest.approx(expected, rel=1e-10)


def test_a_batch_without_weight_has_no_loss():
    problem = Problem([4], LENGTHS["ragged"], "squared_error", states=False)
    problem.weights[:] = 0
    loss, gradients = problem.loss_and_gradients()
    assert loss == 0
    assert not gradients.any()


@pytest.mark.parametrize("n_sequences", [1, 40])
def test_forward_equals_the_oracle_over_many_chunks(n_sequences):
    # 700 steps are more than prediction holds at a time.
    lengths = [700] + [k * 13 + 1 for k in range(n_sequences - 1)]
    problem = Problem([6, 5], lengths, "squared_error", states=True)
    scores, features = problem.network.forward(
        problem.sequences, 2, features=True, state_in=problem.states
    )
    weights = problem.reference_weights()
    for k, (x, state) in enumerate(zip(problem.xs, problem.states, strict=True)):
        expected, layers = reference.forward(weights, x, state)
        np.testing.assert_allclose(scores[k], expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(features[k], layers[-1][-1][-1], rtol=0, atol=1e-10)


def golden_cases():
    with np.load(GOLDEN) as golden:
        return sorted({key.split("/")[0] for key in golden})


@pytest.mark.parametrize("case", golden_cases())
def test_outputs_and_gradients_equal_torch(case):
    with np.load(GOLDEN) as golden:
        prefix = f"{case}/"
        arrays = {k[len(prefix) :]: v for k, v in golden.items() if k.startswith(prefix)}
    dtype = arrays["x"].dtype
    # What two correct programs may differ by: float32 sums of some hundred terms.
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    sizes = [
        v.shape[1] for k, v in arrays.items() if k.startswith("w/") and "weight_hh" in k
    ]
    n_scores, n_inputs = len(arrays["w/head.bias"]), arrays["x"].shape[2]
    network = Network(n_inputs, sizes, n_scores, str(arrays["loss_name"]), dtype)
    for name, view in network.weights.items():
        view[...] = arrays[f"w/{name}"]
    sequences = Sequences.from_equal_lengths(arrays["x"])
    sequences.lengths = arrays["lengths"]
    scores, features = network.forward(sequences, 1, features=True)
    assert_close_to_largest(scores, arrays["scores"], tolerance, "scores")
    assert_close_to_largest(features, arrays["features"], tolerance, "features")
    gradients = np.empty_like(network.parameters)
    loss, _ = network.loss_and_gradients(
        _engine.Workspace(),
        sequences,
        arrays["y"],
        np.ones(len(sequences), dtype),
        np.arange(len(sequences)),
        gradients,
        1,
    )
    assert loss == pytest.approx(float(arrays["loss"]), rel=tolerance)
    named = network.copy()
    named.parameters[:] = gradients
    for name, view in named.weights.items():
        assert_close_to_largest(view, arrays[f"dw/{name}"], tolerance, name)


def test_initial_weights():
    network = Network(5, [16, 8], 2, "squared_error", "float64")
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


def test_weights_are_views_before_and_after_pickling():
    network = Network(3, [4], 1, "squared_error", "float32")
    network.initialize(np.random.RandomState(0))
    again = pickle.loads(pickle.dumps(network))
    assert again.parameters.tobytes() == network.parameters.tobytes()
    again.weights["layers.0.bias"][...] = 7
    assert (again.parameters == 7).sum() == 16
    assert not (network.parameters == 7).any()


def test_too_many_layers():
    with pytest.raises(ValueError, match="65 layers were given, at most 64"):
        Network(3, [1] * 65, 1, "squared_error", "float32")
