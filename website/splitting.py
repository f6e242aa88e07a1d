"""One long page becomes several: ``docs/usage.md`` on the site has a page per task."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["SECTIONS", "anchor", "headings", "split_page"]

SECTIONS = {
    "Volumes": "volumes",
    "The cost of a run": "cost",
    "Runs": "runs",
    "The report": "report",
    "A wrong centre": "wrong_centre",
    "The cells table": "cells_table",
    "Confidence": "confidence",
    "Shapes and contacts of any labels": "measuring",
    "Explaining a border": "explaining",
    "Which method": "which_method",
    "Parameters": "parameters",
    "Scores": "scores",
    "Training a network": "training",
    "Using a network": "networks",
    "Synthetic volumes": "phantoms",
}
"""Headings of ``docs/usage.md`` that begin a page, and the names of these pages."""

_HEADING = re.compile(r"^(#{1,6}) (.+)$")


def anchor(title: str) -> str:
    """The id of a heading, as the site and Git servers make it.

    Parameters
    ----------
    title
        Text of the heading in Markdown.

    Returns
    -------
    str
        Lower case, without marks and punctuation, blanks as hyphens.
    """
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def headings(text: str) -> list[tuple[int, int, str]]:
    """Number of the line from 0, level and title of each heading outside of code blocks."""
    found, inside = [], False
    for number, line in enumerate(text.splitlines()):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and (match := _HEADING.match(line)):
            found.append((number, len(match[1]), match[2].strip()))
    return found


def split_page(
    text: str, rest: str, sections: Mapping[str, str] = SECTIONS
) -> tuple[dict[str, str], dict[str, str]]:
    """Cut sections out of a page.

    Parameters
    ----------
    text
        The page in Markdown.
    rest
        Name of the page for everything that no section holds.
    sections
        Titles of headings, and the names of the pages that they begin. A section ends at a heading
        of its level or above, or at another of these titles.

    Returns
    -------
    tuple of dict
        Pages by name, each with its first heading on level 1; and the page of each anchor.

    Raises
    ------
    ValueError
        When the page lacks one of the titles.
    """
    lines = text.splitlines()
    at = {number: (level, title) for number, level, title in headings(text)}
    if missing := set(sections) - {title for _, title in at.values()}:
        raise ValueError(f"no heading {', '.join(sorted(missing))}")
    pages: dict[str, list[str]] = {rest: []}
    places: dict[str, str] = {}
    name, begun = rest, 1
    for number, line in enumerate(lines):
        if number in at:
            level, title = at[number]
            if title in sections:
                name, begun = sections[title], level
                pages[name] = []
            elif level <= begun and name != rest:
                name, begun = rest, 1
            places[anchor(title)] = name
            line = f"{'#' * max(1, level - begun + 1)} {title}"  # noqa: PLW2901
        pages[name].append(line)
    return {key: "\n".join(part).strip() + "\n" for key, part in pages.items()}, places
