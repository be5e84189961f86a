"""Closed-form fields: raw density is a truncated signed distance with a steep gain, as in the bundled model."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gen3d_tools.fields.field import FunctionField

GAIN = 1000.0
TRUNCATION = 0.05  # world units over which the distance runs from 0 to 1
ISO_LEVEL = 10.0
SURFACE_DEPTH = TRUNCATION * (ISO_LEVEL + 1) / GAIN  # raw = level - shift there: a little inside distance 0

Depth = Callable[[Tensor], Tensor]  # points -> how deep inside, world units
MakeField = Callable[..., FunctionField]


def ball_depth(center: tuple[float, float, float], radius: float) -> Depth:
    return lambda points: radius - (points - torch.tensor(center)).norm(dim=-1)


def torus_depth(ring: float, tube: float) -> Depth:
    def depth(points: Tensor) -> Tensor:
        to_ring = points[..., :2].norm(dim=-1) - ring
        return tube - torch.hypot(to_ring, points[..., 2])

    return depth


def union(*depths: Depth) -> Depth:
    return lambda points: torch.stack([depth(points) for depth in depths]).amax(0)


@pytest.fixture
def field_of() -> MakeField:
    def make(depth: Depth, **settings: object) -> FunctionField:
        def raw_density(points: Tensor) -> Tensor:
            return GAIN * (depth(points) / TRUNCATION).clamp(-1.5, 1.5)

        options = {"density_activation": "softplus", "density_shift": -1.0, "iso_level": ISO_LEVEL, "box_side": 2.0}
        return FunctionField(raw_density_fn=raw_density, **(options | settings))

    return make
