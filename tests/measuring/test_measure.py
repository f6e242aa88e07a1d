"""Labels of any origin, measured: the tables of drawn objects, resumed, replaced, refused."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.box import Box
from hela_dask.cli import main
from hela_dask.columns import CONTACT_COLUMNS, OBJECT_COLUMNS
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
    ResourceError,
    StorageError,
)
from hela_dask.steps.contacts import find_contacts
from hela_dask.steps.shape import measure_object
from hela_dask.storage import store
from hela_dask.tasks.lock import hold
from tests.scenes import without_pages

measuring: Any = importlib.import_module("hela_dask.measuring.measure")
SHAPE, VOXEL = (50, 90, 140), (50.0, 40.0, 40.0)


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave dask's report empty."""
    without_pages(monkeypatch)


def draw() -> NDArray[np.uint16]:
    """A ball in halves 3 and 9, a ring 4, a block 7 that a side cuts, and 100 small blocks."""
    rng = np.random.default_rng(1)
    labels = np.zeros(SHAPE, np.uint16)
    for label in range(100, 200):
        low = [int(rng.integers(2, length - 8)) for length in SHAPE]
        labels[Box.at(low, (4, 5, 5))] = label
    steps = np.meshgrid(*(range(n) for n in SHAPE), indexing="ij")
    z, y, x = (step * size for step, size in zip(steps, VOXEL, strict=True))
    ball = (z - 1250) ** 2 + (y - 1800) ** 2 + (x - 1500) ** 2 < 900**2
    labels[ball] = np.where(x < 1500, 3, 9)[ball]
    ring = (z - 1250) ** 2 + (np.hypot(y - 1800, x - 3800) - 800) ** 2 < 300**2
    labels[ring] = 4
    labels[10:20, 70:, 120:130] = 7
    return labels


def write_zarr(path: Path, labels: NDArray[Any], voxel: tuple[float, ...] = VOXEL) -> Path:
    """An OME-Zarr with small chunks."""
    image = store.create_image(
        path, labels.shape, labels.dtype, voxel, name="o", chunks=(5, 32, 32), shards=(10, 32, 32)
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, labels[z0:z1])
    return path


def test_the_table_of_drawn_objects(tmp_path: Path, here: Any) -> None:
    labels, out = draw(), tmp_path / "objects.parquet"
    path = write_zarr(tmp_path / "o.ome.zarr", labels)
    found = hd.measure(path, out, client=here, progress=False)
    assert (found.path, found.contacts_path) == (out, tmp_path / "objects_contacts.parquet")
    table = found.objects.set_index("label")
    assert table.index.tolist() == np.unique(labels[labels > 0]).tolist()
    for label in (3, 4, 7, 150):
        places = np.nonzero(labels == label)
        row = table.loc[label]
        box = [(int(at.min()), int(at.max()) + 1) for at in places]
        assert [(row[f"{axis}0"], row[f"{axis}1"]) for axis in "zyx"] == box
        assert row["volume"] == pytest.approx(len(places[0]) * np.prod(VOXEL) / 1e9, rel=1e-12)
        cut = ((False, False), (False, label == 7), (False, False))
        part = labels[tuple(slice(*ends) for ends in box)]
        expected = measure_object(part, label, VOXEL, cut=cut)
        for name, value in expected.items():
            assert pd.isna(row[name]) if np.isnan(value) else row[name] == value, name
    assert table["handles"].loc[[3, 4]].tolist() == [0, 1] and table["handles"].dtype == "Int64"
    assert table["solidity"].loc[[3, 4]].tolist() == pytest.approx([0.99, 0.725], abs=0.01)
    assert not table["complete"].loc[7] and table["complete"].loc[[3, 4, 9]].all()
    assert table["area"].loc[7] > 1 and pd.isna(table["sphericity"].loc[7])
    assert table["resolved"].loc[[3, 4, 9]].all() and not table["resolved"].loc[100:].all()
    pd.testing.assert_frame_equal(found.contacts, find_contacts(labels, VOXEL), check_exact=True)
    areas = found.contacts.set_index(["label", "other"])["contact_area"]
    assert areas[3, 9] == pytest.approx(np.pi * 0.9**2, rel=0.02)
    assert str(found).startswith(f"{len(table)} objects: {table['complete'].sum()} whole, ")


def test_columns_have_units_and_csvs_their_digits(tmp_path: Path, here: Any) -> None:
    np.save(tmp_path / "o.npy", draw())
    out = tmp_path / "objects.parquet"
    found = hd.measure(tmp_path / "o.npy", out, VOXEL, client=here, progress=False)
    contacts = tmp_path / "objects_contacts.parquet"
    for path, columns in ((out, OBJECT_COLUMNS), (contacts, CONTACT_COLUMNS)):
        schema = pyarrow.parquet.read_schema(path)
        assert schema.names == list(columns)
        for name, column in columns.items():
            assert schema.field(name).metadata[b"unit"].decode() == column.unit
            assert schema.field(name).metadata[b"description"].decode() == column.meaning
    line = (tmp_path / "objects.csv").read_text().split("\n")[1]
    texts = dict(zip(OBJECT_COLUMNS, line.split(","), strict=True))
    assert (texts["label"], texts["handles"], texts["complete"]) == ("3", "0", "True")
    assert texts["max_diameter"] == f"{found.objects['max_diameter'].to_numpy()[0]:.1f}"


def test_the_same_bits_from_any_file_and_number_of_workers(
    tmp_path: Path, here: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = draw()
    np.save(tmp_path / "b.npy", labels.astype(np.int64))
    tifffile.imwrite(tmp_path / "c.tif", labels)
    first = hd.measure(write_zarr(tmp_path / "a.ome.zarr", labels), client=client, progress=False)
    assert first.path is None and sorted(tmp_path.iterdir()) == [
        tmp_path / name for name in ("a.ome.zarr", "b.npy", "c.tif")
    ]
    monkeypatch.setattr(measuring, "_SLAB", 7)
    monkeypatch.setattr("hela_dask.evaluation.instances.BLOCK", 30_000)
    monkeypatch.setattr("hela_dask.measuring.tables._MOST", 9)
    for name in ("a.ome.zarr", "b.npy", "c.tif"):
        found = hd.measure(tmp_path / name, None, VOXEL, client=here, progress=False)
        pd.testing.assert_frame_equal(found.objects, first.objects, check_exact=True)
        pd.testing.assert_frame_equal(found.contacts, first.contacts, check_exact=True)


def test_labels_of_any_size_and_fine_pixels(tmp_path: Path, here: Any) -> None:
    labels = draw().astype(np.uint64)
    wide = labels[:, :70].repeat(3, axis=2)  # 13.3 nm: every third pixel has a part in contacts
    np.save(tmp_path / "small.npy", wide)
    np.save(tmp_path / "large.npy", np.where(wide > 0, wide + 2**62, 0))
    voxel = (50.0, 40.0, 40.0 / 3)
    small, large = (
        hd.measure(tmp_path / f"{name}.npy", None, voxel, client=here, progress=False)
        for name in ("small", "large")
    )
    for table, other, names in (
        (small.objects, large.objects, ["label"]),
        (small.contacts, large.contacts, ["label", "other"]),
    ):
        other[names] -= 2**62
        pd.testing.assert_frame_equal(table, other, check_exact=True)
    pd.testing.assert_frame_equal(small.contacts, find_contacts(wide, voxel), check_exact=True)


def test_finished_units_are_not_computed_again(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = write_zarr(tmp_path / "o.ome.zarr", draw()), tmp_path / "t.parquet"
    done: list[str] = []
    stop = 4

    def run(client: Any, task: Any, job: Any, units: Any, *, markers: Any, **_: Any) -> Any:
        for unit in units:
            if markers.result(unit.stage, unit.name, unit.fingerprint) is None:
                if len(done) == stop:
                    raise KeyboardInterrupt
                done.append(f"{unit.stage}-{unit.name}")
                task(job, unit)

    def measure() -> hd.Measurement:
        return hd.measure(path, out, client=here, progress=False)

    monkeypatch.setattr(measuring, "run_units", run)
    monkeypatch.setattr(measuring, "_SLAB", 10)
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert not list(tmp_path.glob("t*"))
    damaged = next((tmp_path / ".t.measure" / "units").glob("contacts-z00030.*"))
    damaged.write_bytes(b"nothing")
    stop = 1000
    first = measure()
    assert {name for name in done if done.count(name) == 2} == {"count-z00030"}
    assert sum(name.startswith("count-") for name in done) == 6
    assert not (tmp_path / ".t.measure" / "units").exists()
    number = len(done)
    pd.testing.assert_frame_equal(measure().objects, first.objects)
    assert len(done) == number
    array = zarr.open_array(path / "0", mode="r+")
    array[0, 0, 0] = 9999  # another one, in the same files
    assert measure().objects["label"].max() == 9999


def test_nothing_of_others_is_replaced(tmp_path: Path, here: Any) -> None:
    path, out = tmp_path / "o.npy", tmp_path / "t.parquet"
    np.save(path, draw())
    mine = tmp_path / "t_contacts.csv"
    mine.write_text("years of work")
    with pytest.raises(ExistsError, match=r"t_contacts\.csv was not written by hela-dask measure"):
        hd.measure(path, out, VOXEL, client=here, progress=False)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["o.npy", "t_contacts.csv"]
    mine.unlink()
    first = hd.measure(path, out, VOXEL, client=here, progress=False)
    smooth = hd.MeasureParameters(smoothing=200.0)
    again = hd.measure(path, out, VOXEL, parameters=smooth, client=here, progress=False)
    assert again.objects["area"][0] < first.objects["area"][0]
    pd.testing.assert_frame_equal(pd.read_parquet(out), again.objects)
    out.write_bytes(b"edited")
    with pytest.raises(ExistsError, match="or was changed since: move it away"):
        hd.measure(path, out, VOXEL, client=here, progress=False)
    assert out.read_bytes() == b"edited"


def test_a_table_of_other_labels_is_replaced_on_request(tmp_path: Path, here: Any) -> None:
    cells, nuclei, out = tmp_path / "cells.npy", tmp_path / "nuclei.npy", tmp_path / "t.parquet"
    np.save(cells, draw())
    np.save(nuclei, draw() * 2)
    first = hd.measure(cells, out, VOXEL, client=here, progress=False).objects
    with pytest.raises(ExistsError, match=r"is the table of .*cells\.npy.*--overwrite"):
        hd.measure(nuclei, out, VOXEL, client=here, progress=False)
    pd.testing.assert_frame_equal(pd.read_parquet(out), first)
    elsewhere = tmp_path / "deeper" / ".." / "cells.npy"
    elsewhere.parent.parent.mkdir()
    hd.measure(elsewhere, out, VOXEL, client=here, progress=False)  # the same file
    again = hd.measure(nuclei, out, VOXEL, overwrite=True, client=here, progress=False)
    assert again.objects["label"].tolist() == (2 * first["label"]).tolist()
    for path in tmp_path.glob("t*"):
        path.unlink()
    hd.measure(cells, out, VOXEL, client=here, progress=False)  # nothing is replaced


def test_a_table_in_use_is_left_alone(tmp_path: Path, here: Any) -> None:
    np.save(tmp_path / "o.npy", draw())
    with (
        hold(tmp_path, ".t.measure.lock"),
        pytest.raises(ExistsError, match=r"t\.parquet is in use by process"),
    ):
        hd.measure(tmp_path / "o.npy", tmp_path / "t.parquet", VOXEL, client=here, progress=False)
    assert [item.name for item in tmp_path.iterdir()] == ["o.npy"]


def test_the_voxel_size_is_stated_or_given(
    tmp_path: Path, here: Any, caplog: pytest.LogCaptureFixture
) -> None:
    labels = draw()[:, :40, :40]
    np.save(tmp_path / "o.npy", labels)
    with pytest.raises(InputError, match=r"does not state its voxel size.*--voxel-size 50 10 10"):
        hd.measure(tmp_path / "o.npy")
    with pytest.raises(InputError, match="three positive lengths in nm"):
        hd.measure(tmp_path / "o.npy", voxel_size=(50, 0, 10))
    path = write_zarr(tmp_path / "o.ome.zarr", labels)
    with caplog.at_level(logging.WARNING):
        found = hd.measure(path, None, (100.0, 80.0, 80.0), client=here, progress=False)
    assert "states voxels of 50 x 40 x 40 nm: 100 x 80 x 80 nm are used" in caplog.text
    assert "z, y, x?" not in caplog.text
    with caplog.at_level(logging.WARNING):
        hd.measure(tmp_path / "o.npy", None, (40.0, 40.0, 50.0), client=here, progress=False)
    assert "pixels of 40 nm in y and 50 nm in x, which are not square" in caplog.text
    assert "is the order of the voxel size z, y, x?" in caplog.text
    stated = hd.measure(path, client=here, progress=False)
    assert (found.objects["volume"] / stated.objects["volume"]).tolist() == pytest.approx(
        [8.0] * len(stated.objects)
    )


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        (np.zeros((4, 5, 6), np.uint8), NothingToDoError, "labels no voxel: all are 0"),
        (np.ones((4, 5, 6), bool), InputError, "is a mask: give each object a number first"),
        (np.ones((4, 5, 6), np.float32), InputError, "labels are whole numbers"),
        (np.full((4, 5, 6), -1, np.int16), InputError, "holds -1 in slice 3: labels are not neg"),
        (np.full((4, 5, 6), 2**63, np.uint64), InputError, "holds the label 9223372036854775808"),
    ],
)
def test_what_is_no_label_image_is_one_sentence(
    tmp_path: Path, here: Any, labels: NDArray[Any], error: type[Exception], sentence: str
) -> None:
    np.save(tmp_path / "o.npy", labels)
    with pytest.raises(error, match=sentence):
        hd.measure(tmp_path / "o.npy", tmp_path / "t.parquet", VOXEL, client=here, progress=False)
    assert [item.name for item in tmp_path.iterdir()] == ["o.npy"]


def test_bad_calls_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "o.npy", draw())
    for name in ("t.xlsx", "t", ".parquet", ".csv"):
        with pytest.raises(ParameterError, match=r"must end in \.parquet or \.csv, as in --out"):
            hd.measure(tmp_path / "o.npy", tmp_path / name, VOXEL)
    with pytest.raises(MissingInputError, match="does not exist"):
        hd.measure(tmp_path / "nowhere.tif", voxel_size=VOXEL)
    with pytest.raises(ResourceError, match=r"contacts in a slab of .* takes about"):
        hd.measure(tmp_path / "o.npy", None, VOXEL, workers=1, memory="64MiB", progress=False)
    image = write_zarr(tmp_path / "i.ome.zarr", draw()[:5])
    store.create_labels(image, "cells", (5, *SHAPE[1:]), "uint16", VOXEL)
    with pytest.raises(InputError, match=r"is an image: name one of its labels, .*labels/cells"):
        hd.measure(image)
    for inside in ("i.ome.zarr/t.csv", "i.ome.zarr/labels/t.csv"):
        with pytest.raises(ParameterError, match="lies inside the Zarr"):
            hd.measure(tmp_path / "o.npy", tmp_path / inside, VOXEL)
    own = write_zarr(tmp_path / "o.ome.zarr", draw()[:5])
    with pytest.raises(ParameterError, match="lies inside the label image"):
        hd.measure(own, own / "t.csv")
    with pytest.raises(StorageError, match=r"o\.npy is a file, not a folder"):
        hd.measure(own, tmp_path / "o.npy" / "t.csv", progress=False)
    assert main(["measure", str(tmp_path / "o.npy"), "--out", str(tmp_path / "t.tsv")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_prints_a_summary(
    tmp_path: Path,
    here: Any,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = np.where(draw() == 4, 4, 0)
    np.save(tmp_path / "o.npy", one)
    out = tmp_path / "new" / "folder" / "t.parquet"
    found = hd.measure(tmp_path / "o.npy", out, VOXEL, client=here, progress=False)
    assert "holds a single label, 4: if it is a mask" in caplog.text
    size = [str(side) for side in VOXEL]
    assert main(["measure", str(tmp_path / "o.npy"), "--voxel-size", *size, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{found}\n" and "is finished already" in printed.err
    assert printed.out.startswith("1 objects: 1 whole, 0 cut by the volume; 0 pairs touch\n")


def test_the_ending_of_the_table_may_be_csv(tmp_path: Path, here: Any) -> None:
    path = write_zarr(tmp_path / "o.ome.zarr", draw()[:10])
    found = hd.measure(path, tmp_path / "t.csv", client=here, progress=False)
    assert found.path == tmp_path / "t.csv" and found.contacts_path == tmp_path / "t_contacts.csv"
    assert pd.read_csv(tmp_path / "t.csv")["label"].tolist() == found.objects["label"].tolist()
    other = hd.measure(path, tmp_path / "t.parquet", client=here, progress=False)
    pd.testing.assert_frame_equal(other.objects, found.objects)
