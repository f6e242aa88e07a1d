"""Every reader of metadata with valid examples, and what makes them hostile."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import tifffile

from hela_dask.conversion.sources import open_source
from hela_dask.parameters import Parameters
from hela_dask.report.page import render
from hela_dask.running.provenance import read_run
from hela_dask.running.reading import read_folder
from hela_dask.storage import store
from hela_dask.storage.label_groups import create_labels
from hela_dask.storage.manifest import read_slab_mark
from hela_dask.storage.metadata import read_image
from hela_dask.storage.tables import read_table
from hela_dask.tasks.cluster import read_cluster
from hela_dask.tasks.markers import Markers
from hela_dask.unet.card import Card, card_text, read_card
from tests.fuzz.edits import EDITS, read_edits
from tests.fuzz.mutations import mutate_binary, mutate_json, mutate_text
from tests.fuzz.networks import networks, read_network, write_network

__all__ = ["TARGETS", "Target"]

SHAPE, VOXEL = (4, 16, 16), (50.0, 10.0, 10.0)
Make = Callable[[Path], Any]


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes
    ----------
    inputs : int
        How many are tried.
    prepare : callable (folder) -> state
        Makes what is mutated; called once.
    write : callable (folder, state, random)
        Writes one hostile input.
    read : callable (folder)
        Reads it; raises an error of this package, or AssertionError where the result is absurd.
    """

    inputs: int
    prepare: Callable[[Path], Any]
    write: Callable[[Path, Any, Random], None]
    read: Callable[[Path], Any]


def _documents(folder: Path) -> dict[str, Any]:
    """The metadata files of a store."""
    names = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text())
        for path in sorted(folder.rglob("*"))
        if path.name in names
    }


def _write_one_document(folder: Path, state: dict[str, Any], random: Random) -> None:
    """All documents as they were, but one or two."""
    for name, content in state.items():
        (folder / name).write_text(json.dumps(content))
    for name in random.sample(sorted(state), min(len(state), random.choice((1, 1, 2)))):
        (folder / name).write_bytes(mutate_json(random, state[name]))


def _zarr5(folder: Path) -> dict[str, Any]:
    image = store.create_image(folder / "a.ome.zarr", SHAPE, np.uint8, VOXEL, name="image")
    group = create_labels(image.folder, "cells", SHAPE, np.uint32, VOXEL, source_image=image.folder)
    for made, dtype in ((image, np.uint8), (group, np.uint32)):
        for z0, z1 in store.slabs(made):
            store.write_slab(made, z0, np.ones((z1 - z0, *SHAPE[1:]), dtype))
    store.write_label_metadata(group.folder, colors={1: (1, 2, 3, 255)}, properties=[])
    return _documents(folder)


def _zarr4(folder: Path) -> dict[str, Any]:
    path = folder / "a.ome.zarr"
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    datasets = []
    for level in (0, 1):
        scale = [50.0, 10.0 * 2**level, 10.0 * 2**level]
        changes = [{"type": "scale", "scale": scale}]
        if level:
            changes.append({"type": "translation", "translation": [0.0, 5.0, 5.0]})
        datasets.append({"path": str(level), "coordinateTransformations": changes})
        shape = [4, 16 >> level, 16 >> level]
        array = path / str(level)
        array.mkdir(parents=True)
        (array / ".zarray").write_text(
            json.dumps(
                {
                    **{"zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "|u1"},
                    **{"compressor": None, "fill_value": 0, "order": "C", "filters": None},
                    "dimension_separator": "/",
                }
            )
        )
        (array / "0" / "0").mkdir(parents=True)
        (array / "0" / "0" / "0").write_bytes(bytes(np.prod(shape)))
    multiscale = {"version": "0.4", "name": "image", "axes": axes, "datasets": datasets}
    omero = {"channels": [{"window": {"start": 0, "end": 255, "min": 0, "max": 255}}]}
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps({"multiscales": [multiscale], "omero": omero}))
    return _documents(folder)


def _read_zarr(folder: Path) -> None:
    image = read_image(folder / "a.ome.zarr")
    for level in image.levels:
        assert len(level.shape) == 3
        assert all(size > 0 for size in level.shape)
        assert all(math.isfinite(step) and step > 0 for step in level.voxel_size)
        assert all(math.isfinite(place) for place in level.translation)
    for name in image.labels:
        read_image(image.path / "labels" / name)
    source = open_source(folder / "a.ome.zarr")
    if np.prod(source.shape) < 10**6:
        assert source.read(0, 1).shape == (1, *source.shape[1:])
    store_facts(folder / "a.ome.zarr")


def store_facts(path: Path) -> Any:
    """What ``hela-dask info`` shows."""
    import hela_dask

    return hela_dask.describe(path)


def _tiff(**options: Any) -> bytes:
    buffer = io.BytesIO()
    ramp = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    tifffile.imwrite(buffer, ramp, **options)
    return buffer.getvalue()


def _tiffs(folder: Path) -> list[bytes]:
    del folder
    size = {"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}
    return [
        _tiff(photometric="minisblack", **size),
        _tiff(imagej=True, metadata={"spacing": 0.05, "unit": "um", "axes": "ZYX"}),
        _tiff(ome=True, metadata={"axes": "ZYX", "PhysicalSizeZ": 0.05, "PhysicalSizeX": 0.01}),
        _tiff(photometric="minisblack", bigtiff=True, compression="zlib"),
        _tiff(photometric="miniswhite", byteorder=">", tile=(16, 16)),
    ]


def _write_tiff(folder: Path, state: list[bytes], random: Random) -> None:
    content = random.choice(state)
    header = random.choice((8, 300, len(content)))
    order = ">" if content[:2] == b"MM" else "<"
    (folder / "a.tif").write_bytes(mutate_binary(random, content, header, order))


_IMAGEJ = (
    "ImageJ=1.54f\nimages=3\nslices=3\nunit=nm\nspacing=50.0\nloop=false\nmin=0.0\nmax=255.0\n"
)
_OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">
<Image ID="Image:0" Name="a"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="9"
SizeY="8" SizeC="1" SizeZ="3" SizeT="1" PhysicalSizeX="10.0" PhysicalSizeXUnit="nm"
PhysicalSizeY="10.0" PhysicalSizeYUnit="nm" PhysicalSizeZ="50.0" PhysicalSizeZUnit="nm">
<Channel ID="Channel:0:0" SamplesPerPixel="1"/>
<TiffData IFD="0" PlaneCount="2" FirstZ="0"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>
<TiffData IFD="2" PlaneCount="1" FirstZ="2" FirstC="0" FirstT="0"/>
<Plane TheZ="0" TheC="0" TheT="0"/></Pixels></Image></OME>"""
_SHAPED = '{"shape": [3, 8, 9], "axes": "ZYX", "spacing": 50.0, "unit": "nm"}'
_CARL_ZEISS = (
    "[User]\nAP_PIXEL_SIZE\nImage Pixel Size = 10.0 nm\nPixelWidth=1e-08\nPixelHeight=1e-08\n"
)


def _write_described(folder: Path, state: None, random: Random) -> None:
    """A TIFF whose description is hostile, in one page or in all."""
    text = mutate_text(random, random.choice((_OME, _OME, _IMAGEJ, _SHAPED, _CARL_ZEISS)))
    with tifffile.TiffWriter(folder / "a.tif") as tiff:
        for page in range(3):
            description = text.replace(b"\0", b"") if not page or random.random() < 0.1 else None
            tiff.write(
                np.full((8, 9), page, np.uint8),
                photometric="minisblack",
                description=description,
                metadata=None,
            )


def _mrcs(folder: Path) -> list[bytes]:
    found = []
    for dtype in (np.uint8, np.int16, np.uint16, np.float32):
        path = folder / "seed.mrc"
        with mrcfile.new(path, overwrite=True) as mrc:
            mrc.set_data(np.ones((3, 8, 9), np.int8 if dtype == np.uint8 else dtype))
            mrc.voxel_size = (100.0, 100.0, 500.0)
        found.append(path.read_bytes())
    path.unlink()
    return found


def _write_mrc(folder: Path, state: list[bytes], random: Random) -> None:
    (folder / "a.mrc").write_bytes(mutate_binary(random, random.choice(state), 1024))


def _read_source(folder: Path, name: str) -> None:
    source = open_source(folder / name)
    assert len(source.shape) == 3
    assert all(size > 0 for size in source.shape)
    assert all(step is None or (math.isfinite(step) and step > 0) for step in source.sizes)
    if np.prod(source.shape) < 10**6:
        assert source.read(0, 1).shape == (1, *source.shape[1:])


def _json_files(contents: dict[str, Any]) -> Callable[[Path], dict[str, Any]]:
    def prepare(folder: Path) -> dict[str, Any]:
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        return contents

    return prepare


_RECORD = [100, 3735928559]
_MARKER = {
    "fingerprint": "0" * 32,
    "result": {"status": "segmented", "volume": 1.5, "flags": ""},
    "files": {"run/coarse/cell_1.zarr/c/0": _RECORD, "labels/cells/0/c/0/0/0": None},
}
_RUN = {
    **{"state": "finished", "error": "", "store": "a.ome.zarr", "fingerprint": "0", "exit_code": 0},
    "image": {
        **{"shape": [4, 16, 16], "voxel_size": [50.0, 10.0, 10.0], "dtype": "uint8", "levels": 2},
        "extent": [200.0, 160.0, 160.0],
    },
    "method": "volumetric",
    "parameters": Parameters().to_dict(),
    "grey_levels": {"inverted": False, "cell": 100.0, "resin": 180.0, "low": 50.0, "high": 200.0},
    "labels": {"cells": "a.ome.zarr/labels/cells"},
    "started": "2026-01-02T03:04:05+00:00",
    "finished": "2026-01-02T03:14:05+00:00",
    "timings": {"detect": 2.0, "segment": 130.5},
    "statuses": {"segmented": 1},
    "warnings": ["slice 3 is empty"],
    "dask": {"workers": 2, "threads": 2, "dashboard": "http://localhost:8787/status"},
    "versions": {"hela_dask": "0.1.0", "numpy": "2.0"},
    "machine": {"platform": "Linux", "command": ["hela-dask", "run", "a.ome.zarr"]},
}
_CLASS = {
    **{"ji": 0.5, "ac": 0.9, "dice": 0.7, "ari": 0.1, "npr": 0.5, "kappa": 0.2},
    **{"hausdorff_mean": 10.0, "hausdorff_95": 50.0, "slice_mean": {"ji": 0.5}},
    **{"slice_sd": {"ji": 0.1}, "per_slice": {"slice": [1, 2], "ji": [0.5, None]}},
}
_LEVEL = {"iou": 0.5, "tp": 1, "fp": 0, "fn": 0, "precision": 1.0, "recall": 1.0, "f1": 1.0}
_SCORES = {
    **{"kind": "classes", "truth": {"classes": "truth.tif"}, "slices": [1, 4]},
    "nucleus": _CLASS,
    "cell": {"instances": {"thresholds": [_LEVEL], "mean_iou": 0.9, "slices": [1, 4]}},
}


def _run_folder(folder: Path) -> dict[str, Any]:
    pd.DataFrame(
        {
            **{"label": [1], "z": [100.0], "y": [80.0], "x": [80.0], "status": ["segmented"]},
            **{"first_slice": [1], "last_slice": [4], "reason": [""], "flags": ["touches"]},
            **{"nucleus_volume": [1.0], "cell_volume": [3.0], "complete": [True]},
        }
    ).to_parquet(folder / "cells.parquet")
    return _json_files({"run.json": _RUN, "scores.json": _SCORES})(folder)


def _read_run_folder(folder: Path) -> None:
    read_run(folder)
    found = read_folder(folder)
    assert found.facts.get("timings") is None or sum(found.facts["timings"].values()) >= 0
    assert "<html" in render(found, [], [])


def _read_markers(folder: Path) -> None:
    marker = Markers(folder).read("segment", "1")
    if marker is not None:
        assert isinstance(marker.fingerprint, str)
        assert all(record is None or record.size >= 0 for record in marker.files.values())
        assert isinstance(Markers(folder).result("segment", "1", marker.fingerprint), dict)
    read_slab_mark(folder / "slab.json")


def _read_card(folder: Path) -> None:
    card = read_card(folder / "card.json")
    assert card.slices % 2 == 1
    assert min(card.voxel_size) > 0
    assert card_text(card).startswith("# ")


def _texts(*texts: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: texts


def _write_text(name: str) -> Callable[[Path, Any, Random], None]:
    def write(folder: Path, state: Any, random: Random) -> None:
        (folder / name).write_bytes(mutate_text(random, random.choice(state)))

    return write


def _read_toml(folder: Path) -> None:
    values = Parameters.from_toml(folder / "run.toml").to_dict()
    numbers: Iterable[Any] = (item for group in values.values() for item in group.values())
    assert all(math.isfinite(item) for item in numbers if isinstance(item, float))


def _read_yaml(folder: Path) -> None:
    cluster = read_cluster(folder / "a.yaml")
    assert cluster.workers is None or cluster.workers >= 1
    assert cluster.memory is None or cluster.memory >= 1


def _read_csv(folder: Path) -> None:
    table = read_table(folder / "a.csv", "the table")
    found = table.numbers(["z", "y", "x"], lengths=True)
    if "label" in table:
        found |= table.numbers(["label"])
    for values in found.values():
        assert len(values) == len(table.rows)
        assert not np.isinf(values).any()


_YAML = """# a cluster
scheduler: slurm
workers: 4
options:
  queue: normal
  cores: 1
  processes: 1
  memory: 16GiB
  walltime: "02:00:00"
  job_extra_directives: ["--mail-type=END", "--gres=gpu:1"]
  worker_extra_args: ["--lifetime", "100m"]
"""
_CSV = (
    "label,z,y,x\n1,3000.5,5000,5100\n2,3100,5200.25,5300\n",
    "index,axis-0,axis-1,axis-2,label\n0,10,20,30,1\n1,11,21,31,2\nz,y,x\n",
    "z;y;x\n3000,5;5000;5100\n1.000,5;2;3\n",
    'sep=\t\nz (µm)\ty\tx\t"note"\n3.5\t5000\t5100\t"a, ""b"""\n',
    'z,y,x,label\n"3,000.5","5,000","5,100",\n,,,2\n',
)
_CARD = Card("residual", ("cell", "nucleus"), (50.0, 10.0, 10.0), ("distance",), 3).to_dict()

TARGETS: dict[str, Target] = {
    "zarr 0.5": Target(900, _zarr5, _write_one_document, _read_zarr),
    "zarr 0.4": Target(900, _zarr4, _write_one_document, _read_zarr),
    "TIFF": Target(1000, _tiffs, _write_tiff, lambda folder: _read_source(folder, "a.tif")),
    "description of a TIFF": Target(
        900, lambda folder: None, _write_described, lambda folder: _read_source(folder, "a.tif")
    ),
    "MRC": Target(1000, _mrcs, _write_mrc, lambda folder: _read_source(folder, "a.mrc")),
    "markers": Target(
        1200,
        _json_files({"segment-1.json": _MARKER, "slab.json": {"files": _MARKER["files"]}}),
        _write_one_document,
        _read_markers,
    ),
    "run folder": Target(1000, _run_folder, _write_one_document, _read_run_folder),
    "card": Target(800, _json_files({"card.json": _CARD}), _write_one_document, _read_card),
    "edits": Target(800, _json_files({"edits.json": EDITS}), _write_one_document, read_edits),
    "network": Target(1000, networks, write_network, read_network),
    "YAML": Target(800, _texts(_YAML), _write_text("a.yaml"), _read_yaml),
    "TOML": Target(800, _texts(Parameters().to_toml()), _write_text("run.toml"), _read_toml),
    "CSV": Target(1500, _texts(*_CSV), _write_text("a.csv"), _read_csv),
}


def clean(folder: Path) -> None:
    """An empty folder for the next target."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
