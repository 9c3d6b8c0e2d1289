"""Wrong input of every kind: the error names the argument, what was given and what is
expected."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer, make_windows

N, T, F = 12, 4, 2
X = np.random.default_rng(0).normal(size=(N, T, F))
Y = X[:, :, 0].sum(axis=1)
LABELS = np.where(Y > 0, "high", "low")
TOKENS = (X[:, :, 0] > 0).astype(int)
BEYOND_64_BITS = 2**70
BEYOND_FLOAT64 = 10**400


def regressor(**parameters):
    return LSTMRegressor(**{"hidden_layer_sizes": 2, "max_iter": 1, **parameters})


def classifier(**parameters):
    return LSTMClassifier(**{"hidden_layer_sizes": 2, "max_iter": 1, **parameters})


def language_model(**parameters):
    return LSTMLanguageModel(**{"hidden_layer_sizes": 2, "max_iter": 1, **parameters})


def check(call, message, error=ValueError):
    """The error is of this very kind, or scikit-learn's for parameters, and says so."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value).__name__ in (error.__name__, "InvalidParameterError")
    assert re.search(message, str(caught.value)), caught.value


# X

NOT_COLLECTIONS = [
    (None, "X is None; expected a"),
    ({"a": X}, "X is of type dict; expected a"),
    ({1, 2}, "X is of type set; expected a"),
    ("text", "X is of type str; expected a"),
    (b"bytes", "X is of type bytes; expected a"),
    (5, "X is of type int; expected a"),
    (object(), "X is of type object; expected a"),
    (np.array(5.0), r"X is a scalar, array\(5\.\); expected a"),
    ({"a": X}.values(), "X is of type dict_values; expected a"),
]


@pytest.mark.parametrize(("bad_X", "message"), NOT_COLLECTIONS)
def test_X_is_an_array_or_a_list(bad_X, message):
    check(lambda: regressor().fit(bad_X, Y), message)
    fitted = regressor().fit(X, Y)
    for method in ("predict", "transform", "gate_values", "input_gradients"):
        check(lambda method=method: getattr(fitted, method)(bad_X), message)
    check(lambda: fitted.partial_fit(bad_X, Y), message)
    check(lambda: classifier(embedding_dim=2).fit(bad_X, LABELS), message)
    check(lambda: StepwiseTransformer(StepwiseTransformer(None)).fit(bad_X), message)
    check(lambda: SequenceImputer().fit(bad_X), message)
    check(lambda: SequenceImputer().fit(X).transform(bad_X), message)
    if bad_X is not None:
        check(lambda: fitted.fit(X, Y, X_val=bad_X, y_val=Y), f"In X_val: {message}")


@pytest.mark.parametrize("make", [lambda: (x for x in X), lambda: map(list, X)])
def test_X_is_not_an_iterator(make):
    message = "X is of type (generator|map); expected a 3-D array"
    check(lambda: regressor().fit(make(), Y), message)
    check(lambda: regressor().fit(X, Y).predict(make()), message)


@pytest.mark.parametrize(
    ("bad_X", "message"),
    [
        ([[BEYOND_FLOAT64] * T] * N, "X has a number beyond the range of float64"),
        (np.full((N, T, F), BEYOND_FLOAT64), "X has a number beyond the range of float64"),
        ([[[BEYOND_FLOAT64, 1]]] * N, r"X\[0\] cannot be read as an array of numbers"),
        (pd.DataFrame({"a": ["x"] * N}), "X must hold numbers: could not convert string"),
        (np.zeros((N, T), "M8[s]"), r"X is an array of datetime64\[s\], but plain numbers"),
        (np.ma.masked_less(X[:, :, 0], 0), "X is a MaskedArray .* Use NaN for missing"),
        (np.zeros(N, [("a", float)]), "X is an array of .*'a'.* but plain numbers"),
    ],
)
def test_X_holds_numbers(bad_X, message):
    check(lambda: regressor().fit(bad_X, Y), message)


def test_X_of_objects_that_are_not_numbers():
    message = "X must hold numbers: .*float.* not 'dict'"
    check(lambda: regressor().fit([[{}] * T] * N, Y), message, TypeError)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sparse_X(method):
    sparse = csr_matrix(X[:, :, 0])
    message = "Sparse data was passed for X"
    check(lambda: getattr(regressor(), method)(sparse, Y), message, TypeError)
    check(lambda: regressor().fit(X, Y).predict(sparse), message, TypeError)
    check(lambda: classifier(embedding_dim=2).fit(sparse, LABELS), message, TypeError)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[BEYOND_64_BITS] * T] * N, r"X\[0\] has integers beyond 64 bits"),
        (np.full((N, T), 2**63, np.uint64), "X has integers beyond 64 bits"),
        (np.full((N, T), BEYOND_64_BITS), "X has integers beyond 64 bits"),
        (X, "X has dtype float64, but with embedding_dim X holds token ids"),
        ([["a"]] * N, r"X\[0\] has dtype <U1, but with embedding_dim"),
    ],
)
def test_tokens_are_small_integers(tokens, message):
    check(lambda: classifier(embedding_dim=2).fit(tokens, LABELS), message)
    fitted = classifier(embedding_dim=2).fit(TOKENS, LABELS)
    check(lambda: fitted.predict(tokens), message)


# y

NOT_TARGETS = [
    (5, "y is of type int; expected one"),
    ("text", "y is of type str; expected one"),
    ({"a": 1}, "y is of type dict; expected one"),
    (np.array(1.0), r"y is a scalar, array\(1\.\); expected one"),
]


@pytest.mark.parametrize(("y", "message"), NOT_TARGETS)
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_y_is_an_array_or_a_list(make, return_sequences, y, message):
    check(lambda: make(return_sequences=return_sequences).fit(X, y), message)
    good = TOKENS if return_sequences else TOKENS[:, 0]
    fitted = make(return_sequences=return_sequences).fit(X, good)
    check(lambda: fitted.score(X, y), message)
    message = message.replace("y is", "y_val is")
    check(lambda: fitted.fit(X, good, X_val=X, y_val=y), message)


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_sparse_y(make, return_sequences):
    model = make(return_sequences=return_sequences)
    check(lambda: model.fit(X, csr_matrix(TOKENS)), "Sparse data was passed for y", TypeError)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None] * 6, r"y\[1\] is None; every sample needs a class label"),
        (np.array([None, "a"] * 6), r"y\[0\] is None"),
        ([1, None] * 6, r"y\[1\] is None"),
        (pd.Series(["a", None] * 6, dtype=object), r"y\[1\] is None"),
        (["a", 1] * 6, r"y mixes types of labels: y\[0\] is 'a', but y\[1\] is 1"),
        (np.array([1, "a"] * 6, dtype=object), r"y\[0\] is 1, but y\[1\] is 'a'"),
        ([BEYOND_64_BITS, 1] * 6, "y has integers beyond 64 bits"),
        (np.zeros(N, [("a", float)]), "y is an array of .*'a'.* class labels are expected"),
        ([csr_matrix(X[0])] * N, r"y\[0\] has 2 dimension\(s\), but a class label is one"),
    ],
)
def test_labels_are_of_one_kind(y, message):
    check(lambda: classifier().fit(X, y), message)
    fitted = classifier().fit(X, LABELS)
    check(lambda: fitted.partial_fit(X, y), message)
    check(lambda: fitted.score(X, y), message)


def test_labels_of_another_kind_than_the_classes():
    fitted = classifier().fit(X, LABELS)
    check(lambda: fitted.partial_fit(X, TOKENS[:, 0]), "y has labels of dtype int64, but the")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"classes=\[\] must be one-dimensional and hold at least two classes"),
        ([["high", "low"]], r"classes=\[\['high', 'low'\]\] must be one-dimensional"),
        (["high"], "classes holds only one class, 'high'"),
        (["high", None], r"classes\[1\] is None"),
        (["high", 1], "classes mixes types of labels"),
        ([{}, {}], r"classes=\[{}, {}\] cannot be sorted; use strings or numbers"),
        ("high", "classes is of type str; expected class labels"),
        (5, "classes is of type int; expected class labels"),
        ([1, 2], "y has labels of dtype <U4, but the classes are"),
        ([BEYOND_64_BITS, 1], "classes has integers beyond 64 bits"),
    ],
)
def test_classes_of_partial_fit(classes, message):
    check(lambda: classifier().partial_fit(X, LABELS, classes=classes), message)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([BEYOND_FLOAT64] * N, "y has a number beyond the range of float64"),
        (["a"] * N, "y must hold numbers: could not convert string to float"),
        (np.zeros(N, "M8[D]"), r"y is an array of datetime64\[D\], but plain numbers"),
        (Y * 1e300, "Input y contains a value too large for float32"),
    ],
)
def test_targets_are_numbers(y, message):
    check(lambda: regressor().fit(X, y), message)
    check(lambda: regressor().fit(X, Y).score(X, y), message)


def test_targets_of_steps():
    model = regressor(return_sequences=True)
    ragged = [x[: k % T + 1] for k, x in enumerate(X)]
    outputs = [np.zeros((len(x), 2 if k == 5 else 1)) for k, x in enumerate(ragged)]
    check(lambda: model.fit(ragged, outputs), r"y\[5\] has shape \(2, 2\), but y\[0\] has")
    tags = [["a"] * len(x) if k else [1] for k, x in enumerate(ragged)]
    message = r"y\[1\] holds strings, but y\[0\] holds int64"
    check(lambda: classifier(return_sequences=True).fit(ragged, tags), message)


def test_score_compares_the_outputs_with_those_of_fit():
    message = "y has 2 outputs, but LSTMRegressor was fitted with 1"
    check(lambda: regressor().fit(X, Y).score(X, np.c_[Y, Y]), message)
    message = r"y has shape \(12, 2\), but LSTMClassifier was fitted with class labels"
    check(lambda: classifier().fit(X, LABELS).score(X, TOKENS[:, :2]), message)


def test_parameters_set_after_fit_do_not_change_a_fitted_model():
    fitted = regressor().fit(X, Y)
    score = fitted.score(X, Y)
    assert fitted.set_params(loss=None).score(X, Y) == score
    fitted = classifier().fit(X, LABELS)
    probabilities = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.set_params(loss=None).predict_proba(X), probabilities)


def test_counts_are_not_negative():
    message = 'y has negative numbers, but loss="poisson" counts'
    check(lambda: regressor(loss="poisson").fit(X, -np.abs(Y)), message)
    fitted = regressor(loss="poisson").fit(X, np.abs(Y))
    check(lambda: fitted.score(X, -np.abs(Y)), message)


# Weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": 1}, "sample_weight is of type dict; expected one number per sequence"),
        ("text", "sample_weight is of type str; expected one number"),
        ([BEYOND_FLOAT64] * N, "sample_weight has a number beyond the range of float64"),
        (["a"] * N, "sample_weight must hold numbers: could not convert"),
    ],
)
@pytest.mark.parametrize("return_sequences", [False, True])
def test_weights_are_numbers(return_sequences, weights, message):
    y = X[:, :, 0] if return_sequences else Y
    model = regressor(return_sequences=return_sequences)
    check(lambda: model.fit(X, y, sample_weight=weights), message)


@pytest.mark.parametrize(
    ("dtype", "weight", "what"),
    [
        ("float32", 1e-310, "underflows float32: the largest weight is 1e-310"),
        ("float64", 1e-310, "underflows float64: the largest weight is 1e-310"),
        ("float32", 1e300, "overflows float32: the largest weight is 1e[+]300"),
        ("float64", 1e307, "overflows float64: the largest weight is 1e[+]307, the sum 1.2e"),
    ],
)
def test_weights_that_the_precision_cannot_hold(dtype, weight, what):
    def fit(**parameters):
        return classifier(dtype=dtype, **parameters)

    weights = np.full(N, weight)
    advice = "Scale it (up|down): without a penalty only the ratios of the weights matter"
    check(lambda: fit().fit(X, LABELS, weights), f"^sample_weight {what}.*{advice}")
    by_class = {"high": weight, "low": weight}
    check(
        lambda: fit(class_weight=by_class).fit(X, LABELS),
        f"^The product of class_weight and sample_weight {what}.*{advice}",
    )


@pytest.mark.parametrize("weight", [1e-200, 1e200])
def test_products_of_weights_that_the_precision_cannot_hold(weight):
    by_class = {"high": weight, "low": weight}
    model = classifier(dtype="float64", class_weight=by_class)
    model.fit(X, LABELS)
    message = "The product of class_weight and sample_weight (under|over)flows float64"
    check(lambda: model.fit(X, LABELS, np.full(N, weight)), message)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_next_to_the_limits_train_like_ones(dtype):
    expected = regressor(dtype=dtype, random_state=0).fit(X, Y).predict(X)
    limits = {"float32": [1e-44, 1e38], "float64": [1e-307, 1e298]}[dtype]
    for weight in limits:
        model = regressor(dtype=dtype, random_state=0).fit(X, Y, np.full(N, weight))
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)


def test_a_negligible_weight_beside_others_is_zero():
    weights = np.r_[np.ones(N - 1), 1e-320]
    model = regressor(dtype="float64", batch_size=1, random_state=0).fit(X, Y, weights)
    weights[-1] = 0
    same = regressor(dtype="float64", batch_size=1, random_state=0).fit(X, Y, weights)
    np.testing.assert_array_equal(model.predict(X), same.predict(X))


@pytest.mark.parametrize(
    "weights", [{"high": "a"}, {"high": BEYOND_FLOAT64}, {"high": np.ones(2)}, {"high": None}]
)
def test_class_weights_are_finite_numbers(weights):
    message = "class_weight=.* must hold finite numbers, all at least 0"
    check(lambda: classifier(class_weight=weights).fit(X, LABELS), message)


# Parameters


@pytest.mark.parametrize(
    "name",
    [
        "batch_size",
        "max_iter",
        "bptt_steps",
        "n_jobs",
        "random_state",
        "alpha",
        "tol",
        "verbose",
    ],
)
@pytest.mark.parametrize("value", [BEYOND_64_BITS, -BEYOND_64_BITS, BEYOND_FLOAT64])
def test_integers_fit_in_64_bits(name, value):
    message = f"{name} must fit in 64 bits, but an integer of (71|1329) bits was given"
    check(lambda: regressor(**{name: value}).fit(X, Y), message)
    check(lambda: language_model(**{name: value}).fit("text"), message)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": [BEYOND_64_BITS]}, "is too large: a layer may have at most"),
        ({"hidden_layer_sizes": [[1], [1, 2]]}, "must be an int or a sequence of ints"),
        ({"hidden_layer_sizes": [None]}, "must be an int or a sequence of ints"),
        ({"alpha": 1e300}, "alpha=1e[+]300 overflows dtype='float32'"),
        ({"epsilon": 1e-320}, "epsilon=1e-320 underflows dtype='float32'"),
        ({"loss": "quantile", "quantile": {}}, "quantile={} must be a number between|'quan"),
        (
            {"loss": "quantile", "quantile": [0.5, BEYOND_FLOAT64]},
            "must be a number between 0",
        ),
        ({"loss": "quantile", "quantile": [0.5, None]}, "must be a number between 0"),
    ],
)
def test_parameters_that_cannot_be_used(parameters, message):
    check(lambda: regressor(**parameters).fit(X, Y), message)


CRF = {"loss": "crf", "return_sequences": True}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"return_sequences": False}, "return_sequences=False cannot .* scores the trans"),
        ({"bptt_steps": 2}, "bptt_steps=2 cannot be combined .* must not be cut into chunks"),
        ({"class_weight": "balanced"}, "class_weight='balanced' cannot .* not of single ones"),
        ({"class_weight": {0: 2}}, r"class_weight=\{0: 2\} cannot .* not of single ones"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_a_crf_cannot_be_combined_with(method, parameters, message):
    model = classifier(**{**CRF, **parameters})
    check(lambda: getattr(model, method)(X, TOKENS), message)


def test_a_crf_has_one_label_per_step_and_one_weight_per_sequence():
    model = classifier(**CRF)
    two = np.stack([TOKENS, 1 - TOKENS], axis=2)
    check(lambda: model.fit(X, two), 'loss="crf" cannot be combined with an indicator matrix')
    weights = np.ones((N, T))
    weights[7, 2] = 3
    message = "sample_weight differs between the steps of sample 7, but"
    check(lambda: model.fit(X, TOKENS, weights), message)
    check(lambda: model.partial_fit(X, TOKENS, sample_weight=weights), message)
    # Scores weight single steps, also those of validation data.
    model.fit(X, TOKENS, X_val=X, y_val=TOKENS, sample_weight_val=weights)
    assert model.validation_scores_ == [model.score(X, TOKENS, weights)]
    message = 'loss changed since the first fit, from "crf" to "log_loss"'
    check(lambda: model.set_params(loss="log_loss").partial_fit(X, TOKENS), message)
    check(lambda: regressor(loss="crf").fit(X, Y), "'loss' parameter of LSTMRegressor")


POOLED_STEPS = 'pooling="{}" cannot be combined with return_sequences=True, which predicts'
NOTHING_LEFT = "layer_norm=True takes the size of a step's vectors away .* but {}"


@pytest.mark.parametrize(
    ("make", "data", "parameters", "message"),
    [
        *(
            (
                make,
                (X, TOKENS),
                {"pooling": pooling, "return_sequences": True, **more},
                POOLED_STEPS.format(pooling),
            )
            for make, more in ((regressor, {}), (classifier, {}), (classifier, CRF))
            for pooling in ("mean", "max", "attention")
        ),
        (
            language_model,
            ("text",),
            {"layer_norm": True, "embedding_dim": 1},
            NOTHING_LEFT.format("embedding_dim is 1"),
        ),
        (
            language_model,
            ("text",),
            {"layer_norm": True, "hidden_layer_sizes": (2, 1)},
            NOTHING_LEFT.format("a layer has one unit"),
        ),
        (
            language_model,
            ("text",),
            {"residual": True, "hidden_layer_sizes": (2, 3)},
            r"no layer has as many inputs \(\[64, 2\]\) as outputs \(\[2, 3\]\)",
        ),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_that_do_not_go_together(method, make, data, parameters, message):
    check(lambda: getattr(make(**parameters), method)(*data), message)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("cell", "lstm", "gru"),
        ("activation", "tanh", "relu"),
        ("pooling", "last", "attention"),
        ("residual", False, True),
        ("bidirectional", False, True),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_network_does_not_change_while_training_goes_on(method, name, before, after):
    model = regressor(warm_start=True, **{name: before}).fit(X, Y)
    predictions = model.predict(X)
    message = f"Training cannot continue: .* since the first fit: {name} from {before!r} to "
    check(lambda: getattr(model.set_params(**{name: after}), method)(X, Y), message)
    np.testing.assert_array_equal(model.predict(X), predictions)


def test_what_a_fitted_network_cannot_do():
    message = 'was fitted with pooling="last"; only pooling="attention" has attention weights'
    check(lambda: regressor().fit(X, Y).attention_weights(X), message)
    for pooling in ("mean", "max", "attention"):
        model = regressor(bidirectional=True, pooling=pooling).fit(X, Y)
        check(model.stream, "A bidirectional network cannot stream")


@pytest.mark.parametrize("name", ["output", "step"])
def test_indices_fit_in_64_bits(name):
    fitted = regressor(return_sequences=True).fit(X, X[:, :, 0])
    message = f"{name} must fit in 64 bits"
    check(lambda: fitted.input_gradients(X, **{name: -BEYOND_64_BITS}), message)


@pytest.mark.parametrize("name", ["n_tokens", "n_samples", "top_k", "random_state"])
def test_sizes_of_a_sample_fit_in_64_bits(name):
    fitted = language_model().fit("text")
    arguments = {"n_tokens": 3, name: BEYOND_64_BITS}
    check(lambda: fitted.sample(**arguments), f"{name} must fit in 64 bits")
    check(lambda: fitted.sample(**{**arguments, name: -1}), f"{name}.* of LSTMLanguageModel")


def test_more_samples_than_memory():
    with pytest.raises(MemoryError, match="Unable to allocate"):
        language_model().fit("text").sample(3, n_samples=2**40)


# Texts


@pytest.mark.parametrize(
    ("texts", "vocabulary", "message"),
    [
        ("ab", {"a", 1}, "vocabulary has the token 1, but the tokens of X are characters"),
        ("ab", ["a", None], "vocabulary has the token None, but the tokens of X are"),
        ("ab", {"a": 0, "b": "x"}, r"must map its tokens to the columns 0 to 1.*\[0, 'x'\]"),
        ("ab", {"a": 0, "b": None}, "must map its tokens to the columns 0 to 1"),
        ("ab", {"a": 0, "b": 7}, "must map its tokens to the columns 0 to 1, each once"),
        ("ab", {"a": 0, "b": 0}, "must map its tokens to the columns 0 to 1, each once"),
        ("ab", [["a"], "b"], r"vocabulary has the token \['a'\], but the tokens of X are"),
        ([["a", "b"]], {"a", 1}, "vocabulary has the token 1, but the tokens of X are words"),
        ([1, 2], {1, "a"}, "vocabulary has the token 'a', but the tokens of X are integers"),
        ([1, 2], [1, 2, BEYOND_64_BITS], "vocabulary has integers beyond 64 bits"),
        ([1, 2], [1, 2, np.nan], "vocabulary has the token nan, but the tokens of X are"),
    ],
)
def test_vocabularies(texts, vocabulary, message):
    check(lambda: language_model(vocabulary=vocabulary).fit(texts), message)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "X is None; expected a str"),
        ({"a": 1}, "X is of type dict; expected a str"),
        ((c for c in "ab"), "X is of type generator; expected a str"),
        ([BEYOND_64_BITS, 1], "X has integers beyond 64 bits"),
        ([[1], [BEYOND_64_BITS]], r"X\[1\] has integers beyond 64 bits"),
        ([["a", None]], r"X\[0\]\[1\] is None; the tokens of a sequence are either"),
        (["a", None], r"X\[1\] is None, but other elements are str"),
    ],
)
def test_texts(texts, message):
    check(lambda: language_model().fit(texts), message)


# Windows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": None}, "series is None; expected numbers of shape"),
        ({"series": "text"}, "series is of type str; expected numbers of shape"),
        ({"series": [BEYOND_FLOAT64] * 9}, "series has a number beyond the range of float64"),
        ({"series": ["a"] * 9}, "series has shape .9,. and dtype <U1; expected numbers"),
        ({"window": BEYOND_64_BITS}, "window must fit in 64 bits"),
        ({"stride": BEYOND_64_BITS}, "stride must fit in 64 bits"),
        ({"window": 0}, "'window' parameter of make_windows must be an int"),
        ({"targets": [0, 10**5000]}, "targets=a very long list must be indices"),
        ({"targets": [[0], [0, 0]]}, "targets cannot be read as an array"),
        ({"targets": []}, r"targets=\[\] must be indices of the 1 features"),
        ({"targets": [0, BEYOND_64_BITS]}, "must be indices of the 1 features"),
    ],
)
def test_windows(arguments, message):
    check(lambda: make_windows(**{"series": np.arange(9), "window": 3, **arguments}), message)
