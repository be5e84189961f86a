"""What meshes enclose, and what they look like from around."""

import numpy as np
import trimesh
from jaxtyping import Bool, Float

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.geometry.processing.health import merged
from gen3d_tools.metrics.meshes.surfaces import raycasting_scene
from gen3d_tools.system_libraries import import_open3d

POINTS = 100_000
VIEWS, SIDE = 6, 128
_FOV_Y_DEG, _PITCH_DEG = 30.0, 20.0


def inside(mesh: trimesh.Trimesh, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    """Tell which points lie inside a closed mesh: where a ray leaves more often than it enters.

    Raises:
        MissingDependencyError: open3d is not here.
    """
    asked = import_open3d().core.Tensor(np.ascontiguousarray(points, dtype=np.float32))
    return np.asarray(raycasting_scene(mesh).compute_occupancy(asked).numpy() > 0.5)


def volume_iou(
    mesh: trimesh.Trimesh, reference: trimesh.Trimesh, *, points: int = POINTS, seed: int = 0
) -> float | None:
    """Volume of both over volume of either, by random points in the box around them.

    Args:
        mesh: What is judged.
        reference: What it should be.
        points: How many; the error is about 0.5 / sqrt(points in either).
        seed: Of the points.

    Returns:
        None where one of them is not closed: it encloses nothing.
    """
    closed = [trimesh.Trimesh(*merged(one), process=False) for one in (mesh, reference)]
    if not all(one.is_watertight for one in closed):
        return None
    drawn = np.random.default_rng(seed).uniform(*_around(*closed), (points, 3))
    first, second = (inside(one, drawn) for one in closed)
    either = int((first | second).sum())
    return float((first & second).sum() / either) if either else None


def silhouette_iou(
    mesh: trimesh.Trimesh, reference: trimesh.Trimesh, *, views: int = VIEWS, resolution: int = SIDE
) -> tuple[float, float]:
    """Overlap of silhouettes from a ring of cameras around the reference: mean and worst.

    Args:
        mesh: What is judged.
        reference: What it should be.
        views: Cameras, evenly around both and 20 degrees above.
        resolution: Pixels along each side.
    """
    cameras = ring(*_around(mesh, reference), views)
    found = [render_mesh(one, cameras, resolution, supersample=1).mask > 0.5 for one in (mesh, reference)]
    both = (found[0] & found[1]).flatten(1).sum(1)
    either = (found[0] | found[1]).flatten(1).sum(1)
    ious = (both / either.clamp_min(1)).tolist()
    return float(np.mean(ious)), float(min(ious))


def ring(low: Float[np.ndarray, " 3"], high: Float[np.ndarray, " 3"], views: int) -> Camera:
    """Cameras evenly around a box, so far that all of it is seen."""
    middle = ((low + high) / 2).tolist()
    distance = 1.1 * float(np.linalg.norm(high - low)) / 2 / np.sin(np.radians(_FOV_Y_DEG / 2))
    first = Camera.from_spherical(0.0, _PITCH_DEG, distance, fov_y_deg=_FOV_Y_DEG, target=middle)
    return orbit(views, first, target=middle)


def _around(*meshes: trimesh.Trimesh) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """The box that holds all of them."""
    return np.min([one.bounds[0] for one in meshes], axis=0), np.max([one.bounds[1] for one in meshes], axis=0)
