"""LSTMLanguageModel: sampling."""

import pickle
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from example_texts import DOCUMENTS, IDS, TEXT, WORDS, as_list, model


def test_samples_have_the_form_of_what_was_fitted(texts):
    fitted = model().fit(texts)
    sample = fitted.sample(8, random_state=0)
    assert type(sample) is type(as_list(texts)[0] if texts is not WORDS else WORDS[0])
    assert set(sample) <= set(fitted.vocabulary_)
    assert len(sample) <= 8
    if as_list(texts) is not texts:
        assert len(sample) == 8
    several = fitted.sample(8, random_state=0, n_samples=3)
    assert isinstance(several, list)
    assert len(several) == 3
    (one,) = fitted.sample(8, random_state=0, n_samples=1)
    np.testing.assert_array_equal(one, sample)


def test_random_state_determines_the_samples(texts):
    fitted = model().fit(texts)
    first, again = (fitted.sample(20, random_state=3, n_samples=4) for _ in range(2))
    for sample, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(sample, same)
    assert any(list(sample) != list(first[0]) for sample in first[1:])
    tokens = list(fitted.iter_sample(20, random_state=3))
    assert tokens == list(fitted.sample(20, random_state=3))


def test_tokens_are_drawn_by_predict_proba():
    fitted = model().fit("ab" * 50 + "ac" * 25)
    p = fitted.predict_proba("ba")[-1]
    drawn = fitted.sample(1, prompt="ba", random_state=0, n_samples=4000)
    for character, number in fitted.vocabulary_.items():
        # Four standard deviations.
        assert abs(drawn.count(character) / 4000 - p[number]) < 4 * 0.5 / np.sqrt(4000)
    warm = fitted.sample(1, prompt="ba", temperature=3, random_state=0, n_samples=4000)
    q = p ** (1 / 3) / (p ** (1 / 3)).sum()
    assert abs(warm.count("a") / 4000 - q[0]) < 4 * 0.5 / np.sqrt(4000)


def test_the_most_likely_token(texts):
    fitted = model(max_iter=5).fit(texts)
    greedy = fitted.sample(10, temperature=0)
    np.testing.assert_array_equal(greedy, fitted.sample(10, top_k=1, random_state=7))
    np.testing.assert_array_equal(greedy, fitted.sample(10, top_p=1e-9, random_state=8))
    # Each is the most likely token by predict_proba.
    if len(greedy) and as_list(texts) is not texts:
        p = fitted.predict_proba(greedy)
        tokens = np.array(list(fitted.vocabulary_))
        assert list(tokens[p[:-1].argmax(axis=1)]) == list(greedy[1:])


def test_samples_continue_the_prompt():
    fitted = model(max_iter=60, learning_rate_init=0.01).fit(TEXT)
    assert fitted.sample(12, prompt="to be, or", temperature=0) == " not to be: "
    for empty in (None, "", [], (), np.array([], dtype=int)):
        assert fitted.sample(5, prompt=empty, random_state=0) == fitted.sample(
            5, random_state=0
        )
    words = model(max_iter=60, learning_rate_init=0.01).fit([" ".join(DOCUMENTS[:5]).split()])
    assert words.sample(2, prompt=["or", "not"], temperature=0) == ["to", "be"]
    assert words.sample(1, prompt=[], temperature=0) == words.sample(1, temperature=0)
    ids = model(max_iter=60, learning_rate_init=0.01).fit(IDS)
    np.testing.assert_array_equal(
        ids.sample(4, prompt=IDS[:9], temperature=0), [ord(c) for c in " not"]
    )


def test_sampling_stops_at_the_end_of_a_document():
    fitted = model(max_iter=80, learning_rate_init=0.02).fit(["abc"] * 30)
    assert fitted.sample(50, temperature=0) == "abc"
    assert "".join(fitted.iter_sample(temperature=0)) == "abc"
    assert fitted.sample(2, temperature=0) == "ab"
    assert fitted.sample(9, prompt="abc", temperature=0) == ""
    endless = model().fit("abc" * 30).iter_sample(random_state=0)
    assert len(list(islice(endless, 500))) == 500


def test_nothing_follows_the_end():
    fitted = model(max_iter=60, learning_rate_init=0.02).fit(["a", "ab", "abc"] * 30)
    for sample in fitted.sample(30, temperature=0.3, random_state=0, n_samples=50):
        assert "abc".startswith(sample)


def test_the_unknown_token_is_never_written():
    fitted = model(min_count=9).fit(WORDS)
    written = fitted.sample(50, temperature=20, random_state=0, n_samples=30)
    assert {word for sample in written for word in sample} <= {"be", "or", "that", "to"}
    with pytest.raises(ValueError, match="no token but the unknown one"):
        model(vocabulary=["<unk>"]).fit(WORDS).sample(1)


def test_a_loaded_model_writes_the_same_in_a_new_process(tmp_path):
    fitted = model(dropout=0.1).fit(TEXT)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(fitted))
    script = (
        "import pickle, sys; model = pickle.load(open(sys.argv[1], 'rb'));"
        "sys.stdout.write(model.sample(200, prompt='to be', random_state=5))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert run.stdout == fitted.sample(200, prompt="to be", random_state=5)
