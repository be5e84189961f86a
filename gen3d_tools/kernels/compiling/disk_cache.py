"""Compiled code on disk (numba's cache), of which nothing may stop a run: what is broken is compiled again."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)
_told: set[str] = set()


class MendingCache(FunctionCache):
    """numba's cache of one function. A file of it that cannot be read is thrown away; one that cannot be kept is not.

    A process that is killed, a full disk or a power cut leaves files cut short, and numba raises whatever the bytes
    make of unpickling: EOFError, UnpicklingError, ValueError, ...
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Give what an earlier process compiled; None where there is nothing, or something broken."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except MemoryError:
            raise
        except Exception as error:
            broken = self._thrown_away()
            logger.debug("%s cannot be read.", self._name, exc_info=error)
            where = f" in {broken[0].parent}" if broken else ""
            _tell_once(f"compiled code{where} was broken; it was thrown away and is compiled again")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if the disk takes it."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except MemoryError:
            raise
        except Exception as error:
            self._thrown_away()
            why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            _tell_once(f"compiled code cannot be kept in {self.cache_path} ({why}); later runs compile it again")

    def _thrown_away(self) -> Sequence[Path]:
        """Remove the function's index and what it names, whoever may have been at it in the meantime."""
        index = Path(self._cache_file._index_path)
        files = [index, *index.parent.glob(f"{index.stem}.*.nbc")]
        for file in files:
            try:
                file.unlink(missing_ok=True)
            except OSError:  # another user's: it is compiled in every run
                logger.debug("%s cannot be removed.", file)
        return files


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        logger.warning("%s", message)
