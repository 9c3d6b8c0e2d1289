"""Gate values and derivatives with respect to the inputs."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cylstm import LSTMClassifier, LSTMRegressor
from cylstm.inspection import permutation_importance
from cylstm.preprocessing import StepwiseTransformer

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


FORMS = {"3-D": X, "ragged": RAGGED, "tokens": TOKENS}


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "pooling": "attention"}])
@pytest.mark.parametrize("form", FORMS)
def test_integrated_gradients_add_up_to_the_change_of_the_score(form, settings):
    data = FORMS[form]
    if form == "tokens":
        settings = {**settings, "embedding_dim": 4}
    model = regressor(learning_rate_init=0.1, **settings).fit(data, 10 * Y + 3)
    parts = model.integrated_gradients(data, n_steps=128)
    baseline = 0.5 if form != "tokens" else model.weights_["embedding.weight"][2].copy()
    shifted = model.integrated_gradients(data, baseline, n_steps=128)
    for k, x in enumerate(data):
        if form == "tokens":
            assert parts[k].shape == (6, 4)
            # A token whose vector is the baseline adds nothing.
            assert (shifted[k][x == 2] == 0).all()
            change = model.predict([x]) - model.predict([np.full(len(x), 2)])
            assert shifted[k].sum() == pytest.approx(change[0], abs=1e-7)
            continue
        assert parts[k].shape == x.shape
        for attributions, start in ((parts[k], 0.0), (shifted[k], 0.5)):
            change = model.predict([x]) - model.predict([np.full_like(x, start)])
            assert attributions.sum() == pytest.approx(change[0], abs=1e-7)


def test_integrated_gradients_of_padding_and_classes():
    padded = X.copy()
    padded[0, 4:] = np.nan
    labels = np.digitize(Y, [-1, 1])
    model = LSTMClassifier(4, max_iter=3, random_state=0, dtype="float64").fit(padded, labels)
    parts = model.integrated_gradients(padded, output=2, n_steps=16)
    assert np.isnan(parts[0, 4:]).all()
    zeros = np.where(np.isnan(padded), np.nan, 0)
    change = (model.decision_function(padded) - model.decision_function(zeros))[:, 2]
    np.testing.assert_allclose(np.nansum(parts, axis=(1, 2)), change, atol=1e-9)


def test_integrated_gradients_warn_where_they_miss_the_change():
    model = regressor(layer_norm=True).fit(X, Y)
    with pytest.warns(UserWarning, match="miss the change of its score by up to"):
        model.integrated_gradients(X)


def test_integrated_gradients_of_a_step():
    model = regressor(return_sequences=True).fit(X, X[:, :, 0])
    parts = model.integrated_gradients(X, step=2)
    assert (parts[:, 3:] == 0).all()
    change = model.predict(X)[:, 2] - model.predict(np.zeros_like(X))[:, 2]
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), change, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_steps": 0}, "n_steps=0 must be an int from 1 to 1000"),
        ({"n_steps": 10**7}, "n_steps=10000000 must be an int from 1 to 1000"),
        ({"n_steps": 2.5}, "n_steps=2.5 must be an int"),
        ({"baseline": [1, 2]}, r"baseline=\[1, 2\] must be a number, or 3 of them"),
        ({"baseline": "zero"}, "must be a number"),
        ({"baseline": np.nan}, "must be finite"),
        ({"baseline": np.inf}, "must be finite in dtype='float64'"),
    ],
)
def test_bad_integrated_gradients(arguments, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y).integrated_gradients(X, **arguments)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("by", ["feature", "step"])
def test_permutation_importance_finds_what_matters(by, ragged):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 6, 3))
    y = X[:, 2, 1].copy()
    if ragged:
        X = [x[:n] for x, n in zip(X, rng.integers(3, 7, size=200), strict=True)]
    model = make_pipeline(
        StepwiseTransformer(StandardScaler()),
        LSTMRegressor(16, learning_rate_init=0.02, random_state=0, max_iter=60),
    ).fit(X, y)
    result = permutation_importance(model, X, y, by=by, random_state=0, n_repeats=3)
    expected = {"feature": 1, "step": 2}[by]
    assert result.importances.shape == ({"feature": 3, "step": 6}[by], 3)
    assert result.importances_mean.argmax() == expected
    assert result.importances_mean[expected] > 0.5
    np.testing.assert_array_equal(
        result.importances,
        permutation_importance(model, X, y, by=by, random_state=0, n_repeats=3).importances,
    )


class Sums:
    """Scores how much each step has of what it had: nothing else of an estimator is needed."""

    def fit(self, X, y):
        return self

    def score(self, X, y, sample_weight=None):
        self.seen = [np.array(x) for x in X]
        return 0.0


class FramesSeen(Sums):
    def score(self, X, y, sample_weight=None):
        self.frames = X
        return super().score(X, y, sample_weight)


def test_permutations_keep_lengths_padding_and_values():
    padded = X.copy()
    for row, n in zip(padded, LENGTHS, strict=True):
        row[n:] = np.nan
    model = Sums()
    permutation_importance(model, padded, Y, by="step", random_state=0, n_repeats=1)
    last = np.array(model.seen)  # with step 5 permuted
    np.testing.assert_array_equal(np.isnan(last), np.isnan(padded))
    np.testing.assert_array_equal(last[:, :5], padded[:, :5])
    assert sorted(last[LENGTHS == 6, 5, 0]) == sorted(padded[LENGTHS == 6, 5, 0])
    permutation_importance(model, RAGGED, Y, random_state=0, n_repeats=1)
    for k, x in enumerate(model.seen):  # with feature 2 from others
        np.testing.assert_array_equal(x[:, :2], RAGGED[k][:, :2])
        donors = [np.resize(other[:, 2], len(x)) for other in RAGGED]
        assert any((donor == x[:, 2]).all() for donor in donors)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_permutations_of_data_frames_keep_names(library):
    library = pytest.importorskip(library)
    square = [x[:2, :2] for x in X[:4]]  # whose rows and columns the shape does not tell
    frames = [library.DataFrame(dict(zip("ab", x.T, strict=True))) for x in square]
    model, same = FramesSeen(), Sums()
    for by in ("feature", "step"):
        for estimator, sequences in ((model, frames), (same, square)):
            permutation_importance(
                estimator, sequences, Y[:4], by=by, random_state=0, n_repeats=1
            )
        assert {type(x) for x in model.frames} == {library.DataFrame}
        assert {tuple(x.columns) for x in model.frames} == {("a", "b")}
        np.testing.assert_array_equal(model.seen, same.seen)


def test_permutations_of_mixed_dtypes_and_gaps():
    model = Sums()
    mixed = [np.arange(4).reshape(2, 2), np.full((2, 2), 0.5)]
    permutation_importance(model, mixed, Y, by="step", random_state=1, n_repeats=1)
    assert {x.dtype for x in model.seen} == {np.dtype(float)}
    assert sorted(x[1, 0] for x in model.seen) in ([0.5, 2.0], [0.5, 2.0])
    gaps = np.full((20, 6, 3), np.nan)
    gaps[:, :5] = 0
    gaps[np.arange(20), 5, np.arange(20) % 3] = 1
    for by in ("feature", "step"):
        permutation_importance(model, gaps, Y, by=by, random_state=0, n_repeats=1)
        assert not np.isnan(np.array(model.seen)[:, -1]).all(axis=1).any()


@pytest.mark.parametrize(
    ("X", "arguments", "message"),
    [
        (X, {"by": "unit"}, "by='unit' must be one of"),
        (X, {"by": ["feature"]}, "must be one of"),
        (X, {"scoring": ["r2"]}, "must be a str, a callable or None"),
        (X[:0], {}, r"X has shape \(0, 6, 3\); expected numbers"),
        ([[1, 2], [3]], {}, r"X has steps of shapes \[\(\)\]; expected"),
        (None, {}, "X is None; expected"),
        (X, {"n_repeats": 0}, "n_repeats=0 must be an int of at least 1"),
        (X[:, :, 0], {}, r"X has shape \(20, 6\); expected numbers of shape \(n_samples"),
        (X[:1], {}, "X has 1 sequence; at least 2"),
        ([X[0], X[1, :, :2]], {}, r"steps of shapes \[\(2,\), \(3,\)\]"),
    ],
)
def test_bad_permutation_importance(X, arguments, message):
    with pytest.raises(ValueError, match=message):
        permutation_importance(Sums(), X, Y, **arguments)
