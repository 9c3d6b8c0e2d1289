"""Solvers and learning rate schedules, a table of each. They know parameters and gradients
only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import _updates
from ._engine import PRECISIONS


class SGD:
    """Stochastic gradient descent with (Nesterov's) momentum.

    velocity = momentum velocity - rate g;  w += velocity, or momentum velocity - rate g.
    """

    n_moments = 1

    def __init__(self, momentum, nesterovs_momentum):
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum

    def step(self, parameters, gradients, moments, *, scale, rate, n_steps, n_threads):
        _updates.sgd[PRECISIONS[parameters.dtype]](
            parameters,
            gradients.flat,
            moments[0],
            gradients.pieces,
            scale,
            rate,
            self.momentum,
            self.nesterovs_momentum,
            n_threads,
        )


class Adam:
    """Kingma & Ba, arXiv:1412.6980. With beta_1 = 0 it is RMSprop with a bias-corrected
    running mean."""

    n_moments = 2

    def __init__(self, beta_1, beta_2, epsilon):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def step(self, parameters, gradients, moments, *, scale, rate, n_steps, n_threads):
        _updates.adam[PRECISIONS[parameters.dtype]](
            parameters,
            gradients.flat,
            moments[0],
            moments[1],
            gradients.pieces,
            scale,
            rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            n_steps,
            n_threads,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101): before
    each step the weights in `segments` are multiplied by 1 - rate * decay."""

    def __init__(self, beta_1, beta_2, epsilon, decay, segments):
        super().__init__(beta_1, beta_2, epsilon)
        self.decay = decay
        self.segments = segments

    def step(self, parameters, gradients, moments, *, scale, rate, n_steps, n_threads):
        _updates.shrink[PRECISIONS[parameters.dtype]](
            parameters, self.segments, 1 - rate * self.decay
        )
        super().step(
            parameters,
            gradients,
            moments,
            scale=scale,
            rate=rate,
            n_steps=n_steps,
            n_threads=n_threads,
        )


@dataclass(frozen=True)
class Solver:
    """A row of SOLVERS.

    Parameters
    ----------
    make_rule : callable(settings, l2, penalized) -> SGD, Adam or AdamW
        `settings` is an estimator, `l2` the factor of the L2 penalty; `penalized` says where
        the network's weight matrices are in the flat parameter vector.
    description : str
        For the docstring of the estimators.
    decays_weights : bool
        Whether the rule applies the L2 penalty itself, as weight decay.
    """

    make_rule: Callable
    description: str
    decays_weights: bool = False


SOLVERS: dict[str, Solver] = {
    "adam": Solver(
        lambda settings, l2, penalized: Adam(
            settings.beta_1, settings.beta_2, settings.epsilon
        ),
        "Kingma & Ba (arXiv:1412.6980)",
    ),
    "adamw": Solver(
        lambda settings, l2, penalized: AdamW(
            settings.beta_1, settings.beta_2, settings.epsilon, l2, penalized
        ),
        "Adam with the L2 part of the penalty applied as weight decay, separately from the "
        "gradient (Loshchilov & Hutter, arXiv:1711.05101)",
        decays_weights=True,
    ),
    "rmsprop": Solver(
        lambda settings, l2, penalized: Adam(0.0, settings.beta_2, settings.epsilon),
        "Adam without the running mean of the gradients (beta_1 = 0)",
    ),
    "sgd": Solver(
        lambda settings, l2, penalized: SGD(settings.momentum, settings.nesterovs_momentum),
        "stochastic gradient descent with momentum",
    ),
}


@dataclass(frozen=True)
class Schedule:
    """A row of SCHEDULES.

    Parameters
    ----------
    description : str
        For the docstring of the estimators, after the name.
    rate : callable(optimizer, n_samples_seen) -> float, or None
        The learning rate of the next epoch; None leaves it as it is.
    periodic : bool
        Whether training that resumes may start a new period.
    divides_on_plateau : bool
        Whether the rate falls, instead of training stopping, when progress stalls.
    parameters : tuple of str
        Parameters of the estimator that only this schedule uses. Estimators without them do
        not offer it.
    """

    description: str
    rate: Callable | None = None
    periodic: bool = False
    divides_on_plateau: bool = False
    parameters: tuple[str, ...] = ()


def _invscaling(optimizer, n_samples_seen):
    return optimizer.learning_rate_init / np.sqrt(n_samples_seen + 1)


def _cosine(optimizer, n_samples_seen):
    done = optimizer.n_epochs_done % optimizer.n_epochs / optimizer.n_epochs
    return optimizer.learning_rate_init * (1 + np.cos(np.pi * done)) / 2


def _exponential(optimizer, n_samples_seen):
    n_decays = max(0, optimizer.n_epochs_done + 1 - optimizer.decay_after)
    return optimizer.learning_rate_init * optimizer.decay_rate**n_decays


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule("keeps learning_rate_init"),
    "invscaling": Schedule(
        "divides learning_rate_init by sqrt(1 + t_) after each epoch", _invscaling
    ),
    "adaptive": Schedule(
        'divides the rate by 5 where "constant" would stop, until it falls below 1e-6',
        divides_on_plateau=True,
    ),
    "cosine": Schedule(
        "lowers it to 0 along half a cosine over cosine_epochs (or max_iter) epochs, then "
        "starts again (Loshchilov & Hutter, arXiv:1608.03983)",
        _cosine,
        periodic=True,
    ),
    "exponential": Schedule(
        "multiplies it by decay_rate before each epoch after the first decay_after",
        _exponential,
        parameters=("decay_rate", "decay_after"),
    ),
}


class Optimizer:
    """Rule, schedule and running state that turn gradients into steps.

    Parameters
    ----------
    rule : SGD, Adam or AdamW
    schedule : str
        A key of SCHEDULES.
    learning_rate_init : float
    clip_norm : float or None
        Gradients with a larger Euclidean norm are scaled down to it.
    n_epochs : int
        Period of "cosine".
    decay_rate, decay_after : float, int
        For "exponential".
    """

    # "adaptive" ends training below this rate, as in scikit-learn's MLP.
    LOWEST_RATE = 1e-6

    def __init__(
        self,
        rule,
        schedule,
        learning_rate_init,
        clip_norm,
        n_epochs=1,
        decay_rate=1.0,
        decay_after=0,
    ):
        self.rule = rule
        self.schedule = schedule
        self.learning_rate_init = learning_rate_init
        self.clip_norm = clip_norm
        self.n_epochs = n_epochs
        self.decay_rate = decay_rate
        self.decay_after = decay_after
        self.n_epochs_done = 0  # of the period of "cosine"
        self.moments = None
        self.n_steps = 0
        self.learning_rate = float(learning_rate_init)
        self._set_rate(n_samples_seen=0)

    def resume(self, previous, new_period):
        """Take over the running state of an optimizer with the same rule, so that training
        continues as if it had never stopped. Settings are the new ones; a periodic schedule
        starts a new period if asked to. The moments are those of the previous optimizer
        themselves, changed in place."""
        if previous.rule.n_moments == self.rule.n_moments:
            self.moments = previous.moments
            self.n_steps = previous.n_steps
        same_schedule = (previous.schedule, previous.learning_rate_init) == (
            self.schedule,
            self.learning_rate_init,
        )
        if same_schedule and not (new_period and SCHEDULES[self.schedule].periodic):
            self.learning_rate = previous.learning_rate
            self.n_epochs_done = previous.n_epochs_done
        return self

    def restore(self, moments, n_steps, n_epochs_done, learning_rate):
        """Take over a running state that was written down."""
        self.moments = moments
        self.n_steps = n_steps
        self.n_epochs_done = n_epochs_done
        self.learning_rate = learning_rate

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.moments is not None:
            self.moments = _updates.own(self.moments)

    def step(self, parameters, gradients, n_threads=1):
        """Update the parameters in place, on at most n_threads threads. Return whether the
        gradients were finite; if not, nothing is updated."""
        scale = 1.0
        norm = _updates.norm[PRECISIONS[parameters.dtype]](gradients.used, n_threads)
        if not np.isfinite(norm):
            return False
        if self.clip_norm is not None and norm > self.clip_norm:
            scale = self.clip_norm / norm
        if self.moments is None:
            self.moments = np.zeros(
                (self.rule.n_moments, len(parameters)), dtype=parameters.dtype
            )
        self.n_steps += 1
        self.rule.step(
            parameters,
            gradients,
            self.moments,
            scale=scale,
            rate=self.learning_rate,
            n_steps=self.n_steps,
            n_threads=n_threads,
        )
        return True

    def end_epoch(self, n_samples_seen):
        self.n_epochs_done += 1
        self._set_rate(n_samples_seen)

    def _set_rate(self, n_samples_seen):
        rate = SCHEDULES[self.schedule].rate
        if rate is not None:
            self.learning_rate = float(rate(self, n_samples_seen))

    def lower_rate_on_plateau(self):
        """Progress has stalled: lower the rate and return True, or return False to stop."""
        schedule = SCHEDULES[self.schedule]
        if not schedule.divides_on_plateau or self.learning_rate <= self.LOWEST_RATE:
            return False
        self.learning_rate /= 5
        return True
