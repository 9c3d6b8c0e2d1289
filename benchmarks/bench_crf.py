"""A linear-chain CRF on a bidirectional LSTM: cylstm against torch.nn.LSTM with pytorch-crf.

    python benchmarks/bench_crf.py [--threads 2] [--repeats 9]

B sequences of T steps with I inputs, H units in each direction and K labels: one training
step (forward, backward, Adam) with the CRF, and with a softmax per step; and the best paths of
given scores. PyTorch has the lengths of ragged batches as a mask, and pads.
"""

import argparse

import numpy as np
from measure import geometric_mean, medians, table_head, table_row
from problem import cylstm_trainer

from cylstm._sequences import ragged_to_sequences
from cylstm._threads import single_threaded_blas

# B, T, I, H, K, ragged
GRID = [
    (32, 25, 100, 100, 17, False),
    (32, 25, 100, 100, 17, True),
    (32, 50, 16, 32, 5, False),
    (32, 50, 16, 32, 5, True),
    (64, 100, 32, 64, 50, False),
    (1, 100, 32, 64, 17, False),
]


def torch_steps(X, y, lengths, n_units, n_labels):
    """Callables for a training step with the CRF and with a softmax, and for best paths."""
    import torch
    from torchcrf import CRF

    torch.manual_seed(0)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    mask = torch.arange(X.shape[1]) < torch.from_numpy(lengths)[:, None]
    lstm = torch.nn.LSTM(X.shape[2], n_units, batch_first=True, bidirectional=True)
    head = torch.nn.Linear(2 * n_units, n_labels)
    crf = CRF(n_labels, batch_first=True)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters(), *crf.parameters()])

    def update(loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def with_crf():
        update(-crf(head(lstm(X)[0]), y, mask=mask, reduction="token_mean"))

    def with_softmax():
        update(torch.nn.functional.cross_entropy(head(lstm(X)[0])[mask], y[mask]))

    def best_paths(scores):
        with torch.inference_mode():
            return crf.decode(torch.from_numpy(scores), mask=mask)

    return with_crf, with_softmax, best_paths


def cylstm_step(sequences, y, n_units, n_threads, n_labels, loss):
    """A trainer and a callable for a training step."""
    trainer = cylstm_trainer(
        sequences,
        y,
        n_units,
        n_threads,
        n_scores=n_labels,
        loss=loss,
        bidirectional=True,
        per_step=True,
    )
    rows = np.arange(len(sequences))
    return trainer.network, lambda: trainer.step(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    ratios = []
    print(
        table_head(
            [
                "B, T, I, H, K",
                *("step us", "torch", "ratio"),
                *("step with softmax us", "torch"),
                *("best paths us", "torch", "ratio"),
            ]
        )
    )
    for B, T, n_inputs, n_units, n_labels, ragged in GRID:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(B, T, n_inputs)).astype(np.float32)
        y = rng.integers(n_labels, size=(B, T))
        lengths = rng.integers(T // 10, T + 1, size=B) if ragged else np.full(B, T)
        lengths[0] = T
        real = np.arange(T) < lengths[:, None]
        sequences = ragged_to_sequences(
            [x[:n] for x, n in zip(X, lengths, strict=True)], np.float32
        )
        targets = y[real][:, None].astype(np.float32)
        network, with_crf = cylstm_step(
            sequences, targets, n_units, arguments.threads, n_labels, "crf"
        )
        _, with_softmax = cylstm_step(
            sequences, targets, n_units, arguments.threads, n_labels, "softmax"
        )
        torch_crf, torch_softmax, torch_paths = torch_steps(X, y, lengths, n_units, n_labels)
        scores = rng.normal(size=(B, T, n_labels)).astype(np.float32)
        packed = scores[real].astype(np.float64)

        def own_paths(network=network, packed=packed, lengths=lengths):
            network.best_paths(packed, lengths, arguments.threads)

        functions = [
            with_crf,
            torch_crf,
            with_softmax,
            torch_softmax,
            own_paths,
            lambda decode=torch_paths, scores=scores: decode(scores),
        ]
        with single_threaded_blas():
            own, other, own_softmax, softmax, paths, other_paths = medians(
                functions, arguments.repeats
            )
        ratios.append((other / own, other_paths / paths))
        shape = f"{B}, {T}, {n_inputs}, {n_units}, {n_labels}" + ", ragged" * ragged
        print(
            table_row(
                [
                    shape,
                    *(f"{own:.0f}", f"{other:.0f}", f"{other / own:.1f}"),
                    *(f"{own_softmax:.0f}", f"{softmax:.0f}"),
                    *(f"{paths:.0f}", f"{other_paths:.0f}", f"{other_paths / paths:.0f}"),
                ]
            ),
            flush=True,
        )
    steps, paths = (geometric_mean(column) for column in zip(*ratios, strict=True))
    print(
        table_row(["geometric mean", "", "", f"{steps:.1f}", "", "", "", "", f"{paths:.0f}"])
    )


if __name__ == "__main__":
    main()
