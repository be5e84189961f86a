"""One run of a command: where its outputs go, and the record kept beside them."""

import json
import platform
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gen3d_tools.errors import BatchError
from gen3d_tools.files import atomic_path, check_writable
from gen3d_tools.generators.source import find_source

OUTPUT_ROOT = Path("gen3d-out")
RECORD_NAME = "run.json"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every command is told about its run."""

    out: Path | None = None  # a file (by its suffix) or a folder; None = a new folder in `gen3d-out`
    device: str = "auto"  # or "cpu", "cuda", ...
    overwrite: bool = False  # replace existing outputs
    dry_run: bool = False  # check everything and say what would be written, without doing it
    base: str | None = None  # the model that a result was tuned from, where it is neither bundled nor beside it

    def after(self, model: str) -> str:
        """Write the model as it is typed after the name of a command, with its base."""
        return shlex.quote(model) + ("" if self.base is None else f" --base {shlex.quote(self.base)}")


@dataclass
class Run:
    """What one command did. `finish` turns it into the record on disk and on stdout."""

    command: str
    model: str
    options: dict[str, Any]
    started: float = field(default_factory=time.monotonic)
    outputs: list[Path] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, str] = field(default_factory=dict)  # for people: what an output is
    summary: list[dict[str, str]] = field(default_factory=list)  # for people, instead of lines: a table's rows
    failures: dict[str, str] = field(default_factory=dict)  # what of a batch failed, and why
    next_command: str = ""
    dry_run: bool = False  # outputs are a plan: nothing was computed, nothing is on disk

    @property
    def seconds(self) -> float:
        """Wall time since the run began."""
        return time.monotonic() - self.started

    def add(self, path: Path, line: str = "", **details: Any) -> None:
        """Note an output that is complete on disk, or would be, in a dry run."""
        self.outputs.append(path)
        if line:
            self.lines[path] = line
        if details:
            self.details.setdefault("outputs", {})[path.name] = details

    def record(self) -> dict[str, Any]:
        """Give the run as plain JSON values."""
        return {
            "command": self.command,
            "model": self.model,
            "model_sha256": model_digest(self.model) if self.model else None,
            "options": self.options,
            "dry_run": self.dry_run,
            "outputs": [str(path) for path in self.outputs],
            "details": self.details,
            "failed": self.failures,
            "seconds": round(self.seconds, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                "gen3d_tools": version("gen3d-tools"),
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
            names = ", ".join(self.failures)
            raise BatchError(f"{len(self.failures)} failed: {names}; the rest is written. The first one: {first}")

    def finish(self, beside: Path, *, next_command: str = "") -> "Run":
        """Write the record: into `beside` if it is a folder of outputs, else next to that file.

        Args:
            beside: The folder, or the one file, that the run made.
            next_command: What to suggest to the user.
        """
        self.next_command = next_command
        path = beside / RECORD_NAME if beside.is_dir() else beside.with_name(f"{beside.stem}.{RECORD_NAME}")
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(self.record(), indent=2) + "\n", encoding="utf-8")
        return self


def model_digest(source: str) -> str:
    """Compute the SHA-256 of a model's tensors, of a result's difference, or of the pickle it is."""
    return find_source(source).digest()


def model_name(source: str) -> str:
    """Give a short name for outputs: the last part of a path or repository id."""
    return re.sub(r"[^\w.-]+", "-", Path(source).resolve().name if Path(source).exists() else source.split("/")[-1])


def output_folder(command: str, model: str, parts: Sequence[str] = ()) -> Path:
    """Choose a folder that does not exist yet: `gen3d-out/<command>-<model>-<parts>`, numbered when taken."""
    return free_folder("-".join([command, model_name(model), *(part for part in parts if part)]))


def free_folder(name: str) -> Path:
    """Choose a folder in `gen3d-out` that does not exist yet, numbered when the name is taken."""
    name = re.sub(r"[^\w.,-]+", "-", name)[:100]
    candidate, number = OUTPUT_ROOT / name, 1
    while candidate.exists():
        number += 1
        candidate = OUTPUT_ROOT / f"{name}-{number}"
    check_writable(candidate)
    return candidate
