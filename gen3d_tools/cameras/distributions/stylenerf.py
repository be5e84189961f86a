"""StyleNeRF's cameras: angles in the ranges of a configuration, as its scripts choose and draw them.

`u` is the yaw, growing from the front (our +z) towards our +x, and `v` the angle from straight above, both in radians;
in configurations that are not angular `u` counts turns and `v` runs linearly in the height, 0 above and 1 below.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, intrinsics_from_fov
from gen3d_tools.cameras.checks import Numbers, broadcast, float_tensor

_SMALLEST = 1e-8


@dataclass(frozen=True, kw_only=True)
class CameraRanges:
    """Where the cameras of a configuration stand. The defaults are those of the FFHQ models."""

    u: tuple[float, float] = (-0.3, 0.3)
    v: tuple[float, float] = (math.pi / 2 - 0.155, math.pi / 2 + 0.155)
    radius: tuple[float, float] = (1.0, 1.0)
    fov_deg: float = 12.0
    gaussian: bool = True  # random cameras: the ranges are one standard deviation around their middle; else uniform
    angular: bool = True

    def linear(self, shares: Float[Tensor, "n numbers"]) -> Camera:
        """Give cameras at shares of the ranges; values outside 0..1 go beyond them.

        Args:
            shares: Of `u`, `v` and radius; a fourth number scales the radius.
        """
        places = [low + share * (high - low) for share, (low, high) in zip(shares.T, self._ranges(), strict=False)]
        scale = shares[:, 3] if shares.shape[1] > 3 else 1.0
        return self._camera(places[0], places[1], places[2] * scale)

    def standard(self, numbers: Float[Tensor, "n 2"], *, uniform: bool = False) -> Camera:
        """Give cameras at standard-normal numbers for `u` and `v`, at the middle radius.

        Args:
            numbers: One pair per camera.
            uniform: Take them for shares of the ranges, as configurations that are not gaussian do.
        """
        if uniform or not self.gaussian:
            return self.linear(torch.cat([numbers, torch.full_like(numbers[:, :1], 0.5)], 1))
        u, v = (_around(*pair) for pair in zip(numbers.T, (self.u, self.v), strict=True))
        return self._camera(u, v, torch.full_like(u, sum(self.radius) / 2))

    def draw(
        self, n: int, random: np.random.RandomState, generator: torch.Generator
    ) -> tuple[Camera, Float[Tensor, "n 3"]]:
        """Draw cameras as the published code does.

        Args:
            n: How many; the values depend on it.
            random: Angles are drawn from it, all yaws first.
            generator: Radii are drawn from it.

        Returns:
            The cameras, and their shares of the ranges; 0 where a range is a point.
        """
        if self.gaussian:
            u, v = (_around(torch.from_numpy(random.randn(n)), limits) for limits in (self.u, self.v))
        else:
            u, v = (torch.from_numpy(random.uniform(*limits, size=n)) for limits in (self.u, self.v))
        low, high = self.radius
        radius = low + torch.rand(n, generator=generator) * (high - low)
        places = torch.stack([u.float(), v.float(), radius], -1)
        spans = torch.tensor([high - low for low, high in self._ranges()])
        starts = torch.tensor([low for low, _ in self._ranges()])
        shares = torch.where(spans > 0, (places - starts) / spans.clamp_min(_SMALLEST), 0.0)
        return self._camera(*places.T), shares

    def _ranges(self) -> tuple[tuple[float, float], ...]:
        return self.u, self.v, self.radius

    def _camera(self, u: Tensor, v: Tensor, radius: Tensor) -> Camera:
        return stylenerf_camera(u, v, radius, fov_deg=self.fov_deg, angular=self.angular)


def _around(numbers: Tensor, limits: tuple[float, float]) -> Tensor:
    low, high = limits
    return (low + high) / 2 + numbers * (high - low) / 2


def stylenerf_camera(
    u: Numbers, v: Numbers, radius: Numbers = 1.0, *, fov_deg: Numbers = 12.0, angular: bool = True
) -> Camera:
    """Our camera of StyleNeRF's angles; it looks at the origin.

    Args:
        u: Yaw, see the module, [*b].
        v: Angle from above, [*b].
        radius: Distance from the origin, world units, [*b].
        fov_deg: Full field of view, [*b].
        angular: Whether the angles are radians.
    """
    u, v, radius, fov = broadcast(
        u=float_tensor("u", u),
        v=float_tensor("v", v),
        radius=float_tensor("radius", radius),
        fov_deg=float_tensor("fov_deg", fov_deg),
    )
    theta, phi = (u, v) if angular else (2 * math.pi * u, torch.arccos(1 - 2 * v))
    outward = torch.stack([phi.sin() * theta.sin(), phi.cos(), phi.sin() * theta.cos()], -1)
    backward = _unit(radius[..., None] * outward)
    right = _unit(torch.linalg.cross(backward.new_tensor([0.0, 1.0, 0.0]).expand_as(backward), backward))
    up = _unit(torch.linalg.cross(backward, right))
    upper = torch.stack([right, -up, -backward, radius[..., None] * outward], -1)
    last = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*upper.shape[:-2], 1, 4)
    return Camera(torch.cat([upper, last], -2), intrinsics_from_fov(fov))


def _unit(vectors: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(_SMALLEST)
    return unit
