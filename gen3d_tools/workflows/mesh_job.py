"""One sample of `gen3d mesh`: from its field to the files that were asked for."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trimesh
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.geometry.agreement import Agreement, compare
from gen3d_tools.geometry.export import write_mesh
from gen3d_tools.geometry.lattice import Progress
from gen3d_tools.geometry.mesh import MeshHealth, extract_mesh, mesh_health
from gen3d_tools.workflows.mesh_plan import Delivery, Files, Surface
from gen3d_tools.workflows.mesh_preview import (
    REPORT_SIZE,
    RING_VIEWS,
    Stage,
    portrait,
    ring,
    view_config,
    write_preview,
)
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run
from gen3d_tools.workflows.samples import make_fields


@dataclass(frozen=True)
class Job:
    """What all samples of a run share."""

    generator: Generator
    psi: float
    surface: Surface
    delivery: Delivery
    overwrite: bool
    reporter: Reporter


@dataclass(frozen=True, eq=False)
class Made:
    """What was made of a sample: its files are on disk."""

    health: MeshHealth | None
    agreement: Agreement | None
    picture: Float[Tensor, "3 h w"] | None
    seconds: float
    """From the latent to the last file."""


def make_sample(files: Files, job: Job, run: Run, progress: Progress, *, draw: bool) -> Made:
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
    if not files.needs_mesh:
        return Made(None, None, None, time.perf_counter() - start)
    mesh, facts = make_mesh(field, job.surface, progress)
    health = mesh_health(mesh)
    facts |= asdict(health)
    for path in files.meshes:
        write_mesh(path, mesh, up=job.delivery.up, overwrite=job.overwrite)
        run.add(path, f"{files.sample.label}: {health}", **facts)
    stage = Stage(field, mesh, job.generator.settings)
    agreement = _report(files.report, files, stage, facts, job, run) if files.report is not None else None
    if files.strip is not None and files.film is not None:
        write_preview(stage, files.strip, files.film, overwrite=job.overwrite, reporter=job.reporter)
        run.add(files.strip, f"{files.sample.label}: the mesh, the field and the shape, all around")
        run.add(files.film, f"{files.sample.label}: a turn around the mesh, beside the field")
    picture = portrait(stage) if draw else None
    return Made(health, agreement, picture, time.perf_counter() - start)


def make_mesh(field: RadianceField, surface: Surface, progress: Progress) -> tuple[trimesh.Trimesh, dict[str, Any]]:
    """Take a surface as asked for.

    Args:
        field: What to mesh.
        surface: How.
        progress: Called with the lattice points done and those in all.

    Returns:
        The mesh, in world units, and what is worth knowing about how it was made.

    Raises:
        Gen3DError: There is no surface, or something does not fit.
    """
    level = field.iso_level if surface.level is None else surface.level
    mesh = extract_mesh(
        field,
        resolution=surface.resolution,
        iso_level=level,
        colors=surface.colors,
        keep=surface.keep,
        progress=progress,
    )
    return mesh, {"level": level}


def _report(path: Path, files: Files, stage: Stage, facts: dict[str, Any], job: Job, run: Run) -> Agreement:
    """Measure how well mesh and field agree, and write that down with the mesh's health."""
    cameras = ring(stage.settings, RING_VIEWS)
    agreement = compare(stage.field, stage.mesh, cameras, REPORT_SIZE, config=view_config(stage.settings, cameras))
    content = {"sample": files.sample.label, "files": [str(mesh) for mesh in files.meshes], **facts}
    content["agreement"] = agreement.to_dict()
    with atomic_path(path, overwrite=job.overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    run.add(path, f"{files.sample.label}: {agreement}", **agreement.to_dict())
    return agreement
