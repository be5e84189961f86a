"""From a radiance field to a clean, coloured triangle mesh, and what state a mesh is in."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.geometry.cleanup import clean, component_labels
from gen3d_tools.geometry.isosurface import Surface, bordered_lattice, check_level, march, raw_iso_level, span
from gen3d_tools.geometry.lattice import CHUNK_POINTS, Progress
from gen3d_tools.geometry.triplane_surface import triplane_surface
from gen3d_tools.memory import in_chunks

logger = logging.getLogger(__name__)


def extract_mesh(
    field: RadianceField,
    *,
    resolution: int = 256,
    iso_level: float | None = None,
    colors: bool = True,
    keep: float = 0.02,
    progress: Progress | None = None,
) -> trimesh.Trimesh:
    """Extract the surface of a field as a closed mesh.

    Args:
        field: What to mesh.
        resolution: Lattice points along each side of the field's box, 8 to 1024.
        iso_level: Density (after activation) at the surface; by default the one the field suggests.
        colors: Give each vertex the field's colour there, 8-bit sRGB.
        keep: Smallest volume of a detached part to keep, as a share of the largest part's.
        progress: Called with the lattice points done and the lattice points in all.

    Returns:
        A mesh in world units, y up, normals outward, parts smaller than `keep` removed.

    Raises:
        Gen3DError: There is no surface at this level, or the field is not finite.
        InputError: An argument is outside its range.
        OutOfMemoryError: The lattice, or a single point of it, does not fit.
    """
    level = field.iso_level if iso_level is None else iso_level
    vertices, faces, report = clean(*_surface(field, resolution, level, progress), keep=keep)
    logger.info("Meshed at level %g: %s.", level, report)
    pixels = vertex_colors(field, vertices) if colors else None
    return trimesh.Trimesh(vertices, faces, vertex_colors=pixels, process=False)


def vertex_colors(field: RadianceField, vertices: Float[np.ndarray, "vertices 3"]) -> UInt8[np.ndarray, "vertices 3"]:
    """Ask the field for its colour at each vertex, as 8-bit sRGB."""
    pixels = np.empty((len(vertices), 3), np.uint8)

    def fill(part: slice) -> None:
        points = torch.from_numpy(vertices[part].astype(np.float32)).to(field.device)
        rgb, _ = field.rgb_density(points)
        pixels[part] = (rgb.float() * 255).round().byte().cpu().numpy()

    with torch.no_grad():
        in_chunks(fill, len(vertices), CHUNK_POINTS)
    return pixels


def _surface(field: RadianceField, resolution: int, iso_level: float, progress: Progress | None) -> Surface:
    """March on the raw density, which is about linear across a surface where the density explodes."""
    raw_level = raw_iso_level(iso_level, field.density_activation, field.density_shift)
    surface = triplane_surface(
        field, resolution=resolution, iso_level=iso_level, raw_level=raw_level, progress=progress
    )
    if surface is not None:
        return surface
    values = bordered_lattice(
        field.raw_density, resolution=resolution, box_side=field.box_side, device=field.device, progress=progress
    )
    lowest, highest = field.activate(torch.tensor(span(values))).tolist()
    check_level(iso_level, lowest, highest, what="densities")
    return march(values, box_side=field.box_side, iso_level=raw_level)


@dataclass(frozen=True, kw_only=True)
class MeshHealth:
    """What state a mesh is in."""

    vertices: int
    faces: int
    watertight: bool  # closed: every edge has exactly two faces
    parts: int  # connected parts; the wall of a cavity is one
    euler_number: int  # vertices - edges + faces: 2 for each ball, 0 for each torus
    volume: float  # cubic world units; positive when normals look outward

    def __str__(self) -> str:
        """Say it in one line."""
        closed = "watertight" if self.watertight else "NOT watertight"
        parts = "1 part" if self.parts == 1 else f"{self.parts} parts"
        counts = f"{self.vertices:,} vertices, {self.faces:,} faces"
        return f"{counts}, {closed}, {parts}, Euler number {self.euler_number}, volume {self.volume:.4g}"


def mesh_health(mesh: trimesh.Trimesh) -> MeshHealth:
    """Measure a mesh."""
    return MeshHealth(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        watertight=bool(mesh.is_watertight),
        parts=int(component_labels(np.asarray(mesh.faces)).max(initial=-1)) + 1,
        euler_number=int(mesh.euler_number),
        volume=float(mesh.volume),
    )
