"""warm_start, partial_fit and pickles: training in parts equals training in one piece."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from example_sequences import (
    LABELS,
    TOKENS,
    N,
    X,
    Y,
    assert_rolls_back,
    classifier,
    regressor,
    training_of,
    weights_of,
)
from sklearn.base import clone
from sklearn.utils import check_random_state

from cylstm import LSTMRegressor
from cylstm._network import Network


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


def test_a_cosine_over_several_fits():
    settings = {"learning_rate": "cosine", "learning_rate_init": 0.1}
    whole = regressor(max_iter=6, **settings).fit(X, Y)
    parts = regressor(max_iter=3, cosine_epochs=6, warm_start=True, **settings)
    parts.fit(X, Y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, Y)
    assert weights_of(parts) == weights_of(whole)
    # Without cosine_epochs each of them starts again.
    parts = regressor(max_iter=3, warm_start=True, **settings).fit(X, Y).fit(X, Y)
    assert parts.history_["learning_rate"] == 2 * parts.history_["learning_rate"][:3]
    parts = regressor(max_iter=1, cosine_epochs=6, **settings)
    for _ in range(6):
        parts.partial_fit(X, Y)
    assert weights_of(parts) == weights_of(whole)


def test_partial_fit_keeps_the_rate_of_a_cosine_of_unknown_length():
    parts = regressor(max_iter=2, learning_rate="cosine", learning_rate_init=0.1)
    for _ in range(3):
        parts.partial_fit(X, Y)
    assert parts.history_["learning_rate"] == [0.1] * 3
    parts.set_params(warm_start=True).fit(X, Y)
    np.testing.assert_allclose(parts.history_["learning_rate"][3:], [0.1, 0.05])
    assert parts.partial_fit(X, Y).history_["learning_rate"][5] == 0.1


def failing_report(self, *args):
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


@pytest.mark.parametrize("X_given", [X, TOKENS], ids=["numbers", "tokens"])
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("fit", ["partial_fit", "fit"])
def test_a_failure_after_some_steps_changes_nothing(monkeypatch, fit, solver, X_given):
    model = regressor(
        solver=solver,
        alpha=0.1,
        batch_size=16,
        dropout=0.2,
        warm_start=True,
        learning_rate="cosine",
        embedding_dim=3 if X_given is TOKENS else None,
    )
    model.partial_fit(X_given, Y).partial_fit(X_given, Y)
    curve, before = model.loss_curve_, pickle.dumps(model)
    spared = pickle.loads(before)
    reported = []

    def report(self, *args):
        reported.append(weights_of(self))
        if len(reported) == (2 if fit == "fit" else 1):
            raise RuntimeError("after several steps")

    with monkeypatch.context() as patch:
        patch.setattr(LSTMRegressor, "_report", report)
        with pytest.raises(RuntimeError, match="several steps"):
            getattr(model, fit)(X_given, Y)
    assert reported[-1] != weights_of(spared)  # training had started
    assert pickle.dumps(model) == before
    assert model.loss_curve_ == curve
    for _ in range(2):
        model.partial_fit(X_given, Y)
        spared.partial_fit(X_given, Y)
    assert training_of(model) == training_of(spared)


def test_memory_that_runs_out_within_an_epoch_changes_nothing(monkeypatch):
    model = regressor(batch_size=16).partial_fit(X, Y)
    before, weights = pickle.dumps(model), weights_of(model)
    loss_and_gradients, seen = Network.loss_and_gradients, []

    def third_fails(self, *args, **kwargs):
        seen.append(self.parameters.tobytes())
        if len(seen) == 3:
            raise MemoryError
        return loss_and_gradients(self, *args, **kwargs)

    monkeypatch.setattr(Network, "loss_and_gradients", third_fails)
    with pytest.raises(MemoryError):
        model.partial_fit(X, Y)
    assert seen[-1] != weights
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("n_batches", [1, 4])
def test_a_non_finite_loss_in_partial_fit_restores_the_weights(n_batches):
    model = regressor(solver="sgd", batch_size=N // n_batches, clip_norm=None)
    good = weights_of(model.partial_fit(X, Y))
    bad = Y.copy()
    bad[-1] = 1e30  # a gradient so large that the weights overflow
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN or infinite in epoch 2"):
            model.set_params(learning_rate_init=1e30).partial_fit(X, bad)
        assert weights_of(model) == good
        assert model.n_iter_ == 1
    model.set_params(solver="adam", learning_rate_init=1e-3).partial_fit(X, Y)
    assert model.n_iter_ == 2
    assert weights_of(model) != good


@pytest.mark.parametrize(
    "random_state",
    [np.random.RandomState(3), np.random.RandomState(np.random.PCG64(3)), None],
    ids=["MT19937", "PCG64", "global"],
)
def test_only_the_first_call_draws_from_a_given_random_state(random_state):
    model = regressor(random_state=random_state).partial_fit(X, Y)
    source = check_random_state(random_state)
    spared = pickle.loads(pickle.dumps(model))
    expected = copy.deepcopy(source).random_sample(3)
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(source.random_sample(3), expected)
    # Nor do numbers that others draw change the training.
    assert weights_of(model.partial_fit(X, Y)) == weights_of(
        spared.partial_fit(X, Y).partial_fit(X, Y)
    )


def test_early_stopping_resumes_with_the_same_split():
    model = regressor(warm_start=True, early_stopping=True, validation_fraction=0.2)
    model.fit(X, Y).fit(X, Y)
    whole = regressor(max_iter=6, early_stopping=True, validation_fraction=0.2).fit(X, Y)
    assert model.validation_scores_[:3] == whole.validation_scores_[:3]
    assert len(model.validation_scores_) == 6


@pytest.mark.parametrize("mmap_mode", ["r", "r+", "c"])
def test_training_resumes_from_a_memory_mapped_pickle(tmp_path, mmap_mode):
    model = regressor().partial_fit(X, Y)
    file = tmp_path / "model.joblib"
    joblib.dump(model, file)
    saved = file.read_bytes()
    mapped = joblib.load(file, mmap_mode=mmap_mode)
    assert weights_of(mapped.partial_fit(X, Y)) == weights_of(model.partial_fit(X, Y))
    del mapped
    assert file.read_bytes() == saved


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
    with pytest.raises(ValueError, match=r"hidden_layer_sizes from \(6,\) to \(7,\)\."):
        model.set_params(hidden_layer_sizes=7).fit(X, Y)
    model.set_params(hidden_layer_sizes=6)
    assert_rolls_back(
        model,
        lambda: model.fit(X, np.column_stack([Y, Y])),
        "y has 2 outputs, but LSTMRegressor was fitted with 1",
    )


def test_a_fit_of_other_sizes_after_partial_fit_equals_that_of_a_new_model():
    model = regressor().partial_fit(X, Y).set_params(hidden_layer_sizes=(30, 20))
    expected = regressor(hidden_layer_sizes=(30, 20)).fit(X, Y)
    assert weights_of(model.fit(X, Y)) == weights_of(expected)
