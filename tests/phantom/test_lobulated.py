"""Lobulated phantoms: islands, folds and oblique envelopes at the poles, pieces at the ends."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import ParameterError
from hela_dask.phantom import PhantomSpec, make_phantom, phantom_block, plan_phantom
from hela_dask.phantom.block import Block
from hela_dask.phantom.lattice import Grid
from hela_dask.phantom.lobulated import true_distance
from hela_dask.storage.metadata import read_image

SHAPE = (132, 200, 200)
VOXEL = (50.0, 40.0, 40.0)
DEEP = 12  # slices near a pole
Counts = NDArray[np.int64]


def _whole(spec: PhantomSpec) -> Block:
    return phantom_block(spec, 0, SHAPE[0], 0, SHAPE[1], 0, SHAPE[2])


@pytest.fixture(scope="module")
def plain() -> Block:
    return _whole(plan_phantom(SHAPE, 1, 6.2, seed=1))


@pytest.fixture(scope="module")
def spec() -> PhantomSpec:
    return plan_phantom(SHAPE, 1, 6.2, seed=1, kind="lobulated")


@pytest.fixture(scope="module")
def lobulated(spec: PhantomSpec) -> Block:
    return _whole(spec)


def _pieces(mask: NDArray[np.bool_], least: int = 8) -> Counts:
    """Pieces of each slice that has any."""
    found = []
    for plane in mask[mask.any((1, 2))]:
        labels, _ = ndimage.label(plane)
        found.append(int((np.bincount(labels.ravel())[1:] >= least).sum()))
    return np.array(found)


def _near_poles(counts: Counts) -> Counts:
    return np.concatenate([counts[:DEEP], counts[-DEEP:]])


def test_plain_phantom_has_the_bits_that_it_always_had() -> None:
    block = phantom_block(plan_phantom((80, 220, 300), 3, 3.4, seed=5), 0, 80, 0, 220, 0, 300)
    found = hashlib.sha256(b"".join(part.tobytes() for part in block)).hexdigest()
    assert found[:16] == "98e3988d2a6a97ad"


def test_kinds_have_the_same_places(spec: PhantomSpec) -> None:
    plain = plan_phantom(SHAPE, 1, 6.2, seed=1)
    assert plain == plan_phantom(SHAPE, 1, 6.2, seed=1, kind="plain")
    assert [cell.centre for cell in plain.cells] == [cell.centre for cell in spec.cells]
    assert spec.lobulated
    assert not plain.lobulated


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ParameterError, match="one of plain, lobulated, not 'round'"):
        plan_phantom(SHAPE, 1, 6.2, kind="round")


def test_nucleus_consists_of_islands_near_its_poles(plain: Block, lobulated: Block) -> None:
    islands, before = (_pieces(block.nuclei > 0) for block in (lobulated, plain))
    assert islands.max() >= 4 > before.max()
    assert (_near_poles(islands) > 1).mean() > 0.5
    # One body all the same: the islands are its lobes.
    pieces, _ = ndimage.label(lobulated.nuclei > 0)
    assert np.bincount(pieces.ravel())[1:].max() > 0.98 * (pieces > 0).sum()


def test_folds_are_deep_below_the_islands(plain: Block, lobulated: Block) -> None:
    def inlets(block: Block) -> float:
        """Share of the area that closing by 240 nm adds, 0.6 to 1.5 µm from the poles."""
        nucleus = block.classes == 2
        there = np.flatnonzero(nucleus.any((1, 2)))
        near = [*range(there[0] + 12, there[0] + 30), *range(there[-1] - 30, there[-1] - 12)]
        disc = np.hypot(*np.mgrid[-6:7, -6:7]) <= 6
        closed = [ndimage.binary_closing(np.pad(nucleus[z], 7), disc).sum() for z in near]
        return float(np.sum(closed) / nucleus[near].sum() - 1)

    assert inlets(lobulated) > 2 * inlets(plain)


def test_envelope_covers_a_large_part_of_the_area_near_the_poles(lobulated: Block) -> None:
    nucleus, envelope = lobulated.classes == 2, lobulated.classes == 1
    there = np.flatnonzero(nucleus.any((1, 2)))

    def share(part: slice) -> float:
        return float(envelope[part].sum() / (envelope | nucleus)[part].sum())

    middle = share(slice(there[len(there) // 2] - 8, there[len(there) // 2] + 8))
    assert share(slice(there[0], there[0] + DEEP)) > 2.5 * middle
    assert share(slice(there[-1] - DEEP, there[-1] + 1)) > 2.5 * middle


def test_cell_ends_consist_of_pieces_that_join_in_3d(plain: Block, lobulated: Block) -> None:
    def at_ends(block: Block) -> Counts:
        cell = block.cells > 0
        area = cell.sum((1, 2))
        return _pieces(cell[(area > 0.01 * area.max()) & (area < 0.2 * area.max())])

    assert at_ends(lobulated).mean() > at_ends(plain).mean() + 0.5
    assert at_ends(lobulated).max() >= 4
    pieces, _ = ndimage.label(lobulated.cells > 0)
    assert np.bincount(pieces.ravel())[1:].max() > 0.98 * (pieces > 0).sum()


def test_truth_agrees_with_the_picture(lobulated: Block) -> None:
    image, _, cells, classes = lobulated
    grey = image.astype(float)
    core = ndimage.binary_erosion(classes == 2, iterations=3)
    line = ndimage.binary_dilation(classes == 2) & (classes == 1)
    assert grey[line].mean() < grey[core].mean() - 15
    # Where the envelope lies flat it is grey too, in the slice and not at a line.
    beyond = np.zeros_like(core)
    beyond[:-1] = (classes[:-1] == 1) & (classes[1:] == 2)
    flat = beyond & ndimage.binary_erosion(classes == 1, np.ones((1, 3, 3), bool))
    assert flat.sum() > 200
    assert grey[flat].mean() < grey[core].mean() - 8
    rim = ndimage.binary_dilation(cells > 0, iterations=4)
    resin = ~rim & (classes == 4)
    inside = ndimage.binary_erosion(cells > 0, iterations=2)
    assert grey[resin].mean() > grey[inside].mean() + 35


def test_windows_are_parts_of_the_whole(spec: PhantomSpec, lobulated: Block) -> None:
    part = phantom_block(spec, 27, 45, 60, 190, 3, 170)
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(part, lobulated, strict=True))
    for window, everything in pairs:
        np.testing.assert_array_equal(window, everything[27:45, 60:190, 3:170])


def test_true_distance_is_in_nm_whatever_the_slope() -> None:
    grid = Grid((0, 0, 0), VOXEL, (8, 20, 20)).wider()
    slanted = 0.6 * grid.z + 0.8 * grid.x - 500.0 + 0.0 * grid.y
    distance, flat = true_distance((1.3 * slanted).astype(np.float32), VOXEL)
    np.testing.assert_allclose(distance, slanted[1:-1, 1:-1, 1:-1], atol=0.05)
    np.testing.assert_allclose(flat, 0.6, atol=1e-4)


def test_store_names_the_kind(tmp_path: Path) -> None:
    for kind in ("plain", "lobulated"):
        image = make_phantom(
            tmp_path / kind, shape=(48, 60, 60), cells=1, diameter=2.0, kind=kind, progress=False
        )
        made = read_image(image.path).attributes["phantom"]
        assert made.get("kind", "plain") == kind
