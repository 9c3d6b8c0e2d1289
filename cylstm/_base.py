"""NetworkEstimator: what every estimator shares around its network."""

import copy
import functools
from types import MappingProxyType

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._callbacks import CallbackSupportMixin, FitTasks
from ._network import Architecture, Network
from ._optimizers import SGD, Adam, AdamW, Optimizer
from ._threads import effective_n_threads, single_threaded_blas
from ._training import History, NonFiniteLossError, train

# Beyond it BLAS cannot count the gate columns.
MAX_UNITS = 1 << 28


def unharmed(fit):
    """A call that fails leaves the estimator as it was, but for a loss that turned
    non-finite: then the model holds the last finite weights."""

    @functools.wraps(fit)
    def guarded(self, *args, **kwargs):
        before = self.__dict__.copy()
        try:
            return fit(self, *args, **kwargs)
        except NonFiniteLossError:
            raise
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    return guarded


class NetworkEstimator(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """A fitted network, its training and its history; a subclass knows the data."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_network")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        name = getattr(self.dtype, "__name__", self.dtype)
        tags.transformer_tags.preserves_dtype = [name]
        return tags

    @property
    def weights_(self):
        check_is_fitted(self)
        return MappingProxyType(self._network.weights)

    @property
    def _n_features_out(self):
        return self._network.architecture.n_features

    # Learning. All that changes is a copy, before anything of a fitted model changes.

    def _make_network(self, going_on, **architecture):
        """A new network, or a copy of the fitted one that training goes on with."""
        sizes = np.atleast_1d(self.hidden_layer_sizes)
        if sizes.size == 0:
            raise ValueError("hidden_layer_sizes is empty; one layer is the least.")
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any():
            raise ValueError(
                "hidden_layer_sizes must be an int or a sequence of ints, all at least "
                f"1; got {self.hidden_layer_sizes!r}."
            )
        if (sizes > MAX_UNITS).any():
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} is too large: a layer may "
                f"have at most {MAX_UNITS} units."
            )
        architecture = Architecture(
            hidden_layer_sizes=sizes.tolist(),
            dtype=self.dtype,
            cell=self.cell,
            activation=self.activation,
            **architecture,
        )
        if not going_on:
            return Network(architecture)
        fitted = self._network.architecture
        if architecture != fitted:
            raise ValueError(
                "Training cannot go on: parameters that shape the network changed since "
                f"the first fit, from {fitted} to {architecture}."
            )
        return self._network.copy()

    def _draw(self, network, going_on, **how):
        """Random state and history: those that training goes on with, or new ones and new
        weights."""
        if going_on:
            self._random_state = copy.deepcopy(self._random_state)
            self._history = copy.deepcopy(self._history)
            return
        self._random_state = check_random_state(self.random_state)
        self._history = History()
        network.initialize(self._random_state, **how)
        # Drawn in any case: what is drawn after is the same with and without them.
        self._split_seed, self._dropout_seed = self._random_state.randint(
            2**31, size=2
        ).tolist()

    def _train(
        self, network, make_trainer, given, *, going_on, new_period, n_epochs, validate
    ):
        """Run the epochs. make_trainer(network, optimizer, **settings) -> Trainer; `given`
        is what the callbacks are told of the data; validate() -> score, or None."""
        optimizer = self._make_optimizer(network, going_on, new_period)
        self._network, self._optimizer = network, optimizer
        trainer = make_trainer(
            network,
            optimizer,
            l1=self.alpha * self.l1_ratio,
            l2=0.0 if self.solver == "adamw" else self.alpha * (1 - self.l1_ratio),
            n_threads=effective_n_threads(self.n_jobs),
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            seed=self._dropout_seed,
        )
        tasks = FitTasks(self, *given, n_epochs, self._fitted_attributes)
        try:
            with single_threaded_blas():
                train(
                    trainer,
                    self._history,
                    max_iter=n_epochs,
                    tol=self.tol,
                    n_iter_no_change=self.n_iter_no_change,
                    validate=validate,
                    early_stopping=self.early_stopping and validate is not None,
                    before_epoch=tasks.begin_epoch,
                    after_epoch=lambda: self._report() or tasks.end_epoch(),
                )
        finally:
            self.__dict__.update(self._history_attributes())
        tasks.end_fit()
        return self

    def _make_optimizer(self, network, going_on, new_period):
        if self.solver == "sgd":
            rule = SGD(self.momentum, self.nesterovs_momentum)
        elif self.solver == "adamw":
            decay = self.alpha * (1 - self.l1_ratio)
            rule = AdamW(self.beta_1, self.beta_2, self.epsilon, decay, network.penalized)
        else:
            beta_1 = self.beta_1 if self.solver == "adam" else 0.0
            rule = Adam(beta_1, self.beta_2, self.epsilon)
        optimizer = Optimizer(
            rule,
            self.learning_rate,
            self.learning_rate_init,
            self.clip_norm,
            self.max_iter,
            **self._decay(),
        )
        return optimizer.resume(self._optimizer, new_period) if going_on else optimizer

    def _decay(self):
        """Of learning_rate="exponential", where a subclass offers it."""
        return {}

    def _report(self):
        history = self._history
        if self.verbose and history.n_iter % int(self.verbose) == 0:
            print(f"Epoch {history.n_iter}, {self._progress(history)}", flush=True)

    def _progress(self, history):
        line = f"loss = {history.loss_curve[-1]:.6f}"
        if history.validation_scores:
            line += f", validation score = {history.validation_scores[-1]:.4f}"
        return line

    def _history_attributes(self):
        history = self._history
        scores = list(history.validation_scores) or None
        return {
            "loss_": history.loss_curve[-1] if history.loss_curve else np.nan,
            "loss_curve_": list(history.loss_curve),
            "validation_scores_": scores,
            "best_validation_score_": max(scores) if scores else None,
            "n_iter_": history.n_iter,
            "t_": history.t,
        }

    def _fitted_attributes(self):
        return {"_network": self._network.copy(), **self._history_attributes()}
