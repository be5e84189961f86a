"""One sample of `gen3d mesh`: from its field to the files that were asked for."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float
from torch import Tensor
from trimesh.visual import ColorVisuals

from gen3d_tools.batch.pieces import Notes
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.geometry.color.texture import bake_texture
from gen3d_tools.geometry.color.view_colors import cameras_around, surface_colors
from gen3d_tools.geometry.extraction.fusion import fuse_mesh
from gen3d_tools.geometry.extraction.lattice import Progress
from gen3d_tools.geometry.formats.density_grid import write_density
from gen3d_tools.geometry.formats.export import TEXTURE_SUFFIXES, write_mesh
from gen3d_tools.geometry.formats.lengths import WrittenSize
from gen3d_tools.geometry.formats.point_cloud import sample_points, write_points
from gen3d_tools.geometry.mesh import MeshHealth, extract_mesh, mesh_health
from gen3d_tools.metrics.agreement import Agreement, compare
from gen3d_tools.workflows.mesh.options import Files, MeshOptions, OutputOptions
from gen3d_tools.workflows.mesh.preview import (
    REPORT_SIZE,
    RING_VIEWS,
    PreviewScene,
    portrait,
    ring,
    view_config,
    write_preview,
)
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.samples.selection import make_fields

REPORTS = ("level", "cleanup", "repair", "decimation")
"""What the mesher notes in a mesh's metadata."""


@dataclass(frozen=True)
class MeshTask:
    """What all samples of a run share."""

    generator: Generator
    psi: float
    surface: MeshOptions
    delivery: OutputOptions
    overwrite: bool
    reporter: Reporter


@dataclass(frozen=True, eq=False)
class MadeMesh:
    """What was made of a sample: its files are on disk."""

    health: MeshHealth | None
    agreement: Agreement | None
    picture: Float[Tensor, "3 h w"] | None
    seconds: float
    """From the latent to the last file."""


@dataclass(frozen=True, eq=False)
class ColoredMesh:
    """A mesh with vertex colours (or none), and the same with a texture where one was asked for."""

    plain: trimesh.Trimesh
    textured: trimesh.Trimesh | None

    @property
    def best(self) -> trimesh.Trimesh:
        """The textured one if there is one."""
        return self.plain if self.textured is None else self.textured

    def for_file(self, path: Path) -> trimesh.Trimesh:
        """The one that the file's format can hold."""
        return self.best if path.suffix.lower() in TEXTURE_SUFFIXES else self.plain


def make_sample(files: Files, job: MeshTask, run: Notes, progress: Progress, *, draw: bool) -> MadeMesh:
    """Mesh one sample and write its files; each is complete before the next begins.

    Args:
        files: The sample, and where its outputs go.
        job: How.
        run: Takes note of the outputs.
        progress: Called with the lattice points done and those in all.
        draw: Draw a picture of the mesh as well, for a contact sheet.

    Raises:
        Gen3DError: There is no surface, something does not fit, or a file cannot be written.
    """
    start = time.perf_counter()
    [field] = make_fields(job.generator, [files.sample], job.psi)
    for path in files.grids:
        write_density(path, field, resolution=job.surface.resolution, overwrite=job.overwrite)
        run.add(path, f"{files.sample.label}: density at {job.surface.resolution}³ lattice points")
    if not files.needs_mesh:
        return MadeMesh(None, None, None, time.perf_counter() - start)
    hold_textures = all(path.suffix.lower() in TEXTURE_SUFFIXES for path in files.meshes)
    only_textured = job.surface.texture is not None and hold_textures
    dressed = make_mesh(field, job.generator.settings, job.surface, progress, only_textured=only_textured)
    health = mesh_health(dressed.plain)
    facts = _facts(dressed.plain, health)
    _write_meshes(files, dressed, health, facts, job, run)
    stage = PreviewScene(field, dressed.best, job.generator.settings)
    agreement = _report(files.report, files, stage, facts, job, run) if files.report is not None else None
    if files.strip is not None and files.film is not None:
        write_preview(stage, files.strip, files.film, overwrite=job.overwrite, reporter=job.reporter)
        run.add(files.strip, f"{files.sample.label}: the mesh, the field and the shape, all around")
        run.add(files.film, f"{files.sample.label}: a turn around the mesh, beside the field")
    picture = portrait(stage) if draw else None
    return MadeMesh(health, agreement, picture, time.perf_counter() - start)


def _write_meshes(
    files: Files, dressed: ColoredMesh, health: MeshHealth, facts: dict[str, Any], job: MeshTask, run: Notes
) -> None:
    """Write the mesh in every format, and its points."""
    placement, name = job.delivery.placement, files.sample.object_name
    for path in files.meshes:
        paths = write_mesh(path, dressed.for_file(path), **asdict(placement), name=name, overwrite=job.overwrite)
        written = placement.written(dressed.plain, health.volume, path.suffix.lower())
        line = f"{files.sample.label}: {_line(dressed.plain, health, written)}"
        run.add(path, line, **facts, written=asdict(written))
        for sibling in paths[1:]:
            run.add(sibling, f"belongs to {path.name}")
    if files.points is not None and job.delivery.points is not None:
        cloud = sample_points(dressed.best, job.delivery.points)
        write_points(files.points, cloud, **asdict(placement), overwrite=job.overwrite)
        run.add(files.points, f"{files.sample.label}: {len(cloud):,} points with normals")


def make_mesh(
    field: RadianceField,
    settings: ModelSettings,
    surface: MeshOptions,
    progress: Progress | None = None,
    *,
    only_textured: bool = False,
) -> ColoredMesh:
    """Take a surface as asked for.

    Args:
        field: What to mesh.
        settings: Of the model; say from where it may be looked at.
        surface: How.
        progress: Called with the lattice points done and those in all.
        only_textured: The mesh without a texture is not for show; it keeps the colours that cost nothing.

    Raises:
        Gen3DError: There is no surface, or something does not fit.
    """
    if surface.surface == "fusion":
        return _fused_mesh(field, settings, surface, progress)
    looked_at = surface.colors and surface.color_from != "points" and not only_textured
    mesh = extract_mesh(
        field,
        resolution=surface.resolution,
        iso_level=surface.level,
        colors=surface.colors and (not looked_at or surface.most_faces is not None),  # decimation needs some
        keep=surface.keep,
        keep_background=surface.keep_background,
        faces=surface.most_faces,
        smooth=surface.smooth,
        watertight=surface.watertight,
        progress=progress,
    )
    cameras = None if settings.trusted_views.all_around else ring(settings, RING_VIEWS)
    textured = None
    if surface.texture is not None:
        textured = bake_texture(field, mesh, surface.texture, source=surface.color_from, cameras=cameras)
    if looked_at:
        points, normals = np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals)
        colors = surface_colors(field, points, normals, source=surface.color_from, cameras=cameras)
        mesh.visual = ColorVisuals(mesh, vertex_colors=(colors * 255).round().astype(np.uint8))
    return ColoredMesh(mesh, textured)


def _fused_mesh(
    field: RadianceField, settings: ModelSettings, surface: MeshOptions, progress: Progress | None
) -> ColoredMesh:
    """Fuse a mesh from views all around, or from where the model may be looked at."""
    half = field.box_side / 2
    corners = np.array([[-half] * 3, [half] * 3])
    cameras = cameras_around(field, corners) if settings.trusted_views.all_around else ring(settings, RING_VIEWS)
    points = surface.resolution**3

    def seen(views: int, of: int) -> None:
        if progress is not None:  # which counts lattice points
            progress(points * views // of, points)

    mesh = fuse_mesh(
        field,
        cameras,
        resolution=surface.resolution,
        keep=surface.keep,
        keep_background=surface.keep_background,
        faces=surface.most_faces,
        smooth=surface.smooth,
        progress=seen,
    )
    if not surface.colors:
        mesh.visual = ColorVisuals(mesh)
    elif surface.color_from != "views":
        vertices, normals = np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals)
        colors = surface_colors(field, vertices, normals, source=surface.color_from)
        mesh.visual = ColorVisuals(mesh, vertex_colors=(colors * 255).round().astype(np.uint8))
    textured = None
    if surface.texture is not None:
        textured = bake_texture(field, mesh, surface.texture, source=surface.color_from, cameras=cameras)
    return ColoredMesh(mesh, textured)


def _facts(mesh: trimesh.Trimesh, health: MeshHealth) -> dict[str, Any]:
    """Say as plain JSON values how a mesh was made, and what state it is in."""
    reports = {name: asdict(mesh.metadata[name]) for name in REPORTS if name in mesh.metadata}
    return asdict(health) | {"level": mesh.metadata["level"].level} | {"making": reports}


def _line(mesh: trimesh.Trimesh, health: MeshHealth, written: WrittenSize) -> str:
    """Say it in one line: its state, its size in the file, and what was removed or could not be done."""
    cleanup, decimation = mesh.metadata["cleanup"], mesh.metadata.get("decimation")
    notes = [health.told(str(written))]
    if cleanup.removed_parts:
        notes.append(str(cleanup))
    if decimation is not None and decimation.got > decimation.asked:
        notes.append(str(decimation))
    return "; ".join(notes)


def _report(
    path: Path, files: Files, stage: PreviewScene, facts: dict[str, Any], job: MeshTask, run: Notes
) -> Agreement:
    """Measure how well mesh and field agree, and write that down with the mesh's health."""
    cameras = ring(stage.settings, RING_VIEWS)
    agreement = compare(stage.field, stage.mesh, cameras, REPORT_SIZE, config=view_config(stage.settings, cameras))
    content = {"sample": files.sample.label, "files": [str(mesh) for mesh in files.meshes], **facts}
    content["agreement"] = agreement.to_dict()
    with atomic_path(path, overwrite=job.overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    run.add(path, f"{files.sample.label}: {agreement}", **agreement.to_dict())
    return agreement
