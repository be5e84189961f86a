"""Compiling in two processes at once: numba compiles one function at a time in each.

What follows rays takes half as long to compile as all else that a mesh needs. So a second process compiles that, and
leaves it on disk, while the first compiles the rest. Should it fail, the first compiles everything itself.
The second process is `python -m gen3d_tools.kernels.compile_ahead`, or another program that compiles. Only the command
line starts it.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gen3d_tools.kernels.compiling.threads import usable_cores

_KERNELS = Path(__file__).resolve().parents[1]
RAYS = "gen3d_tools.kernels.compile_ahead"
"""The program that compiles what follows rays."""
_RAYS_KERNELS = ((_KERNELS / "rays" / "guided.py", "follow_range"),)
_LONGEST_WAIT = 120  # seconds, after which the second process has failed


def is_on_disk(source: Path, name: str, folders: Iterable[Path]) -> bool:
    """Whether an earlier process has left a compiled function on disk.

    What was compiled by another Python, or before the function's file changed, does not count.

    Args:
        source: The function's file.
        name: The function's name.
        folders: Where numba may have kept it.
    """
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    pattern = f"{source.stem}.{name}-*.{python}*.nbc"  # the code, which numba writes last
    written = source.stat().st_mtime
    return any(one.stat().st_mtime >= written for folder in folders for one in folder.glob(pattern))


class SecondProcess:
    """The second process, where there is one."""

    def __init__(self) -> None:
        self.wanted = False  # only where a command line owns this process
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = Path()

    def begin(
        self, folder: Path, module: str = RAYS, kernels: Sequence[tuple[Path, str]] = _RAYS_KERNELS, *arguments: str
    ) -> None:
        """Start it if it is of use: there is something to compile, a folder to keep it, and a second core.

        Args:
            folder: Where another kernel is kept on disk.
            module: What it runs.
            kernels: File and name of what that compiles; by default what follows rays.
            arguments: Of the module.
        """
        if not self.wanted:
            return
        self.wanted, self.folder = False, folder
        if self.process is not None and self.process.poll() is None:  # begun by an earlier command of this process
            return
        if sys.executable and usable_cores() > 1 and not self._has_all(kernels):
            self.process = _started(module, *arguments)
            atexit.register(self.end)

    def _has_all(self, kernels: Sequence[tuple[Path, str]]) -> bool:
        """Whether all of them are on disk: each beside its file, or all in one place."""
        beside = self.folder.name == "__pycache__"
        return all(
            is_on_disk(source, name, [source.parent / "__pycache__"] if beside else self.folder.parent.glob("*"))
            for source, name in kernels
        )

    def finish(self) -> None:
        """Wait until it is done, or has failed; from now on it is of no use."""
        self.wanted = False
        if self.process is not None:
            try:
                self.process.wait(_LONGEST_WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
            self.end()

    def end(self) -> None:
        """End it, done or not."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


second_process = SecondProcess()


def _started(module: str, *arguments: str) -> "subprocess.Popen[bytes] | None":
    """Start the second process, if the system allows it."""
    environment = dict(os.environ)
    if "NUMBA_CACHE_DIR" in environment:
        environment["NUMBA_CACHE_DIR"] = str(Path(environment["NUMBA_CACHE_DIR"]).absolute())
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_KERNELS.parents[1],  # where this package is found, whatever lies in the user's folder
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
