"""Fits that are interrupted, fail, start afresh or report their progress."""

import re

import numpy as np
import pytest
from example_sequences import SMALL, N, X, Y, regressor, weights_of

from cylstm import LSTMRegressor
from cylstm._base import duration


def test_fit_starts_afresh_without_warm_start():
    model = regressor().fit(X, Y)
    before = weights_of(model)
    assert weights_of(model.fit(X, Y)) == before
    assert model.n_iter_ == 3


def test_a_non_finite_loss_restores_the_last_finite_weights():
    model = regressor(dtype="float64", clip_norm=None, max_iter=2).fit(X, Y)
    good = weights_of(model)
    model.set_params(warm_start=True, solver="sgd", learning_rate_init=1e300)
    with pytest.raises(ValueError, match=r"NaN or infinite in epoch 3. Try a smaller learn"):
        model.fit(X, Y)
    assert weights_of(model) == good
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()


class Interrupting(LSTMRegressor):
    """Is interrupted by Ctrl-C in its third epoch."""

    def _report(self, *args):
        if len(self._history.loss_curve) == 3:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_weights_reached():
    model = Interrupting(**SMALL | {"max_iter": 10})
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        model.fit(X, Y)
    assert weights_of(model) == weights_of(regressor(max_iter=3).fit(X, Y))
    assert model.n_iter_ == 3


def test_verbose_prints_every_so_many_epochs(capsys):
    regressor(max_iter=5, verbose=2).fit(X, Y, X_val=X, y_val=Y)
    lines = capsys.readouterr().out.splitlines()
    number, unit = r"[\d.]+", "(ms|s|min|h)"
    left = f", {number} {unit} left"
    for line, epoch, end in zip(lines, [2, 4, 5], [left, left, ""], strict=True):
        assert re.fullmatch(
            f"Epoch {epoch} of 5, loss = {number}, validation score = -?{number}, "
            f"{number} {unit}{end}",
            line,
        )


def test_epochs_are_counted_over_all_calls(capsys):
    model = regressor(max_iter=2, verbose=1, warm_start=True).fit(X, Y).fit(X, Y)
    model.partial_fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    starts = ["Epoch 1 of 2", "Epoch 2 of 2", "Epoch 3 of 4", "Epoch 4 of 4", "Epoch 5"]
    assert [line.split(",")[0] for line in lines] == starts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (9.96, "10.0 s"), (75, "1 min 15 s"), (7260.4, "2 h 1 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_history():
    model = regressor(max_iter=4, learning_rate="cosine", learning_rate_init=0.1).fit(X, Y)
    history = model.history_
    assert [*history] == ["loss", "learning_rate", "seconds"]
    assert history["loss"] == model.loss_curve_
    np.testing.assert_allclose(
        history["learning_rate"], 0.05 * (1 + np.cos(np.pi * np.arange(4) / 4))
    )
    assert len(history["seconds"]) == 4
    assert min(history["seconds"]) > 0
    model.fit(X, Y, X_val=X, y_val=Y)
    assert model.history_["validation_score"] == model.validation_scores_
    model.set_params(warm_start=True, learning_rate_init=0.01).fit(X, Y)
    scores = model.history_["validation_score"]
    assert scores[:4] == model.validation_scores_
    assert np.isnan(scores[4:]).all()
    assert {len(curve) for curve in model.history_.values()} == {8}


def test_changing_the_losses_read_does_not_change_the_model():
    model = regressor().fit(X, Y, X_val=X, y_val=Y)
    losses, scores = model.loss_curve_, model.validation_scores_
    model.loss_curve_.append(0)
    model.validation_scores_.append(0)
    assert (model.loss_curve_, model.validation_scores_) == (losses, scores)
    assert (model.loss_, model.best_validation_score_) == (losses[-1], max(scores))
    assert not hasattr(regressor(), "loss_curve_")


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_features_of_unusual_size_give_one_warning(factor):
    scales = np.array([0.1, 1, 0.2]) * factor
    ragged = [x[: 1 + k % 4] * scales for k, x in enumerate(X)]
    padded = X * scales
    padded[0, 2:] = np.nan
    for data in (X * scales, padded, ragged):
        with pytest.warns(UserWarning, match="feature 1, the largest, has a root") as caught:
            regressor().fit(data, Y)
        assert len(caught) == 1
        assert "StepwiseTransformer(StandardScaler())" in str(caught[0].message)
    with pytest.warns(UserWarning, match="with StandardScaler"):
        regressor().fit((X * scales).reshape(N, -1), Y)
    regressor(layer_norm=True).fit(X * scales, Y)
    model = regressor(max_iter=1).fit(X, Y)
    model.partial_fit(X * scales, Y)  # the first fit has decided
    model.predict(X * scales)


def test_features_of_usual_size_give_no_warning():
    regressor(max_iter=1).fit(X * [5, 1, 0], Y)
    regressor(max_iter=1).fit(np.zeros_like(X), Y)
    regressor(max_iter=1).fit(np.eye(500)[np.arange(N * 4).reshape(N, 4)], Y)


@pytest.mark.parametrize(("n", "batch_size"), [(5, 5), (60, 8), (200, 20), (400, 32)])
def test_automatic_batches(n, batch_size):
    many, y = np.resize(X, (n, *X.shape[1:])), np.resize(Y, n)
    expected = regressor(batch_size=batch_size, max_iter=1).fit(many, y)
    assert weights_of(regressor(batch_size="auto", max_iter=1).fit(many, y)) == weights_of(
        expected
    )


def test_units_start_with_memories_up_to_the_median_length():
    lengths = [3] * 20 + [21] * 21 + [90] * 19
    ragged = [np.resize(X[k], (n, X.shape[2])) for k, n in enumerate(lengths)]
    model = regressor(hidden_layer_sizes=300, max_iter=1, learning_rate_init=1e-12)
    i, f, g, o = np.split(model.fit(ragged, Y).weights_["layers.0.bias"], 4)
    np.testing.assert_allclose(np.sort(np.exp(f)), np.linspace(1, 20, 300), atol=2)
    np.testing.assert_allclose(i, -f, atol=1e-6)
    assert np.abs([g, o]).max() < 1e-6
