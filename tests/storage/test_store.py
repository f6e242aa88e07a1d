"""Writing: whole slabs only, pyramids, owners of labels, and stores that other readers open."""

from __future__ import annotations

import errno
import json
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.errors import ExistsError, InputError, ParameterError, StorageError
from hela_dask.storage import store
from hela_dask.storage.pyramid import halve, halve_into, layout, plan_levels
from hela_dask.volume.opening import Image, open_volume, read_image

SIZE = (50.0, 10.0, 12.0)


def volume(shape: tuple[int, int, int] = (20, 300, 521), dtype: str = "uint8") -> NDArray[Any]:
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, shape, dtype=dtype, endpoint=True)


def fill(image: Image, data: NDArray[Any], how: Any = "mean") -> None:
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, data[z0:z1], downsample=how)


def make_image(path: Path, data: NDArray[Any] | None = None) -> Image:
    data = volume() if data is None else data
    image = store.create_image(path, data.shape, data.dtype, SIZE, name="x")
    fill(image, data)
    return image


def make_labels(owner: Path, run: Path | None = None, **more: Any) -> Image:
    labels = store.create_labels(owner, "nuclei", (20, 300, 521), "uint32", SIZE, run=run, **more)
    if not labels.complete:
        fill(labels, volume().astype(np.uint32) // 50, "nearest")
    return read_image(labels.path)


def test_levels_halve_y_and_x_and_shift_by_half_a_voxel(tmp_path: Path) -> None:
    image = make_image(tmp_path / "a.ome.zarr")
    assert [level.shape for level in image.levels] == [
        (20, 300, 521),
        (20, 150, 261),
        (20, 75, 131),
    ]
    assert [level.voxel_size for level in image.levels] == [
        (50, 10, 12),
        (50, 20, 24),
        (50, 40, 48),
    ]
    assert [level.translation for level in image.levels] == [(0, 0, 0), (0, 5, 6), (0, 15, 18)]
    assert (image.levels[0].chunks, image.levels[0].shards) == ((1, 300, 512), (16, 300, 1024))


def test_what_was_written_is_read_at_every_level(tmp_path: Path) -> None:
    data = volume()
    make_image(tmp_path / "a.ome.zarr", data)
    expected = data
    for level in range(3):
        assert np.array_equal(open_volume(tmp_path / "a.ome.zarr", level=level).values, expected)
        expected = halve(expected, "mean")


@pytest.mark.parametrize("how", ["mean", "nearest", "any"])
def test_halving_by_hand(how: Any) -> None:
    block = np.array([[[0, 4, 9], [4, 4, 11], [7, 1, 200]]], np.uint8)
    expected = {
        "mean": [[3, 10], [4, 200]],
        "nearest": [[0, 9], [7, 200]],
        "any": [[4, 11], [7, 200]],
    }[how]
    assert halve(block, how).tolist() == [expected]
    assert halve(block, how).dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", ">u2"])
@pytest.mark.parametrize("how", ["mean", "nearest", "any"])
def test_halving_into_a_part_of_an_array(how: Any, dtype: str) -> None:
    block = np.random.default_rng(0).integers(1, 99, (2, 5, 7)).astype(dtype)
    target = np.zeros((2, 9, 9), block.dtype.newbyteorder("="))
    halve_into(block, how, target, (1, 4))
    assert target.any()
    assert np.array_equal(target[:, 1:4, 4:8], halve(block, how))
    target[:, 1:4, 4:8] = 0
    assert not target.any()
    with pytest.raises(ValueError, match=r"fit|broadcast"):
        halve_into(block, how, target, (1, 6))


def test_the_mean_of_a_level_is_that_of_the_finer_one() -> None:
    data = volume((4, 512, 512), "uint16")
    assert abs(float(halve(data, "mean").mean()) - float(data.mean())) < 0.01


@settings(deadline=None)  # compiled when first called
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["uint8", "uint16", "int8", "int16", "uint32", "int64"]),
    st.integers(0, 99),
)
def test_the_mean_of_four_is_rounded_and_halves_to_even(
    shape: tuple[int, int, int], dtype: str, seed: int
) -> None:
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**40)), min(info.max, 2**40)
    block = np.random.default_rng(seed).integers(low, high, shape, dtype=dtype, endpoint=True)
    odd = ((0, 0), (0, shape[1] % 2), (0, shape[2] % 2))
    whole = np.pad(block, odd, mode="edge").astype(np.float64)
    four = whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    for given_block in (block, np.asfortranarray(block)):
        small = halve(given_block, "mean")
        assert small.dtype == block.dtype
        assert np.array_equal(small, np.rint(four / 4).astype(dtype))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 65535))
def test_halving_a_constant_keeps_it(height: int, width: int, value: int) -> None:
    block = np.full((2, height, width), value, np.uint16)
    for how in ("mean", "nearest", "any"):
        small = halve(block, how)
        assert small.shape == (2, -(-height // 2), -(-width // 2))
        assert (small == value).all()


def test_a_slab_of_large_planes_is_bounded_and_one_of_small_planes_deeper() -> None:
    assert layout((518, 8192, 8192), 1) == ((1, 512, 512), (8, 2048, 2048))
    assert layout((518, 8192, 8192), 2)[1] == (4, 4096, 4096)
    assert layout((518, 8192, 8192), 2, tiled=True)[1] == (8, 2048, 2048)
    assert layout((518, 16384, 16384), 4)[1] == (1, 4096, 4096)
    assert layout((300, 1000, 1024), 2)[1] == (16, 2048, 2048)


@pytest.mark.parametrize("itemsize", [1, 2])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_full_volume_with_its_pyramid_has_fewer_than_2000_files(
    itemsize: int, tiled: bool
) -> None:
    levels = plan_levels((518, 8192, 8192), itemsize, SIZE, tiled=tiled)
    grids = [
        [-(-length // side) for length, side in zip(level.shape, level.shards or (), strict=True)]
        for level in levels
    ]
    marks = grids[0][0]
    assert sum(math.prod(grid) for grid in grids) + marks + len(levels) + 1 < 2000


@pytest.mark.parametrize(
    ("chunks", "shards"), [((16, 100, 100), (16, 250, 250)), ((0, 1, 1), None), ((1, 1), None)]
)
def test_shards_are_whole_chunks(tmp_path: Path, chunks: Any, shards: Any) -> None:
    with pytest.raises(ParameterError, match=r"multiples of .* \(16, 200, 200\) are|three pos"):
        store.create_image(
            tmp_path / "a", (4, 9, 9), "uint8", SIZE, name="a", chunks=chunks, shards=shards
        )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("z0", "shape"),
    [(0, (15, 300, 521)), (1, (16, 300, 521)), (8, (8, 300, 521)), (16, (16, 300, 521)),
     (0, (16, 300, 520)), (0, (20, 300, 521)), (20, (4, 300, 521))],
)  # fmt: skip
def test_what_is_no_whole_slab_is_refused(tmp_path: Path, z0: int, shape: Any) -> None:
    image = make_image(tmp_path / "a.ome.zarr")
    before = open_volume(image.path).values
    with pytest.raises(StorageError, match=r"whole slabs.*its shards are 16 x 300 x 1024, so a"):
        store.write_slab(image, z0, np.zeros(shape, np.uint8))
    with pytest.raises(StorageError, match="holds uint8, not uint16"):
        store.write_slab(image, 0, np.zeros((16, 300, 521), np.uint16))
    assert np.array_equal(open_volume(image.path).values, before)


def test_a_store_is_whole_only_when_every_slab_is(tmp_path: Path) -> None:
    data = volume()
    image = store.create_image(tmp_path / "a.ome.zarr", data.shape, "uint8", SIZE, name="a")
    store.write_slab(image, 16, data[16:])
    assert store.finished_slabs(image) == [(16, 20)]
    with pytest.raises(InputError, match="not finished"):
        open_volume(image.path)
    store.write_slab(image, 0, data[:16])
    assert store.finished_slabs(image) == store.slabs(image) == [(0, 16), (16, 20)]
    assert read_image(image.path).complete
    store.reopen(image, [(0, 16)])
    assert store.finished_slabs(image) == [(16, 20)]
    with pytest.raises(InputError, match="not finished"):
        open_volume(image.path)
    store.write_slab(image, 0, data[:16])
    assert np.array_equal(open_volume(image.path).values, data)


def test_a_store_is_whole_though_no_writer_saw_all_the_others(tmp_path: Path) -> None:
    """On a shared file system two writers may finish at once, each blind to the other's mark."""
    image = make_image(tmp_path / "a.ome.zarr")
    content = json.loads((image.folder / "zarr.json").read_text())
    content["attributes"]["hela_dask"]["complete"] = False
    (image.folder / "zarr.json").write_text(json.dumps(content))
    assert read_image(image.path).complete
    (image.folder / "0" / ".slabs" / "0").unlink()
    assert not read_image(image.path).complete


def _write_one(image: Image, z0: int, z1: int) -> int:
    store.write_slab(image, z0, np.full((z1 - z0, 40, 40), z0 + 1, np.uint8))
    return z0


def test_many_processes_write_one_image(tmp_path: Path, client: Any) -> None:
    image = store.create_image(
        tmp_path / "a.ome.zarr", (19, 40, 40), "uint8", SIZE, name="a", chunks=(2, 16, 16)
    )
    assert len(pickle.dumps(image)) < 3000
    ranges = store.slabs(image)
    futures = [client.submit(_write_one, image, *item) for item in ranges]
    assert sorted(client.gather(futures)) == [z0 for z0, _ in ranges]
    expected = [z0 + 1 for z0, z1 in ranges for _ in range(z0, z1)]
    assert open_volume(image.path).values[:, 0, 0].tolist() == expected


def test_other_readers_and_strict_validators_accept_image_and_labels(tmp_path: Path) -> None:
    data = volume()
    path = make_image(tmp_path / "a.ome.zarr", data).folder
    labels = make_labels(path, tmp_path / "a.run")
    for _ in range(2):  # writing it again lists it once
        store.write_label_metadata(
            labels.folder,
            colors={1: (0, 255, 0, 255), 2: (255, 0, 0, 255)},
            properties=[{"label-value": 1, "volume": 3.5}, {"label-value": 3, "volume": 1.0}],
            extra={"run_json": "a.run/run.json"},
        )
    assert read_image(path).labels == ("nuclei",)
    assert read_image(labels.path).attributes["run_json"] == "a.run/run.json"
    content = json.loads((labels.folder / "zarr.json").read_text())["attributes"]["ome"]
    assert content["image-label"]["source"] == {"image": "../../"}
    assert json.loads((path / "labels" / "zarr.json").read_text())["attributes"]["ome"] == {
        "version": "0.5",
        "labels": ["nuclei"],
    }
    _validate(path)
    assert _levels_in_ome_zarr(path) == _levels_here(path)
    assert _levels_in_ome_zarr(labels.folder) == _levels_here(labels.folder)


def _validate(path: Path) -> None:
    import yaozarrs
    from ome_zarr_models.v05 import Image as ImageModel
    from ome_zarr_models.v05 import ImageLabel, Labels

    for inside in (path, path / "labels", path / "labels" / "nuclei"):
        yaozarrs.validate_zarr_store(str(inside))
    group = zarr.open_group(path, mode="r")
    ImageModel.from_zarr(group)
    labels: Any = group["labels"]
    Labels.from_zarr(labels)
    ImageLabel.from_zarr(labels["nuclei"])


def _levels_in_ome_zarr(path: Path) -> list[tuple[tuple[int, ...], int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ome_zarr.io import parse_url
        from ome_zarr.reader import Reader
    node = next(node for node in Reader(parse_url(path))() if node.zarr.basename() == path.name)
    return [(tuple(level.shape), int(np.asarray(level).sum())) for level in node.data]


def _levels_here(path: Path) -> list[tuple[tuple[int, ...], int]]:
    volumes = [open_volume(path, level=number) for number in range(len(read_image(path).levels))]
    return [(item.shape, int(item.values.sum())) for item in volumes]


def test_labels_belong_to_the_run_that_made_them(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.ome.zarr").folder
    made = make_labels(path, tmp_path / "a.run")
    before = open_volume(made.path).values
    again = make_labels(path, tmp_path / "a.run")
    assert again.complete
    assert np.array_equal(open_volume(again.path).values, before)
    for run in (tmp_path / "b.run", None):
        with pytest.raises(ExistsError, match=r"made by .*a\.run.*--overwrite.*--labels"):
            make_labels(path, run)
    fresh = store.create_labels(
        path, "nuclei", (20, 300, 521), "uint32", SIZE, run=tmp_path / "b.run", overwrite=True
    )
    assert not fresh.complete
    assert str(fresh.attributes["run"]).endswith("b.run")


def test_other_content_of_the_same_run_starts_empty(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.ome.zarr").folder
    make_labels(path, tmp_path / "a.run")
    other = store.create_labels(path, "nuclei", (20, 300, 521), "uint16", SIZE,
                                run=tmp_path / "a.run")  # fmt: skip
    assert other.dtype == np.uint16
    assert not other.complete


def test_labels_in_a_store_of_their_own_point_to_the_image(tmp_path: Path) -> None:
    image = make_image(tmp_path / "data" / "a.ome.zarr").folder
    labels = make_labels(tmp_path / "mine.ome.zarr", source_image=image)
    content = json.loads((labels.folder / "zarr.json").read_text())["attributes"]["ome"]
    link = content["image-label"]["source"]["image"]
    assert (labels.folder / link).resolve() == image.resolve()
    assert not (image / "labels").exists()
    with pytest.raises(InputError, match="holds the label groups labels/nuclei: name one of them"):
        open_volume(tmp_path / "mine.ome.zarr")


def test_an_error_names_where_labels_cannot_go_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.zarr"
    zarr.create_group(old, zarr_format=2)
    with pytest.raises(StorageError, match=r"old\.zarr is OME-Zarr 0\.4.*--labels PATH"):
        make_labels(old)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "z.txt").touch()
    with pytest.raises(StorageError, match=r"not an OME-Zarr store.*--labels PATH"):
        make_labels(tmp_path / "folder")
    path = make_image(tmp_path / "a.ome.zarr").folder

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(StorageError, match=r"cannot be written to.*--labels PATH"):
        make_labels(path)


def test_labels_have_integers_and_a_name(tmp_path: Path) -> None:
    for name, dtype in (("a/b", "uint8"), ("", "uint8"), ("a", "float32"), ("a", "bool")):
        with pytest.raises(InputError):
            store.create_labels(tmp_path / "a", name, (1, 2, 2), dtype, SIZE)


def test_overwrite_removes_only_what_we_wrote(tmp_path: Path) -> None:
    def create(path: Path, overwrite: bool) -> Image:
        return store.create_image(path, (2, 4, 4), "uint8", SIZE, name="a", overwrite=overwrite)

    ours = create(tmp_path / "ours", False).folder
    with pytest.raises(ExistsError, match="--overwrite"):
        create(ours, False)
    assert not create(ours, True).complete
    foreign = tmp_path / "foreign"
    zarr.create_group(foreign, zarr_format=3, attributes={"precious": 1})
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("years")
    link = tmp_path / "link"
    link.symlink_to(ours, target_is_directory=True)
    for path in (foreign, thesis, link, thesis / "thesis.tex"):
        with pytest.raises(ExistsError, match="never replaced"):
            create(path, True)
    assert (thesis / "thesis.tex").read_text() == "years"
    assert zarr.open_group(foreign, mode="r").attrs["precious"] == 1


@pytest.mark.parametrize("size", [(0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1), ("a", 1, 1)])
def test_a_voxel_size_is_three_positive_lengths(tmp_path: Path, size: Any) -> None:
    with pytest.raises(InputError, match="voxel size must be three"):
        store.create_image(tmp_path / "a", (2, 4, 4), "uint8", size, name="a")


def test_what_a_killed_run_leaves_of_labels_is_no_part_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_image(tmp_path / "a.ome.zarr").folder

    def killed(group: Path, *_: Any) -> None:
        group.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("hela_dask.storage.label_groups.build_group", killed)
    before = {item.name for item in path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        make_labels(path)
    assert {item.name for item in path.iterdir()} - before == {"labels"}
