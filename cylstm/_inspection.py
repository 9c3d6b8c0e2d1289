"""Inspecting a network: its gates, and what its scores depend on."""

import numpy as np
from scipy.special import softmax

from . import _engine
from ._arguments import warn_caller
from ._plan import CELLS
from ._sequences import Sequences

# Sequences whose history is held at a time.
BLOCK = 256


def gate_values(network, sequences, n_threads):
    """Name -> gates, c and h of each layer and direction, in the form of X."""
    a = network.architecture
    layers = [
        (f"layers.{k}.{direction}", n_units)
        for k, n_units in enumerate(a.hidden_layer_sizes)
        for direction in a.directions
    ]
    traced = [*a.gates, "c", "h"]
    cell = CELLS[a.cell]
    # What the reset gate multiplies is no gate, and without a cell state c is h.
    left_out = set(traced) - set(cell.see_x + cell.state)
    traces = _traces(network, sequences, n_threads)
    rows = sequences.real_rows()
    values = {}
    for (name, n_units), trace in zip(layers, traces, strict=True):
        cuts = n_units * np.arange(1, len(traced))
        parts = dict(zip(traced, np.split(trace[rows], cuts, axis=1), strict=True))
        if a.cell == "coupled":
            i = parts.pop("i")
            parts = {"i": i, "f": 1 - i, **parts}
        for part, numbers in parts.items():
            if part not in left_out:
                values[name + part] = sequences.shape_steps(numbers)
    return values


def attention_weights(network, sequences, n_threads):
    """The weight of each step in its sequence's pooled features, in the form of X."""
    A, bias, query = (network.weights[f"attention.{w}"] for w in ("weight", "bias", "query"))
    _, outputs = network.stepwise().forward(sequences, n_threads, scores=False, features=True)
    weights = []
    for start, length in zip(sequences.starts, sequences.lengths, strict=True):
        scores = np.tanh(outputs[start : start + length] @ A.T + bias) @ query
        weights.append(softmax(scores))
    return sequences.shape_steps(np.concatenate(weights))


def _traces(network, sequences, n_threads):
    """Of each layer and direction gates, c and h of all rows of values, side by side."""
    a = network.architecture
    traces = [
        np.empty((sequences.n_rows, (len(a.gates) + 1) * n_units + n_outputs), network.dtype)
        for n_units, n_outputs in zip(a.hidden_layer_sizes, a.output_sizes, strict=True)
        for _ in a.directions
    ]
    network.forward(sequences, n_threads, scores=False, traces=traces)
    return traces


def input_gradients(network, sequences, output, step, slope, n_threads):
    """Derivatives of one score, times `slope`, with respect to all inputs, in the form of
    X."""
    gradients = slope * _gradient_rows(network, sequences, output, step, n_threads)
    return sequences.shape_steps(gradients.astype(network.dtype, copy=False))


def integrated_gradients(
    network, sequences, output, step, slope, n_threads, *, baseline, n_steps
):
    """(x - baseline) times the mean of the derivatives of one score, times `slope`, along the
    line from the baseline to x, in the form of X; by Gauss-Legendre quadrature."""
    if sequences.tokens is not None:
        sequences = Sequences(
            network.weights["embedding.weight"][sequences.tokens],
            sequences.starts,
            sequences.lengths,
            shape=sequences.shape,
        )
        network = network.without_embedding()
    values = sequences.values
    rows = sequences.real_rows()
    total = np.zeros((len(rows), values.shape[1]))
    for node, weight in zip(*np.polynomial.legendre.leggauss(n_steps), strict=True):
        share = (1 + node) / 2
        between = (baseline + share * (values - baseline)).astype(values.dtype)
        part = Sequences(between, sequences.starts, sequences.lengths)
        total += weight / 2 * _gradient_rows(network, part, output, step, n_threads)
    parts = slope * (values[rows].astype(np.float64) - baseline) * total
    start = np.broadcast_to(np.asarray(baseline, values.dtype), values.shape).copy()
    start = Sequences(start, sequences.starts, sequences.lengths)
    change = slope * (
        _scores(network, sequences, output, step, n_threads)
        - _scores(network, start, output, step, n_threads)
    )
    sums = np.add.reduceat(parts.sum(axis=1), np.cumsum(sequences.lengths) - sequences.lengths)
    _warn_of_missing(np.abs(sums - change).max(), np.abs(change).max())
    return sequences.shape_steps(parts.astype(values.dtype))


def _scores(network, sequences, output, step, n_threads):
    """One score of each sequence, or its sum over their steps."""
    scores, _ = network.forward(sequences, n_threads)
    scores = scores[:, output].astype(np.float64)
    if not network.architecture.per_step:
        return scores
    if step is not None:
        return scores[sequences.starts + (step if step >= 0 else sequences.lengths + step)]
    starts = np.cumsum(sequences.lengths) - sequences.lengths
    return np.add.reduceat(scores[sequences.real_rows()], starts)


def _warn_of_missing(missing, largest):
    if missing > 0.05 * largest:
        warn_caller(
            f"The attributions of a sequence miss the change of its score by up to "
            f"{missing:.3g}; the largest change is {largest:.3g}. The score is not smooth "
            "between the baseline and X: give another baseline or more n_steps."
        )


def _gradient_rows(network, sequences, output, step, n_threads):
    """Derivatives of one score with respect to the inputs of all real steps."""
    a = network.architecture
    linear = network.linear()
    n_targets = sequences.n_rows if a.per_step else len(sequences)
    # The loss of `linear` is sum(target * score).
    targets = np.zeros((n_targets, a.n_scores), network.dtype)
    if step is None:
        targets[:, output] = 1
    else:
        at = step if step >= 0 else sequences.lengths + step
        outside = (at < 0) | (at >= sequences.lengths)
        if outside.any():
            k = np.flatnonzero(outside)[0]
            raise ValueError(
                f"step={step} is outside sample {k}, which has {sequences.lengths[k]} steps."
            )
        targets[sequences.starts + at, output] = 1
    weights = np.ones(n_targets, network.dtype)
    out = np.zeros((sequences.n_rows, a.n_inputs), network.dtype)
    workspace = _engine.Workspace()
    for start in range(0, len(sequences), BLOCK):
        batch = np.arange(start, min(start + BLOCK, len(sequences)))
        _, total = linear.loss_and_gradients(
            workspace,
            sequences,
            targets,
            weights,
            batch,
            linear.new_gradients(int(sequences.lengths[batch].sum())),
            n_threads,
            input_gradients=out,
        )
        # The kernel's loss is a mean; a sum is wanted here.
        out[sequences.take(batch).real_rows()] *= total
    return out[sequences.real_rows()]
