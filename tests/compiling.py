"""Compile the loops of a fresh clone once: ``python -m tests.compiling``, beside the first tests.

That takes 25 s, which else each of the first processes of the tests would take.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import hela_dask


def main() -> None:
    """Segment two drawn cells, if no loop was compiled before."""
    if any(Path(hela_dask.__file__).parent.glob("kernels/__pycache__/*.nbc")):
        return
    import pytest
    from distributed import Client

    from tests.exactness.runs import go, write
    from tests.scenes import without_pages

    logging.disable()
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as here,
    ):
        without_pages(patch, portraits=True)
        go(write(Path(folder) / "two.ome.zarr", 20.0), here, "compiling")


if __name__ == "__main__":
    main()
