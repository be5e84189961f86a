"""A surface fused from rendered views: truncated signed distances of depth pictures, averaged in voxels by open3d.

Each pixel says how far a voxel on its line of sight is before or behind the surface; the mean over all views is zero at
the surface (Curless and Levoy 1996). Voxels exist only near a surface (open3d's `VoxelBlockGrid`).

It serves where the pictures are the truth rather than a level of the density: soft or noisy fields, whose level sets
are ragged, and families whose pictures come from a 2-D network, whose colours it averages from those very pictures.
It adds no relief: a super-resolution enlarges the depth of the render that it begins with. Where the field itself is
steep, meshing the field is more exact and quicker; what no view sees is closed with flat faces, and parts thinner than
the truncation are thickened.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
import trimesh
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.geometry.extraction.lattice import Progress, check_memory, check_range
from gen3d_tools.geometry.extraction.level import LevelChoice
from gen3d_tools.geometry.processing.cleanup import check_keep, clean
from gen3d_tools.geometry.processing.decimation import check_faces, decimate
from gen3d_tools.geometry.processing.repair import make_watertight
from gen3d_tools.geometry.processing.smoothing import check_rounds
from gen3d_tools.geometry.processing.smoothing import smooth as smooth_mesh
from gen3d_tools.rendering.renderer import Frames, render_frames
from gen3d_tools.system_libraries import import_open3d

logger = logging.getLogger(__name__)

SurfaceSource = Literal["field", "fusion"]

_TRUNCATION = 3.0  # voxels before and behind a surface that a view says something about
_OPAQUE = 0.9  # opacity from which a pixel has a depth
_STEEPEST = 2.5  # depth that a surface gains over its width in the picture, along rows, columns and diagonals
_LEAST_PIXELS = 64  # along each side of a picture, however few the voxels
_BLOCK = 8  # voxels along each side of a block
_LAYERS = 18  # blocks to begin with, in faces of the box
_VOXEL_BYTES = 20  # distance, weight and colour
_FARTHEST = 1e6  # world units; open3d ignores what is beyond


@dataclass(frozen=True, eq=False)
class FusedSurface:
    """Triangles as the views show them; open where no view looks."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    colors: Float[np.ndarray, "vertices 3"]
    """Mean of the pictures, sRGB in [0, 1]."""


def check_surface_source(source: str) -> None:
    """Say before any work is done whether a surface can be had that way.

    Raises:
        InputError: There is no such source.
        MissingDependencyError: open3d is needed, and cannot be imported.
    """
    if source not in get_args(SurfaceSource):
        raise InputError(f"the surface is {source!r}, it must be one of {', '.join(get_args(SurfaceSource))}")
    if source == "fusion":
        import_open3d()


def fuse_mesh(
    field: RadianceField,
    cameras: Camera,
    *,
    resolution: int = 256,
    picture_resolution: int | None = None,
    keep: float = 0.02,
    keep_background: bool = False,
    faces: int | None = None,
    smooth: int = 0,
    progress: Progress | None = None,
) -> trimesh.Trimesh:
    """Fuse views of a field to a closed mesh with the colours of its pictures.

    Args:
        field: What to look at, its super-resolution included.
        cameras: Where the pictures are taken from, any leading axes.
        resolution: Voxels along each side of the field's box, 8 to 1024.
        picture_resolution: Pixels along each side; by default what the super-resolution gives, or as many as
            voxels, 64 at least.
        keep: Smallest volume of a detached part to keep, as a share of the largest part's.
        keep_background: Keep background sheets and the walls of the box.
        faces: Faces wanted, at most.
        smooth: Rounds of Taubin smoothing.
        progress: Called with the pictures done and the pictures in all.

    Returns:
        A mesh in world units, y up; `metadata` as `extract_mesh` gives it, and "repair".

    Raises:
        Gen3DError: No view shows a surface.
        InputError: An argument is outside its range.
        MissingDependencyError: open3d cannot be imported.
        OutOfMemoryError: The voxels do not fit.
    """
    check_keep(keep)
    check_rounds(smooth)
    if faces is not None:
        check_faces(faces)
    fused = fuse_views(field, cameras, resolution=resolution, picture_resolution=picture_resolution, progress=progress)
    vertices, triangles, cleaned = clean(
        fused.vertices, fused.faces, keep=keep, box_side=field.box_side, keep_background=keep_background
    )
    nearest = cKDTree(fused.vertices).query(vertices)[1]
    colors = (fused.colors[nearest] * 255).round().astype(np.uint8)
    mesh = make_watertight(trimesh.Trimesh(vertices, triangles, vertex_colors=colors, process=False))
    reason = f"fused from {len(cameras.flatten())} views"
    level = LevelChoice(level=field.iso_level, suggested=field.iso_level, silhouette_iou=None, reason=reason)
    mesh.metadata.update(level=level, cleanup=cleaned)
    logger.info("Meshed: %s; %s.", reason, cleaned)
    if smooth:
        mesh = smooth_mesh(mesh, smooth)
    return decimate(mesh, faces) if faces is not None and faces < len(mesh.faces) else mesh


def fuse_views(
    field: RadianceField,
    cameras: Camera,
    *,
    resolution: int,
    picture_resolution: int | None = None,
    progress: Progress | None = None,
) -> FusedSurface:
    """Average the signed distances that rendered views show, and march over them. The arguments are `fuse_mesh`'s.

    Raises:
        Gen3DError: No view shows a surface.
        InputError: The resolution is outside its range.
        MissingDependencyError: open3d cannot be imported.
        OutOfMemoryError: The voxels do not fit.
    """
    check_range(resolution)
    blocks = _LAYERS * (resolution // _BLOCK + 1) ** 2
    check_memory(resolution, blocks * _BLOCK**3 * _VOXEL_BYTES, exponent=2)
    o3d = import_open3d()
    voxel = field.box_side / (resolution - 1)
    kinds = (o3d.core.float32,) * 3
    grid = o3d.t.geometry.VoxelBlockGrid(("tsdf", "weight", "color"), kinds, ((1), (1), (3)), voxel, _BLOCK, blocks)
    if picture_resolution is None and field.super_resolution is None:
        picture_resolution = max(resolution, _LEAST_PIXELS)
    cameras = cameras.flatten()
    corners = field.render_config.pixel_grid == "corners"
    shown = False
    for index, frames in enumerate(render_frames(field, cameras, resolution=picture_resolution)):
        depth = _trusted_depth(frames, cameras[index].to(frames.depth.device))
        if bool((depth > 0).any()):
            shown = True
            _integrate(o3d, grid, depth, frames.rgb, cameras[index], corners=corners)
        if progress is not None:
            progress(index + 1, len(cameras))
    surface = grid.extract_triangle_mesh(0.5) if shown else None  # one view is enough
    if surface is None or surface.is_empty() or "indices" not in surface.triangle:
        raise Gen3DError(f"no surface in {len(cameras)} views: nothing in them is opaque; try another seed")
    return FusedSurface(
        surface.vertex.positions.numpy().astype(np.float64),
        surface.triangle.indices.numpy().astype(np.int64),
        surface.vertex.colors.numpy().clip(0, 1).astype(np.float64),
    )


def _trusted_depth(frames: Frames, camera: Camera) -> Float[Tensor, "h w"]:
    """Depth where a pixel and those around it are opaque and show a surface that is turned to the camera, 0 elsewhere.

    At an outline depth is a mean of what lies before and behind, and where a line of sight grazes a surface it leaves
    it again within the truncation: what is behind would count as inside.
    """
    depth = frames.depth[0]
    pooled = F.max_pool2d(torch.cat([frames.depth, -frames.depth, -frames.opacity])[None], 3, stride=1, padding=1)[0]
    pixel = depth / (camera.intrinsics[1, 1] * depth.shape[-1])  # its side, at that depth
    turned = pooled[0] + pooled[1] < _STEEPEST * 2 * pixel
    return torch.where(turned & (pooled[2] < -_OPAQUE), depth, 0.0)


def _integrate(
    o3d: Any, grid: Any, depth: Float[Tensor, "h w"], rgb: Float[Tensor, "3 h w"], camera: Camera, *, corners: bool
) -> None:
    """Add one view to the voxels near what it shows."""

    def matrix(values: Tensor) -> Any:
        return o3d.core.Tensor(np.ascontiguousarray(values.double().cpu().numpy()))

    def image(pixels: Tensor) -> Any:
        return o3d.t.geometry.Image(o3d.core.Tensor(np.ascontiguousarray(pixels.float().cpu().numpy())))

    lens = matrix(pixel_intrinsics(camera.intrinsics, depth.shape[-1], corners=corners))
    world2cam = matrix(torch.linalg.inv(camera.cam2world.cpu().double()))
    depths, colors = image(depth[..., None]), image(rgb.permute(1, 2, 0).clamp(0, 1))
    shown = o3d.t.geometry.PointCloud(o3d.core.Tensor(_shown_points(depth, camera, corners=corners)))
    near = grid.compute_unique_block_coordinates(shown, _TRUNCATION)  # of a depth picture it looks at each 4th pixel
    grid.integrate(near, depths, colors, lens, lens, world2cam, 1.0, _FARTHEST, _TRUNCATION)


def _shown_points(depth: Float[Tensor, "h w"], camera: Camera, *, corners: bool) -> Float[np.ndarray, "n 3"]:
    """World points of the pixels that have a depth."""
    depth = depth.cpu().double()
    rows, columns = (depth > 0).nonzero().T
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1).double()
    lens = pixel_intrinsics(camera.intrinsics, depth.shape[-1], corners=corners)
    local = pixels @ torch.linalg.inv(lens).T * depth[rows, columns, None]
    cam2world = camera.cam2world.cpu().double()
    world: np.ndarray = (local @ cam2world[:3, :3].T + cam2world[:3, 3]).float().numpy()
    return world


def pixel_intrinsics(intrinsics: Float[Tensor, "3 3"], side: int, *, corners: bool) -> Float[Tensor, "3 3"]:
    """Turn a lens in image sides into one in pixels, whose middles have whole numbers.

    Args:
        intrinsics: Of a `Camera`.
        side: Pixels along each side.
        corners: Whether the middles of the outermost pixels lie on the edges of the picture.
    """
    lens = intrinsics.detach().cpu().double().clone()
    lens[:2] *= side - 1 if corners else side
    lens[:2, 2] -= 0.0 if corners else 0.5
    return lens
