"""Reads spoilt files in forked children under observation, and says what became of each.

A format (`Format`) gives valid files, ways to spoil them, and the function of ours that reads them. Case `number` of
a format depends on its name, the seed and the number alone, so one line of a report is enough to make it again.

The reading process is a fork of one that has read the valid files, so nothing is left to import. It reads case after
case until it ends or dies; whatever ends it (a limit on processor time or memory, a crash of a library, silence) is
the finding of the case it was at, and another fork goes on with the next. A case is clean if

* the file is read, or refused by one of our own errors with one short printable line,
* within `seconds` of processor time and `memory` bytes,
* and nothing happened that Python's audit hooks know of (import, exec, compile, socket, subprocess, open for writing
  or of another file, ...), and no file beside the case's own appeared, changed or went away.
"""

import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NoReturn

from gen3d_tools.errors import Gen3DError
from tests.fuzz.mutators import BY_SUFFIX, Mutator

Files = dict[str, bytes]
"""Contents by name relative to the case's folder."""

LONGEST_MESSAGE = 600
SILENCE = 60.0  # seconds without a word from the reading process: it waits for something for ever
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HARMLESS = (
    "mmap.__new__",
    "sys._getframe",
    "object.__getattr__",
    "os.listdir",
    "os.scandir",
    "builtins.id",
    "array.__new__",
)


def nothing(event: str, arguments: tuple[Any, ...]) -> bool:
    """Permit no event."""
    return False


@dataclass(frozen=True, kw_only=True)
class Format:
    """Something of ours that reads files of strangers."""

    name: str
    corpus: Callable[[], Sequence[Files]]
    """Valid cases, small; made once. All of them must be readable."""
    read: Callable[[Path], object]
    """Reads a case; gets the folder that holds its files (`only` gives the one file of most)."""
    mutators: Mapping[str, Sequence[Mutator]] = field(default_factory=lambda: BY_SUFFIX)
    """Ways to spoil one file, by suffix; those of "" serve every other suffix."""
    whole_case: Sequence[Callable[[random.Random, Files], Files]] = ()
    """Ways to spoil a case of several files: leave one out, give one the contents of another."""
    extra: Callable[[], Iterable[tuple[str, Files]]] = tuple
    """Cases made by hand, each with what it is; they come before the mutations."""
    refusals: tuple[type[BaseException], ...] = (Gen3DError,)
    seconds: float = 5.0  # processor time of one case
    memory: int = 512 * 2**20  # bytes that one case may add to the process's peak
    address_space: int = 2 * 2**30  # bytes beyond what the process has before the first case
    permits: Callable[[str, tuple[Any, ...]], bool] = nothing
    """Whether an audit event is this format's right."""


@dataclass
class Report:
    """What became of the cases of one format."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    unclean: list[dict[str, Any]] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")

    @property
    def cases(self) -> int:
        """Number of cases tried."""
        return sum(self.outcomes.values())

    def add(self, case: dict[str, Any]) -> None:
        """Note one case, as the reading process wrote it."""
        self.outcomes[case["outcome"]] += 1
        self.kinds[case["kind"]] += 1
        label = f"{self.name} {case['number']} ({case['kind']})"
        self.slowest = max(self.slowest, (case.get("seconds", 0.0), label))
        self.largest = max(self.largest, (case.get("memory", 0), label))
        if case["outcome"] == "unclean":
            self.unclean.append(case)

    def record(self) -> dict[str, Any]:
        """Give the report as plain JSON values."""
        return {
            "name": self.name,
            "cases": self.cases,
            "outcomes": dict(self.outcomes),
            "kinds": dict(self.kinds),
            "unclean": self.unclean,
            "slowest": self.slowest,
            "largest": self.largest,
        }


def only(folder: Path) -> Path:
    """The one file of a case."""
    [file] = folder.iterdir()
    return file


class Cases:
    """The cases of a format: those made by hand, then mutations without end."""

    def __init__(self, form: Format, seed: int = 0) -> None:
        self.form, self.seed = form, seed
        self.corpus = list(form.corpus())
        self.by_hand = list(form.extra())

    def __getitem__(self, number: int) -> tuple[str, Files]:
        """What was done, and the files."""
        if number < len(self.by_hand):
            return self.by_hand[number]
        chance = random.Random(f"{self.form.name} {self.seed} {number}")
        files = dict(chance.choice(self.corpus))
        kinds = []
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            kind, files = self._spoilt(chance, files)
            kinds.append(kind)
        return "+".join(sorted(set(kinds))) if len(kinds) == 1 else "several", files

    def _spoilt(self, chance: random.Random, files: Files) -> tuple[str, Files]:
        if self.form.whole_case and chance.random() < 0.1:
            change = chance.choice(self.form.whole_case)
            return change.__name__, change(chance, dict(files))
        if not files:
            return "nothing left", files
        name = chance.choice(sorted(files))
        mutate = chance.choice(self.form.mutators.get(PurePath(name).suffix.lower()) or self.form.mutators[""])
        return mutate.__name__, {**files, name: mutate(chance, files[name])}


class Observer:
    """Notes every event that Python's audit hooks report while it watches. Hooks stay as long as the process."""

    def __init__(self, form: Format) -> None:
        self.permits = form.permits
        self.folder, self.watching = "", False
        self.events: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or event in _HARMLESS:
            return
        self.watching = False  # what we do here is no event of the case
        try:
            reading = event == "open" and not (arguments[2] or 0) & _WRITING and self._inside(arguments[0])
            if not reading and not self.permits(event, arguments):
                self.events.append(f"{event} {arguments!r:.100}")
        finally:
            self.watching = True

    def _inside(self, path: object) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.path.realpath(os.fsdecode(path)).startswith(
            self.folder
        )


def run(cases: Cases, numbers: Iterable[int]) -> Report:
    """Read the cases of these numbers in forked processes.

    Call it in a process without other threads: a fork has only the thread that made it.
    """
    report, left = Report(cases.form.name), list(numbers)
    with tempfile.TemporaryDirectory() as name:
        _warm_up(cases, Path(name).resolve())
        while left:
            done, finding = _one_process(cases, left, Path(name).resolve())
            for case in done:
                report.add(case)
            left = left[len(done) :]
            if finding is not None:
                kind = cases[left[0]][0]
                report.add({"number": left[0], "kind": kind, "outcome": "unclean", "what": finding})
                left = left[1:]
    return report


def _warm_up(cases: Cases, folder: Path) -> None:
    """Read every valid case: a corpus that is refused tests nothing, and what is imported late is imported here."""
    for number, files in enumerate([*cases.corpus, *(dict.fromkeys(files, b"?") for files in cases.corpus)]):
        with _written(folder / "warm-up", files) as place:
            try:
                cases.form.read(place)
            except cases.form.refusals:
                if number < len(cases.corpus):
                    raise


def _one_process(cases: Cases, numbers: Sequence[int], folder: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Fork, and listen; what was read, and what ended the process early if it did not end by itself."""
    source, sink = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(source)
        _child(cases, numbers, folder, sink)
    os.close(sink)
    done, silent = [], False
    with os.fdopen(source, "rb", buffering=0) as pipe:
        lines = _lines(pipe)
        for line in lines:
            if line is None:
                silent = True
                os.kill(child, signal.SIGKILL)
                break
            done.append(json.loads(line))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if silent:
        return done, f"silent for {SILENCE:g} s"
    if status == 0 and len(done) == len(numbers):
        return done, None
    if status == -signal.SIGPROF:
        return done, f"more than {cases.form.seconds:g} s of processor time"
    return done, f"killed by {signal.Signals(-status).name}" if status < 0 else f"left with exit code {status}"


def _lines(pipe: Any) -> Iterator[bytes | None]:
    """Lines as they come; None after a long silence."""
    rest = b""
    while True:
        if not select.select([pipe], [], [], SILENCE)[0]:
            yield None
            return
        data = pipe.read(65536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _child(cases: Cases, numbers: Sequence[int], folder: Path, sink: int) -> NoReturn:
    """Read the cases one after the other and report each; never returns."""
    code = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)  # libraries in C complain there
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = _address_space() + cases.form.address_space
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        observer = Observer(cases.form)
        for number in numbers:
            kind, files = cases[number]
            with _written(folder / f"case-{number}", files) as place:
                case = {"number": number, "kind": kind, **_observed(cases.form, observer, place, files)}
            data = json.dumps(case).encode() + b"\n"
            while data:
                data = data[os.write(sink, data) :]
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _observed(form: Format, observer: Observer, place: Path, files: Files) -> dict[str, Any]:
    """Read one case and judge."""
    wrong: list[str] = []
    observer.folder, observer.events = str(place), []
    before, started = _peak_bytes(), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, form.seconds)
    observer.watching = True
    try:
        form.read(place)
        outcome = "read"
    except form.refusals as error:
        observer.watching = False
        outcome = type(error).__name__
        text = str(error)
        if len(text) > LONGEST_MESSAGE or not text.isprintable() or not text:
            wrong.append(f"message of {len(text)} letters: {text!r:.300}")
    except BaseException as error:
        observer.watching = False
        outcome = "unclean"
        where = traceback.extract_tb(error.__traceback__)[-1]
        wrong.append(f"{type(error).__name__}: {error!s:.200} ({where.filename}:{where.lineno})")
    finally:
        observer.watching = False
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds, memory = time.process_time() - started, _peak_bytes() - before
    if memory > form.memory:
        wrong.append(f"{memory >> 20} MiB of memory, {form.memory >> 20} are allowed")
    wrong += observer.events[:5]
    if _contents(place) != files:
        wrong.append("its folder holds other files than before")
    found = {"outcome": "unclean" if wrong else outcome, "seconds": round(seconds, 3), "memory": memory}
    return {**found, "what": "; ".join(wrong)} if wrong else found


class _written:
    """A case's files on disk for the length of a block."""

    def __init__(self, folder: Path, files: Files) -> None:
        self.folder, self.files = folder, files

    def __enter__(self) -> Path:
        self.folder.mkdir()
        for name, data in self.files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)


def _contents(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _address_space() -> int:
    """Bytes of address space this process has now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux
        return 32 * 2**30


def _peak_bytes() -> int:
    """Largest resident memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
