"""LSTMLanguageModel: learning, scoring, writing."""

import pickle
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import reference_lstm as reference
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from cylstm import LSTMLanguageModel, _engine

TEXT = "to be, or not to be: that is the question. " * 30
DOCUMENTS = ["to be", "or not to be", "that is", "the question", "or that"] * 8
WORDS = [document.split() for document in DOCUMENTS]
IDS = np.array([ord(character) for character in TEXT])

SMALL = {"hidden_layer_sizes": 12, "embedding_dim": 6, "batch_size": 4, "random_state": 0}


def model(**parameters):
    return LSTMLanguageModel(**{**SMALL, "max_iter": 3, **parameters})


FORMS = {
    "characters": TEXT,
    "documents": DOCUMENTS,
    "words": WORDS,
    "ids": IDS,
    "sequences of ids": [IDS[:90], IDS[90:200].tolist(), IDS[200:207]],
}


@pytest.fixture(params=FORMS)
def texts(request):
    return FORMS[request.param]


# Scores


def as_list(X):
    """Of sequences, whatever the form."""
    return (
        [X] if isinstance(X, str) or (np.ndim(X[0]) == 0 and isinstance(X, np.ndarray)) else X
    )


def log_likelihoods(fitted, X):
    """Of every token, by the oracle, step by step."""
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


def test_documents_are_scored_by_themselves():
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


# Learning


def test_it_learns(texts):
    fitted = model(max_iter=30, learning_rate_init=0.01).fit(texts)
    assert fitted.loss_curve_[-1] < 0.75 * fitted.loss_curve_[0]
    assert fitted.n_iter_ == 30
    n_tokens = sum(map(len, as_list(texts)))
    if as_list(texts) is texts:  # and the ends
        n_tokens += len(texts)
    assert fitted.t_ == 30 * n_tokens


@pytest.mark.parametrize("X", [TEXT, DOCUMENTS], ids=["one sequence", "documents"])
def test_bits_do_not_depend_on_threads(X):
    fitted = [
        model(n_jobs=n, dropout=0.2, recurrent_dropout=0.2).fit(X).weights_ for n in (1, 2, 3)
    ]
    for other in fitted[1:]:
        for name, weight in fitted[0].items():
            np.testing.assert_array_equal(other[name], weight)


@pytest.mark.parametrize("learning_rate", ["constant", "cosine", "exponential"])
@pytest.mark.parametrize("X", [TEXT, DOCUMENTS], ids=["one sequence", "documents"])
def test_parts_of_a_training_equal_the_whole(X, learning_rate):
    settings = {"learning_rate": learning_rate, "max_iter": 4, "decay_after": 1}
    whole = model(**settings).fit(X)
    parts = model(**settings)
    for _ in range(4):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X)))
    assert parts.loss_curve_ == whole.loss_curve_
    for name, weight in whole.weights_.items():
        np.testing.assert_array_equal(parts.weights_[name], weight)


def test_warm_start_goes_on():
    fitted = model(warm_start=True, max_iter=2).fit(TEXT)
    assert fitted.fit(TEXT).n_iter_ == 4
    assert fitted.loss_curve_ == model(max_iter=4).fit(TEXT).loss_curve_
    with pytest.raises(ValueError, match="parameters that shape the network changed"):
        fitted.set_params(hidden_layer_sizes=5).fit(TEXT)
    with pytest.raises(ValueError, match="vocabulary changed since the first fit"):
        fitted.set_params(hidden_layer_sizes=12, vocabulary=set(TEXT + "z")).fit(TEXT)
    assert fitted.n_iter_ == 4


@pytest.mark.parametrize("X", [TEXT, WORDS], ids=["one sequence", "several"])
def test_early_stopping_keeps_the_best(X):
    settings = {"max_iter": 40, "learning_rate_init": 0.3, "n_iter_no_change": 2}
    fitted = model(**settings, early_stopping=True, validation_fraction=0.2).fit(X)
    assert fitted.n_iter_ == len(fitted.validation_scores_) < 40
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    given = model(**settings, early_stopping=True).fit(X, X_val=X[-3:])
    assert given.score(X[-3:]) == given.best_validation_score_


def test_what_is_set_aside_of_one_sequence_is_its_end():
    fitted = model(early_stopping=True, validation_fraction=0.25, max_iter=1).fit("aab" * 20)
    assert fitted.t_ == 45
    assert fitted.validation_scores_ == [fitted.score("aab" * 5)]


def test_what_is_set_aside_of_several_is_not_learnt_from():
    settings = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 1}
    fitted = model(**settings).fit(["ab"] * 8)
    assert fitted.t_ == 6 * 3  # and the ends
    assert fitted.validation_scores_ == [fitted.score(["ab", "ab"])]
    # A list of one sequence ends once.
    fitted = model(**settings).fit(["ab" * 10])
    assert fitted.t_ == 15


def test_verbose_prints_bits(capsys):
    fitted = model(verbose=2, max_iter=4).fit(TEXT, X_val=TEXT[:50])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    bits = fitted.loss_ / np.log(2)
    assert lines[1].startswith(
        f"Epoch 4, {bits:.3f} bits per token, {fitted.bits_per_token(TEXT[:50]):.3f} held out"
    )


def test_shuffle_draws_an_order_of_the_sequences():
    assert model().fit(WORDS).loss_curve_ != model(shuffle=False).fit(WORDS).loss_curve_
    assert model().fit(TEXT).loss_curve_ == model(shuffle=False).fit(TEXT).loss_curve_


def test_init_scale():
    drawn = model(init_scale=0.05, learning_rate_init=1e-9, max_iter=1).fit(TEXT).weights_
    for weight in drawn.values():
        assert 0.03 < np.abs(weight).max() < 0.05 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("tie_weights", [False, True], ids=["untied", "tied"])
def test_a_sampled_softmax_learns_as_well(tie_weights):
    rng = np.random.default_rng(0)
    # Each token follows from the one before in 9 of 10 cases: about 2 are as good as any.
    tokens = [0]
    for jump in rng.random(20_000) < 0.1:
        tokens.append(int(rng.integers(300)) if jump else (7 * tokens[-1] + 3) % 300)
    settings = {
        "hidden_layer_sizes": 32,
        "embedding_dim": 32,
        "tie_weights": tie_weights,
        "learning_rate_init": 0.02,
        "batch_size": 20,
        "bptt_steps": 20,
        "max_iter": 12,
    }
    whole = model(**settings).fit(tokens).perplexity(tokens)
    sampled = model(**settings, softmax_samples=60).fit(tokens).perplexity(tokens)
    assert whole < 3
    assert sampled < 1.3 * whole


def test_samples_of_the_softmax_are_the_same_on_any_number_of_threads():
    settings = {"softmax_samples": 5, "dropout": 0.3}
    one, two = (model(**settings, n_jobs=n).fit(WORDS) for n in (1, 2))
    assert one.loss_curve_ == two.loss_curve_
    # More than there are: the whole.
    assert model(softmax_samples=99).fit(WORDS).loss_ == model().fit(WORDS).loss_


def test_interrupt_keeps_the_weights_reached(monkeypatch):
    class Interrupting(LSTMLanguageModel):
        def _progress(self, history):
            raise KeyboardInterrupt

    fitted = Interrupting(**SMALL, verbose=1)
    with pytest.warns(UserWarning, match="interrupted after 1 epochs"):
        fitted.fit(TEXT)
    assert fitted.n_iter_ == 1
    assert len(fitted.sample(5)) == 5


# Vocabulary


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


# Writing


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


def test_samples_follow_from_random_state_alone(texts):
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
    # Each is what predict_proba says.
    if len(greedy) and as_list(texts) is not texts:
        p = fitted.predict_proba(greedy)
        tokens = np.array(list(fitted.vocabulary_))
        assert list(tokens[p[:-1].argmax(axis=1)]) == list(greedy[1:])


def test_a_prompt_is_what_was_written_before():
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


def test_documents_end_by_themselves():
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


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tokens": 0}, "'n_tokens' parameter .* must be an int in the range \\[1, inf\\)"),
        ({"n_tokens": 2.5}, "'n_tokens'"),
        ({"temperature": -1}, "'temperature'"),
        ({"temperature": np.nan}, "'temperature'"),
        ({"temperature": np.inf}, "'temperature'"),
        ({"top_k": 0}, "'top_k'"),
        ({"top_p": 0}, "'top_p'"),
        ({"top_p": 1.1}, "'top_p'"),
        ({"n_samples": 0}, "'n_samples'"),
        ({"random_state": "x"}, "'random_state'"),
        ({"prompt": "to \xdf"}, "prompt has the token '\xdf' at position 3"),
        ({"prompt": [1, 2]}, "prompt holds integers, but the model knows characters"),
        ({"prompt": ["a", "b"]}, "prompt is a list of several sequences"),
        ({"prompt": 3.5}, "prompt is of type float"),
        ({"prompt": iter("to")}, "prompt is of type str"),
        ({"prompt": np.array("to")}, "prompt is an array of <U2"),
    ],
)
def test_bad_ways_to_sample(arguments, message):
    fitted = model(max_iter=1).fit(TEXT + "ab")
    with pytest.raises(ValueError, match=message):
        fitted.sample(**{"n_tokens": 5, **arguments})
    if "n_samples" not in arguments:
        with pytest.raises(ValueError, match=message):  # at once, not at the first token
            fitted.iter_sample(**{"n_tokens": 5, **arguments})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": []}, "hidden_layer_sizes is empty"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes"),
        (
            {"tie_weights": True, "hidden_layer_sizes": (6, 5)},
            "embedding_dim=6 must be",
        ),
        ({"tie_weights": True, "hidden_layer_sizes": []}, "hidden_layer_sizes is empty"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"bptt_steps": None}, "bptt_steps"),
        ({"bptt_steps": 0}, "bptt_steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"min_count": 0}, "min_count"),
        ({"max_vocabulary": 1}, "max_vocabulary"),
        ({"vocabulary": "ab"}, "token 't' at position 0, which is not in vocabulary_"),
        ({"vocabulary": [1, 2]}, "token 1, but the tokens of X are characters"),
        ({"vocabulary": "ab", "min_count": 2}, "cannot be combined with a given vocabulary"),
        ({"init_scale": 0}, "init_scale"),
        ({"softmax_samples": 0}, "softmax_samples"),
        (
            {"softmax_samples": 5, "alpha": 0.1},
            "alpha=0.1 cannot be combined with softmax",
        ),
        (
            {"softmax_samples": 5, "alpha": 0.1, "solver": "adamw", "l1_ratio": 0.5},
            "alpha=0.1 cannot be combined with softmax",
        ),
        ({"min_count": 1000}, "min_count=1000 leaves no token"),
        ({"learning_rate": "linear"}, "learning_rate"),
        ({"decay_rate": 0}, "decay_rate"),
        ({"decay_rate": 1.5}, "decay_rate"),
        ({"decay_after": -1}, "decay_after"),
        ({"cell": "gru"}, "cell"),
        ({"cell": "input_gated", "recurrent_dropout": 0.1}, "cannot be combined with"),
        ({"dtype": "float16"}, "dtype"),
        ({"learning_rate_init": 1e39, "clip_norm": None, "solver": "sgd"}, "NaN or infinite"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(TEXT)


def test_bad_texts():
    with pytest.raises(ValueError, match="X is empty"):
        model().fit("")
    with pytest.raises(ValueError, match="In X_val|X_val is empty"):
        model().fit(TEXT, X_val="")
    with pytest.raises(ValueError, match="X_val has the token 'Z'"):
        model().fit(TEXT, X_val="Z")
    with pytest.raises(ValueError, match=r"of 1 tokens"):
        model(early_stopping=True).fit("a")
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model(early_stopping=True).partial_fit(TEXT)
    fitted = model().fit(TEXT)
    for method in ("score", "perplexity", "bits_per_token", "predict_proba", "transform"):
        with pytest.raises(ValueError, match="X holds words, but the model knows characters"):
            getattr(fitted, method)([["to", "be"]])
        with pytest.raises(NotFittedError):
            getattr(model(), method)(TEXT)
    for method in ("sample", "iter_sample"):
        with pytest.raises(NotFittedError):
            getattr(model(), method)(5)


def test_a_call_that_fails_leaves_the_model_as_it_was():
    fitted = model().fit(TEXT)
    before = fitted.sample(30, random_state=0)
    with pytest.raises(ValueError, match="is empty"):
        fitted.fit([])
    assert fitted.sample(30, random_state=0) == before


# Among scikit-learn's


def test_its_states_feed_a_classifier():
    labels = ["question" in document or "that" in document for document in DOCUMENTS]
    pipeline = make_pipeline(model(max_iter=10), LogisticRegression(C=100))
    assert pipeline.fit(DOCUMENTS, labels).score(DOCUMENTS, labels) > 0.9
    assert list(pipeline[0].get_feature_names_out()[:2]) == [
        "lstmlanguagemodel0",
        "lstmlanguagemodel1",
    ]


def test_grid_search():
    search = GridSearchCV(
        model(vocabulary=sorted(set("".join(DOCUMENTS)))),
        {"hidden_layer_sizes": [4, (8, 8)], "dropout": [0.0, 0.2]},
        cv=2,
    ).fit(DOCUMENTS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(DOCUMENTS) == search.score(DOCUMENTS)


def test_estimator_contract():
    estimator = model(max_iter=1, vocabulary=["a", "b"])
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    before = dict(vars(estimator))
    fitted = estimator.fit("ab")
    assert fitted is estimator
    assert {name: vars(fitted)[name] for name in before} == before
    assert set(LSTMLanguageModel._parameter_constraints) == set(estimator.get_params())
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.target_tags.required


def test_texts_are_never_written_to():
    ids = IDS.copy()
    ids.flags.writeable = False
    fitted = model(max_iter=1).fit(ids)
    fitted.predict_proba(ids)
    fitted.sample(2, prompt=ids[:5])
    np.testing.assert_array_equal(ids, IDS)


def test_it_learns_on_either_way_to_the_products(monkeypatch):
    packed = model(dtype="float64").fit(TEXT).loss_curve_
    monkeypatch.setenv("CYLSTM_PRODUCTS", "blas")
    np.testing.assert_allclose(model(dtype="float64").fit(TEXT).loss_curve_, packed, rtol=1e-9)
    assert _engine.products() == "blas"
