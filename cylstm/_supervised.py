"""BaseLSTM: what regressor and classifier share of learning and predicting."""

import functools
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from ._base import NetworkEstimator, unharmed
from ._callbacks import with_callbacks
from ._checks import ChecksMixin, check_enough_to_score, check_weight_left
from ._docs import shared_docs
from ._inspection import gate_values, input_gradients
from ._stream import Stream
from ._threads import effective_n_threads, single_threaded_blas
from ._training import Trainer


@shared_docs
class BaseLSTM(ChecksMixin, NetworkEstimator):
    """What both estimators share; use LSTMRegressor or LSTMClassifier.

    A subclass reads y (_read_y), encodes it as targets of the loss (_encode), weighs it
    (_class_weights), names the loss (_kernel_loss), turns scores into predictions (_decode)
    and scores those (_judge).
    """

    @unharmed
    @with_callbacks
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Learn from sequences X and targets y.

        Ctrl-C ends training and keeps the weights reached, with a warning.

        Parameters
        ----------
        <<X>>
        <<y>>
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the sequences in the loss; an integer weight is as good as that
            many copies. With return_sequences also one for each step, in the form of y.
        X_val, y_val, sample_weight_val : default=None
            Validation data in any form that X, y and sample_weight may have. The score on
            it is kept for each epoch in `validation_scores_`; with early_stopping it
            decides when to stop.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; a model fitted before stays as it was.
            If the loss becomes NaN or infinite; the model then keeps the weights from
            before that epoch.
        """
        self._check_parameters()
        validation = (X_val, y_val, sample_weight_val)
        if X_val is None:
            if y_val is not None or sample_weight_val is not None:
                raise ValueError("y_val or sample_weight_val was given without X_val.")
            validation = None
        return self._learn(
            X,
            y,
            sample_weight,
            going_on=self.warm_start and self.__sklearn_is_fitted__(),
            n_epochs=self.max_iter,
            validation=validation,
        )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._check_parameters()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        return self._learn(
            X,
            y,
            sample_weight,
            going_on=self.__sklearn_is_fitted__(),
            n_epochs=1,
            classes=classes,
            new_period=False,
        )

    def transform(self, X):
        """Hidden state of the last layer after the last step of each sequence.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        features : array of shape (n_samples, n_units)
            Twice n_units where bidirectional. With return_sequences the states of every
            step, in the form of X.
        """
        sequences, _, features = self._forward(X, scores=False, features=True)
        return self._in_form(sequences, features)

    def _forward(self, X, **wanted):
        """Sequences, scores and features; of the real steps alone, where per step."""
        check_is_fitted(self)
        sequences = self._check_X(X, reset=False)
        with single_threaded_blas():
            outputs = self._network.forward(
                sequences, effective_n_threads(self.n_jobs), **wanted
            )
        return sequences, *(self._real(sequences, output) for output in outputs)

    def _scores(self, X):
        sequences, scores, _ = self._forward(X)
        return sequences, scores.astype(np.float64)

    def _decoded(self, X, method):
        sequences, scores = self._scores(X)
        return self._in_form(sequences, self._decode(scores, method))

    def _real(self, sequences, output):
        if output is None or not self._network.architecture.per_step:
            return output
        return output[sequences.real_rows()]

    def _in_form(self, sequences, numbers):
        """Numbers of the real steps in the form of X; as they are, where not per step."""
        if not self._network.architecture.per_step:
            return numbers
        return sequences.shape_steps(numbers)

    def stream(self, n_sequences=1, method="predict"):
        """Go through live sequences one step at a time.

        Parameters
        ----------
        n_sequences : int, default=1
            Sequences that run side by side.
        method : str, default="predict"
            What a step returns: "predict", or of a classifier "predict_proba",
            "predict_log_proba" or "decision_function".

        Returns
        -------
        stream : Stream
            ``stream.step(x_t)`` returns the prediction after one more step of each sequence;
            ``stream.state`` gets and sets the hidden states and cells; ``stream.reset()``
            starts anew. It keeps what was learnt in this fit; one thread at a time may use
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
        return Stream(self, n_sequences, method)

    def gate_values(self, X):
        """Gates, cells and hidden states of every layer at every step.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        values : dict of str to array
            "layers.0.i", "layers.0.f", ..., "layers.0.c", "layers.0.h",
            "layers.0.reverse.i", ...: each (n_samples, n_timesteps, n_units), NaN at
            padding, or a list of (n_timesteps_k, n_units). The forget gate of "coupled" is
            1 - i.
        """
        check_is_fitted(self)
        return gate_values(
            self._network, self._check_X(X, reset=False), effective_n_threads(self.n_jobs)
        )

    def input_gradients(self, X, output=0, step=None):
        """Derivatives of a score by all inputs: the saliency of each step and feature
        (Simonyan et al., arXiv:1312.6034).

        Parameters
        ----------
        <<X>>
        output : int, default=0
            Which score (row of head.weight): the prediction of a regressor (its logarithm
            for loss="poisson"; by rising level, not sorted, for several quantiles), the
            decision function of a classifier.
        step : int, default=None
            With return_sequences: the step whose score is meant, negative from the end of
            each sequence; None is the sum over all.

        Returns
        -------
        gradients : array of shape (n_samples, n_timesteps, n_features)
            NaN at padding, or a list of arrays, in the form of X. For tokens by the vectors
            that stand for them.
        """
        check_is_fitted(self)
        n_scores = self._network.architecture.n_scores
        if step is not None and not isinstance(step, Integral):
            raise ValueError(f"step={step!r} must be an int or None.")
        if not isinstance(output, Integral) or not 0 <= output < n_scores:
            raise ValueError(
                f"output={output!r} must be an int from 0 to {n_scores - 1}: one of the "
                "scores."
            )
        if step is not None and not self._network.architecture.per_step:
            raise ValueError(f"step={step!r} was given without return_sequences=True.")
        sequences = self._check_X(X, reset=False)
        return input_gradients(
            self._network, sequences, output, step, effective_n_threads(self.n_jobs)
        )

    # Learning. Everything is checked, and all that changes is a copy, before anything of a
    # fitted model changes.

    def _learn(
        self,
        X,
        y,
        sample_weight,
        *,
        going_on,
        n_epochs,
        validation=None,
        classes=None,
        new_period=True,
    ):
        sequences = self._check_X(X, reset=not going_on)
        y_read = self._check_y(y, sequences, "y")
        targets = self._encode(y_read, going_on, classes)
        sample_weights = self._check_weights(sample_weight, sequences, "sample_weight")
        weights = self._class_weights(targets, sample_weights)
        loss, n_scores, levels = self._kernel_loss()
        network = self._make_network(
            going_on,
            n_inputs=self._n_inputs if self.embedding_dim is None else self.embedding_dim,
            n_scores=n_scores,
            loss=loss,
            bidirectional=bool(self.bidirectional),
            per_step=bool(self.return_sequences),
            vocabulary=self.vocabulary_size or self._vocabulary,
            levels=levels,
        )
        self._draw(network, going_on)
        rows = np.arange(len(sequences))
        if validation is not None:
            validation = self._check_validation(*validation)
        elif self.early_stopping:
            rows, validation = self._set_aside(sequences, y_read, sample_weights)
        if self._per_step:
            targets, weights = map(sequences.spread_steps, (targets, weights))
        check_weight_left(
            weights[sequences.take(rows).real_rows() if self._per_step else rows]
        )

        make_trainer = functools.partial(
            Trainer,
            sequences=sequences,
            targets=targets,
            weights=weights,
            rows=rows,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            random_state=self._random_state,
            bptt_steps=self.bptt_steps,
        )
        return self._train(
            network,
            make_trainer,
            (X, y, sample_weight),
            going_on=going_on,
            new_period=new_period,
            n_epochs=n_epochs,
            validate=validation and (lambda: self._validate(*validation)),
        )

    def _set_aside(self, sequences, y, weights):
        """Split off validation rows; return the others and validation data."""
        stratify = is_classifier(self) and y.ndim == 1 and not self._per_step
        try:
            rows, held_out = train_test_split(
                np.arange(len(sequences)),
                test_size=self.validation_fraction,
                random_state=self._split_seed,
                stratify=y if stratify else None,
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping cannot set validation_fraction={self.validation_fraction} "
                f"of {len(sequences)} samples aside: {error} Give X_val and y_val to fit, or "
                "change validation_fraction."
            ) from error
        part = sequences.take(held_out)
        if self._per_step:
            steps = part.real_rows()
            y, weights = (sequences.spread_steps(v)[steps] for v in (y, weights))
        else:
            y, weights = y[held_out], weights[held_out]
        check_enough_to_score(weights, "Increase validation_fraction")
        return rows, (part, y, weights)

    def _validate(self, sequences, y, weights):
        scores, _ = self._network.forward(sequences, effective_n_threads(self.n_jobs))
        return self._judge(self._real(sequences, scores).astype(np.float64), y, weights)
