"""The command `gen3d`: assembles the commands and turns errors into one line and an exit code.

Exit codes: 0 done; 1 failed; 2 usage; 3 file or model not found; 4 checkpoint refused or broken;
5 optional dependency missing; 6 out of memory; 7 part of a batch failed; 8 a photo of something that the model does not
know; 130 interrupted, 143 and 129 by SIGTERM and SIGHUP.
Nothing here imports torch: `gen3d --help` must answer at once.
"""

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gen3d_tools.cli import (
    align,
    bench,
    classes,
    convert,
    dataset,
    demo,
    directions,
    doctor,
    edit,
    evaluate,
    info,
    invert,
    mesh,
    models,
    page,
    sample,
    train,
    video,
    view,
)
from gen3d_tools.cli.terminal.console import print_error, wants_json
from gen3d_tools.cli.terminal.streams import close_stdout, prepare_streams, print_result
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.kernels.compiling.ahead import second_process
from gen3d_tools.wording import options_are_typed

NAME = "gen3d"
OUT_OF_MEMORY = 6


class UnexpectedError(Exception):
    """Carries an error past typer, which says `Aborted.` of an EOFError and nothing at all of a broken pipe."""


class Commands(TyperGroup):
    """The commands, whose errors all reach `main`."""

    def invoke(self, ctx: Any) -> Any:
        """Run one."""
        try:
            return super().invoke(ctx)
        except (EOFError, OSError) as error:
            raise UnexpectedError from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Images, videos and meshes from trained 3D-aware GANs. Try: `gen3d demo`",
)
for command in (
    demo,
    view,
    sample,
    video,
    mesh,
    invert,
    align,
    edit,
    directions,
    page,
    dataset,
    train,
    evaluate,
    convert,
    info,
    models,
    classes,
    doctor,
    bench,
):
    command.register(app)


def _print_version(wanted: bool) -> bool:
    if wanted:
        from gen3d_tools import __version__

        print_result(f"gen3d {__version__}\n")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Images, videos and meshes from trained 3D-aware GANs."""


def let_threads_sleep() -> None:
    """Let torch's threads (GNU OpenMP) spin for microseconds instead of milliseconds before they sleep.

    They wait for each other a thousand times per second. On two cores beside one other busy process the planes of
    `shapes` took 434 to 980 ms instead of 24, and an inversion 15 to 35 s instead of 16; alone it is 15 ms and 8 s
    either way. It must be said before torch is imported; what the environment says already holds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    let_threads_sleep()
    second_process.wanted = True
    prepare_streams()
    with options_are_typed():
        code = _run(_run_commands)
    sys.exit(code or _run(close_stdout))


def _run_commands() -> None:
    """Run the commands; where JSON is asked for, what is typed wrong is an error as any other, and no drawing."""
    if not wants_json():
        app(prog_name=NAME)
    try:
        code = app(prog_name=NAME, standalone_mode=False)
    except Exception as error:
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        print_error(told(), code=InputError.exit_code)
        raise SystemExit(InputError.exit_code) from error
    raise SystemExit(code)


def _run(work: Callable[[], object]) -> int:
    """Do something; an error becomes one line, and an exit code."""
    try:
        work()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Gen3DError as error:
        print_error(str(error), code=error.exit_code)
        return error.exit_code
    except MemoryError:
        print_error("out of memory; try a smaller --size or --resolution, or fewer samples", code=OUT_OF_MEMORY)
        return OUT_OF_MEMORY
    except Exception as error:
        if os.environ.get("GEN3D_TRACEBACK"):
            raise
        cause = error.__cause__ if isinstance(error, UnexpectedError) and error.__cause__ else error
        if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
            print_error(
                f"the name {str(cause.filename)[:60]}... is too long for a file; check what was typed",
                code=InputError.exit_code,
            )
            return InputError.exit_code
        print_error(f"unexpected {type(cause).__name__}: {cause}; set GEN3D_TRACEBACK=1 to see where, and report it")
        return 1
    return 0
