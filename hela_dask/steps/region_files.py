"""Windows of a volume as folders of TIFF slices, as the papers' data are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr

from hela_dask.box import Box
from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError
from hela_dask.geometry import Geometry
from hela_dask.steps.regions import Region
from hela_dask.storage.contents import foreign_names, remove_files
from hela_dask.storage.files import storage_errors, write_json
from hela_dask.types import Plane

__all__ = ["check_regions_folder", "save_regions", "save_windows"]


_LISTING = "regions.json"
_SLICE = re.compile(r"slice_\d+\.tif")
_NOTHING: dict[str, list[str]] = {}  # of a folder that save_regions did not write


def save_regions(volume: xr.DataArray, regions: Sequence[Region], folder: str | Path) -> list[Path]:
    """Write each region as a folder of TIFF slices, as the papers' data are (method A.5).

    ``FOLDER/cell_0003/slice_0150.tif`` is the window of cell 3 in the volume's slice 150 (1-based),
    with its voxel size as Fiji and ``convert`` read it; ``FOLDER/regions.json`` records the part of
    the volume in each cell's folder. Read a chunk of slices at a time.

    Parameters
    ----------
    volume
        The volume the windows are cut from, at any level.
    regions
        As from :func:`cell_regions`.
    folder
        New or empty, or written by this function before: then the files that it wrote are
        replaced.

    Returns
    -------
    list of Path
        The folder of each region.

    Raises
    ------
    ExistsError
        When `folder` holds anything else.
    StorageError
        When the file system refuses it or is full.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> rows = hd.open_run("hela.run").cells.to_dict("records")
    >>> regions = [hd.Region.from_row(row) for row in rows]
    >>> [folder.name for folder in hd.save_regions(volume, regions, "regions")]
    ['cell_0001', 'cell_0002', 'cell_0003']
    """
    return save_windows(lambda _: volume, Geometry.of(volume), regions, folder)


def save_windows(
    image: Callable[[Region], xr.DataArray],
    geometry: Geometry,
    regions: Sequence[Region],
    folder: str | Path,
) -> list[Path]:
    """As :func:`save_regions`, of an image of each region's own, such as the mask of its cell.

    `geometry` is that of all images; a mask of bool is written as 0 and 255.
    """
    folder = Path(folder)
    _clear(folder)
    digits = len(str(max([region.label for region in regions], default=0)))
    names = [f"cell_{region.label:0{max(4, digits)}d}" for region in regions]
    windows = [region.window(geometry) for region in regions]
    listing = {
        name: {
            "label": region.label,
            "status": region.status,
            "voxel_size": geometry.voxel_size,
            "files": _names(geometry, window),
            "box": geometry.bounds_of(window),
        }
        for name, region, window in zip(names, regions, windows, strict=True)
    }
    write_json(folder / _LISTING, {"unit": "nanometer", "axes": "zyx", "regions": listing})
    for name, region, window in zip(names, regions, windows, strict=True):
        with storage_errors(folder / name):
            (folder / name).mkdir(exist_ok=True)
            _save_window(image(region), geometry, window, folder / name)
    return [folder / name for name in names]


def _save_window(volume: xr.DataArray, geometry: Geometry, window: Box, folder: Path) -> None:
    size = geometry.voxel_size
    for name, plane in zip(_names(geometry, window), _planes(volume, window), strict=True):
        grey = plane.astype(np.uint8) * 255 if plane.dtype == bool else plane
        imagej = grey.dtype in (np.uint8, np.uint16, np.float32)  # types that ImageJ supports
        per_unit = 1.0 if imagej else 1e7
        tifffile.imwrite(
            folder / name,
            grey,
            imagej=imagej,
            resolution=(per_unit / size[2], per_unit / size[1]),
            resolutionunit="NONE" if imagej else "CENTIMETER",
            metadata={"spacing": size[0], "unit": "nm"},
        )


def _names(geometry: Geometry, window: Box) -> list[str]:
    """Files of a window, one a slice of the volume."""
    digits = max(4, len(str(geometry.shape[0])))
    z, _, _ = window
    return [f"slice_{number + 1:0{digits}d}.tif" for number in range(z.start, z.stop)]


def _planes(volume: xr.DataArray, window: Box) -> Iterator[Plane]:
    """Pixels of each slice of a window, computed a chunk at a time."""
    z, y, x = window
    chunks = volume.chunks[0] if volume.chunks else (1,) * volume.sizes["z"]
    first = 0
    for depth in chunks:
        start, stop = max(z.start, first), min(z.stop, first + depth)
        first += depth
        if start < stop:
            # Threads of this process even where a cluster is connected: images stay here.
            block = volume[start:stop, y, x].compute(scheduler="threads").values
            yield from block


def check_regions_folder(folder: Path) -> dict[str, list[str]]:
    """The files that :func:`save_regions` wrote into `folder` and may replace, by their folder.

    Raises
    ------
    ExistsError
        When `folder` holds anything else.
    """
    if not folder.exists():
        return {}
    ours = _written(folder)
    others = foreign_names(folder, [*ours, *([_LISTING] if ours is not _NOTHING else [])])
    for name, files in ours.items():
        inside = folder / name
        if inside.is_dir() and not inside.is_symlink():
            others += [f"{name}/{item}" for item in foreign_names(inside, files)]
        elif os.path.lexists(inside):
            others.append(name)
    if not folder.is_dir() or others:
        raise ExistsError(
            f"{folder} {f'holds {others[0]}' if others else 'is a file'}, which save_regions did "
            "not write: choose another folder"
        )
    return ours


def _clear(folder: Path) -> None:
    """Create an empty `folder`, removing the files of an earlier call."""
    for name, files in check_regions_folder(folder).items():
        remove_files(folder / name, files)
    with storage_errors(folder):
        (folder / _LISTING).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)


class _Listing(Document):
    """The list of folders that :func:`save_regions` wrote."""

    regions: dict[str, Any]


def _written(folder: Path) -> dict[str, list[str]]:
    """Folders and files in `folder` that an earlier call wrote, by its own list of them."""
    if not folder.is_dir():
        return _NOTHING
    try:
        listing = read_document(folder / _LISTING, _Listing)
    except HelaDaskError:
        return _NOTHING
    found = {}
    for name, facts in listing.regions.items():
        if re.fullmatch(r"cell_\d+", name):
            files = facts.get("files") if isinstance(facts, dict) else None
            names = files if isinstance(files, list) else []
            found[name] = [item for item in names if _SLICE.fullmatch(str(item))]
    return found
