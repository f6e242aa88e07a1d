"""Common objects of the stages of a run.

The request, the job of the tasks, the client, the display.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hela_dask.running.keys import Keys
from hela_dask.running.setup import Setup
from hela_dask.running.stages import Job
from hela_dask.tasks.damaged import forget_damaged
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Row, Unit
from hela_dask.tasks.versions import MIXED, compare_versions, numeric_versions
from hela_dask.volume.greys import GreyLevels

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """Common objects of the stages of a run."""

    setup: Setup  # the request
    job: Job  # common inputs of the tasks
    session: Session  # returns a client, which it starts at the first call
    progress: RunProgress  # the display
    warnings: list[str] = field(default_factory=list)  # for the report; see :meth:`warn`
    repairs: list[str] = field(default_factory=list)  # files written again; see :meth:`repair`
    _versions: set[tuple[tuple[str, str], ...]] = field(default_factory=set)

    @property
    def keys(self) -> Keys:
        """Fingerprints of the units."""
        return Keys.from_setup(self.setup)

    @property
    def markers(self) -> Markers:
        """The finished units."""
        return self.job.markers

    def warn(self, text: str) -> None:
        """Keep a warning for the report, and show it."""
        self.warnings.append(text)
        self.progress.warn(text)

    def repair(self, text: str) -> None:
        """Keep which files were damaged and are written again, and show it."""
        self.repairs.append(text)
        self.progress.warn(text)

    def compute(
        self,
        task: Callable[..., Row],
        units: Sequence[Unit],
        kind: str,
        grey_levels: GreyLevels | None = None,
        **options: Any,
    ) -> dict[str, Row]:
        """The rows of a stage's units, as :func:`~hela_dask.tasks.dispatch.run_units` returns them.

        `grey_levels` are the volume's, for tasks that read the image.
        """
        job = self.job if grey_levels is None else replace(self.job, grey_levels=grey_levels)
        shared: dict[str, Any] = {"markers": self.markers, "progress": self.progress, "kind": kind}
        return run_units(self.session.client, task, job, units, **shared, **options)

    def result(self, unit: Unit) -> Row | None:
        """The row of a finished unit."""
        return self.markers.result(unit.stage, unit.name, unit.fingerprint)

    def forget_damaged(self, units: Sequence[Unit], files: str, consequence: str) -> None:
        """Finished units with missing or changed files become unfinished; the user is warned."""
        kept = forget_damaged(self.markers, units, files, consequence, self.repair)
        self._versions.update(tuple(sorted(marker.versions.items())) for marker in kept)

    def warn_of_versions(self) -> None:
        """Name the packages that finished units were computed with and that have changed since."""
        for earlier in sorted(self._versions):
            if differing := compare_versions(dict(earlier), numeric_versions(network=True)):
                self.warn(MIXED.format(versions=differing, done=self.setup.run / "done"))
