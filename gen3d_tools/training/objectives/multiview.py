"""Shen & Wang: several views of each object, no poses anywhere, EG3D's losses otherwise."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.discriminators.dual import ImageDiscriminator
from gen3d_tools.training.discriminators.multiview import packed, per_object, repeated_labels, view_major
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.losses.adversarial import fake_loss, generator_loss, real_loss
from gen3d_tools.training.losses.density import density_loss
from gen3d_tools.training.losses.gradient_penalty import r1_penalty
from gen3d_tools.training.objectives.base import Conditions, Objective, Phase, RealBatch, Stats, signs, track_w
from gen3d_tools.training.recipes.sections import CamerasSection, DiscriminatorSection, LossSection
from gen3d_tools.training.synthesis.fakes import Request
from gen3d_tools.training.synthesis.rendering import RaySampling
from gen3d_tools.training.synthesis.views import fields_of, views


class MultiviewObjective(Objective):
    """The phases Gmain, Greg, Dmain and Dreg with V views of each object.

    Args:
        generator: The geometry-aware generator.
        discriminator: Of whole pictures, told the class; 3 V image channels in the mode "pack".
        losses: The loss section of a recipe; `r1_gamma` as a number.
        cameras: Its camera section.
        judged: Its discriminator section: how many views, and how they are judged.
        resolution: Pixels along a side of the pictures.
        augmentation: Of the discriminator's inputs, the views of a packed object alike; None for none.
        sampling: See `render_pixels`.
    """

    generator: GeometryAwareGenerator
    discriminator: ImageDiscriminator

    def __init__(
        self,
        generator: GeometryAwareGenerator,
        discriminator: ImageDiscriminator,
        losses: LossSection,
        cameras: CamerasSection,
        *,
        judged: DiscriminatorSection,
        resolution: int,
        augmentation: Augmentation | None = None,
        sampling: RaySampling = "fast",
    ) -> None:
        super().__init__(generator, discriminator, losses, cameras)
        self.judged, self.resolution, self.sampling = judged, resolution, sampling
        self.augmentation = augmentation

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
        """Latents and classes of random entries; cameras are drawn with the views."""
        z = draws.latents(count, self.generator.config.z_dim)
        return Request(z, conditions.onehots(draws.entries(count, conditions.count)))

    def loss(
        self, phase: str, real: RealBatch, request: Request, draws: Draws, kimg: float
    ) -> tuple[Float[Tensor, ""], Stats]:
        """See `Objective.loss`."""
        if phase == "Greg":
            return self._density_loss(request, draws)
        if phase == "Dreg":
            return self._penalty(real, draws, kimg)
        if phase == "Gmain":
            seen, w = self._views(request, draws)
            self.keep(draws, (request, seen.detach(), w.detach()))
            logits = self._judged(seen, request.class_onehot, draws, kimg)
            loss = self._per_object(generator_loss(logits, self.losses.adversarial))
            return loss.mean(), {"scores/fake": logits, "loss/G": loss}
        with torch.no_grad():
            request, seen, w = self.kept_or(draws, lambda: (request, *self._views(request, draws)))
            track_w(self.generator.backbone.mapping.w_avg, w, request.class_onehot)
        fake_logits = self._judged(seen, request.class_onehot, draws, kimg)
        real_logits = self._logits(real.images, real.class_onehot, draws, kimg)
        kind = self.losses.adversarial
        of_fakes, of_reals = self._per_object(fake_loss(fake_logits, kind)), real_loss(real_logits, kind)
        stats = {
            "scores/fake": fake_logits,
            "scores/real": real_logits,
            "signs/real": signs(real_logits),
            "loss/D": of_fakes.mean() + of_reals,
        }
        return of_fakes.mean() + of_reals.mean(), stats

    def _views(self, request: Request, draws: Draws) -> tuple[Float[Tensor, "views b 3 n n"], Tensor]:
        generator, count = self.generator, len(request)
        distribution = generator.settings.camera_distribution
        cameras: list[Camera] = []
        for _ in range(self.judged.views):
            seeds = [int(seed) for seed in draws.numbers.randint(2**31, size=count)]
            camera = distribution.sample(count, seeds).to(generator.device)
            cameras.append(Camera(camera.cam2world.float(), camera.intrinsics.float()))
        ws = generator.map(request.z, request.class_onehot)
        return views(generator, ws, cameras, self.resolution, draws, sampling=self.sampling), ws[:, 0]

    def _judged(self, seen: Float[Tensor, "views b 3 n n"], onehot: Tensor | None, draws: Draws, kimg: float) -> Tensor:
        if self.judged.view_mode == "pack":
            return self._logits(packed(seen), onehot, draws, kimg)
        return self._logits(view_major(seen), repeated_labels(onehot, len(seen)), draws, kimg)

    def _per_object(self, losses: Tensor) -> Tensor:
        return losses if self.judged.view_mode == "pack" else per_object(losses, self.judged.views)

    def _logits(self, images: Tensor, onehot: Tensor | None, draws: Draws, kimg: float) -> Tensor:
        label = onehot if self.discriminator.label_dim else None
        images = self.blur(images, kimg)
        logits: Tensor = self.discriminator(
            images if self.augmentation is None else self.augmentation(images, draws), label
        )
        return logits

    def _penalty(self, real: RealBatch, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        images = real.images.detach().requires_grad_()
        logits = self._logits(images, real.class_onehot, draws, kimg)
        penalty = r1_penalty(logits, [images])
        assert not isinstance(self.losses.r1_gamma, str)
        return penalty.mean() * (self.losses.r1_gamma / 2), {"signs/real": signs(logits), "loss/r1": penalty}

    def _density_loss(self, request: Request, draws: Draws) -> tuple[Tensor, Stats]:
        """EG3D's regulariser, with points in the box."""
        generator, count = self.generator, len(request)
        fields = fields_of(generator, generator.map(request.z, request.class_onehot), draws)
        half = generator.config.box_side / 2

        loss = density_loss(
            self.losses.density,
            lambda points: TriplaneField.raw_densities(fields, half * points),
            lambda n: draws.uniform(count, n, 3).to(generator.device),
            lambda n: draws.normal(count, n, 3).to(generator.device),
            weight=self.losses.density_weight,
            distance=self.losses.density_distance / half,
            box_side=2.0,
        )
        return loss, {"loss/density": loss}
