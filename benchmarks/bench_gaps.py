"""Sequences with gaps: SequenceImputer against mean filling, before an LSTM.

    python benchmarks/bench_gaps.py [--ett ETTh1.csv] [--indoor DIRECTORY] [--seeds 8]

30% of the input values are removed from all data, each sensor by itself, at random or in runs
of 12 steps on average. Targets are complete. The table has the mean and standard deviation of
the test score over seeds, and in how many of them it is better than with mean filling; at
first without a network, for predicting the last value seen or the most frequent class. A seed
draws the gaps, the network's start and, except for ETTh1, the split. Training stops early by
the score on validation data, with gaps like all others.

- drift, oscillator: generated, three noisy sensors that change slowly, or that swing with a
  period of 16 to 63 steps; at each step, their values 5 steps later are predicted. Mean
  squared error, with targets of unit variance.
- ETTh1.csv (Electricity Transformer Dataset): at each hour, all 7 variables 6 hours later, in
  windows of 48 hours from 8640 hours for training, 2880 for early stopping and 2880 for
  testing. Mean squared error, with training targets of unit variance.
- DIRECTORY (Indoor User Movement, UCI, with dataset/MovementAAL_RSS_1.csv, ...): whether a
  user changes rooms, by 4 signal strengths. Accuracy.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from datasets import etth1, indoor_movement
from scipy.signal import lfilter
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, LSTMRegressor
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

FRACTION = 0.3
MEAN_RUN = 12
MEAN = "mean"
FILLS = {
    MEAN: StepwiseTransformer(SimpleImputer()),
    "mean, indicator": StepwiseTransformer(SimpleImputer(add_indicator=True)),
    "forward": SequenceImputer(add_indicator=False),
    "forward, indicator": SequenceImputer(),
    "forward, indicator, elapsed": SequenceImputer(add_elapsed=True),
}
COLUMNS = ["no network", *FILLS]


def draw_random_gaps(shape, rng):
    return rng.random(shape) < FRACTION


def draw_runs(shape, rng):
    """Gaps of geometric lengths, a Markov chain for each feature that starts in its
    stationary distribution."""
    n_steps, n_features = shape
    end = 1 / MEAN_RUN
    begin = end * FRACTION / (1 - FRACTION)
    gaps = np.empty(shape, dtype=bool)
    gaps[0] = rng.random(n_features) < FRACTION
    for t in range(1, n_steps):
        gaps[t] = rng.random(n_features) < np.where(gaps[t - 1], 1 - end, begin)
    return gaps


PATTERNS = {"at random": draw_random_gaps, "in runs": draw_runs}


def remove_values(x, draw_gaps, rng):
    return np.where(draw_gaps(x.shape, rng), np.nan, x)


def regressor(seed):
    return LSTMRegressor(
        32,
        return_sequences=True,
        learning_rate_init=5e-3,
        learning_rate="constant",
        early_stopping=True,
        max_iter=60,
        n_iter_no_change=5,
        random_state=seed,
    )


def mean_squared_error(predictions, y):
    return np.mean((np.concatenate(predictions) - np.concatenate(y)) ** 2)


class Forecasting:
    """Predict the same features some steps later, at each step."""

    lower_is_better = True
    make_model = staticmethod(regressor)

    def baseline_score(self, X, y, X_test, y_test):
        last_values = SequenceImputer(add_indicator=False).fit(X).transform(X_test)
        return mean_squared_error(last_values, y_test)

    def score(self, model, X, y):
        return mean_squared_error(model.predict(X), y)


class Generated(Forecasting):
    """Noisy sensors over 40 to 80 steps, whose values without noise are predicted."""

    n_train, n_others, horizon = 1000, 500, 5

    def split(self, draw_gaps, rng, seed):
        X, y = [], []
        for n_steps in rng.integers(40, 81, size=self.n_train + 2 * self.n_others):
            signals = self.signals(n_steps + self.horizon, rng)
            noise = rng.normal(scale=0.1, size=(n_steps, signals.shape[1]))
            X.append(remove_values(signals[:n_steps] + noise, draw_gaps, rng))
            y.append(signals[self.horizon :])
        scale = np.std(np.concatenate(y))
        X, y = [x / scale for x in X], [targets / scale for targets in y]
        parts = np.cumsum([0, self.n_train, self.n_others, self.n_others])
        return [(X[a:b], y[a:b]) for a, b in pairwise(parts)]


class Drift(Generated):
    """Three autoregressive processes with a time constant of 30 steps, correlated."""

    name = "drift"

    def signals(self, n_steps, rng):
        decay = np.exp(-1 / 30)
        shocks = rng.normal(size=(n_steps, 3)) + rng.normal(size=(n_steps, 1))
        shocks[1:] *= np.sqrt(1 - decay**2)
        return lfilter([1], [1, -decay], shocks / np.sqrt(2), axis=0)


class Oscillator(Generated):
    """Three phases of a sine with a period of 16 to 63 steps."""

    name = "oscillator"

    def signals(self, n_steps, rng):
        phase = rng.uniform(0, 2 * np.pi) + rng.uniform(0.1, 0.4) * np.arange(n_steps)
        return rng.uniform(0.5, 2) * np.sin(phase[:, None] + [0, 0.7, 1.4])


class Transformers(Forecasting):
    name = "ETTh1"
    n_steps, horizon, stride = 48, 6, 6
    parts = (0, 8640, 11520, 14400)

    def __init__(self, path):
        values = etth1(path)
        train = values[: self.parts[1]]
        self.values = (values - train.mean(axis=0)) / train.std(axis=0)

    def split(self, draw_gaps, rng, seed):
        gappy = remove_values(self.values, draw_gaps, rng)
        return [self.cut(gappy, a, b) for a, b in pairwise(self.parts)]

    def cut(self, gappy, first, end):
        starts = range(first, end - self.n_steps - self.horizon + 1, self.stride)
        X = [gappy[k : k + self.n_steps] for k in starts]
        y = [self.values[k + self.horizon :][: self.n_steps] for k in starts]
        return X, y


class IndoorMovement:
    name, lower_is_better = "indoor movement", False

    def __init__(self, path):
        self.X, self.y = indoor_movement(path)

    def split(self, draw_gaps, rng, seed):
        X = [remove_values(x, draw_gaps, rng) for x in self.X]
        X, X_test, y, y_test = train_test_split(
            X, self.y, test_size=0.2, stratify=self.y, random_state=seed
        )
        X, X_val, y, y_val = train_test_split(
            X, y, test_size=0.25, stratify=y, random_state=seed
        )
        return [(X, y), (X_val, y_val), (X_test, y_test)]

    def make_model(self, seed):
        return LSTMClassifier(
            32,
            learning_rate_init=5e-3,
            learning_rate="constant",
            early_stopping=True,
            max_iter=100,
            n_iter_no_change=20,
            random_state=seed,
        )

    def baseline_score(self, X, y, X_test, y_test):
        return DummyClassifier().fit(X, y).score(X_test, y_test)

    def score(self, model, X, y):
        return model.score(X, y)


def scores_of(problem, draw_gaps, seed):
    """The test scores of the baseline and with each way to fill the gaps."""
    split = problem.split(draw_gaps, np.random.default_rng(seed), seed)
    (X, y), (X_val, y_val), (X_test, y_test) = split
    scores = [problem.baseline_score(X, y, X_test, y_test)]
    for fill in FILLS.values():
        # Scaled after filling, so that the steps elapsed have unit variance too.
        prepare = make_pipeline(fill, StepwiseTransformer(StandardScaler()))
        model = problem.make_model(seed).fit(
            prepare.fit_transform(X), y, X_val=prepare.transform(X_val), y_val=y_val
        )
        scores.append(problem.score(model, prepare.transform(X_test), y_test))
    return scores


def print_scores(problem, pattern, draw_gaps, n_seeds):
    scores = np.array([scores_of(problem, draw_gaps, seed) for seed in range(n_seeds)])
    gains = scores - scores[:, [COLUMNS.index(MEAN)]]
    wins = ((gains < 0) if problem.lower_is_better else (gains > 0)).sum(axis=0)
    cells = [
        f"{column.mean():.3f} +- {column.std(ddof=1):.3f}"
        + ("" if name == MEAN else f" ({n_wins})")
        for name, column, n_wins in zip(COLUMNS, scores.T, wins, strict=True)
    ]
    print("| " + " | ".join([problem.name, pattern, *cells]) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ett", type=Path)
    parser.add_argument("--indoor", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    problems = [Drift(), Oscillator()]
    if arguments.ett:
        problems.append(Transformers(arguments.ett))
    if arguments.indoor:
        problems.append(IndoorMovement(arguments.indoor))
    print("| " + " | ".join(["set", "gaps", *COLUMNS]) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for problem in problems:
        for pattern, draw_gaps in PATTERNS.items():
            print_scores(problem, pattern, draw_gaps, arguments.seeds)


if __name__ == "__main__":
    main()
