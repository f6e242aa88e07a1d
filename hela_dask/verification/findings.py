"""The result of a verification: differences to the records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.formatting import counted, size_text, time_text
from hela_dask.pages import Card, Frame, Shown, make_card
from hela_dask.storage.files import plain

__all__ = ["Finding", "Verification"]

_MOST = 20  # findings, and notes, in a card


@dataclass(frozen=True)
class Finding(Shown):
    """A difference to the record.

    Attributes
    ----------
    path : str
        The file, or the subject of the finding.
    problem : str
        To be read after the path.
    mend : str
        The command that repairs it, or other advice.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.Finding("labels/cells/0/c/0", "is missing", "start the run again")
    labels/cells/0/c/0 is missing: start the run again
    """

    path: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}: {self.mend}"

    def _card(self) -> Card:
        return make_card("Finding", vars(self))


@dataclass(frozen=True)
class Verification(Shown):
    """The result of :func:`verify`.

    Attributes
    ----------
    store, run : Path
        The verified paths; `run` is None where there is none.
    files, bytes : int
        Read.
    seconds : float
        It took.
    findings : tuple of Finding
        Empty if all is as recorded.
    notes : tuple of str
        Files that could not be compared, with the reason.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.verify("hela.ome.zarr")
    >>> found.findings, found.files > 10
    ((), True)
    """

    store: Path
    run: Path | None
    files: int
    bytes: int
    seconds: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.verify("hela.ome.zarr").to_dict()["ok"]
        True
        """
        found: dict[str, Any] = plain(self)
        return {"ok": self.ok, **found}

    def _card(self) -> Card:
        rows = tuple((item.path, item.problem, item.mend) for item in self.findings)
        table = Frame(("file", "problem", "advice"), rows[:_MOST], max(0, len(rows) - _MOST))
        return make_card(
            f"Verification of {self.store}",
            {
                "run folder": self.run,
                "read": f"{counted(self.files, 'file')}, {size_text(self.bytes)}, in "
                f"{time_text(self.seconds)}",
            },
            state="good" if self.ok else "poor",
            badge="all is as it was written" if self.ok else f"{len(rows)} wrong",
            warnings=self.notes[:_MOST],
            tables=(("", table),),
        )

    def __str__(self) -> str:
        lines = [str(item) for item in self.findings]
        lines += [f"note: {text}" for text in self.notes]
        read = f"{self.files} files, {self.bytes / 2**20:.1f} MiB, in {self.seconds:.1f} s"
        count = len(self.findings)
        result = "all is as it was written" if self.ok else f"{count} thing{'s'[: count > 1]} wrong"
        return "\n".join([*lines, f"{result} ({read})"])
