"""What tells values of parameters and data from others, in any process."""

from __future__ import annotations

import functools
import hashlib
import sys
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from ._arguments import shown

MAX_PARTS = 1000  # that a value may hold to be compared in full
MAX_TEXT = 1000  # longer ones are digests


def canonical(value: Any) -> str:
    """The same text for values of a parameter that mean the same, in any process.

    Functions are compared by their code and by what it has closed over, other objects by what
    they hold; modules by name.
    """
    text = _canonical(value, {})
    if len(text) > 100:
        return f"{text[:60]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text


def printable(text: Any) -> str:
    """What canonical gave, if a file is right about that."""
    fits = isinstance(text, str) and len(text) <= 100 and text.isprintable()
    return text if fits else shown(text)


def _canonical(value, seen):
    """canonical, with the texts of what has been seen by id."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 0.0 is 0
    if value is None or isinstance(value, (str, bytes, int, float, complex)):
        return repr(value)
    if isinstance(value, type):
        return repr(value.__name__)  # of a dtype
    if isinstance(value, types.ModuleType):
        return value.__name__
    if id(value) in seen:
        return seen[id(value)][1]
    if len(seen) == MAX_PARTS:
        return type(value).__qualname__
    # Values may hold themselves. They are kept, so that no other gets their id.
    seen[id(value)] = value, type(value).__qualname__
    text = _text_of(value, lambda part: _canonical(part, seen))
    if len(text) > MAX_TEXT:
        text = hashlib.sha256(text.encode()).hexdigest()
    seen[id(value)] = value, text
    return text


def _text_of(value, nested):
    if isinstance(value, np.ndarray):
        return f"array {digest([value])[:16]}"
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)["state"]
        return f"RandomState {digest([state['key'], np.array(state['pos'])])[:16]}"
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(nested, value)))}}}"
    if isinstance(value, Mapping):
        items = (f"{nested(k)}: {nested(v)}" for k, v in value.items())
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(nested, value))}]"
    if isinstance(value, functools.partial):
        return f"partial{nested([value.func, value.args, value.keywords])}"
    if isinstance(value, types.MethodType):
        return f"{value.__func__.__qualname__}{nested([value.__func__, value.__self__])}"
    if isinstance(value, types.FunctionType):
        cells = [_content(cell) for cell in value.__closure__ or ()]
        parts = [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
        return f"{value.__qualname__}{nested(parts)}"
    if isinstance(value, types.CodeType):
        parts = [value.co_code, value.co_consts, value.co_names]
        return hashlib.sha256(nested(parts).encode()).hexdigest()[:16]
    kind = type(value)
    if kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        # Not by what it holds: a logger has all others. The default repr has an address.
        text = repr(value)
        return kind.__qualname__ if " at 0x" in text else text
    # Splitters, scorers and other objects.
    return f"{kind.__qualname__}{nested(dict(getattr(value, '__dict__', {})))}"


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # it is not yet filled
        return None


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
            sums.update(_canonical(array.tolist(), {}).encode())
        else:
            sums.update(array.reshape(-1).view(np.uint8).data)
    return sums.hexdigest()
