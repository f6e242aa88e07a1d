"""The stores whose runs are timed: ``python -m benchmarks.stores real|fine STORE``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

import hela_dask as hd
from benchmarks.stacks import REAL_VOXEL, data_folder

__all__ = ["fine", "real"]

SIDE = 4  # pixels of 10 nm along a pixel of 40 nm
NOISE = 10.0  # grey levels


def _raw() -> Path:
    return data_folder() / "roi1656" / "raw_z001-300.tif"


def real(path: Path) -> None:
    """The real stack: 300 x 500 x 500 voxels of 50 x 40 x 40 nm."""
    hd.convert(_raw(), path, voxel_size=REAL_VOXEL)


def fine(path: Path) -> None:
    """The same field at 10 nm: each pixel cut into sixteen, and noise added to them."""
    slices = path.with_suffix(".tif")
    random = np.random.default_rng(0)
    with tifffile.TiffFile(_raw()) as source, tifffile.TiffWriter(slices, bigtiff=True) as target:
        for page in source.pages:
            plane = np.kron(page.asarray(), np.ones((SIDE, SIDE), np.float32))
            noisy = plane + random.normal(0, NOISE, plane.shape)
            target.write(np.clip(noisy, 0, 255).round().astype(np.uint8), contiguous=True)
    hd.convert(slices, path, voxel_size=(REAL_VOXEL[0], REAL_VOXEL[1] / SIDE, REAL_VOXEL[2] / SIDE))
    slices.unlink()


STORES: dict[str, Callable[[Path], None]] = {"real": real, "fine": fine}


def main() -> None:
    """Write the store that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=STORES)
    parser.add_argument("store", type=Path)
    options = parser.parse_args()
    STORES[options.name](options.store)


if __name__ == "__main__":
    main()
