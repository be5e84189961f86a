"""`gen3d mesh`: the surface of samples, as mesh files."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gen3d_tools.files import check_writable
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.export import mesh_files
from gen3d_tools.workflows.mesh_batch import make_all
from gen3d_tools.workflows.mesh_job import Job
from gen3d_tools.workflows.mesh_plan import (
    SHEET_NAME,
    Delivery,
    Files,
    Surface,
    formats_of,
    level_name,
    parse_color_source,
    parse_formats,
    parse_level,
    plan_files,
)
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run, output_folder
from gen3d_tools.workflows.samples import check_psi, choose_samples, name_parts, settle_seeds

__all__ = ["Delivery", "Surface", "mesh", "parse_color_source", "parse_formats", "parse_level"]


def mesh(
    model: str,
    *,
    seeds: str | None = None,
    classes: str | None = None,
    psi: float = 1.0,
    surface: Surface | None = None,
    delivery: Delivery | None = None,
    out: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Mesh samples. When some of several fail, the others are made and the run lists the failures.

    Args:
        model: Whatever `load_generator` takes.
        seeds: "0,2,5-9"; None is 0, or the object a tuned generator is about.
        classes: Names or indices, or "all"; every class is combined with every seed.
        psi: Truncation, 1 = off.
        surface: Resolution, level, cleaning, colours.
        delivery: Formats, upward axis and size, and what is written beside the meshes.
        out: A mesh file (by its suffix) for one sample, or a folder; None makes a folder in `gen3d-out`.
        device: "auto", "cpu", "cuda", ...
        overwrite: Replace existing outputs.
        dry_run: Check everything and say what would be written, without doing it.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    surface, delivery, reporter = surface or Surface(), delivery or Delivery(), reporter or Reporter()
    surface.check()
    delivery.check()
    check_psi(psi)
    target = out or output_folder("mesh", model, name_parts(seeds, classes))
    one_file = out is not None and bool(out.suffix) and not out.is_dir()
    formats = formats_of(target if one_file else None, delivery)
    if one_file:
        check_writable(target, overwrite=overwrite)
    generator = load_generator(model, device=device)
    samples = list(dict.fromkeys(choose_samples(generator, seeds, classes)))
    plan = plan_files(samples, target, formats, delivery, one_file=one_file)
    for path in _every_file(plan, target, textured=surface.texture is not None):
        check_writable(path, overwrite=overwrite)
    options = {"seeds": settle_seeds(generator, seeds, classes), "classes": classes, "psi": psi}
    options |= asdict(surface) | asdict(delivery) | {"level": level_name(surface.level), "formats": formats}
    run = Run("mesh", model, options, dry_run=dry_run)
    if dry_run:
        for files in plan:
            for path in files.all:
                run.add(path, f"{files.sample.label}, {surface}")
        return run
    make_all(plan, Job(generator, psi, surface, delivery, overwrite, reporter), run, target)
    return run.finish(target, next_command=f"gen3d video {shlex.quote(model)}{samples[0].options}")


def _every_file(plan: Sequence[Files], target: Path, *, textured: bool) -> list[Path]:
    """List what will be written: what stands beside a mesh too, and the contact sheet of several samples."""
    beside = [path for files in plan for mesh in files.meshes for path in mesh_files(mesh, textured=textured)[1:]]
    sheet = [target / SHEET_NAME] if len(plan) > 1 else []
    return [*(path for files in plan for path in files.all), *beside, *sheet]
