"""What happens in a process that makes pieces.

Nothing here imports torch: how many threads it may have is said before it is imported.
"""

import logging
import os
import pickle
import platform
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from gen3d_tools.batch.pieces import Failure, Made, Maker, Note, Prepare
from gen3d_tools.batch.store import Store
from gen3d_tools.errors import Gen3DError, NotFoundError
from gen3d_tools.files import told_of_outputs
from gen3d_tools.kernels.compiling.threads import set_kernel_threads
from gen3d_tools.records import Proof, proofs_of
from gen3d_tools.wording import options_are_typed

_TORCH_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What torch and its libraries read when they are imported."""
_PACKAGES = ("gen3d-tools", "torch", "numpy", "numba")


@dataclass(frozen=True)
class Setup:
    """What a worker process is told when it begins."""

    threads: int
    """Of the kernels; torch has one, so that its sums do not depend on how many workers there are."""
    log_level: int
    """Of the library's messages."""


@dataclass(frozen=True)
class Job:
    """What all pieces of a run share, and a worker keeps between them."""

    token: str
    """Of the run: a worker that serves several tells them apart."""
    prepare: bytes
    """A `Prepare`, pickled: what cannot be read is an error of the run, and no end of a process."""
    typed: bool
    """Messages name options of the command line."""
    folder: Path
    """In which the driver works, on every machine."""
    store: Store | None
    """Where outputs go, if not to a folder."""
    versions: Mapping[str, str]
    """Of the packages that decide about outputs."""


class _Notes:
    def __init__(self) -> None:
        self.notes: list[Note] = []

    def add(self, path: Path, line: str = "", **details: Any) -> None:
        self.notes.append(Note(path, line, details))


_kept: dict[str, Maker] = {}


def set_up(setup: Setup) -> None:
    """Begin a worker process of this machine: its threads, its signals, its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the driver decides what it means
    limit_threads(setup.threads)
    logger = logging.getLogger("gen3d_tools")
    logger.setLevel(setup.log_level)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def process_id() -> int:
    """Say that the process is up."""
    return os.getpid()


def limit_threads(threads: int) -> None:
    """Give kernels so many threads, fewer where the environment says so, and torch one: see `Setup.threads`."""
    said = os.environ.get("NUMBA_NUM_THREADS", "")
    set_kernel_threads(min(threads, int(said)) if said.isdecimal() and int(said) else threads)
    for name in _TORCH_THREADS:
        os.environ[name] = "1"
    if "torch" in sys.modules:  # a script that imports it and starts workers is imported by them
        import torch

        torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End with the driver, however that ends: a process that nobody waits for would stay for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_piece(job: Job, device: str, task: bytes) -> Made:
    """Make a piece, and prove every file that it wrote; an error is an outcome, and travels as one.

    Args:
        job: What the piece shares with others.
        device: On which this process works.
        task: What the maker is called with, pickled.
    """
    start, notes = time.perf_counter(), _Notes()
    files: dict[Path, Proof] = {}

    def tell(path: Path, temporary: Path) -> None:
        whole = path.absolute()
        files.update({Path(name): proof for name, proof in proofs_of(temporary, whole.as_posix()).items()})

    with ExitStack() as stack:
        if job.typed:
            stack.enter_context(options_are_typed())
        stack.enter_context(told_of_outputs(tell))
        try:
            maker = _maker(job, device)
        except Exception as error:
            return Made(failure=Failure.of(error, ends_run=True))
        try:
            value = maker(pickle.loads(task), notes)
            if job.store is not None:
                job.store.deliver(files)
        except Exception as error:
            written = {path: proof for path, proof in files.items() if job.store is None and path.is_file()}
            return Made(written, notes.notes, None, Failure.of(error), time.perf_counter() - start)
    return Made(files, notes.notes, value, None, time.perf_counter() - start)


def versions() -> dict[str, str]:
    """Give the versions of the packages that decide about outputs."""
    return {name: version(name) for name in _PACKAGES}


def check_versions(wanted: Mapping[str, str]) -> None:
    """Refuse to make what another machine would make otherwise.

    Raises:
        Gen3DError: A package has another version here.
    """
    if other := [f"{name} {found}" for name, found in versions().items() if found != wanted.get(name)]:
        needed = ", ".join(f"{name} {number}" for name, number in wanted.items())
        raise Gen3DError(f"{platform.node()} has {' and '.join(other)}, the run needs {needed}; install those there")


def enter(folder: Path) -> None:
    """Work in the driver's folder, so that relative paths mean the same.

    Raises:
        NotFoundError: This machine does not have it.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise NotFoundError(
            f"{platform.node()} has no folder {folder} ({error.strerror}), where the run began; "
            "begin it in one that all machines share"
        ) from error


def _maker(job: Job, device: str) -> Maker:
    """Give what makes the pieces of a run, prepared when the first of them comes; that of another run is forgotten."""
    if job.token not in _kept:
        _kept.clear()
        check_versions(job.versions)
        enter(job.folder)
        prepare: Prepare = pickle.loads(job.prepare)
        _kept[job.token] = prepare(device)
    return _kept[job.token]
