"""Writers that are killed, run as a script: it forks, which a process with torch's threads had better not.

    python -m tests.support.killed_writers every FOLDER           dies before each step of the system, one by one
    python -m tests.support.killed_writers random FOLDER SECONDS  is killed at random times, for so long

Each round replaces a set of outputs whose files all hold the round's number. It ends with exit code 1 and a line where,
after the next start, they do not, or anything else is there; else it prints how many deaths there were.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gen3d_tools.files import atomic_files
from gen3d_tools.ownership import MARK
from gen3d_tools.staging import is_staging, remove_leftovers

FILES = ("chair.obj", "chair.mtl", "chair.png")
RESULT = "result"
STEPS = {
    "open",
    "os.rename",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "shutil.rmtree",
    "ctypes.dlsym",
}


def write(folder: Path, names: tuple[str, ...], number: int) -> None:
    """Replace a set: every file of it holds the number."""
    with atomic_files([folder / name for name in names], overwrite=True) as places:
        for place in places:
            if place.suffix:
                place.write_text(str(number))
            else:
                place.mkdir()
                for index in range(2):
                    (place / f"{index:05d}.png").write_text(f"{number} {MARK}")


def found(folder: Path, names: tuple[str, ...]) -> set[str]:
    """What the files of a set hold; empty where one is missing."""
    contents = set()
    for name in names:
        path = folder / name
        files = [path] if path.suffix else [path / "00000.png", path / "00001.png"]
        contents |= {file.read_text().removesuffix(f" {MARK}") if file.exists() else "" for file in files}
    return contents


def check(folder: Path, names: tuple[str, ...], allowed: set[str], *, torn: bool) -> str:
    """Look at what a death left; `torn` before it is mended, when a set may be mixed but no name may be empty."""
    contents = found(folder, names)
    if "" in contents:
        return f"a name is empty: {sorted(path.name for path in folder.rglob('*'))}"
    if not torn and (len(contents) != 1 or not contents <= allowed):
        return f"mixed or lost: {contents}, not one of {allowed}"
    strange = {path.name for path in folder.iterdir()} - set(names)
    if strange if not torn else any(not is_staging(name) for name in strange):
        return f"left behind: {strange}"
    return ""


def fork(work: Callable[[], None]) -> int:
    """Do work in a child."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def die_before(step: int) -> None:
    """Kill this process before its nth step of the system."""
    count = 0

    def hook(event: str, _: object) -> None:
        nonlocal count
        if event in STEPS:
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def every_step(folder: Path, names: tuple[str, ...]) -> int:
    """Die before each step, until a child comes to its end."""
    step = 0
    while True:
        step += 1
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write(folder, names, 1)

        def work(step: int = step) -> None:
            die_before(step)
            write(folder, names, 2)

        _, status = os.waitpid(fork(work), 0)
        problem = check(folder, names, {"1", "2"}, torn=True)
        remove_leftovers(folder)
        if not os.WIFSIGNALED(status):
            assert found(folder, names) == {"2"}
            return step - 1
        for leftover in folder.glob(".gen3d-*"):  # it had no lock yet: removed when it is older
            os.utime(leftover, (0, 0))
        remove_leftovers(folder)
        if problem := problem or check(folder, names, {"1", "2"}, torn=False):
            sys.exit(f"{names}, step {step}: {problem}")


def random_times(folder: Path, names: tuple[str, ...], seconds: float) -> int:
    """Kill a child that replaces a set for ever, again and again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write(folder, names, 0)
    number, deaths, end, draw = 0, 0, time.monotonic() + seconds, random.Random(0)
    while time.monotonic() < end:

        def work(first: int = number) -> None:
            for one in range(first + 1, first + 1_000_000):
                write(folder, names, one)

        child = fork(work)
        time.sleep(draw.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        problem = check(folder, names, set(), torn=True)
        for leftover in folder.glob(".gen3d-*"):
            os.utime(leftover, (0, 0))
        remove_leftovers(folder)
        remove_leftovers(folder)
        now = found(folder, names)
        if problem := problem or check(folder, names, now, torn=False):
            sys.exit(f"{names}, after {deaths} deaths: {problem}")
        [text] = now
        if int(text) < number:
            sys.exit(f"{names}, after {deaths} deaths: {text} came after {number}")
        number, deaths = int(text), deaths + 1
    return deaths


def main() -> None:
    """See above."""
    os.fsync = lambda _: None  # what a process has written outlives it without; only power cuts take it away
    how, folder, *rest = sys.argv[1:]
    sets = (FILES, FILES[:1], (RESULT,), (*FILES, RESULT))
    total = 0
    for names in sets:
        place = Path(folder) / "-".join(str(len(name)) for name in names)
        total += every_step(place, names) if how == "every" else random_times(place, names, float(rest[0]) / len(sets))
    sys.stdout.write(f"{total} deaths\n")


if __name__ == "__main__":
    main()
