"""Density regularisation: nearby points have nearby densities (EG3D, section 5.1), or behind is no emptier."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DensityRegulariser = Literal["l1", "monotonic-detach", "monotonic-fixed"]

L1_POINTS, MONOTONIC_POINTS = 1000, 2000
_MONOTONIC_WEIGHT, _MONOTONIC_L1_WEIGHT = 10.0, 0.25
_CELLS = 256  # the monotonic shift is a cell of this lattice

RawDensity = Callable[[Tensor], Tensor]


def variation(
    raw_density: RawDensity, points: Float[Tensor, "b n 3"], shifts: Float[Tensor, "b n 3"]
) -> Float[Tensor, ""]:
    """Mean difference of the raw density at points and at points shifted by a little.

    Args:
        raw_density: From points [b, n, 3] to raw densities [b, n].
        points: World coordinates.
        shifts: In world units.
    """
    here, there = raw_density(torch.cat([points, points + shifts], 1)).chunk(2, 1)
    return (here - there).abs().mean()


def monotonic(
    raw_density: RawDensity, points: Float[Tensor, "b n 3"], box_side: float, *, detached: bool
) -> Float[Tensor, ""]:
    """How much denser points are than those a cell further along -z, where dense objects should be behind.

    Args:
        raw_density: From points [b, n, 3] to raw densities [b, n].
        points: World coordinates.
        box_side: Side of the box, world units.
        detached: No gradient through the points in front.
    """
    shift = points.new_tensor([0.0, 0.0, -1.0]) * box_side / _CELLS
    here, behind = raw_density(torch.cat([points, points + shift], 1)).chunk(2, 1)
    here = here.detach() if detached else here
    return _MONOTONIC_WEIGHT * F.relu(here - behind).mean()


def density_loss(
    kind: DensityRegulariser,
    raw_density: RawDensity,
    uniform: Callable[[int], Float[Tensor, "b n 3"]],
    normal: Callable[[int], Float[Tensor, "b n 3"]],
    *,
    weight: float,
    distance: float,
    box_side: float,
) -> Float[Tensor, ""]:
    """The weighted regulariser.

    Args:
        kind: "l1", or one of the two monotonic ones, which add an l1 term of their own.
        raw_density: From points [b, n, 3] to raw densities [b, n].
        uniform: Draws n uniform numbers in [0, 1) per sample and axis. Points lie in [-1, 1]^3 of the *world*.
        normal: Draws standard normal numbers.
        weight: Of "l1".
        distance: Standard deviation of its shifts, world units.
        box_side: Side of the box.
    """
    if kind == "l1":
        points = uniform(L1_POINTS) * 2 - 1
        return weight * variation(raw_density, points, normal(L1_POINTS) * distance)
    first = uniform(MONOTONIC_POINTS) * 2 - 1
    order = monotonic(raw_density, first, box_side, detached=kind == "monotonic-detach")
    points = uniform(L1_POINTS) * 2 - 1
    return order + _MONOTONIC_L1_WEIGHT * variation(raw_density, points, normal(L1_POINTS) * box_side / _CELLS)
