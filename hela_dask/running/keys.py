"""The fingerprint of every unit of a run, from its setup: pure, nothing is read.

A unit's result depends on the input, on the groups of parameters that its code reads
(:data:`GROUPS`), on the code itself, and on the results of earlier units. Where its fingerprint is
still the same, a run leaves the unit's files untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from hela_dask.methods.names import method_path
from hela_dask.methods.registry import group_names
from hela_dask.parameters import Parameters
from hela_dask.steps.assemble import CellMasks, Slab
from hela_dask.steps.regions import Region
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.markers import fingerprint
from hela_dask.volume.greys import GreyLevels

if TYPE_CHECKING:
    from hela_dask.editing.edits import Split
    from hela_dask.methods.method import Outputs
    from hela_dask.running.setup import Setup
    from hela_dask.steps.edit import LabelEdit, Piece

__all__ = ["CODE", "GROUPS", "Keys", "stage_code"]

GROUPS: dict[str, tuple[str, ...]] = {
    "levels": ("working",),
    "background": ("background", "working"),
    "detect": ("detect", "working"),
    "classify": ("working",),  # and the network of the method
    "segment": ("quality", "region", "working"),  # and those of the method
    "contacts": ("assemble", "working"),
    "assemble": ("assemble", "background", "working"),  # and those of the method
    "split": (),  # it depends on the masks only
    "measure": ("measure",),
}
"""The groups of parameters that the code of each stage reads, but for those of the method.

A stage depends on those of the stages before it by their fingerprints.
"""

_EDITS = "hela_dask.steps.edit:edit_tile"
_WORKING = "volume.opening:working_volume"
CODE: dict[str, str] = {
    "levels": f"volume.greys:voting_slices volume.greys:vote_of_slice {_WORKING}",
    "background": "operators.background:background_with_statistics kernels.background:thresholds "
    f"kernels.grey_levels:volume_levels {_WORKING}",
    "detect": "steps.detect:analysed_slices steps.detect:slice_tasks steps.detect:detection_table",
    "classify": f"operators.classify:sampled_outputs {_WORKING}",
    "segment": "steps.segment:segment_window kernels.stack:interpolate_planes "
    "steps.grow:segment_grown steps.assemble:encode_masks "
    f"kernels.morphology:box_around {_WORKING}",
    "ceded": "steps.assemble:find_ceded",
    "contacts": "steps.assemble:assemble_slab steps.assemble:shared_nuclei "
    "steps.assemble:keep_labels "
    "steps.join:slab_contacts steps.join:joinable kernels.stack:interpolate_planes",
    "assemble": "steps.assemble:assemble_slab steps.assemble:kept_labels "
    "steps.assemble:read_outlines "
    "steps.refine:volume_refiner steps.measure:count_slab geometry:Geometry "
    "storage.pyramid:halve_into",
    "split": "steps.edit:partition_cell",
    "measure": "steps.shape:find_shapes steps.shape:shape_measures steps.contacts:contacts_of_slab "
    "storage.level_array:LevelArray",
    "picture": "steps.portrait:make_solid steps.portrait:draw_cell steps.portrait:draw_sprite "
    "steps.portrait:volume_frames kernels.packed_layers:pack_layers steps.assemble:label_colors",
    "predict": f"operators.classify:class_labels storage.pyramid:halve_into {_WORKING}",
}
"""The functions that each stage computes with, as module:name; and those of the method."""


def stage_code(stage: str, *more: str) -> str:
    """Fingerprint of the code of a stage, and of more functions as package.module:name."""
    return code_fingerprint(*(f"hela_dask.{place}" for place in CODE[stage].split()), *more)


@dataclass(frozen=True)
class Keys:
    """Fingerprints of the units of one run.

    Parameters
    ----------
    source : str
        Fingerprint of the image.
    method : str
        Of :mod:`hela_dask.methods`.
    network : str
        Fingerprint of the network that the method uses; empty where it uses none.
    parameters : Parameters
        All groups.
    outputs : Outputs, optional
        Those of the network that the method asks for.
    """

    source: str
    method: str
    network: str
    parameters: Parameters
    outputs: Outputs | None = None

    @classmethod
    def from_setup(cls, setup: Setup) -> Keys:
        """Those of a run that may start."""
        return cls(setup.source, setup.method, setup.network, setup.parameters, setup.outputs)

    def levels(self) -> str:
        """Of the votes of slices on the volume's grey levels; the polarity chooses among them."""
        return self._key("levels", self.parameters.working)

    def background(self, grey_levels: GreyLevels) -> str:
        """Of the background of a slab."""
        p = self.parameters
        return self._key("background", grey_levels, p.background, p.working)

    def detect(self, background: str) -> str:
        """Of the detections in all analysed slices."""
        return self._key("detect", background, self.parameters.detect)

    def cells(self, cells: pd.DataFrame, detections: pd.DataFrame) -> str:
        """Of the tables of cells and detections."""
        return fingerprint("cells", self.source, cells.to_dict("list"), detections.to_dict("list"))

    def classify(self, grey_levels: GreyLevels) -> str:
        """Of the outputs of the method's network; empty where it asks for none."""
        asked = self.outputs
        if asked is None:
            return ""
        parts = [self.network, asked.names, asked.spacing]
        return self._key("classify", parts, grey_levels, self.parameters.working)

    def segment(self, background: str, classes: str, region: Region) -> str:
        """Of the masks of a cell; `background` and `classes` are the keys of those stages."""
        measuring = self.parameters.quality.measuring
        code = self._method_code()
        room = [self.parameters.region.cap, self.parameters.region.width]
        earlier = [background, classes, *room, self.parameters.region.depth]
        return self._key("segment", earlier, self._of_method(), measuring, region, code=code)

    def cedes_to(self, masks: Sequence[CellMasks]) -> str:
        """Of which cells cede to which."""
        return self._key("ceded", [(item.label, item.fingerprint, item.centre) for item in masks])

    def contacts(self, classes: str, slab: Slab, pairs: Sequence[tuple[int, int]]) -> str:
        """Of the contacts of pairs of cells in a slab; `classes` is the key of that stage."""
        rules = self.parameters.assemble.unclaimed
        return self._key("contacts", classes, rules, pairs, _of_masks(slab.masks))

    def assemble(
        self,
        images: Sequence[str],
        background: str,
        masks: Sequence[CellMasks],
        edits: Sequence[LabelEdit] = (),
    ) -> str:
        """Of a slab of all label groups with the names `images`; `edits` are those that touch it.

        Without edits, it is the same as before there were any.
        """
        return self._key(
            "assemble",
            list(images),
            [background, self.parameters.assemble.unclaimed, self._of_method()],
            _of_masks(masks),
            *([[item.key for item in edits]] if edits else ()),
            # Of the method, only where a nucleus ends.
            code=(*self._method_code()[1:], *((_EDITS,) if edits else ())),
        )

    def split(self, edit: Split, pieces: Sequence[Piece], place: Sequence[Any]) -> str:
        """Of the parts of a split cell, which is made of `pieces`.

        `place` is the grid that the split is computed on.
        """
        masks = [
            [piece.fingerprint, piece.withheld]
            + [[part.partition.fingerprint, part.number] for part in piece.inside]
            for piece in pieces
        ]
        return self._key("split", edit.content, masks, list(place))

    def measure(self, labels: Sequence[str], part: Sequence[Any]) -> str:
        """Of the shape of a cell, or of the contacts in a slab: `part` of the labels.

        `labels` are the keys of the slabs of labels that hold it.
        """
        p = asdict(self.parameters.measure)
        del p["in_runs"]  # no unit where it is off
        return self._key("measure", list(labels), list(part), p)

    def _of_method(self) -> list[Any]:
        """The method and all that it reads; of its network the content counts, not the place."""
        groups: Mapping[str, Mapping[str, Any]] = self.parameters.to_dict()
        found = {name: dict(groups[name]) for name in group_names(self.method)}
        if self.network:
            found[next(iter(found))]["model"] = self.network
        return [self.method, found]

    def _method_code(self) -> tuple[str, ...]:
        """The functions and classes of the method, for :func:`stage_code`."""
        kinds = [type(getattr(self.parameters, name)) for name in group_names(self.method)]
        return (
            method_path(self.method),
            *(f"{kind.__module__}:{kind.__qualname__}" for kind in kinds),
        )

    def _key(self, stage: str, *parts: Any, code: tuple[str, ...] = ()) -> str:
        return fingerprint(stage, stage_code(stage, *code), self.source, *parts)


def _of_masks(masks: Sequence[CellMasks]) -> list[Any]:
    """All that the assembly depends on, of each cell."""
    return [
        (item.label, item.fingerprint, item.cedes_to, item.owner, item.withheld) for item in masks
    ]
