"""Region masks into the instance labels of the whole volume: slab by slab, one label per voxel."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.conflicts import Claim, resolve_slice
from hela_dask.kernels.packed_labels import (
    CELL,
    ENVELOPE,
    LABEL_DTYPE,
    NUCLEUS,
    OUTLINE,
    PackedLabels,
)
from hela_dask.kernels.unclaimed import NearbyMasks, assign_unclaimed, pack_claims, unclaimed_halo
from hela_dask.parameters import AssembleParameters
from hela_dask.steps.coarse_labels import Outline
from hela_dask.steps.edit import LabelEdit
from hela_dask.steps.join import apply_joined
from hela_dask.storage import store
from hela_dask.storage.records import Records

__all__ = [
    "CellMasks",
    "Slab",
    "assemble_slab",
    "check_labels",
    "encode_masks",
    "find_ceded",
    "keep_labels",
    "kept_labels",
    "label_colors",
    "label_properties",
    "plan_slabs",
    "read_outlines",
    "shared_nuclei",
]

_KEPT = ("owner", "kind")  # parts of labels, each an array
_SQUARE = (512, 512)  # pixels of a chunk
_CLAIMED = NUCLEUS | CELL | ENVELOPE


@dataclass(frozen=True)
class CellMasks:
    """Where the masks of a cell are kept, and where in the volume they belong.

    Parameters
    ----------
    label : int
        Of the cell.
    path : Path
        A scratch array of bits, as :func:`encode_masks` makes them.
    box : Box
        Voxels of the volume (z, y, x) that the array covers.
    fingerprint : str
        Hash of everything that the masks depend on.
    centre : tuple of int, optional
        Voxel of the volume (z, y, x) that the cell was found by.
    cedes_to : tuple of int
        Labels of the cells that it cedes to, see :func:`find_ceded`.
    owner : int
        Label of the cell that it is a part of, or 0; :func:`~hela_dask.steps.join.find_joined`.
    withheld : bool
        Whether its nucleus and envelope claim nothing and are left out of the labels, see
        :func:`hela_dask.steps.confidence.nucleus_withheld`.
    """

    label: int
    path: Path
    box: Box
    fingerprint: str = ""
    centre: tuple[int, int, int] | None = None
    cedes_to: tuple[int, ...] = ()
    owner: int = 0
    withheld: bool = False


@dataclass(frozen=True)
class Slab:
    """Whole planes of the working level, and the cells that reach into them.

    Parameters
    ----------
    z0, z1 : int
        Slices, half open.
    geometry : Geometry
        Of the whole volume.
    masks : tuple of CellMasks
        By label.
    thresholds : tuple of float
        Grey value where resin begins in each slice; NaN where that is not known. None are
        needed where the image is its own working level.
    kept : Path, optional
        Where its labels are kept from an earlier stage, see :func:`keep_labels`.
    edits : tuple of LabelEdit
        Of its labels, in order.
    """

    z0: int
    z1: int
    geometry: Geometry
    masks: tuple[CellMasks, ...]
    thresholds: tuple[float, ...] = ()
    kept: Path | None = None
    edits: tuple[LabelEdit, ...] = ()


def encode_masks(
    nucleus: npt.NDArray[np.bool_],
    cell: npt.NDArray[np.bool_],
    envelope: npt.NDArray[np.bool_],
    outline: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """The masks of one cell as bits: 1 nucleus, 2 cell, 4 nuclear envelope, 8 outline.

    The cell is kept with its nucleus, if there is a cell. The envelope is kept outside the nucleus
    and, if there is a cell, inside that. The outline is the nucleus up to the middle of its
    envelope, if not given the nucleus; it claims nothing.
    """
    ring, whole = envelope & ~nucleus, np.zeros_like(cell)
    if cell.any():
        whole = cell | nucleus
        ring &= cell
    outer = nucleus if outline is None or not nucleus.any() else outline
    bits = np.zeros(nucleus.shape, np.uint8)
    for mask, bit in ((nucleus, NUCLEUS), (whole, CELL), (ring, ENVELOPE), (outer, OUTLINE)):
        bits |= mask.view(np.uint8) * np.uint8(bit)
    return bits


def find_ceded(masks: Sequence[CellMasks]) -> dict[int, tuple[int, ...]]:
    """The cells that each cell cedes its overlap to: their masks have leaked into those.

    A cell cedes to another if its masks cover the other's centre, while the other's cover their own
    centre and not that of the first. If both cover both centres, or neither does, no cell cedes.
    The rule depends only on masks and centres: not on slabs nor on order.

    Parameters
    ----------
    masks : sequence of CellMasks
        Of all cells; one without a centre is ignored.

    Returns
    -------
    dict of label to tuple of labels
        Of the cells that cede, to the others, in order.

    Raises
    ------
    StorageError, MissingInputError
        When masks cannot be read.
    """
    centred = [(item, item.centre) for item in masks if item.centre is not None]
    places = np.array([place for _, place in centred], np.int64).reshape(-1, 3)
    found: dict[int, tuple[int, ...]] = {}
    for one, own in centred:
        low, high = one.box.low, one.box.high
        near = np.flatnonzero(((places >= low) & (places < high)).all(axis=1))
        to = [
            other.label
            for other, place in (centred[number] for number in near)
            if other.label != one.label
            and _covers(one, place)
            and not _covers(other, own)
            and _covers(other, place)
        ]
        if to:
            found[one.label] = tuple(sorted(to))
    return found


def _covers(masks: CellMasks, place: tuple[int, int, int]) -> bool:
    """Whether any mask of a cell holds a voxel of the volume."""
    if not masks.box.holds(place):
        return False
    voxel = masks.box.voxel(place)
    return bool(np.asarray(store.read_scratch(masks.path)[voxel]) & _CLAIMED)


def plan_slabs(
    ranges: Iterable[tuple[int, int]],
    geometry: Geometry,
    masks: Sequence[CellMasks],
    thresholds: Sequence[float] = (),
) -> list[Slab]:
    """The slabs of the labels, each with the cells that reach into it.

    `thresholds` are of all slices of the volume, or of none.
    """
    ordered = sorted(masks, key=lambda item: item.label)
    return [
        Slab(
            z0,
            z1,
            geometry,
            tuple(item for item in ordered if item.box.low[0] < z1 and z0 < item.box.high[0]),
            tuple(thresholds[z0:z1]),
        )
        for z0, z1 in ranges
    ]


def assemble_slab(
    slab: Slab, background: npt.NDArray[np.integer | np.bool_], parameters: AssembleParameters
) -> PackedLabels:
    """Read the masks that reach into a slab and label each voxel.

    Parameters
    ----------
    slab : Slab
        The slab.
    background : ndarray of int, shape (slices, y, x)
        Of the slab's slices, not 0 in the resin.
    parameters : AssembleParameters
        Rules for tissue that no region claims.

    Returns
    -------
    PackedLabels
        Of the slab: instance of each voxel, and whether nucleus, cell, envelope or resin. A cell is
        with its nucleus and that one's envelope.

    Raises
    ------
    StorageError, MissingInputError
        When masks cannot be read.

    See Also
    --------
    hela_dask.kernels.conflicts.resolve_slice : the rule for voxels that several cells claim.
    hela_dask.kernels.unclaimed.assign_unclaimed : the rule for tissue that no cell claims. It
        depends on masks of the slices next to the slab too, up to ``reach``.
    """
    halo = unclaimed_halo(slab.geometry.voxel_size[0], parameters)
    (_, height, width), pixel = slab.geometry.shape, slab.geometry.pixel
    size = (slab.z1 - slab.z0, height, width)
    labels = PackedLabels(np.zeros(size, LABEL_DTYPE), np.zeros(size, np.uint8))
    # Masks are one small array per cell, each with its own place: no chunks to overlap.
    loaded = []
    for item in slab.masks:
        start, bits = _read(item, slab.z0 - halo, slab.z1 + halo)
        low = max(slab.z0, start)
        near = pack_claims(bits & CELL > 0)
        own = bits[low - start : slab.z1 - start].copy()
        loaded.append((item, start, near, low, own))
    for number, z in enumerate(range(slab.z0, slab.z1)):
        claims, around = [], {}
        for item, start, near, low, bits in loaded:
            origin = item.box.low[1:]
            around[item.label] = NearbyMasks(origin, near, z - start)
            if low <= z < low + len(bits):
                here = bits[z - low]
                nucleus, cell, ring = (here & bit > 0 for bit in (NUCLEUS, CELL, ENVELOPE))
                claims.append(Claim(item.label, origin, nucleus, cell, ring, item.cedes_to))
        resin = background[number] != 0
        nuclei, cells, envelope = resolve_slice((height, width), claims, pixel, LABEL_DTYPE)
        free = ~resin & (cells == 0) & (nuclei == 0) & (envelope == 0)
        cells = assign_unclaimed(cells, free, around, pixel, halo, parameters)
        plane = PackedLabels.from_labels(nuclei, cells, envelope, resin)
        labels.owner[number], labels.kind[number] = plane.owner, plane.kind
    apply_joined(labels.owner, _joined(slab))
    return labels


def keep_labels(labels: PackedLabels, path: Path) -> Records:
    """Keep the labels of a slab as scratch arrays in a folder; returns records of its files.

    They are those of :func:`assemble_slab` before any cell is joined to another.
    """
    found: Records = {}
    for name in _KEPT:
        part = getattr(labels, name)
        chunks = (len(part), *_SQUARE)
        array = store.create_scratch(path / name, part.shape, part.dtype, chunks)
        files = store.write_scratch(array, part)
        found |= {f"{name}/{file}": record for file, record in files.items()}
    return found


def kept_labels(slab: Slab, path: Path) -> PackedLabels:
    """The labels of :func:`keep_labels`; joined cells have the label that stays.

    StorageError or MissingInputError when they cannot be read.
    """
    labels = PackedLabels(*(np.asarray(store.read_scratch(path / name)[:]) for name in _KEPT))
    apply_joined(labels.owner, _joined(slab))
    return labels


def _joined(slab: Slab) -> dict[int, int]:
    """The label that stays, of each cell that is a part of another one."""
    return {item.label: item.owner for item in slab.masks if item.owner}


def read_outlines(slab: Slab) -> list[Outline]:
    """The outlines of the nuclei in a slab, for :class:`~hela_dask.steps.refine.Refiner`."""
    found = []
    for item in slab.masks:
        start, bits = _read(item, slab.z0, slab.z1)
        planes, nuclei = np.zeros((2, slab.z1 - slab.z0, *bits.shape[1:]), dtype=bool)
        part = slice(start - slab.z0, start - slab.z0 + len(bits))
        planes[part], nuclei[part] = ((bits & bit) > 0 for bit in (OUTLINE, NUCLEUS))
        if planes.any():
            _, y, x = item.box.low
            found.append(Outline(item.owner or item.label, (y, x), planes, nuclei))
    return found


def shared_nuclei(slab: Slab, pairs: Iterable[tuple[int, int]]) -> list[list[float]]:
    """Volumes of the nuclei of pairs of cells in a slab, in µm³: shared, of the first, the second.

    They are those of the masks, before any conflict is resolved.
    """
    unit = float(np.prod(slab.geometry.voxel_size)) * 1e-9
    masks = {item.label: item for item in slab.masks}
    found = []
    for pair in pairs:
        one, other = (masks[label] for label in pair)
        nuclei = []
        for item in (one, other):
            start, bits = _read(item, slab.z0, slab.z1)
            nuclei.append((Box.at((start, *item.box.low[1:]), bits.shape), (bits & NUCLEUS) > 0))
        both = nuclei[0][0] & nuclei[1][0]
        shared = 0
        if not both.empty:
            parts = [mask[both.relative_to(box)] for box, mask in nuclei]
            shared = int(np.count_nonzero(parts[0] & parts[1]))
        counts = [shared, *(int(np.count_nonzero(mask)) for _, mask in nuclei)]
        found.append([count * unit for count in counts])
    return found


def _read(masks: CellMasks, z0: int, z1: int) -> tuple[int, npt.NDArray[np.uint8]]:
    """The first slice, and the bits of the slices that masks and slab share.

    A nucleus that is withheld claims nothing: it takes no voxel from one that is delivered.
    """
    z = masks.box[0]
    start = max(z.start, z0)
    part = slice(start - z.start, min(z.stop, z1) - z.start)
    bits = np.asarray(store.read_scratch(masks.path)[part])
    return start, bits.astype(np.uint8, copy=False) & np.uint8(CELL if masks.withheld else 255)


def check_labels(labels: Iterable[Any]) -> None:
    """Refuse labels that the label arrays cannot hold.

    Raises
    ------
    InputError
        For a label under 1 or over 65,535.
    """
    most = np.iinfo(LABEL_DTYPE).max
    for label in labels:
        if not isinstance(label, int | float | np.number) or not 1 <= label <= most:
            raise InputError(
                f"label {label} is not a whole number in 1 to {most}, which labels/cells can hold"
            )


def label_colors(
    labels: Iterable[int], *, pale: bool = False
) -> dict[int, tuple[int, int, int, int]]:
    """A colour (red, green, blue, alpha; 0 to 255) for each label, neighbours far apart.

    A pale one has the same hue: a nucleus differs from its cell, but its colour shows that they
    belong together.
    """
    golden = 0.6180339887498949  # steps of the golden ratio do not repeat a hue
    colors = {}
    for label in labels:
        hue, light = (label * golden) % 1.0, (0.95, 0.75)[label % 2]
        full, bright = (0.3, 1.0) if pale else (0.65, light)
        red, green, blue = colorsys.hsv_to_rgb(hue, full, bright)
        colors[label] = (round(red * 255), round(green * 255), round(blue * 255), 255)
    return colors


def label_properties(cells: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Properties of each cell for viewers: ``label-value`` and some columns of the cells table."""
    from hela_dask.storage.files import plain

    properties = []
    for row in cells.to_dict("records"):
        known = {name: plain(row[name]) for name in columns if name in row}
        properties.append({"label-value": int(row["label"]), **known})
    return properties
