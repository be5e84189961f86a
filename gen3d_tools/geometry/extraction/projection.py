"""Vertices moved onto the level set, and normals from the field's gradient.

Marching cubes places vertices by linear interpolation between lattice points. One Newton step along the gradient of
the raw density, `p - (f(p) - level) g / |g|^2`, takes most of the rest away. A step is taken only if it ends nearer to
the level, is shorter than a voxel, and turns no face over; what was closed stays closed, since no face is touched.

The gradient is the field's own where it knows one (`GradientField`), and central differences otherwise.
"""

from typing import NamedTuple

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3d_tools.fields.compiled import RawDensity, raw_density_of
from gen3d_tools.fields.field import GradientField, RadianceField
from gen3d_tools.geometry.extraction.lattice import CHUNK_POINTS
from gen3d_tools.geometry.processing.health import degenerate
from gen3d_tools.geometry.processing.parts import area_normals, area_vectors, lengths
from gen3d_tools.memory import in_chunks
from gen3d_tools.rendering.renderer import surface_normals

_LONGEST_STEP = 0.7  # in voxels
_SHORT_STEP = 0.1  # in voxels, over which a gradient is taken to stay what it is
_SLOPE_STEP = 0.25  # in voxels: width of the differences that give the gradient
_ON_WALL = 0.01  # in voxels: nearer to the box than this is a cap
_TURN = 0.3  # cosine of the largest turn of a face
LEAST_HEIGHT = 2e-6  # of a face that was moved, as a share of the mesh's diagonal; `health` takes half of it for none


class Projected(NamedTuple):
    """Vertices on the level set."""

    vertices: Float[np.ndarray, "vertices 3"]
    gradient: Float[np.ndarray, "vertices 3"] | None
    """Of the raw density at the vertices; None where the field does not know it."""


def project_to_level(
    field: RadianceField,
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    *,
    raw_level: float,
    voxel: float,
) -> Projected:
    """Take one Newton step towards the level set.

    Args:
        field: What the surface was taken from.
        vertices: Near the level set; those on the walls of the field's box stay where they are.
        faces: The surface, to see that none turns over.
        raw_level: Raw density at the surface.
        voxel: Distance of lattice points; steps are shorter.
    """
    old = np.asarray(vertices, np.float64)
    moved = old.copy()
    known = isinstance(field, GradientField)
    before, after = (np.empty((len(old) if known else 0, 3), np.float32) for _ in range(2))
    free = ~on_walls(vertices, field.box_side, voxel)
    raw_density = raw_density_of(field)

    def step(part: slice) -> None:
        points = _tensor(vertices[part], field)
        if isinstance(field, GradientField):
            move, *gradients = _step_by_gradient(field, points, raw_level, voxel, field.box_side)
            before[part], after[part] = (gradient.cpu().numpy() for gradient in gradients)
        else:
            move = _step_by_differences(raw_density, points, raw_level, voxel, field.box_side)
        moved[part] += np.where(free[part, None], move.cpu().double().numpy(), 0.0)

    with torch.no_grad():
        in_chunks(step, len(vertices), CHUNK_POINTS // 4)
    moved = _without_turned_faces(old, moved, faces)
    stayed = (moved == old).all(axis=1)
    return Projected(moved, np.where(stayed[:, None], before, after) if known else None)


def field_normals(
    field: RadianceField,
    mesh: trimesh.Trimesh,
    *,
    voxel: float | None = None,
    gradient: Float[np.ndarray, "vertices 3"] | None = None,
) -> Float[np.ndarray, "vertices 3"]:
    """Unit normals at the vertices of a mesh, against the gradient of the raw density: outwards.

    They are those of the pictures (`rendering.renderer.surface_normals`). The faces' own serve where the gradient does
    not: on caps at the box, where it vanishes, and in sheets so thin that it looks through them.

    Args:
        field: What the surface was taken from.
        mesh: The surface.
        voxel: Distance of lattice points; by default 1/256 of the box.
        gradient: Of the raw density at the vertices, where it is known already.
    """
    vertices = np.asarray(mesh.vertices)
    by_faces = area_normals(vertices, np.asarray(mesh.faces))
    by_faces /= lengths(by_faces)[:, None].clip(1e-300)
    if gradient is None:
        normals = _asked_normals(field, vertices)
    else:
        normals = np.asarray(-gradient, np.float64)
        normals /= lengths(normals)[:, None].clip(1e-300)
    outward = np.isfinite(normals).all(axis=1) & ((normals * by_faces).sum(axis=1) > 0)
    outward &= ~on_walls(vertices, field.box_side, voxel or field.box_side / 256)
    return np.where(outward[:, None], normals, by_faces)


def _asked_normals(field: RadianceField, vertices: Float[np.ndarray, "vertices 3"]) -> Float[np.ndarray, "vertices 3"]:
    """Ask the field for the normals at points."""
    normals = np.empty((len(vertices), 3))
    raw_density = raw_density_of(field)

    def fill(part: slice) -> None:
        points = _tensor(vertices[part], field)
        normals[part] = surface_normals(field, points, raw_density=raw_density).cpu().double().numpy()

    with torch.no_grad():
        in_chunks(fill, len(vertices), CHUNK_POINTS // 4)
    return normals


def on_walls(vertices: Float[np.ndarray, "vertices 3"], box_side: float, voxel: float) -> Bool[np.ndarray, " vertices"]:
    """Which vertices lie on the box: they belong to a cap that closes what the box cuts."""
    return np.asarray(np.abs(vertices).max(axis=1, initial=0.0) > box_side / 2 - _ON_WALL * voxel)


def _tensor(points: Float[np.ndarray, "n 3"], field: RadianceField) -> Float[Tensor, "n 3"]:
    return torch.from_numpy(np.asarray(points, np.float32)).to(field.device)


def _step_by_differences(
    raw_density: RawDensity, points: Float[Tensor, "n 3"], raw_level: float, voxel: float, box_side: float
) -> Float[Tensor, "n 3"]:
    """The step, or none where it does not lead nearer to the level; the gradient is taken over a quarter voxel."""
    width = _SLOPE_STEP * voxel
    offsets = width * torch.eye(3, device=points.device)
    inward = torch.where(points > 0, -1.0, 1.0)  # never out of the box, where a bounded field ends
    towards = inward[:, None] * offsets
    miss = raw_density(points) - raw_level
    ahead = raw_density(points[:, None] + towards) - raw_level
    gradient = (ahead - miss[:, None]) / towards.sum(-1)
    better = _newton_target(points, miss, gradient, voxel, box_side)
    nearer = (raw_density(better) - raw_level).abs() < miss.abs()
    return torch.where((nearer & better.isfinite().all(-1))[:, None], better - points, 0.0)


def _step_by_gradient(
    field: GradientField, points: Float[Tensor, "n 3"], raw_level: float, voxel: float, box_side: float
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """The step as in `_step_by_differences`, and the gradients at the points and behind the step."""
    raw, gradient = field.raw_density_gradient(points)
    better = _newton_target(points, raw - raw_level, gradient, voxel, box_side)
    nearer = (field.raw_density(better) - raw_level).abs() < (raw - raw_level).abs()
    move = torch.where((nearer & better.isfinite().all(-1))[:, None], better - points, 0.0)
    far = move.norm(dim=-1) > _SHORT_STEP * voxel
    behind = gradient.clone()
    behind[far] = field.raw_density_gradient(better[far])[1]
    return move, gradient, behind


def _newton_target(
    points: Float[Tensor, "n 3"],
    miss: Float[Tensor, " n"],
    gradient: Float[Tensor, "n 3"],
    voxel: float,
    box_side: float,
) -> Float[Tensor, "n 3"]:
    """Where a Newton step leads, none longer than `_LONGEST_STEP` voxels or out of the box."""
    square = gradient.square().sum(-1).clamp_min(1e-30)
    move = -(miss / square)[:, None] * gradient
    length = move.norm(dim=-1, keepdim=True)
    move = move * (_LONGEST_STEP * voxel / length.clamp_min(1e-30)).clamp_max(1)
    half = box_side / 2
    target: Tensor = (points + move).clamp(-half, half)
    return target


def _without_turned_faces(
    old: Float[np.ndarray, "vertices 3"], moved: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Take back the steps around faces that turn over, become much thinner or all but lines, until there are none."""
    before = area_vectors(old, faces)
    area = lengths(before)
    while True:
        after = area_vectors(moved, faces)
        size = lengths(after)
        kept = (np.einsum("fi,fi->f", before, after) > _TURN * area * size) & (size > _TURN * area)
        kept &= ~degenerate(moved, faces, height=LEAST_HEIGHT)
        wrong = np.unique(faces[~kept])
        still = wrong[(moved[wrong] != old[wrong]).any(axis=1)]
        if not len(still):
            return moved
        moved[still] = old[still]
