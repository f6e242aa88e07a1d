"""Files made from the result of a run: named once the result is another."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.cli import main
from hela_dask.editing.edits import Edit
from hela_dask.running.made import find_earlier
from hela_dask.running.result import RunResult as Result
from hela_dask.storage.files import write_json
from hela_dask.verification.verify import verify
from tests.editing.making import Maker, labels_of
from tests.scenes import copy_run


def edit(first: Result, here: Any, *edits: Edit) -> RunResult:
    path = Maker(first).write(first.path.parent / "given.json", *edits)
    return run(first.store, edits=path, client=here, progress=False)


def make(result: Result, here: Any, spots: Path) -> dict[str, Path]:
    """All kinds of files that are made from a run."""
    beside = result.path.parent
    options: dict[str, Any] = {"client": here, "progress": False}
    hd.meshes(
        result.path, beside / "meshes", what=["cell"], error=200, file_format="ply", **options
    )
    return {
        "assign": hd.assign(result.path, spots, name="spots", **options).path,
        "scene": hd.scene(result.path, **options),
        "meshes": beside / "meshes",
        "ro-crate": hd.export(result.path, to="ro-crate").files[0],
        "tiff": hd.export(result.path, beside / "stacks", to="tiff").path,
    }


def test_files_of_an_earlier_result_are_named_with_their_command(
    known: RunResult, tmp_path: Path, here: Any, calls: Any
) -> None:
    pytest.importorskip("trimesh", reason="the extra [meshes] is not installed")
    first = copy_run(known, tmp_path)
    spots = tmp_path / "spots.npy"
    np.save(spots, (labels_of(first)["cells"] > 0).astype(np.uint8))
    made = make(first, here, spots)
    again = run(first.store, client=here, progress=False)
    assert not find_earlier(first.path) and again.warnings == first.warnings
    assert verify(first.store, progress=False).ok

    after = edit(first, here, Maker(first).merge(1, 2))
    texts = [text for text in after.warnings if "make it again with" in text]
    assert len(texts) == len(made)
    for command, path in made.items():
        (text,) = (text for text in texts if text.startswith(f"{path} "))
        assert "was made from other labels than the run has now" in text
        assert f"hela-dask {command} {first.path}" in text or f"--to {command}" in text
    check = verify(first.store, progress=False)
    assert {item.path for item in check.findings} == {str(path) for path in made.values()}
    # Each call says so until they are made again, by the commands as they are named.
    assert texts == [
        text
        for text in run(first.store, client=here, progress=False).warnings
        if "make it again with" in text
    ]
    for item in find_earlier(first.path):
        if " export " in item.command:
            assert main(shlex.split(item.command)[1:]) == 0
    assert {item.path for item in find_earlier(first.path)} == {
        made["assign"],
        made["scene"],
        made["meshes"],
    }
    make(after, here, spots)
    assert not find_earlier(first.path)
    assert not any(
        "make it again" in text for text in run(first.store, client=here, progress=False).warnings
    )
    assert verify(first.store, progress=False).ok


def test_notes_move_with_the_run_and_forget_what_is_gone(known: RunResult, tmp_path: Path) -> None:
    first = copy_run(known, tmp_path / "a place")
    hd.export(first.path, tmp_path / "a place" / "stacks", to="tiff")
    hd.export(first.path, tmp_path / "a place" / "only 1", to="tiff", what=["cells"], cells=[1])
    (tmp_path / "a place").rename(tmp_path / "b")
    result = hd.open_run(tmp_path / "b" / first.path.name)
    assert not find_earlier(result.path)
    shutil.rmtree(tmp_path / "b" / "stacks")
    (found,) = find_earlier(result.path, "other labels")
    assert found.path == tmp_path / "b" / "only 1"
    words = shlex.split(found.command)
    assert words[2] == str(result.path)
    assert words[words.index("--out") + 1] == str(tmp_path / "b" / "only 1")
    assert found.command.endswith("--what cells --cells 1")
    # Nothing is known of the labels of a run that is not finished.
    facts = json.loads((result.path / "run.json").read_text("utf-8"))
    write_json(result.path / "run.json", {**facts, "state": "running", "result": ""})
    assert not find_earlier(result.path)


def test_a_folder_of_another_run_is_not_named(known: RunResult, tmp_path: Path) -> None:
    one, two = (copy_run(known, tmp_path / name) for name in ("one", "two"))
    for run_ in (one, two):
        hd.export(run_.path, tmp_path / "stacks", to="tiff")
    assert not find_earlier(one.path, "other labels")
    (found,) = find_earlier(two.path, "other labels")
    assert found.path == tmp_path / "stacks"
