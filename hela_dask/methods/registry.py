"""The methods that packages register, by name; this package's own among them.

A method is an entry point of the group ``hela_dask.methods``: an instance that fulfils
:class:`~hela_dask.methods.method.Method`, or a function of a window and parameters. A function that
is not registered is named by its path, as ``package.module:function``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import cast

from hela_dask.errors import ParameterError
from hela_dask.methods.base import FunctionMethod
from hela_dask.methods.method import Masks, Method, Window
from hela_dask.methods.names import METHODS, method_path
from hela_dask.parameters import Parameters, method_groups
from hela_dask.parameters.fields import ParameterGroup

__all__ = [
    "MethodLike",
    "get_method",
    "group_names",
    "has_network",
    "method_name",
]

MethodLike = str | Method | Callable[[Window, Parameters], Masks]
"""The name of a method, its path, or the method itself."""


def get_method(method: MethodLike) -> Method:
    """The method of a name or a path; a method or a function is returned unchanged.

    Raises
    ------
    ParameterError
        When there is no such method; the message lists the registered ones.
    """
    if not isinstance(method, str):
        return _as_method(method)
    return _loaded(method)


@functools.cache
def _loaded(name: str) -> Method:
    module, _, attribute = method_path(name).partition(":")
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"method {name!r} cannot be imported: {error}") from error
    return _as_method(found)


def _as_method(found: object) -> Method:
    if inspect.isfunction(found):
        return FunctionMethod(found)
    if not callable(found) or not hasattr(found, "memory"):
        raise ParameterError(f"{found!r} is no method: see hela_dask.Method")
    return cast(Method, found)


def method_name(method: MethodLike) -> str:
    """The name of a method as run.json keeps it: workers import the method by it.

    Raises
    ------
    ParameterError
        For a function that workers cannot import, such as one that is defined in a notebook.
    """
    if isinstance(method, str):
        get_method(method)
        return method
    module = sys.modules[method.__module__]
    name = next((name for name, item in vars(module).items() if item is method), "")
    if module.__name__ == "__main__" or not name:
        raise ParameterError(
            f"workers cannot import {getattr(method, '__qualname__', method)!r}: put it into a "
            "module that they can import (method=package.module:function), or use segment_cell, "
            "which needs no workers"
        )
    place = f"{module.__name__}:{name}"
    get_method(place)
    return next((known for known in METHODS if method_path(known) == place), place)


def group_names(method: str) -> tuple[str, ...]:
    """Names of the groups of parameters that a method reads, its own first.

    Raises
    ------
    ParameterError
        When one is not registered.
    """
    found = get_method(method)
    own = () if found.parameters is None else (found.parameters,)
    return tuple(_name_of(kind, method) for kind in (*own, *found.reads))


def _name_of(kind: type[ParameterGroup], method: str) -> str:
    for name, known in method_groups().items():
        if known is kind:
            return name
    raise ParameterError(
        f"method {method} reads {kind.__name__}, which no package registers as an entry point of "
        "the group hela_dask.parameters: see examples/plugin"
    )


def has_network(name: str) -> bool:
    """Whether a method uses a network."""
    own = get_method(name).parameters
    return own is not None and "model" in own.__dataclass_fields__  # type: ignore[attr-defined]
