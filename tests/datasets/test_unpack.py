"""Archives: unpacked whole, or not at all, and never outside of their folder."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import hela_dask as hd
from hela_dask.datasets.unpack import archive_folder, unpack
from hela_dask.errors import InputError, ResourceError, StorageError
from tests.datasets.conftest import Offer


def zipped(path: Path, names: dict[str, bytes], link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
    return path


def tarred(path: Path, names: dict[str, bytes], link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.TGZ"])
def test_slices_are_unpacked_beside_the_archive(tmp_path: Path, name: str) -> None:
    write = zipped if name.endswith("zip") else tarred
    path = write(tmp_path / name, {"s/z1.tif": b"1", "s/z2.tif": b"22"})
    folder = unpack(path)
    assert folder == tmp_path / "a" == archive_folder(path)
    assert (folder / "s" / "z2.tif").read_bytes() == b"22"
    assert {item.name for item in tmp_path.iterdir()} == {name, "a"}


@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.parametrize("name", ["../out.tif", "/tmp/out.tif", "a/../../out.tif", "C:\\out.tif"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, write: object, name: str) -> None:
    (tmp_path / "in").mkdir()
    make = zipped if write is zipped else tarred
    path = make(tmp_path / "in" / "a.archive", {"z1.tif": b"1", name: b"2"})
    path = path.rename(path.with_suffix(".zip" if write is zipped else ".tgz"))
    with pytest.raises(InputError, match="leads out of the folder"):
        unpack(path)
    assert {item.name for item in tmp_path.rglob("*")} == {"in", path.name}


@pytest.mark.parametrize("write", [zipped, tarred])
def test_a_link_is_refused(tmp_path: Path, write: object) -> None:
    make, name = (zipped, "a.zip") if write is zipped else (tarred, "a.tgz")
    path = make(tmp_path / name, {"z1.tif": b"1"}, link="z2.tif")
    with pytest.raises(InputError, match="is a link or a device"):
        unpack(path)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, name: str) -> None:
    make = zipped if name.endswith("zip") else tarred
    path = make(tmp_path / name, {"z1.tif": bytes(range(256)) * 400})
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:60] + b"\xff" * 40 + content[100:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged"):
            unpack(path)
        assert [item.name for item in tmp_path.iterdir()] == [name]


def test_an_archive_larger_than_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", {"z1.tif": bytes(10**6)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**5))
    with pytest.raises(ResourceError, match="need 977 KiB"):
        unpack(path)
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_there_is_kept(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"z1.tif": b"1"})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z1.tif").write_bytes(b"mine")
    assert (unpack(path) / "z1.tif").read_bytes() == b"mine"
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(StorageError, match="is a file"):
        unpack(path)


def test_a_set_of_zipped_slices_is_ready_for_convert(offer: Offer, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"z1.tif": b"1"})
    offer("slices.zip", path.read_bytes(), convert="slices")
    found = hd.sample("cell", tmp_path / "out")
    assert (found.folder / "slices" / "z1.tif").read_bytes() == b"1"
    assert "out/slices slices.ome.zarr" in found.commands[0]
