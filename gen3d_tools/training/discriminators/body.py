"""StyleGAN2's residual discriminator: blocks that halve, then an epilogue at 4 x 4 (Karras et al. 2020, section 4).

The names of the parameters are those of the published state dicts.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.generators.networks.layers import FullyConnected
from gen3d_tools.generators.networks.precision import half_precision
from gen3d_tools.training.discriminators.layers import Convolution
from gen3d_tools.training.patches import Grouping

_HALF_POWER = math.sqrt(0.5)


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """Sizes that all discriminators share."""

    image_channels: int = 3
    channel_base: int = 32768
    channel_max: int = 512
    clamp: float | None = None  # of convolutions' outputs; networks trained in float16 have 256
    group: int = 4  # samples that a minibatch statistic is taken over
    grouping: Grouping = "strided"
    half_blocks: int = 0  # from the front, in half precision where the device computes in it

    def channels(self, side: int) -> int:
        """Channels of the feature maps of a side."""
        return max(1, min(self.channel_base // side, self.channel_max))


class ResidualBlock(nn.Module):
    """Two convolutions beside a linear one; the first block of a body reads the image.

    Args:
        config: Sizes.
        side: Virtual side of the block's picture, pixels: that of a picture of which the finest patch is a part.
        index: Number of blocks in front of it.
        down: 2 halves the size.
        modulation: See `Convolution`.
    """

    def __init__(self, config: BodyConfig, side: int, *, index: int, down: int, modulation: int = 0) -> None:
        super().__init__()
        first, self.in_half, self.clamped = index == 0, index < config.half_blocks, config.clamp is not None
        inside, outside = config.channels(side), config.channels(side // 2)
        self.fromrgb = Convolution(config.image_channels, inside, 1, clamp=config.clamp) if first else None
        self.conv0 = Convolution(inside, inside, 3, clamp=config.clamp)
        self.conv1 = Convolution(
            inside, outside, 3, down=down, gain=_HALF_POWER, clamp=config.clamp, modulation=modulation
        )
        self.skip = Convolution(inside, outside, 1, bias=False, activation="linear", down=down, gain=_HALF_POWER)

    def forward(
        self, x: Float[Tensor, "b channels h w"], vector: Float[Tensor, "b modulation"] | None = None
    ) -> Float[Tensor, "b channels2 h2 w2"]:
        """Apply the block: maps and kernels may be of half precision, parameters are float32."""
        x = x.to(half_precision(x.device, clamped=self.clamped) if self.in_half else torch.float32)
        if self.fromrgb is not None:
            x = self.fromrgb(x.contiguous(memory_format=torch.channels_last))  # a fifth faster on CPUs
        shortcut: Tensor = self.skip(x)
        result: Tensor = shortcut + self.conv1(self.conv0(x), vector)
        return result


def freeze_first(network: nn.Module, count: int) -> None:
    """Make buffers of the first layers' parameters: they keep values and names (freeze-D, Mo et al. 2020).

    Args:
        network: A discriminator with blocks b64, b32, ...
        count: Layers, block by block in the order fromrgb, conv0, conv1, skip.

    Raises:
        InputError: There are fewer.
    """
    blocks = [block for block in network.modules() if isinstance(block, ResidualBlock)]
    layers = [layer for block in blocks for layer in (block.fromrgb, block.conv0, block.conv1, block.skip)]
    present = [layer for layer in layers if layer is not None]
    if count > len(present):
        raise InputError(f"discriminator.frozen is {count}, there are {len(present)} layers before the last ones")
    for layer in present[:count]:
        for module in layer.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach())


class Epilogue(nn.Module):
    """Minibatch statistics, a convolution, and two linear layers at 4 x 4.

    Args:
        config: Sizes.
        label_width: Width of the vector that conditional logits are projected on (Miyato and Koyama 2018); 0 = none.
        feature_dim: Width of the predicted features of a distilled network (3DGP, section 3.3); 0 = none.
    """

    def __init__(self, config: BodyConfig, label_width: int, feature_dim: int = 0) -> None:
        super().__init__()
        channels = config.channels(4)
        self.group, self.grouping = config.group, config.grouping
        self.conv = Convolution(channels + (config.group > 1), channels, 3, clamp=config.clamp)
        self.fc = FullyConnected(16 * channels, channels, activation="lrelu")
        self.out = FullyConnected(channels, label_width or 1)
        self.feat_out = None
        if feature_dim:
            hidden = FullyConnected(16 * channels, channels, activation="lrelu")
            self.feat_out = nn.Sequential(hidden, FullyConnected(channels, feature_dim))

    def forward(
        self, x: Float[Tensor, "b channels 4 4"], label: Float[Tensor, "b width"] | None
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "b flat"]]:
        """Give the logits, and what `features` reads: float32 from here on."""
        x = x.float()
        if self.group > 1:
            x = torch.cat([x, minibatch_deviation(x, self.group, self.grouping)], 1)
        flat = self.conv(x).flatten(1)
        y = self.out(self.fc(flat))
        logits = y[:, 0] if label is None else (y * label).sum(1) / math.sqrt(label.shape[1])
        return logits, flat

    def features(self, flat: Float[Tensor, "b flat"]) -> Float[Tensor, "b features"]:
        """Predict the features of a distilled network.

        Raises:
            InputError: The discriminator was made without `feature_dim`.
        """
        if self.feat_out is None:
            raise InputError("this discriminator predicts no features; give it a feature_dim")
        predicted: Tensor = self.feat_out(flat)
        return predicted


def minibatch_deviation(
    x: Float[Tensor, "b channels h w"], group: int, grouping: Grouping = "strided"
) -> Float[Tensor, "b 1 h w"]:
    """Mean standard deviation within groups of samples, as one channel (Karras et al. 2018, section 3).

    Sample i belongs to group i mod (b / group) where groups are strided, to group i div group where they are of
    neighbours. Samples that share a patch are neighbours: what they differ by is what was generated, and not the place.

    Args:
        x: Feature maps.
        group: Samples in a group; all of them where there are fewer.
        grouping: Which samples are compared.

    Raises:
        InputError: The samples cannot be shared out in groups.
    """
    count, _, height, width = x.shape
    group = min(group, count)
    if count % group:
        raise InputError(f"{count} samples cannot be shared out in groups of {group}; change the batch size")
    strided = grouping == "strided"
    grouped = x.reshape(group, count // group, -1) if strided else x.reshape(count // group, group, -1).transpose(0, 1)
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean(-1)
    spread = deviation.repeat(group) if strided else deviation.repeat_interleave(group)
    return spread[:, None, None, None].expand(-1, 1, height, width)
