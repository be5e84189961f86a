"""Caps are turned away; nothing else changes."""

import numpy as np
import trimesh

from gen3d_tools.geometry.processing.health import degenerate, mesh_health
from gen3d_tools.geometry.processing.slivers import flip_caps

HEIGHT = 1e-6


def capped_tetrahedron(lift=0.0):
    """A tetrahedron with a vertex on the edge from 0 to 1, joined to it by a face without an area."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.4, 0, lift]], float)
    faces = np.array([[0, 2, 1], [1, 2, 3], [0, 3, 2], [0, 4, 3], [4, 1, 3], [0, 1, 4]])
    return vertices, faces


def test_a_cap_is_turned_into_faces_with_an_area_and_the_rest_stays():
    vertices, faces = capped_tetrahedron()
    assert degenerate(vertices, faces).tolist() == [False] * 5 + [True]
    turned = flip_caps(vertices, faces, height=HEIGHT)
    assert not degenerate(vertices, turned).any()
    np.testing.assert_array_equal(turned[1:5], faces[1:5])
    before, after = (trimesh.Trimesh(vertices, one, process=False) for one in (faces, turned))
    assert after.is_watertight
    assert after.is_winding_consistent
    np.testing.assert_allclose(after.volume, before.volume)
    assert mesh_health(after).sound


def test_faces_with_an_area_are_left_alone():
    vertices, faces = capped_tetrahedron(lift=-0.1)
    np.testing.assert_array_equal(flip_caps(vertices, faces, height=HEIGHT), faces)


def test_a_side_whose_other_corners_are_joined_already_stays():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, 0, 0]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])  # closed and flat: 2 and 3 share an edge
    np.testing.assert_array_equal(flip_caps(vertices, faces, height=HEIGHT), faces)


def test_a_cap_at_an_open_border_stays():
    vertices, faces = capped_tetrahedron()
    np.testing.assert_array_equal(flip_caps(vertices, faces[5:], height=HEIGHT), faces[5:])


def test_caps_side_by_side_are_turned_one_after_the_other():
    """Two vertices on one edge: what is turned first changes what lies beside the other."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.3, 0, 0], [0.6, 0, 0]], float)
    faces = np.array([[0, 2, 1], [1, 2, 3], [0, 3, 2], [0, 4, 3], [4, 5, 3], [5, 1, 3], [0, 1, 5], [0, 5, 4]])
    turned = flip_caps(vertices, faces, height=HEIGHT)
    assert not degenerate(vertices, turned).any()
    mesh = trimesh.Trimesh(vertices, turned, process=False)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.volume, 1 / 6)


def test_the_height_of_a_face_is_measured_against_the_size_of_the_mesh():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1e-4, 0], [0, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 1, 3]])
    diagonal = np.sqrt(2)
    assert degenerate(vertices, faces, height=1.01e-4 / diagonal).tolist() == [True, False]
    assert degenerate(vertices, faces, height=0.99e-4 / diagonal).tolist() == [False, False]
