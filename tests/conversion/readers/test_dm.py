"""DigitalMicrograph: types, calibrations, stacks in one file or in a folder, and damage."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError, MissingDependencyError
from tests.conversion.readers.containers import DATA, SIZE, as_tiff, converted
from tests.conversion.readers.dms import dm
from tests.conversion.readers.tiffs import cut, remark_of

reader = pytest.importorskip("ncempy.io.dm", reason="the extra [formats] is not installed")


def folder_of(path: Path, suffix: str = ".dm3", **more: Any) -> Path:
    path.mkdir()
    for number, plane in enumerate(DATA):
        dm(path / f"s{number}{suffix}", plane, **more)
    return path


@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("thumbnail", [True, False])
def test_a_stack_is_converted_to_the_bits_of_a_tiff(
    tmp_path: Path, suffix: str, dtype: str, thumbnail: bool
) -> None:
    data = DATA.astype(dtype)
    path = dm(tmp_path / f"a{suffix}", data, thumbnail=thumbnail)
    assert np.array_equal(reader.dmReader(str(path))["data"], data)  # the file is a valid one
    source = open_source(path)
    assert (source.shape, source.sizes, source.remarks) == (DATA.shape, SIZE, ())
    assert np.array_equal(source.read(3, 5), data[3:5])
    assert np.array_equal(converted(path, tmp_path / "a.ome.zarr", None), as_tiff(tmp_path, data))


@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
def test_a_folder_of_files_is_a_stack(tmp_path: Path, suffix: str) -> None:
    path = folder_of(tmp_path / "slices", suffix)
    (path / "notes.txt").write_text("50 nm")
    source = open_source(path)
    assert source.kind == "a folder of 10 DigitalMicrograph slices"
    assert (source.shape, source.sizes) == (DATA.shape, (None, 10, 12))
    assert np.array_equal(source.read(8, 10), DATA[8:])
    with pytest.raises(InputError, match=r"part of its voxel size \(\? 10 12 nm, z y x\)"):
        converted(path, tmp_path / "a.ome.zarr", None)
    assert np.array_equal(converted(path, tmp_path / "a.ome.zarr"), as_tiff(tmp_path, DATA))


def test_slices_are_opened_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real, together = threading.Lock(), reader.fileDM, []

    def alone(file: Any) -> Any:
        free = gate.acquire(blocking=False)
        together.append(not free)
        time.sleep(0.01)
        try:
            return real(file)
        finally:
            if free:
                gate.release()

    path = folder_of(tmp_path / "a")
    monkeypatch.setattr(reader, "fileDM", alone)
    assert open_source(path).shape == DATA.shape
    assert len(together) == len(DATA) and not any(together)


def test_slices_of_a_folder_must_agree(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "a")
    dm(path / "s3.dm3", DATA[3], scales=(12.0, 11.0))
    assert "differs: along y slices differ: 10 nm in s0.dm3, 11 nm in s3.dm3" in (
        remark_of(open_source(path))
    )
    dm(path / "s4.dm3", DATA[4].astype(np.uint16))
    with pytest.raises(InputError, match=r"the type uint16, but the first slice s0\.dm3 has uint8"):
        open_source(path)
    dm(path / "s4.dm3", DATA)
    with pytest.raises(InputError, match="holds 10 slices; in a folder each file is one slice"):
        open_source(path)
    (path / "s4.dm3").unlink()
    assert open_source(path).facts["missing numbers"] == "4"


def test_one_file_in_a_folder_and_files_beside_tiffs(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    dm(tmp_path / "one" / "stack.dm4", DATA)
    assert np.array_equal(open_source(tmp_path / "one").read(0, 10), DATA)
    tifffile.imwrite(tmp_path / "one" / "a.tif", DATA[0], photometric="minisblack")
    source = open_source(tmp_path / "one")
    assert source.shape == (1, 33, 41)
    assert "stack.dm4) beside the TIFFs; only the TIFFs are read" in remark_of(source)


@pytest.mark.parametrize(
    ("how", "sizes", "reason"),
    [
        ({"scales": (0.012, 0.01, 0.05), "unit": "µm"}, SIZE, "calibration of dimension 3"),
        ({"unit": ""}, (None,) * 3, "dimension 3 50 without a unit"),
        ({"unit": "1/nm"}, (None,) * 3, "in the unit '1/nm', which is no length"),
        ({"scales": (12.0, 10.0, 0.0)}, (None, 10, 12), "is 0, which is no size of a voxel"),
        ({"scales": (12.0, 10.0, -5.0)}, (None, 10, 12), "is -5, which is no size of a voxel"),
        ({"scales": (12.0, 10.0, np.nan)}, (None, 10, 12), "is nan, which is no size of a voxel"),
    ],
)
def test_the_voxel_size_is_that_of_the_calibrations(
    tmp_path: Path, how: dict[str, Any], sizes: tuple[float | None, ...], reason: str
) -> None:
    source = open_source(dm(tmp_path / "a.dm4", DATA, **how))
    assert source.sizes == sizes
    assert reason in source.size_origins[0]


def test_a_calibrated_brightness_is_not_applied_without_a_word(tmp_path: Path) -> None:
    source = open_source(dm(tmp_path / "a.dm4", DATA, brightness=0.5))
    assert "brightness is calibrated (scale 0.5, origin 0), which is not applied" in (
        remark_of(source)
    )
    assert np.array_equal(source.read(0, 1), DATA[:1])


@pytest.mark.parametrize(
    ("data", "how", "sentence"),
    [
        (DATA.astype("i4"), {"number": 23}, "holds colours, not grey values"),
        (DATA.astype("f8"), {"number": 3}, "values of DigitalMicrograph's type 3, not grey"),
        (DATA, {"images": 2}, "holds 2 images: save one of them alone"),
        (np.zeros((2, 3, 4, 5), "u1"), {}, "has the shape 2 x 3 x 4 x 5; a volume"),
        (np.zeros(5, "u1"), {}, "has the shape 5; a volume"),
        (np.zeros((0, 4, 5), "u1"), {}, "has the shape 0 x 4 x 5; a volume"),
    ],
)
def test_a_file_that_holds_no_volume_is_refused(
    tmp_path: Path, data: Any, how: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        open_source(dm(tmp_path / "a.dm4", data, **how))


def test_one_plane_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    source = open_source(dm(tmp_path / "a.dm3", DATA[0]))
    assert source.shape == (1, 33, 41)
    assert np.array_equal(source.read(0, 1), DATA[:1])


@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
@pytest.mark.parametrize("share", [0.0003, 0.002, 0.02, 0.04, 0.5, 0.98])
def test_a_truncated_file_is_never_read_as_a_whole_one(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = cut(dm(tmp_path / f"a{suffix}", DATA), share)
    with pytest.raises(InputError, match=rf"a{suffix} is .*copy it again"):
        open_source(path)


def test_damaged_tags_are_one_sentence_or_the_same_bits(tmp_path: Path) -> None:
    path = dm(tmp_path / "a.dm4", DATA)
    content = path.read_bytes()
    end = content.index(DATA.tobytes()[:50])
    refused = 0
    for position in range(4, end, 7):
        changed = bytearray(content)
        changed[position] ^= 255
        path.write_bytes(changed)
        try:
            source = open_source(path)
            assert source.read(0, source.shape[0]).shape == source.shape
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 20
    path.write_bytes(b"no file of DigitalMicrograph")
    with pytest.raises(InputError, match="is a DigitalMicrograph file, but not a whole one"):
        open_source(path)


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dm(tmp_path / "a.dm4", DATA)
    monkeypatch.setitem(sys.modules, "ncempy.io.dm", None)
    with pytest.raises(MissingDependencyError, match=r"ncempy.*pip install 'hela_dask\[formats\]'"):
        open_source(path)
