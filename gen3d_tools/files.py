"""Outputs are written whole or not at all: in a hidden folder beside their place first (`staging`), then renamed.

What is replaced or removed is an output under the very name that is written, or proven to be ours: by a record
(`records`), or, of a model, a result, cameras or frames, by names and contents that only we give together.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from gen3d_tools.errors import Gen3DError, InputError, PlaceError
from gen3d_tools.ownership import in_the_way
from gen3d_tools.staging import ROOM, Staging, in_staging, remove_leftovers
from gen3d_tools.wording import choose, option

Kind = Literal["file", "folder"]
_MAX_PATH_BYTES = 4096
_MAX_NAME_BYTES = 255
_NAMES_SHOWN = 3
_LONGEST_SHOWN = 60
_teller: ContextVar[Callable[[Path, Path], None] | None] = ContextVar("teller", default=None)


def check_writable(path: Path, *, overwrite: bool = False, kind: Kind | None = None) -> None:
    """Say before any work is done whether `path` can be written.

    Args:
        path: The file or folder about to be written. Missing parents are fine, they are made later.
        overwrite: Whether an existing output may be replaced.
        kind: What is about to be written, where that is known already.

    Raises:
        InputError: `path` exists and `overwrite` is off, it is a folder with other things than outputs in it, something
            of another kind stands there, or the name is too long.
        Gen3DError: The folder it would live in does not accept files.
    """
    _check_name(path)
    remove_leftovers(path.parent)
    _check_place(path, overwrite=overwrite, kind=kind)


def check_all_writable(paths: Sequence[Path], *, overwrite: bool = False, kind: Kind | None = None) -> None:
    """Say before any work is done whether all of these can be written; see `check_writable`."""
    for path in paths:
        _check_name(path)
    for parent in dict.fromkeys(path.parent for path in paths):
        remove_leftovers(parent)
    for path in paths:
        _check_place(path, overwrite=overwrite, kind=kind)


def _check_place(path: Path, *, overwrite: bool, kind: Kind | None = None) -> None:
    """Do what `check_writable` promises, but for the name."""
    parent = path.parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise PlaceError(f"cannot write {path}: {parent} is not a writable folder; choose another place{_by_option()}")
    if os.path.lexists(path) and not overwrite:
        replace_it = option("overwrite", True)
        raise InputError(f"{path} exists already; give another name{_by_option()}, or add {replace_it} to replace it")
    final = _follow(path)
    if final.is_dir():
        if kind == "file":
            raise InputError(f"{path} is a folder, the output is a file; give another name{_by_option()}")
        remove_leftovers(final)
        if names := in_the_way(final):
            raise InputError(
                f"{path} holds more than an earlier output ({listed(names)}), so it stays; "
                f"give another name{_by_option()}"
            )
    elif os.path.lexists(final):
        if kind == "folder":
            raise InputError(f"{path} is a file, the output is a folder; give another name{_by_option()}")
        if not final.is_file():
            raise InputError(f"{path} is no regular file, so it stays; give another name{_by_option()}")
    elif final != path and not final.parent.is_dir():
        raise InputError(f"{path} is a link to {final}, whose folder is not there; give another name{_by_option()}")


def _by_option() -> str:
    """Say how another place is given on the command line; in Python the argument's name depends on the function."""
    return choose(typed=" with -o", python="")


def _check_name(path: Path) -> None:
    """Refuse a name that no file system takes, or that is no name.

    Raises:
        InputError: It is too long, or names a folder by dots.
    """
    if path.name in ("", ".."):
        raise InputError(
            f"{path} is where a folder is, not a name for an output; name it, such as -o {path / 'result'}"
        )
    if "\0" in str(path):
        raise InputError(f"the name of an output holds a null character; give another one{_by_option()}")
    for part in path.parts:
        if (size := len(os.fsencode(part))) > _MAX_NAME_BYTES:
            raise InputError(
                f"the name {shorten(part, _LONGEST_SHOWN)}... has {size} bytes, file systems take {_MAX_NAME_BYTES}; "
                f"give a shorter one{_by_option()}"
            )
    if (size := len(os.fsencode(path.absolute())) + ROOM) > _MAX_PATH_BYTES:
        raise InputError(
            f"the path {shorten(str(path), _LONGEST_SHOWN)}... has {size} bytes with what is needed around it, systems "
            f"take {_MAX_PATH_BYTES}; give a shorter one{_by_option()}"
        )


def _follow(path: Path) -> Path:
    """Give the place that a link points to, or `path` itself.

    Raises:
        InputError: The link leads round in a circle.
    """
    if not path.is_symlink():
        return path
    final = Path(os.path.realpath(path))
    if final.is_symlink():
        raise InputError(f"{path} is a link that leads round in a circle; give another name{_by_option()}")
    return final


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path of the same name, and move it to `path` when the block succeeds.

    It may become a file or a folder. If the block raises, Ctrl-C included, whatever was written is removed. Where
    `path` is a link, what it points to is replaced; permissions are kept.

    Args:
        path: Where the finished output will be.
        overwrite: Whether an existing output may be replaced. The old one stays until the new one is whole.

    Raises:
        InputError: `path` exists and `overwrite` is off, or something of another kind stands there.
        Gen3DError: The disk is full or the place is not writable.
    """
    with atomic_files([path], overwrite=overwrite) as [temporary]:
        yield temporary


@contextmanager
def atomic_files(paths: Sequence[Path], *, overwrite: bool = False) -> Iterator[list[Path]]:
    """Give temporary paths for outputs that belong together: all get their names when the block succeeds, or none.

    Those of one folder are all new or all old after any interruption, a power cut included; at the latest when the
    next output is written there. The first one is named last, so that whoever waits for it finds the others there.

    Args:
        paths: Where the finished files or folders will be.
        overwrite: Whether existing ones may be replaced. The old ones stay until all new ones are whole.

    Raises:
        InputError: One of them exists and `overwrite` is off, or something of another kind stands there.
        Gen3DError: The disk is full or the place is not writable.
    """
    for path in paths:
        _check_name(path)
        _check_place(path, overwrite=overwrite)
    finals = [_follow(path) for path in paths]
    with ExitStack() as stack:
        try:
            stagings: dict[Path, Staging] = {}
            for parent in dict.fromkeys(final.parent for final in finals):
                stack.enter_context(_missing_folders(parent))
                stagings[parent] = staging = Staging(parent)
                stack.callback(staging.close)
            temporary = [stagings[final.parent].new / final.name for final in finals]
            yield temporary
            for path in paths:  # again: others may have written there in the meantime
                _check_place(path, overwrite=overwrite)
            _commit(paths, finals, temporary, stagings)
        except OSError as error:
            raise _translate(error, paths[0]) from error


def _commit(
    paths: Sequence[Path], finals: Sequence[Path], temporary: Sequence[Path], stagings: dict[Path, Staging]
) -> None:
    """Tell whoever keeps a record, then give all their names, the first one last."""
    for path, final, new in zip(paths, finals, temporary, strict=True):
        if final.is_dir() and not new.is_dir():
            raise InputError(f"{path} is a folder, the output is a file; give another name{_by_option()}")
        if final.is_file() and new.is_dir():
            raise InputError(f"{path} is a file, the output is a folder; give another name{_by_option()}")
    tell = _teller.get()
    for path, new in zip(paths, temporary, strict=True):
        if tell is not None and not in_staging(path):
            tell(path, new)
    for parent, staging in reversed(stagings.items()):
        staging.commit([final.name for final in reversed(finals) if final.parent == parent])


@contextmanager
def told_of_outputs(tell: Callable[[Path, Path], None]) -> Iterator[None]:
    """Call `tell(path, temporary)` for each output of the block that is whole, before it gets its name.

    Outputs that are parts of another one are told as a part of that.
    """
    before = _teller.set(tell)
    try:
        yield
    finally:
        _teller.reset(before)


@contextmanager
def _missing_folders(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; those that are still empty are removed if the block raises."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for one in missing:
            with suppress(OSError):
                one.rmdir()
        raise


def shorten(text: str, size: int) -> str:
    """Cut a text so that it has at most so many bytes as a file name, between characters."""
    return os.fsencode(text)[:size].decode(errors="ignore") if len(os.fsencode(text)) > size else text


def safe_name(text: str) -> str:
    """Make a file name of a text: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "_", text)


def listed(names: Sequence[str]) -> str:
    """Name the first few of many."""
    shown = ", ".join(shorten(name, _LONGEST_SHOWN) for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")


def _translate(error: OSError, path: Path) -> Gen3DError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PlaceError(
            f"the disk is full: {path} was not written; free some space or choose another place{_by_option()}"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return PlaceError(f"cannot write {path}: {error.strerror}; choose another place{_by_option()}")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(
            f"cannot write {shorten(str(path), 200)}: the name is too long here; give a shorter one{_by_option()}"
        )
    return Gen3DError(f"writing {path} failed: {error.strerror or error}")
