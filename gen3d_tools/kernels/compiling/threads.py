"""Kernels on several threads, without Python's lock: ranges of the work, or items in their order.

Kernels compiled for one thread each take a fraction of the time to compile that numba's own parallel loops take.
"""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PIECES_PER_THREAD = 8  # so that a thread with light work can take over some of another's


def usable_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_out(work: Callable[[int, int], object], count: int, *, threads: int, least: int = 1) -> None:
    """Do work on ranges that cover 0..count.

    Args:
        work: Called with the start of a range and its end. What it does must not depend on how the ranges are cut.
        count: How many items there are.
        threads: At most; more than numba is set to (NUMBA_NUM_THREADS) are not used.
        least: Items in a range; the last one may be smaller.
    """
    import numba  # the command line asks for the cores without it

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


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Do the work in threads, a few items ahead, and give the results in the order of the items."""
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[R]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


_own_threads: int | None = None


def allotted_threads() -> int:
    """How many threads kernels are given: as many as torch has, or what `steady_torch` and workers have set."""
    import torch

    return torch.get_num_threads() if _own_threads is None else _own_threads


def set_kernel_threads(threads: int | None) -> None:
    """Give kernels so many threads, however many torch has; None = as many as torch."""
    global _own_threads
    _own_threads = threads


@contextmanager
def steady_torch() -> Iterator[None]:
    """Let torch work on one thread while the block runs, and kernels on as many as before.

    Where torch cuts its sums decides about their last digits, and with them about a byte here and there; how the work
    of kernels is cut changes nothing.
    """
    import torch

    before, kernels = torch.get_num_threads(), _own_threads
    set_kernel_threads(allotted_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        set_kernel_threads(kernels)
