"""Tables of numbers that people give: CSV in its dialects, Parquet, or a DataFrame."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.documents.reading import read_bytes
from hela_dask.documents.shapes import shown
from hela_dask.errors import InputError
from hela_dask.storage.csv_text import read_rows
from hela_dask.units import to_nm

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "read_parquet", "read_table", "read_units"]

_UNIT = re.compile(r"^(.*?)(?:\s*[(\[]\s*(.*?)\s*[)\]]|[\s_/]+([^\s_/()\[\]]+))$")
_PIXELS = {"px", "pixel", "pixels", "voxel", "voxels", "vox", "slice", "slices", "index"}
_LONGEST = 64  # characters of a number
_NOTHING = {"", "nan", "na", "n/a", "null", "none"}
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_GROUPED_BY_SPACE = re.compile(r"[-+]?\d{1,3}(?:[ '\u00a0\u2009\u202f\u2019]\d{3})+(?![\d ])")
_COMMA_GROUPS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+", re.ASCII)
_POINT_GROUPS = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+", re.ASCII)
_SPACES = str.maketrans("", "", " '\u00a0\u2009\u202f\u2019")


@dataclass(frozen=True)
class Table:
    """Columns of a table as they were written."""

    source: str  # where it is from, for errors
    names: tuple[str, ...]  # of the columns; a name may stand twice
    # Texts, or numbers where the source has numbers; None where a row ends before a column
    columns: tuple[Sequence[Any] | NDArray[np.float64], ...]
    rows: tuple[int, ...]  # number of each row below the names, from 1
    separator: str = ""  # between the fields of a CSV; empty where there are none
    hint: str = ""  # the kind of table, for the error of a missing column

    def __contains__(self, name: str) -> bool:
        return any(_plain_name(item) == name for item in self.names)

    def numbers(
        self, names: Sequence[str], *, lengths: bool = False
    ) -> dict[str, NDArray[np.float64]]:
        """Columns as numbers, NaN where a field is empty.

        `names` are of columns that belong together: their numbers are written in the same way.
        `lengths`: they are lengths in nm, and no row ends before them; the name of a column may
        have another unit behind it, as ``z (µm)`` or ``z_um``. InputError when a column is missing
        or stands twice, has another unit, or a field is no number, or one that can be read in two
        ways.
        """
        found = {name: self._find(name, lengths) for name in names}
        comma = self._decimal_comma(
            [self.columns[position] for position, _ in found.values()],
        )
        return {
            name: self._parse(name, position, comma, whole=lengths) * scale
            for name, (position, scale) in found.items()
        }

    def texts(self, name: str) -> list[str]:
        """A column as texts, in lower case, empty where a field is empty; InputError without it."""
        found = [str(item).strip().lower() for item in self.columns[self._find(name, False)[0]]]
        return ["" if item in _NOTHING else item for item in found]

    def _find(self, name: str, lengths: bool) -> tuple[int, float]:
        """Position of a column, and its unit in nm."""
        exact = [k for k, item in enumerate(self.names) if _plain_name(item) == name]
        if len(exact) > 1:
            raise InputError(f"{self.source} has two columns named {name!r}: keep one")
        named = {k: _unit(item) for k, item in enumerate(self.names) if _stem(item) == name}
        found = {k: scale for k, unit in named.items() if (scale := to_nm(unit)) is not None}
        if exact and lengths and found:
            other = self.names[next(iter(found))]
            raise InputError(
                f"{self.source} has the columns {name!r} and {other!r}, of which either may be in "
                "nm: keep one"
            )
        if exact:
            return exact[0], 1.0
        if lengths and len(found) == 1:
            ((position, scale),) = found.items()
            return position, scale
        if len(found) > 1:
            raise InputError(f"{self.source} has two columns for {name!r}: keep one")
        if strange := [self.names[k] for k, unit in named.items() if unit in _PIXELS]:
            raise InputError(f"{self.source}: {strange[0]!r} is in voxels: give {name!r} in nm")
        if self.names and all(_PLAIN.fullmatch(item) for item in self.names):
            raise InputError(
                f"{self.source} begins with numbers: its first row must name the columns"
            )
        raise InputError(
            f"{self.source} has no column {name!r}, but {', '.join(self.names)[:200]}{self.hint}"
        )

    def _decimal_comma(self, columns: Sequence[Sequence[Any] | NDArray[np.float64]]) -> bool:
        """Whether a comma is the decimal sign of these columns."""
        texts = [
            (self.rows[k], _tidy(text))
            for column in columns
            for k, text in enumerate(column)
            if isinstance(text, str) and len(text) <= _LONGEST
        ]
        commas = [(row, text) for row, text in texts if "," in text]
        if any(text.rfind(",") > text.rfind(".") > -1 for _, text in commas):
            return True  # 1.234,5
        if any("." in text for _, text in commas):
            return False  # 1,234.5
        if any(not _COMMA_GROUPS.fullmatch(text) for _, text in commas):
            return True  # 1234,5
        points = [(row, text) for row, text in texts if "." in text]
        if commas and not points and all(text.count(",") == 1 for _, text in commas):
            raise self._two_ways(*commas[0])
        # Where semicolons part the fields, commas are decimal signs, and points may be marks.
        grouped = all(_POINT_GROUPS.fullmatch(text) for _, text in points)
        if self.separator == ";" and points and grouped and not commas:
            raise self._two_ways(*points[0])
        return False

    def _two_ways(self, row: int, text: str) -> InputError:
        bare = text.replace(",", "").replace(".", "")
        return InputError(
            f"{self.source}, row {row}: {text} may be {text.replace(',', '.')} or {bare}: write "
            "numbers with a decimal point and without marks for thousands"
        )

    def _parse(self, name: str, position: int, comma: bool, *, whole: bool) -> NDArray[np.float64]:
        column = self.columns[position]
        if isinstance(column, np.ndarray):
            return column
        values = np.full(len(column), np.nan)
        for k, text in enumerate(column):
            if text is None and whole:
                raise InputError(f"{self.source}, row {self.rows[k]} ends before its {name}")
            value = _number(text or "", comma)
            if value is None or np.isinf(value):
                raise InputError(f"{self.source}, row {self.rows[k]}: {name} is {shown(text)}")
            values[k] = value
        return values


def read_table(source: str | Path | pd.DataFrame, what: str, hint: str = "") -> Table:
    """A table from a CSV or Parquet file (``.parquet``), or a DataFrame without its index.

    `what` is its name, for errors ("the table of centres"); `hint` is the kind of table, for the
    error of a missing column. InputError when it is no table; MissingInputError or StorageError
    when there is no such file, or it cannot be read.
    """
    if not isinstance(source, str | Path):
        return _from_frame(source, what, hint)
    path = Path(source)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _from_frame(read_parquet(path), str(path), hint)
    names, rows, separator = read_rows(path)
    columns = tuple(
        [fields[k] if k < len(fields) else None for _, fields in rows] for k in range(len(names))
    )
    numbers = tuple(number for number, _ in rows)
    return Table(str(path), tuple(names), columns, numbers, separator, hint)


def read_parquet(path: str | Path) -> pd.DataFrame:
    """A table in Parquet, of at most 256 MiB; InputError where it is damaged, or no Parquet."""
    import pandas as pd

    content = io.BytesIO(read_bytes(path, 2**28))
    try:
        return pd.read_parquet(content)
    except Exception as error:  # those of pyarrow have no base in common
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no Parquet table, or damaged: {text}") from error


def read_units(path: str | Path) -> dict[str, str]:
    """The units that a Parquet table of this package states, by column; InputError if damaged."""
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(io.BytesIO(read_bytes(path, 2**28)))
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} is no Parquet table, or damaged: {error}") from error
    stated = {field.name: (field.metadata or {}).get(b"unit") for field in schema}
    return {
        name: unit.decode("utf-8", "replace") for name, unit in stated.items() if unit is not None
    }


def _from_frame(frame: Any, what: str, hint: str) -> Table:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{what} must be a path or a DataFrame, not {type(frame).__name__}")
    columns: list[Any] = []
    for position in range(frame.shape[1]):
        series = frame.iloc[:, position]
        if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_complex_dtype(series.dtype):
            columns.append([str(value) for value in series])
        elif pd.api.types.is_numeric_dtype(series.dtype):
            numbers = series.to_numpy(dtype=float, na_value=np.nan)
            infinite = np.isinf(numbers).any()
            columns.append([str(value) for value in numbers] if infinite else numbers)
        else:
            columns.append(
                ["" if value is None or value is pd.NA else str(value) for value in series]
            )
    names = tuple(str(name).strip() for name in frame.columns)
    return Table(what, names, tuple(columns), tuple(range(1, len(frame) + 1)), hint=hint)


def _plain_name(name: str) -> str:
    return name.strip().casefold()


def _stem(name: str) -> str:
    match = _UNIT.match(name.strip())
    return match[1].strip().casefold() if match else ""


def _unit(name: str) -> str:
    match = _UNIT.match(name.strip())
    return (match[2] or match[3] or "").casefold() if match else ""


def _tidy(text: str) -> str:
    """A field without the spaces and apostrophes that part thousands, with an ASCII minus."""
    text = text.strip().replace("\u2212", "-")
    return text.translate(_SPACES) if _GROUPED_BY_SPACE.match(text) else text


def _number(text: str, comma: bool) -> float | None:
    """The number in a field, NaN for nothing, None where it is no number."""
    if len(text) > _LONGEST:
        return None
    text = _tidy(text)
    if text.casefold() in _NOTHING:
        return np.nan
    if comma:
        whole, _, part = text.partition(",")
        if "." in whole and not _POINT_GROUPS.fullmatch(whole):
            return None
        text = f"{whole.replace('.', '')}.{part}" if part else whole.replace(".", "")
    elif "," in text:
        whole, point, part = text.partition(".")
        if not _COMMA_GROUPS.fullmatch(whole):
            return None
        text = f"{whole.replace(',', '')}{point}{part}"
    return float(text) if _PLAIN.fullmatch(text) else None
