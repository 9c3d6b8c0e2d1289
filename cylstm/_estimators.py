"""LSTMRegressor and LSTMClassifier: parameters, validation, encoding of y."""

import functools
from numbers import Integral, Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
    is_classifier,
)
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    check_array,
    check_random_state,
    column_or_1d,
    compute_sample_weight,
)
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._docs import ATTRIBUTES, PARAMETERS, shared_docs
from ._network import Network
from ._optimizers import SGD, Adam, Optimizer
from ._sequences import (
    columns_to_sequences,
    form_of,
    ragged_to_sequences,
    steps_to_sequences,
)
from ._threads import effective_n_threads, single_threaded_blas
from ._training import History, NonFiniteLossError, Trainer, train


def _unharmed(fit):
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


@shared_docs
class BaseLSTM(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """What both estimators share; use LSTMRegressor or LSTMClassifier.

    A subclass reads y (_read_y), encodes it as targets of the loss (_encode), names the
    loss (_kernel_loss) and scores predictions (_judge).
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions({"adam", "rmsprop", "sgd"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "dtype": [
            StrOptions({"float32", "float64"}),
            Options(type, {np.float32, np.float64}),
        ],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_step_features": [Interval(Integral, 1, None, closed="left")],
    }

    @_unharmed
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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the sequences in the loss; an integer weight is as good as that
            many copies.
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
        self._validate_params()
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
        self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        return self._learn(
            X,
            y,
            sample_weight,
            going_on=self.__sklearn_is_fitted__(),
            n_epochs=1,
            classes=classes,
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_network")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [np.dtype(self.dtype).name]
        return tags

    @property
    def weights_(self):
        check_is_fitted(self)
        return self._network.weights

    @property
    def _n_features_out(self):
        return self._network.hidden_layer_sizes[-1]

    def transform(self, X):
        """Hidden state of the last layer after the last step of each sequence.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        features : array of shape (n_samples, n_units)
        """
        return self._forward(X, scores=False, features=True)[1]

    def _forward(self, X, **wanted):
        check_is_fitted(self)
        with single_threaded_blas():
            return self._network.forward(
                self._check_X(X, reset=False), effective_n_threads(self.n_jobs), **wanted
            )

    def _scores(self, X):
        return self._forward(X)[0].astype(np.float64)

    # Learning. Everything is checked before anything of a fitted model changes.

    def _learn(
        self, X, y, sample_weight, *, going_on, n_epochs, validation=None, classes=None
    ):
        sequences = self._check_X(X, reset=not going_on)
        n = len(sequences)
        y = self._check_y(y, n, "y")
        targets = self._encode(y, going_on, classes)
        weights = self._check_weights(sample_weight, n, "sample_weight")
        weights = weights * self._class_weights(y).astype(weights.dtype)
        if not going_on:
            self._random_state = check_random_state(self.random_state)
            self._history = History()
        rows = np.arange(n)
        if validation is not None:
            validation = self._check_validation(*validation)
        elif self.early_stopping:
            rows, validation = self._set_aside(sequences, y, weights)
        if not weights[rows].any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number among the "
                "sequences to learn from."
            )

        self._network = self._make_network(sequences.n_features, going_on)
        self._optimizer = self._make_optimizer(going_on)
        trainer = Trainer(
            self._network,
            self._optimizer,
            sequences,
            targets,
            weights,
            rows,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            alpha=self.alpha,
            n_threads=effective_n_threads(self.n_jobs),
            random_state=self._random_state,
        )
        tasks = FitTasks(self, X, y, sample_weight, n_epochs, self._fitted_attributes)
        try:
            with single_threaded_blas():
                train(
                    trainer,
                    self._history,
                    max_iter=n_epochs,
                    tol=self.tol,
                    n_iter_no_change=self.n_iter_no_change,
                    validate=validation and (lambda: self._judge(*validation)),
                    early_stopping=self.early_stopping and validation is not None,
                    before_epoch=tasks.begin_epoch,
                    after_epoch=lambda: self._report() or tasks.end_epoch(),
                )
        finally:
            self.__dict__.update(self._history_attributes())
        tasks.end_fit()
        return self

    def _make_network(self, n_inputs, going_on):
        sizes = np.atleast_1d(self.hidden_layer_sizes)
        if sizes.size == 0:
            raise ValueError("hidden_layer_sizes is empty; one layer is the least.")
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any():
            raise ValueError(
                "hidden_layer_sizes must be an int or a sequence of ints, all at least "
                f"1; got {self.hidden_layer_sizes!r}."
            )
        loss, n_scores = self._kernel_loss()
        network = Network(n_inputs, sizes.tolist(), n_scores, loss, self.dtype)
        if not going_on:
            network.initialize(self._random_state)
            return network
        fitted = self._network
        if (network.shapes(), network.dtype) != (fitted.shapes(), fitted.dtype):
            raise ValueError(
                "Training cannot go on: hidden_layer_sizes, dtype or the number of "
                f"outputs changed since the first fit, from {fitted.describe()} to "
                f"{network.describe()}."
            )
        return fitted

    def _make_optimizer(self, going_on):
        if self.solver == "sgd":
            rule = SGD(self.momentum, self.nesterovs_momentum)
        else:
            beta_1 = self.beta_1 if self.solver == "adam" else 0.0
            rule = Adam(beta_1, self.beta_2, self.epsilon)
        optimizer = Optimizer(
            rule, self.learning_rate, self.learning_rate_init, self.clip_norm
        )
        return optimizer.resume(self._optimizer) if going_on else optimizer

    def _set_aside(self, sequences, y, weights):
        """Split off validation rows; return the others and validation data."""
        rows, held_out = train_test_split(
            np.arange(len(sequences)),
            test_size=self.validation_fraction,
            random_state=self._random_state,
            stratify=y if is_classifier(self) else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(sequences)} "
                f"samples sets {len(held_out)} aside; at least 2 are needed to score. "
                "Increase validation_fraction, or give X_val and y_val to fit."
            )
        return rows, (sequences.take(held_out), y[held_out], weights[held_out])

    def _report(self):
        history = self._history
        if self.verbose and history.n_iter % int(self.verbose) == 0:
            line = f"Epoch {history.n_iter}, loss = {history.loss_curve[-1]:.6f}"
            if history.validation_scores:
                line += f", validation score = {history.validation_scores[-1]:.4f}"
            print(line, flush=True)

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

    # Checks

    def _check_X(self, X, reset):
        form = form_of(X)
        if form == "columns":
            if reset or self._form == "columns":
                X = validate_data(self, X, reset=reset, dtype=self.dtype, order="C")
            else:
                X = check_array(X, dtype=self.dtype, order="C", input_name="X")
            sequences = columns_to_sequences(X, self.n_step_features)
        else:
            read = steps_to_sequences if form == "steps" else ragged_to_sequences
            sequences = read(X, self.dtype)
        if not reset:
            if sequences.n_features != self._n_inputs:
                raise ValueError(
                    f"X has {sequences.n_features} features at every step, but "
                    f"{type(self).__name__} was fitted with {self._n_inputs}."
                )
            return sequences
        self._form = form
        self._n_inputs = sequences.n_features
        if form != "columns":
            self.n_features_in_ = sequences.n_features
            self.__dict__.pop("feature_names_in_", None)
        return sequences

    def _check_y(self, y, n_samples, name):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target {name} "
                "is None."
            )
        y = self._read_y(y, name)
        if len(y) != n_samples:
            raise ValueError(
                f"{name} has {len(y)} samples, but {name.replace('y', 'X', 1)} has "
                f"{n_samples}."
            )
        return y

    def _check_weights(self, weights, n_samples, name):
        weights = _check_sample_weight(
            weights, np.empty((n_samples, 1)), dtype=np.dtype(self.dtype)
        )
        if (weights < 0).any():
            raise ValueError(f"{name} has negative weights; all must be at least 0.")
        if not weights.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, but all of "
                f"{name} are 0."
            )
        return weights

    def _check_validation(self, X_val, y_val, sample_weight_val):
        try:
            sequences = self._check_X(X_val, reset=False)
        except ValueError as error:
            raise ValueError(f"In X_val: {error}") from error
        y_val = self._check_y(y_val, len(sequences), "y_val")
        if sample_weight_val is not None:
            sample_weight_val = self._check_weights(
                sample_weight_val, len(sequences), "sample_weight_val"
            )
        return sequences, y_val, sample_weight_val


_REGRESSOR_LOSS = """loss : {"squared_error"}, default="squared_error"
        (y - p)^2 / 2, averaged over outputs."""


@shared_docs(
    parameters=PARAMETERS.format(loss=_REGRESSOR_LOSS, stratified="", class_weight=""),
    attributes=ATTRIBUTES.format(
        score="R^2",
        n_outputs="Columns of y, 1 if y is one-dimensional.",
        out_activation='"identity".',
    ),
)
class LSTMRegressor(MultiOutputMixin, RegressorMixin, BaseLSTM):
    """Regression of sequences by a stacked long short-term memory network.

    The prediction is a linear function of the last layer's hidden state after the last
    step of a sequence. Cell: Hochreiter & Schmidhuber (1997) with the forget gate of Gers,
    Schmidhuber & Cummins (2000), as in PyTorch and Keras.

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
        "loss": [StrOptions({"squared_error"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        loss="squared_error",
        alpha=0.0,
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
        self.loss = loss
        self.alpha = alpha
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

    @_unharmed
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None):
        """Go on learning: one pass over X, y.

        Parameters
        ----------
        <<X>>
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
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
        """
        return self._to_prediction(self._scores(X))

    def _to_prediction(self, scores):
        return scores.ravel() if self._y_is_1d else scores

    def _read_y(self, y, name):
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
                f"{name} has shape {y.shape}; expected (n_samples,) or (n_samples, "
                "n_outputs)."
            )
        return y

    def _encode(self, y, going_on, classes):
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if going_on and n_outputs != self.n_outputs_:
            raise ValueError(
                f"y has {n_outputs} outputs, but LSTMRegressor was fitted with "
                f"{self.n_outputs_}."
            )
        self._y_is_1d = y.ndim == 1
        self.n_outputs_ = n_outputs
        self.out_activation_ = "identity"
        return y.reshape(len(y), n_outputs)

    def _class_weights(self, y):
        return np.ones(1)

    def _kernel_loss(self):
        return self.loss, self.n_outputs_

    def _judge(self, sequences, y, weights):
        scores = self._network.forward(sequences, effective_n_threads(self.n_jobs))[0]
        return r2_score(y, self._to_prediction(scores), sample_weight=weights)


_CLASSIFIER_LOSS = """loss : {"log_loss"}, default="log_loss"
        Cross-entropy (natural logarithm): of one logistic output for two classes, of a
        softmax over one output per class otherwise."""

_CLASS_WEIGHT = """
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into sample_weight; "balanced" makes them
        n_samples / (n_classes * count of the class).
"""


@shared_docs(
    parameters=PARAMETERS.format(
        loss=_CLASSIFIER_LOSS,
        stratified=", stratified by class",
        class_weight=_CLASS_WEIGHT,
    ),
    attributes=ATTRIBUTES.format(
        score="Accuracy",
        n_outputs="Scores of the network: 1 for two classes, n_classes for more.",
        out_activation='"logistic" or "softmax".',
    ),
)
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classification of sequences by a stacked long short-term memory network.

    The scores of the classes are linear functions of the last layer's hidden state after
    the last step of a sequence. Cell: Hochreiter & Schmidhuber (1997) with the forget gate
    of Gers, Schmidhuber & Cummins (2000), as in PyTorch and Keras.

    Parameters
    ----------
    <<parameters>>

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        The class labels.

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
        loss="log_loss",
        alpha=0.0,
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
        self.loss = loss
        self.alpha = alpha
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

    @_unharmed
    @with_callbacks
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on learning: one pass over X, y.

        Parameters
        ----------
        <<X>>
        y : array-like of shape (n_samples,)
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
        y : array of shape (n_samples,)
        """
        return self._to_labels(self._scores(X))

    def decision_function(self, X):
        """Scores before the logistic or softmax function.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        scores : float64 array of shape (n_samples,) for two classes, else (n_samples,
            n_classes)
        """
        scores = self._scores(X)
        return scores.ravel() if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        """Probability of each class, in the order of `classes_`.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        p : float64 array of shape (n_samples, n_classes)
        """
        scores = self._scores(X)
        if len(self.classes_) == 2:
            return expit(np.hstack([-scores, scores]))
        return softmax(scores, axis=1)

    def predict_log_proba(self, X):
        """Natural logarithm of predict_proba, exact also where that is almost 0.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        log_p : float64 array of shape (n_samples, n_classes)
        """
        scores = self._scores(X)
        if len(self.classes_) == 2:
            return log_expit(np.hstack([-scores, scores]))
        return log_softmax(scores, axis=1)

    def _to_labels(self, scores):
        if len(self.classes_) == 2:
            return self.classes_[(scores.ravel() > 0).astype(np.intp)]
        return self.classes_[scores.argmax(axis=1)]

    def _read_y(self, y, name):
        y = check_array(y, dtype=None, ensure_2d=False, input_name=name)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _encode(self, y, going_on, classes):
        if going_on:
            if classes is not None and not np.array_equal(
                np.unique(classes), self.classes_
            ):
                raise ValueError(
                    f"classes={classes!r} differ from those of the first call, "
                    f"{self.classes_!r}."
                )
        else:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"y has only one class, {self.classes_[0]!r}; LSTMClassifier needs at "
                    "least two classes."
                )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels that are not among the classes {self.classes_!r}: "
                f"{unknown!r}."
            )
        two = len(self.classes_) == 2
        self.n_outputs_ = 1 if two else len(self.classes_)
        self.out_activation_ = "logistic" if two else "softmax"
        return np.searchsorted(self.classes_, y)[:, None].astype(self.dtype)

    def _class_weights(self, y):
        return compute_sample_weight(self.class_weight, y)

    def _kernel_loss(self):
        return self.out_activation_, self.n_outputs_

    def _judge(self, sequences, y, weights):
        scores = self._network.forward(sequences, effective_n_threads(self.n_jobs))[0]
        return accuracy_score(y, self._to_labels(scores), sample_weight=weights)
