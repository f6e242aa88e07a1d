"""Small volumes that tests serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hela_dask.storage.store import create_image, slabs, write_slab

SHAPE = (12, 70, 90)
VOXEL = (50.0, 10.0, 10.0)


def noise(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """Grey values without a pattern."""
    return np.random.default_rng(seed).integers(1, 255, shape, dtype=np.uint8)


def write_own(path: Path, values: NDArray[np.uint8], **more: Any) -> Path:
    """A volume of this package, in shards of 4 x 64 x 64 and chunks of 1 x 16 x 16."""
    image = create_image(
        path,
        values.shape,
        values.dtype,
        VOXEL,
        name="image",
        **{"chunks": (1, 16, 16), "shards": (4, 64, 64), **more},
    )
    for z0, z1 in slabs(image):
        write_slab(image, z0, values[z0:z1])
    return path


def write_foreign(path: Path, values: NDArray[np.uint8], *, version: int = 2) -> Path:
    """A volume of another program: one level, in chunks of 4 x 32 x 32, none for zeros."""
    group = zarr.create_group(path, zarr_format=2 if version == 2 else 3)
    array = group.create_array(
        "s0", shape=values.shape, dtype=values.dtype, chunks=(4, 32, 32), fill_value=0
    )
    array[:] = values
    scale = [{"type": "scale", "scale": list(VOXEL)}]
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    datasets = [{"path": "s0", "coordinateTransformations": scale}]
    multiscales: list[Any] = [{"axes": axes, "datasets": datasets, "name": "em"}]
    if version == 2:
        group.attrs["multiscales"] = [{**multiscales[0], "version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    return path
