"""How fast volumes are written and read in several layouts and codecs; convert against a copy.

``python -m benchmarks.storage`` takes less than a minute, with small planes; ``--size 8192
--rounds 3 --write`` measures what docs/storage.md shows and puts it there. The grey values are
real ones where ``HELA_DASK_DATA`` names the folder of the real stacks, and a phantom's otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.storage import LocalStore

from benchmarks import results
from benchmarks.markdown import table
from hela_dask.formatting import by_axis
from hela_dask.phantom import phantom_block, plan_phantom
from hela_dask.storage import store
from hela_dask.storage.metadata import Image, Level
from hela_dask.storage.pyramid import layout, plan_levels
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.shards import encode_shard, is_ours, put_shard
from hela_dask.volume.opening import open_volume

Triple = tuple[int, int, int]
Rows = list[list[str]]

PAGE = results.DOCS / "storage.md"
RESULTS = results.DOCS / "storage.json"
VOXEL = (50.0, 10.0, 10.0)
FULL = (518, 8192, 8192)
WINDOW = 300  # slices of a cell's window
STOCK = "zarr.core.codec_pipeline.BatchedCodecPipeline"
COMPILED = "zarrs.ZarrsCodecPipeline"
LAYOUTS: tuple[tuple[Triple, Triple], ...] = (
    ((1, 256, 256), (8, 2048, 2048)),
    ((1, 512, 512), (8, 2048, 2048)),
    ((1, 1024, 1024), (8, 2048, 2048)),
    ((1, 4096, 4096), (8, 4096, 4096)),
    ((2, 256, 256), (8, 2048, 2048)),
    ((2, 512, 512), (8, 2048, 2048)),
    ((4, 256, 256), (8, 2048, 2048)),
    ((8, 256, 256), (8, 2048, 2048)),
    ((16, 256, 256), (16, 1024, 1024)),
    ((1, 512, 512), (8, 4096, 4096)),
)


def grey(size: int, depth: int) -> NDArray[np.uint8]:
    """Slices of size x size: real ones beside their mirror images, or a phantom's."""
    files = sorted(Path(os.environ.get("HELA_DASK_DATA", ".")).glob("roi6005/*.tif"))
    if files:
        tiles = [tifffile.imread(file) for file in files]
    else:
        spec = plan_phantom((60, 512, 512), 1, 10.0, 0, (200.0, 40.0, 40.0))
        tiles = list(phantom_block(spec, 20, 30, 0, 512, 0, 512).image)
    turns: tuple[Callable[[Any], Any], ...] = (lambda a: a, np.transpose, np.flipud, np.rot90)
    planes = np.empty((depth, size, size), np.uint8)
    for z in range(depth):
        tile = turns[z // len(tiles) % len(turns)](tiles[z % len(tiles)])
        planes[z] = mirrored(tile, size)
    return planes


def cells(size: int, depth: int) -> NDArray[np.uint16]:
    """Labels: round cells of 1,700 pixels, 2,000 apart, that drift from slice to slice."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    number = (y // 2000 * (size // 2000 + 1) + x // 2000 + 1).astype(np.uint16)
    away = np.hypot(y % 2000 - 1000, x % 2000 - 1000) + 40 * np.sin(y / 90) * np.cos(x / 70)
    return np.stack([np.where(away < 850 - 3 * z, number, 0).astype(np.uint16)
                     for z in range(depth)])  # fmt: skip


def mirrored(tile: NDArray[Any], size: int) -> NDArray[Any]:
    """`tile` beside its mirror images, until it fills the plane: no seams."""
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    tile = np.concatenate([tile, tile[::-1]], 0)
    times = -(-size // tile.shape[0])
    return np.tile(tile, (times, times))[:size, :size]


def timed(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def pipelines() -> dict[str, str]:
    known = {"zarr": STOCK}
    return known | ({"zarrs": COMPILED} if importlib.util.find_spec("zarrs") else {})


def reads(folder: Path, window: int) -> dict[str, float]:
    """Seconds of the two ways of reading, and of a window of 500 x 500, by each pipeline."""
    found = {}
    for name, path in pipelines().items():
        with zarr.config.set({"codec_pipeline.path": path}):
            array = zarr.open_array(LocalStore(folder, read_only=True), mode="r")
        depth, size, _ = array.shape
        scale = WINDOW / depth
        at, small = min(2777, size // 3), min(1111, size // 4)
        middle = slice(depth // 2, depth // 2 + 1)  # zarrs takes slices, as open_volume gives it
        found[f"slice, {name}"] = timed(partial(array.__getitem__, middle))
        box = slice(at, at + window), slice(at, at + window)
        found[f"window, {name}"] = scale * timed(partial(array.__getitem__, (slice(None), *box)))
        little = slice(small, small + min(500, size // 4))
        found[f"cell at 40 nm, {name}"] = scale * timed(
            partial(array.__getitem__, (slice(None), little, little))
        )
    return found


def bytes_read(folder: Path, chunk: Triple, window: int) -> dict[str, float]:
    """MB of chunks that a slice and a window of 300 slices touch."""
    array = StoredArray(folder)
    size = sum(file.stat().st_size for file in (folder / "c").rglob("*") if file.is_file())
    density = size / math.prod(array.shape) / 1e6
    at = min(2777, array.shape[1] // 3)
    across = [(-(-(at + window) // side) - at // side) * side for side in chunk[1:]]
    return {
        "slice, MB": chunk[0] * math.prod(array.shape[1:]) * density,
        "window, MB": WINDOW * math.prod(across) * density,
    }


def measure_layouts(
    data: NDArray[Any], folder: Path, rounds: int, window: int
) -> dict[tuple[Triple, Triple], dict[str, float]]:
    """Medians over some rounds of writing (with the pyramid) and reading each layout."""
    found: dict[tuple[Triple, Triple], dict[str, list[float]]] = {key: {} for key in LAYOUTS}
    for _ in range(rounds):
        for chunks, shards in LAYOUTS:
            figures: dict[str, float] = {}
            path = folder / "layout.ome.zarr"
            image = store.create_image(
                path, data.shape, data.dtype, VOXEL, name="a", chunks=chunks, shards=shards,
                overwrite=True,
            )  # fmt: skip
            seconds = timed(partial(write, image, data))
            figures["write, MB/s"] = data.nbytes / 1e6 / seconds
            figures |= bytes_read(path / "0", chunks, window)
            for _again in range(2):
                figures |= reads(path / "0", window)  # the second time: what is in the cache
            levels = plan_levels(FULL, 1, VOXEL, chunks, shards)
            figures["files"] = files(levels)
            for key, value in figures.items():
                found[chunks, shards].setdefault(key, []).append(value)
            shutil.rmtree(path)
    return {
        key: {name: statistics.median(values) for name, values in item.items()}
        for key, item in found.items()
    }


def write(image: Image, data: NDArray[Any]) -> None:
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, data[z0:z1])


def files(levels: Sequence[Level]) -> int:
    """Files of an image: shards, marks of finished slabs, metadata."""
    grids = [
        [
            -(-length // side)
            for length, side in zip(level.shape, level.shards or level.chunks, strict=True)
        ]
        for level in levels
    ]
    return sum(math.prod(grid) for grid in grids) + grids[0][0] + len(levels) + 1


def layout_table(found: dict[tuple[Triple, Triple], dict[str, float]], size: int) -> Rows:
    names = list(pipelines())
    head = ["chunk", "shard", "files", "write, MB/s"]
    for way in ("slice", "window", "cell at 40 nm"):
        head += [f"{way}, s: {name}" for name in names]
        head += [f"{way}, MB"] if way != "cell at 40 nm" else []
    best = {
        name: min(item[name] for item in found.values())
        for name in next(iter(found.values()))
        if name.rpartition(", ")[2] in names
    }
    default = layout((16, size, size), 1)
    rows = [head]
    for (chunks, shards), item in found.items():
        bold = "**" if (chunks, shards) == default else ""
        row = [bold + by_axis(chunks) + bold, by_axis(shards), f"{item['files']:.0f}"]
        row.append(f"{item['write, MB/s']:.0f}")
        for column in head[4:]:
            if column.endswith("MB"):
                row.append(f"{item[column]:.0f}")
                continue
            key = column.replace(", s: ", ", ")
            row.append(f"{item[key]:.3g} ({item[key] / best[key]:.1f})")
        rows.append(row)
    return rows


def codecs(itemsize: int) -> dict[str, Any]:
    found: dict[str, Any] = {"none": None}
    for level in (1, 3):
        found[f"zstd {level}"] = ZstdCodec(level=level)
        found[f"zstd {level}, checksum"] = ZstdCodec(level=level, checksum=True)
    blosc = partial(BloscCodec, typesize=itemsize)
    found["blosc lz4 5"] = blosc(cname="lz4", clevel=5, shuffle="noshuffle")
    found["blosc lz4 5, bitshuffle"] = blosc(cname="lz4", clevel=5, shuffle="bitshuffle")
    found["blosc zstd 1"] = blosc(cname="zstd", clevel=1, shuffle="noshuffle")
    found["blosc zstd 1, bitshuffle"] = blosc(cname="zstd", clevel=1, shuffle="bitshuffle")
    found["blosc zstd 3, shuffle"] = blosc(cname="zstd", clevel=3, shuffle="shuffle")
    return found


def codec_table(data: NDArray[Any], folder: Path, rounds: int, window: int) -> Rows:
    """Ratio, speed of writing (all through zarr's own pipeline), and of reading, of each codec."""
    chunks, shards = layout(data.shape, data.itemsize, tiled=True)
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, codec in codecs(data.itemsize).items():
            path = folder / "codec.zarr"
            array = zarr.create_array(
                LocalStore(path), shape=data.shape, dtype=data.dtype, chunks=chunks,
                shards=shards, compressors=codec, fill_value=0, overwrite=True,
            )  # fmt: skip

            def put(array: Any = array) -> None:
                array[...] = data

            def ours(array: Any = array, path: Path = path) -> None:
                write_shards(array, path, data)

            item = found.setdefault(name, {})
            item.setdefault("write", []).append(data.nbytes / 1e6 / timed(put))
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            item.setdefault("ratio", []).append(data.nbytes / size)
            for key, value in reads(path, window).items():
                item.setdefault(key, []).append(value)
            if is_ours(array):
                item = found.setdefault(f"{name}, written as here", {})
                item.setdefault("write", []).append(data.nbytes / 1e6 / timed(ours))
            shutil.rmtree(path)
    ways = [f"{way}, {name}" for way in ("slice", "window") for name in pipelines()]
    rows = [["codec", "ratio", "write, MB/s", *(way.replace(", ", ", s: ") for way in ways)]]
    for name, item in found.items():
        figures = {key: statistics.median(values) for key, values in item.items()}
        ratio = f"{figures['ratio']:.2f}" if "ratio" in figures else ""
        numbers = [f"{figures[way]:.3g}" if way in figures else "" for way in ways]
        rows.append([name, ratio, f"{figures['write']:.0f}", *numbers])
    return rows


def write_shards(array: Any, path: Path, data: NDArray[Any]) -> None:
    """All shards of an array, as :mod:`hela_dask.storage.store` writes them, one after another."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for place in np.ndindex(
            *(-(-n // side) for n, side in zip(data.shape, array.shards, strict=True))
        ):
            box = tuple(slice(i * s, i * s + s) for i, s in zip(place, array.shards, strict=True))
            parts = encode_shard(data[box], array.chunks, array.shards, threads)
            put_shard(path / array.metadata.encode_chunk_key(place), parts)


def convert_table(data: NDArray[Any], folder: Path, rounds: int) -> Rows:
    """A folder of TIFF slices converted, copied, and the disk alone; a window of the result."""
    source, few, target = folder / "slices", folder / "few", folder / "convert.ome.zarr"
    source.mkdir()
    few.mkdir()
    for z, plane in enumerate(data):
        tifffile.imwrite(source / f"z{z:04d}.tif", plane)
        if z < len(data) // 4:
            (few / f"z{z:04d}.tif").hardlink_to(source / f"z{z:04d}.tif")
    code = "import sys, hela_dask; hela_dask.convert(*sys.argv[1:], voxel_size=(50, 10, 10))"

    def convert(slices: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([sys.executable, "-c", code, str(slices), str(target)], check=True)
        os.sync()

    def copy() -> None:
        shutil.copytree(source, folder / "copy")
        os.sync()

    def disk() -> None:
        with (folder / "disk").open("wb") as file:
            data.tofile(file)
            file.flush()
            os.fsync(file.fileno())

    steps: dict[str, Callable[[], None]] = {
        "few": partial(convert, few),
        "convert": partial(convert, source),
        "copy": copy,
        "disk": disk,
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            os.sync()
            taken[name].append(timed(step))
            shutil.rmtree(folder / "copy", ignore_errors=True)
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    more = (seconds["convert"] - seconds["few"]) * len(data) / (len(data) - len(data) // 4)
    rows = [["what", "s", "MB/s of grey values"]]
    for name, value in (
        (f"convert {len(data)} slices, in a new process", seconds["convert"]),
        ("as many more slices", more),
        ("plain copy of the folder", seconds["copy"]),
        ("one file of that size written", seconds["disk"]),
    ):
        rows.append([name, f"{value:.1f}", f"{data.nbytes / 1e6 / value:.0f}"])
    return [*rows, window_row(target, data.shape, rounds)]


def window_row(target: Path, shape: tuple[int, ...], rounds: int) -> list[str]:
    """A window of the 40 nm level, by what a task reads it with."""
    at = min(500, shape[1] // 8)
    part = slice(at // 2, at // 2 + at)
    window = open_volume(target, resolution=40)[:, part, part]
    read = partial(window.compute, scheduler="synchronous")
    read()
    scaled = statistics.median(timed(read) for _ in range(rounds)) * WINDOW / window.shape[0]
    name = f"a window of {WINDOW} x {at} x {at} of the 40 nm level read by `open_volume`"
    return [name, f"{scaled:.2f}", f"{at * at * WINDOW / 1e6 / scaled:.0f}"]


def render(found: Mapping[str, Any], page: str) -> str:
    """The page with the tables that were kept, each with its stamp."""
    for step, section in found.items():
        head, *rows = section["rows"]
        page = put(page, step, "\n".join([*table(head, rows), "", results.measured(section)]))
    return page


def put(page: str, name: str, content: str) -> str:
    """`page` with another content between the two comments of that name."""
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    if start not in page or end not in page:
        raise SystemExit(f"{PAGE} has no place for {name}")
    pattern = re.escape(start) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: start + content + end, page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="pixels along a side of a plane")
    parser.add_argument("--depth", type=int, default=16, help="slices")
    parser.add_argument("--slices", type=int, default=16, help="slices to convert")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["layouts", "codecs", "labels", "convert"])
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {RESULTS.name}")
    parser.add_argument("--page", action="store_true", help="only make the tables from the JSON")
    given = parser.parse_args()
    window, plane = min(2000, given.size // 2), min(4096, given.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps: dict[str, Callable[[], Rows]] = {
            "layouts": lambda: layout_table(
                measure_layouts(grey(given.size, given.depth), folder, given.rounds, window),
                given.size,
            ),
            "codecs": lambda: codec_table(grey(plane, given.depth), folder, given.rounds, window),
            "labels": lambda: codec_table(cells(plane, given.depth), folder, given.rounds, window),
            "convert": lambda: convert_table(grey(given.size, given.slices), folder, given.rounds),
        }
        for step, measured in steps.items():
            if given.page or given.only not in (None, step):
                continue
            rows = measured()
            print("\n".join(["", step, "", *table(rows[0], rows[1:])]), flush=True)
            if given.write:
                command = f"python -m benchmarks.storage {' '.join(sys.argv[1:])}"
                results.keep(step, {"rows": rows}, command, RESULTS)
    if given.write or given.page:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(render(results.read(RESULTS), text), encoding="utf-8")


if __name__ == "__main__":
    main()
