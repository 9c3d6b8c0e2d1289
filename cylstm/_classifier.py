"""LSTMClassifier: parameters, labels and predictions of classification."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from ._arguments import shown
from ._base import rollback_on_error
from ._callbacks import with_callbacks
from ._checks import check_whole_sequences
from ._docs import documented
from ._labels import (
    check_known,
    class_weights,
    find_classes,
    read_classes,
    read_labels,
)
from ._losses import CLASSIFICATION_LOSSES
from ._parameters import CLASSIFICATION_LOSS
from ._supervised import BaseLSTM
from ._threads import effective_n_threads


@documented({"loss": CLASSIFICATION_LOSS})
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classification of sequences with a stacked long short-term memory network.

    The scores of the classes are linear functions of the hidden state of the last layer,
    after the last step of a sequence or after every step. The default cell is that of
    Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins
    (2000), as in PyTorch and Keras; `cell` selects others.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The class labels; for an indicator matrix the column indices.

    %(weights_)s

    %(loss_)s

    %(loss_curve_)s

    %(validation_scores_)s

    %(best_validation_score_)s

    %(history_)s

    %(n_iter_)s

    %(t_)s

    %(n_features_in_)s

    %(feature_names_in_)s

    n_outputs_ : int
        Number of scores: 1 for two classes, otherwise one per class or label; with loss="crf"
        one per class.

    out_activation_ : str
        "logistic", "softmax" or "crf".

    See Also
    --------
    LSTMRegressor : The same for numeric targets.

    Notes
    -----
    %(start)s

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.integers(5, 15, size=200)
    >>> X = [rng.normal(size=(n, 3)) for n in lengths]  # 200 sequences of any length
    >>> y = np.array(["up" if x[:, 0].sum() > 0 else "down" for x in X])
    >>> model = LSTMClassifier(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        *,
        cell: str = "lstm",
        activation: str = "tanh",
        projection_size: int | None = None,
        bidirectional: bool = False,
        return_sequences: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        pooling: str = "last",
        vocabulary_size: int | None = None,
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        loss: str = "log_loss",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        solver: str = "adam",
        learning_rate_init: float = 1e-2,
        learning_rate: str = "cosine",
        cosine_epochs: int | None = None,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 50,
        shuffle: bool = True,
        bptt_steps: int | None = None,
        early_stopping: bool = False,
        validation_fraction: Any = 0.1,
        scoring: str | Callable[..., float] | None = None,
        n_iter_no_change: int | None = None,
        tol: float = 1e-4,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        dtype: str | type = "float32",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta = 1,
        n_step_features: int = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.projection_size = projection_size
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.residual = residual
        self.layer_norm = layer_norm
        self.pooling = pooling
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_dropout = weight_dropout
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.cosine_epochs = cosine_epochs
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.bptt_steps = bptt_steps
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.n_step_features = n_step_features

    @rollback_on_error
    @with_callbacks
    def partial_fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        classes: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Continue training with one pass over X, y.

        Parameters
        ----------
        %(X)s
        %(y)s
        classes : array-like of shape (n_classes,), default=None
            All classes that may occur in any call. Required in the first call if its y does
            not contain them all.
        %(sample_weight)s

        Returns
        -------
        self : LSTMClassifier
        """
        balanced = isinstance(self.class_weight, str) and self.class_weight == "balanced"
        if balanced and self.loss != "crf":
            raise ValueError(
                'class_weight="balanced" cannot be computed in partial_fit, which does not '
                "see all labels. Give the weights as a dict."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: npt.ArrayLike) -> Any:
        """Predict the class of each sequence.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        y : array of shape (n_samples,), or an indicator matrix as in fit
            With return_sequences the same for every step, in the form of X. With loss="crf"
            the labels of a sequence that are the most probable together.
        """
        return self._predict(X, "predict")

    def decision_function(self, X: npt.ArrayLike) -> Any:
        """Scores before the logistic or softmax function; with loss="crf" those of the labels
        of each step, without transitions.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        scores : float64 array of shape (n_samples,) for two classes, otherwise (n_samples, \\
                n_classes), as always with loss="crf"
            With return_sequences the same for every step, in the form of X.
        """
        return self._predict(X, "decision_function")

    def predict_proba(self, X: npt.ArrayLike) -> Any:
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        p : float64 array of shape (n_samples, n_classes)
            With return_sequences the same for every step, in the form of X. For an
            indicator matrix: the probability that each label is 1. With loss="crf" given the
            whole sequence: the marginals of its labels.
        """
        return self._predict(X, "predict_proba")

    def predict_log_proba(self, X: npt.ArrayLike) -> Any:
        """Natural logarithm of predict_proba, accurate even where that is close to 0.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        log_p : float64 array of shape (n_samples, n_classes)
            With return_sequences the same for every step, in the form of X.
        """
        return self._predict(X, "predict_log_proba")

    def score(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Accuracy; with return_sequences over all real steps. With an indicator matrix all
        labels of a row must be right.

        Parameters
        ----------
        %(X)s
        %(y)s
        %(sample_weight)s

        Returns
        -------
        score : float
        """
        return self._score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _loss(self):
        """Row of the fitted model's loss."""
        return CLASSIFICATION_LOSSES[self._fitted_loss][self.out_activation_]

    def _decode(self, scores, method, lengths=None):
        """What `method` returns for these scores."""
        if self.out_activation_ == "crf":
            return self._decode_chains(scores, method, lengths)
        binary = self.n_outputs_ == 1
        if method == "predict":
            if self._multilabel:
                return (scores > 0).astype(np.int64)
            if binary:
                return self.classes_[(scores.ravel() > 0).astype(np.intp)]
            return self.classes_[scores.argmax(axis=1)]
        if method == "decision_function":
            return scores.ravel() if binary else scores
        if binary:
            scores = np.hstack([-scores, scores])
        if method == "predict_log_proba":
            return self._loss.log_probabilities(scores)
        return self._loss.probabilities(scores)

    def _decode_chains(self, scores, method, lengths):
        """The same for a CRF: `lengths` of the sequences whose steps have these scores."""
        if method == "decision_function":
            return scores
        arguments = scores, lengths, effective_n_threads(self.n_jobs)
        if method == "predict":
            return self.classes_[self._network.best_paths(*arguments)]
        return self._network.marginals(*arguments, logs=method == "predict_log_proba")

    def _score_predictions(self, scores, y, weights, lengths):
        return self._loss.score(y, self._decode(scores, "predict", lengths), weights)

    def _read_data(self, sequences, y, sample_weight, suffix=""):
        data = super()._read_data(sequences, y, sample_weight, suffix)
        # Those of validation data weight the steps of a score.
        if self.loss == "crf" and not suffix:
            check_whole_sequences(data.weights, sequences, "sample_weight")
        return data

    def _read_y(self, y, name):
        return read_labels(y, name)

    def _slope_of_prediction(self, score):
        """The decision function is the score itself."""
        return 1.0

    def _set_targets(self, y, weights, classes):
        self._fitted_loss = self.loss
        self._multilabel = y.ndim == 2
        if self._multilabel and self.loss == "crf":
            raise ValueError(
                'loss="crf" cannot be combined with an indicator matrix y: each step of a '
                "chain has one label."
            )
        if self._multilabel:
            if classes is not None:
                raise ValueError(
                    "classes was given, but y is an indicator matrix; it goes with "
                    "one-dimensional labels."
                )
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = find_classes(y, classes)
        logistic = self._multilabel or len(self.classes_) == 2
        self.n_outputs_ = len(self.classes_)
        if self.loss == "crf":
            self.out_activation_ = "crf"
        elif logistic:
            self.out_activation_ = "logistic"
            self.n_outputs_ = len(self.classes_) if self._multilabel else 1
        else:
            self.out_activation_ = "softmax"

    def _check_classes(self, classes):
        """The classes given to a later call must be those of the first."""
        if classes is not None and not np.array_equal(read_classes(classes), self.classes_):
            raise ValueError(
                f"classes={shown(classes)} differ from those of the first call, "
                f"{self.classes_!r}."
            )

    def _check_targets(self, y, name):
        if (y.ndim == 2) != self._multilabel:
            raise ValueError(
                f"{name} has shape {y.shape}, but LSTMClassifier was fitted with "
                + ("an indicator matrix." if self._multilabel else "class labels.")
            )
        if self._multilabel and y.shape[1] != len(self.classes_):
            raise ValueError(
                f"{name} has {y.shape[1]} labels, but LSTMClassifier was fitted with "
                f"{len(self.classes_)}."
            )

    def _encode(self, y, name="y"):
        """Targets of the loss: 0 and 1 for each label, or the index of the class."""
        self._check_targets(y, name)
        if self._multilabel:
            return y.astype(self._input_format.dtype, order="C")
        check_known(y, self.classes_, name)
        return np.searchsorted(self.classes_, y)[:, None].astype(self._input_format.dtype)

    def _class_weights(self, targets, weights):
        """Weights of the samples times those of their classes."""
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ValueError("class_weight cannot be combined with an indicator matrix y.")
        indices = targets[:, 0].astype(np.intp)
        return class_weights(self.class_weight, self.classes_, indices, weights)

    def _prepare(self, network, data):
        if network.architecture.chain:
            labels = data.targets[:, 0].astype(np.intp)
            network.initialize_chain(labels, data.sequences.lengths, data.weights)

    def _kernel_loss(self):
        """Name of the loss, number of scores, level of each score."""
        if self.loss != self._fitted_loss:
            raise ValueError(
                "Training cannot continue: loss changed since the first fit, from "
                f'"{self._fitted_loss}" to "{self.loss}".'
            )
        return self._loss.kernel, self.n_outputs_, ()
