"""Time of fit and predict: cylstm against skorch (PyTorch) and scikit-learn's MLP.

    python benchmarks/bench_fit.py [--pendigits DIRECTORY] [--threads 2] [--repeats 3]

cylstm and skorch train the same LSTM: one layer of 64 units, Adam, batch size 32, equal
numbers of epochs and equal learning rates. The MLP has one hidden layer of 64 units and takes
the whole sequence as one row. --pendigits names a directory with pendigits.tra and
pendigits.tes (UCI 81: 8 pen points per digit, test set by different writers). Times are
medians; the score is accuracy or R^2 on test data.
"""

import argparse
import statistics
import time

import numpy as np
from datasets import digits, pendigits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from cylstm import LSTMClassifier, LSTMRegressor

N_UNITS = 64
BATCH = 32


def weighted_sums():
    """Regression on noise: an exponentially weighted sum over time of the first feature."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 50, 8))
    y = X[:, :, 0] @ 0.9 ** np.arange(50)[::-1]
    return train_test_split(X, y, test_size=0.25, random_state=0)


def last_state_lstm(n_features, n_units, n_outputs):
    """A torch Module class: one LSTM layer and a linear head on its last hidden state."""
    import torch

    class LastStateLSTM(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(n_features, n_units, batch_first=True)
            self.head = torch.nn.Linear(n_units, n_outputs)

        def forward(self, X):
            return self.head(self.lstm(X)[1][0][-1])

    return LastStateLSTM


def skorch_model(n_features, n_classes, n_epochs, rate):
    import torch
    from skorch import NeuralNetClassifier, NeuralNetRegressor

    module = last_state_lstm(n_features, N_UNITS, n_classes or 1)
    torch.manual_seed(0)
    settings = {
        "max_epochs": n_epochs,
        "batch_size": BATCH,
        "lr": rate,
        "optimizer": torch.optim.Adam,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    if n_classes:
        return NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss, **settings)
    return NeuralNetRegressor(module, **settings)


class Flattened:
    """Passes each sequence to an estimator as one row."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator.fit(X.reshape(len(X), -1), y)
        return self

    def score(self, X, y):
        return self.estimator.score(X.reshape(len(X), -1), y)

    def predict(self, X):
        return self.estimator.predict(X.reshape(len(X), -1))


class Float32:
    """Converts arrays to the types that PyTorch expects."""

    def __init__(self, net, classes):
        self.net = net
        self.classes = classes

    def targets(self, y):
        return y.astype(np.int64) if self.classes else y.astype(np.float32)[:, None]

    def fit(self, X, y):
        self.net.fit(X.astype(np.float32), self.targets(y))
        return self

    def predict(self, X):
        return self.net.predict(X.astype(np.float32))

    def score(self, X, y):
        return self.net.score(X.astype(np.float32), self.targets(y))


def model_factories(X, y, n_epochs, rate, n_threads, with_skorch):
    n_classes = len(np.unique(y)) if y.dtype.kind in "iu" else 0
    settings = {
        "learning_rate": "constant",
        "learning_rate_init": rate,
        "max_iter": n_epochs,
        "n_iter_no_change": n_epochs,
        "batch_size": BATCH,
        "random_state": 0,
    }
    lstm, mlp = (LSTMClassifier, MLPClassifier) if n_classes else (LSTMRegressor, MLPRegressor)
    makers = {
        "cylstm": lambda: lstm(N_UNITS, n_jobs=n_threads, **settings),
        "MLP": lambda: Flattened(mlp(hidden_layer_sizes=(N_UNITS,), **settings)),
    }
    if with_skorch:
        makers["skorch"] = lambda: Float32(
            skorch_model(X.shape[2], n_classes, n_epochs, rate), n_classes
        )
    return makers


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def compare(name, data, n_epochs, rate, arguments):
    X, X_test, y, y_test = data
    makers = model_factories(X, y, n_epochs, rate, arguments.threads, not arguments.no_skorch)
    fit_times = {label: [] for label in makers}
    predict_times = {label: [] for label in makers}
    scores = {}
    for _ in range(arguments.repeats):
        for label, make in makers.items():
            elapsed, model = seconds(lambda: make().fit(X, y))  # noqa: B023
            fit_times[label].append(elapsed)
            predict_times[label].append(seconds(lambda: model.predict(X_test))[0])  # noqa: B023
            scores[label] = model.score(X_test, y_test)
    own = statistics.median(fit_times["cylstm"])
    for label in makers:
        fit = statistics.median(fit_times[label])
        predict = statistics.median(predict_times[label])
        print(
            f"| {name}, {n_epochs} epochs | {label} | {fit:.2f} | {fit / own:.1f} "
            f"| {predict * 1e3:.1f} | {scores[label]:.4f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pendigits", metavar="DIRECTORY")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-skorch", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_skorch:
        import torch

        torch.set_num_threads(arguments.threads)
    import warnings

    warnings.filterwarnings("ignore", category=UserWarning)  # the MLP reaches max_iter
    print(
        "| data | model | fit s | fit / cylstm | predict ms | test score |\n"
        "|---|---|---|---|---|---|"
    )
    with threadpool_limits(limits=arguments.threads):
        compare("digits", digits(), 30, 5e-3, arguments)
        compare("weighted sums", weighted_sums(), 10, 5e-3, arguments)
        if arguments.pendigits:
            compare("pendigits", pendigits(arguments.pendigits), 60, 2e-3, arguments)


if __name__ == "__main__":
    main()
