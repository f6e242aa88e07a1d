"""Results on images that differ in nothing that matters: ``python -m benchmarks.variants``.

The cell of the real stack is segmented again with its image flipped, transposed, cropped by a
voxel, on smaller pixels, with other grey levels, and so on; each result, mapped back, is compared
with that of the image as it is. No truth is needed: where two results differ, one of them is wrong.
``--constants`` changes each number of the method and of the resin by a fifth instead.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import results
from benchmarks.images import VARIANTS
from benchmarks.measuring import side_by_side
from benchmarks.stacks import (
    REAL_VOXEL,
    Stack,
    data_folder,
    known_results,
    segment_stack,
    whole_stack,
)
from hela_dask.kernels.grid import block_mean, factors_for
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import group_names
from hela_dask.parameters import Parameters
from hela_dask.running.scoring import CLASSES
from hela_dask.types import Voxel

__all__ = ["PARTS", "constants", "cross_validation", "variants"]

Masks = dict[str, NDArray[np.bool_]]

TRUE_PARTS = ("1-74", "75-180")  # slices with a truth
PARTS = {"all": (1, 300), "1-74": (1, 74), "75-180": (75, 180), "narrow": (215, 262)}
"""Slices (1-based) that are compared; where the nucleus narrows, differences weigh most."""
MASKS = ("nucleus", "cell")
FIFTH = 0.2
_SMOOTH = 100.0  # nm
_EDGE = 3  # slices, rows and columns that some variants lack are not compared


def variants(
    stack: Stack,
    names: Iterable[str] = VARIANTS,
    *,
    method: str = DEFAULT_METHOD,
    processes: int = 1,
) -> dict[str, Any]:
    """JI of each variant's masks with those of the image as it is; printed too.

    Parameters
    ----------
    stack
    names
        Of variants.
    method
    processes
        That segment at the same time.

    Returns
    -------
    dict
        ``rows``: for each variant the JI, and the ratio of volumes and of areas, by mask and part,
        and ``truth``, the JI of the nucleus with the truth; ``worst``: the lowest JI between any
        two of the variants with the same voxels; ``plain``: of the image as it is, the ``volume``
        (µm³) and ``area`` (µm²) of each mask, and ``truth``.
    """
    names = list(names)
    one = partial(_segmented, stack, method)
    (plain, sizes), *others = side_by_side(one, ["", *names], processes)
    rows, exact = {}, [plain]
    for name, (found, size) in zip(names, others, strict=True):
        thin = len(found["nucleus"]) < len(stack.image)
        before = {part: mask[::2] for part, mask in plain.items()} if thin else plain
        seen = stack.every_second() if thin else stack
        row: dict[str, Any] = _compare(before, found, 2 if thin else 1)
        for mask in MASKS:
            row[mask] |= {key: size[mask][key] / sizes[mask][key] for key in sizes[mask]}
        rows[name] = {**row, "truth": {} if thin else _with_truth(found, seen)}
        _show(name, row)
        if VARIANTS[name].exact:
            exact.append(found)
    plain_row = {**sizes, "truth": _with_truth(plain, stack)}
    return {"plain": plain_row, "rows": rows, "worst": _worst(exact)}


def _segmented(stack: Stack, method: str, name: str) -> tuple[Masks, dict[str, dict[str, float]]]:
    """Masks of a variant, mapped back, and their sizes on its own voxels; empty: as it is."""
    changed = VARIANTS[name].change(stack) if name else stack
    masks = _masks(segment_stack(changed, method=method))
    sizes = {mask: _size(masks[mask], changed.voxel) for mask in MASKS}
    if name:
        masks = {part: VARIANTS[name].back(mask, stack.image.shape) for part, mask in masks.items()}
    return masks, sizes


def _size(mask: NDArray[np.bool_], voxel: Voxel) -> dict[str, float]:
    """Volume in µm³ and area in µm², where the volume does not cut it.

    The area is the integral of the gradient of the mask, smoothed by 100 nm: it does not depend on
    voxels, and wrinkles that are much narrower do not count.
    """
    cubic = math.prod(voxel)
    factors = factors_for(voxel[1:], REAL_VOXEL[1])
    share = np.stack([block_mean(plane, factors) for plane in mask])
    size = (voxel[0], voxel[1] * factors[0], voxel[2] * factors[1])
    sigma = [_SMOOTH / along for along in size]
    square = np.zeros_like(share)
    for axis, along in enumerate(size):
        order = [int(at == axis) for at in range(3)]
        slope = ndimage.gaussian_filter(share, sigma, order=order, mode="nearest")
        square += (slope / np.float32(along)) ** 2
    area = float(np.sqrt(square, out=square).sum(dtype=np.float64)) * math.prod(size)
    return {"volume": int(np.count_nonzero(mask)) * cubic * 1e-9, "area": area * 1e-6}


def _masks(found: xr.Dataset) -> Masks:
    return {name: np.asarray(found[name].values) for name in MASKS}


def _compare(before: Masks, after: Masks, step: int = 1) -> dict[str, dict[str, float]]:
    """JI of the masks in each part."""
    found = {}
    for name in MASKS:
        values = {}
        for part, (first, last) in PARTS.items():
            kept = slice(-(-max(first - 1, _EDGE) // step), -(-last // step))
            box = (kept, slice(_EDGE, None), slice(_EDGE, None))
            values[part] = _ji(before[name][box], after[name][box])
        found[name] = values
    return found


def _ji(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    both, either = np.count_nonzero(one & other), np.count_nonzero(one | other)
    return both / either if either else 1.0


def _worst(found: list[Masks]) -> dict[str, dict[str, float]]:
    """The lowest JI of any two results, in each part."""
    pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :]]
    compared = [_compare(a, b) for a, b in pairs]
    return {
        name: {part: min((row[name][part] for row in compared), default=1.0) for part in PARTS}
        for name in MASKS
    }


def constants(
    stack: Stack, *, method: str = DEFAULT_METHOD, only: str = "", processes: int = 1
) -> list[dict[str, Any]]:
    """Each number of the method a fifth smaller and larger; printed too.

    Returns
    -------
    list of dict
        A row each: ``group``, ``name``, ``value``, the JI of the default's nucleus with the
        ``truth``, and for ``less`` and ``more`` the same, and the JI of both masks with those of
        the default.
    """
    known = known_results(stack, method)
    plain = _masks(segment_stack(stack, method=method, known=known))
    truth = _with_truth(plain, stack)
    numbers = [number for number in _numbers(method) if only in number[1]]
    changed = [
        (group, name, value * share)
        for group, name, value in numbers
        for share in (1 - FIFTH, 1 + FIFTH)
    ]
    found = side_by_side(partial(_changed, stack, method, known, plain), changed, processes)
    rows = []
    for (group, name, value), less, more in zip(numbers, found[::2], found[1::2], strict=True):
        row = {"group": group, "name": name, "value": value, "truth": truth}
        rows.append({**row, "less": less, "more": more})
        _show_constant(rows[-1])
    return rows


def _changed(
    stack: Stack, method: str, known: xr.Dataset, plain: Masks, number: tuple[str, str, float]
) -> dict[str, Any]:
    """A side of a row of :func:`constants`."""
    group, name, value = number
    overrides = {group: {name: value}}
    found = _masks(segment_stack(stack, method=method, known=known, overrides=overrides))
    return {"truth": _with_truth(found, stack), **_compare(plain, found)}


def cross_validation(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each number chosen on one part of the slices, and scored on the other.

    Parameters
    ----------
    rows
        Of :func:`constants`. A number is chosen among the three values that it has there.

    Returns
    -------
    list of dict
        For each part as ``chosen``: the part ``scored``, the ``count`` of numbers that would be
        another than the default, their largest ``gain`` and its mean, ``mean_gain``, and the
        ``worst``, ``mean`` and ``best`` change of the JI in the other part.
    """
    found = []
    for chosen, scored in (TRUE_PARTS, TRUE_PARTS[::-1]):
        changes, gains = {}, [0.0]
        for row in rows:
            truths = [row["truth"], row["less"]["truth"], row["more"]["truth"]]
            best = max(truths, key=lambda truth: truth[chosen])
            if best is not truths[0]:
                changes[row["name"]] = best[scored] - truths[0][scored]
                gains.append(best[chosen] - truths[0][chosen])
        values = list(changes.values()) or [0.0]
        found.append(
            {
                "chosen": chosen,
                "scored": scored,
                "count": len(changes),
                "gain": max(gains),
                "mean_gain": float(np.mean(gains[1:] or gains)),
                "mean": float(np.mean(values)),
                "worst": min(values),
                "best": max(values),
            }
        )
    return found


def _numbers(method: str) -> list[tuple[str, str, float]]:
    """Group, name and default of the numbers of a method and of the resin that are not 0."""
    parameters = Parameters()
    found = []
    for group in (*group_names(method), "background"):
        for field in dataclasses.fields(getattr(parameters, group)):
            value = getattr(getattr(parameters, group), field.name)
            if isinstance(value, float) and value:
                found.append((group, field.name, value))
    return found


def _with_truth(found: Masks, stack: Stack) -> dict[str, float]:
    """JI of the nucleus with the truth, in the parts that have one."""
    inside = np.isin(stack.truth, CLASSES["nucleus"])
    known = {part: slice(PARTS[part][0] - 1, PARTS[part][1]) for part in TRUE_PARTS}
    return {part: _ji(found["nucleus"][kept], inside[kept]) for part, kept in known.items()}


def _show(name: str, row: Mapping[str, Mapping[str, float]]) -> None:
    print(
        f"{name:<40}" + "".join(f"{value:>9.4f}" for mask in MASKS for value in row[mask].values()),
        flush=True,
    )


def _show_constant(row: Mapping[str, Any]) -> None:
    for side in ("less", "more"):
        known = row[side]
        print(
            f"{row['group']}.{row['name']:<22}{row['value']:>9g} {side:<5}"
            f"{known['truth']['1-74']:>9.4f}{known['truth']['75-180']:>9.4f}"
            f"{known['nucleus']['all']:>9.4f}{known['nucleus']['narrow']:>9.4f}"
            f"{known['cell']['all']:>9.4f}",
            flush=True,
        )


def main() -> None:
    """Print a line per variant: the JI of nucleus and cell in each part, the ratio of volumes."""
    parser = results.parser(__doc__)
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--only", default="", help="those that have this text in their name")
    parser.add_argument("--constants", action="store_true", help="change the method's numbers")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args()
    stack = whole_stack(data_folder())
    processes = os.cpu_count() or 1
    found: Any
    if options.constants:
        found = constants(stack, method=options.method, only=options.only, processes=processes)
    else:
        names = [name for name in VARIANTS if options.only in name]
        found = variants(stack, names, method=options.method, processes=processes)
        _show("worst pair of the same voxels", found["worst"])
    if options.json:
        results.write({"constants" if options.constants else "variants": found}, options.json)


if __name__ == "__main__":
    main()
