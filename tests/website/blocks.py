"""The fenced code blocks of the pages, with their language and their marker."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "commands_of", "find_blocks"]

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md")),
    ROOT / "examples/plugin/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*?) -->\n+)?^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)"
    r"^(?P=indent)```\s*?$",
    re.DOTALL | re.MULTILINE,
)
_STARTERS = {"srun", "mpirun", "env", "time"}


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes
    ----------
    page : str
        Path from the root of the project.
    line : int
        Its first line in the page, from 1.
    language : str
        After the fence; empty for a shell.
    text : str
    marker : str
        The comment above it: ``output of COMMAND``, or ``not run: REASON``.
    """

    page: str
    line: int
    language: str
    text: str
    marker: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def find_blocks(path: Path) -> list[Block]:
    """All code blocks of a page."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    return [
        Block(
            name,
            text.count("\n", 0, match.start("text")) + 1,
            match["language"].strip(),
            match["text"],
            match["marker"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def commands_of(text: str) -> list[list[str]]:
    """The words of each command of a shell: lines that a backslash joins, parts of a pipe."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        lexer.escape = ""  # a path of Windows
        for word in [*lexer, "|"]:
            if set(word) <= set("|&;"):
                if words:
                    found.append(words)
                words = []
            else:
                words.append(word)
    return [_without_start(words) for words in found]


def _without_start(words: list[str]) -> list[str]:
    """A command without variables before it, and without the program that starts it."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words and words[0] in _STARTERS and "hela-dask" in words:
        words = words[words.index("hela-dask") :]
    return words
