"""What `python -m cylstm show` prints of a file."""

import json

import numpy as np
from sklearn.pipeline import Pipeline

from ._arguments import shown
from ._base import NetworkEstimator, duration
from ._files import read_tensors
from ._forms import LongForm
from ._model_files import load
from ._panel import ROLES

# Of the table of epochs.
MOST_ROWS = 10


def describe(path):
    """Lines about what is in the file, then a table of epochs."""
    tensors, metadata = read_tensors(path, mmap=True)
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        size = file.seek(0, 2)
    strings = header["__metadata__"]
    version = shown(strings.get("library_version")).strip("'")
    lines = [f"{size:,} bytes, format {strings['format_version']}, cylstm {version}"]
    if metadata.get("kind") == "checkpoint":
        of, n_done = shown(metadata.get("estimator")), shown(metadata.get("n_done"))
        return f"{lines[0]}\nCheckpoint of a fit of {of} after {n_done} epochs"
    model = load(path)
    lines.append(" ".join(repr(model).split()))  # which has what differs from the defaults
    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if isinstance(last, NetworkEstimator) and last.__sklearn_is_fitted__():
        lines += _parts(last)
        if hasattr(model, "feature_names_in_"):
            lines.append(f"Features: {shown(model.feature_names_in_.tolist())}")
        state = "with" if any("moments" in name for name in tensors) else "without"
        seconds = duration(sum(last.history_["seconds"]))
        lines.append(f"Training: {last.n_iter_} epochs, {seconds}, {state} optimizer's state")
        lines += _epochs(last.history_)
    return "\n".join(lines)


def _parts(model):
    """Lines about the network, and what goes in and comes out."""
    a = model._network.architecture
    units = " + ".join(map(str, a.hidden_layer_sizes))
    yield f"Layers: {units} units, {a.cell}{', both directions' * a.bidirectional}"
    of = f"of each of {a.n_ahead} steps ahead" if a.n_ahead else f"({a.pooling})"
    yield f"Head: {a.n_features} numbers {of} to {a.n_scores} scores, {a.loss}"
    yield f"Weights: {a.n_parameters:,}, {a.weights or a.dtype}"
    if hasattr(model, "vocabulary_"):
        yield f"Vocabulary: {len(model.vocabulary_):,} {model._vocabulary.kind}"
    elif hasattr(model, "_panel"):
        panel, layout = model._panel, model._layout
        yield f"Series: {len(panel)}, up to {panel.show_time(panel.last_times().max())}"
        roles = {name: of for name, of in vars(model._roles).items() if of}
        if not isinstance(panel.form, LongForm):
            roles = {name: roles[name] for name in ROLES if name in roles}
            roles["targets"] = panel.form.target_names(layout.n_targets)
        yield "Columns: " + ", ".join(f"{name}={shown(of)}" for name, of in roles.items())
        yield f"Context: {layout.context} steps, season {layout.season}"
        names = ", ".join(model._output_names(model._levels))
        yield f"Forecasts: {layout.horizon} steps, {names}"
    else:
        form = model._input_format
        kind = {"columns": "2-D data", "tokens": "tokens"}.get(form.form, "sequences")
        yield f"Input: {kind}, {form.n_features} feature{'s' * (form.n_features > 1)} a step"
        output = f"{model.n_outputs_} number{'s' * (model.n_outputs_ > 1)}"
        if hasattr(model, "classes_"):
            output = f"classes {shown(model.classes_.tolist())}"
        elif model._several_levels():
            output += f", quantiles {model._several_levels()}"
        yield f"Output: {output} for each {'step' if form.per_step else 'sequence'}"


def _epochs(history):
    """A table of some epochs, the first and last among them."""
    n = len(history["loss"])
    yield " ".join(["epoch", *(f"{name:>16s}" for name in history)])
    for k in np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).round().astype(int)):
        yield " ".join([f"{k + 1:5d}", *(f"{of[k]:16.6g}" for of in history.values())])
