"""JSON without what readers disagree on: NaN, infinities, a key twice, huge numbers.

A float that JSON lacks is the object {"__float__": "nan"}, or "inf" or "-inf".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ._arguments import shown

FLOAT_KEY = "__float__"
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# Deeper ones could exceed Python's recursion limit wherever they are read or shown.
MAX_DEPTH = 100
TOO_DEEP = f"values are nested more than {MAX_DEPTH} deep"

# Far beyond the 128 bits of a random generator's state. Python takes quadratic time to read
# an integer.
MAX_DIGITS = 100

# JSON escapes each alone and reads both as one character.
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def dumps(value: Any, name: str) -> str:
    """A value as JSON text in ASCII.

    Floats, also those that are not finite, integers of up to MAX_DIGITS digits and str come
    back as they are; tuples come back as lists and NumPy's scalars as Python's numbers.

    Parameters
    ----------
    value : None, bool, number, str, or list, tuple or Mapping of such
        The keys of mappings are str.
    name : str
        Of the value in errors.

    Raises
    ------
    TypeError
        If there is anything else in it.
    ValueError
        If loads would not return an integer, str or mapping as it is, or values are nested
        more than MAX_DEPTH deep.
    """
    return json.dumps(_plain(value, name, 0), allow_nan=False, separators=(",", ":"))


def _plain(value: Any, where: str, depth: int) -> Any:
    """A value as json.dumps expects it; depth is the number of values around it."""
    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str):
        if _PAIR.search(value):
            raise ValueError(f"{where} has two surrogates in a row: {shown(value)}")
        return value
    if isinstance(value, (int, np.integer)):
        value = int(value)
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"{where} is an integer of more than {MAX_DIGITS} digits")
        return value
    if isinstance(value, (float, np.floating)):
        value = float(value)
        return value if math.isfinite(value) else {FLOAT_KEY: str(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {shown(key)}, which is not a str")
            if key == FLOAT_KEY:
                raise ValueError(f"{where} has the key {key!r}, which stands for a float")
            _plain(key, f"a key of {where}", depth)
        return {
            key: _plain(x, f"{where}[{shown(key)}]", depth + 1) for key, x in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(x, f"{where}[{k}]", depth + 1) for k, x in enumerate(value)]
    raise TypeError(f"{where} is of type {type(value).__name__}, which JSON does not have")


def loads(text: str) -> Any:
    """The value that dumps made a text of.

    Raises
    ------
    ValueError
        If the text is anything else.
    """
    return _parse(text, _object_or_float)


def parse(text: str) -> Any:
    """What a JSON text stands for, where FLOAT_KEY is a key like any other.

    Raises
    ------
    ValueError
        If the text is not JSON, has a key twice or a number that is infinite or longer than
        MAX_DIGITS, or if values are nested more than MAX_DEPTH deep.
    """
    return _parse(text, _object)


def _parse(text: str, read_object: Callable) -> Any:
    try:
        value = json.loads(
            text,
            object_pairs_hook=read_object,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            x
            for outer in level
            if isinstance(outer, (dict, list))
            for x in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise ValueError(TOO_DEEP)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {shown(key)} occurs twice")
        values[key] = value
    return values


def _object_or_float(pairs: list[tuple[str, Any]]) -> Any:
    values = _object(pairs)
    if FLOAT_KEY not in values:
        return values
    name = values[FLOAT_KEY]
    if len(values) > 1 or not isinstance(name, str) or name not in _FLOATS:
        raise ValueError(f"{shown(values)} is not a float")
    return _FLOATS[name]


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise ValueError(f"a number is too long or too large: {shown(digits)}")
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
