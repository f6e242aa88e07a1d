"""The page of cells in space: content, size, replaced and refused files, shown by a browser."""

from __future__ import annotations

import base64
import html
import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import ExistsError, MissingInputError, ParameterError
from hela_dask.running.result import RunResult
from hela_dask.storage import store as arrays
from tests.scenes import run_scene

scening: Any = importlib.import_module("hela_dask._scene")
VOXEL = (50.0, 40.0, 40.0)


@pytest.fixture(scope="module")
def known(here: Any, tmp_path_factory: pytest.TempPathFactory) -> hd.RunResult:
    """A finished run of four balls, not a copy; the last one is cut by a side."""
    return run_scene(tmp_path_factory.mktemp("known"), here)


@pytest.fixture(scope="module")
def page(known: hd.RunResult, here: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "scene.html"
    return hd.scene(known.path, out, client=here, progress=False)


def read(page: Path) -> dict[str, Any]:
    """The content of a page."""
    found = re.search(r'id="content" hidden>(.*?)</div>', page.read_text("utf-8"))
    assert found
    content: dict[str, Any] = json.loads(html.unescape(found[1]))
    return content


def test_every_cell_with_its_numbers(page: Path, known: hd.RunResult) -> None:
    content = read(page)
    rows = known.cells.set_index("label")
    assert [cell["label"] for cell in content["cells"]] == sorted(rows.index)
    low, high = np.array(content["low"]), np.array(content["high"])
    np.testing.assert_allclose(high - low, [25.6, 25.6, 8])
    for cell in content["cells"]:
        row = rows.loc[cell["label"]]
        assert cell["complete"] == row["complete"]
        assert cell["volume"] == pytest.approx(row["cell_volume"])
        assert list(cell["meshes"]) == ["cell", "nucleus"]
        mesh = cell["meshes"]["cell"]
        numbers = np.frombuffer(base64.b64decode(mesh["places"]), "<u2").reshape(-1, 3)
        faces = np.frombuffer(base64.b64decode(mesh["faces"]), "<u2").reshape(-1, 3)
        places = np.array(mesh["low"]) + numbers * np.array(mesh["step"])
        corners = places[faces]
        volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        assert volume == pytest.approx(row["cell_volume"], rel=0.03)
        assert (places > low - 0.1).all()
        assert (places < high + 0.1).all()
    assert not all(cell["complete"] for cell in content["cells"])
    assert content["slice"]["picture"].startswith("data:image/jpeg;base64,")


def test_the_page_needs_no_network_and_no_other_file(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"https?:|wss?:|@import|url\(|<link|<iframe|fetch\(|\ssrc=", text)
    assert len(text) < 2e6


def test_an_earlier_page_is_replaced_and_nothing_else(
    page: Path, known: hd.RunResult, here: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_bytes()
    assert hd.scene(known.path, page, client=here, progress=False) == page
    assert page.read_bytes() == before
    assert [path.name for path in page.parent.iterdir()] == ["scene.html"]
    mine = tmp_path / "scene.html"
    mine.write_text("<html>mine</html>")
    with pytest.raises(ExistsError, match="not a page of hela-dask scene"):
        hd.scene(known.path, mine, client=here)
    with pytest.raises(ExistsError):
        hd.scene(known.path, tmp_path, client=here)
    assert mine.read_text() == "<html>mine</html>"
    assert main(["scene", str(known.path), "--out", str(mine)]) == 1
    assert "choose another --out" in capsys.readouterr().err


def test_refused(known: hd.RunResult, here: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="MB above 0"):
        hd.scene(known.path, tmp_path / "s.html", size=-1)
    with pytest.raises(ParameterError, match="too small for 8 objects: give at least"):
        hd.scene(known.path, tmp_path / "s.html", size=0.05, client=here, progress=False)
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.scene(tmp_path / "absent", tmp_path / "s.html")
    labels = Path(str(known.store)) / "labels"
    labels.rename(tmp_path / "labels")
    try:
        with pytest.raises(MissingInputError, match="labels"):
            hd.scene(known.path, tmp_path / "s.html")
    finally:
        (tmp_path / "labels").rename(labels)
    assert not list(tmp_path.glob("*.html"))


def test_many_cells_fit_the_size(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """128 rough cells; every second one has no nucleus."""
    side, count = 24, (2, 8, 8)
    shape = tuple(side * number for number in count)
    rng = np.random.default_rng(0)
    axes = np.stack(np.meshgrid(*[np.arange(side) - 11.5] * 3, indexing="ij"), axis=-1)
    away = np.linalg.norm(axes, axis=-1)
    cells, nuclei = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    for label, (z, y, x) in enumerate(np.ndindex(*count), 1):
        part = tuple(slice(side * k, side * (k + 1)) for k in (z, y, x))
        cells[part][away < 10 + rng.normal(0, 0.8, away.shape)] = label
        if label % 2:
            nuclei[part][away < 5] = label
    path = tmp_path / "many.ome.zarr"
    image = arrays.create_image(
        path, shape, "uint8", VOXEL, name="m", chunks=(24, 192, 192), shards=(24, 192, 192)
    )
    for z0, z1 in arrays.slabs(image):
        arrays.write_slab(image, z0, (cells[z0:z1] % 256).astype(np.uint8))
    for name, values in {"cells": cells, "nuclei": nuclei}.items():
        group = arrays.create_labels(path, name, shape, "uint16", VOXEL, chunks=(24, 192, 192))
        for z0, z1 in arrays.slabs(group):
            arrays.write_slab(group, z0, values[z0:z1], downsample="nearest")
    table = pd.DataFrame({"label": np.arange(1, 129), "complete": True, "status": "segmented"})
    result = RunResult(path, path, table, {}, path)
    monkeypatch.setattr(scening, "open_run", lambda _: result)
    out = hd.scene(path, tmp_path / "many.html", size=1.0, client=here, progress=False)
    assert 0.5e6 < out.stat().st_size <= 1e6
    content = read(out)
    assert [cell["label"] for cell in content["cells"]] == list(range(1, 129))
    kinds = [list(cell["meshes"]) for cell in content["cells"]]
    assert kinds == [["cell", "nucleus"], ["cell"]] * 64


@pytest.mark.parametrize("numbers", ["", "&numbers=off"])
def test_a_browser_shows_it(page: Path, tmp_path: Path, numbers: str) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium found")
    command = [
        browser, "--headless=new", "--no-sandbox", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--virtual-time-budget=1280", "--window-size=900,600",
        f"--user-data-dir={tmp_path}", "--dump-dom",
        f"{page.as_uri()}#view=side&cells=1,2{numbers}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert len(re.findall(r"<small>\d+ µm³</small>", done.stdout)) == 4
    assert re.search(r'id="bar"><span>\d+ µm</span>', done.stdout)
    assert done.stdout.count('class="mark"') == 3
    assert ('aria-label="cells 1, 2"' in done.stdout) == (numbers == "")
    assert 'id="numbers"' in done.stdout


def test_meshes_refuse_unknown_cells_before_labels_are_read(
    known: hd.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads(*_: Any) -> None:
        raise AssertionError("labels are read")

    monkeypatch.setattr("hela_dask._meshes.find_objects", reads)
    with pytest.raises(hd.InputError, match=r"there are no cells 98 and 99: the cells are 1 to 4$"):
        hd.meshes(known.path, tmp_path / "m", cells=[99, 1, 98], progress=False)
    assert not any(tmp_path.iterdir())


def test_results_inside_a_run_or_a_volume_are_refused(known: hd.RunResult, tmp_path: Path) -> None:
    labels = known.label_paths["cells"]
    calls: list[Any] = [
        lambda out: hd.scene(known.path, out),
        lambda out: hd.meshes(known.path, out),
        lambda out: hd.export(known.path, out),
        lambda out: hd.measure(labels, out / "t.csv"),
        lambda out: hd.compare({"a": [known.path], "b": [tmp_path]}, out),
    ]
    for call in calls:
        with pytest.raises(ParameterError, match="lies in the run folder"):
            call(known.path / "new")
        with pytest.raises(ParameterError, match="lies inside the"):
            call(known.store / "new")
    assert not (known.path / "new").exists() and not (known.store / "new").exists()


def test_the_volume_of_a_run_folder_is_named(known: hd.RunResult) -> None:
    sentence = f"name the volume that it was made of, as {known.store}, or its labels, as"
    with pytest.raises(hd.InputError, match=re.escape(sentence)):
        hd.measure(known.path, voxel_size=VOXEL)
