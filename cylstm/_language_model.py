"""LSTMLanguageModel: parameters and training. _text_scoring.py has the methods that score
texts, _generation.py those that write them."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._arguments import shown
from ._base import NetworkEstimator, check_layer_sizes, rollback_on_error
from ._callbacks import with_callbacks
from ._checks import check_dropout
from ._docs import documented
from ._generation import GenerationMixin
from ._optimizers import SCHEDULES, SOLVERS
from ._parameters import PARAMETERS, Parameter, integer, schedule
from ._text_scoring import TEXTS, TextScoringMixin
from ._text_training import AUTO_STEPS, AUTO_STREAMS, TextTrainer
from ._validation import check_groups, hold_out
from ._vocabulary import MAX_TOKENS, Vocabulary, read_texts

EMBEDDING_DIM = 64

OWN_PARAMETERS = {
    "embedding_dim": replace(
        PARAMETERS["embedding_dim"],
        description=f"""Length of the trained vectors that represent tokens. If None, it is
        {EMBEDDING_DIM}, or with tie_weights the number of units of the last layer.""",
    ),
    "learning_rate": schedule(SCHEDULES),
    "batch_size": Parameter(
        [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        'int or "auto"',
        f"""Number of streams that the text is cut into and that are processed in parallel. A
        step of the solver uses batch_size * bptt_steps tokens. "auto": as many streams as
        leave {AUTO_STEPS} steps to an epoch, but at least 1 and at most {AUTO_STREAMS}.""",
    ),
    "bptt_steps": integer(
        """Number of tokens of each stream per step of the solver. The state is carried over to
        the next tokens, gradients are not. In every fourth step one of the streams is
        restarted from a state of zeros, so that the model learns how sequences start.""",
        1,
    ),
}


@documented(OWN_PARAMETERS, X=TEXTS)
class LSTMLanguageModel(TextScoringMixin, GenerationMixin, NetworkEstimator):
    """Language model: a stacked LSTM that trains on, scores and writes sequences of tokens.

    Tokens are characters, words or integers. The model predicts the probability of each
    token from all tokens before it in its sequence: embedding, LSTM layers, softmax. It is
    trained by truncated backpropagation through time over parallel streams of text, as in
    Zaremba, Sutskever & Vinyals (arXiv:1409.2329).

    A flat list of str is a list of sequences of characters; one sequence of words is
    ``[words]``. A sequence starts with a state of zeros and a start token, so that its
    first token is predicted as well. If fit is given a list, the model also predicts the
    end of each sequence, and the text that it writes ends there.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    vocabulary_ : dict of token to int
        The tokens and their columns in predict_proba. The end of a sequence, if the model
        predicts it, is one further column after them.

    weights_ : dict of str to array
        Named views of all parameters, as those of LSTMClassifier. ``embedding.weight`` has
        one row per token and a last one for the start of a sequence; with tie_weights there
        is no ``head.weight``.

    loss_ : float
        Mean objective over the last epoch: negative log-likelihood per token in nats (with
        softmax_samples an estimate, which is slightly low on average) plus penalty.

    %(loss_curve_)s

    %(validation_scores_)s

    %(best_validation_score_)s

    %(history_)s

    %(n_iter_)s

    t_ : int
        Number of training tokens seen, over all epochs.

    See Also
    --------
    LSTMClassifier : Classes of sequences.

    Examples
    --------
    >>> from cylstm import LSTMLanguageModel
    >>> text = "to be or not to be, that is the question. " * 50
    >>> model = LSTMLanguageModel(32, random_state=0)
    >>> bool(model.fit(text).perplexity(text) < 1.2)
    True
    >>> model.sample(15, prompt="to be or ", temperature=0)
    'not to be, that'
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (256,),
        *,
        cell: str = "lstm",
        activation: str = "tanh",
        projection_size: int | None = None,
        residual: bool = False,
        layer_norm: bool = False,
        vocabulary: Collection[Any] | None = None,
        min_count: int = 1,
        max_vocabulary: int | None = None,
        embedding_dim: int | None = None,
        tie_weights: bool = False,
        softmax_samples: int | None = None,
        init_scale: float | None = None,
        dropout: float = 0.25,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        solver: str = "adam",
        learning_rate_init: float = 5e-3,
        learning_rate: str = "cosine",
        cosine_epochs: int | None = None,
        decay_rate: float = 0.5,
        decay_after: int = 4,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 20,
        shuffle: bool = True,
        bptt_steps: int = 35,
        early_stopping: bool = False,
        validation_fraction: Any = 0.1,
        n_iter_no_change: int | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        dtype: str | type = "float32",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.projection_size = projection_size
        self.residual = residual
        self.layer_norm = layer_norm
        self.vocabulary = vocabulary
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.embedding_dim = embedding_dim
        self.tie_weights = tie_weights
        self.softmax_samples = softmax_samples
        self.init_scale = init_scale
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_dropout = weight_dropout
        self.embedding_dropout = embedding_dropout
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.cosine_epochs = cosine_epochs
        self.decay_rate = decay_rate
        self.decay_after = decay_after
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
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @rollback_on_error
    @with_callbacks
    def fit(
        self,
        X: npt.ArrayLike,
        y: Any = None,
        *,
        X_val: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Train on texts.

        Ctrl-C ends training with a warning and keeps the weights reached.

        Parameters
        ----------
        %(X)s
        y : ignored
        X_val : default=None
            Validation texts, in any form that X may have. The score on them is recorded
            after each epoch in `validation_scores_`; with early_stopping it decides when to
            stop.
        groups : array-like of shape (n_sequences,), default=None
            Which texts of a list belong together, such as those of one author: early_stopping
            holds out whole groups, or passes them to a splitter.

        Returns
        -------
        self : LSTMLanguageModel

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; a model fitted before stays as it was. If
            the loss becomes NaN or infinite; the model then keeps the weights from before
            that epoch.
        """
        self._validate_params()
        return self._fit(
            X,
            y,
            X_val,
            groups=groups,
            resume=self._resumes(),
            partial=False,
            n_epochs=self.max_iter,
        )

    @rollback_on_error
    @with_callbacks
    def partial_fit(self, X: npt.ArrayLike, y: Any = None) -> Self:
        """Continue training with one pass over X.

        The first call determines the vocabulary from X, unless `vocabulary` is given.

        Parameters
        ----------
        %(X)s
        y : ignored

        Returns
        -------
        self : LSTMLanguageModel
        """
        self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, None, resume=resume, partial=True, n_epochs=1)

    @property
    def vocabulary_(self) -> dict[Any, int]:
        """The tokens and their columns in predict_proba."""
        check_is_fitted(self)
        return dict(self._vocabulary.numbers)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    # Training

    def _fit(self, X, y, X_val, *, resume, partial, n_epochs, groups=None):
        self._check_settings()
        checkpoint = self._open_checkpoint(partial)
        texts = read_texts(X)
        if resume:
            self._check_same_vocabulary(texts)
        else:
            self._vocabulary = self._make_vocabulary(texts)
            self._ends = not texts.single
        encoded = self._vocabulary.encode(texts)
        network = self._make_network(resume, **self._layout())
        self._start_training(network, resume, checkpoint, scale=self.init_scale)
        targets, held_out = [self._targets(numbers) for numbers in encoded], None
        groups = check_groups(groups, len(targets))
        if checkpoint is not None:
            checkpoint.add_data({"X": targets, "vocabulary": [list(self._vocabulary.numbers)]})
        if X_val is not None:
            held_out = self._vocabulary.encode(read_texts(X_val, "X_val"), "X_val")
            held_out = [self._targets(numbers) for numbers in held_out]
            if checkpoint is not None:
                checkpoint.add_data({"X_val": held_out})
        elif self.early_stopping:
            targets, held_out = self._hold_out(X, targets, groups)
            if checkpoint is not None:
                checkpoint.add_data({"the held-out part of X": held_out})
        make_trainer = functools.partial(
            TextTrainer,
            texts=targets,
            boundary=self._boundary,
            batch_size=self.batch_size,
            bptt_steps=int(self.bptt_steps),
            n_sampled=self.softmax_samples,
            shuffle=self.shuffle,
            random_state=self._random_state,
            embedding_dropout=self.embedding_dropout,
        )
        return self._train(
            network,
            make_trainer,
            (X, y, None),
            total_weight=float(sum(map(len, targets))),
            resume=resume,
            partial=partial,
            n_epochs=n_epochs,
            validate=held_out and (lambda: self._log_likelihood(held_out)),
            checkpoint=checkpoint,
        )

    def _check_settings(self):
        check_dropout(self)
        only_decays = SOLVERS[self.solver].decays_weights and self.l1_ratio == 0
        if self.softmax_samples is not None and self.alpha and not only_decays:
            raise ValueError(
                f"alpha={self.alpha} cannot be combined with softmax_samples, where a step "
                "updates only some of the classes, except as the weight decay of "
                'solver="adamw" (l1_ratio=0).'
            )

    def _make_vocabulary(self, texts):
        if self.vocabulary is not None:
            if self.min_count > 1 or self.max_vocabulary is not None:
                raise ValueError(
                    "min_count and max_vocabulary choose among the tokens of X; they cannot "
                    "be combined with a given vocabulary."
                )
            vocabulary = Vocabulary.given(self.vocabulary, texts.kind)
        else:
            vocabulary = Vocabulary.learn(texts, self.min_count, self.max_vocabulary)
        if len(vocabulary) > MAX_TOKENS:
            raise ValueError(
                f"X has {len(vocabulary)} different tokens, more than {MAX_TOKENS}; set "
                "min_count or max_vocabulary."
            )
        return vocabulary

    def _check_same_vocabulary(self, texts):
        if self.vocabulary is None:
            return
        given = Vocabulary.given(self.vocabulary, texts.kind)
        if given.numbers != self._vocabulary.numbers:
            raise ValueError(
                "Training cannot continue: vocabulary changed since the first fit."
            )

    def _layout(self):
        """What texts and parameters say of the network."""
        dimension = self.embedding_dim or EMBEDDING_DIM
        if self.tie_weights:
            n_units = check_layer_sizes(self.hidden_layer_sizes)[-1]
            n_outputs = self.projection_size or n_units
            dimension = self.embedding_dim or n_outputs
            if dimension != n_outputs:
                units = "the number of units of the last layer"
                raise ValueError(
                    f"embedding_dim={dimension} must be "
                    f"{'projection_size' if self.projection_size else units}, {n_outputs}, "
                    "with tie_weights=True."
                )
        return {
            "n_inputs": int(dimension),
            "n_scores": len(self._vocabulary) + self._ends,
            "loss": "softmax",
            "per_step": True,
            "vocabulary": len(self._vocabulary) + 1,
            "tied": bool(self.tie_weights),
        }

    def _hold_out(self, X, targets, groups):
        """Sequences to train on, and others to validate on; of a single one its end."""
        if len(targets) > 1:
            rows, held_out = hold_out(
                self.validation_fraction,
                len(targets),
                X=X,
                groups=groups,
                in_order=not self.shuffle,
                seed=self._split_seed,
                what="sequences",
            )
            return [targets[k] for k in rows], [targets[k] for k in held_out]
        if not isinstance(self.validation_fraction, Real):
            raise ValueError(
                f"validation_fraction={shown(self.validation_fraction)} splits a list of "
                "sequences, but X is a single one, of which early_stopping holds out the end: "
                "give a fraction."
            )
        target = targets[0]
        n_train = len(target) - int(np.ceil(len(target) * self.validation_fraction))
        if n_train < 1:
            raise ValueError(
                "early_stopping cannot hold out validation_fraction="
                f"{self.validation_fraction} of {len(target)} tokens."
            )
        return [target[:n_train]], [target[n_train:]]

    def _progress(self, history, speed):
        yield f"{history.loss_curve[-1] / np.log(2):.3f} bits per token"
        if history.validation_scores[-1] is not None:
            yield f"{-history.validation_scores[-1] / np.log(2):.3f} held out"
        yield f"{speed:,.0f} tokens/s"
