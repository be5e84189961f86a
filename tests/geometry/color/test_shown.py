"""What notebooks and prompts show of meshes."""

import io

import numpy as np
from PIL import Image

from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.color.shown import Mesh
from gen3d_tools.geometry.mesh import extract_mesh

BALL = FunctionField(raw_density_fn=lambda points: 1000 * (0.5 - points.norm(dim=-1)), box_side=2.0)


def test_a_mesh_prints_as_one_line_and_draws_itself_from_three_sides():
    mesh = extract_mesh(BALL, resolution=16)
    counts = f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces"
    assert repr(mesh) == f"Mesh({counts}, vertex colours, 0.982 x 0.982 x 0.982)"
    with Image.open(io.BytesIO(mesh._repr_png_())) as shown:
        pixels = np.asarray(shown)
    size = pixels.shape[0]
    assert pixels.shape == (size, 3 * size, 3)
    for view in range(3):
        assert abs(int(pixels[size // 2, view * size + size // 2, 0]) - 128) <= 2
        assert (pixels[0, view * size] == 255).all()


def test_an_empty_mesh_shows_nothing():
    assert repr(Mesh()) == "Mesh(empty)"
    assert Mesh()._repr_png_() is None
