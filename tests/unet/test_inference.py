"""What a model makes of a block: on the block's grid, the same in tiles as in one piece."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.errors import ResourceError
from hela_dask.unet import inference
from hela_dask.unet.card import CLASSES, Card
from hela_dask.unet.inference import blending, predict_block, predict_slices, tiles
from hela_dask.unet.model import Model, load_model, save_model
from tests.unet.networks import VOXEL, by_grey, onnx_file, stored

GREYS = (50.0, 250.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return by_grey(tmp_path_factory.mktemp("model") / "grey", 3)


def steps(depth: int = 3, shape: tuple[int, int] = (40, 64)) -> np.ndarray[Any, Any]:
    """Four stripes of the grey values of envelope, nucleus, cell and resin."""
    values = np.repeat([75, 125, 175, 225], shape[1] // 4).astype(np.uint8)
    return np.broadcast_to(values, (depth, shape[0], shape[1])).copy()


def test_grey_values_become_classes_on_the_images_own_grid(model: Model) -> None:
    found = predict_block(model, steps(), VOXEL, GREYS)
    assert found.dtype == np.uint8
    names = [CLASSES[at] for at in found[1, 20, ::16, :4].argmax(-1)]
    assert names == ["envelope", "nucleus", "cell", "resin"]
    assert found[..., :4].max(-1).min() > 250
    assert (found[:, :, :16, 4] == 255).all()
    assert (found[:, :, 16:, 4] < 5).all()
    assert found[1, 20, ::16, 5].tolist() == [32, 96, 159, 223]


def test_a_finer_and_a_coarser_volume_are_seen_at_the_models_size(model: Model) -> None:
    coarse = predict_block(model, steps(), VOXEL, GREYS)
    fine = predict_block(model, steps().repeat(4, 1).repeat(4, 2), (50.0, 10.0, 10.0), GREYS)
    assert fine.shape == (3, 160, 256, 6)
    # The same but for half a model's pixel at the steps, where values are interpolated.
    np.testing.assert_array_equal(fine[:, 2::4, 4::8].argmax(-1), coarse[:, :, 1::2].argmax(-1))
    shrunk = predict_block(model, steps()[:, ::2, ::2], (50.0, 80.0, 80.0), GREYS)
    assert (
        shrunk[1, 10, 4::8, :4].argmax(-1).tolist() == coarse[1, 20, ::16, :4].argmax(-1).tolist()
    )


def test_neighbours_are_as_far_away_as_in_training(tmp_path: Path) -> None:
    card = Card("residual", ("cell",), VOXEL, slices=3)
    above = stored(tmp_path / "m", card, np.array([[0.0], [0.0], [100.0]]), np.array([-50.0]))
    image = np.zeros((9, 16, 16), np.uint8)
    image[:, ::2] = 10
    image[6] += 100
    found = predict_block(above, image, (25.0, 40.0, 40.0), (0.0, 100.0))
    assert np.flatnonzero(found[:, 0, 0, 0] > 128).tolist() == [4]  # 50 nm below the bright one
    thick = predict_block(above, image, (100.0, 40.0, 40.0), (0.0, 100.0))
    assert np.flatnonzero(thick[:, 0, 0, 0] > 128).tolist() == [5]  # a neighbour all the same


def test_a_lost_slice_is_read_as_its_neighbour(model: Model) -> None:
    image = steps(5)
    image[2] = 0
    found = predict_block(model, image, VOXEL, GREYS)
    np.testing.assert_array_equal(found[2], found[1])
    assert predict_block(model, np.zeros_like(image), VOXEL, GREYS).shape == (5, 40, 64, 6)


def test_slices_are_the_same_alone_as_in_the_block(model: Model) -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 33, 47)).astype(np.uint8)
    block = predict_block(model, image, VOXEL, GREYS)
    for z in range(5):
        alone = next(predict_slices(model, image, VOXEL, GREYS, slice(z, z + 1)))
        np.testing.assert_array_equal(alone, block[z])


@given(st.integers(1, 3000), st.integers(8, 40), st.data())
def test_tiles_cover_and_overlap(length: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    starts = tiles(length, tile, overlap)
    assert starts[0] == 0
    if length > tile:
        assert starts[-1] == length - tile
    for one, other in itertools.pairwise(starts):
        assert 0 < other - one <= tile - overlap
    total = np.zeros(max(length, tile))
    for at, start in enumerate(starts):
        weight = blending(starts, tile, at)
        assert (weight > 0).all()
        total[start : start + tile] += weight
    assert (total > 0).all()


def test_tiles_are_seamless(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(1).integers(0, 255, (1, 90, 150)).astype(np.uint8)
    whole = predict_block(model, image, VOXEL, GREYS)
    monkeypatch.setattr(inference, "TILE", 64)
    monkeypatch.setattr(inference, "OVERLAP", 16)
    tiled = predict_block(model, image, VOXEL, GREYS)
    assert np.abs(tiled.astype(int) - whole).max() <= 1  # a pixel sees itself alone: no halo is


def test_planes_are_shrunk_for_networks_that_see_them_whole(tmp_path: Path) -> None:
    card = Card("vgg16", CLASSES, VOXEL, channels="repeated", plane=(48, 32))
    seen = np.zeros((3, 4))
    seen[0] = [600.0, 400.0, 0.0, 200.0]
    model = stored(tmp_path / "m", card, seen, np.array([-300.0, -150.0, 0.0, -50.0]))
    found = predict_block(model, steps(1, (60, 80)), VOXEL, GREYS)
    assert found.shape == (1, 60, 80, 4)
    assert found[0, 30, 10::20].argmax(-1).tolist() == [2, 3, 1, 0]


def test_a_short_memory_ends_with_a_sentence(model: Model) -> None:
    class Short:
        card, folder = model.card, model.folder

        def __call__(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            raise MemoryError

    short: Any = Short()
    with pytest.raises(ResourceError, match="not enough memory for one tile of 48 x 64 pixels"):
        predict_block(short, steps(1), VOXEL, GREYS)


def test_tiles_are_multiples_of_what_the_network_needs(tmp_path: Path) -> None:
    card = Card("own", ("cell",), VOXEL, multiple=48)
    network = stored(tmp_path / "m", card, np.array([[1.0]]), np.array([0.0]))
    seen: list[tuple[int, ...]] = []

    class Watched:
        card, folder = network.card, network.folder

        def __call__(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            seen.append(batch.shape)
            return network(batch)

    watched: Any = Watched()
    found = predict_block(watched, np.zeros((1, 100, 600), np.uint8), VOXEL, GREYS)
    assert found.shape == (1, 100, 600, 1)
    assert seen == [(1, 144, 384, 1)] * 2  # no longer than two that overlap by 128 need


def beside(folder: Path, voxel: tuple[float, float, float]) -> Model:
    """A network that shows the grey value of the slice before, one pixel to the right."""
    card = Card("residual", ("cell",), voxel, slices=3, probabilities=True)
    weights = np.zeros((1, 3, 3, 3))
    weights[0, 0, 1, 2] = 1.0
    nodes: list[Any] = [
        ("Conv", ["image", "weights"], ["values"], {"pads": [1, 1, 1, 1]}),
        ("Clip", ["values", "zero", "one"], ["outputs"], {}),
    ]
    arrays = {"weights": weights, "zero": np.array(0.0), "one": np.array(1.0)}
    save_model(folder, onnx_file(nodes, arrays, [("n", 3, "y", "x"), ("n", 1, "y", "x")]), card)
    return load_model(folder)


@pytest.mark.parametrize(
    ("voxel", "place"),
    [((50.0, 40.0, 40.0), (0, 1, 0)), ((50.0, 40.0, 30.0), (0, 0, -1))],
    ids=["transposed", "turned by 180 degrees"],
)
def test_a_turned_slice_lies_where_it_was(
    tmp_path: Path, voxel: tuple[float, float, float], place: tuple[int, int, int]
) -> None:
    model = beside(tmp_path / "m", voxel)
    image = np.random.default_rng(0).integers(50, 250, (5, 48, 48)).astype(np.uint8)
    plain, turned = (
        np.stack(list(predict_slices(model, image, voxel, (50.0, 250.0), turned=seen)))[..., 0]
        for seen in ((), range(5))
    )
    scaled = np.rint((image.astype(float) - 50) / 200 * 255)
    inner = (slice(1, -1),) * 3
    # As it is, the slice before and the column after; turned, the slice after and another side.
    assert abs(plain[inner] - np.roll(scaled, (1, 0, -1), (0, 1, 2))[inner]).max() <= 1
    _, y, x = place
    assert abs(turned[inner] - np.roll(scaled, (-1, -y, -x), (0, 1, 2))[inner]).max() <= 1


def test_a_turned_slice_takes_no_more_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = by_grey(tmp_path / "m")
    counted: list[tuple[int, ...]] = []
    run = inference._run

    def counting(model: Model, image: Any) -> Any:
        counted.append(image.shape)
        return run(model, image)

    monkeypatch.setattr(inference, "_run", counting)
    for length in (300, 508, 512, 600, 896, 1000):
        numbers = []
        for turned in ((), range(1)):
            image = np.full((1, length, 40), 100, np.uint8)
            list(predict_slices(model, image, VOXEL, GREYS, turned=turned))
            numbers.append(len(counted))
            counted.clear()
        assert numbers[0] == numbers[1] == (1 if length <= 512 else 2 + (length > 896)), length
