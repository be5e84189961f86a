"""Stage one: find the latent, and the camera, with which the generator comes closest to the photo.

The generator is frozen. What moves: coordinates of the latent, camera offsets, and the planes' noise maps, which only
keep the latent from explaining what is noise, and are discarded afterwards.
"""

import copy
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.adam import Adam
from gen3d_tools.inversion.finite import check_gradients
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.camera_fit import CameraFit
from gen3d_tools.inversion.stages.latent_prior import LatentPrior
from gen3d_tools.inversion.stages.noise import has_noise, noise_penalty, release_noise, renormalize
from gen3d_tools.inversion.stages.objective import Objective


class StageOne:
    """The search for one latent and one camera per photo, step by step.

    Args:
        generator: Stays as it is.
        prior: The latents of the class.
        start: First latent, [rows, w_dim] with one row or one per layer.
        cameras: First cameras, [photos].
        objective: How far pictures are from the photos.
        settings: Everything else.
        move_camera: Whether the cameras may leave their start.
        steps: Instead of the settings' number.
    """

    def __init__(
        self,
        generator: Generator,
        prior: LatentPrior,
        start: Float[Tensor, "rows w_dim"],
        cameras: Camera,
        objective: Objective,
        settings: InversionSettings,
        *,
        move_camera: bool,
        steps: int | None = None,
    ) -> None:
        self.prior, self.objective, self.settings = prior, objective, settings
        self.steps = settings.stage_one.steps if steps is None else steps
        self.done = 0
        self.losses: list[float] = []
        self.random = torch.Generator().manual_seed(settings.seed)
        self.generator, self.noise = generator, []
        if settings.stage_one.optimise_noise and has_noise(generator):
            self.generator = copy.deepcopy(generator)
            self.noise = release_noise(self.generator, self.random)
        own = generator.own_rows
        apart = settings.stage_one.space == "w+" or bool(prior.layers)
        rows = generator.num_ws - own if apart else 1
        coordinates = prior.coordinates_of(start.detach(), settings.stage_one.basis).expand(rows, -1)
        # Latents of the scene's own are their coordinates themselves. They start at their mean.
        self.coordinates = torch.cat([coordinates, coordinates.new_zeros(own, len(prior.mean))]).requires_grad_()
        self.fit = CameraFit(cameras)
        self.fit.offsets.requires_grad_(move_camera)
        self.optimizer = self._optimizer(move_camera)

    def _optimizer(self, move_camera: bool) -> Adam:
        """One group per kind of variable, each with its peak learning rate."""
        settings = self.settings.stage_one
        groups: list[tuple[list[Tensor], float]] = [([self.coordinates], settings.lr)]
        if move_camera and settings.camera_lr:
            groups.append(([self.fit.offsets], settings.lr * settings.camera_lr))
        if self.noise:
            groups.append((self.noise, settings.noise_lr))
        return Adam(*groups, betas=(settings.beta1, settings.beta2))

    @property
    def finished(self) -> bool:
        """No step is left, or the photo is explained well enough."""
        reached = bool(self.losses) and self.losses[-1] < self.settings.stage_one.stop_distance
        return self.done >= self.steps or reached

    def ws(self, coordinates: Tensor | None = None) -> Float[Tensor, "1 num_ws w_dim"]:
        """The latent so far."""
        coordinates = self.coordinates.detach() if coordinates is None else coordinates
        own = self.generator.own_rows
        w = self._layers(coordinates)
        return torch.cat([w.expand(self.generator.num_ws - own, -1), coordinates[len(coordinates) - own :]])[None]

    def w(self) -> Float[Tensor, "rows w_dim"]:
        """The latent so far that a search goes on with: one for all layers, or each layer's own."""
        return self._layers(self.coordinates.detach())[: len(self.prior.start)]

    def _layers(self, coordinates: Tensor) -> Float[Tensor, "rows w_dim"]:
        """The latents of the layers, without those of the scene's own."""
        layers = coordinates[: len(coordinates) - self.generator.own_rows]
        return self.prior.rows_at(layers, self.settings.stage_one.basis)

    def _standard(self) -> Float[Tensor, "rows w_dim"]:
        """The coordinates in standard deviations, which those of the scene's own latents are."""
        own = self.generator.own_rows
        layers, rest = torch.split(self.ws(self.coordinates)[0], [self.generator.num_ws - own, own])
        return torch.cat([self.prior.coordinates_of(layers, "spread"), rest])

    def cameras(self) -> Camera:
        """The cameras so far, [photos]."""
        with torch.no_grad():
            return self.fit.cameras()

    def step(self) -> float:
        """Take one step; gives the loss before it."""
        settings, t = self.settings, self.done / self.steps
        share = learning_rate_share(t, settings.stage_one.lr_warmup, settings.stage_one.lr_cooldown)
        loss, _ = self.objective(self._noisy_field(t), self.fit.cameras(), self.random, self.done)
        total = loss + settings.stage_one.prior_weight * self._standard().square().mean()
        total = total + settings.stage_one.camera_prior * self.fit.penalty()
        if self.noise:
            total = total + settings.stage_one.noise_regularisation * noise_penalty(self.noise)
        self.optimizer.zero_grad()
        torch.autograd.backward(total)
        check_gradients(self._moving(), "stage one", self.done + 1)
        if t < settings.stage_one.camera_only:
            self.coordinates.grad = None
        self.optimizer.step(share)
        renormalize(self.noise)
        self.done += 1
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def _moving(self) -> list[tuple[str, Tensor]]:
        """What the optimiser moves, by the names that a person may read."""
        noise = [(f"noise map {index}", one) for index, one in enumerate(self.noise)]
        return [("the latent", self.coordinates), ("the camera", self.fit.offsets), *noise]

    def _noisy_field(self, t: float) -> RadianceField:
        """The field of the latent, with the noise of this step."""
        settings = self.settings
        level = settings.stage_one.w_noise * noise_share(t, settings.stage_one.w_noise_until)
        coordinates = self.coordinates
        if level:
            scale = 1.0 if settings.stage_one.basis == "spread" else self.prior.w_std
            drawn = torch.randn(coordinates.shape, generator=self.random).to(coordinates)
            coordinates = coordinates + level * scale * drawn
        return self.generator.fields(self.ws(coordinates))[0]

    @torch.no_grad()
    def judge(self) -> float:
        """Give the loss of the present state, without random numbers."""
        return float(self.objective(self.generator.fields(self.ws())[0], self.fit.cameras(), None)[0])

    def state(self) -> dict[str, Any]:
        """Give everything that the next step depends on: tensors, numbers and lists."""
        return {
            "done": self.done,
            "losses": list(self.losses),
            "coordinates": self.coordinates.detach().clone(),
            "offsets": self.fit.offsets.detach().clone(),
            "noise": [one.detach().clone() for one in self.noise],
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.done, self.losses = state["done"], list(state["losses"])
        self.coordinates.copy_(state["coordinates"])
        self.fit.offsets.copy_(state["offsets"])
        for one, stored in zip(self.noise, state["noise"], strict=True):
            one.copy_(stored)
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])


def learning_rate_share(t: float, warmup: float, cooldown: float) -> float:
    """Share of the peak learning rate: a linear rise at the start, a cosine fall at the end.

    Args:
        t: Share of the steps that are done, 0 to 1. Published: step k of K has t = k / K, so the first rate is 0.
        warmup: Share of the steps that rise.
        cooldown: Share of the steps that fall.
    """
    rise = min(1.0, t / warmup) if warmup else 1.0
    left = min(1.0, (1 - t) / cooldown) if cooldown else 1.0
    return rise * (0.5 - 0.5 * math.cos(math.pi * left))


def noise_share(t: float, until: float) -> float:
    """Share of the latent noise: falls quadratically from 1 to 0 at `until`."""
    return max(0.0, 1 - t / until) ** 2 if until else 0.0
