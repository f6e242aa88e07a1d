"""Stacks in memory with a truth, and one cell of them segmented and scored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import tifffile
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.evaluation.evaluate import score_classes
from hela_dask.evaluation.scores import ClassScores
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import get_method
from hela_dask.operators.background import background
from hela_dask.parameters import Parameters
from hela_dask.phantom import KINDS, phantom_block, plan_phantom
from hela_dask.running.scoring import CLASSES
from hela_dask.steps.regions import Region
from hela_dask.steps.segment import predict_window, segment_cell, segment_window
from hela_dask.volume.greys import grey_levels
from tests.volumes import make_volume

__all__ = ["REAL_VOXEL", "SCORED", "UNSEEN", "Overrides", "Stack"]
__all__ += ["agreement", "as_volume", "data_folder", "known_results", "phantom_stack", "raw_path"]
__all__ += ["real_stack", "restored_pixels", "segment_stack", "to_uint8", "truth_path"]
__all__ += ["whole_region", "whole_stack"]

_PREDICTING = {"model", "spacing"}  # parameters of unet that change the network's outputs
REAL_VOXEL = (50.0, 40.0, 40.0)
Overrides = dict[str, dict[str, Any]]
"""Parameters by group and name."""
SCORED = {name: CLASSES[name] for name in ("nucleus", "cell", "background")}
"""Classes that are scored on stacks, and their values in the published maps."""
UNSEEN = (151, 180)
"""Slices of the real stack (1-based) that test models which were trained on the others."""


@dataclass(frozen=True)
class Stack:
    """Some slices around one cell, with their truth.

    Attributes
    ----------
    image : ndarray, (z, y, x)
        Grey values.
    truth : ndarray of uint8, (z, y, x)
        The five published classes.
    centre : (z, y, x)
        Of the cell, in voxels.
    voxel : (z, y, x) in nm
    """

    image: NDArray[Any]
    truth: NDArray[np.uint8]
    centre: tuple[int, int, int]
    voxel: tuple[float, float, float] = REAL_VOXEL

    def slices(self, first: int, last: int, centre: int | None = None) -> Stack:
        """Slices `first` to `last` of it (1-based, both included), centre in slice `centre`."""
        z = self.centre[0] if centre is None else centre - 1
        kept = slice(first - 1, last)
        return replace(
            self,
            image=self.image[kept],
            truth=self.truth[kept],
            centre=(z - first + 1, *self.centre[1:]),
        )

    def every_second(self) -> Stack:
        """Every second slice of it, so twice as far apart."""
        z, y, x = self.centre
        return replace(
            self,
            image=self.image[::2],
            truth=self.truth[::2],
            centre=(z // 2, y, x),
            voxel=(2 * self.voxel[0], *self.voxel[1:]),
        )


def data_folder() -> Path:
    """The folder of real stacks.

    Raises
    ------
    SystemExit
        When ``HELA_DASK_DATA`` does not name it.
    """
    folder = Path(os.environ.get("HELA_DASK_DATA", "."))
    if not (folder / "roi1656").is_dir():
        raise SystemExit("set HELA_DASK_DATA to the folder that holds roi1656/")
    return folder


def raw_path(data: Path) -> Path:
    """The grey values of the real cell, 300 slices."""
    return data / "roi1656" / "raw_z001-300.tif"


def truth_path(data: Path) -> Path:
    """The published labels of its first 180 slices."""
    return data / "roi1656" / "labels_z001-180.tif"


def restored_pixels(data: Path) -> NDArray[np.bool_]:
    """Pixels of the labelled slices of which the grey value was lost and filled in."""
    slices = range(len(tifffile.imread(truth_path(data))))
    found = tifffile.imread(data / "roi1656" / "restored_z001-300.tif", key=slices)
    return np.asarray(found == 1)


def real_stack(data: Path) -> Stack:
    """The labelled slices of the real cell with a published truth."""
    truth = tifffile.imread(truth_path(data))
    image = tifffile.imread(raw_path(data), key=range(len(truth)))
    # The window was cut around the cell: the centre is in its middle.
    return Stack(image, truth, (149, image.shape[1] // 2, image.shape[2] // 2))


def whole_stack(data: Path) -> Stack:
    """All slices of the real cell; the truth is 0 where there is none."""
    image, known = tifffile.imread(raw_path(data)), tifffile.imread(truth_path(data))
    truth = np.zeros(image.shape, dtype=np.uint8)
    truth[: len(known)] = known
    return Stack(image, truth, (len(image) // 2 - 1, image.shape[1] // 2, image.shape[2] // 2))


def phantom_stack(
    shape: tuple[int, int, int] = (200, 500, 500),
    diameter: float = 9.0,
    seed: int = 0,
    voxel: tuple[float, float, float] = REAL_VOXEL,
    kind: str = KINDS[0],
) -> Stack:
    """A phantom of two cells, with the classes of the first complete one as the truth."""
    spec = plan_phantom(shape, 2, diameter, seed, voxel, kind=kind)
    block = phantom_block(spec, 0, shape[0], 0, shape[1], 0, shape[2])
    cell = next(cell for cell in spec.cells if cell.complete)
    z, y, x = (int(at / size) for at, size in zip(cell.centre, voxel, strict=True))
    own = block.cells == cell.label
    truth = np.where(block.classes == 4, 4, np.where(own, block.classes, 3)).astype(np.uint8)
    return Stack(block.image, truth, (z, y, x), voxel)


def to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values rounded and cut off at 0 and 255."""
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def as_volume(array: NDArray[Any], voxel: tuple[float, float, float]) -> xr.DataArray:
    """An array as ``open_volume`` would return it: lazy, with coordinates in nm."""
    return make_volume(array, voxel, chunks=(16, -1, -1))


def whole_region(stack: Stack) -> Region:
    """All of the stack as the window of its cell."""
    centre = tuple(at * size for at, size in zip(stack.centre, stack.voxel, strict=True))
    box = tuple(
        (-size / 2, (length - 0.5) * size)
        for size, length in zip(stack.voxel, stack.image.shape, strict=True)
    )
    return Region(1, (centre[0], centre[1], centre[2]), (box[0], box[1], box[2]))


def segment_stack(
    stack: Stack,
    *,
    method: str = DEFAULT_METHOD,
    overrides: Overrides | None = None,
    known: xr.Dataset | None = None,
) -> xr.Dataset:
    """Masks of the stack's cell, computed in this process on one thread.

    `overrides` are parameters other than the defaults. `known` results are not computed again where
    the parameters do not change them; they are those of :func:`known_results`.
    """
    volume, overrides = as_volume(stack.image, stack.voxel), overrides or {}
    parameters, region = Parameters.from_dict(overrides), whole_region(stack)
    known = xr.Dataset() if known is None or "background" in overrides else known
    resin = known.get("background")
    predicted = known.drop_vars("background", errors="ignore")
    with dask.config.set(scheduler="synchronous"):
        if not predicted or _PREDICTING & set(overrides.get("unet", {})):
            return segment_cell(volume, region, method, parameters=parameters, background=resin)
        found = segment_window(
            volume,
            region,
            method,
            parameters=parameters,
            background=np.asarray(resin),
            grey_levels=grey_levels(volume, parameters.background),
            predicted={str(name): values.values for name, values in predicted.items()},
        )
    return found.drop_vars("outline")


def known_results(stack: Stack, method: str) -> xr.Dataset:
    """What many segmentations of a stack share, with default parameters.

    Its ``background``, and the outputs of the method's network, (z, y, x) of uint8 each.
    """
    volume, parameters = as_volume(stack.image, stack.voxel), Parameters()
    window = Box.whole(stack.image.shape)
    with dask.config.set(scheduler="synchronous"):
        levels = grey_levels(volume, parameters.background)
        asked = get_method(method).asks(parameters)
        found = predict_window(volume, window, asked, levels)
        resin = background(volume, parameters.background, grey_levels=levels).compute()
    outputs = {name: (volume.dims, values) for name, values in found.items()}
    return xr.Dataset({**outputs, "background": resin})


def agreement(
    masks: xr.Dataset, stack: Stack, classes: Mapping[str, tuple[int, ...]] = SCORED
) -> ClassScores:
    """Scores of one cell's masks against the stack's truth, without surfaces."""
    predicted = {name: np.asarray(masks[name]).astype(np.uint8) for name in classes}
    return score_classes(predicted, stack.truth, classes, hausdorff=False, voxel_size=stack.voxel)
