"""Gate values and derivatives with respect to the inputs."""

import numpy as np
import pytest

from cylstm import LSTMRegressor

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


@pytest.mark.parametrize("cell", ["gru", "gru_v1"])
def test_gate_values_of_a_gru_hang_together(cell):
    model = regressor(cell=cell).fit(X, Y)
    values = model.gate_values(X)
    assert set(values) == {f"layers.{k}.{name}" for k in (0, 1) for name in "rznh"}
    r, z, n, h = (values[f"layers.1.{name}"] for name in "rznh")
    before = np.concatenate([np.zeros((20, 1, 4)), h[:, :-1]], axis=1)
    np.testing.assert_allclose(h, (1 - z) * n + z * before, atol=1e-12)
    x = values["layers.0.h"] @ model.weights_["layers.1.weight_ih"].T
    z_n = (x + model.weights_["layers.1.bias"])[:, :, 8:]
    U = model.weights_["layers.1.weight_hh"][8:]
    if cell == "gru":
        expected = np.tanh(z_n + r * (before @ U.T + model.weights_["layers.1.bias_hn"]))
    else:
        expected = np.tanh(z_n + (r * before) @ U.T)
    np.testing.assert_allclose(n, expected, atol=1e-12)


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
    with pytest.raises(ValueError, match="step=6 is outside sample 0, which has 6"):
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
