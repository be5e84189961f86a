"""Networks and counters of a run, and the step that changes them."""

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from torch import nn

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.errors import InputError
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.averaging import ema_beta, update_average
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.training.data.order import entries_at
from gen3d_tools.training.discriminators.multiview import packable_classes, packed, real_tuples
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.objectives.base import Network, Phase, RealBatch
from gen3d_tools.training.optimisers import lazy_adam
from gen3d_tools.training.processes import Processes
from gen3d_tools.training.recipes.recipe import Recipe
from gen3d_tools.training.run.building import build_discriminator, build_generator, build_objective
from gen3d_tools.training.step import Contest, Gathered, run_phase
from gen3d_tools.training.synthesis.fakes import Request

_INITIAL = 1_000_003  # key of the initial weights' random numbers
_TUPLES = 1_000_033  # ... and of those that choose tuples of pictures


def check_shares(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that a step's rounds cannot be shared out to.

    Raises:
        InputError: It is no divisor of their number.
    """
    rounds = recipe.optimisation.batch // recipe.optimisation.round
    if rounds % processes:
        raise InputError(
            f"{rounds} rounds of {recipe.optimisation.round} pictures cannot be shared by "
            f"{processes} processes; change optimisation.batch or optimisation.round"
        )


class Trainer:
    """Everything that learning changes.

    Attributes:
        iteration: Steps done.
        images: Real pictures seen.
        seconds: Time spent in each phase since it was last taken.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: PictureSet,
        *,
        device: torch.device | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.pictures = recipe, pictures
        self.device = device or torch.device("cpu")
        self.processes = processes or Processes()
        self._check()
        self.conditions = pictures.conditions()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.run.seed + _INITIAL)
            self.generator = build_generator(recipe, pictures.labels.class_names, self.conditions.angles)
            width = 0 if pictures.features is None else pictures.features.shape[1]
            self.discriminator = build_discriminator(recipe, pictures.num_classes, width)
        self.generator.to(self.device)
        self.discriminator.to(self.device)
        self.processes.share(self.generator, self.discriminator)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.augmentation = Augmentation(recipe.augmentation) if recipe.augmentation.enabled else None
        objective = build_objective(recipe, self.generator, self.discriminator, self.augmentation)
        self.contest = Contest(objective, self._optimisers(objective.schedule()))
        self.iteration = self.images = 0
        self.grow()
        self.seconds: dict[str, float] = {}
        self._signs: list[float] = []

    def _check(self) -> None:
        check_shares(self.recipe, self.processes.count)
        if self._packs:
            classes = self.pictures.conditions().classes
            most = len(self.pictures) if classes is None else int(np.bincount(classes).max())
            if most < self.recipe.discriminator.views:
                raise InputError(
                    f"no class has {self.recipe.discriminator.views} pictures for a tuple; lower discriminator.views"
                )
        if self.recipe.cameras.source == "labels":
            labels = self.pictures.labels
            needed, found = ("labels of 25 camera numbers", labels.cameras)
            if self.recipe.family != "eg3d":
                needed, found = "camera_angles", labels.angles
            if found is None:
                raise InputError(
                    f"the recipe {self.recipe.name} needs {needed} in dataset.json; add them, or use a prior: "
                    "--set cameras.source=prior"
                )

    def _optimisers(self, schedule: Sequence[Phase]) -> dict[Network, torch.optim.Optimizer]:
        section = self.recipe.optimisation
        made: dict[Network, torch.optim.Optimizer] = {}
        rates: tuple[tuple[Network, nn.Module, float], ...] = (
            ("G", self.generator, section.g_lr),
            ("D", self.discriminator, section.d_lr),
        )
        for which, network, rate in rates:
            made[which] = lazy_adam(
                network.parameters(),
                lr=rate,
                betas=(section.beta1, section.beta2),
                interval=self._interval(schedule, which),
            )
        return made

    def _interval(self, schedule: Sequence[Phase], which: Network) -> int | None:
        """Steps between those in which a network is regularised on its own; None where it never is."""
        if which == "D" and self.recipe.discriminator.kind != "patch":
            return self.recipe.losses.r1_every  # EG3D's loop corrects its Adam for R1 even where R1 is off
        phases = [phase.every for phase in schedule if phase.network == which]
        return max(phases) if len(phases) > 1 else None

    @property
    def kimg(self) -> float:
        """Thousands of real pictures seen."""
        return self.images / 1000

    def step(self) -> Gathered:
        """Do one step.

        Raises:
            TrainingDivergedError: A loss is no number.
        """
        section, kimg, gathered = self.recipe.optimisation, self.kimg, Gathered()
        started = time.perf_counter()
        real = self._real_rounds()
        self._spent("data", started)
        for place, phase in enumerate(self.contest.objective.schedule()):
            if self.iteration % phase.every:
                continue
            started = time.perf_counter()
            rounds = [(batch, *self._made_of(place, number, len(batch))) for number, batch in real]
            run_phase(
                self.contest,
                phase,
                rounds,
                kimg=kimg,
                gathered=gathered,
                processes=self.processes,
                grad_clip=section.grad_clip,
            )
            self._spent(phase.name, started)
        self.generator.requires_grad_(False)
        update_average(
            self.average,
            self.generator,
            ema_beta(self.images, section.batch, section.ema_kimg, section.ema_ramp),
        )
        self.iteration += 1
        self.images += section.batch
        self.grow()
        self._adapt(gathered)
        return gathered

    def grow(self) -> None:
        """Let the average be by now what the generator is."""
        self.average.config = self.contest.objective.grown(self.average.config, self.kimg)

    def _real_rounds(self) -> list[tuple[int, RealBatch]]:
        """This process's rounds of real pictures, with their numbers among all rounds of the step."""
        section = self.recipe.optimisation
        per_process = section.batch // section.round // self.processes.count
        first = self.processes.rank * per_process
        entries = entries_at(self.images, section.batch, len(self.pictures), self.recipe.run.seed)
        rounds = []
        for number in range(first, first + per_process):
            rows = entries[number * section.round : (number + 1) * section.round]
            if self.recipe.discriminator.grouping == "neighbours":
                rows = self.conditions.side_by_side(rows)
            batch = self._packed(rows, number) if self._packs else self.pictures.batch(rows)
            rounds.append((number, batch.to(self.device)))
        return rounds

    @property
    def _packs(self) -> bool:
        """Whether the discriminator judges tuples of pictures."""
        section = self.recipe.discriminator
        return section.kind == "image" and section.view_mode == "pack" and section.views > 1

    def _packed(self, rows: np.ndarray, number: int) -> RealBatch:
        """Tuples of different pictures, each of the class of its entry, or of another one that has enough."""
        views = self.recipe.discriminator.views
        labels = np.zeros(len(self.pictures), np.int64) if self.conditions.classes is None else self.conditions.classes
        random = Draws(self.recipe.run.seed, self.iteration, _TUPLES, number).numbers
        enough = packable_classes(labels, views)
        wanted = np.array([label if label in enough else random.choice(enough) for label in labels[rows]])
        tuples = real_tuples(labels, wanted, views, random)
        batch = self.pictures.batch(tuples.T.flatten())
        images = rearrange(batch.images, "(v b) c h w -> v b c h w", v=views)
        return RealBatch(packed(images), class_onehot=self.conditions.onehots(tuples[:, 0]))

    def _made_of(self, place: int, number: int, count: int) -> tuple[Request, Draws]:
        """What the fakes of a round are made of; the random numbers are named by step, phase and round."""
        draws = Draws(self.recipe.run.seed, self.iteration, place, number)
        request = self.contest.objective.request(draws, count, self.conditions, self.kimg)
        return moved(request, self.device), draws

    def _adapt(self, gathered: Gathered) -> None:
        """Let the augmentation's strength follow the discriminator; every process knows what all of them saw."""
        if self.augmentation is None:
            return
        signs = gathered.values.get("signs/real", [])
        if signs:
            self._signs.append(self.processes.average_number(float(torch.cat(signs).mean())))
        if self.iteration % self.recipe.augmentation.every == 0 and self._signs:
            mean = sum(self._signs) / len(self._signs)
            self.augmentation.adapt(mean, len(self._signs) * self.recipe.optimisation.batch)
            self._signs.clear()

    def _spent(self, what: str, started: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


def moved(request: Request, device: torch.device) -> Request:
    """The same request on another device."""
    if device.type == "cpu":
        return request
    poses = request.poses
    return Request(
        request.z.to(device),
        None if request.class_onehot is None else request.class_onehot.to(device),
        poses=None if poses is None else Pose.from_parameters(poses.parameters.to(device), poses.yaw_zero),
        labels=None if request.labels is None else request.labels.to(device),
        told_angles=None if request.told_angles is None else request.told_angles.to(device),
        later_z=None if request.later_z is None else request.later_z.to(device),
        later_from=request.later_from,
    )
