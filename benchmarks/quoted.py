"""Figures that README and docs quote in their sentences, and the place of each in docs/*.json.

``quoted.toml`` lists the sentences, with ``{}`` for each figure. A sentence is found in its page
whatever its line breaks, so that its figures can be compared with the JSON and replaced.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import results

__all__ = ["Quote", "disagreements", "kept", "lookup", "put", "quotes"]

SENTENCES = Path(__file__).parent / "quoted.toml"
NUMBER = r"\d+(?:\.\d+)?"
FIGURE = r"([0-9a-f]{7}\b|\d+(?:[.,]\d+)*)"  # a commit, or a number


@dataclass(frozen=True)
class Quote:
    """Words of a page with their figures.

    Parameters
    ----------
    page : str
        Path from the root of the project.
    text : str
        The words, with ``{}`` for each figure.
    figures : tuple of str
        ``FILE:KEY/KEY/... FORMAT`` for each, as in ``accuracy:otsu/1-180/ji .3f``; ``#2`` after the
        keys is the second number of a text, two places with `` ~ `` between them are a quotient,
        and of alternatives with `` or `` between them the first that is kept counts.
    """

    page: str
    text: str
    figures: tuple[str, ...]

    def pattern(self) -> re.Pattern[str]:
        """Matches the sentence with any figures and any line breaks."""
        words = [re.escape(part).replace(r"\ ", r"\s+") for part in self.text.split("{}")]
        return re.compile(FIGURE.join(words))


def quotes(path: Path = SENTENCES) -> list[Quote]:
    """All sentences that quote figures."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Quote(page, row["text"], tuple(row["figures"]))
        for page, rows in found["pages"].items()
        for row in rows
    ]


def kept(docs: Path = results.DOCS) -> dict[str, Any]:
    """All figures, by the name of their file."""
    return {path.stem: results.read(path) for path in sorted(docs.glob("*.json"))}


def lookup(figure: str, found: Mapping[str, Any]) -> str:
    """A figure as the pages show it.

    Raises
    ------
    KeyError
        When no file has it.
    """
    for one in figure.split(" or "):
        *operands, form = one.replace(" ~ ", "~").rsplit(" ", 1)
        values = [_value(place, found) for place in operands[0].split("~")]
        if None in values:
            continue
        if form == "s":
            return str(values[0])
        numbers = [int(value) if form.endswith("d") else float(value) for value in values]
        return format(numbers[0] / numbers[1] if len(numbers) == 2 else numbers[0], form)
    raise KeyError(f"no file in docs has {figure}")


def _value(place: str, found: Mapping[str, Any]) -> Any:
    place, _, nth = place.partition("#")
    name, path = place.split(":", 1)
    value = _at(found.get(name), path.split("/"))
    return re.findall(NUMBER, value)[int(nth or 1) - 1] if _is_figure(value) else value


def _is_figure(value: Any) -> bool:
    """Whether it is the text of a table's field, which begins with a number."""
    return isinstance(value, str) and re.fullmatch(rf"{NUMBER}( \({NUMBER}\))?", value) is not None


def _at(node: Any, keys: Sequence[str]) -> Any:
    """What is at the end of a path; a key may hold slashes itself. None where there is nothing."""
    if not keys:
        return node
    if isinstance(node, list):
        at = int(keys[0])
        return _at(node[at], keys[1:]) if at < len(node) else None
    if isinstance(node, Mapping):
        for end in range(len(keys), 0, -1):
            if (key := "/".join(keys[:end])) in node:
                return _at(node[key], keys[end:])
    return None


def disagreements(quote: Quote, page: str, found: Mapping[str, Any]) -> list[str]:
    """What the page has instead of the figures that are kept; empty where it has these."""
    match = quote.pattern().search(page)
    if match is None:
        return [f"{quote.page} lacks {quote.text!r}: write it as benchmarks/quoted.toml has it"]
    return [
        f"{quote.page} has {shown}, {figure} is {expected}"
        for shown, figure in zip(match.groups(), quote.figures, strict=True)
        if shown != (expected := lookup(figure, found))
    ]


def put(quote: Quote, page: str, found: Mapping[str, Any]) -> str:
    """The page with the figures that are kept; unchanged where it lacks the sentence."""
    match = quote.pattern().search(page)
    if match is None:
        return page
    for at, figure in reversed(list(enumerate(quote.figures, 1))):
        start, end = match.span(at)
        page = page[:start] + lookup(figure, found) + page[end:]
    return page
