"""Edge collapse with quadric errors over position and colour together, on CPUs (numba).

The errors are those of `quadrics_cpu`. The cheapest edge is collapsed to the point of least error, again and again.

Unlike the usual implementations a collapse must leave a surface: the two ends share exactly the two neighbours
opposite to the edge (the link condition), no face turns over, and none becomes thinner than a limit. So what was
closed stays closed, and no part disappears. Edges shorter than that limit go in the end, whatever faces think of it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled
from gen3d_tools.kernels.meshes.quadrics import add_planes, best_point

_TURNS = (0.2, 0.2, 0.0)  # in each round, the cosine of the largest turn of a face in one collapse
_SLIMMEST = (0.02, 0.02, 1e-3)  # ... and the least height of a face over its longest side, unless it was slimmer before
_NO_WORSE = 0.9  # what such a face may become, times what it was

Simplified = tuple[Float64[np.ndarray, "new_vertices d"], Int[np.ndarray, "new_faces 3"]]


def collapse_edges(
    points: Float[np.ndarray, "vertices d"],
    faces: Int[np.ndarray, "faces 3"],
    *,
    target: int,
    longest: float = np.inf,
    thinnest: float = 0.0,
) -> Simplified:
    """Collapse edges until few enough faces are left, or nothing more can be collapsed.

    Args:
        points: Position in the first three columns, then further properties in the same unit of length; d >= 3.
        faces: A surface. Vertices on the border of an open one, and where it is no surface, do not move.
        target: Faces wanted; there may be more left, and one fewer.
        longest: Only edges up to this length are collapsed.
        thinnest: No face gets a height below this, unless it had one.

    Returns:
        Points and faces that are left, in the order they came.
    """
    announce(_collapse)
    state = _start(points, faces)
    left, most = state.faces, 2 * len(faces) + 64
    heap = np.empty(most), np.empty((most, 4), np.int32)
    square = float(min(longest, 1e150)) ** 2
    noise = float(max(thinnest, longest if longest < 1e100 else 0.0))
    remaining, tick = len(left), 0
    for turn in range(len(_TURNS)):
        if remaining <= target:
            break
        count = _queue_all(state, square, *heap)
        limits = (_TURNS[turn], _SLIMMEST[turn], float(thinnest), noise)
        last = turn == len(_TURNS) - 1
        remaining, tick = _collapse(state, heap, count, remaining, int(target), tick, square, limits, last)
    kept = left[state.alive]
    used = np.zeros(len(state.points), np.bool_)
    used[kept] = True
    return state.points[used], (np.cumsum(used) - 1)[kept]


class State(NamedTuple):
    """A surface that is being collapsed, and workspace to work in."""

    points: np.ndarray  # [vertices, d]
    faces: np.ndarray  # [faces, 3]
    alive: np.ndarray  # [faces] whether it is left
    first: np.ndarray  # [vertices] the first corner of each vertex's chain; -1: none
    following: np.ndarray  # [3 faces] the next corner in the chain
    fixed: np.ndarray  # [vertices] whether it must not move
    version: np.ndarray  # [vertices] how often it has moved; -1: gone
    quadrics: np.ndarray  # [vertices, numbers of a quadric]
    mark: np.ndarray  # [vertices] for walks around a vertex
    workspace: np.ndarray
    best: np.ndarray  # [d]


def _start(points: Float[np.ndarray, "vertices d"], faces: Int[np.ndarray, "faces 3"]) -> State:
    """Link corners, find what must not move, and add up the planes."""
    moved, left = np.array(points, np.float64, order="C"), np.array(faces, np.int32, order="C")
    vertices, d = moved.shape
    row = d * (d + 1) // 2 + d + 1
    quadrics, workspace = np.zeros((vertices, row)), np.empty((max(d, 3), row))
    add_planes(moved, left, quadrics, workspace)
    first, following = np.full(vertices, -1, np.int32), np.empty(3 * len(left), np.int32)
    fixed, mark, version = np.zeros(vertices, np.bool_), np.full(vertices, -1, np.int32), np.zeros(vertices, np.int32)
    _link_corners(left, first, following)
    _fix_vertices(left, first, following, mark, fixed)
    mark[:] = -1
    alive = np.ones(len(left), np.bool_)
    return State(moved, left, alive, first, following, fixed, version, quadrics, mark, workspace, np.empty(d))


@compiled(fastmath=False, forceinline=True)
def _square(points, u, v):  # type: ignore[no-untyped-def]
    """Squared distance in space."""
    x, y, z = points[u, 0] - points[v, 0], points[u, 1] - points[v, 1], points[u, 2] - points[v, 2]
    return x * x + y * y + z * z


@compiled(fastmath=False, forceinline=True)
def _before(keys, rows, a, b):  # type: ignore[no-untyped-def]
    """Order of the heap: by error, then by the vertices, so that it never depends on how the heap grew."""
    if keys[a] != keys[b]:
        return keys[a] < keys[b]
    if rows[a, 0] != rows[b, 0]:
        return rows[a, 0] < rows[b, 0]
    return rows[a, 1] < rows[b, 1]


@compiled(fastmath=False)
def _swap(keys, rows, a, b):  # type: ignore[no-untyped-def]
    keys[a], keys[b] = keys[b], keys[a]
    for k in range(4):
        rows[a, k], rows[b, k] = rows[b, k], rows[a, k]


@compiled(fastmath=False)
def _rise(keys, rows, child):  # type: ignore[no-untyped-def]
    """Move a new entry up to its place."""
    while child > 0:
        parent = (child - 1) // 2
        if not _before(keys, rows, child, parent):
            break
        _swap(keys, rows, child, parent)
        child = parent


@compiled(fastmath=False)
def _sink(keys, rows, count, parent):  # type: ignore[no-untyped-def]
    """Move an entry down to its place."""
    while True:
        least = parent
        for child in range(2 * parent + 1, 2 * parent + 3):
            if child < count and _before(keys, rows, child, least):
                least = child
        if least == parent:
            break
        _swap(keys, rows, parent, least)
        parent = least


@compiled(fastmath=False)
def _link_corners(faces, first, following):  # type: ignore[no-untyped-def]
    """Chain the corners of each vertex; corner 3 f + k is face f's k-th."""
    for corner in range(3 * len(faces) - 1, -1, -1):
        vertex = faces[corner // 3, corner % 3]
        following[corner] = first[vertex]
        first[vertex] = corner


@compiled(fastmath=False)
def _fix_vertices(faces, first, following, mark, fixed):  # type: ignore[no-untyped-def]
    """Find vertices whose faces do not close a ring: borders, and places that are no surface."""
    for vertex in range(len(first)):
        faces_there, neighbours = 0, 0
        corner = first[vertex]
        while corner >= 0:
            faces_there += 1
            for k in range(1, 3):
                other = faces[corner // 3, (corner % 3 + k) % 3]
                if mark[other] != vertex:
                    mark[other] = vertex
                    neighbours += 1
            corner = following[corner]
        fixed[vertex] = neighbours != faces_there


@compiled(fastmath=False)
def _shares_two(faces, alive, first, following, u, v, mark, tick):  # type: ignore[no-untyped-def]
    """Check the link condition, and that what is collapsed is more than a tetrahedron."""
    corner, around = first[u], 0
    while corner >= 0:
        if alive[corner // 3]:
            for k in range(1, 3):
                mark[faces[corner // 3, (corner % 3 + k) % 3]] = tick
            around += 1
        corner = following[corner]
    corner, common, others = first[v], 0, 0
    while corner >= 0:
        if alive[corner // 3]:
            for k in range(1, 3):
                other = faces[corner // 3, (corner % 3 + k) % 3]
                if mark[other] == tick:
                    common += 1
                    mark[other] = tick + 1
            others += 1
        corner = following[corner]
    return common == 2 and (around > 3 or others > 3)


@compiled(fastmath=False)
def _add_normals(points, faces, alive, first, following, u, normal):  # type: ignore[no-untyped-def]
    """Add the area vectors of the faces around `u`."""
    corner = first[u]
    while corner >= 0:
        f = corner // 3
        if alive[f]:
            p, q, r = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
            for k in range(3):
                i, j = (k + 1) % 3, (k + 2) % 3
                normal[k] += (q[i] - p[i]) * (r[j] - p[j]) - (q[j] - p[j]) * (r[i] - p[i])
        corner = following[corner]


@compiled(fastmath=False)
def _keeps_faces(points, faces, alive, first, following, u, v, best, normal, limits):  # type: ignore[no-untyped-def]
    """Check that no face around `u` turns over or becomes a sliver when `u` moves to `best`; faces with `v` vanish.

    Faces so thin that their own normal is noise are compared with the `normal` of the neighbourhood.
    """
    turn, slimmest, thinnest, noise = limits
    corner = first[u]
    while corner >= 0:
        f, k = corner // 3, corner % 3
        corner = following[corner]
        a, b = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
        if not alive[f] or a == v or b == v:
            continue
        old = points[u]
        dx, dy, dz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        x0, y0, z0 = old[0] - points[a, 0], old[1] - points[a, 1], old[2] - points[a, 2]
        x1, y1, z1 = best[0] - points[a, 0], best[1] - points[a, 1], best[2] - points[a, 2]
        ox, oy, oz = dy * z0 - dz * y0, dz * x0 - dx * z0, dx * y0 - dy * x0
        nx, ny, nz = dy * z1 - dz * y1, dz * x1 - dx * z1, dx * y1 - dy * x1
        was, now = np.sqrt(ox * ox + oy * oy + oz * oz), np.sqrt(nx * nx + ny * ny + nz * nz)
        side = dx * dx + dy * dy + dz * dz
        old_side = max(side, x0 * x0 + y0 * y0 + z0 * z0, (x0 - dx) ** 2 + (y0 - dy) ** 2 + (z0 - dz) ** 2)
        new_side = max(side, x1 * x1 + y1 * y1 + z1 * z1, (x1 - dx) ** 2 + (y1 - dy) ** 2 + (z1 - dz) ** 2)
        if was <= noise * np.sqrt(old_side):
            if nx * normal[0] + ny * normal[1] + nz * normal[2] <= 0:
                return False
        elif ox * nx + oy * ny + oz * nz < turn * was * now:
            return False
        if now < slimmest * new_side and now * old_side < _NO_WORSE * was * new_side:
            return False
        if now < thinnest * np.sqrt(new_side) and now * np.sqrt(old_side) < _NO_WORSE * was * np.sqrt(new_side):
            return False
    return True


@compiled(fastmath=False)
def _find_place(points, faces, alive, first, following, u, v, best, workspace, limits):  # type: ignore[no-untyped-def]
    """Try the best point, then the ends of the edge."""
    normal = workspace[0]
    normal[0] = normal[1] = normal[2] = 0.0
    _add_normals(points, faces, alive, first, following, u, normal)
    _add_normals(points, faces, alive, first, following, v, normal)
    for attempt in range(3):
        if attempt:
            for i in range(len(best)):
                best[i] = points[u if attempt == 1 else v, i]
        if _keeps_faces(points, faces, alive, first, following, u, v, best, normal, limits) and _keeps_faces(
            points, faces, alive, first, following, v, u, best, normal, limits
        ):
            return True
    return False


@compiled(fastmath=False)
def _merge(faces, alive, first, following, u, v):  # type: ignore[no-untyped-def]
    """Give the faces of `v` to `u`; those that had both vanish, and their corners leave the chain."""
    kept, corner = -1, first[u]
    first[u] = -1
    for part in range(2):
        while corner >= 0:
            f, after = corner // 3, following[corner]
            if alive[f]:
                if part == 0:
                    alive[f] = faces[f, 0] != v and faces[f, 1] != v and faces[f, 2] != v
                else:
                    faces[f, corner % 3] = u
            if alive[f]:
                if kept < 0:
                    first[u] = corner
                else:
                    following[kept] = corner
                kept = corner
            corner = after
        corner = first[v]
    first[v] = -1
    if kept >= 0:
        following[kept] = -1


@compiled(fastmath=False)
def _queue_all(state, longest_square, keys, rows):  # type: ignore[no-untyped-def]
    """Make the heap of all edges that may be collapsed: errors, and vertices with their versions."""
    points, faces, alive, _, _, fixed, version, quadrics, _, workspace, best = state
    count = 0
    for f in range(len(faces)):
        for k in range(3):
            u, v = faces[f, k], faces[f, (k + 1) % 3]
            if alive[f] and u < v and not fixed[u] and not fixed[v] and _square(points, u, v) <= longest_square:
                keys[count] = best_point(points, quadrics, u, v, workspace, best)
                rows[count, 0], rows[count, 1], rows[count, 2], rows[count, 3] = u, v, version[u], version[v]
                count += 1
    for parent in range(count // 2 - 1, -1, -1):
        _sink(keys, rows, count, parent)
    return count


@compiled(fastmath=False)
def _queue_around(  # type: ignore[no-untyped-def]
    points, faces, first, following, u, fixed, version, quadrics, longest_square, workspace, best, keys, rows, count
):
    """Put the edges of a vertex that has moved on the heap, and throw out outdated ones when it is full."""
    corner = first[u]
    while corner >= 0:  # in a closed ring, the next corners are all neighbours
        v = faces[corner // 3, (corner % 3 + 1) % 3]
        corner = following[corner]
        if fixed[v] or _square(points, u, v) > longest_square:
            continue
        if count == len(keys):
            count = _without_outdated(keys, rows, count, version)
        low, high = (u, v) if u < v else (v, u)
        keys[count] = best_point(points, quadrics, low, high, workspace, best)
        rows[count, 0], rows[count, 1], rows[count, 2], rows[count, 3] = low, high, version[low], version[high]
        _rise(keys, rows, count)
        count += 1
    return count


@compiled(fastmath=False)
def _without_outdated(keys, rows, count, version):  # type: ignore[no-untyped-def]
    """Keep the entries of edges that are as they were: never more than there are edges, so that there is workspace."""
    kept = 0
    for entry in range(count):
        if rows[entry, 2] == version[rows[entry, 0]] and rows[entry, 3] == version[rows[entry, 1]]:
            _swap(keys, rows, kept, entry)
            kept += 1
    for parent in range(kept // 2 - 1, -1, -1):
        _sink(keys, rows, kept, parent)
    return kept


@compiled(fastmath=False)
def _collapse(state, heap, count, left, target, tick, longest_square, limits, last):  # type: ignore[no-untyped-def]
    """Collapse the edges on the heap, in place, until `target` faces are left.

    Returns:
        How many are left, and the last mark that was used.
    """
    points, faces, alive, first, following, fixed, version, quadrics, mark, workspace, best = state
    keys, rows = heap
    top = np.int64(0)  # a plain 0 is a type of its own, for which all would be compiled again
    while count > 0 and left > target:
        u, v = rows[0, 0], rows[0, 1]
        current = rows[0, 2] == version[u] and rows[0, 3] == version[v]
        count -= 1
        _swap(keys, rows, top, count)
        _sink(keys, rows, count, top)
        tick += 2
        if not current or not _shares_two(faces, alive, first, following, u, v, mark, tick):
            continue
        if last and _square(points, u, v) < limits[2] * limits[2]:
            for i in range(len(best)):
                best[i] = points[u, i]  # two ends of one place: only faces without an area can mind
        else:
            best_point(points, quadrics, u, v, workspace, best)
            if not _find_place(points, faces, alive, first, following, u, v, best, workspace, limits):
                continue
        for i in range(len(best)):
            points[u, i] = best[i]
        for i in range(quadrics.shape[1]):
            quadrics[u, i] += quadrics[v, i]
        _merge(faces, alive, first, following, u, v)
        version[u] += 1
        version[v] = -1
        left -= 2
        count = _queue_around(
            points,
            faces,
            first,
            following,
            u,
            fixed,
            version,
            quadrics,
            longest_square,
            workspace,
            best,
            keys,
            rows,
            count,
        )
    return left, tick
