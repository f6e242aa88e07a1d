"""Classes from label values, contacts and distances on drawn planes, and how classes count."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.errors import InputError, ParameterError
from hela_dask.unet.architectures import get_architecture
from hela_dask.unet.targets import (
    UNLABELLED,
    Cells,
    cell_targets,
    class_weights,
    make_class_map,
    target_halo,
)

PIXEL = (40.0, 40.0)
OURS = get_architecture("residual")
HYBRID = get_architecture("hybrid")


def test_published_values_are_the_classes() -> None:
    class_map = make_class_map(OURS.classes, OURS.values, None)
    labels = np.array([[[0, 1, 2, 3, 4, 5]]], np.uint8)
    assert class_map.encode(labels, "x").tolist() == [[[UNLABELLED, 2, 3, 1, 0, 1]]]


def test_a_binary_model_knows_its_class_and_all_else() -> None:
    class_map = make_class_map(HYBRID.classes, HYBRID.values, None)
    labels = np.array([[[0, 1, 2, 3, 4, 5]]], np.uint8)
    assert class_map.encode(labels, "x").tolist() == [[[UNLABELLED, 1, 1, 0, 0, 1]]]
    with_zero = make_class_map(HYBRID.classes, HYBRID.values, {"other": (0,), "cell": (255,)})
    assert with_zero.encode(np.array([[[0, 255]]], np.uint8), "x").tolist() == [[[0, 1]]]


@pytest.mark.parametrize("value", [6, 300, -1])
def test_a_value_of_no_class_is_named_with_its_slice(value: int) -> None:
    class_map = make_class_map(OURS.classes, OURS.values, None)
    labels = np.full((3, 2, 2), 4, np.int32)
    labels[1, 0, 1] = value
    with pytest.raises(InputError, match=rf"the value {value} in slice 12"):
        class_map.encode(labels, "labels.tif", first=11)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"nuclei": (2,)}, "no class 'nuclei'"),
        ({"nucleus": (2,)}, "'resin' has no label value"),
        ({"resin": (4,), "cell": (3, 4), "envelope": (1,), "nucleus": (2,)}, "label value 4 is of"),
    ],
)
def test_classes_that_make_no_sense(given: dict[str, tuple[int, ...]], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        make_class_map(OURS.classes, OURS.values, given)


def test_contact_and_distance_of_two_cells_that_touch() -> None:
    cells = np.zeros((40, 60), np.int64)
    cells[10:30, 10:30] = 1
    cells[10:30, 30:50] = 2
    found = cell_targets(cells, cells >= 0, PIXEL)
    contact, distance, known = np.moveaxis(found, -1, 0)
    assert known.all()
    assert contact[20].nonzero()[0].tolist() == [29, 30]  # 40 nm away is near, 80 nm is not
    assert contact[10].nonzero()[0].tolist() == [29, 30]
    # The first pixel is 40 nm deep; 255 are 1000 nm.
    assert distance[20, 10:14].tolist() == [10, 20, 31, 41]
    assert distance[20, 29] == 10
    assert not distance[cells == 0].any()


def test_a_cell_goes_on_beyond_the_side() -> None:
    cells = np.ones((30, 30), np.int64)
    cells[:, 20:] = 0
    distance = cell_targets(cells, cells >= 0, PIXEL)[..., 1]
    assert distance[:, 19].tolist() == [10] * 30
    assert (distance[:, 0] == 204).all()  # 20 pixels from the border, at the side too


def test_targets_are_known_where_nothing_unseen_could_change_them() -> None:
    rng = np.random.default_rng(2)
    y, x = np.indices((90, 100))
    cells = np.zeros(y.shape, np.int64)
    for label in range(1, 7):
        cells[np.hypot(y - rng.integers(90), x - rng.integers(100)) < 22] = label
    unseen = x + y // 3 > 80
    shown = np.where(unseen, 0, cells)
    found = cell_targets(shown, cells >= 0, PIXEL, unseen)
    known = found[..., 2] > 0
    assert not known[unseen].any()
    assert known[:, :40].all()  # more than 1000 nm away
    assert 0.2 < known[:, 55:80].mean() < 0.95  # some beside it are, by a border that is nearer
    for other in (0, 7, 8):
        whole = cell_targets(np.where(unseen, other, cells), cells >= 0, PIXEL)
        np.testing.assert_array_equal(found[known], whole[known])
    np.testing.assert_array_equal(found[known], cell_targets(cells, cells >= 0, PIXEL)[known])


@pytest.mark.parametrize("pixel", [(40.0, 40.0), (80.0, 50.0)])
def test_a_window_with_its_halo_has_the_slices_own_values(pixel: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices((160, 170))
    cells = np.zeros(y.shape, np.int64)
    for label in range(1, 9):
        cells[np.hypot(y - rng.integers(160), x - rng.integers(170)) < 30] = label
    how = Cells((3, 4), (5, 6, 7))
    whole = cell_targets(*how.read(cells, pixel), pixel)
    halo_y, halo_x = target_halo(pixel)
    for y0, x0 in ((0, 0), (60, 50), (128, 138)):
        box = np.s_[max(0, y0 - halo_y) : y0 + 32 + halo_y, max(0, x0 - halo_x) : x0 + 32 + halo_x]
        part = cell_targets(*how.read(cells[box], pixel), pixel)
        inner = part[min(y0, halo_y) :, min(x0, halo_x) :][:32, :32]
        np.testing.assert_array_equal(inner, whole[y0 : y0 + 32, x0 : x0 + 32])


def test_cells_that_are_not_separated_are_known_near_the_one_cell_only() -> None:
    labels = np.full((5, 40), 3, np.uint8)
    labels[:, :10] = 5
    labels[:, 35:] = 4
    cells, known = Cells((1, 2, 5), (3,)).read(labels, PIXEL)
    assert cells[0, [0, 9, 10, 34, 35]].tolist() == [1, 1, 2, 2, 0]
    assert known[0].nonzero()[0].tolist() == [*range(20), *range(35, 40)]  # 400 nm of 3, and resin


def test_rare_classes_count_more() -> None:
    counts = np.array([[80, 20, 0], [60, 20, 20]])
    np.testing.assert_array_equal(class_weights(counts, "none"), [1, 1, 1])
    # Frequencies 140/200, 40/200, 20/100: their median is 0.2.
    np.testing.assert_allclose(class_weights(counts, "median"), [0.2 / 0.7, 1, 1])
    # Over all: 0.7, 0.2, 0.1; square roots, at least 0.5.
    expected = [np.sqrt(0.2 / 0.7), 1, np.sqrt(2)]
    np.testing.assert_allclose(class_weights(counts, "softened"), expected, rtol=1e-6)
    assert class_weights(np.array([[10_000, 100, 1]]), "softened").tolist() == [0.5, 1, 3]
