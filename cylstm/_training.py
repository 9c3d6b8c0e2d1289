"""The training loop: epochs, batches, stopping. It knows neither estimators nor
layers."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from . import _engine, _updates
from ._engine import PRECISIONS


class NonFiniteLossError(ValueError):
    """The loss or its gradient became NaN or infinite."""


@dataclass
class History:
    """What happened so far, over all calls that continued the same training."""

    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    n_iter: int = 0  # epochs
    t: int = 0  # samples seen
    # Epochs in a row without progress; best value so far of what progress is judged by.
    n_stalled: int = 0
    best: float = -np.inf


class Trainer:
    """Learns from sequences, one epoch at a time.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    sequences, targets, weights
        As Network.loss_and_gradients takes them.
    rows : int64 array
        The sequences to learn from.
    batch_size : int
    shuffle : bool
        Draw a new order in each epoch.
    alpha : float
        L2 penalty.
    n_threads : int
    random_state : RandomState
    """

    def __init__(
        self,
        network,
        optimizer,
        sequences,
        targets,
        weights,
        rows,
        *,
        batch_size,
        shuffle,
        alpha,
        n_threads,
        random_state,
    ):
        self.network = network
        self.optimizer = optimizer
        self.sequences = sequences
        self.targets = targets
        self.weights = weights
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.shuffle = shuffle
        self.alpha = alpha
        self.n_threads = n_threads
        self.random_state = random_state
        self._workspace = _engine.Workspace()
        self._gradients = np.empty_like(network.parameters)

    def epoch(self):
        """One pass over the rows; return the mean objective over it."""
        rows = self.random_state.permutation(self.rows) if self.shuffle else self.rows
        total = total_weight = 0.0
        for start in range(0, len(rows), self.batch_size):
            loss, weight = self.step(rows[start : start + self.batch_size])
            total += loss * weight
            total_weight += weight
        return total / total_weight

    def step(self, batch):
        """One step of the optimizer; return objective and weight of the batch."""
        network = self.network
        loss, weight = network.loss_and_gradients(
            self._workspace,
            self.sequences,
            self.targets,
            self.weights,
            batch,
            self._gradients,
            self.n_threads,
        )
        if weight == 0:  # nothing to learn from
            return 0.0, 0.0
        if self.alpha:
            loss += _updates.penalize[PRECISIONS[network.dtype]](
                network.parameters, self._gradients, network.penalized, self.alpha
            )
        if not np.isfinite(loss) or not self.optimizer.step(
            network.parameters, self._gradients
        ):
            raise NonFiniteLossError
        return loss, weight


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
):
    """Run up to `max_iter` epochs; update `history` and the trainer's network.

    Training stops where for more than `n_iter_no_change` epochs in a row neither the loss
    fell nor, with `early_stopping`, the validation score rose by at least `tol`, and where
    `after_epoch` asks for it. Ctrl-C keeps the parameters reached. A loss that is not
    finite brings back those of the last whole epoch and raises ValueError.

    Parameters
    ----------
    trainer : Trainer
    history : History
    max_iter, tol, n_iter_no_change
    validate : callable() -> float, optional
        Validation score; greater is better.
    early_stopping : bool
        Judge progress by `validate` and end with the parameters that scored best.
    before_epoch : callable(), optional
    after_epoch : callable() -> bool, optional
        Called with history up to date; True stops.
    """
    parameters = trainer.network.parameters
    last_finite = parameters.copy()
    # Where training goes on, it does so from the parameters that scored best.
    best_score = max(history.validation_scores, default=-np.inf)
    best_parameters = parameters.copy() if early_stopping else None
    try:
        for _ in range(max_iter):
            if before_epoch is not None:
                before_epoch()
            loss = trainer.epoch()
            if not np.isfinite(parameters).all():
                raise NonFiniteLossError
            last_finite[:] = parameters
            history.n_iter += 1
            history.t += len(trainer.rows)
            history.loss_curve.append(loss)
            if validate is not None:
                history.validation_scores.append(validate())
            progress = history.validation_scores[-1] if early_stopping else -loss
            if early_stopping and progress > best_score:
                best_score = progress
                best_parameters[:] = parameters
            history.n_stalled = (
                0 if progress > history.best + tol else history.n_stalled + 1
            )
            history.best = max(history.best, progress)
            trainer.optimizer.end_epoch(history.t)
            stop = after_epoch is not None and after_epoch()
            if history.n_stalled > n_iter_no_change:
                history.n_stalled = 0
                stop = stop or not trainer.optimizer.goes_on_after_halt()
            if stop:
                break
    except KeyboardInterrupt:
        warnings.warn(
            f"Training was interrupted after {history.n_iter} epochs; the model keeps "
            "the weights reached.",
            UserWarning,
            stacklevel=2,
        )
    except Exception as error:
        parameters[:] = last_finite
        if not isinstance(error, NonFiniteLossError):
            raise
        raise NonFiniteLossError(
            f"The loss became NaN or infinite in epoch {history.n_iter + 1}. Try a "
            "smaller learning_rate_init, a smaller clip_norm, or inputs and targets "
            "scaled to about unit variance. The model keeps the weights it had before "
            "that epoch."
        ) from None
    if best_parameters is not None:
        parameters[:] = best_parameters
