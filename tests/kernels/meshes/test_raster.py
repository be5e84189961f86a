"""The compiled rasteriser and the plain one see the same; both see what geometry says."""

import numpy as np
import pytest

from gen3d_tools.kernels.meshes.raster import rasterize
from tests.kernels.meshes.plain_raster import rasterize_plain

SIDE = 48


def flat(*points, depth=1.0):
    """A triangle at one depth, corners in pixels."""
    return np.array([[x * depth, y * depth, depth] for x, y in points], float)


@pytest.fixture(params=[rasterize_plain, rasterize], ids=["plain", "compiled"])
def draw(request):
    return request.param


def random_triangles(count, seed=0):
    """Of all sizes, one of them reaching behind the camera."""
    random = np.random.RandomState(seed)
    middle = random.uniform(-0.2, 1.2, (count, 1, 2)) * SIDE
    size = 10 ** random.uniform(-0.5, 1.5, (count, 1, 1))
    places = middle + size * random.randn(count, 3, 2)
    depth = random.uniform(1, 3, (count, 3, 1))
    depth[0, 0] = -1
    return np.concatenate([places * depth, depth], axis=-1)


@pytest.mark.parametrize("seed", range(5))
def test_compiled_and_plain_agree(seed):
    corners = random_triangles(200, seed)
    a, b = rasterize_plain(corners, SIDE), rasterize(corners, SIDE)
    assert (a.face == b.face).mean() > 0.999  # a last bit may decide who is nearer
    same = a.face == b.face
    assert len(np.unique(a.face)) > 15
    assert a.depth[same] == pytest.approx(b.depth[same], rel=1e-5)
    assert a.shares[same] == pytest.approx(b.shares[same], abs=1e-5)


def test_nothing_is_seen_of_nothing(draw):
    seen = draw(np.zeros((0, 3, 3)), SIDE)
    assert (seen.face == -1).all()
    assert (seen.shares == 0).all()
    assert np.isinf(seen.depth).all()


def test_a_triangle_covers_the_pixels_inside_it(draw):
    seen = draw(flat((0, 0), (40, 0), (0, 40))[None], SIDE)
    y, x = np.mgrid[:SIDE, :SIDE]
    assert ((seen.face == 0) == (x + y <= 40)).all()


def test_either_way_round_is_seen(draw):
    corners = flat((3, 5), (40, 8), (20, 44))
    assert (draw(corners[None], SIDE).face == draw(corners[None, ::-1], SIDE).face).all()


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_triangle_is_seen(draw, order):
    near, far = flat((0, 0), (30, 0), (0, 30), depth=1.0), flat((0, 0), (120, 0), (0, 120), depth=2.0)
    seen = draw(np.stack([near, far][::order]), SIDE)
    y, x = np.mgrid[:SIDE, :SIDE]
    assert seen.depth == pytest.approx(np.where(x + y <= 30, 1.0, 2.0))


def test_depth_and_shares_are_those_of_the_point_in_space(draw):
    corners = np.array([[0.0, 0, 1], [47 * 5, 0, 5], [0, 47 * 2, 2]])  # W: 1, 5 and 2
    seen = draw(corners[None], SIDE)
    y, x = np.nonzero(seen.face == 0)
    points = np.einsum("pk,kc->pc", seen.shares[y, x], corners)
    assert seen.shares[y, x].sum(1) == pytest.approx(1)
    assert points[:, 2] == pytest.approx(seen.depth[y, x], rel=1e-5)
    assert points[:, 0] / points[:, 2] == pytest.approx(x, abs=1e-3)
    assert points[:, 1] / points[:, 2] == pytest.approx(y, abs=1e-3)


def test_a_floor_that_runs_behind_the_camera_ends_at_the_horizon(draw):
    far, here = 1e6, -5.0  # the plane 1 below the camera, focal length and horizon at SIDE / 2
    ground = [(-1e6, far), (1e6, far), (0, here)]
    corners = np.array([[SIDE / 2 * x + SIDE / 2 * z, SIDE / 2 + SIDE / 2 * z, z] for x, z in ground])
    seen = draw(corners[None], SIDE)
    y = np.arange(SIDE)[:, None] - SIDE / 2
    below = np.broadcast_to(y > 0, (SIDE, SIDE))
    assert ((seen.face == 0) == below)[:, SIDE // 4 : -SIDE // 4].all()
    middle = SIDE // 2
    assert seen.depth[middle + 4, middle] == pytest.approx(SIDE / 2 / 4, rel=1e-4)


def test_what_is_behind_the_camera_or_has_no_area_is_not_seen(draw):
    behind = -flat((0, 0), (40, 0), (0, 40))
    line = flat((0, 0), (20, 20), (40, 40))
    assert (draw(np.stack([behind, line]), SIDE).face == -1).all()


def test_no_pixel_falls_between_neighbours(draw):
    random = np.random.RandomState(0)
    grid = np.stack(np.meshgrid(np.linspace(-1, SIDE, 18), np.linspace(-1, SIDE, 18)), -1)
    grid[1:-1, 1:-1] += random.uniform(-0.8, 0.8, (16, 16, 2))  # corners on pixels and between them
    places = np.concatenate([grid, np.ones((18, 18, 1))], -1) * random.uniform(1, 3, (18, 18, 1))
    a, b, c, d = places[:-1, :-1], places[:-1, 1:], places[1:, :-1], places[1:, 1:]
    corners = np.concatenate([np.stack([a, b, c], 2), np.stack([b, d, c], 2)]).reshape(-1, 3, 3)
    assert (draw(corners, SIDE).face >= 0).all()
