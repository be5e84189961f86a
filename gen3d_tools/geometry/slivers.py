"""Faces without an area that no short edge explains: one corner lies on the opposite side."""

import numpy as np
from jaxtyping import Float, Int

from gen3d_tools.geometry.health import degenerate


def flip_caps(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], *, height: float
) -> Int[np.ndarray, "faces 3"]:
    """Turn the long side of each face that is all but a line, so that it joins the two corners opposite to it.

    Marching cubes makes such caps where three crossings lie on one line of a cell's side. No vertex moves and what is
    closed stays closed (Botsch & Kobbelt, "A robust procedure to eliminate degenerate faces from triangle meshes",
    VMV 2001, without their slicing). A side stays where the other two faces would be thin or look back.

    Args:
        vertices: Positions.
        faces: The surface.
        height: Below which a face counts as a line, as a share of the mesh's diagonal.
    """
    faces = np.array(faces)
    for cap in np.flatnonzero(degenerate(vertices, faces, height=height)):
        corners = vertices[faces[cap]]
        lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
        a, b, c = np.roll(faces[cap], -int(lengths.argmax()))  # the long side runs from a to b
        beside = np.flatnonzero((faces == a).any(axis=1) & (faces == b).any(axis=1))
        others = beside[beside != cap]
        if len(others) != 1:
            continue
        (d,) = set(faces[others[0]].tolist()) - {int(a), int(b)}
        turned = np.array([[a, d, c], [d, b, c]], faces.dtype)
        if not _joined(faces, int(c), d) and _fits(vertices, turned, faces[others[0]], height):
            faces[cap], faces[others[0]] = turned
    return faces


def _joined(faces: Int[np.ndarray, "faces 3"], one: int, other: int) -> bool:
    """Whether two vertices share an edge already."""
    return bool(((faces == one).any(axis=1) & (faces == other).any(axis=1)).any())


def _fits(
    vertices: Float[np.ndarray, "vertices 3"],
    turned: Int[np.ndarray, "2 3"],
    beside: Int[np.ndarray, " 3"],
    height: float,
) -> bool:
    """Whether new faces are no lines, and look to where the face beside the cap looked."""
    diagonal = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    normals = [np.cross(*(vertices[face[1:]] - vertices[face[0]])) for face in (*turned, beside)]
    longest = [max(np.linalg.norm(vertices[face] - vertices[np.roll(face, 1)], axis=1)) for face in turned]
    tall = all(np.linalg.norm(n) > height * diagonal * side for n, side in zip(normals[:2], longest, strict=True))
    return tall and all(float(n @ normals[2]) > 0 for n in normals[:2])
