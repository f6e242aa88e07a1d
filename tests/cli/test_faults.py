"""How a command ends that nobody foresaw: one sentence, a log file, and exit code 1."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.cli import main, screen
from hela_dask.errors import StorageError
from hela_dask.running.identity import make_id


def _raises(error: BaseException) -> Any:
    def call(*_: Any, **__: Any) -> None:
        raise error

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _logs(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in folder.glob("hela-dask-fault-*.log")]


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        KeyError("result"),
        RecursionError("maximum recursion depth exceeded"),
        RuntimeError("segment 3 failed: TypeError: 'a\nb'"),
        OSError("of unknown kind"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        AssertionError(),
    ],
)
def test_a_fault_of_ours_is_a_sentence_and_a_log_file(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    monkeypatch.setattr(hd, "describe", _raises(error))
    assert main(["info", "x y.ome.zarr"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"Error: a fault of hela-dask itself, not of your input \(.*\); the details are in "
        r".*\.log: please send it to the project's issue tracker\n",
        err,
    )
    assert type(error).__name__ in err
    (log,) = _logs(here)
    assert "command    hela-dask info 'x y.ome.zarr'" in log
    assert "Traceback (most recent call last)" in log
    assert f"hela_dask  {hd.__version__}" in log
    assert re.search(r"^numpy +\d", log, re.MULTILINE)


def test_verbose_shows_the_traceback_as_well(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hd, "run", _raises(ZeroDivisionError()))
    assert main(["run", "x.ome.zarr"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(["run", "x.ome.zarr", "--verbose"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err.split("Traceback")[1]


@pytest.mark.parametrize("given", [["--out", "mine"], [], ["--out", "not made yet"]])
def test_the_log_file_is_in_the_run_folder_if_there_is_one(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
) -> None:
    monkeypatch.setattr(hd, "run", _raises(ZeroDivisionError()))
    for name in ("mine", "x.run"):
        (here / name).mkdir()
        make_id(here / name)
    assert main(["run", "x.ome.zarr", *given]) == 1
    folder = here / (given[1] if given else "x.run")
    assert len(_logs(folder if folder.exists() else here)) == 1
    assert not (here / "not made yet").exists()


@pytest.mark.skipif(os.name == "nt", reason="a folder in use stays")
def test_without_a_folder_that_takes_it_the_log_is_among_temporary_files(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hd, "describe", _raises(ZeroDivisionError()))
    (here / "gone").mkdir()
    (here / "temporary").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(here / "temporary"))
    assert main(["info", "x"]) == 1
    assert len(_logs(here / "temporary")) == 1
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(here / "none"))
    assert main(["info", "x"]) == 1
    assert "no log file could be written: please send this line" in capsys.readouterr().err


def _of_a_task(cause: Exception) -> RuntimeError:
    error = RuntimeError(f"segment 3 failed: {cause}")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "there is not enough memory: close other programs"),
        (MemoryError("Unable to allocate 149 GiB"), r"memory \(Unable to allocate 149 GiB\)"),
        (_of_a_task(MemoryError("Unable to allocate 9 GiB")), "Unable to allocate 9 GiB"),
        (_of_a_task(OSError(errno.EACCES, "Permission denied", "/x/y")), "/x/y: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "/x/y: the disk is full"),
        (OSError(errno.EMFILE, "Too many open files"), r"ulimit -n"),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: Permission denied"),
    ],
)
def test_what_a_machine_does_to_any_program_is_a_sentence_without_a_log(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    sentence: str,
) -> None:
    monkeypatch.setattr(hd, "describe", _raises(error))
    assert main(["info", "x"]) == 1
    err = capsys.readouterr().err
    assert re.search(sentence, err)
    assert err.count("\n") == 1
    assert not _logs(here)


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_reader_that_has_enough_is_no_error(here: Path) -> None:
    program = [sys.executable, "-m", "hela_dask", "params"]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            ended = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False)
        assert ended.returncode == 1
        assert ended.stderr == b"Error: the answer cannot be written: No space left on device\n"


def test_what_the_screen_cannot_show_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert screen._printable("5 µm\udc80", SimpleNamespace(encoding="ascii")) == r"5 \xb5m\udc80"  # type: ignore[arg-type]
    monkeypatch.setattr("typer.echo", _raises(OSError(errno.ENOSPC, "full")))
    with pytest.raises(StorageError, match="the answer cannot be written: full"):
        screen.echo("x")
    monkeypatch.setattr("typer.secho", _raises(BrokenPipeError()))
    screen.echo_error("x")
