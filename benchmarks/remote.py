"""Reading a volume on disk, over HTTP and from a bucket of S3, both on loopback, in turn.

``python -m benchmarks.remote STORE.ome.zarr``: median seconds of some rounds, and their ratio to
the disk. S3 is a stand-in (moto), and is left out where that is not installed. With ``--run``
``hela-dask run`` reads the volume instead: all files of its labels and its table must be the same.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np

import hela_dask as hd
from benchmarks import results
from benchmarks.measuring import timed
from benchmarks.soak import digest
from hela_dask.storage.remote import forget
from hela_dask.viewing.server import FileServer

WINDOW = (60, 300, 300)  # voxels, about a cell on the working level
WINDOWS = 12


def planes(volume: Any) -> None:
    """All slabs, one after the other."""
    depth = volume.data.chunks[0][0]
    for z in range(0, volume.sizes["z"], depth):
        volume[z : z + depth].values  # noqa: B018


def windows(volume: Any) -> None:
    """Windows of the size of a cell, at the same places each time."""
    random = np.random.default_rng(0)
    for _ in range(WINDOWS):
        low = [
            int(random.integers(0, max(1, length - side)))
            for length, side in zip(volume.shape, WINDOW, strict=True)
        ]
        part = tuple(slice(at, at + side) for at, side in zip(low, WINDOW, strict=True))
        volume[part].values  # noqa: B018


def slices(volume: Any) -> None:
    """Each tenth slice alone."""
    for z in range(0, volume.sizes["z"], 10):
        volume[z].values  # noqa: B018


WAYS: dict[str, Callable[[Any], None]] = {"slabs": planes, "windows": windows, "slices": slices}


def _read(read: Callable[[Any], None], place: str) -> None:
    """Open the volume, and read it in one way."""
    read(hd.open_volume(place))


@contextlib.contextmanager
def over_http(store: Path) -> Iterator[str]:
    """The address of a store on a server in this process."""
    server = FileServer((store.absolute(),), port=0, origin="*")
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield f"{server.url}/{store.absolute().relative_to(server.root).as_posix()}"
    finally:
        server.close()


@contextlib.contextmanager
def over_s3(store: Path) -> Iterator[str]:
    """The address of a copy of a store in a bucket; empty where moto is not installed."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        yield ""
        return
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    files = s3fs.S3FileSystem()
    files.mkdir("bench")
    files.put(str(store), f"bench/{store.name}", recursive=True)
    try:
        yield f"s3://bench/{store.name}"
    finally:
        server.stop()


def _run(folder: Path, place: str) -> str:
    """Segment the volume with the command, from nothing; the hash of its results."""
    shutil.rmtree(folder, ignore_errors=True)
    outputs = ["--out", str(folder / "remote.run"), "--labels", str(folder / "labels.ome.zarr")]
    command = [sys.executable, "-m", "hela_dask", "run", place, *outputs, "--workers", "2"]
    subprocess.run([*command, "--quiet"], check=True)
    return digest(folder / "labels.ome.zarr", folder / "remote.run" / "cells.parquet")


def _measure(
    ways: dict[str, Callable[[str], object]], places: dict[str, str], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Seconds of each way at each place; SystemExit where the results of a way differ."""
    seconds: dict[tuple[str, str], list[float]] = {}
    found: dict[str, set[object]] = {way: set() for way in ways}
    for _ in range(rounds):
        for name, place in places.items():
            for way, call in ways.items():
                forget("")
                took, result = timed(functools.partial(call, place))
                seconds.setdefault((way, name), []).append(took)
                found[way].add(result)
    for way, values in found.items():
        if len(values) > 1:
            raise SystemExit(f"{way}: the results differ")
    return seconds


def main() -> None:
    """Print the table."""
    parser = results.parser(__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", action="store_true", help="whole runs instead of reads")
    options = parser.parse_args()
    with over_http(options.store) as http, over_s3(options.store) as s3:
        places = {"disk": str(options.store), "http": http, **({"s3": s3} if s3 else {})}
        with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
            ways: dict[str, Callable[[str], object]] = {
                way: functools.partial(_read, read) for way, read in WAYS.items()
            }
            if options.run:
                ways = {"run": functools.partial(_run, Path(folder, "outputs"))}
            seconds = _measure(ways, places, options.rounds)
    print(f"| | {' | '.join(places)} | ratios |")
    for way in ways:
        medians = [statistics.median(seconds[way, name]) for name in places]
        ratios = ", ".join(f"{item / medians[0]:.2f}" for item in medians[1:])
        print(f"| {way} | {' | '.join(f'{item:.2f} s' for item in medians)} | {ratios} |")


if __name__ == "__main__":
    main()
