"""A small volume of balls in resin, with stand-ins for the stages that find what is in it.

The stand-ins are exact on these balls, so that a test of the run can say what must come out; they
work in this process only, for clients made with ``processes=False``.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import ndimage

import hela_dask as hd
from hela_dask.geometry import Geometry
from hela_dask.operators.background import SLAB
from hela_dask.operators.classify import sampling
from hela_dask.operators.slabs import as_slabs, lazy_data, map_slabs
from hela_dask.storage import store

__all__ = [
    "BALLS",
    "SHAPE",
    "VOXEL",
    "ball",
    "copy_run",
    "empty_pages",
    "make_scene",
    "run_scene",
    "stand_in",
    "store_of",
    "without_pages",
]

SHAPE, VOXEL = (40, 160, 160), (200.0, 160.0, 160.0)
BALLS = ((20, 45, 45, 18), (18, 50, 115, 20), (22, 115, 50, 21), (20, 152, 120, 19))
"""z, y, x in voxels, and the radius in pixels; the last one is cut by a side."""
_WHITE = bytes(imagecodecs.png_encode(np.full((16, 16, 3), 255, np.uint8)))


def ball(z: float, y: float, x: float, radius: float) -> npt.NDArray[np.bool_]:
    """A ball in the volume."""
    steps = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    squares = sum(
        ((step - place) * size) ** 2
        for step, place, size in zip(steps, (z, y, x), VOXEL, strict=True)
    )
    return np.asarray(squares < (radius * VOXEL[1]) ** 2)


def make_scene(path: Path, balls: Sequence[Sequence[float]] = BALLS, depth: int = 8) -> Path:
    """Write the balls (grey 100) in resin (grey 200) as a store of slabs that deep."""
    image = store.create_image(
        path, SHAPE, "uint8", VOXEL, name="scene", chunks=(depth, 64, 64), shards=(depth, 192, 192)
    )
    grey = np.full(SHAPE, 200, np.uint8)
    grey[:, 0, 0] = 199  # no slice holds one grey value only
    for item in balls:
        grey[ball(*item)] = 100
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    return path


def run_scene(
    folder: Path, client: Any, *, portraits: bool = False, **options: Any
) -> hd.RunResult:
    """A finished run of the balls, by the stand-ins."""
    scene = make_scene(folder / "balls.ome.zarr")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, portraits=portraits)
        return hd.run(scene, client=client, progress=False, **options)


def store_of(finished: hd.RunResult) -> Path:
    """The folder of the image of a run."""
    assert isinstance(finished.store, Path)
    return finished.store


def copy_run(finished: hd.RunResult, folder: Path) -> hd.RunResult:
    """A copy of a finished run and of its image, in another folder."""
    shutil.copytree(str(finished.store), folder / finished.store.name)
    shutil.copytree(finished.path, folder / finished.path.name)
    return hd.open_run(folder / finished.path.name)


class EmptyPage:
    """In place of dask's performance report."""

    def __init__(self, filename: str, mode: str) -> None:
        self._path = Path(filename)

    def __enter__(self) -> None:
        self._path.touch()

    def __exit__(self, *_: object) -> None:
        return None

    async def __aexit__(self, *_: object, **__: object) -> None:
        self._path.touch()


def empty_pages(patch: pytest.MonkeyPatch) -> None:
    """Leave the two HTML pages of a run empty; its numbers are those of any other run."""
    report = importlib.import_module("hela_dask.report")
    patch.setattr("distributed.performance_report", EmptyPage)
    patch.setattr(report, "write_report", lambda run: Path(run, "report.html").touch())


def _write_white(path: Path, *_: object, **__: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_WHITE)


def without_pages(patch: pytest.MonkeyPatch, *, portraits: bool = False) -> None:
    """Leave the two HTML pages empty: they take longer than the runs, and say nothing new.

    So do the pictures of the cells, which are small and white, unless ``portraits``. Grey
    levels are found in four slices instead of sixteen.
    """
    empty_pages(patch)
    if not portraits:
        patch.setattr("hela_dask.running.portraits.write_portrait", _write_white)
    patch.setattr("hela_dask.volume.greys._SLICES", 4)


def stand_in(
    monkeypatch: pytest.MonkeyPatch, *, pages: bool = False, portraits: bool = False
) -> dict[str, Any]:
    """Put the stand-ins in place; returns what counts their calls and may make them fail.

    Unless ``pages``, as :func:`without_pages` with these ``portraits``. Dask's page of performance
    is left empty anyway, unless the test has the fixture ``performance_page`` and asks for pages.

    ``calls`` has a list of labels in ``segment`` and a number in ``background``; a label in
    ``broken`` raises.
    """
    calls: dict[str, Any] = {"segment": [], "background": 0, "broken": set()}

    def thresholds(facts: Any, **options: Any) -> Any:
        calls["background"] += 1  # once per slab
        return known_thresholds(facts, **options)

    def slice_statistics(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array([(100.0, 200.0, plane.min() == plane.max()) for plane in block])

    def background_with_statistics(volume: xr.DataArray, *_: Any, **__: Any) -> Any:
        slabs = as_slabs(lazy_data(volume, "iuf", "grey values"), most=SLAB)
        facts = map_slabs(slice_statistics, slabs, name="background-levels", dtype=float, width=3)
        return volume.copy(data=slabs > 150), facts

    def sampled_outputs(volume: xr.DataArray, *args: Any) -> da.Array:
        names, spacing = args[-2:]
        count, plane = len(sampling(Geometry.of(volume), spacing).slices), volume.shape[1:]
        shape, chunks = (count, *plane, len(names)), (SLAB, -1, -1, -1)
        # Boundaries everywhere: no parts are joined.
        found: da.Array = da.full(shape, 255, dtype=np.uint8, chunks=chunks)
        return found

    def segment_window(
        volume: xr.DataArray,
        region: Any,
        method: str,
        *,
        parameters: Any,
        background: npt.NDArray[np.bool_],
        grey_levels: Any,
        predicted: Any,
        grows: Any,
    ) -> xr.Dataset:
        calls["segment"].append(region.label)
        if region.label in calls["broken"]:
            raise ValueError(f"no luck with cell {region.label}")
        pieces, _ = ndimage.label(~background)
        size = Geometry.of(volume).voxel_size
        place = tuple(
            round((middle - float(volume[axis][0])) / step)
            for axis, middle, step in zip("zyx", region.centre, size, strict=True)
        )
        cell = (pieces == pieces[place]) & (pieces[place] > 0)
        nucleus = ndimage.binary_erosion(cell, iterations=4)
        masks = {"nucleus": nucleus, "cell": cell, "background": background, "outline": nucleus}
        masks["envelope"] = ndimage.binary_dilation(nucleus) & ~nucleus
        flags = "" if nucleus.any() else "no_nucleus"
        return xr.Dataset(
            {name: (("z", "y", "x"), mask) for name, mask in masks.items()},
            attrs={"label": region.label, "status": "segmented", "reason": "", "flags": flags},
        )

    pipeline = importlib.import_module("hela_dask.running.pipeline")
    monkeypatch.setattr(pipeline, "background_with_statistics", background_with_statistics)
    monkeypatch.setattr(pipeline, "sampled_outputs", sampled_outputs)
    # A network is not remarked on though voxels are four times as large as its own.
    monkeypatch.setattr("hela_dask.running.prepare.USUAL_FACTOR", 4.0)
    stages = importlib.import_module("hela_dask.running.stages")
    known_thresholds = stages.thresholds
    monkeypatch.setattr(stages, "thresholds", thresholds)
    segment = importlib.import_module("hela_dask.steps.segment")
    monkeypatch.setattr(segment, "segment_window", segment_window)
    if not pages:
        without_pages(monkeypatch, portraits=portraits)
    return calls
