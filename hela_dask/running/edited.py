"""Tables and parameters of a run folder that a user has edited: kept beside the new ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from hela_dask.tasks.markers import Markers

__all__ = ["keep_edited"]

_BY_HAND = (".csv", ".toml")


def keep_edited(markers: Markers) -> Iterator[str]:
    """Rename edited files, so that the run writes beside them; a sentence for each file."""
    for stage, unit in (("cells", "found"), ("report", "all")):
        marker = markers.read(stage, unit)
        changed = [] if marker is None else markers.mismatches(marker)
        for path in (Path(item.path) for item in changed):
            if path.suffix in _BY_HAND and path.is_file() and path.stat().st_size:
                kept = _free(path)
                path.rename(kept)
                yield (
                    f"{path} was changed after the run wrote it: it is kept as {kept.name}, and "
                    "written again"
                )


def _free(path: Path) -> Path:
    """An unused name beside a file."""
    names = itertools.chain(["edited"], (f"edited-{number}" for number in itertools.count(2)))
    places = (path.with_name(f"{path.stem}.{name}{path.suffix}") for name in names)
    return next(place for place in places if not place.exists())
