"""`gen3d mesh`."""

from functools import partial

import typer

from gen3d_tools.cli import batch_options, mesh_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mesh", cls=Command)(mesh)


def mesh(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    resolution: mesh_options.Resolution = 256,
    surface: mesh_options.Surface = "field",
    level: mesh_options.Level = "auto",
    keep: mesh_options.Keep = 0.02,
    keep_background: mesh_options.KeepBackground = False,
    faces: mesh_options.Faces = None,
    smooth: mesh_options.Smooth = 0,
    watertight: mesh_options.Watertight = False,
    texture: mesh_options.Texture = None,
    color_from: mesh_options.ColorFrom = "views",
    no_color: mesh_options.NoColor = False,
    up: mesh_options.Up = "y",
    scale: mesh_options.Scale = None,
    unit: mesh_options.Unit = None,
    center: mesh_options.Center = False,
    ground: mesh_options.Ground = False,
    formats: mesh_options.Formats = None,
    points: mesh_options.Points = None,
    preview: mesh_options.Preview = False,
    report: mesh_options.Report = False,
    out: options.Out = None,
    base: options.Base = None,
    device: options.Device = "auto",
    workers: batch_options.Workers = None,
    ray: batch_options.Ray = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Extract clean, coloured meshes of samples: .glb, .obj, .ply, .stl and more, in world units or metres.

    Example: `gen3d mesh shapes --class chair --seeds 7 --faces 20000 --texture 1024 -o chair.glb`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.geometry.formats.lengths import parse_length
    from gen3d_tools.workflows.mesh.run import (
        MeshOptions,
        OutputOptions,
        parse_color_source,
        parse_formats,
        parse_level,
        parse_surface,
    )
    from gen3d_tools.workflows.mesh.run import mesh as workflow
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection

    choice = SampleSelection(seeds=seeds, classes=classes, psi=psi)
    shape = MeshOptions(
        surface=parse_surface(surface),
        resolution=resolution,
        level=parse_level(level),
        keep=keep,
        keep_background=keep_background,
        faces=faces,
        smooth=smooth,
        watertight=watertight,
        texture=texture,
        color_from=parse_color_source(color_from),
        colors=not no_color,
    )
    names = parse_formats(formats)
    delivery = OutputOptions(
        formats=names,
        points=points,
        up=up,
        scale=None if scale is None else parse_length(scale),
        unit=unit,
        center=center,
        ground=ground,
        preview=preview,
        report=report,
    )
    settings = RunOptions(
        out=out,
        device=device,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        base=base,
        batch=BatchOptions(workers=workers, ray=ray),
    )
    work = partial(workflow, model, choice, surface=shape, delivery=delivery, options=settings)
    run_workflow(lambda reporter: work(reporter=reporter), as_json=json, quiet=quiet, verbose=verbose)
