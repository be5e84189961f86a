"""`gen3d directions`."""

from typing import Annotated, Any

import typer
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import print_table, shown, stderr_console
from gen3d_tools.cli.terminal.running import run_query, run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("directions", cls=Command)(directions)


def directions(
    model: options.Model,
    find: Annotated[
        bool, typer.Option("--find", help="Find new directions, instead of listing the known ones.")
    ] = False,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="sefa: what changes the layers' styles most; pca: where w varies most. With two groups of seeds: "
            "difference of their means, or svm.",
        ),
    ] = None,
    positive: Annotated[
        str | None, typer.Option("--positive", metavar="SEEDS", help="Seeds of samples that have it, such as 1,4,7.")
    ] = None,
    negative: Annotated[
        str | None, typer.Option("--negative", metavar="SEEDS", help="Seeds of samples that have it not.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of what the two groups differ in.")] = "mine",
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers to move, such as 0-5: first ones shape, last ones colours.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many to find.")] = 10,
    classes: options.Classes = None,
    add: Annotated[bool, typer.Option("--add", help="Keep what the file holds already.")] = False,
    files: options.DirectionFiles = None,
    out: options.Out = None,
    base: options.Base = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the directions that `gen3d edit` knows for a model, or find new ones.

    Example: `gen3d directions shapes --positive 1,4,7 --negative 2,3 --class mug --name tall -o tall.safetensors`
    """
    if not (find or positive or negative):
        from gen3d_tools.workflows.editing.listing import directions_record

        run_query(
            lambda: directions_record(model, files=files or (), base=base),
            lambda record: _show(record, quiet=quiet),
            as_json=json,
            verbose=verbose,
        )
        return
    from gen3d_tools.workflows.editing.directions import Search
    from gen3d_tools.workflows.editing.directions import find as workflow
    from gen3d_tools.workflows.running.runs import RunOptions

    search = Search(
        method=method, layers=layers, count=count, classes=classes, positive=positive, negative=negative, name=name
    )
    settings = RunOptions(out=out, device=device, overwrite=overwrite, dry_run=dry_run, base=base)
    run_workflow(
        lambda reporter: workflow(model, search, add=add, options=settings, reporter=reporter),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )


def _show(record: dict[str, Any], *, quiet: bool) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("class", "direction", "correlation", "layers", "method"):
        table.add_column(heading, justify="right" if heading == "correlation" else "left")
    for row in record["directions"]:
        correlation = "" if row["correlation"] is None else f"{row['correlation']:.2f}"
        table.add_row(
            shown(row["class"] or "all"), row["name"], correlation, _spans(row["layers"]), shown(row["method"], 60)
        )
    if record["directions"]:
        print_table(table)
    if not quiet:
        more = "sefa-1, sefa-2, ... and pca-1, ... are there for every model; gen3d directions MODEL --find shows them"
        stderr_console().print(f"[dim]{more}[/]")


def _spans(layers: list[int]) -> str:
    """Write rows of latents as ranges: "0-5,8"."""
    parts: list[list[int]] = []
    for layer in sorted(layers):
        if parts and layer == parts[-1][1] + 1:
            parts[-1][1] = layer
        else:
            parts.append([layer, layer])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)
