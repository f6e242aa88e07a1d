"""The folder in which the examples of docstrings run: a small volume, its run, and more files."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.storage import store
from tests.comparing.runs import DRAWN, make_group

VOXEL = (100.0, 80.0, 80.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``hela.ome.zarr``, ``hela.run``, and the other files that examples name.

    Where a call would start workers on this machine, it gets one worker in this process.
    """
    from distributed import Client

    folder = tmp_path_factory.mktemp("docs")
    with (
        pytest.MonkeyPatch.context() as patch,
        Client(
            processes=False,
            n_workers=1,
            threads_per_worker=2,
            dashboard_address=":0",
            set_as_default=False,
        ) as client,
    ):
        patch.chdir(folder)
        # Two examples draw the same slice: it is drawn once.
        patch.setattr(hd, "explain", functools.cache(hd.explain))
        patch.setattr("hela_dask.tasks.session.connect", lambda *_: contextlib.nullcontext(client))
        _make_volumes()
        _make_run(client)
        _make_tables(folder)
        yield folder


@pytest.fixture
def clean(place: Path) -> Iterator[Path]:
    """The folder; files that an example adds to it are removed, and its plots are closed."""
    before = set(place.iterdir())
    yield place
    from matplotlib import pyplot as plt

    plt.close("all")
    for path in set(place.iterdir()) - before:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _make_volumes() -> None:
    """The phantom, and a small part of it."""
    hd.make_phantom(
        "hela.ome.zarr", shape=(64, 200, 200), cells=2, diameter=6, voxel_size=VOXEL, progress=False
    )
    grey = hd.open_volume("hela.ome.zarr").values
    write_stack(Path("slices.tif"), grey[28:36, 60:140, 60:140])
    hd.convert("slices.tif", "part.ome.zarr", voxel_size=VOXEL, progress=False)


def _make_run(client: Any) -> None:
    hd.run("hela.ome.zarr", method="volumetric", client=client, progress=False)


def _make_tables(folder: Path) -> None:
    """Labels of another program, organelles in the cells, and runs of two groups."""
    cells = hd.open_volume("hela.ome.zarr/labels/true_cells").values
    coarse = (VOXEL[0], 2 * VOXEL[1], 2 * VOXEL[2])
    write_stack(folder / "cells.tif", np.ascontiguousarray(cells[:, ::2, ::2]), coarse)
    organelles = np.zeros_like(cells)
    middle = np.argwhere(cells > 0).mean(axis=0).astype(int)
    for number in range(3):
        z, y, x = middle + np.array([4 * number - 4, 0, 6 * number - 6])
        organelles[z : z + 2, y : y + 4, x : x + 4] = number + 1
    write_stack(folder / "mitochondria.tif", organelles)
    for seed, name in enumerate(("control", "treated"), start=1):
        for run in make_group(folder, name, 2, seed=seed, larger=1.0 + 0.4 * (seed - 1)):
            _keep_volumes(run)


def _keep_volumes(run: Path) -> None:
    """Keep two measures of a run: drawing all of them takes long."""
    table = pd.read_parquet(run / "cells.parquet")
    others = [name for name in DRAWN if name not in ("cell_volume", "nucleus_volume")]
    store.write_table(run / "cells", table.drop(columns=others))


def write_stack(path: Path, stack: NDArray[Any], voxel: tuple[float, float, float] = VOXEL) -> None:
    """A TIFF as ImageJ writes it, with its voxel size."""
    tifffile.imwrite(
        path,
        stack,
        imagej=True,
        resolution=(1 / voxel[2], 1 / voxel[1]),
        metadata={"axes": "ZYX", "spacing": voxel[0], "unit": "nm"},
    )
