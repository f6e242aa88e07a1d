"""TIFFs that only imagecodecs decodes, where it is installed and where it is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.conversion.readers.tiffs import DEEP

_WITHOUT = """
import sys
sys.modules["imagecodecs"] = None
import numpy as np
import hela_dask as hd
from hela_dask.conversion.sources import open_source
try:
    source = open_source(sys.argv[1])
    np.save(sys.argv[2], source.read(0, source.shape[0]))
except hd.MissingDependencyError as error:
    print(error)
"""


def _lzw(path: Path) -> None:
    tifffile.imwrite(path, DEEP, compression="lzw", photometric="minisblack")


def _floats(path: Path) -> None:
    values = DEEP.astype(np.float32)
    tifffile.imwrite(path, values, compression="zlib", predictor=3, photometric="minisblack")


def _without(path: Path, out: Path) -> str:
    command = [sys.executable, "-c", _WITHOUT, str(path), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("write", "storage"),
    [
        (_lzw, "is compressed with LZW"),
        (_floats, "is compressed with the predictor FLOATINGPOINT"),
    ],
)
def test_the_extra_is_named_where_a_compression_needs_it(
    tmp_path: Path, write: Callable[[Path], None], storage: str
) -> None:
    pytest.importorskip("imagecodecs", reason="the extra [tiff] is not installed")
    write(tmp_path / "a.tif")
    message = _without(tmp_path / "a.tif", tmp_path / "a.npy")
    assert message == (
        f"{tmp_path / 'a.tif'} {storage}, which needs imagecodecs: pip install 'hela_dask[tiff]'"
    )
    assert not (tmp_path / "a.npy").exists()


@pytest.mark.parametrize("compression", [None, "zlib", "packbits"])
def test_the_usual_compressions_need_no_extra(tmp_path: Path, compression: str | None) -> None:
    pytest.importorskip("imagecodecs", reason="the extra [tiff] is not installed")  # it writes
    tifffile.imwrite(
        tmp_path / "a.tif", DEEP, compression=compression, photometric="minisblack",
        predictor=2 if compression == "zlib" else None,
    )  # fmt: skip
    assert _without(tmp_path / "a.tif", tmp_path / "a.npy") == ""
    assert np.array_equal(np.load(tmp_path / "a.npy"), DEEP)
