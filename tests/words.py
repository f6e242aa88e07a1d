"""Check identifiers and prose for words that a reader outside this project would not understand.

``python -m tests.words`` lists each with its file, its line and a plain replacement; the exit code
is 1 if there is any. Identifiers are tokens of the code; prose is docstrings, comments, the
descriptions of parameters, and Markdown outside code blocks.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

__all__ = ["IDENTIFIERS", "PHRASES", "check_code", "check_prose"]

ROOT = Path(__file__).parent.parent

IDENTIFIERS = {
    "knob": "parameter",
    "knobs": "parameters",
    "told": "the value itself",
    "said": "text, message",
    "wish": "request",
    "spoken": "the title",
    "stray": "small piece",
    "judge": "score, evaluate",
    "yields": "cedes_to",
    "yielded": "ceded",
    "decided": "coarse",
    "upright": "normalise_polarity",
    "complain": "echo_error",
    "tired": "should_stop",
    "whose": "owner",
    "weighed": "fuse",
    "leftovers": "unclaimed",
    "smears": "charging_artefacts",
    "absorb": "merge",
    "hopeless": "failed",
}
"""Whole words of an identifier (parts between underscores) and what to write instead."""

_LIKELY = re.compile("|".join(IDENTIFIERS), re.IGNORECASE)

_UNIT = r"(?:row|task|file|line|number|process|thread|label|marker|slab|page|picture|map)s?"
_OF = r"(?:cell|slice|task|class|method|worker|thread|core|stage|detection|unit|step|voxel)s?"
PHRASES = {
    r"knobs?": "parameter",
    r"of (?:one's|its|their|your) own": "separate, existing",
    r"(?:comes?|came) along": "is included",
    r"(?:tells?|told|telling)": "predicts, returns, distinguishes, reports",
    r"(?:says?|said|saying)": "states, contains, returns, reports",
    r"whose": "with, of which",
    r"(?:goes|go|going|gone|went) on": "continues",
    r"(?:which|other) way round": "polarity, reverse",
    r"how hard": "cost",
    r"witness(?:es)?": "source",
    r"strays?": "small piece",
    r"leftovers?": "unclaimed tissue",
    r"smears?": "charging artefact",
    r"part(?:ed|ing)": "split, separated",
    r"nobody|somebody": "no process, another user",
    rf"{_UNIT} an? {_OF}": "per",
    r"judg(?:es?|ed|ing)": "score, evaluate",
    r"decided on": "computed, segmented",
    r"what (?:is|was|are|were|has|have|had|lies|most|each|one|the|a|an|it|they)": "the noun itself",
}
"""Phrases of prose, as regular expressions of whole words, and what to write instead."""

_PROSE = {
    phrase: (re.compile(rf"\b(?:{phrase})\b".replace(" ", r"[\s#]+"), re.IGNORECASE), instead)
    for phrase, instead in PHRASES.items()
}
_SKIPPED = (
    *("CHANGELOG.md", "hela_dask/unet/shipped/card.md"),
    *("tests/words.py", "tests/test_words.py"),
)


def check_code(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, identifier and replacement of each identifier with a word of :data:`IDENTIFIERS`."""
    if not _LIKELY.search(text):  # a word of an identifier is a part of the text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            for word in re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", token.string).lower()):
                if word in IDENTIFIERS:
                    yield token.start[0], token.string, IDENTIFIERS[word]


def check_prose(text: str, first: int = 1) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and replacement of each of :data:`PHRASES` in a text, without its code."""
    text = re.sub(
        r"\{[{%].*?[%}]\}|``.*?``|`[^`\n]*`|\"[^\"\n]*\"", lambda m: " " * len(m[0]), text
    )
    for pattern, instead in _PROSE.values():
        for match in pattern.finditer(text):
            yield first + text.count("\n", 0, match.start()), " ".join(match[0].split()), instead


def _prose_of_code(text: str) -> Iterator[tuple[int, str]]:
    """First line and text of each docstring and each block of comments."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != last + 1:
                yield first, "\n".join(block)
                block = []
            first = first if block else token.start[0]
            last = token.start[0]
            block.append(token.string)
        elif token.type == tokenize.STRING and token.string.lstrip("rR").startswith('"""'):
            yield token.start[0], token.string.replace('"""', "   ")
    if block:
        yield first, "\n".join(block)


def _check(name: str) -> Iterator[tuple[int, str, str]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        yield from check_code(text)
        if not name.startswith("tests/"):
            for first, prose in _prose_of_code(text):
                yield from check_prose(prose, first)
    else:
        blank = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
        yield from check_prose(blank)


def main() -> int:
    """Print what was found; 1 if anything was."""
    files = subprocess.run(
        ["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    found = [
        f"{name}:{line}: {word!r}: write {instead}"
        for name in files
        if name not in _SKIPPED
        for line, word, instead in sorted(_check(name))
    ]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
