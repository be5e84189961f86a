import logging

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.color.texels import map_texels
from gen3d_tools.geometry.color.unwrap import GUTTER, unwrap

METHODS = ["xatlas", "triangles"]


def solid():
    """A ball beside a torus."""
    ball = trimesh.creation.icosphere(3).apply_translation([2, 0, 0])
    return trimesh.util.concatenate([ball, trimesh.creation.torus(1, 0.3, 32, 16)])


def areas(corners):
    edge, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.abs(edge[:, 0] * other[:, 1] - edge[:, 1] * other[:, 0]) / 2


@pytest.mark.parametrize("method", METHODS)
def test_faces_stay_in_their_order_at_their_places(method):
    mesh = solid()
    atlas = unwrap(mesh, 512, method=method)
    assert np.array_equal(atlas.source[atlas.faces], mesh.faces)
    assert atlas.method == method
    assert atlas.uv.min() >= 0
    assert atlas.uv.max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_no_two_faces_share_a_place(method):
    atlas = unwrap(solid(), 512, method=method)
    texels = map_texels(atlas.uv, atlas.faces, 512, beside=0)
    assert texels.covered.sum() == pytest.approx(areas(atlas.uv[atlas.faces]).sum() * 512**2, rel=0.02)
    assert 0.3 < texels.covered.mean() < 1


def test_charts_keep_areas_and_are_few():
    mesh = solid()
    atlas = unwrap(mesh, 512, method="xatlas")
    density = areas(atlas.uv[atlas.faces]) / mesh.area_faces
    assert np.percentile(density, 95) / np.percentile(density, 5) < 2
    assert atlas.charts < 100


def test_charts_keep_apart():
    """From each chart the next one is at least half a gutter away."""
    mesh = solid()
    atlas = unwrap(mesh, 512, method="xatlas")
    texels = map_texels(atlas.uv, atlas.faces, 512, beside=0)
    connected = trimesh.graph.connected_component_labels(
        trimesh.graph.face_adjacency(atlas.faces), node_count=len(atlas.faces)
    )
    chart = np.full(512 * 512, -1)
    chart[texels.texel] = connected[texels.face]
    chart = chart.reshape(512, 512)
    for step in range(1, GUTTER // 2 + 1):
        for one, other in ((chart[:, step:], chart[:, :-step]), (chart[step:], chart[:-step])):
            assert not ((one >= 0) & (other >= 0) & (one != other)).any()


def test_triangles_one_by_one_keep_apart():
    texels = map_texels(
        *(lambda atlas: (atlas.uv, atlas.faces))(unwrap(solid(), 512, method="triangles")), 512, beside=0
    )
    face = np.full(512 * 512, -1)
    face[texels.texel] = texels.face
    face = face.reshape(512, 512)
    for one, other in ((face[:, 1:], face[:, :-1]), (face[1:], face[:-1])):
        assert not ((one >= 0) & (other >= 0) & (one != other)).any()


@pytest.mark.parametrize("method", METHODS)
def test_same_mesh_gives_the_same_places(method):
    first, second = (unwrap(solid(), 256, method=method) for _ in range(2))
    assert np.array_equal(first.uv, second.uv)
    assert np.array_equal(first.source, second.source)


def test_where_xatlas_fails_the_triangles_serve_and_the_log_says_so(monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("bad luck")

    monkeypatch.setattr("xatlas.Atlas.add_mesh", refuse)
    with caplog.at_level(logging.WARNING):
        atlas = unwrap(solid(), 512)
    assert atlas.method == "triangles"
    assert "xatlas could not unwrap this mesh (bad luck)" in caplog.text
    with pytest.raises(InputError, match=r"\(bad luck\); use the method triangles, which always works"):
        unwrap(solid(), 512, method="xatlas")


def test_texture_too_small_for_single_triangles_names_one_that_fits():
    mesh = trimesh.creation.icosphere(5)  # 20,480 faces, 102 cells along each side
    with pytest.raises(InputError, match="256 is too small for 20,480 triangles one by one; use 512"):
        unwrap(mesh, 256, method="triangles")
    with pytest.raises(InputError, match="use 512"):
        unwrap(mesh, 256, method="triangles")
    assert unwrap(mesh, 512, method="triangles").charts == 20480


def test_empty_mesh_is_refused():
    with pytest.raises(InputError, match="no faces"):
        unwrap(trimesh.Trimesh(), 256)
