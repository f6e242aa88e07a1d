"""A cell of a finished run: what the run decided of it, on the level that it was decided on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask._run import RunResult, run
from hela_dask.errors import MissingInputError
from hela_dask.explaining.lookup import find_cell


def test_labels_are_on_the_working_level_though_their_pyramid_ends_before(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    # A plane of 160 pixels has no coarser level.
    params = {"working": {"resolution": 320.0}}
    result = run(scene, client=here, parameters=params, progress=False)
    found = find_cell(scene, 2)
    window = found.region.slices(found.working())
    labels, resin = found.labels("cells"), found.background(window)
    assert labels.shape == found.working().shape == (40, 80, 80)
    np.testing.assert_array_equal(labels, result.labels["cells"].values[:, ::2, ::2])
    cell = labels[window].values == 2
    assert cell.sum() > 1000 and (cell & resin).sum() < 0.05 * cell.sum()


def test_a_background_that_was_deleted_is_named(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene, result = first.store, first
    shutil.rmtree(result.path / "coarse")
    found = find_cell(scene, 2)
    with pytest.raises(MissingInputError, match=r"balls\.run is gone: start hela-dask run"):
        found.background(found.region.slices(found.working()))
    run(scene, client=here, progress=False)
    assert found.background(found.region.slices(found.working())).any()
