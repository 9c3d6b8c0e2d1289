"""Which default parameters learn best, over many sets of sequences and several seeds.

    python benchmarks/defaults.py run RESULTS [--data DIRECTORY] [--seeds 3] [--sets NAME ...]
                                  [--settings NAME ...]
    python benchmarks/defaults.py report RESULTS [--base before]

`run` appends a line of JSON to RESULTS for each set, setting and seed that is not there yet:
the scores (accuracy, or R2 and at least -1) on a validation and a test part, and the seconds
of fit. `report` prints, for each setting, the mean scores, the gain over the base with its
95% interval (bootstrap over sets), wins and losses (by more than 0.01), the mean rank, the
mean gap to the best setting of each set, and the geometric mean of the times relative to the
base. Settings are to be chosen by the validation part; the test part only reports.

A seed draws the network's start and, where none is given, the split; windows are split in the
order of time. Inputs are standardised feature by feature, and targets by LSTMRegressor.

DIRECTORY holds the sets that are neither generated nor scikit-learn's: pendigits,
indoor_movement, rt_polarity, ud_ewt, airline, ett (see datasets.py and NOTE.md there).
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import airline, digits, etth1, indoor_movement, pendigits
from labelling import read_sentences
from measure import geometric_mean, table_head, table_row
from scipy.stats import rankdata
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, LSTMRegressor
from cylstm._demo import load_sunspots
from cylstm.preprocessing import StepwiseTransformer, make_windows

# -- Sets: each returns (X, y) to train on, to validate on and to test on --


def split(X, y, seed, n_train=None):
    """At random: three fifths, or n_train, to train on, and half of the rest each."""
    size = n_train or int(0.6 * len(y))
    train, rest = train_test_split(np.arange(len(y)), train_size=size, random_state=seed)
    return [take(X, y, rows) for rows in (train, rest[::2], rest[1::2])]


def split_in_time(X, y):
    cuts = np.array([0.6, 0.8]) * len(y)
    return [take(X, y, rows) for rows in np.split(np.arange(len(y)), cuts.astype(int))]


def take(X, y, rows):
    pick = [X[k] for k in rows] if isinstance(X, list) else X[rows]
    return pick, [y[k] for k in rows] if isinstance(y, list) else y[rows]


def split_digits(seed, n_train=None):
    X, X_test, y, y_test = digits(0)
    return split(np.concatenate([X, X_test]), np.concatenate([y, y_test]), seed, n_train)


def given_test_set(X, X_test, y, y_test, seed):
    train, held_out = train_test_split(np.arange(len(y)), test_size=0.2, random_state=seed)
    return [take(X, y, train), take(X, y, held_out), (X_test, y_test)]


def order(seed, T=120, n=1500):
    """Which symbols come at two places among others (Hochreiter & Schmidhuber 1997)."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(2, 6, (n, T))
    places = np.column_stack([rng.integers(10, 30, n), rng.integers(50, 80, n)])
    classes = rng.integers(0, 2, (n, 2))
    np.put_along_axis(symbols, places, classes, axis=1)
    return split(np.eye(6)[symbols], 2 * classes[:, 0] + classes[:, 1], seed)


def pulses(seed, T=120, n=250):
    """Univariate, few: whether a bump at a random place is symmetric or has a shoulder."""
    rng = np.random.default_rng(seed)
    t, labels = np.arange(T), rng.integers(0, 2, n)
    centre, width = rng.uniform(40, 80, (n, 1)), rng.uniform(6, 12, (n, 1))
    bump = np.exp(-(((t - centre) / width) ** 2))
    shoulder = np.exp(-(((t - centre - 2 * width) / (width / 2)) ** 2))
    X = bump + 0.4 * labels[:, None] * shoulder + rng.normal(0, 0.1, (n, T))
    return split(X[:, :, None], labels, seed)


def adding(seed, T=100, n=2500):
    """The sum of the two marked numbers (Hochreiter & Schmidhuber 1997)."""
    rng = np.random.default_rng(seed)
    values, marks = rng.random((n, T)), np.zeros((n, T))
    for half in np.split(np.arange(T), 2):
        marks[np.arange(n), rng.choice(half, n)] = 1
    return split(np.dstack([values, marks]), (values * marks).sum(axis=1), seed)


def ragged_peaks(seed, n=600):
    """The largest value of a smoothed sensor, over 10 to 80 steps of three."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rng.integers(10, 81), 3)).cumsum(axis=0) / 4 for _ in range(n)]
    y = np.array([x[:, 0].max() - x[:, 1].mean() for x in X])
    return split(X, y, seed)


def diabetes(seed):
    X, y = load_diabetes(return_X_y=True)
    return split(X[:, :, None], y, seed)


def sunspots(seed):
    return split_in_time(*make_windows(load_sunspots()[1], 22))


def mackey_glass(seed):
    """A chaotic series with noise, 24 steps ahead (Mackey & Glass 1977)."""
    series = [1.2] * 18
    for _ in range(1500):
        delayed = series[-18]
        series.append(0.9 * series[-1] + 0.2 * delayed / (1 + delayed**10))
    noise = np.random.default_rng(0).normal(0, 0.05, len(series))
    X, y = make_windows(np.add(series, noise)[300:], 40, horizon=24)
    return split_in_time(X, y[:, -1])


def passengers(folder):
    path = folder / "airline" / "airline-passengers.csv"
    return split_in_time(*make_windows(airline(path), 12))


def oil_temperature(folder, stride):
    """ETTh1: the change over the next day, from two days relative to their last hour."""
    temperature = etth1(folder / "ett" / "ETTh1.csv")[:, -1]
    X, y = make_windows(temperature, 48, horizon=24, stride=stride)
    last = X[:, -1, 0]
    return split_in_time(X - last[:, None, None], y[:, -1] - last)


def sentiment(folder, seed, n_train):
    """Sentences as numbers of their words, by falling frequency; rare ones are 0."""
    texts, labels = [], []
    for label, name in enumerate(("rt-polarity.neg", "rt-polarity.pos")):
        lines = (folder / "rt_polarity" / name).read_text(errors="replace").splitlines()
        texts += [line.split() for line in lines if line.strip()]
        labels += [label] * (len(texts) - len(labels))
    return split(number(texts, 3), np.array(labels), seed, n_train)


def tags(folder, n):
    """Universal part-of-speech tags of words."""
    parts = [
        read_sentences(folder / "ud_ewt" / f"en_ewt-ud-{part}.conllu")[:n]
        for part in ("train", "dev", "test")
    ]
    words = number([words for part in parts for words, _ in part], 2)
    ends = np.cumsum([len(part) for part in parts])
    return [
        (words[end - len(part) : end], [labels for _, labels in part])
        for part, end in zip(parts, ends, strict=True)
    ]


def number(texts, min_count):
    counts = Counter(word for text in texts for word in text).most_common()
    numbers = {word: k + 1 for k, (word, n) in enumerate(counts) if n >= min_count}
    return [np.array([numbers.get(word, 0) for word in text]) for text in texts]


CLASSIFICATION, REGRESSION = LSTMClassifier, LSTMRegressor


def make_sets(folder):
    """Name -> (estimator, its parameters that the set needs, seed -> data)."""
    sets = {
        "digits": (CLASSIFICATION, {}, split_digits),
        "150 digits": (CLASSIFICATION, {}, lambda seed: split_digits(seed, 150)),
        "order": (CLASSIFICATION, {}, order),
        "pulses": (CLASSIFICATION, {}, pulses),
        "adding": (REGRESSION, {}, adding),
        "ragged peaks": (REGRESSION, {}, ragged_peaks),
        "diabetes": (REGRESSION, {}, diabetes),
        "sunspots": (REGRESSION, {}, sunspots),
        "Mackey-Glass": (REGRESSION, {}, mackey_glass),
    }
    if folder is None:
        return sets
    folder = Path(folder)
    return {
        **sets,
        "pendigits": (
            CLASSIFICATION,
            {},
            lambda seed: given_test_set(*pendigits(folder / "pendigits"), seed),
        ),
        "indoor movement": (
            CLASSIFICATION,
            {},
            lambda seed: split(*indoor_movement(folder / "indoor_movement"), seed),
        ),
        "airline": (REGRESSION, {}, lambda seed: passengers(folder)),
        **token_sets(folder, " (part)", 2000, 3000),
        "oil temperature (part)": (
            REGRESSION,
            {},
            lambda seed: oil_temperature(folder, 4),
        ),
        **token_sets(folder, "", None, 8000),
        "oil temperature": (REGRESSION, {}, lambda seed: oil_temperature(folder, 1)),
    }


def token_sets(folder, suffix, n_tagged, n_rated):
    parameters = {"embedding_dim": 32}
    return {
        f"sentiment{suffix}": (
            CLASSIFICATION,
            parameters,
            lambda seed: sentiment(folder, seed, n_rated),
        ),
        f"tags{suffix}": (
            CLASSIFICATION,
            {**parameters, "return_sequences": True},
            lambda seed: tags(folder, n_tagged),
        ),
    }


# -- Settings --


def cosine(learning_rate_init, batch_size, max_iter, start):
    return {
        "learning_rate_init": learning_rate_init,
        "batch_size": batch_size,
        "max_iter": max_iter,
        "start": start,
    }


BEFORE = {
    "learning_rate": "constant",
    "learning_rate_init": 1e-3,
    "batch_size": 32,
    "max_iter": 100,
    "n_iter_no_change": 10,
    "start": "one",
}
SETTINGS = {
    "before": BEFORE,
    "before, to the end": {**BEFORE, "n_iter_no_change": None},
    **{
        f"{rate}, batch {size}, {epochs} epochs, {start}": cosine(rate, size, epochs, start)
        for rate, size, epochs, start in (
            (0.01, 32, 100, "one"),
            (0.01, 32, 50, "one"),
            (0.01, 8, 100, "chrono"),
            (0.01, 32, 100, "chrono"),
            (0.01, 8, 50, "chrono"),
            (0.01, 16, 50, "chrono"),
            (0.01, 32, 50, "chrono"),
            (0.01, 64, 50, "chrono"),
            (0.005, 16, 50, "chrono"),
            (0.003, 32, 50, "chrono"),
            (0.01, 32, 50, "log chrono"),
            (0.01, 32, 50, "half chrono"),
        )
    },
    "defaults": {},
    "defaults, early stopping": {"early_stopping": True},
    "defaults, early stopping, patience 25": {"early_stopping": True, "n_iter_no_change": 25},
}


def with_start(cls, start):
    """The estimator with other biases of the forget and the input gate at the start: 1 and 0
    ("one"); log(u) and -log(u), where u is uniform between 1 and the longest length - 1
    ("chrono", Tallec & Ollivier 2018), or its logarithm is ("log chrono"); or that in half of
    the units ("half chrono")."""

    class Changed(cls):
        has_started = False

        def _prepare(self, network, data):
            super()._prepare(network, data)
            longest = max(int(data.sequences.lengths.max()) - 1, 2)
            rng = np.random.default_rng(self.random_state)
            for name, view in network.weights.items():
                if not (name.startswith("layers.") and name.endswith(".bias")):
                    continue
                i, f, *_ = np.split(view, 4)
                i[:], f[:] = 0, 1
                if start == "one":
                    continue
                some = slice(len(f) // 2 if start == "half chrono" else len(f))
                if start == "log chrono":
                    f[some] = rng.uniform(0, np.log(longest), len(f[some]))
                else:
                    f[some] = np.log(rng.uniform(1, longest, len(f[some])))
                i[some] = -f[some]
            network.changed()
            self.has_started = True

    return Changed


def fit_and_score(data, cls, parameters, seed):
    parameters = dict(parameters)
    if "start" in parameters:
        cls = with_start(cls, parameters.pop("start"))
    parts = [list(part) for part in data]
    if "embedding_dim" not in parameters:
        scaler = StepwiseTransformer(StandardScaler()).fit(parts[0][0])
        for part in parts:
            part[0] = scaler.transform(part[0])
    else:
        parameters["vocabulary_size"] = 1 + max(int(x.max()) for X, _ in parts for x in X)
    model = cls(random_state=seed, **parameters)
    began = time.perf_counter()
    model.fit(*parts[0])
    assert not hasattr(cls, "has_started") or model.has_started, "with_start had no effect"
    seconds = time.perf_counter() - began
    return [max(-1.0, model.score(*part)) for part in parts[1:]], seconds


def run(arguments):
    path = Path(arguments.results)
    done = {(r["set"], r["setting"], r["seed"]) for r in read_results(path)}
    sets = make_sets(arguments.data)
    for asked, known in ((arguments.sets, sets), (arguments.settings, SETTINGS)):
        if unknown := [name for name in asked or () if name not in known]:
            raise SystemExit(f"{unknown} are none of {[*known]}.")
    for seed in range(arguments.seeds):
        for name in arguments.sets or sets:
            cls, needed, read = sets[name]
            data = None
            for setting in arguments.settings or SETTINGS:
                if (name, setting, seed) in done:
                    continue
                data = data or read(seed)
                (validation, test), seconds = fit_and_score(
                    data, cls, {**needed, **SETTINGS[setting]}, seed
                )
                result = {
                    "set": name,
                    "setting": setting,
                    "seed": seed,
                    "validation": round(validation, 4),
                    "test": round(test, 4),
                    "seconds": round(seconds, 3),
                }
                with path.open("a") as file:
                    file.write(json.dumps(result) + "\n")


# -- Report --


def read_results(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def tables_of(results, sets, settings):
    """Name -> (n_settings, n_sets) means over the seeds that every setting of a set has; and
    the sets that have such seeds."""
    by_run = {(r["set"], r["setting"], r["seed"]): r for r in results}
    seeds = {
        name: [
            seed
            for seed in {r["seed"] for r in results}
            if all((name, setting, seed) in by_run for setting in settings)
        ]
        for name in sets
    }
    complete = [name for name in sets if seeds[name]]
    tables = {
        what: np.array(
            [
                [
                    np.mean([by_run[name, setting, seed][what] for seed in seeds[name]])
                    for name in complete
                ]
                for setting in settings
            ]
        )
        for what in ("validation", "test", "seconds")
    }
    return tables, complete


def interval(gains, rng):
    means = rng.choice(gains, (10_000, len(gains))).mean(axis=1)
    return np.quantile(means, [0.025, 0.975])


def report(arguments):
    results = read_results(Path(arguments.results))
    settings = list(dict.fromkeys(r["setting"] for r in results))
    tables, sets = tables_of(results, dict.fromkeys(r["set"] for r in results), settings)
    if not sets or arguments.base not in settings:
        raise SystemExit(f"No set has results of every setting, {arguments.base} among them.")
    seconds = tables.pop("seconds")
    base = settings.index(arguments.base)
    rng = np.random.default_rng(0)
    for part, table in tables.items():
        ranks = rankdata(-table, axis=0)
        head = ["setting", "mean", "gain", "95%", "wins / losses", "rank", "gap", "time"]
        print(f"\n{part}, {len(sets)} sets\n\n{table_head(head)}")
        for k, setting in enumerate(settings):
            gains = table[k] - table[base]
            low, high = interval(gains, rng)
            print(
                table_row(
                    [
                        setting,
                        f"{table[k].mean():.3f}",
                        f"{gains.mean():+.3f}",
                        f"[{low:+.3f}, {high:+.3f}]",
                        f"{(gains > 0.01).sum()} / {(gains < -0.01).sum()}",
                        f"{ranks[k].mean():.1f}",
                        f"{(table.max(axis=0) - table[k]).mean():.3f}",
                        f"{geometric_mean((seconds[k] / seconds[base]).tolist()):.2f}",
                    ]
                )
            )
    print(f"\nvalidation, set by set\n\n{table_head(['setting', *sets])}")
    for k, setting in enumerate(settings):
        values = tables["validation"][k]
        print(table_row([setting, *(f"{value:.3f}" for value in values)]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.add_argument("results")
    command.add_argument("--data", metavar="DIRECTORY")
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--sets", nargs="+")
    command.add_argument("--settings", nargs="+")
    command.set_defaults(function=run)
    command = commands.add_parser("report")
    command.add_argument("results")
    command.add_argument("--base", default="before")
    command.set_defaults(function=report)
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
