"""What EpiGRAF and 3DGP share: mapping by class and camera angles, StyleGAN2 planes, a decoder, script conventions.

Skorokhodov et al., "EpiGRAF: Rethinking training of 3D GANs" (2022) and "3D generation on ImageNet" (2023).
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.conventions import YawZero
from gen3d_tools.cameras.poses import pose_of
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import NoiseMode, PlaneConfig
from gen3d_tools.generators.families.triplane import TriplaneGenerator
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, SynthesisNetwork, truncate
from gen3d_tools.generators.settings import ModelSettings

CLASS_MEAN_SAMPLES = 256
CLASS_MEAN_SEED = 42
"""The scripts truncate towards the mean of this many samples of a class; the seed is the one they set."""


class PlaneSynthesis(nn.Module):
    """Planes and the decoder that reads them."""

    def __init__(self, tri_plane_decoder: SynthesisNetwork, tri_plane_mlp: PlaneDecoder) -> None:
        super().__init__()
        self.tri_plane_decoder = tri_plane_decoder
        self.tri_plane_mlp = tri_plane_mlp


class PlaneGenerator(TriplaneGenerator):
    """Base of EpiGRAF and 3DGP."""

    config: PlaneConfig
    config_type: ClassVar[type[PlaneConfig]]
    yaw_zero: ClassVar[YawZero]  # see `Pose`
    synthesis: PlaneSynthesis

    def __init__(self, config: Any, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        if len(settings.class_names) != config.num_classes:
            names, classes = len(settings.class_names), config.num_classes
            raise CheckpointError(f"class_names holds {names} names, the network has {classes} classes")
        if len(config.mean_camera) < 2:
            raise CheckpointError(f"mean_camera needs yaw and pitch, got {len(config.mean_camera)} number")
        self.mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=config.num_classes + 2 * config.camera_conditioned,
            w_dim=config.w_dim,
            num_layers=config.mapping_layers,
        )
        self.synthesis = self.build_synthesis(config)

    @abstractmethod
    def build_synthesis(self, config: Any) -> PlaneSynthesis:
        """Build everything behind the mapping network, freshly initialised."""

    @property
    def num_ws(self) -> int:
        """2 log2(R) - 2 for planes of resolution R."""
        return int(self.synthesis.tri_plane_decoder.num_ws)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices of the planes' network; see `Generator.style_weights`."""
        return self.synthesis.tri_plane_decoder.style_weights()

    @property
    def image_resolution(self) -> int:
        """Side of the pictures it was trained for."""
        return self.config.image_resolution

    @property
    def super_resolves(self) -> bool:
        """Rays go through every pixel, whatever the size."""
        return False

    def map(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
        camera_cond: Float[Tensor, "b 25"] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map latents; truncation pulls towards the mean of all classes, as the published network does.

        `latents` pulls towards that of the class, as the published scripts do.
        """
        angles = None
        if camera_cond is not None:
            angles = pose_of(Camera.from_eg3d_label(camera_cond), yaw_zero=self.yaw_zero).angles
        return self.map_angles(z, class_onehot, angles, truncation_psi, truncation_cutoff)

    def map_angles(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
        angles: Float[Tensor, "b 3"] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map latents like `map`, with the camera as the family's own yaw, pitch and roll in radians.

        Without angles, a generator that is conditioned on them takes those of its mean camera.
        """
        w = self.mapping(z, self._label(len(z), class_onehot, angles))
        ws = w[:, None].expand(-1, self.num_ws, -1)
        return truncate(ws, self.mapping.w_avg, truncation_psi, truncation_cutoff)

    def _label(
        self, count: int, class_onehot: Float[Tensor, "b classes"] | None, angles: Float[Tensor, "b 3"] | None
    ) -> Float[Tensor, "b label_dim"] | None:
        """What the mapping network reads: the class, then yaw and pitch as shares of a turn."""
        if (class_onehot is None) == bool(self.config.num_classes):
            raise InputError(f"this generator has {self.config.num_classes} classes, class_onehot must match that")
        parts = [] if class_onehot is None else [class_onehot]
        if self.config.camera_conditioned:
            if angles is None:
                angles = self.mapping.w_avg.new_tensor(self.config.mean_camera[:2]).expand(count, -1)
            seen = angles[:, :2]
            parts.append(seen.sign() * (seen.abs() % (2 * math.pi)) / (2 * math.pi))
        return torch.cat(parts, -1) if parts else None

    def latents(
        self,
        seeds: Sequence[int],
        classes: Sequence[str | int] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map seeds to latents; truncation pulls towards the mean of each sample's class, as the scripts do."""
        ws = super().latents(seeds, classes)
        if truncation_psi == 1 or not self.config.num_classes:
            return truncate(ws, self.mapping.w_avg, truncation_psi, truncation_cutoff)
        indices = self.class_indices(seeds, classes)
        means = {index: self.class_mean(index) for index in sorted(set(indices))}
        return truncate(ws, torch.stack([means[index] for index in indices]), truncation_psi, truncation_cutoff)

    def class_mean(self, index: int) -> Float[Tensor, " w_dim"]:
        """The mean of `w` over `CLASS_MEAN_SAMPLES` random samples of a class, always the same ones."""
        random = torch.Generator().manual_seed(CLASS_MEAN_SEED)
        z = torch.randn(CLASS_MEAN_SAMPLES, self.config.z_dim, generator=random).to(self.device)
        onehot = torch.zeros(self.config.num_classes, device=self.device)
        onehot[index] = 1.0
        mean: Tensor = self.map(z, onehot.expand(len(z), -1))[:, 0].mean(0)
        return mean

    def planes(
        self,
        ws: Float[Tensor, "b num_ws w_dim"],
        *,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 channels h w"]:
        """Synthesise the tri-planes.

        Args:
            ws: One latent per layer.
            dtype: Of the convolutions.
            noise_mode: The scripts use the constant noise.
            generator: Source of "random" noise.
        """
        return self.split_planes(self.synthesize(ws, dtype=dtype, noise_mode=noise_mode, generator=generator))

    def synthesize(
        self,
        ws: Float[Tensor, "b num_ws w_dim"],
        *,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b channels h w"]:
        """Run the backbone: the planes side by side in the channels, and what a family adds to them."""
        backbone = self.synthesis.tri_plane_decoder
        rows = ws[:, : backbone.num_ws]
        image: Tensor = backbone(rows, dtype=dtype, noise_mode=noise_mode, generator=generator)
        return image

    def split_planes(self, image: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b 3 c h w"]:
        """Take the planes out of the backbone's channels."""
        planes: Tensor = rearrange(
            image[:, : 3 * self.config.plane_channels], "b (plane c) h w -> b plane c h w", plane=3
        )
        return planes

    def field(self, planes: Float[Tensor, "3 channels h w"]) -> TriplaneField:
        """Wrap one sample's planes and the decoder into a radiance field, without a backdrop."""
        decoder = self.synthesis.tri_plane_mlp
        return TriplaneField(
            planes=planes,
            decoder=decoder,
            decoder_reads=decoder.reads,
            render_config=self.settings.render_config,
            box_side=self.config.box_side,
            plane_axes="xy-xz-yz",
            align_corners=True,
            density_activation=self.density_activation,
            density_shift=self.config.density_shift,
            iso_level=self.settings.iso_level,
        )

    @property
    def density_activation(self) -> DensityActivation:
        """From raw density to density."""
        return "softplus"
