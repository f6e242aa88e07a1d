"""Class maps in evaluate: never taken as instances; their values named by metadata or by hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from hela_dask.cli import app
from hela_dask.errors import InputError, ParameterError
from hela_dask.evaluation.class_maps import class_kind, is_class_map, named_values
from hela_dask.evaluation.evaluate import evaluate, score, score_instances
from hela_dask.storage import store

# Values of the truth: 1 envelope, 2 nucleus, 3 other cells, 4 resin, 5 cytoplasm.
WANTED = {"nucleus": [2], "cell": [1, 2, 5], "envelope": [1], "resin": [4]}


def truth() -> npt.NDArray[np.uint8]:
    """Two nested squares in resin, in two slices."""
    drawn = np.full((2, 20, 20), 4, np.uint8)
    drawn[:, 4:16, 4:16] = 5
    drawn[:, 7:13, 7:13] = 1
    drawn[:, 8:12, 8:12] = 2
    return drawn


def as_map(values: dict[int, int]) -> npt.NDArray[np.uint8]:
    """The truth with other values, and one column of the nucleus missed."""
    found = truth()
    found[:, 8:12, 11] = 5
    table = np.zeros(6, np.uint8)
    table[list(values)] = list(values.values())
    return np.asarray(table[found])


def group(folder: Path, name: str, values: npt.NDArray[Any], names: dict[int, str]) -> Path:
    """A label group with names of its values."""
    voxel = (50.0, 40.0, 40.0)
    image = store.create_image(folder / "a.ome.zarr", values.shape, "uint8", voxel, name="a")
    store.write_slab(image, 0, np.zeros(values.shape, np.uint8))
    labels = store.create_labels(image.folder, name, values.shape, "uint8", voxel)
    store.write_slab(labels, 0, values, downsample="nearest")
    rows = [{"label-value": value, "name": text} for value, text in names.items()]
    store.write_label_metadata(labels.folder, properties=rows)
    return labels.folder


OURS = {1: 1, 2: 2, 4: 4, 5: 3}  # as predict writes them: 3 is the rest of the cell


def test_the_value_of_a_class_is_named_on_both_sides(tmp_path: Path) -> None:
    # 7 resin, 6 cytoplasm, 4 nucleus, 1 envelope: all differ from those of the truth.
    prediction = as_map({1: 1, 2: 4, 4: 7, 5: 6})
    table = evaluate(
        prediction,
        truth(),
        classes=WANTED,
        predicted={"nucleus": [4], "cell": [1, 4, 6], "envelope": [1], "resin": [7]},
        hausdorff=False,
    )
    assert table.ji.to_dict() == {"nucleus": 0.75, "cell": 1.0, "envelope": 1.0, "resin": 1.0}
    np.save(tmp_path / "p.npy", prediction)
    np.save(tmp_path / "t.npy", truth())
    words = ["evaluate", str(tmp_path / "p.npy"), str(tmp_path / "t.npy"), "--json"]
    words += ["--class", "nucleus=2", "--predicted", "nucleus=4", "--class", "cell=1,2,5"]
    found = CliRunner().invoke(app, [*words, "--predicted", "cell=1,4,6"])
    shown = json.loads(found.stdout)
    assert (shown["nucleus"]["ji"], shown["nucleus"]["instances"]) == (0.75, [4])
    assert (shown["cell"]["ji"], shown["cell"]["values"]) == (1.0, [1, 2, 5])


@pytest.mark.parametrize("all_instances", [False, True])
def test_the_names_in_the_metadata_say_which_value_is_which(
    all_instances: bool, tmp_path: Path
) -> None:
    names = {1: "envelope", 2: "nucleus", 3: "cell", 4: "resin"}
    path = group(tmp_path, "classes", as_map(OURS), names)
    assert named_values(path) == {
        "envelope": (1,), "nucleus": (2,), "cell": (3,), "background": (4,)
    }  # fmt: skip
    table = evaluate(path, truth(), classes=WANTED, all_instances=all_instances, hausdorff=False)
    assert table.ji.to_dict() == {"nucleus": 0.75, "cell": 1.0, "envelope": 1.0, "resin": 1.0}
    # What is named by hand wins.
    found = evaluate(
        path, truth(), classes={"nucleus": [2]}, predicted={"nucleus": [3]}, hausdorff=False
    )
    assert found.ji.item() < 0.1


@pytest.mark.parametrize(
    ("name", "names", "match"),
    [
        ("classes", {}, r"holds classes \(their names are not in its metadata\).*nucleus=VALUES"),
        ("true_classes", {}, "--predicted nucleus=VALUES"),
        ("network", {4: "resin"}, r"holds classes \(background 4\).*--predicted nucleus=VALUES"),
        ("network", {}, r"label in every voxel, of the values 1, 2, 3, 4.*nucleus=VALUES"),
    ],
)
def test_a_class_map_without_names_is_asked_for_them(
    name: str, names: dict[int, str], match: str, tmp_path: Path
) -> None:
    path = group(tmp_path, name, as_map(OURS), names)
    with pytest.raises(InputError, match=match):
        evaluate(path, truth(), classes={"nucleus": [2]}, all_instances=True)


def test_a_plain_array_of_classes_is_asked_for_them_too() -> None:
    with pytest.raises(InputError, match="the prediction has a label in every voxel"):
        score(truth(), truth(), classes={"nucleus": [2]})
    values = {"nucleus": [2], "cell": [1, 2, 5]}
    found = evaluate(truth(), truth(), classes=values, predicted=values, hausdorff=False)
    assert found.ji.tolist() == [1.0, 1.0]


def test_classes_are_not_matched_as_instances(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = group(tmp_path, "classes", as_map(OURS), {2: "nucleus"})
    instances = (truth() == 2).astype(np.uint8)
    for sides in ((path, instances), (instances, path)):
        with pytest.raises(InputError, match=r"classes holds classes, not instances.*--class"):
            score(*sides)
    with caplog.at_level(logging.WARNING):
        score(instances, truth())
    assert "the truth has a label in every voxel, of 4 values" in caplog.text


def test_names_that_do_not_fit_are_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    for words, match in (
        ({"predicted": {"nucleus": [4]}}, "named in the prediction only"),
        ({"classes": {"cell": [5]}, "predicted": {"nucleus": [4]}}, "not in the truth, which has"),
        ({"classes": {"cell": [5]}, "predicted": {"cell": []}}, "needs label values"),
    ):
        arguments: dict[str, Any] = words
        with pytest.raises(ParameterError, match=match):
            score(truth(), truth(), **arguments)
    with caplog.at_level(logging.WARNING):
        found = evaluate(
            truth(), truth(), classes={"cell": [5]}, predicted={"cell": [9]}, hausdorff=False
        )
    assert found.ji.item() == 0
    assert "none of the values (9,) of cell, only 1, 2, 4, 5" in caplog.text


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({1: 5, 2: 5}, True),
        ({0: 0, 1: 5, 4: 9}, True),
        ({0: 1, 1: 5, 2: 5}, False),  # background is 0: instances
        ({1: 5}, False),  # one mask
        (dict.fromkeys(range(1, 40), 1), False),  # too many for classes
        ({17: 5, 203: 9, 1042: 4}, False),  # no class has such a number
    ],
)
def test_what_looks_like_classes(sizes: dict[int, int], expected: bool) -> None:
    assert is_class_map(sizes) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tiles: tiles, False),  # six cells that fill the slice
        (lambda tiles: np.repeat(np.repeat(tiles, 50, 0), 50, 1), False),
        (lambda tiles: np.where(tiles == 6, 1, tiles), True),  # a value in two pieces
        (lambda tiles: np.pad(tiles, 3, constant_values=7), True),  # one that encloses the others
        (lambda tiles: tiles[:12], True),  # three pieces only: may be layers
    ],
)
def test_pieces_tell_instances_from_classes(
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], expected: bool
) -> None:
    tiles = change(np.kron(np.arange(1, 7).reshape(2, 3), np.ones((12, 12), int)))
    values, counts = np.unique(tiles, return_counts=True)
    sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert is_class_map(sizes, lambda: tiles) is expected


def test_cells_that_fill_the_volume_are_scored_as_instances(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tiles = np.kron(np.arange(1, 7).reshape(1, 2, 3), np.ones((3, 12, 12), int)).astype(np.uint8)
    with caplog.at_level(logging.WARNING):
        assert score_instances(tiles, tiles).matching.mean_iou == 1
        found = evaluate(tiles, tiles, classes={"cell": [4]}, hausdorff=False)
    assert (found.ji.item(), caplog.text) == (1.0, "")


def test_kinds_of_class_names() -> None:
    names = ["nucleus", "Nuclei", "nuclear envelope", "resin", "cytoplasm", "cell without nucleus"]
    kinds = ["nucleus", "nucleus", "envelope", "background", "cytoplasm", "cytoplasm"]
    assert [class_kind(name) for name in names] == kinds
