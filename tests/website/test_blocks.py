"""Every code block of the pages: commands parse, Python names what exists, data can be read."""

from __future__ import annotations

import ast
import csv
import inspect
import io
import json
import re
import tomllib
from importlib.util import find_spec
from typing import Any

import pytest
import typer
import yaml

import hela_dask as hd
from tests.website.blocks import PAGES, ROOT, Block, commands_of, find_blocks
from tests.website.messages import matches_a_message
from website.commands import commands

BLOCKS = [block for page in PAGES for block in find_blocks(page)]
SHELL = [block for block in BLOCKS if block.language in ("", "bash", "sh")]
PYTHON = [block for block in BLOCKS if block.language == "python"]
READERS: dict[str, Any] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "csv": lambda text: list(csv.DictReader(io.StringIO(text), strict=True)),
}
PROGRAMS = {
    *("apptainer", "cp", "dask", "docker", "jq", "make", "mpirun", "nano", "napari", "nextflow"),
    *("prometheus", "py", "sbatch", "snakemake", "srun", "tmux", "cd", "uv"),
}
"""Other programs that the pages name; their arguments are not known here."""
COMMANDS = commands()
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def _check_own(words: list[str]) -> None:
    """Parse a line of ``hela-dask`` as the program does, without running it."""
    rest = [re.sub(r"^\[(.*)\]$", r"\1", word) for word in words[1:]]
    if rest[:1] in (["--help"], ["--version"], ["COMMAND"]):
        return
    name = next((key for key in COMMANDS if rest[: len(key.split())] == key.split()), None)
    assert name, f"there is no command {' '.join(rest[:2])}"
    arguments = rest[len(name.split()) :]
    if {"--help", "[OPTIONS]"} & {*arguments, *words}:
        return
    if ">" in arguments:
        arguments = arguments[: arguments.index(">")]
    COMMANDS[name].make_context(name, arguments, resilient_parsing=False)


def _check_pip(words: list[str]) -> None:
    """Only files of this project, or of other packages, are installed."""
    named = [word for word in words[2:] if re.match(r"hela[-_]dask\b", word)]
    assert all(" @ git+" in word for word in named), "hela_dask is in no package index"


def _check_python(words: list[str]) -> None:
    if words[1:2] == ["-m"]:
        assert words[2] == "venv" or find_spec(words[2]), f"there is no module {words[2]}"


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_of_the_pages_parse(block: Block) -> None:
    for words in commands_of(block.text):
        program = words[0].replace("\\", "/").rsplit("/", 1)[-1]
        if program == "hela-dask":
            _check_own(words)
        elif program == "pip":
            _check_pip(words)
        elif program in ("python", "python3"):
            _check_python(words)
        elif program == "make":
            assert set(words[1:2]) <= set(TARGETS), f"there is no target {words[1]}"
        else:
            known = program in PROGRAMS or words[0] == "." or program == "activate"
            assert known, f"{words[0]} is no program that the pages use: name the language"


@pytest.mark.parametrize(
    "line",
    [
        "hela-dask rum hela.ome.zarr",
        "hela-dask run hela.ome.zarr --worker 2",
        "hela-dask run hela.ome.zarr --workers two",
        "hela-dask convert slices/ hela.ome.zarr --voxel-size 50 10",
        "hela-dask cluster chek slurm.yaml",
        "hela-dask report",
        "make demos",
        "pip install 'hela_dask[train]'",
        "pip install hela_dask keras",
        "python -m hela_dask.nothing",
        "label,z,y,x",
    ],
)
def test_a_wrong_line_is_found(line: str) -> None:
    with pytest.raises((AssertionError, typer.TyperException)):
        test_commands_of_the_pages_parse(Block("page.md", 1, "", line, ""))


def test_the_words_of_a_shell_are_found() -> None:
    text = (
        "A=1 hela-dask status a.run --json | jq '[.a]' > b.json\nsrun -n 2 hela-dask \\\n run a # b"
    )
    assert commands_of(text) == [
        ["hela-dask", "status", "a.run", "--json"],
        ["jq", "[.a]", ">", "b.json"],
        ["hela-dask", "run", "a"],
    ]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_of_the_pages_compiles_and_its_names_exist(block: Block) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "hd":
            assert node.attr in hd.__all__, f"hd.{node.attr} does not exist"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hela_dask"):
            code = f"from {node.module} import {', '.join(item.name for item in node.names)}"
            exec(compile(code, str(block), "exec"), {})
        if (
            isinstance(node, ast.Call)
            and getattr(getattr(node.func, "value", None), "id", "") == "hd"
        ):
            _check_call(node)


def _check_call(node: ast.Call) -> None:
    """A call of a public function has arguments that it takes."""
    assert isinstance(node.func, ast.Attribute)
    signature = inspect.signature(getattr(hd, node.func.attr))
    named = {item.arg: None for item in node.keywords if item.arg}
    signature.bind_partial(*(None for _ in node.args), **named)


@pytest.mark.parametrize("code", ["hd.runs('a')", "hd.run('a', worker=2)", "hd.run("])
def test_wrong_python_is_found(code: str) -> None:
    with pytest.raises((AssertionError, AttributeError, TypeError, SyntaxError)):
        test_python_of_the_pages_compiles_and_its_names_exist(Block("p.md", 1, "python", code, ""))


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block not in SHELL and block not in PYTHON], ids=str
)
def test_other_blocks_are_data_messages_or_marked_output(block: Block) -> None:
    if block.language == "text":
        shown = " ".join(block.text.split())
        assert block.marker.startswith("output of ") or matches_a_message(shown), (
            "no message of hela_dask: write <!-- output of COMMAND --> above it"
        )
    else:
        assert READERS[block.language](block.text)


def test_markers_stand_above_blocks_and_name_a_command() -> None:
    for block in BLOCKS:
        if block.marker.startswith("output of "):
            assert block.language == "text"
            _check_own(block.marker.removeprefix("output of ").split())


def test_pages_install_nothing_from_a_package_index() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"```text.*?```", "", text, flags=re.DOTALL)
        found = re.findall(r"pip install [^`\n#]*?['\" ]hela_dask(?! @)", text)
        assert not found, f"{page.name}: {found}"


def test_most_blocks_are_seen() -> None:
    fences = sum(page.read_text(encoding="utf-8").count("```") for page in PAGES)
    assert len(BLOCKS) == fences // 2 > 100
