"""The table of parameters, written from the dataclasses."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import hela_dask as hd

__all__ = ["parameter_tables", "split_unit"]

_UNIT = re.compile(r",\s(nm|µm²|µm³)(?=$|;|\s\()")


def split_unit(doc: str) -> tuple[str, str]:
    """The unit at the end of a clause of a description, and the description without it.

    Parameters
    ----------
    doc
        The description of a parameter, as ``"minimum area of a nucleus, µm²"``.

    Returns
    -------
    tuple of str
        Unit, empty for a ratio, a number or a text; and meaning.
    """
    units = set(_UNIT.findall(doc))
    if len(units) != 1:
        return "", doc
    return units.pop(), _UNIT.sub("", doc)


def parameter_tables() -> str:
    """Markdown: a section per group with name, default, unit and meaning of each parameter."""
    parts = []
    for name, group in hd.Parameters().groups().items():
        first = (group.__doc__ or "").strip().splitlines()[0]
        parts += [f"## {name}", first, _table(group)]
    return "\n\n".join(parts) + "\n"


def _table(group: Any) -> str:
    lines = ["| parameter | default | unit | meaning |", "|---|---|---|---|"]
    for item in dataclasses.fields(group):
        unit, meaning = split_unit(item.metadata["doc"])
        shown = _escaped(f"{meaning}{_range(item)}")
        lines.append(f"| `{item.name}` | {_default(item)} | {unit} | {shown} |")
    return "\n".join(lines)


def _default(item: Any) -> str:
    return f"`{item.default}`" if item.default != "" else "empty"


def _range(item: Any) -> str:
    """The values that a parameter may have, where these are more than zero and above."""
    if "low" not in item.metadata:
        choices = item.metadata["choices"]
        return f" (one of {', '.join(choices)})" if choices else ""
    low, high = item.metadata["low"], item.metadata["high"]
    if math.isinf(high):
        return "" if low == 0 else f" (from {low:g})"
    return f" ({low:g} to {high:g})"


def _escaped(text: str) -> str:
    return re.sub(r"([<>*_|\[\]])", r"\\\1", text)
