"""Optimizers and learning rate schedules: they know parameters and gradients only."""

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
    """Kingma & Ba, arXiv:1412.6980. With beta_1 = 0 it is RMSprop with the bias of its
    running mean corrected."""

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
    each step the weights in `segments` shrink by rate * decay of themselves."""

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


class Optimizer:
    """Rule, schedule and running state that turn gradients into steps.

    Parameters
    ----------
    rule : SGD, Adam or AdamW
    schedule : {"constant", "invscaling", "adaptive", "cosine", "exponential"}
        "invscaling" divides the initial rate by sqrt(1 + samples seen) after each epoch;
        "adaptive" divides the rate by 5 whenever learning has come to a halt; "cosine"
        lowers it to 0 along half a cosine over n_epochs, then starts again (Loshchilov &
        Hutter, arXiv:1608.03983); "exponential" multiplies it by decay_rate before each
        epoch but the first decay_after.
    learning_rate_init : float
    clip_norm : float or None
        Gradients with a larger Euclidean norm are scaled down to it.
    n_epochs : int
        Period of "cosine".
    decay_rate, decay_after : float, int
        Of "exponential".
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
        self.learning_rate = float(learning_rate_init)
        if schedule == "exponential" and decay_after == 0:
            self.learning_rate *= decay_rate
        self.clip_norm = clip_norm
        self.n_epochs = n_epochs
        self.decay_rate = decay_rate
        self.decay_after = decay_after
        self.n_epochs_done = 0  # of the period of "cosine"
        self.moments = None
        self.n_steps = 0

    def resume(self, previous, new_period):
        """Take over the running state of an optimizer of the same rule, so that
        training goes on as if it had never stopped; settings stay the new ones, and "cosine"
        begins a new period where that is wanted."""
        if previous.rule.n_moments == self.rule.n_moments:
            self.moments = None if previous.moments is None else np.array(previous.moments)
            self.n_steps = previous.n_steps
        if (previous.schedule, previous.learning_rate_init) == (
            self.schedule,
            self.learning_rate_init,
        ) and (self.schedule != "cosine" or not new_period):
            self.learning_rate = previous.learning_rate
            self.n_epochs_done = previous.n_epochs_done
        return self

    def step(self, parameters, gradients, n_threads=1):
        """Move the parameters in place, on at most so many threads. Return whether the
        gradients were finite; where they are not, nothing moves."""
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
        if self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / np.sqrt(n_samples_seen + 1)
        elif self.schedule == "cosine":
            way = self.n_epochs_done % self.n_epochs / self.n_epochs
            self.learning_rate = self.learning_rate_init * (1 + np.cos(np.pi * way)) / 2
        elif self.schedule == "exponential":
            n_decays = max(0, self.n_epochs_done + 1 - self.decay_after)
            self.learning_rate = self.learning_rate_init * self.decay_rate**n_decays

    def goes_on_after_halt(self):
        """Learning has come to a halt: lower the rate and go on, or stop."""
        if self.schedule != "adaptive" or self.learning_rate <= self.LOWEST_RATE:
            return False
        self.learning_rate /= 5
        return True
