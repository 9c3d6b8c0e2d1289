"""LSTMLanguageModel: learns the next token, scores texts and writes them."""

import functools
import time
from numbers import Integral, Real

import numpy as np
from scipy.special import softmax
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from ._base import NetworkEstimator, unharmed
from ._callbacks import with_callbacks
from ._checks import PARAMETER_CONSTRAINTS
from ._docs import shared_docs, shared_entries
from ._sampling import write_tokens
from ._sequences import Sequences
from ._text_training import TextTrainer
from ._threads import effective_n_threads, single_threaded_blas
from ._vocabulary import Vocabulary, read_texts

# Targets are numbers of the model's precision, exact in float32 up to here.
MAX_TOKENS = (1 << 24) - 1

EMBEDDING_DIM = 64

_SHARED = [
    "cell",
    "activation",
    "dropout",
    "recurrent_dropout",
    "alpha",
    "l1_ratio",
    "solver",
    "learning_rate_init",
    "momentum",
    "nesterovs_momentum",
    "beta_1",
    "beta_2",
    "epsilon",
    "clip_norm",
    "n_iter_no_change",
    "tol",
    "warm_start",
    "dtype",
    "n_jobs",
    "random_state",
    "verbose",
]

_X = """X : str, list of str, list of lists of str, array-like of int or list of such
            One sequence: a str, whose characters are the tokens, or a 1-D array of
            integers. Or several, each a document or a sentence: a list of str, of lists of
            words, or of 1-D arrays of integers."""

_SAMPLE_CONSTRAINTS = {
    "prompt": "no_validation",  # the vocabulary does it
    "temperature": [Interval(Real, 0, None, closed="left")],
    "top_k": [Interval(Integral, 1, None, closed="left"), None],
    "top_p": [Interval(Real, 0, 1, closed="right"), None],
    "random_state": ["random_state"],
}

_HOW = """prompt : str, list of words or array of int, default=None
            What was written before, in the form of one sequence; None or empty is the
            begin of a sequence.
        temperature : float, default=1.0
            The scores are divided by it: below 1 likely tokens become likelier. At 0 the
            most likely token is taken.
        top_k : int, default=None
            Draw from the k most likely tokens alone (Fan et al., arXiv:1805.04833).
        top_p : float, default=None
            Draw from the fewest tokens that together have this probability (Holtzman et
            al., arXiv:1904.09751), after top_k.
        random_state : int, RandomState instance or None, default=None
            The same int gives the same tokens."""


@shared_docs(
    X=_X,
    how=_HOW,
    **shared_entries(*_SHARED, "loss_curve_", "best_validation_score_", "n_iter_"),
)
class LSTMLanguageModel(NetworkEstimator):
    """Language model: a stacked LSTM that learns, scores and writes sequences of tokens.

    Tokens are characters, words or integers. The model gives the probability of each token
    from all tokens before it in its sequence: embedding, LSTM layers, softmax. It learns by
    truncated backpropagation through time over parallel streams, as Zaremba, Sutskever &
    Vinyals (arXiv:1409.2329).

    A flat list of str is several sequences of characters; one sequence of words is
    ``[words]``. A sequence begins with a state of zeros and an input of its own, so that its
    first token is predicted as well. Where fit is given a list, the end of each sequence is a
    token that the model predicts and that ends what it writes.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Units of each stacked LSTM layer; an int is one layer.

    <<cell>>

    <<activation>>

    vocabulary : collection of tokens or mapping of them to their columns, default=None
        All tokens that may ever come, for partial_fit and cross-validation, where the data
        at hand may lack some. None: those of X.

    min_count : int, default=1
        Tokens that come less often in X are left out. Where any are, an unknown token is
        learnt in their place and stands for all that were never seen: "<unk>" among words
        (which also does so where X itself has it), the character U+FFFD, the integer -1.

    max_vocabulary : int or None, default=None
        Most tokens, the most frequent ones, the unknown token among them.

    embedding_dim : int or None, default=None
        Length of the trained vector that stands for a token. None is 64, or with
        tie_weights the units of the last layer.

    tie_weights : bool, default=False
        The output matrix is the embedding's (Press & Wolf, arXiv:1608.05859): fewer
        parameters. Then embedding_dim must be the units of the last layer.

    softmax_samples : int or None, default=None
        For vocabularies of many thousands: learn from about so many classes of the softmax
        instead of all, drawn for each step of the solver, frequent ones more often. Each
        counts for as many as it stands for, so that the sum over all classes is right in the
        mean (Bengio & Senecal 2008; Horvitz & Thompson 1952). Scores and samples are exact
        in any case. None is the whole softmax.

    init_scale : float or None, default=None
        Draw all weights uniformly between -init_scale and init_scale (Zaremba). None:
        Glorot's uniform and orthogonal matrices, a bias of 1 for the forget gate.

    <<dropout>>

    <<recurrent_dropout>>

    <<alpha>>

    <<l1_ratio>>

    <<solver>>

    learning_rate_init : float, default=0.003
        The learning rate at the start, for every solver.

    learning_rate : {"constant", "invscaling", "adaptive", "cosine", "exponential"}, \\
            default="constant"
        "invscaling" divides learning_rate_init by sqrt(1 + tokens seen) after each epoch;
        "adaptive" divides the rate by 5 where "constant" would stop, until it falls below
        1e-6; "cosine" lowers it along half a cosine over max_iter epochs; "exponential"
        multiplies it by decay_rate before each epoch but the first decay_after.

    decay_rate, decay_after : float, int, default=0.5, 4
        Of learning_rate="exponential".

    <<momentum>>

    <<nesterovs_momentum>>

    <<beta_1>>

    <<epsilon>>

    <<clip_norm>>

    batch_size : int, default=32
        Streams that the text is cut into; they are learnt from side by side. A step of the
        solver takes batch_size * bptt_steps tokens: short texts want fewer, or more epochs.

    max_iter : int, default=20
        Epochs at most; reaching them is no warning.

    shuffle : bool, default=True
        Draw a new order of the sequences in each epoch.

    bptt_steps : int, default=35
        Tokens of each stream per step of the solver. The state goes on to the next ones,
        gradients do not. One stream in every fourth step begins anew, so that the model
        learns to begin.

    early_stopping : bool, default=False
        Stop when the validation score stops rising, and keep the weights that scored best.
        The score is taken on X_val where fit is given it, otherwise on a part of the
        sequences that is set aside, or on the end of a single one.

    validation_fraction : float, default=0.1
        The part set aside, between 0 and 1.

    <<n_iter_no_change>>

    <<tol>>

    <<warm_start>>

    <<dtype>>

    <<n_jobs>>

    <<random_state>>

    <<verbose>>

    Attributes
    ----------
    vocabulary_ : dict of token to int
        The tokens and their columns in predict_proba. The end of a sequence, where there is
        one, has the column after the last.

    weights_ : dict of str to array
        Named views of all parameters, as LSTMClassifier's. ``embedding.weight`` has a row
        for each token and a last one for the begin of a sequence; with tie_weights there is
        no ``head.weight``.

    loss_ : float
        Mean objective over the last epoch: negative log-likelihood per token in nats (with
        softmax_samples an estimate, on average a little low) and penalty.

    <<loss_curve_>>

    validation_scores_ : list of float or None
        `score` on the validation data after each epoch, if there were any.

    <<best_validation_score_>>

    <<n_iter_>>

    t_ : int
        Tokens learnt from, over all epochs.

    See Also
    --------
    LSTMClassifier : Classes of sequences.

    Examples
    --------
    >>> from cylstm import LSTMLanguageModel
    >>> text = "to be or not to be, that is the question. " * 50
    >>> model = LSTMLanguageModel(32, learning_rate_init=0.01, batch_size=4, random_state=0)
    >>> bool(model.fit(text).perplexity(text) < 1.2)
    True
    >>> model.sample(15, prompt="to be or ", temperature=0)
    'not to be, that'
    """

    _parameter_constraints = {
        **{name: PARAMETER_CONSTRAINTS[name] for name in _SHARED},
        "hidden_layer_sizes": PARAMETER_CONSTRAINTS["hidden_layer_sizes"],
        "max_iter": PARAMETER_CONSTRAINTS["max_iter"],
        "vocabulary": "no_validation",  # by Vocabulary.given
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "max_vocabulary": [Interval(Integral, 2, MAX_TOKENS, closed="both"), None],
        "embedding_dim": PARAMETER_CONSTRAINTS["embedding_dim"],
        "tie_weights": ["boolean"],
        "softmax_samples": [Interval(Integral, 1, None, closed="left"), None],
        "init_scale": [Interval(Real, 0, None, closed="neither"), None],
        "learning_rate": [
            StrOptions({"constant", "invscaling", "adaptive", "cosine", "exponential"})
        ],
        "decay_rate": [Interval(Real, 0, 1, closed="right")],
        "decay_after": [Interval(Integral, 0, None, closed="left")],
        "batch_size": PARAMETER_CONSTRAINTS["batch_size"],
        "shuffle": ["boolean"],
        "bptt_steps": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": PARAMETER_CONSTRAINTS["validation_fraction"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(256,),
        *,
        cell="lstm",
        activation="tanh",
        vocabulary=None,
        min_count=1,
        max_vocabulary=None,
        embedding_dim=None,
        tie_weights=False,
        softmax_samples=None,
        init_scale=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        alpha=0.0,
        l1_ratio=0.0,
        solver="adam",
        learning_rate_init=3e-3,
        learning_rate="constant",
        decay_rate=0.5,
        decay_after=4,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        clip_norm=1.0,
        batch_size=32,
        max_iter=20,
        shuffle=True,
        bptt_steps=35,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.vocabulary = vocabulary
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.embedding_dim = embedding_dim
        self.tie_weights = tie_weights
        self.softmax_samples = softmax_samples
        self.init_scale = init_scale
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
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

    @unharmed
    @with_callbacks
    def fit(self, X, y=None, *, X_val=None):
        """Learn from texts.

        Ctrl-C ends training and keeps the weights reached, with a warning.

        Parameters
        ----------
        <<X>>
        y : ignored
        X_val : default=None
            Validation texts, in any form that X may have. The score on them is kept for each
            epoch in `validation_scores_`; with early_stopping it decides when to stop.

        Returns
        -------
        self : LSTMLanguageModel

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; a model fitted before stays as it was.
            If the loss becomes NaN or infinite; the model then keeps the weights from
            before that epoch.
        """
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        return self._learn(X, y, X_val, going_on=going_on, n_epochs=self.max_iter)

    @unharmed
    @with_callbacks
    def partial_fit(self, X, y=None):
        """Go on learning: one pass over X.

        The first call learns the vocabulary, unless `vocabulary` gives it.

        Parameters
        ----------
        <<X>>
        y : ignored

        Returns
        -------
        self : LSTMLanguageModel
        """
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        going_on = self.__sklearn_is_fitted__()
        return self._learn(X, y, None, going_on=going_on, n_epochs=1, new_period=False)

    def score(self, X, y=None):
        """Mean log-likelihood per token, in nats; with ends of sequences counted as tokens.

        Each token is predicted from all those before it in its sequence, whatever bptt_steps
        and batch_size are.

        Parameters
        ----------
        <<X>>
        y : ignored

        Returns
        -------
        score : float
        """
        encoded, _ = self._encode(X)
        return self._log_likelihood([self._targets(numbers) for numbers in encoded])

    def perplexity(self, X):
        """exp(-score): as uncertain as a choice among so many equally likely tokens.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        perplexity : float
        """
        with np.errstate(over="ignore"):
            return float(np.exp(-self.score(X)))

    def bits_per_token(self, X):
        """-score / log(2), in bits.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        bits : float
        """
        return float(-self.score(X) / np.log(2))

    def predict_proba(self, X):
        """Distribution of the next token after each token of X.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        p : float64 array of shape (n_tokens, n_outputs), or a list of one for each sequence
            Columns are those of `vocabulary_`, and the end of the sequence where fit was
            given a list.
        """
        sequences, single = self._inputs(X)
        scores, _ = self._forward(sequences)
        p = softmax(_after_tokens(sequences, scores).astype(np.float64), axis=1)
        return p if single else np.split(p, np.cumsum(sequences.lengths - 1)[:-1])

    def transform(self, X):
        """Hidden states of the last layer: what the model makes of a text.

        Parameters
        ----------
        <<X>>

        Returns
        -------
        states : array of shape (n_sequences, n_units), or (n_tokens, n_units)
            Of several sequences the state after the last token of each, of a single one that
            after each token.
        """
        sequences, single = self._inputs(X)
        if single:
            _, states = self._forward(sequences, scores=False, features=True)
            return _after_tokens(sequences, states)
        a = self._network.architecture
        states = np.empty((len(sequences), a.n_state), self._network.dtype)
        self._forward(sequences, scores=False, state_out=states)
        # h and c of each layer; the last layer's come last.
        return states[:, -2 * a.n_features : -a.n_features].copy()

    @validate_params(
        {
            "n_tokens": [Interval(Integral, 1, None, closed="left")],
            "n_samples": [Interval(Integral, 1, None, closed="left"), None],
            **_SAMPLE_CONSTRAINTS,
        },
        prefer_skip_nested_validation=True,
    )
    def sample(
        self,
        n_tokens,
        prompt=None,
        temperature=1.0,
        top_k=None,
        top_p=None,
        random_state=None,
        n_samples=None,
    ):
        """Write what may come next.

        Parameters
        ----------
        n_tokens : int
            Tokens to write; fewer where the sequence ends before, which it can where fit was
            given a list.
        <<how>>
        n_samples : int, default=None
            How many to write, side by side; None is one that does not stand in a list.

        Returns
        -------
        sample : str, list of words or int64 array, as in fit, or a list of n_samples
            Without the prompt. The unknown token is never written.
        """
        drawn = [[] for _ in range(n_samples or 1)]
        for tokens in self._draw_tokens(
            n_tokens, prompt, temperature, top_k, top_p, random_state, len(drawn)
        ):
            for sequence, token in zip(drawn, tokens, strict=True):
                if token >= 0:
                    sequence.append(token)
        written = [self._vocabulary.decode(sequence) for sequence in drawn]
        return written[0] if n_samples is None else written

    @validate_params(
        {
            "n_tokens": [Interval(Integral, 1, None, closed="left"), None],
            **_SAMPLE_CONSTRAINTS,
        },
        prefer_skip_nested_validation=True,
    )
    def iter_sample(
        self,
        n_tokens=None,
        prompt=None,
        temperature=1.0,
        top_k=None,
        top_p=None,
        random_state=None,
    ):
        """Write token by token.

        Parameters
        ----------
        n_tokens : int, default=None
            Tokens to write; None goes on until the sequence ends, which it never does where
            fit was given a single one.
        <<how>>

        Returns
        -------
        tokens : iterator of str or int
            Joined they are what `sample` returns for the same random_state.
        """
        drawn = self._draw_tokens(n_tokens, prompt, temperature, top_k, top_p, random_state, 1)
        tokens = list(self.vocabulary_)
        return (tokens[numbers[0]] for numbers in drawn)

    @property
    def vocabulary_(self):
        check_is_fitted(self)
        return dict(self._vocabulary.numbers)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    # Learning

    def _learn(self, X, y, X_val, *, going_on, n_epochs, new_period=True):
        self._validate_params()
        if self.cell == "input_gated" and self.recurrent_dropout:
            raise ValueError(
                f"recurrent_dropout={self.recurrent_dropout} cannot go with "
                'cell="input_gated", whose gates see no hidden state.'
            )
        decays = self.solver == "adamw" and self.l1_ratio == 0
        if self.softmax_samples is not None and self.alpha and not decays:
            raise ValueError(
                f"alpha={self.alpha} cannot go with softmax_samples, of which a step touches "
                'some classes alone, but as the weight decay of solver="adamw" (l1_ratio=0).'
            )
        texts = read_texts(X)
        if not going_on:
            self._vocabulary = self._make_vocabulary(texts)
            self._ends = not texts.single
        elif self.vocabulary is not None:
            given = Vocabulary.given(self.vocabulary, texts.kind)
            if given.numbers != self._vocabulary.numbers:
                raise ValueError(
                    "Training cannot go on: vocabulary changed since the first fit."
                )
        encoded = self._vocabulary.encode(texts)
        network = self._make_network(going_on, **self._layout())
        self._draw(network, going_on, scale=self.init_scale)
        targets, validation = [self._targets(numbers) for numbers in encoded], None
        if X_val is not None:
            validation = self._vocabulary.encode(read_texts(X_val, "X_val"), "X_val")
            validation = [self._targets(numbers) for numbers in validation]
        elif self.early_stopping:
            targets, validation = self._set_aside(targets)
        make_trainer = functools.partial(
            TextTrainer,
            texts=targets,
            boundary=self._boundary,
            batch_size=self.batch_size,
            bptt_steps=self.bptt_steps,
            n_sampled=self.softmax_samples,
            shuffle=self.shuffle,
            random_state=self._random_state,
        )
        self._begin = time.perf_counter(), self._history.t
        try:
            return self._train(
                network,
                make_trainer,
                (X, y, None),
                going_on=going_on,
                new_period=new_period,
                n_epochs=n_epochs,
                validate=validation and (lambda: self._log_likelihood(validation)),
            )
        finally:
            del self._begin

    def _make_vocabulary(self, texts):
        if self.vocabulary is not None:
            if self.min_count > 1 or self.max_vocabulary is not None:
                raise ValueError(
                    "min_count and max_vocabulary choose among the tokens of X; they cannot "
                    "go with a vocabulary that is given."
                )
            vocabulary = Vocabulary.given(self.vocabulary, texts.kind)
        else:
            vocabulary = Vocabulary.learn(texts, self.min_count, self.max_vocabulary)
        if len(vocabulary) > MAX_TOKENS:
            raise ValueError(
                f"X has {len(vocabulary)} different tokens, more than {MAX_TOKENS}; give "
                "min_count or max_vocabulary."
            )
        return vocabulary

    def _decay(self):
        return {"decay_rate": self.decay_rate, "decay_after": self.decay_after}

    @property
    def _boundary(self):
        """The token before the first and, where there are ends, after the last."""
        return len(self._vocabulary)

    def _layout(self):
        dimension = self.embedding_dim or EMBEDDING_DIM
        n_units = np.ravel(self.hidden_layer_sizes)[-1:]  # none is an error later
        if self.tie_weights and len(n_units):
            dimension = self.embedding_dim or n_units[0]
            if dimension != n_units[0]:
                raise ValueError(
                    f"embedding_dim={dimension} must be the units of the last layer, "
                    f"{n_units[0]}, with tie_weights=True."
                )
        return {
            "n_inputs": int(dimension),
            "n_scores": len(self._vocabulary) + self._ends,
            "loss": "softmax",
            "per_step": True,
            "vocabulary": len(self._vocabulary) + 1,
            "tied": bool(self.tie_weights),
        }

    def _set_aside(self, targets):
        """Sequences (of a single one the begin) to learn from, and others to validate on."""
        if len(targets) == 1:
            target = targets[0]
            n_learnt = len(target) - int(np.ceil(len(target) * self.validation_fraction))
            if n_learnt < 1:
                raise ValueError(
                    f"early_stopping cannot set validation_fraction="
                    f"{self.validation_fraction} of {len(target)} tokens aside."
                )
            return [target[:n_learnt]], [target[n_learnt:]]
        try:
            rows, held_out = train_test_split(
                np.arange(len(targets)),
                test_size=self.validation_fraction,
                random_state=self._split_seed,
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping cannot set validation_fraction={self.validation_fraction} "
                f"of {len(targets)} sequences aside: {error}"
            ) from error
        return [targets[k] for k in rows], [targets[k] for k in held_out]

    def _progress(self, history):
        seconds = time.perf_counter() - self._begin[0]
        line = f"{history.loss_curve[-1] / np.log(2):.3f} bits per token"
        if history.validation_scores:
            line += f", {-history.validation_scores[-1] / np.log(2):.3f} held out"
        return f"{line}, {(history.t - self._begin[1]) / seconds:,.0f} tokens/s"

    # Reading

    def _encode(self, X):
        check_is_fitted(self)
        texts = read_texts(X)
        return self._vocabulary.encode(texts), texts.single

    def _targets(self, numbers):
        return np.append(numbers, self._boundary) if self._ends else numbers

    def _log_likelihood(self, targets):
        """Mean over all tokens."""
        lengths = np.array([len(target) for target in targets], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        targets = np.concatenate(targets)
        inputs = np.empty_like(targets)
        inputs[1:] = targets[:-1]
        inputs[starts] = self._boundary
        network = self._network
        with single_threaded_blas():
            losses = network.losses(
                Sequences(None, starts, lengths, inputs),
                targets.astype(network.dtype)[:, None],
                effective_n_threads(self.n_jobs),
            )
        return -float(losses.mean())

    def _inputs(self, X):
        """Sequences of tokens, each after its begin, and whether X was a single one."""
        encoded, single = self._encode(X)
        lengths = np.array([len(numbers) + 1 for numbers in encoded], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        tokens = np.insert(
            np.concatenate(encoded), starts - np.arange(len(starts)), self._boundary
        )
        return Sequences(None, starts, lengths, tokens), single

    def _forward(self, sequences, **wanted):
        with single_threaded_blas():
            return self._network.forward(sequences, effective_n_threads(self.n_jobs), **wanted)

    # Writing

    def _draw_tokens(
        self, n_tokens, prompt, temperature, top_k, top_p, random_state, n_samples
    ):
        """Iterator over arrays of a token for each sample, -1 after its end. All is checked
        before it begins."""
        check_is_fitted(self)
        vocabulary, network = self._vocabulary, self._network
        if len(vocabulary) == 1 and vocabulary.unknown is not None:
            raise ValueError("The model knows no token but the unknown one: nothing to write.")
        read = np.array([self._boundary])
        sized = isinstance(prompt, (str, list, tuple)) or np.ndim(prompt) == 1
        if prompt is not None and not (sized and len(prompt) == 0):
            words = vocabulary.kind == "words" and not isinstance(prompt, str)
            texts = read_texts([prompt] if words else prompt, "prompt")
            if len(texts.sequences) > 1:
                raise ValueError("prompt is a list of several sequences; give one.")
            read = np.append(read, vocabulary.encode(texts, "prompt")[0])
        return write_tokens(
            network,
            read,
            n_tokens,
            n_samples,
            never=vocabulary.unknown,
            end=len(vocabulary),
            random_state=check_random_state(random_state),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )


def _after_tokens(sequences, rows):
    """Of the steps of all sequences those after a token, not after the begin."""
    return np.delete(rows, sequences.starts, axis=0)
