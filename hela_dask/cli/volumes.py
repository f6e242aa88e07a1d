"""Commands about volumes: ``convert``, ``info``, ``phantom``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Overwrite, Quiet, Store, Verbose, local_path
from hela_dask.cli.screen import answer, answer_json, facts, log_to_stderr
from hela_dask.wording import by_axis

__all__ = ["convert", "info", "phantom"]

Target = Annotated[
    Path,
    typer.Argument(metavar="DST.ome.zarr", help="The OME-Zarr to write.", parser=local_path),
]


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="A folder of TIFF slices, a TIFF, an OME-TIFF, an MRC or an OME-Zarr.",
            parser=local_path,
        ),
    ],
    target: Target,
    *,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="nm; needed where the source does not say it."),
    ] = None,
    chunks: Annotated[
        tuple[int, int, int] | None, typer.Option(metavar="Z Y X", help="Voxels of a chunk.")
    ] = None,
    shards: Annotated[
        tuple[int, int, int] | None,
        typer.Option(metavar="Z Y X", help="Voxels of a file; a multiple of the chunks."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make an OME-Zarr of a stack of slices.

    The source is only read. An interrupted conversion continues with the same command.

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
        answer(f"{target}: {size}, {len(image.levels)} level{plural}")


def info(store: Store, as_json: AsJson = False) -> None:
    """Show what an OME-Zarr holds.

    Shape, voxel size, levels, size on disk, grey levels, labels.

    Example:

    hela-dask info hela.ome.zarr
    """
    description = hd.describe(store)
    if as_json:
        answer_json(description)
    else:
        facts(_readable(description))


def phantom(
    target: Target,
    *,
    shape: Annotated[tuple[int, int, int], typer.Option(metavar="Z Y X", help="Voxels.")] = (
        200,
        768,
        768,
    ),
    cells: Annotated[int, typer.Option(metavar="N", help="Number of cells.")] = 6,
    diameter: Annotated[
        float, typer.Option(metavar="UM", help="Mean width of the cells, µm; real ones have 17.")
    ] = 9.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another volume.")] = 0,
    voxel_size: Annotated[tuple[float, float, float], typer.Option(metavar="Z Y X", help="nm.")] = (
        50.0,
        40.0,
        40.0,
    ),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a synthetic volume with its truth.

    The truth is written beside the image, as labels: cells, nuclei and the five classes.

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
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        finest = image.levels[0]
        answer(f"{target}: {_size(finest.shape, finest.voxel_size)}")


def _size(shape: Sequence[int], voxel_size: Sequence[float]) -> str:
    return f"{by_axis(shape)} voxels of {by_axis(voxel_size)} nm"


def _readable(found: Mapping[str, Any]) -> dict[str, str]:
    """The lines that ``info`` shows, from what ``describe`` found."""
    unfinished = "" if found["complete"] else ", unfinished"
    lines = {
        "volume": f"{found['path']} (OME-Zarr {found['version']}{unfinished})",
        "shape": f"{by_axis(found['shape'])}  z, y, x, {found['dtype']}",
        "voxel size": f"{by_axis(found['voxel_size'])} nm",
        "extent": f"{' x '.join(f'{length / 1000:.1f}' for length in found['extent'])} µm",
        "size on disk": f"{found['size_on_disk'] / 2**20:.1f} MiB",
    }
    for level in found["levels"]:
        cut = level["shards"] or level["chunks"]
        size = _size(level["shape"], level["voxel_size"])
        lines[f"level {level['path']}"] = f"{size}, {by_axis(cut)} a file"
    grey = found["grey"]
    if grey:
        part = f" (of {100 * grey['share']:.2g} % of the voxels)" if grey["share"] < 1 else ""
        lines["grey levels"] = f"{grey['min']} to {grey['max']}, mean {grey['mean']:.1f}{part}"
        if grey["percentiles"]:
            parts = (f"{percent} %: {value}" for percent, value in grey["percentiles"].items())
            lines["percentiles"] = ", ".join(parts)
    for label in found["labels"]:
        lines[f"label {label['name']}"] = label.get("error") or (
            f"{by_axis(label['shape'])}, {label['dtype']}"
            f"{'' if label['complete'] else ', unfinished'}"
        )
    for number, remark in enumerate(found["remarks"], 1):
        lines["note" if number == 1 else f"note {number}"] = remark
    return lines
