"""Markers say what is finished, and for which inputs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hela_dask.parameters import BackgroundParameters
from hela_dask.storage.files import plain
from hela_dask.tasks.markers import Markers, fingerprint, fingerprint_files


@dataclass(frozen=True)
class Point:
    y: float
    x: tuple[int, int]


def test_plain_is_what_json_gives_back() -> None:
    value = {"p": Point(1.5, (1, 2)), "n": np.float64(2.5), "a": np.arange(2), "nan": np.nan}
    assert plain(value) == {"p": {"y": 1.5, "x": [1, 2]}, "n": 2.5, "a": [0, 1], "nan": None}
    assert plain(value) == json.loads(json.dumps(plain(value)))


def test_a_fingerprint_changes_with_any_part_and_with_nothing_else() -> None:
    one = fingerprint("segment", BackgroundParameters(), (1, 2))
    assert one == fingerprint("segment", BackgroundParameters(), [1, 2])
    assert one != fingerprint("segment", BackgroundParameters(), (2, 1))
    assert one != fingerprint("segment", BackgroundParameters(blur=31.0), (1, 2))
    assert len(one) == 32


def test_files_are_known_by_name_size_and_time_metadata_by_content(tmp_path: Path) -> None:
    (tmp_path / "0" / "c").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    (tmp_path / "zarr.json").write_text("{}")
    (tmp_path / "0" / "c" / "0").write_bytes(b"12345")
    first = fingerprint_files(tmp_path, skip=["labels"])
    (tmp_path / "labels" / "0").write_bytes(b"more")
    os.utime(tmp_path / "zarr.json", ns=(1, 1))
    assert fingerprint_files(tmp_path, skip=["labels"]) == first
    (tmp_path / "zarr.json").write_text('{"a": 1}')
    second = fingerprint_files(tmp_path, skip=["labels"])
    os.utime(tmp_path / "0" / "c" / "0", ns=(1, 1))
    third = fingerprint_files(tmp_path, skip=["labels"])
    assert len({first, second, third}) == 3


def test_a_marker_counts_only_for_its_fingerprint(tmp_path: Path) -> None:
    markers = Markers(tmp_path / "done")
    assert markers.result("segment", "0003", "abc") is None
    row = markers.finish("segment", "0003", "abc", {"label": np.int64(3), "z": np.nan})
    assert row == {"label": 3, "z": None} == markers.result("segment", "0003", "abc")
    assert markers.result("segment", "0003", "abd") is None
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["segment-0003.json"]


def test_a_broken_marker_is_no_marker(tmp_path: Path) -> None:
    markers = Markers(tmp_path)
    markers.path("segment", "1").write_text('{"fingerprint": "abc", "res')
    assert markers.result("segment", "1", "abc") is None


def test_forgetting_a_stage_leaves_the_others(tmp_path: Path) -> None:
    markers = Markers(tmp_path)
    for stage, unit in (("segment", "1"), ("segment", "2"), ("assemble", "1")):
        markers.finish(stage, unit, "f", {})
    markers.forget("segment")
    assert markers.result("segment", "2", "f") is None
    assert markers.result("assemble", "1", "f") == {}
