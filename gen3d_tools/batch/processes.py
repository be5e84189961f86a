"""The engine of one machine: a process for each worker, begun anew where one is lost.

Each worker is a pool of one process of `concurrent.futures`: a pool that loses a process is of no use any more, and
with one each the others go on. Processes are spawned, never forked: threads and CUDA do not survive a fork.
"""

import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from gen3d_tools.batch.pieces import Failure, Made, Piece
from gen3d_tools.batch.worker import Job, Setup, make_piece, process_id, set_up
from gen3d_tools.errors import Gen3DError
from gen3d_tools.wording import choose

_STARTS = 3
_LOST = "its process ended before it was done: killed, or out of memory"
_NO_START = f"a worker process ended {_STARTS} times before it could begin"


class Worker:
    """One process, and the next one where it is lost.

    Args:
        device: On which it works.
        setup: What a process is told when it begins.
    """

    def __init__(self, device: str, setup: Setup) -> None:
        self.device = device
        self._setup = setup
        self._starts = 0
        self._begin()

    def _begin(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=set_up, initargs=(self._setup,))
        self._process = self._pool.submit(process_id)

    def submit(self, job: Job, piece: Piece) -> "Future[Made]":
        """Begin a piece; where the process has ended since the last one, in another."""
        task = pickle.dumps(piece.task)
        try:
            return self._pool.submit(make_piece, job, self.device, task)
        except BrokenProcessPool:
            self.replace()
            return self._pool.submit(make_piece, job, self.device, task)

    def replace(self) -> None:
        """Begin a new process in place of one that is lost.

        Raises:
            Gen3DError: Processes end before they begin.
        """
        begun = self._process.done() and self._process.exception() is None
        self._starts = 0 if begun else self._starts + 1
        self._pool.shutdown(wait=False)
        if self._starts == _STARTS:
            raise Gen3DError(f"{_NO_START}; " + choose(typed="try --workers 1", python=_GUARD))
        self._begin()

    def kill(self) -> None:
        """End the process at once; what it has not finished is lost."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with suppress(BrokenProcessPool, CancelledError, OSError):
            os.kill(self._process.result(), _KILL)

    def close(self) -> None:
        """End the process when it has done what it does."""
        self._pool.shutdown(wait=True, cancel_futures=True)


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_GUARD = 'in a script, what starts workers must stand below `if __name__ == "__main__":`'


class Processes:
    """Processes of this machine.

    Args:
        job: What all pieces share.
        devices: One for each process.
        threads: Of each process.
    """

    def __init__(self, job: Job, devices: Sequence[str], threads: int) -> None:
        level = logging.getLogger("gen3d_tools").getEffectiveLevel()
        setup = Setup(threads, level)
        self._job = job
        self._free = [Worker(device, setup) for device in devices]
        self._busy: dict[Future[Made], Worker] = {}
        self.slots = len(devices)

    def submit(self, piece: Piece) -> "Future[Made]":
        """Begin a piece in a process that has nothing to do."""
        worker = self._free.pop()
        future = worker.submit(self._job, piece)
        self._busy[future] = worker
        return future

    def result(self, future: "Future[Made]") -> Made:
        """Give what came of a piece; a process that was lost is replaced."""
        worker = self._busy.pop(future)
        self._free.append(worker)
        try:
            return future.result()
        except BrokenProcessPool:
            worker.replace()
            return Made(failure=Failure(Gen3DError.__name__, _LOST))

    def close(self, *, at_once: bool = False) -> None:
        """End all processes."""
        workers = [*self._free, *self._busy.values()]
        if at_once:
            for worker in workers:
                worker.kill()
        for worker in workers:
            worker.close()
