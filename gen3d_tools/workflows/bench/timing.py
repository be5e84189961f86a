"""Clocks: two ways of doing the same work in turns."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import torch

from gen3d_tools.kernels.compiling.threads import usable_cores

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds on the clock, medians over the rounds, and a ratio that other programs hardly disturb."""

    ours: float
    plain: float | None = None
    ratio: float | None = None  # of processor time, all threads: the median of plain / ours within each round
    ours_cpu: float = 0.0  # processor time, all threads: medians over the rounds
    plain_cpu: float = 0.0

    def scaled(self, factor: float) -> "Timing":
        """Say what plain would take where only a part of its work was done."""
        assert self.plain is not None
        assert self.ratio is not None
        return replace(self, plain=self.plain * factor, ratio=self.ratio * factor, plain_cpu=self.plain_cpu * factor)

    def after(self, other: "Timing", *, plain_runs: int = 1) -> "Timing":
        """Add work that ours does once before this, and plain `plain_runs` times."""
        assert self.plain is not None
        assert other.plain is not None
        plain_cpu, ours_cpu = self.plain_cpu + plain_runs * other.plain_cpu, self.ours_cpu + other.ours_cpu
        return Timing(
            ours=self.ours + other.ours,
            plain=self.plain + plain_runs * other.plain,
            ratio=plain_cpu / ours_cpu,
            ours_cpu=ours_cpu,
            plain_cpu=plain_cpu,
        )


def measure(ours: Work, plain: Work | None = None, *, repeat: int) -> Timing:
    """Do the work `repeat` times, plain and ours in turns; other programs then disturb both alike.

    Raises:
        ValueError: `repeat` is below 1.
    """
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, it must be at least 1")
    if plain is None:
        times = [_seconds(ours) for _ in range(repeat)]
        return Timing(ours=median(clock for clock, _ in times), ours_cpu=median(cpu for _, cpu in times))
    rounds = [(_seconds(plain), _seconds(ours)) for _ in range(repeat)]
    return Timing(
        ours=median(clock for _, (clock, _) in rounds),
        plain=median(clock for (clock, _), _ in rounds),
        ratio=median(plain_cpu / max(ours_cpu, 1e-9) for (_, plain_cpu), (_, ours_cpu) in rounds),
        ours_cpu=median(cpu for _, (_, cpu) in rounds),
        plain_cpu=median(cpu for (_, cpu), _ in rounds),
    )


def _seconds(work: Work) -> tuple[float, float]:
    """Seconds on the clock and of processor time that the work takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def machine() -> dict[str, str | int]:
    """What the times were measured on."""
    from gen3d_tools import __version__

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gen3d_tools": __version__,
    }
