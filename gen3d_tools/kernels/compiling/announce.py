"""What is said before a kernel is compiled."""

import functools
import logging
from pathlib import Path
from typing import Any

from gen3d_tools.kernels.compiling.ahead import is_on_disk, second_process

logger = logging.getLogger(__name__)


@functools.cache
def announce(kernel: Any) -> None:
    """Say before a kernel's first call that it is being compiled; silent when the disk has it already.

    Args:
        kernel: The compiled function. All of a process are announced together, by the first.
    """
    if kernel.signatures:
        return
    folder, function = kernel.stats.cache_path, kernel.py_func
    if folder is None:
        say_once(
            "compiling code for this machine (fields, rays, surfaces): up to a minute. No folder for it can be "
            "written, so this happens in every run; name one in NUMBA_CACHE_DIR"
        )
    elif not is_on_disk(Path(function.__code__.co_filename), function.__name__, [Path(folder)]):
        second_process.begin(Path(folder))
        say_once(
            "compiling code for this machine (fields, rays, surfaces), once: up to a minute; "
            "it is kept on disk for later runs"
        )


@functools.cache
def say_once(message: str) -> None:
    """Log a warning, unless this process has heard it already."""
    logger.warning(message)
