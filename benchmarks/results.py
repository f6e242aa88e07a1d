"""Figures kept in docs/*.json: each section with its command, day, commit, machine and versions."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from hela_dask.storage.files import plain
from hela_dask.tasks.versions import versions

__all__ = ["DOCS", "RESULTS", "commit", "keep", "machine", "parser", "read", "stamp", "today"]
__all__ += ["write"]

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "performance.json"


def parser(description: str | None, write: str = "") -> argparse.ArgumentParser:
    """A parser with the docstring of a module as its help.

    With ``--write`` where `write` is given.
    """
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if write:
        made.add_argument("--write", action="store_true", help=write)
    return made


def today() -> str:
    """The day on which something is measured."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def machine() -> dict[str, Any]:
    """The cores, the processor and the memory of this machine."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = [line for line in cpu.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def commit() -> str:
    """The last commit that changed the code; "changed" after it where the code differs from it."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    code = ("--", "hela_dask", "requirements.lock")
    changed = git("status", "--porcelain", *code)
    return git("log", "-1", "--abbrev=7", "--format=%h", *code) + (", changed" if changed else "")


def stamp(command: str) -> dict[str, Any]:
    """Where figures come from: the command, the day, the commit, the machine, the versions."""
    return {
        "command": command,
        "date": today(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }


def read(path: Path = RESULTS) -> dict[str, Any]:
    """All sections of a file; none where there is no file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def keep(section: str, figures: Mapping[str, Any], command: str, path: Path = RESULTS) -> None:
    """Replace one section, with its stamp."""
    write({**read(path), section: {**figures, **stamp(command)}}, path)


def write(found: Mapping[str, Any], path: Path) -> None:
    """Replace all sections."""
    text = json.dumps(plain(found), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
