import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates


def test_pixels_run_row_by_row_from_the_top_left_centre():
    assert pixel_coordinates(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_corner_grid_spreads_the_outermost_pixels_to_the_edges():
    assert pixel_coordinates(3, "corners")[[0, 1, 8]].tolist() == [[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("grid", ["centers", "corners"])
def test_supersampled_coordinates_average_to_the_pixels(grid):
    fine = pixel_coordinates(4, grid, supersample=3).reshape(4, 3, 4, 3, 2).mean((1, 3))
    torch.testing.assert_close(fine.reshape(-1, 2), pixel_coordinates(4, grid))


def test_middle_ray_looks_at_the_target_and_all_are_unit():
    camera = Camera.look_at((1.0, 2.0, 3.0), (0.5, 0.0, 0.0), fov_y_deg=40.0)
    origins, directions = camera_rays(camera, 5)
    torch.testing.assert_close(origins, torch.tensor([1.0, 2.0, 3.0]).expand(25, 3))
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(25))
    expected = torch.nn.functional.normalize(torch.tensor([-0.5, -2.0, -3.0]), dim=0)
    torch.testing.assert_close(directions[12], expected)


def test_right_in_the_picture_is_right_of_the_camera_and_down_is_down():
    camera = Camera.from_spherical(0.0, 0.0, 2.0, fov_y_deg=90.0)  # on +z, looking along -z
    _, directions = camera_rays(camera, 2, "corners")
    scaled = directions / directions[:, 2:].abs()
    expected = torch.tensor([[-1.0, 1, -1], [1, 1, -1], [-1, -1, -1], [1, -1, -1]])
    torch.testing.assert_close(scaled, expected, atol=1e-5, rtol=0)


def test_skew_moves_the_picture_sideways_in_proportion_to_height():
    intrinsics = torch.tensor([[2.0, 0.5, 0.4], [0.0, 1.5, 0.6], [0.0, 0.0, 1.0]])
    pixels = pixel_coordinates(4)
    _, directions = camera_rays(Camera(torch.eye(4), intrinsics), 4)
    projected = directions / directions[:, 2:] @ intrinsics.T  # K (x, y, 1) must be the pixel again
    torch.testing.assert_close(projected[:, :2], pixels)


def test_batch_of_cameras_is_a_loop():
    cameras = Camera.from_spherical(torch.tensor([0.0, 30.0, 200.0]), 10.0, 2.0, fov_y_deg=30.0)
    origins, directions = camera_rays(cameras, 3)
    for index in range(3):
        torch.testing.assert_close((origins[index], directions[index]), camera_rays(cameras[index], 3))
