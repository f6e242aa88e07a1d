"""The layers of a review in a viewer: the run, its centres, edits, and the slice being painted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.editing.edits import Compartment
from hela_dask.napari.patches import SlicePatch
from hela_dask.napari.session import ReviewSession
from hela_dask.types import Triple
from hela_dask.viewing.colors import stated_colors
from hela_dask.viewing.napari_viewer import RUN_KEY, color_dict, needed_napari, run_layers

__all__ = ["ReviewLayers", "camera_of"]

CENTRES, SELECTED = "centres", "selected cell"
PAINTED, POINTS = "edits, not applied", "points of the parts"
_GROUPS: tuple[tuple[Compartment, str], ...] = (("cell", "cells"), ("nucleus", "nuclei"))
_ERASED = 2**16  # above all labels: pixels that an edit erased
_ERASED_COLOR = (0.0, 0.0, 0.0, 0.9)
# nm per unit of a layer of points. napari shows a point within half a unit of the slice, and its
# slider ends at a size of 100 units.
_STRETCH = np.array((1000.0, 100.0, 100.0))
_SIZE = 7.0  # units: of a centre
_RING, _CHOSEN = "red", "yellow"  # of a centre, and of that of the selected cell
_BESIDE = (0.0, -2.5, 3.0)  # units: of a number from its centre, outside of the ring
_BRUSH = 10
_UNITS = ("nm", "nm", "nm")

Changes = dict[str, list[tuple[int, Triple]]]
"""``added``, ``moved`` and ``removed`` centres: label (0 of a new one) and place."""


class ReviewLayers:
    """The layers of a run under review.

    Parameters
    ----------
    viewer : napari.Viewer
        The layers of the run are added where they are missing.
    session : ReviewSession
    on_points : callable
        Called with the changes that a user made to the layer of centres.
    """

    def __init__(
        self, viewer: Any, session: ReviewSession, on_points: Callable[[Changes], None]
    ) -> None:
        self.viewer = viewer
        self.session = session
        self._on_points = on_points
        self._napari = needed_napari("the review")
        self._quiet = False
        self._hidden: list[str] = []
        self._shown: dict[int, Triple] = {}
        self.patch: SlicePatch | None = None
        self.patch_layer: Any = None
        if not any(self._is_of_run(layer) for layer in viewer.layers):
            self._add_run({})
        self.show_edits()
        self.viewer.dims.events.current_step.connect(self._on_slice)

    def close(self) -> None:
        """Leave the viewer."""
        self.viewer.dims.events.current_step.disconnect(self._on_slice)

    # ---- the run

    def _is_of_run(self, layer: Any) -> bool:
        return bool(layer.metadata.get(RUN_KEY) == str(self.session.result.path.absolute()))

    def renew_run(self, selected: int = 0) -> None:
        """Replace the layers of the run by those of its new result."""
        with self.quietly():
            old = {
                layer.name: layer.visible for layer in self.viewer.layers if self._is_of_run(layer)
            }
            for name in (*old, SELECTED):
                if name in self.viewer.layers:
                    self.viewer.layers.remove(name)
            self._add_run(old)
        self.show_edits(selected)

    def _add_run(self, visible: dict[str, bool]) -> None:
        with self.quietly():
            for number, (data, options, kind) in enumerate(run_layers(self.session.result)):
                options["visible"] = visible.get(options["name"], options.get("visible", True))
                created = self._napari.layers.Layer.create(data, options, kind)
                self.viewer.layers.insert(number, created)
            self.viewer.layers.selection.active = self.layer("cells")

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Changes of layers in here are the program's."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    @property
    def quiet(self) -> bool:
        """Whether the program itself changes layers at the moment."""
        return self._quiet

    def layer(self, name: str) -> Any:
        """A layer by its name; None where it was removed."""
        layers = self.viewer.layers
        return layers[name] if name in layers else None  # noqa: SIM401  it has no get

    # ---- centres

    def show_centres(self, selected: int = 0) -> None:
        """Draw a ring around the centre of each cell, with the edits; the selected one's yellow."""
        self._shown = self.session.centres()
        labels = list(self._shown)
        places = np.array(list(self._shown.values()), float).reshape(-1, 3)
        colors = [_CHOSEN if label == selected else _RING for label in labels]
        options = {
            "features": {"label": labels},
            "text": {
                "string": "{label}",
                "color": _RING,
                "size": 14,
                "anchor": "upper_left",
                "translation": _BESIDE,
            },
            "border_color": colors or _RING,
            "border_width": 0.12,
            "face_color": "transparent",
        }
        with self.quietly():
            old = self.layer(CENTRES)
            kept = {} if old is None else {"visible": bool(old.visible)}
            active = self.viewer.layers.selection.active
            was_active = old is not None and active is not None and active.name == CENTRES
            mode = str(old.mode) if was_active else "pan_zoom"
            if old is not None:
                self.viewer.layers.remove(CENTRES)
            layer = self._add_points(CENTRES, places, {**options, **kept})
            layer.events.data.connect(self._on_data)
            if was_active:
                layer.mode = mode
            else:
                self.viewer.layers.selection.active = active

    def _add_points(self, name: str, places: NDArray[Any], options: dict[str, Any]) -> Any:
        return self.viewer.add_points(
            places / _STRETCH,
            name=name,
            ndim=3,
            scale=_STRETCH,
            units=_UNITS,
            axis_labels=("z", "y", "x"),
            **{"size": _SIZE, **options},
        )

    def _on_data(self, event: Any) -> None:
        """A user dragged, added or removed centres."""
        if self._quiet or str(getattr(event, "action", "")).lower() not in _DONE:
            return
        changes = self._changes()
        if any(changes.values()):
            self._on_points(changes)

    def _changes(self) -> Changes:
        """The differences between the layer of centres and the centres as drawn."""
        layer = self.layer(CENTRES)
        places = _places(layer)
        labels = [int(label) for label in layer.features["label"]]
        known = len(self._shown)
        gone = set(self._shown) - set(labels)
        if gone or len(places) <= known:
            added = []
        else:  # new points are the last ones; napari gives them the label of another one
            added = [(0, place) for place in places[known:]]
            places, labels = places[:known], labels[:known]
        still = np.array(self.session.geometry.voxel_size) / 2
        moved = [
            (label, place)
            for label, place in zip(labels, places, strict=True)
            if (np.abs(np.subtract(place, self._shown[label])) > still).any()
        ]
        removed = [(label, self._shown[label]) for label in sorted(gone)]
        return {"added": added, "moved": moved, "removed": removed}

    def show_selected(self, label: int) -> None:
        """Draw the outline of the selected cell in yellow."""
        cells, outline = self.layer("cells"), self.layer(SELECTED)
        if cells is None:
            return
        colors: dict[int | None, Any] = {None: "transparent", 0: "transparent", label: "yellow"}
        if not label:
            colors = {None: "transparent"}
        colormap = self._napari.utils.colormaps.DirectLabelColormap(color_dict=colors)
        with self.quietly():
            if outline is not None:
                outline.colormap = colormap
                return
            active = self.viewer.layers.selection.active
            outline = self.viewer.add_labels(
                cells.data,
                name=SELECTED,
                multiscale=cells.multiscale,
                scale=cells.scale,
                translate=cells.translate,
                units=_UNITS,
                axis_labels=("z", "y", "x"),
                colormap=colormap,
                opacity=1.0,
            )
            outline.contour = 2
            if active is not None:
                self.viewer.layers.selection.active = active

    # ---- where the viewer looks

    @property
    def slice(self) -> int:
        """Number of the slice that is shown, from 0."""
        return self.session.slice_of(self.place)

    @property
    def place(self) -> Triple:
        """The place (nm) that the sliders are at; the first voxel where all layers are gone."""
        point = self.viewer.dims.point
        if len(point) < 3:
            return self.session.geometry.origin
        z, y, x = (float(at) for at in point[-3:])
        return z, y, x

    def go_to(self, label: int, number: int | None = None) -> None:
        """Show a cell in a slice (from 0), or in that of its centre."""
        geometry, place = self.session.geometry, self.session.centres()[label]
        if number is None:
            number = self.session.slice_of(place)
        self.viewer.dims.set_point(0, geometry.origin[0] + number * geometry.voxel_size[0])
        window = self.session.window(label)
        self.viewer.reset_view()
        middle, ratio = [], np.inf
        for axis, side in zip((1, 2), window, strict=True):
            length, size = geometry.shape[axis], geometry.voxel_size[axis]
            ratio = min(ratio, length / (side.stop - side.start))
            middle.append(geometry.origin[axis] + (side.start + side.stop - 1) / 2 * size)
        camera = camera_of(self.viewer)
        camera.center = (0.0, *middle)
        camera.zoom *= max(1.0, ratio)

    def _on_slice(self, event: Any = None) -> None:
        if not self._quiet:
            self._show_painted()

    # ---- painting

    def _at(self, number: int, low: Sequence[int]) -> dict[str, Any]:
        """Options of a layer of one slice that begins at pixel `low`."""
        geometry = self.session.geometry
        corner = (number, *low)
        translate = [
            start + at * size
            for start, at, size in zip(geometry.origin, corner, geometry.voxel_size, strict=True)
        ]
        return {
            "scale": geometry.voxel_size,
            "translate": translate,
            "units": _UNITS,
            "axis_labels": ("z", "y", "x"),
        }

    def _colormap(self, compartment: Compartment) -> Any:
        colors = stated_colors(self.session.result.label_paths[dict(_GROUPS)[compartment]])
        found = color_dict(colors)
        found[_ERASED] = np.array(_ERASED_COLOR)
        found[None] = np.array((1.0, 1.0, 1.0, 1.0))  # cells that edits made
        found[0] = np.zeros(4)
        return self._napari.utils.colormaps.DirectLabelColormap(color_dict=found)

    def show_edits(self, selected: int = 0) -> None:
        """Draw centres and painted pixels again, after the edits have changed."""
        self.show_centres(selected)
        self.show_selected(selected)
        self._show_painted()

    def _show_painted(self) -> None:
        """Draw the pixels of this slice that edits have painted, and that no run has applied."""
        planes = {}
        low: tuple[int, int] = (0, 0)
        for compartment, _ in _GROUPS:
            low, stored, edited = self.session.unapplied(self.slice, compartment)
            if stored.size:
                changed = np.where(edited == 0, _ERASED, edited.astype(np.int32))
                planes[compartment] = np.where(edited != stored, changed, 0)
        with self.quietly():
            active = self.viewer.layers.selection.active
            if PAINTED in self.viewer.layers:
                self.viewer.layers.remove(PAINTED)
            if not any(plane.any() for plane in planes.values()):
                return
            shown = np.where(planes["nucleus"] > 0, planes["nucleus"], planes["cell"])
            self.viewer.add_labels(
                shown[np.newaxis],
                name=PAINTED,
                opacity=0.7,
                colormap=self._colormap("cell"),
                **self._at(self.slice, low),
            ).editable = False
            if active is not None:
                self.viewer.layers.selection.active = active

    def paint(self, patch: SlicePatch) -> None:
        """Show a patch as a layer with the brush; the labels below are hidden."""
        with self.quietly():
            self._hide(dict(_GROUPS)[patch.compartment], PAINTED, SELECTED)
            layer = self.viewer.add_labels(
                patch.labels[np.newaxis].astype(np.int32),
                name=patch.title,
                opacity=0.5,
                colormap=self._colormap(patch.compartment),
                **self._at(patch.number, patch.low),
            )
            layer.bounding_box.visible = True
            layer.selected_label = patch.cell
            layer.brush_size = _BRUSH
            layer.mode = "paint"
            self.viewer.layers.selection.active = layer
        self.patch, self.patch_layer = patch, layer

    def painted(self) -> NDArray[Any]:
        """The pixels of the patch as painted."""
        return np.array(self.patch_layer.data[0])

    def end_patch(self) -> None:
        """Remove the layer of the patch."""
        with self.quietly():
            if self.patch is not None and self.patch.title in self.viewer.layers:
                self.viewer.layers.remove(self.patch.title)
            self.patch, self.patch_layer = None, None
            self._reveal()

    def _hide(self, *names: str) -> None:
        for name in names:
            layer = self.layer(name)
            if layer is not None and layer.visible:
                layer.visible = False
                self._hidden.append(name)

    def _reveal(self) -> None:
        for name in self._hidden:
            if (layer := self.layer(name)) is not None:
                layer.visible = True
        self._hidden.clear()
        if (cells := self.layer("cells")) is not None:
            self.viewer.layers.selection.active = cells

    # ---- points of a split

    def begin_points(self) -> None:
        """An empty layer of points, in which each click sets one."""
        with self.quietly():
            layer = self._add_points(
                POINTS,
                np.zeros((0, 3)),
                {"face_color": "magenta", "border_color": "white", "symbol": "cross"},
            )
            layer.mode = "add"
            self.viewer.layers.selection.active = layer

    def points(self) -> list[Triple]:
        """The points that were set, nm."""
        layer = self.layer(POINTS)
        return [] if layer is None else _places(layer)

    def end_points(self) -> None:
        """Remove the layer of points."""
        with self.quietly():
            if POINTS in self.viewer.layers:
                self.viewer.layers.remove(POINTS)
            self._reveal()


def camera_of(viewer: Any) -> Any:
    """Of the scene since napari 0.9, of the viewer before."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def _places(layer: Any) -> list[Triple]:
    """The points of a layer, nm."""
    return [(float(z), float(y), float(x)) for z, y, x in np.asarray(layer.data) * _STRETCH]


_DONE = ("added", "removed", "changed")
