"""Overlap of instances with compartments, against counts of single voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.distance import distance_inside
from hela_dask.kernels.overlaps import (
    CYTOPLASM,
    ENVELOPE,
    NUCLEUS,
    OUTSIDE,
    Runs,
    cell_code,
    compartment_codes,
    count_codes,
    count_runs,
    hash_runs,
    largest_overlaps,
    least_along_runs,
    least_per_label,
    reduce_rows,
)


def drawn(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Labels with large numbers, and codes; both change along every axis."""
    rng = np.random.default_rng(seed)
    shape = (6, 7, 20)
    labels = rng.choice([0, 5, 7, 2**62], shape).repeat(3, axis=2)
    codes = rng.choice([0, 5, 6, 7, 11], shape).repeat(3, axis=2)
    return labels, np.roll(codes, 1, axis=2).astype(np.uint32)


def test_the_nucleus_comes_before_its_envelope_and_that_before_the_cytoplasm() -> None:
    cells = np.array([[[0, 2, 2, 2, 0, 2]]], np.uint16)
    nuclei = np.array([[[0, 0, 0, 2, 3, 2]]], np.uint16)
    envelope = np.array([[[0, 0, 2, 0, 0, 2]]], np.uint16)
    found = compartment_codes(nuclei, cells, envelope)
    wanted = [(0, OUTSIDE), (2, CYTOPLASM), (2, ENVELOPE), (2, NUCLEUS), (3, NUCLEUS), (2, NUCLEUS)]
    assert found.ravel().tolist() == [cell_code(*pair) for pair in wanted]


def test_runs_are_all_labelled_voxels_and_end_with_the_row() -> None:
    labels, codes = drawn()
    labels[:, :, -1] = labels[:, :, 0] = 7
    runs = Runs.of(labels, codes, (10, 20, 30))
    again = np.zeros_like(labels)
    for label, code, z, y, x, n in zip(
        runs.label, runs.code, runs.z, runs.y, runs.x, runs.length, strict=True
    ):
        part = (z - 10, y - 20, slice(x - 30, x - 30 + n))
        assert x - 30 + n <= labels.shape[2]
        assert (codes[part] == code).all()
        again[part] = label
    np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 5)])
def test_counts_are_the_same_for_any_division(cuts: tuple[int, ...]) -> None:
    labels, codes = drawn()
    parts = []
    for z0, z1 in zip((0, *cuts), (*cuts, len(labels)), strict=True):
        for x in (slice(0, 13), slice(13, None)):
            runs = Runs.of(labels[z0:z1, :, x], codes[z0:z1, :, x], (z0, 0, x.start))
            parts.append(count_runs(runs))
    found = reduce_rows(np.concatenate(parts[::-1]), keys=2, sums=4)
    rows = []
    for label in (5, 7, 2**62):
        for code in np.unique(codes):
            places = np.argwhere((labels == label) & (codes == code))
            ends = np.stack([places.min(0), places.max(0) + 1], axis=1).ravel()
            rows.append([label, code, len(places), *places.sum(0), *ends])
    np.testing.assert_array_equal(found, np.array(rows, np.int64))
    whole = count_codes(codes, (0, 0, 0))
    halves = [count_codes(codes[:3], (0, 0, 0)), count_codes(codes[3:], (3, 0, 0))]
    np.testing.assert_array_equal(reduce_rows(np.concatenate(halves), keys=1, sums=1), whole)
    assert whole[:, 1].sum() == (codes > 0).sum()


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 5)])
def test_hashes_are_the_same_for_any_division(cuts: tuple[int, ...]) -> None:
    labels, _ = drawn()
    parts = [
        hash_runs(Runs.of(labels[z0:z1, :, x], None, (z0, 0, x.start)))
        for z0, z1 in zip((0, *cuts), (*cuts, len(labels)), strict=True)
        for x in (slice(0, 13), slice(13, None))
    ]
    found = reduce_rows(np.concatenate(parts[::-1]), keys=1, sums=1)
    np.testing.assert_array_equal(found, hash_runs(Runs.of(labels)))
    assert found[:, 0].tolist() == [5, 7, 2**62]


def test_a_hash_is_of_the_voxels_and_their_places() -> None:
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[1:4, 2:5, 3:6] = 3
    hashes = set()
    for z, y, x in np.argwhere(labels):  # every set with a voxel less, moved sets, and the whole
        other = labels.copy()
        other[z, y, x] = 0
        hashes.add(hash_runs(Runs.of(other))[0, 1])
    for axis in range(3):
        hashes.add(hash_runs(Runs.of(np.roll(labels, 1, axis)))[0, 1])
    hashes.add(hash_runs(Runs.of(labels))[0, 1])
    assert len(hashes) == 27 + 3 + 1
    same = hash_runs(Runs.of(np.where(labels > 0, 9, 0)))
    assert same.tolist() == [[9, hash_runs(Runs.of(labels))[0, 1]]]


def rows_of(*counts: tuple[int, int, int, int]) -> NDArray[np.int64]:
    """Rows of label, cell, compartment and voxels."""
    return np.array(
        [[label, cell_code(c, kind), n, 0, 0, 0, 0, 1, 0, 1, 0, 1] for label, c, kind, n in counts]
    )


def test_most_voxels_decide_and_ties_have_an_order() -> None:
    found = largest_overlaps(
        rows_of(
            # More in cell 1 than in cell 2, though its largest compartment is smaller.
            (1, 1, NUCLEUS, 30),
            (1, 1, CYTOPLASM, 31),
            (1, 2, CYTOPLASM, 60),
            # As many outside as inside; of equal compartments the first.
            (2, 0, OUTSIDE, 20),
            (2, 3, ENVELOPE, 10),
            (2, 3, CYTOPLASM, 10),
            (4, 0, OUTSIDE, 9),
            (4, 8, CYTOPLASM, 8),
            (4, 9, CYTOPLASM, 8),
            (5, 4, CYTOPLASM, 1),
        )
    )
    assert found.label.tolist() == [1, 2, 4, 5]
    assert found.cell.tolist() == [1, 3, 0, 4]
    assert found.compartment.tolist() == [CYTOPLASM, ENVELOPE, OUTSIDE, CYTOPLASM]
    assert found.voxels.tolist() == [121, 40, 25, 1]
    assert found.cell_voxels.tolist() == [61, 20, 9, 1]
    assert found.compartment_voxels.tolist() == [31, 10, 9, 1]
    assert found.second.tolist() == [2, 0, 8, -1]
    assert found.second_voxels.tolist() == [60, 20, 8, 0]


@pytest.mark.parametrize("factors", [(1, 1), (2, 3)])
def test_the_least_along_runs_on_a_coarser_grid(factors: tuple[int, int]) -> None:
    labels, _ = drawn()
    fy, fx = factors
    coarse = (len(labels), -(-labels.shape[1] // fy), -(-labels.shape[2] // fx))
    distance = np.random.default_rng(1).random(coarse, np.float32)
    runs = Runs.of(labels, corner=(4, 3 * fy, 5 * fx))
    least = least_along_runs(distance, runs, (4, 3, 5), factors)
    label, found = least_per_label(runs.label, least)
    fine = distance.repeat(fy, axis=1).repeat(fx, axis=2)[:, : labels.shape[1], : labels.shape[2]]
    assert label.tolist() == [5, 7, 2**62]
    assert found.tolist() == [fine[labels == item].min() for item in label]


def test_distances_in_three_axes_are_exact_and_nothing_is_known_beyond_the_sides() -> None:
    mask = np.ones((9, 14, 11), bool)
    mask[4, 6:9, 2] = False
    voxel = (50.0, 10.0, 20.0)
    wanted = ndimage.distance_transform_edt(mask, sampling=voxel)
    np.testing.assert_allclose(distance_inside(mask, voxel), wanted, rtol=1e-6)
    assert np.isnan(distance_inside(np.ones((2, 3, 4), bool), voxel)).all()
