"""The examples run as they are, and the README's and the docs' commands exist."""

from __future__ import annotations

import re
import shlex
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
from hela_dask.cli import main
from tests.cli.test_cli import PROMISED

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


def _commands() -> list[list[str]]:
    """Every hela-dask command that a page shows."""
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    ]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("hela-dask ")]


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_the_pages_show_commands_and_options_that_exist(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, name, *rest = command
    if any(known.startswith(f"{name} ") for known in PROMISED):  # a group of commands
        name, rest = f"{name} {rest[0]}", rest[1:]
    assert name in PROMISED
    assert main([*name.split(), "--help"]) == 0
    known = capsys.readouterr().out
    assert [word for word in rest if word.startswith("--") and f"{word} " not in known] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_name_that_the_pages_use_is_public() -> None:
    for page in PAGES:
        used = set(re.findall(r"\bhd\.([A-Za-z_]+)", page.read_text(encoding="utf-8")))
        assert used <= set(hd.__all__), f"{page.name} uses {used - set(hd.__all__)}"
