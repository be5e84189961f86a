"""Compiling in two processes at once: numba compiles one function at a time in each.

What follows rays takes half as long to compile as all else that a mesh needs. So a second process compiles that, and
leaves it on disk, while the first compiles the rest. Should it fail, the first compiles everything itself.
Run as `python -m gen3d_tools.kernels.compiling.ahead`, this module is that second process. Only the command line
starts it.
"""

import atexit
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gen3d_tools.kernels.compiling.threads import usable_cores

_LONGEST_WAIT = 120  # seconds, after which the second process has failed


def is_on_disk(kernel: Any) -> bool | None:
    """Whether an earlier process has left a compiled function on disk; None where no folder for it can be written.

    What was compiled by another Python, or before the function's file changed, does not count.
    """
    folder = kernel.stats.cache_path
    if folder is None:
        return None
    function = kernel.py_func
    source = Path(function.__code__.co_filename)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    stored = Path(folder).glob(f"{source.stem}.{function.__name__}-*.{python}*.nbi")
    return any(one.stat().st_mtime >= source.stat().st_mtime for one in stored)


class Helper:
    """The second process, where there is one."""

    def __init__(self) -> None:
        self.wanted = False  # only where a command line owns this process
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it if it is of use: there is something to compile, a folder to keep it, and a second core."""
        if not self.wanted:
            return
        self.wanted = False
        from gen3d_tools.kernels.rays.guided import follow_range

        if sys.executable and usable_cores() > 1 and is_on_disk(follow_range) is False:
            self.process = _started()
            atexit.register(self.end)

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


helper = Helper()


def _started() -> "subprocess.Popen[bytes] | None":
    """Start the second process, if the system allows it."""
    environment = dict(os.environ)
    if "NUMBA_CACHE_DIR" in environment:
        environment["NUMBA_CACHE_DIR"] = str(Path(environment["NUMBA_CACHE_DIR"]).absolute())
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "gen3d_tools.kernels.compiling.ahead"],
            cwd=Path(__file__).parents[3],  # where this package is found, whatever lies in the user's folder
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def compile_rays() -> None:
    """Follow a ray that ends where it starts. All fields have the same types, so that the result serves them all."""
    import numpy as np

    from gen3d_tools.kernels.network.evaluate import WIDTH, Network
    from gen3d_tools.kernels.rays.guided import Shading, march_rays
    from gen3d_tools.kernels.rays.occupancy import OccupancyGrid

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    one, cells = np.float32(1), np.zeros((1, 1, 1), np.uint8)
    axes, deeper = np.zeros((3, 2), np.int64), zeros(1, WIDTH, WIDTH)
    net = Network(zeros(3, WIDTH), 1, axes, zeros(2), zeros(WIDTH), deeper, zeros(1, WIDTH), zeros(WIDTH), one, True)
    grid = OccupancyGrid(zeros(2, 2, 2), cells, cells > 0, zeros(2, 3), one, one)
    shading = Shading(zeros(1, WIDTH), zeros(1), True, one, one, True, one, one, False, 1)
    march_rays(net, grid, shading, zeros(1, 3), zeros(1, 3), zeros(1, 3))


if __name__ == "__main__":
    compile_rays()
