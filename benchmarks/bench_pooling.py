"""How the steps of a sequence should become one vector: LSTMClassifier with each pooling.

    python benchmarks/bench_pooling.py [--pendigits DIRECTORY] [--indoor DIRECTORY] [--seeds 5]

Prints mean and standard deviation of the test accuracy over seeds, which draw the network's
start and, except for pendigits, the split. In a set all settings but the pooling are the same.

- digits: scikit-learn's images, 8 rows of 8 pixels, read from the first row.
- ragged digits: the same, a random number of 1 to 25 rows of noise before and after each.
- pendigits: 8 points of a pen.
- indoor movement: 19 to 129 steps of 4 signal strengths (datasets.py has the sources).
"""

import argparse

import numpy as np
from datasets import digits, indoor_movement, pendigits
from measure import table_head, table_row
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, _plan
from cylstm.preprocessing import StepwiseTransformer


def surround(images, rng):
    """Each image with rows of noise before and after it."""
    return [
        np.concatenate(
            [rng.random((rng.integers(1, 26), 8)), x, rng.random((rng.integers(1, 26), 8))]
        )
        for x in images
    ]


def ragged_digits(seed):
    X, X_test, y, y_test = digits(seed)
    rng = np.random.default_rng(seed)
    return surround(X, rng), surround(X_test, rng), y, y_test


def split_indoor(X, y, seed):
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)


def accuracy(data, settings, pooling, seed):
    X, X_test, y, y_test = data
    model = make_pipeline(
        StepwiseTransformer(StandardScaler()),
        LSTMClassifier(
            32, pooling=pooling, learning_rate="cosine", random_state=seed, **settings
        ),
    )
    return model.fit(X, y).score(X_test, y_test)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pendigits", metavar="DIRECTORY")
    parser.add_argument("--indoor", metavar="DIRECTORY")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    settings = {"learning_rate_init": 1e-2, "n_iter_no_change": 1000}
    sets = {
        "digits": (digits, {**settings, "max_iter": 30}),
        "ragged digits": (ragged_digits, {**settings, "max_iter": 30}),
    }
    if arguments.pendigits:
        pens = pendigits(arguments.pendigits)
        sets["pendigits"] = (lambda seed: pens, {**settings, "max_iter": 20})
    if arguments.indoor:
        moves = indoor_movement(arguments.indoor)
        sets["indoor movement"] = (
            lambda seed: split_indoor(*moves, seed),
            {**settings, "max_iter": 100, "batch_size": 16},
        )
    print(table_head(["set", *_plan.POOLINGS]), flush=True)
    for name, (read, of_set) in sets.items():
        cells = [name]
        for pooling in _plan.POOLINGS:
            scores = [
                accuracy(read(seed), of_set, pooling, seed) for seed in range(arguments.seeds)
            ]
            cells.append(f"{np.mean(scores):.3f} +- {np.std(scores):.3f}")
        print(table_row(cells), flush=True)


if __name__ == "__main__":
    main()
