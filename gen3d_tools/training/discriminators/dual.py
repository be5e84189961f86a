"""EG3D's dual discriminator: the final picture and the rendered one beside it (section 4.3), and a plain one.

Seeing both, it notices a super-resolution that does not agree with the rendering.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.training.discriminators.body import BodyConfig, Epilogue, ResidualBlock
from gen3d_tools.training.discriminators.layers import LabelMapping

MAPPING_LAYERS = 8

Filtering = Literal["antialiased", "none", "classic"] | float


class ImageDiscriminator(nn.Module):
    """Judges whole pictures.

    Args:
        config: Sizes.
        resolution: Pixels along a side, a power of two.
        label_dim: Classes, or camera numbers; 0 = unconditional.
    """

    def __init__(self, config: BodyConfig, *, resolution: int, label_dim: int = 0) -> None:
        super().__init__()
        if resolution < 8 or resolution & (resolution - 1):
            raise InputError(f"a discriminator needs pictures with a side of a power of two from 8, got {resolution}")
        self.label_dim = label_dim
        self.sides = [resolution >> index for index in range(int(math.log2(resolution)) - 2)]
        for index, r in enumerate(self.sides):
            self.add_module(f"b{r}", ResidualBlock(config, r, index=index, down=2))
        width = config.channels(4)
        self.mapping = LabelMapping(label_dim, width, MAPPING_LAYERS) if label_dim else None
        self.b4 = Epilogue(config, width if label_dim else 0)

    def forward(
        self, images: Float[Tensor, "b channels r r"], label: Float[Tensor, "b label_dim"] | None = None
    ) -> Float[Tensor, " b"]:
        """Give the logits of pictures in [-1, 1]."""
        x = images
        for r in self.sides:
            x = self.get_submodule(f"b{r}")(x)
        logits: Tensor = self.b4(x, None if self.mapping is None else self.mapping(label))[0]
        return logits


class DualDiscriminator(ImageDiscriminator):
    """Judges a picture together with what the rays alone saw; `config.image_channels` is 6."""

    def judge(
        self,
        images: Float[Tensor, "b 3 r r"],
        raw_images: Float[Tensor, "b 3 n n"],
        label: Float[Tensor, "b label_dim"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Give the logits.

        Args:
            images: Final pictures in [-1, 1].
            raw_images: What the rays saw, in [-1, 1].
            label: Conditioning, such as 25 camera numbers.
        """
        logits: Tensor = self(torch.cat([images, resized(raw_images, images.shape[-1])], 1), label)
        return logits


def resized(images: Float[Tensor, "b channels n n"], side: int) -> Float[Tensor, "b channels {side} {side}"]:
    """Interpolate bilinearly between pixel centres, low-passed where it shrinks."""
    return F.interpolate(images, (side, side), mode="bilinear", align_corners=False, antialias=True)


def raw_of_real(
    images: Float[Tensor, "b channels r r"], side: int, filtering: Filtering = "antialiased"
) -> Float[Tensor, "b channels {side} {side}"]:
    """Make the small picture of a real one, as the rays would see it.

    Args:
        images: Real pictures.
        side: Rays along a side.
        filtering: "antialiased"; "none" interpolates without a filter; a number blends them, 1 being antialiased;
            "classic" filters by enlarging and shrinking with [1, 3, 3, 1].
    """
    if filtering == "antialiased":
        return resized(images, side)
    sharp = {"mode": "bilinear", "align_corners": False}
    if filtering == "classic":
        return _halved(F.interpolate(_doubled(images), (2 * side + 2, 2 * side + 2), **sharp))  # type: ignore[arg-type]
    plain: Tensor = F.interpolate(images, (side, side), **sharp)  # type: ignore[arg-type]
    return plain if filtering == "none" else plain.lerp(resized(images, side), float(filtering))


def _doubled(images: Tensor) -> Tensor:
    """Zeros between the pixels, then the low-pass filter."""
    channels, height, width = images.shape[1:]
    spread = images.new_zeros(len(images), channels, 2 * height, 2 * width)
    spread[:, :, ::2, ::2] = images
    taps = 4 * low_pass_filter(images.dtype, images.device)
    return F.conv2d(F.pad(spread, (2, 1, 2, 1)), taps.expand(channels, 1, 4, 4), groups=channels)


def _halved(images: Tensor) -> Tensor:
    """The low-pass filter without padding, then every second pixel."""
    taps = low_pass_filter(images.dtype, images.device)
    channels = images.shape[1]
    return F.conv2d(images, taps.expand(channels, 1, 4, 4), stride=2, groups=channels)
