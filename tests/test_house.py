"""The plan of the house: every room imports only from rooms below it, and nothing in a circle."""

from __future__ import annotations

import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "hela_dask"


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules of the package that each module imports, also inside functions."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def _floors() -> dict[str, int]:
    """The floor of each room; rooms of one floor do not import each other."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return {
        room.strip(): floor
        for floor, rooms in enumerate(reversed(layers))
        for room in rooms.split("|")
    }


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_module_has_a_floor(imports: dict[str, set[str]]) -> None:
    rooms = {_room(module) for module in imports} - {""}
    assert rooms == set(_floors())


def test_no_import_leads_upwards(imports: dict[str, set[str]]) -> None:
    floors = _floors()
    upwards = [
        f"{module} imports {target}"
        for module, targets in imports.items()
        for target in targets
        if (room := _room(module)) and (other := _room(target)) and room != other
        if floors[other] >= floors[room]
    ]
    assert not upwards


def test_no_module_imports_in_a_circle(imports: dict[str, set[str]]) -> None:
    assert len(imports) > 150
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))
