"""LSTMLanguageModel: log-likelihoods, probabilities and hidden states."""

import numpy as np
import pytest
import reference_lstm as reference
from example_texts import DOCUMENTS, IDS, TEXT, as_list, model
from scipy.special import log_softmax


def log_likelihoods(fitted, X):
    """Log-likelihood of every token, by the oracle, step by step."""
    a = fitted._network.architecture
    weights = {name: w.astype(np.float64) for name, w in fitted.weights_.items()}
    ends = a.n_scores > len(fitted.vocabulary_)
    boundary = len(fitted.vocabulary_)
    found = []
    for sequence in as_list(X):
        numbers = [fitted.vocabulary_[token] for token in sequence] + [boundary] * ends
        scores, _ = reference.forward(a, weights, [boundary, *numbers[:-1]])
        found += [log_softmax(s)[k] for s, k in zip(scores, numbers, strict=True)]
    return found


@pytest.mark.parametrize("tie_weights", [False, True], ids=["untied", "tied"])
def test_score_equals_the_oracle(texts, tie_weights):
    fitted = model(
        hidden_layer_sizes=(9, 6), tie_weights=tie_weights, max_iter=1, dtype="float64"
    ).fit(texts)
    expected = log_likelihoods(fitted, texts)
    assert fitted.score(texts) == pytest.approx(np.mean(expected), rel=1e-12)
    assert fitted.perplexity(texts) == pytest.approx(np.exp(-np.mean(expected)))
    assert fitted.bits_per_token(texts) == pytest.approx(-np.mean(np.log2(np.exp(expected))))


def test_score_is_exact_whatever_the_streams_and_chunks(texts):
    fitted = model().fit(texts)
    expected = fitted.perplexity(texts)
    assert expected == np.exp(-fitted.score(texts))
    for batch_size, bptt_steps, n_jobs in [(1, 1, 1), (7, 10_000, 2), (1000, 3, 4)]:
        fitted.set_params(batch_size=batch_size, bptt_steps=bptt_steps, n_jobs=n_jobs)
        assert fitted.perplexity(texts) == expected


def test_documents_are_scored_independently():
    fitted = model().fit(DOCUMENTS)
    n_tokens = np.array([len(d) + 1 for d in DOCUMENTS[:5]])  # and the end
    scores = [fitted.score([d]) for d in DOCUMENTS[:5]]
    assert fitted.score(DOCUMENTS[:5]) == pytest.approx(
        np.average(scores, weights=n_tokens), rel=1e-6
    )
    assert fitted.score(DOCUMENTS[:1]) == fitted.score(DOCUMENTS[0])


def test_one_long_sequence_has_no_end():
    fitted = model().fit(TEXT)
    parts = [TEXT[:50], TEXT[50:80]]
    expected = (50 * fitted.score(parts[0]) + 30 * fitted.score(parts[1])) / 80
    assert fitted.score(parts) == pytest.approx(expected, rel=1e-6)
    assert fitted.weights_["head.bias"].shape == (len(set(TEXT)),)
    assert model().fit([TEXT]).weights_["head.bias"].shape == (len(set(TEXT)) + 1,)


def test_predict_proba_gives_the_score():
    for X in (TEXT, IDS):
        fitted = model().fit(X)
        p = fitted.predict_proba(X)
        assert p.shape == (len(X), len(fitted.vocabulary_))
        np.testing.assert_allclose(p.sum(axis=1), 1)
        numbers = [fitted.vocabulary_[token] for token in X]
        after_first = np.log(p[np.arange(len(X) - 1), numbers[1:]])
        first = fitted.score(X[:1])
        assert fitted.score(X) == pytest.approx((first + after_first.sum()) / len(X), rel=1e-6)


def test_predict_proba_and_transform_of_several_sequences():
    fitted = model().fit(DOCUMENTS)
    several = fitted.predict_proba(DOCUMENTS[:3])
    states = fitted.transform(DOCUMENTS[:3])
    assert states.shape == (3, 12)
    for p, state, document in zip(several, states, DOCUMENTS, strict=False):
        # And the end.
        assert p.shape == (len(document), len(fitted.vocabulary_) + 1)
        np.testing.assert_allclose(p, fitted.predict_proba(document), rtol=1e-5)
        by_step = fitted.transform(document)
        assert by_step.shape == (len(document), 12)
        np.testing.assert_array_equal(by_step[-1], state)
        head = fitted.weights_["head.weight"], fitted.weights_["head.bias"]
        scores = by_step @ head[0].T + head[1]
        np.testing.assert_allclose(np.log(p), log_softmax(scores, axis=1), rtol=1e-4)
