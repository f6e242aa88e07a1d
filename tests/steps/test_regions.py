"""Windows around cells: sizes, ends, the edge rule with its reasons, and the TIFF folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import tifffile
import xarray as xr

from hela_dask.conversion.sources import open_source
from hela_dask.errors import ExistsError, InputError
from hela_dask.geometry import Geometry
from hela_dask.parameters import RegionParameters
from hela_dask.steps.detect import detect_cells
from hela_dask.steps.link import link_cells
from hela_dask.steps.region_files import save_regions
from hela_dask.steps.regions import Region, cell_regions, with_regions
from tests.volumes import make_volume


def large_volume(pixel: float = 40.0, depth: int = 600) -> xr.DataArray:
    """A volume of 60 x 60 µm in the plane whose first edge lies at zero, never computed."""
    count = round(60_000 / pixel)
    lazy = da.zeros((depth, count, count), dtype=np.uint8, chunks=(50, count, count))
    return make_volume(lazy, (50.0, pixel, pixel), translation=(25.0, pixel / 2, pixel / 2))


def cell(**values: Any) -> pd.DataFrame:
    """One cell in the middle of `large_volume`, 8 µm tall, with changes."""
    row = {
        "label": 1,
        "z": 15_000.0,
        "y": 30_000.0,
        "x": 30_000.0,
        "height": 4_000.0,
        "n_detections": 10,
        "first_slice": 221,
        "last_slice": 380,
        "status": "detected",
        "reason": "",
        "flags": "",
    }
    return pd.DataFrame([row | values])


def test_the_published_window() -> None:
    (region,) = cell_regions(cell(), large_volume())
    assert region.box == ((7_500, 22_500), (20_000, 40_000), (20_000, 40_000))
    assert region.slices(large_volume()) == (slice(150, 450), slice(500, 1000), slice(500, 1000))
    assert region.slices(large_volume(10.0))[1:] == (slice(2000, 4000), slice(2000, 4000))
    assert (region.status, region.reason) == ("detected", "")
    assert not (region.touches_first_slice or region.touches_last_slice or region.touches_side)
    assert not region.window_clipped


def test_the_window_grows_around_a_larger_cell_and_keeps_it_in_the_middle() -> None:
    (region,) = cell_regions(cell(height=6_000.0, first_slice=141, last_slice=420), large_volume())
    assert region.box == ((4_000, 26_000), (16_800, 43_200), (16_800, 43_200))


def test_windows_end_on_edges_of_voxels_and_at_the_volume() -> None:
    (region,) = cell_regions(cell(y=8_013.0, x=30_013.0), large_volume())
    assert region.box[1] == (0, 18_040)  # up to 18,013, and whole pixels of 40
    assert region.box[2] == (20_000, 40_040)
    assert region.window_clipped
    assert not region.touches_side


def test_boxes_move_with_the_volume() -> None:
    volume = large_volume()
    moved = volume.assign_coords(y=volume["y"] + 1234.0)
    (region,) = cell_regions(cell(), volume)
    (other,) = cell_regions(cell(y=31_234.0), moved)
    assert other.box[1] == (region.box[1][0] + 1234, region.box[1][1] + 1234)
    assert other.slices(moved) == region.slices(volume)


@pytest.mark.parametrize(
    ("place", "end"),
    [((4_000, 30_000), "lowest y"), ((56_000, 30_000), "highest y"), ((30_000, 4_000), "lowest x"),
     ((30_000, 56_000), "highest x")],
)  # fmt: skip
def test_a_centre_close_to_a_side_touches_it_and_is_detected_all_the_same(
    place: tuple[float, float], end: str
) -> None:
    (region,) = cell_regions(cell(y=float(place[0]), x=float(place[1])), large_volume())
    assert (region.status, region.reason) == ("detected", "")
    assert region.touches_side
    assert region.window_clipped
    assert end in region.ends
    z, y, x = region.slices(large_volume())
    assert min(part.stop - part.start for part in (z, y, x)) > 0


def width(region: Region) -> float:
    """Extent of a window in x, nm."""
    return region.box[2][1] - region.box[2][0]


def test_the_window_of_a_cut_cell_is_smaller_within_the_margin_or_the_height() -> None:
    near = large_volume()
    assert width(cell_regions(cell(y=4_500.0, height=3_000.0), near)[0]) == 20_000
    assert width(cell_regions(cell(y=3_200.0, height=3_000.0), near)[0]) == 18_000
    wide = cell_regions(cell(y=5_100.0, height=9_000.0), near)[0]
    assert (width(wide), wide.touches_side) == (39_600, True)
    strict = RegionParameters(margin=1_000.0)
    assert width(cell_regions(cell(y=3_200.0, height=3_000.0), near, strict)[0]) == 20_000


def test_a_short_chain_keeps_its_status_and_reason() -> None:
    cells = cell(y=4_000.0, status="chain_too_short", reason="spans 1.0 µm")
    (region,) = cell_regions(cells, large_volume())
    assert (region.status, region.reason) == ("chain_too_short", "spans 1.0 µm")
    assert region.touches_side


def test_the_first_and_the_last_slices_cut_cells() -> None:
    (low,) = cell_regions(cell(z=3_000.0, first_slice=10, last_slice=110), large_volume())
    assert (low.touches_first_slice, low.touches_last_slice) == (True, False)
    (high,) = cell_regions(cell(z=27_000.0, first_slice=500, last_slice=590), large_volume())
    assert (high.touches_first_slice, high.touches_last_slice) == (False, True)
    assert high.box[0][1] == 30_000


def test_the_table_gets_boxes_and_touches() -> None:
    cells = pd.concat([cell(), cell(label=2, y=4_000.0)], ignore_index=True)
    regions = cell_regions(cells, large_volume())
    table = with_regions(cells, regions)
    assert table["status"].tolist() == ["detected", "detected"]
    assert table["touches_side"].tolist() == [False, True]
    assert table["complete"].tolist() == [True, False]
    assert table["window_clipped"].tolist() == [False, True]
    assert [table[f"box_{end}"].iloc[0] for end in ("z0", "y1", "x0")] == [7_500, 40_000, 20_000]
    assert "box_z0" not in cells
    with pytest.raises(InputError, match="do not belong"):
        with_regions(cells, regions[:1])


def test_no_cells_give_no_regions_and_a_table_with_all_columns() -> None:
    none = cell().iloc[:0]
    assert cell_regions(none, large_volume()) == []
    table = with_regions(none, [])
    assert list(table.columns) == list(with_regions(cell(), cell_regions(cell(), large_volume())))


def test_bad_cells_are_refused() -> None:
    with pytest.raises(InputError, match=r"cell 1 .* outside the volume"):
        cell_regions(cell(y=-5.0), large_volume())
    with pytest.raises(InputError, match="'height'"):
        cell_regions(cell().drop(columns="height"), large_volume())


def small_regions() -> tuple[xr.DataArray, list[Any]]:
    grey = np.random.default_rng(0).integers(0, 256, (12, 40, 50)).astype(np.uint8)
    volume = make_volume(grey, (50.0, 40.0, 10.0), chunks=(5, 20, 20))
    cells = pd.concat(
        [
            cell(label=2, z=300.0, y=700.0, x=200.0, height=200.0, first_slice=6, last_slice=7),
            cell(label=10, z=100.0, y=100.0, x=400.0, height=90.0, first_slice=1, last_slice=3),
        ]
    )
    parameters = RegionParameters(width=400.0, depth=300.0, cap=50.0, margin=0.0)
    return volume, cell_regions(cells, volume, parameters)


def test_regions_become_folders_of_slices_with_their_pixel_size(tmp_path: Path) -> None:
    volume, regions = small_regions()
    folders = save_regions(volume, regions, tmp_path / "regions")
    assert [folder.name for folder in folders] == ["cell_0002", "cell_0010"]
    for folder, region in zip(folders, regions, strict=True):
        z, y, x = region.slices(volume)
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == [
            f"slice_{number:04d}.tif" for number in range(z.start + 1, z.stop + 1)
        ]
        stack = np.stack([tifffile.imread(file) for file in files])
        np.testing.assert_array_equal(stack, volume[z, y, x].to_numpy())
        source = open_source(folder)
        assert source.voxel_size == pytest.approx(Geometry.of(volume).voxel_size, rel=1e-5)
        assert source.size_origins[0] in ("ImageJ spacing", "tifffile spacing")
    listing = json.loads((tmp_path / "regions" / "regions.json").read_text())
    assert listing["regions"]["cell_0002"]["box"] == [list(part) for part in regions[0].box]


def test_saving_again_replaces_only_what_was_saved(tmp_path: Path) -> None:
    volume, regions = small_regions()
    save_regions(volume, regions, tmp_path)
    save_regions(volume, regions[1:], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cell_0010", "regions.json"]
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine")
    before = sorted((tmp_path / "cell_0010").iterdir())
    with pytest.raises(ExistsError, match="did not write"):
        save_regions(volume, regions, tmp_path)
    assert sorted((tmp_path / "cell_0010").iterdir()) == before
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["cell_0002/notes.txt", "cell_0010/slice_9999.tif", "cell_0002/masks/slice_0001.tif"]
)
def test_files_of_a_user_among_saved_regions_stay(tmp_path: Path, name: str) -> None:
    volume, regions = small_regions()
    save_regions(volume, regions, tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    found = name.replace("/slice_0001.tif", "")
    with pytest.raises(ExistsError, match=f"holds {found}, which save_regions did not write"):
        save_regions(volume, regions, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["holiday.jpg", "cell_0001", "regions.json"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    volume, regions = small_regions()
    (tmp_path / name).write_text("[]")
    with pytest.raises(ExistsError, match="another folder"):
        save_regions(volume, regions, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(ExistsError, match="another folder"):
        save_regions(volume, regions, tmp_path / name)


def test_the_real_cell_is_one_chain_and_its_neighbours_are_rows(real_data: Path) -> None:
    grey = tifffile.imread(real_data / "roi1656" / "raw_z001-300.tif")
    volume = make_volume(grey, chunks=(16, 500, 500))
    detections = detect_cells(volume)
    cells = link_cells(detections, volume)
    table = with_regions(cells, cell_regions(cells, volume))
    found = table[table["status"] == "detected"]
    central = found[~found["touches_side"]]
    assert len(central) == 1
    assert abs(central["y"].item() - 10_000) < 1_500
    assert abs(central["x"].item() - 10_000) < 1_500
    assert central["n_detections"].item() >= 13  # of 15 analysed slices
    assert central["touches_first_slice"].item()
    assert central["touches_last_slice"].item()
    short = table[table["status"] != "detected"]
    assert set(short["status"]) <= {"chain_too_short"}
    assert short["reason"].str.len().min() > 0
    # Thirteen neighbours that the sides cut were counted by eye, each is one chain.
    cut = found[found["touches_side"]]
    assert 11 <= len(cut) <= 15
    assert cut["n_detections"].min() >= 2
    z, y, x = (cut[["z", "y", "x"]].to_numpy() / (50, 40, 40)).astype(int).T
    assert grey[z, y, x].max() < 190  # the resin's mode is over 200


def test_regions_are_read_here_and_not_by_a_cluster(tmp_path: Path) -> None:
    def cluster(*_: Any, **__: Any) -> None:
        raise AssertionError("images travel")

    volume, regions = small_regions()
    with dask.config.set(scheduler=cluster):
        assert len(save_regions(volume, regions, tmp_path)) == 2
