"""Parameters as text and as a card: those that are not the defaults, and all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hela_dask.formatting import counted
from hela_dask.pages import Card, Frame, make_card
from hela_dask.parameters.fields import ParameterGroup

__all__ = ["parameters_card", "parameters_text"]


def parameters_text(groups: Mapping[str, ParameterGroup]) -> str:
    """A line per parameter that is not the default."""
    changed = [
        f"  [{group}] {item.name} = {value!r} (default {item.default!r})"
        for group, item, value in _changed(groups)
    ]
    return "\n".join([_summary(len(changed)), *changed])


def parameters_card(groups: Mapping[str, ParameterGroup]) -> Card:
    """A table of the parameters that are not the defaults, and of each group."""
    changed = tuple(
        (group, item.name, f"{value!r}", f"{item.default!r}")
        for group, item, value in _changed(groups)
    )
    heads = ("group", "parameter", "value", "default")
    tables = [("", Frame(heads, changed))]
    tables += [(f"[{name}]", group._shown_frame()) for name, group in groups.items()]
    return make_card("Parameters", {}, summary=_summary(len(changed)), tables=tuple(tables))


def _summary(number: int) -> str:
    if not number:
        return "Parameters: all are the defaults"
    return f"Parameters: {counted(number, 'value')} not the default"


def _changed(
    groups: Mapping[str, ParameterGroup],
) -> Iterator[tuple[str, dataclasses.Field[Any], float | str]]:
    """Group, field and value of each parameter that is not the default."""
    for name, group in groups.items():
        for item in dataclasses.fields(group):  # type: ignore[arg-type]
            value = getattr(group, item.name)
            if value != item.default:
                yield name, item, value
