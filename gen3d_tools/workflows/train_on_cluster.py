"""`gen3d train --ray`: one run on the machines of a Ray cluster. Ray Train places its processes, and begins them again.

Each process trains as torchrun would have it: the group averages gradients, the first one writes. Where a process or a
machine is lost, Ray Train ends the others and begins all anew; they go on from the last snapshot, which costs at most
the time since then. The run's folder is one that all machines share.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from gen3d_tools.batch.options import BatchOptions
from gen3d_tools.batch.pieces import Failure
from gen3d_tools.batch.ray_engine import connect
from gen3d_tools.batch.worker import check_versions, limit_threads, versions
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.recipe import Recipe
from gen3d_tools.training.run.folder import run_folder
from gen3d_tools.training.run.snapshots import STATE_NAME, read_facts
from gen3d_tools.training.run.trainer import check_shares
from gen3d_tools.wording import are_options_typed, option, options_are_typed
from gen3d_tools.workflows.running.interrupts import Interrupted, signal_of
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run
from gen3d_tools.workflows.train import TrainOptions, begun, ended, interrupted, train_here

TRIES = 3
"""Beginnings without a new snapshot after which a run is given up."""
_STARTS = "starts.jsonl"
_FAILURE = "failure.json"
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class _Task:
    """What every process is told."""

    pictures: Path
    folder: Path
    notes: Path
    """A folder beside the run's, in which processes tell the driver how they fare."""
    options: TrainOptions
    ends: float | None
    """Time of the clock (seconds) at which the run is over."""
    versions: dict[str, str]
    typed: bool
    """Messages name options of the command line."""


def train_on_cluster(
    pictures: str | Path,
    out: str | Path,
    options: TrainOptions | None = None,
    *,
    ray: str = "local",
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Train a generator with the processes of a Ray cluster; else as `train`.

    Args:
        pictures: As `train` takes them, where all machines see them.
        out: The run's folder, which all machines share.
        options: Recipe, time, device: "auto" is a GPU for each process where the cluster has any.
        ray: "local", "auto", or the "host:port" of a cluster.
        workers: Processes; by default as many as the cluster has GPUs or processors and a step can be shared by.
        reporter: Takes messages and progress.

    Raises:
        InputError: The pictures, the recipe or an option do not fit.
        MissingDependencyError: Ray Train is not installed.
        Gen3DError: No cluster answers, a process failed, or processes were lost again and again.
        Interrupted: Somebody ended the run; its last snapshot is kept.
    """
    options, reporter = options or TrainOptions(), reporter or Reporter()
    options.check_start()
    if options.start is not None and Path(options.start).exists():
        options = replace(options, start=str(Path(options.start).absolute()))
    folder = Path(out).absolute()
    with run_folder(folder, options.resume, Path(pictures)):  # its processes come and go, this one stays
        return _train_there(Path(pictures), Path(out), options, ray, workers, reporter)


def _train_there(
    pictures: Path, out: Path, options: TrainOptions, ray: str, workers: int | None, reporter: Reporter
) -> Run:
    """Train into a folder that was checked; raises as `train_on_cluster` does."""
    folder = out.absolute()
    recipe = options.load(folder)
    BatchOptions(ray=ray, workers=workers).check(options.device)
    if find_spec("pandas") is None:  # which Ray Train imports
        raise MissingDependencyError('Ray Train is not installed; try: pip install "gen3d-tools[cluster]"')
    if workers is not None:
        check_shares(recipe, workers)
    data = open_pictures(pictures, recipe.data)
    for line in data.notes():
        reporter.say(line)
    run = begun(pictures, recipe, reporter)
    connect(ray, workers)
    try:
        uses_gpus, count = _places(ray, options.device, workers, recipe)
        options = replace(options, device="cuda" if uses_gpus else "cpu")
        reporter.say(f"{count} processes on {'GPUs' if uses_gpus else 'processors'} of {ray}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as notes:
            ends = None if options.minutes is None else time.time() + 60 * options.minutes
            task = _Task(pictures.absolute(), folder, Path(notes), options, ends, versions(), are_options_typed())
            try:
                _fit(task, count, uses_gpus=uses_gpus, total=round(recipe.run.kimg * 1000), reporter=reporter)
            finally:  # nobody writes notes any more when they are removed
                import_module("ray").shutdown()
    except KeyboardInterrupt as interrupt:
        if not (folder / STATE_NAME).exists():
            raise Interrupted("interrupted before the first snapshot", number=signal_of(interrupt)) from interrupt
        raise interrupted(pictures, out, interrupt, "--ray", ray) from interrupt
    finally:
        import_module("ray").shutdown()
    return ended(run, out, read_facts(folder)["images"] / 1000)


def _places(ray: str, device: str, workers: int | None, recipe: Recipe) -> tuple[bool, int]:
    """Give whether the cluster's GPUs work, and how many processes there are."""
    resources: dict[str, float] = import_module("ray").cluster_resources()
    gpus = int(resources.get("GPU", 0)) if device != "cpu" else 0
    if device == "cuda" and not gpus:
        raise InputError(f"the cluster at {ray} has no GPU; leave {option('device')} out, or say cpu")
    room = gpus or int(resources.get("CPU", 1))
    if workers is not None:
        if workers > room:  # Ray would wait for more machines, without a word
            raise InputError(f"the cluster at {ray} has room for {room} of {workers} processes; ask for fewer")
        return gpus > 0, workers
    rounds = recipe.optimisation.batch // recipe.optimisation.round
    return gpus > 0, max(count for count in range(1, max(room, 1) + 1) if rounds % count == 0)


def _fit(task: _Task, count: int, *, uses_gpus: bool, total: int, reporter: Reporter) -> None:
    """Let Ray Train do it, and look how it fares."""
    train: Any = import_module("ray.train")
    torch_trainer: Any = import_module("ray.train.torch").TorchTrainer
    trainer = torch_trainer(
        _work,
        train_loop_config={"task": task},
        scaling_config=train.ScalingConfig(num_workers=count, use_gpu=uses_gpus),
        run_config=train.RunConfig(
            name="run",
            storage_path=str(task.notes),
            failure_config=train.FailureConfig(max_failures=-1),  # it is we who give up: see `_look`
        ),
    )
    with _beside(trainer.fit) as fitted, reporter.progress("training", total) as done:
        while wait_for([fitted], timeout=_LOOK_SECONDS).not_done:
            _look(task, done, reporter)
        _look(task, done, reporter)
        try:
            fitted.result()
        except (train.TrainingFailedError, import_module("ray").exceptions.RayError) as error:
            raise Gen3DError(f"Ray Train ended the run: {str(error).splitlines()[-1]}") from error


@contextmanager
def _beside(work: Any) -> Iterator["Future[Any]"]:
    """Do something in a thread that no one waits for at the end: with the cluster left, it has nothing to do."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    yield future


def _look(task: _Task, done: Any, reporter: Reporter) -> None:
    """Tell how far the run is.

    Raises:
        Gen3DError: A process said why it cannot go on, or processes were lost again and again.
    """
    if (task.notes / _FAILURE).exists():
        raise Failure(**json.loads((task.notes / _FAILURE).read_text("utf-8"))).error()
    starts = _lines(task.notes / _STARTS)
    if len(starts) > TRIES and len({start["images"] for start in starts[-TRIES - 1 :]}) == 1:
        raise Gen3DError(
            f"processes were lost {TRIES} times after {starts[-1]['images']:,} pictures; see what they wrote in "
            "Ray's logs (/tmp/ray/session_latest/logs), or try a smaller optimisation.round if memory ran out"
        )
    lines = _lines(task.folder / "log.jsonl")
    if lines:
        done(round(lines[-1]["kimg"] * 1000))
        reporter.describe(f"training at {lines[-1]['pictures_per_second']:.0f} pictures/s")


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read whole lines of JSON; the last may be under way."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _work(config: dict[str, _Task]) -> None:
    """Train as one of the processes; begun anew, from the last snapshot."""
    task = config["task"]
    with options_are_typed() if task.typed else nullcontext():
        try:
            check_versions(task.versions)
            if not task.notes.is_dir():
                raise NotFoundError(
                    f"{task.folder.parent} is not shared by all machines; put the run where they all see it"
                )
            limit_threads(1)
            resume = (task.folder / STATE_NAME).exists()
            if import_module("ray.train").get_context().get_world_rank() == 0:
                images = read_facts(task.folder)["images"] if resume else 0
                with (task.notes / _STARTS).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"images": images}) + "\n")
            minutes = None if task.ends is None else max((task.ends - time.time()) / 60, 1e-6)
            options = replace(task.options, resume=resume, minutes=minutes)
            train_here(task.pictures, task.folder, options, Reporter())
        except Gen3DError as error:
            if task.notes.is_dir():
                with atomic_path(task.notes / _FAILURE, overwrite=True) as temporary:
                    temporary.write_text(json.dumps(asdict(Failure.of(error))), "utf-8")
            raise
