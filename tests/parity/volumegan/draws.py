"""The random numbers of VolumeGAN's forward call in its own order, turned into angles by our distributions."""

import random

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from gen3d_tools.generators.official.settings_tables import angle_spread

_TRUNCATED_SHARE = float(ndtr(2.0) - ndtr(-2.0))


def drawn_angles(camera: dict, count: int, stream: torch.Generator, coin: float = 1.0) -> tuple[Tensor, Tensor]:
    """Yaw and pitch of each sample: the published draws, as the uniform numbers that give them here.

    Args:
        camera: The table `ps_cfg`.
        count: Samples.
        stream: The published code's generator.
        coin: What decides "hybrid".
    """
    found = []
    for which in ("horizontal", "vertical"):
        name, mean, std = camera["camera_dist"], camera[f"{which}_mean"], camera[f"{which}_stddev"]
        spread = angle_spread(name, mean, std, is_pitch=which == "vertical")
        u = uniform_numbers(name, count, stream, coin)
        found.append(torch.from_numpy(spread.at(u, np.full(count, coin))).float())
    return found[0], found[1]


def uniform_numbers(name: str, count: int, stream: torch.Generator, coin: float) -> np.ndarray:
    if name in ("uniform", "spherical_uniform") or (name == "hybrid" and coin < 0.5):
        return torch.rand(count, 1, generator=stream)[:, 0].double().numpy()
    if name != "truncated_gaussian":
        return ndtr(torch.randn(count, 1, generator=stream)[:, 0].double().numpy())
    four = torch.randn(count, 1, 4, generator=stream)[:, 0]
    first = (four.abs() < 2).int().argmax(1)
    chosen = four.gather(1, first[:, None])[:, 0].double().numpy()
    return (ndtr(chosen) - ndtr(-2.0)) / _TRUNCATED_SHARE


def draws_of_rays(samples: int, side: int, count: int, stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """Jitter and importance of all rays [samples, rays, count]; the draws of a noise of 0 lie in between and behind."""
    jitter = torch.rand(samples, side, side, count, 1, generator=stream).reshape(samples, side**2, count)
    torch.randn(samples, side**2, count, 1, generator=stream)
    positions = torch.rand(samples * side**2, count, generator=stream).reshape(samples, side**2, count)
    torch.randn(samples, side**2, 2 * count, 1, generator=stream)
    return jitter, positions


def python_coin(seed: int) -> float:
    """The first number of Python's own generator."""
    return random.Random(seed).random()
