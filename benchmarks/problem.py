"""What the benchmarks measure: random sequences, and a network with random weights."""

import copy

import numpy as np

from cylstm import LSTMRegressor
from cylstm._dataset import Dataset
from cylstm._network import Architecture, Network
from cylstm._optimizers import Adam, Optimizer
from cylstm._sequences import Sequences
from cylstm._training import Trainer


class Problem:
    """Random sequences and targets, and the random weights of a network."""

    def __init__(
        self,
        B,
        T,
        n_inputs,
        n_units,
        n_layers=1,
        n_directions=1,
        *,
        cell="lstm",
        projection=None,
    ):
        rng = np.random.default_rng(0)
        architecture = Architecture(
            n_inputs,
            [n_units] * n_layers,
            1,
            "squared_error",
            "float32",
            cell,
            projection=projection,
            bidirectional=n_directions == 2,
        )
        self.projection = projection
        self.cell, self.n_units, self.n_layers = cell, n_units, n_layers
        self.directions = architecture.directions
        self.X = rng.normal(size=(B, T, n_inputs)).astype(np.float32)
        self.y = rng.normal(size=(B, 1)).astype(np.float32)
        scale = n_units**-0.5
        self.weights = {
            name: rng.uniform(-scale, scale, size=place.shape).astype(np.float32)
            for name, place in architecture.places.items()
        }

    @property
    def weights_per_step(self):
        """How many weights the layers have: a step multiplies each by a number of each
        sequence."""
        return sum(w.size for name, w in self.weights.items() if "weight_" in name)

    def layer(self, k, direction):
        """weight_ih, weight_hh, bias_ih and bias_hh of a layer in one direction, as other
        programs have them: of a GRU's second bias only that of U h counts, of an LSTM's
        nothing."""
        w_ih, w_hh, bias, of_h = (
            self.weights.get(f"layers.{k}.{direction}{name}")
            for name in ("weight_ih", "weight_hh", "bias", "bias_hn")
        )
        bias_hh = np.zeros_like(bias)
        if of_h is not None:
            bias_hh[-len(of_h) :] = of_h
        return w_ih, w_hh, bias, bias_hh

    def model(self, n_threads, X=None, **settings):
        """A fitted LSTMRegressor with these weights, which can go on training; for X in
        another form if it is given."""
        model = LSTMRegressor(
            [self.n_units] * self.n_layers,
            cell=self.cell,
            projection_size=self.projection,
            bidirectional=len(self.directions) == 2,
            batch_size=len(self.X),
            n_jobs=n_threads,
            **settings,
        ).partial_fit(self.X if X is None else X, self.y)
        for name, weight in model.weights_.items():
            weight[...] = self.weights[name]
        model.y_offset_, model.y_scale_ = np.zeros(1), np.ones(1)  # its outputs as they are
        # Nobody else has views of the copy's weights, so that it may keep them packed.
        return copy.deepcopy(model)


def cylstm_trainer(sequences, y, n_units, n_threads, n_layers=1, **architecture):
    """A Trainer that fits a new network to the sequences with Adam."""
    rng = np.random.RandomState(0)
    n_inputs = architecture.pop("n_inputs", None) or sequences.n_features
    architecture = {"n_scores": 1, "loss": "squared_error", **architecture}
    network = Network(
        Architecture(n_inputs, [n_units] * n_layers, dtype="float32", **architecture)
    )
    network.initialize(rng, scale=n_units**-0.5)
    return Trainer(
        network,
        Optimizer(Adam(0.9, 0.999, 1e-8), "constant", 1e-3, clip_norm=1.0),
        Dataset(sequences, y, np.ones(len(y), np.float32), network.architecture.per_step),
        batch_size=len(sequences),
        shuffle=False,
        l1=0.0,
        l2=0.0,
        n_threads=n_threads,
        random_state=rng,
    )


def cylstm_batch(problem, n_threads):
    """A callable for one mini-batch within fit."""
    trainer = cylstm_trainer(
        Sequences.from_equal_lengths(problem.X),
        problem.y,
        problem.n_units,
        n_threads,
        problem.n_layers,
        cell=problem.cell,
        projection=problem.projection,
        bidirectional=len(problem.directions) == 2,
    )
    rows = np.arange(len(problem.X))
    return lambda: trainer.step(rows)
