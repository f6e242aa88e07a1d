"""The command line: what it hands over, what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

import hela_dask as hd
from hela_dask.cli import app, main
from hela_dask.errors import InputError

PROMISED = {
    "convert": ["--voxel-size", "--chunks", "--shards", "--overwrite"],
    "info": ["--json"],
    "run": [
        *("--out", "--method", "--params", "--cells", "--box", "--centres", "--corrections"),
        *("--edits", "--labels", "--model", "--recompute"),
        *("--truth", "--cluster", "--workers", "--memory", "--overwrite"),
    ],
    "plan": [
        *("--out", "--method", "--params", "--cells", "--box", "--centres", "--corrections"),
        *("--edits", "--labels", "--cluster", "--workers", "--memory", "--overwrite"),
        *("--no-time", "--json", "--model"),
    ],
    "detect": [
        *("--out", "--save-regions", "--params", "--cluster", "--workers", "--memory"),
        "--overwrite",
    ],
    "evaluate": [
        *("--class", "--predicted", "--slices", "--all-instances", "--voxel-size", "--json"),
        "--plot",
    ],
    "report": [],
    "status": ["--json", "--watch"],
    "verify": ["--run", "--json"],
    "train": [
        *("--out", "--model", "--class", "--slices", "--validation", "--split", "--mask"),
        *("--mask-weight", "--instances", "--instance-class", "--phantom", "--phantom-share"),
        *("--epochs", "--steps", "--batch", "--rate", "--seed", "--weights", "--voxel-size"),
        *("--overwrite", "--json", "--processes"),
    ],
    "predict": [
        *("--model", "--out", "--labels", "--cluster", "--workers", "--memory", "--overwrite"),
    ],
    "assign": ["--name", "--cluster", "--workers", "--memory", "--overwrite"],
    "export": ["--to", "--out", "--what", "--cells"],
    "view": ["--review", "--neuroglancer", "--json", "--meshes", "--port", "--url"],
    "meshes": [
        *("--cells", "--what", "--voxel-size", "--error", "--format", "--out", "--cluster"),
        *("--workers", "--memory", "--overwrite", "--json"),
    ],
    "figure": [
        *("--out", "--slice", "--axis", "--cells", "--crop", "--fill", "--no-numbers", "--raw"),
        *("--space", "--width", "--dpi", "--overwrite"),
    ],
    "scene": ["--out", "--size", "--cluster", "--workers", "--memory"],
    "measure": ["--voxel-size", "--out", "--cluster", "--workers", "--memory", "--overwrite"],
    "cluster check": ["--out", "--memory", "--timeout", "--json"],
    "explain": ["--cell", "--slice", "--run", "--out", "--json"],
    "compare": ["--group", "--out", "--seed", "--json"],
    "params": [],
    "phantom": [
        *("--shape", "--cells", "--diameter", "--seed", "--voxel-size", "--kind", "--overwrite"),
    ],
    "demo": ["--out"],
    "doctor": ["--no-disk", "--json"],
    "sample": ["--out", "--overwrite", "--json"],
}
SCRIPT = Path(sys.executable).with_name("hela-dask")


class Recorder:
    """Stands in for a function of the API: keeps what it was given."""

    def __init__(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result, self.error = result, error
        self.given: tuple[Any, ...] = ()
        self.named: dict[str, Any] = {}

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.given, self.named = given, named
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def image() -> Any:
    level = SimpleNamespace(shape=(4, 5, 6), voxel_size=(50.0, 10.0, 10.0))
    return SimpleNamespace(levels=[level], labels=("true_cells",))


@pytest.mark.parametrize("command", PROMISED)
def test_each_command_explains_its_options_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example:\n\n  hela-dask {command}" in text
    assert [option for option in PROMISED[command] if option not in text] == []


def test_every_option_of_every_command_is_promised() -> None:
    top: Any = typer.main.get_command(app)
    commands = dict(top.commands)
    for name, group in [item for item in commands.items() if hasattr(item[1], "commands")]:
        del commands[name]
        commands.update({f"{name} {inner}": to for inner, to in group.commands.items()})
    common = {"--help", "--quiet", "--verbose"}
    found = {
        name: {option for item in command.params for option in item.opts if option[:2] == "--"}
        for name, command in commands.items()
    }
    assert {name: options - common for name, options in found.items()} == {
        name: set(options) for name, options in PROMISED.items()
    }


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {command.split()[0]} " in text for command in PROMISED)


def test_both_entry_points_print_the_version() -> None:
    for start in ([str(SCRIPT)], [sys.executable, "-m", "hela_dask"]):
        done = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"hela-dask {hd.__version__}\n"


def test_convert_hands_over_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], image: Any
) -> None:
    fake = Recorder(image)
    monkeypatch.setattr(hd, "convert", fake)
    sizes = [
        "--voxel-size",
        "50",
        "10",
        "10.5",
        "--chunks",
        "1",
        "2",
        "3",
        "--shards",
        "2",
        "4",
        "6",
    ]
    assert main(["convert", "in", "out.ome.zarr", *sizes]) == 0
    assert fake.given == (Path("in"), Path("out.ome.zarr"))
    assert fake.named.pop("progress") is True
    assert fake.named == {
        "voxel_size": (50.0, 10.0, 10.5),
        "chunks": (1, 2, 3),
        "shards": (2, 4, 6),
        "overwrite": False,
    }
    assert "4 x 5 x 6 voxels of 50 x 10 x 10 nm" in capsys.readouterr().out


def test_run_hands_over_its_options_and_gives_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Recorder(SimpleNamespace(exit_code=3))
    monkeypatch.setattr(hd, "run", fake)
    given = ["--out", "o", "--params", "knobs.toml", "--cells", "3,8", "--box", "0:1,0:2e3,5:6.5"]
    given += ["--labels", "l", "--truth", "t", "--cluster", "tcp://a:1", "--workers", "2"]
    given += ["--memory", "4GiB", "--centres", "c.csv", "--corrections", "k.csv"]
    given += ["--edits", "e.json"]
    given += ["--overwrite", "--recompute", "--quiet", "--model", "m"]
    assert main(["run", "s.ome.zarr", *given]) == 3
    assert fake.named == {
        "store": Path("s.ome.zarr"),
        "out": Path("o"),
        "parameters": Path("knobs.toml"),
        "method": "unet",
        "model": Path("m"),
        "cells": [3, 8],
        "box": ((0.0, 1.0), (0.0, 2000.0), (5.0, 6.5)),
        "centres": Path("c.csv"),
        "corrections": Path("k.csv"),
        "edits": Path("e.json"),
        "labels": Path("l"),
        "truth": Path("t"),
        "cluster": "tcp://a:1",
        "workers": 2,
        "memory": "4GiB",
        "overwrite": True,
        "recompute": True,
        "progress": False,
    }
    assert capsys.readouterr() == ("", "")


def test_explain_hands_over_its_options_and_prints_the_paths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = SimpleNamespace(title="nucleus", caption="What is left.", path=Path("o/01_nucleus.png"))
    found = SimpleNamespace(cell=7, slice_number=150, page=Path("p"), sheet=Path("s"), steps=[step])
    fake = Recorder(found)
    monkeypatch.setattr(hd, "explain", fake)
    given = ["explain", "s.ome.zarr", "--cell", "7", "--slice", "150", "--run", "r", "--out", "o"]
    assert main(given) == 0
    assert fake.given == (Path("s.ome.zarr"), 7, 150)
    assert fake.named == {"run": Path("r"), "out": Path("o"), "progress": True}
    assert capsys.readouterr().out == "page   p\nsheet  s\n"
    assert main([*given, "--json"]) == 0
    picture = str(Path("o/01_nucleus.png"))
    assert json.loads(capsys.readouterr().out) == {
        "cell": 7,
        "slice": 150,
        "page": "p",
        "sheet": "s",
        "steps": [{"title": "nucleus", "caption": "What is left.", "picture": picture}],
    }
    monkeypatch.setattr(hd, "explain", fake := Recorder([found, found]))
    given[5] = "150, 200"
    assert main([*given, "--json"]) == 0
    assert fake.given == (Path("s.ome.zarr"), 7, [150, 200])
    assert len(json.loads(capsys.readouterr().out)) == 2
    given[5] = "150;200"
    assert main(given) == 1
    assert "should look like 150 or 150,200,250" in capsys.readouterr().err


def test_figure_hands_over_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hd, "figure", fake := Recorder(Path("f.pdf")))
    given = ["--slice", "12", "--axis", "y", "--cells", "3,8", "--crop", "500", "--fill"]
    given += ["--no-numbers", "--raw", "--width", "85", "--dpi", "600", "--overwrite"]
    assert main(["figure", "r.run", "--out", "f.pdf", *given]) == 0
    assert fake.given == (Path("r.run"), Path("f.pdf"))
    assert fake.named == {
        "slice_number": 12,
        "axis": "y",
        "cells": [3, 8],
        "crop": 500.0,
        "filled": True,
        "numbers": False,
        "raw": True,
        "space": False,
        "width": 85.0,
        "dpi": 600,
        "overwrite": True,
    }
    assert capsys.readouterr().out == "f.pdf\n"


def test_params_prints_the_toml_that_run_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["params"]) == 0
    path = tmp_path / "run.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert hd.Parameters.from_toml(path) == hd.Parameters()


def test_json_answers_are_json_and_know_no_nan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = SimpleNamespace(to_dict=lambda: {"nucleus": {"ji": 0.5, "ac": float("nan")}})
    fake = Recorder(scores)
    monkeypatch.setattr(import_module("hela_dask.evaluation.evaluate"), "score", fake)
    given = ["--class", "nucleus=2", "--class", "cell=1,2,5", "--slices", "1:180", "--json"]
    assert main(["evaluate", "p.tif", "t.tif", *given]) == 0
    assert fake.given == (Path("p.tif"), Path("t.tif"))
    assert fake.named["classes"] == {"nucleus": (2,), "cell": (1, 2, 5)}
    assert fake.named["slices"] == (1, 180)
    assert json.loads(capsys.readouterr().out) == {"nucleus": {"ji": 0.5, "ac": None}}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("slice z3.tif\nis empty"), "Error: slice z3.tif is empty\n"),
        (PermissionError(13, "Permission denied", "/x/y"), "Error: /x/y: Permission denied\n"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    sentence: str,
) -> None:
    monkeypatch.setattr(hd, "describe", Recorder(error=error))
    assert main(["info", "x.ome.zarr"]) == 1
    assert capsys.readouterr() == ("", sentence)


def test_an_interrupt_ends_with_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hd, "run", Recorder(error=KeyboardInterrupt()))
    assert main(["run", "x.ome.zarr"]) == 130
    assert "continues where this one stopped" in capsys.readouterr().err
    monkeypatch.setattr(hd, "make_phantom", Recorder(error=KeyboardInterrupt()))
    assert main(["phantom", "x.ome.zarr"]) == 130
    assert capsys.readouterr().err == "Error: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["frobnicate"], "frobnicate"),
        (["convert"], "SRC"),
        (["convert", "a"], "DST.ome.zarr"),
        (["run", "a", "--methd", "x"], "--methd"),
        (["convert", "a", "b", "--voxel-size", "50", "10"], "--voxel-size"),
        (["convert", "a", "b", "--voxel-size", "50", "ten", "10"], "--voxel-size"),
        (["run", "a", "--workers", "many"], "--workers"),
        (["run", "a", "--cells", "3;8"], "--cells '3;8'"),
        (["run", "a", "--box", "0:10"], "--box '0:10'"),
        (["evaluate", "a", "b", "--class", "nucleus"], "'nucleus'"),
        (["evaluate", "a", "b", "--slices", "9:3"], "'9:3'"),
        (["convert", "s3://bucket/x.ome.zarr", "b"], "s3://bucket/x.ome.zarr is a URL"),
        (["run", "a", "--workers", "-1"], "--workers must be at least 1, not -1"),
        (["run", "a", "--workers", "0"], "--workers must be at least 1, not 0"),
        (["run", "a", "--workers", "1.5"], "--workers"),
        (["run", "a", "--workers", "9" * 5000], "--workers"),
        (["run", "a", "--memory", "0"], "--memory must be more than 0, not '0'"),
        (["run", "a", "--memory", "-1GiB"], "--memory must be more than 0, not '-1GiB'"),
        (["run", "a", "--memory", "nan"], "--memory must be a size such as 4GiB, not 'nan'"),
        (["run", "a", "--memory", "1e999"], "--memory must be a size such as 4GiB, not '1e999'"),
        (["run", "a", "--memory", ""], "--memory must be a size such as 4GiB, not ''"),
        (["run", "a", "--out", ""], "the path is empty"),
        (["run", " "], "the path is empty"),
        (["run", "a\0b"], "holds a NUL character"),
        (["run", "a" * 5000], "name too long"),
        (["run", "a", "--cluster", ""], "--cluster ''"),
        (["run", "a", "--cells", "9" * 5000], "--cells"),
        (["run", "a", "--cells", "٣²"], "--cells"),
        (["run", "a", "--box", "0:1_0,0:1,0:1"], "--box"),
        (["convert", "a", "", "--voxel-size", "1", "1", "1"], "the path is empty"),
        (["phantom", "b.ome.zarr", "--shape", "0", "1", "1"], "shape"),
        (["phantom", "b.ome.zarr", "--shape", "-5", "100", "100"], "shape"),
        (["phantom", "b.ome.zarr", "--diameter", "nan"], "diameter"),
        (["phantom", "b.ome.zarr", "--diameter", "-1"], "diameter"),
        (["phantom", "b.ome.zarr", "--cells", "-1"], "at least 1 cell, not -1"),
        (["phantom", "b.ome.zarr", "--seed", "-1"], "seed"),
        (["phantom", "b.ome.zarr", "--kind", "round"], "one of plain, lobulated, not 'round'"),
        (["phantom", "b.ome.zarr", "--voxel-size", "nan", "1", "1"], "voxel"),
        (["evaluate", "a", "b", "--slices", "0:3"], "'0:3'"),
        (["evaluate", "a", "b", "--slices", ""], "slices ''"),
        (["evaluate", "a", "b", "--class", "=1"], "'=1'"),
        (["evaluate", "a", "b", "--class", "a=1,x"], "'a=1,x'"),
        (["evaluate", "a", "b", "--class", "a=" + "9" * 5000], "a=9"),
        (["explain", "a", "--cell", "-3", "--slice", "1"], "a"),
        (["explain", "a", "--slice", "3"], "--cell"),
        (["explain", "a", "--cell", "3", "--slice", "x"], "--slice"),
        (["run", "a", "--labels", "https://host/x"], "https://host/x is a URL"),
        (["info", "https://me:x@host/x"], "holds a user or a password"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_that_names_the_culprit(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    culprit: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert not list(tmp_path.iterdir())  # no log file of a fault, and nothing begun
    out, err = capsys.readouterr()
    assert culprit in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""


def test_the_installed_command_ends_with_that_code_too() -> None:
    ended = subprocess.run(
        [SCRIPT, "run", "no-such.ome.zarr"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "no-such.ome.zarr" in ended.stderr
    assert "Traceback" not in ended.stderr
