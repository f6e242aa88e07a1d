"""The metadata of an OME-Zarr store (0.4 or 0.5): levels, voxel sizes in nm, labels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict

from hela_dask.documents.reading import Document, check_document
from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.formatting import by_axis, printable
from hela_dask.pages import Card, Frame, Shown, make_card
from hela_dask.storage.formats import (
    KIND_NAMES,
    TIFF_SUFFIXES,
    ZARR_MARKS,
    how_to_read,
    is_n5,
    read_kind,
)
from hela_dask.storage.level import Level, iterate_slabs, slab_marks, slab_ranges
from hela_dask.storage.level_order import read_pyramid
from hela_dask.storage.nodes import Node, is_node, read_node
from hela_dask.storage.ome import find_multiscale, ome_content
from hela_dask.storage.urls import StorePath, StoreUrl, local_folder, local_path, store_path

__all__ = [
    "Image",
    "Level",
    "check_store_path",
    "listed_labels",
    "local_path",
    "read_image",
    "slab_marks",
    "slab_ranges",
]

_LOOKED_AT = 64  # folders in which an image is looked for, to name one


class _Notes(Document):
    """The metadata of this package in the groups that it writes."""

    model_config = ConfigDict(extra="allow")

    complete: bool = True
    run: str | None = None
    source: dict[str, Any] | None = None


@dataclass(frozen=True)
class Image(Shown):
    """The metadata of an OME-Zarr image or label group."""

    path: StorePath  # the group; :attr:`folder` for whatever is no reader
    name: str  # ``"image"``, or the name of the label group
    version: str  # ``"0.4"`` or ``"0.5"``
    dtype: np.dtype[Any]  # of the voxels
    levels: tuple[Level, ...]  # finest first
    labels: tuple[str, ...]  # names of the label groups inside
    complete: bool = True  # false while the writer of the store has not finished it
    # This package's own metadata of the group; empty for other stores
    attributes: Mapping[str, Any] = field(default_factory=dict)
    # (z, y, x): The units of its lengths by their names in the specification; nm where none is
    # known
    units: tuple[str, str, str] = ("nanometer", "nanometer", "nanometer")
    zarr_format: Literal[2, 3] = 3  # of the group
    # Peculiarities of the metadata and their treatment: sentences for a warning
    remarks: tuple[str, ...] = ()

    def _card(self) -> Card:
        finest = self.levels[0]
        rows = tuple(
            (level.path, by_axis(level.shape), by_axis(level.voxel_size), by_axis(level.chunks))
            for level in self.levels
        )
        return make_card(
            f"OME-Zarr {self.version} {self.path}",
            {
                "shape": f"{by_axis(finest.shape)} voxels (z, y, x), {self.dtype}",
                "voxel size": f"{by_axis(finest.voxel_size)} nm",
                "labels": ", ".join(self.labels),
            },
            state="good" if self.complete else "poor",
            badge="" if self.complete else "not finished",
            warnings=self.remarks,
            tables=(("", Frame(("level", "shape", "voxel size (nm)", "chunk"), rows)),),
        )

    @property
    def folder(self) -> Path:
        """The group, where it is a folder of this machine; an InputError for an address."""
        return local_folder(self.path)


def read_image(path: str | Path | StoreUrl, *, unknown_scale: bool = False) -> Image:
    """Describe the OME-Zarr image or label group at `path`; reads metadata only.

    Parameters
    ----------
    path : str, Path or StoreUrl
        Folder or address (http, https, s3, gs) of an OME-Zarr 0.4 or 0.5 image, or of a label group
        inside one: 2D, 3D, or with more axes of length one, anywhere among them. Lengths in any
        unit become nm. A 2D image has one slice, as thick as its pixels are high.
    unknown_scale : bool
        Take a store without voxel size too; its voxel sizes are then NaN.

    Raises
    ------
    MissingInputError
        When there is nothing at `path`.
    InputError
        When it is not such a store, or one that cannot be used here.
    StorageError
        When it is remote and its server cannot be reached, or refuses access.
    """
    path = store_path(path)
    group = _open_group(path)
    found = find_multiscale(group.attributes, str(path))
    if found is None:
        raise InputError(f"{path} is not an OME-Zarr image or label group ({_hint(path, group)})")
    version, multiscale, remarks = found
    pyramid = read_pyramid(path, multiscale)
    finest = pyramid.levels[0]
    if not unknown_scale and any(math.isnan(size) for size in finest.voxel_size):
        unit = pyramid.axes.unknown() or "it has no scale"
        raise InputError(
            f"{path} does not state its voxel size ({unit}); convert it to a store that does: "
            "hela-dask convert SRC DST.ome.zarr --voxel-size Z Y X"
        )
    for level in pyramid.levels:
        if not unknown_scale and any(math.isnan(size) for size in level.voxel_size):
            raise InputError(
                f"{path} states no scale for its level {level.path}, but one for level "
                f"{finest.path}: correct its metadata, or convert it again"
            )
    own = group.attributes.get("hela_dask", {})
    notes = check_document(own, _Notes, f"{path} has unreadable zarr metadata: hela_dask")
    labels, damaged = _label_names(path)
    return Image(
        path=path,
        name=path.name if _is_label(path, group) else "image",
        version=version,
        dtype=pyramid.dtype,
        levels=pyramid.levels,
        labels=labels,
        complete=notes.complete or _all_marked(path, finest),
        attributes=own,
        units=_units(pyramid.axes),
        zarr_format=group.zarr_format,
        remarks=(*remarks, *pyramid.remarks, *damaged),
    )


def _units(axes: Any) -> tuple[str, str, str]:
    z, y, x = (axes.unit(axis) or "nanometer" for axis in "zyx")
    return z, y, x


def _all_marked(path: StorePath, level: Level) -> bool:
    """Whether every slab is there, though no writer saw the marks of all others."""
    if isinstance(path, StoreUrl):  # its writer works on another machine, and had finished
        return False
    marks = slab_marks(path, level)
    return all((marks / str(start)).exists() for start, _ in iterate_slabs(level))


def check_store_path(path: Path) -> None:
    """Raise InputError for a path that is not UTF-8: the compiled codecs of zarr open none such."""
    full = str(path.absolute())
    if printable(full) != full:
        raise InputError(
            f"{printable(full)} is not UTF-8 (see the \\x), which zarr stores need: rename the "
            "folder, or choose another one"
        )


def _open_group(path: StorePath) -> Node:
    """The group at `path`, or an error with the reason why there is none."""
    if isinstance(path, StoreUrl):
        return _open_remote(path)
    check_store_path(path)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist")
    if not path.is_dir():
        kind = KIND_NAMES.get(read_kind(path) or "")
        if kind is None:
            raise InputError(how_to_read(path))
        raise InputError(
            f"{path} is {kind}, not an OME-Zarr store: convert it first with "
            f"hela-dask convert {path} {path.with_suffix('.ome.zarr').name} --voxel-size Z Y X"
        )
    node = read_node(path)
    if node is None:
        if any(item.suffix.lower() in TIFF_SUFFIXES for item in path.iterdir()):
            raise InputError(
                f"{path} is a folder of slices, not an OME-Zarr store: convert it first with "
                f"hela-dask convert {path} {path.name}.ome.zarr --voxel-size Z Y X"
            )
        if is_n5(path):
            raise InputError(
                f"{path} is an N5 container, not an OME-Zarr store: convert it first with "
                f"hela-dask convert {path} {path.stem}.ome.zarr --voxel-size Z Y X"
            )
        hint = _image_inside(path)
        if hint is None:
            raise InputError(how_to_read(path))
        raise InputError(
            f"{path} is not an OME-Zarr store (no zarr metadata in it); name an image inside it, "
            f"such as {hint}"
        )
    if node.is_array:
        raise InputError(f"{path} is one array of a store: name the group that holds it")
    return node


def _open_remote(url: StoreUrl) -> Node:
    """The group at an address, or an error that names the files that are missing."""
    node = read_node(url)
    if node is not None and not node.is_array:
        return node
    if node is not None:
        raise InputError(f"{url} is one array of a store: name the group that holds it")
    looked = ", ".join(ZARR_MARKS)
    if url.exists():
        raise InputError(
            f"{url} is a file, not an OME-Zarr store (none of {looked} is below it): unpack or "
            "convert it, and name the store"
        )
    raise MissingInputError(f"{url} holds no OME-Zarr store: none of {looked} is there")


def _hint(path: StorePath, group: Node) -> str:
    """The kind of a group without a pyramid, and the path to give instead."""
    content = ome_content(group.attributes, str(path))
    names = content.get("labels")
    if not isinstance(names, list) or not names:
        names = [f"labels/{name}" for name in _label_names(path)[0]]
    if names:
        return f"it holds the label groups {', '.join(map(str, names[:20]))}: name one of them"
    kind = next(
        (
            text
            for key, text in (
                ("bioformats2raw.layout", "it is a collection"),
                ("plate", "it is a plate of many images"),
                ("well", "it is a well of many images"),
            )
            if key in content
        ),
        "",
    )
    inside = None if isinstance(path, StoreUrl) else _image_inside(path)
    if inside is not None:
        return f"{kind or 'it holds images'}: name one of its images, such as {inside}"
    return f"{kind}, and none of its images is found" if kind else "no multiscales metadata"


def _image_inside(path: Path) -> Path | None:
    """The first image in some folders inside, wherever collections and plates keep them."""
    for folder in itertools.islice(_folders(path, 4), _LOOKED_AT):
        try:
            node = read_node(folder)
            if node and not node.is_array and find_multiscale(node.attributes, str(folder)):
                return folder
        except (HelaDaskError, OSError):
            continue
    return None


def _folders(path: Path, depth: int) -> Iterator[Path]:
    """Folders inside a group, in natural order, not those of arrays."""
    try:
        inside = sorted(
            (item for item in path.iterdir() if item.is_dir() and not item.name.startswith(".")),
            key=lambda item: (len(item.name), item.name),
        )
    except OSError:
        return
    inside = [
        item
        for item in inside[:_LOOKED_AT]
        if not (item / ".zarray").exists() and (depth > 1 or is_node(item))
    ]
    yield from inside
    if depth > 1:
        for item in inside:
            yield from _folders(item, depth - 1)


def _is_label(path: StorePath, group: Node) -> bool:
    """Whether a group is marked as a label group, or the group around it lists it as one."""
    if "image-label" in ome_content(group.attributes, str(path)):
        return True
    if isinstance(path, StoreUrl) and path.parent.name != "labels":
        return False  # above a store, a server may refuse access
    return path.absolute().name in (listed_labels(path.absolute().parent) or ())


def _label_names(path: StorePath) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the label groups registered inside `path`; a remark where they are damaged."""
    try:
        return listed_labels(path / "labels") or (), ()
    except HelaDaskError as error:
        return (), (f"the labels of {path} cannot be listed: {error}",)


def listed_labels(folder: StorePath) -> tuple[str, ...] | None:
    """Names in the list of label groups of a folder ``labels``; None where there is no list."""
    node = read_node(folder)
    if node is None or node.is_array:
        return None
    names = ome_content(node.attributes, str(folder)).get("labels", [])
    return tuple(name for name in names if _safe(name)) if isinstance(names, list) else ()


def _safe(name: Any) -> bool:
    """Whether a name in metadata is that of a folder inside."""
    if not isinstance(name, str):
        return False
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and parts[0] != "/" and "\0" not in name
