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
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    on_wall = np.zeros(len(faces), bool)
    if np.isfinite(box_side):
        for side in (-box_side / 2, box_side / 2):
            on_wall |= (np.abs(corners - side) < 1e-4 * box_side).all(axis=1).any(axis=1)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, labels, corners.min(axis=1))
    np.maximum.at(high, labels, corners.max(axis=1))
    return Parts(
        labels=labels,
        volumes=component_volumes(vertices, faces, labels),
        areas=np.bincount(labels, weights=area, minlength=count).astype(np.float64),
        wall_areas=np.bincount(labels, weights=area * on_wall, minlength=count).astype(np.float64),
        low=low,
        high=high,
    )


def component_labels(faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, " faces"]:
    """Number the connected part of each face, from 0 in the order of their first vertex. Parts share no vertex."""
    if not len(faces):
        return np.zeros(0, np.int64)
    used, compact = np.unique(faces, return_inverse=True)
    a, b, c = compact.reshape(-1, 3).T
    links = coo_matrix((np.ones(2 * len(faces), bool), (np.r_[a, b], np.r_[b, c])), shape=(len(used),) * 2)
    labels: np.ndarray = connected_components(links, directed=False)[1]
    return labels[a].astype(np.int64)


def component_volumes(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], labels: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, " parts"]:
    """Signed volume of each closed part: the sum of the tetrahedra from each face to one point.

    A part whose faces look inwards, the wall of a cavity, has negative volume.
    """
    a, b, c = (vertices[faces[:, corner]] - vertices[faces[:1, 0]] for corner in range(3))
    tetrahedra = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
    return np.bincount(labels, weights=tetrahedra).astype(np.float64)


def area_normals(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """The area vectors of the faces around each vertex added up: its normal by the faces, not of unit length."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    area_vectors = np.cross(b - a, c - a) / 2
    around = np.zeros((len(vertices), 3))
    for corner in range(3):
        for axis in range(3):
            around[:, axis] += np.bincount(faces[:, corner], weights=area_vectors[:, axis], minlength=len(vertices))
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
