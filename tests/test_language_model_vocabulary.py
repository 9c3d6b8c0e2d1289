"""LSTMLanguageModel: the vocabulary that a fit chooses or is given."""

import numpy as np
import pytest
from example_texts import WORDS, model


def test_vocabulary():
    fitted = model(max_iter=1).fit(WORDS)
    assert list(fitted.vocabulary_) == [
        "be",
        "is",
        "not",
        "or",
        "question",
        "that",
        "the",
        "to",
    ]
    assert list(fitted.vocabulary_.values()) == list(range(8))
    fitted = model(max_iter=1, min_count=9).fit(WORDS)
    assert list(fitted.vocabulary_) == ["be", "or", "that", "to", "<unk>"]
    assert np.isfinite(fitted.score([["to", "sleep"]]))
    assert len(model(max_iter=1, max_vocabulary=3).fit(WORDS).vocabulary_) == 3


def test_partial_fit_keeps_the_vocabulary_of_its_first_call():
    fitted = model().partial_fit("ab")
    with pytest.raises(ValueError, match="token 'c' at position 1, which is not in voc"):
        fitted.partial_fit("acb")
    assert fitted.n_iter_ == 1
    assert model(vocabulary="abc").partial_fit("ab").partial_fit("acb").n_iter_ == 2


@pytest.mark.parametrize("X", ["aaaa", [["a"], ["a", "a"]], [7, 7, 7]], ids=type)
def test_a_vocabulary_of_one(X):
    fitted = model(max_iter=2).fit(X)
    assert len(fitted.vocabulary_) == 1
    assert np.isfinite(fitted.score(X))
    assert set(fitted.sample(3, random_state=0)) <= set(fitted.vocabulary_)
    if X == "aaaa":
        assert fitted.perplexity(X) == 1
        assert fitted.sample(3) == "aaa"


def test_a_single_token():
    assert model(max_iter=1).fit("a").score("a") == 0
    assert model(max_iter=1, batch_size=64, bptt_steps=50).fit(["a"]).t_ == 2
