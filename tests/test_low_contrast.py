"""Stacks like the papers' other sets: fine pixels, a third of the contrast, no resin in view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from benchmarks.contrast import finer, like_other_sets, low_contrast, without_resin
from benchmarks.stacks import Stack, agreement, real_stack, segment_stack
from hela_dask.storage import store
from tests.drawn import draw_cell, iou
from tests.scenes import empty_pages

VOXEL = (60.0, 8.6, 8.6)


@pytest.mark.slow
def test_a_nucleus_is_found_from_its_centre_and_the_table_says_that_the_cell_is_not(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_pages(monkeypatch)
    # Drawn at 10 nm and called 8.6: a cell that is a little smaller.
    drawn = draw_cell((60.0, 10.0, 10.0), resin=False, slices=(18, 26))
    grey = low_contrast(drawn.image)
    image = store.create_image(tmp_path / "low.ome.zarr", grey.shape, "uint8", VOXEL, name="low")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    centre = [at * size for at, size in zip(drawn.centre, VOXEL, strict=True)]
    centres = tmp_path / "centres.csv"
    centres.write_text("z,y,x\n" + ",".join(f"{at:.1f}" for at in centre) + "\n", encoding="utf-8")
    result = hd.run(image.path, centres=centres, client=here, progress=False)
    assert result.exit_code == 0
    row = result.cells.iloc[0]
    assert (row["status"], bool(row["complete"])) == ("no_resin", False)
    assert result.summary() == "0 cells outlined; 1 not segmented: 1 without resin in view"
    assert "no resin" in row["reason"]
    assert iou(result.labels["nuclei"].values > 0, drawn.nucleus) > 0.9
    assert not result.labels["background"].values.any()


@pytest.mark.slow
def test_a_real_nucleus_is_found_without_resin_at_a_third_of_the_contrast(real_data: Path) -> None:
    stack = like_other_sets(real_stack(real_data).slices(129, 132, centre=131), VOXEL[1])
    masks = segment_stack(stack)
    assert not masks["background"].any()
    assert masks.attrs["status"] == "no_resin"
    assert agreement(masks, stack, {"nucleus": (2,)})["nucleus"].pooled.ji > 0.95


def test_resin_is_replaced_by_cytoplasm() -> None:
    image = np.full((1, 60, 60), 100, np.uint8)
    truth = np.full((1, 60, 60), 5, np.uint8)
    image[:, :, 40:], truth[:, :, 40:] = 220, 4
    image[:, 20:40, 5:15], truth[:, 20:40, 5:15] = 160, 2
    filled = without_resin(image, truth, rim=2)
    assert (filled[truth == 4] == 100).all()
    assert (filled[truth == 2] == 160).all()


def test_contrast_is_compressed_to_a_third() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(150, 45, (2, 80, 80)).clip(0, 255).astype(np.uint8)
    low = low_contrast(image)
    # A third of 45, and noise of 4.
    assert low.std() == pytest.approx(np.hypot(15, 4), rel=0.05)
    assert np.median(low) == pytest.approx(128, abs=1)


def test_a_finer_grid_shows_the_same_places() -> None:
    image = np.zeros((6, 30, 30), np.uint8)
    image[2:4, 10:20, 5:15] = 200
    stack = Stack(image, (image > 0).astype(np.uint8) * 2, (3, 15, 10), (50.0, 40.0, 40.0))
    fine = finer(stack, (60.0, 8.0, 8.0))
    assert fine.image.shape == (5, 150, 150)
    assert fine.truth[2, 50:100, 25:75].all()
    assert (fine.truth[2] > 0).sum() == 2500
    assert fine.truth[fine.centre] == 2
