"""Many samples by many processes: what is lost when some are killed, what a piece costs, what a second worker brings.

    python -m benchmarks.many chaos --samples 10000 --kills 20
    python -m benchmarks.many pieces
    python -m benchmarks.many scaling

`chaos` makes pictures once undisturbed with one worker, and once while workers are killed, and the driver too, which
is then resumed; both sets must be the same, byte for byte. `pieces` drives pieces that do nothing, and some that write
a small file. `scaling` compares one worker with two. Trust its processor time: on a shared machine the clock says
little. Linux alone: workers are found under /proc.
"""

import argparse
import contextlib
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

_GEN3D = "from gen3d_tools.cli.app import main; main()"


def write_nothing(device: str):
    """Give a maker of pieces that are done at once, or write the file they name."""
    return _write


def _write(task, notes):
    from gen3d_tools.files import atomic_path

    if task is not None:
        with atomic_path(task, overwrite=True) as temporary:
            temporary.write_bytes(b"x" * 100)
        notes.add(task)


def measure_pieces(count: int, workers: int, ray: str | None) -> None:
    """Print how many pieces a second a driver takes, and how many bytes travel for each."""
    from benchmarks.many import _write, write_nothing  # by the name that workers know: this file may be `__main__`
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.batch.pieces import Made, Note, Piece
    from gen3d_tools.records import Proof
    from gen3d_tools.workflows.running.batches import make_pieces
    from gen3d_tools.workflows.running.claims import claim
    from gen3d_tools.workflows.running.runs import Run, RunOptions

    for writes in (False, True):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "out"
            options = RunOptions(out=folder, device="cpu", batch=BatchOptions(workers=workers, ray=ray))
            paths = [folder / f"{number:05d}.bin" for number in range(count)]
            pieces = [
                Piece(name=path.stem, task=path if writes else None, outputs=[path] if writes else []) for path in paths
            ]
            run = Run("pieces", "", {})
            claim(run, paths, folder, options)
            folder.mkdir()
            begun, used = 0.0, time.process_time()
            with run.recording():
                for number, _ in enumerate(make_pieces(run, pieces, options, _write, write_nothing)):
                    begun = begun or time.perf_counter() * (number >= workers)  # when processes are up
            seconds = time.perf_counter() - begun
            each = (time.process_time() - used) / count
            what = "write 100 bytes" if writes else "do nothing"
            where = f"Ray {ray}" if ray else "processes"
            print(
                f"{count} pieces that {what}, {workers} workers, {where}: {count / seconds:.0f} a second by the clock, "
                f"{1e3 * each:.2f} ms of the driver's processor each"
            )
    proof = Proof(100_000, "0" * 64)
    path = Path("/data/sets/mugs/mug-000123.png")
    made = Made({path: proof}, [Note(path, "mug 123, 256 x 256 pixels", {})])
    print(f"bytes for a piece: {len(pickle.dumps(path))} and the job there, {len(pickle.dumps(made))} back")


def gen3d(*arguments: object, log: Path) -> subprocess.Popen:
    """Start a command as a program of its own; its progress goes into a file, a line of JSON for each piece."""
    with log.open("a") as file:
        return subprocess.Popen([sys.executable, "-c", _GEN3D, *map(str, arguments)], stdout=file, stderr=file)


def workers_of(driver: int) -> list[int]:
    """Find the worker processes of a driver."""
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{driver}/task/{driver}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def disturbed(command: Sequence[object], folder: Path, log: Path, kills: int, samples: int, seed: int) -> list[str]:
    """Run a command while workers are killed at random, and its driver once; gives what happened."""
    chance, told = random.Random(seed), []
    moments = sorted(chance.sample(range(samples // 20, samples * 19 // 20), kills))
    last = moments[len(moments) // 2] if moments else samples // 2
    driver, driver_is_killed = gen3d(*command, log=log), False
    while driver.poll() is None:
        time.sleep(chance.uniform(0.0, 0.1))
        made = sum(1 for _ in folder.glob("*.png"))
        if moments and made >= moments[0] and (alive := workers_of(driver.pid)):
            moments.pop(0)
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(alive), signal.SIGKILL)
                told.append(f"a worker after {made}")
        if not driver_is_killed and made > last:
            driver_is_killed = True
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()
            told.append(f"the driver after {made}")
            driver = gen3d(*command, "--resume", log=log)
    if driver.returncode != 0:
        sys.exit(f"the command ended with {driver.returncode}: {log.read_text()[-2000:]}")
    return told


def events(log: Path) -> Iterator[dict]:
    """Give what the drivers have told of pieces."""
    for line in log.read_text().splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if "piece" in found:
                yield found


def chaos(samples: int, kills: int, workers: int, size: int, seed: int, ray: str | None) -> None:
    """Compare a disturbed batch with a quiet one."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        command = ["sample", "shapes", "--seeds", f"0-{samples - 1}", "--size", size, "--json"]
        quiet = gen3d(*command, "--workers", 1, "-o", f"{root}/quiet/", log=root / "quiet.log")
        if quiet.wait():
            sys.exit((root / "quiet.log").read_text()[-2000:])
        spread = ["--workers", workers, *(["--ray", ray] if ray else [])]
        told = disturbed(
            [*command, *spread, "-o", f"{root}/out/"], root / "out", root / "out.log", kills, samples, seed
        )
        expected, found = _files(root / "quiet"), _files(root / "out")
        tries = [event["tries"] for event in events(root / "out.log")]
        print(f"killed: {', '.join(told)}")
        print(f"{len(tries)} pieces told by the drivers, {sum(tries) - len(tries)} of them begun again")
        print(f"{len(found)} files; the same as those of one quiet process: {found == expected}")
        if found != expected or len(tries) > samples or sum(tries) > samples + kills:
            sys.exit("not the identical set, or something was made twice")


def _files(folder: Path) -> dict[str, bytes]:
    """Every file but the record, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.name != "run.json"}


def scaling(samples: int) -> None:
    """Compare one worker and two, by the clock and in processor time, without what it takes to start them."""
    commands = {
        "pictures of 128 pixels": ("sample", samples, ["--size", "128"]),
        "meshes at 128^3": ("mesh", samples // 2, ["--resolution", "128"]),
    }
    for what, (command, count, settings) in commands.items():
        found = {}
        for workers in (1, 2):
            few, many = (_seconds(command, number, settings, workers) for number in (max(workers, count // 8), count))
            found[workers] = [(after - before) for before, after in zip(few, many, strict=True)]
        clock, processor = (found[1][index] / found[2][index] for index in (0, 1))
        print(
            f"{what}, beyond the start: {found[1][0]:.1f} s with one worker, {found[2][0]:.1f} s with two, {clock:.2f} "
            f"times as fast by the clock; processor time {found[1][1]:.1f} s and {found[2][1]:.1f} s, so "
            f"{2 * processor:.2f} times on cores of their own"
        )


def _seconds(command: str, count: int, settings: Sequence[str], workers: int) -> tuple[float, float]:
    """Run a command; gives seconds by the clock and of processors. One thread each: a process is what is compared."""
    with tempfile.TemporaryDirectory() as name:
        used, start = _children(), time.perf_counter()
        words = [command, "shapes", "--seeds", f"0-{count - 1}", *settings, "--workers", str(workers)]
        single = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        program = [sys.executable, "-c", _GEN3D, *words, "-q", "-o", f"{name}/out/"]
        done = subprocess.run(program, env={**os.environ, **single}, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"{command}: exit code {done.returncode}")
        return time.perf_counter() - start, _children() - used


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("what", choices=("chaos", "pieces", "scaling"))
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ray", help="a cluster's address, or local, instead of processes")
    options = parser.parse_args()
    work = {
        "chaos": partial(
            chaos, options.samples, options.kills, options.workers, options.size, options.seed, options.ray
        ),
        "pieces": partial(measure_pieces, options.samples, options.workers, options.ray),
        "scaling": partial(scaling, options.samples),
    }
    work[options.what]()


if __name__ == "__main__":
    main()
