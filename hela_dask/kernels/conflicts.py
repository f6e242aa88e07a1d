"""Labels of voxels that several regions claim: one slice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hela_dask.box import Box
from hela_dask.kernels.distance import depth_on_grid
from hela_dask.kernels.morphology import box_around
from hela_dask.types import Mask

__all__ = ["Claim", "resolve_slice"]


# Pixels around contested ones in which the nearest uncontested one is looked for first.
_NEAR = 16


@dataclass(frozen=True)
class Claim:
    """The masks of one region in one slice.

    Parameters
    ----------
    label : int
        The cell's label, 1 or more.
    origin : tuple of int
        Row and column of the masks' first pixel in the plane.
    nucleus, cell, envelope : ndarray of bool, shape (y, x)
        The masks in the region's window. The envelope lies outside the nucleus; the cell holds
        both, or is empty where only nuclei are delivered.
    cedes_to : tuple of int
        Labels of the cells that this cell cedes its overlap to.
    """

    label: int
    origin: tuple[int, ...]
    nucleus: Mask
    cell: Mask
    envelope: Mask
    cedes_to: tuple[int, ...] = ()

    @property
    def window(self) -> Box:
        """The claim's place in the plane."""
        return Box.at(self.origin, self.cell.shape)


def resolve_slice(
    shape: tuple[int, int],
    claims: Sequence[Claim],
    pixel: tuple[float, float] = (1.0, 1.0),
    dtype: npt.DTypeLike = np.uint16,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Labels of nuclei, cells and envelopes in one plane; each pixel has at most one label.

    A pixel that one cell claims is that cell's. A cell that cedes to another leaves it all pixels
    that both claim, nucleus or not. A nucleus takes precedence over cytoplasm. A pixel that several
    cells still claim belongs to the one with the nearest uncontested pixel in the plane, a tie to
    the lower label. So the two papers' regions, each segmented independently, become one partition
    (J. Imaging 2021 leaves overlaps as they are). The rule depends on whole claims, never on
    blocks: the result does not depend on slabs, chunks or the order of the claims.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the plane in pixels.
    claims : sequence of Claim
        At most one per label, each inside the plane.
    pixel : tuple of float
        Pixel size in y and x, nm (only their ratio matters).
    dtype : dtype
        Of the answer; it must hold the largest label.

    Returns
    -------
    nuclei, cells, envelopes : ndarray of int, shape (y, x)
        0 where there is none. A nucleus and its envelope lie inside the cell of the same label,
        if that has any.
    """
    claims = _cede(shape, sorted(claims, key=lambda claim: claim.label))
    nuclei_here = np.zeros(shape, np.uint16)
    cells_here = np.zeros(shape, np.uint16)
    for claim in claims:
        nuclei_here[claim.window] += claim.nucleus
        cells_here[claim.window] += _claimed_pixels(claim)
    claimants = np.where(nuclei_here > 0, nuclei_here, cells_here)

    cells = np.zeros(shape, dtype)
    candidates = [_candidate(claim, nuclei_here) for claim in claims]
    for claim, candidate in zip(claims, candidates, strict=True):
        cells[claim.window][candidate & (claimants[claim.window] == 1)] = claim.label
    contested = claimants > 1
    if contested.any():
        cells[contested] = _nearest_claim(contested, cells, claims, candidates, pixel)

    nuclei, envelopes = np.zeros(shape, dtype), np.zeros(shape, dtype)
    for claim in claims:
        mine = cells[claim.window] == claim.label
        nuclei[claim.window][claim.nucleus & mine] = claim.label
        envelopes[claim.window][claim.envelope & mine] = claim.label
        cells[claim.window][mine & ~claim.cell] = 0
    return nuclei, cells, envelopes


def _cede(shape: tuple[int, int], claims: Sequence[Claim]) -> Sequence[Claim]:
    """The claims without the pixels that they cede.

    Pixels of claimants that all cede to one another in a ring stay claimed by all of them.
    """
    by_label = {claim.label: claim for claim in claims}
    losses: dict[int, Mask] = {}
    for claim in claims:
        for other in (by_label[label] for label in claim.cedes_to if label in by_label):
            plane = np.zeros(shape, np.bool_)
            plane[other.window] = _claimed_pixels(other)
            lost = losses.setdefault(claim.label, np.zeros(claim.cell.shape, np.bool_))
            lost |= plane[claim.window]
    if not losses:
        return claims
    kept = np.zeros(shape, np.bool_)
    for claim in claims:
        kept[claim.window] |= _claimed_pixels(claim) & ~losses.get(claim.label, np.False_)
    return [
        _subtract(claim, losses[claim.label] & kept[claim.window])
        if claim.label in losses
        else claim
        for claim in claims
    ]


def _subtract(claim: Claim, lost: Mask) -> Claim:
    """Remove pixels from a claim, in its window."""
    return replace(
        claim,
        nucleus=claim.nucleus & ~lost,
        cell=claim.cell & ~lost,
        envelope=claim.envelope & ~lost,
    )


def _claimed_pixels(claim: Claim) -> Mask:
    """All pixels of a claim, also where only a nucleus is delivered."""
    return claim.cell | claim.nucleus | claim.envelope


def _candidate(claim: Claim, nuclei_here: npt.NDArray[np.uint16]) -> Mask:
    """Pixels of a claim after nuclei have taken precedence over cytoplasm."""
    return np.where(nuclei_here[claim.window] > 0, claim.nucleus, _claimed_pixels(claim))


def _nearest_claim(
    contested: Mask,
    cells: npt.NDArray[np.integer],
    claims: Sequence[Claim],
    candidates: Sequence[Mask],
    pixel: tuple[float, float],
) -> npt.NDArray[np.integer]:
    """The label for each contested pixel, in the order of ``np.nonzero``."""
    place = np.full(contested.shape, -1, np.int64)
    place[contested] = np.arange(np.count_nonzero(contested))
    best = np.full(np.count_nonzero(contested), np.inf)
    owner = np.zeros(best.size, cells.dtype)
    for claim, candidate in zip(claims, candidates, strict=True):
        wanted = candidate & contested[claim.window]
        if not wanted.any():
            continue
        own = cells[claim.window] == claim.label
        at = place[claim.window][wanted]
        away = _distances(wanted, own, pixel)
        # The first claimant of a pixel takes it even from infinitely far: a cell may be
        # contested everywhere in a slice.
        better = (away < best[at]) | (owner[at] == 0)
        best[at[better]] = away[better]
        owner[at[better]] = claim.label
    return owner


def _distances(wanted: Mask, mask: Mask, pixel: tuple[float, float]) -> npt.NDArray[np.float32]:
    """From each wanted pixel to the nearest true one of a mask; infinite where there is none."""
    around = box_around(wanted, 0.0, pixel)
    reach = _NEAR
    while True:
        box = around.grow(reach).clip(mask.shape)
        away = depth_on_grid(~mask[box], pixel, (1, 1))[wanted[box]]
        # Pixels outside the box are farther than its sides.
        if box == Box.whole(mask.shape) or away.max() <= reach * min(pixel):
            return away
        reach *= 4
