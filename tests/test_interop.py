"""Weights from and to PyTorch and Keras: the same numbers, and what cannot be converted."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state

from cylstm import LSTMClassifier, LSTMLanguageModel, LSTMRegressor
from cylstm.interop import from_keras, from_torch, to_keras, to_torch

N, T, I = 5, 7, 3  # noqa: E741  I inputs, as everywhere
LENGTHS = np.array([7, 1, 4, 7, 2])


def golden():
    """Case -> its arrays."""
    cases = {}
    with np.load(Path(__file__).parent / "golden_interop.npz") as arrays:
        for key, value in arrays.items():
            case, _, what = key.partition("/")
            cases.setdefault(case, {})[what] = value
    return cases


GOLDEN = golden()


def stored(case, program):
    """What a golden case is read from."""
    state = {
        name.removeprefix("state/"): value
        for name, value in case.items()
        if name.startswith("state/")
    }
    return state if program == "torch" else KerasModel(json.loads(str(case["layers"])), state)


class KerasModel:
    """What is asked of a keras.Model, without Keras."""

    def __init__(self, layers, state):
        self.layers = [
            keras_layer(kind, config, [v for n, v in state.items() if n.startswith(f"{k}.")])
            for k, (kind, config) in enumerate(layers)
        ]

    def get_config(self):
        raise AssertionError("is there, but not needed")


def keras_layer(kind, config, arrays):
    methods = {"get_config": lambda self: config, "get_weights": lambda self: arrays}
    return type(kind, (), methods)()


def ragged(x, lengths=LENGTHS):
    return [steps[:n] for steps, n in zip(x, lengths, strict=True)]


def assert_same(actual, expected, dtype):
    """To what two correct programs may differ by."""
    bound = 1e-12 if dtype == np.float64 else 1e-6
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=bound)


@pytest.mark.parametrize("name", GOLDEN)
def test_models_predict_what_they_are_made_of_predicts(name):
    case = GOLDEN[name]
    program, told = name.partition(" ")[0], json.loads(str(case["told"]))
    make = from_torch if program == "torch" else from_keras
    model = make(stored(case, program), **told)
    X, expected = ragged(case["x"], case["lengths"]), case["outputs"]
    dtype = expected.dtype
    assert model.dtype == dtype.name
    if model.return_sequences:
        expected = np.concatenate(ragged(expected, case["lengths"]))
    predict = model.predict if not is_classifier(model) else model.predict_proba
    actual = np.concatenate(predict(X)) if model.return_sequences else predict(X)
    if not is_classifier(model):
        assert_same(actual, expected if expected.shape[1] > 1 else expected[:, 0], dtype)
        assert model.n_outputs_ == expected.shape[1]
        return
    if program == "torch":
        expected = expit(expected) if expected.shape[1] == 1 else softmax(expected, axis=1)
    if "classes" in told:
        if expected.shape[1] == 1:
            expected = np.hstack([1 - expected, expected])
        assert model.classes_.tolist() == sorted(told["classes"])
        actual = actual[:, np.searchsorted(model.classes_, told["classes"])]
    assert_same(actual, expected, dtype)


def y_lacks_classes(model, y):
    return not model._multilabel and len({*np.hstack(y).tolist()}) < len(model.classes_)


@pytest.mark.parametrize("name", GOLDEN)
def test_models_can_do_what_fitted_ones_can(name):
    case = GOLDEN[name]
    program, told = name.partition(" ")[0], json.loads(str(case["told"]))
    make = from_torch if program == "torch" else from_keras
    model = make(stored(case, program), **told, random_state=0)
    X = ragged(case["x"], case["lengths"])
    y = model.predict(X)
    if not model.bidirectional:
        stream = model.stream()
        for x_t in X[2]:
            step = stream.step(x_t)
        last = y[2][-1] if model.return_sequences else y[2]
        if is_classifier(model):
            assert step == last
        else:
            np.testing.assert_allclose(step[0], last, rtol=1e-6)
    assert model.score(X, y) == 1
    if not (is_classifier(model) and y_lacks_classes(model, y)):
        again = clone(model).set_params(max_iter=1).fit(X, y)
        form = model._input_format.form  # of arrays or lists, which both are read
        assert replace(again._input_format, form=form) == model._input_format
        assert again.n_features_in_ == model.n_features_in_
        assert again._network.architecture == model._network.architecture
        assert {*vars(again)} == {*vars(model)}
    for k in (1, 2):
        model.partial_fit(X, y)
        assert model.n_iter_ == k
        assert np.isfinite(model.loss_)
    assert model.t_ == 2 * len(X)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "sgd", "learning_rate": "adaptive"}, {"learning_rate": "cosine"}],
)
def test_training_goes_on_from_the_weights(parameters):
    case = GOLDEN["torch lstm"]
    X, y = ragged(case["x"], case["lengths"]), case["outputs"] + 1.0
    model = from_torch(stored(case, "torch"), random_state=0, max_iter=3, **parameters)
    assert model.n_iter_ == model.t_ == 0
    assert np.isnan(model.loss_)
    assert model.loss_curve_ == []
    assert model.y_offset_.tolist() == [0, 0]
    assert model.y_scale_.tolist() == [1, 1]
    before = model.predict(X)
    copied = pickle.loads(pickle.dumps(model))
    model.partial_fit(X, y)
    np.testing.assert_allclose(model.loss_, 0.5, rtol=1e-5)  # every residual is 1
    copied.set_params(warm_start=True).fit(X, y)
    for trained in (model, copied):
        assert (trained.predict(X) != before).any()
        assert trained.y_offset_.tolist() == [0, 0]
        assert trained.loss_curve_[0] == model.loss_curve_[0]
    assert copied.n_iter_ == 3


def test_training_does_not_draw_from_the_global_random_state():
    case = GOLDEN["torch lstm"]
    X, y = ragged(case["x"], case["lengths"]), case["outputs"]
    model = from_torch(stored(case, "torch"))
    drawn_from = check_random_state(None)
    _, before, position, *_ = drawn_from.get_state()
    model.partial_fit(X, y)
    np.testing.assert_array_equal(drawn_from.get_state()[1], before)
    assert drawn_from.get_state()[2] == position


def test_of_bare_arrays_what_is_taken_can_be_named():
    case = GOLDEN["torch lstm"]
    state = stored(case, "torch")
    expected = from_torch(state).predict(case["x"])
    more = {
        **{name.replace("encoder", "other"): 2 * value for name, value in state.items()},
        **state,
        "norm.running_mean": np.zeros(3),
        "mix.weight": np.zeros((9, 3)),  # which might be of an embedding
    }
    for prefix in ("encoder", "encoder."):
        model = from_torch(more, "out", prefix=prefix)
        np.testing.assert_array_equal(model.predict(case["x"]), expected)
    bare = {name.removeprefix("encoder."): value for name, value in state.items()}
    head = {name: bare.pop(f"out.{name}") for name in ("weight", "bias")}
    np.testing.assert_array_equal(from_torch(bare, head).predict(case["x"]), expected)
    doubled = from_torch(state, dtype="float64")
    assert doubled.weights_["head.weight"].dtype == np.float64
    halved = from_torch({name: value.astype(np.float16) for name, value in state.items()})
    assert halved.dtype == "float32"
    np.testing.assert_allclose(halved.predict(case["x"]), expected, atol=0.01)


def state_dict(*, prefix="lstm.", n_gates=4, head="out.", n_scores=2, n_units=4):
    """Of an LSTM or GRU, of zeros."""
    rows = n_gates * n_units
    return {
        f"{prefix}weight_ih_l0": np.zeros((rows, I)),
        f"{prefix}weight_hh_l0": np.zeros((rows, n_units)),
        f"{prefix}bias_ih_l0": np.zeros(rows),
        f"{prefix}bias_hh_l0": np.zeros(rows),
        f"{head}weight": np.zeros((n_scores, n_units)),
        f"{head}bias": np.zeros(n_scores),
    }


GIVEN = state_dict()


def without(*names):
    return {name: value for name, value in GIVEN.items() if name not in names}


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ({}, {}, "no weights of a torch.nn.LSTM or GRU, such as weight_ih_l0, among nothing"),
        (
            without("lstm.weight_hh_l0"),
            {},
            "There is no lstm.weight_hh_l0 among lstm.weight_ih",
        ),
        (without("lstm.bias_hh_l0"), {}, "There is no lstm.bias_hh_l0 among"),
        (
            without("out.bias"),
            {},
            "has none among .'out.weight'.. Name it, or give it, as head",
        ),
        (without("out.bias"), {"head": "fc"}, "There is no fc.weight among"),
        (
            GIVEN | state_dict(prefix="other."),
            {},
            r"several LSTMs or GRUs: \['lstm.', 'other.'\]. Give the name",
        ),
        (
            GIVEN | {"fc.weight": np.zeros((7, 4)), "fc.bias": np.zeros(7)},
            {},
            r"LSTM or GRU has outputs, 4, but has several: \['out.', 'fc",
        ),
        (
            GIVEN | {"fc.weight": np.zeros((7, 2)), "fc.bias": np.zeros(7)},
            {},
            r"of the LSTM or GRU and the head: fc.weight, fc.bias. .* prefix='lstm",
        ),
        (
            GIVEN | {"a.weight": np.zeros((7, I)), "b.weight": np.zeros((8, I))},
            {},
            r"may be of an embedding: \['a.weight', 'b.weight'\]",
        ),
        (state_dict(n_gates=1), {}, r"shape \(4, 4\): that is a torch.nn.RNN"),
        (state_dict(n_gates=5), {}, r"shape \(20, 4\): that is neither an LSTM nor a GRU"),
        (GIVEN | {"lstm.bias_hh_l0": np.zeros(5)}, {}, r"shapes \(16,\) and \(5,\); expected"),
        (GIVEN | {"lstm.weight_hh_l0": np.zeros(5)}, {}, "must be matrices"),
        (
            GIVEN | {"lstm.weight_ih_l0": np.zeros((15, I))},
            {},
            r"layers.0.weight_ih has shape \(15, 3\); expected \(16, 3\)",
        ),
        (
            GIVEN | {"lstm.weight_ih_l0": np.full((16, I), np.nan)},
            {},
            "layers.0.weight_ih has numbers that are not finite in dtype='float64'",
        ),
        (
            GIVEN | {"out.bias": np.full(2, 1e200)},
            {"dtype": "float32"},
            "head.bias has numbers that are not finite in dtype='float32'",
        ),
        (GIVEN | {"out.weight": np.zeros((3, 4))}, {}, r"they have \(3, 4\) and \(2,\)"),
        (
            GIVEN | {"out.weight": np.array([["a"] * 4] * 2)},
            {},
            "head.weight has dtype <U1; expected numbers",
        ),
        (GIVEN, {"cell": "gru", "bidirectional": True}, "cell, bidirectional cannot be given"),
        (GIVEN, {"layer_norm": True}, "Weights are missing: layers.0.bias_c, layers.0.norm_c"),
        (GIVEN, {"pooling": "attention"}, "There is no attention.weight among"),
        (GIVEN, {"classes": ["a", "b", "c"]}, "head has 2 scores, but classes=.* holds 3"),
        (
            GIVEN,
            {"classes": ["a", "a"]},
            "classes=.* has a class more than once|only one class",
        ),
        (GIVEN, {"classes": ["a", "b", "a"]}, "has a class more than once"),
        (GIVEN, {"classes": [1, 2], "multilabel": True}, "classes was given with multilabel"),
        (
            state_dict(n_scores=1),
            {"multilabel": True},
            "multilabel=True, but the head has a s",
        ),
        (
            GIVEN,
            {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
            "2 scores, which are not a multiple of the 3 levels of quantile=",
        ),
        (GIVEN, {"loss": "hinge"}, "'loss' parameter of LSTMRegressor must be"),
        (
            GIVEN,
            {"pooling": "mean", "return_sequences": True},
            "cannot be combined with return",
        ),
    ],
)
def test_what_cannot_be_read_of_torch(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        from_torch(source, **arguments)


def test_layers_that_differ_are_refused():
    gru = state_dict(prefix="b.", n_gates=3)
    gru["b.weight_ih_l0"] = np.zeros((12, 4))
    with pytest.raises(ValueError, match="differ in more than their number of units"):
        from_torch(state_dict(prefix="a.") | gru, prefix=["a", "b"])


@pytest.mark.parametrize("make", [from_torch, from_keras, to_torch, to_keras])
def test_other_types_are_refused(make):
    with pytest.raises(TypeError, match="of type int; expected a "):
        make(3)


def keras_model(*layers):
    """Of layers that are each a kind and what its configuration has other than usual."""
    made, state = [], {}
    n_inputs = I
    for k, (kind, changes) in enumerate(layers):
        config, shapes = {"units": 4, "activation": "tanh"}, []
        if kind in ("LSTM", "GRU"):
            n = 16 if kind == "LSTM" else 12
            config |= dict.fromkeys(("go_backwards", "stateful", "return_state"), False)
            config |= {"recurrent_activation": "sigmoid", "return_sequences": False}
            config["reset_after"] = False
            shapes = [(n_inputs, n), (4, n), (n,)]
            n_inputs = 4
        elif kind == "Dense":
            config["activation"] = "linear"
            shapes = [(4, changes.get("units", 2)), (changes.get("units", 2),)]
        elif kind == "Embedding":
            shapes = [(5, I)]
        state |= {f"{k}.{j}": np.zeros(shape) for j, shape in enumerate(shapes)}
        made.append((kind, config | changes))
    return KerasModel(made, state)


def wrapped(kind, **changes):
    (_, config), *_ = [
        (type(m).__name__, m.get_config()) for m in keras_model((kind, changes)).layers
    ]
    return {"class_name": kind, "config": config}


def both_ways(**changes):
    layer, backward = wrapped("LSTM"), wrapped("LSTM", go_backwards=True)
    return {"merge_mode": "concat", "layer": layer, "backward_layer": backward} | changes


LSTM, DENSE = ("LSTM", {}), ("Dense", {})
STEPS = ("LSTM", {"return_sequences": True})


@pytest.mark.parametrize(
    ("layers", "arguments", "message"),
    [
        ([LSTM], {}, "must have LSTM or GRU layers and end in Dense"),
        ([DENSE], {}, "a layer Dense that cannot be read: it must follow an LSTM or GRU"),
        (
            [LSTM, DENSE, DENSE],
            {},
            "layer Dense that cannot be read: nothing may follow Dense",
        ),
        ([LSTM, ("Conv1D", {}), DENSE], {}, "layer Conv1D that .* estimators have no such"),
        ([("SimpleRNN", {}), DENSE], {}, "layer SimpleRNN that cannot be read"),
        ([STEPS, ("GlobalMaxPooling1D", {}), DENSE], {}, "layer GlobalMaxPooling1D that"),
        ([STEPS, ("Masking", {}), DENSE], {}, "Masking .* it may be the first layer alone"),
        ([("GlobalAveragePooling1D", {}), DENSE], {}, "it must follow an LSTM or GRU"),
        (
            [STEPS, ("GlobalAveragePooling1D", {}), LSTM, DENSE],
            {},
            "what is before it returns no",
        ),
        (
            [("LSTM", {"activation": "elu"}), DENSE],
            {},
            "activation=elu is neither tanh nor re",
        ),
        (
            [("LSTM", {"recurrent_activation": "hard_sigmoid"}), DENSE],
            {},
            "LSTM that cannot be read: recurrent_activation='hard_sigmoid' is not sigmoid",
        ),
        ([("LSTM", {"go_backwards": True}), DENSE], {}, "go_backwards=True is not False"),
        ([("LSTM", {"stateful": True}), DENSE], {}, "stateful=True is not False"),
        ([STEPS, ("GRU", {}), DENSE], {}, r"differ in cell: \['lstm', 'gru_v1'\]"),
        (
            [LSTM, LSTM, DENSE],
            {},
            "a layer LSTM that .* what is before it returns no sequences",
        ),
        (
            [LSTM, ("GlobalAveragePooling1D", {}), DENSE],
            {},
            "GlobalAveragePooling1D that .* what is before it returns no sequences",
        ),
        (
            [("Bidirectional", both_ways(merge_mode="sum")), DENSE],
            {},
            "merge_mode='sum' is not concat",
        ),
        (
            [("Bidirectional", both_ways(backward_layer=wrapped("GRU", go_backwards=True)))],
            {},
            "layer Bidirectional that cannot be read: its directions differ",
        ),
        ([("Bidirectional", both_ways(layer=wrapped("Dense")))], {}, "its cell is neither"),
        (
            [LSTM, ("Dense", {"activation": "relu"})],
            {},
            'activation="relu", which no estimator has',
        ),
        ([LSTM, ("Dense", {"activation": "softmax"})], {}, "as classifiers do: give classes"),
        (
            [LSTM, ("Dense", {"activation": "softmax"})],
            {"multilabel": True},
            'activation="softmax"; to be 2 score.s. of labels its outputs must have sigmoid',
        ),
        (
            [LSTM, ("Dense", {"activation": "sigmoid"})],
            {"classes": [0, 1]},
            'activation="sigmoid"; to be 2 score.s. of classes its outputs must have softmax',
        ),
        (
            [LSTM, ("Dense", {"activation": "softmax", "units": 1})],
            {"classes": [0, 1]},
            'activation="softmax"; to be 1 score.s. of classes its outputs must have sigmoid',
        ),
        (
            [LSTM, ("Dense", {"activation": "exponential"})],
            {"classes": [0, 1]},
            'activation="exponential"; to be 2 score',
        ),
        ([LSTM, DENSE], {"pooling": "mean"}, "pooling cannot be given"),
        (
            [LSTM, ("Activation", {"activation": "softmax"}), DENSE],
            {},
            "layer Activation that",
        ),
    ],
)
def test_what_cannot_be_read_of_keras(layers, arguments, message):
    with pytest.raises(ValueError, match=message):
        from_keras(keras_model(*layers), **arguments)


def test_keras_models_of_several_inputs_are_refused():
    model = keras_model(LSTM, DENSE)
    assert from_keras(model).predict(np.zeros((2, 3, I))).tolist() == [[0, 0]] * 2
    model.outputs = [1, 2]
    with pytest.raises(ValueError, match="The Keras model has 2 outputs; it must have one"):
        from_keras(model)


X = np.random.default_rng(0).normal(size=(N, T, I))
TOKENS = np.random.default_rng(1).integers(1, 6, size=(N, T))
Y = {
    "regression": np.random.default_rng(2).normal(100, 9, size=(N, 2)),
    "one output": np.random.default_rng(2).normal(100, 9, size=N),
    "counts": np.arange(N),
    "two classes": ["a", "b", "a", "b", "a"],
    "three classes": [3, 1, 2, 1, 3],
    "labels": np.array([[0, 1, 1]] * 3 + [[1, 0, 0]] * 2),
}
CLASSIFIES = ("two classes", "three classes", "labels")


def fitted(target, **parameters):
    """A model of weights that matter, on ragged sequences."""
    cls = LSTMClassifier if target in CLASSIFIES else LSTMRegressor
    parameters = {"hidden_layer_sizes": (5, 5), "max_iter": 2, **parameters}
    tokens = "embedding_dim" in parameters
    y = Y[target]
    if parameters.get("return_sequences"):
        y = [np.array([one] * n) for one, n in zip(y, LENGTHS, strict=True)]
    model = cls(random_state=0, dtype="float64", **parameters)
    model.fit(ragged(TOKENS if tokens else X), y)
    rng = np.random.default_rng(3)
    for view in model.weights_.values():
        view += rng.normal(scale=0.3, size=view.shape)
    return model


def expected_of(model):
    """Columns that the other program returns, of the real steps of return_sequences."""
    x = ragged(TOKENS if model.embedding_dim else X)
    expected = model.decision_function(x) if is_classifier(model) else model.predict(x)
    if model.return_sequences:
        expected = np.concatenate(expected)
    if model._several_levels() if not is_classifier(model) else False:
        return expected.reshape(len(expected), -1)
    return expected if expected.ndim == 2 else expected[:, None]


AROUND = [
    {},
    {"bidirectional": True},
    {"hidden_layer_sizes": (6, 4), "bidirectional": True},
    {"return_sequences": True, "bidirectional": True},
    {"embedding_dim": 4, "vocabulary_size": 6},
    {"pooling": "mean", "bidirectional": True},
]
ONLY_TORCH = [
    {"projection_size": 2, "bidirectional": True},
    {"projection_size": 2, "hidden_layer_sizes": (6, 4)},
    {"residual": True, "bidirectional": True},
    {"pooling": "max"},
    {"pooling": "attention", "bidirectional": True},
    {"loss": "quantile", "quantile": [0.9, 0.1]},
]
ONLY_KERAS = [{"activation": "relu", "hidden_layer_sizes": 4}]
TASKS = [
    ("regression", {}),
    ("one output", {}),
    ("one output", {"loss": "quantile", "quantile": 0.3}),
    ("counts", {"loss": "poisson"}),
    *((target, {}) for target in CLASSIFIES),
]


def given_back(model):
    """What from_torch and from_keras must be told to make the same model."""
    told = {"classes": model.classes_} if is_classifier(model) else {}
    return {"multilabel": True} if is_classifier(model) and model._multilabel else told


def check_back(model, back):
    """A model that was converted there and back predicts the same, of the same types."""
    x = ragged(TOKENS if model.embedding_dim else X)
    assert type(back) is type(model)
    method = "predict_proba" if is_classifier(model) else "predict"
    for a, b in zip(getattr(back, method)(x), getattr(model, method)(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    assert back._network.architecture == model._network.architecture
    if is_classifier(model):
        np.testing.assert_array_equal(back.classes_, model.classes_)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("cell", "target", "parameters"),
    [
        *((c, "regression", p) for c, p in product(("lstm", "gru"), AROUND)),
        *(("lstm", "regression", p) for p in ONLY_TORCH),
        *(("lstm", *task) for task in TASKS),
        ("gru", "three classes", {"return_sequences": True, "embedding_dim": 3}),
    ],
)
def test_torch_gives_the_same_numbers_and_back(cell, target, parameters):
    torch = pytest.importorskip("torch")
    model = fitted(target, cell=cell, **parameters)
    module = to_torch(model)
    x = torch.tensor(TOKENS if model.embedding_dim else X)
    with torch.no_grad():
        actual = module(x, torch.tensor(LENGTHS)).numpy()
        whole = module(x).numpy()
        garbled = x.clone()
        for row, n in zip(garbled, LENGTHS, strict=True):
            row[n:] = 1
        np.testing.assert_array_equal(
            np.concatenate(ragged(actual)) if model.return_sequences else actual,
            np.concatenate(ragged(module(garbled, LENGTHS).numpy()))
            if model.return_sequences
            else module(garbled, LENGTHS).numpy(),
        )
    if model.return_sequences:
        whole, actual = whole[0], np.concatenate(ragged(actual))
    assert_same(actual, expected_of(model), np.float64)
    np.testing.assert_allclose(whole[0], actual[0], rtol=1e-12)  # the first one is whole
    told = given_back(model) | {
        name: getattr(model, name)
        for name in ("return_sequences", "residual", "pooling", "loss")
    }
    if not is_classifier(model):
        told["quantile"] = model.quantile
    n_modules = len(model._network.architecture.hidden_layer_sizes)
    if isinstance(module.rnn, torch.nn.ModuleList):
        told |= {"prefix": [f"rnn.{k}" for k in range(n_modules)], "head": "head"}
    if model.embedding_dim:
        told["embedding"] = "embedding"
    check_back(model, from_torch(module, **told))
    # Trained on and pickled like any other.
    module(x).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    again = pickle.loads(pickle.dumps(module))
    np.testing.assert_array_equal(again(x, LENGTHS).detach(), module(x, LENGTHS).detach())


@pytest.mark.interop
def test_torch_layers_of_their_own_and_in_any_precision():
    torch = pytest.importorskip("torch")
    layer, head = torch.nn.LSTM(I, 4), torch.nn.Linear(4, 2)
    expected = head(layer(torch.tensor(X, dtype=torch.float32).transpose(0, 1))[0][-1])
    predicted = from_torch(layer, head).predict(X)
    assert_same(predicted, expected.detach().numpy(), np.float32)
    halves = from_torch(layer.to(torch.bfloat16), head.to(torch.bfloat16))
    assert halves.dtype == "float32"
    np.testing.assert_allclose(halves.predict(X), predicted, atol=0.02)


@pytest.fixture
def keras(monkeypatch):
    """Keras, where it and its backend are. With this backend it multiplies in float32."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("cell", "target", "parameters"),
    [
        *((c, "regression", p) for c, p in product(("lstm", "gru", "gru_v1"), AROUND)),
        *((c, "regression", p) for c, p in product(("lstm", "gru", "gru_v1"), ONLY_KERAS)),
        *(("lstm", *task) for task in TASKS),
    ],
)
def test_keras_gives_the_same_numbers_and_back(cell, target, parameters, keras):
    model = fitted(target, cell=cell, **parameters)
    x = TOKENS.copy() if model.embedding_dim else X.copy()
    for row, n in zip(x, LENGTHS, strict=True):
        row[n:] = 0
    network = to_keras(model, mask_value=0)
    actual = keras.ops.convert_to_numpy(network(x))
    if model.return_sequences:
        actual = np.concatenate(ragged(actual))
    assert_same(actual, expected_of(model), np.float32)
    unmasked = to_keras(model)
    whole = keras.ops.convert_to_numpy(unmasked(x[:1]))[0]
    np.testing.assert_allclose(np.atleast_2d(whole)[0], actual[0], rtol=1e-6, atol=1e-6)
    for made in (network, unmasked):
        back = from_keras(made, **given_back(model), **quantiles(model))
        check_back(model, back)


def quantiles(model):
    """What outputs of quantiles do not tell."""
    if getattr(model, "loss", None) != "quantile":
        return {}
    return {"loss": "quantile", "quantile": model.quantile}


REFUSED = [
    *({"cell": cell} for cell in ("peephole", "peephole_lagged", "coupled", "input_gated")),
    {"layer_norm": True},
]


@pytest.mark.parametrize(
    ("convert", "parameters", "message"),
    [
        *(
            (convert, p, f"^{next(iter(p))}=.* cannot be converted to (PyTorch|Keras)[:,] ")
            for convert, p in product((to_torch, to_keras), REFUSED)
        ),
        (to_torch, {"cell": "gru_v1"}, 'cell="gru_v1" cannot .* the cells "lstm" or "gru".$'),
        (to_torch, {"activation": "relu"}, 'activation="relu" cannot be converted to PyTorch'),
        (to_keras, {"projection_size": 2}, "projection_size=2 cannot be converted to Keras"),
        (to_keras, {"residual": True}, "residual=True cannot be converted to Keras: "),
        (to_keras, {"pooling": "max"}, 'pooling="max" cannot be converted to Keras: '),
        (to_keras, {"pooling": "attention"}, 'pooling="attention" cannot be converted to'),
        (
            to_keras,
            {"loss": "quantile", "quantile": [0.1, 0.9]},
            "Several quantiles cannot be",
        ),
    ],
)
def test_what_cannot_be_converted(convert, parameters, message):
    with pytest.raises(ValueError, match=message):
        convert(fitted("regression", **parameters))


@pytest.mark.parametrize("convert", [to_torch, to_keras])
def test_crf_quantized_and_unfitted_models_are_refused(convert):
    with pytest.raises(ValueError, match='^loss="crf" cannot be converted to .*: its layers'):
        convert(fitted("three classes", loss="crf", return_sequences=True))
    model = LSTMRegressor(4, max_iter=1).fit(X, Y["one output"])
    with pytest.raises(ValueError, match="^A quantized model cannot be converted to .*: conv"):
        convert(model.quantize())
    with pytest.raises(ValueError, match="not fitted"):
        convert(LSTMRegressor())
    with pytest.raises(TypeError, match="is of type LSTMLanguageModel; expected a fitted LS"):
        convert(LSTMLanguageModel(2, max_iter=1).fit("abc"))


def test_tokens_are_masked_by_zero_alone():
    model = fitted("regression", embedding_dim=2)
    with pytest.raises(ValueError, match="mask_value=5 must be 0 or None for tokens"):
        to_keras(model, mask_value=5)


ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name in ("torch", "keras"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
from cylstm import LSTMRegressor
from cylstm.interop import from_torch, to_keras, to_torch
model = LSTMRegressor(2, max_iter=1).fit(np.zeros((3, 2, 1)), [1, 2, 3])
for convert in (to_torch, to_keras):
    try:
        convert(model)
    except ImportError as error:
        print(error)
"""


def test_programs_that_are_absent_are_named():
    result = subprocess.run(
        [sys.executable, "-c", ABSENT], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        "to_torch needs PyTorch: pip install torch.",
        "to_keras needs Keras and one of its backends: pip install keras.",
    ]
