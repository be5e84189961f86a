"""Fourier features of coordinates (NeRF, section 5.1), with the frequencies of EpiGRAF."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fourier_frequencies(period: float) -> Float[Tensor, " n"]:
    """Angular frequencies `pi 2^k / 2^n` for k = 0 .. n - 1, n = ceil(log2(period))."""
    count = math.ceil(math.log2(period))
    return math.pi * 2.0 ** torch.arange(count) / 2.0**count


def fourier_width(period: float, *, cosines: bool = True, raw: bool = False) -> int:
    """Features per coordinate."""
    return math.ceil(math.log2(period)) * (2 if cosines else 1) + raw


def fourier_features(
    coordinates: Float[Tensor, "*points d"], period: float, *, cosines: bool = True, raw: bool = False
) -> Float[Tensor, "*points features"]:
    """Encode coordinates, all features of the first before those of the second.

    Args:
        coordinates: Nominally in [-1, 1].
        period: Multiplies the coordinates; `ceil(log2(period))` frequencies follow from it.
        cosines: Give the cosines after the sines.
        raw: Give the coordinate itself before them.
    """
    frequencies = fourier_frequencies(period).to(coordinates)
    phases = (coordinates * period)[..., None] * frequencies
    parts = [coordinates[..., None]] if raw else []
    parts.append(phases.sin())
    if cosines:
        parts.append(phases.cos())
    return torch.cat(parts, -1).flatten(-2)
