"""Parts of one cell: which pairs come into question, and which are joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hela_dask.box import Box
from hela_dask.parameters import AssembleParameters
from hela_dask.steps.join import Part, apply_joined, find_joined, joinable, slab_contacts

P = AssembleParameters(boundary=0.2, least_contact=1.0)
NUCLEUS = Box.of([(2, 8), (2, 8), (2, 8)])


def part(label: int, low: int, high: int, nucleus: Box | None = None, size: float = 1.0) -> Part:
    return Part(label, Box.of([(0, 10), (0, 10), (low, high)]), nucleus, size)


def row(low: int, high: int, chance: float, **more: float) -> list[float]:
    """A contact of 5 µm² with a mean probability; nuclei of 4 µm³ that share nothing."""
    area, shared = more.get("area", 5.0), more.get("shared", 0.0)
    return [low, high, area, area * chance, shared, 4.0, 4.0]


def test_pairs_are_adjacent_and_one_has_no_nucleus_of_its_own() -> None:
    far = Box.of([(2, 8), (2, 8), (20, 26)])
    with_nucleus, without = part(1, 0, 10, NUCLEUS), part(2, 10, 20)
    assert joinable([without, with_nucleus]) == [(1, 2)]
    assert joinable([with_nucleus, part(2, 11, 20)]) == []  # a pixel lies between them
    assert joinable([with_nucleus, part(3, 5, 30, far)]) == []  # each has its own
    assert joinable([with_nucleus, part(3, 5, 30, NUCLEUS)]) == [(1, 3)]
    assert joinable([]) == []


def test_a_part_without_a_nucleus_joins_the_cell_without_a_boundary_between() -> None:
    parts = [part(1, 0, 10, NUCLEUS), part(2, 10, 20), part(3, 20, 30, NUCLEUS)]
    assert find_joined(parts, [row(1, 2, 0.1), row(2, 3, 0.5)], P) == {2: 1}
    assert find_joined(parts, [row(1, 2, 0.19), row(2, 3, 0.05)], P) == {2: 3}
    assert find_joined(parts, [row(1, 2, 0.3), row(2, 3, 0.5)], P) == {}
    assert find_joined(parts, [row(1, 2, 0.1, area=0.9)], P) == {}
    half = row(1, 2, 0.1, area=0.6)
    assert find_joined(parts, [half, half], P) == {2: 1}  # of two slabs


def test_it_never_joins_two_cells_with_a_nucleus_each() -> None:
    parts = [part(1, 0, 10, NUCLEUS), part(2, 10, 20), part(3, 20, 30, NUCLEUS)]
    both = [row(1, 2, 0.1), row(2, 3, 0.05)]
    assert find_joined(parts, both, P) == find_joined(parts[::-1], both[::-1], P) == {2: 3}


def test_cells_with_one_nucleus_are_one() -> None:
    parts = [part(1, 0, 10, NUCLEUS, 1.0), part(2, 10, 20, NUCLEUS, 2.0)]
    same = row(1, 2, 0.1, shared=2.1)
    assert find_joined(parts, [same], P) == {1: 2}  # the larger one stays
    assert find_joined(parts, [row(1, 2, 0.1, shared=1.9)], P) == {}
    # Two masks of one cell leave each other no contact.
    assert find_joined(parts, [row(1, 2, 0.0, shared=4.0, area=0.0)], P) == {1: 2}
    assert find_joined(parts, [row(1, 2, 0.5, shared=4.0)], P) == {}


def test_several_parts_get_one_label() -> None:
    parts = [part(4, 0, 10), part(5, 10, 20), part(6, 20, 30, NUCLEUS)]
    found = find_joined(parts, [row(4, 5, 0.1), row(5, 6, 0.1)], P)
    assert found == {4: 6, 5: 6}


@pytest.mark.parametrize("boundary", [0.0, 0.05])
def test_the_limit_is_a_parameter(boundary: float) -> None:
    parts = [part(1, 0, 10, NUCLEUS), part(2, 10, 20)]
    assert find_joined(parts, [row(1, 2, 0.05)], replace(P, boundary=boundary)) == {}


def test_contacts_of_a_slab_add_up() -> None:
    cells = np.zeros((3, 8, 8), np.uint16)
    cells[:, :, :4], cells[:, :, 4:] = 1, 2
    boundary = np.full(cells.shape, 51, np.uint8)
    found = slab_contacts(cells, boundary, (50.0, 40.0, 40.0), [(1, 2), (1, 9)])
    area = 3 * 8 * 50 * 40 * 1e-6
    assert found == [[1, 2, pytest.approx(area), pytest.approx(0.2 * area)], [1, 9, 0, 0]]


def test_owners_change_in_place() -> None:
    owner = np.array([[0, 1, 2], [3, 2, 0]], np.uint16)
    apply_joined(owner, {2: 3, 70: 1})
    assert owner.tolist() == [[0, 1, 3], [3, 3, 0]]
