"""Models as ONNX: onnxruntime computes what they do, and they come back as they were."""

import re
import sys

import numpy as np
import pytest
from any_task import tasks
from example_sequences import LABELS, LENGTHS, RAGGED, SIGNS, TOKENS, Y_RAGGED, X, Y
from hypothesis import HealthCheck, given, settings
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from cylstm import LSTMClassifier, LSTMForecaster, LSTMLanguageModel, LSTMRegressor
from cylstm._checks import check_X
from cylstm._plan import CELLS
from cylstm.onnx import from_onnx, register, to_onnx
from cylstm.preprocessing import SequenceImputer, StepwiseTransformer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.interop

F = X.shape[2]
INDICATORS = np.column_stack([Y > 0, Y > 1, Y < -1]).astype(int)
SUMS = np.stack([Y, -2 * Y], axis=1)


def run(proto, X, lengths=None):
    """Name -> output of an ONNX model in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"X": X} if lengths is None else {"X": X, "lengths": lengths}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def inputs_of(model, X):
    """X as an array whose padding is NaN (of tokens the last one), and the lengths."""
    sequences = check_X(model, X, model._input_format)
    given = sequences.values if sequences.tokens is None else sequences.tokens
    shape = len(sequences), sequences.lengths.max(), *given.shape[1:]
    array = np.full(shape, np.nan if given.ndim == 2 else given.max(), dtype=given.dtype)
    for row, start, n in zip(array, sequences.starts, sequences.lengths, strict=True):
        row[:n] = given[start : start + n]
    if model._input_format.form == "columns":
        array = array.reshape(len(array), -1)
    return array, sequences


def shake(model, scale=0.7):
    """Give a model random weights, so that none is 0, and all matter."""
    rng = np.random.default_rng(1)
    for name, weights in model.weights_.items():
        if not name.rsplit(".", 1)[-1].startswith("norm_"):
            weights[...] = rng.normal(scale=scale, size=weights.shape)
    return model


def fitted(estimator=LSTMRegressor, X=X, y=Y, **parameters):
    parameters = {"hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0} | parameters
    return shake(estimator(**parameters).fit(X, y))


def assert_close(actual, expected, name=""):
    """To 1e-5, of the largest number if that is beyond 1."""
    assert actual.shape == expected.shape, name
    bound = 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(actual - expected).max() <= bound, name


def assert_agrees(model, X, **options):
    """Outputs of the converted model equal predict, predict_proba and transform."""
    proto = to_onnx(model, features=True, **options)
    onnx.checker.check_model(proto, full_check=True)
    array, sequences = inputs_of(model, X)
    has_lengths = "lengths" in [value.name for value in proto.graph.input]
    outputs = run(proto, array, sequences.lengths if has_lengths else None)

    def rows(output):
        """Of the real steps, where there is an output for each."""
        if not model._input_format.per_step:
            return output
        if isinstance(output, list):
            return np.concatenate(output)
        steps = zip(output, sequences.lengths, strict=True)
        return np.concatenate([of_sequence[:n] for of_sequence, n in steps])

    assert outputs["features"].dtype == model._network.dtype
    assert_close(rows(outputs["features"]), rows(model.transform(X)), "features")
    predicted = rows(model.predict(X))
    if isinstance(model, LSTMRegressor):
        assert list(outputs) == ["prediction", "features"]
        assert_close(rows(outputs["prediction"]), predicted, "prediction")
        return
    assert list(outputs) == ["label", "probabilities", "features"]
    assert_close(rows(outputs["probabilities"]), rows(model.predict_proba(X)), "p")
    scores = rows(model.decision_function(X))
    if scores.ndim == 2 and not model._multilabel:
        best = np.sort(scores, axis=1)
        scores = best[:, -1] - best[:, -2]
    clear = np.abs(scores) > 1e-4 * max(1, np.abs(scores).max())
    np.testing.assert_array_equal(rows(outputs["label"])[clear], predicted[clear])


# Networks


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_cells(cell, bidirectional, dtype):
    settings = {"cell": cell, "bidirectional": bidirectional, "dtype": dtype}
    for activation, layers in (("tanh", 4), ("relu", (4, 3))):
        settings |= {"activation": activation, "hidden_layer_sizes": layers}
        assert_agrees(fitted(**settings), X)
        ragged = fitted(X=RAGGED, y=Y_RAGGED, **settings)
        assert_agrees(ragged, RAGGED)
        assert_agrees(ragged, X, lengths=False)


AROUND = [
    {"projection_size": 2},
    {"layer_norm": True},
    {"residual": True},
    {"residual": True, "layer_norm": True, "dtype": "float64"},
    {"pooling": "mean"},
    {"pooling": "max"},
    {"pooling": "attention"},
    {"return_sequences": True},
]


@pytest.mark.parametrize("around", AROUND, ids=lambda a: " ".join(a))
@pytest.mark.parametrize("cell", ["lstm", "coupled", "gru", "gru_v1"])
def test_what_stands_around_a_cell(cell, around):
    if cell.startswith("gru") and "projection_size" in around:
        around = {}  # it has none
    parameters = {"cell": cell, "bidirectional": True, "hidden_layer_sizes": (4, 4)} | around
    y = [x[:, :2] for x in RAGGED] if "return_sequences" in around else Y_RAGGED
    model = fitted(X=RAGGED, y=y, **parameters)
    assert_agrees(model, RAGGED)
    assert_agrees(model, X, lengths=False)


def test_operators_are_used_where_they_can_be():
    for cell in CELLS:
        operators = {node.op_type for node in to_onnx(fitted(cell=cell)).graph.node}
        expected = "GRU" if cell.startswith("gru") else "LSTM"
        if cell in ("peephole_lagged", "input_gated"):
            expected = "Scan"
        assert operators & {"GRU", "LSTM", "Scan"} == {expected}, cell
    for parameters in ({"dtype": "float64"}, {"layer_norm": True}, {"projection_size": 2}):
        operators = {node.op_type for node in to_onnx(fitted(**parameters)).graph.node}
        assert operators & {"GRU", "LSTM", "Scan"} == {"Scan"}, parameters


def test_a_coupled_cell_needs_no_input_forget():
    """Its forget gate is 1 - i by its weights, wherever the attribute is read otherwise."""
    model = fitted(cell="coupled", bidirectional=True)
    proto = to_onnx(model)
    (lstm,) = (node for node in proto.graph.node if node.op_type == "LSTM")
    (coupling,) = (a for a in lstm.attribute if a.name == "input_forget")
    lstm.attribute.remove(coupling)
    outputs = run(proto, X.astype(np.float32))
    assert_close(outputs["prediction"], model.predict(X))


def test_padding_may_be_anything():
    model = fitted(X=RAGGED, y=Y_RAGGED, bidirectional=True, pooling="mean")
    proto = to_onnx(model)
    array, _ = inputs_of(model, RAGGED)
    expected = run(proto, array, LENGTHS)["prediction"]
    for padding in (0, np.inf, 1e30):
        other = np.where(np.isnan(array), padding, array).astype(np.float32)
        assert run(proto, other, LENGTHS)["prediction"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22, 23])
def test_opsets(opset):
    for parameters in ({}, {"cell": "peephole"}, {"layer_norm": True}):
        model = fitted(X=RAGGED, y=Y_RAGGED, bidirectional=True, pooling="max", **parameters)
        assert to_onnx(model, opset=opset).opset_import[0].version == opset
        assert_agrees(model, RAGGED, opset=opset)


# Tasks


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS.astype(object),
        LABELS == "low",
        np.where(LABELS == "low", 7, -3),
        np.where(LABELS == "low", 2.0, 0.0),
        np.digitize(Y, [-1, 0, 1]),
        np.where(LABELS == "low", "x", "y"),
        INDICATORS,
    ],
    ids=["strings", "objects", "bool", "two ints", "floats", "ints", "two strings", "several"],
)
def test_classes(y, dtype):
    model = fitted(LSTMClassifier, y=y, dtype=dtype)
    assert_agrees(model, X)
    label = run(to_onnx(model), X.astype(dtype))["label"]
    assert label.dtype == (object if y.dtype.kind in "UO" else np.int64)


@pytest.mark.parametrize(
    ("y", "parameters"),
    [
        (Y[:, None], {}),
        (1e4 + SUMS, {}),
        (SUMS, {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]}),
        (Y, {"loss": "quantile", "quantile": [0.9, 0.1]}),
        (Y, {"loss": "quantile", "quantile": 0.3}),
        (np.abs(SUMS), {"loss": "poisson"}),
        (Y, {"loss": "huber"}),
    ],
)
def test_targets(y, parameters):
    assert_agrees(fitted(y=y, **parameters), X)


def test_outputs_of_each_step():
    assert_agrees(fitted(LSTMClassifier, y=SIGNS, return_sequences=True), X)
    quantiles = {"loss": "quantile", "quantile": [0.9, 0.1], "return_sequences": True}
    assert_agrees(fitted(y=X[:, :, :2], **quantiles), X)


def test_tokens():
    y = np.array([7 in x for x in TOKENS])
    for parameters in (
        {},
        {"bidirectional": True, "pooling": "attention", "dtype": "float64"},
    ):
        model = fitted(LSTMClassifier, X=TOKENS, y=y, embedding_dim=3, **parameters)
        assert_agrees(model, TOKENS)


def test_columns():
    flat = X.reshape(len(X), -1)
    assert_agrees(fitted(X=flat, n_step_features=F), flat)
    steps = fitted(LSTMClassifier, flat, SIGNS, n_step_features=F, return_sequences=True)
    assert_agrees(steps, flat)


@pytest.mark.parametrize("estimator", [LSTMRegressor, LSTMClassifier])
def test_any_model(estimator):
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(tasks(estimator))
    def agrees(task):
        precise = {"dtype": "float64"} if task.parameters["layer_norm"] else {}
        # Of numbers that hardly vary, layer normalization multiplies what rounding does.
        model = task.fitted(max_iter=1, **precise)
        if model._network.architecture.loss == "crf":
            with pytest.raises(ValueError, match=r'loss="crf"'):
                to_onnx(model)
            return
        ragged = model._input_format.form != "columns"
        assert_agrees(model, task.X, lengths=ragged)

    agrees()


# Pipelines


@pytest.fixture
def skl2onnx():
    return pytest.importorskip("skl2onnx")


STEPS = [
    StandardScaler(),
    MinMaxScaler(),
    make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
]


@pytest.mark.parametrize("transformer", STEPS, ids=["scaler", "range", "imputer"])
def test_steps_of_sequences(skl2onnx, transformer):
    estimator = LSTMRegressor(4, max_iter=1, random_state=0)
    pipeline = make_pipeline(StepwiseTransformer(transformer), "passthrough", estimator)
    x = (3 + 5 * X).astype(np.float32)
    if transformer is STEPS[2]:
        x[::3, ::2, 1] = np.nan
    pipeline.fit(list(x), Y)
    for opset in (None, 21):
        proto = to_onnx(pipeline, opset=opset)
        onnx.checker.check_model(proto, full_check=True)
        lengths = np.full(len(x), x.shape[1])
        assert_close(run(proto, x, lengths)["prediction"], pipeline.predict(list(x)))
    padded = np.where(np.arange(7)[:, None] < LENGTHS[:, None, None], x, np.nan)
    expected = pipeline.predict([x[:n] for x, n in zip(x, LENGTHS, strict=True)])
    assert_close(run(proto, padded.astype(np.float32), LENGTHS)["prediction"], expected)


def test_steps_in_double_precision(skl2onnx):
    scaler = StepwiseTransformer(StandardScaler())
    pipeline = make_pipeline(scaler, LSTMRegressor(4, max_iter=1, dtype="float64"))
    x = 1e6 + X  # of which float32 would leave a step or two
    pipeline.fit(x, Y)
    assert_close(run(to_onnx(pipeline), x)["prediction"], pipeline.predict(x))


def test_steps_of_columns(skl2onnx):
    flat = (3 + 5 * X).reshape(len(X), -1).astype(np.float32)
    estimator = LSTMClassifier(4, n_step_features=F, max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), estimator).fit(flat, LABELS)
    outputs = run(to_onnx(pipeline), flat)
    assert_close(outputs["probabilities"], pipeline.predict_proba(flat))


@pytest.mark.parametrize("cell", ["lstm", "peephole", "input_gated"])
def test_register(skl2onnx, cell):
    register()
    register()  # again, which changes nothing
    x = X.astype(np.float32)
    for dtype in ("float32", "float64"):
        estimator = LSTMClassifier(4, cell=cell, dtype=dtype, max_iter=1, random_state=0)
        pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), estimator)
        pipeline.fit(x, LABELS)
        proto = skl2onnx.to_onnx(pipeline, x[:1].astype(dtype))
        outputs = run(proto, x.astype(dtype))
        assert list(outputs) == ["label", "probabilities"]
        assert_close(outputs["probabilities"], pipeline.predict_proba(x))
        np.testing.assert_array_equal(outputs["label"], pipeline.predict(x))
    flat = x.reshape(len(x), -1)
    estimator = LSTMRegressor(4, cell=cell, n_step_features=F, max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), estimator).fit(flat, SUMS)
    outputs = run(skl2onnx.to_onnx(pipeline, flat[:1]), flat)
    assert_close(outputs["prediction"], pipeline.predict(flat))


# Refusals


def refuses(model, message, error=ValueError, **options):
    with pytest.raises(error, match=re.escape(message)):
        to_onnx(model, **options)


def test_what_is_refused():
    refuses(LSTMRegressor(), "not fitted", NotFittedError)
    refuses(make_pipeline(LSTMRegressor()), "not fitted", NotFittedError)
    refuses(LSTMForecaster(), "got LSTMForecaster", TypeError)
    refuses(LSTMLanguageModel(), "got LSTMLanguageModel", TypeError)
    refuses(make_pipeline(Ridge()), "got Ridge", TypeError)
    refuses(fitted().quantize(), "its weights are quantized")
    tagger = {"y": SIGNS, "return_sequences": True, "loss": "crf"}
    refuses(fitted(LSTMClassifier, **tagger), 'loss="crf"')
    for opset in (17, 1000, 18.0):
        refuses(fitted(), f"opset={opset} must be an int from 18 to", opset=opset)
    flat = fitted(X=X[:, :, 0])
    refuses(flat, "lengths=True cannot be combined with a model", lengths=True)
    huge = fitted(LSTMClassifier, y=np.where(Y > 0, 2**63, 0).astype(np.uint64))
    refuses(huge, "Labels in ONNX are strings or int64")


def test_steps_that_are_refused(skl2onnx):
    pipeline = make_pipeline(SequenceImputer(), LSTMRegressor(4, max_iter=1)).fit(X, Y)
    refuses(pipeline, "SequenceImputer cannot be converted to ONNX: of transformers")
    pipeline = make_pipeline(SequenceImputer(), LSTMRegressor(4, max_iter=1))
    refuses(pipeline.fit(X[:, :, 0], Y), "skl2onnx cannot convert SequenceImputer")


def test_without_packages(monkeypatch):
    model = fitted()
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'skl2onnx: pip install "cylstm\[onnx\]"'):
        register()
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: to_onnx(model), lambda: from_onnx("model.onnx")):
        with pytest.raises(ImportError, match=r'needs onnx: pip install "cylstm\[onnx\]"'):
            call()


# And back


@pytest.mark.parametrize("layers", [4, (4, 3)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "coupled", "gru", "gru_v1"])
def test_round_trip(tmp_path, cell, bidirectional, layers):
    settings = {"cell": cell, "bidirectional": bidirectional, "hidden_layer_sizes": layers}
    for activation, per_step in (("tanh", False), ("relu", True)):
        y = X[:, :, :2] if per_step else Y
        settings |= {"activation": activation, "return_sequences": per_step}
        model = fitted(y=y, **settings)
        for lengths in (False, True):
            onnx.save(to_onnx(model, lengths=lengths), tmp_path / "model.onnx")
            same = from_onnx(tmp_path / "model.onnx")
            bound = 1e-6 * max(1, np.abs(model.predict(X)).max())
            np.testing.assert_allclose(same.predict(X), model.predict(X), rtol=0, atol=bound)
            assert same.get_params()["cell"] == cell
    same.partial_fit(X, X[:, :, :2])
    assert same.n_iter_ == 1


def graph_of(nodes, constants, output, n_axes):
    """A model with an input X and these nodes, in float32."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(*node, **attributes) for *node, attributes in nodes],
        "graph",
        [helper.make_tensor_value_info("X", kind, [None, None, F])],
        [helper.make_tensor_value_info(output, kind, [None] * n_axes)],
        [onnx.numpy_helper.from_array(v, name) for name, v in constants.items()],
    )
    imports = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def lstm_weights(n_directions=1, n_gates=4, H=4):
    rng = np.random.default_rng(0)
    shapes = {"W": (n_gates * H, F), "R": (n_gates * H, H), "B": (2 * n_gates * H,)}
    return {
        name: rng.normal(size=(n_directions, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


OPERANDS = ["X", "W", "R", "B"]


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
@pytest.mark.parametrize("n_directions", [1, 2])
def test_operators_alone(operator, n_directions):
    """A bare operator takes steps on the first axis; predict and transform give its state."""
    constants = lstm_weights(n_directions, 4 if operator == "LSTM" else 3)
    direction = "bidirectional" if n_directions == 2 else "forward"
    attributes = {"hidden_size": 4, "direction": direction}
    x = X.astype(np.float32)
    for outputs, per_step in ((["Y"], True), (["", "Y_h"], False)):
        nodes = [(operator, OPERANDS, outputs, attributes)]
        proto = graph_of(nodes, constants, outputs[-1], 3 + per_step)
        model = from_onnx(proto)
        assert model.return_sequences == per_step
        (expected,) = run(proto, x.swapaxes(0, 1).copy()).values()
        expected = expected.transpose(2, 0, 1, 3) if per_step else expected.swapaxes(0, 1)
        expected = expected.reshape(*x.shape[: 1 + per_step], -1)
        assert_close(model.predict(x), expected)
        assert_close(model.transform(x), expected)


def test_heads_of_others():
    """Gemm with and without a transposed matrix, and MatMul without a bias."""
    rng = np.random.default_rng(0)
    x = X.astype(np.float32)
    for node, names, shape in (
        (("Gemm", ["h", "A", "b"], ["y"], {"transB": 1, "alpha": 0.5}), "Ab", (2, 4)),
        (("Gemm", ["h", "A"], ["y"], {}), "A", (4, 2)),
        (("MatMul", ["h", "A"], ["y"], {}), "A", (4, 2)),
    ):
        constants = lstm_weights() | {"A": rng.normal(size=shape).astype(np.float32)}
        if "b" in names:
            constants["b"] = rng.normal(size=2).astype(np.float32)
        nodes = [
            ("LSTM", OPERANDS, ["", "Y_h"], {"hidden_size": 4}),
            ("Flatten", ["Y_h"], ["h"], {"axis": 2}),
            node,
        ]
        proto = graph_of(nodes, constants, "y", 2)
        expected = run(proto, x.swapaxes(0, 1).copy())["y"]
        assert_close(from_onnx(proto).predict(x), expected)


BROKEN = {
    "operators": (
        [("LSTM", OPERANDS, ["Y"], {"hidden_size": 4}), ("Tanh", ["Y"], ["y"], {})],
        "has the operators Tanh",
    ),
    "no layer": ([("Transpose", ["X"], ["y"], {})], "has no LSTM or GRU"),
    "backward alone": (
        [("LSTM", OPERANDS, ["y"], {"hidden_size": 4, "direction": "reverse"})],
        "direction='reverse' alone",
    ),
    "activations": (
        [
            (
                "LSTM",
                OPERANDS,
                ["y"],
                {"hidden_size": 4, "activations": ["HardSigmoid", "Tanh", "Tanh"]},
            )
        ],
        "activations ['hardsigmoid', 'tanh', 'tanh']",
    ),
    "clip": ([("LSTM", OPERANDS, ["y"], {"hidden_size": 4, "clip": 3.0})], "LSTM with clip"),
    "cell state": (
        [("LSTM", OPERANDS, ["", "", "y"], {"hidden_size": 4})],
        "computes something else",
    ),
    "the first step": (
        [("LSTM", OPERANDS, ["Y"], {"hidden_size": 4}), ("Gather", ["Y", "first"], ["y"], {})],
        "computes something else",
    ),
    "shapes": (
        [("LSTM", ["X", "R", "R", "B"], ["y"], {"hidden_size": 4})],
        "does not run on sequences",
    ),
    "sum": (
        [("LSTM", OPERANDS, ["Y"], {"hidden_size": 4}), ("Add", ["Y", "Y"], ["y"], {})],
        "has Add, which are not one linear layer",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_graphs_that_are_refused(name):
    nodes, message = BROKEN[name]
    constants = lstm_weights() | {"first": np.array(0)}
    proto = graph_of(nodes, constants, "y", 3)
    with pytest.raises(ValueError, match=re.escape(message)):
        from_onnx(proto)


def test_layers_that_are_refused():
    """An initial state, two kinds of cells, and numbers in half precision."""
    state = {"h": np.ones((1, 5, 4), np.float32)}
    node = ("LSTM", [*OPERANDS, "", "h"], ["y"], {"hidden_size": 4})
    proto = graph_of([node], lstm_weights() | state, "y", 4)
    with pytest.raises(ValueError, match="starts with a state other than 0"):
        from_onnx(proto)

    of_gru = {f"{name}2": array for name, array in lstm_weights(n_gates=3, H=4).items()}
    of_gru["W2"] = of_gru["R2"]
    nodes = [
        ("LSTM", OPERANDS, ["Y"], {"hidden_size": 4}),
        ("Squeeze", ["Y", "axes"], ["h"], {}),
        ("GRU", ["h", "W2", "R2", "B2"], ["y"], {"hidden_size": 4}),
    ]
    constants = lstm_weights() | of_gru | {"axes": np.array([1])}
    with pytest.raises(ValueError, match="layers of different cells"):
        from_onnx(graph_of(nodes, constants, "y", 4))

    proto = graph_of([("LSTM", OPERANDS, ["y"], {"hidden_size": 4})], lstm_weights(), "y", 4)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    with pytest.raises(ValueError, match="computes in float16, not in float32 or float64"):
        from_onnx(proto)


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(FileNotFoundError):
        from_onnx(path)
    path.write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=r"model.onnx is not an ONNX model"):
        from_onnx(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="The ONNX model is not valid"):
        from_onnx(path)
    refused = {
        "Scan": fitted(layer_norm=True),
        "Softmax": fitted(LSTMClassifier, y=LABELS),
        "Exp": fitted(y=np.abs(Y), loss="poisson"),
    }
    for operator, model in refused.items():
        with pytest.raises(ValueError, match=operator):
            from_onnx(to_onnx(model))
    with pytest.raises(ValueError, match="has Add, MatMul, Add, which are not one"):
        from_onnx(to_onnx(fitted(hidden_layer_sizes=(4, 4), residual=True)))
    with pytest.raises(ValueError, match="has the inputs X. .* with three axes"):
        from_onnx(to_onnx(fitted(X=X[:, :, 0])))
