"""EG3D: StyleGAN2 planes conditioned on a camera, a small decoder, volume rendering, super-resolution.

Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (2022).
"""

from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import EG3DConfig, NoiseMode
from gen3d_tools.generators.families.geometry_aware import Backbone
from gen3d_tools.generators.families.triplane import TriplaneGenerator
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, SynthesisNetwork, truncate
from gen3d_tools.generators.networks.superresolution import SampleSuperResolution, SuperResolutionNetwork
from gen3d_tools.generators.settings import ModelSettings

DENSITY_SHIFT = -1.0
"""EG3D's density is softplus(raw - 1), so that a fresh network is nearly empty (mip-NeRF)."""

MAX_RENDER_RESOLUTION = 1024
"""More rays along a side than this are a broken file."""


class EG3DGenerator(TriplaneGenerator):
    """EG3D with its super-resolution."""

    family: ClassVar[str] = "eg3d"
    config: EG3DConfig
    config_type: ClassVar[type[EG3DConfig]] = EG3DConfig

    def __init__(self, config: EG3DConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        if settings.class_names:
            raise CheckpointError(
                f"an EG3D generator has no classes, but class_names holds {len(settings.class_names)}"
            )
        if not (config.box_side > 0 and 1 <= config.render_resolution <= MAX_RENDER_RESOLUTION):
            found = f"box_side={config.box_side:g} and render_resolution={config.render_resolution}"
            raise CheckpointError(f"need box_side > 0 and 1 to {MAX_RENDER_RESOLUTION} rays a side, got {found}")
        self.backbone = build_backbone(config)
        self.superresolution = SuperResolutionNetwork(
            config.super_resolution,
            in_channels=config.feature_channels,
            w_dim=config.w_dim,
            antialias=config.super_resolution_antialias,
            clamped=config.super_resolution_clamped,
        )
        self.decoder = Decoder(
            config.plane_channels,
            [config.decoder_width],
            config.feature_channels,
            lr_multiplier=config.decoder_lr_multiplier,
        )

    @property
    def num_ws(self) -> int:
        """2 log2(R) - 2 for planes of resolution R."""
        return int(self.backbone.synthesis.num_ws)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices of the planes' network; the super-resolution reads the last row too."""
        read = self.backbone.synthesis.style_weights()
        read[-1] += self.superresolution.style_weights()
        return read

    @property
    def image_resolution(self) -> int:
        """Side of the pictures the super-resolution gives."""
        return self.superresolution.variant.resolution

    def map(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
        camera_cond: Float[Tensor, "b 25"] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map latents; without `camera_cond` they are conditioned on the default camera, as EG3D's scripts do."""
        if class_onehot is not None:
            raise InputError("this generator has no classes; leave class_onehot out")
        mapping = self.backbone.mapping
        w = mapping(z, self._label(len(z), camera_cond))
        return truncate(w[:, None].expand(-1, self.num_ws, -1), mapping.w_avg, truncation_psi, truncation_cutoff)

    def _label(self, count: int, camera_cond: Float[Tensor, "b 25"] | None) -> Float[Tensor, "b 25"] | None:
        """What the mapping network reads of the camera."""
        if not self.config.camera_dim:
            return None
        if camera_cond is None:
            camera_cond = self.settings.default_view.mean().to(self.device).to_eg3d_label().expand(count, -1)
        return camera_cond * self.config.camera_scale

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
            noise_mode: EG3D's image script draws "random" noise, its video script uses the constant one.
            generator: Source of "random" noise.
        """
        image = self.backbone.synthesis(ws, dtype=dtype, noise_mode=noise_mode, generator=generator)
        planes: Tensor = rearrange(image, "b (plane c) h w -> b plane c h w", plane=3)
        return planes

    def field(
        self,
        planes: Float[Tensor, "3 channels h w"],
        w: Float[Tensor, " w_dim"] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> TriplaneField:
        """Wrap one sample's planes and the decoder into a radiance field.

        Args:
            planes: What `planes` gave.
            w: The last row of the sample's `ws`, which the super-resolution reads; without it the field has none.
            dtype: Of the super-resolution's convolutions.
        """
        return TriplaneField(
            planes=planes,
            decoder=self.decoder,
            render_config=self.settings.render_config,
            box_side=self.config.box_side,
            plane_axes=self.config.plane_axes,
            align_corners=False,
            density_shift=DENSITY_SHIFT,
            density_noise=self.config.density_noise,
            iso_level=self.settings.iso_level,
            super_resolution=None if w is None else self._super_resolution(w, dtype),
        )

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Compute each sample's planes once and give them as fields with their super-resolution."""
        return [self.field(self.planes(one[None], dtype=dtype)[0], one[-1], dtype=dtype) for one in ws]

    def _super_resolution(self, w: Float[Tensor, " w_dim"], dtype: torch.dtype) -> SampleSuperResolution:
        return SampleSuperResolution(
            network=self.superresolution,
            w=w,
            render_resolution=self.config.render_resolution,
            noise_mode=self.config.super_resolution_noise,
            dtype=dtype,
        )


def build_backbone(config: EG3DConfig) -> Backbone:
    """Build the mapping and synthesis networks, freshly initialised."""
    mapping = MappingNetwork(
        z_dim=config.z_dim,
        label_dim=config.camera_dim,
        w_dim=config.w_dim,
        num_layers=config.mapping_layers,
        embed_dim=config.embed_dim,
        layer_dim=config.mapping_width,
        lr_multiplier=config.mapping_lr_multiplier,
    )
    synthesis = SynthesisNetwork(
        w_dim=config.w_dim,
        resolution=config.plane_resolution,
        image_channels=3 * config.plane_channels,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        use_noise=config.use_noise,
        conv_clamp=config.conv_clamp,
    )
    return Backbone(mapping, synthesis)
