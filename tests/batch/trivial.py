"""Pieces that take no time, and no import of torch: each writes a file of its number."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from gen3d_tools.files import atomic_path


def begin(diary: Path, pause: float, broken: tuple[int, ...], deadly: tuple[int, ...], device: str):
    """Give a maker; see `write`."""
    return partial(write, diary, pause, broken, deadly, device)


def write(diary, pause, broken, deadly, device, task, notes):
    """Write a file; the diary gets a line for each time that this is begun.

    Deadly ones kill their process as often as they are named.
    """
    number, path = task
    with (diary / f"{number}").open("a") as file:
        file.write(f"{os.getpid()} {device} {os.environ.get('OMP_NUM_THREADS')}\n")
    if number in broken:
        raise RuntimeError(f"{number} is broken")
    if len((diary / f"{number}").read_text().splitlines()) <= deadly.count(number):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(pause)
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(f"piece {number}\n" * 100)
    notes.add(path, f"piece {number}", number=number)
    return number * number
