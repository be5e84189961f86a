"""`gen3d classes`."""

from typing import Any

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import stderr_console
from gen3d_tools.cli.terminal.running import run_query
from gen3d_tools.cli.terminal.streams import print_result
from gen3d_tools.printable import printable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("classes", cls=Command)(classes)


def classes(
    model: options.Model, base: options.Base = None, json: options.JsonRecord = False, verbose: options.Verbose = False
) -> None:
    """List a model's classes: index and name, either of which `--class` takes.

    Example: `gen3d classes shapes`
    """
    from gen3d_tools.workflows.describe import classes_record

    run_query(lambda: classes_record(model, base), _show, as_json=json, verbose=verbose)


def _show(record: dict[str, Any]) -> None:
    rows = record["classes"]
    if not rows:
        stderr_console().print("no classes: this model is unconditional; leave --class out")
    width = len(str(len(rows) - 1))
    print_result("".join(f"{row['index']:>{width}}  {printable(row['name'])}\n" for row in rows))
