"""Whole paths on real stacks: cells found once among mirrors, nuclei at full resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.operators.background import background
from hela_dask.steps.detect import detect_cells
from hela_dask.steps.link import link_cells
from hela_dask.steps.regions import cell_regions
from hela_dask.steps.segment import segment_cell
from tests.volumes import make_volume

pytestmark = pytest.mark.slow

# Middle of the one labelled cell in its slice, and the width of a tile, nm.
MIDDLE, TILE = 10_000.0, 20_000.0


def mirrored(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """3 x 3 tiles without seams: every border meets its own mirror image."""
    row = np.concatenate([stack, stack[:, :, ::-1], stack], axis=2)
    return np.concatenate([row, row[:, ::-1], row], axis=1)


def test_nine_mirrored_cells_are_found_once_each(real_data: Path) -> None:
    stack = tifffile.imread(real_data / "roi1656" / "raw_z001-300.tif")
    # Every 20th slice, 1 µm apart, is what detection looks at anyway.
    volume = make_volume(mirrored(stack[10::20]), (1000.0, 40.0, 40.0), chunks=(1, -1, -1))
    cells = link_cells(detect_cells(volume), volume)
    found = cells[cells.status == "detected"]
    for y in range(3):
        for x in range(3):
            away = np.hypot(found.y - (y * TILE + MIDDLE), found.x - (x * TILE + MIDDLE))
            assert (away < 3000).sum() == 1, f"tile {y}, {x}"


@pytest.mark.parametrize("name", ["z0002", "z0028", "z0064"])
def test_a_slice_of_full_resolution_has_its_nucleus_in_one_piece(
    real_data: Path, name: str
) -> None:
    plane = tifffile.imread(real_data / "roi6005" / f"{name}.tif")
    volume = make_volume(plane[None], (50.0, 10.0, 10.0), chunks=(1, -1, -1))
    cells = link_cells(detect_cells(volume), volume)
    regions = cell_regions(cells[cells.status == "detected"], volume)
    assert len(regions) >= 1
    central = min(regions, key=lambda region: abs(region.centre[2] - 10_000))
    masks = segment_cell(volume, central)
    assert masks.attrs["status"] == "segmented"
    nucleus, cell = (float(masks[part].sum()) * 1e-4 for part in ("nucleus", "cell"))
    assert 52 < nucleus < 62
    assert 135 < cell < 150


def test_resin_agrees_with_the_truth_in_both_parts_and_as_a_negative(real_data: Path) -> None:
    folder = real_data / "roi1656"
    for start, least in ((36, 0.925), (120, 0.915)):
        # Nine slices with the three on either side that they depend on.
        span = range(start - 3, start + 12)
        stack = tifffile.imread(folder / "raw_z001-300.tif", key=span)
        truth = tifffile.imread(folder / "labels_z001-180.tif", key=span)[3:-3] == 4
        volume = make_volume(stack, (50.0, 40.0, 40.0), chunks=(5, -1, -1))
        found = background(volume).values[3:-3]
        agreement = (found & truth).sum() / (found | truth).sum()
        assert agreement > least, start
        np.testing.assert_array_equal(
            background(volume.copy(data=~volume.data)).values[3:-3], found
        )
