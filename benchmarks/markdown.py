"""Tables and numbers of the pages that are made from measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["number", "page", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many digits after the point; nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def page(parts: Iterable[Sequence[str]]) -> str:
    """Sections put together; those without a line are left out."""
    return "\n\n".join("\n".join(part).strip() for part in parts if part) + "\n"
