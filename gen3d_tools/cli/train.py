"""`gen3d train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gen3d_tools.cli import batch_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_query, run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", cls=Command)(train)


def train(
    pictures: Annotated[
        Path | None,
        typer.Argument(help="A folder or a .zip of square pictures of one size.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; the newest snapshot is its folder latest.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="How: epigraf, 3dgp, geometry-aware or eg3d.", show_default="3dgp"),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="The recipe's form for a CPU.")] = False,
    resolution: Annotated[
        int | None, typer.Option("--resolution", min=8, help="Pixels along a side. Default: the recipe's.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Stop after so many minutes.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run, by its own recipe, to the same numbers.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--start-from", metavar="RUN", help="Begin with the networks of another run, or of a model."),
    ] = None,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish", help="The recipe's values for a last part: finer planes, smaller steps. Needs --start-from."
        ),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print every value and its source, and stop.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value, such as patches.beta_end=0.8. Repeat for more."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes of the cluster. Default: as many as it has places for.")
    ] = None,
    ray: batch_options.Ray = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a 3D generator from pictures without camera poses. Leave its page index.html open to watch.

    Example: `gen3d train pictures -o runs/mine --recipe 3dgp --small --minutes 30`
    """
    from gen3d_tools.training.processes import tells
    from gen3d_tools.workflows.train import TrainOptions
    from gen3d_tools.workflows.train import train as workflow

    told = TrainOptions(
        recipe=recipe,
        small=small,
        resolution=resolution,
        changes=tuple(changes or ()),
        minutes=minutes,
        resume=resume,
        start=start,
        finish=finish,
        device=device,
    )
    if explain and resume and out is None:
        raise typer.BadParameter("--resume explains the recipe of a run: say which with --out")
    if explain:
        run_query(lambda: _explained(told.load(out)), _show, as_json=json, verbose=verbose)
        return
    if pictures is None or out is None:
        raise typer.BadParameter("give the pictures and a folder for the run: gen3d train PICTURES -o runs/mine")
    if workers is not None and ray is None:
        raise typer.BadParameter(
            "--workers are processes of a cluster: add --ray local, or start several with torchrun "
            f"--nproc-per-node={workers} --no-python gen3d train ..."
        )

    def begin(reporter: Any) -> Any:
        if ray is None:
            return workflow(pictures, out, told, reporter=reporter)
        from gen3d_tools.workflows.train_on_cluster import train_on_cluster

        return train_on_cluster(pictures, out, told, ray=ray, workers=workers, reporter=reporter)

    told_here = tells()
    run_workflow(begin, as_json=json and told_here, quiet=quiet or not told_here, verbose=verbose)


def _explained(recipe: Any) -> dict[str, Any]:
    rows = [{"name": name, "value": value, "source": source} for name, value, source in recipe.explain()]
    return {"recipe": recipe.name, "small": recipe.small, "about": recipe.about, "values": rows}


def _show(answer: dict[str, Any]) -> None:
    """Print a table."""
    from rich.table import Table

    from gen3d_tools.cli.terminal.console import print_table, shown

    table = Table("value", "is", "from", title=shown(f"{answer['recipe']}: {answer['about']}"), title_justify="left")
    for row in answer["values"]:
        table.add_row(shown(row["name"]), shown(row["value"]), shown(row["source"]))
    print_table(table)
