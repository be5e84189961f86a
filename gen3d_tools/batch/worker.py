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
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from gen3d_tools.batch.pieces import Failure, Made, Maker, Note, Prepare
from gen3d_tools.errors import NotFoundError
from gen3d_tools.files import told_of_outputs
from gen3d_tools.records import Proof, proofs_of
from gen3d_tools.wording import options_are_typed

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What torch, its libraries and numba read when they are imported."""


@dataclass(frozen=True)
class Setup:
    """What a worker process is told when it begins."""

    threads: int
    """Of torch and of the kernels."""
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
    """Let torch and the kernels have so many threads; fewer where the environment says so."""
    for name in _THREADS:
        said = os.environ.get(name, "")
        os.environ[name] = str(min(threads, int(said)) if said.isdecimal() and int(said) else threads)
    if "torch" in sys.modules:  # a script that imports it and starts workers is imported by them
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


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
        except Exception as error:
            written = {path: proof for path, proof in files.items() if path.is_file()}
            return Made(written, notes.notes, None, Failure.of(error), time.perf_counter() - start)
    return Made(files, notes.notes, value, None, time.perf_counter() - start)


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
        enter(job.folder)
        prepare: Prepare = pickle.loads(job.prepare)
        _kept[job.token] = prepare(device)
    return _kept[job.token]
