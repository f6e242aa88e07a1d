"""One region through ``segment_cell``: any part of the volume, any background, what comes out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import hela_dask as hd
from hela_dask.errors import InputError, ParameterError
from hela_dask.geometry import Geometry
from hela_dask.operators.background import background as lazy_background
from hela_dask.parameters import Parameters
from hela_dask.phantom import make_phantom
from hela_dask.steps.confidence import measure_quality
from hela_dask.steps.regions import Region
from hela_dask.steps.segment import segment_cell
from tests.drawn import CENTRE, Drawing, draw_cell, iou
from tests.volumes import make_volume

SHIFT = (1000.0, 2000.0, 400.0)  # nm, where the drawn volume begins


def region(
    half: tuple[float, float, float] = (500.0, 3200.0, 3200.0),
    centre: tuple[float, float, float] = CENTRE,
) -> Region:
    """Around the drawn cell, in the shifted volume."""
    z, y, x = (place + shift for place, shift in zip(centre, SHIFT, strict=True))
    box = ((z - half[0], z + half[0]), (y - half[1], y + half[1]), (x - half[2], x + half[2]))
    return Region(7, (z, y, x), box)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_cell()


@pytest.fixture(scope="module")
def volume(drawing: Drawing) -> xr.DataArray:
    start = [shift + size / 2 for shift, size in zip(SHIFT, drawing.voxel, strict=True)]
    return make_volume(drawing.image, drawing.voxel, chunks=(8, 180, 180), translation=start)


@pytest.fixture(scope="module")
def found(volume: xr.DataArray) -> xr.Dataset:
    return segment_cell(volume, region())


def test_what_comes_out_lies_on_the_regions_voxels(
    volume: xr.DataArray, found: xr.Dataset, drawing: Drawing
) -> None:
    window = region().slices(volume)
    assert set(found.data_vars) == {"nucleus", "cell", "envelope", "background"}
    for name in found.data_vars:
        assert found[name].dims == ("z", "y", "x")
        assert found[name].dtype == bool
        assert found[name].shape == (20, 160, 160)
        assert isinstance(found[name].data, np.ndarray)
    for axis, part in zip("zyx", window, strict=True):
        np.testing.assert_array_equal(found[axis], volume[axis][part])
    attributes = {name: found.attrs[name] for name in ("label", "status", "voxel_size")}
    assert attributes == {
        "label": 7,
        "status": "segmented",
        "voxel_size": (50.0, 40.0, 40.0),
    }
    assert iou(found["nucleus"].values, drawing.nucleus[window]) > 0.93
    assert iou(found["cell"].values, drawing.cell[window]) > 0.95
    assert not bool((found["nucleus"] & ~found["cell"]).any())
    # Back on the volume's own grid, by coordinates.
    whole = found["cell"].reindex_like(volume, fill_value=False)
    assert iou(whole.values[window], drawing.cell[window]) > 0.95


def test_a_background_given_is_the_background_computed(
    volume: xr.DataArray, found: xr.Dataset
) -> None:
    given = segment_cell(volume, region(), background=lazy_background(volume).compute())
    xr.testing.assert_identical(given, found)


def test_the_background_is_of_whole_planes(volume: xr.DataArray, found: xr.Dataset) -> None:
    window = region().slices(volume)
    whole = lazy_background(volume[window[0]]).compute()
    np.testing.assert_array_equal(found["background"], whole[:, window[1], window[2]])
    cropped = lazy_background(volume[window]).compute()
    assert bool((cropped.values != found["background"].values).any())


def test_part_of_the_volume_gives_the_same(volume: xr.DataArray, found: xr.Dataset) -> None:
    window = region().slices(volume)
    slab = volume[window[0].start - 3 : window[0].stop + 4]
    levels = hd.grey_levels(volume)
    xr.testing.assert_identical(segment_cell(slab, region(), grey_levels=levels), found)
    # Without a network also in the plane, and whatever the grey levels of the part.
    whole = segment_cell(volume, region(), "volumetric")
    background = lazy_background(volume).compute()
    part = segment_cell(volume[window], region(), "volumetric", background=background[window])
    xr.testing.assert_identical(part, whole)


def test_it_reads_the_region_and_nothing_else(drawing: Drawing, volume: xr.DataArray) -> None:
    read: list[int] = []

    def load(block: np.ndarray, block_info: dict[int, dict[str, list[tuple[int, int]]]]) -> object:
        read.append(block_info[0]["array-location"][0][0])
        return block

    watched = volume.copy(
        data=da.from_array(drawing.image, chunks=(8, 180, 180)).map_blocks(load, dtype=np.uint8)
    )
    read.clear()
    small, resin = region((150.0, 3200.0, 3200.0)), volume > 180
    segment_cell(watched, small, "volumetric", background=resin)
    assert set(read) <= {16, 24}
    read.clear()
    segment_cell(watched, small, background=resin, grey_levels=hd.grey_levels(volume))
    assert set(read) <= {16, 24, 32}  # with the slices that the network sees


def test_a_centre_near_an_end_and_a_window_beyond_it(volume: xr.DataArray) -> None:
    beyond = region((9000.0, 9000.0, 9000.0))
    parameters = Parameters()
    assert [part.stop - part.start for part in beyond.slices(volume)] == [52, 180, 180]
    outside = dataclasses.replace(beyond, centre=(0.0, *beyond.centre[1:]))
    found = segment_cell(
        volume[:6], outside, parameters=parameters, background=(volume > 180)[:6].compute()
    )
    assert found["cell"].shape == (6, 180, 180)
    assert found.attrs["status"] == "segmented"


def test_a_window_is_evaluated_when_it_is_large_enough(
    volume: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = list[tuple[int, ...]]()

    def watched(nucleus: Any, *args: Any, **more: Any) -> Any:
        shapes.append(nucleus.shape)
        return measure_quality(nucleus, *args, **more)

    monkeypatch.setattr("hela_dask.steps.segment.measure_quality", watched)
    small = region((500.0, 1200.0, 1200.0))
    found = segment_cell(volume, small, "volumetric", grow=True)
    assert shapes == [found["cell"].shape]
    assert found["cell"].shape[1:] > small.window(Geometry.of(volume)).shape[1:]
    assert found.attrs["status"] == "segmented" and found.attrs["confidence"] > 0


def test_statuses_are_passed_on(volume: xr.DataArray) -> None:
    small = region((150.0, 3200.0, 3200.0))
    resin = xr.zeros_like(volume, dtype=bool)
    found = segment_cell(volume, small, background=resin)
    assert found.attrs["status"] == "no_resin"
    assert "resin" in found.attrs["reason"]
    assert bool(found["nucleus"].any())
    demanding = Parameters.from_dict({"volumetric": {"smallest_nucleus": 50.0}})
    found = segment_cell(volume, small, "volumetric", parameters=demanding)
    assert found.attrs["status"] == "segmented"
    assert "no_nucleus" in found.attrs["flags"].split(",")
    assert "50 µm²" in found.attrs["reason"]
    assert not bool(found["nucleus"].any())
    assert bool(found["cell"].any())


def test_an_error_names_volumes_that_cannot_be_segmented(volume: xr.DataArray) -> None:
    with pytest.raises(ParameterError, match="unknown method 'unet3'; known: unet, "):
        segment_cell(volume, region(), "unet3")
    with pytest.raises(InputError, match="region of cell 7 lies outside the volume"):
        segment_cell(volume[:4], region())
    with pytest.raises(InputError, match=r"\(4, 180, 180\) is not the volume's, \(52, 180, 180\)"):
        segment_cell(volume, region(), background=(volume > 180)[:4])


@pytest.mark.slow
def test_a_phantom_from_its_file_to_its_masks(tmp_path: Path) -> None:
    make_phantom(tmp_path / "p.ome.zarr", shape=(112, 256, 256), cells=2, diameter=5.0)
    volume = hd.open_volume(tmp_path / "p.ome.zarr")
    truth = hd.open_volume(tmp_path / "p.ome.zarr" / "labels" / "true_cells").values
    nuclei = hd.open_volume(tmp_path / "p.ome.zarr" / "labels" / "true_nuclei").values
    sizes = np.bincount(nuclei.ravel())[1:]
    label = int(np.argmax(sizes)) + 1
    z, y, x = (float(at.mean()) for at in np.nonzero(nuclei == label))
    centre = (z * 50.0, y * 40.0, x * 40.0)
    edges = [
        (-size / 2, size * (n - 0.5))
        for size, n in zip((50.0, 40.0, 40.0), volume.shape, strict=True)
    ]
    box = ((centre[0] - 800, centre[0] + 800), edges[1], edges[2])
    around = Region(label, centre, box)
    found = segment_cell(volume, around)
    window = around.slices(volume)
    truth, nuclei = truth[window], nuclei[window]
    assert found.attrs["status"] == "segmented"
    assert iou(found["nucleus"].values, nuclei == label) > 0.8
    assert iou(found["cell"].values, truth == label) > 0.8
