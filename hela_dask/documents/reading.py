"""The one reader of small text files: JSON, TOML, YAML, and plain text, with their shape.

Files that another program may have written are read here and nowhere else. This module returns the
content of a regular file of a bounded size, in UTF-8, of bounded depth, without a key twice, and
with numbers that fit into 64 bits. :func:`read_document` and :func:`check_document` also check the
shape, given as a :class:`Document`, so that the code that follows need not check again.

Every reader of a file raises MissingInputError where there is no such file, InputError where it is
no regular file, too large or damaged, and StorageError where it may not be read or the disk fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hela_dask.documents.shapes import first_fault
from hela_dask.errors import InputError, MissingInputError, StorageError

__all__ = [
    "LARGEST",
    "Document",
    "Lengths",
    "check_document",
    "parse_json",
    "read_bytes",
    "read_document",
    "read_json",
    "read_text",
    "read_toml",
    "read_yaml",
]

LARGEST = 32 * 2**20
"""Bytes of the largest document that is read: its objects take up to 25 times as much memory."""
_LARGEST_YAML = 2**16  # its parser is slow, and aliases multiply the content
_MAX_DEPTH = 100
_MAX_DIGITS = 20  # -2**63 and 2**64 - 1 have 20 characters
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # NUL, and halves of a character
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}

Lengths = Annotated[tuple[float, float, float], Field(strict=False)]
"""Three finite numbers, z, y and x, from a list."""


class Document(BaseModel):
    """Base of the shapes of documents: strict types, finite numbers, unknown keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


Shape = TypeVar("Shape", bound=BaseModel)


def read_bytes(path: str | Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file of at most `largest` bytes; links are followed.

    A pipe, a device or a folder is refused without waiting.
    """
    path = Path(path)
    with _reading(path):
        # Some devices act when they are opened, and a pipe waits for a writer: look first.
        _check_regular(path, path.stat())
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _binary())
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(file.fileno())
            _check_regular(path, facts)
            content = b"" if facts.st_size > largest else file.read(largest + 1)
    if facts.st_size > largest or len(content) > largest:
        raise InputError(
            f"{path} is too large to be read as one small file: it has more than "
            f"{largest / 2**20:g} MiB"
        )
    return content


def read_text(path: str | Path, largest: int = LARGEST) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, which is left out."""
    content = read_bytes(path, largest)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a text file in UTF-8: byte {error.start + 1} belongs to no character"
        ) from error


def read_json(path: str | Path, largest: int = LARGEST) -> Any:
    """The content of a JSON file, as :func:`parse_json` has it."""
    return parse_json(read_text(path, largest), str(path))


def parse_json(text: str | bytes, source: str) -> Any:
    """The content of a text in JSON; bytes are UTF-8.

    The literals NaN and Infinity, which other programs write, become floats; a
    :class:`Document` refuses them where it needs a number.

    Raises
    ------
    InputError
        When it is not JSON, nested too deeply, has a key twice, or a whole number of more than
        64 bits; names `source`.
    """
    with _parsing(source, "valid JSON"):
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        if not text.strip():
            raise InputError(f"{source} is empty")
        found = json.loads(text, parse_int=_integer, object_pairs_hook=_unique)
    if _SUSPECT.search(text) or text.count("[") + text.count("{") > _MAX_DEPTH:
        _check_content(found, source)
    return found


def read_toml(path: str | Path, largest: int = 2**20) -> dict[str, Any]:
    """The content of a TOML file; refused where it is nested too deeply or has long numbers."""
    import tomllib

    text = read_text(path, largest)
    with _parsing(str(path), "a TOML file"):
        found = tomllib.loads(text)
    _check_content(found, str(path))
    return found


def read_yaml(path: str | Path, largest: int = _LARGEST_YAML) -> Any:
    """The content of a YAML file: numbers, texts, lists, tables; no objects, at most ten aliases.

    A time such as ``10:00:00`` stays a text (YAML 1.2), where PyYAML makes it a number of
    seconds.
    """
    import yaml

    from hela_dask.documents.yaml_loader import Loader

    text = read_text(path, largest)
    with _parsing(str(path), "a YAML file", yaml.YAMLError, TypeError, OverflowError):
        found = yaml.load(text, Loader=Loader)
    _check_content(found, str(path))
    return found


def read_document(path: str | Path, shape: type[Shape], largest: int = LARGEST) -> Shape:
    """A document with its shape checked: TOML and YAML by their suffix, JSON otherwise.

    The InputError names the file, the key and the fault.

    Examples
    --------
    >>> class Marker(Document):
    ...     fingerprint: str
    >>> read_document("done/detect-3.json", Marker)  # doctest: +SKIP
    Marker(fingerprint='90ab')
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".toml":
        return check_document(read_toml(path, min(largest, 2**20)), shape, str(path))
    if suffix in (".yaml", ".yml"):
        return check_document(read_yaml(path, min(largest, _LARGEST_YAML)), shape, str(path))
    return check_document(read_json(path, largest), shape, str(path))


def check_document(content: Any, shape: type[Shape], source: str) -> Shape:
    """Content from a reader here as a :class:`Document`.

    An InputError names `source`, the key and its fault when its shape is another.
    """
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: {first_fault(error)}") from error


@contextlib.contextmanager
def _parsing(source: str, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn the errors of a parser, beside ValueError, into one sentence."""
    caught: tuple[type[Exception], ...] = (ValueError, *errors)
    try:
        yield
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{source} is nested too deeply to be read") from None
    except caught as error:
        raise InputError(f"{source} is not {what}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (InputError, MissingInputError):
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(f"there is no file {path}") from error
    except ValueError as error:  # a NUL in the name
        raise MissingInputError(f"no file can have the name {str(path)!r}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, where a file is needed") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _check_regular(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise InputError(f"{path} is a folder, where a file is needed")
    if not stat.S_ISREG(facts.st_mode):
        kind = "a named pipe" if stat.S_ISFIFO(facts.st_mode) else "a device or socket"
        raise InputError(f"{path} is {kind}, where a file is needed")


def _binary() -> int:
    """Further flags to open with: exact bytes on Windows, and no copy in child processes."""
    return getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or not -(2**63) <= (value := int(text)) < 2**64:
        raise ValueError(f"the number {text[:12]}… has more than 64 bits")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return found


def _check_content(content: Any, source: str) -> None:
    """Refuse content that is nested too deeply (or in itself), long numbers, broken text."""
    pending: list[tuple[Any, int]] = [(content, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise InputError(f"{source} is nested too deeply to be read")
        if isinstance(value, dict):
            pending.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list | tuple | set):
            pending.extend((item, depth + 1) for item in value)
        elif isinstance(value, str):
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise InputError(f"{source} holds a text with a broken character: {value[:40]!a}")
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise InputError(f"{source} holds a whole number with more than 64 bits")
