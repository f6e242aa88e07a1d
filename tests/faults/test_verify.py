"""verify finds every kind of damage, and the command that it names mends it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import InputError, MissingInputError
from hela_dask.verification.mending import mend_run
from tests.faults.catalogue import delete, empty, flip, truncate
from tests.faults.site import Site

DAMAGES = {"deleted": delete, "cut": truncate, "empty": empty, "flipped": flip}
PLACES = {
    "labels": "p.ome.zarr/labels/cells/0/c/**/*",
    "truth": "p.ome.zarr/labels/true_cells/0/c/**/*",
    "image": "p.ome.zarr/0/c/**/*",
    "masks": "p.run/coarse/0*/c/**/*",
    "background": "p.run/coarse/background/c/**/*",
    "table": "p.run/cells.parquet",
    "run.json": "p.run/run.json",
}


def test_what_was_not_touched_is_as_it_was_written(site: Site) -> None:
    found = hd.verify(site.store, progress=False)
    assert found.ok, found
    assert found.run == site.run
    there = [path for path in site.folder.rglob("p.*/**/c/**/*") if path.is_file()]
    there = [path for path in there if "backup" not in path.parts]
    assert found.files > len(there) > 30
    assert found.bytes > sum(path.stat().st_size for path in there)
    assert not found.notes


CASES = [(place, damage) for place in ("labels", "image") for damage in DAMAGES]
CASES += [(place, "flipped") for place in PLACES if place not in ("labels", "image")]
CASES += [("masks", "cut"), ("truth", "deleted")]


@pytest.mark.parametrize(("place", "damage"), CASES)
@pytest.mark.usefixtures("quick_report")
def test_damage_is_found_and_what_is_named_mends_it(site: Site, place: str, damage: str) -> None:
    path = site.one(PLACES[place])
    DAMAGES[damage](path)
    found = hd.verify(site.store, progress=False)
    assert str(path) in {item.path for item in found.findings}, found
    mend = next(item.mend for item in found.findings if item.path == str(path))
    if place in ("image", "truth"):
        assert "restore it from a copy" in mend
        if place == "image":
            with pytest.raises(InputError, match="are missing or changed"):
                site.start()
        return
    command = shlex.split(mend)
    assert command[:2] == ["hela-dask", "run"]
    result = site.start()  # the same command, with this process' client
    assert any("missing or changed" in text for text in result.warnings)
    site.check()
    assert hd.verify(site.store, progress=False).ok


LABELS = "p.ome.zarr/labels/"


@pytest.mark.parametrize(
    ("path", "found", "value", "message"),
    [
        (LABELS + "zarr.json", "", "", "is empty"),
        (LABELS + "zarr.json", '"cells"', '"others"', "does not list cells"),
        (LABELS + "cells/zarr.json", "", "", "cannot be read"),
        (LABELS + "cells/0/zarr.json", '"fill_value": 0', '"fill_value": 7', "the value 7, not 0"),
        (LABELS + "cells/0/zarr.json", '"separator": "/"', '"separator": "."', "in another way"),
        (LABELS + "cells/0/zarr.json", '"little"', '"big"', "another order of bytes"),
        (LABELS + "cells/0/zarr.json", '"uint16"', '"int16"', "another shape or type"),
        (LABELS + "cells/zarr.json", "80.0", "90.0", "another voxel size or place"),
        (LABELS + "cells/0/.slabs/16", "", "", "lists no files"),
        ("p.ome.zarr/0/.slabs/16", "", "", "lists no files"),
        ("p.ome.zarr/zarr.json", "80.0", "90.0", "is another image than when the run was made"),
        ("p.run/run.id", "", "", "is missing or empty"),
        ("p.run/done/levels-z00022.json", "fingerprint", "fingerprints", "cannot be read"),
        ("p.run/done/detect-z00024.json", "42.0", "43.0", "cannot be read"),
        ("p.run/done/segment-00001.json", None, "", "is missing"),
        ("p.run/done/report-all.json", None, "", "is missing"),
    ],
)
def test_files_that_no_record_lists_are_looked_at(
    site: Site, path: str, found: str | None, value: str, message: str
) -> None:
    file = site.folder / path
    text = file.read_text(encoding="utf-8")
    if found is None:
        file.unlink()
    else:
        assert found in text
        file.write_text(text.replace(found, value) if found else "", encoding="utf-8")
    findings = hd.verify(site.store, progress=False).findings
    assert any(message in item.problem for item in findings), findings
    assert any(item.path in (str(file), str(file.parent), str(site.store)) for item in findings)
    if path == "p.ome.zarr/0/.slabs/16":
        with pytest.raises(InputError, match="lists no files"):
            site.start()


def test_the_command_that_mends_is_of_where_the_run_is_now(tmp_path: Path) -> None:
    run, store = tmp_path / "new.run", tmp_path / "new.ome.zarr"
    run.mkdir()
    places = {"store": "/old/data/p.ome.zarr", "run": "/old/data/p.run"}
    words = [
        "hela-dask",
        "run",
        "data/p.ome.zarr",
        "--out",
        "p.run",
        "--recompute",
        "--workers",
        "2",
    ]
    facts = {"places": places, "machine": {"command": words}}
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    expected = f"hela-dask run {store} --out {run} --workers 2"
    assert mend_run(store, run) == expected


def test_a_table_that_does_not_fit_its_labels_is_named(site: Site) -> None:
    import pandas as pd

    path = site.run / "cells.parquet"
    table = pd.read_parquet(path)
    table.loc[table["cell_volume"].notna(), "cell_volume"] *= 1.001
    table.to_parquet(path, index=False)
    problems = [item.problem for item in hd.verify(site.store, progress=False).findings]
    assert any("has another cell_volume of cell 1 than its labels" in text for text in problems)
    table.iloc[1:].to_parquet(path, index=False)
    problems = [item.problem for item in hd.verify(site.store, progress=False).findings]
    assert any("has other cells than the labels (cell 1)" in text for text in problems)


def test_the_command_says_it_with_its_exit_code(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["verify", str(site.store), "--run", str(site.run)]
    assert main([*arguments, "-q"]) == 0
    assert capsys.readouterr().out == ""
    delete(site.one(PLACES["labels"]))
    assert main([*arguments, "--json", "-q"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"] and len(found["findings"]) == 1
    assert main(arguments) == 1
    assert "is missing: hela-dask run" in capsys.readouterr().out
    with pytest.raises(MissingInputError, match="no run in"):
        hd.verify(site.store, site.folder / "none.run")


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TIFF slices and their store, with a pyramid of two levels and shards of zeros."""
    folder = tmp_path_factory.mktemp("slices")
    grey = np.random.default_rng(0).integers(60, 240, (20, 300, 300)).astype(np.uint8)
    grey[8:12] = 0
    (folder / "tif").mkdir()
    for number, plane in enumerate(grey):
        tifffile.imwrite(folder / "tif" / f"s{number:03d}.tif", plane, photometric="minisblack")
    convert(folder)
    return folder


def convert(folder: Path) -> None:
    hd.convert(
        folder / "tif",
        folder / "x.ome.zarr",
        voxel_size=(50.0, 10.0, 10.0),
        shards=(4, 300, 300),
        chunks=(1, 150, 150),
        progress=False,
    )


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("place", ["0/c/1/0/0", "1/c/4/0/0"])
def test_a_conversion_mends_its_store(
    slices: Path, place: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(slices, tmp_path / "copy"))
    shutil.rmtree(folder / "x.ome.zarr")
    convert(folder)  # the source is the copy: its path is part of what is converted
    store = folder / "x.ome.zarr"
    before = hd.open_volume(store).values
    make: Callable[[Path], None] = DAMAGES[damage]
    make(store / place)
    if damage != "flipped":
        with pytest.raises(InputError, match=r"missing or changed .*hela-dask convert"):
            hd.plan(store)
        assert any("missing or changed" in text for text in hd.describe(store)["remarks"])
    found = hd.verify(store, progress=False)
    assert [item.path for item in found.findings] == [str(store / place)]
    if damage == "flipped":
        with pytest.raises(InputError, match="has other content than was written"):
            hd.plan(store)
    assert main(shlex.split(found.findings[0].mend)[1:]) == 0
    assert "are written again" in capsys.readouterr().err
    np.testing.assert_array_equal(hd.open_volume(store).values, before)
    assert hd.verify(store, progress=False).ok


def test_a_shard_of_zeros_is_known_to_be_none(slices: Path) -> None:
    store = slices / "x.ome.zarr"
    assert not (store / "0/c/2/0/0").exists()
    assert hd.verify(store, progress=False).ok
    (store / "0/c/2/0").mkdir(parents=True, exist_ok=True)
    (store / "0/c/2/0/0").write_bytes(b"x")
    try:
        (finding,) = hd.verify(store, progress=False).findings
        assert "where all values are 0" in finding.problem
    finally:
        (store / "0/c/2/0/0").unlink()


def test_a_store_without_records_is_decoded(slices: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(slices / "x.ome.zarr", tmp_path / "x.ome.zarr"))
    for mark in (store / "0" / ".slabs").iterdir():
        mark.write_bytes(b"")  # as earlier versions left them
    found = hd.verify(store, progress=False)
    assert found.ok and "chunks were decoded" in found.notes[0]
    assert any("before stores listed their files" in text for text in hd.describe(store)["remarks"])
    flip(store / "0/c/1/0/0")
    found = hd.verify(store, progress=False)
    assert "0/c/1/0/0" in found.findings[0].problem
