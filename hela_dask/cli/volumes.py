"""Commands about volumes: ``convert``, ``info``, ``phantom``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    AsJson,
    Overwrite,
    Quiet,
    StorePath,
    Verbose,
    path_argument,
    store_argument,
)
from hela_dask.cli.screen import echo, echo_json, echo_table, log_to_stderr
from hela_dask.formatting import by_axis

__all__ = ["convert", "info", "phantom"]

log = logging.getLogger(__name__)

Target = Annotated[
    Path,
    path_argument("DST.ome.zarr", "The OME-Zarr to write."),
]


def convert(
    source: Annotated[
        Path,
        path_argument(
            "SRC",
            "A folder of slices (TIFF, dm3, dm4), a TIFF, OME-TIFF, MRC, .npy, dm3, dm4 or Imaris "
            "file, an OME-Zarr (also zipped), or an HDF5 file or N5 container, with the place "
            "in it behind :: (stack.h5::/raw).",
        ),
    ],
    target: Target,
    *,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X",
            help="Voxel size, nm; needed if the source does not contain it, and used instead "
            "if it does.",
        ),
    ] = None,
    chunks: Annotated[
        tuple[int, int, int] | None,
        typer.Option(metavar="Z Y X", help="Size of a chunk, in voxels."),
    ] = None,
    shards: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="Z Y X", help="Size of a shard (a file), in voxels; a multiple of the chunks."
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Convert a stack to OME-Zarr, with a pyramid.

    The source is not changed. The same command again continues an interrupted conversion. If the
    voxel size is neither in the source nor in --voxel-size, the command ends with an error.

    Example:

    hela-dask convert slices/ hela.ome.zarr --voxel-size 50 10 10
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    image = hd.convert(
        source,
        target,
        voxel_size=voxel_size,
        chunks=chunks,
        shards=shards,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        finest = image.levels[0]
        size = _size(finest.shape, finest.voxel_size)
        plural = "s" if len(image.levels) > 1 else ""
        echo(f"{target}: {size}, {len(image.levels)} level{plural}")


def info(
    source: Annotated[
        StorePath,
        store_argument(
            "SRC",
            "An OME-Zarr (also at an address), or another source that convert reads.",
        ),
    ],
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the content of an OME-Zarr, or of another source.

    Also shows sources of convert before their conversion. Shape, voxel size and its
    origin, levels, order of slices, size on disk, grey levels, labels, and warnings about
    peculiarities.

    Example:

    hela-dask info hela.ome.zarr
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    description = hd.describe(source)
    for remark in description["remarks"]:
        log.warning("%s", remark)
    if as_json:
        echo_json(description)
    else:
        echo_table(_readable(description))


def phantom(
    target: Target,
    *,
    shape: Annotated[
        tuple[int, int, int],
        typer.Option(
            metavar="Z Y X",
            help="Size, in voxels; each side is longer than --diameter: at least 185 231 231 with "
            "the other defaults and --cells 1.",
        ),
    ] = (
        200,
        768,
        768,
    ),
    cells: Annotated[
        int, typer.Option(metavar="N", help="Number of cells, 1 or more; they must fit.")
    ] = 6,
    diameter: Annotated[
        float,
        typer.Option(
            metavar="UM",
            help="Mean diameter of the cells, µm, at least 24 voxels; HeLa cells have 17.",
        ),
    ] = 9.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the random numbers, 0 or more.")
    ] = 0,
    voxel_size: Annotated[
        tuple[float, float, float], typer.Option(metavar="Z Y X", help="Voxel size, nm, above 0.")
    ] = (
        50.0,
        40.0,
        40.0,
    ),
    kind: Annotated[
        str,
        typer.Option(
            metavar="plain|lobulated",
            help="Shapes: smooth nuclei, or lobulated ones and ruffled cell ends.",
        ),
    ] = "plain",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a synthetic volume with its truth.

    The truth is in the labels true_cells, true_nuclei and true_classes (1 envelope, 2 nucleus,
    5 cytoplasm of whole cells, 3 cells that the volume cuts, 4 resin).

    Example:

    hela-dask phantom phantom.ome.zarr --shape 200 768 768 --cells 6 --diameter 9
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    image = hd.make_phantom(
        target,
        shape=shape,
        cells=cells,
        diameter=diameter,
        seed=seed,
        voxel_size=voxel_size,
        kind=kind,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        finest = image.levels[0]
        echo(f"{target}: {_size(finest.shape, finest.voxel_size)}")


def _size(shape: Sequence[int], voxel_size: Sequence[float]) -> str:
    return f"{by_axis(shape)} voxels of {by_axis(voxel_size)} nm"


def _readable(found: Mapping[str, Any]) -> dict[str, str]:
    """The lines of ``info``, from the result of ``describe``."""
    unfinished = "" if found["complete"] else ", unfinished"
    lines = {
        "volume": f"{found['path']} ({found['kind']}{unfinished})",
        "shape": f"{by_axis(found['shape'])}  z, y, x, {found['dtype']}",
        "voxel size": _voxel_size(found["voxel_size"], found["voxel_size_from"]),
    }
    if None not in found["extent"]:
        lines["extent"] = f"{' x '.join(f'{length / 1000:.1f}' for length in found['extent'])} µm"
    if found["size_on_disk"] is not None:
        lines["size on disk"] = f"{found['size_on_disk'] / 2**20:.1f} MiB"
    lines |= found["facts"]
    for level in found["levels"]:
        cut = level["shards"] or level["chunks"]
        size = _size(level["shape"], level["voxel_size"])
        lines[f"level {level['path']}"] = f"{size}, {by_axis(cut)} a file"
    if found["grey"]:
        lines |= _grey_lines(found["grey"])
    for label in found["labels"]:
        lines[f"label {label['name']}"] = label.get("error") or (
            f"{by_axis(label['shape'])}, {label['dtype']}"
            f"{'' if label['complete'] else ', unfinished'}"
        )
    return lines


def _voxel_size(size: Sequence[float | None], origins: Sequence[str]) -> str:
    """``50 x 10 x 10 nm (z: ImageJ spacing; y, x: ImageJ resolution tag)``."""
    axes: dict[str, list[str]] = {}
    for axis, origin in zip("zyx", origins, strict=True):
        axes.setdefault(origin, []).append(axis)
    reasons = [
        origin if len(names) == 3 else f"{', '.join(names)}: {origin}"
        for origin, names in axes.items()
        if origin
    ]
    known = [step for step in size if step is not None]
    shown = "not stated"
    if known:
        shown = f"{' x '.join('?' if step is None else f'{step:g}' for step in size)} nm"
    return f"{shown} ({'; '.join(reasons)})" if reasons else shown


def _grey_lines(grey: Mapping[str, Any]) -> dict[str, str]:
    part = f" (of {100 * grey['share']:.2g} % of the voxels)" if grey["share"] < 1 else ""
    lines = {"grey levels": f"{grey['min']:g} to {grey['max']:g}, mean {grey['mean']:.1f}{part}"}
    if grey["not_finite"]:
        lines["not finite"] = f"{grey['not_finite']} values are NaN or infinite"
    if grey["percentiles"]:
        parts = (f"{percent} %: {value}" for percent, value in grey["percentiles"].items())
        lines["percentiles"] = ", ".join(parts)
    return lines
