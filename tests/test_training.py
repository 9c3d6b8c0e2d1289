"""The training loop by itself, on a network of one weight that is easy to follow."""

import numpy as np
import pytest

from cylstm._training import History, NonFiniteLossError, train


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
        self.rows = np.arange(7)
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
