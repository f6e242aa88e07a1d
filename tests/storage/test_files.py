"""Files and scratch arrays: whole or not at all, and a sentence where the disk is full."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.errors import StorageError
from hela_dask.storage import store
from hela_dask.volume.opening import read_image


def _json(path: Path) -> None:
    store.write_json(path, {"a": 1})


def _table(path: Path) -> None:
    store.write_table(path, pd.DataFrame({"a": [1]}))


def _slab(path: Path) -> None:
    store.write_slab(path.parent / "a.ome.zarr", 0, np.ones((4, 9, 9), np.uint8))


@pytest.mark.parametrize("write", [_json, _table, _slab])
def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    store.create_image(tmp_path / "a.ome.zarr", (4, 9, 9), "uint8", (50.0, 10.0, 12.0), name="a")
    for name in ("x", "x.parquet", "x.csv"):
        (tmp_path / name).write_text("old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"no space left while writing .*MiB free"):
        write(tmp_path / "x")
    monkeypatch.undo()
    assert {(tmp_path / name).read_text() for name in ("x", "x.parquet", "x.csv")} == {"old"}
    assert not read_image(tmp_path / "a.ome.zarr").complete
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_json_takes_what_numpy_and_paths_give(tmp_path: Path) -> None:
    content: dict[object, Any] = {
        "a": np.float64(1.5),
        "b": (np.int64(2), float("nan")),
        "c": Path("x") / "y",
    }
    store.write_json(tmp_path / "new" / "x.json", {**content, 4: np.arange(2), "µ": {1}})
    text = (tmp_path / "new" / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": 1.5, "b": [2, None], "c": "x/y", "4": [0, 1], "µ": [1]}


def test_tables_keep_types_in_parquet_and_names_with_dots(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": [1, 2], "status": ["segmented", "failed"], "z": [1.5, np.nan]})
    store.write_table(tmp_path / "cells.v1", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cells.v1.parquet"), table)
    assert (
        tmp_path / "cells.v1.csv"
    ).read_bytes() == b"label,status,z\n1,segmented,1.5\n2,failed,\n"


def test_scratch_takes_whole_chunks_and_gives_them_back(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((20, 30, 40)) > 0.4
    path = store.create_scratch(tmp_path / "7", masks.shape, bool, attrs={"label": 7})
    store.write_scratch(path, masks[16:], 16)
    store.write_scratch(path, masks[:16])
    assert np.array_equal(store.read_scratch(path)[...], masks)
    assert store.read_scratch(path).attrs["label"] == 7
    for data, start in ((masks[:15], 0), (masks[:16], 8), (masks[:16], 16), (masks[:16, 1:], 0)):
        with pytest.raises(StorageError, match="whole chunks"):
            store.write_scratch(path, data, start)
    with pytest.raises(StorageError, match="takes bool, not int64"):
        store.write_scratch(path, masks.astype(np.int64))
    assert np.array_equal(store.read_scratch(path)[...], masks)
    store.create_scratch(path, (2, 2, 2), bool)
    assert not np.any(store.read_scratch(path)[...])
    with pytest.raises(FileNotFoundError, match="no scratch array"):
        store.read_scratch(tmp_path / "8")
    with pytest.raises(StorageError, match="in the way"):
        store.create_scratch(tmp_path, (2, 2, 2), bool)


def test_a_scratch_array_that_could_not_be_made_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk, pytest.raises(StorageError, match="no space"):
        disk.setattr(Path, "replace", full)
        store.create_scratch(tmp_path / "7", (2, 2, 2), bool)
    assert not list(tmp_path.iterdir())
    (tmp_path / "7").mkdir()
    path = store.create_scratch(tmp_path / "7", (2, 2, 2), bool)
    assert not np.any(store.read_scratch(path)[...])
