"""A template filled with values, and the tables and pictures inside it."""

from __future__ import annotations

import base64
import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.version import __version__

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

__all__ = ["Figure", "Frame", "as_figure", "as_frame", "read_figure", "render"]


_LARGEST = 8 * 2**20  # bytes


@dataclass(frozen=True)
class Figure:
    """A picture inside a page.

    Attributes
    ----------
    data : str
        The picture as a ``data:`` address.
    caption, title : str
        Plain text; the title stands in front of the caption and may be empty.
    """

    data: str
    caption: str
    title: str = ""


@dataclass(frozen=True)
class Frame:
    """The texts of a table; `hidden` rows at its end are not shown."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int = 0


def as_figure(picture: bytes, caption: str, title: str = "") -> Figure:
    """A picture (PNG or JPEG) with its caption, and perhaps a title in front of it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(picture).decode("ascii")
    return Figure(f"data:image/{kind};base64,{data}", caption, title)


def read_figure(path: Path, caption: str) -> Figure | None:
    """A picture of at most 8 MiB on disk; None where it is larger, or cannot be read."""
    try:
        small = path.stat().st_size <= _LARGEST
        return as_figure(path.read_bytes(), caption) if small else None
    except OSError:
        return None


def as_frame(table: pd.DataFrame, digits: int, *, index: bool = True, most: int = 30) -> Frame:
    """A DataFrame as texts: at most `most` rows, numbers with `digits` decimals."""
    shown = table.reset_index() if index else table
    rows = [
        tuple(_text(value, digits) for value in row)
        for row in shown.head(most).itertuples(index=False, name=None)
    ]
    return Frame(tuple(map(str, shown.columns)), tuple(rows), max(0, len(shown) - most))


def _text(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.{digits}f}"
    return str(value)


def render(template: str, **values: Any) -> str:
    """The HTML of a template; every value is escaped, and one that is missing is an error.

    Parameters
    ----------
    template : str
        A file of ``templates/``.
    **values
        Its content: plain texts, numbers, and dataclasses of them.
    """
    return _environment().get_template(template).render(version=__version__, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("hela_dask", "pages/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
