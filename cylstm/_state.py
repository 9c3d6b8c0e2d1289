"""Objects of private classes as plain values, and back.

What an estimator leaves in a pickle or a file are numbers, strings, arrays, lists, tuples,
dicts and objects of public classes: who reads it need not know how cylstm is made inside. An
object of a private class is the dict of its state with its name at CLASS_KEY.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

CLASS_KEY = "__class__"

# Name of each class -> its module.
PRIVATE = {
    "Adam": "_optimizers",
    "AdamW": "_optimizers",
    "Architecture": "_network",
    "ArrayForm": "_forms",
    "ColumnRoles": "_panel",
    "Frequency": "_dates",
    "History": "_training",
    "InputFormat": "_checks",
    "LinearPart": "_linear",
    "ListForm": "_forms",
    "LongForm": "_forms",
    "Network": "_network",
    "Optimizer": "_optimizers",
    "Panel": "_panel",
    "SGD": "_optimizers",
    "TableForm": "_forms",
    "TimeType": "_frames",
    "Vocabulary": "_vocabulary",
    "WindowLayout": "_windows",
}


def plain(value: Any) -> Any:
    """A value in which each object of a private class has become a dict. Arrays are those of
    the value, not copies."""
    kind = type(value)
    if kind is dict:
        return {key: plain(x) for key, x in value.items()}
    if kind is list or kind is tuple:
        return kind(map(plain, value))
    if f"cylstm.{PRIVATE.get(kind.__name__)}" != kind.__module__:
        return value
    state = value.__getstate__() or {}
    return {CLASS_KEY: kind.__name__, **{key: plain(x) for key, x in state.items()}}


def rebuilt(value: Any) -> Any:
    """The value that `plain` made this of."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(rebuilt, value))
    if kind is not dict:
        return value
    state = {key: rebuilt(x) for key, x in value.items()}
    name = state.pop(CLASS_KEY, None)
    return state if name is None else build(name, state)


def build(name: str, state: dict[str, Any]) -> Any:
    """An object of a private class in this state."""
    kind = getattr(import_module(f".{PRIVATE[name]}", __package__), name)
    made = object.__new__(kind)
    if hasattr(kind, "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)
    return made
