"""Models from and to Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arguments import shown
from ._classifier import LSTMClassifier
from ._from_weights import OF_WEIGHTS, check_free, fitted_model
from ._network import DIRECTIONS
from ._plan import CELLS
from ._regressor import LSTMRegressor
from ._to_weights import check_exports, head_of

# Cell -> the order in which Keras stacks its gates, by our letters.
GATES = {"lstm": "ifgo", "gru": "zrn", "gru_v1": "zrn"}

# What layers must not be set to, since the model has no such thing: the value that is fine.
PLAIN = {"go_backwards": False, "stateful": False, "return_state": False}
# Without an effect on predictions.
IDLE = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise")


def from_keras(
    model: Any, *, classes: Any = None, multilabel: bool = False, **parameters: Any
) -> LSTMRegressor | LSTMClassifier:
    """A fitted model with the weights of a keras.Model of LSTM or GRU layers and a Dense head.

    Parameters
    ----------
    model : keras.Sequential, or keras.Model whose layers follow each other
        Masking or Embedding, if there is one; LSTM or GRU layers, perhaps in Bidirectional;
        GlobalAveragePooling1D, if there is one; and Dense, perhaps in TimeDistributed.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs of Dense, in their order, for an LSTMClassifier. Two classes may
        have one output, that of the second one, or two.
    multilabel : bool, default=False
        Whether the model is an LSTMClassifier of indicator matrices.
    **parameters
        Other parameters of the estimator, for further training, and dtype (by default that of
        the weights).

    Returns
    -------
    model : LSTMClassifier, or LSTMRegressor without classes
        Its `y_offset_` is 0 and `y_scale_` 1. partial_fit continues to train it, as does fit
        with warm_start=True.

    Raises
    ------
    ValueError
        If the model has a layer or setting that the estimators do not, or its head is that of
        a classifier and neither `classes` nor `multilabel` is given.

    Notes
    -----
    Masks are left to the form of X: give sequences without the steps that Keras would mask.
    Dropout and noise are left out, since they do nothing to predictions: set the dropout of
    further training in `parameters`.

    Examples
    --------
    >>> import keras  # doctest: +SKIP
    >>> from cylstm.interop import from_keras
    >>> network = keras.saving.load_model("network.keras")  # doctest: +SKIP
    >>> model = from_keras(network, classes=["down", "up"])  # doctest: +SKIP
    """
    check_free(parameters, (*OF_WEIGHTS, "return_sequences", "pooling", "residual"))
    found = _Layers()
    for layer in _chain(model):
        found.add(type(layer).__name__, layer.get_config(), layer.get_weights())
    weights, settings, activation = found.result()
    if classes is None and not multilabel:
        settings["loss"] = _regression_loss(activation)
    else:
        _check_scores(activation, len(weights["head.bias"]), multilabel)
    return fitted_model(
        weights, classes=classes, multilabel=multilabel, **settings | parameters
    )


def to_keras(model: LSTMRegressor | LSTMClassifier, *, mask_value: float | None = None) -> Any:
    """A keras.Sequential with the weights of a fitted model, which gives the same numbers.

    Parameters
    ----------
    model : fitted LSTMRegressor or LSTMClassifier
    mask_value : float or None, default=None
        Steps all of whose features are this number are padding (a Masking layer). Of tokens
        only 0 can be padding; it must not be one of the model's own tokens then. None: all
        steps are real.

    Returns
    -------
    network : keras.Sequential
        It takes arrays (n_samples, n_timesteps, n_features), or tokens (n_samples,
        n_timesteps), and returns what `predict` of a regressor does, and the scores of a
        classifier, `decision_function`, both with a column for each output even if there is
        only one. Keras multiplies in float32 with other backends than TensorFlow, whatever
        the dtype of its layers.

    Raises
    ------
    ValueError
        If the model has what layers of Keras do not: another cell than "lstm", "gru" or
        "gru_v1", projection_size, residual, layer_norm, other pooling than "last" or "mean",
        several quantiles, loss="crf", quantized weights.
    ImportError
        If there is no keras.

    Examples
    --------
    >>> from cylstm.interop import to_keras
    >>> network = to_keras(model)  # doctest: +SKIP
    >>> network.save("network.keras")  # doctest: +SKIP
    """
    check_exports(
        model,
        "Keras",
        list(GATES),
        {
            "projection": (None, "its layers have no projections"),
            "residual": (False, "layers of a Sequential follow each other"),
        },
    )
    architecture = model._network.architecture
    if architecture.pooling not in ("last", "mean"):
        raise ValueError(
            f'pooling="{architecture.pooling}" cannot be converted to Keras: its layers pool '
            "padding as well, or have no such pooling."
        )
    if isinstance(model, LSTMRegressor) and model._several_levels():
        raise ValueError(
            "Several quantiles cannot be converted to Keras: its layers do not sort them."
        )
    if architecture.vocabulary and mask_value not in (None, 0):
        raise ValueError(f"mask_value={shown(mask_value)} must be 0 or None for tokens.")
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            "to_keras needs Keras and one of its backends: pip install keras."
        ) from error
    network = _make_sequential(keras, model, mask_value)
    _set_weights(network, model)
    return network


def _regression_loss(activation):
    """The loss whose predictions are what the head's activation makes of scores."""
    losses = {"linear": "squared_error", "exponential": "poisson"}
    if activation in ("softmax", "sigmoid"):
        raise ValueError(
            f'Dense has activation="{activation}", as classifiers do: give classes, the '
            "labels of its outputs, or multilabel=True."
        )
    if activation not in losses:
        raise ValueError(
            f'Dense has activation="{activation}", which no estimator has; it must be '
            "linear, exponential, softmax or sigmoid."
        )
    return losses[activation]


def _check_scores(activation, n_scores, multilabel):
    """Refuse activations that do not go with so many scores of classes or labels."""
    link = "sigmoid" if multilabel or n_scores == 1 else "softmax"
    if activation not in ("linear", link):
        what = "labels" if multilabel else "classes"
        raise ValueError(
            f'Dense has activation="{activation}"; to be {n_scores} score(s) of {what} its '
            f"outputs must have {link} or linear."
        )


def _chain(model):
    """The layers of a model in which they follow each other."""
    if not hasattr(model, "layers") or not hasattr(model, "get_config"):
        raise TypeError(
            f"model is of type {type(model).__name__}; expected a keras.Sequential or "
            "keras.Model."
        )
    for what in ("inputs", "outputs"):
        n = len(getattr(model, what, None) or [None])
        if n > 1:
            raise ValueError(f"The Keras model has {n} {what}; it must have one.")
    return model.layers


class _Layers:
    """What has been read of a model's layers so far, which come in their order."""

    def __init__(self):
        self._weights, self._recurrent, self._settings = {}, [], {}
        self._head = None

    def add(self, kind, config, arrays):
        """A layer, by the name of its class."""
        if kind in IDLE:
            return
        if self._head is not None:
            if kind != "Activation" or self._head != "linear":
                raise self._unexpected(kind, "nothing may follow Dense")
            self._head = _name(config["activation"])
        elif kind in ("Masking", "Embedding"):
            if self._recurrent or self._weights:
                raise self._unexpected(kind, "it may be the first layer alone")
            if kind == "Embedding":
                self._weights["embedding.weight"] = table = np.asarray(arrays[0])
                sizes = ("vocabulary_size", "embedding_dim")
                self._settings |= dict(zip(sizes, table.shape, strict=True))
        elif kind in ("LSTM", "GRU", "Bidirectional"):
            self._add_recurrent(kind, config, arrays)
        elif kind == "GlobalAveragePooling1D":
            if not self._recurrent:
                raise self._unexpected(kind, "it must follow an LSTM or GRU")
            self._check_steps(kind)
            self._settings["pooling"] = "mean"
        elif kind == "TimeDistributed" and config["layer"]["class_name"] == "Dense":
            self._add_head(config["layer"]["config"], arrays)
        elif kind == "Dense":
            self._add_head(config, arrays)
        else:
            raise self._unexpected(kind, "the estimators have no such layer")

    def result(self):
        """Weights by our names, parameters of the estimator, and the head's activation."""
        if not self._recurrent or self._head is None:
            raise ValueError("The Keras model must have LSTM or GRU layers and end in Dense.")
        for name in ("cell", "activation", "bidirectional"):
            values = list(dict.fromkeys(layer[name] for layer in self._recurrent))
            self._settings[name] = values[0]
            if len(values) > 1:
                raise ValueError(
                    f"The layers of the Keras model differ in {name}: {shown(values)}. Those "
                    "of an estimator are alike."
                )
        sizes = tuple(layer["n_units"] for layer in self._recurrent)
        per_step = self._recurrent[-1]["per_step"] and "pooling" not in self._settings
        settings = {"hidden_layer_sizes": sizes, "return_sequences": per_step}
        return self._weights, self._settings | settings, self._head

    def _add_recurrent(self, kind, config, arrays):
        both_ways = kind == "Bidirectional"
        parts = [(kind, config)]
        if both_ways:
            wrapped = config["layer"], config.get("backward_layer") or config["layer"]
            parts = [(part["class_name"], part["config"]) for part in wrapped]
            if config["merge_mode"] != "concat":
                merge_mode = shown(config["merge_mode"])
                raise self._unexpected(kind, f"merge_mode={merge_mode} is not concat")
        self._check_steps(kind)
        layers = [self._read_settings(*part, backward=k == 1) for k, part in enumerate(parts)]
        if layers[0] != layers[-1]:
            raise self._unexpected(kind, "its directions differ")
        layer, n = layers[0], len(arrays) // len(layers)
        for k, direction in enumerate(DIRECTIONS[: len(layers)]):
            place = f"layers.{len(self._recurrent)}.{direction}"
            named = _our_weights(layer["cell"], *arrays[n * k : n * (k + 1)])
            self._weights |= {place + name: array for name, array in named.items()}
        self._recurrent.append({**layer, "bidirectional": both_ways})

    def _read_settings(self, kind, config, *, backward):
        """What layers of an estimator have in common, and whether there are steps to come."""
        if kind not in ("LSTM", "GRU"):
            raise self._unexpected(kind, "its cell is neither LSTM nor GRU")
        expected = {**PLAIN, "go_backwards": backward, "recurrent_activation": "sigmoid"}
        for name, value in expected.items():
            given = config[name]
            if (_name(given) if isinstance(value, str) else given) != value:
                raise self._unexpected(kind, f"{name}={shown(given)} is not {value}")
        activation = _name(config["activation"])
        if activation not in ("tanh", "relu"):
            raise self._unexpected(kind, f"activation={activation} is neither tanh nor relu")
        gru = "gru" if config.get("reset_after") else "gru_v1"
        return {
            "cell": "lstm" if kind == "LSTM" else gru,
            "activation": activation,
            "n_units": config["units"],
            "per_step": config["return_sequences"],
        }

    def _check_steps(self, kind):
        """Refuse a layer of sequences where there are none."""
        pooled = "pooling" in self._settings
        if pooled or not all(layer["per_step"] for layer in self._recurrent):
            raise self._unexpected(kind, "what is before it returns no sequences")

    def _add_head(self, config, arrays):
        if not self._recurrent:
            raise self._unexpected("Dense", "it must follow an LSTM or GRU")
        kernel, *bias = map(np.asarray, arrays)
        self._weights["head.weight"] = kernel.T
        self._weights["head.bias"] = (
            bias[0] if bias else np.zeros(kernel.shape[1], kernel.dtype)
        )
        self._head = _name(config["activation"])

    def _unexpected(self, kind, reason):
        return ValueError(f"The Keras model has a layer {kind} that cannot be read: {reason}.")


def _name(activation):
    """Of an activation, as a configuration has it."""
    return activation if isinstance(activation, str) else shown(activation)


def _reorder(stacked, source, wanted):
    """Blocks of rows, one for each gate, in another order."""
    blocks = dict(zip(source, np.split(stacked, len(source)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])


def _our_weights(cell, kernel, recurrent, bias=None):
    """The weights of a layer in one direction by our names, from the arrays that Keras has."""
    orders = GATES[cell], CELLS[cell].see_x
    n_units = len(recurrent)
    if bias is None:
        bias = np.zeros((1 + (cell == "gru"), kernel.shape[1]), kernel.dtype)
    of_x, *of_h = np.atleast_2d(bias)
    weights = {
        "weight_ih": _reorder(kernel.T, *orders),
        "weight_hh": _reorder(recurrent.T, *orders),
        "bias": _reorder(of_x, *orders),
    }
    if of_h:
        # What the reset gate multiplies has a bias of its own.
        of_h = _reorder(of_h[0], *orders)
        weights["bias"][: 2 * n_units] += of_h[: 2 * n_units]
        weights["bias_hn"] = of_h[2 * n_units :]
    return weights


def _their_weights(cell, weights):
    """The other way round."""
    orders = CELLS[cell].see_x, GATES[cell]
    bias = weights["bias"]
    if cell == "gru":
        of_h = np.concatenate([np.zeros(2 * len(weights["bias_hn"])), weights["bias_hn"]])
        bias = np.stack([_reorder(bias, *orders), _reorder(of_h, *orders)])
    else:
        bias = _reorder(bias, *orders)
    matrices = (_reorder(weights[name], *orders).T for name in ("weight_ih", "weight_hh"))
    return [*matrices, bias]


def _make_sequential(keras, model, mask_value):
    """A keras.Sequential of the shape of the model."""
    architecture, layers = model._network.architecture, keras.layers
    options = {"dtype": architecture.dtype}
    if architecture.vocabulary:
        network = [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(
                architecture.vocabulary,
                architecture.n_inputs,
                mask_zero=mask_value is not None,
                **options,
            ),
        ]
    else:
        network = [keras.Input((None, architecture.n_inputs), **options)]
        if mask_value is not None:
            network.append(layers.Masking(mask_value, **options))
    recurrent, settings = layers.LSTM, {"activation": architecture.activation, **options}
    if architecture.cell != "lstm":
        recurrent, settings["reset_after"] = layers.GRU, architecture.cell == "gru"
    pools, sizes = architecture.pooling == "mean", architecture.hidden_layer_sizes
    for k, size in enumerate(sizes):
        per_step = architecture.per_step or pools or k < len(sizes) - 1
        layer = recurrent(size, return_sequences=per_step, **settings)
        network.append(
            layers.Bidirectional(layer, **options) if architecture.bidirectional else layer
        )
    if pools:
        network.append(layers.GlobalAveragePooling1D(**options))
    link = "exponential" if model.out_activation_ == "exp" else "linear"
    network.append(layers.Dense(architecture.n_scores, activation=link, **options))
    return keras.Sequential(network)


def _set_weights(network, model):
    """Give the layers of _make_sequential their weights."""
    architecture, weights = model._network.architecture, model._network.weights
    arrays = []
    if architecture.vocabulary:
        arrays.append([weights["embedding.weight"]])
    for k in range(len(architecture.hidden_layer_sizes)):
        arrays.append([])
        for direction in architecture.directions:
            place = f"layers.{k}.{direction}"
            named = {
                name.removeprefix(place): array
                for name, array in weights.items()
                if name.rpartition(".")[0] + "." == place
            }
            arrays[-1] += _their_weights(architecture.cell, named)
    weight, bias = head_of(model)
    arrays.append([weight.T, bias])
    layers = [layer for layer in network.layers if layer.weights]
    for layer, values in zip(layers, arrays, strict=True):
        layer.set_weights(values)
