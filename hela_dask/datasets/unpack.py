"""Archives of slices, unpacked into a folder that is new or stays as it is."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hela_dask.errors import InputError, ResourceError, StorageError
from hela_dask.formatting import size_text
from hela_dask.storage.files import hidden_name, storage_errors

__all__ = ["archive_folder", "unpack"]

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError),
    RuntimeError,  # encrypted, or compressed by an unknown method
)


def archive_folder(path: Path) -> Path | None:
    """The folder that an archive is unpacked into, beside it; None for any other file."""
    ending = next((end for end in _ENDINGS if path.name.lower().endswith(end)), None)
    return None if ending is None else path.with_name(path.name[: -len(ending)])


def unpack(path: Path) -> Path:
    """Unpack a zip or tar file into the folder of its name, beside it.

    The folder appears when all files are in it; one that is there already is kept.

    Raises
    ------
    InputError
        When the archive is damaged, or has a link or a name that leads out of the folder.
    ResourceError
        When its files do not fit on the disk.
    StorageError
        When the disk fails.
    """
    folder = archive_folder(path)
    if folder is None:
        raise InputError(f"{path} is no archive: zip and tar files are unpacked")
    if folder.is_dir():
        return folder
    if folder.exists():
        raise StorageError(f"{path} cannot be unpacked: {folder} is a file")
    temporary = hidden_name(folder)
    try:
        with storage_errors(folder):
            temporary.mkdir()
        try:
            _extract(path, temporary)
        except _DAMAGED as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} is damaged and cannot be unpacked: {reason}") from error
        with storage_errors(folder):
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _extract(path: Path, folder: Path) -> None:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            items = archive.infolist()
            _check(path, folder, ((item.filename, item.file_size, _kind(item)) for item in items))
            with storage_errors(folder):
                archive.extractall(folder)
        return
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"{path} cannot be unpacked safely by this Python: use 3.11.4 or newer")
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        kinds = ((item.name, item.size, item.isfile() or item.isdir()) for item in members)
        _check(path, folder, kinds)
        with storage_errors(folder):
            tar.extractall(folder, members, filter="data")


def _kind(item: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file or a folder, and no link or device."""
    mode = item.external_attr >> 16
    return not stat.S_IFMT(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _check(path: Path, folder: Path, items: Iterator[tuple[str, int, bool]]) -> None:
    """Refuse an archive before anything of it is written."""
    total = 0
    for name, size, plain in items:
        inside = PurePosixPath(name.replace("\\", "/"))
        leads_out = inside.is_absolute() or ".." in inside.parts or ":" in name
        if leads_out or not plain:
            fault = "leads out of the folder" if leads_out else "is a link or a device"
            raise InputError(f"{path} is not unpacked: its entry {name!r} {fault}")
        total += size
    free = shutil.disk_usage(folder).free
    if total > free:
        raise ResourceError(
            f"{path} is not unpacked: its files need {size_text(total)}, and {folder.parent} has "
            f"{size_text(free)} free"
        )
