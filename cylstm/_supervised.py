"""BaseLSTM: training on X and y, and predicting, for regressor and classifier alike."""

from __future__ import annotations

import functools
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from ._arguments import as_array, check_64_bits, shown
from ._base import NetworkEstimator, rollback_on_error
from ._callbacks import with_callbacks
from ._checks import (
    check_enough_to_score,
    check_settings,
    check_weight_left,
    check_weights,
    check_X,
    check_y,
    read_X,
    warn_of_size,
)
from ._dataset import Dataset
from ._docs import fill_docstrings
from ._inspection import (
    attention_weights,
    gate_values,
    input_gradients,
    integrated_gradients,
)
from ._stream import Stream
from ._threads import effective_n_threads
from ._training import Trainer
from ._validation import check_groups, hold_out, make_validation, overlap_in_memory

# Of a quadrature; their places take time that grows with the third power of their number.
MOST_POINTS = 1000


@fill_docstrings()
class BaseLSTM(NetworkEstimator):
    """What both estimators share; use LSTMRegressor or LSTMClassifier.

    A subclass reads y (_read_y), sets the fitted attributes that follow from it
    (_set_targets), compares a later y with them (_check_targets), encodes it as targets of
    the loss (_encode), multiplies class weights into the weights (_class_weights), names the
    loss (_kernel_loss), turns scores of sequences of some lengths into predictions (_decode)
    and scores those (_score_predictions).
    """

    @rollback_on_error
    @with_callbacks
    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        X_val: npt.ArrayLike | None = None,
        y_val: npt.ArrayLike | None = None,
        sample_weight_val: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Train on sequences X and targets y.

        Ctrl-C ends training with a warning and keeps the weights reached.

        Parameters
        ----------
        %(X)s
        %(y)s
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the sequences in the loss. A weight of k is equivalent to repeating
            the sequence k times. With return_sequences also one per step, in the form of y.
        X_val, y_val, sample_weight_val : default=None
            Validation data, in any form that X, y and sample_weight may have. The score on
            it is recorded after each epoch in `validation_scores_`; with early_stopping it
            decides when to stop.
        groups : array-like of shape (n_samples,), default=None
            Which sequences belong together, such as those of one subject: early_stopping
            holds out whole groups, or passes them to a splitter.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; a model fitted before stays as it was. If
            the loss becomes NaN or infinite; the model then keeps the weights from before
            that epoch.
        """
        self._validate_params()
        check_settings(self)
        validation: tuple | None = (X_val, y_val, sample_weight_val)
        if X_val is None:
            if y_val is not None or sample_weight_val is not None:
                raise ValueError("y_val or sample_weight_val was given without X_val.")
            validation = None
        return self._fit(
            X,
            y,
            sample_weight,
            resume=self._resumes(),
            partial=False,
            n_epochs=self.max_iter,
            validation=validation,
            groups=groups,
        )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._validate_params()
        check_settings(self)
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        return self._fit(
            X,
            y,
            sample_weight,
            resume=self.__sklearn_is_fitted__(),
            partial=True,
            n_epochs=1,
            classes=classes,
        )

    def transform(self, X: npt.ArrayLike) -> Any:
        """Hidden state of the last layer after the last step of each sequence, or pooled over
        all steps as `pooling` says.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        features : array of shape (n_samples, n_units)
            projection_size in the place of n_units if that is set, and twice as many if
            bidirectional. With return_sequences the states after every step,
            in the form of X.
        """
        sequences, _, features = self._forward(X, scores=False, features=True)
        return self._shape_like_X(sequences, features)

    def stream(
        self, n_sequences: int = 1, method: str = "predict", weights: str | None = None
    ) -> Stream:
        """Predict on live sequences, one step at a time.

        Parameters
        ----------
        n_sequences : int, default=1
            Number of sequences that run side by side.
        method : str, default="predict"
            What a step returns: "predict", or of a classifier "predict_proba",
            "predict_log_proba" or "decision_function".
        weights : {"int8"} or None, default=None
            "int8": with quantized weights, as `quantize` describes. If None, with those of
            the model.

        Returns
        -------
        stream : Stream
            ``stream.step(x_t)`` returns the prediction after one more step of each sequence;
            ``stream.state`` gets and sets the hidden and cell states (and what has been
            pooled); ``stream.reset()``
            starts over. It keeps the weights of this fit. Only one thread at a time may use
            it.

        Examples
        --------
        >>> import numpy as np
        >>> from cylstm import LSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> model = LSTMRegressor(8, max_iter=2).fit(X, X[:, :, 0].sum(axis=1))
        >>> stream = model.stream()
        >>> for x_t in X[0]:
        ...     prediction = stream.step(x_t)
        >>> bool(np.isclose(prediction[0], model.predict(X[:1])[0], atol=1e-5))
        True
        """
        check_is_fitted(self)
        return Stream(self, n_sequences, method, weights)

    def gate_values(self, X: npt.ArrayLike) -> dict[str, Any]:
        """Gates, cell states and hidden states of every layer at every step.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        values : dict of str to array
            "layers.0.i", "layers.0.f", ..., "layers.0.c", "layers.0.h",
            "layers.0.reverse.i", ...: each (n_samples, n_timesteps, n_units), NaN at
            padding, or a list of arrays (n_timesteps_k, n_units); h has projection_size
            columns if that is set. The forget gate of "coupled" is 1 - i. A GRU has the
            reset gate r, the update gate z, the candidate n, and h.
        """
        check_is_fitted(self)
        sequences = check_X(self, X, self._input_format)
        return gate_values(self._network, sequences, effective_n_threads(self.n_jobs))

    def attention_weights(self, X: npt.ArrayLike) -> Any:
        """Attention weight of each step, with pooling="attention".

        Parameters
        ----------
        %(X)s

        Returns
        -------
        weights : array of shape (n_samples, n_timesteps) or list of arrays (n_timesteps_k,)
            In the form of X, NaN at padding. Those of a sequence sum to 1.

        Raises
        ------
        ValueError
            If the model pools otherwise.
        """
        check_is_fitted(self)
        pooling = self._network.architecture.pooling
        if pooling != "attention":
            raise ValueError(
                f'The model was fitted with pooling="{pooling}"; only pooling="attention" has '
                "attention weights."
            )
        sequences = check_X(self, X, self._input_format)
        return attention_weights(self._network, sequences, effective_n_threads(self.n_jobs))

    def input_gradients(
        self, X: npt.ArrayLike, output: int = 0, step: int | None = None
    ) -> Any:
        """Derivatives of a score with respect to all inputs: the saliency of each step and
        feature (Simonyan et al., arXiv:1312.6034).

        Parameters
        ----------
        %(X)s
        output : int, default=0
            Which score (row of head.weight). Of a regressor it is the prediction (for
            loss="poisson" its logarithm; with several quantiles row
            ``k * n_quantiles + q`` is that of output k and the q-th lowest level, before
            sorting), of a classifier the decision function.
        step : int or None, default=None
            With return_sequences: the step whose score is meant, negative from the end of
            each sequence. If None, the sum over all steps.

        Returns
        -------
        gradients : array of shape (n_samples, n_timesteps, n_features)
            NaN at padding, or a list of arrays, in the form of X. For tokens: with respect
            to their embedding vectors.
        """
        return self._explain(input_gradients, X, output, step)

    def integrated_gradients(
        self,
        X: npt.ArrayLike,
        baseline: npt.ArrayLike = 0.0,
        n_steps: int = 32,
        output: int = 0,
        step: int | None = None,
    ) -> Any:
        """How much each input adds to a score: the mean of `input_gradients` along the
        straight line from a baseline to X, times X - baseline (Sundararajan et al.,
        arXiv:1703.01365).

        Parameters
        ----------
        %(X)s
        baseline : float or array-like of shape (n_features,), default=0
            Inputs that carry no information, the same at every step. For tokens: in
            the space of their embedding vectors.
        n_steps : int, default=32
            Points of the Gauss-Legendre quadrature along the line, at most 1000.
        output, step
            As in `input_gradients`.

        Returns
        -------
        attributions : array of shape (n_samples, n_timesteps, n_features)
            NaN at padding, or a list of arrays, in the form of X. Their sum over a sequence
            is the score on it less that on the baseline, up to the error of the quadrature,
            of which a warning tells if it is large. With layer_norm=True it often is: a
            score changes abruptly where the direction of inputs does.

        Examples
        --------
        >>> import numpy as np
        >>> from cylstm import LSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> model = LSTMRegressor(8, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
        >>> total = model.integrated_gradients(X).sum(axis=(1, 2))
        >>> change = model.predict(X) - model.predict(np.zeros((1, 5, 2)))
        >>> bool(np.allclose(total, change, atol=1e-3))
        True
        """
        check_64_bits({"n_steps": n_steps})
        if not isinstance(n_steps, Integral) or not 1 <= n_steps <= MOST_POINTS:
            raise ValueError(
                f"n_steps={shown(n_steps)} must be an int from 1 to {MOST_POINTS}."
            )
        check_is_fitted(self)
        n_inputs = self._network.architecture.n_inputs
        given, baseline = baseline, as_array(baseline, "baseline")
        if baseline.dtype.kind not in "fiub" or baseline.shape not in ((), (n_inputs,)):
            raise ValueError(
                f"baseline={shown(given)} must be a number, or {n_inputs} of them: one for "
                "each feature of a step."
            )
        with np.errstate(over="ignore"):  # reported here
            finite = np.isfinite(baseline.astype(self._network.dtype)).all()
        if not finite:
            raise ValueError(
                f"baseline={shown(given)} must be finite in dtype='{self._network.dtype}'."
            )
        explain = functools.partial(
            integrated_gradients, baseline=baseline.astype(np.float64), n_steps=int(n_steps)
        )
        return self._explain(explain, X, output, step)

    def _explain(self, explain, X, output, step):
        """explain(network, sequences, score, step, slope, n_threads) of checked arguments."""
        check_is_fitted(self)
        self._check_has_gradients()
        architecture = self._network.architecture
        n_scores = architecture.n_scores
        check_64_bits({"output": output, "step": step})
        if step is not None and not isinstance(step, Integral):
            raise ValueError(f"step={step!r} must be an int or None.")
        if not isinstance(output, Integral) or not 0 <= output < n_scores:
            raise ValueError(
                f"output={output!r} must be an int from 0 to {n_scores - 1}: one of the "
                "scores."
            )
        if step is not None and not architecture.per_step:
            raise ValueError(f"step={step!r} was given without return_sequences=True.")
        sequences = check_X(self, X, self._input_format)
        n_threads = effective_n_threads(self.n_jobs)
        slope = self._slope_of_prediction(output)
        return explain(self._network, sequences, output, step, slope, n_threads)

    # Predicting

    def _forward(self, X, **wanted):
        """Sequences, and their scores and features: one row per sequence or real step."""
        if not self.__sklearn_is_fitted__():  # asked first, since check_is_fitted takes 10 us
            check_is_fitted(self)
        sequences = check_X(self, X, self._input_format)
        outputs = self._forward_sequences(sequences, **wanted)
        return sequences, *(self._real_rows(sequences, output) for output in outputs)

    def _scores(self, X):
        sequences, scores, _ = self._forward(X)
        return sequences, scores.astype(np.float64)

    def _predict(self, X, method):
        sequences, scores = self._scores(X)
        return self._shape_like_X(sequences, self._decode(scores, method, sequences.lengths))

    def _score(self, X, y, sample_weight):
        sequences, scores = self._scores(X)
        per_step = self._input_format.per_step
        y = check_y(self, y, sequences, per_step)
        self._check_targets(y, "y")
        if sample_weight is not None:
            sample_weight = check_weights(
                sample_weight, sequences, per_step, self._input_format.dtype, "sample_weight"
            )
        return self._score_predictions(scores, y, sample_weight, sequences.lengths)

    def _real_rows(self, sequences, output):
        if output is None or not self._network.architecture.per_step:
            return output
        return output[sequences.real_rows()]

    def _shape_like_X(self, sequences, rows):
        """Rows of the real steps in the form of X; unchanged if there is one per sequence."""
        return sequences.shape_steps(rows) if self._network.architecture.per_step else rows

    # Training

    def _fit(
        self,
        X,
        y,
        sample_weight,
        *,
        resume,
        partial,
        n_epochs,
        validation=None,
        groups=None,
        classes=None,
    ):
        checkpoint = self._open_checkpoint(partial)
        if resume:
            sequences = check_X(self, X, self._input_format)
        else:
            sequences, self._input_format = read_X(self, X)
        labelled = self._read_data(sequences, y, sample_weight)
        if resume:
            self._check_classes(classes)
        else:
            self._set_targets(labelled.targets, labelled.weights, classes)
        targets = self._encode(labelled.targets)
        weights = self._class_weights(targets, labelled.weights)
        network = self._make_network(resume, **self._layout())
        span = int(np.median(sequences.lengths))
        self._start_training(network, resume, checkpoint, span=span)
        data = Dataset(sequences, targets, weights, labelled.per_step)
        if checkpoint is not None:
            checkpoint.add_data(labelled.arrays())
        groups, validate = check_groups(groups, len(data)), None
        if validation is not None:
            held_out = self._read_validation(*validation)
            if checkpoint is not None:
                checkpoint.add_data(held_out.arrays("_val"))
            validate = make_validation(self, held_out, lambda: validation[:2])
        elif self.early_stopping:
            rows, held_out_rows = self._hold_out(X, y, labelled, groups)
            data = data.take(rows)
            if checkpoint is not None:
                checkpoint.add_data({"the held-out part of X": (rows, held_out_rows)})
            validate = make_validation(
                self,
                labelled.take(held_out_rows),
                lambda: (_safe_indexing(X, held_out_rows), _safe_indexing(y, held_out_rows)),
            )
        del labelled, targets  # copies of y that training does not need
        check_weight_left(data)
        if not resume:
            self._prepare(network, data)
            self._warn_of_size(data.sequences)
        make_trainer = functools.partial(
            Trainer,
            data=data,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            random_state=self._random_state,
            bptt_steps=self.bptt_steps and int(self.bptt_steps),
        )
        return self._train(
            network,
            make_trainer,
            (X, y, sample_weight),
            total_weight=float(data.weights.sum(dtype=np.float64)),
            resume=resume,
            partial=partial,
            n_epochs=n_epochs,
            validate=validate,
            checkpoint=checkpoint,
        )

    def _warn_of_size(self, sequences):
        if self.layer_norm:  # which scales them
            return
        columns = self._input_format.form == "columns"
        scaler = "StandardScaler()"
        if not columns:
            scaler = f"StepwiseTransformer({scaler}) from cylstm.preprocessing"
        warn_of_size(sequences, scaler)

    def _prepare(self, network, data):
        """Change the initial weights of a new network according to what it is to learn."""

    def _layout(self):
        """What data and parameters of the subclasses say of the network."""
        loss, n_scores, levels = self._kernel_loss()
        tokens = self.embedding_dim is not None
        return {
            "n_inputs": int(self.embedding_dim) if tokens else self._input_format.n_features,
            "n_scores": n_scores,
            "loss": loss,
            "bidirectional": bool(self.bidirectional),
            "per_step": bool(self.return_sequences),
            "pooling": self.pooling,
            "vocabulary": int(self.vocabulary_size or self._input_format.vocabulary),
            "levels": levels,
        }

    def _read_data(self, sequences, y, sample_weight, suffix=""):
        """Sequences with y as it was given, not yet encoded."""
        per_step = self._input_format.per_step
        y = check_y(self, y, sequences, per_step, f"y{suffix}")
        weights = check_weights(
            sample_weight,
            sequences,
            per_step,
            self._input_format.dtype,
            f"sample_weight{suffix}",
        )
        return Dataset(sequences, y, weights, per_step)

    def _read_validation(self, X_val, y_val, sample_weight_val):
        try:
            sequences = check_X(self, X_val, self._input_format)
        except (TypeError, ValueError) as error:
            raise type(error)(f"In X_val: {error}") from error
        data = self._read_data(sequences, y_val, sample_weight_val, "_val")
        self._encode(data.targets, "y_val")  # which checks it
        check_enough_to_score(data.weights, "Give more in X_val and y_val")
        return data

    def _hold_out(self, X, y, data, groups):
        """Indices of the sequences to train on, and of those to validate on."""
        one_label = is_classifier(self) and data.targets.ndim == 1 and not data.per_step
        rows, held_out = hold_out(
            self.validation_fraction,
            len(data),
            X=X,
            y=y,
            groups=groups,
            classes=data.targets if one_label else None,
            in_order=not self.shuffle or overlap_in_memory(X),
            seed=self._split_seed,
            hint=" Give X_val and y_val to fit, or change validation_fraction.",
        )
        check_enough_to_score(data.take(held_out).weights, "Increase validation_fraction")
        return rows, held_out

    def _validate(self, data):
        """`score` on validation data."""
        return self._score_predictions(
            self._scores_of(data.sequences), data.targets, data.weights, data.sequences.lengths
        )

    def _scores_of(self, sequences):
        """float64 scores of sequences, or of each of their real steps."""
        scores, _ = self._forward_sequences(sequences)
        return self._real_rows(sequences, scores).astype(np.float64)
