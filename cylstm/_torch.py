"""Models from and to PyTorch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._arguments import shown
from ._classifier import LSTMClassifier
from ._from_weights import check_free, fitted_model
from ._regressor import LSTMRegressor
from ._to_weights import check_exports, head_of

PARAMETER = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<name>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"_l(?P<layer>\d+)(?P<suffix>(?:_reverse)?)"
)
# Ours -> theirs.
DIRECTIONS = {"": "", "reverse.": "_reverse"}
# Of what pooling="attention" is: ours -> theirs, as to_torch names them.
ATTENTION = {
    "attention.weight": "attention.weight",
    "attention.bias": "attention.bias",
    "attention.query": "query",
}


def from_torch(
    source: Any,
    head: Any = None,
    *,
    prefix: str | Sequence[str] | None = None,
    embedding: str | None = None,
    classes: Any = None,
    multilabel: bool = False,
    **parameters: Any,
) -> LSTMRegressor | LSTMClassifier:
    """A fitted model with the weights of a torch.nn.LSTM or GRU and of a linear head.

    Parameters
    ----------
    source : torch.nn.Module or mapping of str to tensor or array
        A module, or its state_dict. (Arrays need no torch.)
    head : str, torch.nn.Linear, mapping or None, default=None
        The linear layer after the LSTM: its name in `source`, or if it is not part of that the
        layer itself or its state_dict. If None, the only linear layer with a bias and as many
        inputs as the LSTM has outputs.
    prefix : str, sequence of str or None, default=None
        Name of the LSTM or GRU in `source`, or of several that are stacked, the first one
        first. If None, there must be only one.
    embedding : str or None, default=None
        Name of the torch.nn.Embedding before it. If None, the only weight without a bias that
        has as many columns as the LSTM has inputs, if there is one and `prefix` and `head` are
        not both given.
    classes : array-like of shape (n_classes,), default=None
        Labels of the head's scores, in their order, for an LSTMClassifier. Two classes may
        have one score, that of the second one, or two.
    multilabel : bool, default=False
        Whether the model is an LSTMClassifier of indicator matrices.
    **parameters
        Other parameters of the estimator, those for further training and those that the
        weights do not tell: return_sequences, residual, pooling (for "attention" the weights
        are those that `to_torch` names), loss, quantile, dtype (by default that of the
        weights).

    Returns
    -------
    model : LSTMClassifier, or LSTMRegressor without classes
        The scores are those of the head, so that `y_offset_` is 0 and `y_scale_` 1.
        partial_fit continues to train it, as does fit with warm_start=True.

    Raises
    ------
    ValueError
        If it is not clear which weights to take, some would be left over while `prefix` and
        `head` are not both given, or they do not fit together or to the parameters.

    Notes
    -----
    Of the two biases of a torch.nn.LSTM, which add up, the model has the sum; of a GRU also
    the one of what its reset gate multiplies. Whatever else the module does, such as dropout
    or activations, is not in its weights and so not in the model.

    Examples
    --------
    >>> import numpy as np
    >>> from cylstm.interop import from_torch
    >>> rng = np.random.default_rng(0)
    >>> shapes = {
    ...     "lstm.weight_ih_l0": (4 * 8, 3),
    ...     "lstm.weight_hh_l0": (4 * 8, 8),
    ...     "lstm.bias_ih_l0": 4 * 8,
    ...     "lstm.bias_hh_l0": 4 * 8,
    ...     "out.weight": (2, 8),
    ...     "out.bias": 2,
    ... }
    >>> state_dict = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    >>> model = from_torch(state_dict, classes=["down", "up"])
    >>> model.predict_proba(rng.normal(size=(5, 20, 3))).shape
    (5, 2)
    """
    check_free(parameters)
    state = _State(source)
    prefixes = _find_layers(state, prefix)
    weights, settings = _read_layers(state, prefixes)
    if parameters.get("pooling") == "attention":
        weights |= {ours: state.take(theirs) for ours, theirs in ATTENTION.items()}
    n_inputs = weights["layers.0.weight_ih"].shape[1]
    n_features = weights[f"layers.{len(settings['hidden_layer_sizes']) - 1}.weight_hh"].shape[
        1
    ]
    n_features *= 1 + settings["bidirectional"]
    weights["head.weight"], weights["head.bias"] = _read_head(state, head, n_features)
    named = prefix is not None and head is not None
    if embedding is None and not named:
        embedding = _find_embedding(state, n_inputs)
    if embedding is not None:
        weights["embedding.weight"] = table = state.take(_join(embedding, "weight"))
        settings |= {"vocabulary_size": len(table), "embedding_dim": n_inputs}
    if state.left and not named:
        raise ValueError(
            f"source has weights besides those of the LSTM or GRU and the head: "
            f"{', '.join(state.left)}. If the model is right without them, name what is to be "
            f"taken with prefix={shown(prefixes[0] if len(prefixes) == 1 else prefixes)} and "
            "head."
        )
    return fitted_model(
        weights, classes=classes, multilabel=multilabel, **settings | parameters
    )


def to_torch(model: LSTMRegressor | LSTMClassifier) -> Any:
    """A torch.nn.Module with the weights of a fitted model, which gives the same numbers.

    Parameters
    ----------
    model : fitted LSTMRegressor or LSTMClassifier

    Returns
    -------
    module : torch.nn.Module
        ``module(x, lengths=None)`` takes a tensor of sequences (n_samples, n_timesteps,
        n_features), or of tokens (n_samples, n_timesteps), padded with anything to the same
        length where `lengths` (n_samples,) tells how many steps are real. It returns what
        `predict` of a regressor does, and the scores of a classifier, `decision_function`,
        both with a column for each output and quantile even if there is only one; with
        return_sequences those of all steps, (n_samples, n_timesteps, n_scores).

        Its parts are ``rnn`` (torch.nn.LSTM or GRU; a ModuleList of them if layers have
        different sizes or residual connections), ``head`` (torch.nn.Linear, with `y_offset_`
        and `y_scale_` in its weights), ``embedding`` of tokens, and ``attention`` and
        ``query`` of pooling.

    Raises
    ------
    ValueError
        If the model has what torch's layers do not: another cell than "lstm" or "gru",
        activation="relu", layer_norm, loss="crf", quantized weights.
    ImportError
        If there is no torch.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> from cylstm.interop import to_torch
    >>> module = to_torch(model)  # doctest: +SKIP
    >>> torch.save(module.state_dict(), "weights.pt")  # doctest: +SKIP
    """
    check_exports(
        model,
        "PyTorch",
        ["lstm", "gru"],
        {"activation": ("tanh", "its layers have tanh alone")},
    )
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs PyTorch: pip install torch.") from error
    from ._torch_module import SequenceModule

    architecture = model._network.architecture
    module = SequenceModule(
        {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[architecture.cell],
        architecture.n_inputs,
        list(architecture.hidden_layer_sizes),
        architecture.n_scores,
        bidirectional=architecture.bidirectional,
        per_step=architecture.per_step,
        residual=architecture.residual,
        projection=architecture.projection or 0,
        pooling=architecture.pooling,
        vocabulary=architecture.vocabulary,
        exponential=model.out_activation_ == "exp",
        n_quantiles=len(model._several_levels()) if isinstance(model, LSTMRegressor) else 0,
        dtype=getattr(torch, architecture.dtype),
    )
    state = _state_dict(model, stacked=isinstance(module.rnn, torch.nn.ModuleList))
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    return module


class _State:
    """A state_dict, of which what has been taken is no longer left."""

    def __init__(self, source):
        given = source.state_dict() if hasattr(source, "state_dict") else source
        if not isinstance(given, Mapping):
            raise TypeError(
                f"Got an object of type {type(source).__name__}; expected a torch.nn.Module "
                "or a state_dict."
            )
        self._given = {str(name): value for name, value in given.items()}
        self.left = list(self._given)

    def take(self, name):
        """An array, as it was given."""
        if name not in self._given:
            raise ValueError(
                f"There is no {name} among {', '.join(self._given) or 'nothing'}."
            )
        if name in self.left:
            self.left.remove(name)
        return self[name]

    def __getitem__(self, name):
        value = self._given[name]
        if hasattr(value, "detach"):
            # numpy has no bfloat16.
            value = value.detach().cpu()
            value = (value.double() if value.element_size() == 8 else value.float()).numpy()
        return np.asarray(value)


def _join(prefix, name):
    return f"{prefix}.{name}" if prefix and not prefix.endswith(".") else prefix + name


def _find_layers(state, prefix):
    """Prefixes of the weights of the LSTMs or GRUs that are stacked."""
    found = list(dict.fromkeys(m["prefix"] for m in map(PARAMETER.fullmatch, state.left) if m))
    if prefix is not None:
        return [_join(p, "") for p in ([prefix] if isinstance(prefix, str) else prefix)]
    if not found:
        raise ValueError(
            "source has no weights of a torch.nn.LSTM or GRU, such as weight_ih_l0, among "
            f"{', '.join(state.left) or 'nothing'}."
        )
    if len(found) > 1:
        raise ValueError(
            f"source has several LSTMs or GRUs: {found}. Give the name of one of them as "
            "prefix, or a list of those that are stacked."
        )
    return found


def _read_layers(state, prefixes):
    """Weights by our names, and parameters of the estimator."""
    weights, sizes, kinds = {}, [], []
    for prefix in prefixes:
        places = [
            m for m in map(PARAMETER.fullmatch, state.left) if m and m["prefix"] == prefix
        ]
        n_layers = 1 + max((int(place["layer"]) for place in places), default=0)
        both_ways = any(place["suffix"] for place in places)
        with_bias = any(place["name"].startswith("bias") for place in places)
        projected = any(place["name"] == "weight_hr" for place in places)
        for k in range(n_layers):
            for ours in list(DIRECTIONS)[: 1 + both_ways]:
                names = ["weight_ih", "weight_hh", *["weight_hr"] * projected]
                names += ["bias_ih", "bias_hh"] * with_bias
                taken = {n: state.take(f"{prefix}{n}_l{k}{DIRECTIONS[ours]}") for n in names}
                layer, size, kind = _read_layer(taken, prefix)
                weights |= {f"layers.{len(sizes)}.{ours}{n}": w for n, w in layer.items()}
            sizes.append(size)
            kinds.append((*kind, both_ways))
    if len(set(kinds)) > 1:
        raise ValueError(
            f"The layers of {prefixes} differ in more than their number of units: in cell, "
            "projection or direction."
        )
    cell, projection, bidirectional = kinds[0]
    return weights, {
        "hidden_layer_sizes": tuple(sizes),
        "cell": cell,
        "projection_size": projection,
        "bidirectional": bidirectional,
    }


def _read_layer(w, prefix):
    """Our weights of one layer in one direction, its units, and its cell and projection."""
    if any(w[name].ndim != 2 for name in w if name.startswith("weight")):
        raise ValueError(f"The weights of {prefix!r} must be matrices.")
    recurrent, projection = w["weight_hh"], w.get("weight_hr")
    n_units = recurrent.shape[1] if projection is None else projection.shape[1]
    n_gates, rest = divmod(len(recurrent), n_units)
    cell = {4: "lstm", 3: "gru"}.get(n_gates)
    if cell is None or rest:
        what = "a torch.nn.RNN" if n_gates == 1 else "neither an LSTM nor a GRU"
        raise ValueError(
            f"{prefix + 'weight_hh'!r} has shape {recurrent.shape}: that is {what}."
        )
    zeros = np.zeros(len(recurrent), recurrent.dtype)
    of_x, of_h = w.get("bias_ih", zeros), w.get("bias_hh", zeros)
    if of_x.shape != zeros.shape or of_h.shape != zeros.shape:
        raise ValueError(
            f"The biases of {prefix!r} have shapes {of_x.shape} and {of_h.shape}; expected "
            f"{zeros.shape}."
        )
    layer = {"weight_ih": w["weight_ih"], "weight_hh": recurrent, "bias": of_x + of_h}
    if cell == "gru":
        once = 2 * n_units  # what the reset gate multiplies has a bias of its own
        layer["bias"][once:] = of_x[once:]
        layer["bias_hn"] = of_h[once:]
    if projection is not None:
        layer["weight_hr"] = projection
    return layer, n_units, (cell, None if projection is None else len(projection))


def _read_head(state, head, n_features):
    """Its weight and bias."""
    if head is not None and not isinstance(head, str):
        state, head = _State(head), ""
    elif head is None:
        named = [name.removesuffix("bias") for name in state.left if _is_of(name, "bias")]
        found = [
            stem
            for stem in named
            if _join(stem, "weight") in state.left
            and state[_join(stem, "weight")].shape[1:] == (n_features,)
        ]
        if len(found) != 1:
            several = f"several: {found}" if found else f"none among {state.left}"
            raise ValueError(
                "source must have one linear layer with a bias and as many inputs as the LSTM "
                f"or GRU has outputs, {n_features}, but has {several}. Name it, or give it, "
                "as head."
            )
        head = found[0]
    weight = state.take(_join(head, "weight"))
    bias = _join(head, "bias")
    if bias in state.left:
        return weight, state.take(bias)
    return weight, np.zeros(len(weight), weight.dtype)


def _is_of(name, what):
    return name.rpartition(".")[2] == what


def _find_embedding(state, n_inputs):
    """Name of the only matrix of vectors of so many numbers, or None."""
    found = [
        name
        for name in state.left
        if _is_of(name, "weight")
        and name.removesuffix("weight") + "bias" not in state.left
        and state[name].shape[1:] == (n_inputs,)
    ]
    if len(found) > 1:
        raise ValueError(
            f"source has several weights that may be of an embedding: {found}. Name one of "
            "them as embedding."
        )
    return found[0].removesuffix("weight") if found else None


def _state_dict(model, stacked):
    """Arrays by torch's names; `stacked` if each layer is a module."""
    architecture, weights = model._network.architecture, dict(model._network.weights)
    state = {}
    state["head.weight"], state["head.bias"] = head_of(model)
    if architecture.vocabulary:
        state["embedding.weight"] = weights["embedding.weight"]
    if architecture.pooling == "attention":
        state |= {theirs: weights[ours] for ours, theirs in ATTENTION.items()}
    for k in range(len(architecture.hidden_layer_sizes)):
        place = f"rnn.{k}.{{}}_l0" if stacked else f"rnn.{{}}_l{k}"
        for direction in architecture.directions:
            layer, suffix = f"layers.{k}.{direction}", DIRECTIONS[direction]
            bias = weights[f"{layer}bias"]
            of_h = np.zeros_like(bias)
            if architecture.cell == "gru":
                of_h[-architecture.hidden_layer_sizes[k] :] = weights[f"{layer}bias_hn"]
            theirs = {"bias_ih": bias, "bias_hh": of_h}
            for name in ("weight_ih", "weight_hh", "weight_hr"):
                if f"{layer}{name}" in weights:
                    theirs[name] = weights[f"{layer}{name}"]
            state |= {place.format(n) + suffix: array for n, array in theirs.items()}
    return state
