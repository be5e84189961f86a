"""`gen3d mesh`: the surface of samples, as mesh files."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gen3d_tools.files import check_writable
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.formats.export import mesh_files
from gen3d_tools.workflows.mesh.batch import make_all
from gen3d_tools.workflows.mesh.options import (
    SHEET_NAME,
    Files,
    MeshOptions,
    OutputOptions,
    formats_of,
    formats_without_texture,
    level_name,
    parse_color_source,
    parse_formats,
    parse_level,
    plan_files,
)
from gen3d_tools.workflows.mesh.sample import MeshTask
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run, RunOptions, output_folder
from gen3d_tools.workflows.samples import SampleSelection, check_psi

__all__ = ["MeshOptions", "OutputOptions", "mesh", "parse_color_source", "parse_formats", "parse_level"]


def mesh(
    model: str,
    choice: SampleSelection | None = None,
    *,
    surface: MeshOptions | None = None,
    delivery: OutputOptions | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Mesh samples. When some of several fail, the others are made and the run lists the failures.

    Args:
        model: Whatever `load_generator` takes.
        choice: Which samples.
        surface: Resolution, level, cleaning, colours.
        delivery: Formats, upward axis and size, and what is written beside the meshes.
        options: Where the meshes go (that of one sample by its suffix, or a folder of them), and on which device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, surface, delivery = choice or SampleSelection(), surface or MeshOptions(), delivery or OutputOptions()
    options, reporter = options or RunOptions(), reporter or Reporter()
    surface.check()
    delivery.check()
    check_psi(choice.psi)
    out, overwrite = options.out, options.overwrite
    target = out or output_folder("mesh", model, choice.name_parts)
    one_file = out is not None and bool(out.suffix) and not out.is_dir()
    formats = formats_of(target if one_file else None, delivery)
    if surface.texture is not None and (without := formats_without_texture(formats)):
        reporter.say(f"no texture fits into {' or '.join(without)}; the other formats have it")
    if one_file:
        check_writable(target, overwrite=overwrite)
    generator = load_generator(model, device=options.device, base=options.base)
    samples = list(dict.fromkeys(choice.samples(generator)))
    plan = plan_files(samples, target, formats, delivery, one_file=one_file)
    for path in _every_file(plan, target, textured=surface.texture is not None):
        check_writable(path, overwrite=overwrite)
    run = Run("mesh", model, choice.record(generator), dry_run=options.dry_run)
    run.options |= asdict(surface) | asdict(delivery) | {"level": level_name(surface.level), "formats": formats}
    if options.dry_run:
        for files in plan:
            for path in files.all:
                run.add(path, f"{files.sample.label}, {surface}")
        return run
    make_all(plan, MeshTask(generator, choice.psi, surface, delivery, overwrite, reporter), run, target)
    return run.finish(target, next_command=f"gen3d video {options.after(model)}{samples[0].options}")


def _every_file(plan: Sequence[Files], target: Path, *, textured: bool) -> list[Path]:
    """List what will be written: what stands beside a mesh too, and the contact sheet of several samples."""
    beside = [path for files in plan for mesh in files.meshes for path in mesh_files(mesh, textured=textured)[1:]]
    sheet = [target / SHEET_NAME] if len(plan) > 1 else []
    return [*(path for files in plan for path in files.all), *beside, *sheet]
