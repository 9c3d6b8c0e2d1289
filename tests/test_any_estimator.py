"""Every parameter of every estimator against every form of its data."""

import copy
import pickle
import re
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from any_task import PARAMETERS, take, tasks
from hypothesis import given, settings
from hypothesis import strategies as st

import cylstm
from cylstm import LSTMClassifier

every_estimator = pytest.mark.parametrize("estimator", PARAMETERS)
# Warnings of scikit-learn: y is a column, names of features are missing or new.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
    pytest.mark.filterwarnings("ignore:X has feature names"),
]

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def examples(n):
    return settings(deadline=None, derandomize=True, max_examples=n)


def bits(output):
    """What equal outputs have in common, whether arrays, lists of them or numbers."""
    if isinstance(output, list):
        return [bits(x) for x in output]
    output = np.asarray(output)
    values = output.tolist() if output.dtype == object else output.tobytes()
    return output.dtype, output.shape, values


def weights_of(model):
    return {name: bits(weight) for name, weight in model.weights_.items()}


def outputs(model, X):
    methods = [name for name in METHODS if hasattr(model, name)]
    return {name: getattr(model, name)(X) for name in [*methods, "transform"]}


def everything(model, task):
    """All that a fit decides."""
    found = {name: bits(output) for name, output in outputs(model, task.X).items()}
    curve = model.loss_curve_, model.validation_scores_, model.n_iter_, model.t_
    score = bits(model.score(**task.arguments()))
    return found, weights_of(model), curve, score


@every_estimator
def test_every_parameter_is_drawn(estimator):
    assert set(PARAMETERS[estimator]) == set(estimator().get_params())


@every_estimator
@examples(40)
@given(data=st.data())
def test_fits_have_the_same_bits_on_any_number_of_threads(estimator, data):
    n_copies = data.draw(st.sampled_from([1, 60]))
    task = data.draw(tasks(estimator, n_copies))
    if n_copies > 1:  # a batch that is worth several threads
        task.parameters["batch_size"] = 10_000
    expected = everything(task.fitted(n_jobs=1), task)
    for n_jobs in (2, 3, 4):
        assert everything(task.fitted(n_jobs=n_jobs), task) == expected


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    """In a file of its own, and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        model.save(path, optimizer=True)
        return cylstm.load(path)


@every_estimator
@pytest.mark.parametrize("sent", [pickled, saved])
@examples(40)
@given(data=st.data())
def test_a_training_in_parts_equals_the_whole(estimator, sent, data):
    task = data.draw(tasks(estimator))
    if sent is saved:  # which holds no functions and no splitters
        for name, value in (("scoring", None), ("validation_fraction", 0.1)):
            if name in task.parameters:
                task.parameters[name] = value
    # partial_fit takes neither.
    task.parameters |= {"early_stopping": False, "max_iter": 2, "warm_start": False}
    task.parameters["cosine_epochs"] = 2
    if task.parameters.get("class_weight") == "balanced":
        task.parameters["class_weight"] = None
    whole = task.new().fit(**task.arguments())
    parts = sent(task.new().partial_fit(**task.arguments()))
    parts = sent(parts.partial_fit(**task.arguments()))
    assert everything(parts, task) == everything(whole, task)
    warm = task.new(max_iter=1, warm_start=True).fit(**task.arguments())
    warm = sent(warm).fit(**task.arguments())
    assert everything(warm, task) == everything(whole, task)


def sequences_of(task):
    """The data as several sequences."""
    if task.single:
        return [task.X, task.X[::-1], task.X[:1]]
    return task.X


def without_padding(labels):
    """A list, since the type of labels depends on whether there is padding beside them."""
    return [label for label in np.ravel(labels).tolist() if not pd.isna(label)]


def assert_same_bits_in_any_batch(task, model, methods):
    X = sequences_of(task)
    n = len(X)
    batches = [*([k] for k in range(n)), [*range(n)][::-1], [*range(0, n, 2)]]
    for name in methods:
        if not hasattr(model, name):
            continue
        labels = task.estimator is LSTMClassifier and name == "predict"
        together = getattr(model, name)(X)
        for batch in batches:
            for k, row in zip(batch, getattr(model, name)(take(X, batch)), strict=True):
                if labels:
                    assert without_padding(row) == without_padding(together[k]), (k, batch)
                else:
                    assert bits(row) == bits(together[k]), (name, k, batch)


@every_estimator
@examples(60)
@given(data=st.data())
def test_hidden_states_have_the_same_bits_in_any_batch(estimator, data):
    task = data.draw(tasks(estimator))
    assert_same_bits_in_any_batch(task, task.fitted(), ["transform"])


@every_estimator
@examples(60)
@given(data=st.data())
def test_predictions_have_the_same_bits_in_any_batch(estimator, data):
    task = data.draw(tasks(estimator))
    assert_same_bits_in_any_batch(task, task.fitted(), METHODS)


@every_estimator
@examples(60)
@given(data=st.data())
def test_quantized_models_have_the_same_bits_in_any_batch(estimator, data):
    task = data.draw(tasks(estimator))
    model = task.fitted()
    refusal = "needs dtype='float32'" if np.dtype(model.dtype) == np.float64 else None
    if model.cell == "gru_v1":
        refusal = "not possible with cell='gru_v1'"
    if model.layer_norm:
        refusal = "not possible with layer_norm=True"
    if refusal:
        with pytest.raises(ValueError, match=refusal):
            model.quantize()
        return
    assert_same_bits_in_any_batch(task, model.quantize(), [*METHODS, "transform"])


# Bad arguments

# Texts of Python and NumPy that say nothing to a user who does not know our code.
RAW = re.compile(
    "|".join(
        [
            "subscriptable",
            "not supported between",
            "not supported for the input types",
            "broadcast",
            "has no len",
            "could not convert",
            "not iterable",
            "C long",
            "too large to convert",
            "argument must be",
            "unhashable",
            "truth value",
            "out of bounds",
            "out of range",
            "has no attribute",
            "has no ufunc",
            "unsupported operand",
            "inhomogeneous",
            "ambiguous",
            "unexpected keyword",
            "contiguous",
            "Buffer dtype",
            "invalid literal",
            "must be real number",
            "cannot be interpreted",
            "Cannot cast",
            "codec can't",
            "not in list",
            "dimensions",
        ]
    )
)
BAD_PARAMETERS = [
    None,
    True,
    np.nan,
    np.inf,
    -np.inf,
    -1,
    0,
    0.5,
    1,
    2.0,
    -0.1,
    1e300,
    1e-320,
    2**63,
    10**30,
    -(10**30),
    1j,
    "",
    "adam",
    b"adam",
    np.str_("float64"),
    [],
    (),
    [1],
    [None],
    ["a"],
    [0.5, "a"],
    [2**63],
    [[1, 2], [3]],
    {},
    {"a": 1},
    {0: 1e300, 1: 1},
    {0: "a"},
    {None: 1},
    {1, "a"},
    {1: "x", 2: 0},
    np.array([1.0, 2.0]),
    np.array(3),
    np.float32(0.5),
    np.int8(1),
    np.array([None, "a"], dtype=object),
    np.datetime64("2020-01-01"),
    Decimal("0.5"),
    range(3),
    "abc",
    object(),
    float,
    len,
]


def poisoned(X, value):
    """X with one number or item replaced."""
    if hasattr(X, "iloc"):
        X = X.to_numpy()
    if isinstance(X, str):
        return [X, value]
    if isinstance(X, np.ndarray) and X.dtype != object:
        X = X.astype(X.dtype if X.dtype.kind == "f" and isinstance(value, float) else object)
        with np.errstate(over="ignore"):
            X[(-1,) * X.ndim] = value
        return X
    return [*X[:-1], value]


BAD_DATA = {
    "None": lambda X: None,
    "int": lambda X: 5,
    "nan": lambda X: np.nan,
    "str": lambda X: "abc",
    "bytes": lambda X: b"abc",
    "empty": lambda X: [],
    "nested empty": lambda X: [[]],
    "dict": lambda X: {"a": X},
    "generator": lambda X: (x for x in X),
    "set": lambda X: {1, 2, 3},
    "range": lambda X: range(len(X)),
    "object": lambda X: object(),
    "type": lambda X: float,
    "0-D": lambda X: np.array(1.0),
    "no rows": lambda X: np.zeros((0, 2)),
    "4-D": lambda X: np.zeros((len(X), 2, 2, 1)),
    "1-D": lambda X: np.arange(float(len(X))),
    "1-D integers": lambda X: np.arange(len(X)),
    "3-D": lambda X: np.zeros((len(X), 2, 1)),
    "complex": lambda X: np.ones((len(X), 2)) * 1j,
    "strings": lambda X: np.full((len(X), 2), "a"),
    "list of strings": lambda X: ["a"] * len(X),
    "list of words": lambda X: [["a", "b"]] * len(X),
    "None everywhere": lambda X: [None] * len(X),
    "dates": lambda X: np.full((len(X), 2), np.datetime64("2020-01-01")),
    "dates per sequence": lambda X: np.full(len(X), np.datetime64("2020-01-01")),
    "masked": lambda X: np.ma.masked_all((len(X), 2, 1)),
    "sparse": lambda X: scipy.sparse.csr_array(np.eye(len(X), 3)),
    "record": lambda X: np.zeros(len(X), dtype=[("a", float), ("b", int)]),
    "frame": lambda X: pd.DataFrame({"a": [1.0] * len(X), "b": ["x"] * len(X)}),
    "missing": lambda X: pd.Series([pd.NA] * len(X)),
    "categories": lambda X: pd.Series(["u", "v"] * len(X), dtype="category")[: len(X)],
    "negative": lambda X: np.full(len(X), -1),
    "tiny": lambda X: np.full(len(X), 1e-320),
    "huge": lambda X: np.full(len(X), 1e300),
    "huge integers": lambda X: [2**70] * len(X),
    "sequences of huge integers": lambda X: [[2**70]] * len(X),
    "sequences of nothing": lambda X: [np.zeros((0, 2))] * len(X),
    "sequences of nan": lambda X: [np.full((2, 2), np.nan)] * len(X),
    "sequences of dicts": lambda X: [[{"a": 1}]] * len(X),
    "sequences of mixed": lambda X: [[1, "a", None]] * len(X),
    "mixed": lambda X: [1, "a", None, 2.5, *X][: len(X)],
    "twice": lambda X: [*X, *X],
    "one": lambda X: X[:1],
    "zeros": lambda X: np.zeros(len(X)),
    "nan inside": lambda X: poisoned(X, np.nan),
    "inf inside": lambda X: poisoned(X, np.inf),
    "1e300 inside": lambda X: poisoned(X, 1e300),
    "None inside": lambda X: poisoned(X, None),
    "str inside": lambda X: poisoned(X, "a"),
    "bytes inside": lambda X: poisoned(X, b"a"),
    "list inside": lambda X: poisoned(list(X), [[1, 2], [3]]),
    "dict inside": lambda X: poisoned(list(X), {}),
    "2**70 inside": lambda X: poisoned(X, 2**70),
    "-1 inside": lambda X: poisoned(X, -1),
    "lone surrogate": lambda X: "\ud800",
}


def documented_error(names, function, *args, **kwargs):
    """The error that the call raises for the arguments of these names, if any."""
    try:
        function(*args, **kwargs)
    except (ValueError, TypeError, MemoryError) as error:
        found = error
    else:
        return None
    message = str(found)
    assert message.strip(), repr(found)
    if RAW.search(message):
        assert re.search(rf"(?<!\w)({'|'.join(names)})(?!\w)", message), message
    return found


def check_call(names, model, method, arguments):
    """If the call fails, then with a documented error, and the model stays as it was."""
    before = dict(vars(model))
    weights = weights_of(model) if hasattr(model, "weights_") else None
    error = documented_error(names, getattr(model, method), **arguments)
    if error is None:
        return
    if "NaN or infinite in epoch" in str(error):  # the last finite weights are kept
        assert not {"sample_weight", "class_weight"} & set(names)
        return
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert weights is None or weights_of(model) == weights


# Sums and scores of numbers near the largest overflow, which NumPy says.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@every_estimator
@examples(50)
@given(data=st.data())
def test_bad_parameters_raise_documented_errors(estimator, data):
    task = data.draw(tasks(estimator))
    fitted = task.fitted(warm_start=True)
    how = data.draw(st.sampled_from(["fit", "fit again", "partial_fit"]))
    for name in task.parameters:
        value = data.draw(st.sampled_from(BAD_PARAMETERS), label=name)
        if name == "max_iter" and isinstance(value, int) and value > 2:
            continue  # nothing would end it
        if name == "checkpoint" and isinstance(value, str):
            continue  # it would be written
        bad = {name: value}
        model = task.new(**bad) if how == "fit" else copy.copy(fitted).set_params(**bad)
        if how == "partial_fit":
            check_call(bad, model, "partial_fit", task.arguments())
        else:
            check_call(bad, model, "fit", task.fit_arguments())
        if hasattr(model, "weights_"):
            documented_error(bad, everything, model, task)


@pytest.mark.filterwarnings("ignore:overflow encountered in (square|multiply|reduce)")
@pytest.mark.filterwarnings("ignore:invalid value encountered in (multiply|divide)")
@every_estimator
@examples(80)
@given(data=st.data())
def test_bad_data_raise_documented_errors(estimator, data):
    task = data.draw(tasks(estimator))
    fitted = task.fitted(warm_start=True)
    again = data.draw(st.booleans())
    calls = {"fit": task.fit_arguments(), "partial_fit": task.arguments()}
    if estimator is LSTMClassifier:
        calls["partial_fit"] |= {"classes": None}
    calls["score"] = task.arguments()
    calls |= {name: {"X": task.X} for name in outputs(fitted, task.X)}
    for method, arguments in calls.items():
        model = fitted
        if method in ("fit", "partial_fit"):
            model = copy.copy(fitted) if again else task.new()
        for name, good in arguments.items():
            good = np.ones(len(task.X)) if good is None else good
            kind = data.draw(st.sampled_from(sorted(BAD_DATA)), label=f"{method}, {name}")
            check_call([name], model, method, arguments | {name: BAD_DATA[kind](good)})
