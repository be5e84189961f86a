"""Reads hostile files under observation; prints what happened as JSON. Run as a program: audit hooks stay for ever.

python -m tests.checkpoints.hostile_reading mutations 5000
"""

import json
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gen3d_tools.checkpoints.official import OfficialModel, read_official
from gen3d_tools.errors import CheckpointError
from tests.checkpoints.hostile_files import bombs, mutations, valid_archives, valid_files

KIB = 1024
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Observer:
    """Notes every event that Python's audit hooks report while a file is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.watching = str(path), False
        self.events: Counter[str] = Counter()
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple) -> None:
        if not self.watching:
            return
        if event == "open" and str(arguments[0]) == self.path and not arguments[2] & _WRITING:
            return
        if event != "mmap.__new__":
            self.events[f"{event} {arguments!r:.100}"] += 1


def observe(files: Iterable[tuple[str, bytes]]) -> dict:
    """Read each file, with and without placeholders in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.pkl"
        for data in (*valid_files(), *valid_archives()):  # loads what Python loads lazily: codecs and the like
            path.write_bytes(data)
            read_official(path)
        observer = Observer(path)
        outcomes: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        strange: list[str] = []
        slowest, most_memory = (0.0, ""), (0, "")
        for number, (kind, data) in enumerate(files):
            path.write_bytes(data)
            before, started = peak_kib(), time.process_time()
            observer.watching = True
            try:
                model = read_official(path, allow_unknown=bool(number % 2))
                outcomes["read"] += 1
                assert isinstance(model, OfficialModel)
            except CheckpointError as error:
                outcomes["refused"] += 1
                if "\n" in str(error) or not str(error).isprintable() or len(str(error)) > 600:
                    strange.append(f"{kind}: message {error!r:.200}")
            except BaseException as error:
                strange.append(f"{kind}: {type(error).__name__}: {error!s:.200}")
            finally:
                observer.watching = False
            slowest = max(slowest, (time.process_time() - started, kind))
            most_memory = max(most_memory, (peak_kib() - before - len(data) // KIB, kind))
            kinds[kind] += 1
        left = sorted(str(found.name) for found in Path(folder).iterdir())
    return {
        "files": sum(kinds.values()),
        "kinds": dict(kinds),
        "outcomes": dict(outcomes),
        "strange": strange[:20],
        "events": dict(observer.events),
        "slowest": slowest,
        "most_memory_kib": most_memory,
        "left": left,
    }


def peak_kib() -> int:
    """Largest memory this process has had. Linux's getrusage would count what the parent had when it started this."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    what, *count = sys.argv[1:]
    twice = (bomb for bomb in bombs() for _ in range(2))  # one way and the other
    json.dump(observe(twice if what == "bombs" else mutations(int(count[0]))), sys.stdout)
