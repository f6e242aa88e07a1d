"""The mismatch between a document and its shape, as text."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

__all__ = ["first_fault", "shown"]

_NEEDED = {
    "float": "a number",
    "finite": "a finite number",
    "int": "a whole number",
    "string": "text",
    "bool": "true or false",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "none": "null",
    "literal": "{expected}",
    "enum": "{expected}",
    "greater": "more than {limit}",
    "less": "less than {limit}",
}
_LIMITS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "of at least {min_length} items",
    "too_long": "of at most {max_length} items",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
}
_BRANCH = re.compile(r"[\[(]|^(?:float|int|str|bool|none|list|dict|tuple|function-.*|_[A-Z]\w*)$")


def first_fault(error: ValidationError) -> str:
    """The first fault as the end of a sentence.

    Examples
    --------
    ``timings.segment must be a number, not 'abc'``; ``datasets[0].path is missing``.
    """
    fault = error.errors(include_url=False)[0]
    kind, context = fault["type"], fault.get("ctx", {})
    key = _key(fault["loc"])
    if kind == "missing":
        return f"{key} is missing"
    if kind == "extra_forbidden":
        return f"unknown key {key}"
    if kind in ("value_error", "assertion_error"):
        text = str(context.get("error", fault["msg"]))
        return f"{key} {text}" if fault["loc"] else text
    needed = _LIMITS.get(kind) or _NEEDED.get(kind.partition("_")[0])
    if needed is None:
        return f"{key}: {fault['msg'].lower()}, not {shown(fault['input'])}"
    return f"{key} must be {needed.format(**context)}, not {shown(fault['input'])}"


def shown(value: Any, length: int = 40) -> str:
    """A value for an error message: short, on one line, as the document has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table" if value else "an empty table"
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _key(place: tuple[int | str, ...]) -> str:
    """The place of a fault: names joined by dots, positions in brackets."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _BRANCH.search(part):
            text += f".{part[:40]}" if text else part[:40]
    return text or "its content"
