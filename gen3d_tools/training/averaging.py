"""The averaged generator: what is kept of a training run (Karras et al. 2018, appendix C)."""

import torch
from torch import nn


def ema_beta(images: int, batch: int, half_life_kimg: float, ramp: float | None) -> float:
    """Share of the old average that stays in a step.

    Args:
        images: Real pictures seen before this step.
        batch: Pictures per step.
        half_life_kimg: Thousands of pictures after which half of the average is new.
        ramp: The half-life is at most this share of the pictures seen, so that the average forgets the beginning; None
            leaves it constant.
    """
    half_life = half_life_kimg * 1000
    if ramp is not None:
        half_life = min(half_life, ramp * images)
    return float(0.5 ** (batch / max(half_life, 1e-8)))


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, beta: float) -> None:
    """Move the average's parameters towards the current ones; buffers are copied."""
    for kept, fresh in zip(average.parameters(), current.parameters(), strict=True):
        kept.copy_(fresh.lerp(kept, beta))
    for buffer, newer in zip(average.buffers(), current.buffers(), strict=True):
        buffer.copy_(newer)
