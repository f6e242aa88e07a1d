"""A check of this machine and its packages, and whether a run can work here."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hela_dask.environment.machine_rows import machine_rows
from hela_dask.environment.packages import (
    extra_rows,
    import_packages,
    needed_packages,
    package_rows,
)
from hela_dask.pages import Card, Shown
from hela_dask.tasks.rows import Row, row_card, row_lines
from hela_dask.tasks.versions import versions

__all__ = ["Checkup", "doctor"]


@dataclass(frozen=True)
class Checkup(Shown):
    """The result of :func:`hela_dask.doctor`.

    Attributes
    ----------
    rows : tuple of Row
        Name, state (``"ok"``, ``"warning"``, ``"failed"``, ``"skipped"``), finding and advice.
        Only failed rows keep a run from working; skipped ones are extras that are not installed.
    versions : dict of str
        Versions of the packages that results depend on, by their names.
    seconds : float
        It took.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.doctor(disk=False)
    >>> [row.name for row in found.rows if row.state == "failed"]
    []
    """

    rows: tuple[Row, ...]
    versions: dict[str, str]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether `run` can work here."""
        return not any(row.state == "failed" for row in self.rows)

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        failed = [f"{row.name} ({row.advice})" for row in self.rows if row.state == "failed"]
        if failed:
            return f"run cannot work here, because of {', '.join(failed)}"
        warned = [row.name for row in self.rows if row.state == "warning"]
        more = f"; see the warnings: {', '.join(warned)}" if warned else ""
        return f"everything that run needs is here{more}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.Checkup((), {}, 0.0).to_dict()["ok"]
        True
        """
        return {"ok": self.ok, "summary": self.summary, **asdict(self)}

    def _card(self) -> Card:
        title = "Check of this machine and its packages"
        return row_card(title, self.rows, self.seconds, "a run can work")

    def __str__(self) -> str:
        found = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        rows = [*self.rows, Row("versions", "ok", found)]
        return "\n".join([*row_lines(rows), self.summary])


def doctor(*, disk: bool = True) -> Checkup:
    """Check this machine, and the packages of this environment.

    Imports each needed package in another process, so that a broken one is a row of the result.
    Writes a file of at most 128 MiB into the current folder to measure its speed, and removes it.

    Parameters
    ----------
    disk : bool
        Measure the speed of the disk of the current folder; at most about 3 s.

    Returns
    -------
    Checkup
        Its rows, and whether a run can work; prints as a table.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.doctor(disk=False).summary
    'everything that run needs is here...'
    """
    start = time.monotonic()
    packages = needed_packages()
    faults, blas = import_packages([item for item in packages if not item.extra])
    rows = [
        *machine_rows(Path.cwd(), blas, disk=disk),
        *package_rows(packages, faults),
        *extra_rows(packages),
    ]
    return Checkup(tuple(rows), versions(network=True), round(time.monotonic() - start, 1))
