"""The result of a check of a cluster: one row per property."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hela_dask.pages import Card, Shown
from hela_dask.tasks.rows import Row, row_card, row_lines

__all__ = ["ClusterCheck", "Row"]


@dataclass(frozen=True)
class ClusterCheck(Shown):
    """The result of :func:`hela_dask.check_cluster`.

    Attributes
    ----------
    cluster : str
        As it was named.
    rows : tuple of Row
        In the order of the checks.
    script : str
        The job script; empty for clusters without jobs.
    seconds : float
        It took.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.check_cluster("slurm.yaml", "hela.ome.zarr")  # doctest: +SKIP
    >>> [row.name for row in found.rows if row.state == "failed"]  # doctest: +SKIP
    []
    """

    cluster: str
    rows: tuple[Row, ...]
    script: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not any(row.state == "failed" for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.ClusterCheck("local", (), "", 0.0).to_dict()["ok"]
        True
        """
        return {"ok": self.ok, **asdict(self)}

    def _card(self) -> Card:
        title = f"Check of the cluster {self.cluster}"
        return row_card(title, self.rows, self.seconds, "it works")

    def __str__(self) -> str:
        lines = row_lines(self.rows)
        failed = sum(row.state == "failed" for row in self.rows)
        warned = sum(row.state == "warning" for row in self.rows)
        result = f"{failed} failed" if failed else "the cluster works"
        more = f", {warned} warning{'s'[: warned > 1]}" if warned else ""
        return "\n".join([*lines, f"{result}{more} ({self.seconds:.0f} s)"])
