"""How fast volumes are written and read in several layouts and codecs; convert against a copy.

``python -m benchmarks.storage`` takes less than a minute, with small planes; ``--size 8192
--rounds 3 --write`` measures the tables of docs/storage.md and writes the page. The grey values are
real ones where ``HELA_DASK_DATA`` names the folder of the real stacks, and a phantom's otherwise.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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

from benchmarks import pages, results
from benchmarks.measuring import timed
from benchmarks.scaling import mirrored
from hela_dask.formatting import by_axis
from hela_dask.phantom import phantom_block, plan_phantom
from hela_dask.storage import store
from hela_dask.storage.metadata import Image, Level
from hela_dask.storage.pyramid import layout, plan_levels
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.shards import encode_shard, is_ours, put_shard
from hela_dask.volume.opening import open_volume

__all__ = ["FULL", "VOXEL", "files"]

Triple = tuple[int, int, int]
Rows = list[list[str]]
Figures = dict[str, float]

RESULTS = results.DOCS / "storage.json"
VOXEL = (50.0, 10.0, 10.0)
FULL = (518, 8192, 8192)
WINDOW = 300  # slices of a cell's window
PIPELINES = {"zarr": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
if importlib.util.find_spec("zarrs"):
    PIPELINES["zarrs"] = "zarrs.ZarrsCodecPipeline"
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
    paths = sorted(Path(os.environ.get("HELA_DASK_DATA", ".")).glob("roi6005/*.tif"))
    if paths:
        tiles = [tifffile.imread(path) for path in paths]
    else:
        spec = plan_phantom((60, 512, 512), 1, 10.0, 0, (200.0, 40.0, 40.0))
        tiles = list(phantom_block(spec, 20, 30, 0, 512, 0, 512).image)
    turns: tuple[Callable[[Any], Any], ...] = (lambda a: a, np.transpose, np.flipud, np.rot90)
    planes = np.empty((depth, size, size), np.uint8)
    for z in range(depth):
        plane = turns[z // len(tiles) % len(turns)](tiles[z % len(tiles)])
        for axis in (1, 0):
            plane = mirrored(plane, -(-size // plane.shape[axis]), axis)
        planes[z] = plane[:size, :size]
    return planes


def cells(size: int, depth: int) -> NDArray[np.uint16]:
    """Labels: round cells of 1,700 pixels, 2,000 apart, that drift from slice to slice."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    number = (y // 2000 * (size // 2000 + 1) + x // 2000 + 1).astype(np.uint16)
    away = np.hypot(y % 2000 - 1000, x % 2000 - 1000) + 40 * np.sin(y / 90) * np.cos(x / 70)
    return np.stack([np.where(away < 850 - 3 * z, number, np.uint16(0)) for z in range(depth)])


class Medians:
    """Figures by their key, each the median of its repetitions."""

    def __init__(self) -> None:
        self._found: dict[Any, dict[str, list[float]]] = {}

    def add(self, key: Any, figures: Mapping[str, float]) -> None:
        """Figures of one more repetition."""
        for name, value in figures.items():
            self._found.setdefault(key, {}).setdefault(name, []).append(value)

    def items(self) -> Iterator[tuple[Any, Figures]]:
        """Keys in the order in which they came."""
        for key, figures in self._found.items():
            yield key, {name: statistics.median(values) for name, values in figures.items()}


def reads(folder: Path, window: int) -> Figures:
    """Seconds of the two ways of reading, and of a window of 500 x 500, by each pipeline."""
    found = {}
    for name, path in PIPELINES.items():
        with zarr.config.set({"codec_pipeline.path": path}):
            array = zarr.open_array(LocalStore(folder, read_only=True), mode="r")
        depth, size, _ = array.shape
        at, small = min(2777, size // 3), min(1111, size // 4)
        middle = slice(depth // 2, depth // 2 + 1)  # zarrs takes slices, as open_volume gives it
        box, little = slice(at, at + window), slice(small, small + min(500, size // 4))
        for way, place, scale in (
            ("slice", middle, 1.0),
            ("window", (slice(None), box, box), WINDOW / depth),
            ("cell at 40 nm", (slice(None), little, little), WINDOW / depth),
        ):
            seconds, _ = timed(partial(array.__getitem__, place))
            found[f"{way}, s: {name}"] = scale * seconds
    return found


def stored(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def bytes_read(folder: Path, chunk: Triple, window: int) -> Figures:
    """MB of chunks that a slice and a window of 300 slices touch."""
    shape = StoredArray(folder).shape
    density = stored(folder / "c") / math.prod(shape) / 1e6
    at = min(2777, shape[1] // 3)
    across = [(-(-(at + window) // side) - at // side) * side for side in chunk[1:]]
    return {
        "slice, MB": chunk[0] * math.prod(shape[1:]) * density,
        "window, MB": WINDOW * math.prod(across) * density,
    }


def layout_table(data: NDArray[Any], folder: Path, rounds: int, window: int) -> Rows:
    """Writing (with the pyramid) and reading each layout."""
    found = Medians()
    for _ in range(rounds):
        for chunks, shards in LAYOUTS:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                path = Path(place) / "layout.ome.zarr"
                image = store.create_image(
                    path, data.shape, data.dtype, VOXEL, name="a", chunks=chunks, shards=shards
                )
                seconds, _ = timed(partial(write, image, data))
                reads(path / "0", window)  # so that it is in the cache
                figures = {
                    "write, MB/s": data.nbytes / 1e6 / seconds,
                    "files": files(plan_levels(FULL, 1, VOXEL, chunks, shards)),
                    **bytes_read(path / "0", chunks, window),
                    **reads(path / "0", window),
                }
            found.add((chunks, shards), figures)
    head = ["chunk", "shard", "files", "write, MB/s"]
    for way in ("slice", "window", "cell at 40 nm"):
        head += [f"{way}, s: {name}" for name in PIPELINES]
        head += [f"{way}, MB"] if way != "cell at 40 nm" else []
    medians = dict(found.items())
    default = layout((16, *data.shape[1:]), 1)
    rows = [head]
    for (chunks, shards), item in medians.items():
        bold = "**" if (chunks, shards) == default else ""
        row = [bold + by_axis(chunks) + bold, by_axis(shards)]
        for column in head[2:]:
            value = item[column]
            best = min(other[column] for other in medians.values())
            row.append(f"{value:.3g} ({value / best:.1f})" if ", s:" in column else f"{value:.0f}")
        rows.append(row)
    return rows


def write(image: Image, data: NDArray[Any]) -> None:
    """All slabs of an image with its pyramid."""
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, data[z0:z1])


def files(levels: Sequence[Level]) -> int:
    """Files of an image: shards, marks of finished slabs, metadata."""
    grids = [
        [-(-n // side) for n, side in zip(level.shape, level.shards or level.chunks, strict=True)]
        for level in levels
    ]
    return sum(math.prod(grid) for grid in grids) + grids[0][0] + len(levels) + 1


def codecs(itemsize: int) -> dict[str, Any]:
    """The codecs that are compared, by the name of their row."""
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
    found, mega = Medians(), data.nbytes / 1e6
    for _ in range(rounds):
        for name, codec in codecs(data.itemsize).items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                path = Path(place) / "codec.zarr"
                array = zarr.create_array(
                    LocalStore(path), shape=data.shape, dtype=data.dtype, chunks=chunks,
                    shards=shards, compressors=codec, fill_value=0,
                )  # fmt: skip
                seconds, _ = timed(partial(array.__setitem__, ..., data))
                found.add(name, {"write": mega / seconds, "ratio": data.nbytes / stored(path)})
                found.add(name, reads(path, window))
                if is_ours(array):
                    seconds, _ = timed(partial(write_shards, array, path, data))
                    found.add(f"{name}, written as here", {"write": mega / seconds})
    ways = [f"{way}, s: {name}" for way in ("slice", "window") for name in PIPELINES]
    rows = [["codec", "ratio", "write, MB/s", *ways]]
    for name, figures in found.items():
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
    found = Medians()
    for _ in range(rounds):
        for name, step in steps.items():
            os.sync()
            found.add("seconds", {name: timed(step)[0]})
            shutil.rmtree(folder / "copy", ignore_errors=True)
    seconds = dict(found.items())["seconds"]
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
    """A window of the 40 nm level, as a task reads it."""
    at = min(500, shape[1] // 8)
    part = slice(at // 2, at // 2 + at)
    window = open_volume(target, resolution=40)[:, part, part]
    read = partial(window.compute, scheduler="synchronous")
    read()
    seconds = timed(read, rounds)[0] * WINDOW / window.shape[0]
    name = f"a window of {WINDOW} x {at} x {at} of the 40 nm level read by `open_volume`"
    return [name, f"{seconds:.2f}", f"{at * at * WINDOW / 1e6 / seconds:.0f}"]


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = results.parser(__doc__, write=f"keep the tables in {RESULTS.name}, write the page")
    parser.add_argument("--size", type=int, default=2048, help="pixels along a side of a plane")
    parser.add_argument("--depth", type=int, default=16, help="slices")
    parser.add_argument("--slices", type=int, default=16, help="slices to convert")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["layouts", "codecs", "labels", "convert"])
    parser.add_argument("--page", action="store_true", help="only make the page from the JSON")
    given = parser.parse_args()
    size, plane, rounds = given.size, min(4096, given.size), given.rounds
    window = min(2000, size // 2)
    steps: dict[str, Callable[[Path], Rows]] = {
        "layouts": lambda at: layout_table(grey(size, given.depth), at, rounds, window),
        "codecs": lambda at: codec_table(grey(plane, given.depth), at, rounds, window),
        "labels": lambda at: codec_table(cells(plane, given.depth), at, rounds, window),
        "convert": lambda at: convert_table(grey(size, given.slices), at, rounds),
    }
    for step, measure in steps.items():
        if given.page or given.only not in (None, step):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder))
        print("\n".join(["", step, "", pages.table(rows)]), flush=True)
        if given.write:
            command = f"python -m benchmarks.storage {' '.join(sys.argv[1:])}"
            results.keep(step, {"rows": rows}, command, RESULTS)
    if given.write or given.page:
        pages.write("storage")


if __name__ == "__main__":
    main()
