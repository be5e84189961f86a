"""Work on many rays in pieces that fit into memory, and into smaller ones when they do not."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from gen3d_tools.errors import OutOfMemoryError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_POINTS_PER_CHUNK = {"cpu": 1 << 16, "default": 1 << 18}  # 32 features, 64 hidden: 0.1 GB, 0.4 GB
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def rays_per_chunk(samples: int, device: torch.device) -> int:
    """Rays whose samples make a chunk of a good size for the device."""
    return max(1, _POINTS_PER_CHUNK.get(device.type, _POINTS_PER_CHUNK["default"]) // samples)


def in_chunks(work: Callable[[slice], T], count: int, chunk: int) -> list[T]:
    """Call `work` on consecutive slices of `range(count)`; halve the slices when memory runs out.

    Raises:
        OutOfMemoryError: A single ray does not fit.
    """
    results: list[T] = []
    start, warned = 0, False
    while start < count:
        result = _attempt(work, slice(start, min(start + chunk, count)))
        if result is not None:
            results.append(result)
            start += chunk
            continue
        if chunk == 1:
            raise OutOfMemoryError("out of memory with one ray at a time, need room for its samples; use fewer of them")
        chunk = max(1, min(chunk, count - start) // 2)
        if not warned:
            logger.warning("Out of memory; going on with smaller chunks, %d rays at a time or fewer.", chunk)
            warned = True
    return results


def _attempt(work: Callable[[slice], T], rays: slice) -> T | None:
    """Give the result, or None when memory ran out. The error and what it holds are gone when this returns."""
    try:
        return work(rays)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(text in str(error) for text in _OUT_OF_MEMORY):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
