"""What notebooks and prompts show of pictures, and the depth of what is not there."""

import io
import math

import pytest
import torch
from PIL import Image

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.rendering.renderer import render, render_frames

BALL = FunctionField(raw_density_fn=lambda points: 1000 * (0.5 - points.norm(dim=-1)), box_side=2.0)
FRONT = Camera.from_spherical(0, 0, 4, fov_y_deg=30)


def test_frames_print_as_one_line_without_numbers():
    frames = render(BALL, orbit(3, FRONT), resolution=8)
    assert repr(frames) == "Frames(3 pictures of 8 x 8 pixels: rgb, depth, opacity, distance; on cpu)"
    assert repr(render(BALL, FRONT, resolution=8)).startswith("Frames(one picture of 8 x 8 pixels")
    assert repr(FRONT) == "Camera(at (0, 0, 4), field of view 30 degrees)"
    assert repr(orbit(3, FRONT)) == "Camera(3 cameras, the first at (0, 0, 4), field of view 30 degrees)"


def test_a_notebook_gets_the_colours_in_a_table():
    frames = render(BALL, orbit(3, FRONT), resolution=8)
    with Image.open(io.BytesIO(frames._repr_png_())) as shown:
        assert shown.size == (16, 16)
        assert shown.getpixel((4, 4)) == (128, 128, 128)  # the ball
        assert shown.getpixel((12, 12)) == (255, 255, 255)  # no fourth picture


@pytest.mark.parametrize("missed", [math.inf, 7.0])
def test_pixels_that_meet_nothing_get_the_depth_that_is_asked_for(missed):
    plain = render(BALL, FRONT, resolution=9)
    asked = render(BALL, FRONT, resolution=9, missed_depth=missed)
    assert float(plain.distance[0, 0, 0]) == pytest.approx(4 + math.sqrt(3))  # the far side of the box's sphere
    assert asked.depth[0, 0, 0] == asked.distance[0, 0, 0] == missed
    hit = plain.opacity > 0.5
    assert hit[0, 4, 4]
    assert torch.equal(asked.depth[hit], plain.depth[hit])
    [streamed] = render_frames(BALL, FRONT, resolution=9, missed_depth=missed)
    assert torch.equal(streamed.depth, asked.depth)
