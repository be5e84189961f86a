"""One run of a command: where its outputs go, what is checked before any work, and the record kept beside them."""

import json
import os
import platform
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gen3d_tools.batch.options import BatchOptions
from gen3d_tools.batch.store import Store, is_url
from gen3d_tools.errors import BatchError, Gen3DError
from gen3d_tools.files import atomic_path, listed, shorten, told_of_outputs
from gen3d_tools.generators.source import find_source
from gen3d_tools.records import (
    PROGRAM,
    RECORD_NAME,
    Log,
    Proof,
    choose_record,
    logs_in,
    proofs_of,
    read_log,
    stem_of_log,
)
from gen3d_tools.workflows.running.interrupts import Interrupted, signal_of
from gen3d_tools.workflows.running.places import output_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter

_MAX_STEM_BYTES = 180


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every command is told about its run."""

    out: str | Path | None = None  # a file (by its suffix) or a folder; None = a new folder in `gen3d-out`
    device: str = "auto"  # or "cpu", "cuda", ...; "cuda:0,1" is a process on each
    overwrite: bool = False  # replace existing outputs
    resume: bool = False  # keep the outputs that a record proves whole, and make the others
    dry_run: bool = False  # check everything and say what would be written, without doing it
    base: str | None = None  # the model that a result was tuned from, where it is neither bundled nor beside it
    batch: BatchOptions = field(default_factory=BatchOptions)  # how many processes share the work, on which machines

    def after(self, model: str) -> str:
        """Write the model as it is typed after the name of a command, with its base."""
        return shlex.quote(model) + ("" if self.base is None else f" --base {shlex.quote(self.base)}")

    @cached_property
    def store(self) -> Store | None:
        """Where outputs go, if that is a URL; opened when a run claims its outputs."""
        if not is_url(self.out):
            return None
        url = str(self.out)
        return Store(url.rpartition("/")[0] if self._names_file(Path(url)) else url)

    def _names_file(self, path: Path) -> bool:
        return bool(path.suffix) and not str(self.out).endswith(("/", "\\"))

    @property
    def file(self) -> Path | None:
        """The one output file, if one is named: it has a suffix, is no folder, and no slash is at its end."""
        if self.store is not None:
            name = Path(str(self.out))
            return self.store.local / name.name if self._names_file(name) else None
        path = output_path(self.out)
        return None if path is None or not self._names_file(path) or os.path.isdir(path) else path

    @property
    def folder_instead(self) -> str:
        """What to type instead of the one file that is named, where a folder is needed."""
        return str(self.out).removesuffix(Path(str(self.out)).suffix) + "/"

    def target(self, command: str, model: str, parts: Sequence[str] = (), *, urls: bool = False) -> Path:
        """Give the file or folder that is named, or choose a folder in `gen3d-out`.

        Args:
            command: Part of a chosen name, as are the others.
            model: Its name or path.
            parts: What distinguishes the run.
            urls: The command can write to a URL; its outputs are then made in a folder of `store`.

        Raises:
            InputError: A URL is named, and the command cannot.
        """
        if urls and self.store is not None:
            return self.file or self.store.local
        return output_path(self.out) or output_folder(command, model, parts, resume=self.resume)

    @property
    def replaces(self) -> bool:
        """Whether writers may replace what stands there: all of it is checked before any work."""
        return self.overwrite or self.resume


@dataclass
class Run:
    """What one command did. `finish` turns it into the record on disk and on stdout."""

    command: str
    model: str
    options: dict[str, Any]
    started: float = field(default_factory=time.monotonic)
    outputs: list[Path] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    summary: list[dict[str, str]] = field(default_factory=list)  # for people: a table's rows
    in_table: bool = False  # what the outputs are is said in the table at the end
    failures: dict[str, str] = field(default_factory=dict)  # what of a batch failed, and why
    next_command: str = ""
    further_commands: tuple[str, ...] = ()  # after that one, a line each
    dry_run: bool = False  # outputs are a plan: nothing was computed, nothing is on disk
    reporter: Reporter = field(default_factory=Reporter)
    files: dict[str, Proof] = field(default_factory=dict)  # what is on disk, by name relative to the record
    folder: Path = Path()  # of the record
    stem: str = ""  # what the record's name begins with; empty in a folder of outputs
    whole: bool = True  # whether the run has come to its end
    resumable: bool = False  # whether its command takes --resume, and there is more than one output
    made_of: dict[str, Any] = field(default_factory=dict)  # which samples an output shows, by name as in `files`
    begun: set[str] = field(default_factory=set)  # outputs that other processes are about to write, as in `files`
    log: Log | None = None  # while it is recording
    store: Store | None = None  # where outputs go, if that is a URL: they are made in `folder` first
    undelivered: list[Path] = field(default_factory=list)  # files that are whole in `folder`, on their way to the store

    @property
    def seconds(self) -> float:
        """Wall time since the run began."""
        return time.monotonic() - self.started

    @cached_property
    def model_sha256(self) -> str | None:
        """The digest of the model's numbers."""
        return model_digest(self.model) if self.model else None

    def add(self, path: Path, line: str = "", **details: Any) -> None:
        """Note an output that is complete on disk, or would be, in a dry run, and tell the user."""
        self.note(path, **details)
        self.deliver()
        self.reporter.made(self.shown(path), "" if self.in_table else line, planned=self.dry_run)

    def note(self, path: Path, **details: Any) -> None:
        """Note an output without a word."""
        self.outputs.append(path)
        if details:
            self.details.setdefault("outputs", {})[path.name] = details

    def shown(self, path: Path) -> Path | str:
        """Give the place of an output as people know it: its URL, where it goes to one."""
        return path if self.store is None else self.store.path(self.store.name(path))

    def deliver(self) -> None:
        """Send what is whole to its URL, where the outputs go to one; it is removed here."""
        if self.store is not None:
            self.store.deliver(self.undelivered)
            self.undelivered.clear()

    def fetch(self, path: Path) -> Path:
        """Have a file here that is there."""
        if self.store is not None:
            self.store.fetch(path)
        return path

    def discard(self, path: Path) -> None:
        """Remove a file of ours, wherever it is."""
        if self.store is None:
            path.unlink(missing_ok=True)
        else:
            self.store.remove(path)

    def record(self) -> dict[str, Any]:
        """Give the run as plain JSON values."""
        return {
            "command": self.command,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "options": self.options,
            "dry_run": self.dry_run,
            "outputs": [str(self.shown(path)) for path in self.outputs],
            "files": {name: {"bytes": one.size, "sha256": one.sha256} for name, one in sorted(self.files.items())},
            **({"samples": dict(sorted(self.made_of.items()))} if self.made_of else {}),
            **({"begun": sorted(self.begun)} if self.begun else {}),
            "details": self.details,
            "failed": self.failures,
            "whole": self.whole,
            "seconds": round(self.seconds, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                PROGRAM: version("gen3d-tools"),
                "torch": version("torch"),
                "python": platform.python_version(),
            },
        }

    def check_failures(self) -> None:
        """Say that part of the batch failed, if it did.

        Raises:
            BatchError: Names what failed and why the first of it did.
        """
        if self.failures:
            first = next(iter(self.failures.values()))
            names = listed(list(self.failures))
            raise BatchError(f"{len(self.failures)} failed: {names}; the rest is written. The first one: {first}")

    def begin(self, outputs: Sequence[Path]) -> None:
        """Note, before it does, that another process is about to write outputs: it may be the last that is heard."""
        assert self.log is not None, "only while the run is recording"
        names = [self.name(path) for path in outputs]
        self.log.begin(names, self.record() if not self.log.begun else {})
        self.begun.update(names)

    def prove(self, files: Mapping[Path, Proof], outputs: Sequence[Path] = ()) -> None:
        """Note what another process has written.

        Args:
            files: Every file, with what it is known by.
            outputs: What was begun, and is whole now.
        """
        assert self.log is not None, "only while the run is recording"
        proofs = {self.name(path): proof for path, proof in files.items()}
        self.log.add_all(proofs, self.record() if not self.log.begun else {})
        self._keep_log()
        self.files |= proofs
        self.begun -= {self.name(path) for path in outputs}

    def _keep_log(self) -> None:
        if self.store is not None and self.log is not None and self.log.path is not None:
            self.store.keep_log(self.log.path)

    def name(self, path: Path) -> str:
        """Give an output's name in the record."""
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def sort(self, outputs: Sequence[Path]) -> None:
        """Bring what was noted into the order of the plan, whichever was finished first."""
        place = {path: index for index, path in enumerate(outputs)}
        self.outputs.sort(key=lambda path: place.get(path, len(place)))
        if "outputs" in self.details:
            names = {path.name: index for path, index in reversed(place.items())}
            noted = sorted(self.details["outputs"].items(), key=lambda item: names.get(item[0], len(names)))
            self.details["outputs"] = dict(noted)

    def place_record(self, target: Path, *, folder: bool) -> None:
        """Say where the record goes: into the folder of outputs, or next to the one file."""
        self.folder = target if folder else target.parent
        self.stem = "" if folder else shorten(target.stem, _MAX_STEM_BYTES)

    @property
    def place(self) -> Path | str:
        """The folder of the outputs as people know it."""
        return self.folder if self.store is None else self.store.url

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep a log of everything that the block writes; should it be interrupted, the record is left behind."""
        for left in logs_in(self.folder):
            recover(left, self.store)
        log, content = Log(self.folder, self.stem), self.record()
        self.log = log

        def tell(path: Path, temporary: Path) -> None:
            for name, proof in proofs_of(temporary, self.name(path)).items():
                log.add(name, proof, content)
                self.files[name] = proof
                self.undelivered.append(self.folder / name)
            self._keep_log()

        try:
            with told_of_outputs(tell):
                yield
            self.deliver()
        except BaseException as error:
            self.whole = False
            begun = log.begun
            self._forget_unwritten()
            if begun:
                with suppress(Gen3DError, OSError):  # then the log stays, which says the same
                    self._write_record(log)
            if isinstance(error, KeyboardInterrupt) and self.resumable and begun:
                kept = "what is finished is kept, repeat the command with --resume to make the rest"
                raise Interrupted(f"interrupted; {kept}", number=signal_of(error)) from error
            raise
        self._forget_unwritten()
        self._write_record(log)

    def _forget_unwritten(self) -> None:
        """Of what was begun, keep what may be there: an object store is not asked again."""
        if self.store is None:
            self.begun = {name for name in self.begun if os.path.lexists(self.folder / name)}

    def _write_record(self, log: Log) -> None:
        names = set(self.files)
        path, superseded = choose_record(self.folder, self.stem, names, log.path)
        _write_json(path, self.record())
        for record in superseded:
            if record.path != path:
                record.path.unlink(missing_ok=True)
        log.remove()
        self.log = None
        if self.store is not None:
            self.store.settle_records()

    def finish(self, *, next_command: str = "", further_commands: Sequence[str] = ()) -> "Run":
        """End the run.

        Args:
            next_command: What to suggest to the user, in one line.
            further_commands: What to suggest besides, a line each.
        """
        self.next_command, self.further_commands = next_command, tuple(further_commands)
        return self

    def write_inside(self, folder: Path) -> None:
        """Write the record into a folder that is one output, before it gets its name."""
        self.files = {
            child.relative_to(folder).as_posix(): Proof.of(child)
            for child in sorted(folder.rglob("*"))
            if child.is_file()
        }
        _write_json(folder / RECORD_NAME, self.record())


def recover(log: Path, store: Store | None = None) -> None:
    """Make a record of the log of a run that was killed; the log of one that lives stays.

    Args:
        log: In a folder of outputs, or brought here from the store.
        store: Where the outputs are, if not beside the log.
    """
    found = read_log(log)
    if found is None:
        return
    proofs = {name: proof for name, proof in found.files.items() if proof is not None}
    if store is None:
        files = {name: proof for name, proof in proofs.items() if found.proves(name)}
    else:
        files = {name: proof for name, proof in proofs.items() if store.fits(name, proof)}
    exists = os.path.lexists if store is None else store.exists
    begun = sorted(name for name in found.begun - set(files) if exists(log.parent / name))
    path, superseded = choose_record(log.parent, stem_of_log(log), set(files), log)
    told = {name: {"bytes": proof.size, "sha256": proof.sha256} for name, proof in files.items()}
    outputs = [str(log.parent / name) if store is None else store.path(name) for name in files]
    if files or begun:
        left = {"begun": begun} if begun else {}
        _write_json(path, {**found.content, "outputs": outputs, "files": told, **left, "whole": False})
        for record in superseded:
            if record.path != path:
                record.path.unlink(missing_ok=True)
    log.unlink(missing_ok=True)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def model_digest(source: str) -> str:
    """Compute the SHA-256 of a model's tensors, of a result's difference, or of the pickle it is."""
    return find_source(source).digest()
