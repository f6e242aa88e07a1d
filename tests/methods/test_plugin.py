"""A method of another package: installed with pip, known everywhere, redone when it changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask._run import run
from hela_dask.errors import ParameterError
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.registry import method_name
from hela_dask.parameters import Parameters
from hela_dask.storage import store
from tests.drawn import draw_cell
from tests.exactness.runs import DEPTH, PARAMETERS, go
from tests.scenes import without_pages

SOURCE = Path(__file__).parents[2] / "examples" / "plugin"

# Runs in one process; prints when each unit was finished, and volumes of nuclei, of each.
RUN = """
import json, sys
import pytest
from distributed import Client
import hela_dask as hd
from tests.scenes import without_pages
store, found = sys.argv[1], []
without_pages(pytest.MonkeyPatch())
with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
    for parameters in json.loads(sys.argv[2]):
        result = hd.run(
            store, method="inner", parameters=parameters, client=client, overwrite=True,
            progress=False,
        )
        done = (result.path / "done").glob("*.json")
        times = {path.name: path.stat().st_mtime_ns for path in done}
        found.append({"done": times, "cells": result.cells["nucleus_volume"].tolist()})
print(json.dumps(found))
"""

SEGMENT = """
import sys
import hela_dask as hd
from hela_dask_inner import METHOD
volume = hd.open_volume(sys.argv[1])
cells = hd.link_cells(hd.detect_cells(volume), volume, hd.Parameters.from_dict(PARAMETERS).link)
region = hd.cell_regions(cells, volume)[0]
named = hd.segment_cell(volume, region, method="inner")
assert named["nucleus"].any() and named.identical(hd.segment_cell(volume, region, method=METHOD))

def mine(window, parameters):
    return METHOD(window, parameters)

assert (hd.segment_cell(volume, region, method=mine)["cell"] == named["cell"]).all()
try:
    hd.run(sys.argv[1], method=mine)
except hd.ParameterError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the example is installed into."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(SOURCE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    options = ["--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*pip, *options, "--target", folder / "site", source], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with one cell in resin."""
    drawn = draw_cell((DEPTH, 40.0, 40.0))
    path = tmp_path_factory.mktemp("plugin") / "one.ome.zarr"
    image = store.create_image(path, drawn.image.shape, "uint8", drawn.voxel, name="one")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, drawn.image[z0:z1])
    return path


def python(site: Path, *arguments: str | Path) -> str:
    """What a process with the package installed prints."""
    paths = os.pathsep.join([str(site), os.environ["PYTHONPATH"]])
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_commands_know_it(site: Path, one: Path) -> None:
    assert "inner (The nucleus as the inner part of a cell" in " ".join(
        python(site, "-m", "hela_dask", "run", "--help").split()
    )
    assert "[inner]\ndepth = 1000.0  # distance" in python(site, "-m", "hela_dask", "params")
    planned = ("-m", "hela_dask", "plan", one, "--method", "inner", "--no-time", "--json")
    assert json.loads(python(site, *planned))["stages"][2]["memory"] > 0


@pytest.mark.slow
def test_the_command_runs_it_on_workers(site: Path, one: Path, tmp_path: Path) -> None:
    params = Parameters.from_dict(PARAMETERS)
    (tmp_path / "run.toml").write_text(params.to_toml())
    places = ("--out", tmp_path / "i.run", "--labels", tmp_path / "i.zarr")
    wanted = ("--method", "inner", "--params", tmp_path / "run.toml", "--workers", "1")
    printed = python(site, "-m", "hela_dask", "run", one, *wanted, *places)
    assert "1 cell outlined" in printed
    facts = json.loads((tmp_path / "i.run" / "run.json").read_text())
    assert facts["method"] == "inner" and facts["parameters"]["inner"]["depth"] == 1000.0


def test_segment_cell_takes_its_name_itself_or_a_function(site: Path, one: Path) -> None:
    script = SEGMENT.replace("PARAMETERS", repr(PARAMETERS))
    (sentence,) = python(site, "-c", script, one).splitlines()
    assert sentence.startswith("workers cannot import 'mine'")


@pytest.mark.slow
def test_a_changed_value_or_changed_code_computes_the_cells_again(
    site: Path, one: Path, tmp_path: Path
) -> None:
    volume = shutil.copytree(one, tmp_path / "one.ome.zarr")

    def again(*depths: float) -> list[dict[str, Any]]:
        """Runs of these depths, one after the other in a new process."""
        given = json.dumps([{**PARAMETERS, "inner": {"depth": depth}} for depth in depths])
        found: list[dict[str, Any]] = json.loads(python(site, "-c", RUN, volume, given))
        return found

    def kept(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
        same = {name for name, at in one["done"].items() if other["done"].get(name) == at}
        return {name.partition("-")[0] for name in same}

    (first,) = again(600.0)
    same, deeper = again(600.0, 700.0)
    assert first == same and len(first["cells"]) == 1
    assert kept(first, deeper) == {"levels", "background", "detect", "cells"}
    assert np.less(deeper["cells"], first["cells"]).all()
    module = site / "hela_dask_inner.py"
    text = module.read_text()
    try:
        module.write_text(text.replace("depth > p.depth\n", "depth > p.depth + 100\n"))
        (coded,) = again(700.0)
    finally:
        module.write_text(text)
    assert kept(deeper, coded) == {"levels", "background", "detect", "cells"}
    assert np.less(coded["cells"], deeper["cells"]).all()


@pytest.mark.slow
def test_it_fulfils_the_contract(site: Path) -> None:
    here = Path(__file__).parent
    tests = here / "test_contract.py", here.parent / "running" / "test_keys.py"
    options = ("-q", "-p", "no:cacheprovider", "-k", "inner")
    assert " passed" in python(site, "-m", "pytest", *tests, *options)


def whole_tissue(window: Window, parameters: Parameters) -> Masks:
    """All tissue of a window; no nucleus."""
    nothing = np.zeros(window.image.shape, bool)
    return Masks(nothing, ~window.background, nothing.copy(), flags=("no_nucleus",))


def test_run_takes_a_function_that_workers_can_import(
    one: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pages(monkeypatch)
    result = go(one, here, "function", method=whole_tissue)
    assert (result.cells["cell_volume"] > 0).all() and result.cells["nucleus_volume"].isna().all()
    facts = json.loads((result.path / "run.json").read_text())
    assert facts["method"] == method_name(whole_tissue) == f"{__name__}:whole_tissue"
    with pytest.raises(ParameterError, match=r"workers cannot import '.*<lambda>'"):
        run(one, method=lambda window, _: whole_tissue(window, Parameters()))
