"""Numbers and names as text: lengths by axis, bytes, seconds, names that are not UTF-8."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from itertools import permutations
from typing import TypeVar

__all__ = [
    "by_axis",
    "counted",
    "fit_lines",
    "listed",
    "number_runs",
    "printable",
    "similar_name",
    "size_text",
    "swapped_axes",
    "time_text",
    "were",
]

Number = TypeVar("Number", int, Decimal, int | Decimal)


def by_axis(lengths: Sequence[float | None]) -> str:
    """A shape, or lengths: 300 x 500 x 500, 50 x 40.5 x 40.5; ``?`` where one is not known."""
    return " x ".join("?" if length is None else f"{length:.7g}" for length in lengths)


def similar_name(name: object, known: Collection[str], what: str = "known") -> str:
    """A hint for an unknown name: the most similar known one, or all of them after `what`.

    Examples
    --------
    >>> similar_name("spacings", ["spacing", "size"])
    "did you mean 'spacing'?"
    >>> similar_name("blur", ["spacing", "size"])
    'known: spacing, size'
    """
    close = difflib.get_close_matches(str(name)[:80], list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"{what}: {', '.join(known) or 'none'}"


def were(number: int) -> str:
    """The verb after a counted noun: was, or were."""
    return "was" if number == 1 else "were"


def swapped_axes(shape: Sequence[float], wanted: Sequence[float]) -> str:
    """A hint for an error, where a shape has the lengths of the wanted one in another order.

    Parameters
    ----------
    shape, wanted : sequence of int
        Voxels along z, y, x, or along y, x.

    Returns
    -------
    str
        ``"; its axes look swapped: …"`` with the order that fits; empty where none does.

    Examples
    --------
    >>> swapped_axes((60, 50, 8), (8, 50, 60))
    '; its axes look swapped: the axes are in the order x, y, z; transpose the array to z, y, x'
    """
    names = "zyx"[-len(wanted) :]
    if tuple(shape) == tuple(wanted) or sorted(shape) != sorted(wanted):
        return ""
    # Of orders that fit, as where two lengths are equal, the reverse one is the commonest slip.
    orders = sorted(permutations(range(len(wanted))), reverse=True)
    order = next(order for order in orders if [wanted[k] for k in order] == list(shape))
    found = ", ".join(names[k] for k in order)
    return (
        f"; its axes look swapped: the axes are in the order {found}; transpose the array to "
        f"{', '.join(names)}"
    )


def counted(number: int, noun: str) -> str:
    """A number of things: 1 cell, 3 cells."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def fit_lines(text: str, width: int = 100) -> str:
    """A text with no line longer than `width` characters.

    Long lines are wrapped at blanks, and continue further right. A word that is longer than a line,
    as the path of a deep folder, is shortened in its middle.

    Examples
    --------
    >>> print(fit_lines("page  /a/folder/with/a/long/name/page.html", 24))
    page
        /a/fold…me/page.html
    """
    lines = []
    for line in text.split("\n"):
        if len(line) <= width:
            lines.append(line)
            continue
        indent = " " * min(len(line) - len(line.lstrip()) + 4, width // 2)
        parts = textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += [_shorten(part, width) for part in parts]
    return "\n".join(lines)


def _shorten(line: str, width: int) -> str:
    """A line without the middle of its last word, where it is too long; its end is the longer."""
    if len(line) <= width:
        return line
    start = len(line) - len(line.lstrip())
    kept = width - start - 1
    first = kept * 2 // 5
    return f"{line[: start + first]}…{line[len(line) - (kept - first) :]}"


def listed(names: Sequence[str], most: int = 10, separator: str = ", ") -> str:
    """Names in a sentence: A, B and C; of more than `most` the first ones, and how many follow.

    `separator` is for names that have commas.
    """
    if len(names) > most:
        return f"{separator.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (separator.join(names[:-1]), *names[-1:])))


def size_text(size: float) -> str:
    """Bytes as people read them: 64 MiB, 1.4 GiB."""
    if size < 2**20:
        return f"{size / 2**10:.0f} KiB"
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def time_text(seconds: float | None) -> str:
    """Seconds as text: 40 s, 12 min, 2 h 10 min; ``?`` where not known."""
    if seconds is None:
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def number_runs(numbers: Iterable[Number], step: int = 1) -> list[list[Number]]:
    """Rising numbers as runs in steps of `step`, each by its first and its last number."""
    runs: list[list[Number]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + step:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def printable(text: str) -> str:
    r"""`text` as valid Unicode: bytes of a file's name that are no UTF-8 become ``\xb5``."""
    escaped = re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()
