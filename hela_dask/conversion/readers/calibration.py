"""The voxel size that a TIFF states, axis by axis, and where each number is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import tifffile

from hela_dask.conversion.readers.lengths import (
    Calibration,
    Found,
    combined,
    differ,
    stated_length,
)
from hela_dask.documents.reading import parse_json

__all__ = ["calibration", "ome_calibration"]

_LARGEST_PIXEL = 10_000.0  # nm: beyond it a resolution tag is a printer's or a screen's default
_NM_PER_UNIT = {2: 2.54e7, 3: 1e7}


def calibration(tiff: tifffile.TiffFile, ome: Mapping[str, str]) -> Calibration:
    """Voxel size from OME-XML, ImageJ, the microscope's own tags, or believable resolution tags.

    `ome`: attributes of the element ``Pixels``, empty where there is no OME-XML.
    """
    page = tiff.pages.first
    scope, tags = _microscope(tiff), _resolution(page)
    if ome:
        return _with_microscope(ome_calibration(ome), scope)
    imagej = tiff.imagej_metadata
    if imagej is not None:
        return _with_microscope(_imagej(imagej, page), scope)
    y, x = scope or tags
    return _compared(combined(_shaped_spacing(page), y, x), tags if scope else None)


def _imagej(imagej: Mapping[str, Any], page: Any) -> Calibration:
    units = [str(imagej.get(name) or imagej.get("unit", "")) for name in ("zunit", "yunit")]
    return combined(
        stated_length(imagej.get("spacing"), units[0], "ImageJ spacing"),
        stated_length(_per_unit(page, "YResolution"), units[1], "ImageJ resolution tag"),
        stated_length(
            _per_unit(page, "XResolution"), str(imagej.get("unit", "")), "ImageJ resolution tag"
        ),
    )


def _with_microscope(found: Calibration, scope: tuple[Found, Found] | None) -> Calibration:
    """A program's calibration; where it has no pixel size, with that of the microscope's tags."""
    if scope is None:
        return found
    z, y, x = zip(found.sizes, found.origins, strict=True)
    if y[0] is None and x[0] is None:
        y, x = scope
    return _compared(combined(z, y, x), scope)


def _compared(found: Calibration, other: tuple[Found, Found] | None) -> Calibration:
    """The same, with a remark where other tags state another pixel size."""
    if other is None or not any(map(differ, found.sizes[1:], (size for size, _ in other))):
        return found
    (y, _), (x, x_origin) = other
    remark = (
        f"its pixels are {_pixel(*found.sizes[1:])} by its {found.origins[2] or found.origins[1]}, "
        f"and {_pixel(y, x)} by its {x_origin}: the first are used"
    )
    return replace(found, remarks=(remark,))


def _pixel(y: float | None, x: float | None) -> str:
    shown = " x ".join("?" if size is None else f"{size:g}" for size in (y, x))
    return f"{shown} nm (y x)"


def ome_calibration(attributes: Mapping[str, str]) -> Calibration:
    """Voxel size from the attributes of the OME-XML's element ``Pixels``."""
    z, y, x = (
        stated_length(
            attributes.get(f"PhysicalSize{axis}"),
            attributes.get(f"PhysicalSize{axis}Unit", "µm"),
            f"OME-XML PhysicalSize{axis}",
        )
        for axis in "ZYX"
    )
    return combined(z, y, x)


def _shaped_spacing(page: Any) -> Found:
    """Distance of the slices in the metadata that tifffile writes."""
    try:
        item = parse_json(page.shaped_description or "", "its description")
    except ValueError:
        return None, ""
    if not isinstance(item, dict):
        return None, ""
    return stated_length(item.get("spacing"), str(item.get("unit", "")), "tifffile spacing")


def _microscope(tiff: tifffile.TiffFile) -> tuple[Found, Found] | None:
    """Pixel size from the tags that microscopes of FEI/Thermo Fisher and Zeiss write."""
    fei = tiff.fei_metadata if tiff.is_fei else None
    for group in ("Scan", "EScan", "IScan", "EBeam"):
        part = fei.get(group) if fei else None
        if isinstance(part, dict) and {"PixelWidth", "PixelHeight"} <= part.keys():
            y, x = (
                stated_length(part[f"Pixel{side}"], "m", f"FEI metadata, Pixel{side}")
                for side in ("Height", "Width")
            )
            if y[0] and x[0]:
                return y, x
    zeiss = tiff.sem_metadata if tiff.is_sem else None
    pixel = zeiss.get("ap_image_pixel_size") or zeiss.get("ap_pixel_size") if zeiss else None
    if isinstance(pixel, tuple) and len(pixel) == 3:
        size = stated_length(pixel[1], str(pixel[2]), "Zeiss metadata, pixel size")
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
