"""The training loop by itself, on a network of one weight that is easy to follow; chunks of
steps against the oracle."""

import numpy as np
import pytest
import reference_lstm as reference
from problem import Recorder

from cylstm._dataset import Dataset
from cylstm._network import Architecture, Network
from cylstm._sequences import ragged_to_sequences
from cylstm._training import History, NonFiniteLossError, Trainer, TrainingMemory, train


class FakeOptimizer:
    learning_rate = 0.1

    def __init__(self, n_halts=0):
        self.n_halts = n_halts
        self.seen = []

    def end_epoch(self, n_samples_seen):
        self.seen.append(n_samples_seen)

    def lower_rate_on_plateau(self):
        self.n_halts -= 1
        return self.n_halts >= 0


class FakeTrainer:
    """Its only parameter counts the epochs; losses come from a list."""

    def __init__(self, losses, optimizer=None):
        self.network = self
        self.parameters = np.zeros(1)
        self.n_samples = 7
        self.n_threads = 1
        self.losses = iter(losses)
        self.optimizer = optimizer or FakeOptimizer()
        self.announced = None  # the parameters when they were last said to have changed

    def changed(self):
        self.announced = self.parameters.copy()

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
    assert trainer.parameters[0] == trainer.announced[0] == 5


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
    assert trainer.parameters[0] == trainer.announced[0] == 2
    assert history.n_iter == 2


@pytest.mark.parametrize("n_finite", [0, 1, 2])
def test_a_given_copy_of_the_parameters_serves_and_stays_as_it_is(n_finite):
    trainer = FakeTrainer([*[1] * n_finite, NonFiniteLossError()])
    trainer.parameters[:] = 10
    given = trainer.parameters.copy()
    with pytest.raises(NonFiniteLossError):
        train(trainer, History(), max_iter=5, tol=0, n_iter_no_change=9, last_finite=given)
    assert trainer.parameters[0] == 10 + n_finite
    assert given[0] == 10


@pytest.mark.parametrize(("tied", "needed"), [(False, [2, 6, 6, 9, 9]), (True, [9] * 5)])
def test_memory_has_room_for_the_tokens_of_later_batches(tied, needed):
    a = Architecture(3, (3,), 8, "softmax", "float32", per_step=True, vocabulary=9, tied=tied)
    network, memory = Network(a), TrainingMemory()
    for max_tokens, expected in zip([2, 6, 1, 20, 5], needed, strict=True):
        gradients = memory.gradients(network, max_tokens)
        assert len(gradients.tokens) == expected
        assert len(gradients.flat) == a.n_dense + 3 * expected
    assert memory.gradients(network, 9) is gradients


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
        Dataset(ragged_to_sequences(xs, "float64"), join(ys), join(weights), per_step),
        batch_size=6,
        shuffle=False,
        l1=0.0,
        l2=0.0,
        n_threads=1,
        random_state=None,
        bptt_steps=3,
        dropout=dropout,
        recurrent_dropout=dropout,
        weight_dropout=dropout,
        seed=7,
    )
    losses = [loss for loss, _ in trainer.steps_in_chunks(np.arange(6))]

    named = network.weights
    order = sorted(range(6), key=lambda k: -lengths[k])
    states = dict.fromkeys(order)
    expected_losses, expected_gradients = [], []
    for first in range(0, 11, 3):
        # Weights are dropped anew for each step of the optimizer, states for each batch.
        step = recorder.first + len(expected_losses)
        masks = reference.Dropout(dropout, dropout, 7, 3, first, dropout, 0, step)
        dropped = masks.weights(a, named)
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
            _, (layers, *_) = reference.forward(
                a, dropped, chunks[row], before[row], row, masks
            )
            last = [steps[-1][name] for layer in layers for steps in layer for name in "hc"]
            states[k] = np.concatenate(last)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-10)
    assert len(recorder.gradients) == len(expected_gradients)
    for flat, expected in zip(recorder.gradients, expected_gradients, strict=True):
        flat_expected = np.concatenate([expected[name].ravel() for name in named])
        np.testing.assert_allclose(flat, flat_expected, rtol=0, atol=1e-10)
