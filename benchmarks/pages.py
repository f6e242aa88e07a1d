"""The pages of docs/ that show measurements, and the figures that other pages quote.

Each page is a Jinja template of ``templates/``, filled from docs/*.json; sections without
figures are left out. Figures in hand-written pages such as the README are in the sentences of
``quoted.toml``: each sentence has ``{}`` for a figure, and the Jinja expressions of its figures.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from benchmarks import comparison, results
from benchmarks.likeness import FIGURES
from benchmarks.robustness import LARGEST_FALL
from benchmarks.stacks import UNSEEN
from benchmarks.variants import cross_validation
from hela_dask.columns import CONTACT_COLUMNS, SHAPE_COLUMNS
from hela_dask.formatting import by_axis
from hela_dask.methods.names import METHODS
from hela_dask.statuses import OUTLINED

__all__ = ["PAGES", "Quote", "figure", "load_figures", "quotes", "render", "table", "write"]
__all__ += ["write_pages"]

PAGES = ("accuracy", "gallery", "measures", "methods", "performance", "reliability", "storage")
ROOT = results.DOCS.parent
SENTENCES = Path(__file__).parent / "quoted.toml"
FIGURE = r"([0-9a-f]{7}\b|\d+(?:[.,]\d+)*)"  # a commit, or a number

CLASS_NAMES = {
    "nucleus": "nucleus",
    "cell": "cell including nucleus",
    "cytoplasm": "cell excluding nucleus",
    "envelope": "nuclear envelope",
    "background": "background (resin)",
}


class _Missing(jinja2.ChainableUndefined):
    """A figure that no file has: empty in conditions and loops, an error where it is shown."""

    def __str__(self) -> str:
        return self._fail_with_undefined_error()


def load_figures(docs: Path = results.DOCS) -> dict[str, Any]:
    """All of docs/*.json, by the name of their file."""
    return {path.stem: results.read(path) for path in sorted(docs.glob("*.json"))}


def render(name: str, found: Mapping[str, Any] | None = None) -> str:
    """A page as Markdown.

    Parameters
    ----------
    name : str
        Of :data:`PAGES`.
    found : mapping, optional
        Figures as :func:`load_figures` returns them, which is the default.
    """
    values = load_figures() if found is None else found
    text = _environment().get_template(f"{name}.md").render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def write(name: str, found: Mapping[str, Any] | None = None, path: Path | None = None) -> None:
    """Write a page of docs/, or to another place."""
    (path or results.DOCS / f"{name}.md").write_text(render(name, found), encoding="utf-8")


def figure(expression: str, found: Mapping[str, Any]) -> str:
    """The value of a Jinja expression over the figures, as a page shows it.

    Raises
    ------
    KeyError
        When no file has the figure.
    """
    value = _environment().compile_expression(expression)(**found)
    if value in (None, ""):
        raise KeyError(f"no file in docs has {expression}")
    return str(value)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # Markdown: no value is escaped
        loader=jinja2.PackageLoader("benchmarks"),
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        by_axis=by_axis,
        change=lambda ratio: f"{100 * (ratio - 1):+.2f} %",
        fixed=fixed,
        in_order=dict.fromkeys,
        nth=nth,
        table=lambda section: table(section["rows"]),
    )
    environment.globals.update(
        CLASS_NAMES=CLASS_NAMES,
        CONTACT_COLUMNS=CONTACT_COLUMNS,
        FIGURES=FIGURES,
        LARGEST_FALL=LARGEST_FALL,
        METHODS=METHODS,
        OUTLINED=OUTLINED,
        SHAPE_COLUMNS=SHAPE_COLUMNS,
        UNSEEN=UNSEEN,
        comparison=comparison,
        cross_validation=cross_validation,
    )
    return environment


def fixed(value: Any, digits: int = 3, scale: float = 1.0) -> str:
    """A number with so many decimals; empty where there is none."""
    known = value is not None and not isinstance(value, jinja2.Undefined)
    return f"{value * scale:.{digits}f}" if known else ""


def nth(text: str, place: int = 1) -> float:
    """A number of a field of a table, the first is 1: 1.5 is the second of ``0.185 (1.5)``."""
    return float(re.findall(r"\d+(?:\.\d+)?", text)[place - 1])


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


@dataclass(frozen=True)
class Quote:
    """A sentence of a page that quotes figures.

    Parameters
    ----------
    page : str
        Path from the root of the project.
    text : str
        The words, with ``{}`` for each figure.
    figures : tuple of str
        The expression of each.
    """

    page: str
    text: str
    figures: tuple[str, ...]

    def pattern(self) -> re.Pattern[str]:
        """Matches the sentence with any figures and any line breaks."""
        words = [re.escape(part).replace(r"\ ", r"\s+") for part in self.text.split("{}")]
        return re.compile(FIGURE.join(words))

    def put(self, page: str, found: Mapping[str, Any]) -> str:
        """The page with the figures of docs/*.json.

        Raises
        ------
        ValueError
            When the page lacks the sentence.
        """
        match = self.pattern().search(page)
        if match is None:
            raise ValueError(f"{self.page} lacks {self.text!r}: mend it or benchmarks/quoted.toml")
        for place, expression in reversed(list(enumerate(self.figures, 1))):
            start, end = match.span(place)
            page = page[:start] + figure(expression, found) + page[end:]
        return page


def quotes() -> list[Quote]:
    """All sentences that quote figures."""
    found = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))
    return [
        Quote(page, row["text"], tuple(row["figures"]))
        for page, rows in found["pages"].items()
        for row in rows
    ]


def write_pages() -> None:
    """Write every page that differs from docs/*.json."""
    found = load_figures()
    for name in PAGES:
        _update(results.DOCS / f"{name}.md", render(name, found))
    for quote in quotes():
        path = ROOT / quote.page
        _update(path, quote.put(path.read_text(encoding="utf-8"), found))


def _update(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} written", flush=True)
