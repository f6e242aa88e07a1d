"""A finished run in viewers: the state of neuroglancer, the server of its files, napari."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import zarr

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import MissingDependencyError, MissingInputError, ParameterError
from hela_dask.viewing.server import FileServer
from tests.scenes import VOXEL, copy_run, without_pages


@pytest.fixture
def result(known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hd.RunResult:
    """A copy of it, with a space and a sign in its path."""
    without_pages(monkeypatch)
    return copy_run(known, tmp_path / "my data & more")


@pytest.fixture
def served(result: hd.RunResult) -> Iterator[hd.NeuroglancerView]:
    found = hd.neuroglancer(result)
    yield found
    found.close()


def ask(
    url: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of an answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method, parts.path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_state_has_image_labels_colors_and_sizes(result: hd.RunResult) -> None:
    state = hd.neuroglancer_state(result, "https://my.server/data/")
    assert list(state["dimensions"]) == ["x", "y", "z"]
    sizes = [state["dimensions"][axis] for axis in "zyx"]
    assert sizes == [[pytest.approx(size * 1e-9), "m"] for size in VOXEL]
    image, cells, nuclei = state["layers"]
    base = "zarr://https://my.server/data/balls.ome.zarr"
    assert (image["type"], image["source"]) == ("image", base)
    assert (cells["type"], cells["source"]) == ("segmentation", [f"{base}/labels/cells"])
    assert nuclei["source"] == [f"{base}/labels/nuclei"]
    labels = zarr.open_array(result.label_paths["cells"] / "0", mode="r")[:]
    wanted = [str(label) for label in np.unique(np.asarray(labels)) if label]
    assert cells["segments"] == sorted(wanted, key=int)
    stated: Any = zarr.open_group(result.label_paths["cells"], mode="r").attrs["ome"]
    colors = {row["label-value"]: row["rgba"] for row in stated["image-label"]["colors"]}
    for label, code in cells["segmentColors"].items():
        assert [int(code[at : at + 2], 16) for at in (1, 3, 5)] == colors[int(label)][:3]


def test_the_command_prints_the_state(
    result: hd.RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(result.path), "--json", "--url", "https://a.b/c"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == hd.neuroglancer_state(result, "https://a.b/c")


def test_the_link_holds_the_state_and_reads_the_store(served: hd.NeuroglancerView) -> None:
    page, _, state = served.link.partition("/#!")
    assert page == "https://neuroglancer-demo.appspot.com"
    assert json.loads(unquote(state)) == served.state
    for layer in served.state["layers"]:
        source = layer["source"] if layer["type"] == "image" else layer["source"][0]
        url = source.removeprefix("zarr://")
        status, headers, body = ask(f"{url}/zarr.json")
        assert status == 200 and json.loads(body)["node_type"] == "group"
        assert headers["Access-Control-Allow-Origin"] == page
        assert ask(f"{url}/0/c/99/0/0")[0] == 404  # a chunk of zeros


def test_the_whole_store_is_read_over_the_server(
    served: hd.NeuroglancerView, result: hd.RunResult
) -> None:
    """A Zarr reader that asks for parts of shards gets the labels, bit for bit."""
    from zarr.storage import FsspecStore

    url = served.state["layers"][1]["source"][0].removeprefix("zarr://")
    pytest.importorskip("aiohttp")
    found = zarr.open_array(FsspecStore.from_url(f"{url}/0"), mode="r")[:]
    wanted = zarr.open_array(result.label_paths["cells"] / "0", mode="r")[:]
    np.testing.assert_array_equal(found, wanted)


@pytest.fixture
def ten(tmp_path: Path) -> Iterator[str]:
    """The address of a file of ten bytes."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_bytes(b"0123456789")
    (tmp_path / "secret").write_bytes(b"secret")
    import threading

    server = FileServer((tmp_path / "inside",), port=0, origin="https://viewer")
    threading.Thread(target=server.serve, daemon=True).start()
    yield f"{server.url}/inside/file"
    server.close()


@pytest.mark.parametrize(
    ("wanted", "body", "stated"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_parts_of_files(ten: str, wanted: str, body: bytes, stated: str) -> None:
    status, headers, found = ask(ten, Range=wanted)
    assert (status, found, headers["Content-Range"]) == (206, body, stated)
    assert int(headers["Content-Length"]) == len(body)
    status, headers, found = ask(ten, "HEAD", Range=wanted)
    assert (status, found, int(headers["Content-Length"])) == (206, b"", len(body))


def test_other_requests(ten: str) -> None:
    assert ask(ten)[::2] == (200, b"0123456789")
    assert ask(ten, Range="bytes=0-1,4-5")[::2] == (200, b"0123456789")  # several parts: all
    assert ask(ten, Range="lines=1-2")[::2] == (200, b"0123456789")
    status, headers, _ = ask(ten, Range="bytes=10-12")
    assert (status, headers["Content-Range"]) == (416, "bytes */10")
    status, headers, _ = ask(ten, "OPTIONS")
    assert status == 204 and headers["Access-Control-Allow-Origin"] == "https://viewer"
    assert "Range" in headers["Access-Control-Allow-Headers"]
    assert ask(ten, "PUT")[0] == 501
    assert ask(ten.removesuffix("/file"))[0] == 404  # no listing of a folder


def test_nothing_else_is_served(ten: str, tmp_path: Path) -> None:
    base = ten.removesuffix("/inside/file")
    token = base.rpartition("/")[2]
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "secret")
    for place in ("/secret", "/inside/../secret", "/inside/%2e%2e/secret", "/inside/link"):
        assert ask(base + place)[0] == 404
    assert ask(ten.replace(token, "x" * len(token)))[0] == 404
    assert ask(ten.replace(f"/{token}", ""))[0] == 404
    assert ask(f"{base}//{tmp_path}/secret")[0] == 404
    assert ask(f"{base}/inside/%00")[0] == 404


def test_meshes_are_a_source_of_their_layer(result: hd.RunResult, tmp_path: Path) -> None:
    folder = tmp_path / "meshes"
    with pytest.raises(MissingInputError, match=r"hela-dask meshes .*--what nucleus --format"):
        hd.neuroglancer_state(result, "https://a.b", meshes={"nuclei": folder})
    folder.mkdir()
    (folder / "info").write_text("{}")
    state = hd.neuroglancer_state(result, "https://a.b", meshes={"nuclei": folder})
    cells, nuclei = (layer["source"] for layer in state["layers"][1:])
    assert len(cells) == 1
    assert nuclei[1] == "precomputed://https://a.b/meshes"
    assert nuclei[0] == "zarr://https://a.b/my%20data%20%26%20more/balls.ome.zarr/labels/nuclei"
    with pytest.raises(ParameterError, match="'mitochondria' are of no layer"):
        hd.neuroglancer_state(result, "https://a.b", meshes={"mitochondria": folder})


def test_wrong_options(result: hd.RunResult, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParameterError, match="is no address"):
        hd.neuroglancer_state(result, "my.server")
    with pytest.raises(ParameterError, match="is no address"):
        hd.neuroglancer(result, viewer="viewer")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ParameterError, match=r"cannot be used .*name another --port"):
            hd.neuroglancer(result, port=taken.getsockname()[1])
    assert main(["view", str(result.path), "--json", "--meshes", "cells"]) == 1
    assert "should look like cells=DIR" in capsys.readouterr().err
    assert main(["view", str(result.path), "--meshes", f"cells={result.path}"]) == 1
    assert "--meshes is for --neuroglancer and --json" in capsys.readouterr().err
    assert main(["view", str(result.path), "--json", "--review"]) == 1
    assert "--review is for napari" in capsys.readouterr().err
    assert main(["view", str(result.path / "nothing"), "--json"]) == 1


def test_without_napari(result: hd.RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "napari" else find(name)
    )
    with pytest.raises(MissingDependencyError, match=r"pip install 'hela_dask\[napari\]'"):
        hd.view(result)
    with pytest.raises(MissingDependencyError, match="review needs napari"):
        hd.review(result)


@pytest.mark.screen
@pytest.mark.skipif(importlib.util.find_spec("napari") is None, reason="napari is not installed")
@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="there is no display")
def test_napari_shows_image_labels_and_measures(result: hd.RunResult) -> None:
    viewer = hd.view(result, show=False)
    try:
        assert [layer.name for layer in viewer.layers] == [
            *("image", "cells", "nuclei", "envelope", "background"),
        ]
        cells = viewer.layers["cells"]
        assert tuple(cells.scale) == VOXEL
        assert cells.data.shape == result.labels["cells"].shape
        assert cells.features["index"].tolist() == result.cells["label"].tolist()
        assert "cell_volume" in cells.features
        row = result.cells.iloc[0]
        place = (row["z"], row["y"], row["x"])
        assert (
            f"{row['label']}; status: {row['status']}"
            in cells.get_status(place, world=True)["value"]
        )
    finally:
        viewer.close()
