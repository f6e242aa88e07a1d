"""The examples run as they are, and the pages use public names only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import tifffile
from nbclient import NotebookClient

import hela_dask as hd

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
def test_the_notebook_runs_and_draws(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "from_tiffs_to_overlays.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    table = next(o.data["text/plain"] for o in outputs if "n_detections" in str(o.get("data")))
    assert " detected" in table


@pytest.mark.slow
def test_the_script_segments_on_a_client_of_its_own(tmp_path: Path, client: Any) -> None:
    size = (100.0, 80.0, 80.0)
    made = {"shape": (80, 144, 144), "cells": 1, "diameter": 7.0, "seed": 3}
    hd.make_phantom(tmp_path / "p.ome.zarr", voxel_size=size, **made)  # type: ignore[arg-type]
    grey = hd.open_volume(tmp_path / "p.ome.zarr").to_numpy()
    tifffile.imwrite(tmp_path / "stack.tif", grey, photometric="minisblack")
    script = [sys.executable, str(EXAMPLES / "own_client.py"), "stack.tif", "out"]
    options = ["--voxel-size", *map(str, size), "--scheduler", client.scheduler.address]
    ended = subprocess.run(
        [*script, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "1 cell outlined: 1 whole" in ended.stdout
    labels = hd.open_volume(tmp_path / "out/volume.ome.zarr/labels/cells").to_numpy()
    assert set(np.unique(labels)) > {0}


def test_every_name_that_the_pages_use_is_public() -> None:
    for page in PAGES:
        used = set(re.findall(r"\bhd\.([A-Za-z_]+)", page.read_text(encoding="utf-8")))
        assert used <= set(hd.__all__), f"{page.name} uses {used - set(hd.__all__)}"
