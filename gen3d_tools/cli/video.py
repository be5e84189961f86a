"""`gen3d video`."""

import typer

from gen3d_tools.cli import batch_options, options
from gen3d_tools.cli.terminal.command import GridCommand
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("video", cls=GridCommand)(video)


def video(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    path: options.CameraPath = "orbit",
    seconds: options.Seconds = None,
    fps: options.Fps = None,
    size: options.Size = None,
    show: options.Show = "rgb",
    interpolate: options.Interpolate = False,
    once: options.Once = False,
    grid: options.Grid = None,
    cameras_out: options.CamerasOut = None,
    yaw: options.Yaw = None,
    pitch: options.Pitch = None,
    fov: options.Fov = None,
    exact: options.Exact = False,
    supersample: options.Supersample = 1,
    raw: options.Raw = False,
    out: options.Out = None,
    file_format: options.Format = None,
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
    """Render videos of samples: one each, several in a grid, or one that interpolates between all.

    Example: `gen3d video shapes --class mug --seeds 0-3 --interpolate -o mugs.mp4`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection
    from gen3d_tools.workflows.samples.views import ViewOptions
    from gen3d_tools.workflows.video.run import video as workflow

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
            path=path,
            seconds=seconds,
            fps=fps,
            show=show,
            interpolate=interpolate,
            once=once,
            grid=grid,
            cameras_out=cameras_out,
            look=look,
            file_format=file_format,
            options=settings,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
