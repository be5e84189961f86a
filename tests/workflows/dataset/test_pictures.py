"""What a camera of a set sees: alpha, mask, depth and normals belong together, and files hold them as said."""

import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.metrics.agreement import on_white
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.dataset.pictures import levels, millimetres, take_views

CENTER, RADIUS = torch.tensor([0.05, -0.02, 0.03]), 0.35
CAMERA = Camera.from_spherical([20.0, 140.0], [15.0, -40.0], 2.5, fov_y_deg=25.0)
SIZE = 48


@pytest.fixture(scope="module", params=["soft", "hard"])
def seen(request):
    """A ball coloured by the place, opaque at once or over a third of its radius; its views, and pictures on white."""
    steep = {"soft": 60.0, "hard": 1e6}[request.param]
    field = FunctionField(
        raw_density_fn=lambda points: steep * (RADIUS - (points - CENTER).norm(dim=-1)),
        values_fn=lambda points: points + 0.5,
        box_side=1.0,
        iso_level=1.0,
        render_config=RenderConfig(near="box", far="box"),
    )
    config = on_white(field.render_config)
    views = list(take_views(field, CAMERA, config, size=SIZE))
    return views, render(field, CAMERA, resolution=SIZE, config=config)


def test_laid_on_white_a_picture_is_the_rendered_one(seen):
    views, frames = seen
    for view, rgb in zip(views, frames.rgb, strict=True):
        assert np.abs(view.rgb.transpose(2, 0, 1) / 255.0 - rgb.numpy()).max() < 1.6 / 255


def test_the_mask_is_where_alpha_is_more_than_half_and_nothing_else_has_a_depth_or_a_normal(seen):
    views, frames = seen
    for view, opacity in zip(views, frames.opacity[:, 0].numpy(), strict=True):
        assert (view.mask == (view.rgba[..., 3] >= 128)).all()
        assert (view.mask == (opacity > 0.5)).mean() > 0.999
        assert 0.2 < view.mask.mean() < 0.8
        assert (view.depth > 0).tolist() == view.mask.tolist()
        assert (view.normal[~view.mask] == 128).all()
        assert (view.rgba[view.rgba[..., 3] == 0] == [255, 255, 255, 0]).all()


@pytest.mark.parametrize("seen", ["hard"], indirect=True)  # a soft ball has no one surface
def test_depth_and_normals_are_those_of_the_ball(seen):
    views, _ = seen
    for view, camera in zip(views, CAMERA, strict=True):
        rows, columns = np.nonzero(view.mask)
        pixels = torch.tensor(np.stack([columns + 0.5, rows + 0.5], 1) / SIZE).float()
        lens = camera.intrinsics
        towards = torch.stack(
            [(pixels[:, 0] - lens[0, 2]) / lens[0, 0], (pixels[:, 1] - lens[1, 2]) / lens[1, 1], torch.ones(len(rows))],
            1,
        )
        points = (
            towards * torch.from_numpy(view.depth[view.mask])[:, None] @ camera.cam2world[:3, :3].T + camera.position
        )
        outward = points - CENTER
        distance = outward.norm(dim=-1)
        normal = torch.from_numpy(view.normal[view.mask]).float() / 255 * 2 - 1
        inner = (normal * camera.forward).sum(-1) < -0.3  # at the outline a pixel is partly beside the ball
        assert (distance[inner] - RADIUS).abs().max() < 0.003
        assert (normal * outward / distance[:, None]).sum(-1)[inner].min() > 0.99


def test_millimetres_are_off_by_half_of_one_at_most_and_zero_is_nothing():
    depth = np.array([0.0, 0.0001, 0.0004, 1.23449, 2.7, 65.535], np.float32)
    assert millimetres(depth).tolist() == [0, 1, 1, 1234, 2700, 65535]
    random = np.random.default_rng(0).uniform(0.001, 60, 10_000).astype(np.float32)
    assert np.abs(millimetres(random) / 1000 - random.astype(np.float64)).max() <= 0.0005 + 1e-9


def test_levels_rise_from_near_to_far_where_the_background_is():
    depth, mask = np.array([2.2, 2.7, 3.2, 0.0], np.float32), np.array([True, True, True, False])
    assert levels(depth, mask, 2.2, 3.2).tolist() == pytest.approx([0, 32768, 65535, 65535], abs=2)
