"""Marching cubes: closed, the same surface as scikit-image's, the same sense."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import marching_cubes

from hela_dask.kernels.marching import march


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_a_closed_surface_without_repeated_vertices(seed: int) -> None:
    noise = np.random.default_rng(seed).random((18, 20, 22)).astype(np.float32)
    image = np.zeros((20, 22, 24), np.float32)
    image[1:-1, 1:-1, 1:-1] = noise
    vertices, faces = march(image, 0.5)
    assert len(np.unique(vertices, axis=0)) == len(vertices)
    one = edges(faces)
    there, back = (np.sort(pair @ [2**32, 1]) for pair in (one, one[:, ::-1]))
    np.testing.assert_array_equal(there, back)  # each edge once in each direction


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_the_surface_is_that_of_scikit_image(axes: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(1).random((30, 40, 50)).astype(np.float32)
    image = ndimage.gaussian_filter(noise, 2).transpose(axes)
    level = float(np.median(image))
    vertices, faces = march(image, level)
    expected = marching_cubes(np.pad(image, 1, mode="edge"), level)
    assert len(faces) == pytest.approx(len(expected[1]), rel=1e-3)
    assert area(vertices, faces) == pytest.approx(area(expected[0], expected[1]), rel=2e-3)
    assert vertices.min() == -1
    assert (vertices.max(axis=0) == image.shape).all()


def test_the_faces_have_the_sense_of_scikit_image() -> None:
    z, y, x = np.ogrid[-8:9, -8:9, -8:9]
    ball = np.clip(6.5 - np.sqrt(z**2 + y**2 + x**2), 0, 1).astype(np.float32)
    volumes = []
    for vertices, faces in (march(ball, 0.5), marching_cubes(ball, 0.5)[:2]):
        volumes.append(np.linalg.det(vertices[faces]).sum() / 6)
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-3)
    assert abs(volumes[0]) == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.03)
