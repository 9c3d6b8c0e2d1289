"""A network with everything that a gradient needs, and what its gradients are held against."""

from itertools import product

import numpy as np
import pytest
import reference_lstm as reference

from cylstm import _engine, _plan
from cylstm._network import Architecture, Network
from cylstm._sequences import ragged_to_sequences, tokens_to_sequences

# Cells whose hidden state may be a projection.
PROJECTED = [name for name, cell in _plan.CELLS.items() if "c" in cell.state]
# What may stand around a cell, in every combination: arguments of Architecture for networks of
# layers of more than two units.
PRODUCT = [
    {
        "cell": cell,
        "pooling": pooling or "last",
        "per_step": pooling is None,
        "projection": projection,
        "residual": residual,
        "layer_norm": layer_norm,
        "bidirectional": bidirectional,
    }
    for cell, pooling, projection, residual, layer_norm, bidirectional in product(
        _plan.CELLS, [*_plan.POOLINGS, None], [None, 2], *[[False, True]] * 3
    )
    if projection is None or cell in PROJECTED
]


def label(around):
    """The name of a test of one of PRODUCT."""
    return "-".join(map(str, around.values()))


def as_parameters(around):
    """One of PRODUCT as parameters of an estimator."""
    names = {"projection": "projection_size", "per_step": "return_sequences"}
    return {names.get(name, name): value for name, value in around.items()}


def as_many_as_outputs(n_units, around):
    """Inputs that a residual connection can add to the outputs of n_units units."""
    return (around["projection"] or n_units) * (1 + around["bidirectional"])


LEVELS = (0.1, 0.5, 0.8)
N_SCORES = {
    "squared_error": 3,
    "absolute_error": 2,
    "huber": 3,
    "poisson": 2,
    "quantile": 6,
    "logistic": 2,
    "softmax": 4,
    "crf": 4,
}


class Problem:
    """A network with random weights and everything a gradient needs. Where targets are
    `missing`, some are NaN."""

    def __init__(
        self,
        sizes,
        lengths,
        loss,
        *,
        dtype="float64",
        states=True,
        missing=False,
        n_inputs=3,
        n_scores=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_dropout=0.0,
        embedding_dropout=0.0,
        first_step=0,
        **architecture,
    ):
        rng = np.random.default_rng(0)
        n, n_scores = len(lengths), n_scores or N_SCORES[loss]
        n_outputs = n_scores
        if loss == "crf":
            architecture["per_step"] = True
        if loss == "quantile":
            n_outputs //= len(LEVELS)
            architecture["levels"] = LEVELS * n_outputs
        self.architecture = Architecture(
            n_inputs, sizes, n_scores, loss, dtype, **architecture
        )
        self.network = Network(self.architecture)
        self.network.parameters[:] = rng.normal(scale=0.5, size=self.network.parameters.size)
        self.per_step = self.architecture.per_step
        n_targets = sum(lengths) if self.per_step else n
        if loss in ("softmax", "crf"):
            ys = rng.integers(n_scores, size=(n_targets, 1)).astype(float)
        elif loss == "logistic":
            ys = rng.integers(2, size=(n_targets, n_scores)).astype(float)
        elif loss == "poisson":
            ys = rng.poisson(2, size=(n_targets, n_scores)).astype(float)
        else:
            ys = rng.normal(size=(n_targets, n_outputs))
        if missing:
            ys[::2, 0] = ys[n_targets // 3] = np.nan
        weights = rng.uniform(0.5, 2, size=n_targets)
        weights[n_targets // 2] = 0 if n_targets > 1 else 1
        if loss == "crf":  # one weight for each sequence
            weights = np.repeat(weights[np.cumsum(lengths) - lengths], lengths)
            weights[: lengths[0]] = 1
        self.ys, self.weights = ys, weights
        self.states = rng.normal(size=(n, self.architecture.n_state)) if states else None
        if states and self.architecture.pooling != "last":
            # How many steps there were, or the sum of their shares.
            n_pooled = self.architecture.n_features + 1
            self.states[:, -n_pooled] = rng.integers(1, 4, size=n)
        if self.architecture.vocabulary:
            self.xs = [rng.integers(self.architecture.vocabulary, size=T) for T in lengths]
            self.sequences = tokens_to_sequences(self.xs, self.architecture.vocabulary)
        else:
            self.xs = [rng.normal(size=(T, n_inputs)) for T in lengths]
            self.sequences = ragged_to_sequences(self.xs, dtype)
        self.dropout = reference.Dropout(
            dropout, recurrent_dropout, 7, 3, first_step, weight_dropout, embedding_dropout, 5
        )

    def loss_and_gradients(self, n_threads=1, batch=None, **options):
        dtype = self.network.dtype
        gradients = self.network.new_gradients(self.sequences.n_rows)
        if self.states is not None:
            options["state_in"] = self.states.astype(dtype)
        self.workspace = _engine.Workspace()
        loss, _ = self.network.loss_and_gradients(
            self.workspace,
            self.sequences,
            self.ys.astype(dtype),
            self.weights.astype(dtype),
            np.arange(len(self.xs)) if batch is None else batch,
            gradients,
            n_threads,
            dropout=self.dropout.rate,
            recurrent_dropout=self.dropout.recurrent_rate,
            weight_dropout=self.dropout.weight_rate,
            embedding_dropout=self.dropout.embedding_rate,
            seed=self.dropout.seed,
            update=self.dropout.update,
            parameter_update=self.dropout.parameter_update,
            first_step=self.dropout.first_step,
            **options,
        )
        return loss, gradients

    def reference_weights(self):
        return {k: v.astype(np.float64) for k, v in self.network.weights.items()}

    def reference_arguments(self):
        """All of reference.batch_loss after the weights."""
        ys, weights = self.ys, self.weights
        if self.per_step:
            cuts = np.cumsum([len(x) for x in self.xs])[:-1]
            ys, weights = np.split(ys, cuts), np.split(weights, cuts)
        return self.xs, ys, weights, self.states, self.dropout

    def named(self, gradients):
        """Name -> gradient; zeros where the batch has none."""
        other = self.network.copy()
        other.parameters[:] = 0
        seen = np.zeros(len(other.parameters), dtype=int)
        for at, of, n in gradients.pieces:
            other.parameters[at : at + n] = gradients.used[of : of + n]
            seen[at : at + n] += 1
        assert seen.max() == 1
        assert seen.sum() == gradients.n_used
        return other.weights

    def check_oracle(self, tolerance=1e-10, n_threads=1):
        a = self.architecture
        value, gradients = self.loss_and_gradients(n_threads)
        weights, arguments = self.reference_weights(), self.reference_arguments()
        expected = reference.batch_loss(a, weights, *arguments)
        assert value == pytest.approx(expected, rel=tolerance)
        named = self.named(gradients)
        for name, expected in reference.batch_gradients(a, weights, *arguments).items():
            if name != "x":
                assert_close_to_largest(named[name], expected, tolerance, name)

    def check_central_differences(self, **options):
        loss, gradients = self.loss_and_gradients(**options)
        named = self.named(gradients)
        for name, weight in self.network.weights.items():
            numerical = numerical_gradient(
                lambda: self.loss_and_gradients(**options)[0],
                weight,
                curved=self.architecture.layer_norm,
            )
            assert_close_to_largest(named[name], numerical, 1e-7, name, NOISE * abs(loss))

    def check_oracle_itself(self):
        a, weights = self.architecture, self.reference_weights()
        arguments = self.reference_arguments()
        gradients = reference.batch_gradients(a, weights, *arguments)

        def loss():
            return reference.batch_loss(a, weights, *arguments)

        for name, weight in weights.items():
            numerical = numerical_gradient(loss, weight, curved=a.layer_norm)
            assert_close_to_largest(
                gradients[name], numerical, 1e-7, name, NOISE * abs(loss())
            )


class Recorder:
    """Takes gradients down and moves nothing."""

    first = 3

    def __init__(self):
        self.gradients = []

    @property
    def n_steps(self):
        return self.first + len(self.gradients)

    def step(self, parameters, gradients, n_threads):
        self.gradients.append(gradients.flat.copy())
        return True


def numerical_gradient(function, x, step=1e-5, curved=False):
    """Central differences of function() with respect to the array x. Where it is `curved`,
    they are taken at two distances, so that the third derivative cancels: that of normalized
    numbers is large where their variance is next to nothing."""
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        value = x[k]
        slopes = []
        for distance in (step, 2 * step) if curved else (step,):
            x[k] = value + distance
            above = function()
            x[k] = value - distance
            slopes.append((above - function()) / (2 * distance))
        x[k] = value
        gradient[k] = (4 * slopes[0] - slopes[1]) / 3 if curved else slopes[0]
    return gradient


# Some roundings of a loss, each 2^-53 of it, leave this in a central difference of step 1e-5:
# in each of two losses those of the scores and of the sums; half as much again where it is
# taken at two distances. Only gradients that are next to nothing feel it.
NOISE = 1.5 * 8 * 2**-53 / 2e-5


def assert_close_to_largest(actual, desired, tolerance, name, noise=0.0):
    """Differences relative to the largest number of the tensor."""
    largest = np.abs(desired).max()
    error = np.abs(actual - desired).max()
    assert error <= tolerance * largest + noise, (
        f"{name}: {error:.2e} off where the largest is {largest:.2e}"
    )


def assert_same_bits(problem, **options):
    """Of loss and gradients on any number of threads."""
    (first_loss, first), *others = [
        problem.loss_and_gradients(n_threads=n, **options) for n in (1, 2, 3, 4, 1)
    ]
    for loss, gradients in others:
        assert loss == first_loss
        assert gradients.used.tobytes() == first.used.tobytes()
