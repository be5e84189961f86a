"""One run writes in a folder at a time: a lock that the system frees when its process ends, however it does."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gen3d_tools.errors import InputError, PlaceError
from gen3d_tools.printable import printable
from gen3d_tools.staging import is_at, take_lock

LOCK_NAME = ".gen3d-train.lock"
_LOCKED_BYTE = 4096
"""Where Windows locks the file; before it stands who holds the lock, for others to read."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; one that was not there, and in which nothing was written, is gone afterwards.

    Args:
        folder: That of the run.

    Raises:
        InputError: A run is writing there.
        PlaceError: No lock can be written there.
    """
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    file = None
    try:
        file = _taken(folder)
        yield
    finally:
        if file is not None:
            with suppress(OSError):  # Windows keeps files that are open
                (folder / LOCK_NAME).unlink()
            file.close()
        for one in missing:
            with suppress(OSError):  # a folder that holds something stays
                one.rmdir()


def _taken(folder: Path) -> IO[bytes]:
    """Open and lock the file; another run may remove it between the two."""
    path = folder / LOCK_NAME
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise PlaceError(f"cannot write {path} ({error.strerror or error}); choose another place") from error
        file.seek(_LOCKED_BYTE)
        if take_lock(file) is False:
            with file:
                raise InputError(
                    f"a training run is writing in {folder}{_holder(file)}; wait, stop it, or choose another folder"
                )
        if is_at(path, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
            file.flush()
            return file
        file.close()


def _holder(file: IO[bytes]) -> str:
    """Who holds the lock, as far as it says."""
    file.seek(0)
    with suppress(OSError):
        text = file.read(_LOCKED_BYTE // 16).decode(errors="replace")
        return f" ({printable(text)})" if text else ""
    return ""
