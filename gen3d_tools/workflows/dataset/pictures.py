"""What a camera of a set sees: colours with alpha, depth, normals, mask; and their files.

The field is seen without its backdrop and without a super-resolution: a network that paints each picture anew shows
something else in each, and what is painted has no depth. Rays go through the middles of pixels, so that the lenses in
the files are right for every family.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8, UInt16

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.compiled import raw_density_of
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.settings import ModelSettings, config_for
from gen3d_tools.media.images import encode_pixels
from gen3d_tools.metrics.agreement import on_white, without_backdrop
from gen3d_tools.rendering.renderer import Frames, normals, render_frames
from gen3d_tools.workflows.dataset.views import MILLIMETRES

MASKED = 128
"""The least alpha, of 255, that a pixel of the mask has: more than half of its light is stopped."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture, rows first as in files."""

    rgba: UInt8[np.ndarray, "n n 4"]
    """sRGB that is not multiplied with alpha; white where nothing is. Laid on white it is the rendered picture."""
    depth: Float[np.ndarray, "n n"]
    """Along the camera's z, world units, float32; 0 outside the mask."""
    normal: UInt8[np.ndarray, "n n 3"] | None
    """World axes; -1..1 as 0..255, and 128 is zero: outside the mask."""

    @property
    def mask(self) -> Bool[np.ndarray, "n n"]:
        """Where the object is."""
        found: np.ndarray = self.rgba[..., 3] >= MASKED
        return found

    @property
    def rgb(self) -> UInt8[np.ndarray, "n n 3"]:
        """The picture on white."""
        alpha = self.rgba[..., 3:].astype(np.float64) / 255
        on_white_paper: np.ndarray = (self.rgba[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
        return on_white_paper


def picture_config(settings: ModelSettings, cameras: Camera) -> RenderConfig:
    """Give the settings under which a set is rendered."""
    return replace(on_white(config_for(cameras, settings)), pixel_grid="centers")


def take_views(
    field: RadianceField,
    cameras: Camera,
    config: RenderConfig,
    *,
    size: int,
    supersample: int = 1,
    with_normals: bool = True,
) -> Iterator[View]:
    """Look at a field from each camera; memory does not grow with their number.

    Args:
        field: What to look at.
        cameras: Any number, [n].
        config: See `picture_config`.
        size: Pixels along a side.
        supersample: Rays per pixel along each side.
        with_normals: Find the normals too.
    """
    bare = without_backdrop(field)
    cameras = cameras.to(field.device)
    frames = render_frames(
        bare, cameras, resolution=size, config=config, supersample=supersample, super_resolution=False
    )
    for index, frame in enumerate(frames):
        rgba = _rgba(frame)
        inside = torch.from_numpy(rgba[..., 3] >= MASKED)
        normal = None
        if with_normals:
            vectors = (
                normals(bare, cameras[index], frame, config=config, raw_density=raw_density_of(bare)).cpu() * inside
            )
            normal = rearrange(((vectors + 1) / 2 * 255).round().to(torch.uint8), "c y x -> y x c").numpy()
        yield View(rgba, torch.where(inside, frame.depth[0].cpu(), 0.0).float().numpy(), normal)


def _rgba(frame: Frames) -> UInt8[np.ndarray, "n n 4"]:
    """Take the white out that shines through, and round: the alpha first, so that no colour is lost by its rounding."""
    alpha = (frame.opacity.cpu().clamp(0, 1) * 255).round() / 255
    color = ((frame.rgb.cpu() - (1 - alpha)) / alpha.clamp_min(1 / 255)).clamp(0, 1)
    picture = torch.cat([torch.where(alpha > 0, color, 1.0), alpha])
    return np.ascontiguousarray(rearrange((picture * 255).round().to(torch.uint8), "c y x -> y x c").numpy())


def millimetres(depth: Float[np.ndarray, "*pixels"]) -> UInt16[np.ndarray, "*pixels"]:
    """Round depths to millimetres; 0 stays 0, and nothing else becomes it."""
    rounded = (depth.astype(np.float64) * MILLIMETRES).round()
    return np.where(depth > 0, rounded.clip(1, 65535), 0).astype(np.uint16)


def levels(
    depth: Float[np.ndarray, "*pixels"], mask: Bool[np.ndarray, "*pixels"], near: float, far: float
) -> UInt16[np.ndarray, "*pixels"]:
    """Spread depths from near to far over 0..65535, as 3DGP reads them; what is beside the object is at the far end."""
    share = ((depth.astype(np.float64) - near) / (far - near)).clip(0, 1)
    return np.where(mask, (share * 65535).round(), 65535).astype(np.uint16)


def write_pixels(path: Path, pixels: UInt8[np.ndarray, "..."] | UInt16[np.ndarray, "..."]) -> None:
    """Write a PNG of 8 or 16 bits, of one, three or four channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    encode_pixels(buffer, pixels)
    path.write_bytes(buffer.getvalue())


def write_array(path: Path, values: Float[np.ndarray, "..."]) -> None:
    """Write a NumPy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values, allow_pickle=False)


def write_view(view: View, places: Mapping[str, Path], folder: Path, depth_range: tuple[float, float] | None) -> None:
    """Write what is wanted of a view.

    Args:
        view: The view.
        places: What goes where, relative to the folder: see `layout.ViewFiles`.
        folder: Where the files go.
        depth_range: Nearest and farthest depth of "levels".
    """
    for kind, place in places.items():
        path = folder / place
        if kind == "rgba":
            write_pixels(path, view.rgba)
        elif kind == "rgb":
            write_pixels(path, view.rgb)
        elif kind == "masks":
            write_pixels(path, view.mask.astype(np.uint8) * 255)
        elif kind == "normals":
            assert view.normal is not None
            write_pixels(path, view.normal)
        elif kind == "depth":
            write_pixels(path, millimetres(view.depth))
        elif kind == "levels":
            assert depth_range is not None
            write_pixels(path, levels(view.depth, view.mask, *depth_range))
        else:
            assert kind == "depth-float"
            write_array(path, view.depth)
