"""The boxes of the labelled cells of a finished run, as its stage ``assemble`` counted them."""

from __future__ import annotations

import pandas as pd

from hela_dask.errors import MissingInputError
from hela_dask.running.reading import RunFolder
from hela_dask.steps.measure import combine_counts
from hela_dask.tasks.markers import Markers

__all__ = ["read_counts"]


def read_counts(folder: RunFolder) -> pd.DataFrame:
    """Voxels and box of each labelled cell: :func:`hela_dask.steps.measure.combine_counts`.

    The index is the label, too. MissingInputError where the markers of the run are gone.
    """
    markers, parts = Markers(folder.path / "done"), []
    for name in markers.names():
        stage, _, unit = name.partition("-")
        marker = markers.read(stage, unit) if stage == "assemble" else None
        if marker is not None and "counts" in marker.result:
            parts.append(pd.DataFrame(marker.result["counts"]))
    if not parts:
        raise MissingInputError(
            f"{markers.folder}, which has the place of each cell, is gone: start hela-dask run "
            f"{folder.facts.get('store')} --out {folder.path} again"
        )
    counts = combine_counts(parts)
    return counts.set_index("label", drop=False)
