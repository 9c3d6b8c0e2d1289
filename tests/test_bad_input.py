"""Errors for bad parameters and bad data, which leave a fitted model as it was."""

import pickle

import numpy as np
import pytest
from example_sequences import (
    HAS_SEVEN,
    LABELS,
    PADDED,
    RAGGED,
    TOKENS,
    F,
    N,
    X,
    Y,
    assert_rolls_back,
    classifier,
    regressor,
)

from cylstm import _engine
from cylstm._sequences import Sequences, form_of

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
    (PADDED[:, ::-1], Y, {}, r"Input X contains NaN.*SequenceImputer\(\)"),
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


@pytest.mark.parametrize(("name", "value", "message"), BAD_SETTINGS)
def test_bad_settings(name, value, message):
    model = regressor().fit(X, Y)
    good = getattr(model, name)

    def fit():
        try:
            model.set_params(**{name: value}).fit(X, Y)
        finally:
            model.set_params(**{name: good})

    assert_rolls_back(model, fit, message)


@pytest.mark.parametrize(("bad_X", "bad_y", "keywords", "message"), BAD_DATA)
def test_bad_data(bad_X, bad_y, keywords, message):
    model = regressor().fit(X, Y)
    assert_rolls_back(model, lambda: model.fit(bad_X, bad_y, **keywords), message)
    # partial_fit of a model fitted to sequences rejects columns, whatever they hold.
    if not {"X_val", "y_val"} & set(keywords) and form_of(bad_X) != "columns":
        assert_rolls_back(model, lambda: model.partial_fit(bad_X, bad_y, **keywords), message)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({}, np.full(N, "a"), "y has only one class, .*'a'"),
        ({}, Y, "Unknown label type"),
        ({"class_weight": "heavy"}, LABELS, "'class_weight' parameter"),
        (
            {"early_stopping": True, "validation_fraction": 0.001},
            LABELS,
            "1 sample is too small a validation set",
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

    assert_rolls_back(model, fit, message)


def test_columns_that_are_not_whole_steps():
    model = regressor().fit(X, Y)

    def fit():
        try:
            model.set_params(n_step_features=4).fit(X[:, 0], Y)
        finally:
            model.set_params(n_step_features=1)

    assert_rolls_back(model, fit, "3 columns, which is not a multiple of n_step_features=4")


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        (2_000_000, MemoryError, "Unable to allocate"),  # 16e12 recurrent weights
        (2**40, ValueError, "is too large: a layer may have at most"),
    ],
)
def test_networks_too_large_for_memory(sizes, error, message):
    model = regressor().fit(X, Y)
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        model.set_params(hidden_layer_sizes=sizes).fit(X, Y)
    model.set_params(hidden_layer_sizes=6)
    assert pickle.dumps(model) == before


def test_batches_too_large_for_memory():
    # There is one step, but the lengths claim 2^40.
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


@pytest.mark.parametrize(
    ("settings", "X", "message"),
    [
        ({"vocabulary_size": 9}, TOKENS, "vocabulary_size=9 was given without embedding_dim"),
        ({"embedding_dim": 0}, TOKENS, "'embedding_dim' parameter"),
        ({"embedding_dim": 2, "vocabulary_size": 0}, TOKENS, "'vocabulary_size' parameter"),
        ({"embedding_dim": 2, "vocabulary_size": 5}, TOKENS, "vocabulary_size=5 allows"),
        ({"embedding_dim": 2}, RAGGED, "X holds token ids"),
        ({"cell": "rnn"}, RAGGED, "'cell' parameter"),
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
        ({"weight_dropout": 1.0}, RAGGED, "'weight_dropout' parameter"),
        (
            {"cell": "input_gated", "weight_dropout": 0.1},
            RAGGED,
            'weight_dropout=0.1 cannot be combined with cell="input_gated", which has no rec',
        ),
        ({"embedding_dim": 2, "vocabulary_size": 2**40}, TOKENS, "is too large; at most"),
        ({"embedding_dim": 2}, [[2**62]], "token 4611686018427387904 in sample 0"),
    ],
)
def test_bad_options(settings, X, message):
    with pytest.raises(ValueError, match=message):
        classifier(**settings).fit(X, HAS_SEVEN)
