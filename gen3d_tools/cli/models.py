"""`gen3d models`."""

from typing import Any

import typer
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.command import Command
from gen3d_tools.cli.console import file_size, print_table, shown, stderr_console
from gen3d_tools.cli.running import run_query

HINT = "More: a folder with config.json and model.safetensors (here or in ./models), or a Hugging Face id org/name."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models", cls=Command)(models)


def models(json: options.Json = False, quiet: options.Quiet = False, verbose: options.Verbose = False) -> None:
    """List the bundled models, and the model folders in ./models and in the current directory.

    Example: `gen3d models`
    """
    from gen3d_tools.workflows.describe import models_record

    run_query(models_record, lambda record: _show(record, quiet=quiet), as_json=json, verbose=verbose)


def _show(record: dict[str, Any], *, quiet: bool) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("model", "family"):
        table.add_column(name, overflow="fold")
    for name in ("classes", "parameters", "size"):
        table.add_column(name, justify="right")
    table.add_column("licence", overflow="fold")
    problems = []
    for line in record["models"]:
        if line["problem"]:
            problems.append(line)
            continue
        numbers = (f"{line['classes']}", f"{line['parameters']:,}", file_size(line["size_bytes"]))
        table.add_row(shown(line["source"]), line["family"], *numbers, shown(line["licence"], 80) or "not stated")
    if table.rows:
        print_table(table)
    console = stderr_console()
    for line in problems:
        console.print(f"[yellow]cannot be used:[/] {shown(line['problem'])}")
    if not quiet:
        console.print(f"[dim]{HINT}[/]")
