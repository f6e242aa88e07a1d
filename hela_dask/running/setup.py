"""A run that may start: what was asked for, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hela_dask.kernels.owned import LABEL_DTYPE
from hela_dask.parameters import Parameters
from hela_dask.running.needs import memory_needs
from hela_dask.running.scoring import Truth
from hela_dask.storage.groups import label_levels
from hela_dask.storage.metadata import Image
from hela_dask.tasks.memory import Need

__all__ = ["Box", "Setup"]

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Setup:
    """A run that may start: all inputs read and found sound.

    Parameters
    ----------
    image : Image
        The volume.
    run : Path
        The run folder; it may not be there yet.
    owner : Path
        The store that gets the labels.
    method : str
        Of :mod:`hela_dask.methods`.
    parameters : Parameters
        All knobs.
    cells : tuple of int or None
        Labels that were asked for.
    box : Box or None
        Only cells whose centre is in it, nm.
    centres : DataFrame or None
        Cells given instead of detected.
    corrections : DataFrame or None
        What is to be changed about them.
    corrections_path : str
        Where that is from.
    truth : Truth or None
        To score against.
    overwrite : bool
        Labels of other runs may be replaced.
    source : str
        Fingerprint of the volume's files.
    network : str
        Fingerprint of the network that the method uses; empty where it uses none.
    remarks : tuple of str
        What a user should know before all.
    segmenting : bool
        False where cells are only found.
    recompute : bool
        What is finished is computed again.
    replaced : str
        The result of an earlier call that this one replaces, in words; empty for none.
    """

    image: Image
    run: Path
    owner: Path
    method: str
    parameters: Parameters
    cells: tuple[int, ...] | None
    box: Box | None
    centres: pd.DataFrame | None
    corrections: pd.DataFrame | None
    corrections_path: str
    truth: Truth | None
    overwrite: bool
    source: str
    network: str = ""
    remarks: tuple[str, ...] = ()
    segmenting: bool = True
    recompute: bool = False
    replaced: str = ""

    @property
    def labels(self) -> Path:
        """The folder that holds the label groups."""
        return self.owner / "labels"

    def needs(self) -> list[Need]:
        """The memory that the largest tasks take."""
        labels = label_levels(self.image, LABEL_DTYPE)
        return memory_needs(self.image, labels, self.parameters, self.method)
