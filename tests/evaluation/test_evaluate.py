"""Scores from files and arrays: drawn cases, resolutions, slices, and the shape of the JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from hela_dask.errors import HelaDaskError, InputError, MissingInputError, ParameterError
from hela_dask.evaluation import labels_input
from hela_dask.evaluation.evaluate import (
    evaluate,
    parse_classes,
    parse_slices,
    score,
    score_classes,
    score_instances,
)
from hela_dask.evaluation.labels_input import Without, majority, open_labels
from hela_dask.storage import store
from hela_dask.storage.label_groups import create_labels
from hela_dask.volume.opening import open_volume

NUCLEUS = {"nucleus": [2]}
SIZE = (50.0, 40.0, 40.0)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Three slices of 4 x 4 and their truth.

    slice 1: truth 2 on 4 pixels; instance 5 on 3 of them and 1 other: JI 3/5
    slice 2: truth 2 on 2 pixels; instance 5 absent, instance 8 on both: JI 0 for 5
    slice 3: nothing but another class and instance 8 elsewhere: no score
    Pooled for 5: TP 3, FP 1, FN 3, TN 41; for the union of 5 and 8: TP 5, FP 3, FN 1.
    """
    truth, prediction = np.zeros((2, 3, 4, 4), np.uint8)
    truth[0, :2, :2] = 2
    prediction[0, :2, :2] = [[5, 5], [5, 0]]
    prediction[0, 3, 3] = 5
    truth[1, 0, :2] = 2
    prediction[1, 0, :2] = 8
    truth[2], prediction[2, 0, :2] = 1, 8
    return prediction, truth


def test_the_instance_that_overlaps_most_is_scored() -> None:
    result = score_classes(*drawn(), NUCLEUS, hausdorff=False)["nucleus"]
    assert result.instances == (5,)
    assert vars(result.pooled) == {"tp": 3, "fp": 1, "fn": 3, "tn": 41}
    assert result.pooled.ji == 3 / 7
    rows = result.per_slice()
    assert rows["slice"].tolist() == [1, 2, 3]
    assert rows["ji"].tolist()[:2] == [0.6, 0.0]
    assert math.isnan(rows["ji"][2])
    assert result.summaries()["ji"]["mean"] == 0.3


def test_all_instances_are_their_union() -> None:
    table = evaluate(*drawn(), classes=NUCLEUS, all_instances=True, hausdorff=False)
    assert table.loc["nucleus", "ji"] == 5 / 9


def test_overlap_is_taken_over_the_evaluated_slices_only() -> None:
    result = score_classes(*drawn(), NUCLEUS, slices=(2, 3), hausdorff=False)["nucleus"]
    assert result.instances == (8,)
    assert result.first_slice == 2
    assert result.pooled.ji == 2 / 4


def test_a_cell_is_taken_with_its_nucleus() -> None:
    # truth: envelope 1, nucleus 2, cytoplasm 5 in a row; the predicted cell covers all.
    truth = np.array([[3, 5, 1, 2, 1, 5, 4, 4]], np.uint8)
    prediction = np.array([[0, 6, 6, 6, 6, 6, 6, 0]], np.uint8)
    table = evaluate(prediction, truth, classes={"cell": [1, 2, 5]}, hausdorff=False)
    assert table.loc["cell", "ji"] == 5 / 6


def test_json_has_the_documented_shape() -> None:
    found = json.loads(score(*drawn(), classes=NUCLEUS, voxel_size=(50, 40, 40)).to_json())
    nucleus = found["nucleus"]
    assert nucleus["ji"] == 3 / 7
    assert nucleus["ac"] == 44 / 48
    assert nucleus["dice"] == 6 / 10
    assert nucleus["per_slice"]["ji"] == [0.6, 0.0, None]
    assert nucleus["per_slice"]["slice"] == [1, 2, 3]
    assert nucleus["hausdorff_mean"] > 0
    assert (nucleus["instances"], nucleus["values"], nucleus["slices"]) == ([5], [2], [1, 3])


@pytest.mark.parametrize("classes", [NUCLEUS, None])
def test_scores_can_be_drawn_and_shown(
    classes: dict[str, list[int]] | None, tmp_path: Path
) -> None:
    result = score(*drawn(), classes=classes, hausdorff=False)
    assert result.plot(tmp_path / "scores.png").stat().st_size > 3000
    assert ("nucleus" if classes else "0.50") in repr(result)
    assert "<table" in result._repr_html_()


def test_nothing_found_scores_zero() -> None:
    _, truth = drawn()
    result = score_classes(np.zeros_like(truth), truth, NUCLEUS, voxel_size=(1, 1, 1))["nucleus"]
    assert (result.instances, result.pooled.ji) == ((), 0.0)
    assert math.isnan(result.surface.mean)


def test_every_kind_of_input_gives_the_same(tmp_path: Path) -> None:
    prediction, truth = drawn()
    np.save(tmp_path / "truth.npy", truth)
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    tifffile.imwrite(tmp_path / "wide.tif", truth.astype(np.uint32), photometric="minisblack")
    cubes = xr.DataArray(
        da.from_array(truth, chunks=(2, 3, 4)),
        dims=("z", "y", "x"),
        coords={"z": [0.0, 50, 100], "y": 40.0 * np.arange(4), "x": 40.0 * np.arange(4)},
    )
    names = ("truth.npy", "truth.tif", "wide.tif")
    kinds = [*(tmp_path / name for name in names), str(tmp_path / "truth.tif"), cubes, cubes.data]
    wanted = evaluate(prediction, truth, classes=NUCLEUS, voxel_size=(50, 40, 40))
    for kind in kinds:
        found = evaluate(prediction, kind, classes=NUCLEUS, voxel_size=(50, 40, 40))
        assert found.equals(wanted)
    # The DataArray knows its voxels.
    assert evaluate(prediction, cubes, classes=NUCLEUS).equals(wanted)


def test_label_groups_are_read_alone_or_through_their_image(tmp_path: Path) -> None:
    prediction, truth = drawn()
    cells = np.where(truth > 0, 3, 0)
    image = store.create_image(tmp_path / "a.ome.zarr", truth.shape, "uint8", SIZE, name="image")
    resin = np.where(cells > 0, 0, 1)
    for name, labels in (("nuclei", prediction), ("cells", cells), ("background", resin)):
        group = create_labels(
            image.folder, name, truth.shape, np.uint32, SIZE, source_image=image.folder
        )
        for z0, z1 in store.slabs(group):
            store.write_slab(group, z0, labels[z0:z1].astype(np.uint32), downsample="nearest")
    classes = {"nucleus": [2], "cell": [1, 2]}
    wanted = evaluate(
        {"nucleus": prediction, "cell": cells}, truth, classes=classes, voxel_size=SIZE
    )
    nuclei = image.path / "labels" / "nuclei"
    assert evaluate(nuclei, truth, classes=NUCLEUS).equals(wanted.iloc[:1])
    for owner in (image.path, str(image.path / "labels")):
        assert evaluate(owner, truth, classes=classes).equals(wanted)
    # A cell without its nucleus, and the resin, are found by the names of their classes.
    rest = {"cell_without_nucleus": [1], "Cytoplasm": [1], "resin": [0]}
    found = evaluate(image.path, truth, classes=rest)
    only = evaluate(np.where(prediction > 0, 0, cells), truth, classes={"c": [1]}, voxel_size=SIZE)
    assert found.iloc[0].equals(only.iloc[0]) and found.iloc[1].equals(only.iloc[0])
    assert found.loc["resin", "ji"] == 1.0
    assert evaluate(open_volume(nuclei), nuclei)["f1"].eq(1).all()
    with pytest.raises(InputError, match=r"is an image: name one of its labels, as in .*labels"):
        evaluate(image.path, truth)


def test_a_cell_without_its_nucleus_needs_both_of_one_shape() -> None:
    prediction, truth = drawn()
    cells = np.where(truth > 0, 3, 0)
    both = {"cytoplasm": Without(cells, prediction), "again": Without(cells, prediction)}
    table = evaluate(both, truth, classes={"cytoplasm": [2], "again": [2]}, hausdorff=False)
    # Of the six true voxels one is left, which the prediction has not; slice 3 is all other.
    assert table["ji"].tolist() == [1 / 20, 1 / 20]
    with pytest.raises(InputError, match="must have their shape"):
        evaluate(Without(cells, prediction[:2]), truth, classes=NUCLEUS)


def test_some_slices_are_scored_apart() -> None:
    whole = score_classes(*drawn(), NUCLEUS, voxel_size=SIZE)
    part = whole.within(2, 3)["nucleus"]
    assert (part.instances, part.pooled.ji, part.summaries()["ji"]["mean"]) == ((5,), 0.0, 0.0)
    assert part.per_slice()["slice"].tolist() == [2, 3]
    assert math.isnan(part.surface.mean) and whole["nucleus"].surface.mean > 0
    assert whole.within(1, 3)["nucleus"].surface == whole["nucleus"].surface
    with pytest.raises(InputError, match="not in 1:3, which were evaluated"):
        whole.within(3, 4)


def test_surfaces_are_measured_for_the_classes_that_are_named() -> None:
    classes = {"nucleus": [2], "other": [1]}
    table = evaluate(*drawn(), classes=classes, voxel_size=SIZE, hausdorff=["other"])
    assert table["hausdorff_mean"].notna().tolist() == [False, True]


def test_one_slice_may_be_two_dimensional() -> None:
    prediction, truth = drawn()
    table = evaluate(prediction[0], truth[0], classes=NUCLEUS, hausdorff=False)
    assert table.loc["nucleus", "ji"] == 0.6


@pytest.mark.parametrize("finer", ["prediction", "truth"])
def test_the_finer_side_is_compared_on_the_coarser_grid(finer: str) -> None:
    prediction, truth = drawn()
    wanted = score(prediction, truth, classes=NUCLEUS, voxel_size=(50, 40, 40)).to_json()
    if finer == "truth":
        truth = truth.repeat(4, axis=1).repeat(4, axis=2)
    else:
        prediction = prediction.repeat(4, axis=1).repeat(4, axis=2)
    found = score(prediction, truth, classes=NUCLEUS, voxel_size=(50, 40, 40)).to_json()
    assert found == wanted


def test_majority_of_drawn_blocks() -> None:
    # Blocks of 2 x 2: all 3; three 1 and a 9; two 4 against two 2 (the smaller); four different.
    row = np.array([[[3, 3, 1, 9, 4, 2, 8, 6], [3, 3, 1, 1, 2, 4, 7, 9]]], np.uint8)
    assert majority(row, (2, 2)).tolist() == [[[3, 1, 2, 6]]]


@given(arrays(np.uint16, (2, 6, 8), elements=st.integers(0, 4)), st.sampled_from([(2, 2), (3, 4)]))
@settings(max_examples=40, deadline=None)
def test_majority_is_the_commonest(labels: np.ndarray, factor: tuple[int, int]) -> None:
    found = majority(labels, factor)
    for z, y, x in np.ndindex(found.shape):
        fy, fx = factor
        block = labels[z, y * fy : (y + 1) * fy, x * fx : (x + 1) * fx]
        assert found[z, y, x] == np.bincount(block.ravel()).argmax()


def test_slabs_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    field = ndimage.gaussian_filter(rng.random((20, 30, 30)), 3)
    truth = (field > np.median(field)).astype(np.uint8) * 2
    prediction = np.roll(truth, 2, axis=2)
    wanted = score(prediction, truth, classes=NUCLEUS, voxel_size=(50, 40, 40)).to_json()
    for limit in (1, 900 * 7):
        monkeypatch.setattr(labels_input, "SLAB_LIMIT", limit)
        found = score(prediction, truth, classes=NUCLEUS, voxel_size=(50, 40, 40)).to_json()
        assert found == wanted


def test_reading_is_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_input, "SLAB_BYTES", 16)
    depths = []

    class Spy:
        shape, ndim, dtype = (50, 4, 4), 3, np.dtype(np.uint8)

        def __getitem__(self, part: slice) -> np.ndarray:
            depths.append(part.stop - part.start)
            return np.full((part.stop - part.start, 4, 4), 2, np.uint8)

    evaluate(Spy(), Spy(), classes=NUCLEUS, voxel_size=(50, 40, 40))
    assert max(depths) == 1
    # Two passes over both: one to choose the instance, one for the surfaces.
    assert len(depths) == 4 * 50


def test_instances_are_matched_without_classes() -> None:
    truth = np.zeros((2, 4, 6), np.uint8)
    truth[:, :2, :2], truth[:, 2:, 3:] = 1, 2
    prediction = np.where(truth == 1, 9, 0) + np.where(truth == 2, 4, 0)
    prediction[1, 2:, 3:] = 0
    table = evaluate(prediction, truth)
    assert table["f1"].to_list() == [1.0] + 8 * [0.5]
    found = score_instances(prediction, truth)
    assert found.pairs().to_dict("list") == {
        "prediction": [9, 4],
        "truth": [1, 2],
        "iou": [1.0, 0.5],
    }
    instances = json.loads(found.to_json())["instances"]
    assert instances["mean_average_precision"] == pytest.approx((1 + 8 / 3) / 9)
    assert (instances["missed"], instances["spurious"]) == ([], [])
    # Slice 2: instance 1 right (4 pixels), of instance 2 all 6 missed.
    assert instances["per_slice"]["ji"] == [1.0, 4 / 10]


def test_a_mapping_gives_each_class_its_own_labels() -> None:
    prediction, truth = drawn()
    cells = np.where(truth > 0, 3, 0)
    table = evaluate(
        {"nucleus": prediction, "cell": cells},
        truth,
        classes={"cell": [1, 2], "nucleus": [2]},
        hausdorff=False,
    )
    assert table["ji"].to_dict() == {"cell": 1.0, "nucleus": 3 / 7}
    with pytest.raises(ParameterError, match="no prediction for class 'cell'"):
        evaluate({"nucleus": prediction}, truth, classes={"cell": [1]})


def wrong_pairs() -> list[tuple[object, object, dict[str, object], type[HelaDaskError], str]]:
    prediction, truth = drawn()
    wide = np.zeros((3, 4, 6), np.uint8)
    classes = {"nucleus": 2}
    sizes: list[object] = [(0, 1, 1), (np.nan, 1, 1), (1, 1), "50 10 10"]
    return [
        *[
            (prediction, truth, {"classes": classes, "voxel_size": size}, InputError, "lengths in")
            for size in sizes
        ],
        (prediction, wide, {}, InputError, r"4 x 4 pixels and the truth 4 x 6"),
        (prediction, truth[:2], {}, InputError, r"3 slices and the truth has 2: .*--slices 1:2"),
        (prediction, truth[:2], {"slices": (1, 3)}, InputError, r"1:3 are not in 1:2"),
        (prediction, truth, {"slices": (0, 2)}, InputError, r"0:2 are not in 1:3"),
        (prediction, truth, {"classes": {"nucleus": [22]}}, InputError, r"none of the values 22"),
        (prediction, truth, {"classes": {"nucleus": []}}, ParameterError, r"'nucleus' needs"),
        (prediction, truth, {"classes": {}}, ParameterError, r"no class"),
        (prediction / 2, truth, {}, InputError, r"the prediction holds float64 values"),
        (prediction, truth[None], {}, InputError, r"the truth has shape \(1, 3, 4, 4\)"),
        ("nowhere.tif", truth, {}, MissingInputError, r"no labels at nowhere.tif"),
        (3, truth, {}, InputError, r"the prediction must be a path or an array, not int"),
        (np.ma.masked_equal(prediction, 1), truth, {}, InputError, r"is a masked array: fill it"),
        (
            da.from_array(prediction)[da.from_array(truth[:, 0, 0]) >= 0],
            truth,
            {},
            InputError,
            r"chunks of unknown length",
        ),
        (
            prediction.astype(np.int32) - 1,
            truth,
            {},
            InputError,
            r"the prediction holds -1 in slice 1: labels are not negative",
        ),
        (prediction, truth, {"classes": {"nucleus": [2.5]}}, ParameterError, r"'nucleus' needs"),
        (prediction, truth, {"classes": {"nucleus": "2"}}, ParameterError, r"'nucleus' needs"),
        (prediction, truth, {"classes": ["nucleus"]}, ParameterError, r"names with label values"),
        (prediction, truth, {"slices": (1.5, 2)}, ParameterError, r"two whole numbers"),
        (prediction, truth, {"slices": "1:2"}, ParameterError, r"two whole numbers"),
    ]


@pytest.mark.parametrize(("prediction", "truth", "options", "kind", "says"), wrong_pairs())
def test_bad_input_is_one_sentence(
    prediction: object, truth: object, options: dict[str, object], kind: type, says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        evaluate(prediction, truth, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "turn",
    [
        lambda a: xr.DataArray(a.T, dims=("X", "Y", "Z")),
        lambda a: xr.DataArray(a.transpose(1, 2, 0)[None], dims=("c", "y", "x", "z")),
        lambda a: xr.DataArray(a[1].T, dims=("x", "y")),
        lambda a: xr.DataArray(a, dims=("plane", "row", "column")),
    ],
)
def test_axes_of_an_array_are_found_by_their_names(turn: Any) -> None:
    truth = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    found = open_labels(turn(truth), "the truth")
    wanted = truth if found.shape[0] == 3 else truth[1:2]
    assert np.array_equal(found.read(0, found.shape[0]), wanted)


def test_a_file_that_is_no_array_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("no")
    with pytest.raises(InputError, match=r"x\.npy is not a \.npy array"):
        evaluate(tmp_path / "x.npy", np.zeros((1, 2, 2), np.uint8))


def test_what_is_typed_is_parsed() -> None:
    assert parse_classes(["nucleus=2", "cell=1, 2,5"]) == {"nucleus": (2,), "cell": (1, 2, 5)}
    assert parse_slices("1:180") == (1, 180)
    for text in ("nucleus", "=2", "nucleus=", "nucleus=a", "nucleus=-1"):
        with pytest.raises(ParameterError, match="should look like nucleus=2"):
            parse_classes([text])
    with pytest.raises(ParameterError, match="given twice"):
        parse_classes(["a=1", "a=2"])
    for text in ("180", "0:5", "5:4", "a:b", "1:"):
        with pytest.raises(ParameterError, match="should look like 1:180"):
            parse_slices(text)


def test_a_known_shift_of_the_real_nucleus(real_data: Path) -> None:
    path = real_data / "roi1656" / "labels_z001-180.tif"
    truth = tifffile.imread(path)
    # Grown in the plane by one pixel: no true pixel is lost, and the surfaces are 40 nm apart.
    grown = ndimage.binary_dilation(truth == 2, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]]))
    result = score_classes(grown, path, NUCLEUS, slices=(1, 180), voxel_size=(50, 40, 40))
    nucleus = result["nucleus"]
    assert nucleus.pooled.tp == 4_464_215
    assert nucleus.pooled.fn == 0
    assert nucleus.pooled.ji == 4_464_215 / np.count_nonzero(grown)
    assert 25 < nucleus.surface.mean <= 45
    assert nucleus.surface.p95 == pytest.approx(40, abs=11)
    # The nucleus begins in slice 24, one grown slice too.
    assert nucleus.per_slice()["ji"].notna().sum() == 180 - 23
