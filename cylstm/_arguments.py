"""Checks of arguments before they are converted, whose errors name the argument; warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from types import FrameType
from typing import Any

import numpy as np
from scipy.sparse import issparse


def check_collection(x: Any, name: str, expected: str) -> None:
    """Refuse scalars, strings, mappings, sets, iterators, None and sparse matrices."""
    if issparse(x):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' "
            "to convert to a dense numpy array."
        )
    is_array = any(hasattr(x, a) for a in ("__array__", "__array_interface__", "shape"))
    is_list = hasattr(x, "__len__") and hasattr(x, "__getitem__")
    if is_array and getattr(x, "ndim", None) == 0:
        raise ValueError(f"{name} is a scalar, {shown(x)}; expected {expected}.")
    if not is_array and (not is_list or isinstance(x, (str, bytes, bytearray, Mapping))):
        what = "None" if x is None else f"of type {type(x).__name__}"
        raise ValueError(f"{name} is {what}; expected {expected}.")


def shown(value: Any) -> str:
    """repr for an error message, on one line and shortened if it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print integers of thousands of digits
        return f"a very long {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:100]}... ({type(value).__name__})"


@contextmanager
def reading_numbers(name: str) -> Iterator[None]:
    """Name the argument in errors of a conversion to numbers."""
    try:
        # What overflows to infinity is reported afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(
            f"{name} has a number beyond the range of float64: {error}."
        ) from error
    except (TypeError, ValueError) as error:
        text = str(error)
        if "float()" not in text and not text.startswith(("could not convert", "setting an")):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must hold numbers: {text.rstrip('.')}.") from error


def check_numeric(x: Any, name: str) -> None:
    """Refuse arrays that would be converted to numbers without being numbers."""
    dtype = getattr(x, "dtype", None)
    masked = np.ma.isMaskedArray(x)
    kind = getattr(dtype, "kind", "f")
    if kind == "c":
        raise ValueError(f"{name} has dtype {dtype}: Complex data not supported.")
    if masked or kind in "mMV":
        what = "a MaskedArray" if masked else "an array"
        hint = " Use NaN for missing values." if masked else ""
        raise ValueError(f"{name} is {what} of {dtype}, but plain numbers are expected.{hint}")


def as_array(x: Any, name: str) -> np.ndarray:
    """numpy.asarray with the argument's name in its errors."""
    try:
        return np.asarray(x)
    except ValueError as error:  # nested lists of different lengths
        raise ValueError(f"{name} cannot be read as an array: {error}") from error


def as_numbers(x: Any, name: str) -> np.ndarray:
    """An array of real numbers: in float64 where objects stand for them, of which None and
    pandas.NA become NaN."""
    check_numeric(x, name)
    array = as_array(x, name)
    if array.dtype == object:
        with reading_numbers(name):
            if hasattr(x, "iloc"):
                array = x.to_numpy(np.float64, na_value=np.nan)
            else:
                array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; expected numbers."
        )
    return array


def numbers_as_named(x: Any) -> np.ndarray:
    """Numbers of a column's name, such as levels: with the six digits that are shown there, so
    that different ones have different names. NaN if x is something else."""
    try:
        values = np.atleast_1d(np.asarray(x, dtype=object)).ravel()
        if any(isinstance(value, (bool, np.bool_)) for value in values):
            raise TypeError
        return np.array([float(f"{float(value):g}") for value in values])
    except (TypeError, ValueError, OverflowError):
        return np.array([np.nan])


def check_64_bits(settings: dict[str, Any]) -> None:
    """Refuse integers that scikit-learn's intervals and the kernels cannot handle."""
    for name, value in settings.items():
        if isinstance(value, Integral) and not -(2**63) <= int(value) < 2**63:
            raise ValueError(
                f"{name} must fit in 64 bits, but an integer of {int(value).bit_length()} "
                "bits was given."
            )


def warn_caller(message: str) -> None:
    """Warn of the first line up the stack that is neither this package's nor scikit-learn's,
    of which there are more in a Pipeline."""
    frame, level = sys._getframe(), 1
    while frame.f_back and _package_of(frame) in ("cylstm", "sklearn", "joblib"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _package_of(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
