"""Pictures of triangle meshes, drawn in software: offline, on any machine, from the cameras of the field's pictures.

By default nothing is lit: a picture shows the mesh's own colours, so that it can be compared with a render of the
field. Colours are blended as stored (sRGB), as the renderer blends those of a field.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import trimesh
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.render_config import PixelGrid
from gen3d_tools.geometry.color.vertex_colors import Texture, colors_of, sample_texture, texture_of
from gen3d_tools.kernels.raster import Fragments
from gen3d_tools.rendering.rays import pixel_coordinates

CLAY = 0.7  # brightness of a mesh without colours
_AMBIENT = 0.35  # brightness of a face seen edge on, when shaded


@dataclass(frozen=True, eq=False)
class MeshPicture:
    """Pictures of a mesh, over the camera's leading axes, on the CPU."""

    rgb: Float[Tensor, "*b 3 n n"]
    """Colour in [0, 1], in front of the background."""
    depth: Float[Tensor, "*b 1 n n"]
    """Depth along the camera's z axis in world units; infinite where no surface is seen."""
    mask: Float[Tensor, "*b 1 n n"]
    """Share of each pixel that the mesh covers, 0..1."""


def render_mesh(
    mesh: trimesh.Trimesh,
    camera: Camera,
    resolution: int,
    *,
    supersample: int = 2,
    background: float = 1.0,
    shading: bool = False,
    pixel_grid: PixelGrid = "centers",
) -> MeshPicture:
    """Draw one picture per camera. Both sides of a face are seen.

    Args:
        mesh: In world units, y up; with vertex colours, with a texture, or without colours (it is drawn grey).
        camera: One camera or a batch of them.
        resolution: Pixels along each side.
        supersample: Samples per pixel along each side, averaged.
        background: Brightness behind the mesh, 0..1.
        shading: Light the mesh from the camera, so that its shape is seen too.
        pixel_grid: Where the samples lie, see `RenderConfig`; a field's own makes pictures comparable to its renders.

    Raises:
        InputError: A size is below 1.
    """
    if resolution < 1 or supersample < 1:
        raise InputError(f"need resolution >= 1 and supersample >= 1, got {resolution} and {supersample}")
    paint = Paint.of(mesh, lit=shading)
    pictures = []
    for one in camera.flatten().to("cpu"):
        seen = _rasterize(mesh, one, resolution, supersample, pixel_grid)
        pictures.append(_shrink(paint.picture(seen, one), seen.depth, supersample, background))
    stacked = torch.stack(pictures).reshape(*camera.batch_shape, 5, resolution, resolution)
    rgb, depth, mask = torch.split(stacked, [3, 1, 1], dim=-3)
    return MeshPicture(rgb, depth, mask)


def _rasterize(
    mesh: trimesh.Trimesh, camera: Camera, resolution: int, supersample: int, pixel_grid: PixelGrid
) -> Fragments:
    """Project the mesh on the grid of samples, and find what each sees."""
    corners = _pixel_corners(mesh, camera, resolution, supersample, pixel_grid)
    from gen3d_tools.kernels.meshes.raster import rasterize  # imports numba, which takes a while

    return rasterize(corners, resolution * supersample)


def _pixel_corners(
    mesh: trimesh.Trimesh, camera: Camera, resolution: int, supersample: int, pixel_grid: PixelGrid
) -> Float[np.ndarray, "faces 3 3"]:
    """Homogeneous pixel coordinates of the faces' corners: pixel times depth, and depth."""
    samples = pixel_coordinates(resolution, pixel_grid, supersample=supersample).double().numpy()
    start, step = samples[0, 0], (samples[-1, 0] - samples[0, 0]) / max(resolution * supersample - 1, 1)
    to_pixels = np.array([[1 / (step or 1), 0, -start / (step or 1)], [0, 1 / (step or 1), -start / (step or 1)]])
    projection = camera.intrinsics.double().numpy()
    cam2world = camera.cam2world.double().numpy()
    in_camera = (np.asarray(mesh.vertices, np.float64) - cam2world[:3, 3]) @ cam2world[:3, :3]
    in_image = in_camera @ projection.T
    places = np.concatenate([in_image @ to_pixels.T, in_image[:, 2:]], axis=1)
    corners: np.ndarray = places[np.asarray(mesh.faces)]
    return corners


@dataclass(frozen=True, eq=False)
class Paint:
    """What colour a point of a mesh has."""

    faces: np.ndarray  # [faces, 3]
    colors: Float[np.ndarray, "vertices 3"] | None  # 0..1
    texture: Texture | None
    normals: Float[np.ndarray, "vertices 3"] | None  # when lit

    @classmethod
    def of(cls, mesh: trimesh.Trimesh, *, lit: bool = False) -> "Paint":
        """Read a mesh's texture, or its vertex colours, or neither."""
        faces, normals = np.asarray(mesh.faces), np.asarray(mesh.vertex_normals) if lit else None
        texture = texture_of(mesh)
        if texture is not None:
            return cls(faces, None, texture, normals)
        colors = colors_of(mesh)
        return cls(faces, None if colors is None else colors[:, :3] / 255, None, normals)

    def picture(self, seen: Fragments, camera: Camera) -> Float[np.ndarray, "n n 3"]:
        """Colour every sample; black where nothing is seen."""
        hit = seen.face >= 0
        corners, shares = self.faces[seen.face[hit]], seen.shares[hit].astype(np.float64)
        colors = self._colors(corners, shares)
        if self.normals is not None:
            view = camera.forward.double().numpy()
            normals = _blended(self.normals, corners, shares)
            facing = np.abs(normals @ view) / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
            colors = colors * (_AMBIENT + (1 - _AMBIENT) * facing)[:, None]
        picture = np.zeros((*hit.shape, 3))
        picture[hit] = colors
        return picture

    def _colors(self, corners: np.ndarray, shares: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        if self.texture is not None:
            return sample_texture(self.texture.picture, _blended(self.texture.uv, corners, shares))
        if self.colors is not None:
            return _blended(self.colors, corners, shares)
        return np.full((len(corners), 3), CLAY)


def _blended(
    values: Float[np.ndarray, "vertices channels"], corners: np.ndarray, shares: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points channels"]:
    """Values of the vertices between the corners of a face."""
    blended: np.ndarray = np.einsum("pk,pkc->pc", shares, values[corners])
    return blended


def _shrink(
    rgb: Float[np.ndarray, "fine fine 3"], depth: Float[np.ndarray, "fine fine"], factor: int, background: float
) -> Float[Tensor, "5 coarse coarse"]:
    """Average boxes of samples: colour on the background, depth over the samples that saw the mesh, coverage."""
    hit = np.isfinite(depth)
    seen = np.concatenate([rgb, np.where(hit, depth, 0)[..., None], hit[..., None]], axis=-1)
    mean = F.avg_pool2d(torch.from_numpy(rearrange(seen, "y x c -> c y x")), factor)
    cover = mean[4:]
    distance = torch.where(cover > 0, mean[3:4] / cover.clamp(min=1e-12), torch.inf)
    return torch.cat([(mean[:3] + (1 - cover) * background).clamp(0, 1), distance, cover]).float()
