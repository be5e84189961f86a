"""Overlaps that are known."""

import numpy as np
import pytest
import trimesh

from gen3d_tools.metrics.meshes.solids import inside, silhouette_iou, volume_iou


def box(shift=0.0):
    return trimesh.creation.box((1, 1, 1)).apply_translation((shift, 0, 0))


def test_boxes_overlap_by_the_share_of_their_shift(open3d):
    assert volume_iou(box(0.25), box()) == pytest.approx(0.75 / 1.25, abs=0.01)
    assert volume_iou(box(), box()) == 1
    assert volume_iou(box(2.0), box()) == 0


def test_a_ball_fills_half_a_box(open3d):
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    assert volume_iou(ball, box()) == pytest.approx(np.pi / 6, abs=0.01)


def test_an_open_mesh_encloses_nothing(open3d):
    lid_off = box()
    lid_off.update_faces(np.arange(len(lid_off.faces)) > 1)
    assert volume_iou(lid_off, box()) is None


def test_a_mesh_with_seams_is_closed_all_the_same(open3d):
    """Textured meshes repeat vertices along their seams."""
    seamed = trimesh.Trimesh(box().triangles.reshape(-1, 3), np.arange(36).reshape(-1, 3), process=False)
    assert volume_iou(seamed, box()) == 1


def test_points_are_inside_or_not(open3d):
    found = inside(box(), np.array([[0, 0, 0], [0.4, 0.4, 0.4], [0.6, 0, 0]]))
    assert found.tolist() == [True, True, False]


def test_silhouettes_of_balls_overlap_by_their_areas():
    small, large = (trimesh.creation.icosphere(subdivisions=4, radius=radius) for radius in (0.8, 1.0))
    mean, worst = silhouette_iou(small, large, resolution=128)
    assert mean == pytest.approx(0.64, abs=0.02)
    assert worst <= mean
    assert silhouette_iou(large, large) == (1, 1)


def test_what_sticks_out_far_is_seen():
    pole = trimesh.creation.box((8, 0.1, 0.1))
    assert silhouette_iou(trimesh.util.concatenate([box(), pole]), box())[0] < 0.9
