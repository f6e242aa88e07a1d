"""A session in napari: open a run, correct a cell, run again; only that cell has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from tests.napari.screen import NEEDS_SCREEN, open_review, wait_for

pytestmark = [*NEEDS_SCREEN, pytest.mark.slow]

SIZE = {"shape": (80, 160, 160), "cells": 2, "diameter": 5.5, "seed": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, client: Any) -> Path:
    """A finished run of a small phantom of two cells."""
    folder = tmp_path_factory.mktemp("demo")
    store = folder / "phantom.ome.zarr"
    hd.make_phantom(store, voxel_size=(100.0, 80.0, 80.0), progress=False, **SIZE)  # type: ignore[arg-type]
    return hd.run(store, folder / "phantom.run", client=client, progress=False).path


def test_only_the_corrected_cell_changes(run: Path) -> None:
    before = hd.open_run(run)
    had = {name: np.asarray(labels) for name, labels in before.labels.items()}
    viewer, review = open_review(run, show=True)
    try:
        review.show_cell(1)
        review.panel.centre.click()
        number = review.layers.slice
        review.panel.paint.click()
        layer = review.layers.patch_layer
        plane = layer.data[0]
        rows, columns = np.nonzero(plane == 1)
        layer.paint((0, int(rows[0]), int(columns[0])), 1)  # a stroke over the upper border
        left = int(columns.argmin())
        layer.paint((0, int(rows[left]), int(columns[left])), 0)  # the eraser at the left one
        corner, painted = review.layers.patch.low, review.layers.painted()
        review.panel.keep.click()
        assert review.panel.apply.text() == "Apply 2 edits"
        review.panel.apply.click()
        assert review.busy and not review.panel.paint.isEnabled()
        wait_for(lambda: not review.busy, 300)
        assert review.panel.status.text() == "The edits are applied"
        assert review.session.up_to_date and not review.panel.apply.isEnabled()
        assert "edited" in review.rows[1].flags and "edited" not in review.rows[2].flags
        cells = review.layers.layer("cells")
        shown = np.asarray((cells.data[0] if cells.multiscale else cells.data)[number])
    finally:
        viewer.close()
    after = hd.open_run(run)
    now = {name: np.asarray(labels) for name, labels in after.labels.items()}
    changed = np.argwhere(now["cells"] != had["cells"])
    assert len(changed) > 20 and (changed[:, 0] == number).all()
    assert set(np.unique(had["cells"][tuple(changed.T)])) == {0, 1}
    assert set(np.unique(now["cells"][tuple(changed.T)])) == {0, 1}
    (top, left), (height, width) = corner, painted.shape
    window = (number, slice(top, top + height), slice(left, left + width))
    np.testing.assert_array_equal(now["cells"][window], painted)  # exactly as painted
    np.testing.assert_array_equal(shown, now["cells"][number])  # and napari shows it
    for name in ("nuclei", "envelope"):
        others = now[name] != had[name]
        assert set(np.unique(had[name][others])) <= {1}
    table, old = after.cells.set_index("label"), before.cells.set_index("label")
    assert table.loc[1, "edited_by"] == "A. Person"
    assert not table["cell_volume"].loc[[1]].equals(old["cell_volume"].loc[[1]])
    old = old.drop(columns=["seconds", "peak_memory"])
    pd.testing.assert_frame_equal(table[list(old)].loc[[2]], old.loc[[2]])
