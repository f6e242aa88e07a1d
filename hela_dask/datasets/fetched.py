"""A public data set that was fetched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hela_dask.formatting import counted
from hela_dask.pages import Card, Shown, make_card

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample(Shown):
    """The result of :func:`hela_dask.sample`.

    Attributes
    ----------
    name, title, licence, citation : str
        Of the data set.
    folder : Path
        It holds the files, and ``README.txt`` with licence and citation.
    files : tuple of Path
        All files of the set; archives are unpacked beside them.
    kept : int
        Number of files that were there already, and are intact.
    verified_by : str
        The check of the files: a checksum, or their size only.
    commands : tuple of str
        The next commands, which convert the images; empty where there is no image.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.sample("slices")  # doctest: +SKIP
    >>> found.commands[0]  # doctest: +SKIP
    'hela-dask convert slices slices.ome.zarr ...'
    """

    name: str
    title: str
    licence: str
    citation: str
    folder: Path
    files: tuple[Path, ...]
    kept: int
    verified_by: str
    commands: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.sample("slices").to_dict()["licence"]  # doctest: +SKIP
        'CC0'
        """
        return asdict(self)

    def _card(self) -> Card:
        facts = {
            "folder": self.folder,
            "files": len(self.files),
            "there already": self.kept or None,
            "verified by": self.verified_by,
            "licence": self.licence,
            "please cite": self.citation,
            "next": next(iter(self.commands), None),
        }
        return make_card(f"Data set {self.name}", facts, summary=self.title)

    def __str__(self) -> str:
        there = f", {self.kept} of them were there already" if self.kept else ""
        lines = [
            f"{self.title}",
            f"{self.folder}: {counted(len(self.files), 'file')}{there} "
            f"(verified by: {self.verified_by})",
            f"licence: {self.licence}",
            f"please cite: {self.citation}",
        ]
        if self.commands:
            more = len(self.commands) - 1
            others = f"   (and so for {counted(more, 'other file')})" if more else ""
            lines.append(f"next: {self.commands[0]}{others}")
        return "\n".join(lines)
