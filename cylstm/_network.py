"""The parameters of an LSTM network, its forward pass, its loss and gradients."""

import numpy as np

from . import _engine
from ._engine import PRECISIONS

# The order of the gates in every stacked array, as in PyTorch.
GATES = ("i", "f", "g", "o")


class Network:
    """Stacked LSTM layers and a linear head, all parameters in one flat vector.

    Parameters
    ----------
    n_inputs : int
        Features of one step (I).
    hidden_layer_sizes : sequence of int
        Units (H) of each layer.
    n_scores : int
        Outputs (K) of the linear head.
    loss : {"squared_error", "logistic", "softmax"}
    dtype : float32 or float64

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
    weights : dict of str to array
        Named views into `parameters`.
    """

    def __init__(self, n_inputs, hidden_layer_sizes, n_scores, loss, dtype):
        self.n_inputs = n_inputs
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.n_scores = n_scores
        self.loss = loss
        self.dtype = np.dtype(dtype)
        n_parameters = sum(int(np.prod(s)) for s in self.shapes().values())
        self.parameters = np.zeros(n_parameters, dtype=self.dtype)
        self._compile()

    def shapes(self):
        """Name -> shape of each parameter, in the order of the flat vector."""
        shapes = {}
        n_inputs = self.n_inputs
        for k, n_units in enumerate(self.hidden_layer_sizes):
            rows = len(GATES) * n_units
            shapes[f"layers.{k}.weight_ih"] = (rows, n_inputs)
            shapes[f"layers.{k}.weight_hh"] = (rows, n_units)
            shapes[f"layers.{k}.bias"] = (rows,)
            n_inputs = n_units
        shapes["head.weight"] = (self.n_scores, n_inputs)
        shapes["head.bias"] = (self.n_scores,)
        return shapes

    def describe(self):
        """Sizes and precision in words."""
        return (
            f"{self.n_inputs} inputs, layers of {list(self.hidden_layer_sizes)} units, "
            f"{self.n_scores} outputs in {self.dtype}"
        )

    def _compile(self):
        """Views and the kernels' plan, from the sizes and the flat vector."""
        self.weights = {}
        offsets = {}
        at = 0
        for name, shape in self.shapes().items():
            offsets[name] = at
            at += int(np.prod(shape))
            self.weights[name] = self.parameters[offsets[name] : at].reshape(shape)
        # Weight matrices, which the penalty is on.
        self.penalized = [
            (offsets[name], offsets[name] + view.size)
            for name, view in self.weights.items()
            if view.ndim == 2
        ]
        layers = [
            (
                self.weights[f"layers.{k}.weight_ih"].shape[1],
                n_units,
                *(offsets[f"layers.{k}.{p}"] for p in ("weight_ih", "weight_hh", "bias")),
            )
            for k, n_units in enumerate(self.hidden_layer_sizes)
        ]
        head = (
            self.hidden_layer_sizes[-1],
            self.n_scores,
            offsets["head.weight"],
            offsets["head.bias"],
        )
        self._plan = _engine.Plan(layers, head, self.loss, len(self.parameters))
        precision = PRECISIONS[self.dtype]
        self._forward = _engine.forward[precision]
        self._loss_and_gradients = _engine.loss_and_gradients[precision]

    def __getstate__(self):
        derived = (
            "weights",
            "penalized",
            "_plan",
            "_forward",
            "_loss_and_gradients",
        )
        return {k: v for k, v in self.__dict__.items() if k not in derived}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if not self.parameters.flags.writeable:  # loaded from a read-only memory map
            self.parameters = self.parameters.copy()
        self._compile()

    def copy(self):
        """The same network with its own parameters."""
        other = object.__new__(Network)
        other.__setstate__({**self.__getstate__(), "parameters": self.parameters.copy()})
        return other

    def initialize(self, random_state):
        """Draw all parameters.

        Each gate has a matrix of its own: Glorot uniform from the inputs, orthogonal
        from the hidden state. Biases are 0, but 1 for the forget gate (Gers 2000).
        """
        for name, view in self.weights.items():
            if name.endswith("weight_ih") or name == "head.weight":
                n_blocks = len(GATES) if name.endswith("weight_ih") else 1
                n_out, n_in = view.shape[0] // n_blocks, view.shape[1]
                limit = np.sqrt(6 / (n_in + n_out))
                view[...] = random_state.uniform(-limit, limit, size=view.shape)
            elif name.endswith("weight_hh"):
                n_units = view.shape[1]
                for block in view.reshape(len(GATES), n_units, n_units):
                    q, r = np.linalg.qr(random_state.standard_normal((n_units, n_units)))
                    block[...] = q * np.where(np.diag(r) < 0, -1.0, 1.0)
            else:
                view[...] = 0
                if name.startswith("layers."):
                    view.reshape(len(GATES), -1)[GATES.index("f")] = 1

    def forward(self, sequences, n_threads, *, scores=True, features=False, state_in=None):
        """Scores and last hidden states of all sequences.

        Parameters
        ----------
        sequences : Sequences
        n_threads : int
        scores, features : bool
            Whether to compute the head's scores and to return the top layer's hidden
            state after each sequence's last step.
        state_in : array of shape (n_sequences, 2 * sum(hidden_layer_sizes)), optional
            h and c of each layer in turn; zeros by default.

        Returns
        -------
        scores : array of shape (n_sequences, n_scores) or None
        features : array of shape (n_sequences, hidden_layer_sizes[-1]) or None
        """
        n = len(sequences)
        out_scores = np.empty((n, self.n_scores), self.dtype) if scores else None
        out_features = (
            np.empty((n, self.hidden_layer_sizes[-1]), self.dtype) if features else None
        )
        self._forward(
            self._plan,
            _engine.Workspace(),
            self.parameters,
            sequences.values,
            sequences.starts,
            sequences.lengths,
            np.arange(n, dtype=np.int64),
            n_threads,
            out_scores,
            out_features,
            state_in,
        )
        return out_scores, out_features

    def loss_and_gradients(
        self,
        workspace,
        sequences,
        targets,
        weights,
        batch,
        gradients,
        n_threads,
        state_in=None,
    ):
        """Weighted mean loss over a batch; its gradient fills `gradients`.

        Parameters
        ----------
        workspace : _engine.Workspace
            Memory kept between calls; one caller at a time.
        sequences : Sequences
        targets : array of shape (n_sequences, n_targets)
            n_scores numbers, or one class index for the softmax loss.
        weights : array of shape (n_sequences,)
        batch : int64 array of shape (B,)
            Which sequences to learn from.
        gradients : array of shape (n_parameters,)
        n_threads : int
        state_in : array of shape (B, 2 * sum(hidden_layer_sizes)), optional

        Returns
        -------
        loss, total_weight : float
            The mean, and the sum of the weights that it is a mean over.
        """
        return self._loss_and_gradients(
            self._plan,
            workspace,
            self.parameters,
            sequences.values,
            sequences.starts,
            sequences.lengths,
            targets,
            weights,
            batch,
            gradients,
            n_threads,
            state_in,
        )
