"""What EpiGRAF and 3DGP share: mapping by class and camera angles, StyleGAN2 planes, a decoder, script conventions.

Skorokhodov et al., "EpiGRAF: Rethinking training of 3D GANs" (2022) and "3D generation on ImageNet" (2023).
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.conventions import YawZero
from gen3d_tools.cameras.poses import pose_of
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import NoiseMode, PlaneConfig
from gen3d_tools.generators.families.triplane import TriplaneGenerator, split_planes
from gen3d_tools.generators.latents import truncate
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, SynthesisNetwork
from gen3d_tools.generators.settings import ModelSettings

CLASS_MEAN_SAMPLES = 256
CLASS_MEAN_SEED = 42
"""The scripts truncate towards the mean of this many samples of a class; the seed is the one they set."""


class PlaneSynthesis(nn.Module):
    """Planes and the decoder that reads them."""

    def __init__(self, config: PlaneConfig, decoder: PlaneDecoder, *, more_channels: int = 0) -> None:
        super().__init__()
        self.tri_plane_decoder = SynthesisNetwork(
            w_dim=config.w_dim,
            resolution=config.plane_resolution,
            image_channels=3 * config.plane_channels + more_channels,
            channel_base=config.channel_base,
            channel_max=config.channel_max,
            use_noise=config.use_noise,
            conv_clamp=config.conv_clamp,
        )
        self.tri_plane_mlp = decoder


class PlaneGenerator(TriplaneGenerator):
    """Base of EpiGRAF and 3DGP."""

    config: PlaneConfig
    config_type: ClassVar[type[PlaneConfig]]
    yaw_zero: ClassVar[YawZero]  # see `Pose`
    synthesis: PlaneSynthesis

    def __init__(self, config: Any, settings: ModelSettings) -> None:
        super().__init__(config, settings)
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

    def mapped(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
        camera_cond: Float[Tensor, "b 25"] | None,
    ) -> tuple[Float[Tensor, "b #num_ws w_dim"], Float[Tensor, "... w_dim"]]:
        """Ask the mapping network. The mean is that of all classes, as in the published network.

        `latents` pulls towards that of the class, as the published scripts do.
        """
        angles = None
        if camera_cond is not None:
            angles = pose_of(Camera.from_eg3d_label(camera_cond), yaw_zero=self.yaw_zero).angles
        return self.mapping(z, self._label(len(z), class_onehot, angles))[:, None], self.mapping.w_avg

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
        w = self.mapping(z, self._label(len(z), self.checked_classes(class_onehot), angles))
        return self.truncated(w[:, None], self.mapping.w_avg, truncation_psi, truncation_cutoff)

    def _label(
        self, count: int, class_onehot: Float[Tensor, "b classes"] | None, angles: Float[Tensor, "b 3"] | None
    ) -> Float[Tensor, "b label_dim"] | None:
        """What the mapping network reads: the class, then yaw and pitch as shares of a turn."""
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
        w_avg = torch.stack([means[index] for index in indices])[:, None]
        return truncate(ws, w_avg, truncation_psi, truncation_cutoff)

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
        image = self.synthesize(ws, dtype=dtype, noise_mode=noise_mode, generator=generator)
        return split_planes(image[:, : 3 * self.config.plane_channels])

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
            outside="empty" if self.config.bounded else "decode",
            density_activation=self.density_activation,
            density_shift=self.config.density_shift,
            iso_level=self.settings.iso_level,
        )

    @property
    def density_activation(self) -> DensityActivation:
        """From raw density to density."""
        return "softplus"
