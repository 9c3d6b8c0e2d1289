"""Models in files: save and load.

The layout is that of `_files`. The metadata have the kind ("model"), a version, and the model,
in which numbers, strings and lists are what they are; anything else is an object with one of
these keys:

    "class"         an object of a class that _schema knows: "state" has its attributes
    "array"         the tensor of this name; so are "transposed", "times" and "text"
    "tuple", "set", "frozenset", "dict", "objects", "dtype", "type", "timedelta", "RandomState"

The weights of a network are tensors of the names that `weights_` has, after its "weights".
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from . import _files, _schema
from ._arguments import shown
from ._checkpoint import N_KEYS
from ._consistency import check as check_together
from ._forms import LongForm
from ._network import Architecture, Network
from ._state import PRIVATE, build
from ._training import all_finite

VERSION = 1

# Of estimators, what no file has: memory of this process, and what only callbacks and
# scikit-learn's routing of metadata know of.
LEFT_OUT = ("_memory", "_snapshot", "_skl_callbacks", "_metadata_request")
TO_TRAIN = ("_optimizer", "_random_state")

TYPES: dict[str, type] = {
    kind.__name__: kind for kind in (float, int, np.float32, np.float64, np.int64)
}
# Names of dtypes. NumPy evaluates others as Python.
DTYPE = re.compile(r"[<>|=]?([biuf]\d{1,2}|O|U\d{1,3}|[mM]8(\[(\d{1,4})?[a-zA-Z]{1,2}\])?)")

# Of transformers that have no array of as many numbers.
MOST_FEATURES = 10**6

# Of text.
LAST_CODE_POINT, MOST_WIDE = 0x10FFFF, 1 << 20


def save(model: Any, path: _files.PathLike, *, optimizer: bool = False) -> None:
    """Write a model to a file, which needs no pickle and that later versions read.

    Parameters
    ----------
    model : estimator or transformer
        One of cylstm, fitted or not; or a Pipeline that ends with one or consists of them.
        Of scikit-learn's classes there may be in it, or in a StepwiseTransformer: Pipeline,
        the scalers, QuantileTransformer, PowerTransformer, Normalizer, PCA, SimpleImputer and
        MissingIndicator; and splitters in validation_fraction. The parameter checkpoint, a
        file that a fit writes, is None in the model that is loaded.
    path : str or path-like
        The file appears as a whole or not at all, and replaces one that is there. The layout
        is that of safetensors, so ".safetensors" suits it.
    optimizer : bool, default=False
        Whether to write what training needs to go on to the same bits: the running state of
        the optimizer, twice as large as the weights, and the random state.

    Raises
    ------
    TypeError
        If a part of the model is of another class, or an attribute is nothing that a file can
        hold.
    ValueError
        If the model is one that `load` would refuse: of invalid parameters, or of parts that
        do not go together.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import numpy as np, cylstm
    >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
    >>> model = cylstm.LSTMRegressor(8, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
    >>> path = getfixture("tmp_path") / "model.safetensors"
    >>> cylstm.save(model, path)
    >>> bool((cylstm.load(path).predict(X) == model.predict(X)).all())
    True
    """
    writer = _Writer(optimizer)
    written = writer.write_object(model, "")
    # What could not be read later is refused now.
    _Reader(writer.tensors).read_all(written)
    metadata = {"kind": "model", "version": VERSION, "model": written}
    _files.write_tensors(path, writer.tensors, metadata)


def load(path: _files.PathLike, *, mmap: bool = False) -> Any:
    """The model of a file that `save` wrote.

    Everything is checked before it is used, and no code is in such a file: it may come from
    anyone.

    Parameters
    ----------
    path : str or path-like
    mmap : bool, default=False
        Whether to map the file: its arrays are then read-only and in memory once for all
        processes that have it mapped (beside what each needs to predict, in which weights
        are packed for its CPU). The file must not be changed in place meanwhile; `save` to
        the same path does not. To train, a model makes copies for itself.

    Returns
    -------
    model : estimator, transformer or Pipeline
        It predicts the same bits as the one that was saved. Without ``optimizer=True`` in
        `save`, training that goes on starts with a new optimizer.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is not such a file, is damaged, or was written by a newer cylstm.
    """
    tensors, metadata = _files.read_tensors(path, mmap=mmap)
    with _files.explained(f"Cannot load {os.fsdecode(path)}"):
        kind, version = metadata.pop("kind", None), metadata.pop("version", None)
        if kind == "checkpoint":
            raise ValueError(
                "it is the checkpoint of a fit, from which fit with the parameter checkpoint "
                "goes on"
            )
        if kind != "model" or type(version) is not int or version < 1:
            raise ValueError(f"its kind is {shown(kind)}, of version {shown(version)}")
        if version > VERSION:
            raise ValueError(
                f"it was written by a newer cylstm (version {version} of models; this one "
                f"reads up to {VERSION})"
            )
        if metadata.keys() != {"model"}:
            raise ValueError(f"it has {shown(sorted(metadata))}, not a model")
        try:
            return _Reader(tensors).read_all(metadata["model"])
        except (MemoryError, ValueError):
            raise
        except Exception as error:  # whatever else a forged file leads to
            raise ValueError(f"it does not fit together: {error!r}") from error


class _Writer:
    """Makes metadata and tensors of a model."""

    def __init__(self, optimizer):
        self.tensors = {}
        self._optimizer = optimizer

    def write(self, value, where):
        """The metadata of a value; `where` is its path of attributes."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if isinstance(value, (np.bool_, np.integer, np.floating)):
            return value.item()
        if isinstance(value, str):
            return str(value)
        if kind is list:
            return [self.write(x, f"{where}.{k}") for k, x in enumerate(value)]
        if kind is tuple:
            return {"tuple": [self.write(x, f"{where}.{k}") for k, x in enumerate(value)]}
        if kind in (set, frozenset):
            return {kind.__name__: [self.write(x, where) for x in value]}
        if isinstance(value, Mapping):
            return {"dict": self._pairs(value, where)}
        if kind is range or hasattr(value, "to_numpy"):  # of pandas and polars
            return self.write(list(value), where)
        if isinstance(value, np.ndarray):
            return self._write_array(value, where)
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, type) and TYPES.get(value.__name__) is value:
            return {"type": value.__name__}
        if isinstance(value, timedelta):
            return {"timedelta": [value.days, value.seconds, value.microseconds]}
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        if kind is np.random.RandomState:
            return self._write_random_state(value, where)
        if kind is Network:
            return self._write_network(value, where)
        return self.write_object(value, where)

    def _pairs(self, values, where):
        return [
            [self.write(k, where), self.write(x, f"{where}.{k}")] for k, x in values.items()
        ]

    def write_object(self, value, where):
        kind, name = type(value), type(value).__name__
        if _is_public(value):
            left_out = LEFT_OUT if self._optimizer else LEFT_OUT + TO_TRAIN
            state = {k: x for k, x in vars(value).items() if k not in left_out}
        elif _is_part(value):
            state = {k: x for k, x in value.__getstate__().items() if k not in LEFT_OUT}
        elif f"cylstm.{PRIVATE.get(name)}" == kind.__module__:
            state = value.__getstate__()
            if isinstance(value, LongForm):
                state = value.approximate_state()
        else:
            raise TypeError(
                f"{where.lstrip('.') or 'The model'} is of type {name}, which no file of "
                "cylstm can hold: beside cylstm's estimators, numbers, strings and arrays "
                f"there may be {', '.join(_schema.PARTS)}. A parameter that is not needed any "
                "more can be changed by set_params."
            )
        steps = state.pop("steps", None) if name == "Pipeline" else None
        parts = {k: self.write(x, f"{where}.{k.lstrip('_')}") for k, x in state.items()}
        if steps is not None:
            parts["steps"] = [
                {"tuple": [k, self.write(step, f"{where}.{k}")]} for k, step in steps
            ]
        return {"class": name, "state": parts}

    def _write_network(self, network, where):
        prefix = where.removesuffix("network").lstrip(".")
        for name, view in network.weights.items():
            self._put(prefix + name, view)
        architecture = self.write(network.architecture, f"{where}.architecture")
        return {"class": "Network", "state": {"architecture": architecture, "weights": prefix}}

    def _write_array(self, array, where):
        kind, dtype = array.dtype.kind, array.dtype.str
        if kind == "O":
            if array.ndim != 1:
                raise TypeError(f"{where.lstrip('.')} is an array of objects")
            return {"objects": [self.write(x, f"{where}.{k}") for k, x in enumerate(array)]}
        if kind in "mM":
            little = array.astype(array.dtype.newbyteorder("<"))
            return {**self._put(where, little.view(np.int64), "times"), "dtype": dtype[1:]}
        if kind == "U":
            codes = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).view(np.uint32)
            width = array.dtype.itemsize // 4
            return self._put(where, codes.reshape(*array.shape, width), "text")
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            # In another order products with it could have other bits.
            return self._put(where, array.T, "transposed")
        return self._put(where, array)

    def _put(self, where, array, what="array"):
        name = where.lstrip(".")
        while name in self.tensors:  # of `random_state` and `_random_state`
            name += "_"
        self.tensors[name] = array
        return {what: name}

    def _write_random_state(self, random_state, where):
        state = random_state.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(
                f"{where.lstrip('.')} is a RandomState of {state['bit_generator']}; only that "
                "of RandomState(seed) can be written."
            )
        numbers = state["state"]["pos"], state["has_gauss"], state["gauss"]
        key = self._put(f"{where}.key", state["state"]["key"])["array"]
        return {"RandomState": [*numbers], "key": key}


def _is_public(value):
    return _schema.PUBLIC.get(type(value).__name__) == type(value).__module__


def _is_part(value):
    """Whether it is of another class that files may hold."""
    name = type(value).__name__
    return name in _schema.PARTS and _class_of_part(name) is type(value)


def _class_of_part(name):
    return getattr(import_module(_schema.PARTS[name]), name)


class _Reader:
    """Makes a model of metadata and tensors, all of which are checked."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self._tensors = dict(tensors)  # those that are left
        self._tags = {
            ("class", "state"): self._read_object,
            ("array",): self._take,
            ("transposed",): lambda x: self._take(x).T,
            ("times", "dtype"): self._read_times,
            ("text",): self._read_text,
            ("tuple",): lambda x: tuple(self._read_list(x)),
            ("set",): lambda x: self._read_set(set, x),
            ("frozenset",): lambda x: self._read_set(frozenset, x),
            ("dict",): self._read_dict,
            ("objects",): self._read_objects,
            ("dtype",): self._read_dtype,
            ("type",): self._read_type,
            ("timedelta",): self._read_timedelta,
            ("RandomState", "key"): self._read_random_state,
        }

    def read_all(self, metadata):
        """The model, of which all tensors are to be."""
        model = self.read(metadata)
        if not _is_public(model) and not _is_part(model):
            raise ValueError("it has no model")
        if self._tensors:
            raise ValueError(f"it has a tensor {shown(next(iter(self._tensors)))} of nothing")
        return model

    def read(self, value):
        if type(value) is list:
            return self._read_list(value)
        if type(value) is not dict:
            return value
        read = self._tags.get(tuple(value))
        if read is None:
            raise ValueError(f"{shown(value)} is no value")
        return read(*value.values())

    def _read_list(self, values):
        if type(values) is not list:
            raise ValueError(f"{shown(values)} is no list")
        return [self.read(x) for x in values]

    def _read_dict(self, pairs):
        pairs = self._read_list(pairs)
        if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
            raise ValueError(f"{shown(pairs)} are no pairs of keys and values")
        return _hashed(dict, pairs)

    def _read_set(self, kind, values):
        return _hashed(kind, self._read_list(values))

    def _read_objects(self, values):
        values = self._read_list(values)
        array = np.empty(len(values), object)
        array[:] = values
        return array

    def _take(self, name):
        if type(name) is not str or name not in self._tensors:
            raise ValueError(f"it has no tensor {shown(name)}, or that is used twice")
        return self._tensors.pop(name)

    def _read_times(self, name, dtype):
        array, dtype = self._take(name), self._read_dtype(dtype)
        if dtype.kind not in "mM" or array.dtype != np.int64:
            raise ValueError(f"{shown(name)} holds no times")
        return array.view(dtype)

    def _read_text(self, name):
        codes = self._take(name)
        if codes.dtype != np.uint32 or not codes.ndim or not 0 < codes.shape[-1] < MOST_WIDE:
            raise ValueError(f"{shown(name)} holds no text")
        if codes.max(initial=0) > LAST_CODE_POINT:
            raise ValueError(f"{shown(name)} has numbers that are no characters")
        width = codes.shape[-1]
        return codes.reshape(-1).view(f"<U{width}").reshape(codes.shape[:-1])

    def _read_dtype(self, name):
        if type(name) is not str or not DTYPE.fullmatch(name):
            raise ValueError(f"{shown(name)} is no dtype")
        return np.dtype(name)

    def _read_type(self, name):
        if type(name) is not str or name not in TYPES:
            raise ValueError(f"{shown(name)} is no type")
        return TYPES[name]

    def _read_timedelta(self, numbers):
        try:
            days, seconds, microseconds = numbers
            return timedelta(int(days), int(seconds), int(microseconds))
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{shown(numbers)} is no timedelta") from None

    def _read_random_state(self, numbers, name):
        key, made = self._take(name), np.random.RandomState()
        fits = type(numbers) is list and len(numbers) == 3 and key.dtype == np.uint32
        fits = fits and key.shape == (N_KEYS,) and (key[0] >> 31 or key[1:].any())
        fits = fits and _schema.integer(0, N_KEYS).fits(numbers[0])
        if not fits or numbers[1] not in (0, 1) or not _schema.NUMBER.fits(numbers[2]):
            raise ValueError(f"{shown(name)} is of no random state")
        made.set_state(("MT19937", key, *numbers))
        return made

    # Objects

    def _read_object(self, name, state):
        if type(name) is not str or type(state) is not dict:
            raise ValueError(f"{shown(name)} is no class")
        if name == "Network":
            return self._read_network(state)
        state = {field: self.read(x) for field, x in state.items()}
        if name in _schema.PUBLIC:
            return self._estimator(name, state)
        if name in _schema.PARTS:
            return _part(name, state)
        if name not in _schema.FIELDS:
            raise ValueError(f"{shown(name)} is none of the classes that are known")
        _schema.check_fields(name, state, _schema.FIELDS[name])
        made = _made(name, lambda: build(name, state))
        _made(name, lambda: check_together(made))
        return made

    def _read_network(self, state):
        fields = {"architecture": _schema.ANYTHING, "weights": _schema.TEXT}
        _schema.check_fields("Network", state, fields)
        architecture, prefix = self.read(state["architecture"]), state["weights"]
        if type(architecture) is not Architecture:
            raise ValueError("a network has no architecture")
        # Before names of so many layers are made.
        if len(architecture.hidden_layer_sizes) > len(self._tensors):
            raise ValueError("a network has more layers than tensors")
        weights = []
        for name, place in architecture.places.items():
            array = self._take(prefix + name)
            if array.shape != place.shape or array.dtype != architecture.dtype:
                raise ValueError(
                    f"{shown(prefix + name)} is of shape {array.shape} and dtype "
                    f"{array.dtype}; expected {place.shape} and {architecture.dtype}"
                )
            weights.append(array)
        parameters = _files.joined(weights)
        if not all_finite(parameters, 1):
            raise ValueError("weights are not finite")
        return _made("Network", lambda: Network.around(architecture, parameters))

    def _estimator(self, name, state):
        kind = getattr(import_module(_schema.PUBLIC[name]), name)
        parameters = {k: state.pop(k) for k in kind._get_param_names() if k in state}
        missing = set(kind._get_param_names()) - parameters.keys()
        if missing:
            raise ValueError(f"{name} has no parameter {shown(min(missing))}")
        if "checkpoint" in parameters:  # a file that a fit would write
            parameters["checkpoint"] = None
        model = kind(**parameters)
        _made(name, model._validate_params)
        kinds = {k: x for k, x in _schema.OPTIONAL.items() if k in state}
        is_fitted = bool(state.keys() - {"_sklearn_output_config"})
        _schema.check_fields(name, state, kinds | (_schema.FITTED[name] if is_fitted else {}))
        vars(model).update(state)
        if is_fitted:
            _made(name, lambda: check_together(model))
        if "_network" in state:
            _made(name, lambda: _make_trainable(model))
        return model


def _make_trainable(model):
    """Give a model what training needs to go on, where its file has nothing of it."""
    if "_random_state" not in vars(model):
        model._random_state = check_random_state(model.random_state)
        if not isinstance(model.random_state, Integral):
            # Drawn from by others: training would change their numbers.
            model._random_state = copy.deepcopy(model._random_state)
    if "_optimizer" not in vars(model):
        model._optimizer = model._make_optimizer(model._network, 0.0, False, False)


def _part(name, state):
    """An object of another class, which works on a row if it is a fitted transformer."""
    kind = _class_of_part(name)
    for field in state:
        if hasattr(kind, field) or not field.isidentifier():
            raise ValueError(f"{name} has no field {shown(field)}")
    made = object.__new__(kind)
    if not hasattr(kind, "get_params"):  # a splitter
        vars(made).update(state)
        return made
    missing = set(kind._get_param_names()) - state.keys()
    if missing:
        raise ValueError(f"{name} has no parameter {shown(min(missing))}")
    _made(name, lambda: made.__setstate__(state))
    _made(name, made._validate_params)
    if name == "Pipeline":
        _check_steps(made)
        return made
    if any(field.endswith("_") for field in state):
        _try_out(made, state)
    return made


def _try_out(transformer, state):
    """Transform a row, of no more features than the largest array has numbers."""
    name, n = type(transformer).__name__, state.get("n_features_in_")
    if name == "MissingIndicator":
        n, features = state.get("_n_features"), state.get("features_")
        inside = _schema.INTEGERS.fits(features) and ((features >= 0) & (features < n)).all()
        if not inside or (np.diff(features) <= 0).any():
            raise ValueError("MissingIndicator has features_ that there are not")
        return
    largest = max((x.size for x in state.values() if isinstance(x, np.ndarray)), default=0)
    if type(n) is not int or not 1 <= n <= (largest or MOST_FEATURES):
        raise ValueError(f"{name} has n_features_in_={shown(n)}")
    if not largest:
        return
    nameless = copy.copy(transformer)
    vars(nameless).pop("feature_names_in_", None)
    _made(name, lambda: nameless.transform(np.ones((1, n))))


def _check_steps(pipeline):
    if pipeline.memory is not None:
        raise ValueError("a Pipeline has memory, where other files would be read")
    steps = pipeline.steps
    names = [step[0] for step in steps if type(step) is tuple and len(step) == 2]
    if len(names) < len(steps) or not all(type(name) is str for name in names):
        raise ValueError("the steps of a Pipeline are no pairs of name and step")
    for _, step in steps:
        if step not in (None, "passthrough") and not _is_public(step) and not _is_part(step):
            raise ValueError("a step of a Pipeline is no estimator")
    if not steps:
        raise ValueError("a Pipeline has no steps")


def _hashed(kind, values):
    keys = [pair[0] for pair in values] if kind is dict else values
    # Of others many could have one hash.
    if not all(_schema.SCALAR.fits(key) for key in keys):
        raise ValueError(f"{shown(values)} has a key that cannot be one")
    return kind(values)


def _made(name, make):
    """make(), whose errors are ValueErrors about an object of a class."""
    try:
        return make()
    except MemoryError:
        raise
    except Exception as error:
        what = error if isinstance(error, (TypeError, ValueError)) else repr(error)
        raise ValueError(f"its {name} does not fit together: {what}") from error
