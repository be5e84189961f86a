"""Patches: which part of a picture the discriminator sees (EpiGRAF, section 3.2).

A patch has a scale s, the share of the picture's side that it covers, and the offset of its lower left corner in
picture sides, x to the right and y *upwards*. Whatever it covers, it has the same number of pixels: a real patch is
sampled bilinearly, a fake one is rendered through exactly these pixels.

Scales are drawn from Beta(1, b) over [least, 1]: at first b is near 0 and nearly all patches are whole pictures; it
grows until most are small ("annealed beta sampling"). All samples of a minibatch-statistics group share one patch.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.training.schedules import linear

PatchDistribution = Literal["beta", "uniform", "discrete_uniform", "full"]
Grouping = Literal["strided", "neighbours"]
"""Which samples a minibatch statistic compares: every k-th, as published, or neighbours, which share a patch."""
_DISCRETE_LEAST = 0.25


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """How patches are drawn."""

    side: int = 64  # pixels along a side of every patch
    distribution: PatchDistribution = "beta"  # "full": always the whole picture
    least_scale: float = 0.25  # at least side / resolution, or a patch would show less than there is
    beta_start: float = 0.001
    beta_end: float = 0.8
    anneal_kimg: float = 10_000.0
    discrete_scales: int = 2  # evenly spaced from 0.25 to 1

    def __post_init__(self) -> None:
        if self.distribution not in get_args(PatchDistribution):
            known = ", ".join(get_args(PatchDistribution))
            raise InputError(f"patches.distribution is {self.distribution!r}, it must be one of {known}")
        if self.side < 4 or not 0 < self.least_scale <= 1 or not 0 < self.beta_start <= self.beta_end:
            found = f"side {self.side}, least_scale {self.least_scale}, beta {self.beta_start} to {self.beta_end}"
            raise InputError(
                f"patches need side >= 4, 0 < least_scale <= 1 and 0 < beta_start <= beta_end, got {found}"
            )

    def beta(self, kimg: float) -> float:
        """The second parameter of the Beta distribution."""
        return linear(kimg, self.beta_start, self.beta_end, self.anneal_kimg)

    def least(self, kimg: float) -> float:
        """The smallest scale of the uniform distributions."""
        return linear(kimg, 1.0, self.least_scale, self.anneal_kimg)


@dataclass(frozen=True, eq=False)
class Patches:
    """Where patches lie."""

    scales: Float[Tensor, "b 2"]
    """Share of the picture's side, the same along x and y."""
    offsets: Float[Tensor, "b 2"]
    """Lower left corner in picture sides: x to the right, y upwards."""

    def __len__(self) -> int:
        return len(self.scales)

    def to(self, device: torch.device) -> "Patches":
        """The same on another device."""
        return Patches(self.scales.to(device), self.offsets.to(device))

    @property
    def parameters(self) -> Float[Tensor, "b 3"]:
        """Scale and offsets: what the discriminator is told."""
        return torch.cat([self.scales[:, :1], self.offsets], -1)


def whole_pictures(count: int) -> Patches:
    """Patches that cover everything."""
    return Patches(torch.ones(count, 2), torch.zeros(count, 2))


def draw_patches(
    config: PatchConfig,
    count: int,
    group: int,
    kimg: float,
    numbers: np.random.RandomState,
    generator: torch.Generator,
) -> Patches:
    """Draw one patch per group of consecutive samples.

    Args:
        config: The distribution.
        count: Samples; a multiple of `group`.
        group: Samples that share a patch.
        kimg: Thousands of pictures seen.
        numbers: Source of the scales.
        generator: Source of the offsets.

    Raises:
        InputError: `count` is no multiple of `group`.
    """
    if count % group:
        raise InputError(f"{count} samples cannot be shared out in groups of {group}; change the batch size")
    if config.distribution == "full":
        return whole_pictures(count)
    groups = count // group
    scales = torch.from_numpy(_scales(config, groups, kimg, numbers)).float()[:, None].expand(-1, 2)
    offsets = torch.rand(groups, 2, generator=generator) * (1 - scales)
    return Patches(scales.repeat_interleave(group, 0), offsets.repeat_interleave(group, 0))


def _scales(config: PatchConfig, groups: int, kimg: float, numbers: np.random.RandomState) -> np.ndarray:
    if config.distribution == "beta":
        least = config.least_scale
        return np.asarray(least + (1 - least) * numbers.beta(1.0, config.beta(kimg), size=groups))
    least = config.least(kimg)
    if config.distribution == "uniform":
        return least + (1 - least) * numbers.rand(groups)
    support = np.linspace(_DISCRETE_LEAST, 1.0, config.discrete_scales)
    return numbers.choice(support[support >= least], size=groups)


def patch_coordinates(patches: Patches, side: int) -> Float[Tensor, "b side side 2"]:
    """Where the pixels of patches lie in their pictures as [-1, 1]^2, x to the right and y upwards.

    The outermost pixels lie on the patch's edges.
    """
    axis = torch.linspace(-1, 1, side, device=patches.scales.device)
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    grid = torch.stack([x, y], -1)
    return (grid + 1) * patches.scales[:, None, None] - 1 + 2 * patches.offsets[:, None, None]


def patch_pixels(patches: Patches, side: int) -> Float[Tensor, "b pixels 2"]:
    """The same in image sides from the upper left corner, y downwards: what `rays_through` takes."""
    coordinates = patch_coordinates(patches, side)
    x, y = coordinates.unbind(-1)
    return torch.stack([(x + 1) / 2, (1 - y) / 2], -1).flatten(1, 2)


@torch.no_grad()
def crop_patches(
    images: Float[Tensor, "b channels h w"], patches: Patches, side: int
) -> Float[Tensor, "b channels {side} {side}"]:
    """Take patches out of real pictures by bilinear point sampling, as renderings sample points too.

    Args:
        images: Colour, and depth where there is some.
        patches: Where.
        side: Pixels along a side of the result.
    """
    grid = patch_coordinates(patches, side) * images.new_tensor([1.0, -1.0])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
