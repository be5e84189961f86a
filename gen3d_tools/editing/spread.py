"""How far w reaches: samples of the mapping network, each class about its own mean, and their spread along a vector."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.base import Generator

SAMPLES = 10_000
"""Of w, over all classes together."""

_BATCH = 500
_SEED = 0


def sample_w(
    generator: Generator, row: int = 0, classes: Sequence[int] | None = None, *, samples: int = SAMPLES
) -> tuple[Float[Tensor, "samples w_dim"], Float[Tensor, "samples w_dim"]]:
    """Draw w as the mapping network gives it to one row, the same every time, in float64 on the CPU.

    Args:
        generator: Whose w.
        row: Row of `ws`; the mapping networks of most families give the same to all.
        classes: Indices of classes that take turns; all of them by default.
        samples: How many.

    Returns:
        Samples, and the same without the mean of their class.
    """
    count = len(generator.class_names)
    chosen = list(range(count)) if classes is None else list(classes)
    z = torch.from_numpy(np.random.RandomState(_SEED).randn(samples, generator.config.z_dim).astype(np.float32))
    labels = torch.tensor([chosen[i % len(chosen)] for i in range(samples)] if count else [0] * samples)
    drawn = []
    with torch.no_grad():
        for start in range(0, samples, _BATCH):
            part = slice(start, start + _BATCH)
            onehot = nn.functional.one_hot(labels[part], count).float().to(generator.device) if count else None
            drawn.append(generator.map(z[part].to(generator.device), onehot)[:, row].cpu().double())
    w = torch.cat(drawn)
    centred = w.clone()
    for label in set(labels.tolist()):
        centred[labels == label] -= w[labels == label].mean(0)
    return w, centred


def deviations(centred: Float[Tensor, "samples w_dim"], vectors: Float[Tensor, "n w_dim"]) -> Float[Tensor, " n"]:
    """Give the standard deviation of w along unit vectors.

    Args:
        centred: What `sample_w` gave, without the means.
        vectors: Unit vectors.
    """
    return (centred @ vectors.double().T).square().mean(0).sqrt()
