"""What it would bring to train one network on several machines: why cylstm does not.

    python benchmarks/distributed_training.py [--seeds 5] [--epochs 15]

- Gradients: milliseconds of a training step on one thread, of half its batch, and of what two
  machines do after each step: two worker processes of dask have a gradient each, and get their
  sum. The ratio is how many times as fast two machines would be. Within one computer, dask's
  network is faster than between two.
- Weights: each of several workers trains on a part of the data, and after each epoch all go on
  from the mean of their weights. In one process, with partial_fit; prints the loss on the
  training set and the accuracy on the test set of scikit-learn's digits, as means and standard
  deviations over seeds.

Needs dask and distributed for the first.
"""

import argparse
import statistics

import numpy as np
from datasets import digits
from distributed import Client, LocalCluster, wait
from measure import medians, seconds, table_head, table_row
from problem import Problem, cylstm_batch
from sklearn.metrics import log_loss

from cylstm import LSTMClassifier

SHAPES = [(32, 50, 8, 64), (128, 50, 8, 64), (32, 50, 8, 512), (128, 50, 8, 512)]


def gradient(n):
    return np.ones(n, np.float32)


def ms_of_sum(client, n, repeats):
    """Until both workers have the sum of their gradients of n numbers."""
    first, second = client.scheduler_info()["workers"]

    def exchange():
        total = client.submit(np.add, *gradients, workers=first, pure=False)
        wait(client.submit(np.size, total, workers=second, pure=False))

    times = []
    for _ in range(repeats):
        # New ones, of which no worker has a copy.
        gradients = [
            client.submit(gradient, n, workers=worker, pure=False)
            for worker in (first, second)
        ]
        wait(gradients)
        times.append(seconds(exchange) * 1e3)
    return statistics.median(times)


def print_gradients(repeats):
    columns = ["B, T, I, H", "parameters", "step ms", "of half the batch", "sum ms", "ratio"]
    print(table_head(columns))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for n_rows, *shape in SHAPES:
            n = sum(w.size for w in Problem(n_rows, *shape).weights.values())
            steps = [cylstm_batch(Problem(b, *shape), 1) for b in (n_rows, n_rows // 2)]
            step, half = (us / 1e3 for us in medians(steps, repeats))
            total = ms_of_sum(client, n, 5 * repeats)
            cells = [", ".join(map(str, (n_rows, *shape))), n]
            cells += [f"{ms:.1f}" for ms in (step, half, total)]
            print(table_row([*cells, f"{step / (half + total):.2f}"]), flush=True)


def train_in_parts(X, y, n_workers, n_epochs, seed):
    """The model that workers share after the last epoch."""
    order = np.random.default_rng(seed).permutation(len(X))
    parts = np.array_split(order, n_workers)
    models = [
        LSTMClassifier(32, batch_size=16, cosine_epochs=n_epochs, random_state=seed)
        for _ in parts
    ]
    for _ in range(n_epochs):
        for model, part in zip(models, parts, strict=True):
            model.partial_fit(X[part], y[part], classes=np.unique(y))
        for name in models[0].weights_:
            mean = np.mean([model.weights_[name] for model in models], axis=0)
            for model in models:
                model.weights_[name][...] = mean
    return models[0]


def print_averages(n_seeds, n_epochs):
    print(table_head(["workers", "epochs", "training loss", "test accuracy"]))
    for n_workers, factor in ((1, 1), (2, 1), (4, 1), (8, 1), (2, 2), (4, 4)):
        results = []
        for seed in range(n_seeds):
            X, X_test, y, y_test = digits(seed)
            model = train_in_parts(X, y, n_workers, factor * n_epochs, seed)
            loss = log_loss(y, model.predict_proba(X))
            results.append((loss, model.score(X_test, y_test)))
        (loss, accuracy), spread = np.mean(results, axis=0), np.std(results, axis=0)
        cells = [f"{loss:.4f} +- {spread[0]:.4f}", f"{accuracy:.3f} +- {spread[1]:.3f}"]
        print(table_row([n_workers, factor * n_epochs, *cells]), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print_gradients(arguments.repeats)
    print()
    print_averages(arguments.seeds, arguments.epochs)


if __name__ == "__main__":
    main()
