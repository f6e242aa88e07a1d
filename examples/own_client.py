"""From TIFFs to labels on a dask client: two local workers, or an existing scheduler.

python examples/own_client.py slices/ results/ --voxel-size 50 40 40
python examples/own_client.py slices/ results/ --scheduler tcp://10.0.0.1:8786
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from distributed import Client, LocalCluster

import hela_dask as hd


def segment(source: Path, out: Path, voxel_size: tuple[float, ...] | None, client: Client) -> None:
    """Convert a stack, segment all its cells on the client, and print the result."""
    store = out / "volume.ome.zarr"
    with contextlib.suppress(hd.ExistsError):  # converted by an earlier call
        hd.convert(source, store, voxel_size=voxel_size)
    result = hd.run(store, client=client)
    print(result)
    columns = ["label", "status", "nucleus_volume", "cell_volume", "complete"]
    print(result.cells[columns].to_string(index=False))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, connect, segment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a folder of TIFF slices, or a TIFF stack")
    parser.add_argument("out", type=Path, help="folder for the volume and the results")
    parser.add_argument("--voxel-size", type=float, nargs=3, metavar=("Z", "Y", "X"), help="nm")
    parser.add_argument("--scheduler", help="address of a dask scheduler; default: this machine")
    given = parser.parse_args(arguments)
    size = tuple(given.voxel_size) if given.voxel_size else None
    if given.scheduler:
        with Client(given.scheduler) as client:
            segment(given.source, given.out, size, client)
    else:
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with cluster, Client(cluster) as client:
            segment(given.source, given.out, size, client)


# Workers import this file, so nothing may start before this line (macOS and Windows need it).
if __name__ == "__main__":
    try:
        main()
    except hd.HelaDaskError as error:  # its text is one sentence
        raise SystemExit(f"error: {error}") from None
