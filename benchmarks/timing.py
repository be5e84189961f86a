"""Clocks: two ways of doing the same work in turns, and work in a process of its own."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gen3d_tools.errors import Gen3DError

Work = Callable[[], object]
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds on the clock, medians over the rounds, and a ratio that other programs hardly disturb."""

    ours: float
    plain: float | None = None
    ratio: float | None = None  # of processor time, all threads: the median of plain / ours within each round


def measure(ours: Work, plain: Work | None = None, *, repeat: int) -> Timing:
    """Do the work `repeat` times, plain and ours in turns; other programs then disturb both alike.

    Raises:
        ValueError: `repeat` is below 1.
    """
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, it must be at least 1")
    if plain is None:
        return Timing(ours=median(_seconds(ours)[0] for _ in range(repeat)))
    rounds = [(_seconds(plain), _seconds(ours)) for _ in range(repeat)]
    return Timing(
        ours=median(clock for _, (clock, _) in rounds),
        plain=median(clock for (clock, _), _ in rounds),
        ratio=median(plain_cpu / ours_cpu for (_, plain_cpu), (_, ours_cpu) in rounds),
    )


def _seconds(work: Work) -> tuple[float, float]:
    """Seconds on the clock and of processor time that the work takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def in_own_process(arguments: Sequence[str]) -> tuple[float, str]:
    """Run Python with these arguments; give the seconds from start to end, and its standard output.

    Raises:
        Gen3DError: It failed; the message ends with the last thing it said.
    """
    here = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | here)
    elapsed = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Gen3DError(f"{' '.join(arguments[:3])} ended with exit code {done.returncode}: {said}")
    return elapsed, done.stdout


def last_json(output: str) -> dict[str, Any]:
    """Read the JSON object in the last line of a child's output."""
    values: dict[str, Any] = json.loads(output.splitlines()[-1])
    return values


def peak_bytes() -> int:
    """Most memory this process has held at once (resident set).

    Linux's `getrusage` counts what the parent held when it started this process, so the kernel's own high-water
    mark of the address space is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def usable_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
