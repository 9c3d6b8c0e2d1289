"""NetworkEstimator: what every estimator shares around its network."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from ._arguments import check_64_bits, warn_caller
from ._callbacks import CallbackSupportMixin, FitTasks, Method
from ._checkpoint import Checkpoint, check_checkpoint
from ._checks import check_layer_norm, check_precision, check_projection, check_residual
from ._network import Architecture, Network, Weights
from ._optimizers import SCHEDULES, SOLVERS, Optimizer
from ._persistence import PersistentMixin
from ._threads import effective_n_threads
from ._training import PATIENCE, History, NonFiniteLossError, TrainingMemory, train

# BLAS cannot count the gate columns of larger layers.
MAX_UNITS = 1 << 28

# Attributes that belong to this process or call: memory that partial_fit keeps for its next
# call, and what undoes a call in which training has started.
TRANSIENT = ("_memory", "_snapshot")
# What is needed to continue training, but not to predict.
TRAINING_STATE = ("_optimizer", "_random_state", "_history")

# Epochs whose mean duration tells how long the others will take.
RECENT_EPOCHS = 10

# What weights can be quantized to.
QUANTIZED = ["int8"]


def rollback_on_error(fit: Method) -> Method:
    """Decorator: a call that fails leaves the estimator as it was. If the loss became
    non-finite, the model keeps the last finite weights instead."""

    @functools.wraps(fit)
    def guarded(self, *args, **kwargs):
        before = self.__dict__.copy()
        try:
            return fit(self, *args, **kwargs)
        except NonFiniteLossError:
            raise
        except BaseException:
            snapshot = self.__dict__.get("_snapshot")
            self.__dict__.clear()
            self.__dict__.update(before)
            if snapshot is not None:
                snapshot.restore()
            raise
        finally:
            self.__dict__.pop("_snapshot", None)

    return cast(Method, guarded)


def check_layer_sizes(sizes: Any) -> list[int]:
    """The parameter hidden_layer_sizes as a list."""
    try:
        array = np.atleast_1d(sizes)
    except ValueError:  # nested lists of different lengths
        array = np.empty((0, 0))
    if array.ndim == 1 and array.size == 0:
        raise ValueError("hidden_layer_sizes is empty; at least one layer is required.")
    integers = array.dtype.kind in "iu" or all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in array.flat
    )
    if array.ndim != 1 or not integers or (array < 1).any():
        raise ValueError(
            "hidden_layer_sizes must be an int or a sequence of ints, all at least 1; got "
            f"{sizes!r}."
        )
    if (array > MAX_UNITS).any():
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} is too large: a layer may have at most "
            f"{MAX_UNITS} units."
        )
    return [int(size) for size in array]


class NetworkEstimator(
    PersistentMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """A fitted network, its training and its history. Subclasses know the data."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_network")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        name = getattr(self.dtype, "__name__", self.dtype)
        tags.transformer_tags.preserves_dtype = [name]
        return tags

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in TRANSIENT}

    def __copy__(self):
        other = self._copy_to_predict()
        for name in TRAINING_STATE:
            if name in self.__dict__:
                setattr(other, name, copy.deepcopy(self.__dict__[name]))
        return other

    def _copy_to_predict(self, **changes):
        """A copy that shares nothing that training changes in place, and cannot train; perhaps
        with other `weights` in its network."""
        left_out = TRANSIENT + TRAINING_STATE
        other = object.__new__(type(self))
        other.__dict__.update({k: v for k, v in vars(self).items() if k not in left_out})
        if self.__sklearn_is_fitted__():
            other._network = self._network.copy(**changes)
        return other

    def quantize(self, weights: str = "int8") -> Self:
        """A copy of the fitted model that predicts with quantized weights.

        A step then reads a quarter of the memory, and a CPU with VNNI multiplies more numbers
        at a time: where layers are wide, predictions are several times as fast. With inputs of
        about unit variance the error of hidden states is about 1% of their root mean square;
        features of very different sizes, which share a scale, lose the small ones.

        The input and recurrent weights of all layers are in int8, with a scale for each unit
        and gate. At every step the inputs and hidden states of each sequence are in int8 as
        well, with scales of their own. Everything else is computed in float32.

        Parameters
        ----------
        weights : {"int8"}, default="int8"
            What the weights are quantized to.

        Returns
        -------
        model : estimator
            It cannot be trained, and takes no less memory, since it keeps the weights that
            were quantized: its `weights_`. A clone of it is an ordinary estimator.

        Raises
        ------
        ValueError
            If `weights` is unknown, dtype is not "float32", cell is "gru_v1", layer_norm is
            True, a layer has more than 131,072 inputs or numbers of its hidden state, or BLAS
            multiplies (CYLSTM_PRODUCTS=blas).

        Examples
        --------
        >>> import numpy as np
        >>> from cylstm import LSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> model = LSTMRegressor(8, max_iter=2, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
        >>> bool(np.allclose(model.quantize().predict(X), model.predict(X), atol=0.05))
        True
        """
        check_is_fitted(self)
        if weights not in QUANTIZED:
            raise ValueError(f"weights={weights!r} must be one of {QUANTIZED}.")
        other = self._copy_to_predict(weights=weights)
        other._history = copy.deepcopy(self._history)
        return other

    @property
    def weights_(self) -> Mapping[str, np.ndarray]:
        """Named views of all parameters."""
        check_is_fitted(self)
        return Weights(self._network)

    @property
    def loss_curve_(self) -> list[float]:
        """The losses of all epochs."""
        check_is_fitted(self)
        return list(self._history.loss_curve)

    @property
    def loss_(self) -> float:
        """The loss of the last epoch, NaN before the end of the first."""
        check_is_fitted(self)
        return self._history.loss_curve[-1] if self._history.loss_curve else np.nan

    @property
    def validation_scores_(self) -> list[float] | None:
        """The validation scores of all epochs that have one."""
        check_is_fitted(self)
        scores = [s for s in self._history.validation_scores if s is not None]
        return scores or None

    @property
    def best_validation_score_(self) -> float | None:
        """The highest of the validation scores."""
        check_is_fitted(self)
        return max(self.validation_scores_ or (), default=None)

    @property
    def history_(self) -> dict[str, list[float]]:
        """What happened in each epoch."""
        check_is_fitted(self)
        history = {
            "loss": list(self._history.loss_curve),
            "learning_rate": list(self._history.learning_rates),
            "seconds": list(self._history.seconds),
        }
        if self.validation_scores_:
            history["validation_score"] = [
                np.nan if score is None else score for score in self._history.validation_scores
            ]
        return history

    @property
    def n_iter_(self) -> int:
        """The number of epochs."""
        check_is_fitted(self)
        return self._history.n_iter

    @property
    def t_(self) -> int:
        """The number of training samples seen."""
        check_is_fitted(self)
        return self._history.t

    @property
    def _n_features_out(self):
        return self._network.architecture.n_features

    def _resumes(self):
        """Whether fit continues a training."""
        return bool(self.warm_start) and self.__sklearn_is_fitted__()

    def _check_has_gradients(self):
        """Refuse to train, or to differentiate, a quantized model."""
        if self.__sklearn_is_fitted__() and self._network.architecture.weights:
            raise ValueError(
                f"This {type(self).__name__} has quantized weights, which have no gradients. "
                "Use the model that was quantized."
            )

    def _validate_params(self):
        self._check_has_gradients()
        settings = self.get_params(deep=False)
        check_64_bits(settings)
        validate_parameter_constraints(
            self._parameter_constraints, settings, caller_name=type(self).__name__
        )
        check_precision(settings)
        check_checkpoint(self.checkpoint, self.checkpoint_every)
        check_projection(
            self.projection_size, self.cell, check_layer_sizes(self.hidden_layer_sizes)
        )

    @classmethod
    @functools.cache
    def _get_param_names(cls):
        """Cached: scikit-learn reads the signature at each call, for some 80 microseconds."""
        return super()._get_param_names()

    # Training. It makes a new network, or changes the fitted one and the rest of its
    # training state in place; a snapshot taken before the first epoch lets the fitted model
    # survive an error.

    def _make_network(self, resume, **architecture):
        """A new network, or the fitted one to continue with."""
        architecture = Architecture(
            hidden_layer_sizes=check_layer_sizes(self.hidden_layer_sizes),
            dtype=self.dtype,
            cell=self.cell,
            activation=self.activation,
            projection=self.projection_size and int(self.projection_size),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            **architecture,
        )
        check_residual(architecture)
        check_layer_norm(architecture)
        if not resume:
            return Network(architecture)
        changes = self._network.architecture.changes(architecture)
        if changes:
            raise ValueError(
                "Training cannot continue: parameters that shape the network changed since "
                f"the first fit: {', '.join(changes)}. Set them back, or fit a new network."
            )
        self._network.own()
        return self._network

    def _open_checkpoint(self, partial):
        """The file that fit is to write its state to, or to go on from, if there is one."""
        return None if partial or self.checkpoint is None else Checkpoint(self)

    def _start_training(self, network, resume, checkpoint, **init):
        """Unless there are those to resume, make random state, history and weights, drawn
        with Network.initialize(random_state, **init)."""
        if not resume:
            self._random_state = check_random_state(self.random_state)
            if checkpoint is not None and self.random_state is None:
                # One that can be set to what it was, unlike the one that others draw from.
                seed = self._random_state.randint(2**31)
                self._random_state = np.random.RandomState(seed)
            self._history = History()
            network.initialize(self._random_state, **init)
            # Drawn even if unused, so that later draws are the same with and without them.
            self._seeds = self._random_state.randint(2**31, size=2).tolist()
        if checkpoint is not None and not resume:
            self._seeds = checkpoint.seeds or self._seeds
        if checkpoint is not None:
            checkpoint.seeds = self._seeds

    @property
    def _split_seed(self):
        return self._seeds[0]

    @property
    def _dropout_seed(self):
        return self._seeds[1]

    def _train(
        self,
        network,
        make_trainer,
        given,
        *,
        total_weight,
        resume,
        partial,
        n_epochs,
        validate,
        checkpoint,
    ):
        """Run the epochs.

        Parameters
        ----------
        network : Network
        make_trainer : callable(network, optimizer, **settings) -> Trainer
        given : (X, y, sample_weight)
            What callbacks are told of the data.
        total_weight : float
            Of all training data, which the penalty is divided by.
        resume : bool
        partial : bool
            Whether more calls are to follow: they find memory to work in, and the length of
            training is unknown.
        n_epochs : int
        validate : callable() -> float, or None
            Validation score.
        checkpoint : Checkpoint or None
            It has been told of the data.
        """
        # Taken away, so that calls in two threads do not work in the same memory.
        memory = self.__dict__.pop("_memory", None)
        if memory is None or not resume:
            memory = TrainingMemory()
        l1 = self.alpha * self.l1_ratio / total_weight
        l2 = self.alpha * (1 - self.l1_ratio) / total_weight
        self._check_penalty(l1, l2, total_weight)
        optimizer = self._make_optimizer(network, l2, resume, partial)
        if checkpoint is not None:
            checkpoint.check_fit(self._start(network, optimizer) if resume else ())
            if self.verbose and checkpoint.found:
                done = self._history.n_iter + checkpoint.n_done
                print(f"{checkpoint.path}: {checkpoint.found} after epoch {done}", flush=True)
        self._network, self._optimizer = network, optimizer
        trainer = make_trainer(
            network,
            optimizer,
            l1=l1,
            l2=0.0 if SOLVERS[self.solver].decays_weights else l2,
            n_threads=effective_n_threads(self.n_jobs),
            memory=memory,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_dropout=self.weight_dropout,
            seed=self._dropout_seed,
        )
        early_stopping = self.early_stopping and validate is not None
        tasks = FitTasks(self, *given, n_epochs)
        # The number of the last epoch, where there is one.
        last = None if partial else self._history.n_iter + n_epochs
        if resume:
            # A single step that nobody is told of is the last thing that can fail, and leaves
            # the optimizer as it was if it does.
            alone = trainer.epoch_is_a_step and n_epochs == 1 and validate is None
            alone = alone and not tasks.listeners and not self.verbose and checkpoint is None
            memory.snapshot.take(trainer, self._history, with_moments=not alone)
            self._snapshot = memory.snapshot
        try:
            stalled = train(
                trainer,
                self._history,
                max_iter=n_epochs,
                tol=self.tol,
                n_iter_no_change=self._patience(early_stopping),
                validate=validate,
                early_stopping=early_stopping,
                before_epoch=tasks.begin_epoch,
                after_epoch=lambda: self._report(trainer.n_samples, last) or tasks.end_epoch(),
                last_finite=memory.snapshot.parameters if resume else None,
                checkpoint=checkpoint,
            )
        finally:
            if not resume and not isinstance(self.random_state, Integral):
                # Drawn from by others: resumed training would change their numbers.
                self._random_state = copy.deepcopy(self._random_state)
        if partial:
            self._memory = memory
        tasks.end_fit()
        adapts = SCHEDULES[self.learning_rate].divides_on_plateau
        if stalled and not early_stopping and not adapts:
            warn_caller(
                f"Training ended after epoch {self.n_iter_} of {last}: for more than "
                f"n_iter_no_change={self.n_iter_no_change} epochs the loss did not improve by "
                f"more than tol={self.tol}. Where a loss first stands still, an LSTM is often "
                "about to learn; n_iter_no_change=None goes on."
            )
        return self

    def _start(self, network, optimizer):
        """What training that resumes starts from."""
        history, (_, *generator) = self._history, self._random_state.get_state()
        counts = optimizer.n_steps, optimizer.n_epochs_done, history.n_iter, history.t
        rates = optimizer.learning_rate, *history.learning_rates, *history.loss_curve
        arrays = network.parameters, optimizer.moments, counts, rates, self._seeds
        return *arrays, *generator

    def _patience(self, early_stopping):
        if self.n_iter_no_change is not None:
            return self.n_iter_no_change
        judged = early_stopping or SCHEDULES[self.learning_rate].divides_on_plateau
        return PATIENCE if judged else np.inf

    def _check_penalty(self, l1, l2, total_weight):
        given = f"alpha={self.alpha} divided by the total weight of the samples, "
        if max(l1, l2) > float(np.finfo(self.dtype).max):
            raise ValueError(f"{given}{total_weight:.3g}, overflows dtype='{self.dtype}'.")
        if SOLVERS[self.solver].decays_weights and self.learning_rate_init * l2 >= 1:
            raise ValueError(
                f"{given}{total_weight:.3g}, times learning_rate_init="
                f"{self.learning_rate_init} is at least 1: the weight decay of "
                f'solver="{self.solver}" would turn weights round instead of shrinking them.'
            )

    def _make_optimizer(self, network, l2, resume, partial):
        new_period, schedule = self.cosine_epochs is None, self.learning_rate
        if new_period and partial and SCHEDULES[schedule].periodic:
            schedule = "constant"  # of no period
        optimizer = Optimizer(
            SOLVERS[self.solver].make_rule(self, l2, network.penalized),
            schedule,
            self.learning_rate_init,
            self.clip_norm,
            self.cosine_epochs or self.max_iter,
            **{name: getattr(self, name) for name in SCHEDULES[self.learning_rate].parameters},
        )
        return optimizer.resume(self._optimizer, new_period) if resume else optimizer

    def _report(self, n_samples, last):
        """Print a line about the epoch that has ended, if it is time for one."""
        history = self._history
        if not self.verbose or (history.n_iter % int(self.verbose) and history.n_iter != last):
            return
        seconds = history.seconds[-1]
        parts = [f"Epoch {history.n_iter}", *self._progress(history, n_samples / seconds)]
        parts.append(duration(seconds))
        if last is not None:
            parts[0] += f" of {last}"
        if last is not None and history.n_iter < last:
            recent = history.seconds[-RECENT_EPOCHS:]
            left = (last - history.n_iter) * sum(recent) / len(recent)
            parts.append(f"{duration(left)} left")
        print(", ".join(parts), flush=True)

    def _progress(self, history, speed):
        """What a line about an epoch says, of its loss and score and of the samples that were
        trained on per second."""
        yield f"loss = {history.loss_curve[-1]:.6f}"
        if history.validation_scores[-1] is not None:
            yield f"validation score = {history.validation_scores[-1]:.4f}"

    def _forward_sequences(self, sequences, **wanted):
        """Network.forward on the estimator's threads."""
        return self._network.forward(sequences, effective_n_threads(self.n_jobs), **wanted)


def duration(seconds: float) -> str:
    """A time to be read by people."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
