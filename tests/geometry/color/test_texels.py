import numpy as np
import pytest

from gen3d_tools.geometry.color.texels import map_texels

SQUARE = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
TWO = np.array([[0, 1, 2], [0, 2, 3]])


def centres(texels):
    row, column = np.divmod(texels.texel, texels.size)
    return np.stack([(column + 0.5) / texels.size, 1 - (row + 0.5) / texels.size], axis=1)


def test_each_texel_of_a_chart_shows_its_own_place():
    texels = map_texels(SQUARE, TWO, 32, beside=0)
    assert len(texels.texel) == 16 * 16
    assert texels.interpolate(TWO, SQUARE) == pytest.approx(centres(texels))


def test_v_runs_upwards_and_pictures_downwards():
    corner = np.array([[0.0, 0.75], [0.25, 1.0], [0.0, 1.0]])  # the upper left one
    texels = map_texels(corner, np.array([[0, 1, 2]]), 8, beside=0)
    assert texels.covered[:2, :2].sum() == texels.covered.sum() == 3


def test_texels_beside_a_chart_show_the_nearest_point_of_its_border():
    texels = map_texels(SQUARE, TWO, 32, beside=1.6)
    shown = texels.interpolate(TWO, SQUARE)
    beside = ~texels.covered.reshape(-1)[texels.texel]
    assert beside.sum() == 4 * 16 * 2 + 4 * 3  # two rows along each side, and three texels at each corner
    assert shown[beside] == pytest.approx(centres(texels)[beside].clip(0.25, 0.75))


def test_every_other_texel_knows_the_nearest_one():
    texels = map_texels(SQUARE, TWO, 32)
    painted = texels.picture(np.arange(len(texels.texel))[:, None])[..., 0]
    assert np.array_equal(painted.reshape(-1)[texels.texel], np.arange(len(texels.texel)))
    assert painted[0, 0] == painted[7, 7]  # beside the chart's upper left corner
    assert painted[31, 12] == painted[25, 12]


def test_sharp_corners_keep_their_own_colours_beside_a_neighbour():
    """The texels around a tip between two centres belong to the tip, though the neighbour covers the nearer centres."""
    tip = np.array([[0.1, 0.5], [0.5, 0.5], [0.1, 0.52]])
    neighbour = np.array([[0.57, 0.3], [0.9, 0.3], [0.57, 0.7]])
    texels = map_texels(np.vstack([tip, neighbour]), np.array([[0, 1, 2], [3, 4, 5]]), 32)
    near_tip = np.linalg.norm(centres(texels) - [0.5, 0.5], axis=1) < 0.75 / 32
    assert near_tip.sum() == 4
    assert (texels.face[near_tip] == 0).all()


def test_triangles_smaller_than_a_texel_get_some():
    tiny = np.array([[0.51, 0.51], [0.515, 0.51], [0.51, 0.515]])
    texels = map_texels(tiny, np.array([[0, 1, 2]]), 16)
    assert 7 * 16 + 8 in texels.texel
    assert (texels.weights >= 0).all()


def test_triangles_without_area_do_no_harm():
    line = np.array([[0.2, 0.2], [0.8, 0.8], [0.5, 0.5]])
    texels = map_texels(line, np.array([[0, 1, 2]]), 16)
    assert np.isfinite(texels.weights).all()
    assert texels.weights.sum(axis=1) == pytest.approx(1)


def test_the_map_does_not_depend_on_the_size_of_the_pieces(monkeypatch):
    whole = map_texels(SQUARE, TWO, 64)
    monkeypatch.setattr("gen3d_tools.geometry.color.texels._CANDIDATES", 100)
    pieces = map_texels(SQUARE, TWO, 64)
    assert np.array_equal(whole.face, pieces.face)
    assert np.array_equal(whole.nearest, pieces.nearest)
