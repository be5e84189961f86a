"""The connected parts of a surface, and what can be measured of each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Every connected part of a surface, in the order of their first vertex."""

    labels: Int[np.ndarray, " faces"]  # the part of each face
    volumes: Float[np.ndarray, " parts"]  # signed: negative where faces look inwards, as the wall of a cavity does
    areas: Float[np.ndarray, " parts"]
    wall_areas: Float[np.ndarray, " parts"]  # area of the faces that lie on the box
    low: Float[np.ndarray, "parts 3"]  # bounding box
    high: Float[np.ndarray, "parts 3"]

    def __len__(self) -> int:
        return len(self.volumes)

    @property
    def extents(self) -> Float[np.ndarray, "parts 3"]:
        """Sides of the bounding boxes."""
        return np.asarray(self.high - self.low)


def measure_parts(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], box_side: float = np.inf
) -> Parts:
    """Find the connected parts of a surface and measure them.

    Args:
        vertices: Positions.
        faces: Closed surface.
        box_side: Side of the cube around the origin whose walls count for `wall_areas`.
    """
    labels = component_labels(faces)
    count = int(labels.max(initial=-1)) + 1
    area = lengths(area_vectors(vertices, faces))
    on_wall = np.zeros(len(faces), bool)
    if np.isfinite(box_side):
        walls = np.zeros(len(vertices), np.uint8)  # one bit for each wall that a vertex lies on
        for side in range(6):
            there = np.abs(vertices[:, side % 3] - box_side * (side // 3 - 0.5)) < 1e-4 * box_side
            walls |= there.astype(np.uint8) << side
        on_wall = (walls[faces[:, 0]] & walls[faces[:, 1]] & walls[faces[:, 2]]) != 0
    low, high = _boxes(vertices, faces, labels, count)
    return Parts(
        labels=labels,
        volumes=component_volumes(vertices, faces, labels),
        areas=np.bincount(labels, weights=area, minlength=count).astype(np.float64),
        wall_areas=np.bincount(labels[on_wall], weights=area[on_wall], minlength=count).astype(np.float64),
        low=low,
        high=high,
    )


def component_labels(faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, " faces"]:
    """Number the connected part of each face, from 0 in the order of their first vertex. Parts share no vertex."""
    if not len(faces):
        return np.zeros(0, np.int64)
    a, b, c = np.ascontiguousarray(faces.T)
    vertices = int(faces.max()) + 1
    links = coo_matrix((np.ones(2 * len(faces), bool), (np.r_[a, b], np.r_[b, c])), shape=(vertices, vertices))
    labels = connected_components(links, directed=False)[1][a]
    used = np.zeros(int(labels.max()) + 1, bool)  # vertices without a face are parts to scipy
    used[labels] = True
    return np.asarray((np.cumsum(used) - 1)[labels])


def _boxes(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    labels: Int[np.ndarray, " faces"],
    count: int,
) -> tuple[Float[np.ndarray, "{count} 3"], Float[np.ndarray, "{count} 3"]]:
    """Lowest and highest corner of the bounding box of each part."""
    part = np.full(len(vertices), -1)
    for corner in range(3):
        part[faces[:, corner]] = labels
    order = np.argsort(part, kind="stable")
    first = np.searchsorted(part[order], np.arange(count))
    if not count:
        return np.empty((0, 3)), np.empty((0, 3))
    sorted_vertices = np.asarray(vertices[order], np.float64)
    return np.minimum.reduceat(sorted_vertices, first), np.maximum.reduceat(sorted_vertices, first)


def component_volumes(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], labels: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, " parts"]:
    """Signed volume of each closed part: the sum of the tetrahedra from each face to one point.

    A part whose faces look inwards, the wall of a cavity, has negative volume.
    """
    from_one_point = vertices[faces[:, 0]] - vertices[faces[:1, 0]]
    tetrahedra = np.einsum("fi,fi->f", from_one_point, area_vectors(vertices, faces)) / 3
    return np.bincount(labels, weights=tetrahedra).astype(np.float64)


def area_vectors(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "faces 3"]:
    """Outward vectors as long as each face is large. Column by column: far faster than `numpy.cross`."""
    columns = np.ascontiguousarray(vertices.T, np.float64)
    a, b, c = np.ascontiguousarray(faces.T)
    ux, uy, uz = (column[b] - column[a] for column in columns)
    vx, vy, vz = (column[c] - column[a] for column in columns)
    return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx]).T / 2


def lengths(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Length of each vector."""
    return np.asarray(np.sqrt(np.einsum("fi,fi->f", vectors, vectors)))


def area_normals(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """The area vectors of the faces around each vertex added up: its normal by the faces, not of unit length."""
    vectors, around = area_vectors(vertices, faces), np.zeros((len(vertices), 3))
    for corner in range(3):
        for axis in range(3):
            around[:, axis] += np.bincount(faces[:, corner], weights=vectors[:, axis], minlength=len(vertices))
    return around


def encloses(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], point: Float[np.ndarray, "3"]
) -> bool:
    """Whether a closed surface goes around a point: its faces fill the point's whole view (van Oosterom, Strackee)."""
    a, b, c = (vertices[faces[:, corner]] - point for corner in range(3))
    u, v, w = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    dots = ((a * b).sum(1) * w, (b * c).sum(1) * u, (c * a).sum(1) * v)
    solid_angles = 2 * np.arctan2((a * np.cross(b, c)).sum(1), u * v * w + sum(dots))
    return bool(abs(solid_angles.sum()) > 2 * np.pi)
