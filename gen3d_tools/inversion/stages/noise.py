"""The constant noise of a generator's scenes, as something to optimise (Karras et al. 2020, appendix D)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gen3d_tools.generators.base import Generator

_SMALLEST_SIDE = 8  # the pyramid of noise maps ends here
BUFFER = "noise_const"
"""Name under which layers keep their constant noise."""


def has_noise(generator: Generator) -> bool:
    """Whether any layer keeps constant noise."""
    return any(isinstance(getattr(module, BUFFER, None), Tensor) for module in generator.modules())


def release_noise(generator: Generator, random: torch.Generator) -> list[Tensor]:
    """Replace the noise maps that scenes are made with by fresh random ones that take gradients.

    Those of a super-resolution stay. The generator is changed in place: give a copy.

    Args:
        generator: A copy.
        random: Source of the fresh maps.

    Returns:
        The maps [h, w] in a fixed order; empty for a generator without noise.
    """
    owners = [module for module in generator.modules() if isinstance(getattr(module, BUFFER, None), Tensor)]
    maps = [getattr(owner, BUFFER).clone().requires_grad_() for owner in owners]
    for owner, one in zip(owners, maps, strict=True):
        setattr(owner, BUFFER, one)
    read: tuple[Tensor | None, ...] = ()
    if maps:
        with torch.enable_grad():
            ws = torch.zeros(1, generator.num_ws, generator.config.w_dim, device=generator.device)
            [field] = generator.fields(ws)
            raw = field.raw_density(torch.zeros(1, 3, device=generator.device))
            if raw.requires_grad:
                read = torch.autograd.grad(raw.sum(), maps, allow_unused=True)
    released = []
    for owner, one, gradient in zip(owners, maps, read or [None] * len(maps), strict=True):
        if gradient is None:
            setattr(owner, BUFFER, one.detach())
            continue
        with torch.no_grad():
            one.copy_(torch.randn(one.shape, generator=random).to(one.device))
        released.append(one)
    renormalize(released)
    return released


def noise_penalty(maps: Sequence[Tensor]) -> Tensor:
    """Correlation of each noise map [h, w] with itself, shifted by one texel, on its pyramid down to side 8.

    A map that carries a picture is correlated; white noise is not (Karras et al., StyleGAN2, appendix D).
    """
    total = torch.zeros((), device=maps[0].device) if maps else torch.zeros(())
    for one in maps:
        level = one[None, None]
        while True:
            for axis in (2, 3):
                total = total + (level * level.roll(1, axis)).mean().square()
            if level.shape[-1] <= _SMALLEST_SIDE:
                break
            level = F.avg_pool2d(level, 2)
    return total


@torch.no_grad()
def renormalize(maps: Sequence[Tensor]) -> None:
    """Give every noise map [h, w] mean 0 and root mean square 1, in place."""
    for one in maps:
        one -= one.mean()
        one *= one.square().mean().clamp_min(1e-12).rsqrt()
