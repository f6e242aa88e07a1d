"""A network's classes for a whole volume: lazily and as labels, however it is computed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import ExistsError, InputError, MissingInputError, ResourceError
from hela_dask.storage import store as arrays
from hela_dask.storage.metadata import read_image
from hela_dask.tasks.dispatch import run_units
from hela_dask.unet.card import CLASSES, EXTRA, Card
from hela_dask.unet.inference import predict_block
from hela_dask.unet.model import Model
from tests.unet.networks import by_grey, stored
from tests.volumes import make_volume

predicting: Any = importlib.import_module("hela_dask._predict")  # the room, not its function
SHAPE, VOXEL = (37, 40, 64), (50.0, 40.0, 40.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return by_grey(tmp_path_factory.mktemp("model") / "grey", 5)


def image() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    stripes = np.repeat([75, 125, 175, 225], SHAPE[2] // 4)
    grey = stripes + rng.normal(0, 5, SHAPE)
    grey[20] = 7  # a lost slice
    return grey.round().astype(np.uint8)


@pytest.fixture
def volume_store(tmp_path: Path) -> Path:
    path = tmp_path / "hela.ome.zarr"
    target = arrays.create_image(path, SHAPE, "uint8", VOXEL, name="stripes")
    for z0, z1 in arrays.slabs(target):
        arrays.write_slab(target, z0, image()[z0:z1])
    return path


def test_it_says_when_a_volume_is_resampled_for_the_network(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="hela_dask")  # commands before may have made it quiet
    hd.classify(make_volume(image(), VOXEL), model.folder)
    assert not caplog.records
    coarse = hd.classify(make_volume(image(), (50.0, 60.0, 60.0)), model.folder)
    assert caplog.messages == [
        "the residual network learned from voxels of 50 x 40 x 40 nm, and what it is to see has "
        "50 x 60 x 60 nm: it is resampled for it, and the prediction is resampled back"
    ]
    assert coarse["resin"].shape == SHAPE


@pytest.mark.parametrize("chunks", [(1, 40, 64), (16, 16, 16), (7, 33, 64), (37, 40, 64)])
def test_any_chunking_gives_the_same_bits_as_the_whole_at_once(
    model: Model, chunks: tuple[int, int, int]
) -> None:
    volume = make_volume(image(), VOXEL, chunks=chunks)
    levels = hd.grey_levels(volume)
    assert levels.low is not None
    assert levels.high is not None
    whole = predict_block(model, image(), VOXEL, (levels.low, levels.high))
    found = hd.classify(volume, model.folder)
    assert list(found) == [*CLASSES, *EXTRA]
    for at, name in enumerate(found):
        np.testing.assert_array_equal(found[name].values, whole[..., at])
    np.testing.assert_array_equal(
        hd.classify(volume, model.folder)["nucleus"][17:23], whole[17:23, ..., 3]
    )


def test_labels_are_the_likeliest_classes_and_lie_over_the_image(
    model: Model, volume_store: Path, client: Any
) -> None:
    path = hd.predict(volume_store, model.folder, client=client, progress=False)
    assert path == volume_store / "labels" / "classes"
    found = read_image(path)
    assert found.complete
    assert found.levels[0].voxel_size == VOXEL
    labels = arrays.read_scratch(path / "0")[:]
    predicted = hd.classify(hd.open_volume(volume_store), model.folder)
    likeliest = np.stack([predicted[name].values for name in CLASSES]).argmax(0)
    values = np.array([predicting.VALUES[name] for name in CLASSES])
    np.testing.assert_array_equal(labels, values[likeliest])
    assert np.unique(labels).tolist() == [1, 2, 3, 4]
    assert not volume_store.with_name("hela.predict").exists()


def test_what_is_finished_is_not_done_again(
    model: Model, volume_store: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    task = predicting._predict_task

    def stopped(job: Any, unit: Any, classes: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(unit.what[0])
        return task(job, unit, classes)

    def noted(job: Any, unit: Any, classes: Any) -> Any:
        done.append(unit.what[0])
        return task(job, unit, classes)

    monkeypatch.setattr(predicting, "run_units", _here(stopped))
    with pytest.raises(KeyboardInterrupt):
        hd.predict(volume_store, model.folder, client=here, progress=False)
    first = list(done)
    done.clear()
    monkeypatch.setattr(predicting, "run_units", _here(noted))
    path = hd.predict(volume_store, model.folder, client=here, progress=False)
    assert len(first) == 2
    assert not set(first) & set(done)
    assert read_image(path).complete


def _here(task: Any) -> Any:
    """Units one after the other, in this process."""

    def run(client: Any, real: Any, job: Any, units: Any, *, markers: Any, **more: Any) -> Any:
        if units[0].stage == "levels":
            return run_units(client, real, job, units, markers=markers, **more)
        for unit in units:
            if markers.result(unit.stage, unit.name, unit.fingerprint) is None:
                inputs = more["inputs"](unit)
                task(job, unit, *dask.compute(*inputs, scheduler="synchronous"))  # type: ignore[attr-defined,no-untyped-call]
        return None

    return run


def test_wrong_models_are_refused_before_anything_is_written(
    volume_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingInputError, match="no model folder"):
        hd.predict(volume_store, tmp_path / "nowhere")
    binary = Card("hybrid", ("cell",), VOXEL, channels="binary")
    stored(tmp_path / "binary", binary, np.ones((1, 1)), np.zeros(1))
    with pytest.raises(InputError, match="serves a single method"):
        hd.predict(volume_store, tmp_path / "binary")
    assert main(["predict", str(volume_store), "--model", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (volume_store / "labels").exists()
    assert not volume_store.with_name("hela.predict").exists()


def test_a_worker_too_small_is_refused_before_anything_is_written(
    model: Model, volume_store: Path
) -> None:
    with pytest.raises(ResourceError, match="classes of 16 slices of 40 x 64 pixels takes about"):
        hd.predict(volume_store, model.folder, workers=1, memory="64MiB", progress=False)
    assert not (volume_store / "labels").exists()
    assert not volume_store.with_name("hela.predict").exists()


def test_a_folder_of_something_else_is_left_alone(
    model: Model, volume_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years of it")
    with pytest.raises(ExistsError, match=r"holds something else \(thesis\.txt\)"):
        hd.predict(volume_store, model.folder, tmp_path / "work", progress=False)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["thesis.txt"]
    with pytest.raises(ExistsError, match="is a file"):
        hd.predict(volume_store, model.folder, tmp_path / "work" / "thesis.txt", progress=False)


def test_classes_of_another_network_are_replaced_only_when_asked(
    model: Model,
    volume_store: Path,
    tmp_path: Path,
    here: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="hela_dask")
    monkeypatch.setattr(predicting, "run_units", _here(predicting._predict_task))
    path = hd.predict(volume_store, model.folder, client=here, progress=False)
    first = hd.open_volume(path).values
    assert hd.predict(volume_store, model.folder, client=here, progress=False) == path
    other = by_grey(tmp_path / "other", 3).folder
    with pytest.raises(ExistsError, match=r"holds classes by another network .*grey.*--overwrite"):
        hd.predict(volume_store, other, client=here, progress=False)
    np.testing.assert_array_equal(hd.open_volume(path).values, first)
    assert not volume_store.with_name("hela.predict").exists()
    beside = hd.predict(
        volume_store, other, labels=tmp_path / "o.zarr", client=here, progress=False
    )
    assert read_image(beside).complete and read_image(path).complete
    caplog.clear()
    hd.predict(volume_store, other, client=here, overwrite=True, progress=False)
    assert f"classes by another network ({model.folder}) are replaced" in caplog.text
    assert read_image(path).attributes["model"] == str(other)
    zarr.open_group(path, mode="r+").attrs["hela_dask"] = {}
    with pytest.raises(ExistsError, match="never replaced"):
        hd.predict(volume_store, other, client=here, overwrite=True, progress=False)


@pytest.mark.parametrize("name", ["done/notes.txt", "cells.csv"])
def test_a_folder_with_files_of_a_user_is_neither_used_nor_removed(
    tmp_path: Path, name: str
) -> None:
    from hela_dask._predict import _check_folder

    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(ExistsError, match=f"holds something else .{name}"):
        _check_folder(tmp_path / "mine")
