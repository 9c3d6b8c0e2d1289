"""Streams, gate values, saliency, pictures."""

import numpy as np
import pytest

from cylstm import LSTMClassifier, LSTMRegressor
from cylstm.plotting import GateDisplay, LossCurveDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 3))
Y = X[:, :, 0].sum(axis=1)
LENGTHS = RNG.integers(1, 7, size=20)
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
TOKENS = RNG.integers(9, size=(20, 6))


def regressor(**settings):
    return LSTMRegressor(
        **{
            "hidden_layer_sizes": (5, 4),
            "max_iter": 3,
            "random_state": 0,
            "dtype": "float64",
            **settings,
        }
    )


# Streams


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "coupled"])
def test_a_stream_of_all_steps_equals_predict(cell, dtype):
    model = regressor(cell=cell, dtype=dtype).fit(X, Y)
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    many = model.stream(20)
    for t in range(6):
        together = many.step(X[:, t])
    np.testing.assert_allclose(together, model.predict(X), rtol=0, atol=tolerance)
    one = model.stream()
    for x in (X[3], X[7]):
        one.reset()
        for x_t in x:
            alone = one.step(x_t)
        np.testing.assert_allclose(alone, model.predict(x[None]), rtol=0, atol=tolerance)


def test_every_step_of_a_stream_equals_every_step_of_predict():
    y = np.where(np.cumsum(X[:, :, 0], axis=1) > 0, "up", "down")
    model = LSTMClassifier(5, return_sequences=True, max_iter=3, dtype="float64").fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        stream = model.stream(20, method=method)
        expected = getattr(model, method)(X)
        for t in range(6):
            got = stream.step(X[:, t])
            if method == "predict":
                np.testing.assert_array_equal(got, expected[:, t])
            else:
                np.testing.assert_allclose(got, expected[:, t], atol=1e-12)


def test_a_stream_of_tokens():
    model = regressor(embedding_dim=3).fit(TOKENS, Y)
    stream = model.stream(20)
    for t in range(6):
        got = stream.step(TOKENS[:, t])
    np.testing.assert_allclose(got, model.predict(TOKENS), atol=1e-12)
    one = model.stream()
    for token in TOKENS[0]:
        got = one.step(token)
    np.testing.assert_allclose(got, model.predict(TOKENS[:1]), atol=1e-12)
    with pytest.raises(ValueError, match="must hold tokens from 0 to 8"):
        one.step(9)
    with pytest.raises(ValueError, match="tokens are integers"):
        one.step(0.5)


def test_state_can_be_kept_and_put_back():
    model = regressor().fit(X, Y)
    stream = model.stream(20)
    stream.step(X[:, 0])
    state = stream.state
    assert state.shape == (20, 2 * (5 + 4))
    expected = stream.step(X[:, 1])
    stream.state = state
    np.testing.assert_array_equal(stream.step(X[:, 1]), expected)
    stream.reset()
    assert not stream.state.any()
    with pytest.raises(ValueError, match=r"state has shape \(3,\), expected \(20, 18\)"):
        stream.state = np.zeros(3)
    with pytest.raises(ValueError, match="state contains NaN"):
        stream.state = np.full((20, 18), np.nan)
    with pytest.raises(ValueError, match=r"x_t has shape \(60,\)"):
        stream.step(np.zeros(60))


def test_a_stream_keeps_its_weights_when_the_model_is_fitted_again():
    model = regressor().fit(X, Y)
    expected, stream = model.predict(X), model.stream(20)
    model.fit(X, -Y)
    for t in range(6):
        got = stream.step(X[:, t])
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_stream_keeps_its_classes_when_the_model_is_fitted_again():
    model = LSTMClassifier(4, max_iter=2).fit(X, np.where(Y > 0, "a", "b"))
    stream = model.stream()
    model.fit(X, np.array(["c", "d", "e"])[np.arange(20) % 3])
    assert stream.step(X[0, 0])[0] in ("a", "b")


@pytest.mark.parametrize(
    ("x_t", "message"),
    [
        (np.zeros((1, 1, 3)), r"x_t has shape \(1, 1, 3\)"),
        (np.zeros(3, complex), "x_t has dtype complex128, but numbers"),
        (np.zeros(2), r"x_t has shape \(2,\), but a step has shape \(1, 3\)"),
        (np.zeros((3, 1)), r"x_t has shape \(3, 1\)"),
        ([0, np.nan, 0], "contains NaN or infinity"),
        (["a", "b", "c"], "x_t has dtype <U1, but numbers"),
    ],
)
def test_bad_steps(x_t, message):
    stream = regressor().fit(X, Y).stream()
    stream.step(X[0, 0])
    state = stream.state
    with pytest.raises(ValueError, match=message):
        stream.step(x_t)
    np.testing.assert_array_equal(stream.state, state)


def test_what_cannot_stream():
    model = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="n_sequences=0 must be an int of at least 1"):
        model.stream(0)
    with pytest.raises(ValueError, match=r"method='predict_proba' must be one of \['predict'"):
        model.stream(method="predict_proba")
    with pytest.raises(ValueError, match="bidirectional network cannot stream"):
        regressor(bidirectional=True).fit(X, Y).stream()


# Gates


@pytest.mark.parametrize("cell", ["lstm", "coupled"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gate_values_hang_together(bidirectional, cell):
    model = regressor(cell=cell, bidirectional=bidirectional).fit(X, Y)
    values = model.gate_values(X)
    directions = ["", "reverse."] if bidirectional else [""]
    assert set(values) == {
        f"layers.{k}.{d}{name}" for k in (0, 1) for d in directions for name in "ifgoch"
    }
    for d in directions:
        v = {name: values[f"layers.1.{d}{name}"] for name in "ifgoch"}
        assert v["i"].shape == (20, 6, 4)
        if d:  # from the last step to the first
            v = {name: value[:, ::-1] for name, value in v.items()}
        before = np.concatenate([np.zeros((20, 1, 4)), v["c"][:, :-1]], axis=1)
        np.testing.assert_allclose(v["c"], v["f"] * before + v["i"] * v["g"], atol=1e-12)
        np.testing.assert_allclose(v["h"], v["o"] * np.tanh(v["c"]), atol=1e-12)
    if not bidirectional:
        np.testing.assert_allclose(values["layers.1.h"][:, -1], model.transform(X))


def test_gate_values_come_in_the_form_of_x():
    model = regressor().fit(RAGGED, Y)
    assert [len(v) for v in model.gate_values(RAGGED)["layers.0.f"]] == LENGTHS.tolist()


# Saliency


@pytest.mark.parametrize("bidirectional", [False, True])
def test_input_gradients_equal_central_differences(bidirectional):
    y = np.column_stack([Y, X[:, -1, 1]])
    model = regressor(bidirectional=bidirectional).fit(X, y)
    gradients = model.input_gradients(RAGGED, output=1)
    for k in (0, 5, 11):
        assert gradients[k].shape == RAGGED[k].shape
        for place in np.ndindex(RAGGED[k].shape):
            moved = [RAGGED[k].copy() for _ in range(2)]
            moved[0][place] += 1e-5
            moved[1][place] -= 1e-5
            above, below = model.predict(moved)[:, 1]
            assert gradients[k][place] == pytest.approx((above - below) / 2e-5, abs=1e-8)


def test_input_gradients_of_one_step_and_of_all():
    steps = np.cumsum(X[:, :, 0], axis=1)
    model = regressor(return_sequences=True).fit(X, steps)
    by_step = [model.input_gradients(X, step=t) for t in range(6)]
    np.testing.assert_allclose(model.input_gradients(X), np.sum(by_step, axis=0), atol=1e-12)
    np.testing.assert_array_equal(model.input_gradients(X, step=-2), by_step[4])
    # Nothing depends on what comes after.
    assert not by_step[2][:, 3:].any()
    assert by_step[2][:, :3].all()
    with pytest.raises(ValueError, match="step=6 is outside of sample 0, which has 6"):
        model.input_gradients(X, step=6)


def test_input_gradients_of_many_sequences_and_of_tokens():
    model = regressor().fit(X, Y)
    many = np.concatenate([X] * 30)  # several blocks
    np.testing.assert_allclose(
        model.input_gradients(many)[-20:], model.input_gradients(X), atol=1e-12
    )
    tokens = regressor(embedding_dim=3).fit(TOKENS, Y)
    assert tokens.input_gradients(TOKENS).shape == (20, 6, 3)


def test_input_gradients_of_padded_sequences():
    padded = np.where((np.arange(6) < LENGTHS[:, None])[:, :, None], X, np.nan)
    model = regressor().fit(RAGGED, Y)
    ragged = model.input_gradients(RAGGED)
    gradients = model.input_gradients(padded)
    np.testing.assert_array_equal(np.isnan(gradients), np.isnan(padded))
    for k, expected in enumerate(ragged):
        np.testing.assert_allclose(gradients[k, : LENGTHS[k]], expected, atol=1e-12)


def test_bad_questions():
    model = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="output=1 must be an int from 0 to 0"):
        model.input_gradients(X, output=1)
    with pytest.raises(ValueError, match="without return_sequences=True"):
        model.input_gradients(X, step=0)
    with pytest.raises(ValueError, match="step=0.5 must be an int"):
        model.input_gradients(X, step=0.5)


# Pictures


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_loss_curves(plt):
    model = regressor().fit(X, Y)
    display = LossCurveDisplay.from_estimator(model, color="k")
    np.testing.assert_array_equal(display.line_.get_ydata(), model.loss_curve_)
    assert display.line_.get_color() == "k"
    assert display.score_line_ is None
    model.fit(X, Y, X_val=X, y_val=Y)
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.score_line_.get_ydata(), model.validation_scores_)


def test_gates(plt):
    model = regressor(bidirectional=True).fit(X, Y)
    display = GateDisplay.from_estimator(model, X[0], layer=1, reverse=True)
    values = model.gate_values(X[:1])
    for image, name in zip(display.images_, "ifgoch", strict=True):
        np.testing.assert_array_equal(
            image.get_array(), values[f"layers.1.reverse.{name}"][0].T
        )
    with pytest.raises(ValueError, match="There is no 'layers.2'; the model has"):
        GateDisplay.from_estimator(model, X[0], layer=2)
