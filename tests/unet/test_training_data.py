"""What a training learns from: labels, splits, instances, phantoms; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import hela_dask as hd
from hela_dask.errors import InputError, ParameterError
from hela_dask.unet.training_data import DataRequest, open_training_data
from tests.unet.scene import SHAPE, labelled, tiny, volume


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"slices": (1, 13)}, InputError, "slices 1:13 are not in"),
        ({"slices": (1, 4), "validation": (20, 30)}, InputError, "slices 20:30 are not in"),
        ({"classes": {"nucleus": (2,)}}, ParameterError, "'resin' has no label value"),
        ({"mask_weight": 2.0}, ParameterError, "between 0 and 1, not 2"),
        ({"phantom_share": 1.0}, ParameterError, "share is between 0 and 1"),
        ({"instance_classes": {"two": (1,)}}, ParameterError, "the classes one and others"),
        ({"mask": np.zeros((4, *SHAPE[1:]), np.uint8)}, InputError, "has 4 slices, and slice 12"),
        ({"mask": np.ones(SHAPE, np.uint8)}, InputError, "the mask is not 0 in all labelled"),
        ({"classes": {"nucleus": 2.5}}, ParameterError, "'nucleus' needs label values"),
        ({"classes": ["nucleus"]}, ParameterError, "names with label values"),
        (
            {"classes": {"resin": 4, "cell": 3, "envelope": 1, "nucleus": 10**11}},
            ParameterError,
            "16777216 or less, not 100000000000",
        ),
        (
            {"instances": labelled()[1], "instance_classes": {"one": [1.5]}},
            ParameterError,
            "'one' needs label values",
        ),
        ({"slices": "1:4"}, ParameterError, "slices are two whole numbers"),
        ({"voxel_size": (50, 10, 10)}, ParameterError, "states voxels of .* leave --voxel-size"),
        ({"voxel_size": (0.05, 0.04, 0.04)}, InputError, "less than an atom"),
        ({"store": np.zeros(SHAPE, np.uint8)}, InputError, "a path or an xarray.DataArray"),
    ],
)
def test_bad_input_is_reported_before_work_starts(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    request: dict[str, Any] = {"store": volume(), "labels": labelled()[1]}
    with pytest.raises(error, match=sentence):
        open_training_data(tiny("residual"), DataRequest(**(request | options)))


def test_labels_that_miss_what_is_needed() -> None:
    labels = labelled()[1]
    ours = tiny("residual")
    with pytest.raises(InputError, match=r"no envelope \(label 1\) in the slices learned from"):
        open_training_data(ours, DataRequest(volume(), np.where(labels == 1, 5, labels)))
    with pytest.raises(InputError, match="the value 9 in slice 1, which is of no class"):
        open_training_data(ours, DataRequest(volume(), np.where(labels == 1, 9, labels)))
    with pytest.raises(InputError, match=r"has 10 slices and the image 12: .* --slices 1:10"):
        open_training_data(ours, DataRequest(volume(), labels[:10]))
    with pytest.raises(InputError, match="no labelled pixel"):
        open_training_data(ours, DataRequest(volume(), np.zeros_like(labels)))
    with pytest.raises(InputError, match="not a phantom with its truth"):
        open_training_data(ours, DataRequest(volume(), labels, phantom="nowhere"))
    with pytest.raises(ParameterError, match="learns nothing from instances"):
        open_training_data(tiny("unet"), DataRequest(volume(), labels, instances=labels))


def test_named_values_that_do_not_occur_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A network that tells one cell from others needs labels that do so too."""
    labels = np.where(labelled()[1] == 5, 3, labelled()[1])
    open_training_data(tiny("residual"), DataRequest(volume(), labels))
    assert not caplog.messages
    open_training_data(tiny("hybrid"), DataRequest(volume(), labels))
    assert len(caplog.messages) == 1
    assert "has no 5 in the slices learned from, which is cell here (with 1, 2)" in caplog.text
    caplog.clear()
    named = {"resin": (4,), "cell": (3, 7, 8), "envelope": (1,), "nucleus": (2,)}
    open_training_data(tiny("residual"), DataRequest(volume(), labels, classes=named))
    assert "has no 7 and 8 in" in caplog.text


def test_slices_without_labels_are_passed_over() -> None:
    labels = labelled()[1].copy()
    labels[10:] = 0
    training_data = open_training_data(tiny("residual"), DataRequest(volume(), labels))
    assert training_data.split.to_dict()["train"] == [[1, 9]]
    assert training_data.split.validation == (10,)


def test_instances_are_known_where_the_labels_say_which_cell_is_meant() -> None:
    labels = labelled()[1]
    ours = tiny("residual")
    assert open_training_data(ours, DataRequest(volume(), labels)).held.instances is not None
    every = np.where(labels == 5, 3, labels)
    assert open_training_data(ours, DataRequest(volume(), every)).held.instances is None
    given = open_training_data(
        ours,
        DataRequest(
            volume(), every, instances=labels, instance_classes={"one": [1, 2, 5], "others": [3]}
        ),
    )
    assert given.held.cells.one == (1, 2, 5)


def test_a_phantom_is_mixed_in_with_every_cell_known(tmp_path: Path) -> None:
    store = tmp_path / "phantom.ome.zarr"
    hd.make_phantom(store, shape=(64, 128, 128), cells=2, diameter=2, voxel_size=(50, 40, 40))
    architecture = tiny("residual")
    training_data = open_training_data(
        architecture, DataRequest(volume(), labelled()[1], phantom=store, phantom_share=0.5)
    )
    assert training_data.shares == (0.5, 0.5)
    mixed = training_data.labelled_volumes[1]
    assert mixed.slices == tuple(range(64))
    truth = mixed.truth(architecture, (32, slice(0, 128), slice(0, 128)))
    assert (truth[..., 4] == 1).all()
    assert set(np.unique(truth[..., 0])) <= {0, 1, 2, 3}
    assert truth[..., 3].max() > 50
    assert {entry["store"] for entry in training_data.data} == {"", "phantom.ome.zarr"}


def test_nan_of_an_image_is_a_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grey, labels = labelled()
    request = DataRequest(tmp_path / "grey.npy", labels, voxel_size=(50.0, 40.0, 40.0))
    framed = np.where(np.arange(SHAPE[2]) < 4, np.nan, grey.astype(np.float32))
    np.save(tmp_path / "grey.npy", framed)
    plane = open_training_data(tiny("residual"), request).held.image.plane(7)
    np.testing.assert_array_equal(plane, np.nan_to_num(framed[7]))
    assert "NaN or infinite values: they are read as 0" in caplog.text
    np.save(tmp_path / "grey.npy", framed - 100)
    with pytest.raises(InputError, match="in slice 1 beside values below 0"):
        open_training_data(tiny("residual"), request)


def test_a_tiff_stack_is_an_image_too(tmp_path: Path) -> None:
    grey, labels = labelled()
    tifffile.imwrite(tmp_path / "grey.tif", grey)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    ours = tiny("residual")
    paths: dict[str, Any] = {"store": tmp_path / "grey.tif", "labels": tmp_path / "labels.tif"}
    with pytest.raises(ParameterError, match="does not state its voxel size"):
        open_training_data(ours, DataRequest(**paths))
    found = open_training_data(ours, DataRequest(**paths, voxel_size=(50.0, 40.0, 40.0)))
    np.testing.assert_array_equal(found.held.image.plane(7), grey[7])
    np.testing.assert_array_equal(found.held.labels.plane(7), labels[7])
    other = open_training_data(ours, DataRequest(volume(), labels))
    assert found.held.greys == other.held.greys
