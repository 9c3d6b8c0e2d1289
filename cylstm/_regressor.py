"""LSTMRegressor: parameters, targets and predictions of regression."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array

from ._arguments import check_numeric, reading_numbers, shown
from ._base import rollback_on_error
from ._callbacks import with_callbacks
from ._docs import documented
from ._losses import REGRESSION_LOSSES
from ._parameters import REGRESSION_LOSS
from ._supervised import BaseLSTM

# The squares of so large numbers can still be added up.
LARGEST_TARGET = 1e150


@documented({"loss": REGRESSION_LOSS})
class LSTMRegressor(MultiOutputMixin, RegressorMixin, BaseLSTM):
    """Regression on sequences with a stacked long short-term memory network.

    The prediction is a linear function of the hidden state of the last layer, after the
    last step of a sequence or after every step. The default cell is that of Hochreiter &
    Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000), as in
    PyTorch and Keras; `cell` selects others.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
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
        Number of columns of y; 1 if y is one-dimensional.

    y_offset_ : float64 array of shape (n_outputs,)
        What is subtracted from the targets before they are learnt, their weighted mean; for
        loss="absolute_error", "huber" and "quantile" their median, for "poisson" 0. Of the
        fit (or first partial_fit) in which training began, with all of its y.

    y_scale_ : float64 array of shape (n_outputs,)
        What they are then divided by: their standard deviation; for "absolute_error", "huber"
        and "quantile" the interquartile range / 1.349 (but at least a tenth of the standard
        deviation within the 1st to 99th percentile); 1 for "poisson" and for constant
        targets. A prediction is ``y_offset_ + y_scale_ * score``; losses, the threshold of
        "huber" and `tol` are those of scores.

    out_activation_ : str
        "identity", or "exp" for loss="poisson".

    See Also
    --------
    LSTMClassifier : The same for class labels.

    Notes
    -----
    %(start)s

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 10, 2))  # 200 sequences, 10 steps, 2 features
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = LSTMRegressor(random_state=0).fit(X, y)
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
        loss: str = "squared_error",
        quantile: float | Sequence[float] = 0.5,
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
        self.quantile = quantile
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
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Continue training with one pass over X, y.

        The first call sets `y_offset_` and `y_scale_` from its targets: give it some that are
        like those to come.

        Parameters
        ----------
        %(X)s
        %(y)s
        %(sample_weight)s

        Returns
        -------
        self : LSTMRegressor
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: npt.ArrayLike) -> Any:
        """Predict the targets of sequences.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        y : float64 array of shape (n_samples,) or (n_samples, n_outputs), as in fit
            With several quantiles (n_samples, n_quantiles), or of several outputs
            (n_samples, n_outputs, n_quantiles). With return_sequences the same for every
            step, in the form of X.
        """
        return self._predict(X, "predict")

    def score(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """R^2 of the predictions; with return_sequences over all real steps.

        With several quantiles it is the mean of sklearn's d2_pinball_score over all outputs
        and levels.

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

    def _decode(self, scores, method, lengths=None):
        """Predictions from scores; predict is the only method."""
        predicted = self._loss.predict(self._unstandardize(scores))
        n_quantiles = len(self._several_levels())
        if n_quantiles:
            outputs = (self.n_outputs_,) if self.n_outputs_ > 1 else ()
            return np.sort(predicted.reshape(len(predicted), *outputs, n_quantiles), axis=-1)
        return predicted.ravel() if self._y_is_1d else predicted

    def _unstandardize(self, scores):
        """(n, n_outputs * n_quantiles) scores on the scale of y."""
        by_output = scores.reshape(len(scores), self.n_outputs_, -1)
        scaled = by_output * self.y_scale_[:, None] + self.y_offset_[:, None]
        return scaled.reshape(scores.shape)

    def _slope_of_prediction(self, score):
        n_quantiles = self._network.architecture.n_scores // self.n_outputs_
        return self.y_scale_[score // n_quantiles]

    def _score_predictions(self, scores, y, weights, lengths):
        return self._loss.score(
            y, self._decode(scores, "predict"), self._several_levels(), weights
        )

    def _several_levels(self):
        """The fitted levels of one output, empty unless there are several."""
        architecture = self._network.architecture
        n_quantiles = architecture.n_scores // self.n_outputs_
        return architecture.levels[:n_quantiles] if n_quantiles > 1 else ()

    @property
    def _loss(self):
        """Row of the fitted network's loss."""
        return REGRESSION_LOSSES[self._network.architecture.loss]

    def _levels(self):
        """The quantiles that are asked for."""
        try:
            levels = np.atleast_1d(np.asarray(self.quantile, dtype=np.float64))
        except (OverflowError, TypeError, ValueError):
            levels = np.empty(0)
        if levels.ndim != 1 or levels.size == 0 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"quantile={shown(self.quantile)} must be a number between 0 and 1 or a "
                "sequence of such numbers."
            )
        return levels

    def _read_y(self, y, name):
        check_numeric(y, name)
        with reading_numbers(name):
            y = check_array(
                y,
                dtype=np.float64,
                order="C",
                ensure_2d=False,
                allow_nd=True,
                input_name=name,
            )
        dtype = self._input_format.dtype
        if y.size and np.abs(y).max() > min(float(np.finfo(dtype).max), LARGEST_TARGET):
            raise ValueError(f"Input {name} contains a value too large for {dtype}.")
        if y.ndim not in (1, 2):
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n_samples,) or (n_samples, n_outputs)."
            )
        return y

    def _set_targets(self, y, weights, classes):
        loss = REGRESSION_LOSSES[self.loss]
        self._y_is_1d = y.ndim == 1
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = loss.out_activation
        self.y_offset_, self.y_scale_ = np.zeros(self.n_outputs_), np.ones(self.n_outputs_)
        if loss.scaling:
            self.y_offset_, self.y_scale_ = loss.scaling(y.reshape(len(y), -1), weights)

    def _check_classes(self, classes):
        """There are none."""

    def _check_targets(self, y, name):
        self._check_outputs(y, name)
        self._loss.check_domain(y, name)

    def _check_outputs(self, y, name):
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs_:
            raise ValueError(
                f"{name} has {n_outputs} outputs, but LSTMRegressor was fitted with "
                f"{self.n_outputs_}."
            )

    def _encode(self, y, name="y"):
        """Targets of the loss, with a column per output."""
        self._check_outputs(y, name)
        REGRESSION_LOSSES[self.loss].check_domain(y, name)
        dtype = self._input_format.dtype
        with np.errstate(over="ignore"):  # reported here
            y = y.reshape(len(y), self.n_outputs_) - self.y_offset_
            y /= self.y_scale_
            targets = y.astype(dtype, copy=False)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"{name} has values too far from y_offset_={shown(self.y_offset_)} for "
                f"{dtype}, in units of y_scale_={shown(self.y_scale_)}."
            )
        return targets

    def _class_weights(self, targets, weights):
        return weights

    def _kernel_loss(self):
        """Name of the loss, number of scores, level of each score."""
        loss = REGRESSION_LOSSES[self.loss]
        if not loss.has_levels:
            return loss.kernel, self.n_outputs_, ()
        levels = np.tile(np.sort(self._levels()), self.n_outputs_)
        return loss.kernel, len(levels), tuple(levels.tolist())
