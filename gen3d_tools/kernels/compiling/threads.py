"""Kernels on several threads: each is given a range of the work, and runs without Python's lock.

Kernels compiled for one thread each take a fraction of the time to compile that numba's own parallel loops take.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

_PIECES_PER_THREAD = 8  # so that a thread with light work can take over some of another's


def share_out(work: Callable[[int, int], object], count: int, *, threads: int, least: int = 1) -> None:
    """Do work on ranges that cover 0..count.

    Args:
        work: Called with the start of a range and its end. What it does must not depend on how the ranges are cut.
        count: How many items there are.
        threads: At most; more than numba is set to (NUMBA_NUM_THREADS) are not used.
        least: Items in a range; the last one may be smaller.
    """
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    threads = min(threads, most, -(-count // least))
    if threads <= 1:
        if count:
            work(0, count)
        return
    size = max(1, count // (least * threads * _PIECES_PER_THREAD)) * least
    futures = [
        _pool(threads, os.getpid()).submit(work, first, min(first + size, count)) for first in range(0, count, size)
    ]
    try:
        for future in futures:
            future.result()
    finally:  # after an error or Ctrl-C, nothing that has not begun
        for future in futures:
            future.cancel()


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that wait for work; a forked process has none of its parent's."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"gen3d-kernels-{process}")
