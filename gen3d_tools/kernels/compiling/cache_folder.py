"""Whose compiled kernels may be loaded: numba keeps them as pickles, and whoever writes one can run code here."""

import functools
import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger(__name__)


@functools.cache
def is_trusted(folder: Path, source: Path) -> bool:
    """Whether nobody can put a file into a folder who could not change the program as well; says so once if not.

    Args:
        folder: Where numba would keep a kernel.
        source: The module it is compiled from. Who owns it may own the folder too, and so may this user and root.
    """
    if os.name != "posix":
        return True
    owners = {os.geteuid(), 0, source.stat().st_uid}
    own = folder == source.parent / "__pycache__"  # who may write there may change what Python itself loads
    for place, shared in ((folder, False), (folder.parent, True)):
        found = place.stat()
        # Where all may write, as in /tmp, the sticky bit keeps them from replacing what others put there.
        open_to_all = not own and found.st_mode & stat.S_IWOTH and not (shared and found.st_mode & stat.S_ISVTX)
        if found.st_uid not in owners or open_to_all:
            why = "everybody may write there" if open_to_all else f"it belongs to another user ({found.st_uid})"
            logger.warning(
                "kernels compiled earlier are not loaded from %s: %s; code is compiled again in every run. "
                "Name a folder of your own in NUMBA_CACHE_DIR",
                place,
                why,
            )
            return False
    return True
