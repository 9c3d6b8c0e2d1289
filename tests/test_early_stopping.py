"""Validation data, early stopping and the stopping rule."""

import numpy as np
import pytest
from example_sequences import (
    LABELS,
    RAGGED,
    N,
    X,
    Y,
    assert_rolls_back,
    classifier,
    regressor,
    weights_of,
)
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split


def test_early_stopping_keeps_the_best_weights():
    model = regressor(
        early_stopping=True,
        validation_fraction=0.25,
        max_iter=200,
        n_iter_no_change=3,
        learning_rate_init=0.05,
        dtype="float64",
    ).fit(X, Y)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) == len(model.loss_curve_) < 200
    assert model.best_validation_score_ == max(scores)
    rows, held_out = train_test_split(
        np.arange(N), test_size=0.25, random_state=model._split_seed
    )
    assert model.score(X[held_out], Y[held_out]) == pytest.approx(max(scores), abs=1e-12)


def test_given_validation_data_are_used():
    settings = {"max_iter": 4, "dtype": "float64"}
    weights = np.arange(20) % 3
    model = regressor(**settings).fit(
        X[20:], Y[20:], X_val=X[:20], y_val=Y[:20], sample_weight_val=weights
    )
    assert len(model.validation_scores_) == 4
    expected = r2_score(Y[:20], model.predict(X[:20]), sample_weight=weights)
    assert model.validation_scores_[-1] == pytest.approx(expected, abs=1e-12)
    # Validation does not affect training.
    assert weights_of(model) == weights_of(regressor(**settings).fit(X[20:], Y[20:]))
    model = classifier(early_stopping=True, max_iter=10).fit(
        X, LABELS, X_val=RAGGED, y_val=LABELS
    )
    assert model.best_validation_score_ == accuracy_score(LABELS, model.predict(RAGGED))


def test_training_stops_where_the_loss_stalls():
    model = regressor(tol=1e9, n_iter_no_change=4, max_iter=50).fit(X, Y)
    # The first epoch always counts as progress; then come 5 without any.
    assert model.n_iter_ == 6


def test_labels_of_validation_data_must_be_known():
    model = classifier().fit(X, LABELS)
    assert_rolls_back(
        model,
        lambda: model.fit(X, LABELS, X_val=X, y_val=np.full(N, "higher")),
        "y_val has labels that are not among the classes.*higher",
    )


def test_validation_scores_do_not_count_class_weights():
    weight = {"high": 50.0}
    model = classifier(
        class_weight=weight, early_stopping=True, validation_fraction=0.3, max_iter=5
    ).fit(X, LABELS)
    _, held_out = train_test_split(
        np.arange(N), test_size=0.3, random_state=model._split_seed, stratify=LABELS
    )
    assert model.best_validation_score_ == model.score(X[held_out], LABELS[held_out])


def test_too_small_a_validation_set():
    with pytest.raises(
        ValueError, match="1 sample is too small.*Increase validation_fraction"
    ):
        regressor(early_stopping=True, validation_fraction=0.01).fit(X, Y)
