"""`gen3d edit`."""

from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.completion import complete_direction
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("edit", cls=Command)(edit)


def edit(
    model: options.Model,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            "--direction",
            "-d",
            metavar="NAME=AMOUNT",
            autocompletion=complete_direction,
            help="What to change, and how far in standard deviations, such as size=1.5; may be repeated. "
            "gen3d directions lists the names; sefa-1, pca-1, ... are there for every model.",
        ),
    ] = None,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    directions: options.DirectionFiles = None,
    out: options.Out = None,
    base: options.Base = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Change samples, or the object of a photo, along directions in latent space. The result is a model.

    Example: `gen3d edit shapes --class house --seeds 3 --direction hue=2 -o edited`, then `gen3d video edited`
    """
    from gen3d_tools.workflows.editing.edit import edit as workflow
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection

    choice = SampleSelection(seeds=seeds, classes=classes, psi=psi)
    settings = RunOptions(out=out, device=device, overwrite=overwrite, dry_run=dry_run, base=base)
    run_workflow(
        lambda reporter: workflow(
            model, direction or (), choice=choice, files=directions or (), options=settings, reporter=reporter
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
