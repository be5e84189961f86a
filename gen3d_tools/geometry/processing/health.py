"""What state a mesh is in."""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int

from gen3d_tools.geometry.processing.parts import (
    area_normals,
    area_vectors,
    component_labels,
    component_volumes,
    lengths,
)

_NO_HEIGHT = 1e-6  # height of a face, as a share of the mesh's diagonal, that single precision takes for none


@dataclass(frozen=True, kw_only=True)
class MeshHealth:
    """What state a mesh is in."""

    vertices: int
    faces: int
    watertight: bool  # closed: every edge has exactly two faces
    parts: int  # connected parts; the wall of a cavity is one
    euler_number: int  # vertices - edges + faces: 2 for each ball, 0 for each torus
    volume: float  # cubic world units; positive when normals look outward
    shells: int = 0  # parts that look outward; the wall of a cavity does not
    degenerate_faces: int = 0  # without an area in single precision, in which files store them
    duplicate_faces: int = 0  # with the same three corners as another
    consistent: bool = True  # neighbouring faces look to the same side
    outward_normals: float = 1.0  # share of vertices whose normal looks to the side of the faces around it

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        flawless = not self.degenerate_faces and not self.duplicate_faces and self.consistent
        return self.watertight and flawless and self.outward_normals == 1

    def __str__(self) -> str:
        """Say it in one line."""
        return self.told(f"volume {self.volume:.4g}")

    def told(self, extent: str) -> str:
        """Say it in one line, with other words for how large the mesh is."""
        closed = "watertight" if self.watertight else "NOT watertight"
        parts = "1 part" if self.parts == 1 else f"{self.parts} parts"
        counts = f"{self.vertices:,} vertices, {self.faces:,} faces"
        said = f"{counts}, {closed}, {parts}, Euler number {self.euler_number}, {extent}"
        if self.degenerate_faces:
            said += f", {self.degenerate_faces:,} DEGENERATE faces"
        if self.duplicate_faces:
            said += f", {self.duplicate_faces:,} DUPLICATE faces"
        if not self.consistent:
            said += ", faces look to BOTH sides"
        if self.outward_normals < 1:
            said += f", {1 - self.outward_normals:.1%} of the normals look INWARD"
        return said


def mesh_health(mesh: trimesh.Trimesh) -> MeshHealth:
    """Measure a mesh. Vertices at one position count as one, as at the seams of a texture."""
    places, faces = merged(mesh)
    labels = component_labels(faces)
    closed = trimesh.Trimesh(places, faces, process=False)
    volumes = component_volumes(places, faces, labels)
    return MeshHealth(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        watertight=bool(closed.is_watertight),
        parts=int(labels.max(initial=-1)) + 1,
        euler_number=int(closed.euler_number),
        volume=float(volumes.sum()),
        shells=int((volumes > 0).sum()),
        degenerate_faces=int(degenerate(places, faces).sum()),
        duplicate_faces=len(faces) - len(np.unique(np.sort(faces, axis=1), axis=0)),
        consistent=bool(closed.is_winding_consistent),
        outward_normals=_outward_share(mesh),
    )


def merged(mesh: trimesh.Trimesh) -> tuple[Float[np.ndarray, "places 3"], Int[np.ndarray, "faces 3"]]:
    """Vertices at exactly one position as one, and the faces on them."""
    places, index = np.unique(np.asarray(mesh.vertices), axis=0, return_inverse=True)
    return places, index.reshape(-1)[np.asarray(mesh.faces)]


def degenerate(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], *, height: float = _NO_HEIGHT
) -> Bool[np.ndarray, " faces"]:
    """Which faces are lines or points: their height is below a share of the mesh's diagonal, a millionth by default."""
    diagonal = float(np.linalg.norm(np.ptp(vertices, axis=0))) if len(vertices) else 0.0
    area = 2 * lengths(area_vectors(vertices, faces))  # of the parallelogram: side times height
    found = np.zeros(len(faces), bool)
    small = np.flatnonzero(area <= height * diagonal**2)  # no side is longer than the diagonal
    corners = vertices[faces[small]]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1, initial=0.0)
    found[small] = area[small] <= height * diagonal * longest
    return found


def _outward_share(mesh: trimesh.Trimesh) -> float:
    """How many of the vertex normals look to the side to which the faces around the vertex look, on the whole."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if not len(faces):
        return 1.0
    around = area_normals(vertices, faces)
    return float(((np.asarray(mesh.vertex_normals) * around).sum(axis=1) >= 0).mean())
