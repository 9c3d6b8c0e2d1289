"""Checkpoints: the state of a fit in a file, from which the same fit goes on.

A file says which fit it belongs to: the estimator and its parameters, digests of the data and,
with warm_start, of the model that the fit began with. Any other fit refuses it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from . import _files
from ._arguments import shown, warn_caller
from ._fingerprint import canonical, digest, printable

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
    found : str
        What becomes of the fit that the file has; empty if there is no file.
    """

    def __init__(self, estimator):
        self.path = os.fsdecode(estimator.checkpoint)
        self._every = estimator.checkpoint_every
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
        self.seeds, self.n_done, self.found = None, 0, ""
        try:
            # Mapped, since a file of something else may be of any size.
            self._tensors, self._saved = _files.read_tensors(self.path, mmap=True)
        except FileNotFoundError:
            return
        self._check_kind()
        self._check_parameters()
        self.seeds = self._integers("seeds", 2, 2**31)
        self.n_done = self._integers("n_done")
        if not isinstance(self._saved.get("finished"), bool):
            raise self._error(f"finished is {shown(self._saved.get('finished'))}")
        self.found = "the fit has ended" if self._saved["finished"] else "going on"

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
            what = ", ".join(map(printable, names))
            raise self._error(f"it belongs to a fit on other data: {what} differ")
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
        if saved.keys() != present.keys():
            names = shown(sorted(saved.keys() ^ present.keys()))
            raise self._error(f"it belongs to other parameters: {names} are not in both")
        changed = [
            f"{name} was {printable(saved[name])} and is {value}"
            for name, value in present.items()
            if saved[name] != value
        ]
        if changed:
            raise self._error(f"it belongs to other parameters: {'; '.join(changed)}")

    # What is in it

    def restore(self, trainer, history, progress, max_iter):
        """Bring everything to where the file says it was; return whether the fit is over. If
        there is no file yet, write the first one, so that what keeps it from being written
        comes out now.

        Parameters
        ----------
        trainer, history, progress
            As they are when the fit begins.
        max_iter : int
        """
        _files.remove_leftovers(self.path)
        self._written = time.monotonic()
        if self._saved is None:
            self._write(trainer, history, progress, 0, finished=False)
            return False
        tensors, finished = self._check_state(trainer, history, progress, max_iter)
        network, optimizer = trainer.network, trainer.optimizer
        network.parameters[:] = tensors["parameters"]
        network.changed()
        n_steps, n_moments = self._integers("n_steps"), optimizer.rule.n_moments
        moments = [tensors[f"moments.{k}"] for k in range(n_moments)] if n_steps else None
        optimizer.restore(
            moments and np.array(moments),
            n_steps,
            self._integers("n_epochs_done"),
            float(tensors["learning_rate"]),
        )
        position, has_gauss = self._integers("random_state", 2, N_KEYS + 1)
        key, gauss = tensors["random_state.key"], float(tensors["random_state.gauss"])
        trainer.random_state.set_state(("MT19937", key, position, has_gauss, gauss))
        for name, curve in zip(history.CURVES, history.curves, strict=True):
            later = tensors[name][history.n_iter :].tolist()
            curve.extend(None if number != number else number for number in later)
        history.n_iter, history.t = self._integers("n_iter"), self._integers("t")
        progress.best = float(tensors["best"])
        progress.n_stalled = self._integers("n_stalled")
        if "best_parameters" in tensors:
            progress.best_parameters = np.array(tensors["best_parameters"])
        self._tensors = self._saved = None  # which lets go of the file
        return finished

    def _check_state(self, trainer, history, progress, max_iter):
        """Refuse what no fit of this kind writes."""
        tensors, rule = self._tensors, trainer.optimizer.rule
        n_done, n_steps = self.n_done, self._integers("n_steps", limit=2**53)
        n_iter, finished = self._integers("n_iter"), self._saved["finished"]
        for name in ("t", "n_epochs_done", "n_stalled"):
            self._integers(name, limit=2**53)
        _, has_gauss = self._integers("random_state", 2, N_KEYS + 1)
        if n_done > max_iter or n_iter != history.n_iter + n_done or (finished and not n_done):
            raise self._error(f"n_done is {n_done} and n_iter is {n_iter}")
        if has_gauss > 1 or (n_steps == 0 and n_done > 0):
            raise self._error(f"has_gauss is {has_gauss} and n_steps is {n_steps}")
        has_best = progress.keep_best and "best_parameters" in tensors
        vector = (trainer.network.parameters.shape, trainer.network.parameters.dtype)
        number = ((), np.float64)
        expected = {
            "parameters": vector,
            **{f"moments.{k}": vector for k in range(rule.n_moments if n_steps else 0)},
            **({"best_parameters": vector} if has_best else {}),
            **dict.fromkeys(("learning_rate", "best", "random_state.gauss"), number),
            **dict.fromkeys(history.CURVES, ((n_iter,), np.float64)),
            "random_state.key": ((N_KEYS,), np.uint32),
        }
        _files.check_tensors(self.path, tensors, expected)
        key = tensors["random_state.key"]
        sound = {
            "learning_rate": tensors["learning_rate"] >= 0,  # an exponential underflows
            "best": not np.isnan(tensors["best"])
            and (not progress.keep_best or has_best == (tensors["best"] > -np.inf)),
            # From which the Mersenne Twister would not move, and a normal number never come.
            "random_state.key": key[0] >> 31 or key[1:].any(),
        }
        for name in expected.keys() - {"best", "validation_scores"}:
            sound[name] = sound.get(name, True) and np.isfinite(tensors[name]).all()
        if rule.n_moments > 1 and n_steps:
            sound["moments.1"] &= (tensors["moments.1"] >= 0).all()
        for name, is_sound in sound.items():
            if not is_sound:
                raise self._error(f"{name} has numbers that it cannot have")
        return tensors, finished

    def save(self, trainer, history, progress, n_done, finished):
        """Write the state after an epoch. If that fails, there is still the file before: warn,
        and let training go on."""
        try:
            self._write(trainer, history, progress, n_done, finished)
        except (OSError, ValueError) as error:
            warn_caller(
                f"The checkpoint {self.path} was not written after epoch {n_done}: {error}."
            )

    def _write(self, trainer, history, progress, n_done, finished):
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
            "n_epochs_done": optimizer.n_epochs_done,
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


def check_checkpoint(path: Any, every: Any) -> None:
    """Refuse values of checkpoint and checkpoint_every of the right types."""
    if path is not None and not os.fspath(path):
        raise ValueError("checkpoint is an empty path.")
    if isinstance(every, timedelta) and every <= timedelta():
        raise ValueError(f"checkpoint_every={shown(every)} must be longer than 0.")


def check_generator(random_state: Any) -> None:
    """Refuse generators whose state is not that of RandomState(seed)."""
    if isinstance(random_state, np.random.RandomState):
        generator = random_state.get_state(legacy=False)["bit_generator"]
        if generator != "MT19937":
            raise ValueError(
                f"random_state is a RandomState of {generator}, whose state a checkpoint "
                "cannot keep. Give an int, or RandomState(seed)."
            )
