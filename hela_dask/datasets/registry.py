"""The registry of public data sets: names, addresses, checksums, licences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from hela_dask.documents.reading import Document, check_document, parse_json, read_document
from hela_dask.errors import MissingInputError, ParameterError
from hela_dask.formatting import by_axis, listed, size_text
from hela_dask.storage.remote import read_file

__all__ = ["DataSet", "SetFile", "find_set", "read_registry", "record_files"]

REGISTRY = Path(__file__).with_name("registry.yaml")
_LARGEST = 16 * 2**20  # bytes of a list of files

# No name leads out of the folder: no "..", no hidden name, no drive.
_Name: TypeAlias = Annotated[
    str, Field(pattern=r"^(?:[\w()+,=][\w ()+,=.-]*/)*[\w()+,=][\w ()+,=.-]*$")
]
_Size: TypeAlias = Annotated[float, Field(gt=0)]


class SetFile(Document):
    """A file of a data set.

    Attributes
    ----------
    name : str
        Below the folder, with ``/``.
    url : str
        Its address.
    bytes : int or None
        Its size, if known.
    sha256, md5 : str or None
        Its checksum, if known.
    """

    name: _Name
    url: Annotated[str, Field(pattern=r"^https?://")]
    bytes: Annotated[int, Field(ge=0)] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    @property
    def checksum(self) -> str | None:
        """The checksum with the name of its method, ``sha256:…``; None where it is not known."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None


class DataSet(Document):
    """A public data set; the fields are described in the registry itself."""

    title: str
    page: str
    licence: str
    citation: str
    good_for: str
    voxel_size: tuple[_Size, _Size, _Size] | None = Field(default=None, strict=False)
    about: int | None = None
    convert: str | None = None
    record: str | None = None
    files: list[SetFile] = Field(default_factory=list)

    @property
    def by_hand(self) -> bool:
        """Whether no address of its files is known, only its page."""
        return not self.files and self.record is None

    @property
    def size(self) -> int | None:
        """Bytes in all, about; None where not known."""
        sizes = [file.bytes for file in self.files]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else self.about

    @property
    def verified_by(self) -> str:
        """How its files are verified after a download."""
        if self.by_hand:
            return "-"
        if self.record is not None:
            return "md5 of the record"
        known = sum(file.checksum is not None for file in self.files)
        if known == len(self.files):
            return "sha256"
        return f"size only ({known} of {len(self.files)} sha256)" if known else "size only"

    def row(self) -> dict[str, str]:
        """The texts of its row in a table."""
        size = "?" if self.size is None else size_text(self.size)
        if self.size is not None and self.size == self.about:
            size = f"about {size}"
        return {
            "size": f"{size}, by hand" if self.by_hand else size,
            "voxel size z, y, x": f"{by_axis(self.voxel_size)} nm" if self.voxel_size else "?",
            "licence": self.licence,
            "verified by": self.verified_by,
            "good for": f"{self.title}: {self.good_for}",
        }


class _Registry(Document):
    sets: dict[str, DataSet]


class _Links(Document):
    self: str


class _RecordFile(Document):
    key: str
    size: int
    checksum: Annotated[str, Field(pattern=r"^md5:[0-9a-f]{32}$")]
    links: _Links


class _Record(Document):
    files: list[_RecordFile]


def read_registry(path: Path | None = None) -> dict[str, DataSet]:
    """All data sets by their names; `path`: another registry than that of the package."""
    return read_document(REGISTRY if path is None else path, _Registry).sets


def find_set(name: str) -> DataSet:
    """A data set by its name; ParameterError, with all names, where there is none."""
    sets = read_registry()
    if name not in sets:
        raise ParameterError(
            f"there is no data set {name!r}: the names are {listed(sorted(sets), most=30)}"
        )
    return sets[name]


def record_files(address: str) -> list[SetFile]:
    """The files of a record, with the sizes and checksums that its archive states.

    Raises
    ------
    MissingInputError
        When there is no such record.
    InputError
        When the list has another form, or a name that leads out of a folder.
    StorageError
        When the server does not answer.
    """
    content = read_file(address, _LARGEST)
    if content is None:
        raise MissingInputError(f"{address}: the archive has no such record")
    record = check_document(parse_json(content, address), _Record, address)
    plain = [
        {
            "name": file.key,
            "url": file.links.self,
            "bytes": file.size,
            "md5": re.sub("^md5:", "", file.checksum),
        }
        for file in record.files
    ]
    return [check_document(item, SetFile, f"{address}, file {item['name']}") for item in plain]
