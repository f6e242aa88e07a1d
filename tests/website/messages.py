"""The messages of the package as patterns: texts of the source with anything for their values."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import hela_dask

__all__ = ["matches_a_message", "message_patterns"]

SHORTEST = 12
"""Letters of a text that are more than chance."""


@functools.cache
def message_patterns() -> tuple[re.Pattern[str], ...]:
    """A pattern for each text of the source with enough letters of its own."""
    found: dict[str, None] = {}
    for path in sorted(Path(hela_dask.__file__).parent.rglob("*.py")):
        for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            found[text] = None
    return tuple(re.compile(text) for text in found)


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.JoinedStr):
            parts = node.values
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [node]
        pattern, letters = "", 0
        for part in parts:
            if isinstance(part, ast.Constant):
                text = " ".join(f"x{part.value}x".split())[1:-1]
                letters += sum(map(str.isalpha, text))
                pattern += re.escape(text).replace("%s", ".+").replace("%d", r"\d+")
            else:
                pattern += ".*"
        if letters >= SHORTEST:
            yield pattern


def matches_a_message(shown: str) -> bool:
    """True if a text of the source makes the whole message, or most of it."""
    for pattern in message_patterns():
        match = pattern.search(shown)
        if match and len(match[0]) > 0.8 * len(shown):
            return True
    return False
