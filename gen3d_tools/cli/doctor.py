"""`gen3d doctor`."""

import json as json_format
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import ConsoleReporter, print_table, stderr_console
from gen3d_tools.cli.terminal.streams import print_result

if TYPE_CHECKING:
    from gen3d_tools.workflows.doctor.run import Check, Report

STYLES = {"ok": "green", "optional": "dim", "warning": "yellow", "missing": "bold red", "failed": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", cls=Command)(doctor)


def doctor(
    json: options.JsonRecord = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything ahead, for containers: no later command has to.")
    ] = False,
) -> None:
    """Check that everything needed works on this machine; name a fix for each thing that does not.

    Exit code: 0 if all is well (optional packages may be missing), 5 if a needed dependency is missing, 1 otherwise.
    """
    from gen3d_tools.workflows.doctor.run import doctor as workflow

    report = workflow(ConsoleReporter(quiet=json), compile_ahead=warm)
    if json:
        print_result(json_format.dumps(report.record()) + "\n")
    else:
        print_table(_table(report))
        stderr_console().print(_verdict(report))
    raise typer.Exit(report.exit_code)


def _table(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in report.checks:
        table.add_row(Text(check.status, STYLES[check.status]), check.name, _finding(check))
    return table


def _finding(check: "Check") -> Text:
    finding = Text(check.found)
    if check.fix:
        finding.append("\nfix: ", "bold")
        finding.append(check.fix, "cyan")
    return finding


def _verdict(report: "Report") -> str:
    from gen3d_tools.workflows.doctor.run import Status

    broken = report.count(Status.MISSING) + report.count(Status.FAILED)
    if broken:
        lines = "1 line needs a fix" if broken == 1 else f"{broken} lines need a fix"
        return f"[bold red]{lines}[/]; then run [bold]gen3d doctor[/] again"
    return "[green]everything needed works.[/] Next: [bold]gen3d demo[/]"
