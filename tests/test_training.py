"""The training loop by itself, on a network of one weight that is easy to follow; chunks of
steps against the oracle."""

import numpy as np
import pytest
import reference_lstm as reference
from problem import NOISE, assert_close_to_largest, numerical_gradient

from cylstm._network import Architecture, Network
from cylstm._sequences import ragged_to_sequences
from cylstm._training import (
    History,
    NonFiniteLossError,
    TextTrainer,
    Trainer,
    sampling_shares,
    train,
)


class FakeOptimizer:
    def __init__(self, n_halts=0):
        self.n_halts = n_halts
        self.seen = []

    def end_epoch(self, n_samples_seen):
        self.seen.append(n_samples_seen)

    def goes_on_after_halt(self):
        self.n_halts -= 1
        return self.n_halts >= 0


class FakeTrainer:
    """Its only parameter counts the epochs; losses come from a list."""

    def __init__(self, losses, optimizer=None):
        self.network = self
        self.parameters = np.zeros(1)
        self.n_samples = 7
        self.losses = iter(losses)
        self.optimizer = optimizer or FakeOptimizer()

    def epoch(self):
        self.parameters += 1
        loss = next(self.losses)
        if isinstance(loss, BaseException):
            raise loss
        return loss


def run(losses, optimizer=None, **settings):
    trainer, history = FakeTrainer(losses, optimizer), History()
    settings = {"max_iter": len(losses), "tol": 0.1, "n_iter_no_change": 2, **settings}
    train(trainer, history, **settings)
    return trainer, history


def test_progress_resets_the_count_of_stalled_epochs():
    _, history = run([5, 5, 5, 4, 4, 4, 3.95, 3.9, 0])
    # Stalled at 4, 3.95 and 3.9: less than tol below the best.
    assert history.loss_curve == [5, 5, 5, 4, 4, 4, 3.95]
    assert (history.n_iter, history.t) == (7, 49)


def test_optimizer_hears_of_samples_and_may_go_on_after_a_halt():
    trainer, history = run([1] * 20, FakeOptimizer(n_halts=2))
    # 1 with progress, then three times 3 without.
    assert history.n_iter == 10
    assert trainer.optimizer.seen == [7 * k for k in range(1, 11)]


def test_early_stopping_judges_by_the_score_and_keeps_the_best():
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.55, 0.2, 0.9])
    trainer, history = run(
        [9, 8, 7, 6, 5, 4, 3], validate=lambda: next(scores), early_stopping=True
    )
    # 0.55 is the best, if by less than tol: kept, but no reason to go on.
    assert history.validation_scores == [0.1, 0.5, 0.3, 0.4, 0.55]
    assert trainer.parameters[0] == 5


def test_each_call_judges_progress_anew():
    trainer, history = FakeTrainer([1, 1, 1, 5, 5, 4]), History()
    scores = iter([0.9, 0.1, 0.2])
    options = {"max_iter": 3, "tol": 0, "n_iter_no_change": 9}
    train(trainer, history, validate=lambda: next(scores), early_stopping=True, **options)
    assert trainer.parameters[0] == 1
    train(trainer, history, **options)
    assert trainer.parameters[0] == 4
    assert history.n_iter == 6


def test_interrupt_before_the_first_score_keeps_what_was_reached():
    with pytest.warns(UserWarning, match="interrupted after 0 epochs"):
        trainer, _ = run([KeyboardInterrupt()], validate=lambda: 1.0, early_stopping=True)
    assert trainer.parameters[0] == 1


def test_after_epoch_can_stop():
    counted = []
    run(
        [3, 2, 1],
        before_epoch=lambda: counted.append("before"),
        after_epoch=lambda: counted.append("after") or len(counted) == 4,
    )
    assert counted == ["before", "after"] * 2


def test_interrupt_keeps_what_was_reached():
    with pytest.warns(UserWarning, match="interrupted after 1 epochs"):
        trainer, history = run([3, KeyboardInterrupt()])
    assert trainer.parameters[0] == 2
    assert history.n_iter == 1


def test_a_loss_that_is_not_finite_brings_back_the_last_whole_epoch():
    trainer, history = FakeTrainer([3, 2, NonFiniteLossError()]), History()
    with pytest.raises(NonFiniteLossError, match="epoch 3"):
        train(trainer, history, max_iter=5, tol=0, n_iter_no_change=9)
    assert trainer.parameters[0] == 2
    assert history.n_iter == 2


def test_parameters_that_overflowed_count_as_a_loss_that_is_not_finite():
    class Overflowing(FakeTrainer):
        def epoch(self):
            loss = super().epoch()
            if self.parameters[0] == 2:
                self.parameters[:] = np.inf
            return loss

    trainer = Overflowing([3, 2, 1])
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        train(trainer, History(), max_iter=5, tol=0, n_iter_no_change=9)
    assert trainer.parameters[0] == 1


class Recorder:
    """Takes gradients down and moves nothing."""

    n_steps = 3

    def __init__(self):
        self.gradients = []

    def step(self, parameters, gradients, n_threads):
        self.gradients.append(gradients.flat.copy())
        return True


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("per_step", [False, True], ids=["last step", "every step"])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "coupled"])
def test_gradients_of_chunks_equal_the_oracle_from_detached_states(cell, per_step, dropout):
    rng = np.random.default_rng(0)
    a = Architecture(3, (4, 3), 2, "squared_error", "float64", cell=cell, per_step=per_step)
    network = Network(a)
    network.parameters[:] = rng.normal(scale=0.5, size=network.parameters.size)
    lengths = [4, 11, 2, 7, 9, 1]
    xs = [rng.normal(size=(T, 3)) for T in lengths]
    shapes = [(T, 2) if per_step else (2,) for T in lengths]
    ys = [rng.normal(size=shape) for shape in shapes]
    weights = [rng.uniform(0.5, 2, size=shape[:-1]) for shape in shapes]
    join = np.concatenate if per_step else np.array
    recorder = Recorder()
    trainer = Trainer(
        network,
        recorder,
        ragged_to_sequences(xs, "float64"),
        join(ys),
        join(weights),
        np.arange(6),
        batch_size=6,
        shuffle=False,
        l1=0.0,
        l2=0.0,
        n_threads=1,
        random_state=None,
        bptt_steps=3,
        dropout=dropout,
        recurrent_dropout=dropout,
        seed=7,
    )
    losses = [loss for loss, _ in trainer.steps_in_chunks(np.arange(6))]

    named = network.weights
    order = sorted(range(6), key=lambda k: -lengths[k])
    states = dict.fromkeys(order)
    expected_losses, expected_gradients = [], []
    for first in range(0, 11, 3):
        masks = reference.Dropout(dropout, dropout, 7, 3, first)
        running = [k for k in order if lengths[k] > first]
        chunks = [xs[k][first : first + 3] for k in running]
        ends = [lengths[k] <= first + 3 for k in running]
        if per_step:
            targets = [ys[k][first : first + 3] for k in running]
            shares = [weights[k][first : first + 3] for k in running]
        else:
            targets = [ys[k] for k in running]
            shares = [weights[k] * end for k, end in zip(running, ends, strict=True)]
        before = [np.zeros(a.n_state) if states[k] is None else states[k] for k in running]
        if per_step or any(ends):
            arguments = (a, named, chunks, targets, shares, before, masks)
            expected_losses.append(reference.batch_loss(*arguments))
            expected_gradients.append(reference.batch_gradients(*arguments))
        for row, k in enumerate(running):
            _, (layers, *_) = reference.forward(a, named, chunks[row], before[row], row, masks)
            last = [steps[-1][name] for layer in layers for steps in layer for name in "hc"]
            states[k] = np.concatenate(last)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-10)
    assert len(recorder.gradients) == len(expected_gradients)
    for flat, expected in zip(recorder.gradients, expected_gradients, strict=True):
        flat_expected = np.concatenate([expected[name].ravel() for name in named])
        np.testing.assert_allclose(flat, flat_expected, rtol=0, atol=1e-10)


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


def plain_chunks(texts, n_streams, n_steps):
    """What TextTrainer learns from, token by token: for each chunk its pieces, each with
    stream, inputs, targets, and whether its state is carried."""
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
                new = begins[at] or at == begin
                if new or at == begin + first:
                    pieces.append((stream, [], [], not new))
                _, inputs, targets, _ = pieces[-1]
                inputs.append(4 if new else tokens[at - 1])
                targets.append(tokens[at])
        yield pieces


TEXTS = {
    "one sequence": (37,),
    "sequences": (5, 1, 9, 2, 2, 8, 1, 1, 12),
    "begins at chunks and streams": (4, 4, 4, 4, 4, 4, 4, 4),
    "fewer tokens than streams": (2,),
}


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("lengths", TEXTS.values(), ids=TEXTS)
def test_gradients_through_carried_states_equal_the_oracle(lengths, dropout):
    texts = texts_of(*lengths)
    trainer = text_trainer(texts, dropout=dropout, recurrent_dropout=dropout)
    losses = list(trainer.steps_in_chunks(*trainer._lay_out()))
    network = trainer.network
    a, named = network.architecture, network.weights
    masks = reference.Dropout(dropout, dropout, 7, Recorder.n_steps, 0)
    states = {}
    chunks = list(plain_chunks(texts, trainer.batch_size, 4))
    assert len(losses) == len(chunks)
    recorded = trainer.optimizer.gradients
    for (loss, weight), flat, pieces in zip(losses, recorded, chunks, strict=True):
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
            _, (layers, *_) = reference.forward(a, named, inputs, before[row], row, masks)
            last = [steps[-1][name] for layer in layers for steps in layer for name in "hc"]
            states[stream] = np.concatenate(last)


def test_gradients_through_carried_states_by_central_differences():
    texts = texts_of(5, 1, 9, 2, 2, 8, 1, 1, 12)
    trainer = text_trainer(texts)
    network = trainer.network
    start = network.parameters.copy()
    # The states that each chunk starts from, as they are with these weights.
    seen = []
    learn = trainer._learn

    def note(*arguments, state_in, state_out, **options):
        seen.append((arguments, state_in.copy()))
        return learn(*arguments, state_in=state_in, state_out=state_out, **options)

    trainer._learn = note
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
        assert begins.tolist() == [0, 3, 6, 9]
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
    shares = sampling_shares(counts, 1)
    np.testing.assert_allclose(shares[:2] / shares[1:3], 10**0.75)
    assert sampling_shares(counts, 2)[0] == 1
