"""What both estimators promise beyond scikit-learn's own checks."""

import copy
import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from cylstm import LSTMClassifier, LSTMRegressor, _engine
from cylstm._sequences import Sequences, form_of
from cylstm.preprocessing import StepwiseTransformer

RNG = np.random.default_rng(0)
N, T, F = 60, 7, 3
X = RNG.normal(size=(N, T, F))
LENGTHS = RNG.integers(1, T + 1, size=N)
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
PADDED = np.where((np.arange(T) < LENGTHS[:, None])[:, :, None], X, np.nan)
Y = X[:, :, 0].sum(axis=1)
Y_RAGGED = np.array([x[:, 0].sum() for x in RAGGED])
LABELS = np.array(["high", "low", "middle"])[np.digitize(Y, [-1.5, 1.5])]


def regressor(**settings):
    return LSTMRegressor(
        **{"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, **settings}
    )


def classifier(**settings):
    return LSTMClassifier(
        **{"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, **settings}
    )


def weights_of(model):
    return model._network.parameters.tobytes()


# Forms of X


def test_padding_ragged_lists_and_single_sequences_agree():
    model = regressor(dtype="float64").fit(RAGGED, Y_RAGGED)
    together = model.predict(RAGGED)
    np.testing.assert_array_equal(together, model.predict(PADDED))
    alone = np.concatenate([model.predict([x]) for x in RAGGED])
    # A product of one row may be summed in another order than one of several.
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-14)
    assert weights_of(regressor(dtype="float64").fit(PADDED, Y_RAGGED)) == weights_of(model)


def test_order_of_ragged_sequences_is_kept():
    model = regressor().fit(RAGGED, Y_RAGGED)
    order = RNG.permutation(N)
    np.testing.assert_allclose(
        model.predict([RAGGED[k] for k in order]),
        model.predict(RAGGED)[order],
        rtol=0,
        atol=1e-6,
    )


def test_columns_are_steps():
    model = regressor(n_step_features=F).fit(X.reshape(N, T * F), Y)
    assert model.n_features_in_ == T * F
    same = regressor().fit(X, Y)
    assert same.n_features_in_ == F
    assert weights_of(model) == weights_of(same)
    np.testing.assert_array_equal(model.predict(X), same.predict(X))
    # The other way round a single sequence would be taken for many.
    with pytest.raises(ValueError, match=r"X has shape \(7, 3\), but .*X = \[x\]"):
        same.predict(X[0])


def test_data_frames_are_checked_by_name():
    names = [f"t{k}" for k in range(T)]
    frame = pd.DataFrame(X[:, :, 0], columns=names)
    model = regressor().fit(frame, pd.Series(Y))
    assert model.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[names[::-1]])
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    "variant",
    [
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X[::-1][::-1],
        np.lib.stride_tricks.as_strided(X, X.shape, X.strides, writeable=False),
    ],
    ids=["Fortran", "strided", "negative strides", "read-only"],
)
def test_memory_layouts(variant):
    before = variant.copy()
    assert weights_of(regressor().fit(variant, Y)) == weights_of(regressor().fit(X, Y))
    np.testing.assert_array_equal(variant, before)


def test_memory_layouts_of_ragged_sequences():
    expected = weights_of(regressor().fit(RAGGED, Y_RAGGED))
    for variant in (
        [np.asfortranarray(x) for x in RAGGED],
        [np.repeat(x, 2, axis=0)[::2] for x in RAGGED],
        [pd.DataFrame(x) for x in RAGGED],
        [x.tolist() for x in RAGGED],
    ):
        assert weights_of(regressor().fit(variant, Y_RAGGED)) == expected


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64"])
def test_number_types(dtype):
    whole = np.rint(X * 3)
    expected = weights_of(regressor().fit(whole, Y))
    assert weights_of(regressor().fit(whole.astype(dtype), Y)) == expected
    ragged = [x.astype(dtype) for x in whole]
    assert weights_of(regressor().fit(ragged, Y)) == expected


def test_memory_mapped_input(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X.astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    assert weights_of(regressor().fit(mapped, Y)) == weights_of(regressor().fit(X, Y))


# Outputs


def test_regression_keeps_the_form_of_y():
    assert regressor().fit(X, Y).predict(X).shape == (N,)
    assert regressor().fit(X, Y[:, None]).predict(X).shape == (N, 1)
    two = regressor().fit(X, np.column_stack([Y, -Y]))
    assert two.predict(X).shape == (N, 2)
    assert two.n_outputs_ == 2


def test_two_classes_have_one_logistic_output():
    y = Y > 0
    model = classifier().fit(X, y)
    assert (model.n_outputs_, model.out_activation_) == (1, "logistic")
    scores = model.decision_function(X)
    assert scores.shape == (N,)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], expit(scores), rtol=1e-14)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), scores > 0)


def test_several_classes_have_a_softmax():
    model = classifier(max_iter=30, learning_rate_init=0.01).fit(X, LABELS)
    assert (model.n_outputs_, model.out_activation_) == (3, "softmax")
    assert model.classes_.tolist() == ["high", "low", "middle"]
    scores = model.decision_function(X)
    assert scores.shape == (N, 3)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(
        logit(p[:, 0]), scores[:, 0] - np.log(np.exp(scores[:, 1:]).sum(axis=1))
    )
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    assert model.score(X, LABELS) > 0.6


def test_log_probabilities_stay_exact_where_probabilities_vanish():
    model = classifier().fit(X, Y > 0)
    model.weights_["head.bias"][...] = 1000
    log_p = model.predict_log_proba(X)
    assert (log_p[:, 0] < -900).all()
    assert np.isfinite(log_p).all()


def test_losses_are_stable_for_huge_scores():
    for y in (Y > 0, LABELS):
        model = classifier(max_iter=1, learning_rate_init=1e-9).fit(X, y)
        model.weights_["head.bias"][...] = np.linspace(-1e4, 1e4, model.n_outputs_ + 1)[1:]
        model.set_params(warm_start=True)
        model.fit(X, y)
        assert 100 < model.loss_ < 1e5


def test_transform_gives_hidden_states():
    model = regressor().fit(X, Y)
    features = model.transform(X)
    assert features.shape == (N, 6)
    head = model.weights_["head.weight"], model.weights_["head.bias"]
    np.testing.assert_allclose(
        features @ head[0].T + head[1], model.predict(X)[:, None], rtol=0, atol=1e-6
    )
    assert model.get_feature_names_out().tolist() == [f"lstmregressor{k}" for k in range(6)]
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    np.testing.assert_array_equal(frame.to_numpy(), features)


def test_writing_through_weights_changes_the_model():
    model = regressor().fit(X, Y)
    assert list(model.weights_) == [
        "layers.0.weight_ih",
        "layers.0.weight_hh",
        "layers.0.bias",
        "head.weight",
        "head.bias",
    ]
    assert model.weights_["layers.0.weight_ih"].shape == (24, F)
    model.weights_["head.weight"][...] = 0
    model.weights_["head.bias"][...] = 5
    assert (model.predict(X) == 5).all()
    again = pickle.loads(pickle.dumps(model))
    again.weights_["head.bias"][...] = 6
    assert (again.predict(X) == 6).all()
    assert (model.predict(X) == 5).all()


# The same bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["equal", "ragged"])
def test_fits_have_the_same_bits_with_any_number_of_threads(data, dtype):
    # Large enough to run on several threads.
    rng = np.random.default_rng(0)
    big = rng.normal(size=(200, 30, 4))
    if data == "ragged":
        big = [x[:n] for x, n in zip(big, rng.integers(1, 31, size=200), strict=True)]
    y = rng.normal(size=200)
    settings = {"hidden_layer_sizes": (24, 12), "batch_size": 100, "dtype": dtype}
    models = [regressor(n_jobs=n, **settings).fit(big, y) for n in (1, 2, 4, 2)]
    for model in models[1:]:
        assert weights_of(model) == weights_of(models[0])
        assert model.loss_curve_ == models[0].loss_curve_
        assert model.predict(big).tobytes() == models[0].predict(big).tobytes()


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


def test_warm_start_goes_on():
    whole = regressor(max_iter=6).fit(X, Y)
    parts = regressor(max_iter=3, warm_start=True).fit(X, Y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, Y)
    assert weights_of(parts) == weights_of(whole)
    assert parts.loss_curve_ == whole.loss_curve_


def test_fit_starts_anew_without_warm_start():
    model = regressor().fit(X, Y)
    before = weights_of(model)
    assert weights_of(model.fit(X, Y)) == before
    assert model.n_iter_ == 3


# Weights of samples and classes


def test_no_weights_are_weights_of_one():
    ones = regressor().fit(X, Y, sample_weight=np.ones(N))
    assert weights_of(ones) == weights_of(regressor().fit(X, Y))


@pytest.mark.parametrize("make", [regressor, classifier])
def test_an_integer_weight_is_as_many_copies(make):
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


def test_alpha_shrinks_weights_and_counts_in_the_loss():
    free, penalized = (regressor(alpha=a, max_iter=1).fit(X, Y) for a in (0, 1.0))
    assert penalized.loss_ > free.loss_ + 1
    penalized, free = (
        regressor(alpha=a, learning_rate_init=0.01, max_iter=60).fit(X, Y) for a in (1.0, 0)
    )
    largest = [np.abs(m.weights_["layers.0.weight_hh"]).max() for m in (penalized, free)]
    assert largest[0] < 0.1 * largest[1]


# Validation


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
    # Looking on changes nothing.
    assert weights_of(model) == weights_of(regressor(**settings).fit(X[20:], Y[20:]))
    model = classifier(early_stopping=True, max_iter=10).fit(
        X, LABELS, X_val=RAGGED, y_val=LABELS
    )
    assert model.best_validation_score_ == accuracy_score(LABELS, model.predict(RAGGED))


def test_training_stops_where_the_loss_stalls():
    model = regressor(tol=1e9, n_iter_no_change=4, max_iter=50).fit(X, Y)
    # The first epoch is progress from nothing; then come 5 without any.
    assert model.n_iter_ == 6


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_schedules(rate):
    model = regressor(learning_rate=rate, tol=1e9, n_iter_no_change=1, max_iter=60)
    model.fit(X, Y)
    if rate == "adaptive":  # 1e-3 / 5^k falls to 1e-6 at k = 5
        assert model.n_iter_ == 1 + 2 * 6
        assert model._optimizer.learning_rate == pytest.approx(1e-3 / 5**5)
    elif rate == "invscaling":
        assert model._optimizer.learning_rate == pytest.approx(1e-3 / np.sqrt(1 + model.t_))


@pytest.mark.parametrize("solver", ["adam", "rmsprop", "sgd"])
def test_every_solver_learns(solver):
    rate = {"adam": 0.01, "rmsprop": 0.01, "sgd": 0.1}[solver]
    model = regressor(solver=solver, learning_rate_init=rate, max_iter=60).fit(X, Y)
    assert model.score(X, Y) > 0.8


# In scikit-learn's company


@pytest.mark.parametrize("data", [X, RAGGED], ids=["3-D", "ragged"])
def test_grid_search_over_a_pipeline(data):
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), classifier())
    search = GridSearchCV(
        pipeline, {"lstmclassifier__hidden_layer_sizes": [2, (3, 2)]}, cv=3, n_jobs=2
    ).fit(data, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(data).shape == (N,)


def test_other_meta_estimators():
    assert cross_val_score(regressor(), RAGGED, Y_RAGGED, cv=3).shape == (3,)
    scaled = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    assert scaled.fit(X, 100 * Y).predict(X).shape == (N,)
    columns = X[:, :, 0]
    assert BaggingRegressor(regressor(), 2).fit(columns, Y).predict(columns).shape == (N,)
    many = np.column_stack([Y, Y**2])
    assert MultiOutputRegressor(regressor()).fit(X, many).predict(X).shape == (N, 2)
    labels = np.column_stack([LABELS, LABELS])
    assert MultiOutputClassifier(classifier()).fit(X, labels).predict(X).shape == (N, 2)


def test_hidden_states_feed_a_pipeline():
    pipeline = make_pipeline(regressor(), StandardScaler()).fit(X, Y)
    assert pipeline.transform(X).shape == (N, 6)


def test_every_parameter_is_documented():
    for model in (LSTMRegressor, LSTMClassifier):
        heads = re.findall(r"^    ([\w, ]+) : ", model.__doc__, re.MULTILINE)
        documented = {name for head in heads for name in head.split(", ")}
        assert set(model().get_params()) <= documented
        for name in ("fit", "partial_fit", "predict", "score", "transform"):
            assert "<<" not in getattr(model, name).__doc__
        assert "<<" not in model.__doc__
        assert "class labels" in model.fit.__doc__  # one docstring serves both


def test_defaults_pass_the_cheap_contract():
    # The full list runs in test_common; here the defaults, where they are quick.
    quick = {"check_get_params_invariance", "check_parameters_default_constructible"}
    ran = 0
    for model, check in estimator_checks_generator(LSTMRegressor()):
        if getattr(check, "func", check).__name__ in quick:
            check(model)
            ran += 1
    assert ran == len(quick)


# Bad input

BAD_SETTINGS = [
    ("hidden_layer_sizes", 0, "hidden_layer_sizes"),
    ("hidden_layer_sizes", (), "hidden_layer_sizes is empty"),
    ("hidden_layer_sizes", (4, -1), "all at least 1"),
    ("hidden_layer_sizes", (4, 2.5), "sequence of ints"),
    ("loss", "hinge", "'loss' parameter"),
    ("alpha", -1, "'alpha' parameter"),
    ("solver", "lbfgs", "'solver' parameter"),
    ("learning_rate_init", 0, "'learning_rate_init' parameter"),
    ("learning_rate", "fast", "'learning_rate' parameter"),
    ("momentum", 1.5, "'momentum' parameter"),
    ("nesterovs_momentum", "yes", "'nesterovs_momentum' parameter"),
    ("beta_1", 1.0, "'beta_1' parameter"),
    ("beta_2", 1.0, "'beta_2' parameter"),
    ("epsilon", 0, "'epsilon' parameter"),
    ("clip_norm", 0, "'clip_norm' parameter"),
    ("batch_size", 0, "'batch_size' parameter"),
    ("max_iter", 0, "'max_iter' parameter"),
    ("shuffle", 2, "'shuffle' parameter"),
    ("early_stopping", 2, "'early_stopping' parameter"),
    ("validation_fraction", 1.0, "'validation_fraction' parameter"),
    ("n_iter_no_change", 0, "'n_iter_no_change' parameter"),
    ("tol", -1, "'tol' parameter"),
    ("warm_start", 2, "'warm_start' parameter"),
    ("dtype", "float16", "'dtype' parameter"),
    ("n_jobs", 0, "'n_jobs' parameter"),
    ("random_state", "seed", "'random_state' parameter"),
    ("verbose", -1, "'verbose' parameter"),
    ("n_step_features", 0, "'n_step_features' parameter"),
]

BAD_DATA = [
    (X, Y[:-1], {}, "y has 59 samples, but X has 60"),
    (X, None, {}, "requires y to be passed, but the target y is None"),
    (X, np.where(Y > 0, np.nan, Y), {}, "Input y contains NaN"),
    (X, X, {}, r"y has shape \(60, 7, 3\)"),
    (X, np.full(N, "a"), {}, "could not convert string to float"),
    (PADDED[:, ::-1], Y, {}, r"Input X contains NaN.*StepwiseTransformer\(SimpleImputer"),
    ([], [], {}, "X is empty: found array with 0 sample"),
    (np.zeros((0, 3)), [], {}, "0 sample"),
    (X[0, 0], Y[:3], {}, "Expected 2D array, got 1D array"),
    (np.full((4, 2), "a"), Y[:4], {}, "could not convert string to float"),
    ([np.zeros((2, 3)), np.zeros((0, 3))], Y[:2], {}, "has length 0"),
    (X, Y, {"sample_weight": -np.ones(N)}, "sample_weight has negative weights"),
    (X, Y, {"sample_weight": np.zeros(N)}, "at least one non-zero number"),
    (X, Y, {"sample_weight": np.ones(3)}, "sample_weight.shape"),
    (X, Y, {"X_val": X}, "target y_val is None"),
    (X, Y, {"X_val": X, "y_val": Y[:3]}, "y_val has 3 samples, but X_val has 60"),
    (X, Y, {"X_val": X[:, :, :2], "y_val": Y}, "In X_val: X has 2 features"),
    (X, Y, {"y_val": Y}, "without X_val"),
    (X, Y, {"X_val": X[:1], "y_val": Y[:1]}, "1 sample is too small a validation set"),
    (X, Y, {"X_val": X, "y_val": np.c_[Y, Y]}, "y_val has 2 outputs, but .* with 1"),
    (np.where(X[3, 2, 1] == X, np.inf, X), Y, {}, "infinity.*sample 3 at step 2"),
    (np.where(X[3, 2, 1] == X, np.nan, X)[:, :, 1], Y, {}, "NaN.*sample 3 at step 2"),
    (np.full((60, 2, 1), np.nan), Y, {}, r"X\[0\] has length 0"),
    ([np.zeros((2, 3)), np.zeros((2, 4))], Y[:2], {}, r"X\[1\] has 4 features"),
    ([np.zeros(3), np.zeros(4)], Y[:2], {}, r"X\[0\] has shape \(3,\)"),
    (np.full((60, 7, 3), 1e300), Y, {}, "too large for float32.*sample 0 at step 0"),
]


def assert_unharmed(model, call, message):
    """The call fails with the message, and the fitted model is as it was."""
    before = pickle.dumps(model)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match=message):
        call()
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(model.predict(X), predicted)


@pytest.mark.parametrize(("name", "value", "message"), BAD_SETTINGS)
def test_bad_settings(name, value, message):
    model = regressor().fit(X, Y)
    good = getattr(model, name)

    def fit():
        try:
            model.set_params(**{name: value}).fit(X, Y)
        finally:
            model.set_params(**{name: good})

    assert_unharmed(model, fit, message)


@pytest.mark.parametrize(("bad_X", "bad_y", "keywords", "message"), BAD_DATA)
def test_bad_data(bad_X, bad_y, keywords, message):
    model = regressor().fit(X, Y)
    assert_unharmed(model, lambda: model.fit(bad_X, bad_y, **keywords), message)
    # A model fitted on sequences takes no columns in partial_fit, whatever is in them.
    if not {"X_val", "y_val"} & set(keywords) and form_of(bad_X) != "columns":
        assert_unharmed(model, lambda: model.partial_fit(bad_X, bad_y, **keywords), message)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({}, np.full(N, "a"), "y has only one class, .*'a'"),
        ({}, Y, "Unknown label type"),
        ({"class_weight": "heavy"}, LABELS, "'class_weight' parameter"),
        (
            {"early_stopping": True, "validation_fraction": 0.001},
            LABELS,
            "early_stopping cannot hold out validation_fraction=0.001 of 60 samples",
        ),
    ],
)
def test_bad_labels(settings, y, message):
    model = classifier().fit(X, LABELS)
    before = model.get_params()

    def fit():
        try:
            model.set_params(**settings).fit(X, y)
        finally:
            model.set_params(**before)

    assert_unharmed(model, fit, message)


def test_columns_that_make_no_whole_steps():
    model = regressor().fit(X, Y)

    def fit():
        try:
            model.set_params(n_step_features=4).fit(X[:, 0], Y)
        finally:
            model.set_params(n_step_features=1)

    assert_unharmed(model, fit, "3 columns, which is not a multiple of n_step_features=4")


def failing_report(self):
    raise RuntimeError("in the first epoch")


def test_training_on_that_fails_changes_nothing(monkeypatch):
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


def test_labels_of_validation_data_must_be_known():
    model = classifier().fit(X, LABELS)
    assert_unharmed(
        model,
        lambda: model.fit(X, LABELS, X_val=X, y_val=np.full(N, "higher")),
        "y_val has labels that are not among the classes.*higher",
    )


def test_early_stopping_goes_on_with_the_same_split():
    model = regressor(warm_start=True, early_stopping=True, validation_fraction=0.2)
    model.fit(X, Y).fit(X, Y)
    whole = regressor(max_iter=6, early_stopping=True, validation_fraction=0.2).fit(X, Y)
    assert model.validation_scores_[:3] == whole.validation_scores_[:3]
    assert len(model.validation_scores_) == 6


def test_a_copy_does_not_share_what_training_changes():
    model = regressor().fit(X, Y)
    other = copy.copy(model)
    before = model.predict(X)
    other.partial_fit(X, -Y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_validation_scores_do_not_count_class_weights():
    weight = {"high": 50.0}
    model = classifier(
        class_weight=weight, early_stopping=True, validation_fraction=0.3, max_iter=5
    ).fit(X, LABELS)
    _, held_out = train_test_split(
        np.arange(N), test_size=0.3, random_state=model._split_seed, stratify=LABELS
    )
    assert model.best_validation_score_ == model.score(X[held_out], LABELS[held_out])


def test_class_weights_of_classes_that_a_batch_lacks():
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


def test_weights_cannot_be_replaced_by_mistake():
    model = regressor().fit(X, Y)
    with pytest.raises(TypeError):
        model.weights_["head.bias"] = np.zeros(1)


def test_changing_dtype_after_fit_is_for_the_next_fit():
    model = regressor().fit(X, Y)
    expected = model.predict(X)
    np.testing.assert_array_equal(model.set_params(dtype="float64").predict(X), expected)
    assert model.fit(X, Y).weights_["head.bias"].dtype == np.float64


def test_training_goes_on_from_a_memory_mapped_pickle(tmp_path):
    model = regressor().partial_fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert weights_of(mapped.partial_fit(X, Y)) == weights_of(model.partial_fit(X, Y))


def test_column_of_labels_is_flattened_with_a_warning():
    with pytest.warns(DataConversionWarning):
        model = classifier().fit(X, LABELS[:, None])
    assert weights_of(model) == weights_of(classifier().fit(X, LABELS))


def test_too_small_a_validation_set():
    with pytest.raises(
        ValueError, match="1 sample is too small.*Increase validation_fraction"
    ):
        regressor(early_stopping=True, validation_fraction=0.01).fit(X, Y)


def test_wrong_features_at_predict():
    model = regressor().fit(X, Y)
    message = "X has 2 features at every step, but LSTMRegressor was fitted with 3"
    assert_unharmed(model, lambda: model.predict(X[:, :, :2]), message)
    assert_unharmed(model, lambda: model.predict([x[:, :2] for x in X]), message)
    with pytest.raises(ValueError, match="X has 3 features at every step, but .* with 1"):
        regressor().fit(X[:, :, 0], Y).predict(X)
    with pytest.raises(ValueError, match=r"X has shape \(60, 7, 3, 1\); expected \(n_sampl"):
        model.predict(X[..., None])


@pytest.mark.parametrize(
    "method",
    ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"],
)
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(X)
    with pytest.raises(NotFittedError):
        _ = classifier().weights_


def test_partial_fit_and_classes():
    low_only = LABELS == "low"
    model = classifier().partial_fit(X[low_only], LABELS[low_only], np.unique(LABELS))
    assert model.classes_.tolist() == ["high", "low", "middle"]
    assert_unharmed(
        model,
        lambda: model.partial_fit(X, np.where(low_only, "lower", LABELS)),
        "labels that are not among the classes.*lower",
    )
    assert_unharmed(
        model, lambda: model.partial_fit(X, LABELS, ["a", "b"]), "differ from those"
    )
    with pytest.raises(ValueError, match='class_weight="balanced" cannot'):
        classifier(class_weight="balanced").partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="early_stopping=True"):
        classifier(early_stopping=True).partial_fit(X, LABELS)


def test_sizes_cannot_change_while_training_goes_on():
    model = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"changed since the first fit, from .*\(6,\)"):
        model.set_params(hidden_layer_sizes=7).fit(X, Y)
    model.set_params(hidden_layer_sizes=6)
    assert_unharmed(
        model,
        lambda: model.fit(X, np.column_stack([Y, Y])),
        "y has 2 outputs, but LSTMRegressor was fitted with 1",
    )


def test_a_loss_that_is_not_finite_brings_back_the_last_finite_weights():
    model = regressor(dtype="float64", clip_norm=None, max_iter=2).fit(X, Y)
    good = weights_of(model)
    model.set_params(warm_start=True, solver="sgd", learning_rate_init=1e300)
    with pytest.raises(ValueError, match=r"NaN or infinite in epoch 3. Try a smaller learn"):
        model.fit(X, Y)
    assert weights_of(model) == good
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()


class Interrupting(LSTMRegressor):
    """Presses Ctrl-C in its third epoch."""

    def _report(self):
        if len(self._history.loss_curve) == 3:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_weights_reached():
    model = Interrupting(6, max_iter=10, random_state=0)
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        model.fit(X, Y)
    assert weights_of(model) == weights_of(regressor(max_iter=3).fit(X, Y))
    assert model.n_iter_ == 3


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        (2_000_000, MemoryError, "Unable to allocate"),  # 16e12 recurrent weights
        (2**40, ValueError, "is too large: a layer may have at most"),
    ],
)
def test_networks_that_do_not_fit(sizes, error, message):
    model = regressor().fit(X, Y)
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        model.set_params(hidden_layer_sizes=sizes).fit(X, Y)
    model.set_params(hidden_layer_sizes=6)
    assert pickle.dumps(model) == before


def test_batches_that_do_not_fit():
    # One step is there, the lengths pretend 2^40 of them.
    network = regressor().fit(X, Y)._network
    sequences = Sequences(
        np.zeros((1, F), np.float32), np.zeros(1, np.int64), np.full(1, 2**40)
    )
    with pytest.raises(MemoryError, match="are too much for one batch"):
        network.loss_and_gradients(
            _engine.Workspace(),
            sequences,
            np.zeros((1, 1), np.float32),
            np.ones(1, np.float32),
            np.zeros(1, np.int64),
            network.new_gradients(0),
            1,
        )


def test_verbose_prints_every_so_many_epochs(capsys):
    regressor(max_iter=4, verbose=2).fit(X, Y, X_val=X, y_val=Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Epoch 2", "Epoch 4"]
    assert "validation score = " in lines[0]


def test_one_sequence_of_many_steps():
    long = np.random.default_rng(0).normal(size=(1, 100_000, 1)).astype(np.float32)
    model = regressor(hidden_layer_sizes=2, max_iter=1).fit(long, [1.0])
    assert np.isfinite(model.predict(long)).all()


def test_nothing_is_written_to_the_input():
    data, target, weights = X.copy(), Y.copy(), np.ones(N)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor().fit(data, target, weights).predict(data)
    assert data.tobytes() == X.tobytes()
    assert target.tobytes() == Y.tobytes()
