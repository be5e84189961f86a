"""Geometric transformations as one warp without aliasing (Karras et al. 2020, ADA, appendix B)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.training.draws import Draws

Matrices = Float[Tensor, "b 3 3"]

# The wavelet sym6 (Daubechies 1992, "least asymmetric", 6 vanishing moments).
_SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_PAD = len(_SYM6) // 4
_SHIFT, _SCALE = 0.125, 0.2


def random_warp(count: int, width: int, height: int, strength: float, mirror: bool, draws: Draws) -> Matrices:
    """Draw maps from pixels of the result to pixels of the input, both from the image's centre.

    Args:
        count: Samples.
        width: Pixels.
        height: Pixels.
        strength: Probability of each transformation.
        mirror: Whether pictures are mirrored too.
        draws: Random numbers.
    """

    def sometimes(value: Tensor, otherwise: float, probability: float = strength) -> Tensor:
        return torch.where(draws.uniform(count) < probability, value, torch.full_like(value, otherwise))

    def normal() -> Tensor:
        return draws.normal(count)

    def turn() -> Tensor:
        return (draws.uniform(count) * 2 - 1) * math.pi

    def shift(by: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        happens = _SHIFT * sometimes(torch.ones(count), 0.0)  # or not, along both axes: it is one transformation
        return happens * by[0], happens * by[1]

    ones = torch.ones(count)
    flip = sometimes((draws.uniform(count) * 2).floor(), 0.0, strength if mirror else 0.0)
    warp = _scales(1 - 2 * flip, ones)
    quarter = sometimes((draws.uniform(count) * 4).floor(), 0.0)
    warp = warp @ _rotations(math.pi / 2 * quarter)
    across, down = shift((draws.uniform(count) * 2 - 1, draws.uniform(count) * 2 - 1))
    warp = warp @ _shifts(-(across * width).round(), -(down * height).round())
    scale = sometimes(torch.exp2(_SCALE * normal()), 1.0)
    warp = warp @ _scales(1 / scale, 1 / scale)
    each_turn = 1 - math.sqrt(max(0.0, 1 - min(strength, 1.0)))  # so that both rotations together have the strength
    warp = warp @ _rotations(sometimes(turn(), 0.0, each_turn))
    stretch = sometimes(torch.exp2(_SCALE * normal()), 1.0)
    warp = warp @ _scales(1 / stretch, stretch)
    warp = warp @ _rotations(sometimes(turn(), 0.0, each_turn))
    across, down = shift((normal(), normal()))
    return warp @ _shifts(-across * width, -down * height)


def warped(images: Float[Tensor, "b channels h w"], warp: Matrices) -> Float[Tensor, "b channels h w"]:
    """Apply maps to images: enlarged twofold by a wavelet filter, sampled, shrunk again; reflected at the border."""
    count, channels, height, width = images.shape
    left, top, right, bottom = _margins(warp, width, height)
    images = F.pad(images, (left, right, top, bottom), mode="reflect")
    warp = _shifts(*_constant(count, (left - right) / 2, (top - bottom) / 2)).to(warp) @ warp
    taps = images.new_tensor(_SYM6) / sum(_SYM6)
    images = _enlarged(images, taps)
    double, half = (_scales(*_constant(count, by, by)).to(warp) for by in (2.0, 0.5))
    into, back = (_shifts(*_constant(count, by, by)).to(warp) for by in (-0.5, 0.5))
    warp = into @ (double @ warp @ half) @ back
    across, down = 2 * (width + 2 * _PAD), 2 * (height + 2 * _PAD)
    unit = _scales(*_constant(count, 2 / images.shape[3], 2 / images.shape[2])).to(warp)
    pixels = _scales(*_constant(count, across / 2, down / 2)).to(warp)
    grid = F.affine_grid((unit @ warp @ pixels)[:, :2], [count, channels, down, across], align_corners=False)
    sampled = F.grid_sample(images, grid.to(images), mode="bilinear", padding_mode="zeros", align_corners=False)
    return _shrunk(sampled, taps)


def _margins(warp: Matrices, width: int, height: int) -> tuple[int, int, int, int]:
    """Pixels needed beyond the left, upper, right and lower border."""
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = warp.new_tensor([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
    reached = (warp @ corners.T)[:, :2]
    lowest, highest = reached.amin((0, 2)), reached.amax((0, 2))
    needed = torch.cat([-lowest, highest]) + 2 * _PAD - warp.new_tensor([x, y, x, y])
    limits = warp.new_tensor([width - 1, height - 1, width - 1, height - 1])
    left, top, right, bottom = needed.clamp_min(0).minimum(limits).ceil().int().tolist()
    return left, top, right, bottom


def _enlarged(images: Tensor, taps: Tensor) -> Tensor:
    channels, size = images.shape[1], len(taps)
    spread = images.new_zeros(len(images), channels, 2 * images.shape[2], 2 * images.shape[3])
    spread[:, :, ::2, ::2] = images
    along = (2 * taps.flip(0)).expand(channels, 1, 1, -1)
    before, after = (size + 1) // 2, (size - 2) // 2
    spread = F.conv2d(F.pad(spread, (before, after, before, after)), along, groups=channels)
    return F.conv2d(spread, along.transpose(2, 3), groups=channels)


def _shrunk(images: Tensor, taps: Tensor) -> Tensor:
    channels = images.shape[1]
    along = taps.expand(channels, 1, 1, -1)
    images = F.conv2d(images[:, :, 1:-1, 1:-1], along, stride=(1, 2), groups=channels)
    return F.conv2d(images, along.transpose(2, 3), stride=(2, 1), groups=channels)


def _constant(count: int, x: float, y: float) -> tuple[Tensor, Tensor]:
    return torch.full((count,), x), torch.full((count,), y)


def _matrices(rows: list[list[Tensor]]) -> Matrices:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _shifts(x: Tensor, y: Tensor) -> Matrices:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _scales(x: Tensor, y: Tensor) -> Matrices:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrices([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _rotations(angle: Tensor) -> Matrices:
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    return _matrices([[angle.cos(), angle.sin(), zero], [-angle.sin(), angle.cos(), zero], [zero, zero, one]])
