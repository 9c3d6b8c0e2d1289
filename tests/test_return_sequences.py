"""One output per step."""

import numpy as np
import pandas as pd
import pytest
from example_sequences import (
    LENGTHS,
    PADDED,
    RAGGED,
    SIGNS_RAGGED,
    SUMS,
    SUMS_RAGGED,
    N,
    T,
    X,
    classifier,
    regressor,
    weights_of,
)
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score


def test_predictions_per_step_come_in_the_form_of_x():
    model = regressor(return_sequences=True).fit(X, SUMS)
    assert model.predict(X).shape == (N, T)
    assert model.transform(X).shape == (N, T, 6)
    ragged = model.predict(RAGGED)
    assert [len(p) for p in ragged] == LENGTHS.tolist()
    padded = model.predict(PADDED)
    np.testing.assert_array_equal(np.isnan(padded), np.isnan(PADDED[:, :, 0]))
    # Causal: a prediction does not depend on what comes after.
    for k in range(N):
        np.testing.assert_allclose(ragged[k], model.predict(X)[k, : LENGTHS[k]], atol=1e-5)
        np.testing.assert_allclose(ragged[k], padded[k, : LENGTHS[k]], atol=1e-5)


def test_several_outputs_per_step():
    two = np.stack([SUMS, -SUMS], axis=2)
    model = regressor(return_sequences=True).fit(X, two)
    assert model.predict(X).shape == (N, T, 2)
    assert model.predict(RAGGED)[3].shape == (LENGTHS[3], 2)


def test_ragged_and_padded_targets_are_the_same():
    ragged = regressor(return_sequences=True).fit(RAGGED, SUMS_RAGGED)
    noise = np.where(np.isnan(PADDED[:, :, 0]), np.nan, SUMS)
    assert weights_of(regressor(return_sequences=True).fit(PADDED, noise)) == weights_of(
        ragged
    )
    listed = regressor(return_sequences=True).fit(PADDED, SUMS_RAGGED)
    assert weights_of(listed) == weights_of(ragged)


def test_labels_per_step():
    model = classifier(return_sequences=True, max_iter=60, learning_rate_init=0.02)
    model.fit(RAGGED, SIGNS_RAGGED)
    predicted = model.predict(RAGGED)
    flat, expected = np.concatenate(predicted), np.concatenate(SIGNS_RAGGED)
    assert model.score(RAGGED, SIGNS_RAGGED) == accuracy_score(expected, flat) > 0.9
    p = model.predict_proba(RAGGED)
    assert p[3].shape == (LENGTHS[3], 2)
    np.testing.assert_array_equal(model.classes_[p[3].argmax(axis=1)], predicted[3])
    padded = model.predict(PADDED)
    assert padded[np.isnan(PADDED[:, :, 0])].tolist() == [None] * (N * T - LENGTHS.sum())


def test_weights_of_sequences_and_of_steps():
    by_sequence = np.arange(N) % 3
    by_step = [np.full(n, w) for n, w in zip(LENGTHS, by_sequence, strict=True)]
    settings = {"return_sequences": True, "dtype": "float64"}
    first = regressor(**settings).fit(RAGGED, SUMS_RAGGED, by_sequence)
    second = regressor(**settings).fit(RAGGED, SUMS_RAGGED, by_step)
    assert weights_of(first) == weights_of(second)
    # A step of weight 0 has no effect.
    changed = [s + 100 * (w == 0) for s, w in zip(SUMS_RAGGED, by_step, strict=True)]
    assert weights_of(regressor(**settings).fit(RAGGED, changed, by_step)) == weights_of(first)


def test_scores_over_real_steps():
    model = regressor(return_sequences=True, early_stopping=True, max_iter=5)
    model.fit(PADDED, SUMS)
    assert len(model.validation_scores_) == 5
    search = GridSearchCV(
        regressor(return_sequences=True), {"hidden_layer_sizes": [2, 3]}, cv=3
    ).fit(RAGGED, SUMS_RAGGED)
    assert np.isfinite(search.best_score_)

    def accuracy(estimator, X, y):
        return accuracy_score(np.concatenate(y), np.concatenate(estimator.predict(X)))

    scores = cross_val_score(
        classifier(return_sequences=True), RAGGED, SIGNS_RAGGED, scoring=accuracy, cv=3
    )
    assert (scores >= 0).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (SUMS[:, :-1], r"y\[0\] has shape \(6,\), but X\[0\] has 7 steps"),
        (SUMS[:-1], "y has 59 samples, but X has 60"),
        (SUMS[:, 0], r"y\[0\] has shape \(\), but X\[0\] has 7 steps"),
        ([*SUMS[:-1], [[1, 2], [3]]], r"y\[59\] cannot be read as an array"),
    ],
)
def test_targets_of_the_wrong_shape(y, message):
    with pytest.raises(ValueError, match=message):
        regressor(return_sequences=True).fit(X, y)


def test_cross_validation_over_tags_in_lists():
    tags = [steps.tolist() for steps in SIGNS_RAGGED]
    model = classifier(return_sequences=True)
    assert (cross_val_score(model, RAGGED, tags, cv=KFold(3)) > 0).all()


def test_targets_per_step_as_lists_and_frames():
    expected = weights_of(regressor(return_sequences=True).fit(PADDED, SUMS))
    for y in (SUMS.tolist(), pd.DataFrame(SUMS), SUMS_RAGGED):
        assert weights_of(regressor(return_sequences=True).fit(PADDED, y)) == expected
    ones = pd.DataFrame(np.ones((N, T)))
    assert weights_of(regressor(return_sequences=True).fit(PADDED, SUMS, ones)) == expected
