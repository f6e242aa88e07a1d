"""Names of the registered methods, without loading any."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points

from hela_dask.documents.shapes import shown
from hela_dask.errors import ParameterError
from hela_dask.parameters import method_groups

__all__ = ["DEFAULT_METHOD", "METHODS", "method_path", "methods_text"]

DEFAULT_METHOD = "unet"


@functools.cache
def _points() -> dict[str, EntryPoint]:
    found = {point.name: point for point in entry_points(group="hela_dask.methods")}
    return {
        name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT_METHOD, name))
    }


METHODS = tuple(_points())
"""Names of the registered methods, the default first."""


def method_path(name: str) -> str:
    """Path of a method, as ``package.module:name``.

    Raises
    ------
    ParameterError
        When there is no such method; the message lists the registered ones.
    """
    point = _points().get(name)
    if point is not None:
        return point.value
    if ":" not in name:
        raise ParameterError(f"unknown method {shown(name, 80)}; known: {', '.join(METHODS)}")
    return name


def methods_text() -> str:
    """The methods with the description of their parameter group, for the help of a command."""
    groups = method_groups()
    message = {name: (groups[name].__doc__ or "").split("\n")[0].rstrip(".") for name in groups}
    return "; ".join(f"{name} ({message[name]})" if name in message else name for name in METHODS)
