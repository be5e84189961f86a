"""VolumeGAN's structure: a small 3-D network that grows a feature volume, and the network that reads it at points.

Xu et al., "3D-aware Image Synthesis via Learning Structural and Textural Representations" (2022), section 3.1.

Everything that depends on the latent alone is done once per sample: the volume, and the modulation of the point
network's layers, each of which is then a plain matrix (`fields.volume.PointNetwork`).
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.choices import HiddenActivation
from gen3d_tools.fields.volume import PointNetwork
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE
from gen3d_tools.generators.networks.volumegan.scaled_layers import ModulatedPixels, ScaledLinear

_EPSILON = 1e-8


def stage_channels(base: int, last: int, stages: int) -> list[int]:
    """Channels of each stage of the volume: halved from stage to stage, but never below the last."""
    channels = [base]
    while len(channels) < stages:
        channels.append(max(channels[-1] // 2, last))
    return channels


class FeatureVolume(nn.Module):
    """A learned constant, grown by 3x3x3 convolutions with adaptive instance normalisation (HoloGAN's blocks).

    Args:
        w_dim: Size of the latent that styles it.
        resolution: Voxels along each side.
        start_resolution: Voxels along each side of the constant.
        base_channels: Of the constant.
        channels: Of the result.
    """

    def __init__(
        self, *, w_dim: int, resolution: int, start_resolution: int, base_channels: int, channels: int
    ) -> None:
        super().__init__()
        stages = int(math.log2(resolution // max(start_resolution, 1))) + 1 if resolution >= start_resolution > 0 else 0
        if stages < 1 or start_resolution * 2 ** (stages - 1) != resolution:
            raise ValueError(f"a volume of {resolution} voxels cannot be grown from {start_resolution} by doubling")
        self.channels = stage_channels(base_channels, channels, stages)
        if self.channels[-1] != channels or min(self.channels) < 1:
            raise ValueError(f"{base_channels} channels do not become {channels} in {stages} stages")
        self.const = nn.Parameter(torch.randn(1, base_channels, *[start_resolution] * 3))
        for i, (before, after) in enumerate(zip([base_channels, *self.channels], self.channels, strict=False)):
            self.add_module(f"layer{i}", nn.Conv3d(before, after, 3, padding=1))
        self.mapping_network = nn.Linear(w_dim, 2 * sum(self.channels))

    def forward(
        self, w: Float[Tensor, "b w_dim"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b channels d h w"]:
        """Grow the volume of each latent; world x runs along the last axis, z along the first spatial one."""
        scales, shifts = (half.split(self.channels, -1) for half in self.mapping_network(w).chunk(2, -1))
        x = self.const.expand(len(w), -1, -1, -1, -1)
        for i, (scale, shift) in enumerate(zip(scales, shifts, strict=True)):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            layer = self.get_submodule(f"layer{i}")
            assert isinstance(layer, nn.Conv3d)
            assert layer.bias is not None
            y = F.conv3d(x.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype), padding=1).float()
            y = F.instance_norm(y, eps=_EPSILON)
            x = F.leaky_relu(y * scale[..., None, None, None] + shift[..., None, None, None], LRELU_SLOPE)
        return x


class PointMLP(nn.Module):
    """The volume, and modulated layers that turn a point's features and encoding into density and features.

    Args:
        volume: The feature volume.
        encoded: Numbers of the positional encoding of a point.
        w_dim: Size of `w`.
        layers: How many.
        width: Of the hidden layers.
        channels: Features given.
        activation: Of the hidden layers.
    """

    def __init__(
        self,
        volume: FeatureVolume,
        *,
        encoded: int,
        w_dim: int,
        layers: int,
        width: int,
        channels: int,
        activation: HiddenActivation,
    ) -> None:
        super().__init__()
        self.activation: HiddenActivation = activation
        self.fv = volume
        widths = [volume.channels[-1] + encoded, *[width] * layers]
        self.fg_mlps = nn.ModuleList(
            ModulatedPixels(inputs, outputs, w_dim=w_dim, activation=activation) for inputs, outputs in pairwise(widths)
        )
        self.fg_density = ScaledLinear(width, 1)
        self.fg_color = ScaledLinear(width, channels)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices that read each row; the volume reads the first one."""
        read: list[list[Tensor]] = []
        for layer in self.fg_mlps:
            assert isinstance(layer, ModulatedPixels)
            read.append([layer.style.used_weight()])
        read[0].append(self.fv.mapping_network.weight)
        return read

    def fold(self, ws: Float[Tensor, "layers w_dim"], color: tuple[Tensor, Tensor] | None = None) -> PointNetwork:
        """The network of one sample as plain matrices, its values mapped from nominally [-1, 1] to [0, 1].

        Args:
            ws: The sample's latents, one per layer.
            color: Weight [3, channels] and bias [3] of a linear layer from features to colour, whose result is put
                before the features; without it the first three features are the colour.
        """
        hidden = []
        for layer, w in zip(self.fg_mlps, ws, strict=True):
            assert isinstance(layer, ModulatedPixels)
            # The gain sqrt(2) behind the activation commutes with it.
            gain = 1.0 if self.activation == "linear" else LRELU_GAIN
            hidden.append((layer.folded_weight(w[None])[0] * gain, layer.bias * gain))
        head, bias = _used(self.fg_color)
        if color is not None:
            first, first_bias = color
            head, bias = torch.cat([first @ head, head]), torch.cat([first @ bias + first_bias, bias])
        density, density_bias = _used(self.fg_density)
        return PointNetwork(
            hidden=tuple(hidden),
            density=(density[0], density_bias[0]),
            head=(head / 2, (bias + 1) / 2),
            activation=self.activation,
        )


def _used(layer: ScaledLinear) -> tuple[Float[Tensor, "outputs inputs"], Float[Tensor, " outputs"]]:
    """The numbers that a linear layer multiplies and adds."""
    assert layer.bias is not None
    return layer.used_weight(), layer.bias * layer.scale.lr
