"""Options of the network seen from the estimators: what comes out in which form, and that
each does what it says. Their gradients are checked in test_network."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, d2_pinball_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    train_test_split,
)

from cylstm import LSTMClassifier, LSTMRegressor, _engine

RNG = np.random.default_rng(0)
N, T, F = 60, 7, 3
X = RNG.normal(size=(N, T, F))
LENGTHS = RNG.integers(1, T + 1, size=N)
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
PADDED = np.where((np.arange(T) < LENGTHS[:, None])[:, :, None], X, np.nan)
SUMS = np.cumsum(X[:, :, 0], axis=1)
SUMS_RAGGED = [s[:n] for s, n in zip(SUMS, LENGTHS, strict=True)]
SIGNS = np.where(SUMS > 0, "up", "down")
SIGNS_RAGGED = [s[:n] for s, n in zip(SIGNS, LENGTHS, strict=True)]
TOKENS = [RNG.integers(12, size=n) for n in LENGTHS]
HAS_SEVEN = np.array([7 in x for x in TOKENS])
SETTINGS = {"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0}
EVERYTHING = {
    "hidden_layer_sizes": (6, 5),
    "cell": "peephole",
    "bidirectional": True,
    "dropout": 0.2,
    "recurrent_dropout": 0.2,
    "alpha": 1e-3,
    "l1_ratio": 0.5,
    "solver": "adamw",
    "learning_rate": "cosine",
}


def regressor(**settings):
    return LSTMRegressor(**{**SETTINGS, **settings})


def classifier(**settings):
    return LSTMClassifier(**{**SETTINGS, **settings})


def weights_of(model):
    return model._network.parameters.tobytes()


# Outputs per step


def test_predictions_of_every_step_come_in_the_form_of_x():
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


def test_several_outputs_of_every_step():
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


def test_labels_of_every_step():
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
    # A step without weight has no say.
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
    ],
)
def test_targets_that_do_not_fit_the_steps(y, message):
    with pytest.raises(ValueError, match=message):
        regressor(return_sequences=True).fit(X, y)


# Tokens


def test_tokens_are_learnt():
    model = classifier(
        embedding_dim=4, vocabulary_size=12, max_iter=80, learning_rate_init=0.02
    ).fit(TOKENS, HAS_SEVEN)
    assert model.score(TOKENS, HAS_SEVEN) > 0.95
    assert model.weights_["embedding.weight"].shape == (12, 4)
    assert regressor(embedding_dim=4).fit(TOKENS, LENGTHS).predict(TOKENS).shape == (N,)
    tags = classifier(embedding_dim=4, return_sequences=True).fit(
        TOKENS, [x > 5 for x in TOKENS]
    )
    assert tags.predict(TOKENS)[2].shape == (LENGTHS[2],)


def test_vocabulary_is_read_off_the_tokens():
    model = classifier(embedding_dim=4).fit(TOKENS, HAS_SEVEN)
    assert model.weights_["embedding.weight"].shape == (12, 4)
    with pytest.raises(ValueError, match="token 12 in sample 0.*vocabulary_size=12"):
        model.predict([[12]])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_only_the_vectors_of_the_batch_change(solver):
    model = classifier(embedding_dim=4, vocabulary_size=50, solver=solver)
    model.partial_fit(TOKENS, HAS_SEVEN)
    before = model.weights_["embedding.weight"].copy()
    few = [[1, 2], [2, 40]]
    model.partial_fit(few, [True, False])
    changed = (model.weights_["embedding.weight"] != before).any(axis=1)
    assert set(np.flatnonzero(changed)) == {1, 2, 40}


@pytest.mark.parametrize(
    ("settings", "X", "message"),
    [
        ({"vocabulary_size": 9}, TOKENS, "vocabulary_size=9 was given without embedding_dim"),
        ({"embedding_dim": 0}, TOKENS, "'embedding_dim' parameter"),
        ({"embedding_dim": 2, "vocabulary_size": 0}, TOKENS, "'vocabulary_size' parameter"),
        ({"embedding_dim": 2, "vocabulary_size": 5}, TOKENS, "vocabulary_size=5 allows"),
        ({"embedding_dim": 2}, RAGGED, "X holds token ids"),
        ({"cell": "gru"}, RAGGED, "'cell' parameter"),
        ({"activation": "sigmoid"}, RAGGED, "'activation' parameter"),
        ({"bidirectional": "yes"}, RAGGED, "'bidirectional' parameter"),
        ({"return_sequences": "yes"}, RAGGED, "'return_sequences' parameter"),
        ({"dropout": 1.0}, RAGGED, "'dropout' parameter"),
        ({"recurrent_dropout": -0.1}, RAGGED, "'recurrent_dropout' parameter"),
        ({"l1_ratio": 1.1}, RAGGED, "'l1_ratio' parameter"),
        ({"bptt_steps": 0}, RAGGED, "'bptt_steps' parameter"),
        (
            {"bptt_steps": 2, "bidirectional": True},
            RAGGED,
            "bptt_steps=2 cannot be combined with bidir",
        ),
        (
            {"cell": "input_gated", "recurrent_dropout": 0.1},
            RAGGED,
            "recurrent_dropout=0.1 cannot be combined with",
        ),
        ({"embedding_dim": 2, "vocabulary_size": 2**40}, TOKENS, "is too large; at most"),
        ({"embedding_dim": 2}, [[2**62]], "token 4611686018427387904 in sample 0"),
    ],
)
def test_bad_options(settings, X, message):
    with pytest.raises(ValueError, match=message):
        classifier(**settings).fit(X, HAS_SEVEN)


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        (1.0, "'quantile' parameter"),
        ([0.5, 1.5], "must be a number between 0 and 1"),
        ([], "must be a number between 0 and 1"),
        (["a"], "must be a number between 0 and 1"),
    ],
)
def test_bad_quantiles(quantile, message):
    with pytest.raises(ValueError, match=message):
        regressor(loss="quantile", quantile=quantile).fit(X, SUMS[:, -1])


def test_several_quantiles_go_with_one_output():
    with pytest.raises(ValueError, match="y has 2 outputs, but several quantiles need"):
        regressor(loss="quantile", quantile=[0.1, 0.9]).fit(X, SUMS[:, :2])


def test_counts_are_not_negative():
    with pytest.raises(ValueError, match='y has negative numbers, but loss="poisson"'):
        regressor(loss="poisson").fit(X, SUMS[:, -1])


# Losses

LEARNING = {"hidden_layer_sizes": 16, "max_iter": 60, "learning_rate_init": 0.01}


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_losses_of_regression_learn(loss):
    model = regressor(loss=loss, **LEARNING).fit(X, SUMS[:, -1])
    assert model.score(X, SUMS[:, -1]) > 0.8
    two = regressor(loss=loss).fit(X, SUMS[:, -2:])
    assert two.predict(X).shape == (N, 2)


def test_robust_losses_do_not_follow_an_outlier():
    y = SUMS[:, -1].copy()
    y[::10] += 50
    good = np.arange(N) % 10 > 0
    errors = {}
    for loss in ("squared_error", "absolute_error", "huber"):
        model = regressor(loss=loss, **LEARNING).fit(X, y)
        errors[loss] = np.abs(model.predict(X) - y)[good].mean()
    assert max(errors["absolute_error"], errors["huber"]) < 0.5 * errors["squared_error"]


def test_quantiles_cover_their_share_and_do_not_cross():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3, 1))
    y = X[:, -1, 0] + rng.normal(size=2000)
    levels = [0.9, 0.1, 0.5]
    model = regressor(
        loss="quantile", quantile=levels, max_iter=15, learning_rate_init=0.01
    ).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (2000, 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    np.testing.assert_allclose(
        (y[:, None] < predicted).mean(axis=0), np.sort(levels), atol=0.05
    )
    expected = [
        d2_pinball_score(y, predicted[:, k], alpha=level)
        for k, level in enumerate(np.sort(levels))
    ]
    assert model.score(X, y) == pytest.approx(np.mean(expected))


def test_poisson_predicts_rates():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4, 1))
    rate = np.exp(X[:, -1, 0] + 0.5)
    y = rng.poisson(rate)
    model = regressor(loss="poisson", max_iter=30, learning_rate_init=0.01).fit(X, y)
    assert model.out_activation_ == "exp"
    assert (model.predict(X) > 0).all()
    assert np.corrcoef(model.predict(X), rate)[0, 1] > 0.95


def test_several_labels():
    y = np.column_stack([SUMS[:, -1] > 0, X[:, -1, 1] > 0, X[:, 0, 2] > 1]).astype(int)
    model = classifier(**LEARNING).fit(X, y)
    assert model.n_outputs_ == 3
    assert model.classes_.tolist() == [0, 1, 2]
    p = model.predict_proba(X)
    assert p.shape == (N, 3)
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)
    assert model.score(X, y) > 0.8
    per_step = np.stack([SUMS > 0, X[:, :, 1] > 0], axis=2).astype(int)
    steps = classifier(return_sequences=True).fit(X, per_step)
    assert steps.predict(X).shape == (N, T, 2)
    with pytest.raises(ValueError, match="indicator matrix of 0 and 1"):
        classifier().fit(X, y * 3)
    with pytest.raises(ValueError, match="class_weight cannot be combined with"):
        classifier(class_weight="balanced").fit(X, y)


# Regularisation and solvers


def test_dropout_is_for_learning_alone():
    model = regressor(dropout=0.5, recurrent_dropout=0.5, hidden_layer_sizes=(6, 6))
    model.fit(X, SUMS[:, -1])
    undropped = clone(model).set_params(dropout=0, recurrent_dropout=0, max_iter=1)
    undropped.fit(X, SUMS[:, -1])
    undropped._network.parameters[:] = model._network.parameters
    np.testing.assert_array_equal(model.predict(X), undropped.predict(X))
    plain = regressor(hidden_layer_sizes=(6, 6)).fit(X, SUMS[:, -1])
    assert weights_of(plain) != weights_of(model)
    for rate in ("dropout", "recurrent_dropout"):
        other = regressor(hidden_layer_sizes=(6, 6), **{rate: 0.5}).fit(X, SUMS[:, -1])
        assert weights_of(other) not in (weights_of(plain), weights_of(model))


def test_l1_makes_weights_zero_all_over():
    l1, l2 = (
        regressor(
            alpha=0.1, l1_ratio=ratio, solver="sgd", learning_rate_init=0.01, max_iter=80
        ).fit(X, SUMS[:, -1])
        for ratio in (1.0, 0.0)
    )
    small = [np.mean(np.abs(m.weights_["layers.0.weight_ih"]) < 2e-3) for m in (l1, l2)]
    assert small[0] > 2 * small[1]


def test_weight_decay_shrinks_what_the_gradient_leaves_alone():
    # The third feature is always 0: only decay moves its weights.
    still = X.copy()
    still[:, :, 2] = 0
    runs = {
        solver: regressor(solver=solver, alpha=0.5, learning_rate_init=0.01).fit(
            still, SUMS[:, -1]
        )
        for solver in ("adamw", "adam")
    }
    start = regressor(solver="adam", learning_rate_init=0.01).fit(still, SUMS[:, -1])
    untouched = start.weights_["layers.0.weight_ih"][:, 2]
    n_steps = 3 * 2
    np.testing.assert_allclose(
        runs["adamw"].weights_["layers.0.weight_ih"][:, 2],
        untouched * (1 - 0.01 * 0.5) ** n_steps,
        rtol=1e-5,
    )
    # As a part of the loss it goes through Adam's division by the gradient's size.
    followed = runs["adam"].weights_["layers.0.weight_ih"][:, 2]
    assert not np.allclose(followed, untouched * (1 - 0.01 * 0.5) ** n_steps, rtol=1e-2)


def test_cosine_ends_at_nothing():
    model = regressor(learning_rate="cosine", max_iter=8, n_iter_no_change=8)
    model.fit(X, SUMS[:, -1])
    assert model._optimizer.learning_rate == model.learning_rate_init  # a new period
    weights = []
    model = regressor(learning_rate="cosine", max_iter=8, n_iter_no_change=8, tol=0)

    class Watcher:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            weights.append(estimator._network.parameters.copy())

    pytest.importorskip("sklearn.callback")
    model.set_callbacks(Watcher()).fit(X, SUMS[:, -1])
    steps = [np.abs(b - a).max() for a, b in itertools.pairwise(weights)]
    assert steps[-1] < 0.2 * steps[0]


# Truncated backpropagation


def test_chunks_as_long_as_the_sequences_are_no_chunks():
    for return_sequences, y in ((False, SUMS[:, -1]), (True, SUMS)):
        settings = {"return_sequences": return_sequences, "dropout": 0.2}
        whole = regressor(**settings).fit(X, y)
        chunked = regressor(bptt_steps=T, **settings).fit(X, y)
        assert weights_of(chunked) == weights_of(whole)


def test_the_state_is_carried_from_chunk_to_chunk():
    # With a rate so small that weights stand still, the loss over chunks is that of the
    # whole: the same states, the same predictions.
    for return_sequences, y in ((False, [s[-1] for s in SUMS_RAGGED]), (True, SUMS_RAGGED)):
        settings = {
            "return_sequences": return_sequences,
            "learning_rate_init": 1e-12,
            "max_iter": 1,
            "dtype": "float64",
            "hidden_layer_sizes": (5, 4),
        }
        whole = regressor(**settings).fit(RAGGED, y)
        chunked = regressor(bptt_steps=2, **settings).fit(RAGGED, y)
        assert chunked.loss_ == pytest.approx(whole.loss_, rel=1e-8)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_masks_stay_with_their_sequences_from_chunk_to_chunk(return_sequences):
    # Sorted as the chunks sort them, so that the whole sees the same masks.
    data = sorted(RAGGED, key=len, reverse=True)
    y = [np.cumsum(x[:, 0]) for x in data]
    y = y if return_sequences else [s[-1] for s in y]
    settings = {
        "return_sequences": return_sequences,
        "learning_rate_init": 1e-12,
        "max_iter": 1,
        "dtype": "float64",
        "hidden_layer_sizes": (5, 4),
        "recurrent_dropout": 0.5,
        "dropout": 0.3 if return_sequences else 0.0,
        "shuffle": False,
        "batch_size": N,
    }
    whole = regressor(**settings).fit(data, y)
    for n_steps in (1, 2, 3):
        chunked = regressor(bptt_steps=n_steps, **settings).fit(data, y)
        assert chunked.loss_ == pytest.approx(whole.loss_, rel=1e-8)
        turned = regressor(bptt_steps=n_steps, **settings).fit(data[::-1], y[::-1])
        assert np.isfinite(turned.loss_)


def test_chunks_without_weight_carry_the_state_all_the_same(monkeypatch):
    # Memory that nobody wrote to would be seen.
    monkeypatch.setattr(np, "empty_like", lambda a, **_: np.full(a.shape, np.nan, a.dtype))
    weights = np.ones((N, T))
    losses = []
    for first in (0, 1e-200):
        weights[:, :4] = first
        model = regressor(
            return_sequences=True,
            bptt_steps=2,
            max_iter=1,
            learning_rate_init=1e-12,
            dtype="float64",
        ).fit(X, SUMS, weights)
        losses.append(model.loss_)
    whole = regressor(
        return_sequences=True, max_iter=1, learning_rate_init=1e-12, dtype="float64"
    ).fit(X, SUMS, weights)
    np.testing.assert_allclose(losses, whole.loss_, rtol=1e-8)


def test_chunks_learn():
    settings = {"return_sequences": True, "max_iter": 60, "learning_rate_init": 0.01}
    model = regressor(bptt_steps=3, **settings).fit(RAGGED, SUMS_RAGGED)
    assert model.score(RAGGED, SUMS_RAGGED) > 0.8


# Everything together


@pytest.mark.parametrize("tokens", [False, True])
def test_bits_do_not_depend_on_threads_with_every_option(tokens):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, size=200)
    if tokens:
        data = [rng.integers(30, size=n) for n in lengths]
        settings = {**EVERYTHING, "embedding_dim": 8}
    else:
        data = [rng.normal(size=(n, 5)) for n in lengths]
        settings = {**EVERYTHING, "bidirectional": False, "bptt_steps": 16}
    y = [np.arange(n) / 10 for n in lengths]
    settings |= {"return_sequences": True, "batch_size": 100, "max_iter": 2}
    models = [regressor(n_jobs=n, **settings).fit(data, y) for n in (1, 2, 4)]
    for model in models[1:]:
        assert weights_of(model) == weights_of(models[0])
        for a, b in zip(model.predict(data), models[0].predict(data), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", _engine.CELLS)
def test_every_cell_learns(cell, activation):
    model = regressor(
        cell=cell, activation=activation, max_iter=100, learning_rate_init=0.01
    ).fit(X, SUMS[:, -1])
    assert model.score(X, SUMS[:, -1]) > 0.8


@pytest.mark.parametrize(
    ("fitted", "changed"),
    [
        ({"loss": "quantile", "quantile": [0.1, 0.9]}, {"quantile": 0.5}),
        ({}, {"loss": "quantile", "quantile": [0.4, 0.6]}),
        ({"return_sequences": True}, {"return_sequences": False}),
        ({"embedding_dim": 3}, {"embedding_dim": None}),
        ({"n_step_features": 3}, {"n_step_features": 1}),
        ({"bidirectional": True}, {"bidirectional": False, "cell": "coupled"}),
    ],
    ids=str,
)
def test_a_fitted_model_stays_as_it_was_fitted(fitted, changed):
    data = TOKENS if "embedding_dim" in fitted else X
    data = X.reshape(N, -1) if "n_step_features" in fitted else data
    y = SUMS if "return_sequences" in fitted else SUMS[:, -1]
    model = regressor(**fitted).fit(data, y)
    expected, score = model.predict(data), model.score(data, y)
    model.set_params(**changed)
    np.testing.assert_array_equal(model.predict(data), expected)
    assert model.score(data, y) == score


def test_a_vocabulary_cannot_change_while_training_goes_on():
    model = classifier(embedding_dim=3, vocabulary_size=12, warm_start=True)
    model.fit(TOKENS, HAS_SEVEN)
    with pytest.raises(ValueError, match="Training cannot continue"):
        model.set_params(vocabulary_size=20).fit(TOKENS, HAS_SEVEN)


def test_cross_validation_over_tags_in_lists():
    tags = [steps.tolist() for steps in SIGNS_RAGGED]
    model = classifier(return_sequences=True)
    assert (cross_val_score(model, RAGGED, tags, cv=KFold(3)) > 0).all()


def test_targets_of_every_step_as_lists_and_frames():
    expected = weights_of(regressor(return_sequences=True).fit(PADDED, SUMS))
    for y in (SUMS.tolist(), pd.DataFrame(SUMS), SUMS_RAGGED):
        assert weights_of(regressor(return_sequences=True).fit(PADDED, y)) == expected
    ones = pd.DataFrame(np.ones((N, T)))
    assert weights_of(regressor(return_sequences=True).fit(PADDED, SUMS, ones)) == expected


def test_both_ways_see_the_future():
    # The label of a step is the sign of the next step's input.
    y = np.where(np.roll(X[:, :, 0], -1, axis=1) > 0, 1, 0)
    y[:, -1] = 0
    settings = {"return_sequences": True, "max_iter": 60, "learning_rate_init": 0.02}
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    scores = [
        classifier(bidirectional=both, **settings).fit(X_train, y_train).score(X_test, y_test)
        for both in (False, True)
    ]
    assert scores[0] < 0.75 < 0.9 < scores[1]
