"""Files of ``deploy`` and the pages beside them: commands, options, names and images."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hela_dask.cli import app
from hela_dask.tasks.cluster import checking, measuring, read_cluster
from hela_dask.tasks.cluster.shapes import OPTIONS, SchedulerOptions
from hela_dask.tasks.cluster.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# The command itself, and the image that starts it.
_COMMAND = re.compile(r"(hela-dask|hela_dask\.sif(?= +run )) +([a-z]\S*.*)")
_END = re.compile(r"[`|>;&#\"]|'$")


def _commands() -> dict[str, set[str]]:
    """The options of each command."""
    top: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        found.update(
            {f"{name} {key}": to for key, to in inner.items()} if inner else {name: command}
        )
    return {
        name: {option for item in command.params for option in item.opts} | {"--help", "-h"}
        for name, command in found.items()
    }


def command_lines(text: str) -> Iterator[tuple[str, str]]:
    """Command and rest of each line that starts hela-dask; the command is empty if unknown."""
    known = _commands()
    text = re.sub(r"\\+\n[ #/]*", " ", text)  # continued lines
    text = re.sub(r'"\n(?: *#.*\n)* *"', "", text)  # strings of Python that are joined
    for match in _COMMAND.finditer(text):
        rest = _END.split(match[2])[0]
        words = rest.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in known), "")
        yield name, rest


def test_command_lines_are_found() -> None:
    text = "\n".join(
        [
            "# hela-dask run a.zarr \\",
            "#     --out b --worker 3 | jq --raw",
            "`hela-dask cluster check x --json`",
            '"hela-dask plan x"',
            '  " --no-time && x --true"',
            "srun x.sif",
            "srun hela_dask.sif run --cluster y",
        ]
    )
    assert [(name, re.findall(r"--[\w-]+", rest)) for name, rest in command_lines(text)] == [
        ("run", ["--out", "--worker"]),
        ("cluster check", ["--json"]),
        ("plan", ["--no-time"]),
        ("run", ["--cluster"]),
    ]


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_command_lines_have_options_that_exist(path: Path) -> None:
    options = _commands()
    for name, rest in command_lines(path.read_text(encoding="utf-8")):
        if path in PAGES and not name:
            continue  # prose about the program
        assert name, f"no command of hela-dask: {rest}"
        unknown = set(re.findall(r"(?<!\S)--[a-z][\w-]*", rest)) - options[name]
        assert not unknown, f"hela-dask {name} has no {unknown}: {rest}"


@pytest.mark.parametrize(
    "name", ["README.md", "Snakefile", "hela_dask.nf", "mpi.sh", "slurm-runner.sbatch"]
)
def test_these_files_start_a_run(name: str) -> None:
    found = [to for to, _ in command_lines((DEPLOY / name).read_text(encoding="utf-8"))]
    assert "run" in found


def test_the_page_names_each_file_and_only_those() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \|", text, re.MULTILINE)
    assert all(name == target for name, target in rows)
    files = [path.relative_to(DEPLOY).as_posix() for path in FILES]
    assert sorted(name for name, _ in rows) == [name for name in files if name != "README.md"]


@pytest.mark.parametrize("path", [DEPLOY / "README.md", *PAGES], ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_pages_of_clusters_lead_to_this_folder() -> None:
    for page, target in [("README.md", "deploy/README.md"), ("clusters.md", "../deploy/README.md")]:
        (path,) = (path for path in PAGES if path.name == page)
        assert f"({target})" in path.read_text(encoding="utf-8")


def test_both_images_install_the_same_from_the_lock() -> None:
    install = r"pip install (.*\"\.\[.*\]\")"
    texts = [(DEPLOY / name).read_text("utf-8") for name in ("Dockerfile", "apptainer.def")]
    (first,), (second,) = (re.findall(install, text) for text in texts)
    assert first == second and "--constraint requirements.lock" in first
    extras = set(re.findall(r"\[(.*)\]", first)[0].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras <= set(project["optional-dependencies"])
    (first,), (second,) = (re.findall(r"python:[\w.-]+", text) for text in texts)
    assert first == second


def test_the_image_of_docker_starts_any_command() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert "ENTRYPOINT" not in text and 'CMD ["hela-dask",' in text, (
        "Kubernetes gives arguments only"
    )


def test_the_build_context_has_only_the_files_that_images_copy() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.M)
    assert kept == set(" ".join(copied).split())
    section = (DEPLOY / "apptainer.def").read_text("utf-8").split("%files")[1].split("%post")[0]
    assert kept == {line.split()[0] for line in section.splitlines() if line.strip()}
    assert all((ROOT / name).exists() for name in kept)


def _first_column(heading: str) -> str:
    """The first column of the table in a section of docs/clusters.md."""
    text = (ROOT / "docs/clusters.md").read_text("utf-8")
    section = re.split(r"^#{2,3} ", text.split(f" {heading}\n")[1], flags=re.MULTILINE)[0]
    return "\n".join(re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE))


@pytest.mark.parametrize("scheduler", OPTIONS)
def test_each_option_is_explained_in_the_file_of_its_scheduler_or_in_the_table(
    scheduler: str,
) -> None:
    text = (DEPLOY / f"{scheduler}.yaml").read_text("utf-8")
    known = set(re.findall(r"^\s*(?:# )?(\w+):(?: |$)", text, re.MULTILINE))
    options = set(OPTIONS[scheduler].model_fields)
    if scheduler in SYSTEMS:
        known |= set(re.findall(r"`([\w.]+)`", _first_column("Further options")))
        options |= {f"scheduler_options.{name}" for name in SchedulerOptions.model_fields}
    assert options - known == set()


def test_the_table_of_further_options_has_only_those_that_exist() -> None:
    listed = re.findall(r"`([\w.]+)`", _first_column("Further options"))
    known = {name for shape in OPTIONS.values() for name in shape.model_fields}
    known |= {f"scheduler_options.{name}" for name in SchedulerOptions.model_fields}
    assert len(listed) == len(set(listed)) > 15
    assert set(listed) <= known


@pytest.mark.parametrize("scheduler", OPTIONS)
def test_the_examples_in_comments_are_accepted(scheduler: str, tmp_path: Path) -> None:
    text = (DEPLOY / f"{scheduler}.yaml").read_text("utf-8")
    examples = [
        (name, value)
        for name, value in re.findall(r"^  # (\w+): (.+)$", text, re.MULTILINE)
        if name in OPTIONS[scheduler].model_fields
    ]
    assert examples
    for name, value in examples:
        found = yaml.safe_load(text)
        found["options"][name] = yaml.safe_load(value)
        path = tmp_path / "cluster.yaml"
        path.write_text(yaml.safe_dump(found), "utf-8")
        assert name in read_cluster(path).options


def test_the_page_lists_the_rows_of_a_check() -> None:
    listed = re.findall(r"`([\w ]+)`", _first_column("Check a cluster first"))
    source = "".join(Path(str(part.__file__)).read_text("utf-8") for part in (checking, measuring))
    made = re.findall(r"\b(?:Row|ok|warn|fail|ask)\(\s*\"([\w ]+)\"", source)
    assert "submission" not in made, "its name depends on the cluster"
    assert set(listed) == {*made, "submission", "scheduler"} and len(listed) > 15


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("slurm*")), ids=lambda path: path.name)
def test_logs_of_jobs_need_no_folder_that_slurm_does_not_make(path: Path) -> None:
    outputs = re.findall(r"^#SBATCH --(?:output|error)=(.+)$", path.read_text("utf-8"), re.M)
    assert bool(outputs) == (path.suffix != ".yaml")
    assert not [name for name in outputs if "/" in name]


def test_targets_of_prometheus_are_a_list_where_a_run_serves_none() -> None:
    paths = [DEPLOY / "README.md", DEPLOY / "monitoring/prometheus.yaml"]
    for path in (*paths, ROOT / "docs/watching.md"):
        assert "{targets: (.metrics // [])}" in path.read_text("utf-8")
