"""VolumeGAN: a feature volume read by a modulated network, feature rays, and a 2-D network that makes the picture.

Xu et al., "3D-aware Image Synthesis via Learning Structural and Textural Representations" (2022).

The first row of `ws` styles the volume and the first layer at points, the next rows the further layers, the rest the
2-D network. Modules have the names of the published state dict.
"""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.fields.volume import Bounds, PositionalEncoding, VolumeField, within_bounds
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.configs import VolumeGANConfig
from gen3d_tools.generators.networks.volumegan.feature_volume import FeatureVolume, PointMLP
from gen3d_tools.generators.networks.volumegan.neural_renderer import NeuralRenderer, SampleNeuralRenderer
from gen3d_tools.generators.networks.volumegan.scaled_layers import ScaledLinear, WeightScale
from gen3d_tools.generators.settings import ModelSettings

MAX_RESOLUTION = 2048
"""Larger pictures, maps and volumes are a broken file."""
MAX_VOLUME = 256


def bounds_of(config: VolumeGANConfig) -> Bounds:
    """The volume's corners."""
    a, b, c, d, e, f = config.volume_bounds
    return (a, b, c), (d, e, f)


def encoding_of(config: VolumeGANConfig) -> PositionalEncoding:
    """Of the points."""
    return PositionalEncoding.spaced(
        config.posenc_count,
        config.posenc_max_log2,
        logarithmic=config.posenc_logarithmic,
        include_input=config.posenc_include_input,
    )


def _check(config: VolumeGANConfig) -> None:
    """Refuse sizes that make no network.

    Raises:
        ValueError: One of them does not fit.
    """
    ratio = config.resolution / config.render_resolution if config.render_resolution else 0
    if not (ratio >= 1 and math.log2(ratio).is_integer() and config.resolution <= MAX_RESOLUTION):
        raise ValueError(
            f"a picture of {config.resolution} pixels cannot be grown from {config.render_resolution} rays by doubling"
        )
    if not (2 <= config.volume_resolution <= MAX_VOLUME):
        raise ValueError(f"the volume has {config.volume_resolution} voxels a side, it must be 2 to {MAX_VOLUME}")
    if config.mapping_layers < 1:
        raise ValueError("mapping_layers is 0, it must be at least 1")
    if len(config.volume_bounds) != 6 or not within_bounds(bounds_of(config)):
        raise ValueError(f"volume_bounds are {config.volume_bounds}, not two corners, the lower first")
    if not (config.box_side > 0 and config.point_layers > 0 and min(config.renderer_channels) > 0 and config.eps > 0):
        raise ValueError("box_side, eps, layers and channels must be above 0")
    if config.feature_channels < 3 or not 0 <= config.level < len(config.renderer_channels):
        raise ValueError(f"feature_channels {config.feature_channels} or level {config.level} is out of range")
    lowest = min(config.mapping_lr_multiplier, config.embed_lr_multiplier, config.renderer_lr_multiplier)
    if not (lowest > 0 and abs(config.posenc_max_log2) <= 30 and config.posenc_count <= 64):
        raise ValueError("a learning rate or the positional encoding is out of range")


class VolumeGANMapping(nn.Module):
    """From `z` (and a class) to `w`, or to one `w` per row."""

    def __init__(self, config: VolumeGANConfig) -> None:
        super().__init__()
        self.config = config
        scale = WeightScale(config.mapping_scaled, config.mapping_gain, config.mapping_lr_multiplier)
        inputs = config.z_dim
        self.embedding: ScaledLinear | None = None
        if config.num_classes:
            embed = WeightScale(config.embed_scaled, config.embed_gain, config.embed_lr_multiplier)
            self.embedding = ScaledLinear(config.num_classes, config.embed_dim, scale=embed, bias=config.embed_bias)
            inputs += config.embed_dim
        outputs = config.w_dim if config.shared_w else config.num_ws * config.w_dim
        widths = [inputs, *[config.mapping_width] * (config.mapping_layers - 1), outputs]
        for i, (before, after) in enumerate(pairwise(widths)):
            self.add_module(f"dense{i}", ScaledLinear(before, after, activation="lrelu", scale=scale))

    def forward(
        self, z: Float[Tensor, "b z_dim"], class_onehot: Float[Tensor, "b classes"] | None
    ) -> Float[Tensor, "b outputs"]:
        """Map latents.

        Raises:
            InputError: The network has classes and none are given.
        """
        config, x = self.config, z.float()
        if config.normalize_z:
            x = _normalized(x, config.eps)
        if self.embedding is not None:
            assert class_onehot is not None  # `Generator.map` asks for it
            embedded = self.embedding(class_onehot.float())
            x = torch.cat([x, _normalized(embedded, config.eps) if config.normalize_embedding else embedded], -1)
            if config.normalize_embedded_z:
                x = _normalized(x, config.eps)
        for i in range(config.mapping_layers):
            x = self.get_submodule(f"dense{i}")(x)
        return x


def _normalized(x: Float[Tensor, "b n"], eps: float) -> Float[Tensor, "b n"]:
    """Scale each vector to unit root mean square."""
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt()


class VolumeGANGenerator(Generator):
    """VolumeGAN with its 2-D network."""

    family: ClassVar[str] = "volumegan"
    config: VolumeGANConfig
    config_type: ClassVar[type[VolumeGANConfig]] = VolumeGANConfig
    w_avg: Tensor

    def __init__(self, config: VolumeGANConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        _check(config)
        rows = 1 if config.shared_w else config.num_ws
        self.register_buffer("w_avg", torch.zeros(rows * config.w_dim))
        self.mapping = VolumeGANMapping(config)
        self.nerfmlp = build_point_network(config)
        self.synthesis = build_renderer(config)

    @property
    def num_ws(self) -> int:
        """One latent per layer at points, then those of the 2-D network."""
        return self.config.num_ws

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices of the volume, of the layers at points, and of the 2-D network."""
        return [*self.nerfmlp.style_weights(), *self.synthesis.style_weights()]

    @property
    def shared_w(self) -> bool:
        """Whether the published option `repeat_w` is on."""
        return self.config.shared_w

    @property
    def image_resolution(self) -> int:
        """Side of the pictures that the 2-D network gives."""
        return self.config.resolution

    def mapped(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
        camera_cond: Float[Tensor, "b 25"] | None,
    ) -> tuple[Float[Tensor, "b #num_ws w_dim"], Float[Tensor, "... w_dim"]]:
        """Ask the mapping network; it has no place for a camera."""
        if camera_cond is not None:
            raise InputError("this generator is not conditioned on a camera; leave camera_cond out")
        w: Tensor = self.mapping(z, class_onehot).reshape(len(z), -1, self.config.w_dim)
        return w, self.w_avg.reshape(-1, self.config.w_dim)

    def truncated(
        self,
        w: Float[Tensor, "b #num_ws w_dim"],
        w_avg: Float[Tensor, "... w_dim"],
        psi: float,
        cutoff: int | None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Truncate as the published code does, where a psi above 1 changes nothing.

        Its `trunc_layers=None` truncates no row at all. Here None is every row, as in all families: a psi without a
        cutoff would otherwise do nothing. 0 is the cutoff that leaves all rows as they are.
        """
        return super().truncated(w, w_avg, min(psi, 1.0), cutoff)

    def volume(
        self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b channels d h w"]:
        """Grow the feature volumes. Deterministic; follows autograd.

        Args:
            ws: One latent per layer.
            dtype: Of the convolutions.
        """
        grown: Tensor = self.nerfmlp.fv(ws[:, 0], dtype)
        return grown

    def field(
        self,
        volume: Float[Tensor, "channels d h w"],
        ws: Float[Tensor, "num_ws w_dim"],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> VolumeField:
        """Wrap one sample's volume, the network that reads it and the 2-D network into a radiance field.

        Args:
            volume: What `volume` gave.
            ws: The sample's latents.
            dtype: Of the 2-D network's convolutions.
        """
        config, points = self.config, self.config.point_layers
        head = self.synthesis.rgb_init_res
        return VolumeField(
            volume=volume,
            bounds=bounds_of(config),
            encoding=encoding_of(config),
            network=self.nerfmlp.fold(ws[:points], None if head is None else head.used()),
            render_config=self.settings.render_config,
            box_side=config.box_side,
            density_activation=config.density_activation,
            density_shift=config.density_shift,
            iso_level=self.settings.iso_level,
            super_resolution=SampleNeuralRenderer(
                network=self.synthesis,
                ws=ws[points:],
                render_resolution=config.render_resolution,
                first_feature=0 if head is None else 3,
                dtype=dtype,
            ),
        )

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[VolumeField]:
        """Grow each sample's volume and fold its network once, and give them as fields with their 2-D network."""
        return [self.field(self.volume(one[None], dtype=dtype)[0], one, dtype=dtype) for one in ws]


def build_point_network(config: VolumeGANConfig) -> PointMLP:
    """Build the feature volume and the network that reads it, freshly initialised."""
    volume = FeatureVolume(
        w_dim=config.w_dim,
        resolution=config.volume_resolution,
        start_resolution=config.volume_start,
        base_channels=config.volume_base_channels,
        channels=config.volume_channels,
    )
    return PointMLP(
        volume,
        encoded=encoding_of(config).size,
        w_dim=config.w_dim,
        layers=config.point_layers,
        width=config.point_width,
        channels=config.feature_channels,
        activation=config.point_activation,
    )


def build_renderer(config: VolumeGANConfig) -> NeuralRenderer:
    """Build the 2-D network, freshly initialised."""
    return NeuralRenderer(
        config.renderer_channels,
        resolution=config.render_resolution,
        w_dim=config.w_dim,
        scale=WeightScale(config.renderer_scaled, config.renderer_gain, config.renderer_lr_multiplier),
        demodulate=config.demodulate,
        noise=config.noise,
        eps=config.eps,
        clamp=config.conv_clamp,
        first_image=config.first_image,
        final_tanh=config.final_tanh,
        level=config.level,
    )
