"""`gen3d view`."""

from contextlib import suppress
from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.completion import complete_model
from gen3d_tools.cli.terminal.console import ConsoleReporter, set_verbosity
from gen3d_tools.cli.terminal.streams import print_result
from gen3d_tools.workflows.running.interrupts import ended_by_signals


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("view", cls=Command)(view)


def view(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL|RESULT|MESH]...",
            autocompletion=complete_model,
            help="Models, inversion results and mesh files. Default: shapes.",
            show_default=False,
        ),
    ] = None,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="First port to try; 0 = any that is free.")
    ] = 8080,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. The default is reached from this machine alone.")
    ] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    directions: options.DirectionFiles = None,
    base: options.Base = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Turn a model's objects around in the browser: choose, mesh, film, and take home what you see.

    Example: `gen3d view shapes --class car --open`
    """
    from gen3d_tools.viewer.serve import view as serve

    set_verbosity(quiet=quiet, verbose=verbose)
    with suppress(KeyboardInterrupt), ended_by_signals():  # the way in which it ends
        serve(
            names or ["shapes"],
            seeds=seeds,
            classes=classes,
            host=host,
            port=port,
            open_page=open_page,
            directions=directions or (),
            base=base,
            device=device,
            reporter=ConsoleReporter(quiet=quiet),
            ready=lambda url: print_result(f"{url}\n"),
        )
