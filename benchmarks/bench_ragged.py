"""A training step on sequences of different lengths: cylstm against PyTorch, packed and
padded.

    python benchmarks/bench_ragged.py [--threads 2] [--repeats 9]

Lengths are drawn between a tenth of the steps and all of them, which on average fills 0.55
of the padded batch. The rest is as in bench_step.py.
"""

import argparse

import numpy as np
from measure import medians
from problem import cylstm_trainer

from cylstm._sequences import ragged_to_sequences
from cylstm._threads import single_threaded_blas

GRID = [(32, 50, 8, 64), (64, 200, 16, 128), (32, 29, 12, 100)]


def torch_steps(X, y, lengths, n_units):
    """Callables for a training step on the packed and on the padded batch."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    torch.manual_seed(0)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    lengths = torch.from_numpy(lengths)
    lstm = torch.nn.LSTM(X.shape[2], n_units, batch_first=True)
    head = torch.nn.Linear(n_units, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()])
    rows = torch.arange(len(X))

    def update(features):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(head(features), y).backward()
        optimizer.step()

    def packed():
        batch = pack_padded_sequence(X, lengths, batch_first=True, enforce_sorted=False)
        update(lstm(batch)[1][0][-1])

    def padded():
        update(lstm(X)[0][rows, lengths - 1])

    return packed, padded


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(
        "| B, T, I, H | fill | cylstm us | torch packed | ratio | torch padded | ratio |\n"
        "|---|---|---|---|---|---|---|"
    )
    for B, T, n_inputs, n_units in GRID:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(B, T, n_inputs)).astype(np.float32)
        y = rng.normal(size=(B, 1)).astype(np.float32)
        lengths = rng.integers(T // 10, T + 1, size=B)
        lengths[0] = T
        sequences = ragged_to_sequences(
            [x[:n] for x, n in zip(X, lengths, strict=True)], np.float32
        )
        trainer = cylstm_trainer(sequences, y, n_units, arguments.threads)
        rows = np.arange(B)
        functions = [
            lambda trainer=trainer, rows=rows: trainer.step(rows),
            *torch_steps(X, y, lengths, n_units),
        ]
        with single_threaded_blas():
            own, packed, padded = medians(functions, arguments.repeats)
        print(
            f"| {B}, {T}, {n_inputs}, {n_units} | {lengths.sum() / (B * T):.2f} | {own:.0f} "
            f"| {packed:.0f} | {packed / own:.1f} | {padded:.0f} | {padded / own:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
