"""Whether a volume can be segmented, and its peculiarities: reported before the work starts."""

from __future__ import annotations

import shlex

from hela_dask.conversion.grey_summary import LARGEST_CHUNK, chunk_bytes, not_finite
from hela_dask.errors import InputError
from hela_dask.formatting import by_axis, size_text
from hela_dask.geometry import checked_voxel_size
from hela_dask.parameters import WorkingParameters
from hela_dask.storage.contents import missing_files
from hela_dask.storage.manifest import damaged_slabs, has_manifest
from hela_dask.storage.metadata import Image
from hela_dask.storage.pyramid import plan_levels
from hela_dask.units import voxel_size_warnings

__all__ = ["check_volume", "mend_image", "volume_remarks"]


def check_volume(image: Image) -> None:
    """Refuse an image without grey values, or one that cannot be read.

    Raises
    ------
    InputError
        For shards that were written and are missing or changed, masks, complex numbers, chunks
        that fit no memory, NaN beside values below 0, and a store of which no file of the finest
        level is there.
    """
    kind, finest = image.dtype.kind, image.levels[0]
    _check_shards(image)
    if kind not in "iuf":
        what = "true and false, as a mask does," if kind == "b" else f"{image.dtype.name} values,"
        raise InputError(f"{image.path} holds {what} not grey values: name the image itself")
    checked_voxel_size(finest.voxel_size, origin=f"the voxel size of {image.path}")
    if chunk_bytes(image, finest) > LARGEST_CHUNK:
        raise InputError(
            f"{image.path} stores chunks of {by_axis(finest.chunks)} voxels, of which each takes "
            f"{size_text(chunk_bytes(image, finest))}: write it again with smaller chunks"
        )
    _check_extent(image)
    share, below = not_finite(image)
    if share and below:
        raise InputError(
            f"{image.path} holds NaN or infinite values ({_part(share)}) beside values below 0, so "
            "that 0 is no frame around the image: fill them with the lowest value"
        )
    missing, wanted = missing_files(image.path, finest)
    if missing == wanted and not image.attributes:
        raise InputError(
            f"{image.path} has no data: none of the {wanted} files of {finest.path!r}, its finest "
            "level, is there; copy it again from where it is from"
        )


def _check_extent(image: Image) -> None:
    """Refuse slices of which one side is a single pixel, in which no outline is found."""
    geometry = image.levels[0].geometry
    if min(geometry.working(WorkingParameters().resolution).shape[1:]) < 2:
        _, y, x = geometry.extent
        raise InputError(
            f"{image.path} has slices of {y:g} x {x:g} nm (y, x), in which no cell fits: check "
            "the order of its axes"
        )


def volume_remarks(image: Image) -> tuple[str, ...]:
    """Peculiarities of an image, and how it is read despite them: sentences for a warning."""
    finest = image.levels[0]
    remarks = [*image.remarks]
    remarks += [
        f"{image.path} {doubt}" for doubt in voxel_size_warnings(finest.shape, finest.voxel_size)
    ]
    if image.name != "image":
        remarks.append(f"{image.path} is a label group: its labels are taken for grey values")
    missing, wanted = missing_files(image.path, finest) if not image.attributes else (0, 0)
    if missing:
        remarks.append(
            f"{image.path}: {missing} of the {wanted} files of {finest.path!r}, its finest level, "
            "are not there; their voxels are read as the fill value, as the format says"
        )
    if image.attributes and not has_manifest(image):
        remarks.append(
            f"{image.path} was written before stores listed their files, so that files which are "
            "missing cannot be noticed: they are read as 0"
        )
    share, below = not_finite(image)
    if share and not below:
        remarks.append(
            f"{image.path} holds NaN or infinite values ({_part(share)}): they are read as 0, as a "
            "frame around the image"
        )
    return tuple(remarks)


def _check_shards(image: Image) -> None:
    """Refuse an image of this package with missing or changed shards: they read as 0."""
    damaged = [item for items in damaged_slabs(image).values() for item in items]
    if damaged:
        path, problem = damaged[0]
        more = f", and {len(damaged) - 1} more" if damaged[1:] else ""
        raise InputError(
            f"files of {image.path} are missing or changed ({path} {problem}{more}): "
            f"{mend_image(image)}"
        )


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


def _part(share: float) -> str:
    return f"{max(0.01, 100 * share):.2g} % of those looked at"
