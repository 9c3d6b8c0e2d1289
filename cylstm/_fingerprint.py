"""What tells values of parameters and data from others, in any process."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from ._arguments import shown

MAX_DEPTH = 20  # of what a parameter holds


def canonical(value: Any) -> str:
    """The same text for values of a parameter that mean the same, in any process."""
    text = _canonical(value, 0)
    if len(text) > 100:
        return f"{text[:60]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text


def printable(text: Any) -> str:
    """What canonical gave, if a file is right about that."""
    fits = isinstance(text, str) and len(text) <= 100 and text.isprintable()
    return text if fits else shown(text)


def _canonical(value, depth):
    def nested(part):
        return _canonical(part, depth + 1)

    if depth > MAX_DEPTH:
        return type(value).__qualname__
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)["state"]
        return f"RandomState {digest([state['key'], np.array(state['pos'])])[:16]}"
    if isinstance(value, np.ndarray):
        return nested(value.tolist())
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(nested, value)))}}}"
    if isinstance(value, Mapping):
        items = (f"{nested(k)}: {nested(v)}" for k, v in value.items())
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(nested, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 0.0 is 0
    if value is None or isinstance(value, (str, bytes, int, float, complex)):
        return repr(value)
    if isinstance(value, type):
        return repr(value.__name__)  # of a dtype
    if isinstance(value, functools.partial):
        return f"partial{nested([value.func, value.args, value.keywords])}"
    if isinstance(value, types.MethodType):
        return f"{value.__func__.__qualname__}{nested([value.__func__, value.__self__])}"
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = value.__code__, value.__defaults__, value.__kwdefaults__, cells
        return f"{value.__qualname__}{nested(parts)}"
    if isinstance(value, types.CodeType):
        parts = value.co_code, value.co_consts, value.co_names
        return hashlib.sha256(nested(parts).encode()).hexdigest()[:16]
    # Splitters, scorers and other objects, by what they hold.
    held = getattr(value, "__dict__", {})
    return f"{type(value).__qualname__}{nested(held)}"


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
            sums.update(_canonical(array, 0).encode())
        else:
            sums.update(array.reshape(-1).view(np.uint8).data)
    return sums.hexdigest()
