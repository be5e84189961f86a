"""`gen3d models`."""

from typing import Annotated, Any

import typer
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import file_size, print_table, shown, stderr_console
from gen3d_tools.cli.terminal.running import run_query

HINT = "More: a folder with config.json and model.safetensors (here or in ./models), or a Hugging Face id org/name."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models", cls=Command)(models)


def models(
    families: Annotated[
        bool, typer.Option("--families", help="List what can be loaded: paper, licence, where weights are.")
    ] = False,
    json: options.JsonRecord = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the bundled models, and the model folders in ./models and in the current directory.

    With `--families`, the families of generators whose published weights are read. Example: `gen3d models`
    """
    from gen3d_tools.workflows.describe import families_record, models_record

    if families:
        run_query(families_record, lambda record: _show_families(record, quiet=quiet), as_json=json, verbose=verbose)
        return
    run_query(models_record, lambda record: _show(record, quiet=quiet), as_json=json, verbose=verbose)


def _show_families(record: dict[str, Any], *, quiet: bool) -> None:
    for facts in record["families"]:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for row in ("name", "family", "paper", "weights", "files", "licence", "works"):
            table.add_row(row, shown(facts[row]) or "-")
        table.add_row("", "")
        print_table(table)
    if not quiet:
        stderr_console().print(f"[dim]{shown(record['refused'])}.[/]")


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
