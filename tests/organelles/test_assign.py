"""Organelles assigned to the cells of a run, compared with counts of single voxels."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from scipy import ndimage

import hela_dask as hd
from hela_dask.box import Box
from hela_dask.cli import main
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
    ResourceError,
)
from hela_dask.storage import store as arrays
from hela_dask.tasks.lock import hold
from tests.scenes import SHAPE, VOXEL, copy_run, run_scene, without_pages

assigning: Any = importlib.import_module("hela_dask.organelles.assign")
RESOLUTION = 320.0  # of the working level: a pixel is 2 x 2 of the image's


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, here: Any) -> hd.RunResult:
    """A finished run of four balls, on a working level that is coarser than the image."""
    parameters = {"working": {"resolution": RESOLUTION}}
    return run_scene(tmp_path_factory.mktemp("known"), here, parameters=parameters)


@pytest.fixture
def result(known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hd.RunResult:
    """A copy of it."""
    without_pages(monkeypatch)
    return copy_run(known, tmp_path)


def draw_organelles(count: int = 200) -> NDArray[np.uint32]:
    """Blocks of 1 to 5 voxels a side at random places, some cut by others or by the volume."""
    rng = np.random.default_rng(3)
    labels = np.zeros(SHAPE, np.uint32)
    for label in range(1, count + 1):
        low = [int(rng.integers(0, length)) for length in SHAPE]
        box = Box.at(low, [int(size) for size in rng.integers(1, 6, 3)])
        labels[box] = 7 * label
    return labels


def write_zarr(path: Path, labels: NDArray[Any], voxel: tuple[float, ...] = VOXEL) -> Path:
    """An OME-Zarr with small chunks."""
    image = arrays.create_image(
        path, labels.shape, labels.dtype, voxel, name="o", chunks=(5, 48, 48), shards=(5, 48, 48)
    )
    for z0, z1 in arrays.slabs(image):
        arrays.write_slab(image, z0, labels[z0:z1])
    return path


def expected(result: hd.RunResult, labels: NDArray[Any]) -> pd.DataFrame:
    """The table from masks of single organelles and distances in the whole volume."""
    cells, nuclei, envelope = (
        result.labels[name].values for name in ("cells", "nuclei", "envelope")
    )
    kinds = np.select([nuclei > 0, envelope > 0, cells > 0], [1, 2, 3], 0)
    names = np.array(["outside", "nucleus", "envelope", "cytoplasm"])
    half = (slice(None), slice(None, None, 2), slice(None, None, 2))  # the nearest pyramid
    voxel = (VOXEL[0], 2 * VOXEL[1], 2 * VOXEL[2])

    @functools.cache
    def away(cell: int, name: str) -> NDArray[np.float64]:
        """Distances in the whole volume, on the working level."""
        near = (nuclei == cell) | (envelope == cell) if name == "nucleus" else cells != cell
        assert near.any()
        found: NDArray[np.float64] = ndimage.distance_transform_edt(~near[half], sampling=voxel)
        return found

    rows = []
    for label in np.unique(labels[labels > 0]):
        mask = labels == label
        owners, counts = np.unique(cells[mask], return_counts=True)
        order = np.lexsort((owners, owners == 0, -counts))
        cell = owners[order[0]]
        inside = mask & (cells == cell)
        number = np.bincount(kinds[inside], minlength=4)
        row = {"label": label, "cell": cell, "compartment": names[number.argmax()]}
        row["share"] = inside.sum() / mask.sum()
        row["compartment_share"] = number.max() / mask.sum()
        row["crosses_border"] = len(owners) > 1
        row["second_cell"] = owners[order[1]] if len(owners) > 1 else pd.NA
        row["second_share"] = counts[order[1]] / mask.sum() if len(owners) > 1 else 0.0
        places = np.argwhere(mask)
        row["complete"] = bool((places > 0).all() and (places < np.array(SHAPE) - 1).all())
        row["volume"] = mask.sum() * np.prod(VOXEL) / 1e9
        row |= dict(zip("zyx", places.mean(0) * VOXEL, strict=True))
        where = np.unique(places // (1, 2, 2), axis=0)
        for name in ("nucleus", "membrane"):
            row[f"{name}_distance"] = away(cell, name)[tuple(where.T)].min() if cell else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def test_the_table_is_that_of_single_voxels(result: hd.RunResult, here: Any) -> None:
    labels = draw_organelles()
    places = np.argwhere(result.labels["envelope"].values)[::400]
    labels[tuple(places.T)] = 9001 + np.arange(len(places))
    path = write_zarr(result.path.parent / "mito.ome.zarr", labels)
    found = hd.assign(result.path, path, client=here, progress=False)
    wanted = expected(result, labels)
    assert found.path == result.path / "organelles_mito.parquet"
    pd.testing.assert_frame_equal(
        found.organelles, wanted, check_dtype=False, check_categorical=False, rtol=1e-6
    )
    # The drawing has all that may occur.
    assert set(found.organelles["compartment"]) == {"outside", "nucleus", "envelope", "cytoplasm"}
    assert found.organelles["crosses_border"].sum() > 5
    assert (found.organelles["second_cell"] == 0).any() and not found.organelles["complete"].all()
    assert (found.organelles["nucleus_distance"] > 1000).any()
    cells, nuclei, envelope = (
        result.labels[name].values for name in ("cells", "nuclei", "envelope")
    )
    size = np.prod(VOXEL) / 1e9
    for row in found.cells.itertuples():
        here_ = cells == row.label
        cytoplasm = here_ & (nuclei == 0) & (envelope == 0)
        assert row.n_organelles == (wanted["cell"] == row.label).sum()
        assert row.n_crossing == ((wanted["cell"] == row.label) & wanted["crosses_border"]).sum()
        assert row.organelle_volume == pytest.approx((here_ & (labels > 0)).sum() * size)
        assert row.cytoplasm_volume == pytest.approx(cytoplasm.sum() * size)
        own = found.organelles[found.organelles["cell"] == row.label]
        masks = {"nucleus": nuclei == row.label, "cytoplasm": cytoplasm}
        masks["envelope"] = here_ & (envelope > 0) & (nuclei == 0)
        values = dict(zip(found.cells, row[1:], strict=True))
        for part, mask in masks.items():
            assert values[f"n_in_{part}"] == (own["compartment"] == part).sum()
            volume = (mask & (labels > 0)).sum() * size
            assert values[f"volume_in_{part}"] == pytest.approx(volume)
        for name in ("nucleus_distance", "membrane_distance"):
            assert values[f"{name}_mean"] == pytest.approx(own[name].mean(), nan_ok=True)
            assert values[f"{name}_median"] == pytest.approx(own[name].median(), nan_ok=True)
        assert row.cytoplasm_share == pytest.approx((labels[cytoplasm] > 0).mean())
    assert found.cells["label"].tolist() == np.unique(cells[cells > 0]).tolist()
    merged = found.cells.merge(result.cells, on="label")
    assert (merged["status_x"] == merged["status_y"]).all() and not merged["complete_x"].all()
    assert not (result.path / "organelles" / "mito").exists()
    assert hd.verify(result.store, result.path, progress=False).ok
    assert pd.read_csv(result.path / "organelles_mito.csv").shape == found.organelles.shape
    described = pd.read_csv(result.path / "organelles_mito_columns.csv").fillna("")
    tables = {"organelles_mito": found.organelles, "organelles_mito_cells": found.cells}
    for name, table in tables.items():
        own = described[described["table"] == name]
        assert own["column"].tolist() == list(table) and own["meaning"].all()


def test_the_same_bits_from_any_store_and_number_of_workers(
    result: hd.RunResult, here: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, folder = draw_organelles(), result.path.parent
    paths = [write_zarr(folder / "a.ome.zarr", labels), folder / "b.npy", folder / "c.tif"]
    np.save(paths[1], labels.astype(np.int64))
    tifffile.imwrite(paths[2], labels)
    found = [hd.assign(result.path, paths[0], client=client, progress=False)]
    monkeypatch.setattr("hela_dask.evaluation.instances.BLOCK", 100_000)  # blocks of a few slices
    found += [hd.assign(result.path, path, client=here, progress=False) for path in paths[1:]]
    again = hd.assign(result.path, paths[0], name="d", client=here, progress=False)
    for other in (*found[1:], again):
        pd.testing.assert_frame_equal(other.organelles, found[0].organelles, check_exact=True)
        pd.testing.assert_frame_equal(other.cells, found[0].cells, check_exact=True)


@pytest.mark.parametrize("factors", [(1, 2, 2), (3, 7, 1)])
def test_coarser_organelles_are_those_with_repeated_voxels(
    result: hd.RunResult, here: Any, factors: tuple[int, int, int]
) -> None:
    coarse = draw_organelles()[tuple(slice(None, None, by) for by in factors)]
    fine = coarse
    for axis, by in enumerate(factors):
        fine = fine.repeat(by, axis=axis)
    fine = fine[tuple(slice(length) for length in SHAPE)]
    voxel = tuple(size * by for size, by in zip(VOXEL, factors, strict=True))
    folder = result.path.parent
    one = hd.assign(
        result.path, write_zarr(folder / "coarse.zarr", coarse, voxel), client=here, progress=False
    )
    other = hd.assign(
        result.path, write_zarr(folder / "fine.zarr", fine), client=here, progress=False
    )
    pd.testing.assert_frame_equal(one.organelles, other.organelles, check_exact=True)
    pd.testing.assert_frame_equal(one.cells, other.cells, check_exact=True)


def test_finished_units_are_not_computed_again(
    result: hd.RunResult, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zarr(result.path.parent / "mito.ome.zarr", draw_organelles())
    done: list[str] = []
    stop = 3

    def run(client: Any, task: Any, job: Any, units: Any, *, markers: Any, **_: Any) -> Any:
        rows = {}
        for unit in units:
            row = markers.result(unit.stage, unit.name, unit.fingerprint)
            if row is None:
                if len(done) == stop:
                    raise KeyboardInterrupt
                done.append(f"{unit.stage}-{unit.name}")
                row = task(job, unit)
            rows[unit.name] = row
        return rows

    monkeypatch.setattr(assigning, "run_units", run)
    with pytest.raises(KeyboardInterrupt):
        hd.assign(result.path, path, client=here, progress=False)
    assert not list(result.path.glob("organelles_*"))
    damaged = result.path / "organelles" / "mito" / f"counts-{done[1].split('-')[1]}.npy"
    damaged.write_bytes(b"nothing")
    stop = 100
    hd.assign(result.path, path, client=here, progress=False)
    assert {name for name in done if done.count(name) == 2} == {done[1]}
    number = len(done)
    assert len(hd.assign(result.path, path, client=here, progress=False).organelles) > 100
    assert len(done) == number
    labels = zarr.open_array(path / "0", mode="r+")
    labels[0, 0, 0] = 9999  # another one, in the same files
    found = hd.assign(result.path, path, client=here, progress=False)
    assert len(done) > number and (found.organelles["label"] == 9999).sum() == 1


def test_nothing_of_others_is_replaced(result: hd.RunResult, here: Any) -> None:
    path = write_zarr(result.path.parent / "mito.ome.zarr", draw_organelles(20))
    other = write_zarr(result.path.parent / "other.ome.zarr", draw_organelles(30))
    mine = result.path / "organelles_mito_cells.csv"
    mine.write_text("years of work")
    with pytest.raises(ExistsError, match=r"mito_cells\.csv was not written by hela-dask assign"):
        hd.assign(result.path, path, client=here, progress=False)
    assert mine.read_text() == "years of work"
    mine.unlink()
    first = hd.assign(result.path, path, client=here, progress=False)
    described = result.path / "organelles_mito_columns.csv"
    before = described.read_bytes()
    described.write_text("mine")
    with pytest.raises(ExistsError, match=r"mito_columns\.csv was not written by"):
        hd.assign(result.path, path, client=here, progress=False)
    described.write_bytes(before)
    with pytest.raises(ExistsError, match=r"is the table of .*mito\.ome\.zarr.*--overwrite"):
        hd.assign(result.path, other, name="mito", client=here, progress=False)
    assert len(pd.read_parquet(first.path)) == len(first.organelles)
    again = hd.assign(result.path, other, name="mito", client=here, overwrite=True, progress=False)
    assert len(again.organelles) > len(first.organelles)
    mine.write_text("corrected by hand")
    with pytest.raises(ExistsError, match="was changed since"):
        hd.assign(result.path, path, name="mito", client=here, overwrite=True, progress=False)
    assert mine.read_text() == "corrected by hand"


def test_ten_thousand_organelles_are_counted_per_cell(
    result: hd.RunResult, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros(SHAPE, np.uint32)
    pairs = labels.reshape(-1, 2)  # two voxels along x
    chosen = rng.choice(len(pairs), 10_000, replace=False)
    pairs[chosen] = np.arange(1, 10_001)[:, None]
    path = result.path.parent / "vesicles.npy"
    np.save(path, labels)
    found = hd.assign(result.path, path, client=here, progress=False)
    cells = result.labels["cells"].values.reshape(-1, 2)[chosen]
    wanted = cells.max(axis=1)  # of one voxel inside and one outside, the cell
    np.testing.assert_array_equal(found.organelles["cell"], wanted)
    per_cell = np.bincount(wanted)[found.cells["label"]]
    np.testing.assert_array_equal(found.cells["n_organelles"], per_cell)
    assert per_cell.min() > 100
    crossing = cells[:, 0] != cells[:, 1]
    np.testing.assert_array_equal(found.organelles["crosses_border"], crossing)
    assert main(["assign", str(result.path), str(path), "--name", "vesicles"]) == 0
    assert capsys.readouterr().out.startswith(
        f"10000 organelles: {(wanted > 0).sum()} in 4 cells, {(wanted == 0).sum()} outside, "
        f"{crossing.sum()} across a border\n"
    )


def test_a_run_folder_in_use_is_left_alone(result: hd.RunResult, here: Any) -> None:
    path = write_zarr(result.path.parent / "mito.ome.zarr", draw_organelles(5))
    with hold(result.path), pytest.raises(ExistsError, match="is in use by process"):
        hd.assign(result.path, path, client=here, progress=False)
    assert not (result.path / "organelles").exists()


@pytest.mark.parametrize("last", [0, 2])  # files that have got their names
def test_an_interruption_at_the_end_leaves_nothing_of_others(
    result: hd.RunResult, here: Any, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    path = write_zarr(result.path.parent / "mito.ome.zarr", draw_organelles(30))
    wanted = hd.assign(result.path, path, client=here, progress=False)
    labels = zarr.open_array(path / "0", mode="r+")
    labels[0, 0, 0] = 9999
    replaced: list[Path] = []
    replace = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        if self.parent.name == "tables" and self.suffix != ".tmp":
            if len(replaced) == last:
                raise KeyboardInterrupt
            if not self.name.startswith("."):
                replaced.append(target)
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            hd.assign(result.path, path, client=here, progress=False)
    assert len(list(result.path.glob("organelles_mito*"))) == last
    found = hd.assign(result.path, path, client=here, progress=False)
    assert len(found.organelles) == len(wanted.organelles) + 1


def test_an_empty_image_is_one_sentence_and_leaves_nothing(result: hd.RunResult, here: Any) -> None:
    before = sorted(result.path.rglob("*"))
    path = write_zarr(result.path.parent / "mito.ome.zarr", np.zeros(SHAPE, np.uint8))
    with pytest.raises(NothingToDoError, match="labels no voxel"):
        hd.assign(result.path, path, client=here, progress=False)
    assert sorted(result.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.full(SHAPE, -4, np.int16), r"holds -4 in slice \d+: labels are not negative"),
        (np.full(SHAPE, 2**63, np.uint64), "holds the label 9223372036854775808"),
    ],
)
def test_labels_out_of_range_are_refused(
    result: hd.RunResult, here: Any, labels: NDArray[Any], sentence: str
) -> None:
    path = result.path.parent / "mito.npy"
    np.save(path, labels)
    with pytest.raises(InputError, match=sentence):
        hd.assign(result.path, path, client=here, progress=False)
    assert not list(result.path.glob("organelles_*"))


def test_runs_and_names_that_cannot_be_used_are_refused(
    result: hd.RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_zarr(result.path.parent / "mito.ome.zarr", draw_organelles(5))
    for name in ("../mito", "", "a b", "mito_cells", "x" * 65):
        with pytest.raises(ParameterError, match="give another with --name"):
            hd.assign(result.path, path, name=name)
    with pytest.raises(MissingInputError, match="is not a run folder"):
        hd.assign(str(result.store), path)
    with pytest.raises(MissingInputError, match="does not exist"):
        hd.assign(result.path, result.path.parent / "nowhere.tif")
    with pytest.raises(ResourceError, match=r"counting in blocks of .* takes about"):
        hd.assign(result.path, path, workers=1, memory="64MiB", progress=False)
    assert main(["assign", str(result.path), str(path), "--name", "a/b"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    facts = result.path / "run.json"
    whole = facts.read_text()
    facts.write_text(whole.replace('"finished"', '"interrupted"', 1))
    with pytest.raises(MissingInputError, match="holds no finished run"):
        hd.assign(result.path, path)
    facts.write_text(whole.replace('"envelope"', '"outer"'))
    with pytest.raises(MissingInputError, match=r"the labels 'envelope' of .* are gone"):
        hd.assign(result.path, path)
    assert not (result.path / "organelles").exists()
