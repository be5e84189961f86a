"""The geometry-aware generator of Shen & Wang: class-conditional tri-planes without camera conditioning.

"Geometry aware 3D generation from in-the-wild images in ImageNet" (arXiv 2402.00225, 2024). No code and no
weights were published, so the family is built from the paper's description.

From the paper: StyleGAN2 synthesis blocks that double the resolution, each followed by one block of
the same structure that does not (figure 2); a decoder deeper than EG3D's; cameras uniform on a sphere.
Not in the paper and chosen here: every size and rate, the label embedding, no super-resolution.
"""

from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import GeometryAwareConfig
from gen3d_tools.generators.families.triplane import TriplaneGenerator
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.layers import constant
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, SynthesisNetwork, truncate
from gen3d_tools.generators.settings import ModelSettings


class Backbone(nn.Module):
    """Mapping and synthesis network; the synthesised "image" is the three planes side by side."""

    def __init__(self, mapping: MappingNetwork, synthesis: SynthesisNetwork) -> None:
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis


def build_backbone(config: GeometryAwareConfig) -> Backbone:
    """Build the mapping and synthesis networks, freshly initialised.

    The torgb layers of the extra blocks start at zero, so that training starts as plain EG3D.
    """
    mapping = MappingNetwork(
        z_dim=config.z_dim,
        label_dim=config.num_classes,
        w_dim=config.w_dim,
        num_layers=config.mapping_layers,
        embed_dim=config.embed_dim,
        lr_multiplier=config.mapping_lr_multiplier,
        num_averages=config.num_classes,
    )
    synthesis = SynthesisNetwork(
        w_dim=config.w_dim,
        resolution=config.plane_resolution,
        image_channels=3 * config.plane_channels,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        extra_blocks=config.extra_blocks,
        use_noise=config.use_noise,
    )
    for name, _, block in synthesis.blocks():
        if name.startswith("x"):
            block.torgb.weight = nn.Parameter(constant(*block.torgb.weight.shape))
    return Backbone(mapping, synthesis)


def build_decoder(config: GeometryAwareConfig) -> Decoder:
    """Build the decoder, freshly initialised."""
    return Decoder(
        config.plane_channels,
        config.decoder_hidden,
        3,
        lr_multiplier=config.decoder_lr_multiplier,
        density_gain=config.density_gain,
    )


class GeometryAwareGenerator(TriplaneGenerator):
    """Class-conditional tri-plane generator without camera conditioning and super-resolution."""

    family: ClassVar[str] = "geometry_aware"
    config: GeometryAwareConfig
    config_type: ClassVar[type[GeometryAwareConfig]] = GeometryAwareConfig

    def __init__(self, config: GeometryAwareConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        if len(settings.class_names) != config.num_classes:
            names, classes = len(settings.class_names), config.num_classes
            raise CheckpointError(f"class_names holds {names} names, the network has {classes} classes")
        self.backbone = build_backbone(config)
        self.decoder = build_decoder(config)

    @property
    def num_ws(self) -> int:
        """4 L for L resolutions: 2 L - 1 convolutions, 2 L in the extra blocks, and the last torgb."""
        return int(self.backbone.synthesis.num_ws)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices of the planes' network; see `Generator.style_weights`."""
        return self.backbone.synthesis.style_weights()

    def map(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
        camera_cond: Float[Tensor, "b 25"] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map latents. Truncation pulls towards the class's own mean; the camera plays no part."""
        mapping = self.backbone.mapping
        if (class_onehot is None) == bool(self.config.num_classes):
            raise InputError(f"this generator has {self.config.num_classes} classes, class_onehot must match that")
        ws = mapping(z, class_onehot)[:, None].expand(-1, self.num_ws, -1)
        w_avg = mapping.w_avg if class_onehot is None else class_onehot @ mapping.w_avg
        return truncate(ws, w_avg, truncation_psi, truncation_cutoff)

    def planes(
        self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b 3 channels h w"]:
        """Synthesise the tri-planes with constant noise."""
        image = self.backbone.synthesis(ws, dtype=dtype)
        planes: Tensor = rearrange(image, "b (plane c) h w -> b plane c h w", plane=3)
        return planes

    def field(self, planes: Float[Tensor, "3 channels h w"]) -> TriplaneField:
        """Wrap one sample's planes and the decoder into a radiance field."""
        return TriplaneField(
            planes=planes,
            decoder=self.decoder,
            render_config=self.settings.render_config,
            box_side=self.config.box_side,
            plane_axes=self.config.plane_axes,
            align_corners=self.config.align_corners,
            outside="empty" if self.config.bounded else "decode",
            density_shift=self.config.density_shift,
            iso_level=self.settings.iso_level,
        )
