"""Time per voxel and memory of a worker, as the volume grows: ``python -m benchmarks.scaling``.

A phantom of one cell and its mirror image behind it are mirror-tiled to 4 and 16 times their plane,
and that to 4 times its depth: each volume holds the same cell, only more often, and always whole.
Each is run with one and with two workers. A window fits into the phantom around its cell, so that
all windows are alike at all sizes.

Measured rows are kept in ``FOLDER/scaling.json`` after each run, so that the same command continues
where it was interrupted; ``--write`` puts figures and picture beside the page.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hela_dask as hd
from benchmarks import results
from benchmarks.measuring import timed
from benchmarks.performance import PICTURE, scaling_chart, scaling_table
from benchmarks.throughput import task_rows
from hela_dask.errors import HelaDaskError
from hela_dask.running.provenance import read_run
from hela_dask.storage import store
from hela_dask.storage.files import write_json
from hela_dask.storage.metadata import read_image

__all__ = ["mirrored", "tiles", "verdict"]

MULTIPLES = (1, 4, 16, 64)
PLANE = 16
FLAT = 1.15
PER_VOXEL = 1.3
# The phantom, in µm and nm; of a dozen seeds the one with its cell nearest to the middle.
DIAMETER, EXTENT, SEED = 9.0, (10500.0, 14400.0, 14400.0), 3
# A window that the phantom holds around its cell: no volume cuts it, so all are of one size.
PARAMETERS = {"region": {"width": 13000.0, "depth": 9500.0, "room": 1.0, "cut_room": 1.0}}


def tiles(multiple: int) -> tuple[int, int, int]:
    """Phantoms along z, y and x of a volume so many times the smallest.

    The smallest has two, one behind the other, so that two workers have a cell each. Volumes grow
    in the plane to 16 times, as wide as microscopes make them, and then along z.
    """
    plane = min(multiple, PLANE)
    side, deep = math.isqrt(plane), multiple // plane
    if side**2 != plane or deep * plane != multiple:
        raise SystemExit(f"a multiple is 1, 4, 16, or a number of times {PLANE}, not {multiple}")
    return 2 * deep, side, side


def mirrored(block: NDArray[Any], count: int, axis: int) -> NDArray[Any]:
    """A block beside its mirror images, `count` along an axis: no seams."""
    parts = [block if k % 2 == 0 else np.flip(block, axis) for k in range(count)]
    return np.concatenate(parts, axis)


def make_volume(folder: Path, multiple: int, voxel: tuple[float, float, float]) -> Path:
    """A store of so many units, made unless it is there."""
    path = folder / f"scaling-{multiple}.ome.zarr"
    unit = folder / "scaling-unit.ome.zarr"
    if not _complete(unit):
        hd.make_phantom(
            unit,
            shape=[round(length / size) for length, size in zip(EXTENT, voxel, strict=True)],
            cells=1,
            diameter=DIAMETER,
            voxel_size=voxel,
            seed=SEED,
            overwrite=True,
        )
    if _complete(path):
        return path
    image = hd.open_volume(unit, level=0).values
    deep, *wide = tiles(multiple)
    image = mirrored(image, deep, 0)
    shape = [image.shape[0], *(n * length for n, length in zip(wide, image.shape[1:], strict=True))]
    target = store.create_image(path, shape, image.dtype, voxel, name="tiles", overwrite=True)
    for z0, z1 in store.slabs(target):
        slab = image[z0:z1]
        for axis, count in zip((1, 2), wide, strict=True):
            slab = mirrored(slab, count, axis)
        store.write_slab(target, z0, slab)
    return path


def _complete(path: Path) -> bool:
    try:
        return read_image(path).complete
    except HelaDaskError:
        return False


def measure(volume: Path, folder: Path, workers: int, memory: str) -> dict[str, Any]:
    """One run from nothing; its folder and labels are removed again."""
    run, labels = (folder / f"{volume.name}.{workers}.{end}" for end in ("run", "labels"))
    for path in (run, labels):
        shutil.rmtree(path, ignore_errors=True)
    wall, _ = timed(
        lambda: hd.run(
            volume,
            run,
            labels=labels,
            workers=workers,
            memory=memory,
            parameters=PARAMETERS,
            progress=False,
        )
    )
    facts, rows = read_run(run), task_rows(run)
    shape = facts["image"]["shape"]
    found = {
        "workers": workers,
        "shape": shape,
        "voxel": facts["image"]["voxel_size"],
        "voxels": math.prod(shape),
        "statuses": facts["statuses"],
        "seconds": {**facts["timings"], "all": wall},
        "tasks": {stage: len(each) for stage, each in rows.items()},
        "peak": {
            stage: max(float(row["peak_memory"]) for row in each) for stage, each in rows.items()
        },
    }
    for path in (run, labels):
        shutil.rmtree(path, ignore_errors=True)
    return found


def verdict(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Whether memory and time per voxel are flat: a line for each number of workers."""
    lines = []
    for workers, mine in scaling_table(rows).groupby("workers"):
        memory = mine["memory"] / mine["memory"].iloc[0]
        seconds = mine["seconds"] / mine["seconds"].iloc[0]
        held = ["held" if memory.max() <= FLAT else "not held"]
        held += ["held" if seconds.max() <= PER_VOXEL else "not held"]
        lines.append(
            f"{workers} worker{'' if workers == 1 else 's'}, beside the smallest volume: "
            f"memory within {memory.max() - 1:.0%} ({held[0]}, limit {FLAT - 1:.0%}), "
            f"time per voxel {seconds.min():.2f} to {seconds.max():.2f} x "
            f"({held[1]}, limit {PER_VOXEL:g} x)"
        )
    return lines


def measure_all(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Measure all rows that are not kept yet; those of the pixel size asked for."""
    kept = folder / "scaling.json"
    found: dict[str, dict[str, Any]] = {} if options.again else results.read(kept)
    voxel = (50.0, options.pixel, options.pixel)
    warm = bool(found)
    for multiple in options.multiples:
        for workers in options.workers:
            name = f"{multiple} x, {workers} workers, {options.pixel:g} nm"
            if name not in found:
                volume = make_volume(folder, multiple, voxel)
                if not warm:  # the first compilation takes memory, once per machine
                    measure(volume, folder, 1, options.memory)
                    warm = True
                row = measure(volume, folder, workers, options.memory)
                found[name] = {"multiple": multiple, **row}
                write_json(kept, found)
            print(f"{name}: {found[name]}", flush=True)
        shutil.rmtree(folder / f"scaling-{multiple}.ome.zarr", ignore_errors=True)
    return [row for row in found.values() if row["voxel"][1] == options.pixel]


def main() -> None:
    """Measure all rows that are not kept yet, print them, and whether the curves are flat."""
    parser = results.parser(__doc__, write="JSON and picture beside the page")
    parser.add_argument("--folder", type=Path, help="of volumes and runs; default: temporary")
    parser.add_argument("--multiples", type=int, nargs="+", default=list(MULTIPLES))
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--memory", default="4GiB", help="of each worker")
    parser.add_argument("--pixel", type=float, default=40.0, help="nm in y and x")
    parser.add_argument("--again", action="store_true", help="measure kept rows again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure_all(options, folder)
    lines = verdict(rows)
    print("\n".join(lines))
    if options.write:
        figures = {"rows": rows, "verdict": lines, "parameters": PARAMETERS}
        results.keep("scaling", figures, "python -m benchmarks.scaling --folder FOLDER --write")
        scaling_chart(rows, PICTURE)


if __name__ == "__main__":
    main()
