"""The voxel size that a TIFF states, axis by axis, and where each number is from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tifffile

from hela_dask.documents.reading import parse_json
from hela_dask.units import to_nm

__all__ = ["Calibration", "calibration", "ome_calibration"]

_LARGEST_PIXEL = 10_000.0  # nm: beyond it a resolution tag is a printer's or a screen's default
_NM_PER_UNIT = {2: 2.54e7, 3: 1e7}


@dataclass(frozen=True)
class Calibration:
    """A voxel size as far as it is stated."""

    # (z, y, x): nm, None where it is not stated
    sizes: tuple[float | None, float | None, float | None]
    # (z, y, x): Where each number is from, or why there is none; empty where nothing is stated
    origins: tuple[str, str, str]


def calibration(tiff: tifffile.TiffFile, ome: Mapping[str, str]) -> Calibration:
    """Voxel size from OME-XML, ImageJ, the microscope's own tags, or believable resolution tags.

    `ome`: attributes of the element ``Pixels``, empty where there is no OME-XML.
    """
    if ome:
        return ome_calibration(ome)
    page = tiff.pages.first
    imagej = tiff.imagej_metadata
    if imagej is not None:
        units = [str(imagej.get(name) or imagej.get("unit", "")) for name in ("zunit", "yunit")]
        return _joined(
            _length(imagej.get("spacing"), units[0], "ImageJ spacing"),
            _length(_per_unit(page, "YResolution"), units[1], "ImageJ resolution tag"),
            _length(
                _per_unit(page, "XResolution"),
                str(imagej.get("unit", "")),
                "ImageJ resolution tag",
            ),
        )
    y, x = _microscope(tiff) or _resolution(page)
    return _joined(_shaped_spacing(page), y, x)


def ome_calibration(attributes: Mapping[str, str]) -> Calibration:
    """Voxel size from the attributes of the OME-XML's element ``Pixels``."""
    z, y, x = (
        _length(
            attributes.get(f"PhysicalSize{axis}"),
            attributes.get(f"PhysicalSize{axis}Unit", "µm"),
            f"OME-XML PhysicalSize{axis}",
        )
        for axis in "ZYX"
    )
    return _joined(z, y, x)


Found = tuple[float | None, str]


def _joined(z: Found, y: Found, x: Found) -> Calibration:
    return Calibration((z[0], y[0], x[0]), (z[1], y[1], x[1]))


def _length(value: Any, unit: str, origin: str) -> Found:
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
    return length * factor, origin


def _shaped_spacing(page: Any) -> Found:
    """Distance of the slices in the metadata that tifffile writes."""
    try:
        item = parse_json(page.shaped_description or "", "its description")
    except ValueError:
        return None, ""
    if not isinstance(item, dict):
        return None, ""
    return _length(item.get("spacing"), str(item.get("unit", "")), "tifffile spacing")


def _microscope(tiff: tifffile.TiffFile) -> tuple[Found, Found] | None:
    """Pixel size from the tags that microscopes of FEI/Thermo Fisher and Zeiss write."""
    fei = tiff.fei_metadata if tiff.is_fei else None
    for group in ("Scan", "EScan", "IScan", "EBeam"):
        part = fei.get(group) if fei else None
        if isinstance(part, dict) and {"PixelWidth", "PixelHeight"} <= part.keys():
            y, x = (
                _length(part[f"Pixel{side}"], "m", f"FEI metadata, Pixel{side}")
                for side in ("Height", "Width")
            )
            if y[0] and x[0]:
                return y, x
    zeiss = tiff.sem_metadata if tiff.is_sem else None
    pixel = zeiss.get("ap_image_pixel_size") or zeiss.get("ap_pixel_size") if zeiss else None
    if isinstance(pixel, tuple) and len(pixel) == 3:
        size = _length(pixel[1], str(pixel[2]), "Zeiss metadata, pixel size")
        if size[0]:
            return size, size
    return None


def _resolution(page: Any) -> tuple[Found, Found]:
    """Pixel size from the resolution tags, unless they are a printer's or a screen's default."""
    unit = page.resolutionunit or 1
    factor = _NM_PER_UNIT.get(int(unit)) if isinstance(unit, int) else None
    y, x = (_per_unit(page, tag) for tag in ("YResolution", "XResolution"))
    if factor is None or y is None or x is None:
        return (None, ""), (None, "")
    if max(y, x) * factor > _LARGEST_PIXEL:
        reason = f"resolution tag of {25400000 / (x * factor):.4g} dpi, a printer's or a screen's"
        return (None, reason), (None, reason)
    return (y * factor, "resolution tag"), (x * factor, "resolution tag")


def _per_unit(page: Any, tag: str) -> float | None:
    """Length of a pixel in the file's unit; the tag holds pixels per unit, as a fraction."""
    value = page.tags.valueof(tag)
    if not (isinstance(value, tuple) and len(value) == 2):
        return None
    if not all(isinstance(part, int | float) and part > 0 for part in value):
        return None
    return float(value[1] / value[0])
