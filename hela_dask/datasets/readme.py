"""The text beside a data set: its source, licence, citation and files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from hela_dask.datasets.registry import DataSet, SetFile
from hela_dask.errors import ExistsError
from hela_dask.formatting import by_axis
from hela_dask.storage.files import storage_errors, write_text

__all__ = ["README", "check_readme", "write_readme"]

README = "README.txt"
_MARK = "Public data set {name}, fetched by hela-dask sample"


def check_readme(folder: Path, name: str, *, overwrite: bool) -> None:
    """Refuse a folder with a README.txt that is of something else."""
    path = folder / README
    if overwrite or not path.exists():
        return
    with storage_errors(path):
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    if first != _MARK.format(name=name):
        raise ExistsError(
            f"{path} is there already and is not of the data set {name}: choose another folder "
            "with --out, or replace it with --overwrite"
        )


def write_readme(
    folder: Path, name: str, data: DataSet, files: Sequence[SetFile], commands: Sequence[str]
) -> None:
    """Write source, licence, citation, voxel size, files and next commands into the folder."""
    voxel = f"{by_axis(data.voxel_size)} nm" if data.voxel_size else "not known here, see the page"
    facts = {
        "title": data.title,
        "page": data.page,
        "licence": data.licence,
        "please cite": data.citation,
        "voxel size": f"{voxel}, z, y, x",
        "good for": data.good_for,
        "verified by": data.verified_by,
    }
    wrapper = textwrap.TextWrapper(
        100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )  # addresses stay whole
    lines = [_MARK.format(name=name), ""]
    for key, value in facts.items():
        lines += wrapper.wrap(f"{key}: {value}")
    lines += ["", "files (bytes, checksum, address):"]
    lines += [
        f"  {file.name}  {file.bytes or 'size of the server'}  {file.checksum or 'size only'}  "
        f"{file.url}"
        for file in files
    ]
    if commands:
        lines += ["", "next:", *(f"  {command}" for command in commands)]
    write_text(folder / README, "\n".join([*lines, ""]))
