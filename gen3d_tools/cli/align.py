"""`gen3d align`."""

from pathlib import Path
from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("align", cls=Command)(align)


def align(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of faces.", show_default=False)],
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            help="What the crops are for: eg3d-ffhq or panohead (crop and label), or square (crop alone).",
        ),
    ] = "eg3d-ffhq",
    landmarks: options.FaceLandmarks = None,
    face: options.FaceNumber = None,
    level: options.FaceLevel = False,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Cut faces out of photos as face generators expect them: a crop of 512 x 512 and a label of 25 numbers.

    Example: `gen3d align photo.jpg -o face/`
    """
    from gen3d_tools.workflows.align import FaceOptions
    from gen3d_tools.workflows.align import align as workflow

    about = FaceOptions(landmarks=landmarks, face=face, level=level)
    run_workflow(
        lambda reporter: workflow(
            photos, preset=preset, options=about, out=out, overwrite=overwrite, dry_run=dry_run, reporter=reporter
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
