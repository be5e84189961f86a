"""`gen3d dataset`."""

import typer

from gen3d_tools.cli import batch_options, dataset_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dataset", cls=Command)(dataset)


def dataset(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    views: dataset_options.Views = 50,
    file_format: dataset_options.Form = "nerfstudio",
    cameras: dataset_options.Cameras = "sphere",
    path: dataset_options.Path = "orbit",
    pitch_range: dataset_options.PitchRange = None,
    fov: options.Fov = None,
    size: options.Size = None,
    supersample: options.Supersample = 1,
    include: dataset_options.Include = None,
    resolution: dataset_options.Resolution = 128,
    points: dataset_options.Points = 20_000,
    splats: dataset_options.Splats = False,
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
    """Make multi-view data sets of samples: pictures with alpha, depth, normals, masks, cameras, points and meshes.

    Example: `gen3d dataset shapes --class chair --seeds 0-99 --views 50 --format nerfstudio -o chairs`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.workflows.dataset.run import DatasetOptions, parse_include, parse_pitch_range
    from gen3d_tools.workflows.dataset.run import dataset as workflow
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection

    choice = SampleSelection(seeds=seeds, classes=classes, psi=psi)
    what = DatasetOptions(
        file_format=file_format.strip().lower(),
        views=views,
        cameras=cameras.strip().lower(),
        path=path,
        pitch_range=parse_pitch_range(pitch_range),
        fov=fov,
        size=size,
        supersample=supersample,
        include=parse_include(include),
        resolution=resolution,
        points=points,
        splats=splats,
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
    run_workflow(
        lambda reporter: workflow(model, choice, what=what, options=settings, reporter=reporter),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
