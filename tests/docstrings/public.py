"""The public names with their docstrings, and the public methods of public classes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import hela_dask as hd

__all__ = ["CONSTANTS", "Item", "public_items"]

CONSTANTS = {"METHODS", "NO_TRACE", "__version__"}
"""Names of values, which have no docstring of their own."""


@dataclass(frozen=True)
class Item:
    """A function, class, method or property."""

    name: str  # of a method with its class
    content: Any
    kind: str  # "function", "class", "method", "property"

    @property
    def text(self) -> str:
        """The docstring."""
        return inspect.getdoc(self.content) or ""


def public_items() -> list[Item]:
    """All public functions and classes, and the methods that the classes define."""
    found: list[Item] = []
    for name in sorted(set(hd.__all__) - CONSTANTS):
        content = getattr(hd, name)
        kind = "class" if inspect.isclass(content) else "function"
        found.append(Item(name, content, kind))
        if kind == "class":
            found += _methods(name, content)
    return found


def _methods(name: str, content: type) -> list[Item]:
    """Methods and properties of a class and of its bases in this package; each once."""
    found: dict[str, Item] = {}
    for base in content.__mro__:
        if not base.__module__.startswith("hela_dask"):
            continue
        for key, value in vars(base).items():
            if key.startswith("_") or key in found:
                continue
            whole = f"{name}.{key}"
            if isinstance(value, classmethod | staticmethod):
                found[key] = Item(whole, value.__func__, "method")
            elif inspect.isfunction(value):
                found[key] = Item(whole, value, "method")
            elif isinstance(value, property) or hasattr(value, "func"):  # a cached property
                found[key] = Item(whole, value, "property")
    return [*found.values()]
