"""warm_start, partial_fit and pickles: training in parts equals training in one piece."""

import pickle

import joblib
import numpy as np
import pytest
from example_sequences import (
    LABELS,
    N,
    X,
    Y,
    assert_rolls_back,
    classifier,
    regressor,
    weights_of,
)
from sklearn.base import clone

from cylstm import LSTMRegressor


@pytest.mark.parametrize("solver", ["adam", "rmsprop", "sgd"])
def test_two_pickled_halves_of_a_training_equal_the_whole(solver):
    whole = classifier(solver=solver)
    halves = clone(whole)
    for _ in range(6):
        whole.partial_fit(X, LABELS)
    for _ in range(3):
        halves.partial_fit(X, LABELS)
    halves = pickle.loads(pickle.dumps(halves))
    for _ in range(3):
        halves.partial_fit(X, LABELS)
    assert weights_of(halves) == weights_of(whole)
    assert halves.loss_curve_ == whole.loss_curve_
    assert (halves.n_iter_, halves.t_) == (whole.n_iter_, whole.t_) == (6, 6 * N)


def test_warm_start_resumes_training():
    whole = regressor(max_iter=6).fit(X, Y)
    parts = regressor(max_iter=3, warm_start=True).fit(X, Y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, Y)
    assert weights_of(parts) == weights_of(whole)
    assert parts.loss_curve_ == whole.loss_curve_


def failing_report(self):
    raise RuntimeError("in the first epoch")


def test_a_failed_warm_start_changes_nothing(monkeypatch):
    model = regressor(warm_start=True, early_stopping=True, validation_fraction=0.2)
    model.fit(X, Y)
    before = pickle.dumps(model)
    for bad in ({"y_val": LABELS, "X_val": X}, {"y_val": np.c_[Y, Y], "X_val": X}):
        with pytest.raises(ValueError, match="y_val|could not convert"):
            model.fit(X, Y, **bad)
        assert pickle.dumps(model) == before
    monkeypatch.setattr(LSTMRegressor, "_report", failing_report)
    with pytest.raises(RuntimeError):
        model.fit(X, Y)
    assert pickle.dumps(model) == before


def test_early_stopping_resumes_with_the_same_split():
    model = regressor(warm_start=True, early_stopping=True, validation_fraction=0.2)
    model.fit(X, Y).fit(X, Y)
    whole = regressor(max_iter=6, early_stopping=True, validation_fraction=0.2).fit(X, Y)
    assert model.validation_scores_[:3] == whole.validation_scores_[:3]
    assert len(model.validation_scores_) == 6


def test_training_resumes_from_a_memory_mapped_pickle(tmp_path):
    model = regressor().partial_fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert weights_of(mapped.partial_fit(X, Y)) == weights_of(model.partial_fit(X, Y))


def test_partial_fit_and_classes():
    low_only = LABELS == "low"
    model = classifier().partial_fit(X[low_only], LABELS[low_only], np.unique(LABELS))
    assert model.classes_.tolist() == ["high", "low", "middle"]
    assert_rolls_back(
        model,
        lambda: model.partial_fit(X, np.where(low_only, "lower", LABELS)),
        "labels that are not among the classes.*lower",
    )
    assert_rolls_back(
        model, lambda: model.partial_fit(X, LABELS, ["a", "b"]), "differ from those"
    )
    with pytest.raises(ValueError, match='class_weight="balanced" cannot'):
        classifier(class_weight="balanced").partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="early_stopping=True"):
        classifier(early_stopping=True).partial_fit(X, LABELS)


def test_sizes_cannot_change_when_training_resumes():
    model = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"changed since the first fit, from .*\(6,\)"):
        model.set_params(hidden_layer_sizes=7).fit(X, Y)
    model.set_params(hidden_layer_sizes=6)
    assert_rolls_back(
        model,
        lambda: model.fit(X, np.column_stack([Y, Y])),
        "y has 2 outputs, but LSTMRegressor was fitted with 1",
    )
