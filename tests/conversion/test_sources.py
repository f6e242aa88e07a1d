"""Reading what people have: TIFF, MRC, OME-Zarr and .npy; and naming the file that is no good."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.readers.names import natural_key
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage import store

DATA = np.random.default_rng(0).integers(0, 256, (12, 40, 50), dtype=np.uint8)


def slices(folder: Path, data: NDArray[Any] = DATA, name: str = "z{}.tif", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, plane in enumerate(data):
        tifffile.imwrite(folder / name.format(number), plane, **more)
    return folder


def test_names_sort_by_their_numbers() -> None:
    names = ["z10.tif", "Z2.tif", "z1.tif", "a_10_2.tif", "a_9_11.tif", "z02b.tif", "z²3.tif"]
    assert sorted(names, key=natural_key) == [
        "a_9_11.tif", "a_10_2.tif", "z1.tif", "z02b.tif", "Z2.tif", "z10.tif", "z²3.tif",
    ]  # fmt: skip


def test_a_folder_is_read_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    folder = slices(tmp_path / "slices")  # z0 ... z11: by plain sorting z10 comes before z2
    (folder / "._z3.tif").write_bytes(b"finder")
    (folder / ".DS_Store").write_bytes(b"finder")
    (folder / "notes.txt").write_text("50 nm")
    (folder / "z1.tif").rename(folder / "z1.TIFF")
    source = open_source(folder)
    assert (source.shape, source.voxel_size, len(source.files)) == (DATA.shape, None, 12)
    assert source.dtype == np.uint8
    assert np.array_equal(source.read(0, 12), DATA)
    assert np.array_equal(source.read(9, 11), DATA[9:11])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"metadata": None},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw", "bigtiff": True, "rowsperstrip": 7},
        {"compression": "zstd", "tile": (16, 32)},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"ome": True, "metadata": {"axes": "ZYX"}},
    ],
)
def test_a_stack_is_read_however_it_is_stored(
    tmp_path: Path, how: dict[str, Any], dtype: str
) -> None:
    data = (DATA * np.ones(1, dtype)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, **how)
    source = open_source(tmp_path / "a.tif")
    assert (source.shape, source.dtype) == (DATA.shape, np.dtype(dtype))
    for part in (slice(0, 12), slice(5, 8), slice(11, 12)):
        block = source.read(part.start, part.stop)
        assert np.array_equal(block, data[part])
        assert block.dtype == np.dtype(dtype)


def test_one_plane_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA[0], compression="zlib")
    np.save(tmp_path / "a.npy", DATA[0])
    slices(tmp_path / "one", DATA[:1])
    for name in ("a.tif", "a.npy", "one"):
        source = open_source(tmp_path / name)
        assert source.shape == (1, 40, 50)
        assert np.array_equal(source.read(0, 1), DATA[:1])


def test_pages_appended_one_by_one_are_slices(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in DATA:
            writer.write(plane, contiguous=False, metadata=None)
    assert np.array_equal(open_source(tmp_path / "a.tif").read(0, 12), DATA)


OME = {"axes": "ZYX", "PhysicalSizeX": 12, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.01}
NANO = {"spacing": 50, "unit": "nm", "axes": "ZYX"}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"ome": True, "metadata": {**OME, "PhysicalSizeZ": 500, "PhysicalSizeZUnit": "Å"}},
         (50, 10, 12)),
        ({"ome": True, "metadata": OME}, (None, 10, 12)),
        ({"ome": True, "metadata": {"axes": "ZYX"}}, (None, None, None)),
        ({"imagej": True, "metadata": NANO, "resolution": (1 / 12, 0.1)}, (50, 10, 12)),
        ({"imagej": True, "metadata": {**NANO, "spacing": 0.05, "unit": "\\u00B5m"},
          "resolution": (1 / 0.012, 100)}, (50, 10, 12)),
        ({"imagej": True, "metadata": {**NANO, "unit": "micron"}, "resolution": (100, 100)},
         (50e3, 10, 10)),
        ({"imagej": True, "metadata": {**NANO, "unit": "pixel"}, "resolution": (1, 1)},
         (None, None, None)),
        ({"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}, (None, 10, 10)),
        ({"resolution": (2.54e6, 2.54e6), "resolutionunit": "INCH"}, (None, 10, 10)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, (None, None, None)),
        ({"resolution": (0.1, 0.1), "resolutionunit": "NONE"}, (None, None, None)),
    ],
)  # fmt: skip
def test_the_voxel_size_comes_from_the_metadata_that_mean_it(
    tmp_path: Path, how: dict[str, Any], expected: tuple[float | None, ...]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, **how)
    source = open_source(tmp_path / "a.tif")
    known = [size for size in source.sizes if size is not None]
    assert [size is None for size in source.sizes] == [size is None for size in expected]
    assert known == pytest.approx([size for size in expected if size is not None], rel=1e-5)
    assert (source.voxel_size is None) == (None in expected)
    assert np.array_equal(source.read(0, 12), DATA)


def test_slices_of_an_ome_series_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    """Each file of a set describes the whole set; a folder still has one slice a file."""
    folder = slices(tmp_path / "set", DATA[:3], ome=True, metadata={"axes": "YX", **{
        f"PhysicalSize{axis}": 0.01 for axis in "XY"}})  # fmt: skip
    source = open_source(folder)
    assert source.shape[0] == 3
    assert source.sizes[0] is None
    assert source.sizes[1:] == pytest.approx((10, 10))
    tifffile.imwrite(tmp_path / "a.tif", DATA, ome=True, metadata={"axes": "ZYX"})
    content = (tmp_path / "a.tif").read_bytes().replace(b'SizeZ="12"', b'SizeZ="24"')
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match="12 pages, but its OME-XML speaks of 24"):
        open_source(tmp_path / "a.tif")


def test_white_is_zero_where_the_file_says_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", 255 - DATA, photometric="miniswhite")
    assert np.array_equal(open_source(tmp_path / "a.tif").read(0, 12), DATA)
    slices(tmp_path / "s", 255 - DATA, photometric="miniswhite")
    assert np.array_equal(open_source(tmp_path / "s").read(0, 12), DATA)


def mrc(path: Path, data: NDArray[Any], voxel: Any = None) -> Path:
    with mrcfile.new(path) as file:
        file.set_data(data)
        if voxel is not None:
            file.voxel_size = voxel
    return path


@pytest.mark.parametrize(
    ("voxel", "expected"),
    [((120, 100, 500), (50, 10, 12)), (0, None), (1, None), (None, None)],
)
def test_mrc_with_the_voxel_size_of_its_header(tmp_path: Path, voxel: Any, expected: Any) -> None:
    source = open_source(mrc(tmp_path / "a.mrc", DATA.astype(np.uint16), voxel))
    assert source.voxel_size == (None if expected is None else pytest.approx(expected))
    assert source.shape == DATA.shape
    assert source.dtype == np.uint16
    assert np.array_equal(source.read(3, 8), DATA[3:8])


def test_mrc_bytes_are_signed_unless_imod_says_otherwise(tmp_path: Path) -> None:
    path = mrc(tmp_path / "a.mrc", DATA.view(np.int8), 100)
    assert open_source(path).dtype == np.int8
    with path.open("r+b") as file:
        file.seek(152)
        file.write(struct.pack("<ii", 1146047817, 0))
    source = open_source(path)
    assert source.dtype == np.uint8
    assert np.array_equal(source.read(0, 12), DATA)


def test_an_ome_zarr_is_a_source(tmp_path: Path) -> None:
    image = store.create_image(tmp_path / "a.ome.zarr", DATA.shape, "uint8", (50, 10, 12), name="a")
    with pytest.raises(InputError, match="not finished"):
        open_source(image.folder)
    store.write_slab(image, 0, DATA)
    source = open_source(image.folder)
    assert source.voxel_size == (50, 10, 12)
    assert np.array_equal(source.read(3, 8), DATA[3:8])


def _empty(path: Path) -> Path:
    path.mkdir()
    (path / "readme.txt").touch()
    return path


def _two_sizes(path: Path) -> Path:
    slices(path, DATA[:5])
    tifffile.imwrite(path / "z3.tif", DATA[0, :39])
    return path / "z3.tif"


def _two_types(path: Path) -> Path:
    slices(path, DATA[:5])
    tifffile.imwrite(path / "z3.tif", DATA[0].astype(np.uint16))
    return path / "z3.tif"


def _truncated_slice(path: Path) -> Path:
    slices(path, DATA[:5])
    os.truncate(path / "z3.tif", 1500)
    return path / "z3.tif"


def _empty_slice(path: Path) -> Path:
    slices(path, DATA[:5])
    os.truncate(path / "z3.tif", 0)
    return path / "z3.tif"


def _text_slice(path: Path) -> Path:
    slices(path, DATA[:5])
    (path / "z3.tif").write_text("z,y,x\n1,2,3\n")
    return path / "z3.tif"


def _stack_in_folder(path: Path) -> Path:
    slices(path, DATA[:5])
    tifffile.imwrite(path / "z3.tif", DATA)
    return path / "z3.tif"


def _colour_slice(path: Path) -> Path:
    slices(path, DATA[:5])
    tifffile.imwrite(path / "z3.tif", np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    return path / "z3.tif"


def _file(path: Path, data: NDArray[Any] = DATA, size: int | None = None, **more: Any) -> Path:
    path = path.with_suffix(".tif")
    tifffile.imwrite(path, data, **more)
    if size is not None:
        os.truncate(path, size)
    return path


def _colour(path: Path) -> Path:
    return _file(path, np.zeros((40, 50, 3), np.uint8), photometric="rgb")


def _channels(path: Path) -> Path:
    return _file(path, DATA[:3], imagej=True, metadata={"axes": "CYX"})


def _truncated_stack(path: Path) -> Path:
    return _file(path, size=15000)


def _truncated_compressed(path: Path) -> Path:
    return _file(path, size=15000, compression="zlib")


def _truncated_imagej(path: Path) -> Path:
    return _file(path, size=15000, imagej=True, metadata={"axes": "ZYX"})


def _two_series(path: Path) -> Path:
    path = _file(path, metadata=None)
    tifffile.imwrite(path, DATA[0, :20], append=True, metadata=None)
    return path


def _text(path: Path) -> Path:
    path = path.with_suffix(".tif")
    path.write_text("this is no TIFF")
    return path


def _truncated_mrc(path: Path) -> Path:
    mrc(path.with_suffix(".mrc"), DATA)
    os.truncate(path.with_suffix(".mrc"), 9000)
    return path.with_suffix(".mrc")


def _text_mrc(path: Path) -> Path:
    path = path.with_suffix(".mrc")
    path.write_text("this is no MRC" * 200)
    return path


def _text_npy(path: Path) -> Path:
    path = path.with_suffix(".npy")
    path.write_text("this is no array")
    return path


def _jpeg(path: Path) -> Path:
    path = path.with_suffix(".jpg")
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(99))
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_empty, "holds no TIFF slices"),
        (_two_sizes, r"has the shape 39 x 50, but the first slice z0\.tif has 40 x 50"),
        (_two_types, r"has the type uint16, but the first slice z0\.tif has uint8"),
        (_truncated_slice, "truncated"),
        (_empty_slice, "is empty: copy it again"),
        (_text_slice, "not a readable TIFF"),
        (_stack_in_folder, "12 pages; in a folder each TIFF is one slice"),
        (_colour_slice, "colour image"),
        (_colour, "colour image"),
        (_channels, "3 channels"),
        (_truncated_stack, "truncated"),
        (_truncated_compressed, "truncated"),
        (_truncated_imagej, "truncated"),
        (_two_series, "more than one kind"),
        (_text, "not a readable TIFF"),
        (_truncated_mrc, "not a whole MRC"),
        (_text_mrc, "not a whole MRC"),
        (_text_npy, r"not a \.npy array"),
        (_jpeg, "is a picture, which cannot be read here: open the folder in Fiji"),
    ],
)
def test_what_is_no_volume_is_named_before_a_voxel_is_read(
    tmp_path: Path, make: Any, sentence: str
) -> None:
    culprit = make(tmp_path / "a")
    with pytest.raises(InputError, match=sentence) as caught:
        open_source(tmp_path / "a" if (tmp_path / "a").exists() else culprit)
    assert str(culprit) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_slice_with_damaged_voxels_is_named_when_it_is_reached(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", DATA[:5], compression="zlib")
    content = bytearray((folder / "z3.tif").read_bytes())
    content[-1500:-1000] = bytes(500)
    (folder / "z3.tif").write_bytes(content)
    source = open_source(folder)
    assert np.array_equal(source.read(0, 3), DATA[:3])
    with pytest.raises(InputError, match=r"z3\.tif cannot be decoded"):
        source.read(2, 5)


def test_a_damaged_page_is_named_by_its_number(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        start = tiff.pages[7].dataoffsets[0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[start : start + 200] = bytes(200)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: page 8 cannot be decoded"):
        open_source(tmp_path / "a.tif").read(0, 12)


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.tif does not exist"):
        open_source(tmp_path / "nowhere.tif")
