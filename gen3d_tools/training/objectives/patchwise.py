"""EpiGRAF and 3DGP: a game of patches, with depth, distilled features and a learned camera distribution in 3DGP."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.distributions.priors import PosePrior
from gen3d_tools.errors import InputError
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.blurring import smoothed_depth
from gen3d_tools.training.discriminators.patch import PatchDiscriminator
from gen3d_tools.training.draws import Draws, rolled_rows
from gen3d_tools.training.losses.adversarial import fake_loss, generator_loss, real_loss
from gen3d_tools.training.losses.cameras import CameraWeights, earth_movers, force_mean, slope_terms
from gen3d_tools.training.losses.distillation import distillation_distance, sample_weights
from gen3d_tools.training.losses.gradient_penalty import r1_penalty
from gen3d_tools.training.objectives.base import (
    Conditions,
    Objective,
    Phase,
    RealBatch,
    Stats,
    signs,
    track_w,
)
from gen3d_tools.training.patches import PatchConfig, Patches, crop_patches
from gen3d_tools.training.recipes.sections import CamerasSection, DiscriminatorSection, LossSection
from gen3d_tools.training.schedules import blur_sigma, linear, swap_probability
from gen3d_tools.training.synthesis import planes
from gen3d_tools.training.synthesis.fakes import Fakes, Request
from gen3d_tools.training.synthesis.rendering import RaySampling


class PatchObjective(Objective):
    """The phases Gall, Dmain and Dreg.

    Args:
        generator: EpiGRAF or 3DGP.
        discriminator: Of patches.
        losses: The loss section of a recipe; `r1_gamma` as a number.
        cameras: Its camera section.
        judged: Its discriminator section.
        patches: How patches are drawn.
        augmentation: Of the discriminator's inputs; None for none.
        sampling: See `render_pixels`.
    """

    generator: PlaneGenerator
    discriminator: PatchDiscriminator

    def __init__(
        self,
        generator: PlaneGenerator,
        discriminator: PatchDiscriminator,
        losses: LossSection,
        cameras: CamerasSection,
        *,
        judged: DiscriminatorSection,
        patches: PatchConfig,
        augmentation: Augmentation | None = None,
        sampling: RaySampling = "fast",
    ) -> None:
        super().__init__(generator, discriminator, losses, cameras)
        self.judged, self.patches, self.augmentation, self.sampling = judged, patches, augmentation, sampling

    def schedule(self) -> tuple[Phase, ...]:
        """G first, then D; the penalty has a phase of its own."""
        phases = (Phase("Gall", "G"), Phase("Dmain", "D"))
        return (*phases, Phase("Dreg", "D", self.losses.r1_every)) if self.losses.r1_gamma else phases

    def request(self, draws: Draws, count: int, conditions: Conditions, kimg: float) -> Request:
        """Latents, classes of random entries, and cameras of the prior or of the same entries."""
        z = draws.latents(count, self.generator.config.z_dim)
        entries = draws.entries(count, conditions.count)
        if self.judged.grouping == "neighbours":
            entries = conditions.side_by_side(entries)
        poses = draws.poses(self.prior, count)
        if self.cameras.source == "labels":
            assert conditions.angles is not None
            parameters = poses.parameters.clone()
            parameters[:, :3] = conditions.angles[torch.from_numpy(entries)]
            poses = type(poses).from_parameters(parameters, poses.yaw_zero)
        told = None
        if self.generator.config.camera_conditioned:
            probability = swap_probability(kimg, self.cameras.swap_final, self.cameras.swap_kimg)
            told = rolled_rows(poses.angles, draws.uniform(count), probability)
        mixed = self.losses.style_mixing and float(draws.uniform(1)) < self.losses.style_mixing
        return Request(
            z,
            conditions.onehots(entries),
            poses=poses,
            told_angles=told,
            later_z=draws.latents(count, self.generator.config.z_dim) if mixed else None,
            later_from=int(draws.classes(1, self.generator.num_ws - 1)) + 1 if mixed else 0,
        )

    @property
    def prior(self) -> PosePrior:
        """Where cameras are assumed to be."""
        prior = self.generator.settings.camera_distribution
        if not isinstance(prior, PosePrior):
            raise InputError(f'patch-wise training needs cameras of kind "{PosePrior.kind}", got "{prior.kind}"')
        return prior

    def loss(
        self, phase: str, real: RealBatch, request: Request, draws: Draws, kimg: float
    ) -> tuple[Float[Tensor, ""], Stats]:
        """See `Objective.loss`."""
        if phase == "Gall":
            return self._generator_loss(request, draws, kimg)
        return self._main_loss(real, request, draws, kimg) if phase == "Dmain" else self._penalty(real, draws, kimg)

    def _generator_loss(self, request: Request, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        made, patches = self._fakes(request, draws, kimg, with_opaque=self.losses.sparsity_weight > 0)
        self.keep(draws, (request, made.detached(), patches))
        logits = self._judged(made.images, patches, request.class_onehot, made.angles, draws, kimg)
        adversarial = generator_loss(logits, self.losses.adversarial)
        extra, stats = self._camera_terms(draws, kimg)
        if made.opaque is not None:
            stats["loss/sparsity"] = self.losses.sparsity_weight * made.opaque
            extra = extra + stats["loss/sparsity"].mean()
        return adversarial.mean() + extra, {"scores/fake": logits, "loss/G": adversarial, **stats}

    def _main_loss(self, real: RealBatch, request: Request, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        with torch.no_grad():
            request, made, patches = self.kept_or(draws, lambda: (request, *self._fakes(request, draws, kimg)))
            assert made.ws is not None
            track_w(self.generator.mapping.w_avg, made.ws[:, 0], request.class_onehot)
        fake_logits = self._judged(made.images, patches, request.class_onehot, made.angles, draws, kimg)
        images, patches = self._real_patches(real, draws, kimg)
        limit, kind = self.losses.logit_limit, self.losses.adversarial
        weight = self.losses.distillation_weight * linear(kimg, 1.0, 0.0, self.losses.distillation_kimg)
        seen, told = self._filtered(images, draws, kimg), self._told(real.angles, draws)
        distilled: dict[str, Tensor] = {}
        if weight and real.features is not None:
            real_logits, predicted = self.discriminator.with_features(seen, patches, real.class_onehot, *told)
            distance = distillation_distance(predicted, real.features, self.losses.distillation)
            distilled["loss/distillation"] = distance * sample_weights(patches.scales) * weight
        else:
            real_logits = self.discriminator(seen, patches, real.class_onehot, *told)
        of_fakes, of_reals = fake_loss(fake_logits, kind, limit), real_loss(real_logits, kind, limit)
        loss = of_fakes.mean() + of_reals.mean() + sum(term.mean() for term in distilled.values())
        stats = {
            "scores/fake": fake_logits,
            "scores/real": real_logits,
            "signs/real": signs(real_logits),
            "loss/D": of_fakes + of_reals,
        }
        return loss, {**stats, **distilled}

    def _penalty(self, real: RealBatch, draws: Draws, kimg: float) -> tuple[Tensor, Stats]:
        images, patches = self._real_patches(real, draws, kimg)
        images = images.requires_grad_()
        seen = self._filtered(images, draws, kimg)
        logits = self.discriminator(seen, patches, real.class_onehot, *self._told(real.angles, draws))
        penalty = r1_penalty(logits, [images])
        assert not isinstance(self.losses.r1_gamma, str)
        stats = {"signs/real": signs(logits), "loss/r1": penalty}
        return penalty.mean() * (self.losses.r1_gamma / 2), stats

    def _fakes(
        self, request: Request, draws: Draws, kimg: float, *, with_opaque: bool = False
    ) -> tuple[Fakes, Patches]:
        patches = draws.patches(self.patches, len(request), self.judged.group, kimg).to(request.z.device)
        noise = self.losses.density_noise * linear(kimg, 1.0, 0.0, self.losses.density_noise_kimg)
        made = planes.fakes(
            self.generator,
            request,
            patches,
            self.patches.side,
            draws,
            kimg=kimg,
            depth_kimg=self.cameras.depth_kimg,
            density_noise=noise,
            prior_share=self.cameras.prior_share,
            with_opaque=with_opaque,
            sampling=self.sampling,
        )
        return made, patches

    def _real_patches(self, real: RealBatch, draws: Draws, kimg: float) -> tuple[Tensor, Patches]:
        patches = draws.patches(self.patches, len(real), self.judged.group, kimg).to(real.images.device)
        images = real.images if real.depth is None else torch.cat([real.images, real.depth], 1)
        return crop_patches(images, patches, self.patches.side), patches

    def _filtered(self, images: Tensor, draws: Draws, kimg: float) -> Tensor:
        """What the discriminator sees of a patch: blurred, and augmented."""
        sigma = blur_sigma(kimg, self.losses.blur_sigma, self.losses.blur_kimg)
        images = smoothed_depth(self.blur(images, kimg), sigma)
        return images if self.augmentation is None else self.augmentation(images, draws)

    def _judged(
        self,
        images: Tensor,
        patches: Patches,
        class_onehot: Tensor | None,
        angles: Tensor | None,
        draws: Draws,
        kimg: float,
    ) -> Tensor:
        seen, told = self._filtered(images, draws, kimg), self._told(angles, draws)
        logits: Tensor = self.discriminator(seen, patches, class_onehot, *told)
        return logits

    def _told(self, angles: Tensor | None, draws: Draws) -> tuple[Tensor | None, torch.Generator | None]:
        """What the discriminator is told of cameras, with noise, and what chooses the features it does without."""
        if angles is None or not self.judged.camera_conditioned:
            return angles, None
        if self.judged.camera_noise:
            noise = draws.normal(*angles.shape).to(angles.device)
            angles = angles + self.judged.camera_noise * noise * angles.std(0, unbiased=False)
        return angles, draws.noise_for(angles.device) if self.judged.camera_dropout else None

    def _camera_terms(self, draws: Draws, kimg: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Regularisers of the camera generator; each draws cameras, latents and classes of its own."""
        generator, section = self.generator, self.cameras
        total = generator.mapping.w_avg.new_zeros(())
        if not isinstance(generator, ThreeDGPGenerator) or generator.synthesis.camera_adaptor is None:
            return total, {}
        stats: dict[str, Tensor] = {}
        annealed = linear(kimg, 0.0, 1.0, section.emd_kimg)
        if section.emd and annealed:
            prior, posterior = self._moved(generator, draws, section.emd_samples)
            weights = CameraWeights(
                angles=section.emd_angles,
                radius=section.emd_radius,
                fov=section.emd_fov,
                look_at=section.emd_look_at,
            )
            stats["cameras/emd"] = annealed * weights.total(earth_movers(posterior, prior))
        if section.force_mean:
            _, posterior = self._moved(generator, draws, section.force_mean_samples)
            mean = self.prior.mean_pose().angles.to(posterior)
            stats["cameras/force_mean"] = section.force_mean * force_mean(posterior, mean)
        if section.slope:
            prior, posterior = self._moved(generator, draws, section.slope_samples, differentiable=True)
            weights = CameraWeights(
                angles=section.slope_angles,
                radius=section.slope_radius,
                fov=section.slope_fov,
                look_at=section.slope_look_at,
            )
            stats["cameras/slope"] = weights.total(slope_terms(posterior, prior))
        for term in stats.values():
            total = total + term
        return total, stats

    def _moved(
        self, generator: ThreeDGPGenerator, draws: Draws, count: int, *, differentiable: bool = False
    ) -> tuple[Float[Tensor, "n 8"], Float[Tensor, "n 8"]]:
        """Prior cameras, and what the camera generator makes of them for random latents and classes."""
        prior, z, onehot = self.camera_samples(draws, count)
        device = generator.device
        prior, z, onehot = prior.to(device), z.to(device), None if onehot is None else onehot.to(device)
        if differentiable:
            prior = prior.detach().requires_grad_()
        adaptor = generator.synthesis.camera_adaptor
        assert adaptor is not None
        return prior, adaptor(prior, z, onehot)

    def camera_samples(self, draws: Draws, count: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Prior cameras [count, 8], latents, and classes that are all equally likely."""
        config = self.generator.config
        poses = draws.poses(self.prior, count).parameters
        z = draws.latents(count, config.z_dim)
        classes = config.num_classes
        onehot = torch.nn.functional.one_hot(draws.classes(count, classes), classes).float() if classes else None
        return poses, z, onehot

    def current(self, kimg: float) -> dict[str, float]:
        """What the schedules say now."""
        patches = self.patches
        now = patches.beta(kimg) if patches.distribution == "beta" else patches.least(kimg)
        noise = self.losses.density_noise * linear(kimg, 1.0, 0.0, self.losses.density_noise_kimg)
        return {**super().current(kimg), "patches": now, "density_noise": noise}
