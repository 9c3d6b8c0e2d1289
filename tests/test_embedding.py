"""Sequences of tokens."""

import numpy as np
import pytest
from example_sequences import HAS_SEVEN, LENGTHS, TOKENS, N, classifier, regressor


def test_tokens_are_learnt():
    model = classifier(
        embedding_dim=4, vocabulary_size=12, max_iter=80, learning_rate_init=0.02
    ).fit(TOKENS, HAS_SEVEN)
    assert model.score(TOKENS, HAS_SEVEN) > 0.95
    assert model.weights_["embedding.weight"].shape == (12, 4)
    assert regressor(embedding_dim=4).fit(TOKENS, LENGTHS).predict(TOKENS).shape == (N,)
    tags = classifier(embedding_dim=4, return_sequences=True).fit(
        TOKENS, [x > 5 for x in TOKENS]
    )
    assert tags.predict(TOKENS)[2].shape == (LENGTHS[2],)


def test_vocabulary_size_defaults_to_the_tokens_of_x():
    model = classifier(embedding_dim=4).fit(TOKENS, HAS_SEVEN)
    assert model.weights_["embedding.weight"].shape == (12, 4)
    with pytest.raises(ValueError, match="token 12 in sample 0.*vocabulary_size=12"):
        model.predict([[12]])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_only_the_vectors_of_the_batch_change(solver):
    model = classifier(embedding_dim=4, vocabulary_size=50, solver=solver)
    model.partial_fit(TOKENS, HAS_SEVEN)
    before = model.weights_["embedding.weight"].copy()
    few = [[1, 2], [2, 40]]
    model.partial_fit(few, [True, False])
    changed = (model.weights_["embedding.weight"] != before).any(axis=1)
    assert set(np.flatnonzero(changed)) == {1, 2, 40}


def test_a_vocabulary_cannot_change_when_training_resumes():
    model = classifier(embedding_dim=3, vocabulary_size=12, warm_start=True)
    model.fit(TOKENS, HAS_SEVEN)
    with pytest.raises(ValueError, match="Training cannot continue"):
        model.set_params(vocabulary_size=20).fit(TOKENS, HAS_SEVEN)
