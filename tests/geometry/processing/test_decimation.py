import logging

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.processing import decimation
from gen3d_tools.geometry.processing.decimation import collapse_slivers, decimate
from gen3d_tools.geometry.processing.health import mesh_health


def painted_ball(subdivisions=4):
    """Red above, blue below."""
    ball = trimesh.creation.icosphere(subdivisions)
    colors = np.where(ball.vertices[:, 1:2] > 0, [[200, 0, 0]], [[0, 0, 200]]).astype(np.uint8)
    return trimesh.Trimesh(ball.vertices, ball.faces, vertex_colors=colors, process=False)


def test_mesh_gets_the_faces_asked_for_and_stays_sound():
    small = decimate(painted_ball(), 500)
    health = mesh_health(small)
    assert health.sound
    assert (health.faces, health.parts, health.euler_number) == (500, 1, 2)
    assert health.volume == pytest.approx(4 / 3 * np.pi, rel=0.03)
    report = small.metadata["decimation"]
    assert (report.asked, report.before, report.got) == (500, 5120, 500)
    assert str(report) == "500 of 5,120 faces kept"


def test_colours_stay_where_they_were():
    small = decimate(painted_ball(), 400)
    red = small.visual.vertex_colors[:, 0] > 100
    clear = np.abs(small.vertices[:, 1]) > 0.15
    assert np.array_equal(red[clear], small.vertices[clear, 1] > 0)


def test_colour_borders_are_kept_better_with_colour_than_without():
    def smeared(mesh):
        """Area of faces with both colours."""
        seen = mesh.visual.vertex_colors[:, 0][mesh.faces].astype(int)
        return mesh.area_faces[np.ptp(seen, axis=1) > 60].sum()

    with_colour, without = decimate(painted_ball(), 300), decimate(painted_ball(), 300, color_weight=0)
    assert smeared(with_colour) < 0.5 * smeared(without)


def test_mesh_that_has_few_faces_already_is_left_alone():
    ball = painted_ball(1)
    same = decimate(ball, 100)
    assert np.array_equal(same.faces, ball.faces)
    assert same.metadata["decimation"].got == 80
    assert same is not ball


def test_more_parts_than_faces_asked_for_says_so(caplog):
    balls = [trimesh.creation.icosphere(2).apply_translation([3 * i, 0, 0]) for i in range(5)]
    with caplog.at_level(logging.INFO):
        small = decimate(trimesh.util.concatenate(balls), 4)
    assert len(small.faces) == 20  # five tetrahedra
    assert mesh_health(small).parts == 5
    assert "20 of 1,600 faces kept, 4 asked; fewer would not be a sound surface" in caplog.text


def test_a_part_that_would_turn_inside_out_keeps_more_faces(monkeypatch):
    real = decimation._simplify

    def careless(vertices, faces, colors, target, color_weight):
        simple = real(vertices, faces, colors, target, color_weight)
        return simple if len(simple[1]) > 30 else (simple[0], simple[1][:, ::-1].copy(), simple[2])

    monkeypatch.setattr(decimation, "_simplify", careless)
    small = decimate(trimesh.creation.icosphere(3), 20)
    assert mesh_health(small).shells == 1
    assert small.metadata["decimation"].got == len(small.faces) == 40


def test_the_wall_of_a_cavity_may_look_inwards():
    ball = trimesh.creation.icosphere(3)
    wall = trimesh.Trimesh(0.5 * ball.vertices, ball.faces[:, ::-1], process=False)
    small = decimate(trimesh.util.concatenate([ball, wall]), 40)
    assert len(small.faces) == 40
    assert mesh_health(small).shells == 1


@pytest.mark.parametrize("faces", [3, 0, -5])
def test_fewer_than_four_faces_are_refused(faces):
    with pytest.raises(InputError, match=f"faces is {faces}, a closed mesh needs at least 4; try 20000"):
        decimate(trimesh.creation.icosphere(1), faces)


def test_textured_meshes_are_refused():
    ball = trimesh.creation.icosphere(1)
    ball.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(ball.vertices), 2)))
    with pytest.raises(InputError, match="decimate first, then bake it"):
        decimate(ball, 20)


def test_slivers_go_and_the_rest_stays():
    ball = trimesh.creation.icosphere(3)
    a, b, c = ball.faces[0]
    inside = ball.vertices[a] + 1e-5 * (ball.vertices[b] + ball.vertices[c] - 2 * ball.vertices[a])
    vertices = np.vstack([ball.vertices, inside])
    faces = np.vstack([ball.faces[1:], [[a, b, 642], [b, c, 642], [c, a, 642]]])
    assert mesh_health(trimesh.Trimesh(vertices, faces, process=False)).faces == len(ball.faces) + 2
    cleaned = trimesh.Trimesh(*collapse_slivers(vertices, faces, 0.1), process=False)
    assert len(cleaned.faces) == len(ball.faces)
    assert mesh_health(cleaned).sound
