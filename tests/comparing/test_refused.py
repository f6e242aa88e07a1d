"""What cannot be compared: one sentence for each bad input, and nothing is written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
)
from hela_dask.storage import store
from tests.comparing.runs import DRAWN, draw_cells, make_run


def test_one_volume_in_two_groups_is_a_warning_and_in_one_group_an_error(
    undrawn: None, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    runs = [
        make_run(tmp_path / f"{name}.run", draw_cells(rng, 5), fingerprint="same") for name in "ab"
    ]
    found = hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert any("are runs of one volume" in text for text in found.warnings)
    other = make_run(tmp_path / "c.run", draw_cells(rng, 5))
    with pytest.raises(InputError, match="its cells would count twice"):
        hd.compare({"a": runs, "b": [other]}, tmp_path / "out2")


def _with_run(run: Path, **facts: Any) -> None:
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    store.write_json(run / "run.json", content | facts)


def _in_nm3(run: Path) -> None:
    path = run / "cells.parquet"
    table = pyarrow.parquet.read_table(path)
    place = table.schema.get_field_index("cell_volume")
    field = table.schema.field(place).with_metadata({"unit": "nm³"})
    pyarrow.parquet.write_table(table.cast(table.schema.set(place, field)), path)


def _all_cut(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.assign(status="cut_by_volume", complete=False))


def _without_measures(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.drop(columns=DRAWN))


def _with_texts(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.assign(cell_diameter="wide"))


BAD_RUNS: list[tuple[Any, type[HelaDaskError], str]] = [
    (lambda run: _with_run(run, state="failed"), MissingInputError, "state is 'failed'"),
    (_in_nm3, InputError, "has cell_volume in nm³, not in µm³"),
    (
        _all_cut,
        NothingToDoError,
        "'b' has no complete cell: the volume cuts all 5 that are segmented",
    ),
    (_without_measures, InputError, "b.run has no measures: add them with hela-dask run"),
    (_with_texts, InputError, "column cell_diameter must hold numbers"),
    (lambda run: (run / "cells.parquet").unlink(), InputError, "cells.parquet is missing"),
    (lambda run: (run / "cells.parquet").write_bytes(b"x"), InputError, "no Parquet table"),
    (lambda run: (run / "run.json").unlink(), MissingInputError, "not a run folder"),
    (shutil.rmtree, MissingInputError, "no run folder at"),
]


@pytest.mark.parametrize(("spoil", "error", "words"), BAD_RUNS)
def test_bad_runs_are_one_sentence_and_nothing_is_written(
    spoil: Any, error: type[HelaDaskError], words: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    runs = [make_run(tmp_path / f"{name}.run", draw_cells(rng, 5)) for name in "ab"]
    spoil(runs[1])
    with pytest.raises(error, match=re.escape(words)):
        hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "at least two groups"),
        ({"a": ["a.run"]}, "at least two groups, and only 'a' was given"),
        ({"a": ["a.run"], "b": []}, "the group 'b' has no runs"),
        ({"a": ["a.run"], "b": "b.run"}, "must be a list of run folders"),
        ({"a": ["a.run"], " ": ["b.run"]}, "must have a name"),
        ({"a": ["a.run"], "b": ["b.run", "./a.run"]}, "in 'a' and 'b': a run belongs to one group"),
        ({"a": ["a.run", "a.run"], "b": ["b.run"]}, "named twice in 'a'"),
        (["a.run", "b.run"], "must be a mapping"),
    ],
)
def test_bad_groups_are_one_sentence(given: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        hd.compare(given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_is_in_one_group_whatever_its_path(tmp_path: Path, undrawn: None) -> None:
    run = make_run(tmp_path / "a.run", draw_cells(np.random.default_rng(0), 5))
    (tmp_path / "link.run").symlink_to(run)
    copy = shutil.copytree(run, tmp_path / "copy.run")
    for other, words in (
        (run, "is named in 'a' and 'b': a run belongs to one group, once"),
        (f"{tmp_path}/x/../a.run/", "is named in 'a' and 'b': a run belongs to one group, once"),
        (tmp_path / "link.run", "is named in 'a' and 'b': a run belongs to one group, once"),
        (copy, f"is a copy of {run}, so the run is named in 'a' and 'b': a run belongs to one"),
    ):
        with pytest.raises(ParameterError, match=re.escape(words)):
            hd.compare({"a": [run], "b": [other]}, tmp_path / "out")
    with pytest.raises(ParameterError, match="so the run is named twice in 'a'"):
        other = make_run(tmp_path / "b.run", draw_cells(np.random.default_rng(1), 5))
        hd.compare({"a": [run, copy], "b": [other]}, tmp_path / "out")


def test_only_a_folder_of_this_command_is_replaced(
    groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    before = (groups["control"][0] / "run.json").read_bytes()
    with pytest.raises(ParameterError, match="lies in the run folder"):
        hd.compare(groups, groups["control"][0])
    assert (groups["control"][0] / "run.json").read_bytes() == before
    out = tmp_path / "out"
    shutil.copytree(found.path, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match=r"notes\.txt, which compare did not write"):
        hd.compare(groups, out)
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ParameterError, match="inside the Zarr"):
        hd.compare(groups, tmp_path / "a.zarr" / "out")
    for seed in (-1, 1.5, True):
        with pytest.raises(ParameterError, match="seed must be a whole number"):
            hd.compare(groups, tmp_path / "new", seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--group", "a"], "should look like control=a.run,b.run"),
        (["--group", "a=x,,y"], "should look like control=a.run,b.run"),
        (["--group", "a=x", "--group", "a=y"], "the group 'a' is given twice"),
        (["--group", "a=x"], "at least two groups, and only 'a' was given"),
    ],
)
def test_a_group_that_cannot_be_read_is_one_sentence(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *options, "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
