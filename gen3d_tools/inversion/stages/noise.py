"""The constant noise of a generator's planes, as something to optimise (Karras et al. 2020, appendix D)."""

import torch
from torch import Tensor

from gen3d_tools.generators.base import Generator
from gen3d_tools.metrics.pictures import renormalize

BUFFER = "noise_const"
"""Name under which layers keep their constant noise."""


def has_noise(generator: Generator) -> bool:
    """Whether any layer keeps constant noise."""
    return any(isinstance(getattr(module, BUFFER, None), Tensor) for module in generator.modules())


def release_noise(generator: Generator, random: torch.Generator) -> list[Tensor]:
    """Replace the noise maps that the planes read by fresh random ones that take gradients.

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
            planes = generator.planes(ws)
            if planes.requires_grad:
                read = torch.autograd.grad(planes.sum(), maps, allow_unused=True)
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
