"""Which form of a kernel serves: compiled for CPUs, or the field's own arithmetic."""

import functools
import importlib.util
import logging

logger = logging.getLogger(__name__)


@functools.cache
def cpu_kernels_available() -> bool:
    """Whether the compiled kernels can be used; says once when they cannot."""
    if importlib.util.find_spec("numba") is not None:
        return True
    logger.warning("numba is not installed: meshes take much longer; pip install numba")
    return False
