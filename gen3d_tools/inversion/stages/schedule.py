"""How learning rates and noise change over the steps of stage one (Karras et al. 2020, appendix D)."""

import math


def learning_rate_share(t: float, warmup: float, cooldown: float) -> float:
    """Share of the peak learning rate: a linear rise at the start, a cosine fall at the end.

    Args:
        t: Share of the steps that are done, 0 to 1. Published: step k of K has t = k / K, so the first rate is 0.
        warmup: Share of the steps that rise.
        cooldown: Share of the steps that fall.
    """
    rise = min(1.0, t / warmup) if warmup else 1.0
    left = min(1.0, (1 - t) / cooldown) if cooldown else 1.0
    return rise * (0.5 - 0.5 * math.cos(math.pi * left))


def noise_share(t: float, until: float) -> float:
    """Share of the latent noise: falls quadratically from 1 to 0 at `until`."""
    return max(0.0, 1 - t / until) ** 2 if until else 0.0
