"""The command that writes the damaged files of an image again."""

from __future__ import annotations

import shlex

from hela_dask.storage.metadata import Image
from hela_dask.storage.pyramid import plan_levels

__all__ = ["mend_image"]


def mend_image(image: Image) -> str:
    """How files of an image are restored."""
    source = image.attributes.get("source")
    made_from = source.get("path") if isinstance(source, dict) else None
    if not isinstance(made_from, str):
        return "restore it from a copy, or make the store again"
    finest = image.levels[0]
    command = ["hela-dask", "convert", made_from, str(image.path), "--voxel-size"]
    command += [f"{size:g}" for size in finest.voxel_size]
    usual = plan_levels(finest.shape, image.dtype.itemsize, finest.voxel_size)[0]
    if (usual.chunks, usual.shards) != (finest.chunks, finest.shards):
        command += ["--chunks", *map(str, finest.chunks), "--shards", *map(str, finest.file)]
    return shlex.join(command)
