"""Changes of colour as one affine map of RGB (Karras et al. 2020, ADA, appendix B)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.training.draws import Draws

_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.5, 1.0


def random_color_map(count: int, strength: float, draws: Draws) -> Float[Tensor, "b 3 4"]:
    """Draw maps of colours in [-1, 1]; each of the five changes happens with the probability `strength`."""

    def sometimes(value: Tensor, otherwise: float) -> Tensor:
        return torch.where(draws.uniform(count) < strength, value, torch.full_like(value, otherwise))

    grey = torch.full((3,), 1 / math.sqrt(3))  # the axis of greys
    along = torch.outer(grey, grey)
    identity = torch.eye(3)
    offset = sometimes(_BRIGHTNESS * draws.normal(count), 0.0)[:, None].expand(-1, 3)
    contrast = sometimes(torch.exp2(_CONTRAST * draws.normal(count)), 1.0)
    linear, offset = contrast[:, None, None] * identity, contrast[:, None] * offset
    flip = sometimes((draws.uniform(count) * 2).floor(), 0.0)
    mirrored = identity - 2 * along * flip[:, None, None]
    hue = _turned(grey, sometimes((draws.uniform(count) * 2 - 1) * math.pi, 0.0))
    saturation = sometimes(torch.exp2(_SATURATION * draws.normal(count)), 1.0)
    saturated = along + (identity - along) * saturation[:, None, None]
    behind = saturated @ hue @ mirrored
    return torch.cat([behind @ linear, behind @ offset[:, :, None]], -1)


def recolored(
    images: Float[Tensor, "b channels h w"], color_map: Float[Tensor, "b 3 4"]
) -> Float[Tensor, "b channels h w"]:
    """Apply maps to each group of three channels; a fourth channel, depth, stays."""
    parts = []
    for start in range(0, images.shape[1] // 3 * 3, 3):
        pixels = images[:, start : start + 3].flatten(2)
        parts.append((color_map[:, :, :3] @ pixels + color_map[:, :, 3:]).reshape(-1, 3, *images.shape[2:]))
    rest = images.shape[1] // 3 * 3
    return torch.cat([*parts, images[:, rest:]], 1)


def _turned(axis: Tensor, angle: Float[Tensor, " b"]) -> Float[Tensor, "b 3 3"]:
    """Rotations around an axis (Rodrigues)."""
    x, y, z = axis.tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return cosine * torch.eye(3) + sine * cross + (1 - cosine) * torch.outer(axis, axis)
