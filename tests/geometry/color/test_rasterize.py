"""Pictures of balls and boxes, whose silhouettes, depths and colours are known."""

import math

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.errors import InputError
from gen3d_tools.geometry.color.rasterize import CLAY, render_mesh
from gen3d_tools.geometry.color.vertex_colors import sample_texture
from gen3d_tools.geometry.formats.gltf import SAMPLER
from gen3d_tools.rendering.rays import camera_rays

FRONT = Camera.from_spherical(0, 0, 3.0, fov_y_deg=40.0)


def quad(visual=None, **colors):
    """The square [-1, 1]^2 at z = 0, facing the front camera; corners from the lower left, counter-clockwise."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False, visual=visual, **colors)


def uv_quad(image, material=PBRMaterial):
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    name = "baseColorTexture" if material is PBRMaterial else "image"
    return quad(TextureVisuals(uv, material=material(**{name: image})))


@pytest.mark.parametrize("pixel_grid", ["centers", "corners"])
def test_a_ball_covers_the_rays_that_meet_it(pixel_grid):
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.7)
    camera = Camera.from_spherical(30, 20, 3.0, fov_y_deg=40.0)
    seen = render_mesh(ball, camera, 64, supersample=1, pixel_grid=pixel_grid)
    origins, directions = camera_rays(camera, 64, pixel_grid)
    along = -(origins * directions).sum(-1)
    beside = (origins + along[:, None] * directions).norm(dim=-1)
    clear = ((beside - 0.7).abs() > 0.002).reshape(64, 64)
    inside = (beside < 0.7).reshape(64, 64)
    assert ((seen.mask[0] == 1) == inside)[clear].all()
    distance = along - (0.7**2 - beside**2).clamp(min=0).sqrt()
    depth = (distance * (directions @ camera.forward)).reshape(64, 64)
    solid = (beside < 0.65).reshape(64, 64)
    assert seen.depth[0][solid].numpy() == pytest.approx(depth[solid].numpy(), abs=2e-3)


def test_shapes_follow_the_cameras_axes():
    camera = orbit(3, FRONT)[:2]
    seen = render_mesh(quad(), camera, 32)
    assert seen.rgb.shape == (2, 3, 32, 32)
    assert seen.depth.shape == seen.mask.shape == (2, 1, 32, 32)
    single = render_mesh(quad(), camera[1], 32)
    assert torch.equal(single.rgb, seen.rgb[1])


def test_the_picture_is_upright_and_not_mirrored():
    corners = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]  # from the lower left, counter-clockwise
    seen = render_mesh(quad(vertex_colors=corners), FRONT, 64, supersample=1, background=0)
    rows, columns = seen.mask[0].nonzero().T
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    found = [seen.rgb[:, y, x] for y, x in ((bottom, left), (bottom, right), (top, right), (top, left))]
    assert torch.stack(found).numpy() == pytest.approx(np.array(corners) / 255, abs=0.06)


def test_vertex_colours_are_blended_in_space():
    tilted = quad(vertex_colors=[[0, 0, 0], [255, 255, 255], [255, 255, 255], [0, 0, 0]])
    tilted.apply_transform(trimesh.transformations.rotation_matrix(math.radians(50), [0, 1, 0]))
    seen = render_mesh(tilted, FRONT, 64, supersample=1)
    origins, directions = camera_rays(FRONT, 64)
    points = origins + directions * (seen.depth.flatten() / (directions @ FRONT.forward))[:, None]
    hit = seen.mask.flatten() == 1
    along = points[hit] @ torch.tensor([math.cos(math.radians(50)), 0, -math.sin(math.radians(50))])
    assert seen.rgb[0].flatten()[hit].numpy() == pytest.approx(((along + 1) / 2).numpy(), abs=1e-4)


@pytest.mark.parametrize("material", [PBRMaterial, SimpleMaterial])
def test_a_texture_lies_where_its_coordinates_say(material):
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)  # rows from the top
    mesh = uv_quad(Image.fromarray(pixels.repeat(16, 0).repeat(16, 1)), material)
    seen = render_mesh(mesh, FRONT, 64)
    for (y, x), color in {(22, 22): pixels[0, 0], (22, 42): pixels[0, 1], (42, 22): pixels[1, 0]}.items():
        assert seen.rgb[:, y, x].numpy() == pytest.approx(color / 255, abs=1e-6)


def test_a_texture_is_exact_at_its_texels_and_linear_between():
    texture = np.random.RandomState(0).randint(0, 256, (3, 4, 3)).astype(np.uint8)
    uv = np.array([[(x + 0.5) / 4, 1 - (y + 0.5) / 3] for y in range(3) for x in range(4)])
    assert sample_texture(texture, uv) == pytest.approx(texture.reshape(-1, 3) / 255)
    middle = sample_texture(texture, np.add(uv[:1], [[0.5 / 4, 0]]))
    assert middle[0] == pytest.approx((texture[0, 0] / 255 + texture[0, 1] / 255) / 2)


def test_the_borders_of_a_texture_go_on_as_in_the_files_we_write():
    texture = np.random.RandomState(0).randint(0, 256, (3, 4, 3)).astype(np.uint8)
    corners = np.array([[0.0, 1], [1, 1], [0, 0], [1, 0]])
    wanted = pytest.approx(texture[[0, 0, -1, -1], [0, -1, 0, -1]] / 255)
    assert sample_texture(texture, corners) == wanted
    assert sample_texture(texture, corners + 0.3 * (corners * 2 - 1)) == wanted
    assert {SAMPLER["wrapS"], SAMPLER["wrapT"]} == {33071}  # glTF's CLAMP_TO_EDGE


def test_a_mesh_without_colours_is_grey():
    seen = render_mesh(quad(), FRONT, 32)
    assert seen.rgb[:, 16, 16].tolist() == pytest.approx([CLAY] * 3)


def test_the_background_shines_through_where_the_mesh_does_not_cover():
    black = quad(vertex_colors=[[0, 0, 0]] * 4)
    seen = render_mesh(black, FRONT, 33, supersample=4, background=0.25)
    assert seen.rgb.numpy() == pytest.approx((0.25 * (1 - seen.mask)).expand(3, -1, -1).numpy(), abs=1e-6)
    assert ((seen.mask > 0) & (seen.mask < 1)).any()
    assert seen.depth[seen.mask > 0].numpy() == pytest.approx(3.0)
    assert torch.isinf(seen.depth[seen.mask == 0]).all()


def test_coverage_is_the_share_of_samples():
    area = 4 / (6 * math.tan(math.radians(20))) ** 2  # of the square, in pictures
    seen = render_mesh(quad(), FRONT, 64, supersample=4)
    assert seen.mask.mean().item() == pytest.approx(area, rel=0.01)


def test_shading_darkens_what_is_seen_at_a_slant():
    white = quad(vertex_colors=[[255] * 3] * 4)
    assert render_mesh(white, FRONT, 32, shading=True).rgb[:, 16, 16].tolist() == pytest.approx([1] * 3)
    aside = Camera.from_spherical(60, 0, 3.0, fov_y_deg=40.0)
    assert render_mesh(white, aside, 32).rgb[:, 16, 16].tolist() == pytest.approx([1] * 3)
    assert render_mesh(white, aside, 32, shading=True).rgb[0, 16, 16].item() == pytest.approx(0.35 + 0.65 / 2, abs=0.01)


@pytest.mark.parametrize("size", [{"resolution": 0}, {"resolution": 8, "supersample": 0}])
def test_no_picture_of_no_pixels(size):
    with pytest.raises(InputError, match="need resolution >= 1 and supersample >= 1"):
        render_mesh(quad(), FRONT, **size)
