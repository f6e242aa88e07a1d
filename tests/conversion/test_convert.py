"""Converting: the same bits, a voxel size that is sure, interruptions continued, little memory."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from hela_dask.conversion.convert import convert
from hela_dask.conversion.describe import describe
from hela_dask.errors import ExistsError, InputError, MissingInputError, ParameterError
from hela_dask.storage import store
from hela_dask.volume.opening import open_volume, read_image

SIZE = (50, 10, 12)
DATA = np.random.default_rng(0).integers(0, 256, (40, 300, 270), dtype=np.uint8)


class InterruptError(Exception):
    """Stands for anything that stops a conversion."""


class StopAfter:
    """A progress callback that stops the conversion once so many slices are done."""

    def __init__(self, slices: int) -> None:
        self.slices = slices
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))
        if done >= self.slices:
            raise InterruptError


def stack(path: Path, data: NDArray[Any] = DATA, **more: Any) -> Path:
    tifffile.imwrite(path, data, **more)
    return path


def slices(folder: Path, data: NDArray[Any] = DATA) -> Path:
    folder.mkdir()
    for number, plane in enumerate(data):
        tifffile.imwrite(folder / f"z{number}.tif", plane, compression="zlib")
    return folder


def chunk_files(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every chunk file of the store: when it was written, its inode, its bytes."""
    files = [file for file in path.rglob("*") if file.is_file() and "c" in file.parts]
    return {
        file.relative_to(path).as_posix(): (
            file.stat().st_mtime_ns, file.stat().st_ino, file.read_bytes()
        )
        for file in files
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_kind_of_source_gives_the_same_bits(tmp_path: Path, dtype: str) -> None:
    data = DATA[:20].astype(dtype) * (1 if dtype == "uint8" else 257)
    stack(tmp_path / "a.tif", data, compression="zlib")
    slices(tmp_path / "slices", data)
    np.save(tmp_path / "a.npy", data)
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(data.view(np.int8) if dtype == "uint8" else data)
    convert(tmp_path / "a.tif", tmp_path / "zarr.ome.zarr", voxel_size=SIZE)
    expected = data
    for name in ("zarr.ome.zarr", "a.tif", "slices", "a.npy", "a.mrc"):
        target = tmp_path / "out" / f"{name}.ome.zarr"
        image = convert(
            tmp_path / name, target, voxel_size=None if name == "zarr.ome.zarr" else SIZE
        )
        shift = 128 if (name, dtype) == ("a.mrc", "uint8") else 0
        assert (image.complete, image.dtype) == (True, np.dtype(dtype))
        volume = open_volume(target)
        assert volume.attrs["voxel_size"] == SIZE
        assert np.array_equal(volume.values, expected + np.uint8(shift))
        assert open_volume(target, level=1).shape == (20, 150, 135)


def test_the_real_stack(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "roi1656" / "raw_z001-300.tif"
    convert(source, tmp_path / "a.ome.zarr", voxel_size=(50, 40, 40))
    data = tifffile.imread(source)
    assert np.array_equal(open_volume(tmp_path / "a.ome.zarr").values, data)
    coarse = open_volume(tmp_path / "a.ome.zarr", resolution=80).values.astype(int)
    mean = data.reshape(300, 250, 2, 250, 2).mean((2, 4))
    assert np.abs(coarse - mean).max() <= 0.5
    facts = describe(tmp_path / "a.ome.zarr")
    assert facts["extent"] == [15_000, 20_000, 20_000]
    assert facts["grey"]["percentiles"]["50"] == int(np.median(data))


def test_a_store_of_an_older_format_becomes_a_new_one(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    data = DATA[np.newaxis, np.newaxis, :20].astype(">u2")
    group.create_array("0", shape=data.shape, dtype=">u2", chunks=(1, 1, 1, 300, 270))[...] = data
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 0.05, 0.01, 0.012]}]
    facts: Any = {"version": "0.4", "axes": axes,
                  "datasets": [{"path": "0", "coordinateTransformations": scale}]}  # fmt: skip
    group.attrs["multiscales"] = [facts]
    image = convert(tmp_path / "old.zarr", tmp_path / "new.ome.zarr")
    assert image.version == "0.5"
    assert image.levels[0].voxel_size == pytest.approx(SIZE)
    assert np.array_equal(open_volume(image.path).values, DATA[:20])


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_option_completes_what_the_file_states_and_wins_over_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = stack(tmp_path / "a.tif", DATA[:2], resolution=(1e7 / 10.4, 1e6), resolutionunit=3)
    target = tmp_path / "a.ome.zarr"
    with pytest.raises(InputError, match=r"a\.tif states a part .*\? 10 10.4 nm.*--voxel-size"):
        convert(source, target)
    assert not target.exists()
    image = convert(source, target, voxel_size=(50, 10.05, 10.4))
    assert image.levels[0].voxel_size == (50, 10.05, 10.4)
    assert not _warnings(caplog)
    image = convert(source, target, voxel_size=(50, 40, 40), overwrite=True)
    assert image.levels[0].voxel_size == (50, 40, 40)
    assert _warnings(caplog) == [
        f"{source} states a voxel size of ? 10 10.4 nm (z y x; resolution tag); the 50 40 40 nm of "
        "--voxel-size are used instead"
    ]


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (None, r"a\.tif states no voxel size: give it in nm as --voxel-size"),
        ((0, 10, 10), "three positive lengths .*not 0 10 10"),
        ((50, -10, 10), "three positive lengths .*not 50 -10 10"),
        ((50, 10, float("nan")), "three positive lengths .*not 50 10 nan"),
        ((50, 10), "three positive lengths"),
        ((0.05, 0.01, 0.01), "0.01 nm is less than an atom; 0.01 µm would be 10"),
    ],
)
def test_without_a_voxel_size_nothing_is_written(tmp_path: Path, size: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        convert(stack(tmp_path / "a.tif", DATA[:2]), tmp_path / "a.ome.zarr", voxel_size=size)
    assert [item.name for item in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (DATA[:2].astype(np.float32), "holds float32 values; 8 or 16 bit"),
        (np.full((2, 9, 9), np.nan, np.float32), "holds float32 values; 8 or 16 bit"),
        (DATA[:2].astype(np.uint32), "holds uint32 values; 8 or 16 bit"),
        (DATA[:2].astype(np.int16) - 3, "signed values down to -3"),
    ],
)
def test_other_types_are_refused(tmp_path: Path, data: NDArray[Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        convert(stack(tmp_path / "a.tif", data), tmp_path / "a.ome.zarr", voxel_size=SIZE)
    assert [item.name for item in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(("dtype", "expected"), [("int16", "uint16"), ("bool", "uint8")])
def test_signed_without_negative_values_and_masks_are_taken(
    tmp_path: Path, dtype: str, expected: str
) -> None:
    data = (DATA[:2] > 99) if dtype == "bool" else DATA[:2].astype(dtype)
    np.save(tmp_path / "a.npy", data)
    image = convert(tmp_path / "a.npy", tmp_path / "a.ome.zarr", voxel_size=SIZE)
    assert image.dtype == np.dtype(expected)
    assert np.array_equal(open_volume(image.path).values, data)


def test_an_interrupted_conversion_is_continued(tmp_path: Path) -> None:
    source, target = slices(tmp_path / "slices"), tmp_path / "a.ome.zarr"
    stop = StopAfter(16)
    with pytest.raises(InterruptError):
        convert(source, target, voxel_size=SIZE, progress=stop)
    assert stop.calls == [(0, 40), (16, 40)]
    with pytest.raises(InputError, match="not finished"):
        open_volume(target)
    half = chunk_files(target)
    assert sorted(half) == ["0/c/0/0/0", "1/c/0/0/0"]
    again = StopAfter(1000)
    convert(source, target, voxel_size=SIZE, progress=again)
    assert again.calls[0] == (16, 40)
    assert again.calls[-1] == (40, 40)
    whole = chunk_files(target)
    assert {name: whole[name] for name in half} == half
    assert np.array_equal(open_volume(target).values, DATA)
    convert(source, tmp_path / "b.ome.zarr", voxel_size=SIZE)
    undisturbed = chunk_files(tmp_path / "b.ome.zarr")
    assert {name: facts[2] for name, facts in whole.items()} == {
        name: facts[2] for name, facts in undisturbed.items()
    }


KILLED = """
import os, sys
from hela_dask.conversion.convert import convert
convert(sys.argv[1], sys.argv[2], voxel_size=(50, 10, 12),
        progress=lambda done, total: os._exit(7) if done >= 16 else None)
"""


def test_a_killed_conversion_is_continued(tmp_path: Path) -> None:
    source, target = stack(tmp_path / "a.tif"), tmp_path / "a.ome.zarr"
    killed = subprocess.run([sys.executable, "-c", KILLED, source, target], check=False)
    assert killed.returncode == 7
    assert store.finished_slabs(target) == [(0, 16)]
    half = chunk_files(target)
    convert(source, target, voxel_size=SIZE)
    assert {name: chunk_files(target)[name] for name in half} == half
    assert np.array_equal(open_volume(target).values, DATA)


def test_a_store_that_changed_meanwhile_is_another_source(tmp_path: Path) -> None:
    source, target = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    convert(slices(tmp_path / "slices"), source, voxel_size=SIZE)
    with pytest.raises(InterruptError):
        convert(source, target, progress=StopAfter(16))
    chunk = source / "0" / "c" / "1" / "0" / "0"
    os.utime(chunk, ns=(1, 1))
    with pytest.raises(ExistsError, match="other content"):
        convert(source, target)


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    source, target = stack(tmp_path / "a.tif"), tmp_path / "a.ome.zarr"
    convert(source, target, voxel_size=SIZE)
    before = chunk_files(target)
    with pytest.raises(ExistsError, match=r"a\.ome\.zarr is there already and complete.*overwrite"):
        convert(source, target, voxel_size=SIZE)
    assert chunk_files(target) == before
    other = stack(tmp_path / "b.tif", 255 - DATA)
    convert(other, target, voxel_size=SIZE, overwrite=True)
    assert np.array_equal(open_volume(target).values, 255 - DATA)


def test_an_unfinished_target_of_another_source_is_kept(tmp_path: Path) -> None:
    source, target = stack(tmp_path / "a.tif"), tmp_path / "a.ome.zarr"
    with pytest.raises(InterruptError):
        convert(source, target, voxel_size=SIZE, progress=StopAfter(16))
    other = stack(tmp_path / "b.tif", 255 - DATA)
    with pytest.raises(ExistsError, match=r"unfinished store made from .*a\.tif"):
        convert(other, target, voxel_size=SIZE)
    with pytest.raises(ExistsError, match="other content or voxel size"):
        convert(source, target, voxel_size=(50, 10, 11))
    with pytest.raises(ExistsError, match="other chunks"):
        convert(source, target, voxel_size=SIZE, chunks=(8, 64, 64))
    stack(tmp_path / "a.tif", 255 - DATA)
    with pytest.raises(ExistsError, match="other content or voxel size"):
        convert(source, target, voxel_size=SIZE)
    assert store.finished_slabs(target) == [(0, 16)]
    convert(source, target, voxel_size=SIZE, overwrite=True)
    assert np.array_equal(open_volume(target).values, 255 - DATA)


def test_overwrite_never_touches_what_is_not_ours_or_is_the_source(tmp_path: Path) -> None:
    source = stack(tmp_path / "a.tif", DATA[:2])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(ExistsError, match="never replaced"):
        convert(source, folder, voxel_size=SIZE, overwrite=True)
    convert(source, tmp_path / "a.ome.zarr", voxel_size=SIZE)
    for target in ("a.ome.zarr", "a.ome.zarr/labels/b", "."):
        with pytest.raises(InputError, match="in or around the source"):
            convert(tmp_path / "a.ome.zarr", tmp_path / target, overwrite=True)
    with pytest.raises(InputError, match=r"name it b\.ome\.zarr"):
        convert(source, tmp_path / "b.tif", voxel_size=SIZE)
    assert (folder / "thesis.tex").exists()
    assert open_volume(tmp_path / "a.ome.zarr").shape == (2, 300, 270)


def test_bad_headers_are_found_before_anything_is_written(tmp_path: Path) -> None:
    source = slices(tmp_path / "slices")
    content = (source / "z33.tif").read_bytes()
    (source / "z33.tif").write_bytes(content[:2000])
    with pytest.raises(InputError, match=r"z33\.tif is truncated"):
        convert(source, tmp_path / "a.ome.zarr", voxel_size=SIZE)
    with pytest.raises(MissingInputError, match="nowhere does not exist"):
        convert(tmp_path / "nowhere", tmp_path / "a.ome.zarr", voxel_size=SIZE)
    (source / "z33.tif").write_bytes(content)
    with pytest.raises(ParameterError, match="multiples of the chunks"):
        convert(source, tmp_path / "a.ome.zarr", voxel_size=SIZE, chunks=(4, 64, 64),
                shards=(4, 100, 100))  # fmt: skip
    assert [item.name for item in tmp_path.iterdir()] == ["slices"]


def test_a_slice_that_proves_damaged_leaves_an_unfinished_store(tmp_path: Path) -> None:
    source, target = slices(tmp_path / "slices"), tmp_path / "a.ome.zarr"
    content = bytearray((source / "z20.tif").read_bytes())
    content[-20000:-10000] = bytes(10000)
    (source / "z20.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"z20\.tif cannot be decoded"):
        convert(source, target, voxel_size=SIZE)
    with pytest.raises(InputError, match="not finished"):
        open_volume(target)


PEAK = """
import resource, sys
import numpy as np, tifffile
from hela_dask.conversion.convert import convert
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small = tifffile.imwrite(sys.argv[1] + ".tif", np.zeros((1, 64, 64), np.uint8))
convert(sys.argv[1] + ".tif", sys.argv[2] + ".small", voxel_size=(50, 10, 12))
before = peak()
convert(sys.argv[1], sys.argv[2], voxel_size=(50, 10, 12))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory of a process is read by POSIX")
def test_memory_is_a_small_multiple_of_a_slab(tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    plane = np.add.outer(np.arange(1100), np.arange(1100)).astype(np.uint16)
    for number in range(96):
        tifffile.imwrite(folder / f"z{number}.tif", plane + number, compression="zstd")
    slab, whole = 16 * plane.nbytes / 2**20, 96 * plane.nbytes / 2**20
    command = [sys.executable, "-c", PEAK, str(folder), str(tmp_path / "a.ome.zarr")]
    used = float(subprocess.run(command, check=True, capture_output=True).stdout)
    assert used < 3.5 * slab < 0.6 * whole


def test_describe_counts_exactly(tmp_path: Path) -> None:
    data = (np.random.default_rng(1).normal(3000, 500, (20, 300, 270))).astype(np.uint16)
    path = convert(stack(tmp_path / "a.tif", data), tmp_path / "a.ome.zarr", voxel_size=SIZE).folder
    labels = store.create_labels(path, "nuclei", data.shape, "uint32", SIZE, run=tmp_path / "a.run")
    facts = describe(path)
    assert json.loads(json.dumps(facts)) == facts
    grey = facts["grey"]
    percents = [float(percent) for percent in grey["percentiles"]]
    expected = np.percentile(data, percents, method="inverted_cdf")
    assert list(grey["percentiles"].values()) == expected.tolist()
    assert (grey["min"], grey["max"], grey["level"]) == (data.min(), data.max(), 0)
    assert grey["mean"] == pytest.approx(data.mean(), rel=1e-12)
    assert facts["shape"] == [20, 300, 270]
    assert facts["extent"] == [1000.0, 3000.0, 3240.0]
    assert facts["size_on_disk"] == sum(
        file.stat().st_size for file in path.rglob("*") if file.is_file()
    )
    run = "../../../a.run"  # from the label group
    assert facts["labels"] == [
        {
            "name": "nuclei",
            "shape": [20, 300, 270],
            "dtype": "uint32",
            "complete": False,
            "run": run,
        }
    ]
    assert describe(labels.path)["grey"] is None


def test_describe_says_that_a_store_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(InterruptError):
        convert(stack(tmp_path / "a.tif"), tmp_path / "a.ome.zarr", voxel_size=SIZE,
                progress=StopAfter(16))  # fmt: skip
    facts = describe(tmp_path / "a.ome.zarr")
    assert (facts["complete"], facts["grey"]) == (False, None)
    assert not read_image(tmp_path / "a.ome.zarr").complete
