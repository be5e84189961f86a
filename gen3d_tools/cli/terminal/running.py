"""What every command does around its workflow: verbosity, interrupts, and printing the result."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from gen3d_tools.cli.terminal.console import ConsoleReporter, print_error, print_run, set_verbosity
from gen3d_tools.cli.terminal.streams import print_result
from gen3d_tools.workflows.running.interrupts import ended_by_signals, signal_of

if TYPE_CHECKING:
    from gen3d_tools.workflows.running.runs import Run

BY_SIGNAL = 128
"""What is added to a signal's number, as shells do: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""


def run_workflow(
    work: Callable[[ConsoleReporter], "Run"], *, as_json: bool = False, quiet: bool = False, verbose: bool = False
) -> None:
    """Run a workflow; paths are printed as files are finished.

    Args:
        work: Gets a reporter, returns the finished run.
        as_json: Print one JSON object on stdout, at the end, instead of paths.
        quiet: Nothing on stderr but errors.
        verbose: Log messages on stderr too.

    Raises:
        BatchError: Part of the work failed; what is done is printed.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    reporter = ConsoleReporter(quiet=quiet or as_json, paths=not as_json, as_json=as_json)
    try:
        with ended_by_signals():
            run = work(reporter)
    except KeyboardInterrupt as interrupt:
        with suppress(OSError):  # a terminal that was lost
            said = str(interrupt) or "interrupted; finished outputs are kept, the one in progress was removed"
            print_error(said, code=BY_SIGNAL + signal_of(interrupt))
        raise typer.Exit(BY_SIGNAL + signal_of(interrupt)) from None
    print_run(run, as_json=as_json, quiet=quiet or as_json)
    reporter.check_printed(run)
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
    except KeyboardInterrupt as interrupt:
        print_error("interrupted", code=BY_SIGNAL + signal_of(interrupt))
        raise typer.Exit(BY_SIGNAL + signal_of(interrupt)) from None
    if as_json:
        print_result(json.dumps(answer) + "\n")
    else:
        show(answer)
