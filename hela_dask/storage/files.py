"""Small files written whole or not at all: JSON, text, tables; and sentences for a failing disk."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from hela_dask.columns import COLUMNS, Column, columns_table, describe_columns, rounded
from hela_dask.errors import HelaDaskError, StorageError
from hela_dask.formatting import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "existing_folder",
    "flush_folders",
    "hidden_name",
    "plain",
    "remove_folder",
    "replaced",
    "storage_errors",
    "write_columns",
    "write_csv",
    "write_json",
    "write_table",
    "write_text",
]

_UNFLUSHABLE = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def hidden_name(path: Path, ending: str = "tmp") -> Path:
    """A hidden name beside `path` that nothing has; remains of it count as litter."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{ending}")


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system while `path` is written into a :class:`StorageError`."""
    try:
        yield
    except HelaDaskError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            free = shutil.disk_usage(existing_folder(path)).free / 2**20
            raise StorageError(
                f"no space left while writing {path} ({free:.0f} MiB free): make room there or "
                "choose another folder, then start the same command again to continue"
            ) from error
        reason = str(error.strerror or error)
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            files = [part for part in path.parents if part.exists() and not part.is_dir()]
            reason = f"{files[0]} is a file, not a folder" if files else reason
        raise StorageError(f"cannot write {path}: {reason}") from error


@contextlib.contextmanager
def replaced(
    path: Path,
    check: Callable[[], None] | None = None,
    *,
    flush: bool = True,
    flush_folder: bool = True,
) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` only when all went well.

    The content reaches the disk before the name does, and the name before this ends. `check` is
    called last; it raises where `path` may not be replaced any more. Without `flush`, a crash of
    the machine may leave the file empty; without `flush_folder`, the caller flushes the folders of
    many files at once, with :func:`flush_folders`.
    """
    temporary = hidden_name(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if flush:
                _flush(temporary)
            if check is not None:
                check()
            if path.is_dir() and not path.is_symlink():
                path.rmdir()  # an empty folder has taken the name; one that holds anything stays
            temporary.replace(path)
            if flush and flush_folder:
                _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def flush_folders(root: Path, files: Iterable[str]) -> None:
    """Have the names of new files (with ``/``) reach the disk: their folders, up to `root`."""
    folders = {parent for path in files for parent in PurePosixPath(path).parents}
    with storage_errors(root):
        for folder in sorted(folders, key=lambda item: -len(item.parts)):
            _flush(root / folder)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    File systems that cannot do it for folders (Windows, some network drives) keep names safe by
    themselves, or not at all.
    """
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return  # nothing was written there
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNFLUSHABLE:
            raise
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str, *, flush: bool = True) -> None:
    """Write `text` (UTF-8, line ends as they are) to `path`, whole or not at all.

    Without `flush`, a crash of the machine may leave it empty.
    """
    with replaced(Path(path), flush=flush) as temporary:
        temporary.write_bytes(printable(text).encode())


def write_csv(path: str | Path, text: str) -> None:
    """Write the text of a CSV to `path`, whole or not at all.

    It is UTF-8, with a byte order mark where it is not ASCII, which a spreadsheet needs.
    """
    with replaced(Path(path)) as temporary:
        temporary.write_bytes(_marked(printable(text)))


def write_json(path: str | Path, content: object, *, flush: bool = True) -> None:
    """Write `content` to `path` as JSON, whole or not at all; `flush` as in :func:`write_text`.

    NumPy numbers and arrays, paths, tuples and sets are taken; numbers that are not finite
    become null, which every JSON reader knows.
    """
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", flush=flush)


def write_table(
    path: str | Path, table: pd.DataFrame, columns: Mapping[str, Column] = COLUMNS
) -> None:
    """Write `table` to `path` + ``.parquet`` and `path` + ``.csv``, each whole or not at all.

    The CSV opens in a spreadsheet as it is: it is UTF-8, with a byte order mark where a text is not
    ASCII (µm³, a name). Numbers have the digits of their units there; the Parquet file
    keeps all, with the unit and the description of each of the `columns`
    (:mod:`hela_dask.columns`) in its field's metadata.
    """
    writers: dict[str, Callable[[Path], Any]] = {
        ".parquet": lambda file: _write_parquet(table, columns, file),
        ".csv": lambda file: file.write_bytes(_csv(table, columns)),
    }
    for suffix, write in writers.items():
        with replaced(Path(f"{path}{suffix}")) as temporary:
            write(temporary)


def write_columns(
    path: str | Path, tables: Mapping[str, tuple[pd.DataFrame, Mapping[str, Column]]]
) -> None:
    """Write the units and meanings of the columns of some tables as a CSV, whole or not at all.

    `tables` are as for :func:`hela_dask.columns.columns_table`.
    """
    with replaced(Path(path)) as temporary:
        temporary.write_bytes(_csv(columns_table(tables), {}))


def _write_parquet(table: pd.DataFrame, columns: Mapping[str, Column], file: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    whole = pyarrow.Table.from_pandas(table, preserve_index=False)
    known = describe_columns(table, columns)
    fields = [
        field.with_metadata(known[field.name]) if field.name in known else field
        for field in whole.schema
    ]
    schema = pyarrow.schema(fields, metadata=whole.schema.metadata)
    pyarrow.parquet.write_table(whole.cast(schema), file)


def _csv(table: pd.DataFrame, columns: Mapping[str, Column]) -> bytes:
    return _marked(rounded(table, columns).to_csv(index=False, lineterminator="\n"))


def _marked(text: str) -> bytes:
    """Bytes that a spreadsheet reads right: without a mark it assumes no UTF-8."""
    return text.encode("ascii" if text.isascii() else "utf-8-sig")


def remove_folder(path: Path) -> None:
    """Remove a folder so that an interruption never leaves half of it under its own name."""
    with storage_errors(path):
        doomed = hidden_name(path, "removed")
        path.rename(doomed)
        shutil.rmtree(doomed)


def existing_folder(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def plain(value: Any) -> Any:
    """`value` as it comes back from JSON: dataclasses, numpy, tuples and paths too.

    Numbers that are not finite become None; bytes of names that are not UTF-8 are escaped, as no
    JSON reader takes them.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        value = Path(value).as_posix()
    return printable(value) if isinstance(value, str) else value
