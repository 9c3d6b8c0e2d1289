"""LSTMRegressor and LSTMClassifier: parameters, encoding of y, predictions."""

from numbers import Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets

from ._base import unharmed
from ._callbacks import with_callbacks
from ._docs import ATTRIBUTES, PARAMETERS, inherit_docs, shared_docs
from ._supervised import BaseLSTM

_REGRESSOR_LOSS = """loss : {"squared_error", "absolute_error", "huber", "quantile", \\
            "poisson"}, default="squared_error"
        With the residual r = y - p: r^2 / 2; |r|; r^2 / 2 up to |r| = 1 and |r| - 1/2
        beyond (Huber 1964); the pinball loss (Koenker & Bassett 1978); exp(s) - y s of the
        score s = log(p) for counts. Averaged over outputs.

    quantile : float or sequence of float, default=0.5
        Level between 0 and 1 for loss="quantile". With several, y is one-dimensional and
        predictions have a column for each level, sorted so that they do not cross
        (Chernozhukov et al. 2010)."""

_REGRESSOR_Y = """y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With return_sequences (n_samples, n_timesteps), (n_samples,
            n_timesteps, n_outputs) or a list of an array for each sequence."""


@shared_docs(
    parameters=PARAMETERS.format(loss=_REGRESSOR_LOSS, stratified="", class_weight=""),
    attributes=ATTRIBUTES.format(
        score="R^2 (with several quantiles the mean of D^2 of the pinball loss)",
        n_outputs="Columns of y, 1 if y is one-dimensional.",
        out_activation='"identity", or "exp" for loss="poisson".',
    ),
    y=_REGRESSOR_Y,
)
@inherit_docs
class LSTMRegressor(MultiOutputMixin, RegressorMixin, BaseLSTM):
    """Regression of sequences by a stacked long short-term memory network.

    The prediction is a linear function of the last layer's hidden state after the last
    step of a sequence, or after every step. Cell: Hochreiter & Schmidhuber (1997) with the
    forget gate of Gers, Schmidhuber & Cummins (2000), as in PyTorch and Keras; others by
    `cell`.

    Parameters
    ----------
    <<parameters>>

    Attributes
    ----------
    <<attributes>>

    See Also
    --------
    LSTMClassifier : The same for class labels.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 10, 2))  # 200 sequences, 10 steps, 2 features
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = LSTMRegressor(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "loss": [
            StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})
        ],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        cell="lstm",
        activation="tanh",
        bidirectional=False,
        return_sequences=False,
        vocabulary_size=None,
        embedding_dim=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        loss="squared_error",
        quantile=0.5,
        alpha=0.0,
        l1_ratio=0.0,
        solver="adam",
        learning_rate_init=1e-3,
        learning_rate="constant",
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        clip_norm=1.0,
        batch_size=32,
        max_iter=100,
        shuffle=True,
        bptt_steps=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=0,
        n_step_features=1,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.loss = loss
        self.quantile = quantile
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
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
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.n_step_features = n_step_features

    @unharmed
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None):
        """Go on learning: one pass over X, y.

        Parameters
        ----------
        <<X>>
        <<y>>
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : LSTMRegressor
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X):
        """Predict the targets of sequences.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        y : float64 array of shape (n_samples,) or (n_samples, n_outputs), as in fit
            With return_sequences one for every step, in the form of X.
        """
        return self._decoded(X, "predict")

    def score(self, X, y, sample_weight=None):
        """R^2 of the predictions; over all real steps with return_sequences.

        With several quantiles it is the mean of sklearn's d2_pinball_score over them.

        Parameters
        ----------
        <<X>>
        <<y>>
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        sequences, scores = self._scores(X)
        y = self._check_y(y, sequences, "y")
        if sample_weight is not None:
            sample_weight = self._check_weights(sample_weight, sequences, "sample_weight")
        return self._judge(scores, y, sample_weight)

    def _decode(self, scores, method):
        if self.out_activation_ == "exp":
            scores = np.exp(scores)
        if self._several_quantiles():
            return np.sort(scores, axis=1)
        return scores.ravel() if self._y_is_1d else scores

    def _judge(self, scores, y, weights):
        predicted = self._decode(scores, "predict")
        if not self._several_quantiles():
            return r2_score(y, predicted, sample_weight=weights)
        return np.mean(
            [
                d2_pinball_score(y, predicted[:, k], sample_weight=weights, alpha=level)
                for k, level in enumerate(self._network.architecture.levels)
            ]
        )

    def _several_quantiles(self):
        """Whether the fitted model has a score for each of several levels."""
        return self._network.architecture.n_scores > self.n_outputs_

    def _levels(self):
        """Levels where several quantiles are asked for, else None."""
        if self.loss != "quantile" or np.ndim(self.quantile) == 0:
            return None
        try:
            levels = np.asarray(self.quantile, dtype=np.float64)
        except ValueError:
            levels = np.empty(0)
        if levels.ndim != 1 or levels.size == 0 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"quantile={self.quantile!r} must be a number between 0 and 1 or a "
                "sequence of such."
            )
        return levels

    def _read_y(self, y, name):
        with np.errstate(over="ignore"):  # overflow to infinity is reported
            y = check_array(
                y,
                dtype=self.dtype,
                order="C",
                ensure_2d=False,
                allow_nd=True,
                input_name=name,
            )
        if y.ndim not in (1, 2):
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n_samples,) or (n_samples, n_outputs)."
            )
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f'{name} has negative numbers, but loss="poisson" counts.')
        return y

    def _encode(self, y, going_on, classes, name="y"):
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if going_on and n_outputs != self.n_outputs_:
            raise ValueError(
                f"{name} has {n_outputs} outputs, but LSTMRegressor was fitted with "
                f"{self.n_outputs_}."
            )
        if self._levels() is not None and n_outputs > 1:
            raise ValueError(f"{name} has {n_outputs} outputs; several quantiles go with one.")
        if not going_on:
            self._y_is_1d = y.ndim == 1
            self.n_outputs_ = n_outputs
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return y.reshape(len(y), n_outputs)

    def _class_weights(self, targets, sample_weights):
        return sample_weights

    def _kernel_loss(self):
        """Name of the loss, number of scores, level of each score."""
        if self.loss != "quantile":
            return self.loss, self.n_outputs_, ()
        levels = self._levels()
        if levels is None:
            levels = np.full(self.n_outputs_, self.quantile)
        return self.loss, len(levels), tuple(np.sort(levels).tolist())


_CLASSIFIER_LOSS = """loss : {"log_loss"}, default="log_loss"
        Cross-entropy (natural logarithm): of one logistic output for two classes, of a
        softmax over one output per class for more; of one logistic output per label, added
        up, where y is an indicator matrix."""

_CLASS_WEIGHT = """
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into sample_weight; 1 for those not named.
        "balanced" makes them n_samples / (n_classes * count of the class), counted by
        sample_weight.
"""

_CLASSIFIER_Y = """y : array-like of shape (n_samples,)
            Class labels, or an indicator matrix (n_samples, n_labels) of 0 and 1. With
            return_sequences (n_samples, n_timesteps), (n_samples, n_timesteps, n_labels) or
            a list of an array for each sequence."""


@shared_docs(
    parameters=PARAMETERS.format(
        loss=_CLASSIFIER_LOSS,
        stratified=", stratified by class",
        class_weight=_CLASS_WEIGHT,
    ),
    attributes=ATTRIBUTES.format(
        score="Accuracy",
        n_outputs="Scores: 1 for two classes, else one for each class or label.",
        out_activation='"logistic" or "softmax".',
    ),
    y=_CLASSIFIER_Y,
)
@inherit_docs
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classification of sequences by a stacked long short-term memory network.

    The scores of the classes are linear functions of the last layer's hidden state after
    the last step of a sequence, or after every step. Cell: Hochreiter & Schmidhuber (1997)
    with the forget gate of Gers, Schmidhuber & Cummins (2000), as in PyTorch and Keras;
    others by `cell`.

    Parameters
    ----------
    <<parameters>>

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The class labels; the numbers of the labels for an indicator matrix.

    <<attributes>>

    See Also
    --------
    LSTMRegressor : The same for numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.integers(5, 15, size=200)
    >>> X = [rng.normal(size=(n, 3)) for n in lengths]  # 200 sequences of any length
    >>> y = np.array(["up" if x[:, 0].sum() > 0 else "down" for x in X])
    >>> model = LSTMClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "loss": [StrOptions({"log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        cell="lstm",
        activation="tanh",
        bidirectional=False,
        return_sequences=False,
        vocabulary_size=None,
        embedding_dim=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        loss="log_loss",
        alpha=0.0,
        l1_ratio=0.0,
        solver="adam",
        learning_rate_init=1e-3,
        learning_rate="constant",
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        clip_norm=1.0,
        batch_size=32,
        max_iter=100,
        shuffle=True,
        bptt_steps=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        warm_start=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=0,
        n_step_features=1,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
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
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.n_step_features = n_step_features

    @unharmed
    @with_callbacks
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on learning: one pass over X, y.

        Parameters
        ----------
        <<X>>
        <<y>>
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call where its y does not
            hold them all.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : LSTMClassifier
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'partial_fit does not know all labels, so class_weight="balanced" cannot '
                "be computed. Give the weights as a dict."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X):
        """Predict the class of each sequence.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        y : array of shape (n_samples,), or an indicator matrix as in fit
            With return_sequences one for every step, in the form of X.
        """
        return self._decoded(X, "predict")

    def decision_function(self, X):
        """Scores before the logistic or softmax function.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        scores : float64 array of shape (n_samples,) for two classes, else (n_samples,
            n_classes)
            With return_sequences one for every step, in the form of X.
        """
        return self._decoded(X, "decision_function")

    def predict_proba(self, X):
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        p : float64 array of shape (n_samples, n_classes)
            With return_sequences one for every step, in the form of X. Of an indicator
            matrix: the probability that each label is 1.
        """
        return self._decoded(X, "predict_proba")

    def predict_log_proba(self, X):
        """Natural logarithm of predict_proba, exact also where that is almost 0.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        log_p : float64 array of shape (n_samples, n_classes)
            With return_sequences one for every step, in the form of X.
        """
        return self._decoded(X, "predict_log_proba")

    def score(self, X, y, sample_weight=None):
        """Accuracy; over all real steps with return_sequences. Of an indicator matrix all
        labels must be right.

        Parameters
        ----------
        <<X>>
        <<y>>
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        sequences, scores = self._scores(X)
        y = self._check_y(y, sequences, "y")
        if sample_weight is not None:
            sample_weight = self._check_weights(sample_weight, sequences, "sample_weight")
        return self._judge(scores, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _decode(self, scores, method):
        binary = self.n_outputs_ == 1
        if method == "predict":
            if self._multilabel:
                return (scores > 0).astype(np.int64)
            if binary:
                return self.classes_[(scores.ravel() > 0).astype(np.intp)]
            return self.classes_[scores.argmax(axis=1)]
        if method == "decision_function":
            return scores.ravel() if binary else scores
        log = method == "predict_log_proba"
        if self.out_activation_ == "softmax":
            return (log_softmax if log else softmax)(scores, axis=1)
        if binary:
            scores = np.hstack([-scores, scores])
        return (log_expit if log else expit)(scores)

    def _judge(self, scores, y, weights):
        return accuracy_score(y, self._decode(scores, "predict"), sample_weight=weights)

    def _read_y(self, y, name):
        y = check_array(y, dtype=None, ensure_2d=False, input_name=name, accept_sparse=False)
        if y.ndim == 2 and y.shape[1] > 1:
            if y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
                raise ValueError(
                    f"{name} has shape {y.shape}, which must be an indicator matrix of 0 and "
                    "1; class labels are one-dimensional."
                )
            return y.astype(np.int64)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _encode(self, y, going_on, classes, name="y"):
        multilabel = y.ndim == 2
        if multilabel and classes is not None:
            raise ValueError(
                "classes go with one-dimensional labels, but y is an indicator matrix."
            )
        if going_on and multilabel != self._multilabel:
            raise ValueError(
                f"{name} has shape {y.shape}, but LSTMClassifier was fitted with "
                + ("an indicator matrix." if self._multilabel else "class labels.")
            )
        if going_on:
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes={classes!r} differ from those of the first call, "
                    f"{self.classes_!r}."
                )
        elif multilabel:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                what = "y has" if classes is None else "classes holds"
                raise ValueError(
                    f"{what} only one class, {self.classes_.tolist()[0]!r}; LSTMClassifier "
                    "needs at least two classes. partial_fit takes those to come in "
                    "`classes`."
                )
        if multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(
                    f"{name} has {y.shape[1]} labels, but LSTMClassifier was fitted with "
                    f"{len(self.classes_)}."
                )
        elif len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(
                f"{name} has labels that are not among the classes {self.classes_!r}: "
                f"{unknown!r}."
            )
        if not going_on:
            self._multilabel = multilabel
            logistic = multilabel or len(self.classes_) == 2
            self.n_outputs_ = 1 if logistic and not multilabel else len(self.classes_)
            self.out_activation_ = "logistic" if logistic else "softmax"
        if multilabel:
            return y.astype(self.dtype)
        return np.searchsorted(self.classes_, y)[:, None].astype(self.dtype)

    def _class_weights(self, targets, sample_weights):
        if self.class_weight is None:
            return sample_weights
        if self._multilabel:
            raise ValueError("class_weight cannot go with an indicator matrix y.")
        n_classes = len(self.classes_)
        indices = targets[:, 0].astype(np.intp)
        if isinstance(self.class_weight, dict):
            unknown = [k for k in self.class_weight if k not in self.classes_]
            if unknown:
                raise ValueError(
                    f"class_weight names {unknown!r}, which are not among the classes "
                    f"{self.classes_!r}."
                )
            by_class = np.array(
                [self.class_weight.get(k, 1.0) for k in self.classes_.tolist()], dtype=float
            )
            if not (np.isfinite(by_class) & (by_class >= 0)).all():
                raise ValueError(
                    f"class_weight={self.class_weight!r} must hold finite numbers, all at "
                    "least 0."
                )
        else:
            counts = np.bincount(indices, sample_weights, minlength=n_classes)
            by_class = counts.sum() / (n_classes * np.where(counts > 0, counts, np.inf))
        return sample_weights * by_class[indices].astype(sample_weights.dtype)

    def _kernel_loss(self):
        return self.out_activation_, self.n_outputs_, ()
