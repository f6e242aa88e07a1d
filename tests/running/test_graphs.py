"""The graphs that a run hands to its cluster: those of the operators, by the same names."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from dask.layers import ArrayOverlapLayer
from dask.utils import key_split
from distributed import Client

import hela_dask as hd
from hela_dask.errors import StorageError
from hela_dask.volume.opening import working_volume
from tests.exactness.runs import DEPTH, PARAMETERS, go, write
from tests.scenes import without_pages

Graphs = dict[str, list[Any]]

P = hd.Parameters.from_dict(PARAMETERS)
SLAB = 4


@pytest.fixture(scope="module")
def run(here: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Graphs, set[str]]:
    """A run's result, the graphs of its units by their stage, and the names of all its tasks."""
    handed: Graphs = defaultdict(list)
    compute = Client.compute

    def noted(self: Client, collections: Any, **more: Any) -> Any:
        for item in collections:
            handed[item.key.split(" ")[0]].append(item.__dask_graph__())
        return compute(self, collections, **more)  # type: ignore[no-untyped-call]

    folder = tmp_path_factory.mktemp("graphs")
    path = write(folder / "two.ome.zarr", 40.0, chunks=(2, 64, 64), shards=(4, 128, 128))
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        patch.setattr(Client, "compute", noted)
        patch.setattr("hela_dask.operators.background.SLAB", SLAB)
        result = go(path, here, "first")
    names = set(here.cluster.scheduler.task_prefixes)
    return result, handed, {name.split(" ")[0] for name in names}


def prefixes(graph: Any) -> Counter[str]:
    """How many tasks of a graph have each name."""
    return Counter(key_split(key) for key in graph)


@pytest.fixture
def resin(run: Any, monkeypatch: pytest.MonkeyPatch) -> xr.DataArray:
    """The background as a notebook has it, lazily."""
    monkeypatch.setattr("hela_dask.operators.background.SLAB", SLAB)
    volume = hd.open_volume(run[0].store)
    levels = hd.grey_levels(volume, P.background)
    return hd.background(volume, P.background, grey_levels=levels)


def test_the_background_is_a_graph_of_overlapping_slabs(resin: xr.DataArray) -> None:
    graph = resin.data.__dask_graph__()
    layers = {key_split(name): name for name in graph.layers}
    assert {"gaussian_filter", "background-levels", "background"} <= set(layers)
    for own, height in (
        ("background-neighbours", P.background.levels),
        ("background-majority", P.background.smoothing),
    ):
        (before,) = graph.dependencies[layers[own]]
        overlap = graph.layers[before]
        assert isinstance(overlap, ArrayOverlapLayer)
        assert {axis: deep for axis, deep in overlap.axes.items() if deep} == {
            0: int(height / DEPTH / 2)
        }
        assert set(overlap.chunks[0]) == {SLAB}


def test_a_run_hands_the_graphs_of_a_notebook_to_its_cluster(run: Any, resin: xr.DataArray) -> None:
    _, handed, _ = run
    known = prefixes(resin.data.__dask_graph__())
    assert len(handed["background"]) == 2
    for graph in handed["background"]:
        found = prefixes(graph)
        (unit,) = set(found) - set(known)
        assert unit == "background (2 slabs)" and found[unit] == 1
        slabs = found["background-majority"]
        assert found["background"] >= slabs > 0
        assert found["gaussian_filter"] == found["background"]
        assert found["overlap"] == slabs + found["background-neighbours"] + found["background"]
    assert sum(prefixes(graph)["background-majority"] for graph in handed["background"]) == 5
    for graph in handed["detect"]:
        assert {"detect-specks": 1, "distance": 1, "detect": 1}.items() <= prefixes(graph).items()


def test_tasks_of_a_run_are_named_by_what_they_do(run: Any) -> None:
    _, handed, names = run
    assert set(handed) == {"background", "detect", "classify"}
    assert {
        *("levels", "gaussian_filter", "background", "background-majority", "overlap"),
        *("distance", "detect", "classify", "segment", "assemble"),
    } <= names


def test_a_run_reads_a_chunk_that_was_put_right_while_a_client_held_its_error(
    here: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pages(monkeypatch)
    path = write(tmp_path / "two.ome.zarr", 40.0)
    file = next(at for at in sorted((path / "0" / "c").rglob("*")) if at.is_file())
    sound, facts = file.read_bytes(), file.stat()
    file.write_bytes(sound[: len(sound) // 2])
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    held = here.compute(working_volume(path, 40.0).data.to_delayed(optimize_graph=False)[0, 0, 0])
    assert isinstance(held.exception(), StorageError)
    file.write_bytes(sound)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert go(path, here, "new").exit_code == 0
    assert held.status == "error"
