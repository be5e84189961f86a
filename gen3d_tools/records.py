"""Which files a run has made: what its record says, and its log while it runs.

A record, `run.json` in a folder of outputs or `<name>.run.json` beside a file, lists what its run made under `files`:
names relative to the record, sizes and digests. Nothing but what a record proves is removed. A run writes each output
into a log (`.run.json.log`) before the output gets its name, so that one which is killed leaves a true list too.
Records of version 0.1 list names alone.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gen3d_tools.errors import PlaceError
from gen3d_tools.staging import take_lock

PROGRAM = "gen3d_tools"
"""What `versions` names in a record."""
RECORD_NAME = "run.json"
_RECORD = re.compile(r"(?:.+\.)?run(?:-\d+)?\.json", re.DOTALL)
_LOG = re.compile(rf"\.({_RECORD.pattern})\.log", re.DOTALL)
_MAX_BYTES = 2**28


@dataclass(frozen=True)
class Proof:
    """By what a file is known to be the one that a run made."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Proof":
        """Compute it of a file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(file.tell(), digest)

    def fits(self, path: Path) -> bool:
        """Whether a file is still the one."""
        try:
            return path.is_file() and path.stat().st_size == self.size and Proof.of(path) == self
        except OSError:
            return False


@dataclass(frozen=True)
class Record:
    """What a record or a log says."""

    path: Path
    content: Mapping[str, Any]
    files: Mapping[str, Proof | None] = field(default_factory=dict)
    """By name, relative to the record's folder; None where version 0.1 has listed no more than the name."""
    begun: frozenset[str] = frozenset()
    """Names of outputs that other processes were about to write when the run was ended: they may be there."""

    @property
    def folder(self) -> Path:
        """The folder that the names are relative to."""
        return self.path.parent

    def proves(self, name: str) -> bool:
        """Whether a file is one that the run made, and has not been changed since as far as the record tells."""
        if name not in self.files:
            return False
        proof = self.files[name]
        return (self.folder / name).is_file() if proof is None else proof.fits(self.folder / name)


def proofs_of(path: Path, name: str) -> dict[str, Proof]:
    """Compute the proofs of a file, or of every file in a folder.

    Args:
        path: Where it is now.
        name: Its name in the record.
    """
    if not path.is_dir():
        return {name: Proof.of(path)}
    files = sorted(child for child in path.rglob("*") if child.is_file())
    return {f"{name}/{child.relative_to(path).as_posix()}": Proof.of(child) for child in files}


def read_record(path: Path) -> Record | None:
    """Read a record; None where there is none, or another program has written it."""
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_BYTES:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return _record(path, content)


def _record(path: Path, content: Any) -> Record | None:
    versions = content.get("versions") if isinstance(content, dict) else None
    if not (isinstance(versions, dict) and PROGRAM in versions):
        return None
    listed = content.get("files")
    if isinstance(listed, dict):
        files = {name: _proof(value) for name, value in listed.items() if _is_below(name)}
        return Record(path, content, files, _begun([content]))
    outputs = content.get("outputs")
    names = [Path(name).name for name in outputs if isinstance(name, str)] if isinstance(outputs, list) else []
    return Record(path, content, dict.fromkeys(name for name in names if name))


def _proof(value: Any) -> Proof:
    """Read a proof; one that cannot be read fits no file."""
    size, digest = (value.get("bytes"), value.get("sha256")) if isinstance(value, dict) else (None, None)
    return Proof(size, digest) if isinstance(size, int) and isinstance(digest, str) else Proof(-1, "")


def _begun(lines: Iterable[Any]) -> frozenset[str]:
    """Gather what a record, or the lines of a log, name as begun."""
    lists = [line.get("begun") for line in lines if isinstance(line, dict)]
    names = [name for one in lists if isinstance(one, list) for name in one]
    return frozenset(name for name in names if isinstance(name, str) and _is_below(name))


def _is_below(name: str) -> bool:
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts)


def records_in(folder: Path) -> list[Record]:
    """Read every record in a folder, and every log of a run that was killed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = [read_record(folder / name) for name in names if _RECORD.fullmatch(name)]
    found += [read_log(folder / name) for name in names if _LOG.fullmatch(name)]
    return [record for record in found if record is not None]


class Log:
    """The list of what a run has made so far, on disk; made with its first entry.

    Args:
        folder: Where the record will be.
        stem: What the record's name begins with; empty in a folder of outputs.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self.path: Path | None = None
        self._folder, self._stem = folder, stem
        self._file: IO[bytes] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything in it."""
        return self._file is not None

    def add(self, name: str, proof: Proof, content: Mapping[str, Any]) -> None:
        """Note a file that is about to get its name.

        Args:
            name: Relative to the record's folder.
            proof: By what it will be known.
            content: What the record will say, as plain JSON values: the log begins with it.

        Raises:
            PlaceError: The disk is full, or the place takes no files; so of all that writes into it.
        """
        self.add_all({name: proof}, content)

    def add_all(self, files: Mapping[str, Proof], content: Mapping[str, Any]) -> None:
        """Note files that belong together, which another process may have given their names already.

        Args:
            files: By name, relative to the record's folder.
            content: What the record will say.
        """
        self._write(
            [{"name": name, "bytes": proof.size, "sha256": proof.sha256} for name, proof in files.items()], content
        )

    def begin(self, names: Sequence[str], content: Mapping[str, Any]) -> None:
        """Note outputs that another process is about to write.

        Args:
            names: Of files or folders, relative to the record's folder.
            content: What the record will say.
        """
        self._write([{"begun": list(names)}], content)

    def _write(self, lines: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> None:
        try:
            if self._file is None:
                self.path, self._file = _open_log(self._folder, self._stem)
                lines = [content, *lines]
            self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            if self._file is not None:
                with suppress(OSError):  # it tries to write once more
                    self._file.close()
                self._file = None  # what is in it stays, for the next run to read
            raise PlaceError(
                f"the list of outputs in {self._folder} cannot be written ({error.strerror or error}); free some "
                "space, or choose another place"
            ) from error

    def remove(self) -> None:
        """Remove it: the record is written."""
        if self._file is not None and self.path is not None:
            self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


def _open_log(folder: Path, stem: str) -> tuple[Path, IO[bytes]]:
    """Make a log under the first name that no record has, and no other run, be it alive or dead."""
    for record in _candidates(folder, stem):
        if os.path.lexists(record):
            continue
        path = log_path(record)
        file = path.open("ab")
        if take_lock(file) is not False and file.tell() == 0:
            return path, file
        file.close()
    raise AssertionError("there is no end of numbers")


def read_log(path: Path) -> Record | None:
    """Read the log of a run that was killed; None if the run still lives, or the file is none of ours.

    The last line may be cut short: its output has not got its name.
    """
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_BYTES:
            return None
        with path.open("r+b") as file:
            if take_lock(file) is False:
                return None
            first, *lines = list(_json_lines(file)) or [None]
    except OSError:
        return None
    record = _record(path, first)
    files = {
        line["name"]: _proof(line) for line in lines if isinstance(line, dict) and isinstance(line.get("name"), str)
    }
    return None if record is None else Record(path, record.content, {**record.files, **files}, _begun(lines))


def under_way(folder: Path) -> set[str]:
    """Name what runs that still live have written or begun in a folder; folders that hold such outputs too."""
    found = set[str]()
    for path in logs_in(folder):
        with suppress(OSError), path.open("r+b") as file:
            if take_lock(file) is False:
                lines = [line for line in _json_lines(file) if isinstance(line, dict)]
                found |= _begun(lines) | {line["name"] for line in lines if isinstance(line.get("name"), str)}
    return found | {parent.as_posix() for name in found for parent in PurePosixPath(name).parents}


def _json_lines(file: IO[bytes]) -> Iterator[Any]:
    for line in file:
        with suppress(ValueError, RecursionError):
            yield json.loads(line)


def is_record_name(name: str) -> bool:
    """Whether a file has the name of a record."""
    return _RECORD.fullmatch(name) is not None and "/" not in name


def is_log(path: Path) -> bool:
    """Whether a file has the name of a log."""
    return _LOG.fullmatch(path.name) is not None


def stem_of_log(path: Path) -> str:
    """Give the stem of the record that a log becomes."""
    match = re.fullmatch(r"\.(?:(.+)\.)?run(?:-\d+)?\.json\.log", path.name, re.DOTALL)
    assert match is not None
    return match[1] or ""


def choose_record(
    folder: Path, stem: str, names: Collection[str], own_log: Path | None = None
) -> tuple[Path, list[Record]]:
    """Choose where a run's record goes, so that it replaces no other run's.

    Args:
        folder: Of the record.
        stem: What its name begins with; empty in a folder of outputs.
        names: The files that the run makes.
        own_log: The run's own log; those of others keep a name taken.

    Returns:
        The record's path, and the records that have nothing to say any more: all their files are made again, or gone.
    """
    superseded: list[Record] = []
    for path in _candidates(folder, stem):
        log = log_path(path)
        if not os.path.lexists(path) and (log == own_log or not os.path.lexists(log)):
            return (superseded[0].path if superseded else path), superseded
        record = read_record(path)
        known = () if record is None else {*record.files, *record.begun}
        if record is not None and {name for name in known if (folder / name).exists()} <= set(names):
            superseded.append(record)
    raise AssertionError("there is no end of numbers")


def first_record(folder: Path, stem: str) -> Path:
    """Give the name that a record has where there is no other."""
    return next(_candidates(folder, stem))


def _candidates(folder: Path, stem: str) -> Iterator[Path]:
    start = f"{stem}." if stem else ""
    yield folder / f"{start}{RECORD_NAME}"
    yield from (folder / f"{start}run-{number}.json" for number in count(2))


def log_path(record: Path) -> Path:
    """Give the name of the log that becomes a record."""
    return record.with_name(f".{record.name}.log")


def logs_in(folder: Path) -> list[Path]:
    """Name every log in a folder."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if _LOG.fullmatch(name)]
    except OSError:
        return []
