"""Errors of the measures of shape: ``python -m benchmarks.measures [--write]``.

Balls, ellipsoids and tori are drawn at random rotations and positions between voxels, as labels of
10, 20 and 40 nm pixels in slices of 25, 50 and 100 nm, and measured as a run would; their true
measures are formulas. So are contacts, which are discs in planes of random orientation. A phantom
has no formulas: its truth is measured on its own voxels of 25 x 20 x 20 nm, at the same smoothing;
the coarser labels are every n-th slice and pixel of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import pages, results
from hela_dask.kernels.shape import find_moments, sphericity
from hela_dask.parameters import MeasureParameters
from hela_dask.phantom import KINDS, phantom_block, plan_phantom
from hela_dask.steps.contacts import find_contacts
from hela_dask.steps.shape import measure_shape
from hela_dask.types import Labels, Voxel
from tests.shapes import Shape, ball, ellipsoid, torus

__all__ = ["contact_rows", "phantom_rows", "shape_rows"]

VOXELS: tuple[Voxel, ...] = tuple(
    (depth, pixel, pixel)
    for depth, pixel in itertools.product((25.0, 50.0, 100.0), (10.0, 20.0, 40.0))
)
SHAPES = {
    "ball, 2 µm": ball(1000.0),
    "ball, 8 µm": ball(4000.0),
    "ellipsoid, 2 x 1.4 x 1 µm": ellipsoid(1000.0, 700.0, 500.0),
    "ellipsoid, 5 x 4 x 3 µm": ellipsoid(2500.0, 2000.0, 1500.0),
    "torus, 2 µm, tube 0.6 µm": torus(700.0, 300.0),
    "torus, 4 µm, tube 1 µm": torus(1500.0, 500.0),
}
_LARGEST = 130  # pixels from the centre of a shape to its surface
_FINE: Voxel = (25.0, 20.0, 20.0)  # of the phantoms
_CELL = 7.0  # diameter of a phantom's cell, µm
_PLACES = ("offset_z", "offset_y", "offset_x")


def _shape_errors(shape: Shape, voxel: Voxel, seed: int) -> dict[str, float]:
    """Errors of the measures of one shape, relative or in nm; measured as a nucleus is."""
    labels = (shape.draw(voxel, seed) > 0.5).astype(np.uint8)
    found = {
        name.removeprefix("nucleus_"): value
        for name, value in measure_shape(labels, labels, 1, voxel).items()
    }
    volume, area = shape.hull
    truth = {
        "area": shape.area / 1e6,
        "sphericity": sphericity(shape.volume, shape.area),
        "solidity": shape.volume / volume,
        "ruffling": shape.area / area,
        "max_diameter": 2 * shape.reach,
    }
    errors = {name: found[name] / value - 1 for name, value in truth.items()}
    errors["volume"] = find_moments(labels.astype(np.float32), voxel).volume / shape.volume - 1
    lengths = [found[f"axis_{number}"] / shape.axes[number - 1] - 1 for number in (1, 2, 3)]
    errors["axes"] = max(lengths, key=abs)
    errors["handles"] = found["handles"] - shape.is_torus
    errors["invagination"] = found["invagination"] - (shape.radii[1] if shape.is_torus else 0)
    return errors


def _summary(errors: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and largest absolute error of each measure."""
    return {
        name: {
            "mean": float(np.mean([row[name] for row in errors])),
            "worst": max(abs(row[name]) for row in errors),
        }
        for name in errors[0]
    }


def shape_rows(seeds: int) -> dict[str, Any]:
    """Errors by voxel size over all shapes, and by shape over all voxel sizes."""
    by_voxel: dict[Voxel, list[dict[str, float]]] = {voxel: [] for voxel in VOXELS}
    by_shape: dict[str, list[dict[str, float]]] = {name: [] for name in SHAPES}
    for (name, shape), voxel in itertools.product(SHAPES.items(), VOXELS):
        if shape.reach > _LARGEST * voxel[1]:
            continue
        for seed in range(seeds):
            errors = _shape_errors(shape, voxel, seed)
            by_voxel[voxel].append(errors)
            by_shape[name].append(errors)
        print(f"{name}, {voxel}: {_summary(by_shape[name][-seeds:])['area']}", flush=True)
    return {
        "seeds": seeds,
        "voxels": [{"voxel": voxel, "errors": _summary(rows)} for voxel, rows in by_voxel.items()],
        "shapes": [{"shape": name, "errors": _summary(rows)} for name, rows in by_shape.items()],
    }


def _halves(voxel: Voxel, radius: float, seed: int) -> Labels:
    """A ball of two labels that touch in a plane through its centre."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=3)
    shift = rng.uniform(-0.5, 0.5, 3) * voxel
    places = [
        np.arange(-radius - 2 * size, radius + 2 * size, size) + offset
        for size, offset in zip(voxel, shift, strict=True)
    ]
    z, y, x = np.meshgrid(*places, indexing="ij", sparse=True)
    upper = normal[0] * z + normal[1] * y + normal[2] * x > 0
    return np.where(z**2 + y**2 + x**2 < radius**2, upper + np.uint8(1), np.uint8(0))


def contact_rows(seeds: int) -> list[dict[str, Any]]:
    """Relative errors of the area of a contact of 2 µm, and of one around a ball of 2 µm."""
    found = []
    for voxel in VOXELS:
        plane, curved = [], []
        for seed in range(seeds):
            table = find_contacts(_halves(voxel, 1000.0, seed), voxel)
            plane.append({"area": table["contact_area"].item() / math.pi - 1})
            inside = ball(1000.0).draw(voxel, seed, margin=100.0) > 0.5
            table = find_contacts(np.where(inside, np.uint8(1), np.uint8(2)), voxel)
            curved.append({"area": table["contact_area"].item() / (4 * math.pi) - 1})
        row = {"plane": _summary(plane)["area"], "ball": _summary(curved)["area"]}
        found.append({"voxel": voxel, **row})
    return found


def _coarser(labels: Labels, voxel: Voxel) -> Labels:
    """Every n-th slice and pixel of a phantom, from its middle."""
    steps = [round(size / fine) for size, fine in zip(voxel, _FINE, strict=True)]
    return labels[tuple(slice(by // 2, None, by) for by in steps)]


def _phantom_errors(found: dict[str, float], truth: dict[str, float]) -> Iterator[dict[str, Any]]:
    """Truth and measured value of each measure that is not a component of a vector."""
    for name, value in truth.items():
        if "direction" not in name and not name.endswith(_PLACES):
            yield {"measure": name, "truth": value, "found": found[name]}


def phantom_rows() -> list[dict[str, Any]]:
    """Measures of a phantom of each kind, true and by voxel size."""
    found = []
    for kind in KINDS:
        shape = (320, 400, 400)
        spec = plan_phantom(shape, 1, _CELL, 0, _FINE, kind=kind)
        block = phantom_block(spec, 0, shape[0], 0, shape[1], 0, shape[2])
        fine = MeasureParameters(resolution=_FINE[1])
        truth = measure_shape(block.cells, block.nuclei, 1, _FINE, parameters=fine)
        for voxel in VOXELS:
            if voxel[1] < _FINE[1] or voxel == _FINE:
                continue
            cells, nuclei = _coarser(block.cells, voxel), _coarser(block.nuclei, voxel)
            measured = measure_shape(cells, nuclei, 1, voxel)
            rows = list(_phantom_errors(measured, truth))
            found.append({"kind": kind, "voxel": voxel, "rows": rows})
            print(f"{kind}, {voxel}: {rows[0]}", flush=True)
    return found


PARTS = ("shapes", "contacts", "phantoms")


def _figures(part: str, seeds: int) -> dict[str, Any]:
    if part == "shapes":
        return shape_rows(seeds)
    if part == "contacts":
        return {"seeds": seeds, "rows": contact_rows(seeds)}
    return {"diameter": _CELL, "fine": _FINE, "rows": phantom_rows()}


def main() -> None:
    """Print the page; with ``--write`` keep the figures in docs/measures.json and write it."""
    parser = results.parser(__doc__, write="keep them in docs/measures.json, and write the page")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="orientations of each shape")
    options = parser.parse_args()
    found = {}
    for part in options.parts or PARTS:
        found[part] = _figures(part, options.seeds)
        if options.write:
            command = f"python -m benchmarks.measures {part} --seeds {options.seeds} --write"
            results.keep(part, found[part], command, results.DOCS / "measures.json")
    if options.write:
        pages.write("measures")
    else:
        print(pages.render("measures", {"measures": found}))


if __name__ == "__main__":
    main()
