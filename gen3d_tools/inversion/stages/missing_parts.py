"""What lets an object grow to where the photo shows it and the generator has nothing: a handle, a saucer.

A ray that nothing stops carries no gradient, so pictures alone widen an object pixel by pixel at its edge. Of each ray
that the mask claims and nothing stops, the point at which the density comes nearest to its onset is drawn across it:
the silhouette's term of Yariv et al. ("Multiview neural surface reconstruction by disentangling geometry and
appearance", 2020, eq. 7), there with signed distances and a sigmoid, here with raw densities and a hinge.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import PixelGrid
from gen3d_tools.inversion.stages.objective import Target
from gen3d_tools.rendering.rays import pixel_coordinates, rays_through
from gen3d_tools.rendering.volume.sampling import coarse_shares, place_on_rays, tight_limits

_RAYS = 1024  # per photo and step
_SAMPLES = 48  # per ray


class MissingParts:
    """How much of the photos' masks nothing of an object covers.

    Args:
        targets: The photos as they are compared; those without a mask claim nothing.
        cameras: One per photo.
        reach: Raw density above the onset that is deep enough; below it the pull grows in proportion.
        pixel_grid: Where the rays of the field's own pictures lie.
    """

    def __init__(
        self, targets: Sequence[Target], cameras: Camera, reach: float, pixel_grid: PixelGrid = "centers"
    ) -> None:
        self.reach = reach
        pairs = zip(cameras, targets, strict=True)
        self.claims = [(camera, _Claim(one.mask, pixel_grid)) for camera, one in pairs if one.mask is not None]

    def __call__(self, field: RadianceField, generator: torch.Generator) -> Tensor:
        """Mean over rays through the masks, 0 where all are stopped; 0 for a field that no box holds."""
        if not field.bounded or not self.claims:
            return torch.zeros((), device=field.device)
        missing = [self._missing(field, camera, claim, generator) for camera, claim in self.claims]
        return torch.stack(missing).mean()

    def _missing(self, field: RadianceField, camera: Camera, claim: "_Claim", generator: torch.Generator) -> Tensor:
        pixels, claimed = claim.draw(_RAYS, generator)
        origins, directions = rays_through(camera.cam2world, camera.intrinsics, pixels)
        near, far, hit = tight_limits(origins, directions, field.box_side)
        offsets = torch.rand(_RAYS, _SAMPLES, generator=generator).to(near)
        distances = place_on_rays(coarse_shares("intervals", offsets), near, far, "linear")
        with torch.no_grad():
            points = origins[:, None] + distances[..., None] * directions[:, None]
            highest, index = (field.raw_density(points) + field.density_shift).max(-1)
            missed = claimed & hit & (highest < 0)
            # Of the other rays some have no points: one that runs in a face of the box has limits that are no numbers.
            nearest = points[torch.arange(_RAYS, device=points.device), index].where(missed[:, None], 0)
        depth = (field.raw_density(nearest) + field.density_shift) / self.reach
        return ((1 - depth).relu() * missed).mean()


class _Claim:
    """The pixels that show the object."""

    def __init__(self, mask: Float[Tensor, "1 n n"], pixel_grid: PixelGrid) -> None:
        self.claimed = mask.flatten() > 0.5
        self.counted = self.claimed.float().cumsum(0)
        self.pixels = pixel_coordinates(mask.shape[-1], pixel_grid, device=mask.device)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Float[Tensor, "rays 2"], Bool[Tensor, " rays"]]:
        """Coordinates of some of them; and whether they are, for there may be none."""
        wanted = torch.rand(count, generator=generator).to(self.counted) * self.counted[-1]
        index = torch.searchsorted(self.counted, wanted, right=True).clamp_max(len(self.pixels) - 1)
        return self.pixels[index], self.claimed[index]
