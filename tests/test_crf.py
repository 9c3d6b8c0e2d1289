"""loss="crf": decoding against all paths, the network against the oracle, the classifier."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problem import Problem
from scipy.special import log_softmax

from cylstm import LSTMClassifier, _engine
from cylstm._network import Architecture, Network

LABELS = np.array(["B", "I", "O"])


def decode(scores, lengths, chain, n_threads=1):
    """Labels, marginals and their logarithms."""
    network = Network(Architecture(1, (1,), scores.shape[1], "crf", "float64", per_step=True))
    for name, values in zip(("transitions", "start", "end"), chain, strict=True):
        network.weights[f"crf.{name}"][...] = values
    arguments = scores, np.asarray(lengths, dtype=np.int64), n_threads
    return (
        network.best_paths(*arguments),
        network.marginals(*arguments),
        network.marginals(*arguments, logs=True),
    )


def all_paths(scores, chain):
    """Every sequence of labels, and its score."""
    transitions, start, end = chain
    T, K = scores.shape
    paths = np.array(list(itertools.product(range(K), repeat=T)))
    values = start[paths[:, 0]] + end[paths[:, -1]] + scores[np.arange(T), paths].sum(axis=1)
    return paths, values + transitions[paths[:, :-1], paths[:, 1:]].sum(axis=1)


def random_chain(rng, K, scale):
    return [scale * rng.normal(size=shape) for shape in ((K, K), K, K)]


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    K=st.integers(1, 4),
    T=st.integers(1, 5),
    scale=st.sampled_from([0.1, 1.0, 30.0, 1e4]),
    chain_scale=st.sampled_from([0.0, 1.0, 100.0, 1e4]),
    forbidden=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_decoding_equals_all_paths(seed, K, T, scale, chain_scale, forbidden):
    rng = np.random.default_rng(seed)
    scores = scale * rng.normal(size=(T, K))
    chain = random_chain(rng, K, chain_scale)
    chain[0][rng.random((K, K)) < forbidden] = -1e5
    labels, marginals, logs = decode(scores, [T], chain)
    paths, values = all_paths(scores, chain)
    # A few roundings of the largest number.
    noise = 1e-14 * (np.abs(scores).max() + np.abs(chain[0]).max() + 1)
    assert values[(paths == labels).all(axis=1)] >= values.max() - noise
    total = np.logaddexp.reduce(values)
    for t, j in np.ndindex(T, K):
        expected = np.logaddexp.reduce(values[paths[:, t] == j]) - total
        assert logs[t, j] == pytest.approx(expected, rel=1e-12, abs=20 * noise)
        assert marginals[t, j] == pytest.approx(np.exp(expected), abs=20 * noise)
    np.testing.assert_allclose(marginals.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("n_scores", [2, 3, 17, 33])
def test_loss_and_gradients_equal_the_oracle(n_scores):
    options = {"n_scores": n_scores, "bidirectional": True, "vocabulary": 6, "dropout": 0.2}
    Problem((4, 3), [4, 9, 1, 6] * 5, "crf", **options).check_oracle(n_threads=2)
    Problem((4, 3), [4, 9, 1, 6], "crf", dtype="float32", **options).check_oracle(2e-5)


def test_gradients_with_blas_equal_the_oracle(monkeypatch):
    monkeypatch.setenv("CYLSTM_PRODUCTS", "blas")
    for vocabulary in (0, 6):
        problem = Problem((4, 3), [4, 9, 1, 6] * 5, "crf", vocabulary=vocabulary)
        problem.check_oracle(n_threads=2)


def test_as_many_labels_as_a_wide_head_has_classes():
    problem = Problem((3,), [3, 1, 2], "crf", n_scores=520, states=False)
    problem.check_oracle()


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [50.0, 200.0, 1e4])
def test_transitions_that_are_next_to_forbidden(size, dtype):
    # Exponentials of them underflow, and only the forbidden label explains the scores.
    problem = Problem((3,), [6, 1, 9, 4], "crf", dtype=dtype, n_scores=3, states=False)
    weights = problem.network.weights
    weights["crf.transitions"][...] = [[0, -size, -size], [-size, -2 * size, 1], [2, 1, -size]]
    weights["head.bias"][...] = [0.5 * size, size, -size]
    # Each score is rounded to 2^-24 of its size in float32, as is what depends on it.
    problem.check_oracle(1e-10 if dtype == "float64" else 2e-6 * size)
    if dtype == "float64" and size < 1e4:  # whose central differences are noise
        problem.check_central_differences()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores_have_a_finite_loss(dtype):
    problem = Problem((3,), [6, 1, 9, 4], "crf", dtype=dtype, states=False)
    problem.network.weights["head.bias"][...] = [1e4, -1e4, 0, 5e3]
    problem.network.weights["crf.transitions"][0] = -3e4
    loss, gradients = problem.loss_and_gradients()
    assert 0 < loss < 1e5
    assert np.isfinite(gradients.used).all()


@pytest.mark.parametrize("name", ["head.bias", "crf.transitions", "crf.start", "crf.end"])
def test_nan_reaches_the_loss(name):
    for k in range(4):
        problem = Problem((3,), [6, 3], "crf", states=False)
        problem.network.weights[name].flat[k] = np.nan
        assert np.isnan(problem.loss_and_gradients()[0])


@pytest.mark.parametrize("n_sequences", [3, 70])
def test_training_has_the_same_bits_on_any_number_of_threads(n_sequences):
    # Enough work for several threads, and for teams where there are few sequences.
    before = _engine.allow_team_threads(4)
    try:
        lengths = [40 + k % 7 for k in range(n_sequences)]
        problem = Problem((64,), lengths, "crf", dtype="float32", n_scores=19, states=False)
        loss, gradients = problem.loss_and_gradients(1)
        for n_threads in (2, 3, 4):
            same_loss, same = problem.loss_and_gradients(n_threads)
            assert same_loss == loss
            assert same.used.tobytes() == gradients.used.tobytes()
    finally:
        _engine.allow_team_threads(*before)


def test_decoding_has_the_same_bits_on_any_number_of_threads_and_in_any_batch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, size=90)
    scores = rng.normal(size=(lengths.sum(), 20))
    chain = random_chain(rng, 20, 1)
    expected = decode(scores, lengths, chain)
    for n_threads in (2, 4):
        for array, same in zip(
            expected, decode(scores, lengths, chain, n_threads), strict=True
        ):
            assert same.tobytes() == array.tobytes()
    ends = np.cumsum(lengths)
    for k in (0, 17, 89):
        rows = slice(ends[k] - lengths[k], ends[k])
        for array, same in zip(
            expected, decode(scores[rows], lengths[k : k + 1], chain), strict=True
        ):
            assert same.tobytes() == array[rows].tobytes()


# The classifier


def classifier(**parameters):
    defaults = {
        "hidden_layer_sizes": 8,
        "loss": "crf",
        "return_sequences": True,
        "learning_rate_init": 0.02,
        "max_iter": 30,
        "random_state": 0,
    }
    return LSTMClassifier(**{**defaults, **parameters})


def chunks(n, seed=0):
    """Chunks B I I ... in O, seen through noise: no I follows an O."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for length in rng.integers(1, 12, size=n):
        labels, last = [], 2
        for _ in range(length):
            last = rng.choice(3, p=[[0.1, 0.7, 0.2], [0.1, 0.5, 0.4], [0.4, 0, 0.6]][last])
            labels.append(last)
        X.append(np.eye(3)[labels] + rng.normal(scale=0.8, size=(length, 3)))
        y.append(LABELS[labels])
    return X, y


X, Y = chunks(120)
X_TEST, Y_TEST = chunks(200, seed=1)


def n_impossible(predicted):
    """How often an I follows an O or starts a sequence."""
    texts = ["O" + "".join(labels) for labels in predicted]
    return sum(text.count("OI") for text in texts)


def test_transitions_are_learnt():
    with_crf = classifier().fit(X, Y)
    without = classifier(loss="log_loss").fit(X, Y)
    assert n_impossible(Y) == 0
    assert n_impossible(without.predict(X_TEST)) > 10
    assert n_impossible(with_crf.predict(X_TEST)) == 0
    assert with_crf.score(X_TEST, Y_TEST) > without.score(X_TEST, Y_TEST) - 0.01
    transitions = with_crf.weights_["crf.transitions"]
    assert transitions.argmin() == 7  # from O to I


def test_predictions_follow_from_scores_and_transitions():
    model = classifier(dtype="float64").fit(X, Y)
    chain = [model.weights_[f"crf.{name}"] for name in ("transitions", "start", "end")]
    short = [k for k, x in enumerate(X) if len(x) <= 5][:5]
    batch = [X[k] for k in short]
    outputs = (
        model.decision_function(batch),
        model.predict(batch),
        model.predict_proba(batch),
        model.predict_log_proba(batch),
    )
    for scores, predicted, p, log_p in zip(*outputs, strict=True):
        paths, values = all_paths(scores, chain)
        assert predicted.tolist() == LABELS[paths[values.argmax()]].tolist()
        weights = np.exp(values - values.max())
        expected = np.array([np.bincount(at, weights, 3) for at in paths.T]) / weights.sum()
        np.testing.assert_allclose(p, expected, atol=1e-13)
        np.testing.assert_allclose(log_p, np.log(expected), atol=1e-12)
    assert (model.n_outputs_, model.out_activation_) == (3, "crf")
    flat, truth = np.concatenate(model.predict(X)), np.concatenate(Y)
    assert model.score(X, Y) == np.mean(flat == truth)


def test_a_chain_of_zeros_leaves_the_log_loss():
    problem = Problem((3,), [6, 1, 9], "crf", states=False)
    for name in ("transitions", "start", "end"):
        problem.network.weights[f"crf.{name}"][...] = 0
    scores, _ = problem.network.forward(problem.sequences, 1)
    losses = -log_softmax(scores, axis=1)[np.arange(16), problem.ys[:, 0].astype(int)]
    expected = np.average(losses, weights=problem.weights)
    assert problem.loss_and_gradients()[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_pairs_that_do_not_occur_start_low(method):
    # Twice O B I, once O O, and a sequence that does not count.
    tags = [["O", "B", "I"], ["O", "O"], ["I", "O"]]
    model = classifier(embedding_dim=2, learning_rate_init=1e-12, max_iter=1, dtype="float64")
    tokens, weights = [[0] * len(x) for x in tags], [2, 1, 0]
    getattr(model, method)(tokens, tags, sample_weight=weights)
    # Labels B, I, O: 2, 2, 4 of 8; from them go 2, 0 and 3 transitions.
    expected = {
        "transitions": [[1 + 2 / 4, 1, 1 + 2 / 2], [1, 1, 1], [1, 1 + 3 / 4, 1]],
        "start": [1 + 3 / 4, 1 + 3 / 4, 1],
        "end": [1 + 3 / 4, 1, 1],
    }
    for name, odds in expected.items():
        values = model.weights_[f"crf.{name}"]
        np.testing.assert_allclose(values, -np.log(odds), atol=1e-9)


def test_held_out_sequences_say_nothing_of_pairs():
    # Of the one that has a b after a b it depends on the seed whether it is held out.
    tags = [["a", "b", "a"]] * 9 + [["a", "b", "b"]]
    found = set()
    for seed in range(20):
        model = classifier(
            embedding_dim=2,
            learning_rate_init=1e-12,
            max_iter=1,
            early_stopping=True,
            validation_fraction=0.2,
            random_state=seed,
        ).fit([[0, 1, 0]] * 10, tags)
        found.add(bool(model.weights_["crf.transitions"][1, 1] < -0.1))
    assert found == {False, True}


def test_two_classes_and_equal_lengths():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(40, 6, 2))
    signs = np.where(steps[:, :, 0].cumsum(axis=1) > 0, "up", "down")
    model = classifier(dtype=np.float32).fit(steps, signs)
    assert model.predict(steps).shape == (40, 6)
    assert (
        model.decision_function(steps).shape == model.predict_proba(steps).shape == (40, 6, 2)
    )
    assert model.score(steps, signs) > 0.85
    padded = np.concatenate([steps, np.full((40, 2, 2), np.nan)], axis=1)
    np.testing.assert_array_equal(model.predict(padded)[:, :6], model.predict(steps))


def test_weights_of_sequences_are_copies():
    weights = np.arange(len(X)) % 3
    repeated = np.repeat(np.arange(len(X)), weights)
    settings = {"dtype": "float64", "max_iter": 3, "batch_size": 1000, "shuffle": False}
    weighted = classifier(**settings).fit(X, Y, weights)
    copies = classifier(**settings).fit([X[k] for k in repeated], [Y[k] for k in repeated])
    assert weighted.loss_ == pytest.approx(copies.loss_, rel=1e-10)
    np.testing.assert_allclose(
        weighted.weights_["crf.transitions"], copies.weights_["crf.transitions"], atol=1e-10
    )
    by_step = [np.full(len(x), w) for x, w in zip(X, weights, strict=True)]
    assert classifier(**settings).fit(X, Y, by_step).loss_ == weighted.loss_


def test_the_penalty_leaves_the_transitions_alone():
    network = classifier(max_iter=1).fit(X, Y)._network
    places = network.architecture.places
    penalized = {
        name for name, place in places.items() for start, _ in network.penalized
        if place.start == start
    }  # fmt: skip
    assert penalized == {"layers.0.weight_ih", "layers.0.weight_hh", "head.weight"}


def test_derivatives_of_scores_do_not_see_the_chain():
    tokens = [[0, 1, 2], [2, 1], [3]]
    tags = [["a", "b", "c"], ["c", "b"], ["a"]]
    model = classifier(embedding_dim=3, dtype="float64").fit(tokens, tags)
    gradients = model.input_gradients(tokens, output=1, step=0)
    table = model.weights_["embedding.weight"]
    for k in range(3):
        before, step = table[0, k], 1e-5
        table[0, k] = before + step
        above = model.decision_function(tokens)[0][0, 1]
        table[0, k] = before - step
        below = model.decision_function(tokens)[0][0, 1]
        table[0, k] = before
        assert gradients[0][0, k] == pytest.approx((above - below) / (2 * step), rel=1e-7)


def test_a_stream_gives_scores_only():
    model = classifier().fit(X, Y)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        message = f'method="{method}" cannot stream with loss="crf": it needs the whole'
        with pytest.raises(ValueError, match=message):
            model.stream(method=method)
    stream = model.stream(method="decision_function")
    for x_t, expected in zip(X[0], model.decision_function(X[:1])[0], strict=True):
        np.testing.assert_array_equal(stream.step(x_t)[0], expected)
