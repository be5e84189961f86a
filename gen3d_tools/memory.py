"""Long work in pieces that fit into memory, and in smaller ones when they do not."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from gen3d_tools.errors import OutOfMemoryError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def in_chunks(
    work: Callable[[slice], T],
    count: int,
    chunk: int,
    *,
    what: str = "points",
    progress: Callable[[int, int], None] | None = None,
) -> list[T]:
    """Call `work` on consecutive slices of `range(count)`; halve the slices when memory runs out.

    Args:
        work: Gets a slice, gives that part of the result.
        count: Length of the whole.
        chunk: Length of a slice to begin with.
        what: What is counted, for messages.
        progress: Called after each slice with the number done and `count`.

    Returns:
        The results of all slices, in order.

    Raises:
        OutOfMemoryError: A slice of one does not fit.
    """
    results: list[T] = []
    start, warned = 0, False
    while start < count:
        part = slice(start, min(start + chunk, count))
        if _fits(work, part, results):
            start = part.stop
            if progress is not None:
                progress(start, count)
            continue
        if chunk == 1:
            raise OutOfMemoryError(f"out of memory with one of {count} {what} at a time; free some, or try the CPU")
        chunk = max(1, (part.stop - part.start) // 2)
        if not warned:
            logger.warning("Out of memory; going on with smaller chunks, %d %s at a time or fewer.", chunk, what)
            warned = True
    return results


def _fits(work: Callable[[slice], T], part: slice, results: list[T]) -> bool:
    """Do one piece. When memory runs out, the error and what it holds are gone on return."""
    try:
        results.append(work(part))
        return True
    except MemoryError:
        pass
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(text in str(error) for text in _OUT_OF_MEMORY):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False
