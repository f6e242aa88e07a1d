"""The messages of the package as patterns: texts of the source with anything for their values."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import hela_dask

__all__ = ["matches_a_message", "message_patterns"]

SHORTEST = 12
"""Letters of a text that are more than chance."""


@functools.cache
def message_patterns() -> tuple[re.Pattern[str], ...]:
    """A pattern for each text of the source with enough letters of its own."""
    return tuple(re.compile(text) for text in dict.fromkeys(map(_pattern, _source())) if text)


@functools.cache
def _source() -> tuple[tuple[str, ...], ...]:
    """All texts of the source: constant parts, and an empty one for each value."""
    found: dict[tuple[str, ...], None] = {}
    for path in sorted(Path(hela_dask.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found[tuple(map(_constant, node.values))] = None
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found[(node.value,)] = None
    return tuple(found)


def _constant(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else ""


def _pattern(parts: tuple[str, ...]) -> str:
    """A regular expression; empty for a text with few letters."""
    if sum(map(str.isalpha, "".join(parts))) < SHORTEST:
        return ""
    texts = (re.escape(" ".join(f"x{part}x".split())[1:-1]) for part in parts)
    return "".join(text.replace("%s", ".+").replace("%d", r"\d+") or ".*" for text in texts)


def matches_a_message(shown: str) -> bool:
    """True if a text of the source makes most of the message, or an example shows it."""
    matches = (pattern.search(shown) for pattern in message_patterns())
    if any(match and len(match[0]) > 0.8 * len(shown) for match in matches):
        return True
    return any(shown in " ".join(parts[0].split()) for parts in _source() if len(parts) == 1)
