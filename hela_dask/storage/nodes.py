"""The metadata files of a Zarr hierarchy (v2 and v3), read and checked before zarr sees them.

zarr itself waits for ever on a named pipe and recurses on nested brackets. Whatever opens a group
or an array asks :func:`read_node` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import zarr
from pydantic import Field

from hela_dask.documents.reading import Document, check_document, parse_json, read_json
from hela_dask.errors import HelaDaskError, InputError, MissingInputError, StorageError
from hela_dask.storage.formats import ZARR_MARKS
from hela_dask.storage.remote_store import zarr_store
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = ["Node", "is_node", "open_array", "read_node", "unique_error"]


_LARGEST = 32 * 2**20  # bytes: labels describe each of their cells
Length = Annotated[int, Field(ge=0)]
Shape = TypeVar("Shape", bound=Document)


class _V3(Document):
    """A ``zarr.json``."""

    zarr_format: Literal[3]
    node_type: Literal["group", "array"]
    attributes: dict[str, Any] | None = None
    consolidated_metadata: dict[str, Any] | None = None
    shape: list[Length] | None = None


class _V2Group(Document):
    """A ``.zgroup``."""

    zarr_format: Literal[2]


class _V2Array(Document):
    """A ``.zarray``."""

    zarr_format: Literal[2]
    shape: list[Length]


@dataclass(frozen=True)
class Node:
    """A group or an array, as its metadata files describe it."""

    folder: StorePath
    zarr_format: Literal[2, 3]
    attributes: Mapping[str, Any]  # attributes of users and other formats
    shape: tuple[int, ...] | None = None  # of an array; None for a group
    # Whether the group keeps a copy of the metadata of all that is inside
    consolidated: bool = False

    @property
    def is_array(self) -> bool:
        """Whether it is an array, not a group."""
        return self.shape is not None


def is_node(folder: StorePath) -> bool:
    """Whether there is any Zarr metadata in a folder; reads nothing."""
    return any((folder / name).exists() for name in ZARR_MARKS)


def read_node(folder: StorePath) -> Node | None:
    """Read and check the metadata of the group or array in `folder`; None where nothing does.

    Where both formats are there, v3 counts, unless only v2 has attributes. An InputError names a
    metadata file that is damaged, is no regular file, or has another shape.
    """
    if not (folder / "zarr.json").exists():
        return _read_v2(folder)
    node = _read_v3(folder)
    if not node.attributes and not node.is_array and (folder / ".zattrs").exists():
        return _read_v2(folder)
    return node


def open_array(folder: StorePath, mode: Literal["r", "r+"] = "r") -> zarr.Array[Any]:
    """Open one array by zarr, after a look at its metadata files.

    MissingInputError where no array is there; InputError where its metadata cannot be read, or
    zarr cannot use them.
    """
    node = read_node(folder)
    if node is None or not node.is_array:
        there = "holds no array" if folder.is_dir() else "does not exist"
        raise MissingInputError(f"{folder} {there}")
    try:
        return zarr.open_array(zarr_store(folder, mode), mode=mode, zarr_format=node.zarr_format)
    except HelaDaskError:
        raise
    except Exception as error:  # zarr raises whatever it meets: codecs, types, keys
        raise InputError(
            f"{folder} is an array that cannot be used: {unique_error(error)}"
        ) from error


def unique_error(error: Exception) -> str:
    """The text of an error, on one line; its class if the text is empty."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__


def _read_v3(folder: StorePath) -> Node:
    found = _document(folder / "zarr.json", _V3)
    if found.node_type == "array" and found.shape is None:
        raise InputError(f"{folder / 'zarr.json'}: shape is missing")
    shape = tuple(found.shape or ()) if found.node_type == "array" else None
    return Node(folder, 3, found.attributes or {}, shape, found.consolidated_metadata is not None)


def _read_v2(folder: StorePath) -> Node | None:
    there = [name for name in (*ZARR_MARKS[1:], ".zmetadata") if (folder / name).exists()]
    if not set(there) - {".zmetadata"}:
        return None
    shape = None
    if ".zarray" in there:
        shape = tuple(_document(folder / ".zarray", _V2Array).shape)
    elif ".zgroup" in there:
        _document(folder / ".zgroup", _V2Group)
    attributes: dict[str, Any] = {}
    if ".zattrs" in there:
        attributes = _content(folder / ".zattrs")
        if not isinstance(attributes, dict):
            raise InputError(f"{folder / '.zattrs'} has unreadable zarr metadata: it is no table")
    return Node(folder, 2, attributes, shape, ".zmetadata" in there)


def _document(path: StorePath, shape: type[Shape]) -> Shape:
    return check_document(_content(path), shape, f"{path} has unreadable zarr metadata")


def _content(path: StorePath) -> Any:
    try:
        if isinstance(path, StoreUrl):
            return parse_json(path.read_bytes(_LARGEST), str(path))
        return read_json(path, _LARGEST)
    except (MissingInputError, StorageError):
        raise
    except InputError as error:
        raise InputError(f"{path.parent} has unreadable zarr metadata: {error}") from error
