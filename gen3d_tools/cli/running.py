"""What every command does around its workflow: verbosity, Ctrl-C, and printing the result."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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

    Raises:
        BatchError: Part of the work failed; what is done is printed.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    try:
        run = work(ConsoleReporter(quiet=quiet or as_json))
    except KeyboardInterrupt as interrupt:
        print_error(str(interrupt) or "interrupted; finished outputs are kept, the one in progress was removed")
        raise typer.Exit(INTERRUPTED) from None
    print_run(run, as_json=as_json, quiet=quiet or as_json)
    run.check_failures()


def run_query(
    ask: Callable[[], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    *,
    as_json: bool = False,
    verbose: bool = False,
) -> None:
    """Answer a question about a model; the answer is the result, so it goes to stdout.

    Args:
        ask: Gives the answer as plain JSON values.
        show: Prints it for people.
        as_json: Print one JSON object instead.
        verbose: Log messages on stderr too.
    """
    set_verbosity(quiet=False, verbose=verbose)
    try:
        answer = ask()
    except KeyboardInterrupt:
        print_error("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        show(answer)
