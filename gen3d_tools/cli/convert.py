"""`gen3d convert`."""

from pathlib import Path
from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert", cls=Command)(convert)


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN.pkl", help="A published checkpoint; `gen3d models --families`.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="PATH", help="Model folder to make.")],
    class_names: Annotated[
        Path | None, typer.Option("--class-names", help="File with one class name per line, or a JSON list.")
    ] = None,
    allow_unknown: Annotated[
        bool,
        typer.Option(
            "--allow-unknown", help="Replace unknown names in the pickle by inert placeholders instead of refusing it."
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Convert a published pickle to a model folder. Nothing in the pickle is run.

    Example: `gen3d convert ffhq512-128.pkl -o models/ffhq`
    """
    from gen3d_tools.workflows.convert import convert as workflow

    run_workflow(
        lambda reporter: workflow(
            source,
            out=out,
            class_names=class_names,
            allow_unknown=allow_unknown,
            overwrite=overwrite,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
