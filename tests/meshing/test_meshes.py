"""Meshes of labels on disk: files, tables, replaced folders, refused input."""

from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import ExistsError, MissingInputError, ParameterError, StorageError
from hela_dask.meshing.building import MeshError, build_mesh
from hela_dask.meshing.voxels import ObjectVoxels
from hela_dask.storage import store as arrays

trimesh = pytest.importorskip("trimesh", reason="the extra [meshes] is not installed")
DracoPy = pytest.importorskip("DracoPy", reason="the extra [meshes] is not installed")

tasks: Any = importlib.import_module("hela_dask.meshing.tasks")
VOXEL = (50.0, 40.0, 40.0)
SHAPE = (40, 60, 100)
RADIUS = 800.0
CENTRES = {3: (1000.0, 1200.0, 1000.0), 8: (1000.0, 1200.0, 2600.0)}  # they touch


def drawn() -> np.ndarray[Any, np.dtype[np.uint16]]:
    axes = [np.arange(length) * size for length, size in zip(SHAPE, VOXEL, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    labels = np.zeros(SHAPE, np.uint16)
    for label, centre in CENTRES.items():
        labels[np.linalg.norm(places - np.array(centre), axis=-1) < RADIUS] = label
    return labels


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of labels, in chunks whose borders lie inside the balls."""
    folder = tmp_path_factory.mktemp("labels")
    cells = drawn()
    nuclei = np.where(np.arange(SHAPE[0])[:, None, None] % 40 < 20, cells, 0).astype(np.uint16)
    for name, values in {"cells": cells, "nuclei": nuclei}.items():
        group = arrays.create_labels(
            folder / "store", name, SHAPE, "uint16", VOXEL, chunks=(8, 16, 16), shards=(8, 64, 112)
        )
        for z0, z1 in arrays.slabs(group):
            arrays.write_slab(group, z0, values[z0:z1], downsample="nearest")
    return folder / "store"


def test_two_touching_balls(labels: Path, tmp_path: Path, client: Any) -> None:
    out = tmp_path / "meshes"
    table = hd.meshes(labels, out, what=["cell"], client=client, progress=False)
    assert list(table["label"]) == [3, 8]
    assert (table["status"] == "written").all()
    assert table["closed"].all()
    assert (table["euler_number"] == 2).all()
    assert (table["mesh_distance"] <= 40).all()
    assert (table["volume_difference"].abs() < 0.01).all()
    for label, (z, y, x) in CENTRES.items():
        mesh = trimesh.load(out / f"cell_{label:05d}.glb", force="mesh")
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.02)  # µm³, outward
        away = np.linalg.norm(mesh.vertices - np.array([x, y, z]) / 1000, axis=1)
        assert np.abs(away - 0.8).max() < 0.04
    listed = json.loads((out / "meshes.json").read_text())["meshes"]
    assert [row["file"] for row in listed] == ["cell_00003.glb", "cell_00008.glb"]
    assert b"micrometer" in (out / "cell_00003.glb").read_bytes()
    # The same bytes again from the label group alone, in place of the first meshes.
    before = (out / "cell_00008.glb").read_bytes()
    alone = labels / "labels" / "cells"
    with pytest.raises(ExistsError, match=r"meshes of other cells, such as 3, which .*--overwrite"):
        hd.meshes(alone, out, cells=[8], client=client, progress=False)
    hd.meshes(alone, out, cells=[8], overwrite=True, client=client, progress=False)
    assert sorted(path.name for path in out.iterdir()) == [
        "cell_00008.glb",
        "columns.csv",
        "meshes.csv",
        "meshes.json",
        "meshes.parquet",
    ]
    assert (out / "cell_00008.glb").read_bytes() == before


@pytest.mark.parametrize("file_format", ["ply", "stl", "obj"])
def test_formats_in_nm(labels: Path, tmp_path: Path, client: Any, file_format: str) -> None:
    what = ["nucleus"]
    hd.meshes(
        labels, tmp_path / "m", cells=[3], what=what, file_format=file_format, client=client,
        progress=False,
    )  # fmt: skip
    mesh = trimesh.load(tmp_path / "m" / f"nucleus_00003.{file_format}", force="mesh")
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.centroid[:2], [1000, 1200], atol=10)
    voxels = int((drawn()[:20] == 3).sum())
    assert mesh.volume == pytest.approx(voxels * np.prod(VOXEL), rel=0.01)


def test_labels_of_any_size_and_type(tmp_path: Path, client: Any) -> None:
    numbers = np.zeros(9, np.uint64)
    numbers[[3, 8]] = 3_000_000_000, 2**40
    np.save(tmp_path / "labels.npy", numbers[drawn()])
    table = hd.meshes(
        tmp_path / "labels.npy", tmp_path / "m", voxel_size=VOXEL, client=client, progress=False
    )
    assert table["label"].tolist() == [3_000_000_000, 2**40]
    assert (table["status"] == "written").all()
    np.save(tmp_path / "mask.npy", drawn() > 0)
    with pytest.raises(hd.InputError, match="is a mask: give each object a number"):
        hd.meshes(tmp_path / "mask.npy", tmp_path / "m2", voxel_size=VOXEL)


def test_a_voxel_size_in_another_order_gets_a_warning(
    tmp_path: Path, here: Any, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "labels.npy", drawn())
    hd.meshes(
        tmp_path / "labels.npy", tmp_path / "m", voxel_size=(40, 40, 50), error=60, client=here
    )
    assert "is the order of the voxel size z, y, x?" in caplog.text


def test_refused(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParameterError, match="less than a pixel"):
        hd.meshes(labels, tmp_path / "m", error=20)
    with pytest.raises(ParameterError, match="--format 'vrml' is unknown"):
        hd.meshes(labels, tmp_path / "m", file_format="vrml")
    with pytest.raises(ParameterError, match="--what 'mitochondrion' is unknown"):
        hd.meshes(labels, tmp_path / "m", what=["mitochondrion"])
    with pytest.raises(MissingInputError, match="does not exist"):
        hd.meshes(tmp_path / "absent", tmp_path / "m")
    np.save(tmp_path / "labels.npy", drawn())
    with pytest.raises(hd.InputError, match="--voxel-size"):
        hd.meshes(tmp_path / "labels.npy", tmp_path / "m")
    with pytest.raises(ParameterError, match="one kind of object"):
        hd.meshes(tmp_path / "labels.npy", tmp_path / "m", what=["cell", "nucleus"])
    assert not (tmp_path / "m").exists()
    assert main(["meshes", str(labels), "--error", "nan", "--out", str(tmp_path / "m")]) == 1
    assert "less than a pixel" in capsys.readouterr().err


def test_a_folder_with_other_files_and_an_unknown_cell(
    labels: Path, tmp_path: Path, client: Any
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(ExistsError, match=r"thesis\.tex"):
        hd.meshes(labels, tmp_path / "mine")
    with pytest.raises(ParameterError, match=r"no object of .* has the labels 9, 10 and 99"):
        hd.meshes(labels, tmp_path / "m", cells=[99, 3, 10, 9], client=client, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_meshes_that_are_not_written_again_stay(
    labels: Path, tmp_path: Path, here: Any, caplog: pytest.LogCaptureFixture
) -> None:
    out, options = tmp_path / "m", {"error": 80, "client": here, "progress": False}
    hd.meshes(labels, out, what=["nucleus"], file_format="precomputed", **options)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = tmp_path / "other.npy"
    np.save(other, np.where(drawn() == 3, 255, 0).astype(np.uint8))
    for source, what, file_format, sentence in (
        (labels, "cell", "precomputed", "holds meshes of the kind nucleus"),
        (labels, "nucleus", "glb", "holds meshes in another format, such as 3"),
        (other, "nucleus", "precomputed", f"holds meshes of {labels}"),
    ):
        size = None if source == labels else VOXEL
        call: dict[str, Any] = {"what": [what], "file_format": file_format, **options}
        with pytest.raises(ExistsError, match=f"{sentence}.*--overwrite"):
            hd.meshes(source, out, voxel_size=size, **call)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    table = hd.meshes(other, out, voxel_size=VOXEL, overwrite=True, **options)
    assert table["label"].tolist() == [255] and table["status"].tolist() == ["written"]
    assert "holds a single label, 255: if it is a mask" in caplog.text
    assert {path.suffix for path in out.iterdir()} == {".glb", ".csv", ".parquet", ".json"}


def test_a_failed_cell_is_named_and_the_others_are_written(
    labels: Path, tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(voxels: ObjectVoxels, *others: Any) -> Any:
        if voxels.label == 3:
            raise MeshError("the mesh is not closed")
        return build_mesh(voxels, *others)

    monkeypatch.setattr("hela_dask.meshing.tasks.build_mesh", fails)
    table = hd.meshes(labels, tmp_path / "m", what=["cell"], client=here, progress=False)
    assert list(table["status"]) == ["failed", "written"]
    assert table["reason"][0] == "the mesh is not closed"
    assert sorted(path.name for path in (tmp_path / "m").glob("*.glb")) == ["cell_00008.glb"]


def test_meshes_of_neuroglancer(labels: Path, tmp_path: Path, here: Any) -> None:
    out = tmp_path / "m"
    with pytest.raises(ParameterError, match="add --what"):
        hd.meshes(labels, out, file_format="precomputed", client=here)
    for cells in ([3, 8], [8]):  # the second call replaces the first meshes
        table = hd.meshes(
            labels, out, cells=cells, what=["cell"], file_format="precomputed", client=here,
            overwrite=True, progress=False,
        )  # fmt: skip
        assert {path.name for path in out.iterdir()} == {
            "columns.csv", "info", "meshes.json", "meshes.csv", "meshes.parquet",
            *(f"{label}.index" for label in cells), *map(str, cells),
        }  # fmt: skip
    assert list(table["file"]) == ["8"]
    info = json.loads((out / "info").read_text())
    assert info["@type"] == "neuroglancer_multilod_draco"
    levels, scales = read_levels(out, 8, info)
    assert len(levels) == table["levels"][0] > 1
    assert len(levels[0].faces) == table["triangles"][0]
    for finer, coarser in itertools.pairwise(levels):
        assert len(coarser.faces) < 0.3 * len(finer.faces)
    assert scales == pytest.approx(
        [np.sqrt(4 / 3**0.5 * mesh.area / len(mesh.faces)) for mesh in levels], rel=1e-2
    )
    for mesh in levels:
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx(table["mesh_volume"][0] * 1e9, rel=0.02)
        np.testing.assert_allclose(mesh.centroid, [2600, 1200, 1000], atol=10)


def read_levels(folder: Path, label: int, info: Any) -> tuple[list[Any], list[float]]:
    """The levels of detail of a label and their scales, as Neuroglancer reads them."""
    data = (folder / f"{label}.index").read_bytes()
    shape, low = np.frombuffer(data, "<f4", 6).reshape(2, 3).astype(float)
    (count,) = np.frombuffer(data, "<u4", 1, 24).tolist()
    scales = np.frombuffer(data, "<f4", count, 28)
    at = 28 + 4 * count
    assert not np.frombuffer(data, "<f4", 3 * count, at).any()
    assert np.frombuffer(data, "<u4", count, at + 12 * count).tolist() == [1] * count
    nodes = np.frombuffer(data, "<u4", 4 * count, at + 16 * count).reshape(count, 4)
    assert len(data) == at + 32 * count
    content, begin, levels = (folder / str(label)).read_bytes(), 0, []
    most = 2 ** info["vertex_quantization_bits"] - 1
    for number, (*node, size) in enumerate(nodes.tolist()):
        assert node == [0, 0, 0]
        mesh = DracoPy.decode(content[begin : begin + size])
        begin += size
        assert mesh.points.dtype == np.uint32
        # No triangle crosses the planes that halve a node.
        assert number == 0 or mesh.points.max() <= most / 2 + 1
        places = low + shape * 2**number * mesh.points / most
        levels.append(trimesh.Trimesh(places, mesh.faces, process=False))
    assert begin == len(content)
    assert (np.diff(scales) > 0).all()
    return levels, scales.tolist()


def test_the_command_names_failed_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.DataFrame(
        {
            "label": [3, 8],
            "what": ["cell", "cell"],
            "status": ["failed", "written"],
            "reason": ["the mesh is not closed", ""],
        }
    )
    monkeypatch.setattr(hd, "meshes", lambda *_, **__: table)
    assert main(["meshes", "hela.run", "--out", str(tmp_path / "m")]) == 3
    shown = capsys.readouterr()
    assert "1 of 2 meshes written" in shown.out
    assert "cell 3 was not written: the mesh is not closed" in shown.err


def test_a_call_that_fails_leaves_the_meshes_of_before(
    labels: Path, tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    hd.meshes(labels, out, what=["cell"], client=here, progress=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    save = no_space_for_8(monkeypatch)
    with pytest.raises(StorageError, match="no space left"):
        hd.meshes(labels, out, what=["cell"], error=80, client=here, progress=False)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    # The same call again continues: the mesh that was finished is not made again.
    monkeypatch.setattr(tasks, "save", save)
    built = list_of_built(monkeypatch)
    hd.meshes(labels, out, what=["cell"], error=80, client=here, progress=False)
    assert built == [8]
    assert (out / "cell_00003.glb").read_bytes() != before["cell_00003.glb"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def no_space_for_8(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The disk is full when the mesh of label 8 is written; returns the function as it was."""
    save = tasks.save

    def full(levels: Any, path: Path, label: int) -> None:
        if label == 8:
            raise StorageError(f"no space left while writing {path}")
        save(levels, path, label)

    monkeypatch.setattr(tasks, "save", full)
    return save


def list_of_built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The labels of the meshes that are built from now on."""
    built: list[int] = []

    def build(voxels: ObjectVoxels, *arguments: Any) -> Any:
        built.append(voxels.label)
        return build_mesh(voxels, *arguments)

    monkeypatch.setattr(tasks, "build_mesh", build)
    return built


@pytest.mark.parametrize("file_format", ["glb", "precomputed"])
def test_only_meshes_of_changed_labels_are_made_again(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    values, path, out = drawn(), tmp_path / "labels.npy", tmp_path / "m"
    call: dict[str, Any] = {"voxel_size": VOXEL, "error": 80, "client": here, "progress": False}
    call |= {"file_format": file_format}
    np.save(path, values)
    before = hd.meshes(path, out, **call)
    files = {file.name: (file.stat().st_ino, file.read_bytes()) for file in out.iterdir()}
    built = list_of_built(monkeypatch)
    values[20, 30, 65] = 0  # inside the ball of label 8
    np.save(path, values)
    table = hd.meshes(path, out, **call)
    assert built == [8]
    assert list(table.columns) == list(before.columns)
    assert table[:1].equals(before[:1])
    lost = before["labels_volume"].to_numpy() - table["labels_volume"].to_numpy()
    np.testing.assert_allclose(lost, [0, 50 * 40 * 40 / 1e9], atol=1e-12)
    kept = {"glb": ["cell_00003.glb"], "precomputed": ["3", "3.index"]}[file_format]
    for name in kept:
        assert ((out / name).stat().st_ino, (out / name).read_bytes()) == files[name]
    # Nothing changed: nothing is built. A damaged or missing file is made again.
    again = hd.meshes(path, out, **call)
    assert built == [8] and again.equals(table)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "meshes.parquet"), table)
    assert {file.name for file in out.iterdir()} == set(files)
    (out / kept[0]).write_bytes(b"damaged")
    hd.meshes(path, out, **call)
    assert built == [8, 3]
    assert (out / kept[0]).read_bytes() == files[kept[0]][1]
    (out / kept[-1]).unlink()
    hd.meshes(path, out, **call)
    assert built == [8, 3, 3]
    # A call for another distance that stops in the middle changes nothing of the first one.
    whole = {file.name: file.read_bytes() for file in out.iterdir()}
    save = no_space_for_8(monkeypatch)
    with pytest.raises(StorageError, match="no space left"):
        hd.meshes(path, out, **{**call, "error": 120})
    monkeypatch.setattr(tasks, "save", save)
    hd.meshes(path, out, **call)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == whole
    if file_format == "precomputed":  # without it, neuroglancer finds no mesh
        (out / "info").unlink()
        hd.meshes(path, out, **call)
        whole.pop("meshes.json")  # it has the times of the files
        assert {name: (out / name).read_bytes() for name in whole} == whole
    del built[3:]
    # Another distance is another mesh.
    hd.meshes(path, out, **{**call, "error": 90})
    assert sorted(built) == [3, 3, 3, 8, 8]
