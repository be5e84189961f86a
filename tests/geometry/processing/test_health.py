import numpy as np
import pytest
import trimesh

from gen3d_tools.geometry.processing.health import mesh_health


def test_health_of_a_box():
    health = mesh_health(trimesh.creation.box())
    assert health.sound
    assert (health.shells, health.parts, health.euler_number) == (1, 1, 2)
    assert str(health) == "8 vertices, 12 faces, watertight, 1 part, Euler number 2, volume 1"


def test_open_box_is_not_sound():
    torn = trimesh.creation.box()
    torn.update_faces(np.arange(12) > 0)
    assert not mesh_health(torn).sound
    assert "NOT watertight" in str(mesh_health(torn))


def test_cavity_is_a_part_but_no_shell():
    outer, inner = trimesh.creation.icosphere(2), trimesh.creation.icosphere(2, radius=0.5)
    inner.invert()
    health = mesh_health(trimesh.util.concatenate([outer, inner]))
    assert (health.parts, health.shells) == (2, 1)


@pytest.mark.parametrize("height", [0.0, 1e-8])
def test_faces_without_height_are_degenerate(height):
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0.5, height, 0], [0, 1, 1.0]])
    health = mesh_health(trimesh.Trimesh(vertices, [[0, 1, 2], [0, 1, 3]], process=False))
    assert health.degenerate_faces == 1
    assert "1 DEGENERATE faces" in str(health)


def test_faces_with_the_same_corners_are_duplicates_however_they_turn():
    box = trimesh.creation.box()
    doubled = trimesh.Trimesh(box.vertices, np.vstack([box.faces, box.faces[:2, ::-1]]), process=False)
    health = mesh_health(doubled)
    assert health.duplicate_faces == 2
    assert not health.sound
    assert "2 DUPLICATE faces" in str(health)


def test_face_that_looks_the_other_way_is_found():
    box = trimesh.creation.box()
    faces = np.array(box.faces)
    faces[3] = faces[3, ::-1]
    health = mesh_health(trimesh.Trimesh(box.vertices, faces, process=False))
    assert not health.consistent
    assert "BOTH sides" in str(health)


def test_normals_that_look_inward_are_counted():
    ball = trimesh.creation.icosphere(1)
    normals = np.array(ball.vertex_normals)
    normals[:21] *= -1
    health = mesh_health(trimesh.Trimesh(ball.vertices, ball.faces, vertex_normals=normals, process=False))
    assert health.outward_normals == pytest.approx(0.5)
    assert "50.0% of the normals look INWARD" in str(health)


def test_seams_of_a_texture_do_not_open_a_mesh():
    ball = trimesh.creation.icosphere(1)
    soup = trimesh.Trimesh(ball.triangles.reshape(-1, 3), np.arange(240).reshape(-1, 3), process=False)
    assert mesh_health(soup).watertight
    assert mesh_health(soup).vertices == 240
