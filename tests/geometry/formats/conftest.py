import numpy as np
import pytest
import trimesh

from gen3d_tools.geometry.color.texture import with_texture


@pytest.fixture
def mesh():
    """An egg off the axes, each vertex in its own colour."""
    ball = trimesh.creation.icosphere(2)
    colours = np.random.default_rng(0).integers(0, 256, (len(ball.vertices), 3), np.uint8)
    return trimesh.Trimesh(ball.vertices * [1, 2, 3] + [0.5, 0, 0], ball.faces, vertex_colors=colours, process=False)


@pytest.fixture
def textured():
    """A square of four triangles with normals of their own and a picture in which each pixel differs; cut in two."""
    vertices = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [2, 0, 0], [2, 2, 0], [4, 0, 1], [4, 2, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 7], [4, 7, 5]])
    uv = np.array([[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 0.5], [1, 1]])
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    normals = np.tile([0.6, 0, 0.8], (8, 1))
    return with_texture(vertices, faces, normals, uv, picture)
