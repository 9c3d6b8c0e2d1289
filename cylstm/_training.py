"""The training loop: epochs, batches, stopping. It knows neither estimators nor
layers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from . import _engine, _updates
from ._arguments import warn_caller
from ._engine import PRECISIONS

# Epochs without progress after which early stopping stops, and a learning rate falls that
# adapts to progress, unless n_iter_no_change says otherwise.
PATIENCE = 10

# The smallest and largest number of sequences in an automatic batch.
AUTO_BATCH = 8, 32


class NonFiniteLossError(ValueError):
    """The loss or its gradient became NaN or infinite."""


@dataclass
class History:
    """What happened in the epochs so far, over all calls that continued the same training."""

    CURVES: ClassVar = ("loss_curve", "validation_scores", "learning_rates", "seconds")

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float | None] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)
    n_iter: int = 0  # epochs
    t: int = 0  # samples (of texts tokens) seen

    def add(self, loss, validation_score, learning_rate, seconds, n_samples):
        """An epoch has ended. Its score is None without validation data."""
        self.n_iter += 1
        self.t += n_samples
        self.loss_curve.append(loss)
        self.learning_rates.append(learning_rate)
        self.seconds.append(seconds)
        self.validation_scores.append(validation_score)

    def __getstate__(self):
        """Scores that are not there are NaN."""
        curves = zip(self.CURVES, self.curves, strict=True)
        arrays = {name: np.array(curve, np.float64) for name, curve in curves}
        return {**arrays, "n_iter": self.n_iter, "t": self.t}

    def __setstate__(self, state):
        self.n_iter, self.t = state["n_iter"], state["t"]
        for name in self.CURVES:
            curve = state[name].tolist()
            setattr(self, name, [None if x != x else x for x in curve])

    @property
    def curves(self):
        """The lists that grow by an entry in each epoch."""
        return [getattr(self, name) for name in self.CURVES]

    def mark(self):
        """Where it stands, for `return_to`."""
        return self.n_iter, self.t

    def return_to(self, mark):
        """Forget what came after the mark."""
        self.n_iter, self.t = mark
        for curve in self.curves:
            del curve[self.n_iter :]


class Snapshot:
    """What training changes in place, as it was when the snapshot was taken. The next one is
    taken into the same memory."""

    def __init__(self):
        self._copies = []

    def take(self, trainer, history, with_moments=True):
        self._network = trainer.network
        parameters, moments = trainer.network.parameters, trainer.optimizer.moments
        # Before the first step there are no moments.
        with_moments = with_moments and moments is not None
        self._arrays = [parameters, *(moments if with_moments else [])]
        if len(self._copies) != len(self._arrays):
            self._copies = [np.empty_like(array) for array in self._arrays]
        copy = _updates.copy[PRECISIONS[parameters.dtype]]
        for array, kept in zip(self._arrays, self._copies, strict=True):
            copy(array, kept, trainer.n_threads)
        random_state = trainer.random_state
        self._random_state = random_state, random_state.get_state(legacy=False)
        self._history = history, history.mark()

    @property
    def parameters(self):
        """The copy of the network's parameters; only to be read."""
        return self._copies[0]

    def restore(self):
        for array, kept in zip(self._arrays, self._copies, strict=True):
            array[...] = kept
        self._network.changed()
        random_state, state = self._random_state
        random_state.set_state(state)
        history, mark = self._history
        history.return_to(mark)


class TrainingMemory:
    """What the training of one network works in: the engine's memory, gradients, and a
    snapshot of what training changes in place.

    partial_fit keeps it for its next call: fresh memory costs a page fault every few
    kilobytes, with 4.5 million parameters a quarter of the time of a call.
    """

    def __init__(self):
        self.workspace = _engine.Workspace()
        self.snapshot = Snapshot()
        self._gradients = None

    def gradients(self, network, max_tokens):
        """Room for the gradients of batches of at most so many different tokens."""
        if self._gradients is None or not network.has_room(self._gradients, max_tokens):
            self._gradients = network.new_gradients(max_tokens)
        return self._gradients


class BatchTrainer:
    """Trains a network on one batch after the other; a subclass chooses them (epoch,
    n_samples).

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    max_tokens : int
        Number of steps of the largest batch.
    l1, l2 : float
        Penalty l1 |w|_1 + l2/2 |w|_2^2 on weight matrices.
    n_threads : int
    memory : TrainingMemory, optional
        To work in; one trainer at a time.
    **dropout
        Rates of dropout, and seed.
    """

    epoch_is_a_step = False  # whether an epoch is a single step of the optimizer

    def __init__(
        self,
        network,
        optimizer,
        max_tokens,
        *,
        l1,
        l2,
        n_threads,
        memory=None,
        **dropout,
    ):
        self.network = network
        self.optimizer = optimizer
        self.l1 = l1
        self.l2 = l2
        self.n_threads = n_threads
        self._dropout = dropout
        memory = memory or TrainingMemory()
        self._workspace = memory.workspace
        self._gradients = memory.gradients(network, max_tokens)

    @property
    def dropout(self):
        """Rates and what masks are drawn from. Those of parameters are the same until the
        next step of the optimizer."""
        return {**self._dropout, "parameter_update": self.optimizer.n_steps}

    def _train_on(self, sequences, targets, weights, batch, **options):
        """One step of the optimizer; return objective and weight of the batch."""
        network = self.network
        loss, weight = network.loss_and_gradients(
            self._workspace,
            sequences,
            targets,
            weights,
            batch,
            self._gradients,
            self.n_threads,
            **options,
            **self.dropout,
        )
        if weight == 0:  # no sample of the batch counts
            return 0.0, 0.0
        if self.l1 or self.l2:
            loss += _updates.penalize[PRECISIONS[network.dtype]](
                network.parameters,
                self._gradients.flat,
                network.penalized,
                self.l1,
                self.l2,
            )
        if not np.isfinite(loss) or not self.optimizer.step(
            network.parameters, self._gradients, self.n_threads
        ):
            raise NonFiniteLossError
        network.changed()
        return loss, weight


def weighted_mean(pairs):
    """Weighted mean of (value, weight) pairs; 0 if none has a weight."""
    total = total_weight = 0.0
    for value, weight in pairs:
        total += value * weight
        total_weight += weight
    return total / total_weight if total_weight else 0.0


def automatic_batch(batch_size, n, limits):
    """Samples of a batch, of n in all; "auto" are a tenth of them within limits."""
    if batch_size == "auto":
        batch_size = min(max(n // 10, limits[0]), limits[1])
    return min(int(batch_size), n)


class Trainer(BatchTrainer):
    """Trains on sequences, one epoch at a time.

    Parameters
    ----------
    network, optimizer, **settings
        As BatchTrainer takes them.
    data : Dataset
    batch_size : int or "auto"
    shuffle : bool
        Draw a new order in each epoch.
    random_state : RandomState
    bptt_steps : int or None
        Process sequences in chunks of this many steps, and carry the state over.
    """

    def __init__(
        self,
        network,
        optimizer,
        data,
        *,
        batch_size,
        shuffle,
        random_state,
        bptt_steps=None,
        **settings,
    ):
        self.sequences = data.sequences
        self.targets, self.weights = data.spread()
        self.n_samples = len(data)
        self.batch_size = automatic_batch(batch_size, len(data), AUTO_BATCH)
        self.epoch_is_a_step = self.batch_size == len(data) and bptt_steps is None
        self.shuffle = shuffle
        self.random_state = random_state
        self.bptt_steps = bptt_steps
        longest = np.partition(self.sequences.lengths, -self.batch_size)
        max_tokens = int(longest[-self.batch_size :].sum())
        super().__init__(network, optimizer, max_tokens, **settings)

    def epoch(self):
        """One pass over the data; return the mean objective over it."""
        rows = np.arange(self.n_samples)
        if self.shuffle:
            rows = self.random_state.permutation(rows)
        return weighted_mean(
            step
            for start in range(0, len(rows), self.batch_size)
            for step in self.steps(rows[start : start + self.batch_size])
        )

    def steps(self, batch):
        """Train on a batch; return objective and weight of each step of the optimizer."""
        return [self.step(batch)] if self.bptt_steps is None else self.steps_in_chunks(batch)

    def step(self, batch):
        """One step of the optimizer; return objective and weight of the batch."""
        return self._train_on(
            self.sequences,
            self.targets,
            self.weights,
            batch,
            update=self.optimizer.n_steps,
        )

    def steps_in_chunks(self, batch):
        """A step of the optimizer for each chunk of steps in which some sequence has a
        target; yield objective and weight of each.

        The state is carried from chunk to chunk, gradients are not (truncated
        backpropagation through time, Williams & Peng 1990).
        """
        update = self.optimizer.n_steps  # one recurrent mask for all chunks
        per_step = self.network.architecture.per_step
        # Longest first: sequences that are still running keep their rows, and so their masks.
        batch = batch[np.argsort(-self.sequences.lengths[batch], kind="stable")]
        states = np.zeros((len(batch), self.network.architecture.n_state), self.network.dtype)
        lengths = self.sequences.lengths[batch]
        for first in range(0, lengths.max(), self.bptt_steps):
            running = slice(np.count_nonzero(lengths > first))
            rows = batch[running]
            chunk = self.sequences.take(rows).chunk(first, self.bptt_steps)
            targets, weights = self.targets, self.weights
            if not per_step:  # only sequences that end in this chunk have a target
                ends = lengths[running] <= first + self.bptt_steps
                targets, weights = targets[rows], np.where(ends, weights[rows], 0)
            options = {
                "update": update,
                "first_step": first,
                "state_in": states[running],
                "state_out": states[running],  # read before it is written
            }
            if not weights[chunk.real_rows() if per_step else ...].any():
                self.network.forward(
                    chunk, self.n_threads, scores=False, **options, **self.dropout
                )
            else:
                yield self._train_on(chunk, targets, weights, np.arange(len(rows)), **options)


def all_finite(parameters, n_threads):
    # The norm is fast, and finite unless some number is not or it overflows.
    norm = _updates.norm[PRECISIONS[parameters.dtype]](parameters, n_threads)
    return np.isfinite(norm) or np.isfinite(parameters).all()


class _Progress:
    """Counts epochs without progress; keeps the parameters of the best one if asked to."""

    def __init__(self, tol, keep_best):
        self.tol = tol
        self.keep_best = keep_best
        self.best = -np.inf
        self.best_parameters = None
        self.n_stalled = 0

    def update(self, value, parameters):
        """value is the validation score, or minus the loss."""
        self.n_stalled = 0 if value > self.best + self.tol else self.n_stalled + 1
        if value > self.best:
            self.best = value
            if self.keep_best:
                self.best_parameters = parameters.copy()


def train(
    trainer,
    history,
    *,
    max_iter,
    tol,
    n_iter_no_change,
    validate=None,
    early_stopping=False,
    before_epoch=None,
    after_epoch=None,
    last_finite=None,
    checkpoint=None,
):
    """Run up to `max_iter` epochs; update `history` and the trainer's network.

    Training stops after more than `n_iter_no_change` consecutive epochs in which the loss
    (with `early_stopping` the validation score) did not improve by more than `tol`, or when
    `after_epoch` returns True; each call starts counting from zero. Ctrl-C keeps the
    parameters reached. A non-finite loss restores those of the last complete epoch and
    raises ValueError.

    Parameters
    ----------
    trainer : Trainer
    history : History
    max_iter, tol
    n_iter_no_change : int or inf
    validate : callable() -> float, optional
        Validation score; higher is better.
    early_stopping : bool
        Measure progress by `validate` and end with the parameters of the best score.
    before_epoch : callable(), optional
    after_epoch : callable() -> bool, optional
        Called once history is up to date; True stops training.
    last_finite : array, optional
        A copy of the parameters as they are, which is not changed.
    checkpoint : Checkpoint, optional
        The file to go on from, and to write the state of training to.

    Returns
    -------
    stalled : bool
        Whether training ended before max_iter for want of progress.
    """
    parameters = trainer.network.parameters
    progress = _Progress(tol, keep_best=early_stopping)
    epochs = range(max_iter)
    if checkpoint is not None:
        finished = checkpoint.restore(trainer, history, progress, max_iter)
        epochs = epochs[max_iter if finished else checkpoint.n_done :]
        last_finite = None
    stalled = False
    given = last_finite
    if given is None:
        last_finite = parameters.copy()
    try:
        for epoch in epochs:
            if epoch > epochs[0]:
                if last_finite is given:
                    last_finite = np.empty_like(parameters)
                last_finite[:] = parameters
            if before_epoch is not None:
                before_epoch()
            began = time.perf_counter()
            loss = trainer.epoch()
            if not all_finite(parameters, trainer.n_threads):
                raise NonFiniteLossError
            score = None if validate is None else validate()
            seconds = time.perf_counter() - began
            history.add(
                loss, score, trainer.optimizer.learning_rate, seconds, trainer.n_samples
            )
            progress.update(score if early_stopping else -loss, parameters)
            trainer.optimizer.end_epoch(history.t)
            stop = after_epoch is not None and after_epoch()
            if progress.n_stalled > n_iter_no_change:
                progress.n_stalled = 0
                stalled = not stop and not trainer.optimizer.lower_rate_on_plateau()
            last = epoch == epochs[-1]
            stop = stop or stalled or last
            if checkpoint is not None and (stop or checkpoint.is_due(epoch + 1)):
                checkpoint.save(trainer, history, progress, epoch + 1, finished=stop)
            if stop:
                stalled = stalled and not last
                break
    except KeyboardInterrupt:
        warn_caller(
            f"Training was interrupted after {history.n_iter} epochs; the model keeps "
            "the weights reached so far."
        )
    except NonFiniteLossError:
        parameters[:] = last_finite
        trainer.network.changed()
        raise NonFiniteLossError(
            f"The loss became NaN or infinite in epoch {history.n_iter + 1}. Try a "
            "smaller learning_rate_init or alpha, a clip_norm of 1, or inputs scaled to about "
            "unit variance. The model keeps the weights it had before "
            "that epoch."
        ) from None
    if progress.best_parameters is not None:
        parameters[:] = progress.best_parameters
        trainer.network.changed()
    return stalled
