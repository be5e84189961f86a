"""One step as data: phases, each of which gives a loss for one network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.training.blurring import blurred
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.recipes.sections import CamerasSection, LossSection
from gen3d_tools.training.schedules import blur_sigma
from gen3d_tools.training.synthesis.fakes import Request

Stats = Mapping[str, Tensor]
Network = Literal["G", "D"]
Made = TypeVar("Made")

W_AVERAGE_DECAY = 0.998
"""Of the running mean of w (Karras et al. 2019, section 4)."""


@dataclass(frozen=True)
class Phase:
    """What one network learns from; a regulariser that comes every k-th step counts k times (Karras et al. 2020)."""

    name: str
    network: Network
    every: int = 1


@dataclass(frozen=True, eq=False)
class RealBatch:
    """Real pictures and what is known of them."""

    images: Float[Tensor, "b channels r r"]
    """In [-1, 1]; several pictures of a class side by side in the channels where tuples are judged."""
    depth: Float[Tensor, "b 1 r r"] | None = None
    """In [-1, 1], near to far, in no unit."""
    class_onehot: Float[Tensor, "b classes"] | None = None
    angles: Float[Tensor, "b 3"] | None = None
    labels: Float[Tensor, "b 25"] | None = None
    features: Float[Tensor, "b features"] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, rows: slice) -> "RealBatch":
        """Some of the pictures."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: part[rows] for name, part in parts.items() if part is not None})

    def to(self, device: torch.device) -> "RealBatch":
        """The same on another device."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})


@dataclass(frozen=True, eq=False)
class Conditions:
    """Labels of the whole data set: fakes take theirs from random entries, so that they are as frequent."""

    count: int
    num_classes: int = 0
    classes: np.ndarray | None = None
    """Class of every entry [count]."""
    angles: Tensor | None = None
    """Yaw, pitch and roll [count, 3]."""
    labels: Tensor | None = None
    """EG3D's camera numbers [count, 25]."""

    def onehots(self, entries: np.ndarray) -> Float[Tensor, "b classes"] | None:
        """Classes of some entries; None without classes."""
        if self.classes is None or not self.num_classes:
            return None
        return nn.functional.one_hot(torch.from_numpy(self.classes[entries]), self.num_classes).float()

    def side_by_side(self, entries: np.ndarray) -> np.ndarray:
        """The same entries, those of a class one after the other."""
        return entries if self.classes is None else entries[np.argsort(self.classes[entries], kind="stable")]


class Objective(ABC):
    """What a family minimises."""

    phases: ClassVar[tuple[str, ...]]

    def __init__(
        self, generator: Generator, discriminator: nn.Module, losses: LossSection, cameras: CamerasSection
    ) -> None:
        self.generator, self.discriminator, self.losses, self.cameras = generator, discriminator, losses, cameras
        self._made: dict[int, Any] = {}

    @abstractmethod
    def schedule(self) -> tuple[Phase, ...]:
        """The phases of a step, in order."""

    @abstractmethod
    def request(self, draws: Draws, count: int, conditions: Conditions, kimg: float) -> Request:
        """Draw what `count` fakes are made of."""

    @abstractmethod
    def loss(
        self, phase: str, real: RealBatch, request: Request, draws: Draws, kimg: float
    ) -> tuple[Float[Tensor, ""], Stats]:
        """The loss of a phase, before it is multiplied by its interval, and figures for the log.

        Args:
            phase: Name of the phase.
            real: Real pictures of the round.
            request: What its fakes are made of.
            draws: Random numbers of the round.
            kimg: Thousands of real pictures seen before the step.
        """

    def keep(self, draws: Draws, made: Made) -> None:
        """Store what G has learned from in a round until D learns, where fakes are reused; without gradients."""
        if self.losses.reuse_fakes:
            self._made[draws.round] = made

    def kept_or(self, draws: Draws, make: Callable[[], Made]) -> Made:
        """Take back what `keep` stored of a round; make it now where fakes are not reused."""
        return self._made.pop(draws.round) if self.losses.reuse_fakes else make()

    def blur(self, images: Float[Tensor, "b channels n n"], kimg: float) -> Float[Tensor, "b channels n n"]:
        """The fading blur of the discriminator's inputs."""
        return blurred(images, blur_sigma(kimg, self.losses.blur_sigma, self.losses.blur_kimg))

    def grown(self, config: NetworkConfig, kimg: float) -> NetworkConfig:
        """What the generator that people get is by now, where the one that learns grows."""
        return config

    def current(self, kimg: float) -> dict[str, float]:
        """What the schedules say now, for the log."""
        return {"blur_sigma": blur_sigma(kimg, self.losses.blur_sigma, self.losses.blur_kimg)}


def signs(logits: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """-1 or 1: what the augmentation's strength follows."""
    return logits.detach().sign()


@torch.no_grad()
def track_w(average: Tensor, w: Float[Tensor, "b w_dim"], class_onehot: Float[Tensor, "b classes"] | None) -> None:
    """Move the running mean of w; one row per class where there are as many."""
    if average.ndim == 1:
        average.copy_(w.mean(0).lerp(average, W_AVERAGE_DECAY))
        return
    assert class_onehot is not None
    counts = class_onehot.sum(0)[:, None]
    means = class_onehot.T @ w / counts.clamp_min(1)
    average.copy_(torch.where(counts > 0, means.lerp(average, W_AVERAGE_DECAY), average))
