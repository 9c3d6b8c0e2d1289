"""Checkpoints: the state of a fit in a file, from which the same fit goes on.

A file says which fit it belongs to: the estimator and its parameters, digests of the data and,
with warm_start, of the model that the fit began with. Any other fit refuses it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

import numpy as np

from . import _files
from ._arguments import shown

VERSION = 1

# Parameters that do not change what a fit computes.
FREE = ("checkpoint", "checkpoint_every", "n_jobs", "verbose")

N_KEYS = 624  # of the Mersenne Twister


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    estimator : NetworkEstimator
        Whose parameter checkpoint is set.

    Attributes
    ----------
    path : str
    seeds : list of two ints, or None
        Of the hold-out and of dropout, as they were drawn when the fit began; None until
        then.
    n_done : int
        Epochs of this fit that the file has.
    """

    def __init__(self, estimator):
        self.path = os.fsdecode(estimator.checkpoint)
        self._every = estimator.checkpoint_every
        if isinstance(self._every, timedelta) and self._every <= timedelta():
            raise ValueError(f"checkpoint_every={shown(self._every)} must be longer than 0.")
        check_generator(estimator.random_state)
        # Before training changes a RandomState that it was given.
        self._fit = {
            "estimator": type(estimator).__name__,
            "parameters": {
                name: canonical(value)
                for name, value in estimator.get_params(deep=False).items()
                if name not in FREE
            },
            "data": {},
        }
        self._tensors, self._saved = None, None
        self.seeds, self.n_done = None, 0
        try:
            self._tensors, self._saved = _files.read_tensors(self.path)
        except FileNotFoundError:
            return
        self._check_kind()
        self._check_parameters()
        self.seeds = self._integers("seeds", 2, 2**31)
        self.n_done = self._integers("n_done")

    # Whose it is

    def add_data(self, data: Mapping[str, Sequence[np.ndarray | None]]) -> None:
        """Data of this fit: names and arrays."""
        self._fit["data"] |= {name: digest(arrays) for name, arrays in data.items()}

    def check_fit(self, start: Sequence[Any]) -> None:
        """Refuse the file if it belongs to a fit on other data than what has been added, or of
        another model: `start` is what a fit that resumes training starts from."""
        self._fit["start"] = digest(start)
        if self._saved is None:
            return
        saved = self._saved.get("data")
        if not isinstance(saved, dict):
            raise self._error("it does not say which data it belongs to")
        names = [
            name
            for name in {**saved, **self._fit["data"]}
            if saved.get(name) != self._fit["data"].get(name)
        ]
        if names:
            raise self._error(f"it belongs to a fit on other data: {', '.join(names)} differ")
        if self._saved.get("start") != self._fit["start"]:
            raise self._error(
                "it belongs to a fit that went on from another model (warm_start)"
            )

    def _check_kind(self):
        saved = self._saved
        if saved.get("kind") != "checkpoint":
            raise self._error("it is not a checkpoint")
        version = saved.get("version")
        if type(version) is not int or version < 1:
            raise self._error(f"its version is {shown(version)}")
        if version > VERSION:
            raise self._error(
                f"it was written by a newer cylstm (version {version} of checkpoints; this "
                f"one reads up to {VERSION})"
            )
        if saved.get("estimator") != self._fit["estimator"]:
            raise self._error(
                f"it belongs to {shown(saved.get('estimator'))}, not to "
                f"{self._fit['estimator']}"
            )

    def _check_parameters(self):
        saved, present = self._saved.get("parameters"), self._fit["parameters"]
        if not isinstance(saved, dict):
            raise self._error("it does not say which parameters it belongs to")
        changed = [
            f"{name} was {saved.get(name, 'not there')} and is {present.get(name, 'gone')}"
            for name in {**saved, **present}
            if saved.get(name) != present.get(name)
        ]
        if changed:
            raise self._error(f"it belongs to other parameters: {'; '.join(changed)}")

    # What is in it

    def restore(self, trainer, history, progress):
        """Bring everything to where the file says it was; return whether the fit is over. If
        there is no file yet, write the first one, so that what keeps it from being written
        comes out now."""
        _files.remove_leftovers(self.path)
        if self._saved is None:
            self.save(trainer, history, progress, 0, finished=False)
            return False
        network, optimizer = trainer.network, trainer.optimizer
        numbers = {
            name: self._integers(name)
            for name in ("n_iter", "t", "n_steps", "n_period", "n_stalled")
        }
        n_moments = optimizer.rule.n_moments if numbers["n_steps"] else 0
        position, has_gauss = self._integers("random_state", 2, N_KEYS + 1)
        tensors, n = self._tensors, numbers["n_iter"]
        n_scores = len(tensors.get("validation_scores", ()))
        vector = (network.parameters.shape, network.parameters.dtype)
        number = ((), np.float64)
        expected = {
            "parameters": vector,
            **{f"moments.{k}": vector for k in range(n_moments)},
            "learning_rate": number,
            "best": number,
            "random_state.key": ((N_KEYS,), np.uint32),
            "random_state.gauss": number,
            "loss_curve": ((n,), np.float64),
            "validation_scores": ((min(n, n_scores),), np.float64),
            "learning_rates": ((n,), np.float64),
            "seconds": ((n,), np.float64),
        }
        if "best_parameters" in tensors:
            expected["best_parameters"] = vector
        _files.check_tensors(self.path, tensors, expected)
        finished = self._saved.get("finished")
        if not isinstance(finished, bool):
            raise self._error(f"finished is {shown(finished)}, not true or false")

        network.parameters[:] = tensors["parameters"]
        network.changed()
        moments = [tensors[f"moments.{k}"] for k in range(n_moments)]
        optimizer.restore(
            np.array(moments) if moments else None,
            numbers["n_steps"],
            numbers["n_period"],
            float(tensors["learning_rate"]),
        )
        trainer.random_state.set_state(
            (
                "MT19937",
                tensors["random_state.key"],
                position,
                int(has_gauss > 0),
                float(tensors["random_state.gauss"]),
            )
        )
        history.n_iter, history.t = n, numbers["t"]
        for name, curve in zip(history.CURVES, history.curves, strict=True):
            curve[:] = tensors[name].tolist()
        progress.best = float(tensors["best"])
        progress.n_stalled = numbers["n_stalled"]
        progress.best_parameters = tensors.get("best_parameters")
        self._written = time.monotonic()
        return finished

    def save(self, trainer, history, progress, n_done, finished):
        """Write the state after an epoch."""
        network, optimizer = trainer.network, trainer.optimizer
        _, key, position, has_gauss, gauss = trainer.random_state.get_state()
        tensors = {
            "parameters": network.parameters,
            "learning_rate": np.float64(optimizer.learning_rate),
            "best": np.float64(progress.best),
            "random_state.key": key,
            "random_state.gauss": np.float64(gauss),
            **{
                name: np.array(curve, np.float64)
                for name, curve in zip(history.CURVES, history.curves, strict=True)
            },
        }
        if optimizer.moments is not None:
            tensors |= {f"moments.{k}": m for k, m in enumerate(optimizer.moments)}
        if progress.best_parameters is not None:
            tensors["best_parameters"] = progress.best_parameters
        state = {
            "kind": "checkpoint",
            "version": VERSION,
            **self._fit,
            "seeds": self.seeds,
            "random_state": [position, has_gauss],
            "n_done": n_done,
            "finished": finished,
            "n_iter": history.n_iter,
            "t": history.t,
            "n_steps": optimizer.n_steps,
            "n_period": optimizer.n_epochs_done,
            "n_stalled": progress.n_stalled,
        }
        _files.write_tensors(self.path, tensors, state)
        self._written = time.monotonic()

    def is_due(self, n_done: int) -> bool:
        """Whether it is time to write, after so many epochs."""
        if isinstance(self._every, timedelta):
            return time.monotonic() - self._written >= self._every.total_seconds()
        return n_done % self._every == 0

    def _integers(self, name, count=None, limit=2**63):
        """A number from 0 to limit - 1 of the file, or a list of so many."""
        value = self._saved.get(name)
        values = [value] if count is None else value
        if (
            not isinstance(values, list)
            or len(values) != (count or 1)
            or not all(type(n) is int and 0 <= n < limit for n in values)
        ):
            raise self._error(f"{name} is {shown(value)}")
        return value

    def _error(self, what):
        return ValueError(
            f"Cannot go on from checkpoint {self.path!r}: {what}. Give another path, or "
            "delete the file."
        )


def check_generator(random_state: Any) -> None:
    """Refuse generators whose state is not that of RandomState(seed)."""
    if isinstance(random_state, np.random.RandomState):
        generator = random_state.get_state(legacy=False)["bit_generator"]
        if generator != "MT19937":
            raise ValueError(
                f"random_state is a RandomState of {generator}, whose state a checkpoint "
                "cannot keep. Give an int, or RandomState(seed)."
            )


def canonical(value: Any) -> str:
    """The same text for values of a parameter that mean the same, in any process."""
    text = _canonical(value)
    if len(text) > 100:
        return f"{text[:60]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text


def _canonical(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.random.RandomState):
        state = value.get_state()
        return f"RandomState {digest([np.asarray(part) for part in state])[:16]}"
    if isinstance(value, np.ndarray):
        return _canonical(value.tolist())
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, Mapping):
        items = (f"{_canonical(k)}: {_canonical(v)}" for k, v in value.items())
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_canonical, value))}]"
    if isinstance(value, Callable) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    # The default repr has an address.
    return type(value).__qualname__ if " at 0x" in text else text


def digest(arrays: Sequence[Any]) -> str:
    """SHA-256 of arrays, with their shapes and dtypes; None stands for one that is absent."""
    sums = hashlib.sha256()
    for array in arrays:
        if array is None:
            sums.update(b"none")
            continue
        array = np.asarray(array, order="C")
        sums.update(f"{array.dtype.str}{array.shape}".encode())
        if array.dtype.hasobject:
            sums.update(_canonical(array).encode())
        else:
            sums.update(array.reshape(-1).view(np.uint8).data)
    return sums.hexdigest()
