"""A run that may start: the request, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hela_dask.editing.edits import Edits
from hela_dask.geometry import Geometry
from hela_dask.kernels.packed_labels import INSTANCES, LABEL_DTYPE
from hela_dask.methods.method import Outputs
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.running.needs import memory_needs
from hela_dask.running.options import RunOptions
from hela_dask.running.scoring import Truth
from hela_dask.storage.groups import label_levels
from hela_dask.storage.metadata import Image
from hela_dask.tasks.memory import Need
from hela_dask.types import Bounds

__all__ = ["Bounds", "Setup"]


@dataclass(frozen=True)
class Setup:
    """A run that may start: all inputs read and checked."""

    options: RunOptions  # as they were given; the method by its name
    image: Image  # the volume
    run: Path  # the run folder; it may not be there yet
    owner: Path  # the store that gets the labels
    method: str  # of :mod:`hela_dask.methods`
    parameters: Parameters  # all parameters
    cells: tuple[int, ...] | None  # labels that were asked for
    box: Bounds | None  # only cells with their centre in it, nm
    centres: pd.DataFrame | None  # cells given instead of detected
    corrections: pd.DataFrame | None  # their changes
    truth: Truth | None  # to score against
    source: str  # fingerprint of the volume's files
    network: str = ""  # fingerprint of the network that the method uses; empty where it uses none
    remarks: tuple[str, ...] = ()  # warnings before the start
    # The result of an earlier call that this one replaces, in words; empty for none
    replaced: str = ""
    edits: Edits | None = None  # of the run's cells; None for none
    edits_file: Path | None = None  # where they are read from

    @property
    def labels(self) -> Path:
        """The folder that holds the label groups."""
        return self.owner / "labels"

    @property
    def chooses_cells(self) -> bool:
        """Whether only some cells were asked for, by their labels or a box."""
        return self.cells is not None or self.box is not None

    @property
    def label_paths(self) -> dict[str, Path]:
        """The label groups."""
        return {name: self.labels / name for name in (*INSTANCES, "background")}

    @property
    def working(self) -> Geometry:
        """Of the working level."""
        return self.image.levels[0].geometry.working(self.parameters.working.resolution)

    @property
    def outputs(self) -> Outputs | None:
        """The outputs of a network that the method asks for, if it has any."""
        if not self.options.segmenting:
            return None
        return get_method(self.method).asks(self.parameters)

    def needs(self) -> list[Need]:
        """The memory that the largest tasks take."""
        labels = label_levels(self.image, LABEL_DTYPE)
        return memory_needs(self.image, labels, self.parameters, self.method)
