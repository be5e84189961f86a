"""Whether views of an object agree: what one view shows, carried over to another along its depth.

A radiance field is consistent by construction as far as it is a surface; haze, colours that depend on the direction and
above all a 2-D super-resolution are not. Each pixel of the first view that stops more than half of the light is a point
in the world, and falls somewhere in the second view. Three things can happen there, by `gap`, the depth of the point
from the second camera less the depth which that camera sees:

* |gap| within the tolerance: both see the same point. Their colours are compared, and |gap| is the depth error.
* gap above it: something nearer hides the point. It is left out.
* gap below it, or nothing there at all: the second camera looks through a point that the first one calls solid. It
  contradicts.

Pixels at edges, where a neighbour is empty or much nearer or farther, mix what they see; both views leave them out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.render_config import PixelGrid
from gen3d_tools.metrics.agreement import psnr
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import Frames

SOLID = 0.5
"""Opacity from which a pixel shows a point."""

TOLERANCE = 0.02
"""Share of the box's side within which two depths are the same point."""


@dataclass(frozen=True, kw_only=True)
class ViewConsistency:
    """How two views agree; sums, so that pairs add up."""

    shared: int = 0  # pixels that both see
    contradicted: int = 0  # pixels that the second camera looks through
    depth_sum: float = 0.0  # world units
    color_square_sum: float = 0.0

    def __add__(self, other: "ViewConsistency") -> "ViewConsistency":
        return ViewConsistency(
            shared=self.shared + other.shared,
            contradicted=self.contradicted + other.contradicted,
            depth_sum=self.depth_sum + other.depth_sum,
            color_square_sum=self.color_square_sum + other.color_square_sum,
        )

    @property
    def depth_error(self) -> float | None:
        """Mean |gap| of the points that both see, world units."""
        return self.depth_sum / self.shared if self.shared else None

    @property
    def color_psnr(self) -> float | None:
        """Peak signal-to-noise ratio of the two colours of a point, dB."""
        return psnr(self.color_square_sum / self.shared) if self.shared else None

    @property
    def contradictions(self) -> float | None:
        """Share of the points which the second view contradicts, of those that it does not hide."""
        seen = self.shared + self.contradicted
        return self.contradicted / seen if seen else None


def view_consistency(
    first: Frames,
    second: Frames,
    cameras: Camera,
    box_side: float,
    *,
    colors: tuple[Float[Tensor, "3 n n"], Float[Tensor, "3 n n"]] | None = None,
    pixel_grid: PixelGrid = "centers",
) -> ViewConsistency:
    """Carry the pixels of one view over to another.

    Args:
        first: What the first camera sees.
        second: What the second one sees.
        cameras: Both [2].
        box_side: Side of the field's box, world units: the tolerance is 2 % of it.
        colors: Other colours than theirs, of the same size: those of a super-resolution.
        pixel_grid: Where the rays of the pictures lie.
    """
    resolution, tolerance = first.depth.shape[-1], TOLERANCE * box_side
    origins, directions = camera_rays(cameras[0], resolution, pixel_grid)
    chosen = ((first.opacity > SOLID) & (edges(first, tolerance) == 0)).flatten()
    points = (origins + directions * first.distance.flatten()[:, None])[chosen]
    ours, theirs = colors or (first.rgb, second.rgb)
    places, depth = project(cameras[1], points)
    seen = torch.cat([second.depth, second.opacity, edges(second, tolerance), theirs])
    there, inside = read_between(seen, places, pixel_grid)
    clear = inside & (there[2] == 0)
    gap, empty = depth - there[0], there[1] <= SOLID
    shared = clear & ~empty & (gap.abs() <= tolerance)
    contradicted = clear & (empty | (gap < -tolerance))
    squares = (ours.flatten(1)[:, chosen] - there[3:]).square().mean(0)
    return ViewConsistency(
        shared=int(shared.sum()),
        contradicted=int(contradicted.sum()),
        depth_sum=float(gap[shared].abs().sum()),
        color_square_sum=float(squares[shared].sum()),
    )


def edges(frames: Frames, tolerance: float) -> Float[Tensor, "1 n n"]:
    """Mark pixels with 1 that have a neighbour on the other side of a silhouette, or at another depth.

    Args:
        frames: One picture.
        tolerance: Difference of depth between neighbours that is still one surface, world units.
    """

    def spread(picture: Tensor) -> Tensor:
        around = torch.stack([picture, -picture])
        largest = F.max_pool2d(around, 3, stride=1, padding=1)
        return largest[0] + largest[1]

    solid = (frames.opacity > SOLID).float()
    silhouette = spread(solid) > 0
    step = (spread(frames.depth) > 2 * tolerance) & (solid > 0)
    return (silhouette | step).float()


def project(
    camera: Camera, points: Float[Tensor, "points 3"]
) -> tuple[Float[Tensor, "points 2"], Float[Tensor, " points"]]:
    """Where world points fall in a picture, in image sides, and their depth along the camera's z."""
    rotation, position = camera.cam2world[:3, :3], camera.position
    in_camera = (points - position) @ rotation
    depth = in_camera[:, 2]
    flat = in_camera @ camera.intrinsics.mT
    return flat[:, :2] / flat[:, 2:].clamp_min(1e-6), depth


def read_between(
    picture: Float[Tensor, "c n n"], places: Float[Tensor, "points 2"], pixel_grid: PixelGrid
) -> tuple[Float[Tensor, "c points"], Bool[Tensor, " points"]]:
    """Read a picture between its pixels, bilinearly; the second answer says which places lie inside."""
    aligned = pixel_grid == "corners"
    values = F.grid_sample(
        picture[None], (places * 2 - 1)[None, None], mode="bilinear", padding_mode="border", align_corners=aligned
    )[0, :, 0]
    return values, ((places >= 0) & (places <= 1)).all(-1)
