"""A batch that is killed at random and resumed, run as a script: it forks, so that a start takes no time.

    python -m tests.support.killed_batches MODEL FOLDER SAMPLES KILLS

Ends with exit code 1 and a line unless the files are those of a batch that nobody disturbed; else says what happened.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from gen3d_tools.kernels.rays import occupancy
from gen3d_tools.workflows.running.runs import RunOptions
from gen3d_tools.workflows.sample import sample
from gen3d_tools.workflows.samples.selection import SampleSelection
from gen3d_tools.workflows.samples.views import ViewOptions


def batch(model: str, out: Path, samples: int, *, resume: bool = False) -> None:
    """Make the samples."""
    choice = SampleSelection(seeds=f"0-{samples - 1}", classes="ball")
    sample(model, choice, look=ViewOptions(size=2), options=RunOptions(out=out, device="cpu", resume=resume))


def pictures(folder: Path) -> dict[str, bytes]:
    """Every file but the record, and whatever is hidden."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "run.json"}


def killed(model: str, out: Path, samples: int, pieces: int, draw: random.Random) -> int:
    """Start a batch, and kill it some time after its next few outputs; says how many are there then."""
    child = os.fork()
    if child == 0:
        try:
            batch(model, out, samples, resume=True)
        finally:
            os._exit(0)
    before = len(list(out.glob("*.png")))
    while len(list(out.glob("*.png"))) < min(before + pieces, samples):
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return len(list(out.glob("*.png")))


def main() -> None:
    """See above."""
    model, folder, samples, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    occupancy.CELLS = 8  # tiny generators need no more
    draw = random.Random(0)
    batch(model, folder / "straight", samples)
    out, seen = folder / "out", []
    for _ in range(kills):
        seen.append(killed(model, out, samples, draw.randint(1, max(1, 2 * samples // (kills + 2))), draw))
    batch(model, out, samples, resume=True)
    if pictures(out) != pictures(folder / "straight"):
        sys.exit(f"the files differ after kills at {seen}")
    record = json.loads((out / "run.json").read_text())
    if not record["whole"] or sorted(record["files"]) != sorted(pictures(out)):
        sys.exit("the record does not list the files")
    sys.stdout.write(f"{len(record['files'])} files, killed at {seen}\n")


if __name__ == "__main__":
    main()
