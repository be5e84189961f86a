"""The command line as a program of its own, and what it leaves, to be compared."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def gen3d_process(*calls):
    """Call command lines, one after another, in a program of its own: workers are processes that start where it did.

    Each call has the folder that it is made in, and the arguments.
    """
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from gen3d_tools.cli.app import main
for folder, line in {[(str(folder), ["gen3d", *map(str, line)]) for folder, *line in calls]!r}:
    os.chdir(folder)
    sys.argv = line
    try:
        main()
    except SystemExit as stopped:
        if stopped.code:
            raise
"""
    without = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # as a person has it
    return subprocess.run([sys.executable, "-c", program], env=without, capture_output=True, text=True, timeout=600)


def contents(folder):
    """Every file; of the record what does not tell of the time."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    record = json.loads(found.pop("run.json"))
    return found, {key: value for key, value in record.items() if key not in ("seconds", "finished")}


def same_with_workers(tmp_path, *arguments):
    """Run a command with one worker and with two, and compare; gives the files, and what was printed."""
    folders = [tmp_path / f"{workers}" for workers in (1, 2)]
    for folder in folders:
        folder.mkdir()
    calls = [(folder, *arguments, "-o", "out/", "--workers", folder.name) for folder in folders]
    done = gen3d_process(*calls)
    assert done.returncode == 0, done.stderr
    alone, spread = (contents(folder / "out") for folder in folders)
    assert alone == spread
    return spread[0], done
