"""What residual connections bring in a stack of four layers of 64 units.

    python benchmarks/bench_residual.py [--seeds 5]

scikit-learn's digits, whose 8 rows are steps, by LSTMClassifier with and without residual
connections. Prints mean and standard deviation over seeds (network and split) of the test
accuracy after some epochs, and how many epochs it took to classify 90% right.
"""

import argparse

import numpy as np
from datasets import digits
from measure import table_head, table_row

from cylstm import LSTMClassifier

EPOCHS = (2, 5, 10, 20, 30)
WANTED = 0.9


def accuracies(residual, seed):
    """Of each epoch."""
    X, X_test, y, y_test = digits(seed)
    model = LSTMClassifier(
        (64, 64, 64, 64),
        residual=residual,
        learning_rate_init=2e-3,
        learning_rate="constant",
        max_iter=max(EPOCHS),
        random_state=seed,
    )
    model.fit(X, y, X_val=X_test, y_val=y_test)
    return np.array(model.validation_scores_)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    epochs = [f"{n} epochs" for n in EPOCHS]
    print(table_head(["residual", *epochs, f"epochs to {WANTED:.0%}"]))
    for residual in (False, True):
        curves = np.array([accuracies(residual, seed) for seed in seeds])
        cells = [
            f"{curves[:, n - 1].mean():.3f} +- {curves[:, n - 1].std():.3f}" for n in EPOCHS
        ]
        # Beyond the last epoch where a curve never gets there.
        reached = [np.argmax([*(curve >= WANTED), True]) + 1 for curve in curves]
        print(table_row([residual, *cells, f"{np.mean(reached):.1f}"]), flush=True)


if __name__ == "__main__":
    main()
