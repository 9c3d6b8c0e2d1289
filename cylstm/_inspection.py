"""Looking inside a network: its gates, and what its scores depend on."""

import numpy as np

from . import _engine
from ._threads import effective_n_threads, single_threaded_blas

# Sequences whose history is held at a time.
BLOCK = 256


def gate_values(network, sequences, n_jobs):
    """Name -> gates, c and h of each layer and direction, in the form of X."""
    a = network.architecture
    names = [
        f"layers.{k}.{direction}"
        for k in range(len(a.hidden_layer_sizes))
        for direction in a.directions
    ]
    sizes = np.repeat(a.hidden_layer_sizes, len(a.directions)).tolist()
    what = [*a.gates, "c", "h"]
    traces = [
        np.empty((sequences.n_rows, len(what) * n_units), network.dtype) for n_units in sizes
    ]
    with single_threaded_blas():
        network.forward(sequences, effective_n_threads(n_jobs), scores=False, traces=traces)
    rows = sequences.real_rows()
    values = {}
    for name, trace in zip(names, traces, strict=True):
        parts = dict(zip(what, np.split(trace[rows], len(what), axis=1), strict=True))
        parts.setdefault("f", 1 - parts["i"])
        for part in (*"ifgo", "c", "h"):
            values[name + part] = sequences.shape_steps(parts[part])
    return values


def input_gradients(network, sequences, output, step, n_jobs):
    """Derivatives of one score by all inputs, in the form of X."""
    a = network.architecture
    linear = network.linear()
    n_targets = sequences.n_rows if a.per_step else len(sequences)
    wanted = np.zeros((n_targets, a.n_scores), network.dtype)
    if step is None:
        wanted[:, output] = 1
    else:
        at = step if step >= 0 else sequences.lengths + step
        outside = (at < 0) | (at >= sequences.lengths)
        if outside.any():
            k = np.flatnonzero(outside)[0]
            raise ValueError(
                f"step={step} is outside of sample {k}, which has "
                f"{sequences.lengths[k]} steps."
            )
        wanted[sequences.starts + at, output] = 1
    weights = np.ones(n_targets, network.dtype)
    out = np.zeros((sequences.n_rows, a.n_inputs), network.dtype)
    workspace = _engine.Workspace()
    with single_threaded_blas():
        for begin in range(0, len(sequences), BLOCK):
            batch = np.arange(begin, min(begin + BLOCK, len(sequences)))
            _, total = linear.loss_and_gradients(
                workspace,
                sequences,
                wanted,
                weights,
                batch,
                linear.new_gradients(int(sequences.lengths[batch].sum())),
                effective_n_threads(n_jobs),
                input_gradients=out,
            )
            # The kernel's loss is a mean, here a sum is wanted.
            out[sequences.take(batch).real_rows()] *= total
    return sequences.shape_steps(out[sequences.real_rows()])
