"""What is shipped: dependencies, lock file, versions, the wheel, and the Makefile's promises."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hela_dask as hd

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").split("\n")
DOCS_LOCK = (ROOT / "requirements-docs.lock").read_text(encoding="utf-8").split("\n")
NOT_LOCKED = {"napari"}
"""Extras that need a screen: their tests run where they are installed."""
LINES_OF_A_ROOM = 400
LINES_OF_A_FUNCTION = 60


def _environment(version: str, system: str) -> dict[str, str]:
    return {
        "python_version": version,
        "python_full_version": f"{version}.5",
        "sys_platform": system,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def _locked(environment: dict[str, str], lock: list[str]) -> dict[str, str]:
    """Versions that a lock file gives for some Python on some system."""
    found: dict[str, str] = {}
    for line in filter(None, lock):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is locked twice for {environment}"
            found[name] = str(requirement.specifier).removeprefix("==")
    return found


def _declared(environment: dict[str, str]) -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    chosen = [lines for name, lines in extras.items() if name not in NOT_LOCKED]
    groups = [lines for name, lines in PROJECT["dependency-groups"].items() if name != "docs"]
    lines = [PROJECT["project"]["dependencies"], *chosen, *groups]
    # A group may include another one, which is in `groups` itself.
    found = [Requirement(line) for part in lines for line in part if isinstance(line, str)]
    return [item for item in found if item.marker is None or item.marker.evaluate(environment)]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_lock_file_holds_every_dependency_within_its_bounds(version: str, system: str) -> None:
    environment = _environment(version, system)
    locked = _locked(environment, LOCK)
    for requirement in _declared(environment):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not locked for Python {version}: make lock"
        assert requirement.specifier.contains(locked[name], prereleases=True)


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_lock_file_of_the_site_agrees_with_the_other(version: str, system: str) -> None:
    """Both are installed together: a package in both has one version."""
    environment = _environment(version, system)
    locked, site = _locked(environment, LOCK), _locked(environment, DOCS_LOCK)
    assert {
        name: site[name] for name in site if name in locked and site[name] != locked[name]
    } == {}
    for line in PROJECT["dependency-groups"]["docs"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(site[canonicalize_name(requirement.name)])


def test_the_lock_files_name_versions_only() -> None:
    lines = [*LOCK, *DOCS_LOCK]
    assert not [line for line in lines if "://" in line or line.startswith("-") or " @ " in line]


def test_no_dependency_is_pinned_or_without_a_lower_bound() -> None:
    for line in requires("hela_dask") or []:
        requirement = Requirement(line)
        operators = {part.operator for part in requirement.specifier}
        # A version that is broken may be left out.
        assert operators - {"!="} == {">="}, f"{requirement} needs a lower bound and no upper one"


def test_a_file_stays_in_one_process_of_the_tests(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only make test shares the files among processes")
    # pytest-xdist appends the group; otherwise each process makes the fixtures of each file.
    assert request.node.nodeid.endswith(f"@{request.path.as_posix()}")


def test_every_place_gives_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == hd.__version__
    assert f"## {hd.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_names_both_source_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {paper["doi"] for paper in citation["references"]} == {
        "10.3390/jimaging7060093",
        "10.1371/journal.pone.0230605",
    }


def test_the_wheel_holds_every_module_and_the_marker_of_its_types(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hela_dask", source / "hela_dask", ignore=ignore)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    build += ["--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        (entries,) = (name for name in inside if name.endswith("/entry_points.txt"))
        assert "hela_dask = hela_dask.napari:napari.yaml" in archive.read(entries).decode()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hela_dask").rglob("*.py")}
    assert modules <= inside
    assert "hela_dask/py.typed" in inside
    model = {"network.onnx", "card.json", "card.md", "curves.png", "history.csv"}
    assert {f"hela_dask/unet/shipped/{name}" for name in model} <= inside
    templates = {path.name for path in (ROOT / "hela_dask/pages/templates").iterdir()}
    assert {"report.html", "explain.html", "style.css", "script.js"} <= templates
    assert {f"hela_dask/pages/templates/{name}" for name in templates} <= inside
    assert "hela_dask/napari/napari.yaml" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "hela_dask").rglob("*.py")), ids=lambda path: path.name
)
def test_a_room_says_what_it_is_for_and_is_not_crowded(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "the first line says what the module is for"
    assert text.count("\n") <= LINES_OF_A_ROOM
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= LINES_OF_A_FUNCTION, f"{node.name} is too long"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("#!/bin/sh\n[ $1 = -V ] && echo Python 3.9.7\nexit 1\n", "Python 3.11 or newer"),
        (None, "is not there"),
    ],
)
def test_make_says_when_python_is_too_old_or_missing(
    tmp_path: Path, script: str | None, sentence: str
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(script)
        python.chmod(0o755)
    command = ["make", "test", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert sentence in made.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_states_beforehand_how_much_it_downloads(tmp_path: Path, target: str) -> None:
    # A Python that is new enough, and makes no environment: nothing is downloaded.
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n[ $1 = -c ]\n")
    python.chmod(0o755)
    command = ["make", target, f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "GB are downloaded, which take" in made.stdout
    assert "cannot make a virtual environment" in made.stderr
