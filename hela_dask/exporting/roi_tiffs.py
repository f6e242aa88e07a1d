"""Image and masks of each cell as folders of TIFF slices, as the papers' data are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import xarray as xr

from hela_dask.exporting.masks import RunMasks
from hela_dask.geometry import Geometry
from hela_dask.running.result import RunResult
from hela_dask.running.tables import segmented_cells
from hela_dask.steps.region_files import check_regions_folder, save_windows
from hela_dask.steps.regions import Region
from hela_dask.volume.opening import open_volume

__all__ = ["check_roi_folder", "write_rois"]


def check_roi_folder(folder: Path, names: Sequence[str]) -> None:
    """ExistsError when `folder` holds anything that :func:`write_rois` did not write."""
    for name in names:
        check_regions_folder(folder / name)


def write_rois(
    result: RunResult, folder: Path, names: Sequence[str], cells: Collection[int] | None
) -> list[Path]:
    """Write ``FOLDER/NAME/cell_0003/slice_0150.tif`` for each cell that has labels.

    The window is that of the cell's segmentation, on the pixels of the image; slices are numbered
    as in the volume. The image has its grey values, masks are 0 and 255.

    Parameters
    ----------
    names
        ``image``, and labels of :data:`hela_dask.exporting.masks.LABELS`.
    cells
        Labels of cells; None: all.

    Returns
    -------
    list of Path
        The folder of each window.
    """
    masks, image = RunMasks(result), open_volume(result.store)
    table = segmented_cells(result.cells)
    chosen = table if cells is None else table[table["label"].isin(list(cells))]
    regions = [Region.from_row(row) for row in chosen.to_dict("records")]
    found: list[Path] = []
    for name in names:

        def shown(region: Region, name: str = name) -> xr.DataArray:
            if name == "image":
                return image
            return masks.mask(name, region.label)

        found += save_windows(shown, Geometry.of(image), regions, folder / name)
    return found
