"""Units of length in any spelling, and voxel sizes that are likely a slip."""

from __future__ import annotations

import pytest

from hela_dask.units import to_nm, unit_name, voxel_size_warnings


@pytest.mark.parametrize(
    ("units", "nm", "name"),
    [
        (["nanometer", "nanometers", "Nanometre", "nm", " NM ", "nm."], 1, "nanometer"),
        (["micrometer", "micrometres", "µm", "μm", "um", "\\u00B5m", "micron", "Microns"], 1e3,
         "micrometer"),
        (["angstrom", "Angstroms", "Å", "\u212b", "A\u030a", "ångström", "angström"], 0.1,
         "angstrom"),
        (["picometer", "pm"], 1e-3, "picometer"),
        (["millimeter", "mm", "millimetres"], 1e6, "millimeter"),
        (["inch", "inches", "in"], 2.54e7, "inch"),
        (["m", "meters"], 1e9, "meter"),
    ],
)  # fmt: skip
def test_a_unit_is_known_in_any_spelling(units: list[str], nm: float, name: str) -> None:
    assert [to_nm(unit) for unit in units] == [nm] * len(units)
    assert {unit_name(unit) for unit in units} == {name}


@pytest.mark.parametrize(
    "unit", ["", "pixel", "second", "s", "ms", "furlong", None, 5, ["nm"], "n"]
)
def test_what_is_no_unit_of_length_is_not_guessed(unit: object) -> None:
    assert to_nm(unit) is None


@pytest.mark.parametrize(
    ("shape", "size", "doubt"),
    [
        ((100, 2000, 2000), (50, 10, 10), None),
        ((100, 2000, 2000), (8, 8, 8.1), None),
        ((1, 2000, 2000), (5, 10, 10), None),
        ((518, 8192, 8192), (50, 10, 10.4), None),
        ((518, 8192, 8192), (50, 40, 50), "40 nm in y and 50 nm in x, which are not square"),
        ((518, 8192, 8192), (50, 40, 50), "is the order of the voxel size z, y, x?"),
        ((100, 2000, 2000), (10, 10, 50), "as x, y, z it would be --voxel-size 50 10 10"),
        ((100, 2000, 2000), (10, 10, 50), "10 nm in y and 50 nm in x, which are not square"),
        ((100, 2000, 2000), (10, 50, 50), "slices of 10 nm, thinner than its pixels of 50 nm"),
        ((6, 256, 256), (5e4, 1e4, 1e4), "pixels of 10 µm, in which no membrane is seen"),
        ((6, 60000, 60000), (400, 100, 100), "slices of 6 x 6 mm"),
    ],
)
def test_a_voxel_size_that_is_likely_a_slip_is_named(
    shape: tuple[int, int, int], size: tuple[float, float, float], doubt: str | None
) -> None:
    found = voxel_size_warnings(shape, size)
    assert (doubt is None) == (not found)
    assert doubt is None or doubt in found[0]
