"""Good and bad outcomes on small phantoms: ``python -m benchmarks.gallery [--write]``.

Each case damages the image of a phantom, and shows one cell of its run: the picture, status, flags,
confidence, and Jaccard index with the truth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import hela_dask as hd
from benchmarks import pages, results
from hela_dask.errors import NothingToDoError

__all__ = ["CASES", "Case", "Scene"]

SHAPE = (96, 250, 250)
CELLS = 3
DIAMETER = 7.0
METHOD = "volumetric"
SEED = 2
VOXEL = (100.0, 80.0, 80.0)
WIDTH = 120.0  # mm
DPI = 150
MARGIN = 1500.0  # nm
SHIFT = 25  # pixels
PICTURES = results.DOCS / "gallery"

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """A phantom in memory.

    Attributes
    ----------
    image : ndarray of uint8, (z, y, x)
    cells, nuclei : ndarray, (z, y, x)
        The truth.
    subject : int
        Number of the true cell that a case shows.
    """

    image: Grey
    cells: NDArray[Any]
    nuclei: NDArray[Any]
    subject: int

    @property
    def middle(self) -> tuple[int, int, int]:
        """The voxel nearest to the centre of mass of the nucleus of the subject."""
        z, y, x = ndimage.center_of_mass(self.nuclei == self.subject)
        return round(z), round(y), round(x)


@dataclass(frozen=True)
class Case:
    """A case of the gallery.

    Attributes
    ----------
    title : str
    text : str
        The visible fault, and the remedy.
    change : callable
        From a scene to the one that is segmented.
    cut : bool
        Show a cell that the volume cuts.
    """

    title: str
    text: str
    change: Callable[[Scene], Scene] = lambda scene: scene
    cut: bool = False


def make_scene(folder: Path) -> Scene:
    """The phantom, with its largest whole cell as the subject."""
    store = folder / "phantom.ome.zarr"
    hd.make_phantom(
        store,
        shape=SHAPE,
        cells=CELLS,
        diameter=DIAMETER,
        seed=SEED,
        voxel_size=VOXEL,
        progress=False,
    )
    labels = {name: hd.open_volume(store / f"labels/{name}").values for name in TRUTH}
    cells = labels["true_cells"]
    sizes = np.bincount(cells.ravel())
    sizes[0] = 0
    sizes[np.unique(_shell(cells))] = 0
    subject = int(sizes.argmax())
    return Scene(hd.open_volume(store).values, cells, labels["true_nuclei"], subject)


TRUTH = ("true_cells", "true_nuclei")


def _shell(cells: NDArray[Any]) -> NDArray[Any]:
    """All labels on the sides of the volume."""
    sides = [cells.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.concatenate(sides)


def _tissue(scene: Scene, where: NDArray[np.bool_]) -> Grey:
    """The image with the texture of cytoplasm in some voxels."""
    plasm = (scene.cells > 0) & (scene.nuclei == 0)
    grey = scene.image[ndimage.binary_erosion(plasm, iterations=4)]
    random = np.random.default_rng(0)
    drawn = random.normal(grey.mean(), grey.std(), scene.image.shape)
    smooth = ndimage.gaussian_filter(drawn - grey.mean(), (0, 1, 1)) * 3 + grey.mean()
    found = scene.image.copy()
    found[where] = np.clip(smooth[where], 0, 255).astype(np.uint8)
    return found


def without_resin_beside(scene: Scene) -> Scene:
    """Half of the surroundings of the subject are tissue, as where cells touch."""
    own = scene.cells == scene.subject
    near = ndimage.distance_transform_edt(~own, sampling=VOXEL) < 2500.0
    _, _, x = scene.middle
    near[:, :, :x] = False
    return replace(scene, image=_tissue(scene, near & (scene.cells == 0)))


def without_any_resin(scene: Scene) -> Scene:
    """All resin is tissue."""
    return replace(scene, image=_tissue(scene, scene.cells == 0))


def shifted_slices(scene: Scene) -> Scene:
    """Four slices in the middle of the subject are displaced."""
    image = scene.image.copy()
    z = scene.middle[0]
    image[z : z + 4] = np.roll(image[z : z + 4], SHIFT, axis=2)
    return replace(scene, image=image)


def without_envelope(scene: Scene) -> Scene:
    """The nucleus of the subject and its envelope have the texture of cytoplasm."""
    nucleus = ndimage.binary_dilation(scene.nuclei == scene.subject, iterations=4)
    return replace(scene, image=_tissue(scene, nucleus))


CASES = {
    "whole": Case(
        "A whole cell",
        "Orange is the outline of the cell, blue that of the nucleus. Both follow the membranes. "
        "The cell lies inside the volume: it belongs in statistics.",
    ),
    "cut": Case(
        "A cell that the volume cuts",
        "The outlines are right, but a part of the cell lies outside of the volume, so its volume "
        "is too small. The status shows it: statistics use the rows with `complete` true.",
        cut=True,
    ),
    "touching": Case(
        "No resin on one side",
        "On the right, tissue fills the resin, and no border shows where the cell ends: the "
        "outline takes the tissue up to the next resin. No flag marks this. Look at the slices, "
        "and split the tissue off in the [review](review.md), or leave the cell out.",
        without_resin_beside,
    ),
    "shifted": Case(
        "Slices out of place",
        "Four slices are displaced by 2 µm. The outline follows the image, so the cell jumps, and "
        "the nucleus is wrong there. A flag and a low confidence mark it, and `doubtful_slices` "
        "has the slices. Align the stack, and convert it again.",
        shifted_slices,
    ),
    "faint": Case(
        "No visible nuclear envelope",
        "A rough texture hides the nucleus and its envelope, as with a weak stain. The cell is "
        "right, the nucleus is not. Flags and a low confidence mark it. If this is so in many "
        "cells, try another [method](usage.md#which-method), or correct the nuclei by hand.",
        without_envelope,
    ),
    "no_resin": Case(
        "No resin at all",
        "Cells are found by the resin around them. Without any, a run ends with an error and "
        "writes no labels. With `--centres` it segments nuclei only.",
        without_any_resin,
    ),
}


def measure_case(name: str, case: Case, scene: Scene, folder: Path, client: Any) -> dict[str, Any]:
    """Run a case, draw its cell, and return a row of the page."""
    changed = case.change(scene)
    store = folder / f"{name}.ome.zarr"
    tifffile.imwrite(folder / f"{name}.tif", changed.image, photometric="minisblack")
    hd.convert(folder / f"{name}.tif", store, voxel_size=VOXEL, progress=False)
    row = {"title": case.title, "text": case.text, "picture": f"{name}.jpg"}
    try:
        result = hd.run(
            store,
            folder / f"{name}.run",
            method=METHOD,
            client=client,
            progress=False,
        )
    except NothingToDoError as error:
        _save(Image.fromarray(changed.image[scene.middle[0]]), name)
        return {**row, "error": str(error).replace(f"{folder}/", "")}
    label = _shown_cell(result, scene, cut=case.cut)
    picture = folder / f"{name}.png"
    hd.figure(
        folder / f"{name}.run",
        picture,
        slice_number=None if case.cut else scene.middle[0] + 2,
        cells=[label],
        crop=MARGIN,
        raw=True,
        width=WIDTH,
        dpi=DPI,
    )
    _save(Image.open(picture), name)
    cells = result.cells.set_index("label")
    return {**row, "label": label, **_scores(result, scene, label), **_facts(cells.loc[label])}


def _shown_cell(result: hd.RunResult, scene: Scene, *, cut: bool) -> int:
    if cut:
        cells = result.cells
        return int(cells[cells["status"] == "cut_by_volume"].iloc[0]["label"])
    labels = result.labels["cells"].values[scene.cells == scene.subject]
    return int(np.bincount(labels[labels > 0]).argmax())


def _scores(result: hd.RunResult, scene: Scene, label: int) -> dict[str, float]:
    """Jaccard index of the cell and its nucleus with the true ones."""
    found = {}
    for name, truth in (("cells", scene.cells), ("nuclei", scene.nuclei)):
        mask = result.labels[name].values == label
        inside = np.bincount(truth[mask]) if mask.any() else np.zeros(1)
        inside[0] = 0
        true = truth == inside.argmax()
        union = int((mask | true).sum())
        found[f"ji_{name}"] = float((mask & true).sum() / union) if mask.any() else 0.0
    return found


def _facts(row: Any) -> dict[str, Any]:
    confidence = float(row["confidence"])
    return {
        "status": str(row["status"]),
        "flags": str(row["flags"] or ""),
        "confidence": confidence if np.isfinite(confidence) else None,
        "doubtful_slices": str(row["doubtful_slices"] or ""),
    }


def _save(picture: Image.Image, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    picture.convert("RGB").save(PICTURES / f"{name}.jpg", quality=80)


def main() -> None:
    """Print a line per case; with ``--write`` keep them in docs/gallery.json and write the page."""
    from distributed import Client

    parser = results.parser(__doc__, write="keep them in docs/gallery.json, and write the page")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    options = parser.parse_args()
    path = results.DOCS / "gallery.json"
    rows = results.read(path).get("gallery", {}).get("cases", {})
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
        ) as client,
    ):
        scene = make_scene(Path(folder))
        for name in options.cases or CASES:
            rows[name] = measure_case(name, CASES[name], scene, Path(folder), client)
            print(name, {key: rows[name][key] for key in rows[name] if key != "text"}, flush=True)
    if options.write:
        ordered = {
            name: {**rows[name], "title": case.title, "text": case.text}
            for name, case in CASES.items()
            if name in rows
        }
        results.keep("gallery", {"cases": ordered}, "python -m benchmarks.gallery --write", path)
        pages.write("gallery")


if __name__ == "__main__":
    main()
