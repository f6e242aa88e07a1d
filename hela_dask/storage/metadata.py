"""What an OME-Zarr store (0.4 or 0.5) says about itself: levels, voxel sizes in nm, labels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.units import to_nm

__all__ = [
    "NOT_STORES",
    "Image",
    "Level",
    "Triple",
    "local_path",
    "read_image",
    "slab_marks",
    "slab_ranges",
]

Triple = tuple[float, float, float]

NOT_STORES = {".tif": "a TIFF", ".tiff": "a TIFF", ".mrc": "an MRC", ".rec": "an MRC"}


@dataclass(frozen=True)
class Level:
    """One level of the pyramid; every triple is in the order z, y, x.

    Attributes
    ----------
    path : str
        Name of the array inside its group.
    shape : tuple of int
        Voxels.
    voxel_size, translation : tuple of float
        Size of a voxel and place of the first voxel's centre, nm.
    chunks : tuple of int
        Chunk of the stored array, voxels.
    shards : tuple of int or None
        Shard of the stored array, voxels; None where it is not sharded.
    """

    path: str
    shape: tuple[int, int, int]
    voxel_size: Triple
    translation: Triple
    chunks: tuple[int, int, int]
    shards: tuple[int, int, int] | None

    @property
    def file(self) -> tuple[int, int, int]:
        """Voxels in a file: a shard, or a chunk where the array is not sharded."""
        return self.shards or self.chunks


@dataclass(frozen=True)
class Image:
    """What an OME-Zarr image or label group says about itself.

    Attributes
    ----------
    path : Path
        The group.
    name : str
        ``"image"``, or the name of the label group.
    version : str
        ``"0.4"`` or ``"0.5"``.
    dtype : numpy.dtype
        Of the voxels.
    levels : tuple of Level
        Finest first.
    labels : tuple of str
        Names of the label groups inside.
    complete : bool
        False while the writer of the store has not finished it.
    attributes : mapping
        What this package noted in the group when it wrote it; empty for other stores.
    """

    path: Path
    name: str
    version: str
    dtype: np.dtype[Any]
    levels: tuple[Level, ...]
    labels: tuple[str, ...]
    complete: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read_image(path: str | Path, *, unknown_scale: bool = False) -> Image:
    """Describe the OME-Zarr image or label group at `path`; reads metadata only.

    Parameters
    ----------
    path : str or Path
        Folder of an OME-Zarr 0.4 or 0.5 image, or of a label group inside one: 2D, 3D, or with
        more axes of length one. Lengths in any unit become nm. A 2D image has one slice, as
        thick as its pixels are high.
    unknown_scale : bool
        Take a store without voxel size too; its voxel sizes are then NaN.

    Raises
    ------
    MissingInputError
        When there is nothing at `path`.
    InputError
        When it is not such a store, or one that cannot be used here.
    """
    path = local_path(path)
    group = _open_group(path)
    attributes: dict[str, Any] = group.attrs.asdict()
    version, multiscales = _multiscales(path, group, attributes)
    axes = _axes(path, multiscales)
    levels = tuple(_level(path, group, axes, multiscales, item) for item in multiscales["datasets"])
    if not levels:
        raise InputError(f"{path} lists no resolution level in its metadata")
    if not unknown_scale and any(math.isnan(size) for size in levels[0].voxel_size):
        raise InputError(
            f"{path} does not say its voxel size (no scale, or axes without a unit of length); "
            "convert it to a store that does: hela-dask convert SRC DST.ome.zarr --voxel-size Z Y X"
        )
    ome = attributes.get("ome", attributes)
    is_label = "image-label" in ome or path.parent.name == "labels"
    own = attributes.get("hela_dask", {})
    return Image(
        path=path,
        name=path.name if is_label else "image",
        version=version,
        dtype=np.dtype(_array(path, group, multiscales["datasets"][0]["path"]).dtype),
        levels=levels,
        labels=_label_names(group),
        complete=bool(own.get("complete", True)) or _all_marked(path, levels[0]),
        attributes=own,
    )


def slab_marks(path: Path, level: Level) -> Path:
    """Folder beside the chunks of level 0 with one empty file for each slab that is written."""
    return path / level.path / ".slabs"


def slab_ranges(level: Level) -> list[tuple[int, int]]:
    """Ranges of slices that are written together, as deep as a shard, the last one clipped."""
    depth = level.file[0]
    return [(z, min(z + depth, level.shape[0])) for z in range(0, level.shape[0], depth)]


def _all_marked(path: Path, level: Level) -> bool:
    """Whether every slab is there, though no writer saw the marks of all others."""
    marks = slab_marks(path, level)
    return all((marks / str(start)).exists() for start, _ in slab_ranges(level))


def local_path(path: str | Path) -> Path:
    """`path` as a Path, after a sentence for what is not a local path (a URL)."""
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise InputError(
            f"{path} is a URL, which is not supported yet: copy it to a local folder first"
        )
    return Path(path)


def _open_group(path: Path) -> zarr.Group:
    """Open the group at `path` for reading, or say in one sentence why not."""
    if not path.exists():
        raise MissingInputError(f"{path} does not exist")
    if path.is_file():
        kind = NOT_STORES.get(path.suffix.lower(), "a file")
        raise InputError(
            f"{path} is {kind}, not an OME-Zarr store: convert it first with "
            f"hela-dask convert {path} {path.with_suffix('.ome.zarr').name} --voxel-size Z Y X"
        )
    if _is_array(path):
        raise InputError(f"{path} is one array of a store: name the group that holds it")
    try:
        return zarr.open_group(LocalStore(path, read_only=True), mode="r", use_consolidated=False)
    except FileNotFoundError as error:
        if any(item.suffix.lower() in NOT_STORES for item in path.iterdir()):
            raise InputError(
                f"{path} is a folder of slices, not an OME-Zarr store: convert it first with "
                f"hela-dask convert {path} {path.name}.ome.zarr --voxel-size Z Y X"
            ) from error
        raise InputError(f"{path} is not an OME-Zarr store (no zarr metadata in it)") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} has unreadable zarr metadata: {error}") from error


def _is_array(path: Path) -> bool:
    if (path / ".zarray").exists():
        return True
    try:
        return bool(json.loads((path / "zarr.json").read_bytes()).get("node_type") == "array")
    except (OSError, ValueError, AttributeError):
        return False


def _multiscales(
    path: Path, group: zarr.Group, attributes: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Version of the format and the first multiscale image's metadata."""
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, Mapping):
        raise InputError(f"{path} has unreadable zarr metadata: its 'ome' is {ome!r}")
    found = ome.get("multiscales")
    if not (isinstance(found, list) and found and isinstance(found[0], dict)):
        names = ome.get("labels") or [f"labels/{name}" for name in _label_names(group)]
        hint = "no multiscales metadata"
        if isinstance(names, list) and names:
            hint = f"it holds the label groups {', '.join(map(str, names))}: name one of them"
        elif "bioformats2raw.layout" in ome:
            hint = f"it is a collection: name one of its images, for instance {path / '0'}"
        raise InputError(f"{path} is not an OME-Zarr image or label group ({hint})")
    version = str(ome.get("version") if "ome" in attributes else found[0].get("version", "0.4"))
    if version not in ("0.4", "0.5"):
        raise InputError(f"{path} is OME-Zarr {version}; versions 0.4 and 0.5 are read")
    if not isinstance(found[0].get("datasets"), list):
        raise InputError(f"{path} lists no resolution level in its metadata")
    return version, found[0]


def _axes(path: Path, multiscales: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """Names of the axes, each with the length of its unit in nm."""
    axes = [
        (str(axis.get("name", "")).lower(), to_nm(axis.get("unit", "")))
        for axis in multiscales.get("axes", [])
        if isinstance(axis, Mapping)
    ]
    space = [name for name, _ in axes if name in "zyx"]
    if space not in (["z", "y", "x"], ["y", "x"]):
        names = ", ".join(name for name, _ in axes) or "none"
        raise InputError(f"{path} must have the axes z, y, x in this order; it has: {names}")
    return axes


def _array(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """The array of one level, or a sentence where it is missing or broken."""
    try:
        array = group[name]
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InputError(f"{path} has no readable array {name!r}: {error}") from error
    if not isinstance(array, zarr.Array):
        raise InputError(f"{path} names {name!r} as a level, which is not an array")
    return array


def _level(
    path: Path,
    group: zarr.Group,
    axes: Sequence[tuple[str, float | None]],
    multiscales: Mapping[str, Any],
    dataset: Mapping[str, Any],
) -> Level:
    """One level, reduced to z, y, x and to nm."""
    name = str(dataset.get("path", ""))
    array = _array(path, group, name)
    if array.ndim != len(axes):
        raise InputError(f"{path}: array {name!r} has {array.ndim} axes, its metadata {len(axes)}")
    for (axis, _), length in zip(axes, array.shape, strict=True):
        if axis not in "zyx" and length != 1:
            raise InputError(
                f"{path} has {length} positions along its axis {axis!r}; "
                "choose one (a single channel, a single time point) and save it as a store"
            )
    scale, shift = _transform(len(axes), dataset, multiscales)
    size, start = dict[str, float](), dict[str, float]()
    for (axis, unit), step, offset in zip(axes, scale, shift, strict=True):
        size[axis] = step * (math.nan if unit is None else unit)
        start[axis] = offset * (math.nan if unit is None else unit)
        if axis in "zyx" and size[axis] <= 0:
            raise InputError(f"{path} states a voxel size of {size[axis]:g} nm along {axis}")
    size.setdefault("z", size["y"])
    return Level(
        path=name,
        shape=_zyx(axes, array.shape),
        voxel_size=(size["z"], size["y"], size["x"]),
        translation=(start.get("z", 0.0), start["y"], start["x"]),
        chunks=_zyx(axes, array.chunks),
        shards=None if array.shards is None else _zyx(axes, array.shards),
    )


def _zyx(axes: Sequence[tuple[str, Any]], lengths: Sequence[int]) -> tuple[int, int, int]:
    by_name = {axis: int(length) for (axis, _), length in zip(axes, lengths, strict=True)}
    return by_name.get("z", 1), by_name["y"], by_name["x"]


def _transform(ndim: int, *parts: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Scale and translation of a level: the dataset's, then the whole image's; NaN: no scale."""
    scale, shift, known = [1.0] * ndim, [0.0] * ndim, False
    for part in parts:
        for step in part.get("coordinateTransformations") or ():
            values = step.get(step.get("type"), ()) if isinstance(step, Mapping) else ()
            if not (isinstance(values, list) and len(values) == ndim):
                continue
            if step["type"] == "scale":
                known = True
                scale = [a * float(b) for a, b in zip(scale, values, strict=True)]
                shift = [a * float(b) for a, b in zip(shift, values, strict=True)]
            elif step["type"] == "translation":
                shift = [a + float(b) for a, b in zip(shift, values, strict=True)]
    return (scale, shift) if known else ([math.nan] * ndim, [0.0] * ndim)


def _label_names(group: zarr.Group) -> tuple[str, ...]:
    """Names of the label groups registered inside `group`."""
    labels = group.get("labels")
    if not isinstance(labels, zarr.Group):
        return ()
    attributes: dict[str, Any] = labels.attrs.asdict()
    names = attributes.get("ome", attributes).get("labels", [])
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
