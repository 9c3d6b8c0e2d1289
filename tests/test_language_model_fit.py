"""LSTMLanguageModel: training, in one piece and in parts."""

import pickle

import numpy as np
import pytest
from example_sequences import training_of
from example_texts import DOCUMENTS, SMALL, TEXT, WORDS, as_list, model

from cylstm import LSTMLanguageModel, _plan


def test_it_learns(texts):
    fitted = model(max_iter=30, learning_rate_init=0.01).fit(texts)
    assert fitted.loss_curve_[-1] < 0.75 * fitted.loss_curve_[0]
    assert fitted.n_iter_ == 30
    n_tokens = sum(map(len, as_list(texts)))
    if as_list(texts) is texts:  # and the ends
        n_tokens += len(texts)
    assert fitted.t_ == 30 * n_tokens


RATES = dict.fromkeys(
    ["dropout", "recurrent_dropout", "weight_dropout", "embedding_dropout"], 0.2
)


@pytest.mark.parametrize("name", RATES)
def test_dropout_applies_only_in_training(name):
    plain, dropped = model().fit(TEXT), model(**{name: 0.2}).fit(TEXT)
    assert dropped.loss_ != plain.loss_
    plain._network.parameters[:] = dropped._network.parameters
    plain._network.changed()
    assert dropped.score(TEXT) == plain.score(TEXT)


@pytest.mark.parametrize("X", [TEXT, DOCUMENTS], ids=["one sequence", "documents"])
def test_bits_do_not_depend_on_threads(X):
    fitted = [model(n_jobs=n, **RATES).fit(X).weights_ for n in (1, 2, 3)]
    for other in fitted[1:]:
        for name, weight in fitted[0].items():
            np.testing.assert_array_equal(other[name], weight)


@pytest.mark.parametrize("learning_rate", ["constant", "cosine", "exponential"])
@pytest.mark.parametrize("X", [TEXT, DOCUMENTS], ids=["one sequence", "documents"])
def test_parts_of_a_training_equal_the_whole(X, learning_rate):
    settings = {"learning_rate": learning_rate, "max_iter": 4, "decay_after": 1, **RATES}
    settings["cosine_epochs"] = 4
    whole = model(**settings).fit(X)
    parts = model(**settings)
    for _ in range(4):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X)))
    assert parts.loss_curve_ == whole.loss_curve_
    for name, weight in whole.weights_.items():
        np.testing.assert_array_equal(parts.weights_[name], weight)


def test_warm_start_resumes_training():
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


def test_the_end_of_a_single_sequence_is_held_out():
    fitted = model(early_stopping=True, validation_fraction=0.25, max_iter=1).fit("aab" * 20)
    assert fitted.t_ == 45
    assert fitted.validation_scores_ == [fitted.score("aab" * 5)]


def test_held_out_sequences_are_not_trained_on():
    settings = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 1}
    fitted = model(**settings).fit(["ab"] * 8)
    assert fitted.t_ == 6 * 3  # and the ends
    assert fitted.validation_scores_ == [fitted.score(["ab", "ab"])]
    # A list of one sequence has one end.
    fitted = model(**settings).fit(["ab" * 10])
    assert fitted.t_ == 15


def test_verbose_prints_bits(capsys):
    fitted = model(verbose=2, max_iter=4).fit(TEXT, X_val=TEXT[:50])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    bits, held_out = fitted.loss_ / np.log(2), fitted.bits_per_token(TEXT[:50])
    assert lines[1].startswith(
        f"Epoch 4 of 4, {bits:.3f} bits per token, {held_out:.3f} held out, "
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
def test_a_sampled_softmax_learns_nearly_as_well(tie_weights):
    rng = np.random.default_rng(0)
    # In 9 of 10 cases a token follows from the one before it: a perplexity of about 2.
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
    # With more samples than classes it is the whole softmax.
    assert model(softmax_samples=99).fit(WORDS).loss_ == model().fit(WORDS).loss_


def test_interrupt_keeps_the_weights_reached(monkeypatch):
    class Interrupting(LSTMLanguageModel):
        def _progress(self, *args):
            raise KeyboardInterrupt

    fitted = Interrupting(**SMALL, verbose=1)
    with pytest.warns(UserWarning, match="interrupted after 1 epochs"):
        fitted.fit(TEXT)
    assert fitted.n_iter_ == 1
    assert len(fitted.sample(5)) == 5


def test_it_learns_with_either_kind_of_products(monkeypatch):
    packed = model(dtype="float64").fit(TEXT).loss_curve_
    monkeypatch.setenv("CYLSTM_PRODUCTS", "blas")
    np.testing.assert_allclose(model(dtype="float64").fit(TEXT).loss_curve_, packed, rtol=1e-9)
    assert _plan.products() == "blas"


@pytest.mark.parametrize(
    "settings", [{}, {"softmax_samples": 5}, {"tie_weights": True}], ids=str
)
def test_a_failure_after_some_steps_changes_nothing(monkeypatch, settings):
    fitted = model(embedding_dim=12, **settings).partial_fit(TEXT).partial_fit(TEXT[:50])
    before = pickle.dumps(fitted)
    spared = pickle.loads(before)

    def fail(self, *args):
        raise RuntimeError("after several steps")

    with monkeypatch.context() as patch:
        patch.setattr(LSTMLanguageModel, "_report", fail)
        with pytest.raises(RuntimeError, match="several steps"):
            fitted.partial_fit(TEXT)
    assert pickle.dumps(fitted) == before
    # With fewer different tokens in a batch than in other calls, and more.
    for text in ("to", TEXT, "to", TEXT):
        fitted.partial_fit(text)
        spared.partial_fit(text)
        spared = pickle.loads(pickle.dumps(spared))
    assert training_of(fitted) == training_of(spared)


def test_a_text_being_written_keeps_its_weights_when_training_resumes():
    fitted = model().fit(TEXT)
    expected = fitted.sample(40, random_state=0)
    letters = fitted.iter_sample(40, random_state=0)
    written = next(letters)
    fitted.set_params(learning_rate_init=0.1).partial_fit(TEXT[::-1])
    assert fitted.sample(40, random_state=0) != expected
    assert written + "".join(letters) == expected


@pytest.mark.parametrize(
    ("n", "batch_size", "n_steps"), [(50, 1, 5), (1000, 5, 20), (9000, 32, 29)]
)
def test_automatic_streams_leave_twenty_steps_to_an_epoch(n, batch_size, n_steps):
    text = (TEXT * 8)[:n]
    settings = {"bptt_steps": 10, "max_iter": 1}
    expected = model(batch_size=batch_size, **settings).fit(text)
    automatic = model(batch_size="auto", **settings).fit(text)
    assert automatic.loss_curve_ == expected.loss_curve_
    assert automatic._optimizer.n_steps == n_steps
