"""Faces without an area that no short edge explains: one corner lies on the opposite side."""

import numpy as np
from jaxtyping import Float, Int

from gen3d_tools.geometry.processing.health import degenerate


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
    caps = np.flatnonzero(degenerate(vertices, faces, height=height))
    if not len(caps):
        return faces
    faces, least = np.array(faces), height * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    around = np.flatnonzero(np.isin(faces, faces[caps]).any(axis=1))  # all that can be touched
    some, which = faces[around], np.searchsorted(around, caps)
    for cap in which:
        if not _is_line(vertices, some[cap], least):  # any more
            continue
        corners = vertices[some[cap]]
        lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
        a, b, c = np.roll(some[cap], -int(lengths.argmax()))  # the long side runs from a to b
        beside = np.flatnonzero((some == a).any(axis=1) & (some == b).any(axis=1))
        others = beside[beside != cap]
        if len(others) != 1:
            continue
        (d,) = set(some[others[0]].tolist()) - {int(a), int(b)}
        turned = np.array([[a, d, c], [d, b, c]], faces.dtype)
        if not _joined(some, int(c), d) and _fits(vertices, turned, some[others[0]], least):
            some[cap], some[others[0]] = turned
    faces[around] = some
    return faces


def _is_line(vertices: Float[np.ndarray, "vertices 3"], face: Int[np.ndarray, " 3"], least: float) -> bool:
    """Whether a face is no higher than a length."""
    a, b, c = vertices[face]
    longest = max(np.linalg.norm(b - a), np.linalg.norm(c - b), np.linalg.norm(a - c))
    return bool(np.linalg.norm(np.cross(b - a, c - a)) <= least * longest)


def _joined(faces: Int[np.ndarray, "faces 3"], one: int, other: int) -> bool:
    """Whether two vertices share an edge already."""
    return bool(((faces == one).any(axis=1) & (faces == other).any(axis=1)).any())


def _fits(
    vertices: Float[np.ndarray, "vertices 3"],
    turned: Int[np.ndarray, "2 3"],
    beside: Int[np.ndarray, " 3"],
    least: float,
) -> bool:
    """Whether new faces are no lines, and look to where the face beside the cap looked."""
    if any(_is_line(vertices, face, least) for face in turned):
        return False
    one, other, before = (np.cross(*(vertices[face[1:]] - vertices[face[0]])) for face in (*turned, beside))
    return bool(one @ before > 0 and other @ before > 0)
