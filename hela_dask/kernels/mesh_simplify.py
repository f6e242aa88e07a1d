"""Fewer triangles for the same closed surface: edges collapsed by quadric errors.

M. Garland and P. S. Heckbert, "Surface simplification using quadric error metrics", SIGGRAPH 1997.
An edge is collapsed only where the topology stays the same (the link condition of T. K. Dey et al.,
"Topology preserving edge contraction", 1999) and no triangle turns over. So a closed mesh stays
closed, with the same pieces and handles. Edges are visited in the order of the triangles, in rounds
of growing tolerance, which needs no queue.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.mesh import Mesh
from hela_dask.kernels.mesh_distance import squared_distance
from hela_dask.types import Floats, Grey

__all__ = ["simplify_mesh"]

# Tolerances, in units of the last: more rounds remove 3 % more triangles in twice the time.
_ROUNDS = (1 / 8, 1 / 2, 1.0)
_REPEATS = 6  # of each round at most
_WORTH = 0.02  # share of triangles that one round must remove for another
_TURN = 0.2  # least cosine between a triangle's normals before and after
_WIDEST = (
    250.0  # weight at most of an error's mean, in squares of the tolerance: keeps thin details
)
_DRIFT = (
    1.5  # distance of the old vertices from the new triangles at most, in units of the tolerance
)
_STEADY = 1e-4  # weight of the vertices' places beside that of the planes, for flat parts


def simplify_mesh(
    mesh: Mesh, tolerance: Grey | float, sides: NDArray[np.uint8], least: int = 4
) -> Mesh:
    """A mesh with fewer triangles.

    Parameters
    ----------
    mesh
        Closed.
    tolerance : ndarray of float32, (n,), or float
        Distance in nm from the planes of the triangles around that each vertex may get, as the root
        of the mean square over their areas. With 0 a vertex stays where it is.
    sides : ndarray of uint8, (n,)
        As :meth:`.mesh.Grid.sides` gives them: vertices on a cut side stay on it.
    least : int
        Triangles at which it stops.

    Returns
    -------
    Mesh
        Closed; the distance of the two surfaces has to be measured.
    """
    allowed = np.empty(len(mesh.vertices), np.float32)
    allowed[:] = tolerance
    middle = mesh.vertices.mean(axis=0)
    places, faces = mesh.vertices - middle, mesh.faces.copy()
    rounds = np.array(_ROUNDS) * float(allowed.max(initial=0))
    _collapse_edges(places, faces, sides.copy(), allowed, rounds, least)
    left = faces[faces[:, 0] >= 0]
    used, numbers = np.unique(left, return_inverse=True)
    return Mesh(places[used] + middle, numbers.reshape(-1, 3).astype(np.int32))


class _Links(NamedTuple):
    """A mesh with the triangles of each vertex, as linked lists of corners."""

    places: Floats  # of the vertices, (n, 3)
    faces: NDArray[np.int32]  # (m, 3); removed ones have -1 as first vertex
    heads: NDArray[np.int32]  # first corner of each vertex: three times the triangle, plus 0 to 2
    following: NDArray[np.int32]  # the next corner of the same vertex, or -1


class _State(NamedTuple):
    """A mesh while its edges are collapsed."""

    links: _Links
    sides: NDArray[np.uint8]
    allowed: Grey  # tolerance of each vertex, nm
    quadrics: Floats  # (n, 11)
    drift: Grey  # of the old surface around each vertex from the new one, nm
    marks: NDArray[np.int32]  # scratch of the test of topology
    widest: float  # largest weight of a mean


@compiled
def _quadrics(places: Floats, faces: NDArray[np.int32]) -> Floats:
    """Sums of squared distances from planes, (n, 11): 6 of the matrix, 3, 1, and the weight."""
    found = np.zeros((len(places), 11))
    one = np.empty(11)
    for row in range(len(faces)):
        a, b, c = faces[row, 0], faces[row, 1], faces[row, 2]
        n = _cross(places[a], places[b], places[c])
        length = np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2)
        if length == 0:
            continue
        nz, ny, nx = n[0] / length, n[1] / length, n[2] / length
        d = -(nz * places[a, 0] + ny * places[a, 1] + nx * places[a, 2])
        one[0], one[1], one[2] = nz * nz, nz * ny, nz * nx
        one[3], one[4], one[5] = ny * ny, ny * nx, nx * nx
        one[6], one[7], one[8], one[9], one[10] = nz * d, ny * d, nx * d, d * d, 1.0
        for corner in range(3):
            at = faces[row, corner]
            for item in range(11):
                found[at, item] += length * one[item]
            # The vertex' own place, with a small weight.
            small, total = length * _STEADY, 0.0
            for axis in range(3):
                found[at, (0, 3, 5)[axis]] += small
                found[at, 6 + axis] -= small * places[at, axis]
                total += places[at, axis] ** 2
            found[at, 9] += small * total
    return found


@compiled
def _cross(a: Floats, b: Floats, c: Floats) -> tuple[float, float, float]:
    """The normal of a triangle, with twice its area as length."""
    uz, uy, ux = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vz, vy, vx = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    return uy * vx - ux * vy, ux * vz - uz * vx, uz * vy - uy * vz


@compiled
def _squared(q: Floats, p: Floats, widest: float) -> float:
    """The mean squared distance of a place by a quadric."""
    z, y, x = p[0], p[1], p[2]
    total = (
        z * (q[0] * z + 2 * (q[1] * y + q[2] * x + q[6]))
        + y * (q[3] * y + 2 * (q[4] * x + q[7]))
        + x * (q[5] * x + 2 * q[8])
        + q[9]
    )
    return float(max(total, 0.0) / min(max(q[10], 1e-300), widest))


@compiled
def _best_place(q: Floats, u: Floats, v: Floats, free: bool, widest: float, place: Floats) -> None:
    """The place of the vertex that an edge becomes: of the least error, and near the edge."""
    if free:
        c0 = q[3] * q[5] - q[4] * q[4]
        c1 = q[2] * q[4] - q[1] * q[5]
        c2 = q[1] * q[4] - q[2] * q[3]
        det = q[0] * c0 + q[1] * c1 + q[2] * c2
        if det > 1e-12 * q[10] ** 3:
            c3 = q[0] * q[5] - q[2] * q[2]
            c4 = q[1] * q[2] - q[0] * q[4]
            c5 = q[0] * q[3] - q[1] * q[1]
            place[0] = -(c0 * q[6] + c1 * q[7] + c2 * q[8]) / det
            place[1] = -(c1 * q[6] + c3 * q[7] + c4 * q[8]) / det
            place[2] = -(c2 * q[6] + c4 * q[7] + c5 * q[8]) / det
            away, length = 0.0, 0.0
            for axis in range(3):
                away += (place[axis] - (u[axis] + v[axis]) / 2) ** 2
                length += (u[axis] - v[axis]) ** 2
            if away <= length:
                return
    best = np.inf
    trial = np.empty(3)
    for share in (0.5, 0.0, 1.0):
        for axis in range(3):
            trial[axis] = u[axis] + share * (v[axis] - u[axis])
        cost = _squared(q, trial, widest)
        if cost < best:
            best = cost
            place[:] = trial


@compiled
def _turns(
    at: int,
    other: int,
    place: Floats,
    links: _Links,
) -> bool:
    """Whether a triangle around a vertex turns over or loses its area when the vertex moves."""
    places, faces = links.places, links.faces
    heads, following = links.heads, links.following
    corner = heads[at]
    while corner >= 0:
        row = corner // 3
        if faces[row, 0] >= 0:
            b, c = faces[row, (corner + 1) % 3], faces[row, (corner + 2) % 3]
            if other not in (b, c):
                n = _cross(places[at], places[b], places[c])
                m = _cross(place, places[b], places[c])
                old = n[0] ** 2 + n[1] ** 2 + n[2] ** 2
                new = m[0] ** 2 + m[1] ** 2 + m[2] ** 2
                dot = n[0] * m[0] + n[1] * m[1] + n[2] * m[2]
                if new < 1e-6 or dot < _TURN * np.sqrt(old * new):
                    return True
        corner = following[corner]
    return False


@compiled
def _lost(
    at: int,
    u: int,
    v: int,
    place: Floats,
    links: _Links,
) -> float:
    """The distance of a vertex from the triangles that an edge leaves around its new place."""
    places, faces = links.places, links.faces
    heads, following = links.heads, links.following
    best = np.inf
    for end in (u, v):
        corner = heads[end]
        while corner >= 0:
            row = corner // 3
            if faces[row, 0] >= 0:
                b, c = faces[row, (corner + 1) % 3], faces[row, (corner + 2) % 3]
                if u not in (b, c) and v not in (b, c):
                    best = min(best, squared_distance(places[at], place, places[b], places[c]))
            corner = following[corner]
    return float(np.sqrt(best))


@compiled
def _keeps_topology(
    u: int,
    v: int,
    marks: NDArray[np.int32],
    links: _Links,
) -> bool:
    """Whether two neighbours share exactly two others, and are not the top of a tetrahedron."""
    faces, heads, following = links.faces, links.heads, links.following
    around, stamp = 0, u
    corner = heads[v]
    while corner >= 0:
        row = corner // 3
        if faces[row, 0] >= 0:
            marks[faces[row, (corner + 1) % 3]] = -1
        corner = following[corner]
    corner = heads[u]
    while corner >= 0:
        row = corner // 3
        if faces[row, 0] >= 0:
            marks[faces[row, (corner + 1) % 3]] = stamp
            around += 1
        corner = following[corner]
    shared = 0
    corner = heads[v]
    while corner >= 0:
        row = corner // 3
        if faces[row, 0] >= 0:
            shared += marks[faces[row, (corner + 1) % 3]] == stamp
            around += 1
        corner = following[corner]
    return shared == 2 and around >= 7


@compiled
def _merge(
    u: int,
    v: int,
    links: _Links,
) -> int:
    """Give the triangles of vertex v to u, and remove those of both; how many were removed."""
    faces, heads, following = links.faces, links.heads, links.following
    removed = 0
    first = -1
    for at in (v, u):
        corner = heads[at]
        while corner >= 0:
            after = following[corner]
            row = corner // 3
            if faces[row, 0] >= 0:
                if at == v:
                    others = faces[row, (corner + 1) % 3], faces[row, (corner + 2) % 3]
                    if others[0] == u or others[1] == u:
                        faces[row, 0] = -1
                        removed += 1
                    else:
                        faces[row, corner % 3] = u
                if faces[row, 0] >= 0:
                    following[corner] = first
                    first = corner
            corner = after
    heads[u] = first
    heads[v] = -1
    return removed


@compiled
def _collapse(u: int, v: int, tolerance: float, state: _State, q: Floats, place: Floats) -> int:
    """Collapse an edge if that is allowed; how many triangles are gone; `q`, `place`: scratch."""
    places, sides, allowed, links = state.links.places, state.sides, state.allowed, state.links
    both = sides[u] | sides[v]
    limit = min(tolerance, allowed[u], allowed[v])
    if limit <= 0 or both not in (sides[u], sides[v]):
        return 0
    for item in range(11):
        q[item] = state.quadrics[u, item] + state.quadrics[v, item]
    if sides[u] == sides[v]:
        _best_place(q, places[u], places[v], both == 0, state.widest, place)
    else:
        place[:] = places[u] if sides[u] == both else places[v]
    if (
        _squared(q, place, state.widest) > limit * limit
        or not _keeps_topology(u, v, state.marks, links)
        or _turns(u, v, place, links)
        or _turns(v, u, place, links)
    ):
        return 0
    lost = max(
        state.drift[u] + _lost(u, u, v, place, links),
        state.drift[v] + _lost(v, u, v, place, links),
    )
    if lost > _DRIFT * limit:
        return 0
    removed = _merge(u, v, links)
    places[u] = place
    state.quadrics[u] = q
    state.drift[u] = lost
    sides[u] = both
    allowed[u] = min(allowed[u], allowed[v])
    return removed


@compiled
def _collapse_edges(
    places: Floats,
    faces: NDArray[np.int32],
    sides: NDArray[np.uint8],
    allowed: Grey,
    rounds: Floats,
    least: int,
) -> None:
    """Collapse edges in place; triangles that are gone get -1 as first vertex."""
    heads = np.full(len(places), -1, np.int32)
    following = np.empty(3 * len(faces), np.int32)
    for corner in range(len(following) - 1, -1, -1):
        at = faces[corner // 3, corner % 3]
        following[corner] = heads[at]
        heads[at] = corner
    state = _State(
        _Links(places, faces, heads, following),
        sides,
        allowed,
        _quadrics(places, faces),
        np.zeros(len(places), np.float32),
        np.full(len(places), -1, np.int32),
        _WIDEST * rounds[-1] ** 2,
    )
    touched = np.full(len(places), -1, np.int16)
    q, place = np.empty(11), np.empty(3)
    count, sweep = len(faces), 0
    for tolerance in rounds:
        for _ in range(_REPEATS):
            before = count
            for row in range(len(faces)):
                for corner in range(3):
                    if faces[row, 0] < 0 or count <= least:
                        break
                    u, v = faces[row, corner], faces[row, (corner + 1) % 3]
                    if u > v or touched[u] == sweep or touched[v] == sweep:
                        continue
                    removed = _collapse(u, v, tolerance, state, q, place)
                    if removed:
                        count -= removed
                        touched[u] = sweep
            sweep += 1
            if before - count < _WORTH * before or count <= least:
                break
