"""What a task takes in does not grow with the volume: recorded for operators and for whole runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import hela_dask as operators
from hela_dask.steps.detect import detect_cells
from hela_dask.storage import store
from hela_dask.storage.reading import StoredArray
from tests.exactness.runs import DEPTH, go, two_cells
from tests.scenes import without_pages
from tests.volumes import LargestInput, make_volume

PLANE = (64, 48)
OPERATORS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "gaussian": lambda volume: operators.gaussian(volume, 90.0),
    "background": operators.background,
    "distance": lambda volume: operators.distance(volume > 128),
}


def noise(shape: tuple[int, int, int], chunks: tuple[int, int, int]) -> xr.DataArray:
    """Random grey values that come into being chunk by chunk."""
    random = da.random.default_rng(0)
    return make_volume(random.integers(0, 256, shape, chunks=chunks, dtype=np.uint8))


def largest_input(result: xr.DataArray) -> int:
    """Most bytes that any task takes in, while all chunks are computed and none are joined."""
    with LargestInput() as record, dask.config.set(scheduler="synchronous"):
        chunks = result.data.to_delayed(optimize_graph=False)
        dask.compute(*chunks.ravel())  # type: ignore[attr-defined,no-untyped-call]
    found: int = record.bytes
    return found


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_take_no_more_of_more_slices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.operators.slabs.SLAB_BYTES", 4 * 64 * 48 * 4)  # four slices
    shapes = [(count, *PLANE) for count in (24, 48, 96)]
    taken = [largest_input(OPERATORS[name](noise(shape, (6, 16, 48)))) for shape in shapes]
    assert len(set(taken)) == 1
    # Six slices of a chunk with their halo, as float32.
    assert 0 < taken[0] <= 2 * 6 * 64 * 48 * 4


def test_the_gaussian_takes_no_more_of_larger_planes() -> None:
    shapes = [(4, 128, 192), (4, 256, 384)]
    taken = [largest_input(operators.gaussian(noise(shape, (4, 32, 48)), 90.0)) for shape in shapes]
    # A chunk with nine pixels around it, as float32, of which the middle is kept.
    assert taken == [4 * (32 + 18) * (48 + 18) * 4] * 2


@pytest.mark.parametrize("name", ["background", "distance"])
def test_what_is_global_in_a_plane_takes_planes_and_no_more_of_them_than_fit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for factor in (1, 2):
        rows, columns = 64 * factor, 48 * factor
        monkeypatch.setattr("hela_dask.operators.slabs.SLAB_BYTES", 8 * 64 * 48 * 4)
        taken = largest_input(OPERATORS[name](noise((40, rows, columns), (5, 16, 48))))
        # Eight planes fit, or two. The background takes them as grey values and as float32 after
        # the low-pass, with what decides about each slice.
        slab = 8 if factor == 1 else 2
        facts = slab * 3 * 8
        assert taken <= slab * rows * columns * (1 if name == "distance" else 1 + 4) + facts


def test_detection_takes_some_planes_however_many_there_are() -> None:
    taken = []
    for count in (24, 96):
        with LargestInput() as record, dask.config.set(scheduler="synchronous"):
            detect_cells(noise((count, *PLANE), (6, 16, 48)))
        taken.append(record.bytes)
    # A slice and its halo of four on each side; or the chunk that one of them is cut from.
    assert taken[0] == taken[1] <= (1 + 2 * 4) * 64 * 48 * 8


Reads = dict[str, dict[str, list[int]]]


@contextmanager
def reads() -> Iterator[Reads]:
    """For each task (by its stage and name) and each array, the bytes of all its reads."""
    from distributed.worker import thread_state  # type: ignore[attr-defined]

    found: Reads = defaultdict(lambda: defaultdict(list))
    read = StoredArray.__getitem__

    def recorded(self: StoredArray, selection: Any) -> Any:
        block = read(self, selection)
        task = str(getattr(thread_state, "key", "the run itself"))
        folder = self.folder
        own = folder.parent.name == "coarse"
        kind = folder.name if own and not folder.name.isdigit() else "masks" if own else "image"
        found[task][kind].append(block.nbytes)
        return block

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredArray, "__getitem__", recorded)
        yield found


def most(found: Reads, stage: str) -> int:
    """The most that one task of a stage reads in all."""
    return max(
        sum(map(sum, arrays.values())) for task, arrays in found.items() if task.startswith(stage)
    )


def largest(found: Reads, stage: str, kind: str) -> int:
    """The largest single read of an array by a task of a stage."""
    return max(
        max(arrays[kind], default=0) for task, arrays in found.items() if task.startswith(stage)
    )


def repeated(folder: Path, pixel: float, deep: int, wide: int) -> Path:
    """The two cells and as many copies of them, slice upon slice and side by side."""
    grey = np.tile(two_cells(pixel), (deep, 1, wide))
    image = store.create_image(
        folder / f"{deep}-{wide}.ome.zarr",
        grey.shape,
        grey.dtype,
        (DEPTH, pixel, pixel),
        name="copies",
        chunks=(1, 128, 128),
        shards=(8, 256, 256),
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    return image.folder


def read_in_a_run(path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What tasks read while the first two cells are segmented."""
    without_pages(monkeypatch)
    for name, value in (
        ("_CHUNKS", (1, 128, 128)),
        ("_SHARDS", (8, 256, 256)),
        ("_SMALL_PLANE", 0),
    ):
        monkeypatch.setattr(f"hela_dask.storage.pyramid.{name}", value)
    centres = path.parent / "centres.csv"
    centres.write_text("z,y,x\n1300,2720,7200\n1300,3080,3000\n")
    with reads() as found:
        result = go(path, client, f"{path.stem}", centres=centres)
    assert result.exit_code == 0 and len(result.cells) == 2
    return found


def test_tasks_of_a_run_read_no_more_of_more_slices(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [read_in_a_run(repeated(tmp_path, 40.0, deep, 1), here, monkeypatch) for deep in (2, 3)]
    for stage in ("segment", "assemble"):
        assert most(found[0], stage) == most(found[1], stage) > 0
    plane = int(np.prod(two_cells(40.0).shape[1:]))
    # The background's graph reads shards of eight slices.
    fewer, more = (largest(item, "('image-", "image") for item in found)
    assert fewer == more == 8 * plane


def test_a_wider_plane_is_read_by_slabs_alone_and_no_task_reads_more_of_a_cell(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow, wide = (
        read_in_a_run(repeated(tmp_path, 20.0, 1, wide), here, monkeypatch) for wide in (2, 3)
    )
    assert most(narrow, "segment") == most(wide, "segment") > 0
    _, height, width = two_cells(20.0).shape
    for found, copies in ((narrow, 2), (wide, 3)):
        # Of the plane, a slab on the working level, where pixels are twice as large.
        plane = -(-height // 2) * -(-copies * width // 2)
        assert largest(found, "assemble", "background") == 8 * plane
    # Of masks, those of a cell, which differ a little: grey levels are those of the whole volume.
    masks = sorted(largest(found, "assemble", "masks") for found in (narrow, wide))
    assert 0 < masks[1] <= 1.5 * masks[0]
    # Of the image, a shard at a time and the halo of the low-pass, or the box of a nucleus.
    image = largest(narrow, "assemble", "image")
    assert image == largest(wide, "assemble", "image")
    assert 0 < image <= 8 * (256 + 2 * 8) ** 2
