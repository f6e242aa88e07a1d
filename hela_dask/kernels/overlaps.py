"""Overlap of instances with the compartments of cells: runs of voxels, their counts, the largest.

All arithmetic is on whole numbers, so that the sums are the same for any division into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.counting import count_labels
from hela_dask.types import Floats, Grey, Labels

__all__ = [
    "COMPARTMENTS",
    "CYTOPLASM",
    "ENVELOPE",
    "NUCLEUS",
    "OUTSIDE",
    "Overlaps",
    "Rows",
    "Runs",
    "add_up",
    "cell_code",
    "cell_of",
    "compartment_codes",
    "compartment_of",
    "count_codes",
    "count_runs",
    "hash_runs",
    "largest_overlaps",
    "least_along_runs",
    "least_per_label",
    "reduce_rows",
]

Rows = NDArray[np.int64]

OUTSIDE, NUCLEUS, ENVELOPE, CYTOPLASM = range(4)
COMPARTMENTS = ("outside", "nucleus", "envelope", "cytoplasm")
_KINDS = len(COMPARTMENTS)

_MANY = 2**22  # voxels: in more, a look for the largest takes longer than a row for each
_BATCH = 2**20  # rows of slabs that are added up at a time


@dataclass(frozen=True)
class Runs:
    """Voxels of one label, one after the other along x, in one compartment: an entry per run."""

    label: Rows
    code: Rows  # of :func:`compartment_codes`
    # The first voxel
    z: Rows
    y: Rows
    x: Rows
    length: Rows  # voxels

    @classmethod
    def of(
        cls, labels: Labels, codes: NDArray[np.uint32] | None = None, corner: tuple[int, ...] = ()
    ) -> Runs:
        """The runs of a block, without those of label 0.

        Parameters
        ----------
        labels
            (z, y, x) instances; 0 is none.
        codes
            (z, y, x), of :func:`compartment_codes`; None: all are 0.
        corner
            The block's first voxel (z, y, x) in the volume; default: 0, 0, 0.
        """
        width = labels.shape[2]
        flat = labels.reshape(-1)
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        if codes is not None:
            beside = codes.reshape(-1)
            begins[1:] |= beside[1:] != beside[:-1]
        begins[::width] = True
        first = np.flatnonzero(begins)
        length = np.diff(first, append=flat.size)
        there = flat[first] != 0
        first, length = first[there], length[there]
        z, y, x = np.unravel_index(first, labels.shape)
        dz, dy, dx = corner or (0, 0, 0)
        code = np.zeros(first.size, np.int64) if codes is None else beside[first].astype(np.int64)
        return cls(flat[first].astype(np.int64), code, z + dz, y + dy, x + dx, length)


def compartment_codes(nuclei: Labels, cells: Labels, envelope: Labels) -> NDArray[np.uint32]:
    """Cell and compartment of each voxel as one number: 4 times the cell, plus the compartment.

    The labels are (z, y, x), 0 where there is none; a nucleus and its envelope have the label of
    their cell. Where they overlap, the nucleus comes first, then the envelope. The code is 0
    outside of all cells.
    """
    codes = np.where(cells > 0, cells.astype(np.uint32) * _KINDS + CYTOPLASM, np.uint32(0))
    for labels, compartment in ((envelope, ENVELOPE), (nuclei, NUCLEUS)):
        there = labels > 0
        codes[there] = labels[there].astype(np.uint32) * _KINDS + compartment
    return codes


def cell_code(cell: int, compartment: int) -> int:
    """The code of a compartment of a cell."""
    return cell * _KINDS + compartment


def cell_of(codes: NDArray[Any]) -> NDArray[Any]:
    """The cell of each code; 0 outside of all cells."""
    cells: NDArray[Any] = codes // _KINDS
    return cells


def compartment_of(codes: NDArray[Any]) -> NDArray[Any]:
    """The compartment of each code, as a position in :data:`COMPARTMENTS`."""
    kinds: NDArray[Any] = codes % _KINDS
    return kinds


def count_codes(codes: NDArray[np.integer], corner: tuple[int, ...]) -> Rows:
    """Voxels and extent of each code, or label, in a block that begins at `corner`.

    `codes` are 0 or more, and 0 is not counted. Returns rows of code, voxels, and first and last +
    1 of its slices, rows and columns; for :func:`reduce_rows` with one key and one sum.
    """
    codes = np.ascontiguousarray(codes, codes.dtype.newbyteorder("="))
    few = codes.dtype in (np.uint8, np.uint16) and codes.size > _MANY
    largest = np.iinfo(codes.dtype).max if few else codes.max(initial=0)
    found = np.zeros((int(largest) + 1, 7), np.int64)
    found[:, 1::2] = np.iinfo(np.int64).max
    count_labels(codes, found)
    there = np.flatnonzero(found[:, 0])
    rows = np.concatenate([there[:, None], found[there]], axis=1)
    rows[:, 2:] += np.repeat(np.array(corner, np.int64), 2)
    return rows


def count_runs(runs: Runs) -> Rows:
    """Voxels, sums of places and extent of each pair of label and code.

    Returns rows of label, code, voxels, sums of z, y and x over the voxels, and first and last + 1
    of its slices, rows and columns; for :func:`reduce_rows` with two keys and four sums.
    """
    n, last = runs.length, runs.x + runs.length
    along = n * runs.x + n * (n - 1) // 2
    places = [runs.z, runs.z + 1, runs.y, runs.y + 1, runs.x, last]
    columns = [runs.label, runs.code, n, n * runs.z, n * runs.y, along, *places]
    return reduce_rows(np.stack(columns, axis=1), keys=2, sums=4)


def hash_runs(runs: Runs) -> Rows:
    """A hash of the voxels of each label; rows for :func:`reduce_rows` with a key and a sum.

    It depends on the set of voxels only: a run has the difference of the hashes of its two ends, so
    that the parts of a run that is cut have the sum of the whole.
    """
    line = _mixed(runs.z.astype(np.uint64) << np.uint64(32) | runs.y.astype(np.uint64))
    first, last = (_mixed(line + at.astype(np.uint64)) for at in (runs.x, runs.x + runs.length))
    rows = np.stack([runs.label, (last - first).view(np.int64)], axis=1)
    return reduce_rows(rows, keys=1, sums=1)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The numbers, spread over all 64 bits: the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ values >> np.uint64(31)
    return mixed


def reduce_rows(rows: Rows, *, keys: int, sums: int) -> Rows:
    """Rows of equal keys made one, sorted by them; the same in any order of the rows.

    The first columns are the keys; the next ones are added up; of the others, in pairs, the least
    of the first and the largest of the second is kept.
    """
    if not len(rows):
        return rows
    order = np.lexsort(rows[:, :keys].T[::-1])
    rows = rows[order]
    begins = np.ones(len(rows), bool)
    np.any(rows[1:, :keys] != rows[:-1, :keys], axis=1, out=begins[1:])
    first = np.flatnonzero(begins)
    found = rows[first]
    ends = keys + sums
    found[:, keys:ends] = np.add.reduceat(rows[:, keys:ends], first, axis=0)
    found[:, ends::2] = np.minimum.reduceat(rows[:, ends::2], first, axis=0)
    found[:, ends + 1 :: 2] = np.maximum.reduceat(rows[:, ends + 1 :: 2], first, axis=0)
    return found


def add_up(parts: Iterable[Rows]) -> Rows:
    """Rows of :func:`count_runs` of all slabs as one row per label and code.

    Few more rows are held than there are in the end.
    """
    total, waiting, size = np.zeros((0, 12), np.int64), [], 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size > max(_BATCH, len(total)):
            total = reduce_rows(np.concatenate([total, *waiting]), keys=2, sums=4)
            waiting, size = [], 0
    return reduce_rows(np.concatenate([total, *waiting]), keys=2, sums=4)


@dataclass(frozen=True)
class Overlaps:
    """The cell and the compartment of each label: an entry per label, in rising order."""

    label: Rows
    voxels: Rows
    cell: Rows  # 0: outside of all cells
    cell_voxels: Rows  # in that cell
    compartment: Rows  # of :data:`COMPARTMENTS`
    compartment_voxels: Rows  # in that compartment of that cell
    second: Rows  # the cell that holds most of the others; -1 where there are no others
    second_voxels: Rows
    centre: Floats  # (n, 3), mean place of the voxels
    low: Rows  # (n, 3), first voxel along each axis
    high: Rows  # (n, 3), last voxel + 1


def largest_overlaps(rows: Rows) -> Overlaps:
    """Assign each label to the cell that holds most of its voxels, and there to a compartment.

    `rows` are those of :func:`count_runs`, reduced. "Outside of all cells" counts like a cell. Of
    equal numbers, a cell goes before the outside, then the smaller label; of compartments, the
    first of :data:`COMPARTMENTS`.
    """
    whole = reduce_rows(np.delete(rows, 1, axis=1), keys=1, sums=4)
    cell, kind = cell_of(rows[:, 1]), compartment_of(rows[:, 1])
    shared = reduce_rows(np.stack([rows[:, 0], cell, rows[:, 2]], axis=1), keys=2, sums=1)
    label, owner, voxels = shared[np.lexsort(_ranks(shared))].T
    first = _firsts(label)
    many = np.diff(first, append=label.size) > 1
    second, second_voxels = np.full(first.size, -1), np.zeros(first.size, np.int64)
    second[many], second_voxels[many] = owner[first[many] + 1], voxels[first[many] + 1]
    best = owner[first]
    inside = cell == best[np.searchsorted(whole[:, 0], rows[:, 0])]
    found, kinds, size = rows[inside, 0], kind[inside], rows[inside, 2]
    order = np.lexsort((kinds, -size, found))
    top = order[_firsts(found[order])]
    return Overlaps(
        label=whole[:, 0],
        voxels=whole[:, 1],
        cell=best,
        cell_voxels=voxels[first],
        compartment=kinds[top],
        compartment_voxels=size[top],
        second=second,
        second_voxels=second_voxels,
        centre=whole[:, 2:5] / whole[:, 1:2],
        low=whole[:, 5::2],
        high=whole[:, 6::2],
    )


def _ranks(shared: Rows) -> tuple[Rows, ...]:
    """Keys of the order by label, by falling number of voxels, and by cell, the outside last."""
    label, owner, voxels = shared.T
    return np.where(owner == 0, np.iinfo(np.int64).max, owner), -voxels, label


def _firsts(sorted_labels: Rows) -> Rows:
    """Positions at which a new label begins."""
    new = np.ones(sorted_labels.size, bool)
    np.not_equal(sorted_labels[1:], sorted_labels[:-1], out=new[1:])
    return np.flatnonzero(new).astype(np.int64)


def least_along_runs(
    distance: Grey, runs: Runs, corner: tuple[int, ...], factors: tuple[int, int]
) -> Grey:
    """The least value along each run.

    Parameters
    ----------
    distance
        (z, y, x) on a coarser grid: one of its pixels is `factors` (y, x) pixels of the runs.
    runs
        Inside of that grid.
    corner
        Its first voxel (z, y, x), in its voxels.
    factors
        Pixels (y, x).
    """
    least = np.empty(runs.length.size, np.float32)
    z, (y, x) = runs.z - corner[0], (runs.y // factors[0], runs.x // factors[1])
    last = (runs.x + runs.length - 1) // factors[1]
    _least(distance, z, y - corner[1], x - corner[2], last - corner[2], least)
    return least


def least_per_label(label: Rows, *values: Grey) -> tuple[NDArray[Any], ...]:
    """The labels in rising order, and the least of the values of each; of every array of values."""
    order = np.argsort(label, kind="stable")
    first = _firsts(label[order])
    least = (np.minimum.reduceat(each[order], first) if first.size else each for each in values)
    return label[order][first], *least


@compiled
def _least(distance: Grey, z: Rows, y: Rows, first: Rows, last: Rows, out: NDArray[Any]) -> None:
    for number in range(len(out)):
        row = distance[z[number], y[number]]
        least = row[first[number]]
        for x in range(first[number] + 1, last[number] + 1):
            least = min(least, row[x])
        out[number] = least
