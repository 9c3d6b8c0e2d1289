"""Values that mean the same have the same text, others another."""

import logging
from functools import partial

import numpy as np
import pytest
import sklearn.metrics
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, PredefinedSplit

from cylstm._fingerprint import canonical, digest


def upside_down(model, X, y):
    return -model.score(X, y)


def test_texts_of_parameters():
    def times(factor):
        return lambda model, X, y: factor * model.score(X, y)

    alike = [
        ([1, 2.0], (1.0, 2)),
        (np.float32, "float32"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 1, 3}),
        (times(1), times(1)),
        (partial(upside_down, y=None), partial(upside_down, y=None)),
        (KFold(3), KFold(3)),
        (np.random.RandomState(0), np.random.RandomState(0)),
    ]
    for one, other in alike:
        assert canonical(one) == canonical(other)
    different = [
        (1, True),
        ("1", 1),
        (times(1), times(2)),
        (lambda m, X, y: 1, lambda m, X, y: 2),
        (partial(upside_down, y=1), partial(upside_down, y=2)),
        (KFold(3), KFold(4)),
        (PredefinedSplit(np.arange(2000)), PredefinedSplit(np.arange(2000) // 2)),
        (make_scorer(upside_down), make_scorer(upside_down, greater_is_better=False)),
        (np.random.RandomState(0), np.random.RandomState(1)),
    ]
    for one, other in different:
        assert canonical(one) != canonical(other)


class Holder:
    def __init__(self, held):
        self.held = held


def closure(held):
    return lambda model, X, y: held


def test_functions_and_objects_that_hold_much():
    itself = Holder(None)
    itself.held = [itself]
    for held in (np, sklearn.metrics, logging.getLogger(), np.arange(3_000_000), itself):
        for make in (Holder, closure):
            assert canonical(make(held)) == canonical(make(held))
    assert canonical(closure(np)) != canonical(closure(sklearn.metrics))
    assert canonical(Holder(np.arange(9.0))) != canonical(Holder(np.arange(1.0, 10)))
    doubled = [1]
    for _ in range(60):
        doubled = [doubled, doubled]
    assert len(canonical(doubled)) < 200
    part = (1, 2)
    assert canonical([part, part]) == canonical([part, (*part[:1], 2)])

    def recursive(model, X, y):
        return recursive

    def unfilled(model, X, y):
        return later

    assert canonical(recursive) == canonical(recursive)
    assert canonical(unfilled).startswith("test_functions")
    later = None


@pytest.mark.parametrize(
    "other",
    [
        [np.arange(6.0), None],
        [None, np.arange(6)],
        [np.arange(6), np.arange(6)],
        [np.arange(6).reshape(2, 3), None],
        [np.array(list("abc")), None],
        [np.array(["a", 1], dtype=object), None],
        [],
    ],
)
def test_digests_of_arrays(other):
    arrays = [np.arange(6), None]
    assert digest(arrays) == digest([np.arange(12)[::2] // 2, None])
    assert digest(other) == digest(other) != digest(arrays)
