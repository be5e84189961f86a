"""Work in a process of its own: its seconds, and the most memory it held."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gen3d_tools.errors import Gen3DError

ROOT = Path(__file__).parents[2]


def in_own_process(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, str]:
    """Run Python with these arguments; give the seconds from start to end, and its standard output.

    Args:
        arguments: Of the interpreter.
        environment: Variables beside this process's own.

    Raises:
        Gen3DError: It failed; the message ends with the last thing it said.
    """
    here = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    variables = os.environ | here | dict(environment or {})
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=variables)
    elapsed = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Gen3DError(f"{' '.join(arguments[:3])} ended with exit code {done.returncode}: {said}")
    return elapsed, done.stdout


def child_seconds() -> float:
    """Processor time of all children of this process that have ended, theirs included."""
    times = os.times()
    return times.children_user + times.children_system


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
