"""The torch.nn.Module that to_torch makes. Only what needs torch imports this file."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class SequenceModule(nn.Module):
    """Embedding, LSTM or GRU layers, pooling and a linear head.

    Parameters
    ----------
    layer : type
        torch.nn.LSTM or torch.nn.GRU.
    n_inputs : int
    sizes : list of int
        Units of each layer, per direction.
    n_scores : int
    bidirectional, per_step, residual : bool
    projection : int
        0: none.
    pooling : {"last", "mean", "max", "attention"}
    vocabulary : int
        0: the inputs are numbers.
    exponential : bool
        Whether predictions are the exponentials of scores.
    n_quantiles : int
        Successive scores that are sorted.
    dtype : torch.dtype
    """

    def __init__(
        self,
        layer,
        n_inputs,
        sizes,
        n_scores,
        *,
        bidirectional,
        per_step,
        residual,
        projection,
        pooling,
        vocabulary,
        exponential,
        n_quantiles,
        dtype,
    ):
        super().__init__()
        self.per_step = per_step
        self.residual = residual
        self.pooling = pooling
        self.exponential = exponential
        self.n_quantiles = n_quantiles
        if vocabulary:
            self.embedding = nn.Embedding(vocabulary, n_inputs, dtype=dtype)
        options = {"batch_first": True, "bidirectional": bidirectional, "dtype": dtype}
        if projection:
            options["proj_size"] = projection
        self.n_outputs = projection or sizes[-1]  # of one direction
        n_directions = 1 + bidirectional
        if len(set(sizes)) == 1 and not residual:
            self.rnn = layer(n_inputs, sizes[0], len(sizes), **options)
        else:
            below = [n_inputs, *((projection or size) * n_directions for size in sizes[:-1])]
            self.rnn = nn.ModuleList(
                layer(n, size, **options) for n, size in zip(below, sizes, strict=True)
            )
        n_features = self.n_outputs * n_directions
        if pooling == "attention":
            self.attention = nn.Linear(n_features, n_features, dtype=dtype)
            self.query = nn.Parameter(torch.empty(n_features, dtype=dtype))
        self.head = nn.Linear(n_features, n_scores, dtype=dtype)

    def forward(self, x, lengths=None):
        """Predictions, in columns.

        Parameters
        ----------
        x : tensor of shape (n_samples, n_timesteps, n_features), of tokens without the last
            Steps after the last one of a sequence are padding, of any finite numbers.
        lengths : tensor of shape (n_samples,), optional
            Steps of each sequence; all, if None.

        Returns
        -------
        predictions : tensor of shape (n_samples, n_scores), per step (n_samples, \
                n_timesteps, n_scores)
            At padding they mean nothing.
        """
        if hasattr(self, "embedding"):
            x = self.embedding(x)
        for layer in self.rnn if isinstance(self.rnn, nn.ModuleList) else [self.rnn]:
            outputs = _run(layer, x, lengths)
            added = self.residual and outputs.shape == x.shape
            x = outputs + x if added else outputs
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        scores = self.head(self._features(x, torch.as_tensor(lengths, device=x.device)))
        if self.exponential:
            scores = torch.exp(scores)
        if self.n_quantiles > 1:
            by_level = scores.unflatten(-1, (-1, self.n_quantiles))
            scores = by_level.sort(dim=-1).values.flatten(-2)
        return scores

    def _features(self, outputs, lengths):
        """Inputs of the head, from the last layer's outputs at all steps."""
        if self.per_step:
            return outputs
        if self.pooling == "last":  # each direction's own
            rows = torch.arange(len(outputs), device=outputs.device)
            forward = outputs[rows, lengths - 1, : self.n_outputs]
            return torch.cat([forward, outputs[:, 0, self.n_outputs :]], dim=1)
        steps = torch.arange(outputs.shape[1], device=outputs.device)
        real = (steps < lengths[:, None])[:, :, None]
        if self.pooling == "mean":
            return (outputs * real).sum(dim=1) / lengths[:, None]
        if self.pooling == "max":
            return outputs.masked_fill(~real, -torch.inf).amax(dim=1)
        scores = torch.tanh(self.attention(outputs)) @ self.query
        shares = torch.softmax(scores[:, :, None].masked_fill(~real, -torch.inf), dim=1)
        return (outputs * shares).sum(dim=1)


def _run(layer, x, lengths):
    """Outputs of all steps; at padding 0."""
    if lengths is None:
        return layer(x)[0]
    packed = pack_padded_sequence(
        x, torch.as_tensor(lengths).cpu(), batch_first=True, enforce_sorted=False
    )
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]
