"""Shapes and contacts that every run measures: right, resumed, refused, and left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.columns import COLUMNS, CONTACT_COLUMNS, SHAPE_COLUMNS
from hela_dask.planning.plan import plan
from hela_dask.running.needs import contact_slab, measured_level
from hela_dask.steps.shape import find_shapes, measure_shape
from hela_dask.storage.level import Level
from hela_dask.tasks.markers import Markers
from hela_dask.verification.verify import verify
from tests.scenes import BALLS, SHAPE, VOXEL, make_scene, store_of

OFF = {"measure": {"in_runs": 0}}
COMMON = ["area", "sphericity", "solidity", "axis_1", "axis_3", "max_diameter"]


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def measured(result: RunResult) -> list[str]:
    return sorted(path.stem for path in (result.path / "done").glob("measure-*"))


def test_the_columns_are_those_of_the_labels(first: RunResult, here: Any, calls: Any) -> None:
    result = first
    assert measured(result) == [f"measure-{n:05d}" for n in range(1, 5)] + ["measure-z00000"]
    labels = {name: result.labels[name].values for name in ("cells", "nuclei")}
    table = result.cells.set_index("label")
    for label, row in table.iterrows():
        where = np.argwhere(labels["cells"] == label)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        sides: Any = [(a == 0, b == n) for a, b, n in zip(low, high, SHAPE, strict=True)]
        expected = measure_shape(
            labels["cells"][box], labels["nuclei"][box], int(str(label)), VOXEL, cut=sides
        )
        found = row[list(SHAPE_COLUMNS)].astype(float)
        np.testing.assert_array_equal(found, [expected[name] for name in SHAPE_COLUMNS])
    whole = table[table["complete"]]
    assert len(whole) == 3 and (whole["cell_sphericity"] > 0.97).all()
    assert (whole["nucleus_handles"] == 0).all() and (whole["polarisation"] < 0.05).all()
    areas = [4 * np.pi * (radius * VOXEL[1] / 1000) ** 2 for *_, radius in BALLS[:3]]
    assert sorted(whole["cell_area"]) == pytest.approx(sorted(areas), rel=0.03)
    cut = table[~table["complete"]].iloc[0]
    assert cut["cell_area"] > 0 and np.isnan(cut["cell_sphericity"])
    reopened = hd.open_run(result.path).contacts
    assert reopened is not None and result.contacts is not None
    pd.testing.assert_frame_equal(reopened, result.contacts)


def test_a_run_and_the_command_measure_the_same(first: RunResult, here: Any, calls: Any) -> None:
    result = first
    other = hd.measure(result.label_paths["cells"], client=here, progress=False)
    objects = other.objects.set_index("label")
    cells = result.cells.set_index("label")
    for name in COMMON:
        np.testing.assert_array_equal(cells[f"cell_{name}"], objects[name], err_msg=name)
    np.testing.assert_array_equal(cells["cell_protrusions"], objects["protrusions"])
    assert result.contacts is not None
    pd.testing.assert_frame_equal(result.contacts, other.contacts)


def test_contacts_are_counted_and_described(here: Any, calls: Any, tmp_path: Path) -> None:
    near = make_scene(tmp_path / "near.ome.zarr", [(20, 50, 50, 18), (20, 50, 91, 19)])
    result = go(near, here, parameters={"measure": {"reach": 2000.0}})
    table = pd.read_parquet(result.path / "contacts.parquet")
    assert table[["label", "other"]].to_numpy().tolist() == [[1, 2]]
    assert table["contact_area"].item() == 0
    assert table["distance"].item() == pytest.approx(4 * VOXEL[1], abs=VOXEL[1] * 1.5)
    assert result.cells["n_neighbours"].tolist() == [0, 0]
    for name, columns in (("contacts", CONTACT_COLUMNS), ("cells", COLUMNS)):
        schema = pyarrow.parquet.read_schema(result.path / f"{name}.parquet")
        for field in schema:
            assert field.metadata[b"unit"].decode() == columns[field.name].unit
    described = pd.read_csv(result.path / "columns.csv")
    assert described["meaning"].notna().all()
    for name in ("cells", "detections", "contacts"):
        written = pd.read_parquet(result.path / f"{name}.parquet")
        own = described[described["table"] == name]
        assert own["column"].tolist() == list(written)
    assert (result.path / "contacts.csv").read_text().startswith("label,other,contact_area")


def test_only_what_is_missing_is_measured_again(
    first: RunResult, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, expected = store_of(first), first
    done = expected.path / "done"
    for name in ("measure-00002", "report-all"):
        (done / f"{name}.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in done.glob("measure-*")}
    finish = Markers.finish

    def killed(self: Markers, stage: str, *rest: Any, **more: Any) -> Any:
        if stage == "report":
            raise KeyboardInterrupt
        return finish(self, stage, *rest, **more)

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(Markers, "finish", killed)
        go(scene, here)
    again = go(scene, here)
    pd.testing.assert_frame_equal(expected.cells, again.cells)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert measured(again) == measured(expected)


def test_a_cell_that_cannot_be_measured_is_a_warning(
    scene: Path, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cells: Any, nuclei: Any, label: int, *args: Any, **more: Any) -> Any:
        if label == 2:
            raise ValueError("no luck")
        return find_shapes(cells, nuclei, label, *args, **more)

    with monkeypatch.context() as fault:
        fault.setattr("hela_dask.running.shapes.find_shapes", broken)
        result = go(scene, here)
    assert result.exit_code == 0
    (warning,) = result.warnings
    assert warning.startswith("the shape of cell 2 could not be measured") and "no luck" in warning
    assert result.cells.set_index("label")["cell_area"].isna().tolist() == [
        False,
        True,
        False,
        False,
    ]
    mended = go(scene, here)
    assert mended.warnings == () and mended.cells["cell_area"].notna().all()


def test_a_cell_too_large_for_a_worker_is_a_warning(
    scene: Path, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(
            "hela_dask.tasks.session.Session.refusal",
            lambda self, need: f"{need.task} takes too much" if "measuring" in need.task else "",
        )
        result = go(scene, here)
    assert [text.split(":")[0] for text in sorted(result.warnings)] == [
        f"the shape of cell {label} is not measured" for label in range(1, 5)
    ]
    assert result.cells["cell_area"].isna().all() and result.contacts is not None


def test_measures_can_be_left_out(first: RunResult, here: Any, calls: Any) -> None:
    scene = store_of(first)
    result = go(scene, here, parameters=OFF, overwrite=True)
    assert not set(SHAPE_COLUMNS) & set(result.cells) and "n_neighbours" not in result.cells
    assert result.contacts is None and not list(result.path.glob("contacts.*"))
    assert hd.open_run(result.path).contacts is None
    assert verify(scene, progress=False).ok
    planned = plan(scene, parameters=OFF, calibrate=False)
    assert "measures" not in [stage.name for stage in planned.stages]
    back = go(scene, here, overwrite=True)
    pd.testing.assert_frame_equal(back.cells, first.cells)


def test_cells_without_a_nucleus_have_a_shape(
    scene: Path, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hela_dask.running.units.nucleus_withheld", lambda row, limits: row["label"] == 1
    )
    table = go(scene, here).cells.set_index("label")
    assert table["nucleus_volume"].isna().tolist() == [True, False, False, False]
    bare: Any = table.loc[1]
    assert bare["cell_area"] > 0 and np.isnan(bare["nucleus_area"])
    assert pd.isna(bare["nucleus_handles"]) and np.isnan(bare["polarisation"])


def test_the_plan_knows_the_measures(first: RunResult, here: Any, calls: Any) -> None:
    scene = store_of(first)
    planned = plan(scene, calibrate=False)
    stages = {stage.name: stage for stage in planned.stages}
    found = stages["measures"]
    assert (found.tasks, found.done, found.exact) == (5, 5, True)
    assert found.memory is not None and found.memory > 2**28


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_damaged_table_of_contacts_is_found(
    first: RunResult, here: Any, calls: Any, content: bytes
) -> None:
    scene, result = store_of(first), first
    path = result.path / "contacts.parquet"
    path.write_bytes(content)
    found = {finding.path: finding.mend for finding in verify(scene, progress=False).findings}
    assert "hela-dask run" in found[str(path)]
    go(scene, here)
    assert verify(scene, progress=False).ok


@pytest.mark.parametrize(
    ("pixel", "expected"), [(10.0, 40.0), (15.0, 30.0), (40.0, 40.0), (60.0, 60.0)]
)
def test_shapes_are_measured_on_pixels_of_40_nm(pixel: float, expected: float) -> None:
    def level(by: int) -> Level:
        size = (50.0, pixel * by, pixel * by)
        shape = (100, 800 // by, 800 // by)
        return Level(str(by), shape, size, (0.0, 0.0, 0.0), (1, 64, 64), None)

    levels = [level(by) for by in (1, 2, 4, 8)]
    assert levels[measured_level(levels, 40.0)].voxel_size[1] == expected


@pytest.mark.parametrize(
    ("shape", "slices"), [((300, 500, 500), 64), ((20, 500, 500), 20), ((900, 4000, 4000), 32)]
)
def test_slabs_of_contacts_have_few_slices_where_planes_are_large(
    shape: tuple[int, int, int], slices: int
) -> None:
    assert contact_slab(shape) == slices
