"""What is built from a commit, the recipe of conda, and the workflows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE: dict[str, Any] = yaml.safe_load(
    (ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8")
)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CONDA_NAMES = {"matplotlib": "matplotlib-base"}  # without Qt
CONDA_EXTRAS = {("fsspec", "http"): "aiohttp", ("fsspec", "s3"): "s3fs"}
"""Packages of an extra of a dependency; conda has no extras, and its dask includes distributed."""


def _floors(lines: list[str]) -> dict[str, str]:
    """The lowest version of each package of conda; empty where any will do."""
    found = (re.fullmatch(r"([\w.-]+)(?: >=(\S+))?", line) for line in lines)
    return {match[1]: match[2] or "" for match in found if match is not None}


def _expected(lines: list[str]) -> tuple[dict[str, str], set[str]]:
    """Floors by the names of conda, and the packages of the extras of dependencies."""
    floors, more = {}, set()
    for requirement in map(Requirement, lines):
        (part,) = (part for part in requirement.specifier if part.operator == ">=")
        floors[CONDA_NAMES.get(requirement.name, requirement.name)] = part.version
        more |= {
            CONDA_EXTRAS[requirement.name, extra]
            for extra in requirement.extras
            if (requirement.name, extra) in CONDA_EXTRAS
        }
    return floors, more


def test_the_recipe_of_conda_has_the_dependencies_of_the_project() -> None:
    lines = RECIPE["requirements"]["run"]
    assert lines[0] == "python >=${{ python_min }}"
    found = _floors(lines[1:])
    assert len(found) == len(lines) - 1  # each line is a name and a floor
    floors, more = _expected(PROJECT["project"]["dependencies"])
    assert more == {"aiohttp", "s3fs"}
    assert set(found) == set(floors) | more
    assert {name: found[name] for name in floors} == floors


def test_the_recipe_of_conda_keeps_the_floors_of_extras() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    floors, _ = _expected(
        [line for name in ("tiff", "hpc", "gcs", "formats") for line in extras[name]]
    )
    constraints = _floors(RECIPE["requirements"]["run_constraints"])
    assert constraints and constraints.items() <= floors.items()


def test_the_recipe_of_conda_is_of_this_version_and_python() -> None:
    from hela_dask import __version__

    project = PROJECT["project"]
    assert RECIPE["context"]["version"] == __version__
    assert project["requires-python"] == f">={RECIPE['context']['python_min']}"
    (command,) = RECIPE["build"]["python"]["entry_points"]
    assert dict([command.split(" = ")]) == project["scripts"]


def test_the_matrix_has_each_python_of_the_project() -> None:
    path = ROOT / ".github/workflows/newest.yml"
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["newest"]["strategy"]["matrix"]
    stated = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert matrix["python"] == stated
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_actions_by_major_version_and_ends(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] > 0
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name) for name in used)


def _build(clone: Path, out: Path) -> dict[str, bytes]:
    command = [sys.executable, str(clone / "packaging/wheels.py"), "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.skipif(os.name != "posix", reason="it compares permissions of files")
def test_two_clones_give_the_same_bytes(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    for name, mask in (("a", 0o022), ("b", 0o077)):
        command = ["git", "clone", "--quiet", str(ROOT), str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, umask=mask)
    # A file that is not of the commit is in neither.
    (tmp_path / "b/hela_dask/unknown.py").write_text('"""Not of the commit."""\n')
    first, second = (_build(tmp_path / name, tmp_path / f"{name}.out") for name in "ab")
    assert len(first) == 2 and first == second
    (source,) = (tmp_path / "a.out").glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "hela_dask/unet/shipped/network.onnx"} <= names
    assert not [name for name in names if name.startswith(("tests", "hela_dask/unknown"))]
