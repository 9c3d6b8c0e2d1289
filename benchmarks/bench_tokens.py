"""A training step on token ids with a trained embedding: cylstm against PyTorch with dense
and with sparse gradients.

    python benchmarks/bench_tokens.py [--vocabulary 100 10000 100000] [--threads 2]

Batch size 32, 30 steps, embedding dimension 64, 64 units, Adam. PyTorch's sparse gradients
need SparseAdam, which, like cylstm, does not touch the rows of tokens absent from the batch.
"""

import argparse

import numpy as np
from measure import medians
from problem import cylstm_trainer

from cylstm._sequences import tokens_to_sequences
from cylstm._threads import single_threaded_blas

B, T, DIMENSION, UNITS = 32, 30, 64, 64


def torch_step(X, y, vocabulary, sparse):
    import torch

    torch.manual_seed(0)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    embedding = torch.nn.Embedding(vocabulary, DIMENSION, sparse=sparse)
    lstm = torch.nn.LSTM(DIMENSION, UNITS, batch_first=True)
    head = torch.nn.Linear(UNITS, 1)
    dense = [*lstm.parameters(), *head.parameters()]
    if sparse:
        optimizers = [
            torch.optim.Adam(dense),
            torch.optim.SparseAdam(list(embedding.parameters())),
        ]
    else:
        optimizers = [torch.optim.Adam([*dense, *embedding.parameters()])]

    def step():
        for optimizer in optimizers:
            optimizer.zero_grad()
        features = lstm(embedding(X))[1][0][-1]
        torch.nn.functional.mse_loss(head(features), y).backward()
        for optimizer in optimizers:
            optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(
        "| V | cylstm us | torch dense | ratio | torch sparse | ratio |\n"
        "|---|---|---|---|---|---|"
    )
    for vocabulary in arguments.vocabulary:
        rng = np.random.default_rng(0)
        X = rng.integers(vocabulary, size=(B, T))
        y = rng.normal(size=(B, 1)).astype(np.float32)
        trainer = cylstm_trainer(
            tokens_to_sequences(X, vocabulary),
            y,
            UNITS,
            arguments.threads,
            n_inputs=DIMENSION,
            vocabulary=vocabulary,
        )
        functions = [
            lambda trainer=trainer: trainer.step(np.arange(B)),
            torch_step(X, y, vocabulary, sparse=False),
            torch_step(X, y, vocabulary, sparse=True),
        ]
        with single_threaded_blas():
            own, dense, sparse = medians(functions, arguments.repeats)
        print(
            f"| {vocabulary} | {own:.0f} | {dense:.0f} | {dense / own:.1f} "
            f"| {sparse:.0f} | {sparse / own:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
