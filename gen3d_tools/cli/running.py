"""What every command does around its workflow: verbosity, Ctrl-C, and printing the result."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from gen3d_tools.cli.console import ConsoleReporter, print_error, print_run, set_verbosity

if TYPE_CHECKING:
    from gen3d_tools.workflows.runs import Run

INTERRUPTED = 130


def run_workflow(
    work: Callable[[ConsoleReporter], "Run"], *, as_json: bool = False, quiet: bool = False, verbose: bool = False
) -> None:
    """Run a workflow and print what it made.

    Args:
        work: Gets a reporter, returns the finished run.
        as_json: Print one JSON object on stdout instead of paths.
        quiet: Nothing on stderr but errors.
        verbose: Log messages on stderr too.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    try:
        run = work(ConsoleReporter(quiet=quiet or as_json))
    except KeyboardInterrupt:
        print_error("interrupted; finished outputs are kept, the one in progress was removed")
        raise typer.Exit(INTERRUPTED) from None
    print_run(run, as_json=as_json, quiet=quiet or as_json)
