"""Fewer faces for the same look: silhouettes and colour borders stay, and closed surfaces stay closed.

Colour counts as length: a step from black to white is as long as `COLOR_WEIGHT` of the mesh's diagonal. So plain, flat
places lose their faces first, and a border between two colours is an edge like any other. The work is done by
`kernels.meshes.collapse`.
"""

import logging
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy.spatial import cKDTree

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.processing.parts import component_labels, component_volumes

logger = logging.getLogger(__name__)

FEWEST_FACES = 4  # of a closed surface: a tetrahedron
COLOR_WEIGHT = 0.025
SHORTEST_EDGE = 0.1  # in voxels; what marching cubes cuts off near lattice points
THINNEST_FACE = 1e-3  # in voxels

Surface = tuple[Float[np.ndarray, "new_vertices 3"], Int[np.ndarray, "new_faces 3"]]

Colored = tuple[
    Float[np.ndarray, "new_vertices 3"], Int[np.ndarray, "new_faces 3"], UInt8[np.ndarray, "new_vertices 3"] | None
]


@dataclass(frozen=True, kw_only=True)
class Decimation:
    """What decimation was asked for, and what it gave."""

    asked: int  # faces
    before: int
    got: int

    def __str__(self) -> str:
        """Say it in one line."""
        said = f"{self.got:,} of {self.before:,} faces kept"
        return said if self.got <= self.asked else f"{said}, {self.asked:,} asked; fewer would not be a sound surface"


def decimate(mesh: trimesh.Trimesh, faces: int, *, color_weight: float = COLOR_WEIGHT) -> trimesh.Trimesh:
    """Reduce a mesh to a number of faces.

    Closed parts stay closed and apart, each with at least four faces; the border of an open mesh stays as it is.

    Args:
        mesh: With vertex colours or without. It is not changed.
        faces: Wanted; the result has this many or one fewer, or more where no edge can be collapsed any more, or where
            a part would turn inside out.
        color_weight: How long the way from black to white is, as a share of the mesh's diagonal; 0 ignores colours.

    Returns:
        A new mesh; vertex colours are those that err least. Vertex normals are its own. `metadata["decimation"]`
        says how many faces were asked for and got.

    Raises:
        InputError: Fewer than four faces are asked for, or the mesh has a texture, which would not fit any more.
    """
    check_faces(faces)
    if isinstance(mesh.visual, trimesh.visual.TextureVisuals):
        raise InputError("the mesh has a texture, which would not fit fewer faces; decimate first, then bake it")
    vertices, triangles = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    colors = vertex_bytes(mesh)
    if faces < len(triangles):
        vertices, triangles, colors = _outward(vertices, triangles, colors, faces, color_weight)
    smaller = trimesh.Trimesh(vertices, triangles, vertex_colors=colors, process=False)
    report = Decimation(asked=faces, before=len(mesh.faces), got=len(triangles))
    smaller.metadata.update(mesh.metadata, decimation=report)
    logger.info("Decimated: %s.", report)
    return smaller


def vertex_bytes(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "vertices 3"] | None:
    """The vertex colours of a mesh, if it has any."""
    if not isinstance(mesh.visual, trimesh.visual.ColorVisuals) or mesh.visual.kind != "vertex":
        return None
    return np.asarray(mesh.visual.vertex_colors, np.uint8)[:, :3]


def check_faces(faces: int) -> None:
    """Say before any work is done whether a mesh can have this many faces.

    Raises:
        InputError: It cannot.
    """
    if faces < FEWEST_FACES:
        raise InputError(f"faces is {faces}, a closed mesh needs at least {FEWEST_FACES}; try 20000")


def collapse_slivers(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], voxel: float
) -> Surface:
    """Collapse the tiny edges that marching cubes leaves near lattice points, so that every face has an area.

    Args:
        vertices: Positions.
        faces: Closed surface.
        voxel: Distance of lattice points.

    Returns:
        The surface without edges much shorter than a voxel, as closed as it was.
    """
    if not len(faces):
        return vertices, faces
    from gen3d_tools.kernels.meshes.collapse import collapse_edges  # imports numba, which takes a while

    return collapse_edges(vertices, faces, target=0, longest=SHORTEST_EDGE * voxel, thinnest=THINNEST_FACE * voxel)


def _outward(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    colors: UInt8[np.ndarray, "vertices 3"] | None,
    target: int,
    color_weight: float,
) -> Colored:
    """Simplify as far as no closed part turns inside out, which thin ones do when hardly a face is left."""
    while True:
        simple = _simplify(vertices, faces, colors, target, color_weight)
        inward = _inward_parts(*simple[:2])
        if not inward or inward <= _inward_parts(vertices, faces):
            return simple
        target = max(2 * len(simple[1]), target + 1)
        if target >= len(faces):
            return vertices, faces, colors


def _inward_parts(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> int:
    """Number of parts that look inwards, such as the walls of cavities; 0 for an open surface, which has no inside."""
    if not trimesh.Trimesh(vertices, faces, process=False).is_watertight:
        return 0
    return int((component_volumes(vertices, faces, component_labels(faces)) <= 0).sum())


def _simplify(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    colors: UInt8[np.ndarray, "vertices 3"] | None,
    target: int,
    color_weight: float,
) -> Colored:
    """Collapse edges by the errors of position and colour together."""
    from gen3d_tools.kernels.meshes.collapse import collapse_edges  # imports numba, which takes a while

    diagonal = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    scale = color_weight * diagonal / 255
    points = vertices if colors is None or not scale else np.hstack([vertices, colors * scale])
    points, left = collapse_edges(points, faces, target=target, thinnest=1e-5 * diagonal)
    if colors is None:
        return points, left, None
    if not scale:
        return points, left, colors[cKDTree(vertices).query(points)[1]]
    return points[:, :3], left, (points[:, 3:] / scale).round().clip(0, 255).astype(np.uint8)
