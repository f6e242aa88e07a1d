"""Changes of a rendered page of docstrings.

Roles, as ``:func:`hela_dask.run```, become links. Parameters "as in" another function, which share
one entry of the docstring, lose the type: it would be that of the first of them.
"""

from __future__ import annotations

import re
from typing import Any

import hela_dask as hd

__all__ = ["on_page_content", "without_roles", "without_shared_types"]

_ROLE = re.compile(r":(?:func|class|data|meth|mod|attr|exc|obj):<code>~?([\w.]+)</code>")
_SHARED = re.compile(
    r"(<b><code>[\w*]+</code></b>)\s*\(<code>(?:(?!</li>|–).)*\)"
    r"(\s*–\s*<div class=\"doc-md-description\">\s*<p>As in )",
    re.DOTALL,
)


def on_page_content(html: str, **_: Any) -> str:
    """The page with links instead of roles, and without wrong types; MkDocs calls this."""
    return without_shared_types(without_roles(html))


def without_shared_types(html: str) -> str:
    """The page without types of parameters that are "as in" another function.

    Parameters
    ----------
    html
        A page with lists of parameters as mkdocstrings makes them.
    """
    return _SHARED.sub(r"\1\2", html)


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
