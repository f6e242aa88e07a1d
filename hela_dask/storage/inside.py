"""Paths with a place inside a container (``file.h5::/raw``): the container and the place in it."""

from __future__ import annotations

from pathlib import Path

from hela_dask.storage.urls import local_path

__all__ = ["INSIDE", "container_of", "split_inside"]

INSIDE = "::"


def split_inside(path: str | Path) -> tuple[Path, str | None]:
    """The file or folder of a path, and the place behind ``::`` in it; None where there is none.

    A file or folder with ``::`` in its name is taken as it is.

    Examples
    --------
    >>> split_inside("stack.h5::/volumes/raw")[1]
    'volumes/raw'
    """
    whole = local_path(path)
    container, mark, inside = str(whole).partition(INSIDE)
    if not (mark and container) or whole.exists():
        return whole, None
    return Path(container), inside.replace("\\", "/").strip("/")


def container_of(path: str | Path) -> Path:
    """The file or folder of a path with or without a place behind ``::``."""
    return split_inside(path)[0]
