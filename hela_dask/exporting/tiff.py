"""Labels and image as TIFF stacks with their scale, as Fiji opens them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from hela_dask.exporting.masks import IMAGE, RunMasks
from hela_dask.geometry import Geometry
from hela_dask.storage.files import replaced

__all__ = ["stack_name", "write_stack"]

_LARGEST = 2**32 - 2**26  # bytes of an ImageJ stack, as ImageJ reads it without compression
_IMAGEJ = (np.uint8, np.uint16)


def stack_name(masks: RunMasks, name: str) -> str:
    """The file of a stack: ``cells.tif``, or ``cells.ome.tif`` where ImageJ's format has no room.

    ImageJ's stacks have less than 4 GiB and unsigned values of up to 16 bits.
    """
    dtype = masks.dtype(name)
    size = math.prod(masks.geometry.shape) * dtype.itemsize
    return f"{name}.tif" if size < _LARGEST and dtype in _IMAGEJ else f"{name}.ome.tif"


def write_stack(masks: RunMasks, name: str, path: Path) -> None:
    """Write labels, or the image, to a file of :func:`stack_name`; holds one slice at a time.

    Compressed (deflate). Fiji opens an ImageJ stack by itself and an OME-TIFF with its importer of
    Bio-Formats; both state the voxel size in nm.
    """
    geometry, dtype = masks.geometry, masks.dtype(name)
    ome = path.name.endswith(".ome.tif")
    with (
        replaced(path) as temporary,
        tifffile.TiffWriter(temporary, imagej=not ome, ome=ome, bigtiff=ome) as file,
    ):
        file.write(
            _frames(masks.planes(name)),
            shape=geometry.shape,
            dtype=dtype,
            compression="zlib",
            photometric="minisblack",
            **(_ome(geometry, name) if ome else _imagej(geometry, _display(masks, name))),
        )


def _frames(planes: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for plane in planes:
        yield np.ascontiguousarray(plane)


def _display(masks: RunMasks, name: str) -> dict[str, int]:
    """The range of labels that ImageJ shows; it finds that of an image itself."""
    return {} if name == IMAGE else {"min": 0, "max": max(1, masks.largest(name))}


def _imagej(geometry: Geometry, display: dict[str, int]) -> dict[str, Any]:
    z, y, x = geometry.voxel_size
    return {
        "resolution": (1 / x, 1 / y),
        "resolutionunit": "NONE",
        "metadata": {
            "axes": "ZYX",
            "spacing": z,
            "unit": "nm",
            **display,
        },
    }


def _ome(geometry: Geometry, name: str) -> dict[str, Any]:
    sizes = dict(zip("ZYX", geometry.voxel_size, strict=True))
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in sizes}
    physical = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    return {"metadata": {"axes": "ZYX", "Name": name, **physical, **units}}
