import math
import warnings

import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.fields.field import activate_density
from gen3d_tools.geometry.extraction.isosurface import check_iso_level, isosurface, marching_cubes, raw_iso_level
from tests.geometry.conftest import ball_depth


def edge_counts(faces):
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def smallest_edge(vertices, faces):
    return min(np.linalg.norm(vertices[faces[:, a]] - vertices[faces[:, a - 1]], axis=1).min() for a in range(3))


def test_ball_comes_back_where_it_was_put():
    vertices, faces = isosurface(ball_depth((0.1, -0.2, 0.3), 1.0), resolution=64, box_side=2.0, iso_level=0.5)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.01)
    assert mesh.center_mass == pytest.approx([0.1, -0.2, 0.3], abs=0.01)


def test_vertices_are_in_world_units_for_any_box():
    for box_side in (0.5, 30.0):
        vertices, _ = isosurface(ball_depth((0, 0, 0), box_side / 4), resolution=32, box_side=box_side, iso_level=0.0)
        assert np.linalg.norm(vertices, axis=1) == pytest.approx(box_side / 4, rel=0.01)


def test_noise_gives_a_closed_surface_without_shared_edges():
    """All ambiguous cube cases occur, also on the box: every edge still has exactly two faces."""
    noise = np.random.default_rng(0).standard_normal((22, 22, 22)).astype(np.float32)
    vertices, faces = marching_cubes(noise, box_side=1.0, iso_level=0.0)
    assert set(edge_counts(faces)) == {2}
    assert trimesh.Trimesh(vertices, faces, process=False).is_winding_consistent


def test_values_exactly_at_the_level_give_no_faces_without_area():
    integers = np.random.default_rng(1).integers(-2, 3, (14, 14, 14)).astype(np.float32)
    vertices, faces = marching_cubes(integers, box_side=1.0, iso_level=0.0)
    assert set(edge_counts(faces)) == {2}
    assert smallest_edge(vertices, faces) > 0


def test_surface_lies_on_lattice_planes_when_the_level_does():
    vertices, _ = isosurface(lambda points: 0.5 - points.abs().amax(-1), resolution=17, box_side=2.0, iso_level=0.0)
    assert np.abs(vertices).max(axis=1) == pytest.approx(0.5, abs=1e-3)


def test_function_below_the_level_names_one_that_works():
    with pytest.raises(
        Gen3DError, match=r"no surface at level 10: values span -0.7321 to 0.8845; try iso_level=0.07624"
    ):
        isosurface(ball_depth((0, 0, 0), 1.0), resolution=16, box_side=2.0, iso_level=10.0)


@pytest.mark.parametrize("activation", ["softplus", "relu"])
@pytest.mark.parametrize("level", [1e-6, 0.1, 10.0, 300.0])
def test_raw_level_is_the_inverse_of_the_activation(activation, level):
    raw = raw_iso_level(level, activation, -1.0)
    back = activate_density(torch.tensor(raw, dtype=torch.float64), activation, -1.0)
    assert back.item() == pytest.approx(level, rel=1e-9)


def test_unknown_activation_is_refused():
    with pytest.raises(InputError, match="'sine'"):
        raw_iso_level(10.0, "sine", 0.0)


def test_a_level_beyond_single_precision_is_refused_and_the_largest_gives_no_warning():
    for level in (0.0, -1.0, math.nan, math.inf, 1e300, 1.1e12):
        with pytest.raises(InputError, match=r"it must be a density above 0, at most 1e\+12"):
            check_iso_level(level)
    largest = raw_iso_level(1e12, "relu", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Gen3DError, match="no surface at level"):
            isosurface(ball_depth((0, 0, 0), 1.0), resolution=16, box_side=2.0, iso_level=largest)
