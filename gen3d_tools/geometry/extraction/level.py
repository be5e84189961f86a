"""Which density is the surface: the level whose silhouette agrees best with the rendered one.

A ray meets the inside of a level exactly if its largest density is at least that level. So one pass, the largest
density on each ray of a ring of views, gives the silhouettes of all levels at once, without any mesh. They are
compared with where the renderer stops more than half of the light. Any soft field `a exp(-r^2 / 2 s^2)` gets
`ln 2 / (s sqrt(2 pi))`, whatever `a` is: there a ray's optical thickness is `ln 2`.

In steep fields many levels agree about equally well. The level suggested with the field stands unless another is
clearly better, by more than 0.005 in silhouette IoU; then the median of the best ones is taken. Where there is no
silhouette (the field stops the light everywhere, as one with a background does, or nowhere), the suggested one stands.

A field that suggests none (`SIGN_CHANGE`) has its surface where its raw density changes its sign, if it does.
"""

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.compiled import compiled_network
from gen3d_tools.fields.field import SIGN_CHANGE, RadianceField, chunked
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.sampled import highest_along
from gen3d_tools.rendering.compiled.rays import sampled_lattice
from gen3d_tools.rendering.ray_rendering import render_rays
from gen3d_tools.rendering.rays import rays_through
from gen3d_tools.rendering.volume.reach import Reach
from gen3d_tools.rendering.volume.sampling import tight_limits

if TYPE_CHECKING:  # numba takes a while to import
    from gen3d_tools.kernels.rays.occupancy import OccupancyGrid

logger = logging.getLogger(__name__)

_SIGNS = 32  # points along each side of the box at which signs are looked at
VIEWS, PIXELS = 6, 40
_FOV_DEG, _PITCH_DEG = 20.0, (20.0, -20.0)  # every other view from below
_COARSE, _FINE = 40, 9  # samples per ray: over the box, then around the densest
_SMALLEST_SHARE = 0.002  # of the rays, on either side of a silhouette
_AS_GOOD = 0.002  # silhouette IoU that a level may lose against the best one to count as one of the best
_CLEARLY = 0.005  # ... and that the suggested level may lose
_WORST = 0.8  # silhouette IoU below which no level describes the pictures


@dataclass(frozen=True, kw_only=True)
class LevelChoice:
    """A level, and why it was chosen."""

    level: float  # density (after activation) at the surface
    suggested: float  # the level that came with the field
    silhouette_iou: float | None  # of the level's and the rendered silhouette; None where there is no silhouette
    reason: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"level {self.level:.4g}: {self.reason}"


@torch.no_grad()
def choose_level(field: RadianceField, *, views: int = VIEWS, pixels: int = PIXELS) -> LevelChoice:
    """Find the level whose silhouette agrees best with the rendered one.

    Args:
        field: What is to be meshed.
        views: Cameras in the ring around it.
        pixels: The root of the number of rays in each view.

    Returns:
        The level; the field's own `iso_level` where the views cannot decide.
    """
    if field.iso_level == SIGN_CHANGE and _changes_sign(field):
        level = max(float(field.activate(torch.zeros(1))), SIGN_CHANGE)
        return LevelChoice(level=level, suggested=level, silhouette_iou=None, reason="the raw density changes its sign")
    densest, opaque = _ring_of_views(field, views, pixels)
    share = opaque.float().mean().item()
    if not _SMALLEST_SHARE < share < 1 - _SMALLEST_SHARE:
        return _keep(field, f"no silhouette to compare with, {share:.0%} of the rays are opaque; the model's own")
    return _best_level(field, densest.cpu().double().numpy(), opaque.cpu().numpy())


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """How well the silhouettes of all levels agree with the rendered one."""

    densest: Float[Tensor, " rays"]
    """Largest density on each ray of a ring of views."""
    opaque: Bool[Tensor, " rays"]
    """Whether more than half of the ray's light is stopped."""

    def iou(self, level: float) -> float | None:
        """Give the silhouette IoU of a level; None where there is no silhouette to compare with.

        Args:
            level: Density (after activation) at the surface.
        """
        if not _SMALLEST_SHARE < self.opaque.float().mean().item() < 1 - _SMALLEST_SHARE:
            return None
        inside = self.densest >= level
        return float((inside & self.opaque).sum() / (inside | self.opaque).sum())


@torch.no_grad()
def silhouettes(field: RadianceField, *, views: int = VIEWS, pixels: int = PIXELS) -> Silhouettes:
    """Look through a field from a ring of views, once for all levels; see `choose_level`."""
    return Silhouettes(*_ring_of_views(field, views, pixels))


def _ring_of_views(
    field: RadianceField, views: int, pixels: int
) -> tuple[Float[Tensor, " rays"], Bool[Tensor, " rays"]]:
    """Largest density on each ray through the box, and whether more than half of its light is stopped."""
    origins, directions = _ring_rays(field, views, pixels)
    near, far, hit = tight_limits(origins, directions, field.box_side)
    origins, directions, near, far = origins[hit], directions[hit], near[hit], far[hit]
    config = replace(field.render_config, near="box", far="box", spacing="linear")
    return _look_through(field, config, origins, directions, near, far)


def _changes_sign(field: RadianceField) -> bool:
    """Whether the raw density is below 0 at some points of the box and above it at others."""
    steps = (torch.arange(_SIGNS, device=field.device) + 0.5) / _SIGNS - 0.5
    points = torch.cartesian_prod(steps, steps, steps) * field.box_side
    raw = chunked(field.raw_density, points)
    return bool((raw < 0).any() and (raw > 0).any())


def _keep(field: RadianceField, reason: str, iou: float | None = None) -> LevelChoice:
    return LevelChoice(level=field.iso_level, suggested=field.iso_level, silhouette_iou=iou, reason=reason)


def _ring_rays(
    field: RadianceField, views: int, pixels: int
) -> tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"]]:
    """Rays of cameras around the box that just see all of it."""
    yaw = torch.arange(views) * (360.0 / views)
    pitch = torch.tensor(_PITCH_DEG).repeat(views)[:views]
    radius = math.sqrt(3) / 2 * field.box_side / math.sin(math.radians(_FOV_DEG / 2))
    cameras = Camera.from_spherical(yaw, pitch, radius, fov_y_deg=_FOV_DEG)
    places = _spread_evenly(views * pixels**2).chunk(views)
    rays = [rays_through(one.cam2world, one.intrinsics, place) for one, place in zip(cameras, places, strict=True)]
    origins, directions = (torch.cat(part).to(field.device) for part in zip(*rays, strict=True))
    return origins, directions


def _spread_evenly(count: int) -> Float[Tensor, "count 2"]:
    """Points of the unit square, even in every stretch of them: multiples of the plastic number's powers (Kronecker).

    Pixels on a grid would meet a symmetric object at the same few places in every view.
    """
    steps = torch.tensor([1 / 1.32471795724475, 1 / 1.32471795724475**2], dtype=torch.float64)
    return (torch.arange(1, count + 1)[:, None] * steps % 1).float()


def _look_through(
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
) -> tuple[Float[Tensor, " rays"], Bool[Tensor, " rays"]]:
    """Largest density on each ray, and whether more than half of its light is stopped.

    The compiled way samples every ray about six times as densely as the plain one, and renders nothing.
    """
    compiled = compiled_network(field)
    if compiled is not None:
        closing = config.last_interval or 0.0
        highest, opaque = compiled.look_through(origins, directions, near, far, closing=closing)
        return field.activate(highest), opaque
    reach = Reach(near, far, torch.ones_like(near, dtype=torch.bool), cut=True)
    grid = sampled_lattice(field, config, origins, directions, reach)
    densest = _densest(field, origins, directions, near, far, grid)
    return densest, _opacity(field, origins, directions, config) > 0.5


def _opacity(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig,
) -> Float[Tensor, " rays"]:
    """Light stopped on each ray, as the renderer has it."""
    pixels = torch.full_like(origins[:, :2], 0.5)  # for backdrops on the screen; opacity does not know of them
    return render_rays(field, origins, directions, config, channels=3, pixels=pixels).opacity


def _densest(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
    grid: "OccupancyGrid | None",
) -> Float[Tensor, " rays"]:
    """Largest density on each ray: samples over the box, then finer ones around the densest.

    A field that has a lattice of its densities is not asked for the first samples.
    """
    densest, center, reach = near.new_zeros(len(near)), (near + far) / 2, (far - near) / 2
    rounds: tuple[int, ...] = (_COARSE, _FINE)
    if grid is not None:
        center, reach = highest_along(grid, origins, directions, near, far)
        rounds = (_FINE,)
    for samples in rounds:
        shares = (torch.arange(samples, device=near.device) + 0.5) / samples * 2 - 1
        distances = center[:, None] + reach[:, None] * shares
        pieces = [
            field.raw_density(o[:, None] + t[..., None] * d[:, None])
            for o, d, t in zip(*(torch.split(part, 1024) for part in (origins, directions, distances)), strict=True)
        ]
        largest, where = torch.cat(pieces).max(-1)
        densest = torch.maximum(densest, field.activate(largest))
        center, reach = distances.gather(1, where[:, None])[:, 0], reach * (2 / samples)
    return densest


def _best_level(
    field: RadianceField, densest: Float[np.ndarray, " rays"], opaque: Bool[np.ndarray, " rays"]
) -> LevelChoice:
    """Compare the silhouettes of all levels: above each ray's density, one ray fewer is in."""
    order = np.argsort(-densest, kind="stable")
    sorted_density = densest[order]
    inside = np.arange(1, len(order) + 1)
    both = np.cumsum(opaque[order])
    iou = both / (inside + opaque.sum() - both)
    upper, lower = sorted_density, np.append(sorted_density[1:], 0.0)
    crossed = upper > lower  # a level lies between two rays only where they differ
    best = iou[crossed].max(initial=0.0)
    if best < _WORST:
        return _keep(
            field, f"no level fits the pictures (best silhouette IoU {best:.3f}); the model's own", float(best)
        )
    good = crossed & (iou >= best - _AS_GOOD)
    own = float(iou[max(0, np.searchsorted(-sorted_density, -field.iso_level, side="right") - 1)])
    if own >= best - _CLEARLY:
        return _keep(field, f"the model's own, silhouette IoU {own:.3f} with the pictures", own)
    level = float(np.median(upper[good]))
    return LevelChoice(
        level=level,
        suggested=field.iso_level,
        silhouette_iou=float(best),
        reason=f"silhouette IoU {best:.3f} with the pictures; the model's own {field.iso_level:g} has {own:.3f}",
    )
