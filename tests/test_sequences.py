"""Every accepted form of X, and what is said of the others."""

import numpy as np
import pandas as pd
import pytest

from cylstm._sequences import (
    columns_to_sequences,
    flatten_steps,
    form_of,
    ragged_to_sequences,
    steps_to_sequences,
)


def as_lists(sequences):
    return [
        sequences.values[a : a + n].tolist()
        for a, n in zip(sequences.starts, sequences.lengths, strict=True)
    ]


def objects(arrays):
    out = np.empty(len(arrays), dtype=object)
    out[:] = arrays
    return out


RAGGED = [np.ones((2, 3)), np.zeros((4, 3))]


@pytest.mark.parametrize(
    ("X", "form"),
    [
        (np.zeros((2, 3)), "columns"),
        (np.zeros((2, 3, 4)), "steps"),
        (pd.DataFrame(np.zeros((2, 3))), "columns"),
        ([[1.0, 2.0], [3.0, 4.0]], "columns"),
        (RAGGED, "ragged"),
        (tuple(RAGGED), "ragged"),
        (objects(RAGGED), "ragged"),
        (pd.Series(RAGGED), "ragged"),
        ([[[1.0], [2.0]], [[3.0]]], "ragged"),
        ([], "columns"),
        (np.zeros(3), "columns"),
    ],
)
def test_form(X, form):
    assert form_of(X) == form


def test_equal_lengths_are_read_without_a_copy():
    X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    sequences = steps_to_sequences(X, "float32")
    assert np.shares_memory(sequences.values, X)
    assert as_lists(sequences) == X.tolist()


def test_trailing_steps_of_nan_are_padding():
    X = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    X[1, 2:] = np.nan
    sequences = steps_to_sequences(X, "float32")
    assert as_lists(sequences) == [X[0].tolist(), X[1, :2].tolist()]


@pytest.mark.parametrize(
    "X",
    [RAGGED, tuple(RAGGED), objects(RAGGED), pd.Series(RAGGED)],
    ids=["list", "tuple", "object array", "Series"],
)
def test_ragged(X):
    assert as_lists(ragged_to_sequences(X, "float64")) == [x.tolist() for x in RAGGED]


def test_columns_are_read_step_by_step():
    X = np.arange(12.0).reshape(2, 6)
    assert as_lists(columns_to_sequences(X, 2)) == X.reshape(2, 3, 2).tolist()


def test_columns_must_make_whole_steps():
    with pytest.raises(ValueError, match="6 columns, which is not a multiple of n_step_f"):
        columns_to_sequences(np.zeros((2, 6)), 4)


def with_value(value, sample=1, step=0):
    X = np.zeros((2, 3, 2))
    X[sample, step, 1] = value
    return X


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"contains NaN.*SimpleImputer.*sample 1 at step 0"),
        (np.inf, r"contains infinity.*sample 1 at step 0"),
        (1e60, r"too large for float32.*sample 1 at step 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_values_that_are_not_finite(value, message, ragged):
    X = with_value(value)
    with pytest.raises(ValueError, match=message):
        if ragged:
            ragged_to_sequences(list(X), "float32")
        else:
            steps_to_sequences(X, "float32")


def test_nan_inside_a_padded_sequence():
    X = with_value(np.nan, sample=0, step=1)
    X[0, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN.*sample 0 at step 1"):
        steps_to_sequences(X, "float32")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"X\[1\] has 4 features .* X\[0\] has 3"),
        ([np.zeros((2, 3)), np.zeros((0, 3))], r"X\[1\] has length 0"),
        ([np.zeros((2, 0))], r"X\[0\] has 0 features"),
        ([np.zeros((2, 3)), np.zeros(3)], r"X\[1\] has shape \(3,\).*x\[:, None\]"),
        ([np.zeros((2, 3)), "abc"], r"X\[1\] has dtype <U3: not numbers"),
        ([np.zeros((2, 3)), [["a", None]]], r"X\[1\] cannot be read"),
        ([np.zeros((2, 3)), None], r"X\[1\] cannot be read|X\[1\] has shape"),
        ([np.zeros((2, 3), complex)], r"Complex data not supported"),
    ],
)
def test_bad_ragged(X, message):
    with pytest.raises(ValueError, match=message):
        ragged_to_sequences(X, "float32")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((2, 3, 1), np.nan), r"X\[0\] has length 0"),
        (np.zeros((2, 0, 3)), "at least one step"),
        (np.zeros((2, 3, 0)), "one feature"),
        (np.zeros((0, 3, 2)), "0 sample"),
        (np.zeros((2, 3, 2), complex), "Complex data not supported"),
        (np.full((2, 3, 2), "a"), "could not convert string to float"),
    ],
)
def test_bad_steps(X, message):
    with pytest.raises(ValueError, match=message):
        steps_to_sequences(X, "float32")


def test_flattened_steps_are_put_back():
    X = np.arange(24.0).reshape(2, 4, 3)
    X[0, 3] = np.nan
    rows, lengths, rebuild = flatten_steps(X)
    assert rows.tolist() == [*X[0, :3].tolist(), *X[1].tolist()]
    assert lengths.tolist() == [3, 4]
    np.testing.assert_array_equal(rebuild(rows), X)
