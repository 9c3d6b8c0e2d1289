"""Texts in every accepted form, and the vocabulary that numbers their tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ._arguments import shown

# Targets are numbers of the model's precision, exact in float32 up to here.
MAX_TOKENS = (1 << 24) - 1

# The unknown token: it represents tokens that a vocabulary leaves out.
UNKNOWN = {"characters": "\ufffd", "words": "<unk>", "integers": -1}

FORMS = (
    "a str (its characters are the tokens), a list of str, a list of lists of words, a 1-D "
    "array of integers or a list of such arrays"
)


@dataclass
class Texts:
    """Sequences of tokens.

    Parameters
    ----------
    kind : {"characters", "words", "integers"}
    sequences : list of str, of lists of words, or of int64 arrays
    single : bool
        Whether it was one sequence instead of a list of them.
    """

    kind: str
    sequences: list[Any]
    single: bool


def read_texts(X, name="X"):
    """Texts from any of FORMS.

    Raises
    ------
    ValueError
        If X is something else, mixes kinds of tokens, or has an empty sequence.
    """
    if isinstance(X, str):
        texts = Texts("characters", [X], True)
    else:
        X = _as_list_or_ids(X, name)
        if isinstance(X, np.ndarray):
            texts = Texts("integers", [X], True)
        elif all(isinstance(x, str) for x in X):
            texts = Texts("characters", [str(x) for x in X], False)
        else:
            texts = _read_list(X, name)
    if len(texts.sequences) == 0:
        raise ValueError(f"{name} is empty; at least one sequence is required.")
    for k, sequence in enumerate(texts.sequences):
        if len(sequence) == 0:
            raise ValueError(
                f"{name if texts.single else f'{name}[{k}]'} is empty: every sequence needs "
                "at least one token."
            )
    return texts


def _read_list(X, name):
    """A list of sequences of words or of integers."""
    sequences = []
    for k, x in enumerate(X):
        if isinstance(x, str):  # so some other element is not
            k, x = next((k, x) for k, x in enumerate(X) if not isinstance(x, str))
            raise ValueError(f"{name}[{k}] is {shown(x)}, but other elements are str.")
        if not isinstance(x, (list, tuple)) and np.ndim(x) == 0:
            raise ValueError(f"{name}[{k}] is {shown(x)}; expected {FORMS}.")
        x = _as_list_or_ids(x, f"{name}[{k}]")
        if isinstance(x, list):
            for position, word in enumerate(x):
                if not isinstance(word, str):
                    raise ValueError(
                        f"{name}[{k}][{position}] is {shown(word)}; the tokens of a sequence "
                        "are either all words (str) or all integers."
                    )
            x = [str(word) for word in x]
        sequences.append(x)
    kinds = {
        "integers" if isinstance(x, np.ndarray) else "words": k
        for k, x in enumerate(sequences)
        if len(x)
    }
    if len(kinds) > 1:
        raise ValueError(
            f"{name}[{kinds['words']}] holds words, but {name}[{kinds['integers']}] holds "
            "integers."
        )
    return Texts(next(iter(kinds), "words"), sequences, False)


def _as_list_or_ids(x, name):
    """An int64 array if x holds only integers, otherwise a list."""
    if hasattr(x, "columns"):
        raise ValueError(f"{name} is a {type(x).__name__}; give one of its columns.")
    if hasattr(x, "to_numpy"):  # a Series
        x = x.to_numpy()
    if isinstance(x, np.ndarray):
        if x.ndim == 1 and x.dtype.kind in "iu":
            return _as_ids(x, name)
        if x.ndim == 0 or x.dtype.kind not in "iuUOT" or (x.dtype.kind in "iu" and x.ndim > 2):
            raise ValueError(
                f"{name} is an array of {x.dtype} and shape {x.shape}; expected {FORMS}."
            )
        x = list(x)
    if not isinstance(x, (list, tuple)):
        what = "None" if x is None else f"of type {type(x).__name__}"
        raise ValueError(f"{name} is {what}; expected {FORMS}.")
    if len(x) and all(isinstance(k, Integral) and not isinstance(k, bool) for k in x):
        return _as_ids(x, name)
    return list(x)


def _as_ids(x, name):
    ids = np.asarray(x)
    if ids.dtype.kind not in "iu" or (ids.dtype == np.uint64 and (ids >> 63).any()):
        raise ValueError(f"{name} has integers beyond 64 bits.")
    return ids.astype(np.int64)


class Vocabulary:
    """The tokens that a model knows.

    Parameters
    ----------
    kind : {"characters", "words", "integers"}
    tokens : list
        In the order of their numbers.
    left_out : bool
        Whether there are others, which the unknown token represents.

    Attributes
    ----------
    numbers : dict of token to int
    unknown : int or None
        The number of the unknown token. Among words "<unk>" always is the unknown token.
    """

    def __init__(self, kind, tokens, left_out=False):
        self.kind = kind
        unknown = UNKNOWN[kind]
        if left_out and unknown not in tokens:
            tokens = [*tokens, unknown]
        self.numbers = {token: k for k, token in enumerate(tokens)}
        self.unknown = None
        if left_out or kind == "words":
            self.unknown = self.numbers.get(unknown)

    def __len__(self):
        return len(self.numbers)

    def __getstate__(self):
        tokens = [*self.numbers]
        return {
            "kind": self.kind,
            "tokens": np.array(tokens, np.int64) if self.kind == "integers" else tokens,
            "has_unknown": self.unknown is not None,
        }

    def __setstate__(self, state):
        self.kind, tokens = state["kind"], state["tokens"]
        tokens = tokens.tolist() if self.kind == "integers" else tokens
        self.numbers = {token: k for k, token in enumerate(tokens)}
        self.unknown = self.numbers[UNKNOWN[self.kind]] if state["has_unknown"] else None

    @classmethod
    def learn(cls, texts, min_count, max_vocabulary):
        """The tokens of some texts in sorted order, without those that occur fewer than
        min_count times, and without the rarest if there are more than max_vocabulary
        (including the unknown token)."""
        counts = _count(texts)
        unknown = UNKNOWN[texts.kind]
        kept = [token for token, count in counts.items() if count >= min_count]
        if not kept:
            raise ValueError(f"min_count={min_count} leaves no token: all occur less often.")
        n_own = len(kept) - (unknown in kept)
        if max_vocabulary is not None and n_own + (len(counts) > n_own) > max_vocabulary:
            # Of equally frequent tokens the first in order is kept.
            kept.sort(key=lambda token: (token == unknown, -counts[token], token))
            kept = kept[: max_vocabulary - 1]
            kept += [unknown] * (unknown in counts)
        kept.sort()
        return cls(texts.kind, kept, left_out=len(kept) < len(counts))

    @classmethod
    def given(cls, vocabulary, kind):
        """The tokens that a user names.

        Raises
        ------
        ValueError
            If there are none, if they are of another kind than those of the texts, or if
            they or their columns are not all different.
        """
        if not np.iterable(vocabulary) or isinstance(vocabulary, Iterator):
            raise ValueError(
                f"vocabulary={shown(vocabulary)} must be a collection of tokens, or a mapping "
                "of tokens to columns."
            )
        tokens = list(vocabulary)
        expected = Integral if kind == "integers" else str
        for token in tokens:
            if not isinstance(token, expected) or (kind == "characters" and len(token) != 1):
                raise ValueError(
                    f"vocabulary has the token {shown(token)}, but the tokens of X are {kind}."
                )
            if kind == "integers" and not -(2**63) <= int(token) < 2**63:
                raise ValueError("vocabulary has integers beyond 64 bits.")
        if not tokens or len(set(tokens)) < len(tokens):
            raise ValueError(
                "vocabulary must hold at least one token, and each token only once."
            )
        if isinstance(vocabulary, Mapping):
            columns = list(vocabulary.values())
            integers = all(isinstance(column, Integral) for column in columns)
            if not integers or sorted(columns) != list(range(len(columns))):
                raise ValueError(
                    "vocabulary must map its tokens to the columns 0 to "
                    f"{len(columns) - 1}, each once; got {shown(columns)}."
                )
            tokens.sort(key=vocabulary.get)
        elif isinstance(vocabulary, Set):  # whose order differs between processes
            tokens.sort()
        return cls(kind, [int(k) if kind == "integers" else str(k) for k in tokens])

    def encode(self, texts, name="X"):
        """The numbers of the texts' tokens.

        Returns
        -------
        numbers : list of int64 arrays

        Raises
        ------
        ValueError
            If the texts have another kind of tokens, or a token that is not in the
            vocabulary and there is no unknown token.
        """
        if texts.kind != self.kind:
            hint = "; pass a list of lists of words" if self.kind == "words" else ""
            raise ValueError(
                f"{name} holds {texts.kind}, but the model knows {self.kind}{hint}."
            )
        read = self._encode_words if self.kind == "words" else self._encode_codes
        encoded = []
        for k, sequence in enumerate(texts.sequences):
            numbers = read(sequence)
            missing = np.flatnonzero(numbers < 0)
            if len(missing) and self.unknown is None:
                token = sequence[missing[0]]
                token = int(token) if self.kind == "integers" else token
                where = "" if texts.single else f" of {name}[{k}]"
                raise ValueError(
                    f"{name} has the token {token!r} at position {missing[0]}{where}, which "
                    "is not in vocabulary_. Pass all tokens that may occur as `vocabulary`, "
                    "or set min_count or max_vocabulary so that some tokens are left out and "
                    "an unknown token is learned instead."
                )
            numbers[missing] = -1 if self.unknown is None else self.unknown
            encoded.append(numbers)
        return encoded

    def decode(self, numbers):
        """Tokens in the form of one sequence: a str, a list of words or an int64 array."""
        tokens = list(self.numbers)
        tokens = [tokens[k] for k in numbers]
        if self.kind == "integers":
            return np.array(tokens, dtype=np.int64)
        return "".join(tokens) if self.kind == "characters" else tokens

    def _encode_words(self, words):
        get = self.numbers.get
        return np.array([get(word, -1) for word in words], dtype=np.int64)

    def _encode_codes(self, sequence):
        """For characters (by their code points) and integers."""
        known = _codes(
            "".join(self.numbers) if self.kind == "characters" else list(self.numbers)
        )
        order = np.argsort(known)
        codes = _codes(sequence)
        at = np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)
        return np.where(known[order[at]] == codes, order[at], -1)


def _codes(sequence):
    if isinstance(sequence, str):
        # A str may have lone surrogates, which no encoding allows.
        sequence = np.frombuffer(sequence.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.asarray(sequence, dtype=np.int64)


def _count(texts):
    if texts.kind != "integers":
        counts = Counter()
        for sequence in texts.sequences:
            counts.update(sequence)
        return counts
    ids, counts = np.unique(np.concatenate(texts.sequences), return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
