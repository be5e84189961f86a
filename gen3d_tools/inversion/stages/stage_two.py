"""Stage two: tune the generator's weights around the fixed pivot, until its picture is the photo (Roich et al. 2021).

Latent and cameras stay. What the photo does not show is held by the locality, see `locality`.
"""

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.adam import Adam
from gen3d_tools.inversion.finite import check_gradients
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.locality_regulariser import FieldLocality, image_locality, nearby_latent
from gen3d_tools.inversion.stages.missing_parts import MissingParts
from gen3d_tools.inversion.stages.objective import Objective
from gen3d_tools.inversion.stages.recoloring import fit_recoloring
from gen3d_tools.inversion.stages.revolution import ImpliedSilhouettes
from gen3d_tools.inversion.stages.tuned_layers import tuned_names

# Of a pixel: how far around its middle a ray passes. With rays through the middles alone the object fits those, and
# what lies between them is worse.
_JITTER = 0.5
_WINDOW = 8  # steps over which the early stop averages: each sees other rays


class StageTwo:
    """The tuning of a copy of a generator, step by step.

    Args:
        before: The generator as it was; stays so.
        ws: The pivot.
        cameras: One per photo.
        objective: How far pictures are from the photos.
        settings: Everything else; those for this pivot (`InversionSettings.for_pivot`).
        class_index: Class of the object, for latents nearby.
        implied: How far silhouettes are from those that the photos imply for other sides; None where they imply none.
        camera_cond: Label of the camera that latents nearby are conditioned on; None takes the generator's default one.
    """

    def __init__(
        self,
        before: Generator,
        ws: Float[Tensor, "1 num_ws w_dim"],
        cameras: Camera,
        objective: Objective,
        settings: InversionSettings,
        class_index: int | None,
        implied: ImpliedSilhouettes | None = None,
        camera_cond: Float[Tensor, "1 25"] | None = None,
    ) -> None:
        self.before, self.ws, self.cameras, self.class_index = before, ws.detach(), cameras, class_index
        self.objective, self.settings, self.camera_cond = replace(objective, jitter=_JITTER), settings, camera_cond
        # Kernels lie as convolutions read them: otherwise each is copied twice per step.
        self.generator = _laid_out(copy.deepcopy(before).requires_grad_(True), torch.channels_last)
        self.names = tuned_names(self.generator, settings.stage_two.tune)
        parameters = self._chosen(self.generator)
        self.generator.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_(True)
        self.optimizer = Adam((parameters, settings.stage_two.lr))
        self.random = torch.Generator().manual_seed(settings.seed + 1)
        with torch.no_grad():
            field = before.fields(self.ws)[0]
        # The planes as a step makes them, to the byte: in the first step nothing has changed, and the sign of what
        # rounding makes of that is chance, which Adam would turn into steps of full length.
        fresh = self.generator.fields(self.ws)[0]
        if isinstance(field, TriplaneField) and isinstance(fresh, TriplaneField):
            field = replace(field, planes=fresh.planes.detach())
        share = settings.stage_two.recolor
        recoloring = fit_recoloring(field, cameras, objective, share) if share else None
        self.locality = FieldLocality(field, objective.width, settings.stage_two.locality.points, recoloring)
        grid = field.render_config.pixel_grid
        self.missing = MissingParts(objective.targets, cameras, self.locality.scale, grid)
        self.implied = implied
        self.averages = [parameter.detach().clone() for parameter in parameters]
        self.done = 0
        self.losses: list[float] = []
        self.errors: list[float] = []  # mean squared error of colours
        self.perceptual: list[float] = []  # perceptual distance
        self.stopped = False

    @property
    def steps(self) -> int:
        """How many there are at most."""
        return self.settings.stage_two.steps

    @property
    def finished(self) -> bool:
        """No step is left, or the photo is explained well enough."""
        return self.stopped or self.done >= self.steps

    def step(self) -> float:
        """Take one step, or stop before it; gives the loss before it."""
        settings = self.settings
        share = min(1.0, (self.steps - self.done) / max(1.0, settings.stage_two.lr_cooldown * self.steps))
        field = self.generator.fields(self.ws)[0]
        loss, reading = self.objective(field, self.cameras, self.random, self.done)
        if self._good_enough(reading):
            self._note(loss, reading)
            self.stopped = True
            return self.losses[-1]
        total = loss
        if settings.stage_two.locality.weight:
            total = total + settings.stage_two.locality.weight * self.locality(field, self.random)
        if settings.stage_two.growth_weight:
            total = total + settings.stage_two.growth_weight * self.missing(field, self.random)
        if self.implied is not None:
            total = total + settings.stage_two.mirror_weight * self.implied(field, self.random)
        if settings.stage_two.locality.image_weight and self.done % max(1, settings.stage_two.locality.interval) == 0:
            total = total + settings.stage_two.locality.image_weight * self._image_locality()
        self.optimizer.zero_grad()
        torch.autograd.backward(total)
        check_gradients(self.generator.named_parameters(), "stage two", self.done + 1)
        self.optimizer.step(share)
        self._note(loss, reading)
        self.done += 1
        self._average()
        return self.losses[-1]

    def _chosen(self, generator: Generator) -> list[torch.nn.Parameter]:
        """Give the parameters that are tuned, of this generator or a copy of it."""
        every = dict(generator.named_parameters())
        return [every[name] for name in self.names]

    def _note(self, loss: Tensor, reading: dict[str, float]) -> None:
        """Keep what a step has read."""
        self.losses.append(float(loss.detach()))
        self.errors.append(reading["mse"])
        self.perceptual.append(reading["perceptual"])

    @torch.no_grad()
    def _average(self) -> None:
        """Let the newest weights into the average: its share is that of t^p among 1, 2^p ... t^p, all but exactly.

        Shamir & Zhang, "Stochastic gradient descent for non-smooth optimization", ICML 2013.
        """
        power = self.settings.stage_two.average
        share = (power + 1) / (power + self.done) if power else 1.0
        for average, parameter in zip(self.averages, self._chosen(self.generator), strict=True):
            average.lerp_(parameter, share)

    def _image_locality(self) -> Tensor:
        """The published locality, averaged over the samples of a step."""
        losses = [
            image_locality(
                self.before,
                self.generator,
                nearby_latent(self.before, self.ws, self.class_index, self.settings, self.random, self.camera_cond),
                self.cameras[0],
                self.objective,
            )
            for _ in range(self.settings.stage_two.locality.samples)
        ]
        return torch.stack(losses).mean()

    def _good_enough(self, reading: dict[str, float]) -> bool:
        """Whether the photo is explained, with what this step has read."""
        settings, errors = self.settings, [*self.errors[1 - _WINDOW :], reading["mse"]]
        feels = self.objective.distance is not None and settings.stage_two.stop_perceptual > 0
        if feels and reading["perceptual"] <= settings.stage_two.stop_perceptual:
            return True
        if not settings.stage_two.stop_psnr or len(errors) < _WINDOW:
            return False
        mean = sum(errors) / _WINDOW
        return -10 * math.log10(max(mean, 1e-12)) >= settings.stage_two.stop_psnr

    def tuned(self) -> Generator:
        """The generator so far, with the averages of its weights and without gradients."""
        tuned = _laid_out(copy.deepcopy(self.generator).requires_grad_(False), torch.contiguous_format)
        for parameter, average in zip(self._chosen(tuned), self.averages, strict=True):
            parameter.copy_(average)
        return tuned

    def state(self) -> dict[str, Any]:
        """Give everything that the next step depends on: tensors, numbers and lists."""
        return {
            "done": self.done,
            "losses": list(self.losses),
            "errors": list(self.errors),
            "felt": list(self.perceptual),
            "stopped": self.stopped,
            "weights": {name: value.detach().clone() for name, value in self.generator.named_parameters()},
            "averages": [one.clone() for one in self.averages],
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.done, self.stopped = state["done"], state["stopped"]
        self.losses, self.errors, self.perceptual = list(state["losses"]), list(state["errors"]), list(state["felt"])
        for name, value in self.generator.named_parameters():
            value.copy_(state["weights"][name])
        for average, stored in zip(self.averages, state["averages"], strict=True):
            average.copy_(stored)
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])


def _laid_out(generator: Generator, memory_format: torch.memory_format) -> Generator:
    """The same generator, its convolutions' kernels in another order in memory."""
    for parameter in generator.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    return generator
