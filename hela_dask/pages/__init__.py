"""HTML from templates that escape every value: pages of the report, and reprs for notebooks.

No other room writes HTML. The templates are in ``templates/``; a value is never marked as safe.
"""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hela_dask.version import __version__

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

__all__ = ["Figure", "Frame", "as_figure", "as_frame", "render"]


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


def as_frame(table: pd.DataFrame, digits: int, *, index: bool = True, most: int = 30) -> Frame:
    """A DataFrame as texts: at most `most` rows, numbers with `digits` decimals."""
    shown = table.reset_index() if index else table
    rows = [
        tuple(f"{value:.{digits}f}" if isinstance(value, float) else str(value) for value in row)
        for row in shown.head(most).itertuples(index=False, name=None)
    ]
    return Frame(tuple(map(str, shown.columns)), tuple(rows), max(0, len(shown) - most))


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
