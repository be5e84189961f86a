"""A mesh made watertight: faces that spoil it are taken out, holes filled, parts that run into each other joined.

What comes out is a solid to manifold3d: closed, oriented, every edge with two faces. A part that crosses itself stays
closed but is not untangled.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass

import manifold3d  # type: ignore[import-not-found]
import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_tools.errors import Gen3DError
from gen3d_tools.geometry.processing.cleanup import drop_unused, weld
from gen3d_tools.geometry.processing.decimation import vertex_bytes
from gen3d_tools.geometry.processing.parts import encloses, measure_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done to make a mesh watertight."""

    removed_faces: int  # folded ones, doubles, and those at edges with more than two faces
    filled_holes: int
    added_faces: int  # in these holes
    joined_parts: int  # how many parts went into others that they ran into

    def __str__(self) -> str:
        """Say it in one line."""
        if self == Repair(removed_faces=0, filled_holes=0, added_faces=0, joined_parts=0):
            return "nothing to repair"
        return (
            f"{self.removed_faces:,} faces removed, {self.filled_holes:,} holes filled with {self.added_faces:,} "
            f"faces, {self.joined_parts:,} parts joined with others"
        )


def make_watertight(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Repair a mesh until it encloses a volume.

    Args:
        mesh: Is not changed. Vertex colours stay; a texture and vertex normals do not.

    Returns:
        A new mesh; `metadata["repair"]` says what was done.

    Raises:
        Gen3DError: Nothing is left, or manifold3d does not take the result.
    """
    colors = vertex_bytes(mesh)
    positions = np.asarray(mesh.vertices, np.float64)
    properties = positions if colors is None else np.hstack([positions, colors])
    faces = _without_spoilers(properties[:, :3], np.asarray(mesh.faces, np.int64))
    removed = len(mesh.faces) - len(faces)
    loops = _border_loops(faces)
    properties, filling = _fans(properties, loops)
    properties, faces = _used(properties, np.vstack([faces, filling]))
    faces = _turned_outward(properties[:, :3], faces)
    properties, faces, joined = _join(properties, faces)
    tight = trimesh.Trimesh(
        properties[:, :3],
        faces,
        vertex_colors=None if colors is None else properties[:, 3:].round().clip(0, 255).astype(np.uint8),
        process=False,
    )
    report = Repair(removed_faces=removed, filled_holes=len(loops), added_faces=len(filling), joined_parts=joined)
    tight.metadata.update(mesh.metadata, repair=report)
    logger.info("Made watertight: %s.", report)
    return tight


def _used(
    properties: Float[np.ndarray, "vertices k"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "used k"], Int[np.ndarray, "faces 3"]]:
    """Forget vertices that no face uses.

    Raises:
        Gen3DError: There are no faces.
    """
    if not len(faces):
        raise Gen3DError("no face is left to make a watertight mesh of; take the surface at another level")
    kept = np.unique(faces)
    _, compact = drop_unused(properties[:, :3], faces)
    return properties[kept], compact


def _without_spoilers(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Int[np.ndarray, "kept 3"]:
    """Weld, turn faces the same way, drop folded and double ones, and all at edges that are not between two."""
    faces, _ = weld(vertices, faces)
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    faces = faces[np.sort(first)]
    welded = trimesh.Trimesh(vertices, faces, process=False)
    if not welded.is_winding_consistent:
        trimesh.repair.fix_winding(welded)  # type: ignore[no-untyped-call]
        faces = np.asarray(welded.faces)
    directed = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, index, times = np.unique(directed, axis=0, return_inverse=True, return_counts=True)
    twice = times[index.reshape(-1)].reshape(-1, 3) > 1  # the same way: not both can stay
    kept: np.ndarray = faces[~twice.any(axis=1)]
    return kept


def _border_loops(faces: Int[np.ndarray, "faces 3"]) -> list[list[int]]:
    """Walk along the open edges, each hole with the surface on its left as seen from outside."""
    directed = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    size = int(faces.max(initial=0)) + 1
    forward, backward = directed @ [size, 1], directed[:, ::-1] @ [size, 1]
    ahead: defaultdict[int, list[int]] = defaultdict(list)
    for end, start in directed[~np.isin(forward, backward)].tolist():
        ahead[start].append(end)
    loops = []
    for start in list(ahead):
        while ahead[start]:
            loop, place = [start], ahead[start].pop()
            while place != start:
                loop.append(place)
                place = ahead[place].pop()
            loops += _simple_loops(loop)
    return loops


def _simple_loops(loop: list[int]) -> list[list[int]]:
    """Split a loop where it touches itself."""
    found: list[list[int]] = []
    path: list[int] = []
    for place in loop:
        if place in path:
            where = path.index(place)
            found.append(path[where:])
            path = path[:where]
        path.append(place)
    return [*found, path]


def _fans(
    properties: Float[np.ndarray, "vertices k"], loops: list[list[int]]
) -> tuple[Float[np.ndarray, "more k"], Int[np.ndarray, "new_faces 3"]]:
    """Close each loop by triangles around its middle."""
    middles, filling = [properties], [np.empty((0, 3), np.int64)]
    for number, loop in enumerate(loops):
        around = np.array(loop)
        middles.append(properties[around].mean(axis=0, keepdims=True))
        middle = np.full(len(loop), len(properties) + number)
        filling.append(np.stack([around, np.roll(around, -1), middle], axis=1))
    return np.vstack(middles), np.vstack(filling)


def _turned_outward(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Int[np.ndarray, "faces 3"]:
    """Turn parts that look inwards and are no cavity: those that lie in no other part."""
    parts = measure_parts(vertices, faces)
    turned = faces.copy()
    for part in np.flatnonzero(parts.volumes < 0):
        own = parts.labels == part
        point = vertices[faces[own][0, 0]]
        others = (np.flatnonzero(parts.volumes > 0)).tolist()
        if not any(encloses(vertices, faces[parts.labels == other], point) for other in others):
            turned[own] = faces[own][:, ::-1]
    return turned


def _join(
    properties: Float[np.ndarray, "vertices k"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "new_vertices k"], Int[np.ndarray, "new_faces 3"], int]:
    """Make one solid of parts whose bounding boxes meet; nothing changes where none do.

    Raises:
        Gen3DError: manifold3d does not take the mesh for a solid.
    """
    parts = measure_parts(properties[:, :3], faces)
    solids = [_solid(properties, faces[parts.labels == part]) for part in range(len(parts))]
    outer = np.flatnonzero(parts.volumes > 0)
    if not _boxes_meet(parts.low[outer], parts.high[outer]):
        return properties, faces, 0
    whole = manifold3d.Manifold.batch_boolean([solids[part] for part in outer], manifold3d.OpType.Add)
    for part in np.flatnonzero(parts.volumes < 0):
        cavity = _solid(properties, faces[parts.labels == part][:, ::-1])
        whole -= cavity
    made = whole.to_mesh()
    joined = np.asarray(made.vert_properties, np.float64)
    left = weld(joined[:, :3], np.asarray(made.tri_verts, np.int64))[0]
    return *_used(joined, left), max(0, len(outer) - len(whole.decompose()))


def _boxes_meet(low: Float[np.ndarray, "parts 3"], high: Float[np.ndarray, "parts 3"]) -> bool:
    meet = ((low[:, None] <= high) & (low <= high[:, None])).all(axis=-1)
    return bool(meet.sum() > len(low))


def _solid(properties: Float[np.ndarray, "vertices k"], faces: Int[np.ndarray, "faces 3"]) -> manifold3d.Manifold:
    kept = np.unique(faces)
    compact = np.searchsorted(kept, faces)
    made = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(properties[kept], np.float32),
        tri_verts=np.ascontiguousarray(compact, np.uint32),
    )
    solid = manifold3d.Manifold(made)
    if solid.status() != manifold3d.Error.NoError:
        raise Gen3DError(
            f"the mesh cannot be made watertight ({solid.status().name}); try another level or a finer resolution"
        )
    return solid
