"""What a person waits for: small commands from shell to shell, beside what it takes to import torch alone.

Every round runs each command once, in a process of its own. The demo runs once, with an empty cache of kernels.
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring.rows import Effort, Row
from benchmarks.measuring.timing import child_seconds, in_own_process

ROUNDS = 5
_IMPORT_TORCH = ("-c", "import torch")
_GEN3D = "from gen3d_tools.cli.app import main; import sys; sys.argv = ['gen3d', *sys.argv[1:]]; main()"


@dataclass
class _Times:
    """Seconds of one command, round by round."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def commands(model: str, folder: Path, *, tiny: bool) -> dict[str, tuple[Sequence[str], str]]:
    """Give the arguments of each command, and what is wanted of it on a quiet machine with two cores."""
    small = ("--size", "16") if tiny else ()
    coarse = ("--resolution", "16", "--color-from", "points", "--level", "10") if tiny else ()
    out = ("--seeds", "0", "--overwrite", "-o")
    frames, seconds = ("3", "0.1") if tiny else ("60", "2")
    return {
        "gen3d --help": (("--help",), "0.3 s"),
        "gen3d info": (("info", model), "0.5 s"),
        "gen3d sample, one picture": (("sample", model, *small, *out, str(folder / "a.png")), "3 s"),
        "gen3d mesh, no texture": (("mesh", model, *coarse, *out, str(folder / "a.ply")), "4 s"),
        f"gen3d video, {frames} frames": (
            ("video", model, *small, "--fps", "30", "--seconds", seconds, *out, str(folder / "a.mp4")),
            "6 s",
        ),
    }


def rows(effort: Effort) -> Iterator[Row]:
    """Yield one row per command; the ratio is the processor time of importing torch over that of the command."""
    with tempfile.TemporaryDirectory() as name:
        wanted = commands(effort.model, Path(name), tiny=effort.tiny)
        runs = {"torch": _IMPORT_TORCH} | {key: ("-c", _GEN3D, *words) for key, (words, _) in wanted.items()}
        times = {key: _Times() for key in runs}
        for key in () if effort.tiny else runs:
            in_own_process(runs[key])  # kernels get compiled, files get read
        for _ in range(1 if effort.tiny else ROUNDS):
            for key, arguments in runs.items():
                _run(arguments, times[key])
        torch = times.pop("torch")
        for key, measured in times.items():
            yield _row(key, measured, torch, wanted[key][1])
        if not effort.tiny:
            cold = _Times()
            demo = ("-c", _GEN3D, "demo", "--overwrite", "-o", str(Path(name, "demo")))
            _run(demo, cold, {"NUMBA_CACHE_DIR": str(Path(name, "kernels"))})
            yield _row("gen3d demo, kernels compiled", cold, torch, "45 s")


def _run(arguments: Sequence[str], times: _Times, environment: Mapping[str, str] | None = None) -> None:
    before = child_seconds()
    times.clock.append(in_own_process(arguments, environment)[0])
    times.processor.append(child_seconds() - before)


def _row(name: str, ours: _Times, torch: _Times, wanted: str) -> Row:
    ratio = statistics.median(torch.processor) / statistics.median(ours.processor)
    rounds = len(ours.clock)
    return Row(
        name=name,
        ours_s=statistics.median(ours.clock),
        plain_s=statistics.median(torch.clock),
        ratio=ratio,
        wanted=wanted,
        note="plain: import torch" + (f"; median of {rounds}" if rounds > 1 else "; once"),
    )
