"""Displays."""

import numpy as np
import pytest

from cylstm import LSTMRegressor
from cylstm.plotting import GateDisplay, LossCurveDisplay

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
