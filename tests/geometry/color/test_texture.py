import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError, OutOfMemoryError
from gen3d_tools.geometry.color.texture import bake_texture, check_texture_size
from gen3d_tools.geometry.color.view_colors import check_color_source
from tests.geometry.conftest import ball_depth

FEW = Camera.from_spherical([0.0, 180.0], 0.0, 6.0, fov_y_deg=20.0)
SOURCES = ["views", "rays", "points"]
SIDES = torch.tensor([[200, 30, 30], [30, 180, 60], [40, 60, 220], [240, 220, 40], [160, 50, 200], [30, 30, 30]]) / 255


def box_depth(points):
    return 0.4 - points.abs().amax(-1)


def side_colors(points):
    """Each side of a box its own colour."""
    axis = points.abs().argmax(-1)
    return SIDES[2 * axis + (points.gather(-1, axis[..., None])[..., 0] < 0).long()]


def smooth_colors(points):
    return 0.5 + 0.4 * torch.sin(5 * points + torch.tensor([0.0, 1.0, 2.0]))


def look_up(mesh, uv):
    """Interpolate the texture bilinearly, as viewers do; 0..255."""
    picture = np.asarray(mesh.visual.material.baseColorTexture, np.float32)
    size = len(picture)
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    tx, ty = (x - x0)[:, None], (y - y0)[:, None]

    def at(row, column):
        return picture[row.clip(0, size - 1), column.clip(0, size - 1)]

    upper = at(y0, x0) * (1 - tx) + at(y0, x0 + 1) * tx
    return upper * (1 - ty) + (at(y0 + 1, x0) * (1 - tx) + at(y0 + 1, x0 + 1) * tx) * ty


def on_surface(mesh, count=4000, *, edges=False):
    """Random points of the faces, or of their edges: positions and places in the texture."""
    random = np.random.default_rng(0)
    face = random.integers(0, len(mesh.faces), count)
    weights = random.dirichlet([1, 1, 1], count)
    if edges:
        weights[np.arange(count), random.integers(0, 3, count)] = 0
        weights /= weights.sum(axis=1, keepdims=True)
    corners = mesh.faces[face]
    return [(weights[..., None] * values[corners]).sum(axis=1) for values in (mesh.vertices, mesh.visual.uv)]


@pytest.fixture
def box_field(field_of):
    return field_of(box_depth, values_fn=side_colors)


@pytest.mark.parametrize("method", ["xatlas", "triangles"])
def test_box_with_six_colours_has_them_all_over_its_sides(box_field, method):
    box = trimesh.creation.box([0.78] * 3).subdivide().subdivide()
    mesh = bake_texture(box_field, box, 256, source="points", method=method)
    points, uv = on_surface(mesh)
    inner = np.sort(np.abs(points), axis=1)[:, 1] < 0.37  # away from the box's edges, where colours meet
    wanted = side_colors(torch.from_numpy(points[inner])).numpy() * 255
    assert np.abs(look_up(mesh, uv[inner]) - wanted).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_ball_has_the_colour_of_the_field_everywhere(field_of, source, monkeypatch):
    monkeypatch.setattr("gen3d_tools.geometry.color.view_colors._PICTURE_RESOLUTION", 64)
    field = field_of(ball_depth((0.1, 0.0, -0.1), 0.5), values_fn=lambda points: torch.full_like(points, 0.6))
    mesh = bake_texture(
        field, trimesh.creation.icosphere(3, 0.49).apply_translation([0.1, 0, -0.1]), 128, source=source
    )
    assert np.abs(np.asarray(mesh.visual.material.baseColorTexture, float) - 0.6 * 255).max() <= 1


def test_smooth_colours_come_back_at_every_point(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.6), values_fn=smooth_colors)
    mesh = bake_texture(field, trimesh.creation.icosphere(3, 0.59), 512, source="points")
    points, uv = on_surface(mesh)
    wanted = smooth_colors(torch.from_numpy(points)).numpy() * 255
    assert np.abs(look_up(mesh, uv) - wanted).max() <= 2.5  # a texel is 1% of the ball: up to 2 steps of 255
    assert np.abs(look_up(mesh, uv) - wanted).mean() <= 0.5


@pytest.mark.parametrize("method", ["xatlas", "triangles"])
def test_nothing_is_seen_of_the_seams(field_of, method):
    """On the edges of triangles, seams or not, both sides show the colour of the field."""
    field = field_of(ball_depth((0, 0, 0), 0.6), values_fn=smooth_colors)
    mesh = bake_texture(field, trimesh.creation.icosphere(3, 0.6), 512, source="points", method=method)
    points, uv = on_surface(mesh, edges=True)
    difference = np.abs(look_up(mesh, uv) - smooth_colors(torch.from_numpy(points)).numpy() * 255)
    assert difference.max() <= 4


def test_smaller_copies_of_the_texture_show_no_gaps(field_of):
    """Viewers mix blocks of 4 texels from afar: around the charts there must be colours of the object too."""
    field = field_of(ball_depth((0, 0, 0), 0.6), values_fn=lambda points: torch.full_like(points, 0.9))
    mesh = bake_texture(field, trimesh.creation.icosphere(3, 0.59), 64, source="points")
    assert np.asarray(mesh.visual.material.baseColorTexture).min() >= 229


def test_triangles_positions_and_normals_stay(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.5), values_fn=smooth_colors)
    ball = trimesh.creation.icosphere(3, 0.5)
    odd = ball.vertex_normals[:, [1, 2, 0]]  # normals that are not those of the faces
    mesh = bake_texture(
        field, trimesh.Trimesh(ball.vertices, ball.faces, vertex_normals=odd, process=False), 128, source="points"
    )
    assert np.array_equal(mesh.triangles, ball.triangles)
    assert mesh.vertex_normals[mesh.faces] == pytest.approx(odd[ball.faces])
    material = mesh.visual.material
    assert (material.metallicFactor, material.roughnessFactor) == (0, 0.9)


def test_same_field_gives_the_same_texture(box_field):
    box = trimesh.creation.box([0.78] * 3).subdivide()
    first, second = (bake_texture(box_field, box, 64, source="rays") for _ in range(2))
    assert np.array_equal(first.visual.uv, second.visual.uv)
    assert first.visual.material.baseColorTexture.tobytes() == second.visual.material.baseColorTexture.tobytes()


@pytest.mark.parametrize(("size", "nearest"), [(1000, 1024), (0, 64), (-64, 64), (32, 64), (16384, 8192)])
def test_sizes_that_are_no_power_of_two_or_absurd_are_refused(size, nearest):
    with pytest.raises(InputError, match=f"texture size is {size}, it must be a power of two .* try {nearest}"):
        check_texture_size(size)


def test_texture_that_does_not_fit_names_one_that_does(monkeypatch):
    monkeypatch.setattr("gen3d_tools.geometry.color.texture.free_memory", lambda: 3_000_000_000)
    with pytest.raises(OutOfMemoryError, match="a texture of 8192 needs 13 GB, 3 GB are free; try 2048"):
        check_texture_size(8192)
    check_texture_size(2048)


def test_bad_arguments_are_refused_before_any_work(box_field):
    box = trimesh.creation.box()
    with pytest.raises(InputError, match="try 1024"):
        bake_texture(box_field, box, 1000)
    with pytest.raises(InputError, match="'photos', it must be one of views, rays, points"):
        check_color_source("photos")
    with pytest.raises(InputError, match="no faces"):
        bake_texture(box_field, trimesh.Trimesh(), 64)
