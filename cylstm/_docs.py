"""Docstrings that estimators share."""

import functools
import re

PARAMETERS = """\
hidden_layer_sizes : int or sequence of int, default=(64,)
        Units of each stacked LSTM layer; an int is one layer.

    cell : {{"lstm", "peephole", "peephole_lagged", "coupled", "input_gated"}}, \\
            default="lstm"
        "peephole": the gates also see the cell (Gers & Schmidhuber 2000), "peephole_lagged":
        all three of them that of the step before; "coupled": f = 1 - i, no forget gate
        (Greff et al. 2015); "input_gated": the gates see the inputs alone.

    activation : {{"tanh", "relu"}}, default="tanh"
        Of the candidate and of the cell's output.

    bidirectional : bool, default=False
        Each layer runs both ways, and its outputs are joined (Schuster & Paliwal 1997).

    return_sequences : bool, default=False
        One output for every step instead of one after the last. The loss is the mean over
        all real steps, and so is `score`; most of scikit-learn's scorers mean something else
        by an (n_samples, n_timesteps) y, or take none.

    vocabulary_size, embedding_dim : int or None, default=None
        With embedding_dim, X holds token ids from 0 to vocabulary_size - 1 (None: to the
        highest in X; give it where folds of the data may lack some), each looked up in a
        trained table of vectors of that length. A batch changes the vectors of its own
        tokens alone; all others keep value and moments.

    dropout : float, default=0.0
        Share of the inputs of every layer but the first, of the head and of the embedding
        that is set to 0 in learning (Zaremba et al. 2014).

    recurrent_dropout : float, default=0.0
        The same for the hidden state on its way to the next step, with one mask for all
        steps of a sequence (Gal & Ghahramani 2016).

    {loss}

    alpha : float, default=0.0
        Penalty on the weight matrices w (no biases, peepholes or embedding): alpha *
        (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2) is added to the loss.

    l1_ratio : float, default=0.0
        See alpha.

    solver : {{"adam", "adamw", "rmsprop", "sgd"}}, default="adam"
        "adam" is Kingma & Ba (arXiv:1412.6980); "adamw" applies the L2 part of the penalty
        as weight decay, apart from the gradient (Loshchilov & Hutter, arXiv:1711.05101);
        "rmsprop" is adam without the mean of the gradients, that is with beta_1 = 0; "sgd"
        is gradient descent with momentum.

    learning_rate_init : float, default=0.001
        The learning rate at the start, for every solver. Of all parameters it matters
        most (Greff et al., arXiv:1503.04069).

    learning_rate : {{"constant", "invscaling", "adaptive", "cosine"}}, default="constant"
        "invscaling" divides learning_rate_init by sqrt(1 + samples seen) after each
        epoch; "adaptive" divides the rate by 5 where "constant" would stop, until it
        falls below 1e-6: as in scikit-learn's MLP, but for every solver. "cosine" lowers it
        along half a cosine over max_iter epochs (Loshchilov & Hutter, arXiv:1608.03983).

    momentum : float, default=0.9
        For solver="sgd", between 0 and 1.

    nesterovs_momentum : bool, default=True
        Nesterov's form of the momentum, for solver="sgd".

    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the running means of the gradients (solver="adam") and of their squares
        (also "adamw" and "rmsprop"), in [0, 1).

    epsilon : float, default=1e-8
        Added to the root of the mean square, for "adam", "adamw" and "rmsprop".

    clip_norm : float or None, default=1.0
        Gradients whose norm over all parameters is larger are scaled down to it
        (Pascanu et al., arXiv:1211.5063); None leaves them as they are.

    batch_size : int, default=32
        Sequences per step of the optimizer.

    max_iter : int, default=100
        Epochs at most; reaching them is no warning.

    shuffle : bool, default=True
        Draw a new order of the sequences in each epoch.

    bptt_steps : int or None, default=None
        Truncated backpropagation through time (Williams & Peng 1990): learn in chunks of so
        many steps, one step of the solver for each; the state goes on from chunk to chunk,
        gradients do not. Memory is that of a chunk. None is the whole sequence. Without
        return_sequences only the chunk in which a sequence ends learns.

    early_stopping : bool, default=False
        Stop when the validation score stops rising, and keep the weights that scored
        best. The score is taken on X_val, y_val where fit is given them, otherwise on a
        part of the training data that is set aside{stratified}.

    validation_fraction : float, default=0.1
        The part set aside, between 0 and 1.

    n_iter_no_change : int, default=10
        Training stops after more than so many epochs in a row without progress: the loss
        (or with early_stopping the validation score) got better by less than `tol`.

    tol : float, default=1e-4
        See n_iter_no_change.
{class_weight}
    warm_start : bool, default=False
        fit goes on from where the last fit stopped, weights, optimizer and random state,
        instead of starting anew.

    dtype : {{"float32", "float64"}}, default="float32"
        Precision of all computation.

    n_jobs : int or None, default=None
        Threads. None and -1 are what OpenMP allows (OMP_NUM_THREADS, threadpoolctl,
        joblib's workers). The result does not depend on it, to the last bit.

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the order of the sequences and the part set aside.

    verbose : int or bool, default=0
        Print loss and validation score every so many epochs; 0 prints nothing.

    n_step_features : int, default=1
        How a 2-D X is read: every so many columns are one step."""

ATTRIBUTES = """\
weights_ : dict of str to array
        Named views of all parameters; writing through them changes the model. Gates are
        stacked in the order i, f, g, o: ``layers.0.weight_ih (4H, I)``,
        ``layers.0.weight_hh (4H, H)``, ``layers.0.bias (4H,)``, ``layers.0.peephole (3, H)``
        in the order i, f, o, ``layers.0.reverse.weight_ih``, ...,
        ``head.weight (n_outputs, D)``, ``head.bias (n_outputs,)`` (with several quantiles a
        row for each),
        ``embedding.weight (V, E)``. "coupled" stacks i, g, o, so (3H, ...); "input_gated"
        has no weight_hh.

    loss_ : float
        Mean objective over the last epoch: loss and penalty, without the weight decay of
        solver="adamw".

    loss_curve_ : list of float
        The same for every epoch.

    validation_scores_ : list of float or None
        {score} on the validation data after each epoch, if there were any.

    best_validation_score_ : float or None
        The highest of them.

    n_iter_ : int
        Epochs run, over all calls that continued the same training.

    t_ : int
        Sequences learnt from, over all epochs.

    n_features_in_ : int
        Columns of a 2-D X, features of one step otherwise.

    feature_names_in_ : array of str
        Column names, if X was a data frame with string names.

    n_outputs_ : int
        {n_outputs}

    out_activation_ : str
        {out_activation}"""

X_FORMS = """\
X : array-like or list of arrays
            A 3-D array (n_samples, n_timesteps, n_features), where trailing steps that
            are NaN in every feature are padding; a list, tuple or object array of 2-D
            arrays (n_timesteps_k, n_features) of any lengths from 1; or a 2-D array or
            data frame (n_samples, n_columns), read as n_columns // n_step_features
            steps. With embedding_dim: an integer array (n_samples, n_timesteps) or a list
            of 1-D integer arrays. Never written to."""


def shared_entries(*names):
    """Name -> description of some of the PARAMETERS and ATTRIBUTES, as far as they have one of
    their own (beta_2 has that of beta_1)."""
    parameters = PARAMETERS.format(loss="loss", stratified="", class_weight="")
    attributes = ATTRIBUTES.format(score="", n_outputs="", out_activation="")
    entries = {
        re.match(r"\w+", entry).group(): entry
        for text in (parameters, attributes)
        for entry in text.split("\n\n    ")
    }
    return {name: entries[name] for name in names if name in entries}


def inherit_docs(cls):
    """Give the class methods of its own where its docstring pieces differ from its
    parent's, so that <<marks>> can be filled in."""

    def own(method):
        @functools.wraps(method)
        def same(self, *args, **kwargs):
            return method(self, *args, **kwargs)

        return same

    for base in cls.__mro__[1:]:
        for name, method in vars(base).items():
            if name not in vars(cls) and "<<" in (getattr(method, "__doc__", None) or ""):
                setattr(cls, name, own(method))
    return cls


def shared_docs(cls=None, **pieces):
    """Fill the marks <<name>> in the docstrings of a class and its own methods."""

    def fill(cls):
        for target in [cls, *vars(cls).values()]:
            doc = getattr(target, "__doc__", None)
            if doc and "<<" in doc:
                for name, text in {"X": X_FORMS, **pieces}.items():
                    doc = doc.replace(f"<<{name}>>", text)
                target.__doc__ = doc
        return cls

    return fill if cls is None else fill(cls)
