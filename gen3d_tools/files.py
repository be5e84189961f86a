"""Outputs are written whole or not at all: under a temporary name first, then renamed."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gen3d_tools.errors import Gen3DError, InputError

_FORMAT = "gen3d-tools"
"""What `format` begins with in the config.json of models and results."""
_PROGRAM = "gen3d_tools"
"""What `versions` names in the run.json of a run."""
_CAMERA_FILES = {"cameras.txt", "images.txt", "points3D.txt"}
"""COLMAP's text model; ours has no points."""


def check_writable(path: Path, *, overwrite: bool = False) -> None:
    """Say before any work is done whether `path` can be written.

    Args:
        path: The file or folder about to be written. Missing parents are fine, they are made later.
        overwrite: Whether an existing output may be replaced.

    Raises:
        InputError: `path` exists and `overwrite` is off, or it is a folder with other things than outputs in it.
        Gen3DError: The folder it would live in does not accept files.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; give another name with -o, or add --overwrite to replace it")
    if _is_folder(path) and (foreign := _foreign_file(path)):
        raise InputError(
            f"{path} holds more than an earlier output ({foreign}), so it stays; give another name with -o"
        )
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise Gen3DError(f"cannot write {path}: {parent} is not a writable folder; choose another place with -o")


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path` and rename it to `path` when the block succeeds.

    The temporary name keeps the suffix (writers choose the format by it). It may become a file or a
    folder. If the block raises, Ctrl-C included, whatever was written is removed.

    Args:
        path: Where the finished output will be.
        overwrite: Whether an existing output may be replaced. The old one stays until the new one is whole.

    Raises:
        InputError: `path` exists and `overwrite` is off, or something of another kind stands there.
        Gen3DError: The disk is full or the place is not writable.
    """
    check_writable(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _put_in_place(temporary, path)
    except OSError as error:
        raise _translate(error, path) from error
    finally:
        _remove(temporary)


@contextmanager
def atomic_files(paths: Sequence[Path], *, overwrite: bool = False) -> Iterator[list[Path]]:
    """Give temporary paths for files that belong together: all get their names when the block succeeds, or none.

    The first file is named last, so that whoever waits for it finds the others already there.

    Args:
        paths: Where the finished files will be.
        overwrite: Whether existing files may be replaced. The old ones stay until all new ones are whole.

    Raises:
        InputError: One of them exists and `overwrite` is off, or a folder stands there.
        Gen3DError: The disk is full or the place is not writable.
    """
    for path in paths:
        check_writable(path, overwrite=overwrite)
    mark = uuid.uuid4().hex[:8]
    temporary = [path.with_name(f".{path.stem}.{mark}.part{path.suffix}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _put_all_in_place(temporary[::-1], list(paths)[::-1])
    except OSError as error:
        raise _translate(error, paths[0]) from error
    finally:
        for one in temporary:
            _remove(one)


def _put_all_in_place(temporary: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename one after the other; should one fail, the earlier ones give way to the old files again."""
    done: list[tuple[Path, Path | None]] = []
    try:
        for new, path in zip(temporary, paths, strict=True):
            if _is_folder(path):
                raise InputError(f"{path} is a folder, the output is a file; give another name with -o")
            old = new.with_name(f"{new.name}.old") if path.exists() else None
            if old is not None:
                os.replace(path, old)
            done.append((path, old))
            os.replace(new, path)
    except BaseException:
        for path, old in reversed(done):
            path.unlink(missing_ok=True)
            if old is not None:
                os.replace(old, path)
        raise
    for _, old in done:
        if old is not None:
            _remove(old)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename onto `path`. A folder cannot be renamed onto a full one, so the old one steps aside first."""
    if path.exists() and _is_folder(path) != _is_folder(temporary):
        kinds = ("folder", "file") if _is_folder(path) else ("file", "folder")
        raise InputError(f"{path} is a {kinds[0]}, the output is a {kinds[1]}; give another name with -o")
    if not _is_folder(path):
        os.replace(temporary, path)
        return
    old = temporary.with_suffix(".old")
    os.replace(path, old)
    try:
        os.replace(temporary, path)
    except BaseException:
        os.replace(old, path)
        raise
    _remove(old)


def _foreign_file(folder: Path) -> str | None:
    """Name a file that we did not write, in a folder that is no model, result, run, camera set or numbered frames."""
    names = sorted(child.name for child in folder.iterdir())
    if _is_ours(folder) or (set(names) == _CAMERA_FILES and _has_no_points(folder / "points3D.txt")):
        return None
    return next((name for name in names if not (name.endswith(".png") and name[:-4].isdigit())), None)


def _is_ours(folder: Path) -> bool:
    """Whether its config.json or run.json says that we wrote it; other programs have files of these names too."""
    written_format = _read_object(folder / "config.json").get("format")
    versions = _read_object(folder / "run.json").get("versions")
    return (isinstance(written_format, str) and written_format.startswith(_FORMAT)) or (
        isinstance(versions, dict) and _PROGRAM in versions
    )


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none, or something else."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_no_points(path: Path) -> bool:
    with path.open("rb") as lines:
        return all(line.startswith(b"#") for line in lines)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _translate(error: OSError, path: Path) -> Gen3DError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Gen3DError(f"the disk is full: {path} was not written; free some space or choose another place with -o")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return Gen3DError(f"cannot write {path}: {error.strerror}; choose another place with -o")
    return Gen3DError(f"writing {path} failed: {error.strerror or error}")
