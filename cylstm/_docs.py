"""Docstrings that share text, filled in once when a class is made."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Mapping

from ._parameters import PARAMETERS, Parameter

WIDTH = 90

ATTRIBUTES = {
    "weights_": """\
weights_ : dict of str to array
    Named views of all parameters; writing to them changes the model. (Once one is taken,
    each prediction packs the weights anew.) Gates are stacked in the order i, f, g, o:
    ``layers.0.weight_ih (4H, I)``,
    ``layers.0.weight_hh (4H, H)``, ``layers.0.bias (4H,)``,
    ``layers.0.peephole (3, H)`` in the order i, f, o, ``layers.0.reverse.weight_ih``,
    ..., ``head.weight (n_outputs, D)``, ``head.bias (n_outputs,)`` (with several
    quantiles n_outputs * n_quantiles rows: those of the first output, by rising level,
    then those of the next one), ``embedding.weight (V, E)``. projection_size=R adds
    ``layers.0.weight_hr (R, H)``, and weight_hh is (4H, R). "coupled" stacks i, g, o:
    (3H, ...); "input_gated" has no weight_hh. "gru" and "gru_v1" stack r, z, n: (3H, ...),
    and "gru" adds ``layers.0.bias_hn (H,)``, the bias that the reset gate multiplies.
    layer_norm=True adds the gains ``layers.0.norm_ih (4H,)`` and ``layers.0.norm_hh (4H,)``,
    one for each row of the weights, and, where there is a cell state,
    ``layers.0.norm_c (H,)`` and ``layers.0.bias_c (H,)``.
    loss="crf" adds ``crf.transitions (n_classes, n_classes)`` from a label (row) to the next,
    ``crf.start (n_classes,)`` and ``crf.end (n_classes,)``; pooling="attention" adds
    ``attention.weight (D, D)``, ``attention.bias (D,)`` and ``attention.query (D,)``.
""",
    "loss_": """\
loss_ : float
    Mean objective over the last epoch: loss plus penalty, without the weight decay of
    solver="adamw".
""",
    "loss_curve_": """\
loss_curve_ : list of float
    The same for every epoch.
""",
    "validation_scores_": """\
validation_scores_ : list of float or None
    `score` (or `scoring`) on the validation data after each epoch that had some; None
    without.
""",
    "best_validation_score_": """\
best_validation_score_ : float or None
    The highest of them.
""",
    "history_": """\
history_ : dict of str to list of float
    For every epoch "loss" (as `loss_curve_`), "learning_rate", "seconds" that it took,
    validation included, and with validation data "validation_score" (NaN in epochs of
    other fits, without any).
""",
    "n_iter_": """\
n_iter_ : int
    Number of epochs run, over all calls that continued the same training.
""",
    "t_": """\
t_ : int
    Number of training sequences seen, over all epochs.
""",
    "n_features_in_": """\
n_features_in_ : int
    Number of columns of a 2-D X; otherwise the number of features of one step.
""",
    "feature_names_in_": """\
feature_names_in_ : array of str
    Column names, if X was a data frame, or a list of data frames, with string names.
""",
}

NOTES = {
    "start": """\
The weights of each gate start as Glorot uniform for the inputs and as an orthogonal matrix
for the hidden state. The biases of the gates that keep and that change the state let
each unit keep it over a number of steps of its own, drawn uniformly between 1 and the median
length of the sequences minus 1 (of the first call, with partial_fit; Tallec & Ollivier,
arXiv:1804.11188); for sequences of one or two steps the forget gate's is 1. All others start
at 0, but with layer_norm those of the candidate at random.
""",
}

ARGUMENTS = {
    "X": """\
X : array-like or list of arrays
    A 3-D array (n_samples, n_timesteps, n_features), where trailing steps that are NaN
    in every feature are padding; a list, tuple or object array of 2-D arrays or data
    frames (n_timesteps_k, n_features) of any lengths from 1; or a 2-D array or data frame
    (n_samples, n_columns), read as n_columns // n_step_features steps. Column names of
    data frames must be those of fit, and the same in a whole list. With
    embedding_dim: an integer array (n_samples, n_timesteps) or a list of 1-D integer
    arrays. It is never written to.
""",
    "y": """\
y : array-like or list of arrays
    For a regressor: targets of shape (n_samples,) or (n_samples, n_outputs). For a
    classifier: class labels of shape (n_samples,), or an indicator matrix of 0 and 1 of
    shape (n_samples, n_labels). With return_sequences the same for every step:
    (n_samples, n_timesteps), (n_samples, n_timesteps, n_outputs or n_labels) or a list
    with one array per sequence.
""",
    "sample_weight": """\
sample_weight : array-like of shape (n_samples,), default=None
    Weights of the sequences. With return_sequences also one per step, in the form of y.
""",
}


def documented(overrides: Mapping[str, Parameter] | None = None, **texts: str) -> Callable:
    """Class decorator: `_parameter_constraints` and the docstring entries of all parameters
    of `__init__`, from PARAMETERS or `overrides`; and all that `fill_docstrings` does."""
    table = {**PARAMETERS, **(overrides or {})}

    def decorate(cls):
        signature = inspect.signature(cls.__init__).parameters
        parameters = {
            name: (table[name], parameter.default)
            for name, parameter in signature.items()
            if name != "self"
        }
        cls._parameter_constraints = {
            name: parameter.constraints for name, (parameter, _) in parameters.items()
        }
        entries = (_entry(name, *both) for name, both in parameters.items())
        return fill_docstrings(parameters="\n".join(entries), **texts)(cls)

    return decorate


def fill_docstrings(**texts: str) -> Callable:
    """Class decorator: replace each line ``%(name)s`` in the docstrings of a class and of
    its own methods by the text of that name, at the same indentation. Names are those of
    `texts`, ATTRIBUTES, NOTES and ARGUMENTS."""
    texts = {**ATTRIBUTES, **NOTES, **ARGUMENTS, **texts}

    def replace(mark):
        return textwrap.indent(texts[mark["name"]].rstrip("\n"), mark["indent"])

    def decorate(cls):
        for member in [cls, *vars(cls).values()]:
            # scikit-learn's available_if keeps the function apart.
            target = getattr(member, "fn", member)
            if "%(" in (getattr(target, "__doc__", None) or ""):
                target.__doc__ = re.sub(
                    r"^(?P<indent> *)%\((?P<name>\w+)\)s$",
                    replace,
                    target.__doc__,
                    flags=re.MULTILINE,
                )
        return cls

    return decorate


def _entry(name, parameter, default):
    """A parameter's entry in a numpydoc docstring."""
    default = json.dumps(default) if isinstance(default, str) else repr(default)
    head = f"{name} : {parameter.type}, default={default}"
    if len(head) > WIDTH:
        head = f"{name} : {parameter.type}, \\\n        default={default}"
    description = textwrap.fill(
        " ".join(parameter.description.split()),
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{head}\n{description}\n"
