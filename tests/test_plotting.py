"""Displays."""

import re

import numpy as np
import pytest

from cylstm import LSTMRegressor, _plan
from cylstm.plotting import AttentionDisplay, GateDisplay, LossCurveDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 3))
Y = X[:, :, 0].sum(axis=1)


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


@pytest.mark.parametrize("cell", _plan.CELLS)
def test_gates(cell, plt):
    model = regressor(cell=cell, bidirectional=True).fit(X, Y)
    display = GateDisplay.from_estimator(model, X[0], layer=1, reverse=True)
    values = model.gate_values(X[:1])
    names = "rznh" if cell in ("gru", "gru_v1") else "ifgoch"
    for image, name in zip(display.images_, names, strict=True):
        np.testing.assert_array_equal(
            image.get_array(), values[f"layers.1.reverse.{name}"][0].T
        )
    with pytest.raises(ValueError, match="There is no 'layers.2'; the model has"):
        GateDisplay.from_estimator(model, X[0], layer=2)


def test_attention(plt):
    model = regressor(pooling="attention").fit(X, Y)
    _, ax = plt.subplots()
    display = AttentionDisplay.from_estimator(model, X[:3], ax=ax, cmap="Greys")
    assert display.ax_ is ax
    assert display.image_.get_cmap().name == "Greys"
    np.testing.assert_array_equal(display.image_.get_array(), model.attention_weights(X[:3]))
    assert display.texts_ == []


def test_attention_on_ragged_sequences(plt):
    model = regressor(pooling="attention").fit(X, Y)
    words = [["a", "b"], ["c", "d", "e"]]
    display = AttentionDisplay.from_estimator(model, [X[0, :2], X[1, :3]], labels=words)
    drawn = display.image_.get_array()
    assert drawn.shape == (2, 3)
    assert np.ma.getmaskarray(drawn).tolist() == [[False, False, True], [False] * 3]
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert [text.get_text() for text in display.texts_] == list("abcde")
    assert display.texts_[4].get_position() == (2, 1)


def test_attention_on_padded_sequences(plt):
    model = regressor(pooling="attention").fit(X, Y)
    padded = X[:2].copy()
    padded[0, 3:] = np.nan
    display = AttentionDisplay.from_estimator(
        model, padded, labels=["abc", ["$x$", "", "", "", "", "$\\frac$"]], vmax=10
    )
    assert len(display.texts_) == 3 + 6
    assert {text.get_color() for text in display.texts_} == {"black"}
    display.figure_.canvas.draw()  # words are no formulas


def test_bad_attention(plt):
    with pytest.raises(ValueError, match="pooling"):
        AttentionDisplay.from_estimator(regressor().fit(X, Y), X)
    weights = np.full((2, 4), 0.25)
    message = "labels[1] has 3 words, but the sequence has 4 steps"
    with pytest.raises(ValueError, match=re.escape(message)):
        AttentionDisplay(weights=weights, labels=["abcd", "abc"]).plot()
    message = "labels has 1 lists of words, but there are 2 sequences"
    with pytest.raises(ValueError, match=message):
        AttentionDisplay(weights=weights, labels=["abcd"]).plot()
    with pytest.raises(ValueError, match=re.escape("labels[0] is of type int")):
        AttentionDisplay(weights=weights, labels=[3, 4]).plot()
    with pytest.raises(ValueError, match=re.escape("weights[0] is NaN at every step")):
        AttentionDisplay(weights=[[np.nan, np.nan]]).plot()
    with pytest.raises(ValueError, match="weights is empty"):
        AttentionDisplay(weights=[]).plot()
    with pytest.raises(ValueError, match=re.escape("weights[0] has shape (4, 2)")):
        AttentionDisplay(weights=np.ones((2, 4, 2))).plot()
