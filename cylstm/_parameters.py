"""Every parameter of the estimators: its constraint, its type and its description, once.

The `__init__` signature of an estimator says which parameters it has and their defaults, as
scikit-learn requires; `_docs.documented` puts the two together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from . import _plan
from ._losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from ._optimizers import SCHEDULES, SOLVERS
from ._training import AUTO_BATCH, PATIENCE
from ._vocabulary import MAX_TOKENS


@dataclass(frozen=True)
class Parameter:
    """What is said and required of a parameter.

    Parameters
    ----------
    constraints : list or str
        As scikit-learn's `_parameter_constraints` have it.
    type : str
        For the docstring.
    description : str
        For the docstring, which wraps the lines anew.
    """

    constraints: Any
    type: str
    description: str


def choice(names: Iterable[str], description: str) -> Parameter:
    """One of several strings."""
    names = list(names)
    quoted = ", ".join(f'"{name}"' for name in names)
    return Parameter([StrOptions(set(names))], f"{{{quoted}}}", description)


def boolean(description: str) -> Parameter:
    return Parameter(["boolean"], "bool", description)


def integer(description: str, low: int, high: int | None = None) -> Parameter:
    interval = Interval(Integral, low, high, closed="left" if high is None else "both")
    return Parameter([interval], "int", description)


def real(description: str, low: float, high: float | None, closed: str) -> Parameter:
    return Parameter([Interval(Real, low, high, closed=closed)], "float", description)


def optional(parameter: Parameter) -> Parameter:
    """The same, or None."""
    return Parameter(
        [*parameter.constraints, None], f"{parameter.type} or None", parameter.description
    )


def listed(rows: Mapping[str, Any], names: Iterable[str] | None = None) -> str:
    """The descriptions of the rows of a table, with their names."""
    names = rows if names is None else names
    return "; ".join(f'"{name}": {rows[name].description}' for name in names)


def schedule(names: Iterable[str]) -> Parameter:
    """The parameter learning_rate with some of SCHEDULES."""
    names = list(names)
    return choice(
        names,
        f"How the learning rate changes, with every solver. {listed(SCHEDULES, names)}.",
    )


PARAMETERS: dict[str, Parameter] = {
    "hidden_layer_sizes": Parameter(
        ["array-like", Interval(Integral, 1, None, closed="left")],
        "int or sequence of int",
        "Number of units in each of the stacked LSTM layers; an int is a single layer.",
    ),
    "projection_size": optional(
        integer(
            """Length of the hidden state, smaller than every layer's number of units: a
            trained matrix projects the outputs of the cells to it, h = W_hr (o * phi(c)) (Sak,
            Senior & Beaufays, arXiv:1402.1128; PyTorch's proj_size). The next step, the next
            layer and the prediction see h, so that layers of many units have fewer weights. If
            None, h is the outputs of the cells. Not with "gru" and "gru_v1".""",
            1,
        )
    ),
    "cell": choice(
        _plan.CELLS,
        """The recurrent cell. "lstm": Gers et al. 2000; "peephole": the gates also see the
        cell state (Gers & Schmidhuber 2000); "peephole_lagged": the same, but the output gate
        sees the cell state of the previous step, as the other gates do; "coupled": f = 1 - i,
        without parameters for the forget gate (Greff et al. 2015); "input_gated": the gates
        see only the inputs, not the hidden state; "gru": the gated recurrent unit with the
        reset gate after the product, n = phi(W x + b + r * (U h + b_hn)),
        h = (1 - z) * n + z * h, as in PyTorch, cuDNN and Keras; "gru_v1": with the reset gate
        before it, n = phi(W x + U (r * h) + b) (Cho et al., arXiv:1406.1078).""",
    ),
    "activation": choice(
        ["tanh", "relu"], "Activation function of the candidate and of the cell's output."
    ),
    "bidirectional": boolean(
        """Run each layer forward and backward over the sequence and concatenate both outputs
        (Schuster & Paliwal 1997)."""
    ),
    "return_sequences": boolean(
        """Whether to predict an output for every step instead of one per sequence, after its
        last step. The loss and `score` are then averages over all real steps. Most of
        scikit-learn's scorers interpret a y of shape (n_samples, n_timesteps) differently or
        reject it."""
    ),
    "residual": boolean(
        """Add the inputs of each layer to its outputs (Prakash et al., arXiv:1610.03098), in
        every layer that has as many of both: all but the first where the sizes are equal, and
        the first, too, if a step has as many features as it has outputs. Stacks of many
        layers learn faster with it."""
    ),
    "layer_norm": boolean(
        """Normalize the product of the inputs with their weights, that of the hidden state
        with its own, each over all gates of a layer, and the cell state on its way to the
        hidden state: mean 0 and variance 1 within each step of each sequence, times a gain of
        each number (Ba, Kiros & Hinton, arXiv:1607.06450, equations 20 to 22, with the biases
        of both products as one). "gru_v1" normalizes the candidate's product for itself.
        Learning then depends less on the scale of inputs and weights, and may take fewer
        epochs at a small learning rate; steps take longer. How large the features of a step
        are together is lost: a constant feature keeps it. Not with a single feature or unit,
        nor with weights="int8"."""
    ),
    "pooling": choice(
        _plan.POOLINGS,
        """How the outputs of the last layer, one for each step of a sequence, become the one
        vector that the prediction is made from. "last": the output of the last step (in a
        bidirectional network, of each direction's last step); "mean" or "max" over all steps;
        "attention": their weighted mean with a trained weight for each step, softmax of
        v . tanh(A h + a) (Yang et al. 2016), which `attention_weights` returns. Try "max" or
        "attention" where the informative steps may be anywhere in a long sequence. Not with
        return_sequences.""",
    ),
    "vocabulary_size": optional(
        integer(
            """Number of different tokens if embedding_dim is set: X holds token ids from 0 to
            vocabulary_size - 1. If None, it is the highest token in X plus 1; set it where
            parts of the data, such as cross-validation folds, may lack some tokens.""",
            1,
        )
    ),
    "embedding_dim": optional(
        integer(
            """Length of the trained vectors that represent tokens. If set, X holds token ids,
            each of which is looked up in a table of such vectors. A batch updates only the
            vectors of its own tokens and their moments.""",
            1,
        )
    ),
    "vocabulary": Parameter(
        "no_validation",  # Vocabulary.given validates it
        "collection of tokens, mapping of tokens to columns, or None",
        """All tokens that may occur. Set it for partial_fit and cross-validation, where the
        data of one call may lack some. If None, they are the tokens of X.""",
    ),
    "min_count": integer(
        """Tokens that occur fewer times in X are left out of the vocabulary. If any are, an
        unknown token takes their place in training and represents all tokens never seen:
        "<unk>" for words (also if X itself contains it), the character U+FFFD, or the
        integer -1.""",
        1,
    ),
    "max_vocabulary": optional(
        integer(
            """Maximum size of the vocabulary, including the unknown token; the most frequent
            tokens are kept.""",
            2,
            MAX_TOKENS,
        )
    ),
    "tie_weights": boolean(
        """Use the embedding matrix as the output matrix as well (Press & Wolf,
        arXiv:1608.05859), which saves parameters. embedding_dim must then equal
        projection_size or, without it, the number of units of the last layer."""
    ),
    "softmax_samples": optional(
        integer(
            """For vocabularies of many thousands of tokens: train on a sample of about this
            many classes of the softmax instead of all of them. The sample is drawn anew for
            each step of the solver, frequent classes more often, and each class is weighted
            by the inverse of its probability, so that the sum over all classes is right on
            average (Bengio & Senecal 2008; Horvitz & Thompson 1952). Scores and generated
            text always use the full softmax. If None, so does training.""",
            1,
        )
    ),
    "init_scale": optional(
        real(
            """Draw all initial weights uniformly from [-init_scale, init_scale] (Zaremba et
            al., arXiv:1409.2329). If None, use Glorot uniform and orthogonal matrices and a
            forget gate bias of 1.""",
            0,
            None,
            "neither",
        )
    ),
    "dropout": real(
        """Fraction of the inputs of every layer but the first, of the head and of the
        embedding vectors that is set to 0 in training (Zaremba et al., arXiv:1409.2329).""",
        0,
        1,
        "left",
    ),
    "recurrent_dropout": real(
        """Fraction of the hidden state that is set to 0 between one step and the next in
        training, with the same mask for all steps of a sequence (Gal & Ghahramani 2016). It
        drops what the gates see: the part z * h of a GRU's new state stays whole.""",
        0,
        1,
        "left",
    ),
    "weight_dropout": real(
        """Fraction of the recurrent weights (weight_hh of every layer) that is set to 0 in
        training, with a new mask for each step of the solver (Merity et al.,
        arXiv:1708.02182; DropConnect, Wan et al. 2013).""",
        0,
        1,
        "left",
    ),
    "embedding_dropout": real(
        """Fraction of the tokens of the vocabulary whose embedding vectors are set to 0
        wherever they occur as inputs in training, with a new mask for each step of the
        solver (Merity et al., arXiv:1708.02182; Gal & Ghahramani 2016). With tie_weights the
        output matrix is not affected.""",
        0,
        1,
        "left",
    ),
    "alpha": real(
        """Strength of the penalty on the weight matrices w (not on biases, peepholes, the
        query of attention, the transitions of a CRF or the embedding): alpha * (l1_ratio *
        |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2), divided by the number of training samples (the
        sum of their weights; with return_sequences of steps, in a language model of tokens),
        is added to the mean loss. partial_fit divides by those of its call.""",
        0,
        None,
        "left",
    ),
    "l1_ratio": real("Share of the L1 penalty; see alpha.", 0, 1, "both"),
    "solver": choice(SOLVERS, f"The optimization algorithm. {listed(SOLVERS)}."),
    "learning_rate_init": real(
        """The initial learning rate, for every solver. It matters more than any other
        parameter (Greff et al., arXiv:1503.04069).""",
        0,
        None,
        "neither",
    ),
    "learning_rate": schedule(name for name, row in SCHEDULES.items() if not row.parameters),
    "cosine_epochs": optional(
        integer(
            """Number of epochs in which learning_rate="cosine" falls to 0, before it starts
            again, counted over all calls that continue a training. If None, it is max_iter,
            counted from the start of each call of fit: one with warm_start=True starts again
            at learning_rate_init, and several short fits end elsewhere than a long one.
            partial_fit, which does not know how many calls are to come, then keeps
            learning_rate_init.""",
            1,
        )
    ),
    "decay_rate": real(
        'Factor of each decay with learning_rate="exponential".', 0, 1, "right"
    ),
    "decay_after": integer(
        'Number of epochs before the first decay with learning_rate="exponential".', 0
    ),
    "momentum": real('Momentum for solver="sgd".', 0, 1, "both"),
    "nesterovs_momentum": boolean("""Whether to use Nesterov's momentum for solver="sgd"."""),
    "beta_1": real(
        'Decay rate of the running mean of the gradients, for "adam" and "adamw".',
        0,
        1,
        "left",
    ),
    "beta_2": real(
        """Decay rate of the running mean of the squared gradients, for "adam", "adamw" and
        "rmsprop".""",
        0,
        1,
        "left",
    ),
    "epsilon": real(
        """Added to the square root of that mean for numerical stability, for "adam", "adamw"
        and "rmsprop".""",
        0,
        None,
        "neither",
    ),
    "clip_norm": optional(
        real(
            """Gradients with a larger Euclidean norm, over all parameters, are scaled down to
            it (Pascanu et al., arXiv:1211.5063). If None, they are not clipped.""",
            0,
            None,
            "neither",
        )
    ),
    "batch_size": Parameter(
        [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        'int or "auto"',
        f"""Number of sequences per step of the solver. "auto": a tenth of those that are
        trained on, but at least {AUTO_BATCH[0]} and at most {AUTO_BATCH[1]}.""",
    ),
    "max_iter": integer(
        """Maximum number of epochs. No ConvergenceWarning is raised when it is reached.""", 1
    ),
    "shuffle": boolean("Whether to visit the sequences in a new random order in each epoch."),
    "bptt_steps": optional(
        integer(
            """Truncated backpropagation through time (Williams & Peng 1990): sequences are
            processed in chunks of this many time steps, with a step of the solver after each
            chunk. The state is carried from chunk to chunk, gradients are not, so that
            memory does not grow with the length of the sequences. Without return_sequences a
            sequence contributes only in its last chunk. If None, sequences are not cut.""",
            1,
        )
    ),
    "early_stopping": boolean(
        """Stop when the validation score stops improving, and keep the weights with the best
        score. The score is computed on the validation data passed to fit, or otherwise on a
        part of the training data that is held out; see validation_fraction."""
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither"), HasMethods(["split", "get_n_splits"])],
        "float or splitter",
        """Fraction of the training data to hold out for early_stopping: of a single text its
        end; otherwise whole groups, if fit is given any; with shuffle=False, or for a 3-D X
        whose sequences overlap in memory (as those of make_windows), the last groups or
        sequences; else some at random, without groups stratified by class where each sequence
        has one label and both parts have room for every class. Or one of scikit-learn's
        splitters, whose last split is taken: TimeSeriesSplit(gap=...) for windows that a
        transformer has copied.""",
    ),
    "scoring": Parameter(
        [StrOptions(set(get_scorer_names())), callable, None],
        "str, callable or None",
        """What `validation_scores_` are: the name of one of scikit-learn's scorers, a scorer
        made by make_scorer, or a function of the estimator, X and y (without weights); higher
        is better. With return_sequences the first two get all real steps as samples. If None,
        `score`.""",
    ),
    "n_iter_no_change": optional(
        integer(
            f"""Training stops after more than this many consecutive epochs without progress,
            that is, in which the loss (with early_stopping the validation score) did not
            improve by more than tol. If None, that is {PATIENCE} with early_stopping and with
            learning_rate="adaptive", and otherwise there is no such rule: where a loss first
            stands still, an LSTM is often about to learn. A warning says if the loss ended a
            fit.""",
            1,
        )
    ),
    "tol": real("Smallest improvement that counts; see n_iter_no_change.", 0, None, "left"),
    "warm_start": boolean(
        """Whether fit continues from the state that the previous fit ended in (weights,
        optimizer and random state) instead of starting over."""
    ),
    "dtype": Parameter(
        [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64})],
        '{"float32", "float64"}',
        "Precision of all computations.",
    ),
    "n_jobs": Parameter(
        [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "int or None",
        """Number of threads. None and -1 mean as many as OpenMP allows (OMP_NUM_THREADS,
        threadpoolctl and joblib's workers limit it). Results are the same to the last bit
        for any number.""",
    ),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState instance or None",
        """Determines the initial weights, dropout, the order of the sequences and the
        held-out data. Pass an int for reproducible results.""",
    ),
    "verbose": Parameter(
        ["verbose"],
        "int or bool",
        "Print progress every `verbose` epochs; 0 prints nothing.",
    ),
    "checkpoint": Parameter(
        [str, os.PathLike, None],
        "path or None",
        """File that fit writes the whole state of training to, and goes on from if it is
        there. After a crash, or Ctrl-C, a new estimator with the same parameters that is
        fitted on the same data ends with the same bits as if nothing had happened (on the
        same kind of machine); once the fit has ended, the call returns at once: delete the
        file to train anew. A file of a fit on other data or held-out data, with other
        parameters (n_jobs, verbose and these two aside), from another start (warm_start) or
        of a newer cylstm is refused; callbacks are not compared. The file is replaced as a
        whole: at any moment it is valid. Each fit needs a path of its own, so it is not for a
        grid search. partial_fit writes none.""",
    ),
    "checkpoint_every": Parameter(
        [Interval(Integral, 1, None, closed="left"), timedelta],
        "int or datetime.timedelta",
        """How often the checkpoint is written: every so many epochs, or at the end of an epoch
        when so much time has passed.""",
    ),
    "n_step_features": integer(
        "Number of features per step when X is 2-D: consecutive columns form a step.", 1
    ),
    "quantile": Parameter(
        [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "float or sequence of float",
        """Level of loss="quantile", between 0 and 1. With several levels, predictions have a
        last axis of one entry per level, sorted so that they do not cross (Chernozhukov et
        al. 2010).""",
    ),
    "class_weight": Parameter(
        [dict, StrOptions({"balanced"}), None],
        'dict, "balanced" or None',
        """Weights of the classes, which multiply sample_weight; classes not in the dict have
        weight 1. "balanced" means n_samples / (n_classes * count of the class), where
        samples are counted by sample_weight.""",
    ),
}

REGRESSION_LOSS: Parameter = choice(
    REGRESSION_LOSSES,
    f"""Loss of a sample with target y and prediction p, where r = y - p, averaged over
    outputs and quantiles. The targets are first shifted and scaled to about unit variance
    (`y_offset_`, `y_scale_`), except for "poisson". {listed(REGRESSION_LOSSES)}.""",
)

CLASSIFICATION_LOSS: Parameter = choice(
    CLASSIFICATION_LOSSES,
    """"log_loss": cross-entropy in nats: of a logistic output for two classes, of a softmax
    with one output per class for more; for an indicator matrix, of one logistic output per
    label, summed over labels. "crf", with return_sequences: a linear-chain conditional random
    field (Lafferty et al. 2001; on an LSTM Lample et al., arXiv:1603.01360), which also learns
    a score for each pair of successive labels, and for the first and the last label. It
    starts at 0, but at -log(1 + the number of such pairs to be expected by chance) where y (of
    the first call of partial_fit) has none. The loss
    is the negative log-likelihood of all labels of a sequence, per step; `predict` returns the
    most probable labels of the whole sequence (Viterbi 1967), `predict_proba` the
    probabilities of each step's labels, given the whole sequence. To forbid a pair in
    predictions, set its entry of `weights_["crf.transitions"]` to -inf.""",
)
