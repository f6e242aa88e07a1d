"""A folder of slices: TIFFs, or files of DigitalMicrograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hela_dask.conversion.readers.dm import open_dm_folder
from hela_dask.conversion.readers.names import listed
from hela_dask.conversion.readers.slice_sets import slice_entries
from hela_dask.conversion.readers.source import Role, Source
from hela_dask.conversion.readers.tiff_sets import open_tiffs
from hela_dask.errors import InputError
from hela_dask.storage.formats import DM_SUFFIXES, TIFF_SUFFIXES, how_to_read

__all__ = ["open_folder"]


def open_folder(folder: Path, role: Role = "grey") -> Source:
    """A folder with one file per slice, in natural order of the names.

    Where it holds TIFFs and files of DigitalMicrograph, the TIFFs are read, with a remark. An
    InputError names a slice that cannot be read, is a broken link or unlike the first one.
    """
    tiffs = slice_entries(folder, TIFF_SUFFIXES, "TIFF")
    left = [name for name in tiffs.others if Path(name).suffix.lower() in DM_SUFFIXES]
    if tiffs.names:
        source = open_tiffs(folder, tiffs, role)
        if not left:
            return source
        remark = (
            f"{folder} holds files of DigitalMicrograph ({listed(left)}) beside the TIFFs; only "
            "the TIFFs are read"
        )
        return replace(source, remarks=(*source.remarks, remark))
    files = slice_entries(folder, DM_SUFFIXES, "DigitalMicrograph file")
    if not files.names:
        raise InputError(how_to_read(folder))
    return open_dm_folder(folder, files)
