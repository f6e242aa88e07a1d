"""Light on surfaces, and the colours of a picture: opaque nuclei in translucent membranes.

The viewer is far away (parallel projection), and the light comes from the upper left behind him, in
every picture. A membrane is a film of constant thickness: the longer the way of the view through
it, the more opaque it is, so that its outline and its folds stand out. Recesses of a nucleus are
darker than ridges.

See Also
--------
T. Luft, C. Colditz, O. Deussen, "Image enhancement by unsharp masking the depth buffer", SIGGRAPH
2006, for recesses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.raster import OPAQUE_CUT, Layers
from hela_dask.types import Floats, Grey, Mask, Triple

__all__ = [
    "Camera",
    "Frame",
    "darken_recesses",
    "extents",
    "light",
    "project",
    "vertex_normals",
]

_LIGHT = (-0.52, -0.42, 0.74)  # direction to the light: down, right, towards the viewer
_AMBIENT, _DIFFUSE, _GLOSS = 0.30, 0.62, 0.16
_SHININESS = 24
_FILM = 0.09  # optical thickness of a membrane seen face on
_GRAZING = 0.10  # least cosine of view and normal: the way through the film is 10 thicknesses long
_RECESS, _RIDGE = 0.5, -0.2  # largest darkening of recesses, and brightening of ridges
_RECESS_WIDTH, _RECESS_DEPTH = 400.0, 600.0  # nm: sigma of the mean height, depth of the darkest
_BLUR = 6  # samples of the least sigma of the mean height
_STEPS = 2**12  # of 1 nm², in sums of normals


@dataclass(frozen=True)
class Camera:
    """A direction of view.

    Attributes
    ----------
    azimuth : float
        Degrees. 0: the viewer is at high y; 90: at high x.
    elevation : float
        Degrees above the plane of the slices. At 90, a slice is seen as it is displayed.
    """

    azimuth: float
    elevation: float

    @property
    def axes(self) -> Floats:
        """Directions down and right in the picture and towards the viewer, each (z, y, x)."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        down = [-math.cos(e), math.sin(e) * math.cos(a), math.sin(e) * math.sin(a)]
        right = [0.0, -math.sin(a), math.cos(a)]
        towards = [math.sin(e), math.cos(e) * math.cos(a), math.cos(e) * math.sin(a)]
        return np.array([down, right, towards])


@dataclass(frozen=True)
class Frame:
    """Samples of a picture: where a place of the volume is in it.

    Attributes
    ----------
    axes : ndarray of float64, (3, 3)
        Of the camera.
    sample : float
        Side of a sample, nm.
    low : ndarray of float64, (2,)
        Upper and left side of the picture, nm along the first two axes.
    """

    axes: Floats
    sample: float
    low: Floats

    def place(self, points: Floats) -> Floats:
        """Row, column (samples) and height (nm) of points (z, y, x) in nm; (n, 3)."""
        found: Floats = points @ self.axes.T
        found[:, :2] = (found[:, :2] - self.low) / self.sample
        return found

    def heights(self, extent: Triple) -> tuple[float, float]:
        """The least and the largest height (nm) in a volume of this extent (z, y, x), nm."""
        ends = self.axes[2] * np.array(extent)
        return float(np.minimum(ends, 0).sum()), float(np.maximum(ends, 0).sum())

    def moved(self, rows: int, columns: int) -> Frame:
        """The frame of a part of the picture that begins at a sample."""
        return Frame(self.axes, self.sample, self.low + np.array([rows, columns]) * self.sample)


def extents(points: Floats, axes: Floats) -> Floats:
    """The least and the largest place of points (n, 3) along axes (k, 3): (2, k)."""
    return _extents(np.asarray(points, np.float64), axes)


@compiled
def _extents(points: Floats, axes: Floats) -> Floats:
    found = np.empty((2, len(axes)))
    found[0], found[1] = np.inf, -np.inf
    for at in range(len(points)):
        for axis in range(len(axes)):
            along = (
                axes[axis, 0] * points[at, 0]
                + axes[axis, 1] * points[at, 1]
                + axes[axis, 2] * points[at, 2]
            )
            found[0, axis] = min(found[0, axis], along)
            found[1, axis] = max(found[1, axis], along)
    return found


def vertex_normals(vertices: Floats, faces: NDArray[np.int32]) -> Grey:
    """Normals of length one at vertices, weighted by the areas of triangles around, (n, 3).

    Areas are summed as integers: the order of the triangles does not matter.
    """
    return _vertex_normals(vertices, faces)


@compiled
def _vertex_normals(vertices: Floats, faces: NDArray[np.int32]) -> Grey:
    sums = np.zeros((len(vertices), 3), np.int64)
    for number in range(len(faces)):
        a, b, c = vertices[faces[number, 0]], vertices[faces[number, 1]], vertices[faces[number, 2]]
        uz, uy, ux = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vz, vy, vx = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        z = np.int64(np.rint((uy * vx - ux * vy) * _STEPS))
        y = np.int64(np.rint((ux * vz - uz * vx) * _STEPS))
        x = np.int64(np.rint((uz * vy - uy * vz) * _STEPS))
        for corner in range(3):
            at = faces[number, corner]
            sums[at, 0] += z
            sums[at, 1] += y
            sums[at, 2] += x
    found = np.zeros((len(vertices), 3), np.float32)
    for at in range(len(vertices)):
        z, y, x = sums[at, 0], sums[at, 1], sums[at, 2]
        length = math.sqrt(float(z) ** 2 + float(y) ** 2 + float(x) ** 2)
        if length > 0:
            found[at, 0], found[at, 1], found[at, 2] = z / length, y / length, x / length
    return found


def project(vertices: Floats, normals: Grey, frame: Frame) -> tuple[Grey, Grey, Grey]:
    """Vertices in a picture, and the light on them.

    Parameters
    ----------
    vertices
        (n, 3) z, y, x in nm.
    normals
        (n, 3) of length one; their sign does not matter.
    frame
        Of the picture.

    Returns
    -------
    points : ndarray of float32, (n, 3)
        Row, column (samples) and height (nm).
    tones : ndarray of float32, (n,)
        Brightness, 0 to 1.
    thickness : ndarray of float32, (n,)
        Optical thickness of a membrane there.
    """
    return _project(vertices, normals, frame.axes, frame.low, frame.sample)


def light(normal: Floats, axes: Floats) -> tuple[float, float]:
    """Brightness and optical thickness of a surface with this normal (z, y, x) of length one."""
    tone, thickness = _light(axes @ normal)
    return float(tone), float(thickness)


@compiled
def _light(normal: Floats) -> tuple[float, float]:
    """Of a normal down, right and towards the viewer; that of the side that is seen counts."""
    down, right, towards = normal[0], normal[1], normal[2]
    if towards < 0:
        down, right, towards = -down, -right, -towards
    d, r, t = _LIGHT
    length = math.sqrt(d * d + r * r + t * t)
    cosine = max(0.0, (down * d + right * r + towards * t) / length)
    # Half way between the light and the view.
    d, r, t = d / length, r / length, t / length + 1.0
    half = max(0.0, (down * d + right * r + towards * t) / math.sqrt(d * d + r * r + t * t))
    tone = _AMBIENT + _DIFFUSE * cosine + _GLOSS * half**_SHININESS
    return min(tone, 1.0), _FILM / max(towards, _GRAZING)


@compiled
def _project(
    vertices: Floats, normals: Grey, axes: Floats, low: Floats, sample: float
) -> tuple[Grey, Grey, Grey]:
    count = len(vertices)
    points = np.empty((count, 3), np.float32)
    tones, thickness = np.empty(count, np.float32), np.empty(count, np.float32)
    normal = np.empty(3)
    for at in range(count):
        z, y, x = vertices[at, 0], vertices[at, 1], vertices[at, 2]
        for axis in range(3):
            along = axes[axis, 0] * z + axes[axis, 1] * y + axes[axis, 2] * x
            points[at, axis] = along if axis == 2 else (along - low[axis]) / sample
            normal[axis] = (
                axes[axis, 0] * normals[at, 0]
                + axes[axis, 1] * normals[at, 1]
                + axes[axis, 2] * normals[at, 2]
            )
        tones[at], thickness[at] = _light(normal)
    return points, tones, thickness


def darken_recesses(layers: Layers, sample: float) -> None:
    """Darken the opaque surface where it lies below its surroundings, in place.

    `sample` is the side of a sample, nm. Flat cuts stay as they are.
    """
    opaque: Mask = np.isfinite(layers["height"])
    if not opaque.any():
        return
    rows, columns = (np.flatnonzero(opaque.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part, mask = layers[box], opaque[box]
    # The mean is smooth: every few samples do.
    sigma = _RECESS_WIDTH / sample
    by = max(1, int(sigma / _BLUR))
    thin = np.s_[::by, ::by]
    middle = np.float32(part["height"][mask].mean())
    height = np.where(mask, part["height"] - middle, np.float32(0))
    share = ndimage.gaussian_filter(mask[thin].astype(np.float32), sigma / by, truncate=2.5)
    mean = ndimage.gaussian_filter(height[thin], sigma / by, truncate=2.5)
    mean = _stretched((mean / np.maximum(share, 1e-6)).astype(np.float32), by, mask.shape)
    depth = np.clip((mean - height) / _RECESS_DEPTH, _RIDGE / _RECESS, 1) * _RECESS
    changed = mask & (part["cut"] & OPAQUE_CUT == 0)
    part["tone"] = np.where(changed, np.clip(part["tone"] * (1 - depth), 0, 1), part["tone"])


def _stretched(image: Grey, by: int, shape: tuple[int, ...]) -> Grey:
    """An image that is known every few samples, interpolated linearly on all."""
    for axis, length in enumerate(shape):
        places = np.arange(length, dtype=np.float32) / np.float32(by)
        low = np.minimum(places.astype(int), image.shape[axis] - 1)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        weight = (places - low).reshape((-1, 1) if axis == 0 else (1, -1))
        below, above = np.take(image, low, axis), np.take(image, high, axis)
        image = below + (above - below) * np.clip(weight, 0, 1)
    return image
