"""Adam for networks whose regulariser runs every few steps only, and gradients that stay finite."""

from collections.abc import Iterable

import torch
from torch import nn

LARGEST_GRADIENT = 1e5


def lazy_adam(
    parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], interval: int | None
) -> torch.optim.Adam:
    """Adam, corrected for a lazily evaluated regulariser (Karras et al. 2020, appendix B).

    A network that is regularised every k-th step takes k + 1 steps in that time. With c = k / (k + 1) the learning
    rate becomes c lr and the betas beta^c, so that it moves and forgets as before.

    Args:
        parameters: What it moves.
        lr: Learning rate.
        betas: Of the two moments; the first may be 0.
        interval: k; None without a regulariser of its own.
    """
    c = 1.0 if interval is None else interval / (interval + 1)
    corrected = float(betas[0] ** c), float(betas[1] ** c)
    return torch.optim.Adam(parameters, lr=lr * c, betas=corrected, eps=1e-8, fused=True)


def sanitise_gradients(gradients: Iterable[torch.Tensor]) -> None:
    """Replace NaN by 0 and infinities by +-1e5, in place; finite numbers stay."""
    for gradient in gradients:
        torch.nan_to_num(gradient, nan=0.0, posinf=LARGEST_GRADIENT, neginf=-LARGEST_GRADIENT, out=gradient)
