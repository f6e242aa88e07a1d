"""A zipped OME-Zarr: the same voxels as in its folder, and archives that hold none."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from tests.conversion.readers.containers import DATA, SIZE, as_tiff, converted
from tests.conversion.readers.tiffs import cut, remark_of


def store(path: Path) -> Path:
    """An OME-Zarr 0.5 of this package."""
    np.save(path.with_suffix(".npy"), DATA)
    convert(path.with_suffix(".npy"), path, voxel_size=SIZE, shards=(5, 64, 64), progress=False)
    return path


def old_store(path: Path) -> Path:
    """An OME-Zarr 0.4 with axes x, y, z, as other programs write it."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=DATA.T, chunks=(16, 16, 4))
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "xyz"]
    scale = [{"type": "scale", "scale": list(SIZE[::-1])}]
    datasets: Any = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def zipped(folder: Path, target: Path, inside: str = "", how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(target, "a", how) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{inside}{file.relative_to(folder).as_posix()}")
    return target


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("name", "inside"), [("a.ome.zarr.zip", ""), ("a.ozx", ""), ("a.zip", "hela.ome.zarr/")]
)
def test_an_archive_has_the_voxels_of_its_folder(
    tmp_path: Path, name: str, inside: str, how: int
) -> None:
    path = zipped(store(tmp_path / "b.ome.zarr"), tmp_path / name, inside, how)
    source = open_source(path)
    assert (source.shape, source.sizes, source.remarks) == (DATA.shape, SIZE, ())
    assert np.array_equal(source.read(4, 7), DATA[4:7])
    found = converted(path, tmp_path / "c.ome.zarr", None)
    assert np.array_equal(found, as_tiff(tmp_path, DATA))
    assert describe(path)["kind"] == "a zipped OME-Zarr 0.5"


def test_an_old_store_with_other_axes_is_read_in_z_y_x(tmp_path: Path) -> None:
    path = zipped(old_store(tmp_path / "b.ome.zarr"), tmp_path / "a.zip")
    source = open_source(path)
    assert (source.shape, source.sizes) == (DATA.shape, SIZE)
    assert np.array_equal(source.read(3, 9), DATA[3:9])


def test_several_images_are_named(tmp_path: Path) -> None:
    for number in range(2):
        folder = store(tmp_path / f"{number}.ome.zarr")
        path = zipped(folder, tmp_path / "a.zip", f"{number}/")
    with pytest.raises(InputError, match=r"holds 2 images: .*a\.zip::/0, .*a\.zip::/1"):
        open_source(path)
    assert np.array_equal(open_source(f"{path}::/1").read(0, 10), DATA)
    with pytest.raises(InputError, match="has no image '2'; its images are: 0, 1"):
        open_source(f"{path}::/2")


def test_an_archive_without_an_image_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
        archive.writestr("slice.tif", b"x")
    with pytest.raises(InputError, match="a zip archive without an OME-Zarr image: unpack it"):
        open_source(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("zarr.json", "[" * 500)
    with pytest.raises(InputError, match=r"b\.zip::/zarr\.json"):
        open_source(tmp_path / "b.zip")
    (tmp_path / "c.ozx").touch()
    with pytest.raises(InputError, match=r"c\.ozx is empty"):
        open_source(tmp_path / "c.ozx")


def test_damage_is_named(tmp_path: Path) -> None:
    folder = store(tmp_path / "b.ome.zarr")
    for share in (0.1, 0.9):
        with pytest.raises(InputError, match=r"a\.zip is not a whole zip archive"):
            open_source(cut(zipped(folder, tmp_path / "a.zip"), share))
        (tmp_path / "a.zip").unlink()
    path = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        (shard,) = [item for item in archive.infolist() if item.filename == "0/c/1/0/0"]
    content = bytearray(path.read_bytes())
    for position in range(shard.header_offset + 200, shard.header_offset + 400):
        content[position] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip cannot be read and is probably damaged"):
        converted(path, tmp_path / "c.ome.zarr", None)


def test_files_that_are_missing_are_counted(tmp_path: Path) -> None:
    folder = store(tmp_path / "b.ome.zarr")
    (folder / "0" / "c" / "1" / "0" / "0").unlink()
    source = open_source(zipped(folder, tmp_path / "a.zip"))
    assert "1 of the 2 files of '0', its finest level, are not in the archive" in remark_of(source)
    assert np.array_equal(source.read(0, 5), DATA[:5])
    assert not source.read(5, 10).any()
    (folder / "0" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(InputError, match="has no data: none of the 2 files"):
        open_source(zipped(folder, tmp_path / "c.zip"))
