"""Quadric errors over position and colour together, on CPUs (numba).

Garland and Heckbert, "Simplifying surfaces with color and texture using quadric error metrics" (1998): a vertex is a
point of R^d, its position followed by its colour in units of length. Each triangle spans a plane there, and a vertex
knows the summed squared distances to the planes around it, weighted by area, as `x'Ax + 2 b'x + c`. A row of numbers
holds the lower triangle of A, then b, then c.
"""

import numpy as np

from gen3d_tools.kernels.compiling.compiled import compiled

_STIFFNESS = 1e-5  # pulls the best point to the middle of the edge where the planes leave it free


@compiled(fastmath=False, forceinline=True)
def _entry(row, column):  # type: ignore[no-untyped-def]
    """Where the lower triangle of a symmetric matrix holds an entry; row >= column."""
    return row * (row + 1) // 2 + column


@compiled(fastmath=False)
def add_planes(points, faces, quadrics, workspace):  # type: ignore[no-untyped-def]
    """Add each triangle's quadric to its corners (section 4 of the paper).

    Args:
        points: [vertices, d].
        faces: [faces, 3].
        quadrics: [vertices, numbers of a quadric].
        workspace: [3, at least numbers of a quadric] workspace to work in.
    """
    d, e1, e2, row = points.shape[1], workspace[0], workspace[1], workspace[2]
    size = d * (d + 1) // 2
    for f in range(len(faces)):
        p, q, r = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        first, along, second, p1, p2, square = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(d):
            e1[i], e2[i] = q[i] - p[i], r[i] - p[i]
            first += e1[i] * e1[i]
        first = np.sqrt(first)
        if first > 0:
            for i in range(d):
                e1[i] /= first
                along += e1[i] * e2[i]
        for i in range(d):
            e2[i] -= along * e1[i]
            second += e2[i] * e2[i]
        second = np.sqrt(second)
        if not second > 1e-9 * (first + abs(along)):
            continue  # a line spans no plane
        for i in range(d):
            e2[i] /= second
            p1 += p[i] * e1[i]
            p2 += p[i] * e2[i]
            square += p[i] * p[i]
        weight = 0.5 * first * second / 3
        for i in range(d):
            for j in range(i + 1):
                row[_entry(i, j)] = weight * ((1.0 if i == j else 0.0) - e1[i] * e1[j] - e2[i] * e2[j])
            row[size + i] = weight * (p1 * e1[i] + p2 * e2[i] - p[i])
        row[size + d] = weight * (square - p1 * p1 - p2 * p2)
        for k in range(3):
            quadric = quadrics[faces[f, k]]
            for i in range(size + d + 1):
                quadric[i] += row[i]


@compiled(fastmath=False)
def best_point(points, quadrics, u, v, workspace, best):  # type: ignore[no-untyped-def]
    """Solve for the point of least error of both quadrics together, by Cholesky; give the error there."""
    d = points.shape[1]
    size = d * (d + 1) // 2
    first, second = quadrics[u], quadrics[v]
    stiffness = 0.0
    for i in range(d):
        stiffness += first[_entry(i, i)] + second[_entry(i, i)]
    stiffness = _STIFFNESS * stiffness + 1e-300
    for i in range(d):
        middle = 0.5 * (points[u, i] + points[v, i])
        best[i] = stiffness * middle - first[size + i] - second[size + i]
        for j in range(i + 1):
            total = first[_entry(i, j)] + second[_entry(i, j)]
            if i == j:
                total += stiffness
            for k in range(j):
                total -= workspace[i, k] * workspace[j, k]
            workspace[i, j] = np.sqrt(total if total > 1e-300 else 1e-300) if i == j else total / workspace[j, j]
        for k in range(i):
            best[i] -= workspace[i, k] * best[k]
        best[i] /= workspace[i, i]
    for step in range(d):
        i = d - 1 - step
        for k in range(i + 1, d):
            best[i] -= workspace[k, i] * best[k]
        best[i] /= workspace[i, i]
    error, spread = first[size + d] + second[size + d], 0.0
    for i in range(d):
        gap = best[i] - 0.5 * (points[u, i] + points[v, i])
        spread += gap * gap
        error += 2 * best[i] * (first[size + i] + second[size + i])
        for j in range(i):
            error += 2 * best[i] * best[j] * (first[_entry(i, j)] + second[_entry(i, j)])
        error += best[i] * best[i] * (first[_entry(i, i)] + second[_entry(i, i)])
    return (error if error > 0.0 else 0.0) + stiffness * spread
