"""How flat a generator's objects are: 3DGP's non-flatness score.

There, 256 pictures are rendered with densities below the median cut off (`cut_quantile=0.5`), each seen from the
front; the score is the mean over them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

BINS = 64


def depth_histograms(
    distance: Float[Tensor, "b *pixels"], near: float, far: float, bins: int = BINS
) -> Float[Tensor, "b {bins}"]:
    """Count the distances of each picture in even bins from `near` to `far`; those beyond count at the ends."""
    return torch.stack([torch.histc(one.clamp(near, far), bins, near, far) for one in distance.flatten(1)])


def non_flatness(histograms: Float[Tensor, "b bins"]) -> tuple[Float[Tensor, ""], Float[Tensor, " b"]]:
    """Mean of exp(entropy) of the histograms: 1 for flat pictures, the number of bins for evenly deep ones.

    Returns:
        The score, and the entropy of each picture.
    """
    shares = histograms / histograms.sum(-1, keepdim=True)
    entropy = -(shares * torch.log(shares + 1e-12)).sum(-1)
    return entropy.exp().mean(), entropy
