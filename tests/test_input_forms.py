"""Forms of X: all are read alike, and none is written to."""

import warnings

import numpy as np
import pandas as pd
import pytest
from example_sequences import (
    LABELS,
    PADDED,
    RAGGED,
    RNG,
    Y_RAGGED,
    F,
    N,
    T,
    X,
    Y,
    classifier,
    regressor,
    weights_of,
)
from sklearn.exceptions import DataConversionWarning


def test_padding_ragged_lists_and_single_sequences_agree():
    model = regressor(dtype="float64").fit(RAGGED, Y_RAGGED)
    together = model.predict(RAGGED)
    np.testing.assert_array_equal(together, model.predict(PADDED))
    alone = np.concatenate([model.predict([x]) for x in RAGGED])
    # BLAS may sum a product of one row in a different order.
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-14)
    assert weights_of(regressor(dtype="float64").fit(PADDED, Y_RAGGED)) == weights_of(model)


def test_order_of_ragged_sequences_is_kept():
    model = regressor().fit(RAGGED, Y_RAGGED)
    order = RNG.permutation(N)
    np.testing.assert_allclose(
        model.predict([RAGGED[k] for k in order]),
        model.predict(RAGGED)[order],
        rtol=0,
        atol=1e-6,
    )


def test_columns_are_steps():
    model = regressor(n_step_features=F).fit(X.reshape(N, T * F), Y)
    assert model.n_features_in_ == T * F
    same = regressor().fit(X, Y)
    assert same.n_features_in_ == F
    assert weights_of(model) == weights_of(same)
    np.testing.assert_array_equal(model.predict(X), same.predict(X))
    # Conversely, a single sequence would be taken for many.
    with pytest.raises(ValueError, match=r"X has shape \(7, 3\), but .*X = \[x\]"):
        same.predict(X[0])


@pytest.mark.parametrize("make", [classifier, regressor])
def test_the_warning_of_size_is_of_the_line_that_fits(make):
    y = LABELS if make is classifier else Y
    for method in ("fit", "partial_fit"):
        with pytest.warns(UserWarning, match="features of X are large") as caught:
            getattr(make(), method)(1000 * X, y)
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("form", [np.array, list, lambda x: x[:, :, 0]])
def test_complex_numbers(form):
    with pytest.raises(
        ValueError, match=r"has dtype complex\d+: Complex data not supported\.$"
    ):
        regressor().fit(form(X * 1j), Y)


def test_data_frames_are_checked_by_name():
    names = [f"t{k}" for k in range(T)]
    frame = pd.DataFrame(X[:, :, 0], columns=names)
    model = regressor().fit(frame, pd.Series(Y))
    assert model.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[names[::-1]])
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


NAMES = ["p", "q", "r"]
FRAMES = [pd.DataFrame(x, columns=NAMES) for x in RAGGED]
SWAPPED = [x[["q", "p", "r"]] for x in FRAMES]
RENAMED = [x.set_axis(["p", "q", "s"], axis=1) for x in FRAMES]


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("collection", [list, tuple, pd.Series])
def test_lists_of_data_frames_are_checked_by_name(make, collection):
    y = Y_RAGGED if make is regressor else LABELS
    model = make().fit(collection(FRAMES), y)
    assert model.feature_names_in_.tolist() == NAMES
    assert model.n_features_in_ == F
    assert weights_of(model) == weights_of(make().fit(RAGGED, y))
    np.testing.assert_array_equal(model.predict(FRAMES), make().fit(RAGGED, y).predict(RAGGED))
    for call in (
        model.predict,
        model.transform,
        model.gate_values,
        lambda X: model.score(X, y),
        lambda X: model.partial_fit(X, y),
        lambda X: model.set_params(warm_start=True).fit(X, y),
        lambda X: make().fit(FRAMES, y, X_val=X, y_val=y),
    ):
        with pytest.raises(ValueError, match="feature names should match.*\n.*same order"):
            call(collection(SWAPPED))
        with pytest.raises(ValueError, match="unseen at fit time:\n- s\n.*\n- r"):
            call(collection(RENAMED))
        with pytest.raises(ValueError, match=r"X\[1\] has the columns"):
            call(collection([FRAMES[0], *SWAPPED[1:]]))
        with pytest.raises(ValueError, match=r"X\[0\] has no column names, but X\[1\] has"):
            call(collection([RAGGED[0], *FRAMES[1:]]))
        call(collection(FRAMES))
    assert model.feature_names_in_.tolist() == NAMES


def test_names_in_fit_or_later_only():
    model = regressor().fit(FRAMES, Y_RAGGED)
    for nameless in (RAGGED, PADDED, [x.set_axis(range(F), axis=1) for x in FRAMES]):
        with pytest.warns(UserWarning, match="X does not have valid feature names, but LSTM"):
            model.predict(nameless)
    for nameless in (RAGGED, PADDED):
        model = regressor().fit(FRAMES, Y_RAGGED).fit(nameless, Y_RAGGED)
        assert not hasattr(model, "feature_names_in_")
        with pytest.warns(UserWarning, match="X has feature names, but LSTMRegressor was"):
            model.predict(FRAMES)


def test_a_fit_that_fails_keeps_the_names():
    model = regressor().fit(FRAMES, Y_RAGGED)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit([x * np.nan for x in RENAMED], Y_RAGGED)
    assert model.feature_names_in_.tolist() == NAMES


def test_names_of_columns_are_not_those_of_a_step():
    columns = pd.DataFrame(X[:, :, 0], columns=[f"t{k}" for k in range(T)])
    model = regressor().fit(columns, Y)
    expected = model.predict([x[:, :1] for x in RAGGED])
    np.testing.assert_array_equal(model.predict([x[["p"]] for x in FRAMES]), expected)


def test_tokens_have_no_names():
    model = regressor().fit(FRAMES, Y_RAGGED)
    model.set_params(embedding_dim=2).fit([[1, 2], [0]], [1.0, 2.0])
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    "variant",
    [
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X[::-1][::-1],
        np.lib.stride_tricks.as_strided(X, X.shape, X.strides, writeable=False),
    ],
    ids=["Fortran", "strided", "negative strides", "read-only"],
)
def test_memory_layouts(variant):
    before = variant.copy()
    assert weights_of(regressor().fit(variant, Y)) == weights_of(regressor().fit(X, Y))
    np.testing.assert_array_equal(variant, before)


def test_memory_layouts_of_ragged_sequences():
    expected = weights_of(regressor().fit(RAGGED, Y_RAGGED))
    for variant in (
        [np.asfortranarray(x) for x in RAGGED],
        [np.repeat(x, 2, axis=0)[::2] for x in RAGGED],
        [pd.DataFrame(x) for x in RAGGED],
        [x.tolist() for x in RAGGED],
    ):
        assert weights_of(regressor().fit(variant, Y_RAGGED)) == expected


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64"])
def test_number_types(dtype):
    whole = np.rint(X * 3)
    expected = weights_of(regressor().fit(whole, Y))
    assert weights_of(regressor().fit(whole.astype(dtype), Y)) == expected
    ragged = [x.astype(dtype) for x in whole]
    assert weights_of(regressor().fit(ragged, Y)) == expected


def test_memory_mapped_input(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X.astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    assert weights_of(regressor().fit(mapped, Y)) == weights_of(regressor().fit(X, Y))


def test_column_of_labels_is_flattened_with_a_warning():
    with pytest.warns(DataConversionWarning):
        model = classifier().fit(X, LABELS[:, None])
    assert weights_of(model) == weights_of(classifier().fit(X, LABELS))


def test_one_sequence_of_many_steps():
    long = np.random.default_rng(0).normal(size=(1, 100_000, 1)).astype(np.float32)
    model = regressor(hidden_layer_sizes=2, max_iter=1).fit(long, [1.0])
    assert np.isfinite(model.predict(long)).all()


def test_nothing_is_written_to_the_input():
    data, target, weights = X.copy(), Y.copy(), np.ones(N)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor().fit(data, target, weights).predict(data)
    assert data.tobytes() == X.tobytes()
    assert target.tobytes() == Y.tobytes()
