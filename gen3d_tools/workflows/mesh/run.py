"""`gen3d mesh`: the surface of samples, as mesh files."""

from dataclasses import asdict
from functools import partial

from gen3d_tools.files import check_writable
from gen3d_tools.workflows.mesh.batch import make_all, pieces_of, prepare
from gen3d_tools.workflows.mesh.options import (
    SHEET_NAME,
    MeshOptions,
    OutputOptions,
    check_for_grids,
    formats_of,
    formats_without_texture,
    level_name,
    parse_color_source,
    parse_formats,
    parse_level,
    parse_surface,
    plan_files,
    written_files,
)
from gen3d_tools.workflows.mesh.sample import MeshTask
from gen3d_tools.workflows.running.batches import load_here, manifest_paths, write_manifests
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import SampleSelection, check_psi

__all__ = [
    "MeshOptions",
    "OutputOptions",
    "mesh",
    "parse_color_source",
    "parse_formats",
    "parse_level",
    "parse_surface",
]


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
    target = options.target("mesh", model, choice.name_parts, urls=True)
    formats = formats_of(options.file, delivery)
    check_for_grids(formats, surface, delivery)
    if surface.texture is not None and (without := formats_without_texture(formats)):
        reporter.say(f"no texture fits into {' or '.join(without)}; the other formats have it")
    if options.file is not None:
        check_writable(target, overwrite=options.replaces, kind="file")
    generator = load_here(model, options)
    samples = list(dict.fromkeys(choice.samples(generator)))
    plan = plan_files(samples, target, formats, delivery, one_file=options.file is not None)
    run = Run("mesh", model, choice.record(generator), dry_run=options.dry_run, reporter=reporter)
    run.options |= asdict(surface) | asdict(delivery) | {"level": level_name(surface.level), "formats": formats}
    textured, alone = surface.texture is not None, len(plan) == 1
    sheet = [target / SHEET_NAME] if not alone and any(files.needs_mesh for files in plan) else []
    paths = [*(path for files in plan for path in written_files(files, textured=textured)), *sheet]
    notes = [] if alone else [files.note for files in plan]
    manifests = manifest_paths(target, options)
    made_of = {path: one.sample.identity for one in plan for path in written_files(one, textured=textured)}
    whole = claim(run, [*paths, *manifests], target, options, apart=alone, notes=notes, made_of=made_of)
    if options.dry_run:
        for files in plan:
            for path in written_files(files, textured=textured):
                run.add(path, f"{files.sample.label}, {surface}")
        return run
    job = MeshTask(generator, choice.psi, surface, delivery, options.replaces, reporter)
    elsewhere = partial(prepare, model, options.base, choice.psi, surface, delivery)
    with run.recording():
        write_manifests(manifests, pieces_of(plan, job), run)
        make_all(plan, job, run, target, whole, options, elsewhere)
    return run.finish(next_command=f"gen3d video {options.after(model)}{samples[0].options_at(choice.psi)}")
