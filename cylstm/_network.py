"""The parameters of an LSTM network, its forward pass, its loss and gradients."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import _engine, _plan, _updates
from ._engine import PRECISIONS
from ._plan import CELLS
from ._threads import single_threaded_blas

DIRECTIONS = ("", "reverse.")

# Bytes of working memory that a network keeps for its next forward pass.
KEPT_BYTES = 1 << 24


class Place(NamedTuple):
    """Where a parameter stands in the flat vector."""

    start: int
    shape: tuple

    @property
    def stop(self):
        return self.start + int(np.prod(self.shape, dtype=object))


@dataclass
class Architecture:
    """What a network is made of.

    Parameters
    ----------
    n_inputs : int
        Features of one step (I); with an embedding, its dimension.
    hidden_layer_sizes : tuple of int
        Units (H) of each layer, per direction.
    n_scores : int
        Outputs (K) of the linear head.
    loss : str
        A key of _plan.LOSSES.
    dtype : str
        "float32" or "float64".
    cell : str
        A key of _plan.CELLS.
    activation : {"tanh", "relu"}
    projection : int or None
        Numbers (R) of the hidden state, a projection of each layer's H outputs; None: as many.
    bidirectional : bool
    per_step : bool
        Scores for every step, not for the last alone.
    residual : bool
        Inputs of a layer (of both directions) are added to its outputs where they are as many.
    layer_norm : bool
        The products of inputs and of hidden states with their weights are normalized, and
        the cell state on its way to the hidden state.
    pooling : str
        A key of _plan.POOLINGS: how the steps become the inputs of the head, if not each for
        itself.
    vocabulary : int
        Tokens of the embedding; 0 where the inputs are numbers.
    levels : tuple of float
        One level for each score, for the quantile loss; scores of the same target follow
        each other.
    tied : bool
        The first K rows of the embedding are the weights of the head as well.
    weights : "int8" or None
        What the layers multiply by: their matrices quantized when they are packed, for
        prediction alone; or as they are.
    chain : bool or None
        Whether there are scores of the transitions between the labels of steps, as of a CRF.
        None: where that is the loss.
    n_ahead : int
        If not 0, K scores for each of so many steps from a sequence's seam on, instead of its
        last step; not with per_step or pooling.
    """

    n_inputs: int
    hidden_layer_sizes: tuple
    n_scores: int
    loss: str
    dtype: str
    cell: str = "lstm"
    activation: str = "tanh"
    projection: int | None = None
    bidirectional: bool = False
    per_step: bool = False
    vocabulary: int = 0
    levels: tuple = ()
    tied: bool = False
    weights: str | None = None
    pooling: str = "last"
    residual: bool = False
    layer_norm: bool = False
    chain: bool | None = None
    n_ahead: int = 0

    def __post_init__(self):
        if self.chain is None:
            self.chain = self.loss == "crf"
        self.hidden_layer_sizes = tuple(self.hidden_layer_sizes)
        self.dtype = np.dtype(self.dtype).name

    def changes(self, other):
        """Which fields have other values there, by the names that users know, with both
        values."""
        names = {
            "n_inputs": "number of inputs",
            "n_scores": "number of outputs",
            "per_step": "return_sequences",
            "projection": "projection_size",
            "levels": "quantile",
            "tied": "tie_weights",
            "vocabulary": "size of the vocabulary",
        }
        return [
            f"{names.get(name, name)} from {value!r} to {getattr(other, name)!r}"
            for name, value in self.__getstate__().items()
            if value != getattr(other, name) and name != "chain"
        ]

    @property
    def directions(self):
        return DIRECTIONS if self.bidirectional else DIRECTIONS[:1]

    @property
    def gates(self):
        """The gates in the order in which they are stacked."""
        return CELLS[self.cell].gates

    @property
    def output_sizes(self):
        """Numbers of the hidden state (R) of each layer, per direction."""
        return tuple(self.projection or n_units for n_units in self.hidden_layer_sizes)

    @property
    def n_features(self):
        """Inputs (D) of the head."""
        return self.output_sizes[-1] * len(self.directions)

    @property
    def _state_sizes(self):
        """Numbers of each layer's state, per direction: h and, where the cell has it, c."""
        has_c = "c" in CELLS[self.cell].state
        return [
            n_outputs + has_c * n_units
            for n_outputs, n_units in zip(
                self.output_sizes, self.hidden_layer_sizes, strict=True
            )
        ]

    @property
    def n_state(self):
        """Numbers of one sequence's state: those of each layer and direction; then what
        pooling carries from step to step."""
        return sum(self._state_sizes) * len(self.directions) + self._n_pool_state

    @property
    def _n_pool_state(self):
        """Pooled numbers, and how many steps or what shares they are of; or the outputs of the
        steps ahead."""
        if self.pooling == "last":
            return self.n_ahead * self.n_features
        return self.n_features + (2 if self.pooling == "attention" else 1)

    @property
    def last_h(self):
        """Where h of the last layer stands in a state, of one direction."""
        start = self.n_state - self._n_pool_state - self._state_sizes[-1]
        return slice(start, start + self.output_sizes[-1])

    @cached_property
    def places(self):
        """Name -> Place of each parameter, in the order of the flat vector."""
        places = {}
        start = 0
        for name, shape in self._shapes().items():
            places[name] = Place(start, shape)
            start = places[name].stop
        return places

    @property
    def n_parameters(self):
        return list(self.places.values())[-1].stop

    @property
    def n_dense(self):
        """Parameters before the embedding, which comes last: a batch touches only some of its
        rows."""
        return self.n_parameters - self.vocabulary * self.n_inputs

    @property
    def head_weight(self):
        """Name of the head's weights."""
        return "embedding.weight" if self.tied else "head.weight"

    def _shapes(self):
        cell = CELLS[self.cell]
        shapes = {}
        n_inputs = self.n_inputs
        sizes = zip(self.hidden_layer_sizes, self.output_sizes, strict=True)
        for k, (n_units, n_outputs) in enumerate(sizes):
            for direction in self.directions:
                name = f"layers.{k}.{direction}"
                shapes[f"{name}weight_ih"] = (len(cell.see_x) * n_units, n_inputs)
                if cell.see_h:
                    n_rows = len(cell.see_h + cell.see_rh) * n_units
                    shapes[f"{name}weight_hh"] = (n_rows, n_outputs)
                n_apart = len(cell.gates) - len(cell.see_x)
                if n_apart:
                    shapes[f"{name}bias_hn"] = (n_apart * n_units,)
                shapes[f"{name}bias"] = (len(cell.see_x) * n_units,)
                if cell.see_c:
                    shapes[f"{name}peephole"] = (len(cell.see_c), n_units)
                if self.projection:
                    shapes[f"{name}weight_hr"] = (n_outputs, n_units)
                if self.layer_norm:
                    shapes |= self._norm_shapes(name, n_units)
            n_inputs = n_outputs * len(self.directions)
        if not self.tied:
            shapes["head.weight"] = (self.n_scores, self.n_features)
        shapes["head.bias"] = (self.n_scores,)
        if self.chain:
            shapes["crf.transitions"] = (self.n_scores, self.n_scores)
            shapes["crf.start"] = shapes["crf.end"] = (self.n_scores,)
        if self.pooling == "attention":
            shapes["attention.weight"] = (self.n_features, self.n_features)
            shapes["attention.bias"] = shapes["attention.query"] = (self.n_features,)
        if self.vocabulary:
            shapes["embedding.weight"] = (self.vocabulary, self.n_inputs)
        return shapes

    def _norm_shapes(self, layer, n_units):
        """Those of layer normalization: gains of the products, and of the cell state with a
        bias."""
        cell = CELLS[self.cell]
        shapes = {f"{layer}norm_ih": (len(cell.see_x) * n_units,)}
        if cell.see_h:
            shapes[f"{layer}norm_hh"] = (len(cell.see_h + cell.see_rh) * n_units,)
        if "c" in cell.state:
            shapes[f"{layer}norm_c"] = shapes[f"{layer}bias_c"] = (n_units,)
        return shapes

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "places"}


@dataclass
class Gradients:
    """Gradients of a batch, in memory that is used again.

    flat : the numbers, of which n_used count: those of the layers and the head as the
        parameters have them, but of the head those classes alone that the batch has; then a
        row for each token of the embedding that the batch has
    tokens : room for which tokens those are
    pieces : int64 array of shape (n, 3): where in the parameters, where in `flat`, how many
    """

    flat: np.ndarray
    tokens: np.ndarray
    pieces: np.ndarray
    n_used: int

    @property
    def used(self):
        return self.flat[: self.n_used]


class Weights(Mapping):
    """Named views of a network's parameters, which may change once one is taken."""

    def __init__(self, network):
        self._network = network

    def __getitem__(self, name):
        view = self._network.weights[name]
        self._network.expose()
        return view

    def __contains__(self, name):
        return name in self._network.weights

    def __iter__(self):
        return iter(self._network.weights)

    def __len__(self):
        return len(self._network.weights)

    def __repr__(self):
        shapes = {name: view.shape for name, view in self._network.weights.items()}
        return f"<weights of shapes {shapes}>"


class Network:
    """LSTM layers and a linear head, all parameters in one flat vector.

    Parameters
    ----------
    architecture : Architecture

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
    weights : dict of str to array
        Named views into `parameters`.
    penalized : list of (start, stop)
        Where weight matrices stand, which the penalty is on.

    Notes
    -----
    Forward passes keep the packed weights and their working memory for those that follow,
    also from other threads. Whoever writes to the parameters calls `changed`, or, where
    others may write at any time, `expose`.
    """

    def __init__(self, architecture):
        self.architecture = architecture
        self.parameters = np.zeros(architecture.n_parameters, dtype=architecture.dtype)
        self._compile()

    @property
    def dtype(self):
        return self.parameters.dtype

    def _compile(self):
        """Views and the kernels' plan, from the architecture and the flat vector."""
        a = self.architecture
        if self.parameters.shape != (a.n_parameters,) or self.dtype != a.dtype:
            raise ValueError("The parameters are not those of this architecture.")
        self.weights = {
            name: self.parameters[place.start : place.stop].reshape(place.shape)
            for name, place in a.places.items()
        }
        self.penalized = [
            (place.start, place.stop)
            for name, place in a.places.items()
            if "weight" in name and not name.startswith("embedding")
        ]
        self._plan = _plan.Plan(
            [
                [self._layer(k, direction) for direction in a.directions]
                for k in range(len(a.hidden_layer_sizes))
            ],
            a.cell,
            a.activation,
            (
                a.n_features,
                a.n_scores,
                a.places[a.head_weight].start,
                a.places["head.bias"].start,
            ),
            a.loss,
            a.per_step,
            a.vocabulary,
            a.tied,
            a.n_parameters,
            self.dtype,
            np.array(a.levels, dtype=np.float64) if a.levels else None,
            a.weights,
            a.pooling,
            a.residual,
            a.layer_norm,
            a.n_ahead,
        )
        self._dense = _updates.cut(0, a.n_dense)
        # Within our threads BLAS has to be on one.
        self._one_blas_thread = (
            single_threaded_blas if self._plan.products == "blas" else nullcontext
        )
        self._version = 0
        self._packed = (None, None)  # a version, and the weights that were packed then
        self._exposed = False
        self._workspaces = []  # at most one, which a forward pass takes and puts back
        precision = PRECISIONS[self.dtype]
        self._forward = _engine.forward[precision]
        self._loss_and_gradients = _engine.loss_and_gradients[precision]

    def _layer(self, k, direction):
        """Sizes and places of a layer in one direction, as _plan.Plan takes them."""
        a = self.architecture
        prefix = f"layers.{k}.{direction}"
        # bias_hn and bias are one block.
        bias = "bias_hn" if f"{prefix}bias_hn" in a.places else "bias"
        names = ("weight_ih", "weight_hh", bias, "peephole", "weight_hr")
        names += ("norm_ih", "norm_hh", "norm_c", "bias_c")
        # An absent one is never read.
        starts = [a.places.get(prefix + name, Place(0, ())).start for name in names]
        n_inputs = a.places[f"{prefix}weight_ih"].shape[1]
        return n_inputs, a.hidden_layer_sizes[k], a.output_sizes[k], *starts

    def __getstate__(self):
        return {"architecture": self.architecture, "parameters": self.parameters}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.parameters = _updates.own(self.parameters)
        self._compile()

    @classmethod
    def around(cls, architecture, parameters):
        """A network with these parameters themselves, which may be read-only."""
        network = object.__new__(cls)
        network.architecture, network.parameters = architecture, parameters
        network._compile()
        return network

    def own(self):
        """Get parameters that can be changed, where they are read-only."""
        parameters = _updates.own(self.parameters)
        if parameters is not self.parameters:
            self.parameters = parameters
            self._compile()

    def copy(self, **changes):
        """The same network, perhaps with other `weights` in its architecture, and with its own
        parameters unless they are read-only."""
        shared = not self.parameters.flags.writeable
        parameters = self.parameters if shared else self.parameters.copy()
        return Network.around(replace(self.architecture, **changes), parameters)

    def initialize(self, random_state, scale=None, span=0):
        """Draw all parameters; with a scale all uniform between -scale and scale, but the
        gains of layer normalization, which are 1 in any case: as small as weights they would
        undo what it is for.

        Each gate has a matrix of its own: Glorot uniform from the inputs, orthogonal (with a
        projection, orthonormal columns) from the hidden state. Projections are Glorot
        uniform, embeddings uniform between -0.05 and 0.05. Peepholes are 0, as is the chain
        of a CRF (see initialize_chain).

        Biases are 0, but 1 for the forget gate (Gers 2000). With a span of more than 2 steps
        they let each unit keep its state over a number of steps of its own, drawn uniformly
        between 1 and span - 1 (Tallec & Ollivier, arXiv:1804.11188): its logarithm for the
        gate that keeps the state, the opposite for the one that adds to it. With layer
        normalization those of the candidate are uniform between -0.5 and 0.5: where a
        sequence starts with zeros they alone give a layer a cell state, and numbers without
        variance, normalized, pass gradients on 300 times as large.
        """
        self.changed()
        if scale is not None:
            n = len(self.parameters)
            self.parameters[:] = random_state.uniform(-scale, scale, size=n)
        cell = CELLS[self.architecture.cell]
        for name, view in self.weights.items():
            what = name.rsplit(".", 1)[-1]
            if what.startswith("norm_"):
                view[...] = 1
            elif scale is not None:
                continue
            elif name == "embedding.weight":
                view[...] = random_state.uniform(-0.05, 0.05, size=view.shape)
            elif what in ("weight_ih", "weight_hr", "weight"):
                n_out = view.shape[0] // (len(cell.see_x) if what == "weight_ih" else 1)
                limit = np.sqrt(6 / (view.shape[1] + n_out))
                view[...] = random_state.uniform(-limit, limit, size=view.shape)
            elif what == "weight_hh":
                n_gates = len(cell.see_h + cell.see_rh)
                for block in view.reshape(n_gates, -1, view.shape[1]):
                    q, r = np.linalg.qr(random_state.standard_normal(block.shape))
                    block[...] = q * np.where(np.diag(r) < 0, -1.0, 1.0)
            else:
                view[...] = 0
                if what == "bias" and name.startswith("layers."):
                    bias = view.reshape(len(cell.see_x), -1)
                    self._initialize_bias(bias, random_state, span)

    def _initialize_bias(self, bias, random_state, span):
        """(gates that see the inputs, H) zeros become the biases of a layer."""
        cell = CELLS[self.architecture.cell]
        gates = dict(zip(cell.see_x, bias, strict=True))
        if span > 2:
            kept = np.log(random_state.uniform(1, span - 1, size=bias.shape[1]))
            for keeps in gates.keys() & {"f", "z"}:
                gates[keeps][...] = kept
            if "i" in gates:
                gates["i"][...] = -kept
        elif "f" in gates:
            gates["f"][...] = 1
        if self.architecture.layer_norm:
            candidate = gates["g" if "g" in gates else "n"]
            candidate[...] = random_state.uniform(-0.5, 0.5, size=candidate.shape)

    def initialize_chain(self, labels, lengths, weights):
        """Start the chain of a CRF low for what the labels to train on do not have:

            transitions[i, j] = -log(1 + n_i n_j / n) where no j follows an i, else 0

        with n_i transitions from label i and n_j labels j among all n, so that n_i n_j / n
        would be expected if labels did not depend on each other; start and end likewise. The
        gradient never raises the score of a pair that does not occur, but takes long to bring
        it down.

        Parameters
        ----------
        labels : int array of shape (n_rows,)
            Of sequences one after the other.
        lengths : int64 array of shape (n_sequences,)
        weights : array of shape (n_rows,)
            That of a sequence at each of its steps.
        """
        K = self.architecture.n_scores
        ends = np.cumsum(lengths) - 1
        starts = ends + 1 - lengths
        later = np.delete(np.arange(len(labels)), starts)

        def count(indices, rows, n=K):
            return np.bincount(indices, weights[rows].astype(np.float64), minlength=n)

        counts = count(labels, slice(None))
        shares = counts / counts.sum()
        pairs = count(labels[later - 1] * K + labels[later], later, K * K).reshape(K, K)
        for name, seen in (
            ("transitions", pairs),
            ("start", count(labels[starts], starts)),
            ("end", count(labels[ends], ends)),
        ):
            expected = seen.sum(axis=-1, keepdims=True) * shares
            self.weights[f"crf.{name}"][...] = np.where(seen == 0, -np.log1p(expected), 0)
        self.changed()

    def forward(
        self,
        sequences,
        n_threads,
        *,
        scores=True,
        features=False,
        state_in=None,
        state_out=None,
        traces=None,
        **dropout,
    ):
        """Scores and features of all sequences.

        Parameters
        ----------
        sequences : Sequences
        n_threads : int
        scores, features : bool
            Whether to compute the head's scores and to return its inputs: the hidden
            state of the last layer, after the last step or per step.
        state_in : array of shape (n_sequences, n_state), optional
            h, and c where the cell has it, of each layer and direction in turn; zeros by
            default.
        state_out : array of shape (n_sequences, n_state), optional
            Written: the same after the last step.
        traces : list of arrays of shape (n_rows, (n_gates + 1) * H + R), optional
            Written: gates, c and h of each layer and direction.
        **dropout
            Rates and what the masks are drawn from, as _engine.loss_and_gradients takes
            them, for the forward half of learning alone.

        Returns
        -------
        scores : array of shape (n_sequences, n_scores) or None
        features : array of shape (n_sequences, n_features) or None
            Per step both have a row for each row of the sequences' values, NaN where no
            sequence is. With n_ahead those of its steps ahead follow each other in the row of
            a sequence.
        """
        a = self.architecture
        n, n_each = sequences.n_rows if a.per_step else len(sequences), max(a.n_ahead, 1)
        out_scores, out_features = (
            np.full((n, n_each * width), np.nan, self.dtype) if wanted else None
            for wanted, width in ((scores, a.n_scores), (features, a.n_features))
        )
        self._fill(
            sequences,
            n_threads,
            scores=out_scores,
            features=out_features,
            state_in=state_in,
            state_out=state_out,
            traces=traces,
            **dropout,
        )
        return out_scores, out_features

    def losses(self, sequences, targets, n_threads):
        """Loss of every step (per_step), unweighted.

        Parameters
        ----------
        sequences, targets
            As loss_and_gradients takes them.
        n_threads : int

        Returns
        -------
        losses : float64 array of shape (n_rows,)
            NaN where no sequence is.
        """
        losses = np.full(sequences.n_rows, np.nan)
        self._fill(sequences, n_threads, targets=targets, losses=losses)
        return losses

    def best_paths(self, scores, lengths, n_threads):
        """Labels (n_rows,) with the highest score of each sequence, by the Viterbi algorithm.

        Parameters
        ----------
        scores : float64 array of shape (n_rows, n_scores)
            Of sequences one after the other.
        lengths : int64 array of shape (n_sequences,)
        n_threads : int
        """
        labels = np.empty(len(scores), dtype=np.int64)
        self._decode(scores, lengths, n_threads, labels=labels)
        return labels

    def marginals(self, scores, lengths, n_threads, logs=False):
        """Probabilities (n_rows, n_scores) of the labels of each step, or their logarithms;
        arguments as of best_paths."""
        marginals = np.empty_like(scores)
        self._decode(scores, lengths, n_threads, marginals=marginals, logs=logs)
        return marginals

    def _decode(self, scores, lengths, n_threads, **wanted):
        names = ("crf.transitions", "crf.start", "crf.end")
        chain = np.concatenate([self.weights[name].ravel() for name in names])
        starts = np.cumsum(lengths) - lengths
        _engine.decode(scores, starts, lengths, chain.astype(np.float64), n_threads, **wanted)

    def changed(self):
        """The parameters are other ones now."""
        self._version += 1
        self._packed = None, None

    def expose(self):
        """Others may write to the parameters from now on, unseen."""
        self._exposed = True
        self._packed = None, None

    def _fill(self, sequences, n_threads, **wanted):
        """Of all sequences what _engine.forward is asked for."""
        version = self._version
        packed_version, packed = self._packed
        # Dropped weights are of one pass, and must not get into memory that others read.
        kept = not self._exposed and not wanted.get("weight_dropout")
        if packed_version != version or not kept:
            packed = _engine.PackedWeights()
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = _engine.Workspace()
        with self._one_blas_thread():
            self._forward(
                self._plan,
                workspace,
                packed,
                self.parameters,
                sequences.values,
                sequences.tokens,
                sequences.starts,
                sequences.lengths,
                np.arange(len(sequences), dtype=np.int64),
                n_threads,
                shift=sequences.shift,
                scale=sequences.scale,
                seams=sequences.seams,
                beyond=sequences.beyond,
                **wanted,
            )
        if kept and not self._exposed:
            # A pass that the parameters changed under leaves a version that nobody asks for.
            self._packed = version, packed
        if not self._workspaces and workspace.n_bytes <= KEPT_BYTES:
            self._workspaces.append(workspace)

    def stream(self, n_sequences):
        """An _engine.Stream over this network's parameters, with a state of zeros."""
        stream = _engine.Stream(self._plan, self.parameters, n_sequences)
        stream.load(np.zeros((n_sequences, self.architecture.n_state), self.dtype))
        return stream

    def linear(self):
        """This network, parameters shared, with the loss sum(target * score): its
        gradients are those of any sum of scores."""
        return self._variant(loss="linear", levels=())

    def stepwise(self):
        """This network, parameters shared, with the features of every step, not pooled."""
        return self._variant(per_step=True)

    def without_embedding(self):
        """This network, parameters shared, with the vectors of tokens as its inputs."""
        architecture = replace(self.architecture, vocabulary=0)
        return Network.around(architecture, self.parameters[: architecture.n_parameters])

    def _variant(self, **changes):
        return Network.around(replace(self.architecture, **changes), self.parameters)

    def _rows_with_gradients(self, max_tokens):
        """Rows of the embedding that batches of so many different tokens may touch."""
        a = self.architecture
        # As weights of the head, all rows have gradients.
        return a.vocabulary if a.tied else min(max_tokens, a.vocabulary)

    def new_gradients(self, max_tokens):
        """Room for the gradients of batches of at most so many different tokens."""
        a = self.architecture
        max_tokens = self._rows_with_gradients(max_tokens)
        return Gradients(
            np.empty(a.n_dense + max_tokens * a.n_inputs, dtype=self.dtype),
            np.empty(max_tokens, dtype=np.int64),
            self._dense,
            a.n_dense,
        )

    def has_room(self, gradients, max_tokens):
        """Whether gradients that new_gradients made serve batches of so many tokens."""
        return len(gradients.tokens) >= self._rows_with_gradients(max_tokens)

    def _place(self, gradients, n_tokens, classes):
        """Where the gradients of a batch belong."""
        a = self.architecture
        if not a.vocabulary:
            return
        n_dense = a.n_dense
        pieces = [self._dense]
        if classes is not None:
            names = ["head.weight", "head.bias"][a.tied :]
            n_dense = a.places[names[0]].start
            pieces = [_updates.cut(0, n_dense)]
            for name in names:
                size = self.weights[name][0].size
                pieces.append(_rows(a.places[name].start, n_dense, size, classes))
                n_dense += len(classes) * size
        pieces.append(_rows(a.n_dense, n_dense, a.n_inputs, gradients.tokens[:n_tokens]))
        gradients.pieces = np.concatenate(pieces)
        gradients.n_used = n_dense + n_tokens * a.n_inputs

    def loss_and_gradients(
        self,
        workspace,
        sequences,
        targets,
        weights,
        batch,
        gradients,
        n_threads,
        classes=None,
        **options,
    ):
        """Weighted mean loss over a batch; its gradient fills `gradients`.

        Parameters
        ----------
        workspace : _engine.Workspace
            Memory kept between calls; one caller at a time.
        sequences : Sequences
        targets : array of shape (n_sequences, n_targets), per step (n_rows, n_targets)
            With n_ahead those of its steps ahead follow each other in a row. NaN counts
            nothing, but among the labels of a softmax or CRF.
        weights : array of shape (n_sequences,), per step (n_rows,)
        batch : int64 array of shape (B,)
            Which sequences to learn from.
        gradients : Gradients
        n_threads : int
        classes : int64 array, optional
            The only classes of the softmax that are looked at, the targets among them.
        **options
            Rates of dropout and what masks are drawn from, state_in, state_out,
            input_gradients, log_shares, as _engine.loss_and_gradients takes them.

        Returns
        -------
        loss, total_weight : float
            The mean, and the sum of the weights that it is a mean over.
        """
        with self._one_blas_thread():
            loss, total_weight, n_tokens = self._loss_and_gradients(
                self._plan,
                workspace,
                self.parameters,
                sequences.values,
                sequences.tokens,
                sequences.starts,
                sequences.lengths,
                targets,
                weights,
                batch,
                gradients.flat,
                gradients.tokens,
                n_threads,
                classes=classes,
                shift=sequences.shift,
                scale=sequences.scale,
                seams=sequences.seams,
                beyond=sequences.beyond,
                **options,
            )
        self._place(gradients, n_tokens, classes)
        return loss, total_weight


def _rows(at, of, size, rows):
    """Pieces of some rows of a matrix, whose gradients stand one after the other."""
    order = np.arange(len(rows))
    return np.column_stack([at + rows * size, of + order * size, np.full(len(rows), size)])
