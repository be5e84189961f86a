"""Two views of one solid agree; of two solids, of another colour, or of a shift, they differ by known amounts."""

import dataclasses

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.metrics.consistency import ViewConsistency, project, view_consistency
from gen3d_tools.rendering.renderer import render

PAIR = stack_cameras([Camera.from_spherical(yaw, 10, 3.0, fov_y_deg=40.0) for yaw in (0, 20)])


def ball(radius=0.6, color=0.5):
    return FunctionField(
        raw_density_fn=lambda points: 1e4 * (radius - points.norm(dim=-1)),
        values_fn=lambda points: torch.full_like(points, color),
        bounded=True,
    )


@pytest.fixture(scope="module")
def views():
    field = ball()
    return [render(field, camera, resolution=64) for camera in PAIR]


def test_two_views_of_a_ball_agree(views):
    found = view_consistency(*views, PAIR, 2.0)
    assert found.shared > 300
    assert found.depth_error < 0.005
    assert found.color_psnr > 40
    assert found.contradictions == 0


def test_a_view_of_a_smaller_ball_contradicts(views):
    shrunk = render(ball(0.4), PAIR[1], resolution=64)
    found = view_consistency(views[0], shrunk, PAIR, 2.0)
    assert found.contradictions > 0.9


def test_a_view_of_a_larger_ball_hides(views):
    grown = render(ball(0.8), PAIR[1], resolution=64)
    found = view_consistency(views[0], grown, PAIR, 2.0)
    assert found.contradicted == 0
    assert found.shared == 0
    assert found.contradictions is found.depth_error is found.color_psnr is None


def test_another_colour_is_the_error_and_leaves_the_depth_alone(views):
    same = view_consistency(*views, PAIR, 2.0)
    colours = (views[0].rgb, views[1].rgb + 0.1)
    found = view_consistency(*views, PAIR, 2.0, colors=colours)
    assert found.color_psnr == pytest.approx(20, abs=0.1)  # -20 log10(0.1)
    assert found.depth_error == same.depth_error


def test_a_shift_in_depth_is_the_depth_error(views):
    moved = dataclasses.replace(views[1], depth=views[1].depth + 0.02)
    assert view_consistency(views[0], moved, PAIR, 2.0).depth_error == pytest.approx(0.02, abs=0.003)


def test_pairs_add_up():
    first = ViewConsistency(shared=2, contradicted=1, depth_sum=0.2, color_square_sum=0.02)
    total = first + ViewConsistency(shared=2, depth_sum=0.6)
    assert total.depth_error == pytest.approx(0.2)
    assert total.contradictions == pytest.approx(0.2)


def test_points_fall_where_their_rays_came_from():
    camera = Camera.from_spherical(30, -20, 2.5, fov_y_deg=35.0)
    places, depth = project(camera, torch.zeros(1, 3))
    torch.testing.assert_close(places, torch.tensor([[0.5, 0.5]]))
    assert depth.item() == pytest.approx(2.5)
