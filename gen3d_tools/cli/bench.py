"""`gen3d bench`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow

if TYPE_CHECKING:
    from gen3d_tools.workflows.running.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", cls=Command)(bench)


def bench(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    size: Annotated[int, typer.Option("--size", help="Picture side in pixels.")] = 128,
    resolution: Annotated[
        int, typer.Option("--resolution", "-r", help="Lattice points along each side, 8-1024.")
    ] = 256,
    repeat: Annotated[int, typer.Option("--repeat", help="Number of rounds; both procedures take turns.")] = 3,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Number of threads. Default: as many as torch uses.")
    ] = None,
    base: options.Base = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="PATH", help="JSON file. Default: bench.json in a new folder in ./gen3d-out."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Time a model on this machine's processor, beside the procedure of the published scripts.

    Example: `gen3d bench shapes --size 64`
    """
    from gen3d_tools.cli.terminal.console import ConsoleReporter
    from gen3d_tools.workflows.bench.run import BenchSize
    from gen3d_tools.workflows.bench.run import bench as workflow

    def work(reporter: ConsoleReporter) -> "Run":
        run = workflow(
            model,
            seeds=seeds,
            classes=classes,
            size=BenchSize(picture=size, lattice=resolution, repeat=repeat),
            threads=threads,
            base=base,
            out=out,
            overwrite=overwrite,
            dry_run=dry_run,
            reporter=reporter,
        )
        if not (dry_run or reporter.quiet):
            reporter.console.print(_table(run))
        return run

    run_workflow(work, as_json=json, quiet=quiet, verbose=verbose)


def _table(run: "Run") -> Table:
    """Lay the rows out for people."""
    found = run.details["machine"]
    title = f"{run.model}, {found['threads']} threads on {found['cores']} cores, torch {found['torch']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("work")
    for heading in ("plain", "here", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("note")
    for row in run.details["rows"]:
        ratio = "" if row["ratio"] is None else f"x {row['ratio']:.1f}"
        table.add_row(row["work"], _seconds(row["plain_s"]), _seconds(row["ours_s"]), ratio, row["note"])
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
