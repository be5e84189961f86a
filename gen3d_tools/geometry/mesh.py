"""From a radiance field to a clean, coloured triangle mesh."""

import logging

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.geometry.color.shown import Mesh
from gen3d_tools.geometry.extraction.isosurface import (
    Surface,
    bordered_lattice,
    check_iso_level,
    check_level,
    marching_cubes,
    raw_iso_level,
    span,
)
from gen3d_tools.geometry.extraction.lattice import CHUNK_POINTS, Progress, check_range
from gen3d_tools.geometry.extraction.level import LevelChoice, choose_level
from gen3d_tools.geometry.extraction.projection import LEAST_HEIGHT, field_normals, project_to_level
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
from gen3d_tools.geometry.processing.cleanup import CleanupReport, check_keep, clean
from gen3d_tools.geometry.processing.decimation import check_faces, collapse_slivers, decimate
from gen3d_tools.geometry.processing.health import MeshHealth, mesh_health
from gen3d_tools.geometry.processing.repair import make_watertight
from gen3d_tools.geometry.processing.slivers import flip_caps
from gen3d_tools.geometry.processing.smoothing import check_rounds
from gen3d_tools.geometry.processing.smoothing import smooth as smooth_mesh
from gen3d_tools.memory import in_chunks

logger = logging.getLogger(__name__)

__all__ = ["MeshHealth", "extract_mesh", "mesh_health", "vertex_colors"]


def extract_mesh(
    field: RadianceField,
    *,
    resolution: int = 256,
    iso_level: float | None = None,
    colors: bool = True,
    keep: float = 0.02,
    keep_background: bool = False,
    faces: int | None = None,
    smooth: int = 0,
    watertight: bool = False,
    progress: Progress | None = None,
) -> trimesh.Trimesh:
    """Extract the surface of a field as a closed mesh.

    Args:
        field: What to mesh.
        resolution: Lattice points along each side of the field's box, 8 to 1024.
        iso_level: Density (after activation) at the surface; by default the level whose silhouette agrees best with
            the field's pictures (`geometry.level`).
        colors: Give each vertex the field's colour there, 8-bit sRGB.
        keep: Smallest volume of a detached part to keep, as a share of the largest part's (`geometry.cleanup`).
        keep_background: Keep background sheets and the walls of the box.
        faces: Faces wanted; the surface keeps its silhouettes and colour borders (`geometry.decimation`).
        smooth: Rounds of Taubin smoothing.
        watertight: Join parts that run into each other, and close whatever is open (`geometry.repair`).
        progress: Called with the lattice points done and the lattice points in all.

    Returns:
        A mesh that notebooks show, in world units, y up, with vertex normals from the field's gradient, outward. Its
        `metadata` holds the `LevelChoice` ("level"), the `CleanupReport` ("cleanup") and, where asked for, the reports
        "repair" and "decimation".

    Raises:
        Gen3DError: There is no surface at this level, or the field is not finite.
        InputError: An argument is outside its range.
        OutOfMemoryError: The lattice, or a single point of it, does not fit.
    """
    _check(resolution, iso_level, keep, faces, smooth)
    choice = _given(field, iso_level) if iso_level is not None else choose_level(field)
    raw_level = raw_iso_level(choice.level, field.density_activation, field.density_shift)
    voxel = field.box_side / (resolution - 1)
    mesh, cleaned = _clean_surface(field, resolution, choice.level, raw_level, keep, keep_background, progress)
    logger.info("Meshed at %s; %s.", choice, cleaned)
    projected = project_to_level(field, mesh.vertices, mesh.faces, raw_level=raw_level, voxel=voxel)
    mesh.vertices = projected.vertices
    mesh.metadata.update(level=choice, cleanup=cleaned)
    as_found = mesh
    mesh = _reshaped(field, mesh, smooth=smooth, watertight=watertight, faces=faces, colors=colors)
    gradient = projected.gradient if mesh is as_found else None
    return Mesh(
        mesh.vertices,
        mesh.faces,
        vertex_normals=field_normals(field, mesh, voxel=voxel, gradient=gradient),
        vertex_colors=vertex_colors(field, mesh.vertices) if colors else None,
        metadata=mesh.metadata,
        process=False,
    )


def _reshaped(
    field: RadianceField, mesh: trimesh.Trimesh, *, smooth: int, watertight: bool, faces: int | None, colors: bool
) -> trimesh.Trimesh:
    """Smooth, close and simplify, as far as it was asked for."""
    if smooth:
        mesh = smooth_mesh(mesh, smooth)
    if watertight:
        mesh = make_watertight(mesh)
    if faces is not None and faces < len(mesh.faces):
        if colors:  # their borders are to be kept
            mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=vertex_colors(field, mesh.vertices))
        mesh = decimate(mesh, faces)
    return mesh


def vertex_colors(field: RadianceField, vertices: Float[np.ndarray, "vertices 3"]) -> UInt8[np.ndarray, "vertices 3"]:
    """Ask the field for its colour at each vertex, as 8-bit sRGB."""
    pixels = np.empty((len(vertices), 3), np.uint8)

    def fill(part: slice) -> None:
        points = torch.from_numpy(np.asarray(vertices[part], np.float32)).to(field.device)
        rgb, _ = field.rgb_density(points)
        pixels[part] = (rgb.float() * 255).round().byte().cpu().numpy()

    with torch.no_grad():
        in_chunks(fill, len(vertices), CHUNK_POINTS)
    return pixels


def _check(resolution: int, iso_level: float | None, keep: float, faces: int | None, smooth: int) -> None:
    """Refuse what cannot be, before any work."""
    check_range(resolution)
    check_keep(keep)
    check_rounds(smooth)
    if iso_level is not None:
        check_iso_level(iso_level)
    if faces is not None:
        check_faces(faces)


def _given(field: RadianceField, iso_level: float) -> LevelChoice:
    return LevelChoice(level=iso_level, suggested=field.iso_level, silhouette_iou=None, reason="as asked for")


def _clean_surface(
    field: RadianceField,
    resolution: int,
    level: float,
    raw_level: float,
    keep: float,
    keep_background: bool,
    progress: Progress | None,
) -> tuple[trimesh.Trimesh, CleanupReport]:
    """March, keep what is the object, and leave no face without an area."""
    surface = _surface(field, resolution, level, raw_level, progress)
    vertices, faces, report = clean(*surface, keep=keep, box_side=field.box_side, keep_background=keep_background)
    vertices, faces = collapse_slivers(vertices, faces, field.box_side / (resolution - 1))
    faces = flip_caps(vertices, faces, height=LEAST_HEIGHT)
    return trimesh.Trimesh(vertices, faces, process=False), report


def _surface(
    field: RadianceField, resolution: int, iso_level: float, raw_level: float, progress: Progress | None
) -> Surface:
    """March on the raw density, which is about linear across a surface where the density explodes."""
    surface = triplane_surface(
        field, resolution=resolution, iso_level=iso_level, raw_level=raw_level, progress=progress
    )
    if surface is not None:
        return surface
    values = bordered_lattice(
        field.raw_density,
        resolution=resolution,
        box_side=field.box_side,
        device=field.device,
        progress=progress,
        detail=field.detail,
        iso_level=raw_level,
    )
    lowest, highest = field.activate(torch.tensor(span(values))).tolist()
    check_level(iso_level, lowest, highest, what="densities")
    return marching_cubes(values, box_side=field.box_side, iso_level=raw_level)
