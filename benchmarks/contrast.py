"""Stacks of other sets emulated: fine pixels, a third of the contrast, no resin.

The papers' other sets have 3.6 x 3.6 x 60 nm and 8.6 x 8.6 x 60 nm voxels, low contrast, and
almost no resin in regions cropped by hand. None is public with a truth, so real slices are made
like them: resin is replaced by tissue, the planes resampled, the contrast compressed, noise added.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.measuring import timed
from benchmarks.stacks import Stack, agreement, phantom_stack, segment_stack, to_uint8
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["contrast", "finer", "like_other_sets", "low_contrast", "without_resin"]

# Grey levels of noise that the camera adds at the finer pixels, after the contrast is compressed.
NOISE = 4.0
SHARE = 1 / 3

# Margin of tissue around the nucleus in the emulated crops, nm, and the slices that are taken.
MARGIN = 1600.0
SLICES = (121, 140)


def without_resin(image: NDArray[Any], truth: NDArray[np.uint8], rim: int = 8) -> NDArray[Any]:
    """Each slice's resin replaced by cytoplasm of the same slice.

    Each pixel gets the value at its mirror place behind the nearest membrane, or, where that is
    resin or nucleus too, the value at its place in the flipped slice.

    Parameters
    ----------
    image, truth : (z, y, x)
        Grey values; the five published classes.
    rim : int
        Pixels at the rim of the resin that are replaced as well, so that no bright rim is left.
    """
    filled = image.copy()
    for plane, classes in zip(filled, truth, strict=True):
        wide = ndimage.binary_dilation(classes == 4, iterations=rim)
        if not wide.any() or wide.all():
            continue
        bad = wide | ndimage.binary_dilation(classes == 2, iterations=rim)
        nearest = ndimage.distance_transform_edt(wide, return_distances=False, return_indices=True)
        here, there = np.argwhere(wide), nearest[:, wide].T
        last = np.array(plane.shape) - 1
        mirror = last - abs(last - abs(2 * there - here))  # reflected at the slice's borders
        taken = there.copy()  # the tissue at the rim, where nothing better is found
        open_ = np.ones(len(here), dtype=bool)
        for choice in (
            mirror,
            np.stack([last[0] - here[:, 0], here[:, 1]], 1),
            np.stack([here[:, 0], last[1] - here[:, 1]], 1),
            last - here,
        ):
            good = open_ & ~bad[choice[:, 0], choice[:, 1]]
            taken[good] = choice[good]
            open_ &= ~good
        plane[wide] = plane[taken[:, 0], taken[:, 1]]
    return filled


def low_contrast(image: NDArray[Any], seed: int = 0) -> NDArray[np.uint8]:
    """A third of the contrast around the middle grey, and noise."""
    grey = image.astype(np.float32)
    middle = float(np.median(grey))
    grey = 128 + SHARE * (grey - middle)
    grey += np.random.default_rng(seed).normal(0, NOISE, grey.shape).astype(np.float32)
    return to_uint8(grey)


def finer(stack: Stack, voxel: tuple[float, float, float]) -> Stack:
    """The stack on another grid: grey values by cubic interpolation, classes by the nearest."""
    sizes = list(zip(stack.voxel, voxel, strict=True))
    lengths = stack.image.shape
    shape = [int(n * old / new) for n, (old, new) in zip(lengths, sizes, strict=True)]
    places = [
        np.clip((np.arange(n) + 0.5) * new / old - 0.5, 0, length - 1)
        for n, (old, new), length in zip(shape, sizes, lengths, strict=True)
    ]
    rounded = [np.rint(place).astype(int) for place in places]
    grid = np.meshgrid(places[1], places[2], indexing="ij", copy=False)
    image = np.empty(shape, np.float32)
    for z, source in enumerate(rounded[0]):
        plane = stack.image[source].astype(np.float32)
        image[z] = ndimage.map_coordinates(plane, grid, order=3, mode="nearest")
    z, y, x = (
        min(int(at * old / new), n - 1)
        for at, (old, new), n in zip(stack.centre, sizes, shape, strict=True)
    )
    return Stack(to_uint8(image), stack.truth[np.ix_(*rounded)], (z, y, x), voxel)


def around_nucleus(stack: Stack, margin: float = MARGIN) -> Stack:
    """Cropped in y and x to the nucleus and `margin` (nm) around it, its middle the centre."""
    nucleus = stack.truth == 2
    z = len(nucleus) // 2
    windows, middle = [], []
    for axis, step in ((1, stack.voxel[1]), (2, stack.voxel[2])):
        places = np.flatnonzero(nucleus.any(axis=(0, 3 - axis)))
        more = round(margin / step)
        low = max(0, int(places[0]) - more)
        windows.append(slice(low, int(places[-1]) + more + 1))
        middle.append(int(np.flatnonzero(nucleus[z].any(axis=2 - axis)).mean()) - low)
    part = (slice(None), *windows)
    centre = (z, middle[0], middle[1])
    return replace(stack, image=stack.image[part], truth=stack.truth[part], centre=centre)


def like_other_sets(stack: Stack, pixel: float) -> Stack:
    """The nucleus of a stack and its surroundings, as the papers' other sets show theirs."""
    crop = around_nucleus(stack)
    truth = np.where(crop.truth == 4, 3, crop.truth).astype(np.uint8)
    tissue = replace(crop, image=without_resin(crop.image, crop.truth), truth=truth)
    fine = finer(tissue, (60.0, pixel, pixel))
    return replace(fine, image=low_contrast(fine.image))


def contrast(stack: Stack, method: str = DEFAULT_METHOD) -> dict[str, Any]:
    """JI of the nucleus, and the status of the cell, on each emulated set; printed too."""
    found = {}
    phantom = phantom_stack(shape=(160, 300, 300), voxel=(60.0, 40.0, 40.0))
    z = phantom.centre[0]
    cases = {
        "real, 8.6 x 8.6 x 60 nm": (stack.slices(*SLICES, centre=131), 8.6),
        "real, 3.6 x 3.6 x 60 nm": (stack.slices(129, 132, centre=131), 3.6),
        "phantom, 8.6 x 8.6 x 60 nm": (phantom.slices(z - 7, z + 8, z), 8.6),
    }
    for name, (source, pixel) in cases.items():
        made = like_other_sets(source, pixel)
        seconds, masks = timed(partial(segment_stack, made, method=method))
        found[name] = {
            "shape": list(made.image.shape),
            "nucleus": round(agreement(masks, made, {"nucleus": (2,)})["nucleus"].pooled.ji, 4),
            "resin found": bool(masks["background"].any()),
            "status": masks.attrs["status"],
            "seconds": round(seconds, 1),
        }
        print(f"{name}: {found[name]}", flush=True)
    return found
