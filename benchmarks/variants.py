"""Results on images that differ in nothing that matters: ``python -m benchmarks.variants``.

The cell of the real stack is segmented again with its image flipped, transposed, cropped by a
voxel, on smaller pixels, with other grey levels, and so on; each result, mapped back, is compared
with that of the image as it is. No truth is needed: where two results differ, one of them is wrong.
``--constants`` changes each number of the method and of the resin by a fifth instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.stacks import Stack, data_folder, segment_stack, to_uint8, whole_stack
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import group_names
from hela_dask.parameters import Parameters
from hela_dask.running.scoring import CLASSES

__all__ = ["PARTS", "VARIANTS", "Variant", "constants", "cross_validation", "variants"]

Array = NDArray[Any]
Masks = dict[str, NDArray[np.bool_]]

TRUE_PARTS = ("1-74", "75-180")  # slices with a truth
PARTS = {"all": (1, 300), "1-74": (1, 74), "75-180": (75, 180), "narrow": (215, 262)}
"""Slices (1-based) that are compared; where the nucleus narrows, differences weigh most."""
MASKS = ("nucleus", "cell")
FIFTH = 0.2
_EDGE = 3  # slices, rows and columns that some variants lack are not compared


@dataclass(frozen=True)
class Variant:
    """An image that shows the same.

    Attributes
    ----------
    change : callable
        From a stack to the other one, with its truth and its centre.
    back : callable
        From a mask of that to one of the stack's voxels.
    exact : bool
        Whether it has the same voxels, so that the same result is expected.
    """

    change: Callable[[Stack], Stack]
    back: Callable[[Array, tuple[int, ...]], Array]
    exact: bool = True


def _turned(axes: tuple[int, ...], *, swapped: bool = False) -> Variant:
    """Flipped along some axes, then transposed in the plane."""

    def turn(array: Array) -> Array:
        flipped = np.flip(array, axes)
        return np.ascontiguousarray(flipped.swapaxes(1, 2) if swapped else flipped)

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        return np.flip(mask.swapaxes(1, 2) if swapped else mask, axes)

    def change(stack: Stack) -> Stack:
        last = np.array(stack.image.shape) - 1
        z, y, x = (
            int(last[axis] - at if axis in axes else at) for axis, at in enumerate(stack.centre)
        )
        v = stack.voxel
        return replace(
            stack,
            image=turn(stack.image),
            truth=turn(stack.truth),
            centre=(z, x, y) if swapped else (z, y, x),
            voxel=(v[0], v[2], v[1]) if swapped else v,
        )

    return Variant(change, back)


def _cropped(*first: int) -> Variant:
    """Without the first slices, rows and columns."""
    part = tuple(slice(number, None) for number in first)

    def change(stack: Stack) -> Stack:
        z, y, x = (at - number for at, number in zip(stack.centre, first, strict=True))
        return replace(stack, image=stack.image[part], truth=stack.truth[part], centre=(z, y, x))

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        whole = np.zeros(shape, dtype=bool)
        whole[part] = mask
        return whole

    return Variant(change, back)


def _in_place(change: Callable[[Stack], Stack]) -> Variant:
    """With its voxels where those of the stack are."""
    return Variant(change, lambda mask, shape: mask, exact=False)


def _finer(times: int) -> Variant:
    """Each pixel cut into `times` x `times`, with noise of +-8 grey levels."""

    def cut(array: Array) -> Array:
        return array.repeat(times, axis=1).repeat(times, axis=2)

    def change(stack: Stack) -> Stack:
        noise = np.random.default_rng(0).integers(-8, 9, cut(stack.image[:1]).shape[1:])
        z, y, x = stack.centre
        return replace(
            stack,
            image=np.stack([to_uint8(cut(plane[None])[0] + noise) for plane in stack.image]),
            truth=cut(stack.truth),
            centre=(z, y * times + times // 2, x * times + times // 2),
            voxel=(stack.voxel[0], stack.voxel[1] / times, stack.voxel[2] / times),
        )

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        blocks = mask.reshape(shape[0], shape[1], times, shape[2], times)
        return np.asarray(np.count_nonzero(blocks, axis=(2, 4)) * 2 > times * times)

    return Variant(change, back, exact=False)


def _grey(stack: Stack) -> Stack:
    return replace(stack, image=to_uint8(stack.image * 0.7 + 30.0))


def _moved(stack: Stack) -> Stack:
    z, y, x = stack.centre
    return replace(stack, centre=(z, y + round(1000 / stack.voxel[1]), x))


VARIANTS: dict[str, Variant] = {
    "flipped in z": _turned((0,)),
    "flipped in y": _turned((1,)),
    "flipped in x": _turned((2,)),
    "flipped in z, y and x": _turned((0, 1, 2)),
    "transposed": _turned((), swapped=True),
    "flipped in z, transposed": _turned((0,), swapped=True),
    "flipped in y, transposed": _turned((1,), swapped=True),
    "without the first row and column": _cropped(0, 1, 1),
    "without the first slice": _cropped(1, 0, 0),
    "without 2 slices, 3 rows": _cropped(2, 3, 0),
    "centre moved by 1 µm": _in_place(_moved),
    "grey values x 0.7 + 30": _in_place(_grey),
    "each pixel cut into four, noise of +-8": _finer(2),
    "every second slice": _in_place(Stack.every_second),
}


def variants(
    stack: Stack, names: Iterable[str] = VARIANTS, *, method: str = DEFAULT_METHOD
) -> dict[str, Any]:
    """JI of each variant's masks with those of the image as it is; printed too.

    Returns
    -------
    dict
        ``rows``: for each variant the JI and the ratio of volumes, by mask and part; ``worst``: the
        lowest JI between any two of the variants with the same voxels.
    """
    plain = _masks(segment_stack(stack, method=method))
    rows, exact = {}, [plain]
    for name in names:
        variant = VARIANTS[name]
        changed = variant.change(stack)
        found = {
            part: variant.back(mask, stack.image.shape)
            for part, mask in _masks(segment_stack(changed, method=method)).items()
        }
        thin = len(found["nucleus"]) < len(stack.image)
        before = {part: mask[::2] for part, mask in plain.items()} if thin else plain
        rows[name] = _compare(before, found, 2 if thin else 1)
        _show(name, rows[name])
        if variant.exact:
            exact.append(found)
    return {"rows": rows, "worst": _worst(exact)}


def _masks(found: xr.Dataset) -> Masks:
    return {name: np.asarray(found[name].values) for name in MASKS}


def _compare(before: Masks, after: Masks, step: int = 1) -> dict[str, dict[str, float]]:
    """JI of the masks in each part, and the ratio of their volumes."""
    found = {}
    for name in MASKS:
        values = {}
        for part, (first, last) in PARTS.items():
            kept = slice(-(-max(first - 1, _EDGE) // step), -(-last // step))
            box = (kept, slice(_EDGE, None), slice(_EDGE, None))
            values[part] = _ji(before[name][box], after[name][box])
        size = np.count_nonzero(before[name])
        values["volume"] = np.count_nonzero(after[name]) / size if size else float("nan")
        found[name] = values
    return found


def _ji(one: Array, other: Array) -> float:
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
    stack: Stack, *, method: str = DEFAULT_METHOD, only: str = ""
) -> list[dict[str, Any]]:
    """Each number of the method a fifth smaller and larger; printed too.

    Returns
    -------
    list of dict
        A row each: ``group``, ``name``, ``value``, the JI of the default's nucleus with the
        ``truth``, and for ``less`` and ``more`` the same, and the JI of both masks with those of
        the default.
    """
    masks = segment_stack(stack, method=method)
    resin, plain = masks["background"], _masks(masks)
    truth = _with_truth(plain, stack)
    rows = []
    for group, name, value in _numbers(method):
        if only not in name:
            continue
        row: dict[str, Any] = {"group": group, "name": name, "value": value}
        row["truth"] = truth
        for side, share in (("less", 1 - FIFTH), ("more", 1 + FIFTH)):
            parameters = Parameters.from_dict({group: {name: value * share}})
            given = None if group == "background" else resin
            found = _masks(segment_stack(stack, method=method, parameters=parameters, resin=given))
            row[side] = {
                "truth": _with_truth(found, stack),
                **{mask: _compare(plain, found)[mask] for mask in MASKS},
            }
        rows.append(row)
        _show_constant(row)
    return rows


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
    found: Any
    if options.constants:
        found = constants(stack, method=options.method, only=options.only)
    else:
        names = [name for name in VARIANTS if options.only in name]
        found = variants(stack, names, method=options.method)
        _show("worst pair of the same voxels", found["worst"])
    if options.json:
        results.write({"constants" if options.constants else "variants": found}, options.json)


if __name__ == "__main__":
    main()
