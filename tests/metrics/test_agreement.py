"""Balls and boxes whose silhouettes, depths and colours differ by known amounts."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.errors import InputError
from gen3d_tools.fields.backdrop import Layers
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.metrics.agreement import BEST_PSNR, compare, psnr

RING = orbit(3, Camera.from_spherical(20, 15, 3.0, fov_y_deg=40.0))
GREY = 0.5


def solid(depth, color=GREY, **settings):
    """A field that is all but opaque where `depth` is positive, in one colour."""
    return FunctionField(
        raw_density_fn=lambda points: 1e4 * depth(points),
        values_fn=lambda points: torch.full_like(points, color),
        bounded=True,
        **settings,
    )


def ball(radius=0.6, **settings):
    return solid(lambda points: radius - points.norm(dim=-1), **settings)


def painted(mesh, color=GREY):
    mesh.visual.vertex_colors = np.full((len(mesh.vertices), 4), [*[round(255 * color)] * 3, 255])
    return mesh


def ball_mesh(radius=0.6, color=GREY):
    return painted(trimesh.creation.icosphere(subdivisions=5, radius=radius), color)


def test_a_ball_agrees_with_its_own_field():
    found = compare(ball(), ball_mesh(), RING, 96)
    assert found.silhouette_iou > 0.98
    assert found.depth_error < 0.02
    assert found.depth_error_percent == pytest.approx(100 * found.depth_error / 2)
    assert found.color_psnr > 30
    assert (found.views, found.resolution) == (3, 96)


@pytest.mark.slow
def test_a_smaller_mesh_has_the_share_of_its_silhouette():
    found = compare(ball(), ball_mesh(0.4), RING, 128)
    discs = [math.tan(math.asin(radius / 3)) ** 2 for radius in (0.4, 0.6)]
    assert found.silhouette_iou == pytest.approx(discs[0] / discs[1], rel=0.02)
    assert found.worst_silhouette_iou <= found.silhouette_iou


def test_one_bad_view_is_told():
    plate = painted(trimesh.creation.box((1.2, 1.2, 0.02)))
    found = compare(ball(), plate, orbit(2, RING[0], turns=0.5), 64)
    ious = [compare(ball(), plate, camera, 64).silhouette_iou for camera in orbit(2, RING[0], turns=0.5)]
    assert found.silhouette_iou == pytest.approx(sum(ious) / 2)
    assert found.worst_silhouette_iou == min(ious) < 0.9 * max(ious)


def test_a_shift_away_from_the_camera_is_the_depth_error():
    def box(points):
        return 0.4 - points.abs().amax(-1)

    front = Camera.from_spherical(0, 0, 3.0, fov_y_deg=40.0)
    block = painted(trimesh.creation.box((0.79, 0.79, 0.8)))
    still = compare(solid(box), block, front, 64)
    moved = compare(solid(box), block.copy().apply_translation((0, 0, -0.1)), front, 64)
    assert still.depth_error < 0.015
    assert moved.depth_error == pytest.approx(0.1, abs=0.015)
    assert moved.depth_error_percent == pytest.approx(100 * moved.depth_error / 2)


def test_another_shade_is_the_colour_error():
    found = compare(ball(), ball_mesh(color=0.7), RING, 96)
    shade = round(255 * 0.7) / 255 - GREY
    assert found.color_psnr_inside == pytest.approx(-20 * math.log10(shade), abs=0.2)
    assert found.color_psnr > found.color_psnr_inside  # white agrees with white


def test_equal_pictures_have_a_number_that_json_knows():
    assert psnr(0.0) == BEST_PSNR
    empty = solid(lambda points: -torch.ones_like(points[..., 0]))
    behind = ball_mesh().apply_translation((0, 0, 100))
    found = compare(empty, behind, Camera.from_spherical(0, 0, 3.0, fov_y_deg=40.0), 16)
    assert found.silhouette_iou == 1
    assert found.color_psnr == BEST_PSNR
    assert found.depth_error is found.depth_error_percent is found.color_psnr_inside is None
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["views"] == 1
    assert "no depth" in str(found)


@pytest.mark.parametrize("background", ["none", "grey", "white", "last"])
@pytest.mark.parametrize("pixel_grid", ["centers", "corners"])
def test_the_fields_own_background_and_pixels_do_not_matter(background, pixel_grid):
    config = RenderConfig(near="box", far="box", background=background, marcher="classical", pixel_grid=pixel_grid)
    found = compare(ball(render_config=config), ball_mesh(), RING, 64)
    assert found.silhouette_iou > 0.98
    assert found.color_psnr > 28


def test_a_backdrop_is_left_out():
    class Wall:
        layers_per_ray = 1

        def __call__(self, origins, directions, pixels):
            count = len(origins)
            return Layers(
                values=torch.zeros(count, 1, 3), density=torch.full((count, 1), 1e9), lengths=torch.ones(count, 1)
            )

    plain = ball()
    walled = replace(plain)
    object.__setattr__(walled, "backdrop", Wall())
    assert compare(walled, ball_mesh(), RING, 32) == compare(plain, ball_mesh(), RING, 32)
    assert walled.backdrop is not None


def test_progress_counts_the_views():
    seen = []
    compare(ball(), ball_mesh(), RING, 8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_camera_is_an_error():
    with pytest.raises(InputError, match="no camera to compare from"):
        compare(ball(), ball_mesh(), RING[:0])
