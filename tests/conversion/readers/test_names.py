"""The order of slices by their names: gaps, numbers that are there twice, names of strangers."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from hela_dask.conversion.readers.names import in_order, natural_key, number_ranges, slice_order
from hela_dask.errors import InputError


def numbered(numbers: object, name: str = "s{:03d}.tif") -> list[str]:
    return [name.format(number) for number in numbers]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("names", "missing", "remarks"),
    [
        (numbered(range(9)), (), []),
        (numbered([1, 2, 4]), (3,), ["number 3 is missing (first behind s002.tif)"]),
        (numbered([*range(5), *range(8, 12), 15]), (5, 6, 7, 12, 13, 14),
         ["numbers 5 to 7, 12 to 14 are missing (first behind s004.tif)", "up to 6 slices"]),
        (numbered(range(0, 90, 10)), (), []),
        (numbered([0, 10, 20, 40]), (30,), ["number 30 is missing"]),
        (numbered(range(8, 12), "z{}.tif"), (), []),
        (numbered([*range(5), *range(900, 905)]), tuple(range(5, 900)), ["numbers 5 to 899 are"]),
        (numbered(range(5), "run2_s{:03d}_10nm.tif"), (), []),
        (numbered([1, 2, 4], "run2_s{:03d}_10nm.tif"), (3,), ["number 3 is missing"]),
        # Where a microscope writes counter and place, the counter decides.
        ([f"slice_{i:05d}_z={i / 100:.4f}um.tif" for i in range(95, 105)], (), []),
        ([f"slice_{i:05d}_z={i / 100:.4f}um.tif" for i in (*range(95, 99), *range(101, 105))],
         (99, 100), ["numbers 99 to 100 are missing"]),
        # Two days of numbers that start anew.
        ([f"d{day}_{i:03d}.tif" for day in (1, 2) for i in range(5)], (), []),
        ([f"d{day}_{i:03d}.tif" for day in (1, 2) for i in range(5) if (day, i) != (2, 3)], (3,),
         ["number 3 is missing (first behind d2_002.tif)"]),
        (["s1.tif", "s7.tif", "s12.tif", "s31.tif", "s44.tif"], (), ["have no even steps"]),
        (["left.tif", "right.tif"], (), ["hold no numbers"]),
        ([*numbered(range(9)), "s003 copy.tif", "s004 (1).tif"], (),
         ["s003 copy.tif, s004 (1).tif: named unlike the other 9 slices (such as s000.tif)"]),
        (["MAX_s.tif", *numbered(range(9))], (), ["MAX_s.tif: named unlike"]),
        ([*numbered(range(6)), "s005.tiff"], (), ["s005.tif, s005.tiff: the same number more"]),
        ([*numbered(range(6)), "s3.tif"], (), ["s003.tif, s3.tif: the same number more than once"]),
        ([*numbered(range(6), "a_{}.tif"), *numbered(range(6), "b_{}.tif")], (),
         ["follow 2 patterns (6 like a_0.tif, 6 like b_0.tif)"]),
        (["s1.tif"], (), []),
        # Dates and times do not count: the counter beside them does, and alone they miss nothing.
        ([f"s{i:03d}_202401{day:02d}.tif" for day, i in enumerate([1, 2, 4, 5], 1)], (3,),
         ["number 3 is missing"]),
        ([f"em_20240101{clock}.tif" for clock in ("115900", "115930", "120000", "120030")], (),
         ["have no even steps"]),
        ([f"em_{date}.tif" for date in (20240130, 20240131, 20240201, 20240202)], (),
         ["have no even steps"]),
        (numbered([0, 10, 20, 30, 45]), (), ["have no even steps"]),
        (["z1.234.tif", "z1.5.tif", "z1.3.tif"], (), ["may be decimal fractions"]),
        # Several images of one slice.
        ([f"s{i:03d}_ch{c:02d}.tif" for i in range(9) for c in (0, 1)], (),
         ["s000_ch00.tif, s000_ch01.tif may be channels", "(9 times 2 names)"]),
        ([f"s{i:03d}_{c}.tif" for i in range(9) for c in (1, 2, 3)], (), ["may be channels"]),
        ([f"ch{c}_s{i:03d}.tif" for c in (0, 1) for i in range(9)], (),
         ["ch0_s000.tif, ch1_s000.tif may be channels"]),
        ([f"tile r{r} c{c} s{i}.tif" for r in (0, 1) for c in (0, 1) for i in range(9)], (),
         ["may be channels, tiles"]),
    ],
)  # fmt: skip
def test_numbers_show_what_is_missing_twice_or_strange(
    names: list[str], missing: tuple[int, ...], remarks: list[str]
) -> None:
    found = slice_order(in_order(names))
    assert found.missing == missing
    text = " | ".join(found.remarks)
    assert bool(found.remarks) == bool(remarks)
    for remark in remarks:
        assert remark in text


@pytest.mark.parametrize(
    ("others", "unread"),
    [
        (["notes.txt", "s000.txt", "regions.json"], []),
        (["s006.png"], ["s006.png"]),
        (["s006.tif.part", "s007.tif~"], ["s006.tif.part", "s007.tif~"]),
        (["s003.png"], []),
    ],
)
def test_a_slice_in_another_format_is_named(others: list[str], unread: list[str]) -> None:
    text = " ".join(slice_order(numbered(range(6)), others).remarks)
    assert ("not read" in text) == bool(unread)
    assert all(name in text for name in unread)


def test_an_order_that_no_number_has_is_named() -> None:
    names = sorted(["1_s9.tif", "2_s8.tif", "3_s7.tif"], key=natural_key)
    assert slice_order(names).remarks == ()
    names = sorted(["a5_s1.tif", "a20_s3.tif", "a40_s2.tif"], key=natural_key)
    (remark,) = slice_order(names).remarks
    assert "is not that of their number 2" in remark


def test_many_numbers_are_shown_in_short() -> None:
    assert number_ranges([1, 3, 5, 7, 9, 11]) == "1, 3, 5, 7, 9 and 1 more"
    assert number_ranges([10, 20, 40], step=10) == "10 to 20, 40"


@pytest.mark.parametrize(
    ("ordered", "rule", "missing"),
    [
        ([f"z{i}.tif" for i in range(-3, 3)], "signed numbers", ()),
        ([f"run2_z{i}.tif" for i in range(-12, -9)] + ["run2_z-8.tif", "run2_z+9.tif"],
         "signed", (-9, *range(-7, 9))),
        ([f"{i}.tif" for i in (-2, -1, 0, 2)], "signed", (1,)),
        (["z=-1.5um.tif", "z=-1.2um.tif", "z=-0.5um.tif", "z=0.3um.tif", "z=1.1um.tif"], "signed",
         None),
        ([f"s-{i:03d}.tif" for i in range(9)], "natural order of the names", ()),
        ([f"2024-01-{i:02d}.tif" for i in range(1, 9)], "natural order of the names", ()),
        ([f"s{i:02x}.tif" for i in range(8, 20)], "hexadecimal", ()),
        ([f"{i:x}_em.tif" for i in range(5, 40) if i != 30], "hexadecimal", (30,)),
        ([f"e{i:04X}.tif" for i in range(0xF0, 0x110)], "hexadecimal", ()),
        (["s1.tif", "s1a.tif", "s2.tif", "s2a.tif"], "natural order of the names", ()),
        ([f"z_{i / 20:g}.tif" for i in range(24)], "decimal", ()),
        ([f"run1 z{i / 4}um.tif" for i in range(-5, 5)], "decimal numbers in the names, in steps",
         ()),
        ([f"{i / 2:g}_em.tif" for i in range(12) if i != 7], "decimal", (Decimal("3.5"),)),
        ([f"z{i}e-07.tif" for i in (8, 9)] + ["z1e-06.tif", "z1.1e-06.tif"], "decimal", ()),
        ([f"s1.{i}.tif" for i in range(1, 12)], "natural order of the names", ()),
        ([f"s{i}.{k}.tif" for i in (1, 2) for k in range(9, 12)], "natural order of the names", ()),
        (["\u00e91.tif", "e\u03012.tif", "\u00e93.tif"], "natural order of the names", ()),
    ],
)  # fmt: skip
def test_signed_and_hexadecimal_numbers_are_in_order(
    ordered: list[str], rule: str, missing: tuple[int, ...] | None
) -> None:
    mixed = random.Random(1).sample(ordered, len(ordered))
    assert in_order(mixed) == ordered
    found = slice_order(ordered)
    assert rule in found.rule
    assert missing is None or found.missing == missing
    assert ("taken as hexadecimal" in " ".join(found.remarks)) == (rule == "hexadecimal")


@pytest.mark.parametrize(
    "names",
    [
        ["3fa9.tif", "b210.tif", "0817.tif", "9c44.tif"],
        ["em_00a1.tif", "em_5512.tif", "em_7f00.tif", "em_c0de.tif", "em_d4e5.tif"],
    ],
)
def test_codes_have_no_order(names: list[str]) -> None:
    with pytest.raises(InputError, match=r"look hexadecimal.*order of the slices is not known"):
        in_order(names)
