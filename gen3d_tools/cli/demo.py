"""`gen3d demo`."""

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", cls=Command)(demo)


def demo(
    out: options.Out = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what the bundled generator can do: pictures, films, a mesh, an inverted photo, and a page with all of them.

    Example: `gen3d demo -o gen3d-out/demo --overwrite`
    """
    from gen3d_tools.workflows.demo import demo as workflow

    run_workflow(
        lambda reporter: workflow(out, device=device, overwrite=overwrite, reporter=reporter),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
