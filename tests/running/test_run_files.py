"""Files of a run folder whose content has another type are named by file and key, or healed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.errors import InputError
from hela_dask.parameters import Parameters
from hela_dask.running.provenance import read_run
from hela_dask.running.reading import read_folder
from hela_dask.tasks.markers import fingerprint_files
from hela_dask.unet.card import Card, card_text, read_card


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.id").write_text(f"hela_dask run {'0' * 32}")
    (tmp_path / "run.json").write_text('{"store": "a", "timings": {"detect": 1}, "warnings": []}')
    (tmp_path / "scores.json").write_text('{"nucleus": {"ji": 0.5}, "slices": [1, 6]}')
    pd.DataFrame({"label": [1], "z": [5.0], "status": ["segmented"], "flags": [""]}).to_parquet(
        tmp_path / "cells.parquet"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("run.json", {"timings": {"segment": "abc"}}, "timings.segment must be a number, not 'a"),
        ("run.json", {"timings": [1]}, "timings must be a table, not a list of 1"),
        ("run.json", {"timings": {"a": -1}}, "timings.a must be at least 0.0, not -1"),
        ("run.json", {"timings": {"a": float("nan")}}, "timings.a must be a finite number"),
        ("run.json", {"image": 5}, "image must be a table, not 5"),
        ("run.json", {"image": {"shape": "big"}}, "image.shape must be a list, not 'big'"),
        ("run.json", {"image": {"shape": [1, 2], "voxel_size": [1, 1, 1]}}, "image.shape must be"),
        ("run.json", {"warnings": "none"}, "warnings must be a list, not 'none'"),
        ("run.json", {"warnings": [5]}, r"warnings\[0\] must be text, not 5"),
        ("run.json", {"labels": ["a"]}, "labels must be a table, not a list of 1"),
        ("run.json", {"labels": {"cells": None}}, "labels.cells must be text, not null"),
        ("run.json", {"machine": {"command": "x"}}, "machine.command must be a list, not 'x'"),
        ("run.json", {"parameters": {"detect": 1}}, "parameters.detect must be a table, not 1"),
        ("run.json", {"grey_levels": {"low": "x"}}, "grey_levels.low must be a number, not 'x'"),
        ("run.json", {"store": ["a"]}, "store must be text, not a list of 1"),
        ("scores.json", {"nucleus": 5}, "nucleus must be a table, not 5"),
        ("scores.json", {"nucleus": {"ji": "0.5"}}, "nucleus.ji must be a number, not '0.5'"),
        ("scores.json", {"slices": 3}, "slices must be a list, not 3"),
        ("scores.json", {"slices": [1]}, "slices must be of at least 2 items, not a list of 1"),
        ("scores.json", {"truth": "a"}, "truth must be a table, not 'a'"),
        ("scores.json", {"cell": {"instances": {"thresholds": [{}]}}}, r"thresholds\[0\].iou is m"),
        ("scores.json", {"cell": {"per_slice": {"ji": 1}}}, "cell.per_slice.ji must be a list"),
    ],
)
def test_another_type_is_named_by_file_and_key(
    run: Path, name: str, change: dict[str, Any], fault: str
) -> None:
    content = json.loads((run / name).read_text()) | change
    (run / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=fault) as raised:
        read_folder(run)
    assert str(raised.value).startswith(str(run / name))
    if name == "run.json":
        assert read_run(run) == {}


@pytest.mark.parametrize("name", ["run.json", "scores.json", "cells.parquet"])
@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"\xff\xfe\xff", b"[" * 20_000, b"PAR1PAR1"])
def test_a_damaged_file_is_named(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    with pytest.raises(InputError, match="start the run again") as raised:
        read_folder(run)
    assert str(raised.value).startswith(str(run / name))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"z": ["far"]}, "the column z must hold numbers"),
        ({"complete": ["yes"]}, "the column complete must hold true and false"),
        ({"flags": [1]}, "the column flags must hold texts"),
        ({"label": ["one"]}, "the column label must hold numbers"),
    ],
)
def test_a_column_of_another_kind_is_named(run: Path, columns: Any, fault: str) -> None:
    table = pd.read_parquet(run / "cells.parquet").assign(**columns)
    table.to_parquet(run / "cells.parquet")
    with pytest.raises(InputError, match=rf"cells.parquet: {fault}"):
        read_folder(run)
    table.drop(columns=["status"]).assign(z=1.0, flags="", label=1).drop(
        columns=[name for name in columns if name not in ("z", "flags", "label")]
    ).to_parquet(run / "cells.parquet")
    with pytest.raises(InputError, match="has no column 'status'"):
        read_folder(run)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"architecture": 5}, "architecture must be text, not 5"),
        ({"classes": "cell"}, "classes must be a list, not 'cell'"),
        ({"voxel_size": [50, "x", 10]}, r"voxel_size\[1\] must be a number, not 'x'"),
        ({"voxel_size": [50, 10]}, r"voxel_size\[2\] is missing"),
        ({"voxel_size": None}, "voxel_size must be a list, not null"),
        ({"slices": "three"}, "slices must be a whole number, not 'three'"),
        ({"slices": 2}, "odd number of slices"),
        ({"plane": 5}, "plane must be a list, not 5"),
        ({"multiple": 0}, "multiple must be at least 1, not 0"),
        ({"data": {}}, "data must be a list, not an empty table"),
        ({"notes": [1]}, r"notes\[0\] must be text, not 1"),
    ],
)
def test_a_card_of_another_shape_is_named(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    card = Card("residual", ("cell",), (50.0, 10.0, 10.0))
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card.to_dict()))
    assert read_card(path) == card
    path.write_text(json.dumps(card.to_dict() | change))
    with pytest.raises(InputError, match=fault):
        read_card(path)


def test_a_card_passes_no_html_on() -> None:
    text = card_text(Card("a", ("cell",), (1.0, 1.0, 1.0), data=({"path": "<script>"},)))
    assert "<script>" not in text
    assert "path: &lt;script&gt;" in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[detect]\nspacing = 1" + "0" * 400, "more than 64 bits"),
        ("[detect]\nspacing = nan", "spacing"),
        ("[detect]\nspacing = inf", "spacing"),
        ("[detect]\nspacing = true", "spacing"),
        ("[detect]\nspacing = '500'", "spacing"),
        ("[detect]\nspacing = 1979-05-27", "spacing"),
        ("[detect]\nspacing = [500]", "spacing"),
        ("[detect]\nspacing = -1e308", "spacing"),
        ("detect = 5", "'detect' must be a table"),
        ("[detect.spacing]\na = 1", "spacing"),
        ("a = " + "[" * 50_000, "nested too deeply"),
        ("[detect]\nspacing = 1\nspacing = 2", "not a TOML file"),
    ],
)
def test_parameters_of_another_type_are_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(InputError.__mro__[2], match=fault) as raised:  # any ValueError of ours
        Parameters.from_toml(path)
    assert type(raised.value).__name__ in ("ParameterError", "InputError")
    assert str(path) in str(raised.value)


def test_parameters_in_utf16_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"  # what `hela-dask params > run.toml` makes in PowerShell
    path.write_text(Parameters().to_toml(), encoding="utf-16")
    assert Parameters.from_toml(path) == Parameters()
    assert np.isfinite(Parameters.from_toml(path).detect.spacing)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", [".zattrs", "zarr.json", ".zmore"])
def test_a_pipe_among_metadata_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name} is a named pipe"):
        fingerprint_files(tmp_path)
