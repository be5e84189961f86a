"""Distances of two surfaces, from points spread evenly over one to the other.

With P spread over the first surface, Q over the second, and d(p) the distance from p to the second surface itself (not
to the nearest of its points, which would leave a floor that shrinks with their number only):

* Chamfer distance: (mean of d(p) + mean of d(q)) / 2, world units. Some papers add instead of averaging, some square
  first.
* F-score at a distance: harmonic mean of the share of P within it (precision) and of Q within it (recall)
  (Tatarchenko et al. 2019).
* Normal consistency: mean |cosine| of the normals of p and of the nearest face, both ways (Mescheder et al. 2019).

Nothing is aligned: who compares meshes of other scale, place or direction brings them together first.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float

from gen3d_tools.errors import InputError
from gen3d_tools.system_libraries import import_open3d

POINTS = 50_000
THRESHOLD = 0.01
"""Distance of the F-score, as a share of the diagonal of the second mesh's bounding box."""


@dataclass(frozen=True, kw_only=True)
class SurfaceAgreement:
    """How well two surfaces agree; the module's text defines the measures."""

    chamfer: float  # world units
    chamfer_percent: float  # of the diagonal of the second mesh's bounding box
    precision: float
    recall: float
    f_score: float
    normal_consistency: float


def compare_surfaces(
    mesh: trimesh.Trimesh,
    reference: trimesh.Trimesh,
    *,
    points: int = POINTS,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> SurfaceAgreement:
    """Compare two surfaces.

    Args:
        mesh: What is judged.
        reference: What it should be.
        points: Points on each.
        threshold: Distance of the F-score, as a share of the reference's diagonal.
        seed: Of the points.

    Raises:
        InputError: A mesh has no area, or there is no point.
        MissingDependencyError: open3d is not here.
    """
    if points < 1 or not threshold > 0:
        raise InputError(f"need points >= 1 and threshold > 0, got {points} and {threshold}")
    ours, our_normals = spread_points(mesh, points, seed)
    theirs, their_normals = spread_points(reference, points, seed + 1)
    to_theirs, near_theirs = nearest(reference, ours)
    to_ours, near_ours = nearest(mesh, theirs)
    diagonal = float(np.linalg.norm(np.ptp(reference.bounds, axis=0)))
    precision = float((to_theirs <= threshold * diagonal).mean())
    recall = float((to_ours <= threshold * diagonal).mean())
    chamfer = float(to_theirs.mean() + to_ours.mean()) / 2
    alike = [
        np.abs((our_normals * near_theirs).sum(1)).mean(),
        np.abs((their_normals * near_ours).sum(1)).mean(),
    ]
    return SurfaceAgreement(
        chamfer=chamfer,
        chamfer_percent=100 * chamfer / diagonal,
        precision=precision,
        recall=recall,
        f_score=2 * precision * recall / max(precision + recall, 1e-9),
        normal_consistency=float(np.mean(alike)),
    )


def nearest(
    mesh: trimesh.Trimesh, points: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Distance from points to a surface, and the unit normals of the faces that are nearest.

    Raises:
        MissingDependencyError: open3d is not here.
    """
    o3d = import_open3d()
    found = raycasting_scene(mesh).compute_closest_points(o3d.core.Tensor(points.astype(np.float32)))
    distances = np.linalg.norm(found["points"].numpy().astype(np.float64) - points, axis=1)
    normals: np.ndarray = found["primitive_normals"].numpy()
    return distances, normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)


def raycasting_scene(mesh: trimesh.Trimesh) -> Any:
    """A mesh as open3d follows rays to it.

    Raises:
        MissingDependencyError: open3d is not here.
    """
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    vertices = o3d.core.Tensor(np.asarray(mesh.vertices, dtype=np.float32))
    scene.add_triangles(vertices, o3d.core.Tensor(np.asarray(mesh.faces, dtype=np.uint32)))
    return scene


def spread_points(
    mesh: trimesh.Trimesh, count: int, seed: int
) -> tuple[Float[np.ndarray, "{count} 3"], Float[np.ndarray, "{count} 3"]]:
    """Spread points evenly over a surface; always the same for a seed.

    Returns:
        The points, and the unit normals of their faces.

    Raises:
        InputError: The mesh has no area.
    """
    if not len(mesh.faces) or not mesh.area > 0:
        raise InputError(f"a mesh of {len(mesh.faces)} faces and area 0 has no surface to compare")
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=seed)
    return np.asarray(points), np.asarray(mesh.face_normals)[faces]
