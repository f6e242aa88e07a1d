"""The folder that MkDocs builds from: pages of docs/, files they link to, generated pages.

Links between pages stay right: a link to a file of the repository outside of docs/ leads to a copy
of that file, and a link into ``docs/usage.md`` to the page that now has the section.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from website.api import api_pages
from website.commands import command_pages
from website.parameters import parameter_tables
from website.splitting import anchor, headings, split_page

__all__ = ["FILES", "HOME", "ROOT", "Site", "place_of", "stage"]

ROOT = Path(__file__).parent.parent
FILES = "files"
"""Folder of the site with files of the repository outside of docs/."""
HOME = {
    "README.md": "index.md",
    "docs/README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deploy": "cluster_start.md",
    "deploy/README.md": "cluster_start.md",
    "examples/plugin": "plugin.md",
    "examples/plugin/README.md": "plugin.md",
    "examples/from_tiffs_to_overlays.ipynb": "tutorials/from_tiffs_to_figures.md",
}
"""Files and folders with a page of another name on the site."""
STYLE = "style.css"
OTHERS = ("CHANGELOG.md", "CONTRIBUTING.md", "deploy/README.md", "examples/plugin/README.md")
"""Pages of the repository outside of docs/ that are pages of the site."""

_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\)|\[[^\]]*\])*\]\()([^()\s]+)(\))")
_NAME = re.compile(r"^\[[\w/]+\.md\]\($")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


@dataclass
class Site:
    """The staged pages.

    Attributes
    ----------
    folder : Path
        The staged folder.
    places : dict
        The page of each anchor of ``docs/usage.md``.
    queue : list of str
        Files of the repository that a page links to.
    """

    folder: Path
    places: Mapping[str, str]
    queue: list[str] = field(default_factory=list)

    def write(self, page: str, text: str) -> None:
        """Write a page."""
        target = self.folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def relink(self, text: str, source: str, page: str) -> str:
        """The text with links that hold from `page` instead of from `source` in the repository."""

        def put(match: re.Match[str]) -> str:
            target = match[2]
            if "://" in target or target.startswith("mailto:"):
                return match[0]
            begin = _NAME.sub(lambda _: f"[{_title(target, source)}](", match[1])
            return begin + self._moved(target, source, page) + match[3]

        parts = _CODE.split(text)
        return "".join(
            part if number % 2 and part.startswith("```") else _LINK.sub(put, part)
            for number, part in enumerate(_joined(parts))
        )

    def _moved(self, target: str, source: str, page: str) -> str:
        path, _, mark = target.partition("#")
        if source.endswith(".ipynb") and path == posixpath.basename(source):
            return target  # the notebook itself, beside its page
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(source), path or "."))
        if not path:
            whole = source
        if whole == "docs/usage.md":
            place = f"{self.places.get(mark, 'usage')}.md"
            first = mark and self.places.get(mark) != "usage" and _begins(mark, self.places)
            mark = "" if first else mark
        else:
            place = place_of(whole)
            if place.startswith(f"{FILES}/") and whole not in self.queue:
                self.queue.append(whole)
        if place == page and mark:
            return f"#{mark}"
        relative = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{relative}#{mark}" if mark else relative


def _title(target: str, source: str) -> str:
    """The title of a page of the repository, which reads better than the name of its file."""
    path, _, mark = target.partition("#")
    text = (ROOT / posixpath.dirname(source) / path).read_text(encoding="utf-8")
    titles = {anchor(title): title for _, _, title in headings(text)}
    return titles.get(mark) or next(iter(titles.values()))


def _joined(parts: list[str]) -> list[str]:
    """Texts and fenced blocks in turn: code in a line is part of its text again."""
    found = [""]
    for number, part in enumerate(parts):
        if number % 2 and part.startswith("```"):
            found += [part, ""]
        else:
            found[-1] += part
    return found


def _begins(mark: str, places: Mapping[str, str]) -> bool:
    """True if an anchor is the first of its page, which has no need of it."""
    return next(key for key, name in places.items() if name == places[mark]) == mark


def place_of(path: str) -> str:
    """Path on the site of a file or folder of the repository."""
    if path in HOME:
        return HOME[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/").replace(".ipynb", ".md")
    return f"{FILES}/{path}"


def stage(folder: Path) -> Site:
    """Write the folder of sources of the site, without the tutorials.

    Parameters
    ----------
    folder
        Where to; pages of an earlier call are removed.

    Returns
    -------
    Site
        The staged pages.

    Raises
    ------
    FileExistsError
        When the folder holds other files.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / STYLE).exists():
        raise FileExistsError(f"{folder} holds other files: name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    docs = ROOT / "docs"
    usage, places = split_page((docs / "usage.md").read_text(encoding="utf-8"), "usage")
    site = Site(folder, places)
    for path in sorted(docs.rglob("*")):
        name = path.relative_to(docs).as_posix()
        if path.is_dir() or path.suffix == ".ipynb" or path.name.startswith("."):
            continue
        if path.suffix != ".md":
            _copy(path, folder / name)
        elif name != "usage.md":
            text = path.read_text(encoding="utf-8")
            if name == "messages.md":
                text = text.replace("```text\n", "``` {.text .message}\n")  # see style.css
            site.write(name, site.relink(text, f"docs/{name}", name))
    for name, text in usage.items():
        site.write(f"{name}.md", site.relink(text, "docs/usage.md", f"{name}.md"))
    for source in OTHERS:
        text = (ROOT / source).read_text(encoding="utf-8")
        site.write(HOME[source], site.relink(text, source, HOME[source]))
    _add_files(site)
    _add_generated(site)
    _copy(Path(__file__).parent / STYLE, folder / STYLE)
    return site


def _add_files(site: Site) -> None:
    """Copy the files of the repository that pages link to, and those that these link to."""
    for name in site.queue:  # grows
        path = ROOT / name
        if path.is_dir():
            raise FileNotFoundError(f"a page links to the folder {name}: name one of its files")
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            site.write(place_of(name), site.relink(text, name, place_of(name)))
        else:
            _copy(path, site.folder / place_of(name))


def _add_generated(site: Site) -> None:
    for page, text in {**api_pages(), **command_pages()}.items():
        site.write(page, text)
    section = (site.folder / "parameters.md").read_text(encoding="utf-8")
    site.write("parameters.md", f"{section}\n{parameter_tables()}")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
