import numpy as np
import pytest
import trimesh

from gen3d_tools.kernels.meshes.collapse import collapse_edges


def as_mesh(points, faces):
    return trimesh.Trimesh(points[:, :3], faces, process=False)


def grid(size):
    """A flat open square of `size` x `size` cells."""
    x, y = np.meshgrid(np.arange(size + 1.0), np.arange(size + 1.0), indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    corner = (np.arange(size)[:, None] * (size + 1) + np.arange(size)).ravel()
    lower = np.stack([corner, corner + size + 1, corner + 1], axis=1)
    upper = np.stack([corner + 1, corner + size + 1, corner + size + 2], axis=1)
    return points, np.vstack([lower, upper])


@pytest.mark.parametrize("target", [1000, 200, 50, 8])
def test_a_ball_stays_a_closed_ball(target):
    ball = trimesh.creation.icosphere(4)
    small = as_mesh(*collapse_edges(ball.vertices, ball.faces, target=target))
    assert len(small.faces) == target
    assert small.is_watertight
    assert small.euler_number == 2
    assert small.volume == pytest.approx(ball.volume, rel=12 / target)


def test_a_box_needs_its_twelve_faces_and_keeps_its_corners():
    box = trimesh.creation.box().subdivide().subdivide().subdivide()
    small = as_mesh(*collapse_edges(box.vertices, box.faces, target=12))
    assert len(small.faces) == 12
    assert small.volume == pytest.approx(1, rel=5e-3)
    assert np.abs(np.asarray(small.vertices)) == pytest.approx(0.5, abs=2e-3)


def test_handles_and_parts_survive_any_target():
    ring = trimesh.creation.torus(1.0, 0.3)
    ball = trimesh.creation.icosphere(3).apply_translation([5, 0, 0])
    both = trimesh.util.concatenate([ring, ball])
    small = as_mesh(*collapse_edges(both.vertices, both.faces, target=0))
    assert small.is_watertight
    assert small.body_count == 2
    assert small.euler_number == both.euler_number == 2  # 0 for the ring, 2 for the ball
    assert len(small.faces) < 60
    assert len(np.unique(np.sort(small.faces, axis=1), axis=0)) == len(small.faces)


def test_a_tetrahedron_is_the_end():
    one = trimesh.creation.icosphere(1)
    points, faces = collapse_edges(one.vertices, one.faces, target=0)
    assert (len(points), len(faces)) == (4, 4)


def test_the_border_of_an_open_surface_does_not_move():
    points, faces = grid(12)
    small, left = collapse_edges(points, faces, target=0)
    border = {tuple(point) for point in points if (point[:2] % 12 == 0).any()}
    assert border <= {tuple(point) for point in small}
    assert len(left) < len(faces) / 3
    assert as_mesh(small, left).area == pytest.approx(144)


def test_colour_borders_are_edges_too():
    """A flat square, left half black and right half white: without colour every inner vertex is alike."""
    points, faces = grid(16)
    white = (points[:, :1] > 8).astype(float)

    def smeared_area(colored):
        small, left = collapse_edges(colored, faces, target=150)
        shades = (small[left, 0] - 8.5).clip(-0.5, 0.5) + 0.5 if colored.shape[1] == 3 else small[left, 3] / 4
        return as_mesh(small, left).area_faces[np.ptp(shades, axis=1) > 0.05].sum()

    assert smeared_area(np.hstack([points, 4 * white])) < 1.2 * 16  # the one column of cells that it was
    assert smeared_area(points) > 2 * 16


def test_only_short_edges_go_when_asked():
    points, faces = trimesh.creation.icosphere(3).vertices, trimesh.creation.icosphere(3).faces
    first = np.roll(faces[0], 1)
    near = np.vstack([points, points[first[:1]] * (1 + 1e-6)])
    u, v, w = first
    split = np.vstack([faces[1:], [[len(points), v, w], [u, v, len(points)], [u, len(points), w]]])
    small, left = collapse_edges(near, split, target=0, longest=1e-3)
    assert len(left) == len(faces)
    assert len(small) == len(points)
    assert as_mesh(small, left).is_watertight


def test_result_is_the_same_every_time_and_the_input_is_not_touched():
    ball = trimesh.creation.icosphere(3)
    vertices, faces = np.array(ball.vertices), np.array(ball.faces)
    first, second = (collapse_edges(vertices, faces, target=100) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(vertices, ball.vertices)
    assert np.array_equal(faces, ball.faces)


def test_nothing_is_nothing():
    points, faces = collapse_edges(np.zeros((0, 3)), np.zeros((0, 3), np.int64), target=10)
    assert (len(points), len(faces)) == (0, 0)
