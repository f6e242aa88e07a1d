"""Packages of the extra ``[formats]``, imported when a file needs them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from hela_dask.errors import MissingDependencyError

__all__ = ["needed"]


def needed(module: str, path: Path, kind: str) -> Any:
    """Import a module that reads a kind of file; MissingDependencyError where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{path} is {kind}, and {package}, which reads it, is not installed: "
            "pip install 'hela_dask[formats]'"
        ) from error
