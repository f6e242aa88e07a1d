"""The order of slices by the numbers in their names, and what those numbers show to be missing."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["NameOrder", "listed", "natural_key", "number_ranges", "slice_order"]

_SHOWN = 5  # names or numbers that a sentence lists
_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key with numbers by value: z2 before z10, whatever the case of the letters."""
    parts = _DIGITS.split(name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts]


@dataclass(frozen=True)
class NameOrder:
    """What the names of a folder's slices show about their order.

    Attributes
    ----------
    rule : str
        By what the slices are ordered.
    missing : tuple of int
        Numbers that no name has between the first and the last.
    remarks : tuple of str
        Sentences about gaps, numbers that are there twice and names of several patterns.
    """

    rule: str
    missing: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Name:
    text: str
    pattern: tuple[str, ...]
    numbers: tuple[int, ...]


def slice_order(names: Sequence[str], others: Iterable[str] = ()) -> NameOrder:
    """Check the numbers in the names of slices.

    Parameters
    ----------
    names : sequence of str
        Names of the files that are read as slices, in this order (that of :func:`natural_key`).
    others : iterable of str
        Names of other files of the folder, that are not read.

    Examples
    --------
    >>> slice_order(["z1.tif", "z2.tif", "z4.tif"]).missing
    (3,)
    """
    groups: dict[tuple[str, ...], list[_Name]] = defaultdict(list)
    for name in map(_split, names):
        groups[name.pattern].append(name)
    families = sorted(groups.values(), key=len, reverse=True)
    remarks = [*_pattern_remarks(families, len(names)), *_unread_remarks(families[0], others)]
    rule, missing = "natural order of the names", list[int]()
    for family in families:
        if len(family) == 1:
            continue
        step, lost, found = _check_numbers(family)
        remarks += found
        missing += lost
        if family is families[0] and step > 1:
            rule = f"natural order of the names, numbers in steps of {step}"
    return NameOrder(rule, tuple(missing), tuple(remarks))


def _split(name: str) -> _Name:
    parts = _DIGITS.split(PurePath(name).stem)
    return _Name(
        name, tuple(text.lower() for text in parts[::2]), tuple(int(part) for part in parts[1::2])
    )


def _pattern_remarks(families: Sequence[Sequence[_Name]], count: int) -> list[str]:
    if len(families) == 1:
        return []
    if not any(family[0].numbers for family in families):
        return ["the names hold no numbers: slices are in alphabetical order"]
    main = families[0]
    strange = [name for family in families[1:] for name in family]
    if len(strange) <= max(3, count // 4):
        return [
            f"{listed(name.text for name in strange)}: named unlike the other {len(main)} slices "
            f"(such as {main[0].text}), yet read as slices: move away what is no slice of this "
            "volume, and convert again"
        ]
    return [
        f"the names follow {len(families)} patterns "
        f"({listed(f'{len(family)} like {family[0].text}' for family in families)}); all are read "
        "as slices of one volume, in the order of the names: keep one volume in a folder"
    ]


def _unread_remarks(main: Sequence[_Name], others: Iterable[str]) -> list[str]:
    """Files that are no TIFFs by their suffix, yet are named as a slice that is missing."""
    known = {name.numbers for name in main}
    unread = []
    for other in others:
        inner = _split(other)
        while inner.pattern != main[0].pattern and PurePath(inner.text).suffix:
            inner = _split(PurePath(inner.text).stem)
        if inner.numbers and inner.pattern == main[0].pattern and inner.numbers not in known:
            unread.append(other)
    if not unread:
        return []
    verb = "is named as a slice, but is" if len(unread) == 1 else "are named as slices, but are"
    return [f"{listed(unread)} {verb} no TIFF by the suffix and not read: z behind is wrong"]


def _check_numbers(family: Sequence[_Name]) -> tuple[int, list[int], list[str]]:
    """Step of the slices' numbers, the numbers that are missing, and sentences about them."""
    counts = Counter(name.numbers for name in family)
    twice = [name for name in family if counts[name.numbers] > 1]
    remarks = []
    if twice:
        remarks.append(
            f"{listed(name.text for name in twice)}: the same number more than once, and each is "
            "read as a slice: move away the copies, and convert again"
        )
    columns = list(zip(*counts, strict=True))
    varying = [column for column, values in enumerate(columns) if len(set(values)) > 1]
    if not varying:
        return 1, [], remarks
    distinct = [column for column in varying if len(set(columns[column])) == len(counts)]
    if distinct:
        found = [_gaps(sorted(columns[column])) for column in distinct]
        step, missing = min(found, key=lambda item: (item[0] == 0, len(item[1])))
        column = distinct[found.index((step, missing))]
        order = [name.numbers[column] for name in family]
        if order != sorted(order):
            remarks.append(
                f"the names' order, {family[0].text} to {family[-1].text}, is not that of their "
                f"number {column + 1}: name the slices so that they sort by it"
            )
        return step or 1, missing, remarks + _gap_remarks(family, step, missing, column)
    # No number counts through the volume: the last one counts within each value of the others.
    *outer, last = varying
    parts: dict[tuple[int, ...], list[_Name]] = defaultdict(list)
    for name in family:
        parts[tuple(name.numbers[column] for column in outer)].append(name)
    lost: list[int] = []
    for part in parts.values():
        step, missing = _gaps(sorted({name.numbers[last] for name in part}))
        if len(part) > 2 and step:
            lost += missing
            remarks += _gap_remarks(part, step, missing, last)
    return 1, lost, remarks


def _gaps(numbers: Sequence[int]) -> tuple[int, list[int]]:
    """The usual step of rising numbers and the numbers missing; step 0 where none is usual."""
    steps = Counter(b - a for a, b in itertools.pairwise(numbers))
    if not steps:
        return 1, []
    step, times = max(steps.items(), key=lambda item: (item[1], -item[0]))
    if len(steps) > 1 and 2 * times < len(numbers) - 1:
        return 0, []
    return step, [
        number
        for a, b in itertools.pairwise(numbers)
        if b - a > step
        for number in range(a + step, b, step)
    ]


def _gap_remarks(
    family: Sequence[_Name], step: int, missing: Sequence[int], column: int
) -> list[str]:
    if step == 0:
        return [
            f"the numbers of {family[0].text} to {family[-1].text} have no even steps: whether "
            "slices are missing is not known, and each is taken as one slice behind the one before"
        ]
    if not missing:
        return []
    before = max(
        (name for name in family if name.numbers[column] < missing[0]),
        key=lambda name: name.numbers[column],
    )
    many = len(missing) > 1
    return [
        f"the slice number{'s' if many else ''} {number_ranges(missing, step)} "
        f"{'are' if many else 'is'} missing (first behind {before.text}): the slices that are "
        f"there are stacked without a gap, so z behind is too small by up to {len(missing)} "
        f"slice{'s' if many else ''}; add the missing slices, or copies of their neighbours"
    ]


def number_ranges(numbers: Sequence[int], step: int = 1) -> str:
    """Rising numbers as text, runs of them by their ends: ``3, 7 to 9``; the first few only."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + step:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return listed(str(a) if a == b else f"{a} to {b}" for a, b in runs)


def listed(texts: Iterable[str]) -> str:
    """The first few of some texts, and how many more there are."""
    items = list(texts)
    more = len(items) - _SHOWN
    shown = ", ".join(items[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
