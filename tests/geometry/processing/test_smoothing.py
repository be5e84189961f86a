import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.processing.smoothing import smooth


def rough_ball():
    ball = trimesh.creation.icosphere(4)
    noise = 1 + 0.02 * np.random.default_rng(0).normal(size=(len(ball.vertices), 1))
    colors = np.full((len(ball.vertices), 3), 90, np.uint8)
    return trimesh.Trimesh(ball.vertices * noise, ball.faces, vertex_colors=colors, process=False)


def test_ripples_go_and_the_size_stays():
    rough = rough_ball()
    smoothed = smooth(rough, 10)
    before, after = (np.linalg.norm(mesh.vertices, axis=1).std() for mesh in (rough, smoothed))
    assert after < 0.4 * before
    assert smoothed.volume == pytest.approx(rough.volume, rel=0.01)


def test_faces_colours_and_notes_stay_and_the_input_is_not_touched():
    rough = rough_ball()
    rough.metadata["level"] = 10
    before = np.array(rough.vertices)
    smoothed = smooth(rough, 3)
    assert np.array_equal(smoothed.faces, rough.faces)
    assert np.array_equal(smoothed.visual.vertex_colors, rough.visual.vertex_colors)
    assert smoothed.metadata["level"] == 10
    assert np.array_equal(rough.vertices, before)


def test_no_rounds_change_nothing():
    rough = rough_ball()
    assert np.array_equal(smooth(rough, 0).vertices, rough.vertices)


@pytest.mark.parametrize("rounds", [-1, 201])
def test_rounds_have_a_range(rounds):
    with pytest.raises(InputError, match=f"smooth is {rounds}, it must be 0 to 200 rounds; try 10"):
        smooth(rough_ball(), rounds)
