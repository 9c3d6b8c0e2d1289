"""Hypothesis strategies: an estimator with any valid parameters, and data in any form that it
accepts."""

import copy
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor, _plan

MAX_SEQUENCES, MAX_STEPS = 12, 6


def one_of(*values):
    return st.sampled_from(values)


def count(model, X, y):
    """A score that takes no data amiss."""
    return float(len(X))


# Values of the parameters; `reconcile` changes those that cannot go together.

SEEDS = one_of(0, 1, 2**32 - 1)
# The widest is beyond the 32 numbers up to which BLAS sums every row in the same order.
UNITS = st.integers(1, 9) | st.just(33)
SHARED = {
    "hidden_layer_sizes": UNITS | st.lists(UNITS, min_size=1, max_size=3) | st.tuples(UNITS),
    "cell": one_of(*_plan.CELLS),
    "activation": one_of("tanh", "relu"),
    "projection_size": one_of(None, None, 1, 3, 32),
    "residual": st.booleans(),
    "layer_norm": st.booleans(),
    "embedding_dim": one_of(None, 1, 5),
    "dropout": one_of(0, 0.0, 0.3),
    "recurrent_dropout": one_of(0, 0.0, 0.3),
    "weight_dropout": one_of(0, 0.0, 0.3),
    "alpha": one_of(0, 0.0, 0.01),
    "l1_ratio": one_of(0, 0.5, 1.0),
    "solver": one_of("adam", "adamw", "rmsprop", "sgd"),
    "learning_rate_init": one_of(1e-4, 1e-3, 0.01),
    "momentum": one_of(0, 0.9, 1.0),
    "nesterovs_momentum": st.booleans(),
    "beta_1": one_of(0, 0.9, 0.99),
    "beta_2": one_of(0, 0.9, 0.999),
    "epsilon": one_of(1e-8, 0.1),
    "clip_norm": one_of(None, 0.01, 1),
    "batch_size": one_of("auto", 1, 3, 5, 10_000),
    "max_iter": one_of(1, 2),
    "shuffle": st.booleans(),
    "early_stopping": st.booleans(),
    "validation_fraction": one_of(0.3, 0.5),
    "n_iter_no_change": one_of(None, 1, 5),
    "cosine_epochs": one_of(None, None, 1, 3),
    "tol": one_of(0, 1e-4, 1e9),
    "warm_start": st.booleans(),
    "dtype": one_of("float32", "float64", np.float32, np.float64),
    "n_jobs": one_of(None, 1, 2, 3, -1),
    "random_state": SEEDS | st.builds(np.random.RandomState, SEEDS),
    "verbose": one_of(0, 1, 2, True),
    "checkpoint": st.none(),  # one path is for one fit
    "checkpoint_every": one_of(1, 3, timedelta(seconds=1)),
}
SUPERVISED = SHARED | {
    "bidirectional": st.booleans(),
    "pooling": one_of(*_plan.POOLINGS),
    "return_sequences": st.booleans(),
    "vocabulary_size": one_of(None, 7, 20),
    "learning_rate": one_of("constant", "invscaling", "adaptive", "cosine"),
    "bptt_steps": one_of(None, None, 1, 2, 100),
    "n_step_features": one_of(1, 2, 3),
    "scoring": one_of(None, None, count),
}
PARAMETERS = {
    LSTMRegressor: SUPERVISED
    | {
        "loss": one_of("squared_error", "absolute_error", "huber", "quantile", "poisson"),
        "quantile": one_of(0.5, 0.1, [0.9, 0.1], (0.5,)),
    },
    LSTMClassifier: SUPERVISED
    | {
        "loss": one_of("log_loss", "log_loss", "crf"),
        # Of the first two classes; the labels are put in when they are drawn.
        "class_weight": one_of(None, "balanced", (), (2.0,), (1, 0.5)),
    },
    LSTMLanguageModel: SHARED
    | {
        # The collection's type; the tokens are put in when they are drawn.
        "vocabulary": one_of(None, None, list, set, dict),
        "min_count": one_of(1, 2),
        "max_vocabulary": one_of(None, 2, 3, 50),
        "tie_weights": st.booleans(),
        "embedding_dropout": one_of(0, 0.0, 0.3),
        "softmax_samples": one_of(None, 1, 3, 100),
        "init_scale": one_of(None, 0.1),
        "learning_rate": one_of("constant", "invscaling", "adaptive", "cosine", "exponential"),
        "decay_rate": one_of(0.5, 1.0),
        "decay_after": one_of(0, 1, 4),
        "bptt_steps": one_of(1, 2, 35),
    },
}


def reconcile(p):
    if p["cell"] == "input_gated":
        p["recurrent_dropout"] = p["weight_dropout"] = 0.0
    if p["residual"]:  # layers of equal size
        sizes = np.ravel(p["hidden_layer_sizes"]).tolist()
        p["hidden_layer_sizes"] = [sizes[0]] * max(2, len(sizes))
    # Smaller than every layer, and of cells that have a state besides it.
    fewest_units = np.min(p["hidden_layer_sizes"])
    if "c" not in _plan.CELLS[p["cell"]].state or (p["projection_size"] or 0) >= fewest_units:
        p["projection_size"] = None
    sizes = fewest_units, p["projection_size"], p["embedding_dim"], p.get("n_step_features")
    if 1 in sizes:  # number, of which layer normalization leaves nothing
        p["layer_norm"] = False
    if p["beta_2"] == 0:  # m / |g| has no bound where m remembers what g does not
        p["beta_1"] = 0.0
    if p.get("loss") == "crf":
        p |= {"return_sequences": True, "bptt_steps": None, "class_weight": None}
    if p.get("bidirectional"):
        p["bptt_steps"] = None
    if p.get("return_sequences"):
        p["pooling"] = "last"
    if p["embedding_dim"] is None and "vocabulary_size" in p:
        p["vocabulary_size"] = None
    if p.get("tie_weights"):
        p["embedding_dim"] = None
    if p.get("softmax_samples") and not (p["solver"] == "adamw" and p["l1_ratio"] == 0):
        p["alpha"] = 0.0
    if p.get("vocabulary"):
        p["min_count"], p["max_vocabulary"] = 1, None


# Forms of X: name -> what makes it of a list of arrays.


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def padded(items):
    array = np.full((len(items), max(map(len, items)), items[0].shape[1]), np.nan)
    for x, row in zip(items, array, strict=True):
        row[: len(x)] = x
    return array.astype(items[0].dtype)


def columns(items):
    return np.stack([x.ravel() for x in items])


def frame(items):
    X = columns(items)
    return pd.DataFrame(X, columns=[f"column {k}" for k in range(X.shape[1])])


RAGGED = {
    "list": list,
    "tuple": tuple,
    "objects": objects,
    "nested lists": lambda items: [x.tolist() for x in items],
}
EQUAL_LENGTHS = {"array": np.stack}
FORMS_OF_NUMBERS = RAGGED | {"padded": padded}
EQUAL_LENGTHS_OF_NUMBERS = EQUAL_LENGTHS | {"columns": columns, "frame": frame}
FORMS_OF_TEXTS = {
    "characters": {
        "one sequence": "".join,
        "list": list,
        "tuple": tuple,
        "array": np.array,
        "Series": pd.Series,
    },
    "words": {
        "list": list,
        "list of arrays": lambda texts: [np.array(x) for x in texts],
        "tuple of tuples": lambda texts: tuple(map(tuple, texts)),
        "objects": objects,
    },
    "integers": {
        "one sequence": np.concatenate,
        "one list": lambda texts: np.concatenate(texts).tolist(),
        "Series": lambda texts: pd.Series(np.concatenate(texts)),
        "list": list,
        "nested lists": lambda texts: [x.tolist() for x in texts],
        "objects": objects,
        "array": lambda texts: np.stack([x[:1] for x in texts] + [texts[0][:1]] * 6),
    },
}
SINGLE = {
    ("characters", "one sequence"),
    ("integers", "one sequence"),
    ("integers", "one list"),
    ("integers", "Series"),
}
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int32", "int64")
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "negative strides": lambda x: x[::-1].copy()[::-1],
}


def laid_out(X, layout, writeable):
    """X, or each array in it, in memory of this layout."""
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiu":
        X = LAYOUTS[layout](X)
        X.flags.writeable = writeable
        return X
    if isinstance(X, (list, tuple)):
        return type(X)(laid_out(x, layout, writeable) for x in X)
    return X


def take(X, indices):
    """Some of the sequences, in the same form."""
    if hasattr(X, "iloc"):
        return X.iloc[indices]
    if isinstance(X, np.ndarray):
        return X[indices]
    return type(X)([X[k] for k in indices])


# Tasks


@dataclass
class Task:
    """An estimator, its parameters, and data to fit it to."""

    estimator: type
    parameters: dict
    X: object
    single: bool = False
    y: object = None
    sample_weight: object = None
    validate: bool = False

    def new(self, **changes):
        """The estimator, not yet fitted."""
        # A copy, since a fit uses up the numbers of a RandomState.
        return self.estimator(**copy.deepcopy(self.parameters | changes))

    def fitted(self, **changes):
        return self.new(**changes).fit(**self.fit_arguments())

    def arguments(self):
        """What partial_fit takes."""
        if self.estimator is LSTMLanguageModel:
            return {"X": self.X}
        return {"X": self.X, "y": self.y, "sample_weight": self.sample_weight}

    def fit_arguments(self):
        arguments = self.arguments()
        validation = {f"{name}_val": value for name, value in arguments.items()}
        return arguments | (validation if self.validate else {})


def tasks(estimator, n_copies=1):
    """Tasks for an estimator; each sequence comes n_copies times."""
    kind = text_tasks if estimator is LSTMLanguageModel else supervised_tasks
    return kind(estimator, n_copies)


def some_lengths(n_least):
    return st.lists(st.integers(1, MAX_STEPS), min_size=n_least, max_size=MAX_SEQUENCES)


@st.composite
def supervised_tasks(draw, estimator, n_copies):
    p = draw(st.fixed_dictionaries(PARAMETERS[estimator]))
    reconcile(p)
    rng = np.random.default_rng(draw(SEEDS))
    validate = draw(st.booleans())
    # A part that is set aside must hold every class, and leave every class.
    set_aside = p["early_stopping"] and not validate
    lengths = draw(some_lengths(MAX_SEQUENCES if set_aside else 2)) * n_copies
    X, lengths, shape = draw(sequences(p, lengths, rng))
    per_step = p["return_sequences"]
    n = sum(lengths) if per_step else len(lengths)
    y = draw(numbers(p, n, rng) if estimator is LSTMRegressor else labels(p, n, rng))
    y = draw(steps(y, lengths, shape) if per_step else containers(y))
    weights = draw(one_of(None, "of sequences", "of targets"))
    if p["loss"] == "crf" and weights:
        weights = "of sequences"
    if weights is not None:
        by_step = per_step and weights == "of targets"
        weights = rng.integers(1 if set_aside else 0, 3, n if by_step else len(lengths))
        weights[:2] += 1
        weights = draw(steps(weights, lengths, shape) if by_step else containers(weights))
    return Task(estimator, p, X, False, y, weights, validate)


@st.composite
def sequences(draw, p, lengths, rng):
    """X, the lengths of its sequences, and (n_sequences, n_steps) where X is an array."""
    tokens = p["embedding_dim"] is not None
    ragged = RAGGED if tokens else FORMS_OF_NUMBERS
    equal = EQUAL_LENGTHS if tokens else EQUAL_LENGTHS_OF_NUMBERS
    form = draw(one_of(*ragged, *equal))
    if form in equal:
        lengths = lengths[:1] * len(lengths)
    types = INTEGERS if tokens else FLOATS if form == "padded" else FLOATS + INTEGERS
    dtype = draw(one_of(*types))
    if tokens:
        items = [rng.integers(7, size=n) for n in lengths]
    else:
        n_features = p["n_step_features"] if form in ("columns", "frame") else 2
        items = [4 * rng.random((n, n_features)) for n in lengths]
    X = (ragged | equal)[form]([x.astype(dtype) for x in items])
    X = laid_out(X, draw(one_of(*LAYOUTS)), draw(st.booleans()))
    is_array = form in equal or form == "padded"
    return X, lengths, (len(lengths), max(lengths)) if is_array else None


@st.composite
def numbers(draw, p, n, rng):
    """y of a regressor, flat."""
    y = rng.integers(5, size=(n, draw(one_of(1, 2))))
    if draw(st.booleans()):
        y = y * 0.7 - (0 if p["loss"] == "poisson" else 1)
    return y.ravel() if y.shape[1] == 1 and draw(st.booleans()) else y


@st.composite
def labels(draw, p, n, rng):
    """y of a classifier, flat."""
    n_labels = draw(one_of(0, 0, 0, 2, 3))
    if n_labels and p["loss"] != "crf":
        p["class_weight"] = None
        return rng.integers(2, size=(n, n_labels))
    classes = draw(
        one_of([0, 1], [-3, 5, 9], [0.0, 1.0], [False, True], ["a", "b"], ["u", "v", "w"])
    )
    if isinstance(p["class_weight"], tuple):
        p["class_weight"] = dict(zip(classes, p["class_weight"], strict=False))
    return np.array(classes)[rng.permutation(np.arange(n) % len(classes))]


@st.composite
def containers(draw, y):
    kind = draw(one_of("array", "list", "pandas"))
    if kind == "pandas":
        return pd.Series(y) if y.ndim == 1 else pd.DataFrame(y)
    return y.tolist() if kind == "list" else y


@st.composite
def steps(draw, y, lengths, shape):
    """Numbers of all steps as an array for each sequence; as one array where X is one."""
    items = np.split(y, np.cumsum(lengths)[:-1])
    if shape is None or draw(st.booleans()):
        return [x.tolist() for x in items] if draw(st.booleans()) else items
    array = np.full((*shape, *y.shape[1:]), y.flat[0], dtype=y.dtype)
    for x, row in zip(items, array, strict=True):
        row[: len(x)] = x
    return array


TOKENS = {
    "characters": list("ab \xe9z"),
    "words": ["a", "the", "<unk>", "na\xefve", "x y"],
    "integers": [-2, 0, 1, 7, 100],
}


@st.composite
def text_tasks(draw, estimator, n_copies):
    p = draw(st.fixed_dictionaries(PARAMETERS[estimator]))
    reconcile(p)
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(one_of(*TOKENS))
    form = draw(one_of(*FORMS_OF_TEXTS[kind]))
    # The first has more tokens than there are kinds, so that min_count=2 leaves one.
    lengths = [6, *draw(some_lengths(1))] * n_copies
    items = [[TOKENS[kind][k] for k in rng.integers(5, size=n)] for n in lengths]
    if kind == "characters":
        items = ["".join(x) for x in items]
    elif kind == "integers":
        dtype = draw(one_of("int8", "int32", "int64"))
        items = [np.array(x, dtype=dtype) for x in items]
    X = laid_out(
        FORMS_OF_TEXTS[kind][form](items), draw(one_of(*LAYOUTS)), draw(st.booleans())
    )
    if p["vocabulary"]:
        tokens = TOKENS[kind]
        p["vocabulary"] = p["vocabulary"](
            zip(tokens, range(5), strict=True) if p["vocabulary"] is dict else tokens
        )
    return Task(estimator, p, X, (kind, form) in SINGLE, validate=draw(st.booleans()))
