"""Definition of a parameter.

A number or a name with its meaning, its unit and the range that it may have.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import field
from typing import Any

from hela_dask.errors import ParameterError
from hela_dask.pages import Card, Frame, Shown, make_card

__all__ = ["ParameterGroup", "parameter", "text_parameter"]


def parameter(default: float, doc: str, *, low: float = 0.0, high: float = math.inf) -> Any:
    """A dataclass field with its meaning, its unit and its allowed range, both ends included.

    Examples
    --------
    >>> import hela_dask as hd
    >>> item = hd.parameter(200.0, "Width of a filter, nm.", low=10.0)
    >>> item.default, item.metadata["low"]
    (200.0, 10.0)
    """
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


def text_parameter(default: str, doc: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field of a text: one of `choices`, or any where there are none."""
    return field(default=default, metadata={"doc": doc, "choices": choices})


class ParameterGroup(Shown):
    """Checks shared by all stages: types and ranges, one sentence per error.

    Examples
    --------
    >>> import hela_dask as hd
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class MyParameters(hd.ParameterGroup):
    ...     width: float = hd.parameter(200.0, "Width of a filter, nm.", low=10.0)
    >>> MyParameters(width=5.0)
    Traceback (most recent call last):
    hela_dask.errors.ParameterError: parameter my.width must be in [10.0, inf], not 5.0
    """

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            name = f"{type(self).__name__.removesuffix('Parameters').lower()}.{item.name}"
            value = getattr(self, item.name)
            if getattr(value, "ndim", None) == 0:  # of numpy
                value = value.item()
                object.__setattr__(self, item.name, value)
            if isinstance(item.default, str):
                _check_text(name, value, item.metadata["choices"])
                continue
            whole = isinstance(item.default, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                wanted = "a whole number" if whole else "a number"
                raise ParameterError(f"parameter {name} must be {wanted}, not {value!r}")
            if not math.isfinite(value):
                raise ParameterError(f"parameter {name} must be a finite number, not {value!r}")
            low, high = item.metadata["low"], item.metadata["high"]
            if not low <= value <= high:
                raise ParameterError(f"parameter {name} must be in [{low}, {high}], not {value!r}")
            if not whole:
                object.__setattr__(self, item.name, float(value))

    def __str__(self) -> str:
        values = (
            f"{item.name}={getattr(self, item.name)!r}"
            for item in dataclasses.fields(self)  # type: ignore[arg-type]
        )
        return f"{type(self).__name__}({', '.join(values)})"

    def _shown_frame(self) -> Frame:
        """Name, value, default and meaning of each parameter."""
        rows = tuple(
            (item.name, f"{getattr(self, item.name)!r}", f"{item.default!r}", item.metadata["doc"])
            for item in dataclasses.fields(self)  # type: ignore[arg-type]
        )
        return Frame(("parameter", "value", "default", "meaning"), rows)

    def _card(self) -> Card:
        return make_card(type(self).__name__, {}, tables=(("", self._shown_frame()),))


def _check_text(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise ParameterError(f"parameter {name} must be a text, not {value!r}")
    if choices and value not in choices:
        raise ParameterError(f"parameter {name} must be one of {', '.join(choices)}, not {value!r}")
