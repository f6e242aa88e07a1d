"""Paths as places: through links, ``..`` and case-insensitive file systems."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hela_dask.errors import ParameterError
from hela_dask.storage.formats import ZARR_MARKS
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = [
    "check_apart",
    "common_folder",
    "enclosing_store",
    "is_within",
    "place_text",
    "relative_path",
    "resolved",
    "same_place",
]


def resolved(path: str | Path) -> Path:
    """The absolute path without links and ``..``.

    Of a path that does not exist yet, its existing part.

    ParameterError for a link that leads to itself.
    """
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:
        raise ParameterError(f"{path} cannot be followed: it is a link that leads to itself") from (
            error
        )


def same_place(one: str | StorePath, other: str | StorePath) -> bool:
    """Whether two paths are one file or folder, however they are spelt."""
    if isinstance(one, StoreUrl) or isinstance(other, StoreUrl):
        return str(one) == str(other)
    first, second = resolved(one), resolved(other)
    if first == second:
        return True
    try:
        return first.samefile(second)
    except OSError:
        return False


def is_within(path: str | StorePath, outer: str | StorePath) -> bool:
    """Whether a path is `outer` or lies inside it."""
    if isinstance(path, StoreUrl) or isinstance(outer, StoreUrl):
        return str(path) == str(outer) or str(path).startswith(f"{outer}/")
    place = resolved(path)
    return any(same_place(part, outer) for part in (place, *place.parents))


def enclosing_store(path: str | Path) -> Path | None:
    """The outermost Zarr group or array that a path lies inside; None where there is none."""
    found = None
    for folder in resolved(path).parents:
        if any((folder / name).is_file() for name in ZARR_MARKS):
            found = folder
    return found


def place_text(place: StorePath) -> str:
    """A place for a file that is read later: the resolved path with ``/``, or the address."""
    return str(place) if isinstance(place, StoreUrl) else resolved(place).as_posix()


def common_folder(folders: Sequence[Path]) -> Path:
    """The nearest folder that holds all of these, which are absolute.

    ParameterError where they share none, as on two drives.
    """
    try:
        return Path(os.path.commonpath([folder.parent for folder in folders]))
    except ValueError as error:
        places = ", ".join(map(str, folders))
        raise ParameterError(f"no folder holds all of {places}: copy them to one drive") from error


def relative_path(path: str | StorePath, base: str | Path) -> str:
    """A path as seen from a folder, with ``/``; the absolute one where they share no root.

    An address stays as it is.
    """
    if isinstance(path, StoreUrl):
        return str(path)
    target = resolved(path)
    try:
        return Path(os.path.relpath(target, resolved(base))).as_posix()
    except ValueError:
        return target.as_posix()


def check_apart(store: StorePath, places: Mapping[str, Path | None], noun: str = "volume") -> None:
    """An output lies neither inside nor around the volume, nor inside any other Zarr.

    `store` is the volume, which is only read, but for its labels; `places` are the outputs, by
    their options. A ParameterError names the option; there, `store` is a `noun`.
    """
    for option, path in places.items():
        if path is None:
            continue
        if same_place(path, store):
            raise ParameterError(f"{option} {path} is the {noun} itself: choose another")
        if is_within(path, store):
            raise ParameterError(f"{option} {path} lies inside the {noun} {store}: choose another")
        if is_within(store, path):
            raise ParameterError(f"{option} {path} holds the {noun} {store}: choose another")
        outer = enclosing_store(path)
        if outer is not None:
            raise ParameterError(f"{option} {path} lies inside the Zarr {outer}: choose another")
