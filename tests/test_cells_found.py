"""Which cells are found: phantoms of forty cells with known truth, and one whole real slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.phantom import PhantomSpec, plan_phantom
from hela_dask.phantom.geometry import build_shapes
from hela_dask.phantom.lattice import Grid
from hela_dask.steps.detect import detect_cells
from hela_dask.steps.link import link_cells
from hela_dask.steps.regions import cell_regions, with_regions
from tests.volumes import make_volume

VOXEL = (100.0, 120.0, 120.0)
SHAPE = (140, 400, 400)
STEP = 10  # slices, 1 µm: those that are looked at anyway


def true_cells(spec: PhantomSpec) -> NDArray[np.int32]:
    """The true cells of every tenth slice, without painting the image."""
    planes = []
    for z in range(STEP // 2, SHAPE[0], STEP):
        shapes = build_shapes(Grid((z, 0, 0), VOXEL, (1, *SHAPE[1:])), spec)
        assert shapes is not None
        planes.append(np.where(shapes.cell_mask(), shapes.owner, 0)[:, 0])
    return np.stack(planes)


def found_cells(truth: NDArray[np.int32]) -> pd.DataFrame:
    """The cells found in the true background, and the true cell under each centre."""
    size = (VOXEL[0] * STEP, *VOXEL[1:])
    volume = make_volume(truth == 0, size, chunks=(1, -1, -1))
    cells = link_cells(detect_cells(volume), volume)
    cells = with_regions(cells, cell_regions(cells, volume))
    cells = cells[cells["status"] != "chain_too_short"]
    places = np.rint(cells[["z", "y", "x"]].to_numpy() / size).astype(int)
    return cells.assign(owner=truth[tuple(places.T)])


@pytest.mark.parametrize(("seed", "small", "flat"), [(0, 0, 0), (1, 0, 0), (2, 6, 6)])
def test_forty_cells_are_found_once_each(seed: int, small: int, flat: int) -> None:
    spec = plan_phantom(SHAPE, 40, 9.0, seed, VOXEL, small=small, flat=flat)
    truth = true_cells(spec)
    found = found_cells(truth)
    owners = set(found["owner"]) - {0}
    assert (found["owner"] > 0).all()  # none in the resin
    complete = {cell.label for cell in spec.cells if cell.complete}
    visible = set(np.unique(truth)) - {0}
    assert len(visible) == 40
    assert len(owners & visible) / len(visible) >= 0.95  # recall, those cut by a side included
    assert len(owners & complete) / len(complete) >= 0.95
    assert len(owners) / len(found) >= 0.95  # precision: none twice
    cut = found[~found["owner"].isin(complete)]
    assert (cut["touches_side"] | cut["touches_first_slice"] | cut["touches_last_slice"]).all()


def test_small_and_flat_cells_leave_the_others_as_they_are() -> None:
    shape = (140, 250, 250)
    usual = plan_phantom(shape, 12, 9.0, 2, VOXEL)
    odd = plan_phantom(shape, 12, 9.0, 2, VOXEL, small=3, flat=3)
    changed = [
        (one, other)
        for one, other in zip(usual.cells, odd.cells, strict=True)
        if one.radii != other.radii
    ]
    assert len(changed) == 6
    ratios = sorted(
        tuple(round(b / a, 2) for a, b in zip(one.radii, other.radii, strict=True))
        for one, other in changed
    )
    assert ratios == [(0.36, 1.0, 1.0)] * 2 + [(0.5, 0.5, 0.5)] * 3 + [(1.0, 1.0, 0.42)]
    labels = {one.label for one, _ in changed}
    for one, other in zip(usual.cells, odd.cells, strict=True):
        if one.label not in labels and not labels & set(one.touching):
            assert one == other
        assert not labels & set(other.touching)


def test_a_whole_real_slice(real_data: Path) -> None:
    """Its map was made by a network, so its smaller nuclei are not all real."""
    classes = tifffile.imread(real_data / "slice330" / "unet_classes_40nm.tif")
    background = classes == 4
    volume = make_volume(background[None], (50.0, 40.0, 40.0))
    cells = link_cells(detect_cells(volume), volume)
    found = cells[cells["status"] != "chain_too_short"].sort_values("height", ascending=False)
    places = found[["y", "x"]].to_numpy()
    heights = found["height"].to_numpy()
    assert 25 <= len(found) <= 30
    rows, columns = np.rint(places / 40).astype(int).T
    assert not background[rows, columns].any()
    # No cell twice: no two closer than the larger one's radius.
    for rank in range(len(found)):
        away = np.hypot(*(places[rank + 1 :] - places[rank]).T)
        assert away.min(initial=np.inf) > heights[rank]
    # Every large nucleus (20 µm²) lies in a cell that was found, and no two cells share one.
    nuclei, count = ndimage.label(ndimage.binary_closing(classes <= 2, iterations=5))
    areas = np.bincount(nuclei.ravel()) * 0.04**2
    large = [number for number in range(1, count + 1) if areas[number] >= 20]
    assert len(large) >= 14
    middles = 40 * np.array(ndimage.center_of_mass(nuclei > 0, nuclei, large))
    for middle in middles:
        assert (np.hypot(*(places - middle).T) < heights).sum() == 1
    inside = nuclei[rows, columns]
    assert len(np.unique(inside[inside > 0])) == np.count_nonzero(inside)
