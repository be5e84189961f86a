"""Where outputs are made before they get their names: a hidden folder beside them, locked while its process lives.

    .gen3d-1f2e3d4c/
        lock       locked by the process that made the folder; the system frees it when that ends, however it does
        new/       the outputs under their final names: temporary names are never longer than those
        old/       what they replace, until all of them have their names
        journal    how several names change together; there only while they do

One file gets its name in one step of the system. Several files, or a folder, take several steps: the journal says
which, and is on disk before the first. The next process that writes beside a folder whose lock is free completes what
its journal says, or removes it. Nothing that is not named like this, or that was changed since, is touched.
"""

import ctypes
import json
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_NAME = re.compile(r"\.gen3d-[0-9a-f]{8}")
_LOCK, _JOURNAL, _NEW, _OLD = "lock", "journal", "new", "old"
_FORWARD, _BACK = "forward", "back"
_UNLOCKED_SECONDS = 60.0
"""Age at which a folder without a lock file is a leftover, and not one that is being made."""
_visited: set[Path] = set()
_MAX_JOURNAL_BYTES = 16 * 2**20
ROOM = len("/.gen3d-00000000/new")
"""Bytes by which a path of a staging folder is longer than the final one."""


class Staging:
    """One staging folder; `close` removes it, with everything that has not got its name.

    Args:
        parent: The folder, already there, in which the outputs will be.
    """

    def __init__(self, parent: Path) -> None:
        if parent.absolute() not in _visited:
            remove_leftovers(parent)
        self.parent = parent
        self.folder, self._lock = _make(parent)
        self.new, self._old = self.folder / _NEW, self.folder / _OLD
        self.new.mkdir()

    def commit(self, names: Sequence[str]) -> None:
        """Give the outputs their names, all or none, in the order given; what has such a name is replaced.

        Args:
            names: Of files or folders in `new`, which are then in the parent folder.

        Raises:
            OSError: The system refused; everything is as it was.
        """
        for name in names:
            _sync(self.new / name)
            _keep_modes(self.new / name, self.parent / name)
        replaced_folder = any((self.parent / name).is_dir() for name in names)
        if len(names) == 1 and not replaced_folder:
            os.replace(self.new / names[0], self.parent / names[0])
        else:
            self._commit_all(names)
        _sync_folder(self.parent)

    def _commit_all(self, names: Sequence[str]) -> None:
        self._old.mkdir()
        for name in names:
            if (self.parent / name).is_file():
                _link_or_copy(self.parent / name, self._old / name)
        steps = [
            {"name": name, "before": _identity(self.parent / name), "after": _identity(self.new / name)}
            for name in names
        ]
        _write_journal(self.folder, _FORWARD, steps)
        try:
            for name in names:
                _advance(self.folder, name)
        except BaseException:
            _write_journal(self.folder, _BACK, steps)
            _undo(self.folder, steps)
            (self.folder / _JOURNAL).unlink()
            raise
        (self.folder / _JOURNAL).unlink()

    def close(self) -> None:
        """Remove the folder; what a journal still has to say is left to the next process."""
        if not (self.folder / _JOURNAL).exists():
            _remove_folder(self.folder)
        self._lock.close()


def is_staging(name: str) -> bool:
    """Whether a file name is that of a staging folder."""
    return _NAME.fullmatch(name) is not None


def in_staging(path: Path) -> bool:
    """Whether a path lies in a staging folder: what is written there is not an output yet."""
    return any(is_staging(part) for part in path.parent.parts)


def remove_leftovers(folder: Path) -> None:
    """Complete or remove what processes that no longer live have left in a folder, as far as this one may.

    What cannot be completed or removed stays: whoever writes there next is told why by the system.
    """
    _visited.add(folder.absolute())
    with suppress(OSError):
        found = [Path(entry.path) for entry in os.scandir(folder) if is_staging(entry.name) and _is_own_folder(entry)]
        for leftover in found:
            with suppress(OSError):
                _settle(leftover)


def _is_own_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _settle(folder: Path) -> None:
    """Complete and remove one staging folder, if its process has ended."""
    try:
        lock = (folder / _LOCK).open("r+b")
    except FileNotFoundError:
        if time.time() - folder.stat().st_mtime > _UNLOCKED_SECONDS:
            folder.rmdir()  # empty, or not ours
        return
    with lock:
        if not take_lock(lock):  # without locks nobody can tell a leftover
            return
        journal = _read_journal(folder)
        if journal is not None:
            direction, steps = journal
            _complete(folder, steps) if direction == _FORWARD else _undo(folder, steps)
            _sync_folder(folder.parent)
        _remove_folder(folder)


def _make(parent: Path) -> tuple[Path, IO[bytes]]:
    """Make a staging folder, and hold its lock; another process may take it for a leftover before it is held."""
    while True:
        folder = parent / f".gen3d-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            lock = (folder / _LOCK).open("xb")
        except FileNotFoundError:
            continue
        if take_lock(lock) is not False and is_at(folder / _LOCK, lock):
            return folder, lock
        lock.close()


def is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether an open file still has a name; somebody may have removed it, or put another one there."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def take_lock(file: IO[bytes]) -> bool | None:
    """Lock an open file until it is closed, or the process ends.

    Returns:
        Whether it is locked now; False where another process holds it, None where the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _write_journal(folder: Path, direction: str, steps: Sequence[dict[str, Any]]) -> None:
    """Put the journal on disk, in one step."""
    path = folder / f"{_JOURNAL}.new"
    path.write_text(json.dumps({"direction": direction, "steps": list(steps)}), encoding="utf-8")
    _sync(path)
    os.replace(path, folder / _JOURNAL)
    _sync_folder(folder)


def _read_journal(folder: Path) -> tuple[str, list[dict[str, Any]]] | None:
    """Read the journal; None where there is none, or it is not one of ours."""
    path = folder / _JOURNAL
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_JOURNAL_BYTES:
            return None
        content = json.loads(path.read_bytes())
        direction, steps = content["direction"], content["steps"]
        names = [step["name"] for step in steps]
        if any(not isinstance(name, str) or os.path.basename(name) != name or not name for name in names):
            return None
        return (direction, [{key: step[key] for key in ("name", "before", "after")} for step in steps])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _advance(folder: Path, name: str) -> None:
    """Give one output its name; a folder that stands there steps aside."""
    new, final, old = folder / _NEW / name, folder.parent / name, folder / _OLD / name
    if final.is_dir() and not final.is_symlink():
        if not _exchange(new, final):
            os.rename(final, old)
            os.rename(new, final)
    else:
        os.replace(new, final)


def _complete(folder: Path, steps: Sequence[dict[str, Any]]) -> None:
    """Go on with the journal, unless somebody has changed one of the outputs since."""
    states = {step["name"]: _state(folder, step) for step in steps}
    if "changed" not in states.values():
        for name, state in states.items():
            if state == "before" and os.path.lexists(folder / _NEW / name):
                _advance(folder, name)
    for name, state in states.items():
        if state == "aside":
            os.rename(folder / _NEW / name, folder.parent / name)


def _undo(folder: Path, steps: Sequence[dict[str, Any]]) -> None:
    """Put the old outputs back, where the new ones have their names already."""
    for step in reversed(steps):
        new, final, old = folder / _NEW / step["name"], folder.parent / step["name"], folder / _OLD / step["name"]
        state = _state(folder, step)
        if state == "aside":
            os.rename(old, final)
        elif state == "after" and step["before"] is None:
            os.rename(final, new)
        elif state == "after" and old.is_file():
            os.replace(old, final)
        elif state == "after" and old.is_dir():
            os.rename(final, new)
            os.rename(old, final)
        elif state == "after":
            _exchange(new, final)


def _state(folder: Path, step: dict[str, Any]) -> str:
    """Say which of the two has the name: the one "before", the one "after", none ("aside"), or something "changed"."""
    found = _identity(folder.parent / step["name"])
    if found == step["after"]:
        return "after"
    if found == step["before"]:
        return "before"
    old = folder / _OLD / step["name"]
    return "aside" if found is None and old.is_dir() and _identity(old) == step["before"] else "changed"


def _identity(path: Path) -> list[int] | None:
    """Tell a file from others and from its own later contents, a folder from others; None where there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return [found.st_ino]
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step of the system; False where it has no such step."""
    for function, arguments in _exchanges():
        if function(*arguments(os.fsencode(first), os.fsencode(second))) == 0:
            return True
    return False


def _exchanges() -> Iterator[tuple[Callable[..., int], Callable[[bytes, bytes], tuple[Any, ...]]]]:
    """Give Linux' renameat2 or macOS' renamex_np, with the arguments that exchange two names."""
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE on Linux as RENAME_SWAP on macOS
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        if sys.platform == "linux":
            yield library.renameat2, lambda first, second: (here, first, here, second, swap)
        elif sys.platform == "darwin":
            yield library.renamex_np, lambda first, second: (first, second, swap)


def _link_or_copy(path: Path, copy: Path) -> None:
    """Keep a file under a second name, without its first one being empty for a moment."""
    try:
        os.link(path, copy)
    except OSError:  # file systems without hard links
        shutil.copy2(path, copy)


def _keep_modes(new: Path, old: Path) -> None:
    """Give what replaces a file or folder its permissions, and those of the files in a folder."""
    pairs = [(new, old)]
    if new.is_dir():
        pairs += [(path, old / path.relative_to(new)) for path in new.rglob("*")]
    for replacing, replaced in pairs:
        with suppress(OSError):
            if replaced.is_dir() == replacing.is_dir():
                own = stat.S_IRWXU if replacing == new and new.is_dir() else 0  # to move a folder, one must write in it
                replacing.chmod(stat.S_IMODE(replaced.stat().st_mode) | own)


def _sync(path: Path) -> None:
    """Have a file's contents, or those of everything in a folder, on the disk before its name is."""
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
        _sync_folder(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where the system lets folders be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_folder(folder: Path) -> None:
    """Remove a staging folder; its lock goes last, so that nobody takes half of it for a new one."""
    for name in (_JOURNAL, f"{_JOURNAL}.new"):
        (folder / name).unlink(missing_ok=True)
    for name in (_NEW, _OLD):
        _remove_tree(folder / name)
    (folder / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _remove_tree(folder: Path) -> None:
    """Remove a folder, also where it or one in it says that it is not to be written."""
    if not folder.is_dir():
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)
