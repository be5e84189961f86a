"""Balls and boxes at known distances."""

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.metrics.meshes.surfaces import compare_surfaces, spread_points

pytestmark = pytest.mark.usefixtures("open3d")
BALL = trimesh.creation.icosphere(subdivisions=5, radius=1.0)


def test_a_surface_is_at_no_distance_from_itself():
    found = compare_surfaces(BALL, BALL, points=2000)
    assert found.chamfer == pytest.approx(0, abs=1e-6)
    assert found.f_score == 1
    assert found.normal_consistency == pytest.approx(1, abs=1e-5)


def test_a_ball_within_a_ball_is_as_far_as_their_radii_differ():
    small = trimesh.creation.icosphere(subdivisions=5, radius=0.9)
    found = compare_surfaces(small, BALL, points=5000)
    assert found.chamfer == pytest.approx(0.1, rel=0.01)
    assert found.chamfer_percent == pytest.approx(100 * found.chamfer / np.sqrt(12), rel=1e-6)
    assert found.normal_consistency == pytest.approx(1, abs=0.01)
    assert found.f_score == 0  # 1 % of the diagonal is 0.035
    assert compare_surfaces(small, BALL, points=500, threshold=0.03).f_score == 1


def test_a_shifted_ball_has_the_mean_of_its_shift_along_the_normals():
    """By a small s the distance at angle a is s |cos a|, whose mean over the ball is s / 2."""
    moved = BALL.copy().apply_translation((0.02, 0, 0))
    assert compare_surfaces(moved, BALL, points=20_000).chamfer == pytest.approx(0.01, rel=0.03)


def test_a_missing_half_costs_recall_and_no_precision():
    box = trimesh.creation.box((2, 1, 1))
    half = trimesh.creation.box((1, 1, 1)).apply_translation((-0.5, 0, 0))
    open_half = half.submesh([np.flatnonzero(half.face_normals[:, 0] < 0.5)], append=True)
    found = compare_surfaces(open_half, box, points=5000)
    assert found.precision == 1
    assert found.recall == pytest.approx(0.5, abs=0.03)  # 5 of 10 unit squares


def test_points_are_the_same_for_a_seed():
    first, normals = spread_points(BALL, 100, 3)
    np.testing.assert_array_equal(first, spread_points(BALL, 100, 3)[0])
    assert not np.array_equal(first, spread_points(BALL, 100, 4)[0])
    assert (first * normals).sum(1) == pytest.approx(1, abs=0.01)


def test_a_mesh_without_a_surface_is_refused():
    flat = trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False)
    with pytest.raises(InputError, match="no surface"):
        compare_surfaces(flat, BALL)
    with pytest.raises(InputError, match="points >= 1"):
        compare_surfaces(BALL, BALL, points=0)
