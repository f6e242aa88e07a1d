"""Opening: OME-Zarr 0.4 and 0.5, axes and units of all kinds, and sentences for the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

import hela_dask as hd
from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.geometry import Geometry
from hela_dask.report.reading import open_view
from hela_dask.storage import store
from hela_dask.volume.opening import open_volume, read_image, working_volume

DATA = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)


def foreign(
    path: Path,
    data: NDArray[Any] = DATA,
    *,
    names: str = "zyx",
    unit: str | None = "nanometer",
    scale: Sequence[float] | None = (50.0, 10.0, 12.0),
    version: str = "0.4",
    extra: Sequence[dict[str, Any]] = (),
    translation: Sequence[float] | None = None,
) -> Path:
    """A store as some other program writes it, of one level."""
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    chunks = tuple(min(3, length) for length in data.shape)
    array = group.create_array("s0", shape=data.shape, dtype=data.dtype, chunks=chunks)
    array[...] = data
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": name, "type": kinds.get(name, "space")} for name in names]
    for axis in axes:
        if axis["type"] == "space" and unit is not None:
            axis["unit"] = unit
    steps: list[dict[str, Any]] = []
    if scale is not None:
        steps.append({"type": "scale", "scale": list(scale)})
    if translation is not None:
        steps.append({"type": "translation", "translation": list(translation)})
    image: dict[str, Any] = {
        "axes": axes,
        "datasets": [{"path": "s0", "coordinateTransformations": steps}],
        "coordinateTransformations": list(extra),
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{**image, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("unit", "factor"), [("nanometer", 1), ("micrometer", 1e3), ("angstrom", 0.1), ("µm", 1e3)]
)
def test_any_unit_of_length_becomes_nm(
    tmp_path: Path, version: str, unit: str, factor: float
) -> None:
    scale = [50 / factor, 10 / factor, 12 / factor]
    path = foreign(tmp_path / "a.zarr", unit=unit, scale=scale, version=version,
                   translation=[0, 1 / factor, 2 / factor])  # fmt: skip
    volume = open_volume(path)
    assert read_image(path).version == version
    assert Geometry.of(volume).voxel_size == pytest.approx((50, 10, 12))
    assert volume.coords["y"].values == pytest.approx(1 + 10 * np.arange(6))
    assert volume.coords["x"].values == pytest.approx(2 + 12 * np.arange(8))
    assert volume.dims == ("z", "y", "x")
    assert np.array_equal(volume.values, DATA)


def test_axes_of_length_one_go(tmp_path: Path) -> None:
    scale = [1, 1, 0.05, 0.01, 0.012]
    path = foreign(tmp_path / "a.zarr", DATA[np.newaxis, np.newaxis], names="tczyx",
                   unit="micrometer", scale=scale)  # fmt: skip
    volume = open_volume(path)
    assert Geometry.of(volume).voxel_size == pytest.approx((50, 10, 12))
    assert np.array_equal(volume.values, DATA)
    assert np.array_equal(volume[1:3, 2:5, 3:].values, DATA[1:3, 2:5, 3:])


def test_a_plane_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", DATA[0], names="yx", scale=[10, 12])
    volume = open_volume(path)
    assert volume.shape == (1, 6, 8)
    assert Geometry.of(volume).voxel_size == (10, 10, 12)
    assert np.array_equal(volume.values[0], DATA[0])


def test_scale_of_the_level_and_of_the_image_multiply(tmp_path: Path) -> None:
    extra = [{"type": "scale", "scale": [2, 3, 4]}, {"type": "translation", "translation": [5] * 3}]
    path = foreign(tmp_path / "a.zarr", scale=[1, 1, 1], translation=[7, 7, 7], extra=extra)
    level = read_image(path).levels[0]
    assert level.voxel_size == (2, 3, 4)
    assert level.translation == (19, 26, 33)


def ours(path: Path, shape: tuple[int, int, int] = (20, 600, 700)) -> Path:
    data = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image = store.create_image(path, shape, "uint8", (50, 10, 10), name="a")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, data[z0:z1])
    return path


def test_the_level_is_the_coarsest_that_is_fine_enough(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.ome.zarr")
    chosen = {
        resolution: open_volume(path, resolution).attrs["level"]
        for resolution in (None, 1, 10, 19.9, 20, 39, 40, 1e9)
    }
    assert chosen == {None: 0, 1: 0, 10: 0, 19.9: 0, 20: 1, 39: 1, 40: 2, 1e9: 2}
    for resolution, level in ((0, None), (-1, None), (float("nan"), None), (10, 0), (None, 3)):
        with pytest.raises(ParameterError):
            open_volume(path, resolution, level=level)


def test_levels_with_fewer_slices_are_passed_over(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr")
    group = zarr.open_group(path, mode="r+")
    group.create_array("s1", data=DATA[::2, ::2, ::2])
    multiscales: Any = group.attrs["multiscales"]
    step = {"type": "scale", "scale": [100.0, 20.0, 24.0]}
    multiscales[0]["datasets"].append({"path": "s1", "coordinateTransformations": [step]})
    group.attrs["multiscales"] = multiscales
    assert open_volume(path, 1000.0).shape == DATA.shape
    assert open_volume(path, level=1).shape == (2, 3, 4)
    view = open_view(path, None, None, pixels=4).image
    assert view.shape == (4, 3, 4) and np.array_equal(view.values, DATA[:, ::2, ::2])


def test_what_a_volume_says(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.ome.zarr")
    volume = open_volume(str(path), level=1)
    assert volume.attrs == {
        "voxel_size": (50.0, 20.0, 20.0),
        "long_name": "image",
        "source": str(path),
        "level": 1,
    }
    for axis in "zyx":
        assert volume.coords[axis].attrs == {"units": "nm", "long_name": axis}
    assert volume.name == "image"
    assert volume.coords["x"].values[:3].tolist() == [5, 25, 45]
    assert volume.coords["x"].dtype == np.float64
    assert volume.data.chunksize == (16, 300, 350)
    assert open_volume(path).data.chunksize == (16, 600, 700)


def test_a_window_reads_only_its_own_shards(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    image = store.create_image(path, (8, 64, 64), "uint8", (50, 10, 10), name="a",
                               chunks=(4, 16, 16), shards=(4, 32, 32))  # fmt: skip
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, np.full((z1 - z0, 64, 64), 7, np.uint8))
    for shard in (path / "0" / "c").rglob("*"):
        if shard.is_file() and shard.relative_to(path / "0" / "c").parts != ("1", "0", "1"):
            shard.write_bytes(b"broken")
    assert (open_volume(path)[4:, :32, 32:].values == 7).all()


def test_a_store_that_was_written_anew_is_another_array_to_dask(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.ome.zarr", (2, 9, 9))
    first = open_volume(path).data.name
    assert open_volume(path).data.name == first
    store.reopen(path, [(0, 2)])
    store.write_slab(path, 0, np.ones((2, 9, 9), np.uint8))
    assert open_volume(path).data.name != first


def test_a_label_group_is_opened_by_its_path(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.ome.zarr", (2, 9, 9))
    labels = store.create_labels(path, "nuclei", (2, 9, 9), "uint16", (50, 10, 10))
    store.write_slab(labels, 0, np.full((2, 9, 9), 3, np.uint16), downsample="nearest")
    volume = open_volume(path / "labels" / "nuclei")
    assert volume.name == "nuclei"
    assert volume.dtype == np.uint16
    assert int(volume.max()) == 3
    with pytest.raises(InputError, match="label groups nuclei: name one of them"):
        open_volume(path / "labels")


def test_the_voxel_size_follows_the_coordinates(tmp_path: Path) -> None:
    volume = open_volume(ours(tmp_path / "a.ome.zarr"))
    assert Geometry.of(volume).voxel_size == (50, 10, 10)
    assert Geometry.of(volume[:, ::2, ::4]).voxel_size == (50, 20, 40)
    assert Geometry.of(volume[:1, 3:4]).voxel_size == (50, 10, 10)
    bare = xr.DataArray(np.zeros((2, 2, 2)), dims="zyx".__iter__())
    with pytest.raises(InputError, match="voxel size along z"):
        Geometry.of(bare)
    steps = {axis: [0.0, 4.6] for axis in "zyx"}
    assert Geometry.of(bare.assign_coords(steps)).voxel_size == (4.6, 4.6, 4.6)
    with pytest.raises(InputError, match="evenly"):
        Geometry.of(volume.isel(z=[0, 1, 3]))
    with pytest.raises(InputError, match="dimensions"):
        Geometry.of(volume.isel(z=0))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v[::-1], "coordinate 'z' of the volume falls"),
        (lambda v: v.assign_coords(z=["0", "1", "2"]), "'z' of the volume holds <U1 values"),
        (lambda v: v.assign_coords(y=v.y.astype("datetime64[s]")), "'y' of the volume holds date"),
        (lambda v: v.assign_coords(x=("x", v.x.values / 1000, {"units": "µm"})), "'x' .* in µm"),
        (lambda v: v.assign_attrs(units="micrometer"), "volume is in micrometer"),
        (lambda v: v.assign_coords({a: v[a] / 10000 for a in "zyx"}), "less than an atom"),
        (
            lambda v: v.drop_vars(["z", "y", "x"]).assign_attrs(voxel_size=(80, 80)),
            "not three lengths",
        ),
        (
            lambda v: v.drop_vars(["z", "y", "x"]).assign_attrs(voxel_size="100 80 80"),
            "not three lengths",
        ),
        (lambda v: v.drop_vars(["z", "y", "x"]).assign_attrs(voxel_size=None), "not three lengths"),
    ],
)
def test_coordinates_that_are_no_lengths_in_nm_are_refused(
    change: Callable[[xr.DataArray], xr.DataArray], sentence: str
) -> None:
    steps = {axis: [0.0, 80.0, 160.0] for axis in "zyx"}
    volume = xr.DataArray(np.zeros((3, 3, 3)), coords=steps, dims=("z", "y", "x"))
    assert Geometry.of(volume).voxel_size == (80, 80, 80)
    with pytest.raises(InputError, match=sentence):
        Geometry.of(change(volume))


def test_places_without_coordinates_are_steps_of_the_voxel_size() -> None:
    grey = np.zeros((3, 8, 8), np.uint8)
    bare = xr.DataArray(grey, dims=("z", "y", "x"), attrs={"voxel_size": [50, 10, 10]})
    assert Geometry.of(bare).positions("z").tolist() == [0, 50, 100]
    half = working_volume(bare, 20)
    assert Geometry.of(half).voxel_size == (50, 20, 20)
    assert half["x"].values.tolist() == [5, 25, 45, 65]


def _no_scale(path: Path) -> Path:
    return foreign(path, scale=None)


def _no_unit(path: Path) -> Path:
    return foreign(path, unit=None)


def _zero_scale(path: Path) -> Path:
    return foreign(path, scale=[0, 1, 1])


def _two_channels(path: Path) -> Path:
    return foreign(path, np.stack([DATA, DATA]), names="czyx", scale=[1, 1, 1, 1])


def _no_row(path: Path) -> Path:
    return foreign(path, names="xcz")


def _old(path: Path) -> Path:
    foreign(path)
    facts = json.loads((path / ".zattrs").read_text())
    facts["multiscales"][0]["version"] = "0.2"
    (path / ".zattrs").write_text(json.dumps(facts))
    return path


def _no_array(path: Path) -> Path:
    foreign(path, version="0.5")
    (path / "s0" / "zarr.json").unlink()
    return path


def _broken_json(path: Path) -> Path:
    foreign(path, version="0.5")
    (path / "zarr.json").write_text('{"zarr_format": 3,')
    return path


def _array(path: Path) -> Path:
    return foreign(path, version="0.5") / "s0"


def _old_array(path: Path) -> Path:
    return foreign(path) / "s0"


def _plain_group(path: Path) -> Path:
    zarr.create_group(path, zarr_format=3)
    return path


def _tiff(path: Path) -> Path:
    path = path.with_suffix(".tif")
    path.write_bytes(b"II*\0")
    return path


def _slices(path: Path) -> Path:
    path.mkdir()
    (path / "z1.tif").touch()
    return path


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_no_scale, r"does not state its voxel size .*--voxel-size"),
        (_no_unit, r"does not state its voxel size .*--voxel-size"),
        (_zero_scale, r"voxel size of 0 nanometer along z"),
        (_two_channels, r"2 positions along its axis 'c'"),
        (_no_row, r"must have the axes z, y, x; it has: x, c, z"),
        (_old, r"is OME-Zarr 0\.2; versions 0\.4 and 0\.5 are read"),
        (_no_array, r"no readable array 's0'"),
        (_broken_json, r"unreadable zarr metadata"),
        (_array, r"one array of a store: name the group"),
        (_old_array, r"one array of a store: name the group"),
        (_plain_group, r"not an OME-Zarr image or label group"),
        (_tiff, r"is a TIFF, not an OME-Zarr store: convert it first .*hela-dask convert"),
        (_slices, r"folder of slices, .*convert it first"),
        (_empty, r"not an OME-Zarr store"),
    ],
)
def test_what_cannot_be_opened_is_named_in_one_sentence(
    tmp_path: Path, make: Any, sentence: str
) -> None:
    path = make(tmp_path / "a.zarr")
    with pytest.raises(InputError, match=sentence) as caught:
        open_volume(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [open_volume, hd.describe, hd.plan, hd.verify, hd.open_run])
@pytest.mark.parametrize("given", [DATA, None, 5])
def test_what_is_no_path_is_named(call: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(InputError, match=f"a path is needed here, not {type(given).__name__}"):
        call(given)


def test_numbers_of_another_kind_are_one_sentence(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.ome.zarr")
    wrong: list[dict[str, Any]] = [{"level": 0.5}, {"resolution": "40"}]
    for options in wrong:
        with pytest.raises(ParameterError):
            open_volume(path, **options)
    with pytest.raises(InputError, match="label 3 is not a whole number"):
        hd.plan(path, cells="3")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a region is one of those of cell_regions, not tuple"):
        hd.segment_cell(open_volume(path), (1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="detections are a DataFrame"):
        hd.link_cells(None, open_volume(path))  # type: ignore[arg-type]


def test_a_missing_path_and_a_url_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.ome\.zarr does not exist"):
        open_volume(tmp_path / "nowhere.ome.zarr")
    with pytest.raises(MissingInputError, match=r"/nowhere\.zarr does not exist"):
        open_volume("file:///nowhere.zarr")
    with pytest.raises(InputError, match=r"begins with ftp://, which is not read"):
        open_volume("ftp://x.org/a.zarr")
