"""How far the Jaccard index falls on damaged stacks: ``python -m benchmarks.robustness``.

The damages are those of a microscope: other grey levels, noise, and single bad slices.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import results
from benchmarks.measuring import side_by_side
from benchmarks.stacks import (
    SCORED,
    Stack,
    agreement,
    data_folder,
    real_stack,
    segment_stack,
    to_uint8,
)
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["BLIND", "DAMAGES", "LARGEST_FALL", "RANGES", "indices", "linear", "robustness"]

LARGEST_FALL = 0.02
"""The Jaccard index of no class may fall by more."""

# First and last slice, the slice of the cell's centre, and the slice of single-slice damage.
RANGES = {"whole": (1, 180, 150, 45), "middle": (121, 150, 136, 128), "pole": (15, 64, 60, 45)}

Image = NDArray[Any]

SHIFT = 400.0
BLUR = 200.0


Damage = Callable[[Stack, int], Stack]
"""Takes a stack and the slice (0-based) of single-slice damage; returns the damaged stack, with its
truth moved where a slice's place or number changes."""


def linear(stack: Stack, gain: float, *, clips: bool) -> Stack:
    """Grey values a x + b, cut off at 0 and 255.

    The offset keeps the middle of the range where it is, as an operator would set it; with
    `clips` it is set too bright, so that a tenth of the pixels is saturated.
    """
    grey = stack.image.astype(np.float32)
    low, bright, high = np.percentile(grey, (0.5, 90, 99.5))
    offset = 255 - gain * bright if clips else 127.5 - gain * (low + high) / 2
    return replace(stack, image=to_uint8(gain * grey + offset))


def _linear(gain: float, *, clips: bool) -> Damage:
    return lambda stack, _: linear(stack, gain, clips=clips)


def _grey(change: Callable[[Image], Image]) -> Damage:
    """The same change of every voxel's grey value."""
    return lambda stack, _: replace(stack, image=change(stack.image))


def _gamma(power: float) -> Callable[[Image], Image]:
    return lambda image: to_uint8(255 * (image / 255.0) ** power)


def _noise(image: Image) -> Image:
    return to_uint8(image + np.random.default_rng(0).normal(0, 10, image.shape))


def _counted(stack: Stack, z: int, change: Callable[..., Image], more: int) -> Stack:
    """One slice more or less at `z`; the centre stays in the same slice."""
    return replace(
        stack,
        image=change(stack.image, z),
        truth=change(stack.truth, z),
        centre=(stack.centre[0] + more * (z < stack.centre[0]), *stack.centre[1:]),
    )


def _missing(stack: Stack, z: int) -> Stack:
    return _counted(stack, z, lambda array, z: np.delete(array, z, axis=0), -1)


def _duplicated(stack: Stack, z: int) -> Stack:
    return _counted(stack, z, lambda array, z: np.insert(array, z, array[z], axis=0), 1)


def _one_slice(stack: Stack, z: int, plane: Image) -> Stack:
    image = stack.image.copy()
    image[z] = plane
    return replace(stack, image=image)


def _shifted(stack: Stack, z: int) -> Stack:
    pixels = round(SHIFT / stack.voxel[2])
    moved = _one_slice(stack, z, _move(stack.image[z], pixels))
    truth = stack.truth.copy()
    truth[z] = _move(truth[z], pixels)
    return replace(moved, truth=truth)


def _move(plane: Image, pixels: int) -> Image:
    """Moved to the right; the left edge is repeated."""
    return np.concatenate([np.repeat(plane[:, :1], pixels, axis=1), plane[:, :-pixels]], axis=1)


def _blurred(stack: Stack, z: int) -> Stack:
    sigma = (BLUR / stack.voxel[1], BLUR / stack.voxel[2])
    return _one_slice(
        stack, z, to_uint8(ndimage.gaussian_filter(stack.image[z].astype(np.float32), sigma))
    )


DAMAGES: dict[str, Damage] = {
    **{
        f"a = {gain:g}, {name}": _linear(gain, clips=clips)
        for gain in (0.4, 0.7, 1.3, 1.6)
        for name, clips in (("centred", False), ("a tenth saturated", True))
    },
    "gamma 0.7": _grey(_gamma(0.7)),
    "gamma 1.4": _grey(_gamma(1.4)),
    "16 bit, x 200": _grey(lambda image: image.astype(np.uint16) * np.uint16(200)),
    "inverted contrast": _grey(lambda image: (255 - image).astype(np.uint8)),
    "noise of sigma 10": _grey(_noise),
    "one slice missing": _missing,
    "one slice black": lambda stack, z: _one_slice(stack, z, np.zeros_like(stack.image[z])),
    "one slice duplicated": _duplicated,
    "one slice shifted by 400 nm": _shifted,
    "one slice blurred by 200 nm": _blurred,
}
BLIND = {"one slice black"}
"""Damages after which the slice shows nothing at all."""


def indices(masks: xr.Dataset, stack: Stack, without: int | None = None) -> dict[str, float]:
    """JI of nucleus, cell and background; the slice `without` (0-based) is left out."""
    if without is not None:
        kept = np.delete(np.arange(len(stack.image)), without)
        masks = masks.isel(z=kept)
        stack = replace(stack, image=stack.image[kept], truth=stack.truth[kept])
    scores = agreement(masks, stack)
    return {name: scores[name].pooled.ji for name in SCORED}


def robustness(
    stack: Stack,
    ranges: Iterable[str] = RANGES,
    *,
    method: str = DEFAULT_METHOD,
    damages: Iterable[str] = DAMAGES,
    processes: int = 1,
) -> dict[str, Any]:
    """JI without damage, and how far it falls with each, in each range of slices; printed too."""
    found: dict[str, Any] = {}
    for name in ranges:
        first, last, centre, place = RANGES[name]
        part = stack.slices(first, last, centre)
        masks = segment_stack(part, method=method)
        whole = indices(masks, part)
        _show(f"{name}, slices {first}-{last}, undamaged", whole)
        rows = {}
        known = list(damages)
        after = side_by_side(partial(_harmed, part, place - first, method), known, processes)
        for damage, found_after in zip(known, after, strict=True):
            before = indices(masks, part, _hidden(damage, place - first))
            fall = {key: before[key] - found_after[key] for key in SCORED}
            rows[damage] = {"fall": fall}
            _show(damage, fall, "  FAILS" if max(fall.values()) > LARGEST_FALL else "")
        found[name] = {
            "slices": [first, last],
            "place": place,
            "ji": whole,
            "damages": rows,
        }
    return found


def _harmed(stack: Stack, place: int, method: str, damage: str) -> dict[str, float]:
    """JI with a damage."""
    harmed = DAMAGES[damage](stack, place)
    return indices(segment_stack(harmed, method=method), harmed, _hidden(damage, place))


def _hidden(damage: str, place: int) -> int | None:
    """A slice that shows nothing: it weighs ten times more here than in a stack of 300."""
    return place if damage in BLIND else None


def _show(name: str, values: Mapping[str, float], note: str = "") -> None:
    print(
        f"{name:<44}" + "".join(f"{value:>12.4f}" for value in values.values()) + note, flush=True
    )


def main() -> None:
    """Print a line per damage: how far the JI of nucleus, cell and background falls."""
    parser = results.parser(__doc__)
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--range", choices=tuple(RANGES), action="append", help="default: all")
    parser.add_argument("--only", default="", help="damages that have this text in their name")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    found = robustness(
        real_stack(data_folder()),
        options.range or RANGES,
        method=options.method,
        damages=[damage for damage in DAMAGES if options.only in damage],
        processes=os.cpu_count() or 1,
    )
    if options.json:
        results.write(found, options.json)


if __name__ == "__main__":
    main()
