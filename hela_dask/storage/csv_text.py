"""Tables as spreadsheets save them: encoding, separator, quotes, and rows that fit their names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hela_dask.documents.reading import read_bytes
from hela_dask.errors import InputError
from hela_dask.storage.formats import how_to_read, is_pointer

__all__ = ["read_rows"]

_FOREIGN = {
    b"PK\x03\x04": "a workbook (.xlsx or .ods)",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls)",
    b"\x1f\x8b": "a compressed file",
    b"SQLite format": "a database",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet table without the suffix .parquet",
}
_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
_SEPARATORS = ";\t|,"  # a comma is the last: it is also in numbers

_LARGEST = 16 * 2**20

Row = tuple[int, list[str]]


def read_rows(path: str | Path) -> tuple[list[str], list[Row], str]:
    """Names of the columns, the rows that are not blank, and the separator of a CSV file.

    The separator (comma, semicolon, tab, bar, or spaces) is that of the first row, or of ``sep=``
    in front of it. Encodings: UTF-8, UTF-16, UTF-32, else Latin-1. Columns without a name and
    without content are left out; one with content has an empty name. A row is its number below the
    names, from 1, and its fields: as many as there are names, or fewer where it ends early.

    InputError when it is no such table, or a row has more fields than there are names; other errors
    as of :func:`hela_dask.documents.reading.read_bytes`.
    """
    text = _text(path)
    first, _, rest = text.partition("\n")
    separator = ""
    if first.strip().strip('"').lower().startswith("sep="):
        separator, text = first.strip().strip('"')[4:5] or "\t", rest
    separator = separator or _separator(text)
    try:
        found = _split(text, separator)
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path} is not a CSV table: {error}") from error
    while found and not any(found[0]):
        found.pop(0)
    if not found:
        raise InputError(f"{path} is empty: it needs a row of names, and a row for each cell")
    names, rows = found[0], [row for row in enumerate(found[1:], start=1) if any(row[1])]
    width = max([len(names), *(_length(fields) for _, fields in rows)])
    names = [*names, *[""] * (width - len(names))]
    while names and not names[-1] and not any(_length(fields) == len(names) for _, fields in rows):
        names.pop()
    _check_width(path, names, rows, separator)
    return names, [(number, fields[: len(names)]) for number, fields in rows], separator


def _text(path: str | Path) -> str:
    if is_pointer(Path(path)):
        raise InputError(how_to_read(Path(path)))
    content = read_bytes(path, _LARGEST)
    for mark, kind in _FOREIGN.items():
        if content.startswith(mark):
            raise InputError(f"{path} is {kind}, not a CSV: save the table as CSV (.csv)")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "")
    if not encoding and b"\0" in content[:4]:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    for tried in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = content.decode(tried)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise InputError(f"{path} is not a text file: save the table as CSV (.csv)")


def _separator(text: str) -> str:
    """The separator that the first row with content has, outside quotes."""
    head = next((line for line in text.split("\n") if line.strip()), "")
    bare = "".join(head.split('"')[::2])  # without quoted text
    counts = {mark: bare.count(mark) for mark in _SEPARATORS}
    if any(counts.values()):
        return max(_SEPARATORS, key=lambda mark: counts[mark])
    return " " if len(bare.split()) > 1 and not set("()[]") & set(bare) else ","


def _split(text: str, separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in text.split("\n")]
    lines = csv.reader(text.split("\n"), delimiter=separator, skipinitialspace=True, strict=True)
    return [[field.strip() for field in line] for line in lines]


def _length(fields: Sequence[str]) -> int:
    """Fields up to the last that holds something."""
    return max((k for k, field in enumerate(fields, start=1) if field), default=0)


def _check_width(path: str | Path, names: list[str], rows: list[Row], separator: str) -> None:
    named = len([name for name in names if name])
    if all(names):
        return
    # Some column has content, but no name.
    k = names.index("")
    for number, fields in rows:
        if len(fields) > k and fields[k]:
            hint = (
                ": write decimal points, not commas, or put semicolons between the fields"
                if separator == ","
                else ": give each column its name"
            )
            raise InputError(
                f"{path}, row {number}: {_length(fields)} fields under {named} names{hint}"
            )
    names[k] = f"column {k + 1}"  # empty throughout, between two that are not
    _check_width(path, names, rows, separator)
