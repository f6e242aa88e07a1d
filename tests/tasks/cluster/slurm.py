"""A SLURM of three shell scripts: jobs are processes of this machine."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

__all__ = ["fake_slurm", "jobs", "write_yaml"]

_SBATCH = """#!/bin/sh
set -e
cd {folder}
if [ -e refuse ]; then echo "sbatch: error: $(cat refuse)" >&2; exit 1; fi
number=1  # several are submitted at once
until mkdir job-$number 2>/dev/null; do number=$((number + 1)); done
cp "$1" $number.sh
if [ -e hold ]; then echo "$number PENDING (Resources)" > $number.state
else
  echo "$number RUNNING (None)" > $number.state
  (setsid sh $number.sh > $number.out 2>&1 & echo $! > $number.pid; wait; rm -f $number.state) \\
    > /dev/null 2>&1 < /dev/null &
fi
echo "Submitted batch job $number"
"""
_SQUEUE = """#!/bin/sh
cd {folder}
cat *.state 2>/dev/null || true
"""
_SCANCEL = """#!/bin/sh
cd {folder}
rm -f $1.state
if [ -e $1.pid ]; then kill -- -$(cat $1.pid) 2>/dev/null; fi
true
"""


def fake_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the scripts first on the path; files ``hold`` and ``refuse`` in the folder are obeyed."""
    folder.mkdir(exist_ok=True)
    for name, text in (("sbatch", _SBATCH), ("squeue", _SQUEUE), ("scancel", _SCANCEL)):
        path = folder / name
        path.write_text(text.format(folder=folder))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def jobs(folder: Path) -> int:
    """How many were submitted."""
    return len(list(folder.glob("job-*")))


def write_yaml(folder: Path, *, workers: int = 1, options: str = "") -> Path:
    """The file of a cluster for it."""
    path = folder / "cluster.yaml"
    path.write_text(
        f"scheduler: slurm\nworkers: {workers}\noptions:\n  memory: 2GiB\n  interface: lo\n"
        f"  log_directory: {folder}/logs\n  python: {sys.executable}\n{options}"
    )
    return path
