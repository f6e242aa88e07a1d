"""Data sets are fetched whole, in spite of faults, and nothing there is lost."""

from __future__ import annotations

import builtins
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

import hela_dask as hd
from hela_dask.datasets import download
from hela_dask.errors import (
    ExistsError,
    InputError,
    MissingDependencyError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
    ResourceError,
    StorageError,
)
from hela_dask.storage import remote, remote_http
from hela_dask.storage.files import write_text
from hela_dask.tasks.lock import hold
from tests.datasets.conftest import Offer
from tests.remote.web import Web


def ranges(web: Web) -> list[int]:
    """First bytes of the ranges that were asked for, by GET."""
    asked = [item[2] for item in web.seen if item[0] == "GET" and item[2]]
    return [int(text.removeprefix("bytes=").partition("-")[0]) for text in asked]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_fetched_with_licence_citation_and_the_next_command(
    offer: Offer, tmp_path: Path, content: bytes
) -> None:
    offer()
    found = hd.sample("cell", tmp_path / "my data")
    assert (tmp_path / "my data" / "cell.raw").read_bytes() == content
    assert names(found.folder) == {"cell.raw", "README.txt"}
    assert (found.kept, found.verified_by, found.licence) == (0, "sha256", "CC0")
    assert found.commands == (
        f"hela-dask convert '{tmp_path}/my data/cell.raw' cell.ome.zarr --voxel-size 50 10 10.5",
    )
    readme = (found.folder / "README.txt").read_text(encoding="utf-8")
    for text in ("CC0", "Somebody et al., 2020", "50 x 10 x 10.5 nm", found.commands[0]):
        assert text in readme
        assert text in str(found) or text.startswith("50 x")


def test_slices_are_converted_by_the_next_command(
    web: Web, served: Path, offer: Offer, tmp_path: Path
) -> None:
    planes = np.random.default_rng(0).integers(60, 200, (1, 40, 50), dtype=np.uint8)
    tifffile.imwrite(served / "a.tif", planes[0])
    offer("slices/z001.tif", (served / "a.tif").read_bytes(), convert="slices")
    found = hd.sample("cell", tmp_path / "out")
    words = found.commands[0].split()
    image = hd.convert(
        words[2], tmp_path / words[3], voxel_size=tuple(map(float, words[5:])), progress=False
    )
    assert image.levels[0].voxel_size == (50, 10, 10.5)
    np.testing.assert_array_equal(hd.open_volume(tmp_path / words[3]).values, planes)


@pytest.mark.parametrize("kind", ["503", "cut", "short"])
def test_faults_that_pass_leave_the_same_bytes(
    web: Web, offer: Offer, tmp_path: Path, content: bytes, kind: str
) -> None:
    offer()
    web.faults.every, web.faults.kind, web.faults.also = 3, kind, "cell.raw"
    hd.sample("cell", tmp_path / "out")
    assert web.failed >= 5
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content


def test_a_broken_download_is_kept_and_continued(
    web: Web, offer: Offer, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELA_DASK_REMOTE_TRIES", "1")
    offer()
    web.faults.every, web.faults.kind, web.faults.also = 7, "503", "cell.raw"
    with pytest.raises(StorageError, match="status 503"):
        hd.sample("cell", tmp_path / "out")
    part = tmp_path / "out" / ".cell.raw.part"
    there = part.read_bytes()
    assert 0 < len(there) < len(content) and content.startswith(there)
    assert not (tmp_path / "out" / "cell.raw").exists()
    web.faults.every = 0
    web.seen.clear()
    hd.sample("cell", tmp_path / "out")
    assert min(ranges(web)) == len(there)
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content
    assert names(tmp_path / "out") == {"cell.raw", "README.txt"}


def test_ctrl_c_keeps_the_part(web: Web, offer: Offer, tmp_path: Path, content: bytes) -> None:
    def interrupt(done: int, _: int) -> None:
        if (tmp_path / "out" / ".cell.raw.part").stat().st_size > 400_000:
            raise KeyboardInterrupt

    offer()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".cell.raw.part").touch()
    with pytest.raises(KeyboardInterrupt):
        hd.sample("cell", tmp_path / "out", progress=interrupt)
    there = (tmp_path / "out" / ".cell.raw.part").stat().st_size
    assert 400_000 < there < len(content)
    web.seen.clear()
    hd.sample("cell", tmp_path / "out", progress=False)
    assert min(ranges(web)) == there
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content


def test_a_part_of_another_version_of_the_file_is_not_continued(
    web: Web, served: Path, offer: Offer, tmp_path: Path, content: bytes, caplog: Any
) -> None:
    part = tmp_path / "out" / ".cell.raw.part"
    offer()
    part.parent.mkdir()
    part.write_bytes(b"\0" * 300_000)
    note = {"url": f"{web.url}/{served.name}/cell.raw", "size": len(content), "tag": "older"}
    write_text(part.with_name(".cell.raw.part.json"), json.dumps(note))
    hd.sample("cell", tmp_path / "out")
    assert min(ranges(web)) == 0
    assert "changed on the server" in caplog.text
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content


def test_another_content_is_fetched_twice_and_then_reported(
    web: Web, offer: Offer, tmp_path: Path, caplog: Any
) -> None:
    offer(file={"sha256": "0" * 64})
    with pytest.raises(StorageError, match="came 2 times with another content"):
        hd.sample("cell", tmp_path / "out")
    assert ranges(web).count(0) == 2
    assert "fetched again" in caplog.text
    assert names(tmp_path / "out") == {"README.txt"}


def test_a_file_that_came_damaged_once_is_mended(
    offer: Offer, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def damaging(url: str, target: Path, *more: Any) -> None:
        download.download(url, target, *more)
        tries.append(url)
        if len(tries) == 1:
            target.write_bytes(b"x" + content[1:])

    offer()
    monkeypatch.setattr("hela_dask.datasets.sample.download", damaging)
    hd.sample("cell", tmp_path / "out")
    assert len(tries) == 2
    assert (tmp_path / "out" / "cell.raw").read_bytes() == content


@pytest.mark.parametrize("checksum", [True, False])
def test_a_server_without_ranges_sends_the_whole_file(
    web: Web,
    offer: Offer,
    tmp_path: Path,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    checksum: bool,
) -> None:
    monkeypatch.setattr(remote_http, "LARGEST_WHOLE", 1000)
    offer(checksum=checksum)
    web.faults.ranges = False
    web.faults.every, web.faults.kind, web.faults.also = 7, "short", "cell.raw"
    found = hd.sample("cell", tmp_path / "out")
    assert found.files[0].read_bytes() == content
    assert names(tmp_path / "out") == {"cell.raw", "README.txt"}


def test_a_file_that_is_compressed_on_its_way_is_the_same(
    web: Web, offer: Offer, tmp_path: Path, content: bytes
) -> None:
    offer()
    web.faults.gzip = True
    assert hd.sample("cell", tmp_path / "out").files[0].read_bytes() == content


def test_a_file_of_another_length_is_refused_before_it_is_fetched(
    web: Web, offer: Offer, tmp_path: Path
) -> None:
    offer(checksum=False, file={"bytes": 999})
    with pytest.raises(StorageError, match="1000003 bytes on the server, and 999 are expected"):
        hd.sample("cell", tmp_path / "out")
    assert ranges(web) == []
    web.faults.gzip = True  # the length is not stated beforehand
    with pytest.raises(StorageError, match=r"1000003 bytes of .* came, and 999"):
        hd.sample("cell", tmp_path / "out")
    assert names(tmp_path / "out") == {"README.txt"}


def test_a_web_page_is_no_file(web: Web, offer: Offer, tmp_path: Path, caplog: Any) -> None:
    offer(checksum=False, file={"bytes": None})
    web.faults.absent, web.faults.page = {"cell.raw"}, True
    with pytest.raises(InputError, match="web page"):
        hd.sample("cell", tmp_path / "out")
    assert "damaged" not in caplog.text
    assert ranges(web).count(0) == 1
    web.faults.page = False
    with pytest.raises(MissingInputError, match="no such file any more"):
        hd.sample("cell", tmp_path / "out")


def test_a_full_disk_is_seen_before_and_during_the_download(
    web: Web, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999_999))
        with pytest.raises(ResourceError, match=r"cell needs 977 KiB more in .*977 KiB free"):
            hd.sample("cell", tmp_path / "out")
    assert ranges(web) == []

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def begin(_: str, __: Any, part: Path) -> int:
        part.symlink_to("/dev/full")
        return 0

    monkeypatch.setattr(download, "_begin", begin)
    with pytest.raises(StorageError, match="no space left"):
        hd.sample("cell", tmp_path / "out")
    assert not (tmp_path / "out" / "cell.raw").exists()


def test_what_is_there_is_kept_without_a_request(
    web: Web, offer: Offer, tmp_path: Path, content: bytes
) -> None:
    offer()
    hd.sample("cell", tmp_path / "out")
    web.seen.clear()
    found = hd.sample("cell", tmp_path / "out")
    assert found.kept == 1
    assert web.seen == []
    assert "1 of them were there already" in str(found)


@pytest.mark.parametrize("checksum", [True, False])
def test_another_file_of_the_name_is_not_replaced_without_a_word(
    offer: Offer, tmp_path: Path, content: bytes, checksum: bool
) -> None:
    offer(checksum=checksum)
    mine = tmp_path / "out" / "cell.raw"
    mine.parent.mkdir()
    mine.write_bytes(b"m" + content[1:] if checksum else b"mine")
    before = mine.read_bytes()
    with pytest.raises(ExistsError, match=r"another content \(.*--overwrite"):
        hd.sample("cell", tmp_path / "out")
    assert mine.read_bytes() == before
    hd.sample("cell", tmp_path / "out", overwrite=True)
    assert mine.read_bytes() == content


def test_a_readme_of_the_user_is_not_replaced(offer: Offer, tmp_path: Path) -> None:
    offer()
    (tmp_path / "README.txt").write_text("my notes")
    with pytest.raises(ExistsError, match="not of the data set cell"):
        hd.sample("cell", tmp_path)
    assert (tmp_path / "README.txt").read_text() == "my notes"
    assert not (tmp_path / "cell.raw").exists()


def test_a_size_is_all_that_is_verified_without_a_checksum(
    offer: Offer, tmp_path: Path, content: bytes
) -> None:
    offer(checksum=False, file={"bytes": None}, about=len(content))
    assert hd.samples().loc["cell", "verified by"] == "size only"
    assert hd.samples().loc["cell", "size"] == "about 977 KiB"
    found = hd.sample("cell", tmp_path / "out")
    assert found.files[0].read_bytes() == content
    assert "(verified by: size only)" in str(found)
    assert hd.sample("cell", tmp_path / "out").kept == 1


def test_a_record_states_sizes_and_checksums(
    web: Web, served: Path, offer: Offer, tmp_path: Path, content: bytes
) -> None:
    url = offer(files=[], record=f"{web.url}/{served.name}/record", convert=None)
    item = {
        "key": "Ground truth 1.mat",
        "size": len(content),
        "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
        "links": {"self": url},
    }
    (served / "record").write_text(json.dumps({"files": [item]}))
    found = hd.sample("cell", tmp_path / "out")
    assert [path.name for path in found.files] == ["Ground truth 1.mat"]
    assert (found.verified_by, found.commands) == ("md5 of the record", ())
    (served / "record").write_text(json.dumps({"files": [{**item, "key": "../x"}]}))
    remote.forget("")
    with pytest.raises(InputError, match=r"record, file \.\./x: name"):
        hd.sample("cell", tmp_path / "out")


def test_two_processes_do_not_write_the_same_part(offer: Offer, tmp_path: Path) -> None:
    offer()
    (tmp_path / "out").mkdir()
    with hold(tmp_path / "out", by="sample"), pytest.raises(ExistsError):
        hd.sample("cell", tmp_path / "out")


def test_names_without_files_are_explained(offer: Offer, tmp_path: Path) -> None:
    offer(files=[])
    with pytest.raises(ParameterError, match="no data set 'cel': the names are cell"):
        hd.sample("cel", tmp_path / "out")
    with pytest.raises(NothingToDoError, match=r"by hand.*example.org/cell.*--voxel-size 50 10"):
        hd.sample("cell", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pooch_there_is_the_line_of_pip(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = builtins.__import__

    def missing(name: str, *more: Any) -> Any:
        if name == "pooch":
            raise ImportError("No module named 'pooch'")
        return find(name, *more)

    offer()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match="pip install pooch"):
        hd.sample("cell", tmp_path / "out")
