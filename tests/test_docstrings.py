"""What help() shows of the public classes: every parameter once, with its default."""

import inspect
import json
import re
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from cylstm import (
    LSTMClassifier,
    LSTMForecaster,
    LSTMLanguageModel,
    LSTMRegressor,
    TimeSeriesOrigins,
    interop,
    metrics,
)
from cylstm._forecaster import OWN_PARAMETERS
from cylstm._parameters import PARAMETERS
from cylstm._supervised import BaseLSTM
from cylstm.inspection import permutation_importance
from cylstm.plotting import (
    AttentionDisplay,
    ForecastDisplay,
    GateDisplay,
    LossCurveDisplay,
)
from cylstm.preprocessing import (
    SequenceImputer,
    StepwiseTransformer,
    from_long,
    make_windows,
    unpad_sequences,
)

ESTIMATORS = [LSTMRegressor, LSTMClassifier, LSTMLanguageModel, LSTMForecaster]
DISPLAYS = [AttentionDisplay, ForecastDisplay, GateDisplay, LossCurveDisplay]
CLASSES = [*ESTIMATORS, SequenceImputer, StepwiseTransformer, TimeSeriesOrigins, *DISPLAYS]
CONVERTERS = [getattr(interop, name) for name in interop.__all__]
METRICS = [getattr(metrics, name) for name in metrics.__all__]
FUNCTIONS = [
    from_long,
    make_windows,
    permutation_importance,
    unpad_sequences,
    *CONVERTERS,
    *METRICS,
]


def own_methods(cls):
    """(name, docstring) of the public methods that cylstm defines."""
    for name, method in inspect.getmembers(cls, callable):
        if not name.startswith("_") and "cylstm" in getattr(method, "__module__", ""):
            yield name, inspect.getdoc(method)


def section(doc, title):
    """The lines of a section of a numpydoc docstring."""
    parts = re.split(r"^([A-Z][\w ]+)\n-+\n", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "")


def entries(text):
    """(name, type) of a section's entries; a backslash continues a line."""
    return re.findall(r"^(\w+) : (.*)$", re.sub(r"\\\n\s+", "", text), flags=re.MULTILINE)


def arguments(function):
    """Their names, as docstrings have them."""
    return [
        f"**{a.name}" if a.kind is a.VAR_KEYWORD else a.name
        for a in inspect.signature(function).parameters.values()
        if a.name not in ("self", "cls")
    ]


def described(doc):
    """The arguments of a docstring."""
    heads = re.findall(r"^([*\w]+(?:, \w+)*)(?: : |$)", section(doc, "Parameters"), re.M)
    return [argument for head in heads for argument in head.split(", ")]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_each_parameter_is_described_once_in_order_with_its_default(cls):
    signature = inspect.signature(cls).parameters
    documented = entries(section(inspect.getdoc(cls), "Parameters"))
    assert [name for name, _ in documented] == list(signature)
    for name, description in documented:
        default = signature[name].default
        shown = json.dumps(default) if isinstance(default, str) else repr(default)
        assert description.endswith(f", default={shown}"), name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_each_parameter_is_constrained(cls):
    assert list(cls._parameter_constraints) == list(inspect.signature(cls).parameters)


def test_the_table_has_no_parameter_that_no_estimator_takes():
    taken = {name for cls in ESTIMATORS for name in inspect.signature(cls).parameters}
    assert taken == {*PARAMETERS, *OWN_PARAMETERS, "loss"}


def test_each_fitted_attribute_is_described():
    X, y = np.zeros((6, 4)), np.arange(6) % 3
    frame = pd.DataFrame(X, columns=list("abcd"))
    models = [
        LSTMRegressor(2, max_iter=1).fit(frame, y),
        LSTMClassifier(2, max_iter=1).fit(frame, y),
        LSTMLanguageModel(2, max_iter=1).fit("abc"),
        LSTMForecaster(2, max_iter=1).fit(np.arange(20) % 7),
    ]
    for model in models:
        fitted = {name for name in dir(model) if name[0] != "_" and name[-1] == "_"}
        documented = entries(section(inspect.getdoc(model), "Attributes"))
        assert sorted(name for name, _ in documented) == sorted(fitted)


@pytest.mark.parametrize("cls", CLASSES)
def test_arguments_of_methods_are_described_in_order(cls):
    for name, doc in own_methods(cls):
        assert described(doc) == arguments(getattr(cls, name)), name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_of_functions_are_described_in_order(function):
    assert described(inspect.getdoc(function)) == arguments(function)


@pytest.mark.parametrize("thing", [*CLASSES, *FUNCTIONS])
def test_docstrings_are_filled_in_and_indented(thing):
    docs = [inspect.getdoc(thing)]
    if inspect.isclass(thing):
        docs += [doc for _, doc in own_methods(thing)]
    for doc in docs:
        assert not re.search(r"%\(|<<|\{\{", doc)
        assert max(map(len, doc.splitlines())) <= 95
        for title in ("Parameters", "Attributes", "Returns"):
            for line in section(doc, title).splitlines():
                # A head at the margin, text four columns in, a continued head twelve.
                assert re.match(r"$|[*\w]| {4}\S| {8,12}\S", line), line


def test_docstrings_of_forecasters_speak_of_what_they_have():
    docs = [inspect.getdoc(LSTMForecaster), *(doc for _, doc in own_methods(LSTMForecaster))]
    for word in (
        "return_sequences",
        "CRF",
        "crf",
        "embedding",
        "attention_weights",
        "scoring",
    ):
        assert not any(word in doc for doc in docs), word
    for name in ("fit", "partial_fit"):  # as help() shows them
        assert max(map(len, vars(LSTMForecaster)[name].__doc__.splitlines())) <= 100


def test_methods_describe_the_data_that_their_class_takes():
    for name in ("fit", "partial_fit", "score", "predict_proba", "transform"):
        assert "list of lists of str" in getattr(LSTMLanguageModel, name).__doc__
        assert "(n_samples, n_timesteps, n_features)" in getattr(LSTMClassifier, name).__doc__
    for name in ("fit", "partial_fit"):
        assert "a long data frame" in getattr(LSTMForecaster, name).__doc__


def test_type_checkers_may_read_the_annotations():
    assert resources.files("cylstm").joinpath("py.typed").is_file()


def test_subclasses_share_the_methods_of_the_base():
    for name in ("fit", "transform", "stream", "gate_values", "input_gradients"):
        assert vars(BaseLSTM)[name] is getattr(LSTMRegressor, name)
        assert vars(BaseLSTM)[name] is getattr(LSTMClassifier, name)
