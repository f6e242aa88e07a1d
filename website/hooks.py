"""Changes of a rendered page: roles of docstrings, as ``:func:`hela_dask.run```, become links."""

from __future__ import annotations

import re
from typing import Any

import hela_dask as hd

__all__ = ["on_page_content", "without_roles"]

_ROLE = re.compile(r":(?:func|class|data|meth|mod|attr|exc|obj):<code>~?([\w.]+)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """The page with links instead of roles; MkDocs calls this."""
    return without_roles(html)


def without_roles(html: str) -> str:
    """The page with the last part of each name; a public name links to its description.

    Parameters
    ----------
    html
        A page, before the references are resolved.
    """
    return _ROLE.sub(_put, html)


def _put(match: re.Match[str]) -> str:
    parts = match[1].split(".")
    for place in range(len(parts)):
        if parts[place] in hd.__all__:
            target = ".".join(["hela_dask", *parts[place:]])
            shown = ".".join(parts[place:])
            return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'
    return f"<code>{parts[-1]}</code>"
