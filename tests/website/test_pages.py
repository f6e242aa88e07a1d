"""The generated pages: parameters, commands, the Python interface, and pages cut out of one."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import hela_dask as hd
from tests.website.blocks import PAGES, ROOT
from website.__main__ import navigation
from website.api import GROUPS, api_pages, ungrouped
from website.commands import command_pages, commands
from website.parameters import parameter_tables, split_unit
from website.splitting import anchor, headings, split_page
from website.staging import place_of, stage
from website.tutorials import write_tutorials


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "docs"
    write_tutorials(folder / "tutorials", run=False, relink=stage(folder).relink)
    return folder


def _pages_of(nav: list[Any]) -> list[str]:
    """The pages of a navigation."""
    found: list[str] = []
    for entry in nav:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            found += _pages_of(value) if isinstance(value, list) else [value]
    return found


@pytest.mark.parametrize(
    ("doc", "unit", "meaning"),
    [
        ("minimum area of a nucleus, µm²", "µm²", "minimum area of a nucleus"),
        (
            "pixel size, nm; smaller pixels are averaged",
            "nm",
            "pixel size; smaller pixels are averaged",
        ),
        (
            "extent beyond the border, nm (published: 0)",
            "nm",
            "extent beyond the border (published: 0)",
        ),
        ("share of a basin, at most", "", "share of a basin, at most"),
    ],
)
def test_the_unit_of_a_parameter_is_split_from_its_meaning(
    doc: str, unit: str, meaning: str
) -> None:
    assert split_unit(doc) == (unit, meaning)


def test_the_table_has_every_parameter_with_its_default_and_unit() -> None:
    text = parameter_tables()
    for name, group in hd.Parameters().groups().items():
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        for item in dataclasses.fields(group):  # type: ignore[arg-type]
            (row,) = (
                line for line in section.splitlines() if line.startswith(f"| `{item.name}` |")
            )
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            assert len(cells) == 4
            assert cells[1] in (f"`{item.default}`", "empty")
            assert (cells[2] == "") == (not re.search(r", (nm|µm²|µm³)\b", item.metadata["doc"]))


def test_every_command_has_a_page_with_each_option_and_its_example() -> None:
    pages = command_pages()
    for name, command in commands().items():
        text = pages[f"commands/{name.replace(' ', '_')}.md"]
        assert f"\nhela-dask {name}" in text.split("## Example")[1]
        for item in command.params:
            shown = item.opts[0] if item.param_type_name == "option" else item.metavar.strip("[]")
            assert f"\n`{shown}" in text
        assert f"({name.replace(' ', '_')}.md)" in pages["commands/index.md"]


def test_required_and_default_values_are_shown() -> None:
    text = command_pages()["commands/figure.md"]
    assert re.search(r"`--out FIGURE.pdf`\n: {3}[^\n]* Required\.", text)
    assert re.search(r"`--dpi N`\n: {3}[^\n]* Default: `300`\.", text)
    assert "`--raw`\n:   Also show the image without labels, on the left.\n" in text


def test_every_public_name_is_on_one_page_of_the_interface() -> None:
    text = "\n".join(api_pages().values())
    names = re.findall(r"^::: hela_dask\.(\w+)$", text, re.MULTILINE)
    assert sorted(names) == sorted(set(hd.__all__) - {"__version__"})
    assert ungrouped() == [], "give these names a group in website/api.py"
    assert all(group.text.endswith(".") for group in GROUPS.values())


def test_a_page_is_cut_at_its_headings() -> None:
    text = "# All\na\n## One\nb\n### Inner\n```\n## no heading\n```\n### Two\nc\n## Rest\nd\n"
    pages, places = split_page(text, "rest", {"One": "one", "Two": "two"})
    assert pages == {
        "rest": "# All\na\n## Rest\nd\n",
        "one": "# One\nb\n## Inner\n```\n## no heading\n```\n",
        "two": "# Two\nc\n",
    }
    assert places == {"all": "rest", "one": "one", "inner": "one", "two": "two", "rest": "rest"}
    with pytest.raises(ValueError, match="Three"):
        split_page(text, "rest", {"Three": "three"})


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("The cells table", "the-cells-table"),
        ("A.0 The working level", "a0-the-working-level"),
        ("`hela-dask` and [a link](a.md)", "hela-dask-and-a-link"),
        ("A - B", "a---b"),
    ],
)
def test_anchors_are_those_of_the_site(title: str, found: str) -> None:
    assert anchor(title) == found


def test_links_lead_to_the_page_that_has_the_section(staged: Path) -> None:
    index = (staged / "index.md").read_text(encoding="utf-8")
    assert "(confidence.md)" in index
    assert "(volumes.md#formats)" in index
    assert "usage.md#confidence" not in index
    runs = (staged / "runs.md").read_text(encoding="utf-8")
    assert runs.startswith("# Runs\n")
    assert "(files/examples/own_client.py)" in (staged / "usage.md").read_text(encoding="utf-8")
    assert (staged / "files/examples/own_client.py").is_file()


def test_a_link_with_the_name_of_a_file_gets_the_title_of_its_page(staged: Path) -> None:
    text = (staged / "clusters.md").read_text(encoding="utf-8")
    assert "[Watching a run](watching.md) shows how far" in text
    assert ".md](" not in text


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="holds other files"):
        stage(tmp_path)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_links_in_code_stay_as_they_are(staged: Path) -> None:
    """A block is copied, not rewritten."""
    before = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    after = (staged / "clusters.md").read_text(encoding="utf-8")
    fenced = re.compile(r"```.*?```", re.DOTALL)
    assert fenced.findall(after) == fenced.findall(before)


def test_every_link_of_the_staged_pages_leads_to_a_file_and_a_heading(staged: Path) -> None:
    count = 0
    for page in sorted(staged.rglob("*.md")):
        for target in _links(page):
            path, _, mark = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name} links to {target}"
            if mark and file.suffix == ".md":
                assert mark in _anchors(file), f"{page.name} links to {target}"
            count += 1
    assert count > 200


def test_every_anchor_of_the_repository_exists() -> None:
    for page in [*PAGES, *(ROOT / "docs/tutorials").glob("*.ipynb")]:
        for target in _links(page):
            path, _, mark = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name} links to {target}"
            if mark and file.suffix == ".md":
                assert mark in _anchors(file), f"{page.name} links to {target}"


def _links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "code", text)
    found = re.findall(r"\]\(([^()\s]+)\)", text)
    return [target for target in found if "://" not in target]


def _anchors(page: Path) -> set[str]:
    return {anchor(title) for _, _, title in headings(page.read_text(encoding="utf-8"))}


def test_the_navigation_has_every_page_once(staged: Path) -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.load(text, Loader=_Loader)["nav"]
    pages = _pages_of(navigation(nav))
    assert len(pages) == len(set(pages))
    there = {path.relative_to(staged).as_posix() for path in staged.rglob("*.md")}
    unlisted = {page for page in there if page.startswith("files/")}
    assert there - set(pages) <= unlisted, "add these pages to nav in mkdocs.yml"
    assert set(pages) <= there


class _Loader(yaml.SafeLoader):
    """Reads the tag of Python in ``mkdocs.yml`` as nothing."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def test_the_site_has_no_address_of_a_font_or_a_script() -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loader)
    assert settings["theme"]["font"] is False
    assert settings["strict"] is True
    assert not [path for path in settings.get("extra_javascript", []) if "://" in path]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("docs/glossary.md", "glossary.md"),
        ("docs/tutorials/write_a_method.ipynb", "tutorials/write_a_method.md"),
        ("CHANGELOG.md", "changelog.md"),
        ("deploy", "cluster_start.md"),
        ("deploy/slurm.yaml", "files/deploy/slurm.yaml"),
    ],
)
def test_each_file_has_a_place_on_the_site(path: str, place: str) -> None:
    assert place_of(path) == place
