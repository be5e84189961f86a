"""What keeps stage two from changing more of a generator than the photo asks for.

Two forms. The published one compares pictures of latents near the pivot before and after (Roich et al. 2021, section
3.3). The field form compares the object itself at random points: what no ray of the photo's camera sees stays.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.latent_prior import map_z
from gen3d_tools.inversion.stages.objective import Objective
from gen3d_tools.inversion.stages.recoloring import Recoloring
from gen3d_tools.rendering.differentiable import sample_pixels

_CANDIDATES = 4  # drawn per point that is to lie near the surface
_STEPS = 8  # for which there are different points near the surface
_REACH = 4.0  # widths of the density's onset within which a difference counts


class FieldLocality:
    """The object at random points of the box, as it was.

    Args:
        before: The field of the pivot before tuning.
        width: Raw density that passes for one pixel of depth, see `views.onset_width`.
        points: How many points a step compares, half of them near the surface.
        recoloring: What its colours are to become; None keeps them.
    """

    def __init__(self, before: RadianceField, width: float, points: int, recoloring: Recoloring | None = None) -> None:
        self.before, self.scale, self.points, self.recoloring = before, _REACH * width, points, recoloring
        self.near = self._near_surface(_STEPS * (points // 2))

    def __call__(self, after: RadianceField, generator: torch.Generator) -> Tensor:
        """Mean absolute difference of depth below the surface (clamped, from -1 to 1) and of visible colour."""
        points = self._draw(generator)
        with torch.no_grad():
            colors, raw = self.before(points)
            painted = colors[:, :3] if self.recoloring is None else self.recoloring(colors[:, :3])
            depth = self._depth(raw)
            solid = (depth > -0.999).float()
        fresh_colors, fresh = after(points)
        shape = (self._depth(fresh) - depth).abs().mean()
        paint = ((fresh_colors[:, :3] - painted).abs().mean(-1) * solid).sum() / solid.sum().clamp_min(1)
        return shape + paint

    def _draw(self, generator: torch.Generator) -> Float[Tensor, "points 3"]:
        """Half anywhere in the box, half where the density sets in."""
        near = self.points // 2
        chosen = torch.randint(len(self.near), (near,), generator=generator) if near else torch.empty(0).long()
        anywhere = self._anywhere(self.points - near, generator)
        return torch.cat([anywhere, self.near[chosen.to(self.near.device)]])

    @torch.no_grad()
    def _near_surface(self, count: int) -> Float[Tensor, "count 3"]:
        """Points where the density sets in, found once: the field of the pivot stays as it is."""
        candidates = self._anywhere(_CANDIDATES * count, torch.Generator().manual_seed(0))
        depth = self._depth(self.before.raw_density(candidates)).abs()
        return candidates[depth.topk(count, largest=False).indices]

    def _anywhere(self, count: int, generator: torch.Generator) -> Float[Tensor, "count 3"]:
        drawn = torch.rand(count, 3, generator=generator) - 0.5
        return drawn.to(self.before.device) * self.before.box_side

    def _depth(self, raw: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return ((raw + self.before.density_shift) / self.scale).clamp(-1, 1)


def nearby_latent(
    before: Generator,
    ws: Float[Tensor, "1 num_ws w_dim"],
    class_index: int | None,
    settings: InversionSettings,
    generator: torch.Generator,
    camera_cond: Float[Tensor, "1 25"] | None = None,
) -> Float[Tensor, "1 num_ws w_dim"]:
    """Draw a latent, truncated, and go from the pivot towards it by a fixed length.

    Args:
        before: The generator before tuning.
        ws: The pivot.
        class_index: Of the latent; None for a generator without classes.
        settings: How far to go, and how truncated.
        generator: Of random numbers.
        camera_cond: Label of the camera that latents are conditioned on; None takes the generator's default one.
    """
    z = torch.randn(1, before.config.z_dim, generator=generator)
    with torch.no_grad():
        towards = map_z(before, z, class_index, settings.stage_two.locality.psi, camera_cond) - ws
        near: Tensor = ws + settings.stage_two.locality.alpha * towards / towards.norm().clamp_min(1e-8)
        return near


def image_locality(
    before: Generator,
    after: Generator,
    ws: Float[Tensor, "1 num_ws w_dim"],
    camera: Camera,
    objective: Objective,
) -> Tensor:
    """Compare pictures of a nearby latent before and after (the published locality, there without any noise).

    Both are looked at as finely as the objective looks, along the same rays and in the middle of the samples'
    intervals: the latents are random already, and random samples made pictures of latents nearby move by 0.24 to 0.79
    of what they did without locality, these by 0.29 to 0.52 (three seeds of the tests' generator).
    """
    settings, distance = objective.settings, objective.distance
    field = before.fields(ws)[0]
    _, pixels = sample_pixels(objective.targets[0].size, objective.rays, field, None)
    with torch.no_grad():
        wanted = objective.look(field, camera, pixels, None).rgb[None]
    found = objective.look(after.fields(ws)[0], camera, pixels, None).rgb[None]
    loss = 4 * settings.stage_two.locality.pixel_weight * (found - wanted).square().mean()
    if distance is not None:
        loss = (
            loss
            + settings.stage_two.locality.perceptual_weight * distance(found.clamp(0, 1), wanted.clamp(0, 1)).mean()
        )
    return loss
