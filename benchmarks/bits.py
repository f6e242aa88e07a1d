"""Run this code and that of an earlier commit on the same volumes, and compare every voxel.

``python -m benchmarks.bits COMMIT`` prints, for each case, the voxels of each label group that
differ and the seconds of both commands. The cases are the demo, the real stack with every method
that needs no model, and one slice of 10 nm pixels; ``--only`` chooses among them. The exit code is
1 where anything differs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks import results
from benchmarks.measuring import ROOT, earlier_code, timed
from benchmarks.stacks import REAL_VOXEL, data_folder
from hela_dask.methods.names import METHODS

__all__ = ["CASES", "Case", "compare"]

FINE_VOXEL = (50.0, 10.0, 10.0)


@dataclass(frozen=True)
class Case:
    """One volume, and the command that segments it.

    Parameters
    ----------
    store : str
        The labelled store, relative to the folder of the case.
    command : tuple of str
        Of ``hela-dask``, started in that folder.
    source : str
        Converted to the store first: a file of the folder of real stacks; empty for none.
    voxel : (z, y, x) in nm
        Of the source.
    """

    store: str
    command: tuple[str, ...]
    source: str = ""
    voxel: tuple[float, float, float] = REAL_VOXEL


_STACK = "roi1656/raw_z001-300.tif"
CASES = {
    "demo": Case("demo/phantom.ome.zarr", ("demo", "--out", "demo")),
    **{
        f"real/{name}": Case("s.ome.zarr", ("run", "s.ome.zarr", "--method", name), _STACK)
        for name in METHODS
        if name != "hybrid"  # no network for it comes with the package
    },
    "fine": Case("s.ome.zarr", ("run", "s.ome.zarr"), "roi6005/z0001.tif", FINE_VOXEL),
}


def compare(old: Path, new: Path) -> dict[str, int]:
    """Voxels that differ, per label group and level of two stores.

    A group or a level that only one of the stores has counts as -1.
    """
    before, after = _labels(old), _labels(new)
    found = dict.fromkeys(sorted({*before, *after}), -1)
    for name in before.keys() & after.keys():
        if before[name].shape == after[name].shape:
            found[name] = int(np.count_nonzero(before[name][:] != after[name][:]))
    return found


def _labels(store: Path) -> dict[str, Any]:
    """The arrays of all labels, by ``GROUP/LEVEL``."""
    folders = (file.parent for file in (store / "labels").glob("*/*/zarr.json"))
    return {"/".join(path.parts[-2:]): zarr.open_array(path, mode="r") for path in folders}


def _run(tree: Path, case: Case, folder: Path) -> float:
    """Seconds of the command of a case with the code of a tree."""
    folder.mkdir(parents=True)
    if case.source:
        source = str((data_folder() / case.source).resolve())
        voxel = map(str, case.voxel)
        _start(tree, folder, "convert", source, case.store, "--voxel-size", *voxel)
    return timed(lambda: _start(tree, folder, *case.command))[0]


def _start(tree: Path, folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hela_dask", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):  # 3: some cells have no masks, and are named
        raise SystemExit(done.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print; 1 where anything differs."""
    parser = results.parser(__doc__)
    parser.add_argument("commit", help="the earlier code")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases")
    options = parser.parse_args(arguments)
    differs = False
    with tempfile.TemporaryDirectory() as folder, earlier_code(options.commit) as tree:
        for name in options.only:
            case, place = CASES[name], Path(folder) / name
            before = _run(tree, case, place / "old")
            after = _run(ROOT, case, place / "new")
            found = compare(place / "old" / case.store, place / "new" / case.store)
            changed = {group: count for group, count in found.items() if count}
            differs = differs or bool(changed)
            counts = ", ".join(f"{group}: {count} voxels" for group, count in changed.items())
            print(f"{name}: {counts or 'the same'} ({before:.1f} s before, {after:.1f} s now)")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
