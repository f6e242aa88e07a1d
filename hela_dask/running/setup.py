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
    """A run that may start: all inputs read and found sound."""

    image: Image  # the volume
    run: Path  # the run folder; it may not be there yet
    owner: Path  # the store that gets the labels
    method: str  # of :mod:`hela_dask.methods`
    parameters: Parameters  # all knobs
    cells: tuple[int, ...] | None  # labels that were asked for
    box: Box | None  # only cells whose centre is in it, nm
    centres: pd.DataFrame | None  # cells given instead of detected
    corrections: pd.DataFrame | None  # what is to be changed about them
    corrections_path: str  # where that is from
    truth: Truth | None  # to score against
    overwrite: bool  # labels of other runs may be replaced
    source: str  # fingerprint of the volume's files
    network: str = ""  # fingerprint of the network that the method uses; empty where it uses none
    remarks: tuple[str, ...] = ()  # what a user should know before all
    segmenting: bool = True  # false where cells are only found
    recompute: bool = False  # what is finished is computed again
    # The result of an earlier call that this one replaces, in words; empty for none
    replaced: str = ""

    @property
    def labels(self) -> Path:
        """The folder that holds the label groups."""
        return self.owner / "labels"

    def needs(self) -> list[Need]:
        """The memory that the largest tasks take."""
        labels = label_levels(self.image, LABEL_DTYPE)
        return memory_needs(self.image, labels, self.parameters, self.method)
