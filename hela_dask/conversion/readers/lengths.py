"""Lengths that files state: a voxel size axis by axis, and the origin of each number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hela_dask.units import to_nm

__all__ = ["Calibration", "Found", "agreed", "combined", "differ", "stated_length", "voxel_length"]

_TOLERANCE = 0.01  # relative: programs round lengths differently

# A length in nm with its origin, or None with the reason, which is empty where none is stated.
Found = tuple[float | None, str]


@dataclass(frozen=True)
class Calibration:
    """A voxel size as far as it is stated."""

    # (z, y, x): nm, None where it is not stated
    sizes: tuple[float | None, float | None, float | None]
    # (z, y, x): Where each number is from, or why there is none; empty where nothing is stated
    origins: tuple[str, str, str]
    remarks: tuple[str, ...] = ()  # statements that contradict: sentences without a subject


def combined(z: Found, y: Found, x: Found, remarks: Sequence[str] = ()) -> Calibration:
    """The calibration of three axes."""
    return Calibration((z[0], y[0], x[0]), (z[1], y[1], x[1]), tuple(remarks))


def stated_length(value: Any, unit: str, origin: str) -> Found:
    """`value` in nm with its origin, or None with the reason."""
    try:
        length = abs(float(value))
    except (TypeError, ValueError):
        text = str(value or "").strip()
        return None, f"{origin} is {text[:20]!r}, which is no number" if text else ""
    if not (math.isfinite(length) and length > 0):
        return None, ""
    factor = to_nm(unit)
    if factor is None:
        message = f"in the unit {unit!r}, which is no length" if unit.strip() else "without a unit"
        return None, f"{origin} {length:g} {message}"
    return float(f"{length * factor:.12g}"), origin


def voxel_length(value: Any, unit: str, origin: str) -> Found:
    """As :func:`stated_length`, with a reason also where the number is 0, negative or not finite.

    For formats in which a program writes the number on purpose.
    """
    try:
        length = float(value)
    except (TypeError, ValueError):
        length = 1.0
    if not (math.isfinite(length) and length > 0):
        return None, f"{origin} is {length:g}, which is no size of a voxel"
    return stated_length(value, unit, origin)


def differ(first: float | None, second: float | None) -> bool:
    """Whether two lengths are known and not the same but for rounding."""
    return (
        first is not None
        and second is not None
        and not math.isclose(first, second, rel_tol=_TOLERANCE)
    )


def agreed(statements: Sequence[Mapping[str, Found]]) -> Calibration:
    """The voxel size that all statements of a file agree on.

    Each statement has a length for some of the axes ``"z"``, ``"y"`` and ``"x"``. Along an axis
    where two contradict there is no size: which one is right is not known.
    """
    found: dict[str, Found] = {}
    remarks = []
    for axis in "zyx":
        known = [item[axis] for item in statements if axis in item]
        sizes = [item for item in known if item[0] is not None]
        reasons = [item for item in known if item[0] is None and item[1]]
        found[axis] = sizes[0] if sizes else reasons[0] if reasons else (None, "")
        other = next((item for item in sizes if differ(item[0], found[axis][0])), None)
        if other is not None:
            first = found[axis]
            reason = f"{first[1]} is {first[0]:g} nm and {other[1]} is {other[0]:g} nm"
            found[axis] = None, reason
            remarks.append(f"states two voxel sizes along {axis}: {reason}")
    return combined(found["z"], found["y"], found["x"], remarks)
