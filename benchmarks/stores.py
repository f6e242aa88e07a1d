"""The stores of the timed runs: ``python -m benchmarks.stores real|fine STORE``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

import hela_dask as hd
from benchmarks import results
from benchmarks.stacks import REAL_VOXEL, data_folder, raw_path, to_uint8

SIDE = 4  # pixels of 10 nm along a pixel of 40 nm
NOISE = 10.0  # grey levels


def real(path: Path) -> None:
    """The real stack: 300 x 500 x 500 voxels of 50 x 40 x 40 nm."""
    hd.convert(raw_path(data_folder()), path, voxel_size=REAL_VOXEL)


def fine(path: Path) -> None:
    """The same field at 10 nm: each pixel cut into sixteen, and noise added to them."""
    slices = path.with_name(f"{path.name}.tif")  # .ome.tif is another format
    random = np.random.default_rng(0)
    with (
        tifffile.TiffFile(raw_path(data_folder())) as source,
        tifffile.TiffWriter(slices, bigtiff=True) as target,
    ):
        for page in source.pages:
            plane = np.kron(page.asarray(), np.ones((SIDE, SIDE), np.float32))
            noisy = plane + random.normal(0, NOISE, plane.shape)
            target.write(to_uint8(noisy), contiguous=True)
    hd.convert(slices, path, voxel_size=(REAL_VOXEL[0], REAL_VOXEL[1] / SIDE, REAL_VOXEL[2] / SIDE))
    slices.unlink()


STORES = {"real": real, "fine": fine}


def main() -> None:
    """Write the store that is named."""
    parser = results.parser(__doc__)
    parser.add_argument("name", choices=STORES)
    parser.add_argument("store", type=Path)
    options = parser.parse_args()
    STORES[options.name](options.store)


if __name__ == "__main__":
    main()
