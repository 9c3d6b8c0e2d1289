"""What layer normalization brings, and what it costs.

    python benchmarks/bench_layer_norm.py [--seeds 5] [--repeats 5]

First scikit-learn's digits read pixel by pixel, 64 steps of a number and 1, by LSTMClassifier
with and without layer_norm, each at several rates: mean and standard deviation over seeds
(network and split) of the test accuracy after some epochs. Then the time of one mini-batch of
training and of a prediction on one thread, and what it is with layer_norm relative to without.
"""

import argparse
import statistics

import numpy as np
from datasets import digits
from measure import microseconds, table_head, table_row
from problem import Problem, cylstm_trainer

from cylstm import LSTMClassifier
from cylstm._sequences import Sequences

EPOCHS = (2, 5, 10, 20)
RATES = (1e-3, 3e-3, 1e-2)
SHAPES = (
    (32, 20, 2, 32),
    (32, 50, 8, 64),
    (64, 50, 100, 100),
    (128, 100, 64, 256),
    (1, 100, 64, 256),
)


def by_pixel(images):
    """Steps of one pixel and a constant feature, without which its size would be lost."""
    pixels = images.reshape(len(images), -1, 1)
    return np.concatenate([pixels, np.ones_like(pixels)], axis=2)


def accuracies(layer_norm, rate, seed):
    """Of each epoch."""
    X, X_test, y, y_test = digits(seed)
    model = LSTMClassifier(
        64,
        layer_norm=layer_norm,
        learning_rate_init=rate,
        learning_rate="constant",
        max_iter=max(EPOCHS),
        random_state=seed,
    )
    model.fit(by_pixel(X), y, X_val=by_pixel(X_test), y_val=y_test)
    return np.array(model.validation_scores_)


def print_learning(seeds):
    print(table_head(["layer_norm", "rate", *(f"{n} epochs" for n in EPOCHS)]))
    for rate in RATES:
        for layer_norm in (False, True):
            curves = np.array([accuracies(layer_norm, rate, seed) for seed in seeds])
            cells = [
                f"{curves[:, n - 1].mean():.3f} +- {curves[:, n - 1].std():.3f}"
                for n in EPOCHS
            ]
            print(table_row([layer_norm, f"{rate:g}", *cells]), flush=True)


def functions(shape, layer_norm):
    """A mini-batch of training, and a prediction."""
    problem = Problem(*shape)
    sequences = Sequences.from_equal_lengths(problem.X)
    trainer = cylstm_trainer(
        sequences, problem.y, problem.n_units, n_threads=1, layer_norm=layer_norm
    )
    rows = np.arange(len(problem.X))
    return lambda: trainer.step(rows), lambda: trainer.network.forward(sequences, 1)


def print_times(repeats):
    print(table_head(["B, T, I, H", "fit us", "with", "predict us", "with"]))
    for shape in SHAPES:
        calls = [call for on in (False, True) for call in functions(shape, on)]
        fit, predict, fit_on, predict_on = map(statistics.median, microseconds(calls, repeats))
        cells = [f"{fit:.0f}", f"{fit_on / fit:.2f}"]
        cells += [f"{predict:.0f}", f"{predict_on / predict:.2f}"]
        print(table_row([", ".join(map(str, shape)), *cells]), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print_learning(range(arguments.seeds))
    print()
    print_times(arguments.repeats)


if __name__ == "__main__":
    main()
