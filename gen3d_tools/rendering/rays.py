"""One ray per pixel, row by row from the top left, with unit directions in world axes."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.render_config import PixelGrid


def pixel_coordinates(
    resolution: int, pixel_grid: PixelGrid = "centers", *, supersample: int = 1, device: torch.device | str = "cpu"
) -> Float[Tensor, "pixels 2"]:
    """Image coordinates of every pixel in image sides, (0, 0) the top left corner, x first.

    Args:
        resolution: Pixels along each side.
        pixel_grid: "centers" puts a ray through the middle of each pixel; "corners" spreads the middles so that
            the outermost lie on the picture's edges.
        supersample: Evenly spaced coordinates along each side of a pixel, around its middle.
        device: Where to put them.
    """
    index = (torch.arange(resolution * supersample, device=device, dtype=torch.float32) + 0.5) / supersample
    axis = index / resolution if pixel_grid == "centers" else (index - 0.5) / max(resolution - 1, 1)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


def rays_through(
    cam2world: Float[Tensor, "*b 4 4"], intrinsics: Float[Tensor, "*b 3 3"], pixels: Float[Tensor, "*#b pixels 2"]
) -> tuple[Float[Tensor, "*b pixels 3"], Float[Tensor, "*b pixels 3"]]:
    """Origins and unit directions of the rays through image coordinates.

    Inverts the pinhole projection with skew, `K (x, y, 1)`, at z = 1 and turns the result into world axes. The cameras
    of a batch look through the same pixels, or each through its own.
    """
    fx, fy, skew = intrinsics[..., 0, 0, None], intrinsics[..., 1, 1, None], intrinsics[..., 0, 1, None]
    cx, cy = intrinsics[..., 0, 2, None], intrinsics[..., 1, 2, None]
    y = (pixels[..., 1] - cy) / fy
    x = (pixels[..., 0] - cx - skew * y) / fx
    towards = torch.stack([x, y, torch.ones_like(x)], -1) @ cam2world[..., :3, :3].mT
    origins = cam2world[..., None, :3, 3].expand_as(towards)
    return origins, F.normalize(towards, dim=-1)


def camera_rays(
    camera: Camera, resolution: int, pixel_grid: PixelGrid = "centers", *, supersample: int = 1
) -> tuple[Float[Tensor, "*b pixels 3"], Float[Tensor, "*b pixels 3"]]:
    """Origins and unit directions of a square picture's rays; pixel (row, column) is `row * resolution + column`."""
    if pixel_grid == "corners" and supersample == 1:
        return _rays_between_edges(camera, resolution)
    pixels = pixel_coordinates(resolution, pixel_grid, supersample=supersample, device=camera.cam2world.device)
    return rays_through(camera.cam2world, camera.intrinsics, pixels)


def through_middles(camera: Camera, resolution: int, pixel_grid: PixelGrid) -> Camera:
    """The camera of the same picture as other programs see it, whose rays go through the middles of pixels.

    A ray of the "corners" grid is farther from the picture's middle than the pixel that it colours, by 1 / (n - 1) of
    its way, which is half a pixel at the edges.

    Args:
        camera: One or several, as our rays see with it.
        resolution: Rays along each side.
        pixel_grid: Where they lie.
    """
    if pixel_grid == "centers" or resolution == 1:
        return camera
    middle = camera.intrinsics.new_tensor([0.5, 0.5, 1.0])[:, None] * camera.intrinsics.new_tensor([0.0, 0.0, 1.0])
    scale = camera.intrinsics.new_tensor([1 - 1 / resolution, 1 - 1 / resolution, 1.0])[:, None]
    return Camera(camera.cam2world, (camera.intrinsics - middle) * scale + middle)


def upper_left(camera: Camera, share: float) -> Camera:
    """The camera of a picture's upper left corner, `share` of each side; see `SuperResolution.grid_share`."""
    if share == 1:
        return camera
    scale = camera.intrinsics.new_tensor([share, share, 1.0])
    return Camera(camera.cam2world, camera.intrinsics / scale[:, None])


def _rays_between_edges(
    camera: Camera, resolution: int
) -> tuple[Float[Tensor, "*b pixels 3"], Float[Tensor, "*b pixels 3"]]:
    """The "corners" grid in the order of operations of EpiGRAF and 3DGP, which gives their rays bit for bit.

    Pixels count from -1 to 1 and directions are normalised before they are turned into world axes. Importance
    sampling in a steep density multiplies a difference in the last bit by a thousand.
    """
    lens = camera.intrinsics[..., None]
    axis = torch.linspace(-1, 1, resolution, device=camera.device)
    y, x = (one.flatten() for one in torch.meshgrid(axis, axis, indexing="ij"))
    fx, fy, skew = lens[..., 0, 0, :], lens[..., 1, 1, :], lens[..., 0, 1, :]
    y = (y + (1 - 2 * lens[..., 1, 2, :])) * (fx / fy)
    x = x + (1 - 2 * lens[..., 0, 2, :]) - skew * y / fx
    shape = (*fx.shape[:-1], x.shape[-1])
    rays_cam = torch.stack([x.expand(shape), y.expand(shape), (2 * fx).expand(shape)], -1)
    unit = rays_cam / rays_cam.norm(dim=-1, keepdim=True)
    directions = (camera.cam2world[..., :3, :3] @ unit.mT).mT
    return camera.cam2world[..., None, :3, 3].expand_as(directions), directions
