"""open3d and trimesh load our meshes as large as they were, with their colours."""

import numpy as np
import pytest
import trimesh

SUFFIXES = [".glb", ".gltf", ".obj", ".ply", ".stl", ".off"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["colored", "textured"])
def test_trimesh(written, car, kind, suffix):
    found = trimesh.load_mesh(written(kind, suffix))
    assert len(found.faces) == len(car.colored.faces)
    assert found.bounds == pytest.approx(car.colored.bounds, abs=1e-5)
    found.merge_vertices(merge_tex=True, merge_norm=True)
    assert found.is_watertight
    if kind == "textured" and suffix in (".glb", ".gltf", ".obj"):
        assert found.visual.uv is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_open3d(written, car, suffix, open3d):
    found = open3d.io.read_triangle_mesh(str(written("colored", suffix)))
    assert len(found.triangles) == len(car.colored.faces)
    bounds = np.stack([found.get_min_bound(), found.get_max_bound()])
    assert bounds == pytest.approx(car.colored.bounds, abs=1e-5)
    if suffix in (".ply", ".obj", ".glb", ".gltf"):
        assert found.has_vertex_colors()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_open3d_reads_the_texture(written, suffix, open3d):
    found = open3d.io.read_triangle_model(str(written("textured", suffix)))
    assert [material.albedo_img is not None for material in found.materials] == [True]
