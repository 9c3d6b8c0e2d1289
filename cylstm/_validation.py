"""Validation data: which samples are held out, and how predictions for them are scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.metrics._scorer import _BaseScorer
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from ._arguments import as_array, shown


def check_groups(groups: Any, n: int) -> np.ndarray | None:
    """groups as an array with an entry for each of n samples, or None."""
    if groups is None:
        return None
    groups = as_array(groups, "groups")
    if groups.shape != (n,):
        raise ValueError(
            f"groups has shape {groups.shape}, but X has {n} samples: give one group for each."
        )
    return groups


def hold_out(
    fraction: Any,
    n: int,
    *,
    X: Any,
    y: Any = None,
    groups: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    in_order: bool = False,
    seed: int = 0,
    what: str = "samples",
    hint: str = "",
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the samples to train on, and of those to validate on.

    Parameters
    ----------
    fraction : float or splitter
        The parameter validation_fraction.
    n : int
        Number of samples.
    X, y
        As given to fit, for a splitter.
    groups : array of shape (n,), optional
        Those of a group stay together.
    classes : array of shape (n,), optional
        Each of them has its share of both parts if that is possible.
    in_order : bool
        Whether to hold out the last samples, and not some at random.
    seed : int
    what, hint : str
        For errors.
    """
    shown_fraction = f"validation_fraction={shown(fraction)}"
    try:
        if not isinstance(fraction, Real):
            # The last one of TimeSeriesSplit has the most to train on.
            last = deque(fraction.split(X, y, groups), maxlen=1)
            if not last:
                raise ValueError("it gives no split.")
            train, held_out = map(np.asarray, last[0])
            return _check_parts(train, held_out, n)
        if groups is not None and in_order:
            return _last_groups(groups, fraction)
        if groups is not None:
            splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
            return next(splitter.split(np.arange(n), groups=groups))
        return train_test_split(
            np.arange(n),
            test_size=fraction,
            random_state=None if in_order else seed,
            shuffle=not in_order,
            stratify=None if in_order or not _can_stratify(classes, fraction) else classes,
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out {shown_fraction} of {n} {what}: {error}{hint}"
        ) from error


def _last_groups(groups, fraction):
    """The parts where the groups that end last are held out."""
    _, ends, which = np.unique(groups[::-1], return_index=True, return_inverse=True)
    n_held_out = int(np.ceil(fraction * len(ends)))
    if n_held_out == len(ends):
        raise ValueError(f"there are {len(ends)} groups.")
    held_out = (ends.argsort().argsort() < n_held_out)[which[::-1]]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _can_stratify(classes, fraction):
    """Whether both parts have room for every class, and every class for both."""
    if classes is None:
        return False
    _, counts = np.unique(classes, return_counts=True)
    n_held_out = int(np.ceil(fraction * len(classes)))
    smaller = min(n_held_out, len(classes) - n_held_out)
    return counts.min() >= 2 and smaller >= len(counts)


def _check_parts(train, held_out, n):
    for part in (train, held_out):
        if part.ndim != 1 or part.dtype.kind not in "iu" or not len(part):
            raise ValueError("its split gives no indices for one of the parts.")
        if part.min() < 0 or part.max() >= n:
            raise ValueError(f"its split has indices that are not from 0 to {n - 1}.")
    if len(np.intersect1d(train, held_out)):
        raise ValueError("its split holds out samples that it also trains on.")
    return train, held_out


def overlap_in_memory(X: Any) -> bool:
    """Whether successive sequences of X share steps, as those of make_windows do."""
    if not isinstance(X, np.ndarray) or X.ndim != 3:
        return False
    to_next, to_next_step = abs(X.strides[0]), abs(X.strides[1])
    if to_next == 0 or to_next_step == 0 or to_next % to_next_step:
        return False
    return to_next // to_next_step < X.shape[1]


def make_validation(model: Any, data: Any, given: Callable) -> Callable[[], float]:
    """What scores the model in its present state on validation data.

    Parameters
    ----------
    model : BaseLSTM
    data : Dataset
        With targets as they were given, not encoded.
    given : callable() -> (X, y)
        The same data as fit got them, for a function of the user's own.
    """
    if model.scoring is None:
        return lambda: model._validate(data)
    scorer = check_scoring(model, model.scoring)
    arguments, weights = (model, *given()), {}
    if isinstance(scorer, _BaseScorer):
        arguments = _AsRead(model), data.sequences, data.targets
        if (data.weights != 1).any():
            weights = {"sample_weight": data.weights}

    def validate():
        try:
            score = scorer(*arguments, **weights)
        except (AttributeError, TypeError) as error:
            if arguments[0] is model:  # a function of the user's own
                raise
            given = " with weights" if weights else ""
            raise ValueError(
                f"scoring={shown(model.scoring)} cannot score predictions of "
                f"{type(model).__name__}{given}: {error}"
            ) from error
        if not isinstance(score, (Real, np.number)) or np.isnan(score):
            raise ValueError(
                f"scoring={shown(model.scoring)} returned {shown(score)} for the validation "
                "data; expected a number."
            )
        return float(score)

    return validate


def _has(method):
    return available_if(lambda self: hasattr(self._model, method))


class _AsRead:
    """A fitted model as scikit-learn's scorers see it: X are Sequences that have been read,
    and with return_sequences there is a prediction for each of their real steps."""

    def __init__(self, model):
        self._model = model

    def __sklearn_tags__(self):
        return get_tags(self._model)

    @property
    def classes_(self):
        return self._model.classes_

    def predict(self, sequences):
        return self._respond(sequences, "predict")

    @_has("predict_proba")
    def predict_proba(self, sequences):
        return self._respond(sequences, "predict_proba")

    @_has("decision_function")
    def decision_function(self, sequences):
        return self._respond(sequences, "decision_function")

    def _respond(self, sequences, method):
        return self._model._decode(
            self._model._scores_of(sequences), method, sequences.lengths
        )
