"""`gen3d video`."""

from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("video")(video)


def video(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    path: Annotated[
        str,
        typer.Option(
            "--path",
            help="orbit, wiggle, front-circle, line, spiral, a published script's (eg3d-circle, epigraf-front-circle, "
            "3dgp-front-circle, and their points, line, wiggle), or a camera file such as path.json.",
        ),
    ] = "orbit",
    seconds: Annotated[float | None, typer.Option("--seconds", help="Length. Default: 4, or the file's.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Frames per second. Default: 30, or the file's.")] = None,
    size: options.Size = None,
    show: Annotated[str, typer.Option("--show", help="Any of rgb,depth,normal, side by side.")] = "rgb",
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="One video that passes through all samples and back to the first.")
    ] = False,
    grid: Annotated[str | None, typer.Option("--grid", help="Several samples in one video: columns x rows.")] = None,
    yaw: options.Yaw = None,
    pitch: options.Pitch = None,
    fov: options.Fov = None,
    exact: options.Exact = False,
    supersample: options.Supersample = 1,
    raw: options.Raw = False,
    out: options.Out = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="mp4, gif, webm or frames, for videos in a folder.")
    ] = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Film samples: one video each, several in a grid, or one that passes through all.

    Example: `gen3d video shapes --class mug --seeds 0-3 --interpolate -o mugs.mp4`
    """
    from gen3d_tools.workflows.sample import Look
    from gen3d_tools.workflows.video import video as workflow

    look = Look(yaw=yaw, pitch=pitch, fov=fov, size=size, exact=exact, supersample=supersample, raw=raw)
    run_workflow(
        lambda reporter: workflow(
            model,
            seeds=seeds,
            classes=classes,
            psi=psi,
            path=path,
            seconds=seconds,
            fps=fps,
            show=show,
            interpolate=interpolate,
            grid=grid,
            look=look,
            out=out,
            file_format=file_format,
            device=device,
            overwrite=overwrite,
            dry_run=dry_run,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
