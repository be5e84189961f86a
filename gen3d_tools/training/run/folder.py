"""Whether a run may live in a folder: told before any work; and that no other one does while it works."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from gen3d_tools.errors import InputError, PlaceError
from gen3d_tools.files import check_writable, listed
from gen3d_tools.ownership import in_the_way
from gen3d_tools.staging import remove_leftovers
from gen3d_tools.training.processes import tells
from gen3d_tools.training.run.lock import LOCK_NAME, held
from gen3d_tools.training.run.looks import SHEETS, is_sheet
from gen3d_tools.training.run.page import PAGE_NAME
from gen3d_tools.training.run.record import LOG_NAME
from gen3d_tools.training.run.snapshots import STATE_NAME

LATEST = "latest"


@contextmanager
def run_folder(folder: Path, resume: bool, pictures: Path) -> Iterator[None]:
    """Say before any work whether the run may live there, and keep other runs out as long as it does.

    Of several processes of one run, the one that tells what comes of it keeps them out.

    Args:
        folder: That of the run.
        resume: Whether it goes on there.
        pictures: Where those that it learns from lie.

    Raises:
        InputError: It may not, or another run is writing there.
        PlaceError: Nothing can be written there.
    """
    _check_place(folder, pictures)
    with held(folder) if tells() else nullcontext():
        if folder.is_dir():
            _check_content(folder, resume)
        yield


def _check_content(folder: Path, resume: bool) -> None:
    """Refuse a folder in which there is something else than the run needs.

    Raises:
        InputError: There is.
    """
    if resume:
        if _ended_early(folder):
            raise InputError(f"the run in {folder} ended before its first snapshot; start it without --resume")
        if names := in_the_way(folder / LATEST):
            raise InputError(
                f"{folder / LATEST} holds what no run wrote ({listed(names)}), and is replaced by every snapshot; move "
                "that elsewhere to go on"
            )
        return
    if (folder / STATE_NAME).exists():
        raise InputError(f"{folder} holds a run already; add --resume to go on with it, or give another name")
    if any(path.name != LOCK_NAME for path in folder.iterdir()) and not _ended_early(folder):
        raise InputError(f"{folder} is not empty; give a new folder to the run")


def _check_place(folder: Path, pictures: Path) -> None:
    """Refuse a place among the pictures, and one where nothing can be written.

    It is tried out: permissions alone do not tell of all of them.

    Raises:
        PlaceError: Nothing can be written there.
        InputError: It lies among the pictures, is no folder, or no file system takes that name.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):  # of pathlib's, some raise where a parent is closed
        raise InputError(f"{folder} is no folder, which a run needs; give another name")
    if not os.path.lexists(folder):
        check_writable(folder, kind="folder")
    nearest = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
    try:
        with TemporaryDirectory(prefix=".gen3d-", dir=nearest):
            pass
    except OSError as error:
        raise PlaceError(f"cannot write {folder}: {nearest} takes no files; choose another place") from error
    if Path(os.path.realpath(pictures)) in Path(os.path.realpath(folder)).parents:
        raise InputError(
            f"{folder} lies in the folder of the pictures, whose sheets the run would take for some; give a folder "
            "elsewhere"
        )


def _ended_early(folder: Path) -> bool:
    """Whether all that lies there is what a run writes before its first snapshot: nothing that anybody would miss."""
    remove_leftovers(folder)
    names = {path.name for path in folder.iterdir()} - {LOCK_NAME}
    if LOG_NAME not in names or not names <= {LOG_NAME, PAGE_NAME, SHEETS} or not _is_log(folder / LOG_NAME):
        return False
    sheets = folder / SHEETS
    return SHEETS not in names or (sheets.is_dir() and all(is_sheet(path.name) for path in sheets.iterdir()))


def _is_log(path: Path) -> bool:
    """Whether a file holds lines of a run's log alone; the last one may be cut short."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError):
        return False
    return all(isinstance(line, dict) and "iteration" in line for line in found)
