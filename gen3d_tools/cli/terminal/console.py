"""What people see (stderr) and what programs read (stdout)."""

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gen3d_tools.cli.terminal.streams import OutputError, print_path, print_result
from gen3d_tools.printable import MESSAGE_LENGTH, printable
from gen3d_tools.workflows.running.reporting import PieceEvent, Reporter

if TYPE_CHECKING:
    from gen3d_tools.workflows.running.runs import Run


LINE_SECONDS = 10.0
"""How often progress is told where stderr is no terminal."""


def stderr_console() -> Console:
    """Make a console for people; it honours NO_COLOR and the width of the terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_table(table: Table, *, to_stderr: bool = False) -> None:
    """Print a table. Where no terminal sets a width, nothing is wrapped and no line ends in spaces."""
    stream = sys.stderr if to_stderr else sys.stdout
    drawn, terminal = io.StringIO(), stream.isatty()
    console = Console(file=drawn, highlight=False, force_terminal=terminal, width=None if terminal else 10_000)
    console.print(table)
    text = "".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines())
    if to_stderr:
        stream.write(text)
    else:
        print_result(text)


def shown(text: str, length: int = MESSAGE_LENGTH) -> str:
    """Make any text fit to be printed: what files bring to it is escaped and shortened, and nothing is markup."""
    return escape(printable(text, length))


def wants_json() -> bool:
    """Whether `--json` was typed, which is known before a command is: a wrong option is an error too."""
    words = sys.argv[1:]
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def print_error(message: str, *, code: int = 1) -> None:
    """Print one red line, or where JSON is asked for, one object.

    Args:
        message: What went wrong.
        code: The exit code it leads to.
    """
    line = " ".join(message.split())
    if wants_json():
        found = {"error": printable(line, MESSAGE_LENGTH), "exit_code": code}
        sys.stderr.write(json.dumps(found) + "\n")
        return
    stderr_console().print(f"[bold red]error:[/] {shown(line)}")


class ConsoleReporter(Reporter):
    """A workflow's reporter that draws on stderr: a bar where that is a terminal, else a line every ten seconds.

    Args:
        quiet: Print nothing but paths.
        paths: Print the paths of outputs on stdout, each as soon as it is complete.
        as_json: Print a line of JSON on stderr for each piece that a worker has made.
    """

    def __init__(self, *, quiet: bool = False, paths: bool = True, as_json: bool = False) -> None:
        self.console = stderr_console()
        self.as_json = as_json
        self.quiet = quiet
        self._paths = paths
        self._unprinted: OutputError | None = None
        self._describe: Callable[[str], None] = lambda _: None
        self._what, self._began = "", time.monotonic()  # of the progress under way

    def check_printed(self, run: "Run") -> None:
        """Say, after the work, that stdout did not take the paths.

        Raises:
            OutputError: A path was not printed.
        """
        if self._unprinted is not None:
            with _saying_what_is_whole(run):
                raise self._unprinted

    def describe(self, what: str) -> None:
        """Change the words before the bar."""
        self._describe(shown(what))

    def say(self, message: str) -> None:
        """Print one line."""
        if not self.quiet:
            self.console.print(shown(message))

    def made(self, path: Path | str, line: str = "", *, planned: bool = False) -> None:
        """Print the path on stdout, and on stderr what it is."""
        if self._paths:
            try:
                print_path(path)
            except OutputError as error:  # said at the end: the work goes on
                self._paths, self._unprinted = False, error
        if self.quiet or not line:
            return
        if planned:
            self.console.print(f"[yellow]would write[/] {shown(str(path))} [dim]({shown(line)})[/]")
        else:
            size = "" if isinstance(path, str) else f", {file_size(size_of(path))}"
            self.console.print(f"[green]wrote[/] {shown(str(path))} [dim]({shown(line)}{size})[/]")

    def piece(self, event: PieceEvent) -> None:
        """Print a line of JSON for programs; for people, why a piece failed, and the rate beside the bar."""
        if self.as_json:
            sys.stderr.write(json.dumps(asdict(event)) + "\n")
            sys.stderr.flush()
            return
        if event.error is not None:
            self.say(f"{event.piece} failed {event.tries} times: {event.error}")
        rate = event.done / max(time.monotonic() - self._began, 1e-9)
        failed = f", {event.failed:,} failed" if event.failed else ""
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"
        self.describe(f"{self._what}, {speed}{failed}")

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show the number done, the time taken and the time left."""
        self._what, self._began = what, time.monotonic()
        if self.quiet:
            yield lambda done: None
            return
        with (self._bar if self.console.is_terminal else self._lines)(what, total) as done:
            yield done
        self._describe = lambda _: None

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        to_log = not sys.stdout.isatty()  # rich would print on stderr what is meant for the log
        with Progress(*columns, console=self.console, transient=True, redirect_stdout=not to_log) as bar:
            task = bar.add_task(shown(what), total=total)
            self._describe = lambda text: bar.update(task, description=text)
            yield lambda done: bar.update(task, completed=done)

    @contextmanager
    def _lines(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        start = last = time.monotonic()
        words = what

        def describe(text: str) -> None:
            nonlocal words
            words = text

        def tell(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= LINE_SECONDS and 0 < done < total:
                last = now
                left = (now - start) * (total - done) / done
                self.console.print(f"{shown(words)}: {done:,} of {total:,}, {_clock(now - start)}, {_clock(left)} left")

        self._describe = describe
        yield tell


def _clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class _OneLine(logging.Formatter):
    """Writes a log message so that a terminal obeys nothing in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record), MESSAGE_LENGTH)


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Choose which of the library's log messages are shown."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler = RichHandler(console=stderr_console(), show_time=False, show_path=verbose, show_level=True)
    handler.setFormatter(_OneLine("%(message)s"))
    logger = logging.getLogger("gen3d_tools")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)


@contextmanager
def _saying_what_is_whole(run: "Run") -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        made = (
            ""
            if run.dry_run
            else f"; what was made is whole: {', '.join(str(run.shown(path)) for path in run.outputs[:3])}"
        )
        raise OutputError(f"{error}{made}") from error


def print_run(run: "Run", *, as_json: bool, quiet: bool) -> None:
    """Print what is said of a run at its end: one JSON object on stdout, or for people on stderr."""
    if as_json:
        with _saying_what_is_whole(run):
            print_result(json.dumps(run.record()) + "\n")
    if quiet:
        return
    if run.summary:
        print_summary(run.summary)
    if run.next_command:
        stderr_console().print(f"[dim]{run.seconds:.1f} s.[/] Next: [bold]{shown(run.next_command)}[/]")
    for command in run.further_commands:
        stderr_console().print(f"  [bold]{shown(command)}[/]")


def print_summary(rows: list[dict[str, str]], *, to_stderr: bool = True) -> None:
    """Print a table of what a batch made; columns without any content are left out."""
    if not rows:
        return
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name in (names[0], names[-1]) else "right", overflow="fold")
    for row in rows:
        table.add_row(*(shown(row[name]) for name in names))
    print_table(table, to_stderr=to_stderr)


def size_of(path: Path) -> int:
    """Count the bytes of a file, or of everything in a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def file_size(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"
