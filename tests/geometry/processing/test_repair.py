import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import Gen3DError
from gen3d_tools.geometry.processing.health import mesh_health
from gen3d_tools.geometry.processing.repair import make_watertight


def ball(radius=1.0, center=(0, 0, 0)):
    return trimesh.creation.icosphere(3, radius=radius).apply_translation(center)


def without_faces(mesh, *faces):
    return trimesh.Trimesh(mesh.vertices, np.delete(mesh.faces, faces, axis=0), process=False)


def test_sound_mesh_is_left_as_it_is():
    tight = make_watertight(ball())
    assert np.array_equal(tight.faces, ball().faces)
    assert np.array_equal(tight.vertices, ball().vertices)
    assert str(tight.metadata["repair"]) == "nothing to repair"


def test_holes_are_filled():
    torn = without_faces(ball(), 3, 4, 700, 1100)
    tight = make_watertight(torn)
    assert mesh_health(tight).sound
    assert tight.volume == pytest.approx(ball().volume, rel=0.01)
    assert tight.metadata["repair"].filled_holes in (3, 4)  # 3 and 4 may be neighbours


def test_a_wide_hole_gets_a_lid():
    half = without_faces(ball(), *np.flatnonzero(ball().triangles_center[:, 1] < 0))
    tight = make_watertight(half)
    assert mesh_health(tight).sound
    assert tight.volume == pytest.approx(ball().volume / 2, rel=0.05)


def test_colours_stay_and_lids_take_those_around():
    colors = np.full((len(ball().vertices), 3), [10, 200, 30], np.uint8)
    torn = trimesh.Trimesh(ball().vertices, ball().faces[5:], vertex_colors=colors, process=False)
    tight = make_watertight(torn)
    assert (tight.visual.vertex_colors[:, :3] == [10, 200, 30]).all()


def test_faces_that_look_both_ways_are_turned():
    faces = np.array(ball().faces)
    faces[::7] = faces[::7, ::-1]
    tight = make_watertight(trimesh.Trimesh(ball().vertices, faces, process=False))
    assert mesh_health(tight).sound
    assert tight.volume == pytest.approx(ball().volume)


def test_inside_out_is_turned_and_a_cavity_is_not():
    shell = ball(0.5)
    shell.invert()
    hollow = trimesh.util.concatenate([ball(), shell])
    assert make_watertight(hollow).volume == pytest.approx(hollow.volume, rel=1e-6)
    hollow.invert()
    assert make_watertight(shell).volume == pytest.approx(ball(0.5).volume)


def test_parts_that_run_into_each_other_become_one():
    both = trimesh.util.concatenate([ball(), ball(1.0, [1, 0, 0])])
    tight = make_watertight(both)
    health = mesh_health(tight)
    assert (health.watertight, health.parts, health.euler_number) == (True, 1, 2)
    lens = np.pi * (4 + 1) * (2 - 1) ** 2 / 12  # two unit balls, centres 1 apart
    assert health.volume == pytest.approx(2 * 4 / 3 * np.pi - lens, rel=0.02)
    assert tight.metadata["repair"].joined_parts == 1


def test_parts_apart_stay_apart():
    both = trimesh.util.concatenate([ball(), ball(1.0, [3, 0, 0])])
    tight = make_watertight(both)
    assert mesh_health(tight).parts == 2
    assert tight.metadata["repair"].joined_parts == 0


def test_doubles_and_fins_are_taken_out():
    one = ball()
    a, b, _ = one.faces[0]
    vertices = np.vstack([one.vertices, [[2.0, 2.0, 2.0]]])
    faces = np.vstack([one.faces, one.faces[5:8], [[a, b, len(one.vertices)]]])
    tight = make_watertight(trimesh.Trimesh(vertices, faces, process=False))
    assert mesh_health(tight).watertight
    assert tight.volume == pytest.approx(one.volume, rel=0.02)
    assert tight.metadata["repair"].removed_faces >= 4


def test_nothing_to_build_on_is_said():
    with pytest.raises(Gen3DError, match="no face is left to make a watertight mesh of"):
        make_watertight(trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False))
