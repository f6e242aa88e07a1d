"""docs/performance.json: what was measured, section by section, each with its command."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

from hela_dask.running.provenance import versions
from hela_dask.storage.files import plain

__all__ = ["DOCS", "FIGURES", "RESULTS", "keep", "machine", "read", "today"]

DOCS = Path(__file__).parent.parent / "docs"
FIGURES = DOCS / "performance"
RESULTS = DOCS / "performance.json"


def today() -> str:
    """The day on which something is measured."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def machine() -> dict[str, Any]:
    """The machine that figures were taken on."""
    import psutil

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


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What was kept so far."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def keep(section: str, figures: dict[str, Any], command: str, path: Path = RESULTS) -> None:
    """Replace one section, with the command, the day, the machine and the versions."""
    found = read(path)
    found[section] = {
        **figures,
        "command": command,
        "date": today(),
        "machine": machine(),
        "versions": versions(),
    }
    text = json.dumps(plain(found), indent=1, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
