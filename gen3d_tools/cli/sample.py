"""`gen3d sample`."""

from typing import Annotated

import typer

from gen3d_tools.cli import batch_options, options
from gen3d_tools.cli.terminal.command import GridCommand
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sample", cls=GridCommand)(sample)


def sample(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    show: options.Show = "rgb",
    size: options.Size = None,
    views: Annotated[
        int,
        typer.Option(
            "--views",
            help="Number of pictures around the object, evenly spaced; of a model that is trusted from some "
            "sides alone from those, unless --yaw says where to begin.",
        ),
    ] = 1,
    grid: options.Grid = None,
    cameras_out: options.CamerasOut = None,
    shards: batch_options.Shards = None,
    yaw: options.Yaw = None,
    pitch: options.Pitch = None,
    fov: options.Fov = None,
    exact: options.Exact = False,
    supersample: options.Supersample = 1,
    raw: options.Raw = False,
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
    """Render pictures of samples: one PNG each, or a labelled grid.

    Example: `gen3d sample shapes --class car,mug --seeds 0-3 --grid --show rgb,depth,normal`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.sample import sample as workflow
    from gen3d_tools.workflows.samples.selection import SampleSelection
    from gen3d_tools.workflows.samples.views import ViewOptions

    choice = SampleSelection(seeds=seeds, classes=classes, psi=psi)
    look = ViewOptions(yaw=yaw, pitch=pitch, fov=fov, size=size, exact=exact, supersample=supersample, raw=raw)
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
        lambda reporter: workflow(
            model,
            choice,
            show=show,
            views=views,
            grid=grid or False,
            cameras_out=cameras_out,
            shards=shards,
            look=look,
            options=settings,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
