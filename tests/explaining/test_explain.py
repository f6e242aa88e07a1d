"""explain: the steps in their order, pictures that agree with the run, the same bits, bad input."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import hela_dask as hd
from hela_dask.box import Box
from hela_dask.errors import ExistsError, InputError, MissingInputError, ParameterError
from hela_dask.explaining.lookup import find_cell
from hela_dask.figures import canvas
from hela_dask.parameters import Parameters
from hela_dask.storage import store
from hela_dask.trace import Trace
from tests.colours import near
from tests.drawn import call, draw_cell

explaining: Any = importlib.import_module(
    "hela_dask.explaining.explain"
)  # the room, not its function
VOXEL = (50.0, 40.0, 40.0)
CENTRE = (900.0, 3600.0, 3600.0)  # nm; slice 19
PARAMETERS = {"region": {"width": 6400.0, "depth": 1000.0, "cap": 0.0, "margin": 1000.0}}
RESIN = [
    "likeness to resin",
    "too dark for resin",
    "charging artefacts",
    "resin of the slice alone",
    "resin",
]
START = ["own part of the slice", "smoothest spot"]
NUCLEUS = [
    "membrane strength",
    "tissue without membranes",
    "nucleus of the slices before",
    "super-pixels",
    "core of the nucleus",
    "middle of the envelope",
    "nucleus, smoothed along z",
    "nucleus",
]
CELL = [
    "distance to the resin",
    "basins",
    "basins of the cell",
    "without thin necks",
    "cell, smoothed along z",
]
END = ["outcome of propagate", "labels of the run"]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, here: Any) -> Path:
    """A drawn cell, number 7, and its finished run; number 9, at the same place, was left out."""
    path = tmp_path_factory.mktemp("explain") / "one.ome.zarr"
    grey = draw_cell(VOXEL, slices=(8, 44)).image
    image = store.create_image(
        path, grey.shape, "uint8", VOXEL, name="one", chunks=(12, 90, 90), shards=(12, 180, 180)
    )
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    table = path.with_name("centres.csv")
    columns = dict(zip("zyx", CENTRE, strict=True))
    pd.DataFrame({"label": [7, 9], **columns}).to_csv(table, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hela_dask.report.write_report", lambda run: None)
        result = hd.run(
            path,
            method="propagate",
            parameters=PARAMETERS,
            centres=table,
            cells=[7],
            client=here,
            progress=False,
        )
    assert result.cells["status"].tolist() == ["segmented", "not_selected"]
    return path


@pytest.fixture(scope="module")
def shown(volume: Path) -> hd.Explanation:
    return hd.explain(volume, 7, 23)


def _window(volume: Path) -> Box:
    return find_cell(volume, 7).region.slices(hd.open_volume(volume))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def outlined(path: Path, colour: str) -> np.ndarray:
    """Rows and columns, from 0 to 1, that lines of a colour span in a picture."""
    image = pixels(path)
    image[:180, :330] = 0  # the legend
    places = np.argwhere(near(image, colour))
    return np.array([places.min(axis=0), places.max(axis=0)]) / image.shape[:2]


def test_the_steps_are_in_the_order_in_which_they_are_taken(
    volume: Path, shown: hd.Explanation, tmp_path: Path
) -> None:
    titles = [step.title for step in shown.steps]
    assert titles == ["the slice", *RESIN, *NUCLEUS, *CELL, *END]
    assert [step.path.name[:3] for step in shown.steps] == [
        f"{k:02d}_" for k in range(1, len(titles) + 1)
    ]
    (tmp_path / "99_of_another_slice.png").touch()
    (tmp_path / "explain.json").write_text('{"files": ["99_of_another_slice.png"]}')
    first = hd.explain(volume, 7, 19, out=tmp_path)
    begun = [title for title in NUCLEUS if title != "nucleus of the slices before"]
    assert [step.title for step in first.steps] == [
        "the slice", *RESIN, *START, *begun, *CELL, *END
    ]  # fmt: skip
    assert "the first one" in first.steps[14].caption
    # An earlier explanation is replaced.
    assert len(list(tmp_path.iterdir())) == len(first.steps) + 3
    captions = " ".join(step.caption for step in shown.steps)
    assert "Slice 23 of 36" in captions and "0.20 µm above the first one" in captions


def test_the_pictures_lie_in_the_run_folder_with_a_sheet_and_a_page(
    volume: Path, shown: hd.Explanation
) -> None:
    folder = volume.with_name("one.run") / "explain" / "cell_00007_slice_00023"
    assert shown.page == folder / "explain.html" and shown.sheet == folder / "explain.png"
    assert {path.name for path in folder.iterdir()} == {
        "explain.json", "explain.html", "explain.png", *(step.path.name for step in shown.steps)
    }  # fmt: skip
    assert {pixels(step.path).shape for step in shown.steps} == {(800, 800, 3)}
    assert pixels(shown.sheet).shape[1] == 1600
    assert shown._repr_png_() == shown.sheet.read_bytes()
    text = shown.page.read_text(encoding="utf-8")
    assert text.count("<figure>") == text.count('src="data:image/jpeg') == len(shown.steps)
    places = [text.index(step.caption.replace("'", "&#x27;")) for step in shown.steps]
    assert places == sorted(places)
    assert "http" not in text.replace("http-equiv", "")
    assert shown.page.stat().st_size < 4_000_000


def test_the_last_pictures_agree_with_the_labels_of_the_run(
    volume: Path, shown: hd.Explanation
) -> None:
    outcome, labels = shown.steps[-2:]
    (y0, y1), (x0, x1) = ((part.start, part.stop) for part in _window(volume)[1:])
    for name, colour in (("cells", canvas.CELL), ("nuclei", canvas.NUCLEUS)):
        plane = hd.open_volume(volume / "labels" / name)[22, y0:y1, x0:x1].values == 7
        places = np.argwhere(plane)
        span = np.array([places.min(axis=0), places.max(axis=0) + 1]) / plane.shape
        assert np.abs(outlined(labels.path, colour) - span).max() < 0.01
        assert np.abs(outlined(outcome.path, colour) - span).max() < 0.02  # beside the envelope
        area = f"{name.rstrip('s').replace('nuclei', 'nucleus')} {plane.sum() * 0.0016:.1f} µm²"
        assert area in outcome.caption
    assert "0.0 µm² less and 0.0 µm² more" in labels.caption


@pytest.mark.parametrize("method", ["volumetric", "propagate"])
def test_a_method_gives_the_same_bits_when_it_shows_its_steps(method: str) -> None:
    drawing = draw_cell(VOXEL, slices=(22, 30))
    given = (drawing.image, drawing.background, VOXEL, drawing.centre, Parameters())
    quiet = call(method, *given)
    for z in (2, drawing.centre[0]):
        trace = Trace(z)
        output = call(method, *given, trace=trace)
        for name in ("nucleus", "cell", "envelope"):
            np.testing.assert_array_equal(getattr(quiet, name), getattr(output, name))
        assert (quiet.status, quiet.flags) == (output.status, output.flags)
        assert len(trace.steps[z]) >= 5
        assert {step.plane.shape for step in trace.steps[z]} == {drawing.image.shape[1:]}
        assert all(step.caption.endswith(".") for step in trace.steps[z])


def test_several_slices_are_shown_by_one_segmentation(
    volume: Path, shown: hd.Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("hela_dask.explaining.explain")
    segment, calls = module.segment_window, []

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return segment(*given, **named)

    monkeypatch.setattr(module, "segment_window", counted)
    found = hd.explain(volume, 7, [23, 19, 23], out=tmp_path)
    assert len(calls) == 1
    assert [item.slice_number for item in found] == [19, 23]
    assert found[0].page.parent == tmp_path / "slice_00019"
    assert [step.title for step in found[1].steps] == [step.title for step in shown.steps]
    for ours, alone in zip(found[1].steps, shown.steps, strict=True):
        assert ours.caption == alone.caption
        np.testing.assert_array_equal(pixels(ours.path), pixels(alone.path))
    with pytest.raises(ParameterError, match="no slice was given"):
        hd.explain(volume, 7, [])
    with pytest.raises(InputError, match="slice 30 lies outside cell 7"):
        hd.explain(volume, 7, [23, 30])


@pytest.mark.parametrize("method", ["volumetric", "propagate"])
def test_a_method_shows_several_slices_as_it_shows_each(method: str) -> None:
    drawing = draw_cell(VOXEL, slices=(22, 30))
    given = (drawing.image, drawing.background, VOXEL, drawing.centre, Parameters())
    slices = (2, drawing.centre[0], 5)
    together = Trace(*slices)
    call(method, *given, trace=together)
    for z in slices:
        alone = Trace(z)
        call(method, *given, trace=alone)
        steps = together.steps[z]
        assert [step.title for step in steps] == [step.title for step in alone.steps[z]]
        for one, other in zip(steps, alone.steps[z], strict=True):
            np.testing.assert_array_equal(one.plane, other.plane)


def test_what_explain_did_not_write_is_left_alone(volume: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ExistsError, match=r"mine\.txt, which explain did not write"):
        hd.explain(volume, 7, 29, out=tmp_path)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("hela/pictures", "inside the volume"),
        ("hela/../one.ome.zarr/pictures", "inside the volume"),
        ("link/pictures", "inside the volume"),
        ("hela", "is the volume itself"),
        (".", "holds the volume"),
        ("other/pictures", "lies inside the Zarr"),
    ],
)
def test_pictures_lie_outside_of_every_volume(
    volume: Path, tmp_path: Path, place: str, sentence: str
) -> None:
    around = volume.parent if place == "." else tmp_path
    if around is tmp_path:
        (tmp_path / "hela").symlink_to(volume, target_is_directory=True)
        (tmp_path / "link").symlink_to(tmp_path / "hela", target_is_directory=True)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(ParameterError, match=sentence):
        hd.explain(volume, 7, 29, out=around / place)


@pytest.mark.parametrize("mine", ["01_grey.png", "explain.png", "02_my_own.png", "explain.json"])
@pytest.mark.parametrize("earlier", [False, True])
def test_pictures_of_a_user_are_not_replaced(tmp_path: Path, mine: str, earlier: bool) -> None:
    if earlier:  # of an explanation that wrote another picture
        ours = {"files": ["01_resin.png", "explain.html", "../../thesis.tex"]}
        (tmp_path / "explain.json").write_text(json.dumps(ours))
        (tmp_path / "01_resin.png").touch()
        assert explaining._check_folder(tmp_path) == ["01_resin.png", "explain.html"]
    (tmp_path / mine).write_text("mine")
    with pytest.raises(ExistsError, match=f"{mine if not earlier else ''}.*did not write"):
        explaining._check_folder(tmp_path)
    assert (tmp_path / mine).read_text() == "mine"


@pytest.mark.parametrize(
    ("cell", "number", "sentence"),
    [
        (8, 20, "there is no cell 8: the cells are 7 and 9"),
        (9, 20, "cell 9 has no masks in .*one.run, its status is not_selected"),
        (7, 1, r"slice 1 lies outside cell 7, which has the slices \d+ to \d+; .* slices 9 to 29"),
        (7, 30, "slice 30 lies outside cell 7"),
        (7, 0, "slice 0 lies outside cell 7"),
    ],
)
def test_a_cell_or_slice_that_cannot_be_explained_is_one_sentence(
    volume: Path, cell: int, number: int, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        hd.explain(volume, cell, number)


def test_without_a_finished_run_it_says_to_run_first(volume: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no finished run .* hela-dask run .* first"):
        hd.explain(volume, 7, 20, run=tmp_path)
    run = tmp_path / "r.run"
    shutil.copytree(volume.with_name("one.run"), run, ignore=shutil.ignore_patterns("explain"))
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    for change, sentence in (
        ({"result": "0"}, r"labels of .*r\.run were replaced by .*one\.run"),
        ({"state": "interrupted"}, "there is no finished run"),
        ({"fingerprint": "0"}, "has changed since the run"),
        ({"parameters": {"propagate": {"bogus": 1.0}}}, "another version .* again"),
    ):
        (run / "run.json").write_text(json.dumps(facts | change), encoding="utf-8")
        with pytest.raises((InputError, MissingInputError, ParameterError), match=sentence):
            hd.explain(volume, 7, 20, run=run)
