"""What every registered method, also of another package, and every function must fulfil."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hela_dask.methods.method import Masks, Method, Window
from hela_dask.methods.names import METHODS
from hela_dask.methods.registry import get_method, group_names
from hela_dask.parameters import Parameters, method_groups
from hela_dask.steps.confidence import EXPLANATIONS
from tests.drawn import draw_cell, iou
from tests.methods.models import model_for

Turn = Callable[[np.ndarray], np.ndarray]


def bright_core(window: Window, parameters: Parameters) -> Masks:
    """A function as a method: all tissue is the cell, the brighter half of it the nucleus."""
    cell = ~window.background
    nucleus = cell & (window.image > np.median(window.image[cell]))
    return Masks(nucleus, cell, np.zeros_like(cell))


@dataclass(frozen=True)
class Case:
    """A method, parameters that it works with, and a window with what it finds there."""

    method: Method
    parameters: Parameters
    window: Window
    found: Masks


@pytest.fixture(scope="module", params=[*METHODS, f"{__name__}:{bright_core.__name__}"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    name: str = request.param
    method, parameters = get_method(name), Parameters()
    if model := model_for(name, tmp_path_factory.mktemp("model") / "model"):
        parameters = Parameters.from_dict({group_names(name)[0]: model})
    drawn = draw_cell((100.0, 40.0, 40.0))
    asked = method.asks(parameters)
    sure = {"nucleus": drawn.nucleus, "boundary": np.zeros_like(drawn.nucleus)}
    predicted = {key: sure[key] * np.uint8(230) for key in (asked.names if asked else ())}
    window = Window(drawn.image, drawn.background, drawn.voxel, drawn.centre, predicted=predicted)
    for part in (window.image, window.background, *predicted.values()):
        part.flags.writeable = False
    return Case(method, parameters, window, method(window, parameters))


def test_masks_have_the_windows_shape_and_lie_in_each_other(case: Case) -> None:
    found = case.found
    masks = [found.nucleus, found.cell, found.envelope]
    outline = found.nucleus if found.outline is None else found.outline
    for mask in (*masks, outline):
        assert mask.shape == case.window.image.shape and mask.dtype == bool
    assert found.status == "segmented" and found.nucleus.any() and found.cell.any()
    assert not (found.nucleus & ~found.cell).any()
    assert not (found.envelope & (~found.cell | found.nucleus)).any()
    assert not (found.cell & case.window.background & ~found.nucleus).any()
    assert not (found.nucleus & ~outline).any()
    assert set(found.flags) <= set(EXPLANATIONS)


def test_a_second_call_gives_the_same_bits_in_the_memory_that_was_stated(case: Case) -> None:
    tracemalloc.start()
    try:
        again = case.method(case.window, case.parameters)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for item in dataclasses.fields(Masks):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(case.found, item.name))
    image = case.window.image
    depth, height, width = image.shape
    stated = case.method.memory((depth, height, width), image.itemsize)
    assert peak + image.nbytes + case.window.background.nbytes <= stated


def test_inputs_stay_as_they_are_and_are_not_handed_out(case: Case) -> None:
    drawn = draw_cell((100.0, 40.0, 40.0))  # arrays that cannot be written to were given
    np.testing.assert_array_equal(case.window.image, drawn.image)
    np.testing.assert_array_equal(case.window.background, drawn.background)
    for item in (case.found.nucleus, case.found.cell, case.found.envelope):
        assert item.flags.writeable
        assert not np.shares_memory(item, case.window.background)


@pytest.mark.parametrize(
    "turn",
    [
        lambda array: array[::-1],
        lambda array: array[:, ::-1],
        lambda array: array[:, :, ::-1],
        lambda array: array.swapaxes(1, 2),
    ],
    ids=["z", "y", "x", "transposed"],
)
def test_a_turned_window_gives_turned_masks(case: Case, turn: Turn) -> None:
    asked = case.method.asks(case.parameters)
    if case.method.check(case.parameters) is not None and asked is None:
        pytest.skip("a network promises nothing about turned images")
    image, background = (
        np.ascontiguousarray(turn(part)) for part in (case.window.image, case.window.background)
    )
    place = np.zeros(case.window.image.shape, bool)
    place[case.window.centre] = True
    z, y, x = (int(at[0]) for at in turn(place).nonzero())
    predicted = {
        name: np.ascontiguousarray(turn(part)) for name, part in case.window.predicted.items()
    }
    window = Window(image, background, case.window.voxel, (z, y, x), predicted=predicted)
    turned = case.method(window, case.parameters)
    assert iou(turn(turned.nucleus), case.found.nucleus) > 0.98
    assert iou(turn(turned.cell), case.found.cell) > 0.98


def test_no_resin_and_nothing_to_see_are_no_errors(case: Case) -> None:
    drawn = draw_cell((100.0, 40.0, 40.0), resin=False)
    shape, centre, voxel = drawn.image.shape, drawn.centre, drawn.voxel
    for image in (drawn.image, np.full(shape, 128, np.uint8)):
        predicted = {name: np.zeros(shape, np.uint8) for name in case.window.predicted}
        window = Window(image, np.zeros(shape, bool), voxel, centre, predicted=predicted)
        found = case.method(window, case.parameters)
        assert found.nucleus.shape == shape and found.status in ("segmented", "no_resin")


def test_what_it_reads_is_registered_and_says_where_nuclei_end(case: Case) -> None:
    method, known = case.method, method_groups().values()
    own = () if method.parameters is None else (method.parameters,)
    assert set(own) | set(method.reads) <= set(known) and not set(own) & set(method.reads)
    for kind in (*own, *method.reads):
        assert case.parameters.group(kind) in case.parameters.methods
        assert (kind.__doc__ or "").strip()
    edge = method.edge(case.parameters)
    assert edge.envelope >= 0 and edge.line_sigma > 0 and edge.envelope_width > 0


def test_its_check_names_what_is_missing(case: Case, tmp_path: Path) -> None:
    network = case.method.check(case.parameters)
    uses = case.method.parameters is not None and "model" in dir(case.method.parameters)
    assert (network is not None) == uses
    if network is not None:
        (name,) = (key for key, kind in method_groups().items() if kind is case.method.parameters)
        gone = Parameters.from_dict({name: {"model": str(tmp_path / "gone")}})
        with pytest.raises(FileNotFoundError, match="gone"):
            case.method.check(gone)
