"""Drawn cases whose owner can be seen by eye, and the properties that must hold for any claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.kernels.conflicts import Claim, resolve_slice


def claim(
    label: int,
    cell: str,
    nucleus: str | None = None,
    envelope: str | None = None,
    origin: tuple[int, int] = (0, 0),
    cedes_to: tuple[int, ...] = (),
) -> Claim:
    """A claim drawn with characters: # is claimed; rows are separated by /."""

    def draw(text: str | None) -> npt.NDArray[np.bool_]:
        return np.array([[c == "#" for c in row] for row in (text or blank).split("/")])

    blank = cell.replace("#", ".")
    return Claim(label, origin, draw(nucleus), draw(cell), draw(envelope), cedes_to)


def row(labels: npt.NDArray[np.integer]) -> str:
    return "".join(str(value) for value in labels[0])


def test_what_nobody_contests_is_kept() -> None:
    nuclei, cells, _ = resolve_slice(
        (1, 9), [claim(1, "####", ".##."), claim(2, "###", "#..", origin=(0, 5))]
    )
    assert row(cells) == "111102220"
    assert row(nuclei) == "011002000"


def test_contested_pixels_go_to_the_nearer_cell() -> None:
    _, cells, _ = resolve_slice((1, 9), [claim(1, "######..."), claim(2, "..#######")])
    assert row(cells) == "111122222"


def test_a_tie_goes_to_the_lower_label() -> None:
    _, cells, _ = resolve_slice((1, 7), [claim(2, "#####.."), claim(1, "..#####")])
    assert row(cells) == "2221111"


def test_a_nucleus_beats_cytoplasm() -> None:
    nuclei, cells, _ = resolve_slice(
        (1, 8), [claim(1, "######.."), claim(2, "..######", "..###...")]
    )
    assert row(cells) == "11222222"
    assert row(nuclei) == "00222000"


def test_two_nuclei_are_split_like_cells() -> None:
    nuclei, cells, _ = resolve_slice(
        (1, 8), [claim(1, "#####...", "#####..."), claim(2, "...#####", "...#####")]
    )
    assert row(cells) == "11112222"
    assert row(nuclei) == row(cells)


def test_a_cell_contested_everywhere_loses_to_one_with_its_own_part() -> None:
    _, cells, _ = resolve_slice((1, 5), [claim(1, ".##.."), claim(2, "#####")])
    assert row(cells) == "22222"


def test_equal_claims_without_own_part_go_to_the_lower_label() -> None:
    _, cells, _ = resolve_slice((1, 3), [claim(4, "###"), claim(3, "###")])
    assert row(cells) == "333"


def test_distance_is_physical() -> None:
    # The contested pixel is 1 row from cell 1 and 2 columns from cell 2; rows are 3 times as far.
    one, two = claim(1, "#../#../..."), claim(2, "#.#/.../...")
    _, cells, _ = resolve_slice((3, 3), [one, two], (3.0, 1.0))
    assert cells[0, 0] == 2
    _, cells, _ = resolve_slice((3, 3), [one, two], (1.0, 1.0))
    assert cells[0, 0] == 1


def test_a_nucleus_without_a_cell_owns_its_pixels_all_the_same() -> None:
    nuclei, cells, _ = resolve_slice(
        (1, 6), [claim(1, "......", ".##..."), claim(2, "..####", "....#.")]
    )
    assert row(nuclei) == "011020"
    assert row(cells) == "000222"


def test_a_cell_that_cedes_loses_all_that_both_claim_even_its_nucleus() -> None:
    leaked = claim(1, "########..", ".######...", "#.........")
    whole = claim(2, "###.######", "....##....", "..#...#...")
    for order in ([leaked, whole], [whole, leaked]):
        nuclei, _, _ = resolve_slice((1, 10), order)
        assert row(nuclei) == "0111111000"  # a nucleus beats cytoplasm, the nearer a nucleus
    nuclei, cells, envelopes = resolve_slice((1, 10), [replace(leaked, cedes_to=(2, 7)), whole])
    assert [row(nuclei), row(cells)] == ["0001220000", "2221222222"]
    assert row(envelopes) == "0020002000"


def test_a_nucleus_or_a_cell_may_vanish_by_yielding() -> None:
    one = claim(1, "######", ".##...", "#..#..")
    small = claim(2, "...##.", "...##.", cedes_to=(1,))
    nuclei, cells, _ = resolve_slice((1, 6), [one, small])
    assert [row(nuclei), row(cells)] == ["011000", "111111"]


def test_a_cell_that_cedes_to_one_cell_still_contends_with_others() -> None:
    first, last = claim(1, "####......"), claim(3, "......####")
    _, cells, _ = resolve_slice((1, 10), [first, claim(2, ".#######..", cedes_to=(3,)), last])
    assert row(cells) == "1112223333"


def test_pixels_of_a_ring_of_yielding_cells_keep_an_owner() -> None:
    ring = [
        claim(1, "##...##.", cedes_to=(2,)),
        claim(2, "..##.##.", cedes_to=(3,)),
        claim(3, "....##.#", cedes_to=(1,)),
    ]
    # The seventh pixel is the second cell's; the sixth, which all three claim, is as near to that
    # as to the third cell.
    _, cells, _ = resolve_slice((1, 8), ring)
    assert row(cells) == "11223223"
    _, cells, _ = resolve_slice((1, 8), [*ring, claim(4, ".....#..")])
    assert row(cells) == "11223423"


def test_an_envelope_is_lost_with_its_cell() -> None:
    # The second cell's nucleus stands in the envelope of the first: there it has none.
    _, cells, envelopes = resolve_slice(
        (1, 9),
        [
            claim(1, "######...", ".##......", "#..##...."),
            claim(2, "..#######", "....##...", "......#.."),
        ],
    )
    assert row(cells) == "111122222"
    assert row(envelopes) == "100100200"


def test_a_nucleus_without_a_cell_has_an_envelope_all_the_same() -> None:
    nuclei, cells, envelopes = resolve_slice((1, 6), [claim(1, "......", "..##..", ".#..#.")])
    assert [row(nuclei), row(cells), row(envelopes)] == ["001100", "000000", "010010"]


def test_nothing_claimed_is_nothing_labelled() -> None:
    for labels in resolve_slice((2, 3), [], dtype=np.uint32):
        assert labels.dtype == np.uint32 and not labels.any()


@st.composite
def scenes(draw: st.DrawFn) -> list[Claim]:
    """Up to four random claims in a plane of 8 x 9, some yielding to others, even in rings."""
    seed = draw(st.integers(0, 2**32 - 1))
    count = draw(st.integers(1, 4))
    rng = np.random.default_rng(seed)
    claims = []
    for label in range(1, count + 1):
        shape = rng.integers(2, 7, 2)
        y, x = rng.integers(0, np.array([9, 10]) - shape)
        cell = rng.random(shape) < 0.7
        nucleus = cell & (rng.random(shape) < 0.3)
        envelope = cell & ~nucleus & (rng.random(shape) < 0.3)
        cedes_to = tuple(n for n in range(1, count + 1) if n != label and rng.random() < 0.25)
        claims.append(Claim(label, (int(y), int(x)), nucleus, cell, envelope, cedes_to))
    return claims


@given(scenes())
def test_every_pixel_has_one_owner_who_claimed_it(claims: list[Claim]) -> None:
    nuclei, cells, envelopes = resolve_slice((8, 9), claims)
    claimed = np.zeros((8, 9), bool)
    for item in claims:
        mask = np.zeros((8, 9), bool)
        mask[item.window] = item.cell | item.nucleus
        nucleus = np.zeros((8, 9), bool)
        nucleus[item.window] = item.nucleus
        claimed |= mask
        assert not (cells == item.label)[~mask].any()
        assert not (nuclei == item.label)[~nucleus].any()
        ring = np.zeros((8, 9), bool)
        ring[item.window] = item.envelope
        np.testing.assert_array_equal(envelopes == item.label, ring & (cells == item.label))
    np.testing.assert_array_equal(cells > 0, claimed)
    np.testing.assert_array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
    assert not (nuclei > 0)[envelopes > 0].any()


@given(scenes(), st.integers(0, 3), st.integers(0, 3))
def test_the_answer_depends_neither_on_order_nor_on_place(
    claims: list[Claim], down: int, right: int
) -> None:
    moved = [
        replace(c, origin=(c.origin[0] + down, c.origin[1] + right), cedes_to=c.cedes_to[::-1])
        for c in reversed(claims)
    ]
    for here, there in zip(
        resolve_slice((8, 9), claims), resolve_slice((12, 13), moved), strict=True
    ):
        np.testing.assert_array_equal(here, there[down : down + 8, right : right + 9])


@given(scenes())
def test_a_cell_that_cedes_to_none_keeps_all_pixels(claims: list[Claim]) -> None:
    nuclei, cells, _ = resolve_slice((8, 9), claims)
    by_label = {item.label: item for item in claims}
    for item in claims:
        for other in (by_label[label] for label in item.cedes_to if not by_label[label].cedes_to):
            taken = np.zeros((8, 9), bool)
            taken[other.window] = other.cell
            assert not (taken & ((cells == item.label) | (nuclei == item.label))).any()
