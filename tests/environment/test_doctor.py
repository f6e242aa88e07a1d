"""The check of the machine: it works where packages are broken, and names each of them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.environment import doctor as module
from hela_dask.environment import machine_rows, packages
from hela_dask.environment.packages import EXTRAS, Needed, import_packages
from hela_dask.tasks.rows import Row

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only packages that are imported in no time."""
    lines = [
        "psutil>=6",
        "pyyaml>=6",
        "mrcfile>=1000",
        "absent-package>=1; extra == 'train'",
        "psutil>=6; extra == 'fast'",
        "psutil>=6; sys_platform == 'nowhere'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)


def rows(**more: Any) -> dict[str, Row]:
    return {row.name: row for row in hd.doctor(disk=False, **more).rows}


def test_every_extra_names_its_commands() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"])


def test_all_packages_of_the_project_are_read() -> None:
    found = packages.needed_packages()
    names = {item.name.lower() for item in found if not item.extra}
    assert {"numpy", "dask", "scikit-image", "zarr"} <= names
    assert {item.extra for item in found} >= set(EXTRAS) - {"napari"}
    assert all(item.required.startswith(item.name) for item in found)


def test_it_says_that_all_is_here(few: None) -> None:
    found = hd.doctor(disk=False)
    assert found.ok
    assert found.summary.startswith("everything that run needs is here")
    assert found.versions["numpy"] == importlib.metadata.version("numpy")
    text = str(found)
    assert f"numpy {found.versions['numpy']}" in text and text.endswith(found.summary)


def test_every_part_of_the_machine_has_a_row(few: None) -> None:
    found = rows()
    names = ["hela_dask", "Python", "system", "processors", "memory", "disk", "temporary folder"]
    names += ["threads", "open files", "text", "GPU", "viewers", "packages"]
    assert [name for name in found if name in names] == names
    assert all(found[name].found for name in names)


def test_a_package_that_is_old_or_missing_has_its_line_of_pip(few: None) -> None:
    found = rows()
    assert found["mrcfile"].state == "warning"
    assert "only for convert, for MRC files" in found["mrcfile"].found
    assert found["mrcfile"].advice == "pip install 'mrcfile>=1000'"
    assert found["packages"].found == "2 of 3 that are always needed work"
    assert (found["[train]"].state, found["[fast]"].state) == ("skipped", "ok")
    assert found["[train]"].found == "not installed: absent-package; for train"
    assert found["[train]"].advice == "pip install 'hela_dask[train]'"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages that fail in several ways, before all others on the path."""
    contents = {
        "fails_here": "raise RuntimeError('built for another numpy')",
        "exits_here": "import sys; sys.exit(3)",
        "dies_here": "import os, signal; os.kill(os.getpid(), 9)",
        "talks_here": "print('[1, 2]'); print('hello')",
    }
    for name, text in contents.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(Needed, "version", property(lambda item: "1.0"))
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process otherwise there")
def test_a_broken_package_is_a_row_and_the_next_ones_are_tested(broken: Path) -> None:
    names = ["fails-here", "dies-here", "exits-here", "talks-here", "not-there", "json"]
    faults, _ = import_packages([Needed(name, f"{name}>=1") for name in names])
    assert faults == {
        "fails-here": "RuntimeError: built for another numpy",
        "dies-here": "ends the process (exit code -9)",
        "exits-here": "SystemExit: 3",
        "not-there": "ModuleNotFoundError: No module named 'not_there'",
    }


def test_a_file_of_the_current_folder_is_not_taken_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "psutil.py").write_text("raise RuntimeError('mine')")
    monkeypatch.chdir(tmp_path)
    assert import_packages([Needed("psutil", "psutil>=6")])[0] == {}


def test_a_run_cannot_work_without_one_of_its_packages(
    few: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = {"psutil": "ImportError: no symbol"}
    monkeypatch.setattr(module, "import_packages", lambda _: (fault, "openblas 0.3"))
    assert main(["doctor", "--no-disk", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["summary"] == (
        "run cannot work here, because of psutil (pip install --force-reinstall 'psutil>=6')"
    )
    assert main(["doctor", "--no-disk"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "failed" in text and "no symbol" in text and "openblas 0.3" in text


def test_a_package_that_only_another_command_needs_is_a_warning(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "import_packages", lambda _: ({"mrcfile": "is broken"}, ""))
    found = hd.doctor(disk=False)
    assert found.ok
    assert "see the warnings" in found.summary and "mrcfile" in found.summary


def test_a_part_that_fails_is_a_row(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ImportError("psutil is broken")

    monkeypatch.setattr(machine_rows, "memory_limits", fails)
    monkeypatch.setattr(machine_rows, "file_system_kind", lambda _: fails())
    found = rows()
    for name in ("memory", "disk"):
        assert found[name].state == "warning"
        assert found[name].found == "cannot be found (ImportError: psutil is broken)"


def test_without_metadata_there_is_a_warning(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError("hela_dask")

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert rows()["packages"].state == "warning"


def test_the_disk_is_measured_and_left_as_it_was(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(machine_rows, "measure_writing", lambda _: {"bytes": 5e6, "seconds": 1.0})
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
        slow = machine_rows._disk(tmp_path, disk=True)
    assert slow.state == "warning" and "writes 5 MB/s" in slow.found

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(machine_rows, "measure_writing", refused)
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
        closed = machine_rows._disk(tmp_path, disk=True)
    assert closed.state == "warning" and "cannot be written (Permission denied)" in closed.found
    machine_rows._disk(tmp_path, disk=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "change", "text"),
    [
        (machine_rows._files, ("resource_limit", lambda _: 256), "ulimit -n 1024"),
        (machine_rows._processors, ("_quota", lambda: 0.5), "--workers 1"),
        (machine_rows._memory, ("memory_limits", lambda: [("memory of the node", 2**30)]), "plan"),
    ],
)
def test_a_limit_that_is_too_low_has_its_remedy(
    monkeypatch: pytest.MonkeyPatch, part: Any, change: tuple[str, Any], text: str
) -> None:
    monkeypatch.setattr(machine_rows, *change)
    row = part()
    assert row.state == "warning"
    assert text in row.advice


def test_a_gpu_is_named_and_its_fault_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    if os.name != "posix":
        pytest.skip("the stand-in is a script of a shell")
    for script, state, text in (
        ("echo 'NVIDIA H200, 143771 MiB'", "ok", "NVIDIA H200, 143771 MiB; train uses it"),
        ("echo driver mismatch >&2; exit 9", "warning", "nvidia-smi fails (driver mismatch)"),
    ):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        row = machine_rows._gpu()
        assert (row.state, row.found) == (state, text)


def test_it_starts_without_the_command_line_and_its_packages() -> None:
    code = (
        "import sys\n"
        "for name in ('typer', 'pydantic', 'numpy', 'dask', 'psutil', 'packaging', 'yaml'):\n"
        "    sys.modules[name] = None\n"
        "import hela_dask.environment.doctor as d\n"
        "d.import_packages = lambda _: ({'numpy': 'is broken'}, '')\n"
        "found = d.doctor(disk=False)\n"
        "assert not found.ok\n"
        "print(found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "is broken" in done.stdout
    assert "memory" in done.stdout and "cannot be found" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_the_real_environment_is_checked_by_the_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hela_dask.environment"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1)
    assert "that are always needed work" in done.stdout
