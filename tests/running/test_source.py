"""An image is the same wherever it lies and whatever its times; not where voxels differ."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hela_dask.errors import InputError
from hela_dask.running import source
from hela_dask.running.source import identify_image
from hela_dask.storage.metadata import read_image
from tests.scenes import BALLS, make_scene


def known(path: Path) -> str:
    found, remarks = identify_image(read_image(path))
    assert not remarks
    return found


def copy_without_times(path: Path, target: Path) -> Path:
    return Path(shutil.copytree(path, target, copy_function=shutil.copyfile))


def test_a_copy_a_renamed_a_touched_store_is_the_same(scene: Path, tmp_path: Path) -> None:
    first = known(scene)
    assert known(copy_without_times(scene, tmp_path / "copy.ome.zarr")) == first
    for file in scene.rglob("*"):
        os.utime(file)
    assert known(scene) == first
    assert known(scene.rename(tmp_path / "renamed.ome.zarr")) == first
    assert known(make_scene(tmp_path / "again.ome.zarr")) == first


def test_other_voxels_or_another_voxel_size_are_another_image(scene: Path, tmp_path: Path) -> None:
    first = known(scene)
    assert known(make_scene(tmp_path / "other.ome.zarr", BALLS[:3])) != first
    meta = scene / "zarr.json"
    meta.write_text(meta.read_text().replace("200.0", "201.0"))
    assert known(scene) != first


@pytest.mark.parametrize("times", ["kept", "new"])
def test_an_edited_shard_is_never_the_same(scene: Path, times: str) -> None:
    file = max((scene / "0" / "c").rglob("0"), key=lambda path: path.is_file())
    content = bytearray(file.read_bytes())
    content[9] ^= 1
    facts = file.stat()
    file.write_bytes(content)
    if times == "new":
        with pytest.raises(InputError, match="other content than was written"):
            identify_image(read_image(scene))
    else:  # only verify and the chunk's own checksum see it
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert identify_image(read_image(scene))[1] == ()
    file.unlink()
    with pytest.raises(InputError, match="is missing"):
        identify_image(read_image(scene))


def test_of_a_large_copy_a_part_is_read_and_reported(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_without_times(scene, tmp_path / "copy.ome.zarr")
    monkeypatch.setattr(source, "_READ", 1)
    found, (remark,) = identify_image(read_image(copy))
    assert found == known(scene)
    assert "1 of them were read and fit, which is assumed of all" in remark


def test_levels_that_are_links_are_followed(scene: Path, tmp_path: Path) -> None:
    for mark in (scene / "0" / ".slabs").iterdir():
        mark.write_bytes(b"")  # an image that lists no shards
    (scene / "0").rename(tmp_path / "level")
    (scene / "0").symlink_to(tmp_path / "level")
    first = known(scene)
    os.utime(next(path for path in (tmp_path / "level" / "c").rglob("*") if path.is_file()), (1, 1))
    assert known(scene) != first
