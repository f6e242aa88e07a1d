"""A process that makes training patches: ``python -m hela_dask.unet.patch_worker FOLDER``.

It reads pairs of epoch and number of a batch from its standard input, and writes the batches to its
standard output, until the input ends: so it ends with the process that started it, however that
ends. It runs no code of the script that trains, unlike processes of :mod:`multiprocessing`, so such
a script needs no guard.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from hela_dask.unet.patches import Patches

__all__ = ["CACHE", "load_patches", "main", "save_patches"]

CACHE = 256 * 2**20
"""Bytes of blocks of the image and the labels that a process keeps, at most."""

_PATCHES, _ARRAYS = "patches.pickle", "arrays.bin"


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """As cloudpickle, but a mapped file is opened again, and not copied."""

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, np.memmap) and item.filename and item.flags.c_contiguous:
            root = item
            while isinstance(root.base, np.memmap):
                root = root.base
            start = item.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            place = (str(item.filename), item.dtype, "r", root.offset + start, item.shape)
            return np.memmap, place
        return super().reducer_override(item)


def save_patches(patches: Patches, folder: Path) -> None:
    """Write patches for :func:`load_patches`; arrays in memory once, for all processes."""
    places = []
    with (folder / _ARRAYS).open("wb") as file:

        def keep(buffer: pickle.PickleBuffer) -> None:
            with buffer.raw() as raw:
                places.append((file.tell(), raw.nbytes))
                file.write(raw)
                file.write(bytes(-raw.nbytes % 64 + 64))  # each starts at a multiple of 64

        content = io.BytesIO()
        _Pickler(content, protocol=5, buffer_callback=keep).dump(patches)
        file.write(b"\0")  # an empty file cannot be mapped
    with (folder / _PATCHES).open("wb") as file:
        pickle.dump((places, content.getvalue()), file)


def load_patches(folder: Path) -> Patches:
    """The patches of a folder; their arrays are mapped, so that processes share the memory."""
    with (folder / _PATCHES).open("rb") as file:
        places, content = pickle.load(file)
    with (folder / _ARRAYS).open("rb") as file:
        arrays = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    buffers = [arrays[start : start + count] for start, count in places]
    patches: Patches = pickle.loads(content, buffers=buffers)
    for cache in patches.caches:
        cache.budget = CACHE
    return patches


def _make(patches: Patches, epoch: int, number: int) -> Any:
    """The batch, or the error raised instead, with its traceback as a note."""
    try:
        made: tuple[NDArray[np.float32], NDArray[np.uint8]] = patches.raw(epoch, number)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error
    return made


def main() -> None:
    """Serve one process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains
    requests, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # text that a library prints is no batch
    patches = load_patches(Path(sys.argv[1]))
    while True:
        try:
            epoch, number = pickle.load(requests)
        except EOFError:
            return
        try:
            pickle.dump(_make(patches, epoch, number), results, protocol=5)
            results.flush()
        except BrokenPipeError:
            os._exit(0)  # the reader has ended; a flush at the end would fail again


if __name__ == "__main__":
    main()
