"""A store, its finished run, and what an undisturbed run has made: compared voxel by voxel."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from hela_dask._run import RunResult, run
from hela_dask.parameters import Parameters
from hela_dask.phantom import make_phantom

__all__ = ["LABELS", "Site", "make_site", "undisturbed_site"]

LABELS = ("nuclei", "cells", "envelope", "background")
# The network predicts every fourth slice: the faults are those of files and processes.
_PARAMETERS = {"unet": {"spacing": 400.0}}
_TIMED = ["seconds", "peak_memory"]  # columns that differ between equal runs


@dataclass
class Site:
    """A folder with a store and its run, which can be put back as it was.

    Parameters
    ----------
    folder : Path
        Holds ``p.ome.zarr`` and ``p.run``, and ``backup`` with copies of both.
    client : distributed.Client
        Computes.
    parameters : dict
        Of its run.
    labels : dict of str to ndarray
        Every voxel of every level of each label group, of the undisturbed run.
    cells : DataFrame
        Its table.
    pages : bool
        Whether commands that finish a run write its two pages.
    """

    folder: Path
    client: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    pages: bool = True

    @property
    def store(self) -> Path:
        """The image."""
        return self.folder / "p.ome.zarr"

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "p.run"

    @property
    def parameter_file(self) -> Path:
        """The parameters, for commands."""
        return self.folder / "parameters.toml"

    def start(self, **more: Any) -> RunResult:
        """The same command as the undisturbed run's, on this client unless another is given."""
        given = {"client": self.client, "parameters": self.parameters, **more}
        return run(self.store, progress=False, **given)

    def keep(self) -> None:
        """Remember this state and these results as those of the undisturbed run."""
        self.labels, self.cells = self.read_labels(), self.read_cells()
        shutil.rmtree(self.folder / "backup", ignore_errors=True)
        for path in (self.store, self.run):
            shutil.copytree(path, self.folder / "backup" / path.name, symlinks=True)

    def restore(self) -> None:
        """The state of the undisturbed run, with the same times of change."""
        for path in (self.store, self.run):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(self.folder / "backup" / path.name, path, symlinks=True)

    def forget_run(self) -> None:
        """The store as before its first run."""
        shutil.rmtree(self.run)
        for name in LABELS:
            shutil.rmtree(self.store / "labels" / name)

    def markers(self) -> dict[str, int]:
        """When each marker was written."""
        return {path.name: path.stat().st_mtime_ns for path in (self.run / "done").glob("*.json")}

    def read_labels(self) -> dict[str, NDArray[Any]]:
        """Every level of each label group."""
        found: dict[str, NDArray[Any]] = {}
        for name in LABELS:
            group = zarr.open_group(self.store / "labels" / name, mode="r")
            for level, array in sorted(group.arrays()):
                found[f"{name}/{level}"] = np.asarray(array[...])
        return found

    def read_cells(self) -> pd.DataFrame:
        """The table, without what a run took."""
        table = pd.read_parquet(self.run / "cells.parquet")
        return table.drop(columns=[name for name in _TIMED if name in table])

    def check(self) -> None:
        """No voxel of any level of any label group differs, and no value of the table.

        Raises
        ------
        AssertionError
            With the number of voxels that differ.
        """
        found = self.read_labels()
        assert found.keys() == self.labels.keys()
        differing = {
            name: int((found[name] != expected).sum()) for name, expected in self.labels.items()
        }
        assert not any(differing.values()), f"voxels that differ: {differing}"
        pd.testing.assert_frame_equal(self.read_cells(), self.cells, check_exact=True)
        columns = [name for name in pd.read_csv(self.run / "cells.csv") if name not in _TIMED]
        assert columns == [str(name) for name in self.cells]
        facts = json.loads((self.run / "run.json").read_text(encoding="utf-8"))
        assert (facts["state"], facts["exit_code"]) == ("finished", 0)

    def one(self, pattern: str) -> Path:
        """The largest file of a pattern, relative to the folder: the one that holds most."""
        files = [path for path in self.folder.glob(pattern) if path.is_file()]
        return max(files, key=lambda path: (path.stat().st_size, path.as_posix()))


@contextlib.contextmanager
def undisturbed_site(folder: Path) -> Iterator[Site]:
    """A site for tests; its client computes in this process."""
    from distributed import Client

    with Client(
        processes=False,
        n_workers=1,
        threads_per_worker=2,
        dashboard_address=":0",
        set_as_default=False,
    ) as client:
        site = make_site(folder, client, _PARAMETERS)
        site.pages = False
        yield site


def make_site(folder: Path, client: Any, parameters: Mapping[str, Any] | None = None) -> Site:
    """A phantom of two complete cells, segmented once, undisturbed."""
    site = Site(folder, client, parameters or {})
    text = Parameters.from_dict(site.parameters).to_toml()
    site.parameter_file.write_text(text, encoding="utf-8")
    make_phantom(
        site.store,
        shape=(80, 160, 160),
        cells=2,
        diameter=5.5,
        seed=3,
        voxel_size=(100.0, 80.0, 80.0),
        progress=False,
    )
    result = site.start()
    assert len(result.cells["nucleus_volume"].dropna()) >= 2
    site.keep()
    return site
