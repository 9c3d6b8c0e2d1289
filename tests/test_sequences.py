"""Every accepted form of X, and the errors for other input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cylstm import _sequences
from cylstm._checks import warn_of_size
from cylstm._sequences import (
    blocks_of_steps,
    check_same_names,
    columns_to_sequences,
    flatten_steps,
    form_of,
    ragged_to_sequences,
    steps_to_sequences,
    tokens_to_sequences,
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
        ([np.zeros(2), np.zeros(3)], "ragged"),
        (pd.Series([np.zeros(2), np.zeros(3)]), "ragged"),
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


def test_a_file_is_read_without_a_copy(tmp_path):
    X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for sequences in (
        steps_to_sequences(mapped, "float32"),
        columns_to_sequences(mapped[0], 1),
    ):
        assert np.shares_memory(sequences.values, mapped)


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


@pytest.mark.parametrize("order", ["C", "F"])
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), n=st.integers(1, 4))
def test_any_ragged_list_comes_back_as_it_was(order, lengths, n):
    rng = np.random.default_rng(0)
    X = [np.asarray(rng.normal(size=(T, n)), order=order) for T in lengths]
    sequences = ragged_to_sequences(X, "float64")
    assert sequences.values.flags.c_contiguous
    assert as_lists(sequences) == [x.tolist() for x in X]
    rows, counts, rebuild = flatten_steps(X)
    assert counts.tolist() == lengths
    assert [x.tolist() for x in rebuild(rows)] == [x.tolist() for x in X]


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
        (np.nan, r"contains NaN.*SequenceImputer.*sample 1 at step 0"),
        (np.inf, r"contains infinity.*sample 1 at step 0"),
        (1e60, r"too large for float32.*sample 1 at step 0"),
    ],
)
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers_are_finite(dtype):
    X = np.full((2, 3, 2), np.finfo(dtype).max)
    assert as_lists(steps_to_sequences(X, dtype)) == X.tolist()


# Of 12 numbers each: less than a sequence, one, two, and all.
@pytest.mark.parametrize("block", [1, 12, 30, 1000])
def test_padding_is_found_some_sequences_at_a_time(block, monkeypatch):
    monkeypatch.setattr(_sequences, "BLOCK", block)
    lengths = np.array([4, 1, 3, 4, 2])
    X = np.ones((5, 4, 3))
    X[np.arange(4) >= lengths[:, None]] = np.nan
    assert steps_to_sequences(X, "float64").lengths.tolist() == lengths.tolist()
    X[2:, 0, 1] = np.inf
    with pytest.raises(ValueError, match="infinity.*sample 2 at step 0"):
        steps_to_sequences(X, "float64")
    X[4] = np.nan
    with pytest.raises(ValueError, match=r"X\[4\] has length 0"):
        steps_to_sequences(X, "float64")


@pytest.mark.parametrize("block", [1, 12, 20, 1000])
def test_blocks_have_all_real_steps_once(block, monkeypatch):
    monkeypatch.setattr(_sequences, "BLOCK", block)
    X = np.arange(60.0).reshape(5, 4, 3)
    whole = steps_to_sequences(X, "float64")
    padded = X.copy()
    padded[[0, 3], 1:] = np.nan
    for sequences in (
        whole,
        whole.take([3, 0, 4]),
        steps_to_sequences(padded, "float64"),
        ragged_to_sequences([X[0], X[1, :1], X[2]], "float64"),
    ):
        blocks = list(blocks_of_steps(sequences))
        assert max(map(len, blocks)) <= max(1, block // 3)
        expected = sequences.values[np.sort(sequences.real_rows())]
        np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert all(np.shares_memory(steps, whole.values) for steps in blocks_of_steps(whole))


@pytest.mark.parametrize("sample", range(5))
def test_the_size_of_features_is_that_of_all_blocks(sample, monkeypatch, recwarn):
    monkeypatch.setattr(_sequences, "BLOCK", 12)
    X = np.zeros((5, 4, 3))
    X[sample] = 25  # a root mean square of 11.2
    with pytest.warns(UserWarning, match="are large.* of 11.2") as caught:
        warn_of_size(steps_to_sequences(X, "float64"), "a scaler")
    assert caught[0].filename == __file__
    for large in (1, -1):  # one of 60 numbers, all of which are otherwise small
        X[:] = 1e-3
        X[sample, 0, 0] = large * 0.3
        warn_of_size(steps_to_sequences(X, "float64"), "a scaler")
    assert len(recwarn) == 0


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"X\[1\] has 4 features .* X\[0\] has 3"),
        ([np.zeros((2, 3)), np.zeros((0, 3))], r"X\[1\] has length 0"),
        ([np.zeros((2, 0))], r"X\[0\] has 0 features"),
        ([np.zeros((2, 3)), np.zeros(3)], r"X\[1\] has shape \(3,\).*x\[:, None\]"),
        ([np.zeros(2), np.zeros(3)], r"X\[0\] has shape \(2,\).*x\[:, None\]"),
        ([np.zeros((2, 3)), [[10**400]]], r"X\[1\] cannot be read"),
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
        (np.zeros((2, 3, 4, 5)), r"X has shape \(2, 3, 4, 5\); expected"),
        (np.ma.masked_equal(np.zeros((2, 3, 4)), 0), "MaskedArray of float64, but plain"),
        (np.zeros((2, 3, 4), "M8[s]"), "datetime64.*plain numbers are expected"),
        (np.zeros((2, 0, 3)), "at least one step"),
        (np.zeros((2, 3, 0)), "one feature"),
        (np.zeros((0, 3, 2)), "0 sample"),
        (
            np.zeros((2, 3, 2), complex),
            r"X has dtype complex128: Complex data not supported\.$",
        ),
        (np.full((2, 3, 2), "a"), "could not convert string to float"),
    ],
)
def test_bad_steps(X, message):
    with pytest.raises(ValueError, match=message):
        steps_to_sequences(X, "float32")


def frame(names, n=2):
    return pd.DataFrame(np.zeros((n, len(names))), columns=list(names))


@pytest.mark.parametrize("collection", [list, tuple, objects, pd.Series])
def test_names_shared_by_all_data_frames(collection):
    for X in (
        [frame("ab"), frame("ab", 3)],
        RAGGED,
        [x.tolist() for x in RAGGED],
        # As in scikit-learn, names are strings.
        [frame([0, 1]), frame([1, 0]), np.zeros((2, 2)), [[1, 2]]],
    ):
        assert check_same_names(collection(X)) is X[0]


@pytest.mark.parametrize("collection", [list, objects])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            [frame("ab"), frame("ab"), frame("ba")],
            r"X\[2\] has the columns \['b', 'a'\], but X\[0\] has \['a', 'b'\]: all sequences",
        ),
        (
            [frame("abc"), frame("adc")],
            r"X\[1\] has other .*: only X\[1\] has \['d'\], only X\[0\] has \['b'\]\. All",
        ),
        (
            [frame("ab"), frame("a")],
            r"X\[1\] has other .* X\[0\]: only X\[0\] has \['b'\]\. All",
        ),
        (
            [frame("ab"), np.zeros((2, 2))],
            r"X\[1\] has no column names, but X\[0\] has \['a', 'b'\]: .* not both",
        ),
        (
            [frame([0, 1]), [[1, 2]], frame("ab")],
            r"X\[0\] has no column names, but X\[2\] has \['a', 'b'\]: .* not both",
        ),
    ],
)
def test_names_that_differ(X, message, collection):
    with pytest.raises(ValueError, match=message):
        check_same_names(collection(X))


def test_tokens():
    table = tokens_to_sequences(np.array([[1, 2], [0, 3]], dtype=np.int8), 4)
    assert table.tokens.tolist() == [1, 2, 0, 3]
    assert table.lengths.tolist() == [2, 2]
    ragged = tokens_to_sequences([[1], np.array([2, 3], dtype=np.uint16)], 4)
    assert ragged.tokens.tolist() == [1, 2, 3]
    assert ragged.lengths.tolist() == [1, 2]
    assert tokens_to_sequences([[7]], None).tokens.tolist() == [7]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1], [0, 4]], "token 4 in sample 1 at step 1, but vocabulary_size=4"),
        ([[1], [-1]], "token -1 in sample 1 at step 0"),
        (np.array([[0, 9]]), "token 9 in sample 0 at step 1"),
        ([[1.5]], r"X\[0\] has dtype float64, but with embedding_dim"),
        ([["word"]], r"X\[0\] has dtype <U4, but with embedding_dim"),
        ([[1], []], r"X\[1\] has length 0"),
        ([], "X is empty"),
        (np.zeros((2, 0), int), "at least one sequence of one step"),
        (np.zeros((2, 3, 1), int), r"X has shape \(2, 3, 1\)"),
        ([[[1]]], r"X\[0\] has shape \(1, 1\)"),
    ],
)
def test_bad_tokens(X, message):
    with pytest.raises(ValueError, match=message):
        tokens_to_sequences(X, 4)


def test_steps_are_chosen_put_in_rows_and_taken_out():
    X = np.zeros((2, 3, 1))
    X[1, 1:] = np.nan
    sequences = steps_to_sequences(X, "float64")
    assert sequences.real_rows().tolist() == [0, 1, 2, 3]
    y = np.array([[1, 2, 3], [4, 0, 0]])
    assert sequences.gather_steps(y, "y").tolist() == [1, 2, 3, 4]
    assert sequences.gather_steps([[1, 2, 3], [4]], "y").tolist() == [1, 2, 3, 4]
    assert sequences.spread_steps(np.array([1, 2, 3, 4])).tolist() == [1, 2, 3, 4, 0, 0]
    np.testing.assert_array_equal(
        sequences.shape_steps(np.array([1, 2, 3, 4])), [[1, 2, 3], [4, np.nan, np.nan]]
    )
    words = sequences.shape_steps(np.array(["a", "b", "c", "d"]))
    assert words.tolist() == [["a", "b", "c"], ["d", None, None]]
    with pytest.raises(ValueError, match=r"y\[1\] has shape \(2,\), but X\[1\] has 1 steps"):
        sequences.gather_steps([[1, 2, 3], [4, 5]], "y")


def test_flattened_steps_are_put_back():
    X = np.arange(24.0).reshape(2, 4, 3)
    X[0, 3] = np.nan
    rows, lengths, rebuild = flatten_steps(X)
    assert rows.tolist() == [*X[0, :3].tolist(), *X[1].tolist()]
    assert lengths.tolist() == [3, 4]
    np.testing.assert_array_equal(rebuild(rows), X)
