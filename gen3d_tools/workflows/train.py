"""`gen3d train`: a 3D generator from a folder of pictures."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gen3d_tools.checkpoints.native import read_config
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.loading import choose_device
from gen3d_tools.generators.settings import TrustedViews
from gen3d_tools.metrics.frechet import NAME as FD_NAME
from gen3d_tools.metrics.frechet import FeatureStatistics
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.processes import Processes, own_device
from gen3d_tools.training.recipes.recipe import Recipe, load_recipe, stored_recipe
from gen3d_tools.training.run import looks
from gen3d_tools.training.run.building import check_networks
from gen3d_tools.training.run.folder import LATEST, run_folder
from gen3d_tools.training.run.page import write_page
from gen3d_tools.training.run.record import PARTIAL, Log
from gen3d_tools.training.run.snapshots import read_facts, read_state, write_state
from gen3d_tools.training.run.starting import begin_with, trained_networks
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.step import Gathered, broken_tensor
from gen3d_tools.wording import choose, option
from gen3d_tools.workflows.running.interrupts import Interrupted, between_steps, signal_of
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

DEFAULT_RECIPE = "3dgp"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a run is told besides its pictures."""

    recipe: str | None = None  # `DEFAULT_RECIPE`, or that of the run to go on with
    small: bool = False
    finish: bool = False  # the recipe's values for a last part; needs `start`
    resolution: int | None = None
    changes: Sequence[str] = ()
    minutes: float | None = None
    resume: bool = False
    start: str | None = None  # a run or a model whose networks this run begins with
    device: str = "auto"

    def load(self, folder: Path | None = None) -> Recipe:
        """Read the recipe with everything that is set otherwise.

        Args:
            folder: That of the run. A run to go on with has its own recipe, whatever that name gives today.

        Raises:
            InputError: Something does not fit, the minutes included, or no networks can be made of it.
            NotFoundError: There is no run to go on with.
            CheckpointError: Its snapshot is broken.
        """
        recipe = self._recipe(folder)
        check_networks(recipe)
        return recipe

    def _recipe(self, folder: Path | None) -> Recipe:
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"minutes is {self.minutes:g}, it must be more than 0")
        if self.resume and folder is not None:
            return self._stored_recipe(read_facts(folder))
        if self.finish and self.start is None and folder is not None:
            told = option("start", "RUN", typed="--start-from")
            raise InputError(f"{option('finish')} goes on from a trained run; say which: {told}")
        return load_recipe(
            self.recipe or DEFAULT_RECIPE,
            small=self.small,
            changes=self.changes,
            resolution=self.resolution,
            trained=self.start is not None or self.finish,
            finish=self.finish,
        )

    def check_start(self) -> None:
        """Refuse to go on with a run and to begin with another; a cluster, which begins runs anew, does both.

        Raises:
            InputError: Both are asked for.
        """
        if self.resume and self.start is not None:
            resume, start = option("resume", True), option("start", typed="--start-from")
            raise InputError(
                f"{resume} goes on with the run's own networks, {start} begins with others; leave one of them out"
            )

    def _stored_recipe(self, facts: Mapping[str, Any]) -> Recipe:
        """Read the recipe of a run's snapshot; those of earlier versions do not say what it is called."""
        name, small = facts.get("name", self.recipe or DEFAULT_RECIPE), facts.get("small", self.small)
        finish = facts.get("finish", False)
        if self.recipe not in (None, name) or (self.small and not small) or (self.finish and not finish):
            given = f"{option('recipe')} and {option('small')}"
            if self.finish:
                given = f"{option('recipe')}, {option('small')} and {option('finish')}"
            form = f"{name}{', small' if small else ''}{', finish' if finish else ''}"
            raise InputError(f"the run was begun with the recipe {form}; leave {given} out to go on with it")
        try:
            return stored_recipe(
                facts["recipe"], name, small=small, finish=finish, changes=self.changes, resolution=self.resolution
            )
        except InputError as error:
            if "name" in facts or self.recipe is not None:
                raise
            raise InputError(f"{error}; say with which: {option('recipe')}") from error


def train(
    pictures: str | Path,
    out: str | Path,
    options: TrainOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> Run:
    """Train a generator; the newest snapshot is the model folder `latest` in `out`.

    Args:
        pictures: A folder or a .zip of square pictures of one size, with or without a dataset.json.
        out: The run's folder. It must be new, unless the run is resumed.
        options: Recipe, time, device.
        reporter: Takes messages and progress.

    Raises:
        InputError: The pictures, the recipe or an option do not fit.
        NotFoundError: There are no pictures, or no run to go on with.
        CheckpointError: The run's snapshot is broken.
        TrainingDivergedError: Numbers became NaN; the last snapshot stays.
        Interrupted: Somebody ended the run; a snapshot was written.
    """
    options, reporter = options or TrainOptions(), reporter or Reporter()
    options.check_start()
    folder = Path(out)
    with run_folder(folder, options.resume, Path(pictures)):
        options.load(folder)  # what does not fit is told before processes join
        return train_here(Path(pictures), folder, options, reporter)


def train_here(pictures: Path, folder: Path, options: TrainOptions, reporter: Reporter) -> Run:
    """Train in this process, or as one of several, into a folder that was checked; raises as `train` does."""
    device = own_device(choose_device(options.device))
    processes = Processes.join(device)
    try:
        return _train(pictures, folder, options.load(folder), options, device, processes, reporter)
    finally:
        processes.leave()


def _train(
    pictures: Path,
    folder: Path,
    recipe: Recipe,
    options: TrainOptions,
    device: torch.device,
    processes: Processes,
    reporter: Reporter,
) -> Run:
    reporter = reporter if processes.leads else Reporter()  # one of several tells what happens
    data = open_pictures(pictures, recipe.data)
    for line in data.notes():
        reporter.say(line)
    trainer = Trainer(recipe, data, device=device, processes=processes)
    if options.start is not None and not options.resume:
        for line in begin_with(trainer, trained_networks(options.start)):
            reporter.say(line)
    run = begun(pictures, recipe, reporter)
    watch = _Watch(trainer, folder, run, options.minutes)
    watch.start(resume=options.resume)
    with reporter.progress("training", round(recipe.run.kimg * 1000)) as done, between_steps() as stop_if_asked:
        try:
            while not watch.over:
                done(trainer.images)
                stop_if_asked()
                watch.take(trainer.step())
        except KeyboardInterrupt as interrupt:
            watch.keep("interrupted")
            raise interrupted(pictures, folder, interrupt) from interrupt
        except Gen3DError as error:
            watch.fail(str(error))
            raise
    watch.keep("finished")
    processes.wait()  # the first one writes; one that left before would be taken for the end of all
    return ended(run, folder, trainer.kimg) if processes.leads else run


def begun(pictures: Path, recipe: Recipe, reporter: Reporter) -> Run:
    """Give the record of a run that begins."""
    asked = {"pictures": str(pictures), "recipe": recipe.name, "small": recipe.small, "finish": recipe.finish}
    return Run("train", "", asked, reporter=reporter)


def ended(run: Run, folder: Path, kimg: float) -> Run:
    """Note what a run has made."""
    run.add(folder / LATEST, f"the generator after {kimg:,.1f} thousand pictures")
    trusted = TrustedViews(**read_config(folder / LATEST)["cameras"]["trusted"])
    path = [] if trusted.all_around else ["--path", "wiggle"]  # a whole round would show what no picture did
    run.next_command = shlex.join(["gen3d", "video", str(folder / LATEST), *path])
    return run


def interrupted(pictures: Path, folder: Path, interrupt: KeyboardInterrupt, *more: str) -> Interrupted:
    """Say how a run that somebody ended goes on: with which options more than the run itself knows."""
    again = shlex.join(["gen3d", "train", str(pictures), "-o", str(folder), "--resume", *more])
    message = f"interrupted; the run is kept, go on with {again}"
    return Interrupted(message, number=signal_of(interrupt))


class _Watch:
    """Counts ticks, writes log, snapshots, sheets and the page; only the leading process writes."""

    def __init__(self, trainer: Trainer, folder: Path, run: Run, minutes: float | None) -> None:
        self.trainer, self.folder, self.run, self.minutes = trainer, folder, run, minutes
        self.section = trainer.recipe.run
        self.log = Log(folder)
        self.totals: dict[str, list[float]] = {}  # sum and count of every figure since the last tick
        self.cameras: dict[str, Any] = {}
        self.before = self.processor_before = 0.0  # seconds of earlier sessions
        self.processor_began = time.process_time()
        self.began = self.ticked = time.monotonic()
        self.ticked_images, self.ticked_processor = 0, 0.0
        self.scored: tuple[PhotoEncoder, FeatureStatistics] | None = None

    @property
    def leads(self) -> bool:
        return self.trainer.processes.leads

    @property
    def seconds(self) -> float:
        """Time that the run has taken, earlier sessions included."""
        return self.before + time.monotonic() - self.began

    @property
    def processor_seconds(self) -> float:
        """Processor time that this process has taken, earlier sessions included."""
        return self.processor_before + time.process_time() - self.processor_began

    @property
    def over(self) -> bool:
        """Whether the pictures or the minutes are used up."""
        late = self.minutes is not None and time.monotonic() - self.began >= 60 * self.minutes
        budget = self.section.processor_minutes
        late = late or (budget is not None and self.processor_seconds >= 60 * budget)
        return self.trainer.processes.agree(late) or self.trainer.images >= self.section.kimg * 1000

    def start(self, *, resume: bool) -> None:
        """Begin the run's folder, or go on where its snapshot is."""
        if resume:
            notes = read_state(self.trainer, self.folder)
            self.before, self.totals = float(notes["seconds"]), dict(notes["totals"])
            self.processor_before = float(notes.get("processor_seconds", 0.0))
            for line in _on_going_on(self.trainer, notes):
                self.run.reporter.say(line)
        self.ticked_images, self.ticked_processor = self.trainer.images, self.processor_seconds
        if self.leads:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.log.go_on(self.trainer.iteration)
            for path in looks.sheets_in(self.folder):
                if int(path.stem) > self.trainer.images:
                    path.unlink()
        if self.section.score_kimg and self.leads:
            self.scored = looks.real_statistics(self.trainer.pictures)

    def take(self, gathered: Gathered) -> None:
        """Take the figures of a step, and write what is due."""
        for name, values in gathered.values.items():
            total = self.totals.setdefault(name, [0.0, 0.0])
            total[0] += sum(float(value.double().sum()) for value in values)
            total[1] += sum(value.numel() for value in values)
        if self._due(self.section.tick_kimg):
            self._tick()
        if self._due(self.section.sheet_kimg) and self.leads:
            self._look()
        if self._due(self.section.snapshot_kimg):
            self._snapshot()
            self._page("running")

    def _due(self, kimg: float) -> bool:
        """Whether the last step went past a multiple of so many thousand pictures."""
        if kimg <= 0:
            return False
        images, batch, every = self.trainer.images, self.trainer.recipe.optimisation.batch, max(1, round(kimg * 1000))
        return images // every > (images - batch) // every

    def _tick(self) -> None:
        line, now = self._line(), time.monotonic()
        if self.scored is not None and self._due(self.section.score_kimg):
            encoder, real = self.scored
            line[FD_NAME] = looks.score(
                self.trainer.average,
                real,
                encoder,
                samples=self.section.score_samples,
                resolution=self.trainer.recipe.data.resolution,
            )
        if self.leads:
            self.log.add(line)
        loss = ", ".join(f"{name} {line[f'loss/{name}']:.2f}" for name in ("G", "D") if f"loss/{name}" in line)
        self.run.reporter.describe(f"training at {line['pictures_per_second']:.0f} pictures/s, {loss}")
        self.totals, self.ticked = {}, now
        self.ticked_images, self.ticked_processor = self.trainer.images, self.processor_seconds
        self.trainer.seconds.clear()

    def _line(self) -> dict[str, Any]:
        """What the log says of the time since the last tick."""
        now, trainer = time.monotonic(), self.trainer
        spent = sum(trainer.seconds.values()) or 1.0
        processor, made = self.processor_seconds, trainer.images - self.ticked_images
        line: dict[str, Any] = {
            "iteration": trainer.iteration,
            "kimg": trainer.kimg,
            "seconds": round(self.seconds, 2),
            "processor_seconds": round(processor, 2),
            "pictures_per_second": round(made / max(now - self.ticked, 1e-9), 3),
            "pictures_per_processor_second": round(made / max(processor - self.ticked_processor, 1e-9), 3),
            "shares": {name: round(part / spent, 3) for name, part in trainer.seconds.items()},
            **{name: total / count for name, (total, count) in self.totals.items()},
            **trainer.contest.objective.current(trainer.kimg),
        }
        if trainer.augmentation is not None:
            line["augmentation"] = trainer.augmentation.strength
        return line

    def _look(self) -> None:
        looks.write_sheet(self.trainer.average, self.folder, self.trainer.images, self.trainer.recipe.data.resolution)
        self.cameras = looks.camera_histograms(self.trainer.average, self.section.seed)

    def _snapshot(self) -> None:
        """Write the state and the model folder, unless numbers are broken: then the last good ones stay.

        Raises:
            Gen3DError: A tensor holds NaN or infinity, or the disk is full.
        """
        if not self.leads:
            return
        trainer = self.trainer
        networks = [("generator", trainer.generator), ("discriminator", trainer.discriminator)]
        broken = broken_tensor([*networks, ("average", trainer.average)])
        if broken is not None:
            raise Gen3DError(f"tensor {broken} holds NaN or infinity; the last snapshot before it is kept")
        spent = {"seconds": self.seconds, "processor_seconds": self.processor_seconds}
        notes = {**spent, "totals": self.totals, "threads": torch.get_num_threads()}
        write_state(trainer, self.folder, notes)
        model = trainer.average
        provenance = {**model.settings.provenance, "thousand_pictures": round(trainer.kimg, 3)}
        model.settings = replace(model.settings, provenance=provenance)
        model.save(self.folder / LATEST, overwrite=True)

    def _page(self, status: str) -> None:
        if not self.leads:
            return
        trainer, hours = self.trainer, self.seconds / 3600
        line = f"{status}; {trainer.kimg:,.1f} thousand pictures, {trainer.iteration:,} steps, {hours:.2f} hours"
        write_page(
            self.folder, trainer.recipe, self.log, status=line, cameras=self.cameras, refresh=status == "running"
        )

    def keep(self, status: str) -> None:
        """Write everything at the end of a session."""
        if self.leads and self.trainer.iteration:
            self._look()
            if self.totals:
                self.log.add(self._line() | {PARTIAL: True})
        self._snapshot()
        self._page(status)

    def fail(self, reason: str) -> None:
        """Say on the page why the run stopped."""
        if self.leads and self.folder.is_dir():
            self._page(f"stopped: {reason}")


def _on_going_on(trainer: Trainer, notes: Mapping[str, Any]) -> Iterator[str]:
    """Say what a person would not expect of a run that goes on; runs of earlier versions do not say their threads."""
    before, now = notes.get("threads"), torch.get_num_threads()
    if before not in (None, now) and trainer.device.type == "cpu":  # sums are added in another order
        yield (
            f"the run had {before} threads and goes on with {now}: its numbers will differ in their last digits from "
            f"those of a run that did not stop; OMP_NUM_THREADS={before} keeps them the same"
        )
    if trainer.images >= trainer.recipe.run.kimg * 1000:
        further = f"run.kimg={2 * trainer.kimg:g}"
        more = choose(typed=f"--set {further}", python=f"changes={[further]}")
        yield f"the run has seen all of its {trainer.kimg:g} thousand pictures already; for more of them: {more}"
