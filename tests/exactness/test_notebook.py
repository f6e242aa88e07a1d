"""A notebook that takes the steps of a run one by one, by public names, gets the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hela_dask as hd
from hela_dask.kernels.packed_labels import CELL, ENVELOPE, NUCLEUS
from hela_dask.steps.assemble import encode_masks
from hela_dask.storage import store as arrays
from hela_dask.tasks.markers import Markers
from tests.exactness.runs import PARAMETERS, go, write
from tests.scenes import without_pages

P = hd.Parameters.from_dict(PARAMETERS)
BITS = {"nucleus": NUCLEUS, "cell": CELL, "envelope": ENVELOPE}


@pytest.fixture(scope="module")
def result(here: Any, tmp_path_factory: pytest.TempPathFactory) -> hd.RunResult:
    path = write(tmp_path_factory.mktemp("notebook") / "two.ome.zarr", 40.0)
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        return go(path, here, "first")


def kept(folder: Path, label: int, volume: xr.DataArray) -> xr.DataArray:
    """The bits of a cell's masks, as the run keeps them before all cells meet."""
    marker = Markers(folder / "done").read("segment", f"{label:05d}")
    assert marker is not None
    place = tuple(slice(*pair) for pair in marker.result["extent"])
    whole = np.zeros(volume.shape, np.uint8)
    whole[place] = arrays.read_scratch(next(folder.glob(f"*/{label:05d}")))[:]
    return volume.copy(data=whole)


@pytest.mark.parametrize("chunks", [(1, 150, 150), (5, 37, 300), (-1, -1, -1)], ids=str)
def test_step_by_step(
    result: hd.RunResult, chunks: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pages(monkeypatch)  # grey levels of as many slices as in the run
    volume = hd.open_volume(result.store).chunk(dict(zip("zyx", chunks, strict=True)))
    with dask.config.set(scheduler="synchronous"):
        levels = hd.grey_levels(volume, P.background)
        resin = hd.background(volume, P.background, grey_levels=levels).compute()
        np.testing.assert_array_equal(resin.values, result.labels["background"].values > 0)

        lazy = resin.chunk(dict(zip("zyx", chunks, strict=True)))
        detections = hd.detect_cells(lazy, P.detect)
        in_one_go = hd.detect_cells(
            volume, P.detect, background_parameters=P.background, grey_levels=levels
        )
        pd.testing.assert_frame_equal(detections, in_one_go, check_exact=True)
        found = pd.read_parquet(result.path / "detections.parquet")
        pd.testing.assert_frame_equal(found[[*detections]], detections, check_exact=True)

        cells = hd.link_cells(detections, volume, P.link)
        regions = hd.cell_regions(cells, volume, P.region)
        same = ["label", "z", "y", "x", "height"]
        pd.testing.assert_frame_equal(result.cells[same], cells[same], check_exact=True)
        assert len(regions) == 2
        for region in regions:
            masks = hd.segment_cell(volume, region, parameters=P, grey_levels=levels, grow=True)
            bits = encode_masks(*(masks[name].values for name in ("nucleus", "cell", "envelope")))
            expected = kept(result.path, region.label, volume).sel(masks.coords).values
            for name, bit in BITS.items():
                np.testing.assert_array_equal(bits & bit, expected & bit, err_msg=name)
            row = result.cells.set_index("label").loc[region.label]
            assert masks.attrs["confidence"] == row["confidence"]

        measured = hd.measure_cells(
            result.label_paths["nuclei"],
            result.label_paths["cells"],
            envelope=result.label_paths["envelope"],
        )
        numbers = ["label", "nucleus_volume", "cell_volume", "envelope_volume"]
        pd.testing.assert_frame_equal(result.cells[numbers], measured[numbers], check_exact=True)
