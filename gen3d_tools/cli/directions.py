"""`gen3d directions`."""

from typing import Annotated, Any

import typer
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import print_table, shown, stderr_console
from gen3d_tools.cli.terminal.running import run_query, run_workflow

_DEFAULT_NAME, _DEFAULT_COUNT = "mine", 10
FINDING: dict[str, tuple[str, object]] = {
    "method": ("--method", None),
    "name": ("--name", _DEFAULT_NAME),
    "layers": ("--layers", None),
    "count": ("--count", _DEFAULT_COUNT),
    "classes": ("--class", None),
    "add": ("--add", False),
    "out": ("--out", None),
    "device": ("--device", "auto"),
    "overwrite": ("--overwrite", False),
    "dry_run": ("--dry-run", False),
}
"""What is said of a search alone, as it is typed, and its default; a list of what is known has no use for it."""


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
    name: Annotated[str, typer.Option("--name", help="Name of what the two groups differ in.")] = _DEFAULT_NAME,
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers to move, such as 0-5: first ones shape, last ones colours.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many to find.")] = _DEFAULT_COUNT,
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
    typed = [FINDING[key][0] for key, value in locals().items() if key in FINDING and value != FINDING[key][1]]
    if not find and positive is None and negative is None:
        from gen3d_tools.workflows.editing.listing import directions_record

        _check_listing(typed)
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

    _check_finding(files)
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


def _check_listing(typed: list[str]) -> None:
    """Refuse options of a search where there is none.

    Raises:
        InputError: There is one.
    """
    from gen3d_tools.errors import InputError

    if typed:
        raise InputError(f"{', '.join(typed)}: that is for finding directions; add --find, or leave it out")


def _check_finding(files: list[str] | None) -> None:
    """Refuse files to be listed where directions are found.

    Raises:
        InputError: There is one.
    """
    from gen3d_tools.errors import InputError

    if files:
        raise InputError(
            f"--directions {files[0]} is for listing what a file holds; leave it out, or say --add -o {files[0]} to "
            "add what is found"
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
