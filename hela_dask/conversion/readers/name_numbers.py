"""Meaning of the numbers in the names of slices: signed, hexadecimal, or a date and a time."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import PurePath

__all__ = [
    "Signed", "decimals", "hexadecimal", "is_stamp", "signed_key", "signed_numbers", "split",
]  # fmt: skip

_DIGITS = re.compile(r"(\d+)")
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,16}")
_DECIMAL = re.compile(r"[-+]?\d{1,9}(?:\.\d{1,12})?(?:e[-+]?\d{1,2})?", re.ASCII)
_BEGUN = re.compile(
    r"\d+(?:\.\d*)?(?:e[-+]?\d*)?$", re.ASCII
)  # a number that names share the start of
_MINUS = "-\u2212"
_SIGNS = _MINUS + "+"
_FEWEST = 4  # names that show a hexadecimal number
_LARGEST_COUNTER = 10**8  # numbers above it are times, such as 20240131120000

Signed = frozenset[tuple[tuple[str, ...], int]]
"""Numbers with a sign: the pattern of their names without signs, and the number's position."""


def split(name: str, signed: Signed = frozenset()) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Texts between the numbers of a name without its suffix, and the numbers.

    Signs at the places of `signed`, from :func:`signed_numbers`, belong to the numbers.
    """
    parts = _DIGITS.split(unicodedata.normalize("NFC", PurePath(name).stem))
    texts = [text.lower() for text in parts[::2]]
    numbers = [int(part) for part in parts[1::2]]
    pattern = _pattern(texts) if signed else ()
    for position in range(len(numbers)):
        if (pattern, position) in signed:
            negative = texts[position][-1:] in tuple(_MINUS)
            texts[position] = pattern[position]
            numbers[position] *= -1 if negative else 1
            if negative and texts[position + 1] == "." and position + 1 < len(numbers):
                numbers[position + 1] *= -1
    return tuple(texts), tuple(numbers)


def signed_key(name: str, signed: Signed) -> list[tuple[int, int, str]]:
    """Sort key by signed value, of the form that :func:`.names.natural_key` gives."""
    texts, numbers = split(name, signed)
    key = [(1, 0, texts[0])]
    for number, text in zip(numbers, texts[1:], strict=True):
        key += [(0, number, ""), (1, 0, text)]
    return [*key, (1, 0, name)]


def signed_numbers(names: Sequence[str]) -> Signed:
    """Where names have signed numbers: some with a minus and others without in the same place.

    A minus that all names have is a separator (s-001, s-002), and so is one between digits
    (2024-01-31).
    """
    signs: dict[tuple[tuple[str, ...], int], set[str]] = defaultdict(set)
    for name in names:
        texts = [text.lower() for text in _DIGITS.split(PurePath(name).stem)[::2]]
        pattern = _pattern(texts)
        for position, (text, bare) in enumerate(zip(texts[:-1], pattern, strict=False)):
            signs[pattern, position].add(text[len(bare) :])
    return frozenset(
        place for place, found in signs.items() if len(found) > 1 and found & set(_MINUS)
    )


def _pattern(texts: Sequence[str]) -> tuple[str, ...]:
    """Texts between numbers without the signs of the numbers behind them."""
    return tuple(
        text[:-1]
        if text[-1:] in tuple(_SIGNS)
        and position < len(texts) - 1
        and (len(text) > 1 or not position)
        else text
        for position, text in enumerate(texts)
    )


def hexadecimal(names: Collection[str]) -> Mapping[str, int] | None:
    """Hexadecimal number of each name, None where the names do not look hexadecimal.

    They are if the varying part of all names is a hexadecimal number, with letters in some and none
    in others, and these numbers either count or have letters before digits.
    """
    stems = [PurePath(name).stem.lower() for name in names]
    if len(stems) < _FEWEST or len(set(stems)) < len(stems):
        return None
    before = _common_start(stems).rstrip("0123456789")
    rest = [stem[len(before) :] for stem in stems]
    behind = _common_start([text[::-1] for text in rest])[::-1].lstrip("0123456789abcdef")
    middles = [text[: len(text) - len(behind)] for text in rest]
    if not all(map(_HEXADECIMAL.fullmatch, middles)):
        return None
    plain = sum(middle.isdecimal() for middle in middles)
    if plain in (0, len(middles)):
        return None
    values = [int(middle, 16) for middle in middles]
    counts = max(values) - min(values) < 1.25 * len(values)
    codes = (
        len({len(middle) for middle in middles}) == 1
        and 4 * plain <= 3 * len(middles)
        and any(re.search("[a-f][0-9]", middle) for middle in middles)
    )
    if len(set(values)) < len(values) or not (counts or codes):
        return None
    return dict(zip(names, values, strict=True))


def decimals(names: Collection[str]) -> Mapping[str, Decimal] | None:
    """Decimal number of each name, None where the names do not look like decimal fractions.

    They are if the varying part is one number, written with as many digits as it needs (0.95, 1,
    1.05, or 9e-07): as whole numbers, 05 behind the point would come before 5. A zero at the end of
    a fraction (1.9, 1.10) shows two numbers that count.

    Examples
    --------
    >>> decimals(["z0.5.tif", "z0.75.tif", "z1.tif"])["z0.75.tif"]
    Decimal('0.75')
    """
    stems = [PurePath(name).stem.lower() for name in names]
    if len(stems) < 2 or len(set(stems)) < len(stems):
        return None
    start = len(_BEGUN.sub("", _common_start(stems)))
    rest = [stem[start:] for stem in stems]
    behind = len(_common_start([text[::-1] for text in rest])[::-1].lstrip("0123456789."))
    middles = [text[: len(text) - behind] for text in rest]
    if not all(map(_DECIMAL.fullmatch, middles)):
        return None
    parts = [middle.partition("e")[0].partition(".")[2] for middle in middles]
    powers = any("e" in middle for middle in middles)
    counted = any(part.endswith("0") and part != "0" for part in parts)
    if not powers and (counted or len({len(part) for part in parts}) == 1):
        return None
    values = [Decimal(middle) for middle in middles]
    return dict(zip(names, values, strict=True)) if len(set(values)) == len(values) else None


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return next(
        (first[:end] for end, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), first
    )


def is_stamp(numbers: Collection[int]) -> bool:
    """Whether all numbers are dates, or too large for a counter: dates with times."""
    return all(number > _LARGEST_COUNTER or _is_date(number) for number in numbers)


def _is_date(number: int) -> bool:
    year, month, day = number // 10000, number // 100 % 100, number % 100
    return 1900 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31
