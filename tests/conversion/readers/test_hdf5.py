"""HDF5: which dataset, which axes, which voxel size, and damage that is named."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.cli import main
from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.conversion.sources import open_source
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    InputError,
    MissingDependencyError,
    MissingInputError,
)
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.unet.training_data import source_fingerprint
from hela_dask.volume.opening import open_volume
from tests.conversion.readers.containers import DATA, SIZE, as_tiff, converted, h5
from tests.conversion.readers.tiffs import cut, remark_of

h5py = pytest.importorskip("h5py", reason="the extra [formats] is not installed")

ILASTIK = {"key": "z", "typeFlags": 2, "resolution": 0, "description": ""}


def axistags(axes: str, **resolution: float) -> str:
    return json.dumps(
        {"axes": [{**ILASTIK, "key": key, "resolution": resolution.get(key, 0)} for key in axes]}
    )


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<i2", ">i2", "i1"])
@pytest.mark.parametrize(
    "how", [{}, {"chunks": (4, 16, 16), "compression": "gzip"}, {"chunks": (3, 7, 41)}]
)
def test_a_dataset_is_converted_to_the_bits_of_a_tiff(
    tmp_path: Path, how: dict[str, Any], dtype: str
) -> None:
    data = (DATA // 2).astype(dtype)
    h5(tmp_path / "a.h5", data, "volumes/raw", **how)
    assert np.array_equal(converted(tmp_path / "a.h5", tmp_path / "a.ome.zarr"), data)
    assert np.array_equal(as_tiff(tmp_path, data), data)
    source = open_source(f"{tmp_path}/a.h5::/volumes/raw")
    assert np.array_equal(source.read(3, 5), data[3:5])
    assert source.read(0, 1).dtype == np.dtype(dtype).newbyteorder("=")


def test_signed_values_and_floats_are_treated_as_those_of_a_tiff(tmp_path: Path) -> None:
    signed = DATA.astype(np.int16) - 128
    for name, data, sentence in (
        ("i2", signed, "16 bit signed values down to -68"),
        ("f4", DATA.astype(np.float32), "float32 values; 8 or 16 bit"),
        ("u4", DATA.astype(np.uint32), "uint32 values; 8 or 16 bit"),
    ):
        h5(tmp_path / f"{name}.h5", data)
        with pytest.raises(InputError, match=sentence):
            converted(tmp_path / f"{name}.h5", tmp_path / "x.ome.zarr")
    h5(tmp_path / "i1.h5", signed.clip(-100, 100).astype(np.int8))
    shifted = (signed.clip(-100, 100) + 128).astype(np.uint8)
    assert np.array_equal(converted(tmp_path / "i1.h5", tmp_path / "i1.ome.zarr"), shifted)


def test_several_datasets_are_named_and_one_is_chosen(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", DATA, "raw")
    h5(path, DATA[0], "mean")
    h5(path, np.arange(5), "list")
    assert open_source(path).path == Path(f"{path}::/raw")  # the only one with three axes
    h5(path, (DATA > 100).astype(np.uint16), "seg/cells")
    with pytest.raises(
        InputError, match=r"holds 2 volumes; .*a\.h5::/raw \(10 x 33 x 41, uint8\), .*::/seg/cells"
    ):
        open_source(path)
    for place in ("/seg/cells", "seg/cells", "/seg/cells/"):
        assert np.array_equal(open_source(f"{path}::{place}").read(0, 10), DATA > 100)
    for place, sentence in (
        ("/nothing", "/nothing is not there; .*: /list, /mean, /raw, /seg/cells"),
        ("/seg", "/seg is a group; the datasets of the file"),
    ):
        with pytest.raises(InputError, match=sentence):
            open_source(f"{path}::{place}")
    with pytest.raises(MissingInputError, match=r"b\.h5 does not exist"):
        open_source(tmp_path / "b.h5::/raw")
    labels = open_labels(Path(f"{path}::/seg/cells"), "truth")
    assert np.array_equal(labels.read(2, 4), DATA[2:4] > 100)


def test_the_place_in_a_file_is_part_of_its_identity(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", DATA, "one")
    h5(path, DATA[:, ::-1].copy(), "two")
    target = tmp_path / "a.ome.zarr"
    assert np.array_equal(converted(f"{path}::/one", target), DATA)
    assert describe(target)["source"] == f"{path}::/one"  # as convert takes it again
    with pytest.raises(ExistsError, match="there already and complete"):
        convert(f"{path}::/two", target, voxel_size=SIZE, progress=False)
    assert source_fingerprint(f"{path}::/one") != source_fingerprint(f"{path}::/two")
    with pytest.raises(InputError, match=r"to be an OME-Zarr folder: name it b\.ome\.zarr"):
        convert(f"{path}::/one", tmp_path / "b.h5", voxel_size=SIZE, progress=False)


def test_the_command_line_takes_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = h5(tmp_path / "a.h5", attrs={"element_size_um": [0.05, 0.01, 0.012]})
    target = tmp_path / "a.ome.zarr"
    assert main(["info", f"{path}::/raw", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["voxel_size"] == [50, 10, 12]
    assert main(["convert", f"{path}::/raw", str(target), "--quiet"]) == 0
    assert np.array_equal(np.asarray(open_volume(target).data), DATA)
    assert main(["convert", f"{path}::/no", f"{tmp_path}/b.ome.zarr", "--quiet"]) == 1
    assert "/no is not there" in capsys.readouterr().err


def test_a_file_with_colons_in_its_name_is_that_file(tmp_path: Path) -> None:
    path = h5(tmp_path / "a::raw.h5")
    assert np.array_equal(open_source(path).read(0, 10), DATA)


@pytest.mark.parametrize(
    ("attrs", "sizes", "origin"),
    [
        ({}, (None,) * 3, ""),
        ({"element_size_um": [0.05, 0.01, 0.012]}, (50, 10, 12), "element_size_um"),
        ({"resolution": [50, 10, 12], "units": "nm"}, (50, 10, 12), "attribute resolution"),
        ({"resolution": [0.05, 0.01, 0.012], "units": ["um"] * 3}, (50, 10, 12), "resolution"),
        ({"voxel_size": [500.0, 100, 120], "unit": "Å"}, (50, 10, 12), "voxel_size"),
        ({"resolution": [50, 10, 12]}, (None,) * 3, "resolution 50 without a unit"),
        ({"resolution": [50, 10, 12], "units": "s"}, (None,) * 3, "unit 's', which is no length"),
        ({"resolution": [50, 10], "units": "nm"}, (None,) * 3, "50 10, not one number per axis"),
        ({"resolution": [0, -10, 12], "units": "nm"}, (None, None, 12), "0, which is no size"),
        ({"resolution": [np.nan, 10, 12], "units": "nm"}, (None, 10, 12), "nan, which is no size"),
        ({"resolution": "50 10 12"}, (None,) * 3, "not one number per axis"),
        ({"element_size_um": [0.05, 0.01, 0.012], "resolution": [40, 10, 12], "units": "nm"},
         (None, 10, 12), "element_size_um is 50 nm and HDF5 attribute resolution is 40 nm"),
    ],
)  # fmt: skip
def test_the_voxel_size_is_that_of_the_attributes(
    tmp_path: Path, attrs: dict[str, Any], sizes: tuple[float | None, ...], origin: str
) -> None:
    path = h5(tmp_path / "a.h5", attrs=attrs)
    source = open_source(path)
    assert source.sizes == sizes
    assert origin in source.size_origins[0]
    if None in sizes:
        with pytest.raises(InputError, match="give it in nm as --voxel-size Z Y X") as caught:
            converted(path, tmp_path / "a.ome.zarr", None)
        assert origin in str(caught.value)
    else:
        assert np.array_equal(converted(path, tmp_path / "a.ome.zarr", None), DATA)
        assert describe(tmp_path / "a.ome.zarr")["voxel_size"] == [50, 10, 12]


def test_an_absurd_voxel_size_is_refused_or_doubted(tmp_path: Path) -> None:
    tiny = h5(tmp_path / "tiny.h5", attrs={"resolution": [1e-9] * 3, "units": "nm"})
    with pytest.raises(InputError, match=r"1e-09 nm is less than an atom.*; give the right one"):
        converted(tiny, tmp_path / "a.ome.zarr", None)
    huge = h5(tmp_path / "huge.h5", attrs={"element_size_um": [50.0, 10, 10]})
    assert "has pixels of 10 µm" in " ".join(describe(huge)["remarks"])


@pytest.mark.parametrize(
    ("stored", "more", "expected", "remark"),
    [
        (DATA.T, {"axistags": axistags("xyz")}, DATA, "stored in the order x y z, and read as z"),
        (DATA.transpose(1, 0, 2), {"axistags": axistags("yzx")}, DATA, "in the order y z x"),
        (DATA[..., None], {"axistags": axistags("zyxc")}, DATA, ""),
        (DATA[None], {"axistags": axistags("tzyx")}, DATA, ""),
        (DATA[0], {}, DATA[:1], ""),
        (DATA[None, None], {}, DATA, ""),
        (DATA[:, None], {}, DATA, ""),
        (DATA[0][None], {}, DATA[:1], ""),
        (DATA.transpose(0, 2, 1), {"MATLAB_class": np.bytes_("uint8")}, DATA, "MATLAB stored it"),
    ],
)
def test_axes_are_those_that_the_file_states(
    tmp_path: Path, stored: NDArray[Any], more: dict[str, Any], expected: NDArray[Any], remark: str
) -> None:
    path = h5(tmp_path / "a.h5", stored, attrs=more)
    source = open_source(f"{path}::/raw")
    assert source.shape == expected.shape
    assert np.array_equal(source.read(0, len(expected)), expected)
    assert np.array_equal(source.read(0, 1), expected[:1])
    assert remark in remark_of(source)
    assert bool(source.remarks) == bool(remark)


def test_labels_of_dimensions_name_the_axes(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", DATA.T)
    with h5py.File(path, "a") as file:
        for number, name in enumerate("xyz"):
            file["raw"].dims[number].label = name
    assert np.array_equal(open_source(path).read(2, 4), DATA[2:4])


@pytest.mark.parametrize(
    ("stored", "more", "sentence"),
    [
        (
            np.zeros((2, 3, 10, 33, 41), "u1"),
            {},
            r"5 axes longer than one \(2 x 3 x 10 x 33 x 41\)",
        ),
        (np.zeros((10, 33, 41, 3), "u1"), {}, "the last of them probably of colours"),
        (np.zeros((33, 41, 3), "u1"), {}, "is probably a colour image"),
        (np.zeros((2, 10, 33, 41), "u1"), {"axistags": axistags("czyx")}, "has 2 channels"),
        (np.zeros((2, 10, 33, 41), "u1"), {"axistags": axistags("tzyx")}, "has 2 time points"),
        (DATA, {"axistags": axistags("zy")}, "has 3 axes .* and its metadata name them z, y"),
        (DATA, {"axistags": "{"}, "attribute axistags cannot be read"),
        (np.zeros(5, "u1"), {}, "has the shape 5; a volume"),
        (np.zeros((0, 3, 4), "u1"), {}, "is empty: its shape is 0 x 3 x 4"),
        (np.zeros((2, 3, 9), "S3"), {}, "values; a volume holds numbers"),
        (np.zeros((2, 3, 9), "c8"), {}, "complex64 values"),
        (np.zeros((2, 3, 9), [("r", "u1"), ("g", "u1")]), {}, "values; a volume holds numbers"),
    ],
)
def test_a_dataset_that_is_no_volume_is_refused(
    tmp_path: Path, stored: NDArray[Any], more: dict[str, Any], sentence: str
) -> None:
    path = h5(tmp_path / "a.h5", stored, attrs=more)
    with pytest.raises(InputError, match=sentence):
        open_source(f"{path}::/raw")


def test_a_file_without_a_volume_is_refused(tmp_path: Path) -> None:
    h5(tmp_path / "flat.h5", DATA[0])
    with pytest.raises(InputError, match=r"holds no volume, but 2-D datasets; .*::/raw \(33 x 41"):
        open_source(tmp_path / "flat.h5")
    h5(tmp_path / "list.h5", np.arange(4))
    with pytest.raises(InputError, match="holds no dataset of numbers"):
        open_source(tmp_path / "list.h5")
    (tmp_path / "none.h5").touch()
    with pytest.raises(InputError, match=r"none\.h5 is empty"):
        open_source(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_bytes(b"no HDF5 at all")
    with pytest.raises(InputError, match=r"is an HDF5 file, but not a whole one \(.*copy it again"):
        open_source(tmp_path / "text.h5")


def test_a_file_of_bigdataviewer_is_unsigned_and_of_its_finest_level(tmp_path: Path) -> None:
    data = DATA.astype(np.uint16) * 257  # up to 61423
    path = h5(tmp_path / "a.h5", data.view(np.int16), "t00000/s00/0/cells")
    h5(path, data[:, ::2, ::2].copy().view(np.int16), "t00000/s00/1/cells")
    source = open_source(path)
    assert source.shape == DATA.shape
    assert source.dtype == np.uint16
    assert np.array_equal(source.read(2, 4), data[2:4])
    assert "stores unsigned values as signed ones: they are read as unsigned" in remark_of(source)
    assert np.array_equal(converted(path, tmp_path / "a.ome.zarr"), data)
    h5(path, data.view(np.int16), "t00000/s01/0/cells")
    with pytest.raises(InputError, match=r"2 volumes; .*t00000/s00/0/cells .*t00000/s01/0/cells"):
        open_source(path)


def test_chunks_that_were_never_written_are_counted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("part", (10, 33, 41), "u1", chunks=(5, 33, 41), fillvalue=7)
        data[:5] = DATA[:5]
        file.create_dataset("none", (10, 33, 41), "u1", chunks=(5, 33, 41))
    source = open_source(f"{tmp_path}/a.h5::/part")
    assert "1 of its 2 chunks were never written; their voxels are read as the fill value, 7" in (
        remark_of(source)
    )
    assert (source.read(5, 10) == 7).all()
    with pytest.raises(InputError, match="has no data: its values were never written"):
        open_source(f"{tmp_path}/a.h5::/none")


def test_a_file_that_a_virtual_dataset_refers_to_must_be_there(tmp_path: Path) -> None:
    h5(tmp_path / "part.h5")
    layout = h5py.VirtualLayout(DATA.shape, "u1")
    layout[:] = h5py.VirtualSource("part.h5", "raw", DATA.shape)
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("raw", layout)
    source = open_source(tmp_path / "all.h5")
    assert np.array_equal(source.read(0, 10), DATA)
    assert source.files == (tmp_path / "all.h5", tmp_path / "part.h5")
    (tmp_path / "part.h5").unlink()
    with pytest.raises(InputError, match=r"refers to values in .*part\.h5, which is not there"):
        open_source(tmp_path / "all.h5")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_never_read_as_a_whole_one(tmp_path: Path, share: float) -> None:
    path = cut(h5(tmp_path / "a.h5", chunks=(4, 16, 16), compression="gzip"), share)
    with pytest.raises(InputError, match=r"a\.h5 is an HDF5 file, but not a whole one"):
        open_source(path)


def test_a_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", chunks=DATA.shape, compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        place = file["raw"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    for position in range(place.byte_offset + 100, place.byte_offset + 200):
        content[position] ^= 255
    path.write_bytes(content)
    with pytest.raises(HelaDaskError, match=r"a\.h5::/raw cannot be read|not a whole one"):
        converted(path, tmp_path / "a.ome.zarr")


def test_a_slab_is_read_without_the_rest(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("raw", (256, 512, 512), "u1", chunks=(4, 128, 128), fillvalue=1)
        data[:4] = 9
    source = open_source(tmp_path / "a.h5")
    tracemalloc.start()
    block = source.read(2, 6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert block.mean() == 5
    assert peak < 8 * 2**20  # the volume has 64 MiB


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = h5(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"h5py.*pip install 'hela_dask\[formats\]'"):
        open_source(path)


def test_a_place_in_a_file_without_places_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DATA)
    with pytest.raises(InputError, match="has no places inside"):
        open_source(f"{tmp_path}/a.npy::/raw")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is no N5 container"):
        open_source(f"{tmp_path}/folder::/raw")
