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
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer_names,
    make_scorer,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    TimeSeriesSplit,
    train_test_split,
)

from cylstm import LSTMClassifier
from cylstm.preprocessing import make_windows


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
    model = regressor(tol=1e9, n_iter_no_change=4, max_iter=50)
    with pytest.warns(UserWarning, match="ended after epoch 6 of 50: .*n_iter_no_change=4"):
        model.fit(X, Y)
    # The first epoch always counts as progress; then come 5 without any.
    assert model.n_iter_ == 6


def test_a_loss_that_stands_still_ends_no_fit():
    still = {"learning_rate_init": 1e-12, "max_iter": 30}
    assert regressor(**still).fit(X, Y).n_iter_ == 30
    # Where progress is judged, 10 epochs without any are allowed after the first.
    assert regressor(early_stopping=True, **still).fit(X, Y).n_iter_ == 12
    adaptive = regressor(learning_rate="adaptive", **still | {"max_iter": 13}).fit(X, Y)
    assert adaptive.n_iter_ == 12  # the rate was below 1e-6 from the start


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


def held_out_by(model, X, y, **fit_arguments):
    """What the model's last fit held out, as its own scoring function saw it."""
    seen = {}

    def scoring(estimator, X_val, y_val):
        seen.update(X=X_val, y=y_val)
        return estimator.score(X_val, y_val)

    model.set_params(early_stopping=True, max_iter=1, scoring=scoring).fit(
        X, y, **fit_arguments
    )
    return seen["X"], seen["y"]


def test_a_splitter_chooses_what_is_held_out_by_its_last_split():
    model = regressor(validation_fraction=TimeSeriesSplit(4, gap=3))
    X_val, y_val = held_out_by(model, X, Y)
    *_, (train, held_out) = TimeSeriesSplit(4, gap=3).split(X)
    np.testing.assert_array_equal(X_val, X[held_out])
    np.testing.assert_array_equal(y_val, Y[held_out])
    assert model.t_ == len(train) < N - len(held_out)


@pytest.mark.parametrize("fraction", [0.25, GroupKFold(4)])
def test_groups_stay_together(fraction):
    groups = np.arange(N) % 12
    model = regressor(validation_fraction=fraction)
    X_val, _ = held_out_by(model, list(X), Y, groups=groups.tolist())
    rows = [next(k for k, x in enumerate(X) if np.array_equal(x, x_val)) for x_val in X_val]
    held_out = set(groups[rows])
    assert len(held_out) == 3
    assert len(rows) == np.isin(groups, list(held_out)).sum()


def test_without_shuffle_the_last_sequences_are_held_out():
    X_val, y_val = held_out_by(regressor(shuffle=False, validation_fraction=0.2), X, Y)
    np.testing.assert_array_equal(X_val, X[-N // 5 :])
    np.testing.assert_array_equal(y_val, Y[-N // 5 :])


def test_of_windows_the_last_ones_are_held_out():
    windows, targets = make_windows(np.sin(np.arange(60) / 3), 10)
    _, y_val = held_out_by(regressor(), windows, targets)
    np.testing.assert_array_equal(y_val, targets[-5:])
    _, y_val = held_out_by(regressor(), windows[:, ::-1][::2], targets[::2])
    np.testing.assert_array_equal(y_val, targets[::2][-3:])


@pytest.mark.parametrize(
    "lay_out", [np.copy, np.asfortranarray, lambda x: x.swapaxes(0, 1).copy().swapaxes(0, 1)]
)
def test_sequences_that_do_not_overlap_are_held_out_at_random(lay_out):
    _, expected = held_out_by(regressor(), X, Y)
    _, y_val = held_out_by(regressor(), lay_out(X), Y)
    np.testing.assert_array_equal(y_val, expected)
    assert not np.array_equal(y_val, Y[-len(y_val) :])


def test_without_shuffle_the_last_groups_are_held_out():
    groups = np.array([*"aabbc", *"cddee", *("e" * (N - 10))])
    model = regressor(shuffle=False, validation_fraction=0.3)
    _, y_val = held_out_by(model, X, Y, groups=groups)
    np.testing.assert_array_equal(y_val, Y[6:])


def test_more_classes_than_samples_held_out():
    rng = np.random.default_rng(0)
    model = LSTMClassifier(4, early_stopping=True, max_iter=2, random_state=0)
    model.fit(rng.normal(size=(50, 3, 2)), np.arange(50) % 10)
    assert len(model.classes_) == 10
    # A class of one sample is in one of the parts.
    model.fit(rng.normal(size=(50, 3, 2)), np.arange(50) == 7)
    assert len(model.validation_scores_) == 2


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("f1_macro", lambda m, X, y: f1_score(y, m.predict(X), average="macro")),
        (make_scorer(f1_score, pos_label="low"), None),
        ("roc_auc", lambda m, X, y: roc_auc_score(y, m.predict_proba(X)[:, 1])),
        (lambda m, X, y: float(len(y)), lambda m, X, y: 15),
    ],
)
def test_scoring(scoring, expected):
    expected = expected or (lambda m, X, y: f1_score(y, m.predict(X), pos_label="low"))
    labels = np.where(Y > 0, "high", "low")
    model = classifier(max_iter=3, scoring=scoring)
    model.fit(X[15:], labels[15:], X_val=RAGGED[:15], y_val=labels[:15])
    assert model.validation_scores_[-1] == expected(model, RAGGED[:15], labels[:15])


def test_scoring_weights_the_samples():
    weights = np.arange(20) % 3
    model = regressor(max_iter=2, scoring="neg_mean_absolute_error", dtype="float64")
    model.fit(X, Y, X_val=X[:20], y_val=Y[:20], sample_weight_val=weights)
    error = np.average(np.abs(model.predict(X[:20]) - Y[:20]), weights=weights)
    assert model.validation_scores_[-1] == pytest.approx(-error, rel=1e-12)


def test_scorers_get_the_steps_of_sequences_one_after_the_other():
    y = [np.where(x[:, 0] > 0, "up", "down") for x in RAGGED]
    model = classifier(return_sequences=True, max_iter=2, scoring="f1_macro")
    model.fit(RAGGED, y, X_val=RAGGED, y_val=y)
    predicted = np.concatenate(model.predict(RAGGED))
    expected = f1_score(np.concatenate(y), predicted, average="macro")
    assert model.validation_scores_[-1] == expected


class Overlapping:
    def get_n_splits(self, X=None, y=None, groups=None):
        return 1

    def split(self, X, y, groups):
        yield np.arange(10), np.arange(9, 20)


class Outside(Overlapping):
    def split(self, X, y, groups):
        yield np.arange(10), np.array([N])


class Empty(Overlapping):
    def split(self, X, y, groups):
        yield np.arange(N), np.array([], dtype=int)


class NoSplit(Overlapping):
    def split(self, X, y, groups):
        return iter(())


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({"validation_fraction": Overlapping()}, {}, "holds out samples that it also trains"),
        ({"validation_fraction": Outside()}, {}, f"not from 0 to {N - 1}"),
        ({"validation_fraction": Empty()}, {}, "no indices for one of the parts"),
        ({"validation_fraction": LeaveOneOut()}, {}, "1 sample is too small"),
        ({"validation_fraction": KFold(N + 1)}, {}, "early_stopping cannot hold out .*KFold"),
        ({"validation_fraction": GroupKFold(3)}, {}, "'groups' parameter should not be None"),
        ({}, {"groups": [1, 2]}, rf"groups has shape \(2,\), but X has {N} samples"),
        ({}, {"groups": np.zeros(N)}, "cannot hold out"),
        ({"scoring": lambda m, X, y: "high"}, {}, "returned 'high' for the validation data"),
        ({"scoring": lambda m, X, y: np.nan}, {}, "returned nan for the validation data"),
        ({"scoring": "roc_auc"}, {}, "scoring='roc_auc' cannot score predictions of LSTMReg"),
        (
            {"scoring": "max_error" if "max_error" in get_scorer_names() else "neg_max_error"},
            {"sample_weight": np.arange(1, N + 1)},
            "max_error' cannot score predictions of LSTMRegressor with weights",
        ),
        ({"validation_fraction": NoSplit()}, {}, "gives no split"),
    ],
)
def test_bad_ways_to_validate(settings, arguments, message):
    with pytest.raises(ValueError, match=message):
        regressor(early_stopping=True, **settings).fit(X, Y, **arguments)
