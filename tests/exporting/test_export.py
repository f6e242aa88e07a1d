"""Exports of a finished run, opened by the readers that they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
)
from hela_dask.exporting import tiff
from hela_dask.exporting.masks import RunMasks
from hela_dask.storage.files import write_json
from tests.scenes import VOXEL, copy_run, without_pages


@pytest.fixture
def result(known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hd.RunResult:
    """A copy of it."""
    without_pages(monkeypatch)
    return copy_run(known, tmp_path)


def read(group: Path) -> Any:
    """All voxels of the finest level."""
    return np.asarray(zarr.open_array(group / "0", mode="r")[:])


def stored(result: hd.RunResult, name: str) -> Any:
    return read(Path(str(result.store)) if name == "image" else result.label_paths[name])


def labelled(result: hd.RunResult) -> list[int]:
    found = np.unique(stored(result, "cells"))
    return [int(label) for label in found[found > 0]]


def cytoplasm(result: hd.RunResult) -> Any:
    cells, nuclei, envelope = (stored(result, name) for name in ("cells", "nuclei", "envelope"))
    return np.where((nuclei == 0) & (envelope == 0), cells, 0)


def test_stacks_hold_the_labels_and_their_scale(result: hd.RunResult, tmp_path: Path) -> None:
    names = ["image", "cells", "nuclei", "envelope", "background", "cytoplasm"]
    found = hd.export(result.path, tmp_path / "out", what=names)
    assert [path.name for path in found.files] == [f"{name}.tif" for name in names]
    for name, path in zip(names, found.files, strict=True):
        with tifffile.TiffFile(path) as file:
            facts, series = file.imagej_metadata, file.series[0]
            assert facts is not None and series.axes == "ZYX"
            assert (facts["spacing"], facts["unit"]) == (VOXEL[0], "nm")
            page: Any = file.pages[0]
            tag = page.tags["XResolution"].value
            assert tag[1] / tag[0] == pytest.approx(VOXEL[2])
            values = series.asarray()
        wanted = cytoplasm(result) if name == "cytoplasm" else stored(result, name)
        assert ("max" in facts) == (name != "image")
        np.testing.assert_array_equal(values, wanted)
    # The package's own reader finds the scale as well.
    assert hd.describe(tmp_path / "out" / "cells.tif")["voxel_size"] == list(VOXEL)


def test_large_stacks_are_ome_tiff(
    result: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "_LARGEST", 1000)
    (path,) = hd.export(result, tmp_path / "out", what=["cells"]).files
    assert path.name == "cells.ome.tif"
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff and file.ome_metadata is not None
        assert f'PhysicalSizeZ="{VOXEL[0]:.1f}"' in file.ome_metadata
        assert 'PhysicalSizeXUnit="nm"' in file.ome_metadata
        np.testing.assert_array_equal(file.series[0].asarray(), stored(result, "cells"))


def test_many_cells_are_ome_tiff(result: hd.RunResult) -> None:
    cells = result.cells.assign(label=result.cells["label"] + 70_000)
    many = RunMasks(hd.RunResult(result.path, result.store, cells, result.label_paths, Path()))
    assert many.dtype("cells") == np.uint32
    assert tiff.stack_name(many, "cells") == "cells.ome.tif"
    assert tiff.stack_name(many, "background") == "background.tif"


def test_chosen_cells_alone(result: hd.RunResult, tmp_path: Path) -> None:
    first, second = labelled(result)[:2]
    arguments = ["--what", "cytoplasm", "--cells", f"{first},{second}", "--out", "mask"]
    assert main(["export", str(result.path), *arguments[:-1], str(tmp_path / "mask")]) == 0
    wanted = cytoplasm(result)
    wanted[~np.isin(wanted, [first, second])] = 0
    found = tifffile.imread(tmp_path / "mask" / "cytoplasm.tif")
    np.testing.assert_array_equal(found, wanted)


def test_folders_of_slices_per_cell(result: hd.RunResult, tmp_path: Path) -> None:
    label = labelled(result)[0]
    names = ["image", "cells", "nuclei", "envelope", "cytoplasm"]
    found = hd.export(result, tmp_path / "out", to="roi-tiffs", what=names, cells=[label])
    assert [path.parent.name for path in found.files] == names
    (row,) = result.cells[result.cells["label"] == label].to_dict("records")
    box = tuple(
        slice(*(round((row[f"box_{axis}{end}"] + size / 2) / size) for end in (0, 1)))
        for axis, size in zip("zyx", VOXEL, strict=True)
    )
    image = read(Path(str(result.store)))[box]
    masks = {name: stored(result, name)[box] == label for name in names[1:4]}
    masks["cytoplasm"] = masks["cells"] & ~masks["nuclei"] & ~masks["envelope"]
    assert masks["nuclei"].any()
    for folder, name in zip(found.files, names, strict=True):
        files = sorted(folder.glob("*.tif"))
        assert files[0].name == f"slice_{box[0].start + 1:04d}.tif"
        values = np.stack([tifffile.imread(path) for path in files])
        np.testing.assert_array_equal(values, image if name == "image" else masks[name] * 255)


def test_mobie_opens_its_project(result: hd.RunResult, tmp_path: Path) -> None:
    from mobiedantic.generated import Dataset, Project

    hd.export(result, tmp_path / "out", to="mobie")
    project = json.loads((tmp_path / "out" / "project.json").read_text())
    Project.model_validate(project)
    inside = tmp_path / "out" / project["defaultDataset"]
    dataset = json.loads((inside / "dataset.json").read_text())
    Dataset.model_validate(dataset)
    for source in dataset["sources"].values():
        ((kind, facts),) = source.items()
        place = inside / facts["imageData"]["ome.zarr"]["relativePath"]
        assert hd.open_volume(place).shape == hd.open_volume(result.store).shape
        if kind == "segmentation":
            folder = inside / facts["tableData"]["tsv"]["relativePath"]
            table = pd.read_csv(folder / "default.tsv", sep="\t")
            assert table["label_id"].tolist() == labelled(result)
            low, high = table["bb_min_z"], table["bb_max_z"]
            assert ((low < table["anchor_z"]) & (table["anchor_z"] < high)).all()
            assert table["cell_volume"].notna().all()


def test_ngio_finds_the_table(result: hd.RunResult) -> None:
    found = hd.export(result, to="ngio")
    assert found.path == result.store.absolute()
    group: Any = zarr.open_group(result.store, mode="r")["tables"]
    assert group.attrs["tables"] == ["cells"]
    facts = dict(group["cells"].attrs)
    assert (facts["type"], facts["table_version"]) == ("feature_table", "1")
    assert facts["region"] == {"path": "../labels/cells"}
    table = pd.read_parquet(Path(str(result.store), "tables", "cells", "table.parquet"))
    assert table.index.name == facts["index_key"] == facts["instance_key"]
    assert table.index.tolist() == labelled(result)
    ngio = pytest.importorskip("ngio", reason="ngio needs an older pandas than this environment")
    seen = ngio.open_ome_zarr_container(result.store).get_table("cells")
    assert seen.dataframe.index.tolist() == labelled(result)


def test_the_table_is_no_obstacle(result: hd.RunResult, here: Any) -> None:
    hd.export(result, to="ngio")
    hd.export(result, to="ngio")  # again
    hd.export(result, to="ro-crate")
    assert not hd.verify(result.store).findings
    assert hd.run(result.store, client=here, progress=False).path == result.path
    assert (result.store / "tables" / "cells").is_dir()


def test_a_table_of_another_program_stays(result: hd.RunResult) -> None:
    group = Path(str(result.store), "tables", "cells")
    zarr.open_group(group.parent, mode="a").create_group("cells").attrs["type"] = "feature_table"
    before = (group / "zarr.json").read_text()
    with pytest.raises(ExistsError, match="made by another program"):
        hd.export(result, to="ngio")
    assert (group / "zarr.json").read_text() == before
    assert sorted(path.name for path in group.iterdir()) == ["zarr.json"]


def test_tables_of_others_are_listed_still(result: hd.RunResult) -> None:
    tables = zarr.open_group(result.store / "tables", mode="a")
    tables.attrs["tables"] = ["theirs"]
    tables.create_group("theirs")
    hd.export(result, to="ngio")
    again = zarr.open_group(result.store / "tables", mode="r")
    assert again.attrs["tables"] == ["theirs", "cells"]


def test_rocrate_opens_the_run_folder(result: hd.RunResult) -> None:
    from rocrate.rocrate import ROCrate

    (result.path / "organelles_spots.csv").write_text("label\n1\n")
    (path,) = hd.export(result, to="ro-crate").files
    (result.path / "organelles_spots.csv").unlink()
    assert '"organelles_spots.csv"' in path.read_text("utf-8")
    (path,) = hd.export(result, to="ro-crate").files
    assert path == result.path / "ro-crate-metadata.json"
    assert "organelles_spots" not in path.read_text("utf-8")
    crate = ROCrate(str(result.path))
    names = {entity.id for entity in crate.data_entities}
    assert {"run.json", "cells.parquet", "cells.csv"} <= names
    assert all((result.path / name).exists() for name in names)
    action = crate.dereference("#run")
    assert action["instrument"]["softwareVersion"] == hd.__version__
    numbers = {entity["name"]: entity["value"] for entity in action["object"] if "value" in entity}
    assert numbers["working.resolution"] == 40.0
    measures = {
        entity["name"]: entity["unitText"] for entity in crate.root_dataset["variableMeasured"]
    }
    assert measures["cell_volume"] == "µm³"
    ids = [entity["@id"] for entity in json.loads(path.read_text())["@graph"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("to", ["tiff", "roi-tiffs", "mobie"])
def test_an_earlier_export_is_replaced(result: hd.RunResult, tmp_path: Path, to: str) -> None:
    out = tmp_path / "out"
    hd.export(result, out, to=to)
    before = sorted(path for path in out.rglob("*") if path.is_file())
    hd.export(result, out, to=to)
    assert sorted(path for path in out.rglob("*") if path.is_file()) == before
    if to == "tiff":
        hd.export(result, out, what=["background"])
        assert sorted(path.name for path in out.iterdir()) == ["background.tif", "export.json"]


@pytest.mark.parametrize("to", ["tiff", "roi-tiffs", "mobie"])
@pytest.mark.parametrize("deep", [False, True])
def test_files_of_others_are_kept(
    result: hd.RunResult, tmp_path: Path, to: str, deep: bool
) -> None:
    out = tmp_path / "out"
    hd.export(result, out, to=to)
    folder = next((path for path in sorted(out.rglob("*")) if path.is_dir()), out) if deep else out
    mine = folder / "notes.txt"
    mine.write_text("mine")
    before = sorted(out.rglob("*"))
    with pytest.raises(ExistsError, match=r"notes\.txt, which"):
        hd.export(result, out, to=to)
    assert mine.read_text() == "mine" and sorted(out.rglob("*")) == before


def test_a_listing_names_no_files_elsewhere(result: hd.RunResult, tmp_path: Path) -> None:
    """A list of files that was edited removes nothing outside of its folder."""
    victim = tmp_path / "victim.tif"
    victim.write_text("mine")
    out = tmp_path / "out"
    hd.export(result, out, what=["cells"])
    write_json(out / "export.json", {"files": ["cells.tif", "../victim.tif", str(victim)]})
    hd.export(result, out, what=["cells"])
    assert victim.read_text() == "mine"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"to": "fiji"}, "is no format: choose one of tiff, roi-tiffs, mobie, ngio, ro-crate"),
    ({"to": "tiff", "out": None}, "needs a folder for its files"),
    ({"to": "ngio"}, "writes into the image of the labels: leave --out away"),
    ({"to": "ro-crate"}, "writes into the run folder: leave --out away"),
    ({"to": "mobie", "cells": [1]}, "--cells is for tiff and roi-tiffs"),
    ({"to": "mobie", "what": ["cells"]}, "--what is for tiff and roi-tiffs"),
    ({"what": ["mitochondria"]}, "'mitochondria' cannot be exported to tiff"),
    ({"to": "roi-tiffs", "what": ["background"]}, "'background' cannot be exported to roi-tiffs"),
    ({"what": []}, "--what names nothing to export"),
    ({"cells": []}, "--cells names nothing to export"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_wrong_options(
    result: hd.RunResult, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        hd.export(result, **{"out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_wrong_places(result: hd.RunResult, tmp_path: Path) -> None:
    store = Path(str(result.store))
    for place in (store / "out", result.path / "out", result.path, store):
        with pytest.raises((ParameterError, InputError), match="--out"):
            hd.export(result, place)
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.export(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InputError, match="there is no cell 99"):
        hd.export(result, tmp_path / "out", cells=[99])
    (tmp_path / "file").write_text("mine")
    for to in ("tiff", "roi-tiffs", "mobie"):
        with pytest.raises(ExistsError, match="is a file"):
            hd.export(result, tmp_path / "file", to=to)
    assert (tmp_path / "file").read_text() == "mine"


def test_cells_without_labels(result: hd.RunResult, tmp_path: Path) -> None:
    label = labelled(result)[0]
    cells = result.cells.copy()
    cells.loc[cells["label"] == label, ["cell_volume", "nucleus_volume"]] = np.nan
    cells.loc[cells["label"] == label, ["status", "reason"]] = ["failed", "no nucleus"]
    lacking = hd.RunResult(result.path, result.store, cells, result.label_paths, Path())
    with pytest.raises(NothingToDoError, match=f"cell {label} has no labels.*failed: no nucleus"):
        hd.export(lacking, tmp_path / "out", cells=[label])
    cells[["cell_volume", "nucleus_volume"]] = np.nan
    with pytest.raises(NothingToDoError, match=r"no cell of .* has labels"):
        hd.export(lacking, tmp_path / "out")
    assert not (tmp_path / "out").exists()
