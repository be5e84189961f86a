"""How well a mesh agrees with the field it was taken from, judged by pictures from the same cameras.

Both are seen along the same rays, the field without super-resolution, both on white whatever the field's own
background is. A pixel belongs to the field where its opacity is above 0.5, to the mesh where the ray meets it. Then

* silhouette IoU: pixels of both over pixels of either, mean over the views;
* depth error: mean |difference| of the depths along the camera's z, over the pixels of both, all views together;
* colour PSNR: -10 log10 of the mean squared difference of the colours in [0, 1], all views together: of whole pictures,
  and of the pixels of both alone, where no white background flatters.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.geometry.color.rasterize import MeshPicture, render_mesh
from gen3d_tools.rendering.renderer import Frames, render_frames

BEST_PSNR = 100.0
"""Given for equal pictures, in dB; it stays a number in JSON."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well a mesh agrees with its field; the module's text defines the measures."""

    silhouette_iou: float  # 0..1
    worst_silhouette_iou: float  # of a single view
    depth_error: float | None  # world units; None where mesh and field share no pixel
    depth_error_percent: float | None  # of the side of the field's box
    color_psnr: float  # dB, whole pictures, at most `BEST_PSNR`
    color_psnr_inside: float | None  # dB, over the pixels of both
    views: int
    resolution: int  # pixels along each side

    def to_dict(self) -> dict[str, Any]:
        """Give the measures as plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        """Say it in one line."""
        depth = "no depth" if self.depth_error_percent is None else f"depth off by {self.depth_error_percent:.2f} %"
        return f"silhouette IoU {self.silhouette_iou:.4f}, colour {self.color_psnr:.1f} dB, {depth} of the box"


def compare(
    field: RadianceField,
    mesh: trimesh.Trimesh,
    cameras: Camera,
    resolution: int = 128,
    *,
    config: RenderConfig | None = None,
    supersample: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Compare pictures of a mesh with pictures of a field.

    Args:
        field: The field.
        mesh: In world units, y up, with vertex colours or a texture.
        cameras: One or more; a ring around the object sees all of it.
        resolution: Pixels along each side.
        config: Instead of the field's own settings.
        supersample: Rays per pixel along each side.
        progress: Called with the views done and the views in all.

    Raises:
        InputError: A size is below 1, or there is no camera.
    """
    cameras = cameras.flatten()
    if not len(cameras):
        raise InputError("there is no camera to compare from; give at least one")
    config = on_white(config or field.render_config)
    seen = render_frames(
        without_backdrop(field),
        cameras,
        resolution=resolution,
        config=config,
        supersample=supersample,
        super_resolution=False,
    )
    sums = _Sums()
    for index, frame in enumerate(seen):
        drawn = render_mesh(mesh, cameras[index], resolution, supersample=supersample, pixel_grid=config.pixel_grid)
        sums.add(frame, drawn)
        if progress is not None:
            progress(index + 1, len(cameras))
    return sums.agreement(field.box_side, resolution)


def on_white(config: RenderConfig) -> RenderConfig:
    """Give the same settings in front of white, with all light counted that passes the field."""
    return replace(config, background="white", last_in_coarse_pass=False)


def without_backdrop(field: RadianceField) -> RadianceField:
    """Give the same field with nothing behind it."""
    if field.backdrop is None:
        return field
    bare = copy.copy(field)
    object.__setattr__(bare, "backdrop", None)  # fields are frozen values; the copy is nobody else's yet
    return bare


class _Sums:
    """Adds views up, so that no picture has to be kept."""

    def __init__(self) -> None:
        self.ious: list[float] = []
        self.pixels = self.shared = 0
        self.depth = self.squares = self.squares_inside = 0.0

    def add(self, frame: Frames, drawn: MeshPicture) -> None:
        """Count one view."""
        field_mask, mesh_mask = frame.opacity.cpu() > 0.5, drawn.mask > 0.5
        both, either = field_mask & mesh_mask, field_mask | mesh_mask
        squares = (frame.rgb.cpu() - drawn.rgb).double().square().mean(0, keepdim=True)
        self.ious.append(float(both.sum() / either.sum()) if either.any() else 1.0)
        self.pixels += both.numel()
        self.shared += int(both.sum())
        self.depth += float((frame.depth.cpu() - drawn.depth)[both].double().abs().sum())
        self.squares += float(squares.sum())
        self.squares_inside += float(squares[both].sum())

    def agreement(self, box_side: float, resolution: int) -> Agreement:
        """Make means of the sums."""
        depth = self.depth / self.shared if self.shared else None
        return Agreement(
            silhouette_iou=sum(self.ious) / len(self.ious),
            worst_silhouette_iou=min(self.ious),
            depth_error=depth,
            depth_error_percent=None if depth is None else 100 * depth / box_side,
            color_psnr=psnr(self.squares / self.pixels),
            color_psnr_inside=psnr(self.squares_inside / self.shared) if self.shared else None,
            views=len(self.ious),
            resolution=resolution,
        )


def psnr(mean_square: float) -> float:
    """Peak signal-to-noise ratio of colours in [0, 1] in dB, at most `BEST_PSNR`."""
    return min(BEST_PSNR, -10 * math.log10(max(mean_square, 1e-30)))
