"""EG3D: whole pictures beside their renderings, cameras from labels, and a density regulariser of its own phase."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import EG3DConfig
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.discriminators.dual import DualDiscriminator, raw_of_real, resized
from gen3d_tools.training.draws import Draws, swapped_labels
from gen3d_tools.training.losses.adversarial import fake_loss, generator_loss, real_loss
from gen3d_tools.training.losses.density import density_loss
from gen3d_tools.training.losses.gradient_penalty import r1_penalty
from gen3d_tools.training.objectives.base import Conditions, Objective, Phase, RealBatch, Stats, signs, track_w
from gen3d_tools.training.recipes.sections import CamerasSection, LossSection
from gen3d_tools.training.schedules import rendering_resolution, swap_probability
from gen3d_tools.training.synthesis import dual
from gen3d_tools.training.synthesis.fakes import Fakes, Request
from gen3d_tools.training.synthesis.rendering import RaySampling


class DualObjective(Objective):
    """The phases Gmain, Greg, Dmain and Dreg.

    Args:
        generator: EG3D.
        discriminator: Of pictures and renderings.
        losses: The loss section of a recipe; `r1_gamma` as a number.
        cameras: Its camera section.
        augmentation: Of the discriminator's inputs; None for none.
        sampling: See `render_pixels`.
    """

    generator: EG3DGenerator
    discriminator: DualDiscriminator

    def __init__(
        self,
        generator: EG3DGenerator,
        discriminator: DualDiscriminator,
        losses: LossSection,
        cameras: CamerasSection,
        *,
        augmentation: Augmentation | None = None,
        sampling: RaySampling = "fast",
    ) -> None:
        super().__init__(generator, discriminator, losses, cameras)
        self.augmentation, self.sampling = augmentation, sampling

    def schedule(self) -> tuple[Phase, ...]:
        """G and its regulariser, then D and its own."""
        phases = [Phase("Gmain", "G")]
        if self.losses.density_weight:
            phases.append(Phase("Greg", "G", self.losses.density_every))
        phases.append(Phase("Dmain", "D"))
        if self.losses.r1_gamma:
            phases.append(Phase("Dreg", "D", self.losses.r1_every))
        return tuple(phases)

    def request(self, draws: Draws, count: int, conditions: Conditions, kimg: float) -> Request:
        """Latents, and cameras of random entries or of the generator's distribution."""
        z = draws.latents(count, self.generator.config.z_dim)
        entries = draws.entries(count, conditions.count)
        if self.cameras.source == "labels" and conditions.labels is not None:
            return Request(z, labels=conditions.labels[torch.from_numpy(entries)])
        seeds = [int(seed) for seed in draws.numbers.randint(2**31, size=count)]
        return Request(
            z, labels=self.generator.settings.camera_distribution.sample(count, seeds).to_eg3d_label().float()
        )

    def loss(
        self, phase: str, real: RealBatch, request: Request, draws: Draws, kimg: float
    ) -> tuple[Float[Tensor, ""], Stats]:
        """See `Objective.loss`."""
        if phase == "Gmain":
            made = self._fakes(request, draws, kimg)
            self.keep(draws, (request, made.detached()))
            logits = self._judged(made, request.labels, draws, kimg)
            loss = generator_loss(logits, self.losses.adversarial)
            return loss.mean(), {"scores/fake": logits, "loss/G": loss}
        if phase == "Greg":
            return self._density_loss(request, draws, kimg)
        return self._main_loss(real, request, draws, kimg) if phase == "Dmain" else self._penalty(real, draws, kimg)

    def render_side(self, kimg: float) -> int:
        """Rays along a side of a rendering by now (EG3D, section 4.3)."""
        start, final = self.losses.render_start, self.generator.config.render_resolution
        return final if start is None else rendering_resolution(kimg, start, final, self.losses.render_kimg)

    def grown(self, config: NetworkConfig, kimg: float) -> NetworkConfig:
        """See `Objective.grown`."""
        assert isinstance(config, EG3DConfig)
        return replace(config, render_resolution=self.render_side(kimg))

    def current(self, kimg: float) -> dict[str, float]:
        """What the schedules say now."""
        growing = {} if self.losses.render_start is None else {"render_resolution": float(self.render_side(kimg))}
        return {**super().current(kimg), **growing}

    def _told(self, labels: Tensor, uniform: Tensor, kimg: float) -> Tensor:
        """What the mapping network is told: now and then another sample's camera."""
        probability = swap_probability(kimg, self.cameras.swap_final, self.cameras.swap_kimg)
        return swapped_labels(labels, uniform.to(labels.device), probability)

    def _fakes(self, request: Request, draws: Draws, kimg: float) -> Fakes:
        assert request.labels is not None
        told = self._told(request.labels, draws.uniform(len(request)), kimg)
        return dual.fakes(self.generator, request, told, self.render_side(kimg), draws, sampling=self.sampling)

    def _density_loss(self, request: Request, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        """Draw planes with one decision for the whole batch, and compare densities nearby."""
        generator, count = self.generator, len(request)
        assert request.labels is not None
        told = self._told(request.labels, draws.uniform(1), kimg)
        ws = generator.map(request.z, None, told)
        planes = dual.planes_in_training(generator, ws, draws)
        fields = [generator.field(one) for one in planes]

        loss = density_loss(
            self.losses.density,
            lambda points: TriplaneField.raw_densities(fields, points),
            lambda n: draws.uniform(count, n, 3).to(ws.device),
            lambda n: draws.normal(count, n, 3).to(ws.device),
            weight=self.losses.density_weight,
            distance=self.losses.density_distance,
            box_side=generator.config.box_side,
        )
        return loss, {"loss/density": loss}

    def _main_loss(self, real: RealBatch, request: Request, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        with torch.no_grad():
            request, made = self.kept_or(draws, lambda: (request, self._fakes(request, draws, kimg)))
            assert made.ws is not None
            track_w(self.generator.backbone.mapping.w_avg, made.ws[:, 0], None)
        fake_logits = self._judged(made, request.labels, draws, kimg)
        images, raw = self._real_pair(real, kimg)
        real_logits = self._seen(self.blur(images, kimg), raw, real.labels, draws)
        kind = self.losses.adversarial
        of_fakes, of_reals = fake_loss(fake_logits, kind), real_loss(real_logits, kind)
        stats = {
            "scores/fake": fake_logits,
            "scores/real": real_logits,
            "signs/real": signs(real_logits),
            "loss/D": of_fakes + of_reals,
        }
        return of_fakes.mean() + of_reals.mean(), stats

    def _penalty(self, real: RealBatch, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        images, raw = (one.detach().requires_grad_() for one in self._real_pair(real, kimg))
        logits = self._seen(self.blur(images, kimg), raw, real.labels, draws)
        penalty = r1_penalty(logits, [images, raw])
        assert not isinstance(self.losses.r1_gamma, str)
        return penalty.mean() * (self.losses.r1_gamma / 2), {"signs/real": signs(logits), "loss/r1": penalty}

    def _real_pair(self, real: RealBatch, kimg: float) -> tuple[Tensor, Tensor]:
        """The picture, and what rays would see of it: with the blur's sigma in its own pixels, as published."""
        raw = raw_of_real(real.images, self.render_side(kimg))
        return real.images, self.blur(raw, kimg)

    def _judged(self, made: Fakes, labels: Tensor | None, draws: Draws, kimg: float) -> Tensor:
        """Logits of fakes: the picture is blurred, the rendering is not, as published."""
        assert made.raw_images is not None
        return self._seen(self.blur(made.images, kimg), made.raw_images, labels, draws)

    def _seen(self, images: Tensor, raw: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
        if self.augmentation is not None:
            pair = torch.cat([images, resized(raw, images.shape[-1])], 1)
            pair = self.augmentation(pair, draws)
            images, raw = pair[:, :3], resized(pair[:, 3:], raw.shape[-1])
        return self.discriminator.judge(images, raw, labels if self.discriminator.label_dim else None)
