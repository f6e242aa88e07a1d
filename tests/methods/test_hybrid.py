"""Method hybrid on drawn cells, with a network that takes all tissue for the cell."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from hela_dask.errors import InputError, MissingInputError
from hela_dask.methods.hybrid import METHOD
from hela_dask.methods.method import Masks
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.unet.card import Card
from tests.drawn import Drawing, call, draw_cell, iou
from tests.unet.networks import VOXEL, by_grey, stored

hybrid = functools.partial(call, "hybrid")


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Parameters:
    folder = tmp_path_factory.mktemp("models") / "hybrid"
    card = Card("hybrid", ("cell",), VOXEL, channels="binary", plane=(192, 192))
    stored(folder, card, np.array([[40.0]]), np.array([-20.0]))
    return Parameters.from_dict({"hybrid": {"model": str(folder)}})


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_cell(slices=(20, 32))


def segment(drawing: Drawing, parameters: Parameters, trace: Trace = NO_TRACE) -> Masks:
    return hybrid(
        drawing.image, drawing.background, drawing.voxel, drawing.centre, parameters, trace=trace
    )


@pytest.fixture(scope="module")
def found(drawing: Drawing, parameters: Parameters) -> Masks:
    return segment(drawing, parameters)


def test_the_cell_is_the_networks_and_the_nucleus_lies_between_its_edges(
    drawing: Drawing, found: Masks
) -> None:
    assert (found.status, found.flags) == ("segmented", ())
    assert iou(found.cell, drawing.cell) > 0.97
    assert iou(found.nucleus, drawing.nucleus) > 0.8
    assert not (found.cell & drawing.background).any()
    assert not (found.nucleus & ~found.cell).any()
    assert found.envelope.any()
    assert not (found.envelope & (found.nucleus | ~found.cell)).any()
    assert found.outline is not None
    assert (found.outline | ~found.nucleus).all()


def test_the_cell_is_the_piece_at_the_centre(parameters: Parameters) -> None:
    drawing = draw_cell(slices=(24, 28))
    image, background = drawing.image.copy(), drawing.background.copy()
    image[:, :12], background[:, :12] = 140, False  # a strip of another cell
    masks = hybrid(image, background, drawing.voxel, drawing.centre, parameters)
    assert not masks.cell[:, :12].any()
    assert iou(masks.cell, drawing.cell) > 0.97


def test_a_lost_slice_is_left_empty_and_parts_nothing(
    drawing: Drawing, found: Masks, parameters: Parameters
) -> None:
    image, background = drawing.image.copy(), drawing.background.copy()
    image[4], background[4] = 0, False
    masks = hybrid(image, background, drawing.voxel, drawing.centre, parameters)
    assert not masks.cell[4].any()
    others = np.arange(len(image)) != 4
    np.testing.assert_array_equal(masks.cell[others], found.cell[others])
    np.testing.assert_array_equal(masks.nucleus[others], found.nucleus[others])


def test_a_cell_without_a_nucleus_says_so(parameters: Parameters) -> None:
    drawing = draw_cell(nucleus=False, slices=(24, 28))
    # Between its lines, cytoplasm has smooth pieces, none as large as a nucleus.
    demanding = {"smallest_nucleus": 5.0, "model": parameters.hybrid.model}
    masks = segment(drawing, Parameters.from_dict({"hybrid": demanding}))
    assert (masks.status, masks.flags) == ("segmented", ("no_nucleus",))
    assert "shape of a nucleus" in masks.reason
    assert not masks.nucleus.any()
    assert iou(masks.cell, drawing.cell) > 0.97


def test_without_resin_the_nucleus_is_found_and_the_cell_is_not_guessed(
    parameters: Parameters,
) -> None:
    drawing = draw_cell(slices=(24, 28), resin=False)
    masks = segment(drawing, parameters)
    assert masks.status == "no_resin"
    assert iou(masks.nucleus, drawing.nucleus) > 0.8
    np.testing.assert_array_equal(masks.cell, masks.nucleus)


def test_showing_its_steps_changes_nothing(
    drawing: Drawing, found: Masks, parameters: Parameters
) -> None:
    trace = Trace(5)
    watched = segment(drawing, parameters, trace)
    np.testing.assert_array_equal(watched.nucleus, found.nucleus)
    np.testing.assert_array_equal(watched.cell, found.cell)
    assert [step.title for step in trace.steps[5]] == [
        "darker than resin",
        "U-Net",
        "cell",
        "texture",
        "between edges",
        "candidate",
        "refined by grey values",
        "nucleus",
    ]
    assert {step.plane.shape for step in trace.steps[5]} == {drawing.image.shape[1:]}
    assert all(step.caption.endswith(".") for step in trace.steps[5])


def test_a_model_is_asked_for_before_work_starts(parameters: Parameters, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="hela-dask train STORE LABELS --model hybrid"):
        METHOD.check(Parameters())
    with pytest.raises(MissingInputError, match="hela-dask train STORE LABELS --model hybrid"):
        segment(draw_cell(slices=(26, 27)), Parameters())
    by_grey(tmp_path / "unet")
    other = Parameters.from_dict({"hybrid": {"model": str(tmp_path / "unet")}})
    with pytest.raises(
        InputError, match="predicts resin, cell, envelope, nucleus, and method hybrid"
    ):
        METHOD.check(other)
    known = METHOD.check(parameters)
    assert known is not None
    assert known[1].architecture == "hybrid"
    assert get_method("hybrid") is METHOD
