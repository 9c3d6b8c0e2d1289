"""Class labels: reading them, finding the classes, weighting them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._arguments import as_array, check_collection, shown
from ._checks import check_weight_range


def read_labels(y: Any, name: str) -> np.ndarray:
    """Labels as a 1-D array, or an indicator matrix as a 2-D one."""
    check_collection(y, name, "class labels")
    y = _check_types(y, name)
    if getattr(y, "dtype", np.dtype(float)).kind == "V":
        raise ValueError(f"{name} is an array of {y.dtype}, but class labels are expected.")
    y = check_array(y, dtype=None, ensure_2d=False, input_name=name, accept_sparse=False)
    if y.ndim == 2 and y.shape[1] > 1:
        if y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"{name} has shape {y.shape}, which must be an indicator matrix of 0 and 1; "
                "class labels are one-dimensional."
            )
        return y.astype(np.int64)
    y = column_or_1d(y, warn=True)
    with np.errstate(invalid="ignore"):  # it tries whether large numbers are integers
        check_classification_targets(y)
    return y


def read_classes(classes: Any) -> np.ndarray:
    """The argument `classes` of partial_fit: sorted, each class once."""
    check_collection(classes, "classes", "class labels")
    array = np.asarray(_check_types(classes, "classes"))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"classes={shown(classes)} must be one-dimensional and hold at least two classes."
        )
    try:
        return np.unique(array)
    except TypeError as error:
        raise ValueError(
            f"classes={shown(classes)} cannot be sorted; use strings or numbers: {error}."
        ) from error


def find_classes(y: np.ndarray, classes: Any) -> np.ndarray:
    """The classes of a first fit: those given, or those of y."""
    found = np.unique(y) if classes is None else read_classes(classes)
    if len(found) < 2:
        where = "y has" if classes is None else "classes holds"
        raise ValueError(
            f"{where} only one class, {found.tolist()[0]!r}; LSTMClassifier needs at least "
            "two classes. In partial_fit, `classes` names those that may occur later."
        )
    return found


def check_known(y: np.ndarray, classes: np.ndarray, name: str) -> None:
    """Refuse labels that are not among the classes."""
    strings = {labels.dtype.kind in "US" for labels in (y, classes)}
    if len(strings) > 1 and object not in (y.dtype, classes.dtype):
        raise ValueError(
            f"{name} has labels of dtype {y.dtype}, but the classes are {classes!r}."
        )
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"{name} has labels that are not among the classes {classes!r}: {unknown!r}."
        )


def class_weights(
    class_weight: Any, classes: np.ndarray, indices: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sample weights times the weights of their classes.

    Parameters
    ----------
    class_weight : dict or "balanced"
    classes : array of shape (n_classes,)
    indices : int array of shape (n,)
        Class of each sample.
    weights : array of shape (n,)
        Sample weights, in the model's dtype.
    """
    if isinstance(class_weight, dict):
        by_class = _given_weights(class_weight, classes)
    else:
        counts = np.bincount(indices, weights, minlength=len(classes))
        by_class = counts.sum() / (len(classes) * np.where(counts > 0, counts, np.inf))
    with np.errstate(over="ignore", invalid="ignore"):  # reported below
        exact = weights * by_class[indices]
        product = weights * by_class[indices].astype(weights.dtype)
    return check_weight_range(
        product,
        exact,
        "The product of class_weight and sample_weight",
        nonzero=bool(((weights > 0) & (by_class[indices] > 0)).any()),
    )


def _given_weights(class_weight, classes):
    known = classes.tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise ValueError(
            f"class_weight names {shown(unknown)}, which are not among the classes "
            f"{classes!r}."
        )
    try:
        by_class = np.array([class_weight.get(label, 1.0) for label in known], dtype=float)
    except (OverflowError, TypeError, ValueError):
        by_class = np.empty(0)
    if by_class.ndim != 1 or not (
        by_class.size and (np.isfinite(by_class) & (by_class >= 0)).all()
    ):
        raise ValueError(
            f"class_weight={shown(class_weight)} must hold finite numbers, all at least 0."
        )
    return by_class


def _check_types(y, name):
    """Refuse None, mixtures of strings and numbers, and integers beyond 64 bits."""
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    if isinstance(y, np.ndarray) and y.dtype != object:
        return y
    array = as_array(y, name)
    if array.dtype != object and (array.dtype.kind not in "US" or not isinstance(y, list)):
        return y
    labels = y if isinstance(y, list) and array.ndim == 1 else array.ravel()
    first = next(iter(labels), None)
    for k, label in enumerate(labels):
        if label is None or type(label).__name__ in ("NAType", "NaTType"):
            raise ValueError(f"{name}[{k}] is {label!r}; every sample needs a class label.")
        if getattr(label, "ndim", 0):
            raise ValueError(
                f"{name}[{k}] has {label.ndim} dimension(s), but a class label is one value."
            )
        if isinstance(label, str) != isinstance(first, str):
            raise ValueError(
                f"{name} mixes types of labels: {name}[0] is {shown(first)}, but {name}[{k}] "
                f"is {shown(label)}. Use strings or numbers for all of them."
            )
    if array.dtype == object and len(labels) and all(isinstance(k, Integral) for k in labels):
        if all(-(2**63) <= label < 2**63 for label in labels):
            return array
        raise ValueError(f"{name} has integers beyond 64 bits.")
    return y
