"""The first steps of a new user: the installation, ``make demo``, the memory of a planned window.

``python -m benchmarks.first_steps --write`` builds an environment in a temporary folder, so that
the time of the demo includes the installation.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.measuring import ROOT, timed
from benchmarks.stacks import REAL_VOXEL
from hela_dask.running.needs import window_need
from hela_dask.storage import store

WINDOW = (300, 500, 500)


def demo() -> dict[str, Any]:
    """Minutes of ``make demo`` on a machine that has Python only."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["make", "demo", f"VENV={folder}/venv", f"OUT={folder}/demo"]
        seconds, _ = timed(lambda: subprocess.run(command, cwd=ROOT, check=True))
        return {"minutes": seconds / 60}


def installation() -> dict[str, Any]:
    """MB on disk, MB from the network, and minutes of ``pip install .`` where only Python is."""
    with tempfile.TemporaryDirectory() as folder:
        environment, cache = Path(folder) / "venv", Path(folder) / "cache"
        venv.create(environment, with_pip=True)
        names = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
        command = [str(environment.joinpath(*names)), "-m", "pip", "install", "--quiet"]
        command += ["--cache-dir", str(cache), str(ROOT)]
        seconds, _ = timed(lambda: subprocess.run(command, check=True))
        (packages,) = environment.rglob("site-packages")
        return {
            "mb": _megabytes(packages),
            "compiled_mb": _megabytes(packages, "*.pyc"),
            "network_mb": _megabytes(cache),
            "minutes": seconds / 60,
        }


def _megabytes(folder: Path, pattern: str = "*") -> float:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file()) / 1e6


def plan() -> dict[str, Any]:
    """Memory, in MiB, that is planned for the window of a usual cell."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "window.ome.zarr"
        image = store.create_image(path, WINDOW, "uint8", REAL_VOXEL, name="window")
        return {"window": list(WINDOW), "mib": window_need(image, WINDOW).bytes / 2**20}


SECTIONS = {"plan": plan, "installation": installation, "demo": demo}


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = results.parser(__doc__, write="keep them in docs/performance.json")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="default: all")
    options = parser.parse_args()
    for name in options.sections or SECTIONS:
        found = SECTIONS[name]()
        print(f"{name}: {found}", flush=True)
        if options.write:
            results.keep(name, found, f"python -m benchmarks.first_steps {name} --write")


if __name__ == "__main__":
    main()
