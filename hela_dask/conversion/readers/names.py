"""The order of slices by the numbers in their names, and the missing numbers."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath

from hela_dask.conversion.readers.name_numbers import (
    decimals,
    hexadecimal,
    is_stamp,
    signed_key,
    signed_numbers,
    split,
)
from hela_dask.errors import InputError
from hela_dask.formatting import number_runs

__all__ = ["NameOrder", "in_order", "listed", "natural_key", "number_ranges", "slice_order"]

_SHOWN = 5  # names or numbers that a sentence lists
_DIGITS = re.compile(r"(\d+)")
_NOT_SLICES = re.compile(
    r"(?:^|[^a-z])(?:c|ch|chan|channel|det|detector|tile|r|row|col|column|x|y|pos|fov|w|view|angle|"
    r"t|tp|time)[-_ =#.]*$"
)  # words before a number that counts no slices


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key with numbers by value: z2 before z10, whatever the case of the letters."""
    parts = _DIGITS.split(unicodedata.normalize("NFC", name))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def in_order(names: Iterable[str]) -> list[str]:
    """Names of slices in their order: natural, by signed, hexadecimal or decimal numbers.

    InputError where the names look hexadecimal, and these numbers do not count.

    Examples
    --------
    >>> in_order(["z0.tif", "z-1.tif", "z1.tif", "z-2.tif"])
    ['z-2.tif', 'z-1.tif', 'z0.tif', 'z1.tif']
    """
    found = sorted(names, key=natural_key)
    values = hexadecimal(found)
    if values is None:
        fractions = _even_decimals(found)
        if fractions is not None:
            return sorted(found, key=lambda name: fractions[name])
        signed = signed_numbers(found)
        return sorted(found, key=lambda name: signed_key(name, signed)) if signed else found
    ordered = sorted(found, key=lambda name: values[name])
    step, missing = _gaps([values[name] for name in ordered])
    if step == 0 or 4 * len(missing) > len(found):
        raise InputError(
            f"the names of the slices look hexadecimal ({listed(found)}), and their numbers have "
            "no even steps, so that the order of the slices is not known: name them by numbers "
            "that count, such as s0001.tif"
        )
    return ordered


@dataclass(frozen=True)
class NameOrder:
    """The order of the slices of a folder, from their names."""

    rule: str  # the rule of the order
    # Numbers that no name has between the first and the last
    missing: tuple[int | Decimal, ...] = ()
    # Sentences about gaps, numbers that are there twice and names of several patterns
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Name:
    text: str
    pattern: tuple[str, ...]
    numbers: tuple[int, ...]


def slice_order(names: Sequence[str], others: Iterable[str] = ()) -> NameOrder:
    """Check the numbers in the names of slices, which are in the order of :func:`in_order`.

    `others` are names of other files of the folder, that are not read.

    Examples
    --------
    >>> slice_order(["z1.tif", "z2.tif", "z4.tif"]).missing
    (3,)
    """
    values = hexadecimal(names)
    if values is not None:
        return _hexadecimal_order(names, values)
    even = _even_decimals(names)
    if even is not None:
        return _decimal_order(names, even)
    signed = signed_numbers(names)
    groups: dict[tuple[str, ...], list[_Name]] = defaultdict(list)
    for text in names:
        name = _Name(text, *split(text, signed))
        groups[name.pattern].append(name)
    families = sorted(groups.values(), key=len, reverse=True)
    remarks = [*_pattern_remarks(families, len(names)), *_unread_remarks(families[0], others)]
    fractions = decimals(names)
    if fractions and list(names) != sorted(names, key=lambda name: fractions[name]):
        remarks.append(
            f"the numbers in the names, such as {listed(names[:2])}, may be decimal fractions, "
            "which have another order and no even steps: write as many digits in all of them"
        )
    rule = "natural order of the names" + (", by their signed numbers" if signed else "")
    missing: list[int] = []
    for family in families:
        if len(family) == 1:
            continue
        step, lost, found = _check_numbers(family)
        remarks += found
        missing += lost
        if family is families[0] and step > 1:
            rule += f", numbers in steps of {step}"
    return NameOrder(rule, tuple(missing), tuple(remarks))


def _hexadecimal_order(names: Sequence[str], values: Mapping[str, int]) -> NameOrder:
    remarks = [
        f"the numbers in the names, {names[0]} to {names[-1]}, are taken as hexadecimal "
        "(9 before a, f before 10): check that this is the order of the slices"
    ]
    step, missing = _gaps([values[name] for name in names])
    if missing:
        remarks.append(
            f"{len(missing)} of these numbers are missing, the first behind "
            f"{max(name for name in names if values[name] < missing[0])}: the slices that are "
            "there are stacked without a gap, so z behind is too small"
        )
    rule = "hexadecimal numbers in the names" + (f", in steps of {step}" if step > 1 else "")
    return NameOrder(rule, tuple(missing), tuple(remarks))


def _even_decimals(names: Sequence[str]) -> Mapping[str, Decimal] | None:
    """Decimal number of each name, where these numbers have even steps and few are missing."""
    values = decimals(names)
    if values is None:
        return None
    step, missing = _decimal_gaps(values.values())
    return values if step and 4 * len(missing) <= len(names) else None


def _decimal_gaps(values: Iterable[Decimal]) -> tuple[Decimal, list[Decimal]]:
    """As :func:`_gaps`, of decimal numbers in any order."""
    ordered = sorted(value.normalize() for value in values)
    unit = Decimal(1).scaleb(min(int(value.as_tuple().exponent) for value in ordered))
    step, missing = _gaps([int(value / unit) for value in ordered])
    return step * unit, [number * unit for number in missing]


def _decimal_order(names: Sequence[str], values: Mapping[str, Decimal]) -> NameOrder:
    step, missing = _decimal_gaps(values.values())
    remarks = []
    if missing:
        before = max((name for name in names if values[name] < missing[0]), key=values.__getitem__)
        remarks.append(
            f"{len(missing)} of the numbers in the names are missing (in steps of {step:f}), the "
            f"first behind {before}: the slices that are there are stacked without a gap, so z "
            "behind is too small"
        )
    rule = f"decimal numbers in the names, in steps of {step:f}"
    return NameOrder(rule, tuple(missing), tuple(remarks))


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
        inner = _Name(other, *split(other))
        while inner.pattern != main[0].pattern and PurePath(inner.text).suffix:
            stem = PurePath(inner.text).stem
            inner = _Name(stem, *split(stem))
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
    distinct = [column for column in distinct if not is_stamp(columns[column])] or distinct
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
    return 1, lost, remarks + _grid_remarks(list(parts.values()), outer, last)


def _grid_remarks(parts: Sequence[Sequence[_Name]], outer: Sequence[int], last: int) -> list[str]:
    """A sentence where each slice seems to be there more than once: channels, tiles or times."""
    if (
        len(parts) < 2
        or len({frozenset(name.numbers[last] for name in part) for part in parts}) > 1
    ):
        return []
    texts = parts[0][0].pattern
    named = [column for column in (*outer, last) if _NOT_SLICES.search(texts[column])]
    interleaved = 1 < len(parts[0]) <= 4 and len(parts) > 4
    if not named and not interleaved:
        return []
    example = parts[0][:2] if last in named or interleaved else [parts[0][0], parts[1][0]]
    return [
        f"names such as {listed(name.text for name in example)} may be channels, tiles or times of "
        f"one slice ({len(parts)} times {len(parts[0])} names): all are read as slices, one behind "
        "another; keep one of each slice in the folder, unless they are slices"
    ]


def _gaps(numbers: Sequence[int]) -> tuple[int, list[int]]:
    """The usual step of rising numbers and the numbers missing; step 0 where none is usual.

    A date or a time in uneven steps misses no number, and neither does a number that is no multiple
    of the usual step: only a counter does.
    """
    steps = Counter(b - a for a, b in itertools.pairwise(numbers))
    if not steps:
        return 1, []
    step, times = max(steps.items(), key=lambda item: (item[1], -item[0]))
    if len(steps) > 1 and 2 * times < len(numbers) - 1:
        return 0, []
    if len(steps) > 1 and (is_stamp(numbers) or any(other % step for other in steps)):
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


def number_ranges(numbers: Sequence[int | Decimal], step: int = 1) -> str:
    """Rising numbers as text, runs of them by their ends: ``3, 7 to 9``; the first few only."""
    runs = number_runs(numbers, step)
    return listed(str(a) if a == b else f"{a} to {b}" for a, b in runs)


def listed(texts: Iterable[str]) -> str:
    """The first few of some texts, and how many more there are."""
    items = list(texts)
    more = len(items) - _SHOWN
    shown = ", ".join(items[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
