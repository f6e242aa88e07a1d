"""What a run refuses, in one sentence, before anything is written."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hela_dask._run import RunResult, run
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    InputError,
    MissingInputError,
    ParameterError,
    ResourceError,
    StorageError,
)
from hela_dask.methods.registry import get_method
from hela_dask.running.options import RunOptions
from hela_dask.running.prepare import prepare
from hela_dask.storage import store
from hela_dask.tasks.lock import hold
from tests.scenes import VOXEL


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("z,y\n1,2", "no column 'x'"),
        ("z,y,x\n1,2,far", "row 1: x is 'far'"),
        ("z,y,x\n1,2,3\n1,2,900000", "row 2: x = 900000 nm is outside"),
        ("z,y,x,label\n1,2,3,1\n4,5,6,1", "label 1 is used twice"),
        ("z,y,x,label\n1,2,3,0.5", "labels are whole numbers"),
        ("z,y,x", "holds no centre"),
        ("", "is empty: it needs a row of names"),
    ],
)
def test_centres_that_make_no_sense(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path, text: str, culprit: str
) -> None:
    table = tmp_path / "centres.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=culprit):
        go(scene, here, centres=table)
    assert not (scene.parent / "balls.run").exists()


def test_two_runs_in_one_folder(scene: Path, here: Any, calls: dict[str, Any]) -> None:
    folder = scene.parent / "balls.run"
    folder.mkdir()
    with hold(folder), pytest.raises(ExistsError, match="in use by process"):
        go(scene, here)
    assert not (folder / "run.json").exists()


def test_a_folder_that_is_no_run_is_left_alone(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("It was a dark night")
    with pytest.raises(ExistsError, match="not a run folder"):
        go(scene, here, out=folder)
    with pytest.raises(ParameterError, match="is the volume"):
        go(scene, here, out=scene)
    assert [path.name for path in folder.iterdir()] == ["chapter1.txt"]


@pytest.mark.parametrize(
    ("arguments", "error", "culprit"),
    [
        ({"method": "magic"}, ParameterError, "magic"),
        ({"parameters": {"detect": {"spacin": 1.0}}}, ParameterError, "spacin"),
        ({"parameters": "no.toml"}, MissingInputError, r"no\.toml"),
        ({"cells": [70]}, InputError, "there is no cell 70"),
        ({"cells": []}, ParameterError, "--cells"),
        ({"cells": [0]}, InputError, "label 0"),
        ({"box": ((0, 1), (0, 1), (2, 1))}, ParameterError, "empty in x"),
        ({"box": ((0, 1), (0, 1))}, ParameterError, "--box is"),
        ({"centres": "no.csv"}, MissingInputError, r"no\.csv"),
        ({"workers": 2}, ParameterError, "either a client"),
        ({"cluster": "somewhere"}, ParameterError, "somewhere"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(
    scene: Path,
    here: Any,
    calls: dict[str, Any],
    arguments: dict[str, Any],
    error: type[Exception],
    culprit: str,
) -> None:
    with pytest.raises(error, match=culprit) as caught:
        go(scene, here, **arguments)
    assert isinstance(caught.value, HelaDaskError) and "\n" not in str(caught.value)
    assert not (scene / "labels").exists()


def test_a_tiff_must_be_converted_first(tmp_path: Path, here: Any) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(InputError, match="convert"):
        run(path, client=here)


def test_a_read_only_version_needs_labels(tmp_path: Path, here: Any) -> None:
    group = tmp_path / "old.ome.zarr"
    group.mkdir()
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": list(VOXEL)}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    multiscales = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    (group / ".zgroup").write_text('{"zarr_format": 2}')
    (group / ".zattrs").write_text(json.dumps({"multiscales": multiscales}))
    import zarr

    array = zarr.create_array(group / "0", shape=(4, 8, 8), dtype="uint8", zarr_format=2)
    array[...] = 7
    with pytest.raises(StorageError, match=r"0\.4.*--labels"):
        run(group, client=here)
    assert not (tmp_path / "old.run").exists()


def test_a_plan_that_does_not_fit_is_refused_with_numbers(scene: Path) -> None:
    with pytest.raises(ResourceError, match=r"network in .* takes about \d+ MiB.*--memory"):
        run(scene, workers=1, memory="200MiB", progress=False)
    assert not (scene.parent / "balls.run").exists()


def test_the_plan_knows_how_deep_labels_are_written(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Images whose slabs are too large get shallower ones; labels, written tile by tile, do not.
    monkeypatch.setattr("hela_dask.storage.pyramid._LARGEST_SLAB", 1)
    needs = {need.stage: need for need in prepare(RunOptions(scene)).needs()}
    result = go(scene, here)
    for name, need in (("background", needs["background"]), ("cells", needs["assemble"])):
        depth = store.slabs(result.label_paths[name])[0][1]
        assert depth > 1 and f"of {depth} slices" in need.task


def test_a_window_that_does_not_fit_is_refused_though_all_else_is_done(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    go(scene, here, method="volumetric")
    most = 600 * 2**20
    monkeypatch.setattr("hela_dask.tasks.session._memory", lambda client: most)
    params = {"region": {"width": 21000.0}}
    again: dict[str, Any] = {"method": "volumetric", "overwrite": True}
    assert go(scene, here, parameters=params, **again).exit_code == 0
    volumetric = type(get_method("volumetric"))
    monkeypatch.setattr(volumetric, "memory", lambda _, size, __: 5_000 * prod(size))
    monkeypatch.setattr("hela_dask.running.setup.memory_needs", lambda *_: [])
    counted = len(calls["segment"])
    with pytest.raises(ResourceError, match="segmenting a window"):
        go(scene, here, parameters={"region": {"width": 22000.0}}, **again)
    assert len(calls["segment"]) == counted
    assert (
        go(scene, here, parameters=params, **again).exit_code == 0
    )  # there is nothing left to segment


@pytest.mark.parametrize(
    ("option", "path", "culprit"),
    [
        ("out", "balls.ome.zarr/my.run", "--out .* lies inside the volume"),
        ("labels", "balls.ome.zarr/labels", "--labels .* lies inside the volume"),
        ("labels", "balls.run", "both the run folder and --labels"),
    ],
)
def test_nothing_else_is_written_into_the_volume(
    scene: Path, here: Any, option: str, path: str, culprit: str
) -> None:
    with pytest.raises(ParameterError, match=culprit):
        go(scene, here, **{option: scene.parent / path})
    assert not (scene.parent / path).exists()


def test_a_network_for_other_voxels_is_remarked_on(
    scene: Path,
    here: Any,
    calls: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.unet.networks import by_grey

    monkeypatch.setattr("hela_dask.running.prepare.USUAL_FACTOR", 2.0)
    model = by_grey(tmp_path / "model").folder
    (remark,) = prepare(RunOptions(scene, method="unet", model=model)).remarks
    assert "has 200 x 160 x 160 nm: it is resampled" in remark
    assert prepare(RunOptions(scene, method="volumetric")).remarks == ()
    assert remark in go(scene, here, method="unet", model=model).warnings
