"""Method unet on a drawn region, with a network that tells classes by grey value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.kernels.instances import nucleus_pieces, upsample
from hela_dask.kernels.morphology import remove_pieces
from hela_dask.methods import unet
from hela_dask.methods.enclosed import Enclosed
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters, UnetParameters
from hela_dask.trace import Trace
from hela_dask.types import Mask, Voxel
from hela_dask.unet.card import Card
from tests.drawn import call, predict
from tests.kernels.test_instances import LEFT, RIGHT, SHAPE, VOXEL, ball
from tests.unet.networks import by_grey, stored

LEVELS = GreyLevels(False, 175.0, 225.0, 50.0, 250.0)
CENTRE = (6, 40, 40)


def scene() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Two cells that touch, each with a nucleus in an envelope, in resin."""
    image = np.full(SHAPE, 225, np.uint8)
    image[:, 8:72, 6:154] = 175
    image[:, :, 75] = np.where(image[:, :, 75] == 175, 90, 225)  # the contact: dark
    for nucleus, centre in ((LEFT, (300, 1600, 1600)), (RIGHT, (300, 1600, 4400))):
        image[ball(centre, 1080)] = 75
        image[nucleus] = 125
    return image, image == 225


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Parameters:
    model = by_grey(tmp_path_factory.mktemp("model") / "grey")
    params = UnetParameters(model=str(model.folder), smallest_nucleus=0.5)
    return Parameters().with_group(params)


def segment(
    parameters: Parameters, image: NDArray[np.uint8], background: NDArray[np.bool_]
) -> Masks:
    return call("unet", image, background, VOXEL, CENTRE, parameters, grey_levels=LEVELS)


def test_a_cell_is_its_nucleus_its_envelope_and_its_share_of_the_tissue(
    parameters: Parameters,
) -> None:
    image, background = scene()
    found = segment(parameters, image, background)
    assert (found.status, found.reason) == ("segmented", "")
    np.testing.assert_array_equal(found.nucleus, LEFT)
    ring = ball((300, 1600, 1600), 1080) & ~LEFT
    assert (found.envelope & ring).sum() > 0.99 * ring.sum()
    assert (found.envelope & ~ring).sum() < 0.1 * ring.sum()  # a length in the plane, not in space
    own = np.zeros(SHAPE, dtype=bool)
    own[:, 8:72, 6:75] = True
    assert (found.cell & own).sum() / (found.cell | own).sum() > 0.97
    assert not (found.cell & background).any()
    assert found.outline is not None
    assert (found.outline & ~ring & ~LEFT).sum() == 0
    assert found.outline.sum() > LEFT.sum()


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_a_slice_or_two_are_enough(parameters: Parameters, slices: int) -> None:
    """A single slice is no thinner than the grid on which nuclei are told from each other."""
    image, background = scene()
    few = slice(6, 6 + slices)
    found = call(
        "unet", image[few], background[few], VOXEL, (0, 40, 40), parameters, grey_levels=LEVELS
    )
    assert (found.status, found.reason) == ("segmented", "")
    np.testing.assert_array_equal(found.nucleus, LEFT[few])
    assert found.cell.sum() > 2 * found.nucleus.sum()


def test_the_given_resin_counts_too(parameters: Parameters) -> None:
    image, background = scene()
    background[:, 8:30] = True
    found = segment(parameters, image, background)
    assert not found.cell[:, 8:14].any()


def test_without_resin_the_status_says_so(parameters: Parameters) -> None:
    image, background = scene()
    bare = segment(parameters, image, np.zeros_like(background))
    assert bare.status == "no_resin"
    np.testing.assert_array_equal(bare.cell, bare.nucleus)


def test_where_the_network_sees_no_nucleus_the_membranes_decide(
    parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, background = scene()
    larger = parameters.with_group(replace(parameters.unet, smallest_nucleus=100.0))
    calls = list[Any]()
    monkeypatch.setattr(unet, "enclosed_nucleus", fixed(LEFT, calls))
    found = segment(larger, image, background)
    assert len(calls) == 1
    np.testing.assert_array_equal(found.nucleus, LEFT)
    nothing = np.zeros_like(LEFT)
    none = Enclosed(nothing, nothing, np.empty((0, 3)), "nothing is smooth")
    monkeypatch.setattr(unet, "enclosed_nucleus", lambda *_, **__: none)
    missing = segment(larger, image, background)
    assert (missing.status, missing.flags) == ("segmented", ("no_nucleus",))
    assert missing.reason == "nothing is smooth"
    assert missing.cell.any()


def test_another_piece_in_the_cell_belongs_to_its_nucleus(parameters: Parameters) -> None:
    image, background = scene()
    image[4:9, 20:34, 8:20] = 125  # 0.5 µm³ of another piece, between lines
    image[4:9, 20:34, [7, 20]] = image[4:9, [19, 34], 8:20] = 75
    own = parameters.with_group(replace(parameters.unet, smallest_nucleus=0.2))
    found = segment(own, image, background)
    assert found.cell[6, 27, 14]
    assert found.nucleus[6, 27, 14]
    assert not found.nucleus[6, 40, 110]  # the neighbour's


def fixed(nucleus: NDArray[np.bool_], calls: list[Any]) -> Callable[..., Enclosed]:
    """In place of the membranes' own nucleus: a given one, in the part that is looked at."""

    def enclosed(*given: Any, **more: Any) -> Enclosed:
        calls.append((given, more))
        part = nucleus[tuple(slice(length) for length in given[0].shape)]
        return Enclosed(part, part, np.empty((0, 3)))

    return enclosed


def test_the_network_is_fused_with_the_membranes_nucleus(
    parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, background = scene()
    larger, calls = ball((300, 1600, 1600), 1040), list[Any]()
    monkeypatch.setattr(unet, "enclosed_nucleus", fixed(larger, calls))
    found = segment(parameters, image, background)
    ((seen, resin, _, spot, _, _), more) = calls[0]
    assert seen.shape == resin.shape
    assert LEFT[..., : seen.shape[2]].sum() == LEFT.sum()
    assert seen.shape[2] < LEFT.shape[2]  # membranes are detected around the nucleus only
    assert LEFT[spot]
    np.testing.assert_array_equal(more["known"], LEFT[..., : seen.shape[2]])
    # The network is certain of the envelope, which a pixel inside the membranes does not outweigh.
    np.testing.assert_array_equal(found.nucleus, LEFT)
    params = replace(parameters.unet, membranes=10.0)
    heavier = segment(parameters.with_group(params), image, background)
    np.testing.assert_array_equal(heavier.nucleus, larger & found.cell)
    alone = segment(parameters.with_group(replace(params, membranes=0.0)), image, background)
    np.testing.assert_array_equal(alone.nucleus, LEFT)
    assert len(calls) == 2


def test_where_both_differ_in_a_slice_the_network_takes_nothing_away(
    parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, background = scene()
    lobe = LEFT.copy()
    lobe[3] &= np.arange(SHAPE[2]) < 36  # half of it, and the network is certain of the rest
    lobe[4] |= ball((300, 1600, 1600), 1300)[4]  # far beyond, where the network sees none
    monkeypatch.setattr(unet, "enclosed_nucleus", fixed(lobe, []))
    found = segment(parameters, image, background).nucleus
    expected = LEFT.copy()
    expected[4] = lobe[4]
    np.testing.assert_array_equal(found, expected)


def test_membranes_that_enclose_something_else_do_not_count(
    parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, background = scene()
    params = parameters.with_group(replace(parameters.unet, membranes=10.0))
    leaked = ~background
    for other in (np.zeros_like(LEFT), RIGHT, leaked):
        monkeypatch.setattr(unet, "enclosed_nucleus", fixed(other, []))
        np.testing.assert_array_equal(segment(params, image, background).nucleus, LEFT)
    more = LEFT | (RIGHT & ball((300, 1600, 3600), 800))  # and a part of the neighbour's nucleus
    monkeypatch.setattr(unet, "enclosed_nucleus", fixed(more, []))
    np.testing.assert_array_equal(segment(params, image, background).nucleus, LEFT)


def test_showing_its_steps_changes_nothing(parameters: Parameters) -> None:
    image, background = scene()
    found, trace = segment(parameters, image, background), Trace(5)
    watched = call(
        "unet", image, background, VOXEL, CENTRE, parameters, trace=trace, grey_levels=LEVELS
    )
    np.testing.assert_array_equal(watched.nucleus, found.nucleus)
    np.testing.assert_array_equal(watched.cell, found.cell)
    steps = {step.title: step.plane for step in trace.steps[5]}
    assert list(steps)[:3] == ["probability of a nucleus", "nuclei", "the cell's nucleus"]
    order = list(steps)
    assert order.index("cell, smoothed along z") < order.index("membrane strength")
    assert {plane.shape for plane in steps.values()} == {image.shape[1:]}
    assert all(step.caption.endswith(".") for step in trace.steps[5])
    np.testing.assert_array_equal(steps["cell, smoothed along z"], found.cell[5])
    np.testing.assert_array_equal(steps["the cell's nucleus"] & found.cell[5], found.nucleus[5])
    assert len(np.unique(steps["nuclei"])) == 3


def test_a_window_that_grows_for_its_cell_gives_the_cell_alone(
    parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, background = scene()
    whole, calls = segment(parameters, image, background), list[Any]()
    monkeypatch.setattr(unet, "enclosed_nucleus", fixed(LEFT, calls))
    predicted = predict("unet", image, VOXEL, parameters, LEVELS)
    asked = list[Any]()

    def grows(cell: NDArray[np.bool_]) -> bool:
        asked.append(cell.copy())
        return True

    window = Window(image, background, VOXEL, CENTRE, LEVELS, predicted, grows)
    found = unet.METHOD(window, parameters)
    np.testing.assert_array_equal(asked, [whole.cell])
    np.testing.assert_array_equal(found.cell, whole.cell)
    assert not found.nucleus.any()
    assert not calls


def test_a_model_that_tells_no_nucleus_is_refused(tmp_path: Path) -> None:
    card = Card("hybrid", ("cell",), VOXEL, channels="binary")
    stored(tmp_path / "m", card, np.ones((1, 1)), np.zeros(1))
    image, background = scene()
    wrong = Parameters().with_group(UnetParameters(model=str(tmp_path / "m")))
    with pytest.raises(InputError, match="does not predict nucleus"):
        segment(wrong, image, background)
    with pytest.raises(InputError, match="does not predict nucleus"):
        get_method("unet").check(wrong)


def test_classical_methods_have_no_network() -> None:
    assert get_method("volumetric").check(Parameters()) is None


@pytest.mark.parametrize(("seed", "voxel"), [(0, VOXEL), (1, (50.0, 45.0, 30.0)), (2, VOXEL)])
def test_pieces_of_a_part_are_those_of_the_whole_window(seed: int, voxel: Voxel) -> None:
    rng, shape = np.random.default_rng(seed), (9, 71, 83)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), (1, 5, 5))
    probability = np.clip(105 + 900 * smooth, 0, 255).astype(np.uint8)
    p = UnetParameters(smallest_nucleus=0.02, smallest_hole=0.02)
    found = unet._Pieces(probability, voxel, p)
    z, y, x = (max(1, int(p.grid / size)) for size in voxel)
    step = (min(z, shape[0]), y, x)
    pieces = nucleus_pieces(probability >= 128, p.neck, p.smallest_nucleus, voxel, step)
    assert pieces.max() > 1

    def whole(chosen: Mask) -> Mask:
        near = np.stack([ndimage.maximum_filter(plane, 3) for plane in chosen])
        near &= chosen | (pieces == 0)
        planes = [
            (plane >= 128) & upsample(near, at, plane.shape, step)
            for at, plane in enumerate(probability)
        ]
        filled = [~remove_pieces(~plane, p.smallest_hole, voxel[1:]) for plane in planes]
        return np.stack(
            [part if plane.any() else plane for part, plane in zip(filled, planes, strict=True)]
        )

    for label in range(1, int(pieces.max()) + 1):
        np.testing.assert_array_equal(found.mask(label), whole(pieces == label))
    box = Box.of([(2, 8), (5, 60), (20, 83)])
    others = whole((pieces > 0) & (pieces != 1))
    np.testing.assert_array_equal(found.others(1, box), others[box])
