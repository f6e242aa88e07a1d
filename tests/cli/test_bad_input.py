"""Bad input through the command line: a sentence that names the culprit, and nothing half-made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.cli import main

SIZE = ["--voxel-size", "50", "40", "40"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run a command that has to fail, and return the sentence that it ends with."""

    def command(*arguments: str, leaves: str | None = None) -> str:
        before = _files(tmp_path)
        assert main(list(arguments)) == 1
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, err
        assert err.rstrip().endswith(lines[0])
        assert "Traceback" not in err + out
        after = _files(tmp_path)
        assert {name: after.get(name) for name in before} == before, "what was there changed"
        if leaves is None:
            assert set(after) == set(before), "something half-made was left"
        return lines[0].removeprefix("Error: ")

    return command


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def _stack(folder: str = "slices", count: int = 4) -> NDArray[np.uint8]:
    """Write a folder of small slices, z1.tif and so on, and return their grey values."""
    grey = np.random.default_rng(0).integers(100, 200, (count, 32, 40), np.uint8)
    Path(folder).mkdir()
    for number, plane in enumerate(grey, start=1):
        tifffile.imwrite(f"{folder}/z{number}.tif", plane)
    return grey


def _volume(name: str = "a.ome.zarr", grey: Any = None) -> str:
    """A converted volume, of random grey values if none are given."""
    if grey is None:
        grey = np.random.default_rng(0).integers(100, 200, (4, 64, 64), np.uint8)
    tifffile.imwrite("source.tif", grey, photometric="minisblack")
    hd.convert("source.tif", name, voxel_size=(50, 40, 40))
    return name


def test_an_empty_folder(refuse: Callable[..., str]) -> None:
    Path("empty").mkdir()
    assert "empty" in refuse("convert", "empty", "a.ome.zarr", *SIZE)


def test_slices_of_two_sizes(refuse: Callable[..., str]) -> None:
    _stack()
    tifffile.imwrite("slices/z3.tif", np.zeros((32, 41), np.uint8))
    sentence = refuse("convert", "slices", "a.ome.zarr", *SIZE)
    assert "z3.tif" in sentence
    assert "41" in sentence


def test_a_tiff_cut_off_in_the_middle(refuse: Callable[..., str]) -> None:
    _stack()
    whole = Path("slices/z2.tif").read_bytes()
    Path("slices/z2.tif").write_bytes(whole[: len(whole) // 2])
    assert "z2.tif" in refuse("convert", "slices", "a.ome.zarr", *SIZE)


def test_a_multi_page_tiff_cut_off_in_the_middle(refuse: Callable[..., str]) -> None:
    tifffile.imwrite("stack.tif", np.zeros((9, 64, 64), np.uint8), photometric="minisblack")
    whole = Path("stack.tif").read_bytes()
    Path("stack.tif").write_bytes(whole[: len(whole) // 2])
    assert "stack.tif" in refuse("convert", "stack.tif", "a.ome.zarr", *SIZE)


def test_a_text_file_named_tif(refuse: Callable[..., str]) -> None:
    Path("note.tif").write_text("These are not the pixels you are looking for.\n")
    assert "note.tif" in refuse("convert", "note.tif", "a.ome.zarr", *SIZE)
    _stack()
    Path("slices/z4.tif").write_text("nor these\n")
    assert "z4.tif" in refuse("convert", "slices", "a.ome.zarr", *SIZE)


def test_an_rgb_image(refuse: Callable[..., str]) -> None:
    tifffile.imwrite("colour.tif", np.zeros((32, 40, 3), np.uint8), photometric="rgb")
    sentence = refuse("convert", "colour.tif", "a.ome.zarr", *SIZE)
    assert "colour.tif" in sentence
    assert "RGB" in sentence or "colour" in sentence.replace("colour.tif", "")


def test_a_float_image_with_nan(refuse: Callable[..., str]) -> None:
    grey = np.zeros((3, 32, 40), np.float32)
    grey[1, 2, 3] = np.nan
    tifffile.imwrite("float.tif", grey, photometric="minisblack")
    assert "float.tif" in refuse("convert", "float.tif", "a.ome.zarr", *SIZE)


def test_no_voxel_size(refuse: Callable[..., str]) -> None:
    _stack()
    assert "--voxel-size" in refuse("convert", "slices", "a.ome.zarr")


@pytest.mark.parametrize("wrong", [["50", "0", "40"], ["50", "-1", "40"], ["50", "nan", "40"]])
def test_a_voxel_size_of_zero_or_less(refuse: Callable[..., str], wrong: list[str]) -> None:
    _stack()
    sentence = refuse("convert", "slices", "a.ome.zarr", "--voxel-size", *wrong)
    assert "voxel size" in sentence or "--voxel-size" in sentence
    assert wrong[1] in sentence


def test_an_all_black_stack(refuse: Callable[..., str]) -> None:
    store = _volume(grey=np.zeros((4, 64, 64), np.uint8))
    assert store in refuse("run", store, "--quiet", leaves="a.ome.run")
    assert not Path(store, "labels").exists()


@pytest.mark.parametrize("command", ["convert", "info", "run", "detect", "evaluate", "report"])
def test_a_path_that_does_not_exist(refuse: Callable[..., str], command: str) -> None:
    more = {"convert": ["a.ome.zarr", *SIZE], "evaluate": ["other.tif"]}.get(command, [])
    assert "no-such" in refuse(command, "no-such", *more)


def test_an_output_that_exists(refuse: Callable[..., str]) -> None:
    _stack()
    store = _volume()
    sentence = refuse("convert", "slices", store, *SIZE)
    assert store in sentence
    assert "--overwrite" in sentence or "overwrite" in sentence
    Path("notes.ome.zarr").mkdir()
    Path("notes.ome.zarr/mine.txt").write_text("keep me")
    assert "notes.ome.zarr" in refuse("convert", "slices", "notes.ome.zarr", *SIZE, "--overwrite")
    phantom = ["--shape", "80", "224", "224", "--cells", "2", "--diameter", "7"]
    assert store in refuse("phantom", store, *phantom, "--voxel-size", "100", "80", "80")


def test_the_source_as_its_own_target(refuse: Callable[..., str]) -> None:
    store = _volume()
    assert store in refuse("convert", store, store, "--overwrite")


@pytest.mark.parametrize("command", ["run", "detect", "plan"])
def test_a_tiff_where_a_volume_is_wanted(refuse: Callable[..., str], command: str) -> None:
    tifffile.imwrite("stack.tif", np.zeros((3, 32, 40), np.uint8), photometric="minisblack")
    sentence = refuse(command, "stack.tif")
    assert "stack.tif" in sentence
    assert "convert" in sentence


def test_an_unknown_parameter(refuse: Callable[..., str]) -> None:
    store = _volume()
    Path("knobs.toml").write_text("[detect]\nspacin = 500.0\n")
    sentence = refuse("run", store, "--params", "knobs.toml")
    assert "knobs.toml" in sentence
    assert "did you mean 'spacing'" in sentence


def test_an_unknown_method(refuse: Callable[..., str]) -> None:
    sentence = refuse("run", _volume(), "--method", "magic")
    assert "magic" in sentence
    assert "propagate" in sentence


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--centres", "no-such.csv"),
        ("--truth", "no-such.tif"),
        ("--cluster", "no-such.yaml"),
        ("--cluster", "somewhere"),
        ("--workers", "0"),
        ("--memory", "much"),
        ("--memory", "1MiB"),
    ],
)
def test_an_option_of_run_that_makes_no_sense(
    refuse: Callable[..., str], option: str, value: str
) -> None:
    sentence = refuse("run", _volume(), option, value)
    assert value in sentence or option in sentence


def test_shards_that_tasks_would_share(refuse: Callable[..., str]) -> None:
    _stack()
    cut = ["--chunks", "1", "16", "16", "--shards", "2", "24", "32"]
    sentence = refuse("convert", "slices", "a.ome.zarr", *SIZE, *cut)
    assert "(2, 24, 32)" in sentence
    assert "(2, 16, 32) are" in sentence


@pytest.mark.parametrize("memory", ["64MiB", "300MiB"])
def test_a_memory_that_no_task_fits_in(refuse: Callable[..., str], memory: str) -> None:
    sentence = refuse("run", _volume(), "--workers", "1", "--memory", memory)
    assert "takes about" in sentence and memory[:-3] in sentence
    assert "give each at least" in sentence and "--memory" in sentence


def test_a_chunk_that_is_damaged(refuse: Callable[..., str]) -> None:
    store = _volume()
    file = Path(store, "0/c/0/0/0")
    whole, facts = file.read_bytes(), file.stat()
    file.write_bytes(whole[:400] + bytes(byte ^ 255 for byte in whole[400:500]) + whole[500:])
    assert "0/c/0/0/0 has other content than was written" in refuse("run", store, "--quiet")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # a disk forgets without a trace
    sentence = refuse("run", store, "--quiet", leaves="a.ome.run")
    assert "chunk (0, 0, 0)" in sentence
    assert "0/c/0/0/0 is damaged" in sentence
    assert not Path(store, "labels").exists()


def test_label_volumes_of_different_shape(refuse: Callable[..., str]) -> None:
    np.save("a.npy", np.ones((4, 30, 30), np.uint8))
    np.save("b.npy", np.ones((4, 31, 30), np.uint8))
    np.save("c.npy", np.ones((5, 30, 30), np.uint8))
    sentence = refuse("evaluate", "a.npy", "b.npy")
    assert "a.npy" in sentence
    assert "b.npy" in sentence
    assert "30" in sentence
    assert "31" in sentence
    assert "--slices" in refuse("evaluate", "a.npy", "c.npy")
    np.save("d.npy", np.ones((30, 4, 30), np.uint8))
    np.save("e.npy", np.ones((60, 30, 30), np.uint8))
    np.save("f.npy", np.ones((30, 30, 60), np.uint8))
    for one, other in (("a", "d"), ("e", "f")):
        assert "axes look swapped" in refuse("evaluate", f"{one}.npy", f"{other}.npy")


def test_a_failed_conversion_is_not_taken_for_a_whole_one(refuse: Callable[..., str]) -> None:
    grey = _stack()
    whole = Path("slices/z3.tif").read_bytes()
    Path("slices/z3.tif").write_bytes(whole[:-200])
    refuse("convert", "slices", "a.ome.zarr", *SIZE, leaves="a.ome.zarr")
    if Path("a.ome.zarr").exists():
        assert "a.ome.zarr" in refuse("run", "a.ome.zarr")
    Path("slices/z3.tif").write_bytes(whole)
    assert main(["convert", "slices", "a.ome.zarr", *SIZE]) == 0
    assert np.array_equal(hd.open_volume("a.ome.zarr").to_numpy(), grey)


def test_the_same_through_a_real_process(tmp_path: Path) -> None:
    _stack()
    script = Path(sys.executable).with_name("hela-dask")
    for arguments, culprit in (
        (["convert", "slices", "a.ome.zarr", "--voxel-size", "50", "-1", "40"], "-1"),
        (["run", "slices/z1.tif"], "z1.tif"),
    ):
        ended = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert culprit in ended.stderr
        assert ended.stderr.startswith("Error: ")
        assert ended.stderr.count("\n") == 1
        assert ended.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slices"]
