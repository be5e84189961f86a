"""Marching cubes over parts of a lattice, vertices shared, slab after slab.

The triangles of each of the 256 cases are those of PyMCubes, asked for once, so the surfaces have the same
topology. A vertex belongs to a lattice edge; its number is kept until the slab and the next one are done, so that all
cells around the edge use the same vertex and no vertices need to be compared.
"""

import functools

import mcubes
import numpy as np

from gen3d_tools.kernels.compiling.compiled import compiled
from gen3d_tools.kernels.lattice.evaluate import BORDER, PART, TILE

CAP = 5e-4  # how far outside the box a surface is closed, in voxels: not 0, so that no two vertices fall together
_MOST_TRIANGLES = 5


@functools.cache
def cases() -> tuple[np.ndarray, np.ndarray]:
    """Number of triangles of each case, and the edges their corners lie on: [256], [256, 5, 3].

    Bit 4 x + 2 y + z of a case says that corner (x, y, z) of the cell is inside. Edge 4 a + 2 p + q runs along axis a;
    p and q are its places along the other two axes, in order.
    """
    counts, edges = np.zeros(256, np.int64), np.zeros((256, _MOST_TRIANGLES, 3), np.int64)
    for case in range(1, 255):
        corners = np.array([(case >> bit) & 1 for bit in range(8)], float).reshape(2, 2, 2)
        vertices, faces = mcubes.marching_cubes(corners, 0.5)
        axis = np.argmin(np.abs(vertices - 0.5), axis=1)
        others = np.array([np.delete(vertex, a).round() for vertex, a in zip(vertices, axis, strict=True)], np.int64)
        numbers = 4 * axis + 2 * others[:, 0] + others[:, 1]
        counts[case] = len(faces)
        edges[case, : len(faces)] = numbers[faces.astype(np.int64)]
    return counts, edges


@compiled()
def count_triangles(kept, values, level, counts):  # type: ignore[no-untyped-def]
    """Count the triangles of a slab."""
    total = 0
    for a in range(2):
        for i in range(kept.shape[1]):
            for j in range(kept.shape[2]):
                if not kept[a, i, j]:
                    continue
                for x in range(PART * a, PART * a + PART):
                    for y in range(PART * i, min(PART * i + PART, values.shape[1] - 1)):
                        for z in range(PART * j, min(PART * j + PART, values.shape[2] - 1)):
                            total += counts[case_of(values, x, y, z, level)]
    return total


@compiled(no_cpython_wrapper=True)
def case_of(values, x, y, z, level):  # type: ignore[no-untyped-def]
    """Which corners of a cell are inside, as a number."""
    case = 0
    for corner in range(8):
        if values[x + (corner >> 2), y + ((corner >> 1) & 1), z + (corner & 1)] > level:
            case |= 1 << corner
    return case


@compiled()
def forget_edges(kept, edges):  # type: ignore[no-untyped-def]
    """Take the vertex numbers of the last slab's far side for the near side, and forget the rest where it matters.

    Args:
        kept: [2, parts, parts] of the new slab.
        edges: [3, TILE + 1, n + 2, n + 2] vertex numbers on the edges that leave each point along x, y and z; -1: none.
    """
    for y in range(edges.shape[2]):
        for z in range(edges.shape[3]):
            for axis in range(3):
                edges[axis, 0, y, z] = edges[axis, TILE, y, z] if axis > 0 else -1
                edges[axis, TILE, y, z] = -1
    for a in range(2):
        for i in range(kept.shape[1]):
            for j in range(kept.shape[2]):
                if not kept[a, i, j]:
                    continue
                for x in range(max(PART * a, 1), min(PART * a + PART + 1, TILE)):
                    for y in range(PART * i, min(PART * i + PART + 1, edges.shape[2])):
                        for z in range(PART * j, min(PART * j + PART + 1, edges.shape[3])):
                            edges[0, x, y, z] = edges[1, x, y, z] = edges[2, x, y, z] = -1


@compiled()
def march_slab(kept, values, level, slab, cases, edges, first, vertices, faces):  # type: ignore[no-untyped-def]
    """Make the triangles of a slab.

    Args:
        kept: [2, parts, parts].
        values: [TILE + 1, n + 2, n + 2], valid at the points of kept parts.
        level: Values above it are inside.
        slab: Which slab.
        cases: What `cases` gave.
        edges: See `forget_edges`.
        first: Number of the first new vertex.
        vertices: Receives new vertices, in lattice steps from the first lattice point.
        faces: Receives the triangles.

    Returns:
        Number of new vertices.
    """
    counts, corners = cases
    made, face = 0, 0
    for a in range(2):
        for i in range(kept.shape[1]):
            for j in range(kept.shape[2]):
                if not kept[a, i, j]:
                    continue
                for x in range(PART * a, PART * a + PART):
                    for y in range(PART * i, min(PART * i + PART, values.shape[1] - 1)):
                        for z in range(PART * j, min(PART * j + PART, values.shape[2] - 1)):
                            case = case_of(values, x, y, z, level)
                            for triangle in range(counts[case]):
                                for corner in range(3):
                                    edge = corners[case, triangle, corner]
                                    axis, p, q = edge >> 2, (edge >> 1) & 1, edge & 1
                                    ex = x + (p if axis > 0 else 0)
                                    ey = y + (p if axis == 0 else q if axis == 2 else 0)
                                    ez = z + (q if axis < 2 else 0)
                                    if edges[axis, ex, ey, ez] < 0:
                                        edges[axis, ex, ey, ez] = first + made
                                        place_vertex(values, level, slab, axis, ex, ey, ez, vertices[made])
                                        made += 1
                                    faces[face, corner] = edges[axis, ex, ey, ez]
                                face += 1
    return made


@compiled(fastmath=False)
def place_vertex(values, level, slab, axis, x, y, z, out):  # type: ignore[no-untyped-def]
    """Put a vertex where the line between the values at an edge's ends meets the level."""
    v0 = np.float64(values[x, y, z])
    v1 = np.float64(values[x + (axis == 0), y + (axis == 1), z + (axis == 2)])
    if v0 <= BORDER:
        t = 1 - CAP
    elif v1 <= BORDER:
        t = CAP
    else:
        t = (level - v0) / (v1 - v0)
    out[0], out[1], out[2] = TILE * slab + x - 1, y - 1, z - 1
    out[axis] += t
