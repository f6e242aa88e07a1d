"""Units of length in the spellings that programs write, and voxel sizes that are likely a slip."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["to_nm", "unit_name", "voxel_size_warnings"]

# The names of the OME-Zarr specification (those of UDUNITS-2), in nm.
_NM = {
    "angstrom": 0.1,
    "femtometer": 1e-6,
    "picometer": 1e-3,
    "nanometer": 1.0,
    "micrometer": 1e3,
    "millimeter": 1e6,
    "centimeter": 1e7,
    "decimeter": 1e8,
    "meter": 1e9,
    "kilometer": 1e12,
    "inch": 2.54e7,
    "foot": 3.048e8,
    "yard": 9.144e8,
}
# Keys as _spelling returns them: lower case, the Greek mu for both micro signs, å for all rings.
_ALIASES = {
    "å": "angstrom",
    "ång": "angstrom",
    "ångström": "angstrom",
    "ångstrom": "angstrom",
    "angström": "angstrom",
    "ang": "angstrom",
    "pm": "picometer",
    "nm": "nanometer",
    "nanom": "nanometer",
    "um": "micrometer",
    "μm": "micrometer",
    "μ": "micrometer",
    "μmeter": "micrometer",
    "mum": "micrometer",
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "dm": "decimeter",
    "m": "meter",
    "km": "kilometer",
    "in": "inch",
    "inches": "inch",
    '"': "inch",
    "ft": "foot",
    "feet": "foot",
    "yd": "yard",
}
_PLURAL = re.compile(r"(?<=[a-zå]{3})s$")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")  # as ImageJ writes a micro sign

_FLAT = 1.05  # sides of a pixel that differ by more are no rounding
_FIELD = 5e6  # nm: no slice of electron microscopy is wider
_PIXEL = 500.0  # nm: in larger pixels no membrane is seen


def unit_name(unit: object) -> str | None:
    """The specification's name of a unit of length, however it is spelled; None for any other.

    Examples
    --------
    >>> unit_name("µm"), unit_name("Nanometres"), unit_name("second")
    ('micrometer', 'nanometer', None)
    """
    if not isinstance(unit, str):
        return None
    text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), unit.strip().casefold())
    # Compatibility forms: the micro sign becomes the Greek mu, the angstrom sign å.
    text = unicodedata.normalize("NFKC", text).casefold().rstrip(".").replace("metre", "meter")
    for known in (text, _PLURAL.sub("", text)):
        name = _ALIASES.get(known, known)
        if name in _NM:
            return name
    return None


def to_nm(unit: object) -> float | None:
    """Length of one `unit` in nm, or None where it is not a unit of length known here."""
    name = unit_name(unit)
    return None if name is None else _NM[name]


def voxel_size_warnings(shape: Sequence[int], voxel_size: Sequence[float]) -> tuple[str, ...]:
    """Peculiarities of the voxel size of a volume of electron microscopy; empty if there is none.

    `shape` in voxels, `voxel_size` in nm (z, y, x). Each text has no subject: "has pixels of ...".
    """
    z, y, x = voxel_size
    height, width = shape[1] * y, shape[2] * x
    doubts = []
    if max(y, x) > _FLAT * min(y, x):
        doubts.append(
            f"has pixels of {y:g} nm in y and {x:g} nm in x, which are not square: is the order of "
            f"the voxel size z, y, x?{_reversed(voxel_size)}"
        )
    elif shape[0] > 1 and z < 0.99 * min(y, x):
        doubts.append(
            f"has slices of {z:g} nm, thinner than its pixels of {min(y, x):g} nm are wide: is the "
            "order of the voxel size z, y, x?"
        )
    if max(y, x) > _PIXEL:
        doubts.append(
            f"has pixels of {max(y, x) / 1000:g} µm, in which no membrane is seen: the voxel size "
            "is given in nm"
        )
    elif max(height, width) > _FIELD:
        doubts.append(
            f"has slices of {height / 1e6:.3g} x {width / 1e6:.3g} mm, more than one image of an "
            "electron microscope shows: the voxel size is given in nm"
        )
    return tuple(doubts)


def _reversed(voxel_size: Sequence[float]) -> str:
    """A hint where the last of the lengths looks like that of a slice: it was given as x, y, z."""
    z, y, x = voxel_size
    swapped = max(z, y) <= _FLAT * min(z, y) and x > z
    return f" Given as x, y, z it would be --voxel-size {x:g} {y:g} {z:g}" if swapped else ""
