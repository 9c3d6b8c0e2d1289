"""Streams of text against a plain reading of them, their gradients, samples of classes."""

import numpy as np
import pytest
import reference_lstm as reference
from problem import NOISE, Recorder, assert_close_to_largest, numerical_gradient

from cylstm._network import Architecture, Network
from cylstm._text_training import TextTrainer, sampling_shares


def text_trainer(texts, optimizer=None, **settings):
    a = Architecture(
        3, (4, 3), 5, "softmax", "float64", per_step=True, vocabulary=5, tied=True
    )
    network = Network(a)
    network.parameters[:] = np.random.default_rng(0).normal(
        scale=0.5, size=network.parameters.size
    )
    options = {
        "batch_size": 3,
        "bptt_steps": 4,
        "n_sampled": None,
        "shuffle": False,
        "random_state": np.random.RandomState(0),
        "l1": 0.0,
        "l2": 0.0,
        "n_threads": 1,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "seed": 7,
        **settings,
    }
    return TextTrainer(network, optimizer or Recorder(), texts, 4, **options)


def texts_of(*lengths):
    rng = np.random.default_rng(1)
    return [rng.integers(5, size=n) for n in lengths]


def plain_chunks(texts, n_streams, n_steps, shift):
    """What TextTrainer learns from, token by token: for each chunk its pieces, each with
    stream, inputs, targets, and whether its state is carried. Every fourth chunk the next
    stream, from `shift` on, begins anew."""
    tokens, begins = [], []
    for text in texts:
        begins += [True] + [False] * (len(text) - 1)
        tokens += list(text)
    cuts = [k * len(tokens) // n_streams for k in range(n_streams + 1)]
    longest = max(cuts[k + 1] - cuts[k] for k in range(n_streams))
    n_chunks = (longest + n_steps - 1) // n_steps
    for chunk in range(n_chunks):
        first, last = chunk * longest // n_chunks, (chunk + 1) * longest // n_chunks
        pieces = []
        for stream in range(n_streams):
            begin, end = cuts[stream], cuts[stream + 1]
            for at in range(begin + first, min(begin + last, end)):
                anew = chunk % 4 == 0 and stream == (chunk // 4 - 1 + shift) % n_streams
                new = begins[at] or at == begin or (anew and at == begin + first)
                if new or at == begin + first:
                    pieces.append((stream, [], [], not new))
                _, inputs, targets, _ = pieces[-1]
                inputs.append(4 if new else tokens[at - 1])
                targets.append(tokens[at])
        yield pieces


TEXTS = {
    "one sequence": (37,),
    "a long sequence": (150,),
    "sequences": (5, 1, 9, 2, 2, 8, 1, 1, 12),
    "begins at chunks and streams": (4, 4, 4, 4, 4, 4, 4, 4),
    "fewer tokens than streams": (2,),
}


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("lengths", TEXTS.values(), ids=TEXTS)
def test_gradients_through_carried_states_equal_the_oracle(lengths, dropout):
    texts = texts_of(*lengths)
    names = ("dropout", "recurrent_dropout", "weight_dropout", "embedding_dropout")
    trainer = text_trainer(texts, **dict.fromkeys(names, dropout))
    losses = list(trainer.steps_in_chunks(*trainer._lay_out()))
    network = trainer.network
    a, named = network.architecture, network.weights
    states = {}
    shift = np.random.RandomState(0).randint(trainer.batch_size)
    chunks = list(plain_chunks(texts, trainer.batch_size, 4, shift))
    assert len(losses) == len(chunks)
    recorded = trainer.optimizer.gradients
    steps = zip(losses, recorded, chunks, strict=True)
    for step, ((loss, weight), flat, pieces) in enumerate(steps, start=Recorder.first):
        masks = reference.Dropout(dropout, dropout, 7, step, 0, dropout, dropout, step)
        xs = [inputs for _, inputs, _, _ in pieces]
        ys = [np.array(targets)[:, None] for _, _, targets, _ in pieces]
        before = [
            states[stream] if carried else np.zeros(a.n_state)
            for stream, _, _, carried in pieces
        ]
        ones = [np.ones(len(x)) for x in xs]
        arguments = (a, named, xs, ys, ones, before, masks)
        assert weight == sum(map(len, xs))
        assert loss == pytest.approx(reference.batch_loss(*arguments), rel=1e-10)
        gradients = reference.batch_gradients(*arguments)
        expected = np.concatenate([gradients[name].ravel() for name in named])
        np.testing.assert_allclose(flat, expected, rtol=0, atol=1e-10)
        for row, (stream, inputs, _, _) in enumerate(pieces):
            _, (layers, *_) = reference.forward(
                a, masks.weights(a, named), inputs, before[row], row, masks
            )
            last = [steps[-1][name] for layer in layers for steps in layer for name in "hc"]
            states[stream] = np.concatenate(last)


def test_gradients_through_carried_states_by_central_differences():
    texts = texts_of(5, 1, 9, 2, 2, 8, 1, 1, 12)
    trainer = text_trainer(texts)
    network = trainer.network
    start = network.parameters.copy()
    # The states that each chunk starts from, as they are with these weights.
    seen = []
    learn = trainer._train_on

    def note(*arguments, state_in, state_out, **options):
        seen.append((arguments, state_in.copy()))
        return learn(*arguments, state_in=state_in, state_out=state_out, **options)

    trainer._train_on = note
    losses = [loss for loss, _ in trainer.steps_in_chunks(*trainer._lay_out())]
    assert any(state.any() for _, state in seen)
    for k, (arguments, state) in enumerate(seen):
        assert (network.parameters == start).all()

        def loss(arguments=arguments, state=state):
            return learn(*arguments, update=0, state_in=state)[0]

        assert loss() == losses[k]
        numerical = numerical_gradient(loss, network.parameters)
        assert_close_to_largest(
            trainer.optimizer.gradients[k], numerical, 1e-7, f"chunk {k}", NOISE * losses[k]
        )


def test_every_token_is_learnt_from_once_in_an_epoch():
    texts = texts_of(5, 1, 9, 2, 2, 8, 1, 1, 12)
    for batch_size in (1, 2, 5, 40, 100):
        for bptt_steps in (1, 3, 7, 100):
            trainer = text_trainer(texts, batch_size=batch_size, bptt_steps=bptt_steps)
            steps = list(trainer.steps_in_chunks(*trainer._lay_out()))
            assert sum(weight for _, weight in steps) == 41 == trainer.n_samples
            # No chunk is much shorter than the others.
            weights = [weight for _, weight in steps]
            assert min(weights) >= max(weights) - 2 * trainer.batch_size


def test_shuffled_sequences_stay_whole():
    texts = [np.full(3, k) for k in range(4)]
    trainer = text_trainer(texts, shuffle=True, batch_size=1)
    orders = set()
    for _ in range(20):
        inputs, targets, _, begins = trainer._lay_out()
        assert begins.tolist() == [0, 3, 6, 9]  # too few chunks for one to begin anew
        assert (inputs[begins] == 4).all()
        rows = targets.reshape(4, 3)
        assert (rows == rows[:, :1]).all()
        orders.add(tuple(rows[:, 0]))
    assert len(orders) > 5


def test_sampling_shares():
    counts = np.array([1000, 100, 10, 1, 1, 0])
    for n in (1, 2, 3, 5):
        shares = sampling_shares(counts, n)
        assert shares.sum() == pytest.approx(n)
        assert (np.diff(shares) <= 0).all()
        assert shares.max() <= 1
        assert shares.min() > 0
    weights = np.maximum(counts, 1) ** 0.75
    expected = 0.9 * weights / weights.sum() + 0.1 / 6
    np.testing.assert_allclose(sampling_shares(counts, 1), expected)
    assert sampling_shares(counts, 2)[0] == 1


def test_classes_are_sampled_by_their_shares():
    texts = [np.random.default_rng(0).zipf(1.5, size=3000) % 5]
    trainer = text_trainer(texts, n_sampled=3, batch_size=4)
    _, targets, streams, _ = trainer._lay_out()
    shares = trainer._shares
    assert 0 < shares.min() < shares.max() <= 1
    seen = np.zeros(5)
    for _ in range(2000):
        starts = streams[:-1] + 1
        sample = trainer._sample(targets, starts, starts + 2)
        classes, log_shares = sample["classes"], sample["log_shares"]
        drawn = classes[: len(log_shares)]
        np.testing.assert_array_equal(log_shares, np.log(shares[drawn]))
        needed = {int(targets[k + j, 0]) for k in starts for j in range(2)}
        assert set(classes) == {*drawn, *needed}
        assert len(set(classes)) == len(classes)
        seen[drawn] += 1
    # Four standard deviations.
    assert np.abs(seen / 2000 - shares).max() < 4 * 0.5 / np.sqrt(2000)


def test_a_trainer_uses_its_sample():
    texts = texts_of(80)
    trainer = text_trainer(texts, n_sampled=2)
    calls = []
    trainer._train_on = lambda *arguments, **options: calls.append(options) or (1.0, 1)
    list(trainer.steps_in_chunks(*trainer._lay_out()))
    assert all({"classes", "log_shares"} <= set(options) for options in calls)
    assert len({tuple(options["classes"]) for options in calls}) > 1
