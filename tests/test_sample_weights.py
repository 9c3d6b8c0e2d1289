"""Weights of samples, of steps and of classes."""

import numpy as np
import pytest
from example_sequences import LABELS, RAGGED, N, X, Y, classifier, regressor, weights_of


def test_no_weights_are_weights_of_one():
    ones = regressor().fit(X, Y, sample_weight=np.ones(N))
    assert weights_of(ones) == weights_of(regressor().fit(X, Y))


@pytest.mark.parametrize("make", [regressor, classifier])
def test_an_integer_weight_equals_that_many_copies(make):
    y = Y if make is regressor else LABELS
    counts = np.random.default_rng(1).integers(0, 4, size=N)
    settings = {"batch_size": 1000, "shuffle": False, "dtype": "float64", "alpha": 1e-2}
    weighted = make(**settings).fit(RAGGED, y, sample_weight=counts)
    copies = np.repeat(np.arange(N), counts)
    repeated = make(**settings).fit([RAGGED[k] for k in copies], y[copies])
    for name, weight in weighted.weights_.items():
        np.testing.assert_allclose(
            weight, repeated.weights_[name], rtol=0, atol=1e-10, err_msg=name
        )
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)


def test_class_weights_are_sample_weights():
    weight = {"high": 2.0, "low": 0.5, "middle": 1.0}
    by_class = classifier(class_weight=weight).fit(X, LABELS)
    by_sample = classifier().fit(X, LABELS, sample_weight=[weight[y] for y in LABELS])
    assert weights_of(by_class) == weights_of(by_sample)
    counts = {label: (label == LABELS).sum() for label in np.unique(LABELS)}
    balanced = {label: N / (3 * count) for label, count in counts.items()}
    assert weights_of(classifier(class_weight="balanced").fit(X, LABELS)) == weights_of(
        classifier(class_weight=balanced).fit(X, LABELS)
    )


def test_class_weights_of_classes_missing_from_a_batch():
    low = LABELS != "high"
    model = classifier(class_weight={"high": 2.0})
    model.partial_fit(X[low], LABELS[low], classes=["high", "low", "middle"])
    assert model.n_iter_ == 1


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"higher": 1.0}, "class_weight names .*'higher'"),
        ({"high": -1.0}, "all at least 0"),
        ({"high": np.nan}, "finite numbers"),
    ],
)
def test_bad_class_weights(class_weight, message):
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=class_weight).fit(X, LABELS)


def test_balanced_class_weights_count_sample_weights():
    counts = np.random.default_rng(1).integers(1, 4, size=N)
    settings = {"batch_size": 1000, "shuffle": False, "dtype": "float64"}
    settings["class_weight"] = "balanced"
    weighted = classifier(**settings).fit(X, LABELS, sample_weight=counts)
    copies = np.repeat(np.arange(N), counts)
    repeated = classifier(**settings).fit(X[copies], LABELS[copies])
    for name, weight in weighted.weights_.items():
        np.testing.assert_allclose(weight, repeated.weights_[name], rtol=0, atol=1e-10)
