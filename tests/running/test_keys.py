"""A fingerprint covers every group of parameters that the code of its unit reads."""

from __future__ import annotations

import dataclasses
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hela_dask.geometry import Geometry
from hela_dask.methods.method import Outputs
from hela_dask.methods.names import METHODS
from hela_dask.methods.registry import group_names
from hela_dask.operators import background
from hela_dask.parameters import Parameters, UnetParameters, method_groups
from hela_dask.running.finding import detect_task as _detect_task
from hela_dask.running.finding import levels_task as _levels_task
from hela_dask.running.joining import contacts_task as _contacts_task
from hela_dask.running.keys import GROUPS, Keys
from hela_dask.running.shapes import measure_task as _measure_task
from hela_dask.running.stages import background_task as _background_task
from hela_dask.running.stages import classify_task as _classify_task
from hela_dask.running.stages import segment_task as _segment_task
from hela_dask.running.stages import slab_task as _slab_task
from hela_dask.steps import detect
from hela_dask.steps.assemble import Slab
from hela_dask.steps.regions import Region
from hela_dask.volume.greys import GreyLevels
from tests.exactness.runs import go, write
from tests.methods.models import model_for
from tests.scenes import without_pages

ALL = [(group, item) for group, values in Parameters().to_dict().items() for item in values]
SLAB = Slab(0, 1, Geometry((1, 1, 1), (1.0, 1.0, 1.0)), ())
REGION = Region(1, (0.0, 0.0, 0.0), ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0)))
_READ: dict[str, set[str]] = defaultdict(set)
_HERE = threading.local()


def other(group: str, name: str) -> Parameters:
    """The defaults with one value changed."""
    old = getattr(getattr(Parameters(), group), name)
    if isinstance(old, str):
        new: Any = "published" if old == "default" else "elsewhere"
    elif name == "polarity":
        new = 1
    elif name == "in_runs":
        new = 0
    elif isinstance(old, int):
        new = old + 1
    else:
        new = old * 0.75 if old else 0.5
    return Parameters.from_dict({group: {name: new}})


def chain(parameters: Parameters, method: str) -> dict[str, str]:
    """The key of one unit of each stage."""
    outputs = None
    if method == "unet":
        outputs = Outputs(Path("model"), ("nucleus",), parameters.group(UnetParameters).spacing)
    keys = Keys("source", method, "", parameters, outputs)
    classes = keys.classify(GreyLevels())
    resin = keys.background(GreyLevels())
    return {
        "levels": keys.levels(),
        "background": resin,
        "detect": keys.detect(resin),
        "classify": classes,
        "segment": keys.segment(resin, classes, REGION),
        **({"contacts": keys.contacts(classes, SLAB, [])} if classes else {}),
        "assemble": keys.assemble(["a"], resin, []),
        "measure": keys.measure([keys.assemble(["a"], resin, [])], [1]),
    }


@pytest.mark.parametrize("method", METHODS)
def test_each_parameter_counts_where_its_group_is_read(method: str) -> None:
    before = chain(Parameters(), method)
    counting = {
        "quality": {"resolution", "span", "drift", "beside"},
        "assemble": {"reach", "cover", "largest_piece"},
        "region": {"cap", "width", "depth"},  # the others are in the region
        "measure": {"resolution", "smoothing", "handle", "protrusion", "reach"},
    }
    for group, name in ALL:
        after = chain(other(group, name), method)
        changed = {stage for stage in before if before[stage] != after[stage]}
        expected = {stage for stage, groups in GROUPS.items() if group in groups}
        if group in group_names(method):
            expected |= {"segment", "assemble"}
        if name not in counting.get(group, {name}):
            expected.clear()  # limits judge what was measured: the table is made in every run
        if method != "unet":
            expected -= {"classify", "contacts"}
        elif "classify" in expected or (group, name) == ("unet", "spacing"):
            expected |= {"classify", "segment", "contacts"}
        if "background" in expected:
            expected |= {"detect", "segment", "assemble"}
        if "assemble" in expected:
            expected.add("measure")
        assert changed == expected, f"[{group}] {name}"


def test_a_network_counts_by_its_content_not_by_its_place() -> None:
    one = Parameters.from_dict({"unet": {"model": "/a"}})
    two = Parameters.from_dict({"unet": {"model": "/b"}})
    keys = [
        Keys("s", "unet", network, p).segment("b", "c", REGION)
        for network, p in (("x", one), ("x", two), ("y", two))
    ]
    assert keys[0] == keys[1] != keys[2]


def levels_task(*args: Any) -> Any:
    return _recorded("levels", _levels_task, *args)


def slice_tasks(*args: Any) -> Any:
    return _recorded("detect", detect.slice_tasks, *args)


def detect_task(*args: Any) -> Any:
    return _recorded("detect", _detect_task, *args)


def background_with_statistics(*args: Any, **options: Any) -> Any:
    return _recorded("background", background.background_with_statistics, *args, **options)


def background_task(*args: Any) -> Any:
    return _recorded("background", _background_task, *args)


def segment_task(*args: Any) -> Any:
    return _recorded("segment", _segment_task, *args)


def classify_task(*args: Any) -> Any:
    return _recorded("classify", _classify_task, *args)


def contacts_task(*args: Any) -> Any:
    return _recorded("contacts", _contacts_task, *args)


def slab_task(*args: Any) -> Any:
    return _recorded("assemble", _slab_task, *args)


def measure_task(*args: Any) -> Any:
    return _recorded("measure", _measure_task, *args)


def _recorded(stage: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    _HERE.stage = stage
    try:
        return function(*args, **options)
    finally:
        _HERE.stage = None


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells at 20 nm: their outlines are refined."""
    return write(tmp_path_factory.mktemp("keys") / "two.ome.zarr", 20.0)


@pytest.mark.parametrize("method", METHODS)
def test_no_task_reads_a_group_that_its_key_does_not_cover(
    method: str, two: Path, here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pages(monkeypatch)
    groups = {item.name for item in dataclasses.fields(Parameters)} - {"methods"}
    names_of = {kind: name for name, kind in method_groups().items()}
    group_of = Parameters.group

    def noted_group(self: Parameters, kind: Any) -> Any:
        if getattr(_HERE, "stage", None):
            _READ[_HERE.stage].add(names_of[kind])
        return group_of(self, kind)

    read = object.__getattribute__

    def noted(self: Parameters, name: str) -> Any:
        if name in groups and getattr(_HERE, "stage", None):
            _READ[_HERE.stage].add(name)
        return read(self, name)

    for function in (
        *(levels_task, background_with_statistics, background_task, slice_tasks, detect_task),
        *(classify_task, segment_task, contacts_task, slab_task, measure_task),
    ):
        monkeypatch.setattr(f"hela_dask.running.pipeline.{function.__name__}", function)
    _READ.clear()
    more = model_for(method, tmp_path / "model")
    with monkeypatch.context() as recording:
        recording.setattr(Parameters, "__getattribute__", noted)
        recording.setattr(Parameters, "group", noted_group)
        result = go(two, here, method, method=method, **more)
    assert result.exit_code == 0
    declared = {stage: set(names) for stage, names in GROUPS.items()}
    for stage in ("classify", "segment", "contacts", "assemble"):
        declared[stage] |= set(group_names(method))
    unread = {stage: names - declared[stage] for stage, names in _READ.items()}
    assert not any(unread.values()), unread
    assert set(group_names(method)) & _READ["segment"]  # it was recorded at all
    assert _READ["background"] >= {"background"}
