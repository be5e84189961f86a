import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError
from gen3d_tools.geometry.extraction import fusion
from gen3d_tools.geometry.extraction.fusion import check_surface_source, fuse_mesh, fuse_views, pixel_intrinsics
from gen3d_tools.geometry.mesh import mesh_health
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render_frames
from tests.geometry.conftest import ball_depth

CENTER, RADIUS, RESOLUTION = np.array([0.1, 0.0, -0.1]), 0.5, 32
VOXEL = 2.0 / (RESOLUTION - 1)


def around() -> Camera:
    pitch = [-40.0] * 4 + [20.0] * 4 + [85.0]
    yaw = [0.0, 90, 180, 270, 45, 135, 225, 315, 0]
    return Camera.from_spherical(yaw, pitch, 4.0, fov_y_deg=30)


def halves(points):
    """Red where x is above the ball's middle, else blue."""
    red = (points[..., :1] > float(CENTER[0])).float()
    return torch.cat([red, torch.zeros_like(red), 1 - red], dim=-1)


@pytest.fixture
def ball(field_of):
    return field_of(ball_depth(tuple(CENTER.tolist()), RADIUS), values_fn=halves)


@pytest.fixture
def fused(ball, open3d):
    return fuse_mesh(ball, around(), resolution=RESOLUTION, picture_resolution=48)


def test_a_fused_ball_is_the_ball_within_a_voxel_and_closed(fused):
    assert np.linalg.norm(fused.vertices - CENTER, axis=1) == pytest.approx(RADIUS, abs=VOXEL)
    health = mesh_health(fused)
    assert (health.sound, health.shells, health.euler_number) == (True, 1, 2)
    assert fused.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.05)  # > 0: faces outwards
    away = np.abs(fused.vertices[:, 0] - CENTER[0]) > 2 * VOXEL
    red = fused.vertices[:, 0] > CENTER[0]
    assert (np.asarray(fused.visual.vertex_colors)[away, 0] > 127).tolist() == red[away].tolist()


def test_what_no_view_sees_is_open_and_then_closed(ball, open3d):
    front = around()[:1]
    part = fuse_views(ball, front, resolution=RESOLUTION, picture_resolution=48)
    edges = np.sort(part.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 1).any()
    closed = fuse_mesh(ball, front, resolution=RESOLUTION, picture_resolution=48)
    assert closed.is_watertight
    assert closed.is_winding_consistent


def test_the_points_of_a_depth_picture_lie_on_the_ball(ball):
    [frames] = render_frames(ball, around()[:1], resolution=48)
    points = fusion._shown_points(fusion._trusted_depth(frames, around()[0]), around()[0], corners=False)
    assert len(points) > 100
    assert np.linalg.norm(points - CENTER, axis=1) == pytest.approx(RADIUS, abs=0.02)


def test_empty_views_are_no_surface(field_of, open3d):
    empty = field_of(lambda points: points[..., 0] * 0 - 1)
    with pytest.raises(Gen3DError, match="no surface in 9 views"):
        fuse_views(empty, around(), resolution=16, picture_resolution=8)


@pytest.mark.parametrize("grid", ["centers", "corners"])
def test_pixel_intrinsics_lead_back_to_the_pixel_that_a_ray_leaves_from(grid):
    camera, side = around()[4], 5
    origins, directions = camera_rays(camera, side, grid)
    local = ((origins + 3 * directions).reshape(-1, 3) - camera.position) @ camera.cam2world[:3, :3]
    lens = pixel_intrinsics(camera.intrinsics, side, corners=grid == "corners")
    found = (local / local[:, 2:]).double() @ lens.T
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    assert found[:, :2] == pytest.approx(torch.stack([columns, rows], -1).reshape(-1, 2).double(), abs=1e-4)


def test_an_unknown_surface_and_a_missing_open3d_are_told_before_any_work(monkeypatch):
    with pytest.raises(InputError, match="must be one of field, fusion"):
        check_surface_source("dreams")

    def missing() -> None:
        raise MissingDependencyError("open3d cannot be imported: libGL.so.1; apt install libgl1")

    monkeypatch.setattr(fusion, "import_open3d", missing)
    check_surface_source("field")  # needs none
    with pytest.raises(MissingDependencyError, match="apt install libgl1"):
        check_surface_source("fusion")
