"""Every form of texts, and the numbers of their tokens."""

import numpy as np
import pandas as pd
import pytest

from cylstm._vocabulary import Vocabulary, read_texts


@pytest.mark.parametrize(
    ("X", "kind", "sequences", "single"),
    [
        ("to be", "characters", ["to be"], True),
        (["to", "be"], "characters", ["to", "be"], False),
        (("to", "be"), "characters", ["to", "be"], False),
        (np.array(["to", "be"]), "characters", ["to", "be"], False),
        (np.array(["to", "be"], dtype=object), "characters", ["to", "be"], False),
        (pd.Series(["to", "be"], index=[7, 3]), "characters", ["to", "be"], False),
        ([["to", "be"], ["or"]], "words", [["to", "be"], ["or"]], False),
        ([("to", "be"), np.array(["or"])], "words", [["to", "be"], ["or"]], False),
        (
            np.array([["to", "be"], ["or", "not"]]),
            "words",
            [["to", "be"], ["or", "not"]],
            False,
        ),
        ([3, 1, 2], "integers", [[3, 1, 2]], True),
        (np.array([3, 1, 2], dtype=np.uint8), "integers", [[3, 1, 2]], True),
        ([[3, 1], [2]], "integers", [[3, 1], [2]], False),
        ([np.array([3, 1]), [2]], "integers", [[3, 1], [2]], False),
        (np.array([[3, 1], [2, 0]]), "integers", [[3, 1], [2, 0]], False),
        (pd.Series([3, -1, 2]), "integers", [[3, -1, 2]], True),
        (np.array([3, 1], dtype=object), "integers", [[3, 1]], True),
    ],
)
def test_forms(X, kind, sequences, single):
    texts = read_texts(X)
    assert (texts.kind, texts.single) == (kind, single)
    assert len(texts.sequences) == len(sequences)
    for sequence, expected in zip(texts.sequences, sequences, strict=True):
        assert (
            type(sequence) is {"characters": str, "words": list, "integers": np.ndarray}[kind]
        )
        assert list(sequence) == list(expected)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("", "X is empty: every sequence needs at least one token"),
        ([], "X is empty; at least one sequence"),
        (np.array([], dtype=int), "X is empty"),
        (["a", ""], r"X\[1\] is empty"),
        ([["a"], []], r"X\[1\] is empty"),
        ([[1], []], r"X\[1\] is empty"),
        (["a", 1], r"X\[1\] is 1, but other elements are str"),
        ([["a"], "b"], r"X\[0\] is \['a'\], but other elements are str"),
        ([["a"], None], r"X\[1\] is None; expected a str"),
        ([["a", 1]], r"X\[0\]\[1\] is 1; the tokens of a sequence are"),
        ([["a"], [1]], r"X\[0\] holds words, but X\[1\] holds integers"),
        ([[["a"]]], r"X\[0\]\[0\] is \['a'\]"),
        ([1.5, 2.0], r"X\[0\] is 1.5; expected"),
        (["a", float("nan")], r"X\[1\] is nan, but other elements are str"),
        ([b"a"], r"X\[0\] is b'a'; expected"),
        (pd.DataFrame({"text": ["a", "b"]}), "X is a DataFrame; give one of its columns"),
        (np.array([1.5, 2.0]), r"X is an array of float64 and shape \(2,\); expected a str"),
        (np.zeros((2, 2, 2), dtype=int), r"array of int64 and shape \(2, 2, 2\)"),
        (np.array("abc"), r"shape \(\)"),
        ([True, False], r"X\[0\] is True"),
        ([2**70], "X has integers beyond 64 bits"),
        (np.array([2**63], dtype=np.uint64), "beyond 64 bits"),
        (b"bytes", "X is of type bytes; expected a str"),
        (7, "X is of type int"),
        (None, "X is None"),
        ({"a": 1}, "X is of type dict"),
    ],
)
def test_bad_texts(X, message):
    with pytest.raises(ValueError, match=message):
        read_texts(X)


def learn(X, min_count=1, max_vocabulary=None):
    return Vocabulary.learn(read_texts(X), min_count, max_vocabulary)


def test_tokens_are_numbered_in_sorted_order():
    assert learn("banana").numbers == {"a": 0, "b": 1, "n": 2}
    assert learn([["to", "be"], ["or", "not", "to", "be"]]).numbers == {
        "be": 0, "not": 1, "or": 2, "to": 3,
    }  # fmt: skip
    assert learn([30, -7, 30, 10**15]).numbers == {-7: 0, 30: 1, 10**15: 2}


@pytest.mark.parametrize(
    ("X", "unknown"),
    [("aaabbc", "\ufffd"), ([list("aaabbc")], "<unk>"), ([ord(c) for c in "aaabbc"], -1)],
    ids=["characters", "words", "integers"],
)
def test_rare_tokens_are_left_out(X, unknown):
    a, b, c = ("a", "b", "c") if unknown != -1 else (97, 98, 99)
    assert list(learn(X, min_count=2).numbers) == [a, b, unknown]
    assert list(learn(X, min_count=3).numbers) == [a, unknown]
    with pytest.raises(ValueError, match="min_count=4 leaves no token"):
        learn(X, min_count=4)
    assert list(learn(X, max_vocabulary=4).numbers) == [a, b, c]
    assert list(learn(X, max_vocabulary=3).numbers) == [a, b, c]
    # The unknown token takes a place.
    assert list(learn(X, max_vocabulary=2).numbers) == [a, unknown]
    vocabulary = learn(X, min_count=2)
    (numbers,) = vocabulary.encode(read_texts(X))
    assert numbers.tolist() == [0, 0, 0, 1, 1, 2]


def test_of_equally_frequent_tokens_the_first_are_kept():
    assert list(learn("dcba", max_vocabulary=3).numbers) == ["a", "b", "\ufffd"]


def test_unk_among_the_words_is_the_unknown_token():
    words = ["<unk>", "a", "a", "b"]
    assert list(learn([words]).numbers) == ["<unk>", "a", "b"]
    assert learn([words]).unknown == 0
    assert list(learn([words], max_vocabulary=2).numbers) == ["<unk>", "a"]
    assert learn([words]).encode(read_texts([["z", "b"]]))[0].tolist() == [0, 2]
    assert learn([["a"]]).unknown is None
    # It takes one place whether it is frequent or not.
    for n in (1, 9):
        words = [["a"] * 3 + ["b"] * 4 + ["c"] * 3 + ["<unk>"] * n]
        assert list(learn(words, 2, 2).numbers) == ["<unk>", "b"]
        assert sorted(learn(words, 2, 4).numbers) == ["<unk>", "a", "b", "c"]


@pytest.mark.parametrize(
    "X",
    [
        "h\xe9llo \U0001f600\udc80",
        ["one", "two"],
        [["to", "be"], ["be"]],
        [5, -3, 5],
        [[1], [2, 1]],
    ],
    ids=["characters", "documents", "words", "integers", "sequences of ids"],
)
def test_decode_is_the_opposite_of_encode(X):
    texts = read_texts(X)
    vocabulary = learn(X)
    for numbers, sequence in zip(vocabulary.encode(texts), texts.sequences, strict=True):
        decoded = vocabulary.decode(numbers)
        assert type(decoded) is type(sequence)
        np.testing.assert_array_equal(decoded, sequence)
    assert len(vocabulary.decode([])) == 0


def test_unknown_tokens_are_named():
    with pytest.raises(ValueError, match="X has the token 'z' at position 2, which is not in"):
        learn("abc").encode(read_texts("abz"))
    with pytest.raises(ValueError, match=r"'z' at position 0 of prompt\[1\]"):
        learn("abc").encode(read_texts(["ab", "z"]), "prompt")
    with pytest.raises(ValueError, match="token 7 at position 0"):
        learn([1, 2]).encode(read_texts([7]))
    with pytest.raises(ValueError, match="X holds words, but the model knows characters"):
        learn("abc").encode(read_texts([["a"]]))


def test_a_given_vocabulary_keeps_its_order():
    assert Vocabulary.given("cab", "characters").numbers == {"c": 0, "a": 1, "b": 2}
    assert Vocabulary.given(np.array([3, 1]), "integers").numbers == {3: 0, 1: 1}
    assert Vocabulary.given({"b": 0, "a": 1}, "characters").numbers == {"b": 0, "a": 1}
    assert list(Vocabulary.given(set("cab"), "characters").numbers) == ["a", "b", "c"]
    words = Vocabulary.given(["to", "<unk>"], "words")
    assert words.encode(read_texts([["be", "to"]]))[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("vocabulary", "kind", "message"),
    [
        ("", "characters", "at least one token"),
        ("aba", "characters", "each token only once"),
        (["ab"], "characters", "token 'ab', but the tokens of X are characters"),
        (["ab"], "integers", "token 'ab', but the tokens of X are integers"),
        ([1], "words", "token 1, but the tokens of X are words"),
        (5, "integers", "vocabulary=5 must be a collection"),
        (iter("ab"), "characters", "must be a collection"),
    ],
)
def test_bad_vocabularies(vocabulary, kind, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.given(vocabulary, kind)
