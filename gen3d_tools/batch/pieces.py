"""A piece of work: what any process can make, again if need be, with the same files as the result."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gen3d_tools import errors
from gen3d_tools.errors import ENDS_BATCH, Gen3DError, OutOfMemoryError
from gen3d_tools.files import atomic_path
from gen3d_tools.records import Proof

MANIFEST_NAME = "manifest.jsonl"


@runtime_checkable
class Notes(Protocol):
    """Takes note of outputs: a `Run`, or what a worker sends to it."""

    def add(self, path: Path, line: str = "", **details: Any) -> None:
        """Note an output that is complete on disk.

        Args:
            path: Its file or folder.
            line: What it is, for people.
            details: What the record says of it, as plain JSON values.
        """


Maker = Callable[[Any, Notes], Any]
"""Makes a piece: gets its task, writes its outputs whole (`files.atomic_path`, replacing what an earlier try has left),
notes each of them, and returns what the command wants to know besides."""

Prepare = Callable[[str], Maker]
"""Called once in each process, with its device: loads what all pieces need. It must be picklable: a function at the top
of a module, or a `functools.partial` of one."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Work that needs nothing of other pieces, and may be done twice: its outputs have the same bytes each time."""

    name: str
    """Of its own in the run: `mug 3`. Failures are listed by it."""
    task: Any
    """What its maker is called with; picklable. Paths may be relative: every process works in the driver's folder."""
    outputs: Sequence[Path]
    """Every file or folder that it writes, and no other piece does."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest says of it, as plain JSON values."""


@dataclass(frozen=True)
class Failure:
    """Why a piece was not made, in a form that travels between processes and versions."""

    kind: str
    """Name of a class in `gen3d_tools.errors`."""
    message: str
    ends_run: bool = False
    """It is no fault of the piece: the others would fail as well."""
    final: bool = False
    """It has been tried often enough already."""

    @classmethod
    def of(cls, error: Exception, *, ends_run: bool = False) -> "Failure":
        """Describe an error; one that nobody foresaw is told with its type."""
        if isinstance(error, MemoryError):
            return cls(OutOfMemoryError.__name__, "out of memory; try smaller outputs, or fewer workers", ends_run)
        if not isinstance(error, Gen3DError):
            return cls(Gen3DError.__name__, f"unexpected {type(error).__name__}: {error}", ends_run)
        known = next(one.__name__ for one in type(error).__mro__ if getattr(errors, one.__name__, None) is one)
        return cls(known, str(error), ends_run or isinstance(error, ENDS_BATCH))

    def error(self) -> Gen3DError:
        """Give the error again."""
        made = getattr(errors, self.kind)(self.message)
        assert isinstance(made, Gen3DError)
        return made


@dataclass(frozen=True)
class Note:
    """An output that a worker has noted."""

    path: Path
    line: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """What came of a piece."""

    files: Mapping[Path, Proof] = field(default_factory=dict)
    """Every file that it wrote, by its absolute path; also of one that failed later."""
    notes: Sequence[Note] = ()
    value: Any = None
    """What its maker returned."""
    failure: Failure | None = None
    seconds: float = 0.0
    """Wall time of the try that is told."""
    tries: int = 1


def write_manifest(path: Path, pieces: Iterable[Piece], say: Callable[[str], None] = lambda _: None) -> None:
    """Say in JSON Lines what is to be made: a line for each piece, with its name, outputs and facts.

    Lines of an earlier manifest about other pieces stay, before the new ones; a damaged one is made anew.

    Args:
        path: The manifest; names in it are relative to its folder.
        pieces: In the order of the run.
        say: Told that an earlier manifest was damaged.

    Raises:
        Gen3DError: It cannot be written.
    """
    folder = path.parent
    lines = {
        piece.name: {
            "piece": piece.name,
            "outputs": [Path(os.path.relpath(output, folder)).as_posix() for output in piece.outputs],
            **piece.facts,
        }
        for piece in pieces
    }
    earlier: dict[str, dict[str, Any]] = {}
    if path.is_file():
        try:
            earlier = {line["piece"]: line for line in read_manifest(path)}
        except Gen3DError as error:
            say(f"{error}; it is made anew, with what this run makes")
    with atomic_path(path, overwrite=True) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for line in {**earlier, **lines}.values():
            file.write(json.dumps(line) + "\n")


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Read a manifest: a dictionary for each piece, with `piece`, `outputs` and its facts.

    Raises:
        Gen3DError: It is no manifest.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise Gen3DError(f"{path} is no manifest of pieces, a line of JSON for each: {error}") from error
    if not all(isinstance(line, dict) and isinstance(line.get("piece"), str) for line in lines):
        raise Gen3DError(f"{path} is no manifest: each line is an object that names its piece")
    return lines
