"""The command ``sample``: the list, the hand-over and the end of an interrupted download."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hela_dask.cli import main
from hela_dask.datasets.registry import read_registry
from tests.datasets.conftest import Offer


def test_without_a_name_all_sets_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["sample"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 140
    first = [line.split()[0] for line in lines if line and line[0] != " "]
    assert first == ["name", *read_registry()]
    for key in ("size", "voxel size z, y, x", "licence", "verified by", "good for"):
        assert key in lines[0]
    assert main(["sample", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(read_registry())


def test_a_set_is_fetched_and_its_next_command_printed(
    offer: Offer, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    offer()
    assert main(["sample", "cell", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for part in ("licence: CC0", "please cite: Somebody", "next: hela-dask convert"):
        assert part in text
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content
    assert main(["sample", "cell", "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["files"]) == (1, [str(tmp_path / "out" / "cell.raw")])


def test_the_folder_has_the_name_of_the_set(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer()
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "cell", "--quiet"]) == 0
    assert (tmp_path / "cell" / "cell.raw").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample", "--out", "x"], "need the NAME"),
        (["sample", "nothing"], "there is no data set 'nothing': the names are"),
        (["sample", "cil50051"], "https://www.cellimagelibrary.org/images/50051"),
    ],
)
def test_a_fault_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
