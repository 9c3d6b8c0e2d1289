"""Every parameter of every estimator against every form of its data."""

import pickle

import numpy as np
import pandas as pd
import pytest
from any_task import PARAMETERS, take, tasks
from hypothesis import given, settings
from hypothesis import strategies as st

from cylstm import LSTMClassifier

every_estimator = pytest.mark.parametrize("estimator", PARAMETERS)
pytestmark = [
    # y may be a column.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
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


@every_estimator
@examples(40)
@given(data=st.data())
def test_a_pickled_training_in_parts_equals_the_whole(estimator, data):
    task = data.draw(tasks(estimator))
    # partial_fit takes neither.
    task.parameters |= {"early_stopping": False, "max_iter": 2, "warm_start": False}
    if task.parameters.get("class_weight") == "balanced":
        task.parameters["class_weight"] = None
    whole = task.new().fit(**task.arguments())
    parts = pickle.loads(pickle.dumps(task.new().partial_fit(**task.arguments())))
    parts = pickle.loads(pickle.dumps(parts.partial_fit(**task.arguments())))
    assert everything(parts, task) == everything(whole, task)
    if task.parameters["learning_rate"] != "cosine":  # whose period is that of a fit
        warm = task.new(max_iter=1, warm_start=True).fit(**task.arguments())
        warm = pickle.loads(pickle.dumps(warm)).fit(**task.arguments())
        assert everything(warm, task) == everything(whole, task)


def sequences_of(task):
    """The data as several sequences."""
    if task.single:
        return [task.X, task.X[::-1], task.X[:1]]
    return task.X


def without_padding(labels):
    """A list, since the type of labels depends on whether there is padding beside them."""
    return [label for label in np.ravel(labels).tolist() if not pd.isna(label)]


def assert_same_bits_in_any_batch(task, methods):
    model = task.fitted()
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
@examples(40)
@given(data=st.data())
def test_hidden_states_have_the_same_bits_in_any_batch(estimator, data):
    assert_same_bits_in_any_batch(data.draw(tasks(estimator)), ["transform"])


@every_estimator
@examples(40)
@given(data=st.data())
def test_predictions_have_the_same_bits_in_any_batch(estimator, data):
    assert_same_bits_in_any_batch(data.draw(tasks(estimator)), METHODS)
