"""Gaussians of a surface: they lie on it, stop as much light as it does, and look like the field from everywhere."""

import numpy as np
import pytest
import torch
import trimesh
from scipy.integrate import quad

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.color import view_colors
from gen3d_tools.geometry.formats.splats import (
    INSET,
    MOST_OPAQUE,
    WIDTH,
    disc_opacities,
    from_z_axis,
    surface_splats,
    write_splats,
)
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.metrics.agreement import psnr
from gen3d_tools.rendering.renderer import render
from tests.geometry.formats.splat_rasteriser import draw_splats, matrices, read_splats

NAMES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]
RADIUS = 0.3


@pytest.fixture(scope="module")
def ball():
    """A ball of one colour, opaque within a voxel, and its mesh."""
    field = FunctionField(
        raw_density_fn=lambda points: 100_000 * (RADIUS - points.norm(dim=-1)),
        values_fn=lambda points: torch.tensor([0.8, 0.4, 0.1]).expand(points.shape),
        box_side=1.0,
        iso_level=1.0,
        render_config=RenderConfig(near="box", far="box", background="white"),
    )
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS)
    mesh.visual.vertex_colors = [204, 102, 26, 255]
    return field, mesh


def test_discs_lie_on_the_surface_thin_along_its_normals(ball):
    splats = surface_splats(*ball, 3000)
    spacing = np.sqrt(ball[1].area / 3000)
    assert np.linalg.norm(splats.centers, axis=1) == pytest.approx(RADIUS - INSET * WIDTH * spacing, abs=1e-3)
    turned = matrices(splats.rotations)
    outward = splats.centers / np.linalg.norm(splats.centers, axis=1, keepdims=True)
    assert np.abs((turned[:, :, 2] * outward).sum(1) - 1).max() < 2e-3  # their third axis is the normal
    assert splats.scales[:, :2] == pytest.approx(WIDTH * spacing)
    assert (splats.scales[:, 2] < 0.1 * splats.scales[:, 0]).all()
    assert splats.colors == pytest.approx(np.tile([0.8, 0.4, 0.1], (3000, 1)), abs=2e-3)


def test_rotations_lead_from_the_z_axis_to_every_direction():
    directions = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, -1, 0], [0.6, 0, -0.8], [1e-6, 0, -1]], np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turned = matrices(from_z_axis(directions))
    assert turned[:, :, 2] == pytest.approx(directions, abs=1e-5)
    assert turned @ turned.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (6, 1, 1)))
    assert np.linalg.det(turned) == pytest.approx(1)


@pytest.mark.parametrize("depth", [0.2, 1.0, 3.0])
def test_a_layer_of_discs_stops_what_was_asked_for(depth):
    [opacity] = disc_opacities(np.array([depth]))
    layer = 2 * np.pi * WIDTH**2 * quad(lambda r: -np.log1p(-opacity * np.exp(-(r**2) / 2)) * r, 0, 12)[0]
    assert layer == pytest.approx(depth, rel=1e-3)
    assert disc_opacities(np.array([100.0])) == MOST_OPAQUE


def test_a_thin_veil_stays_one(ball):
    field, mesh = ball
    width = 0.002  # standard deviation of its density across the surface
    veil = FunctionField(
        raw_density_fn=lambda points: 180 * torch.exp(-(((points.norm(dim=-1) - RADIUS) / width) ** 2) / 2),
        values_fn=field.values_fn,
        box_side=1.0,
        iso_level=1.0,
        render_config=field.render_config,
    )
    opacities = surface_splats(veil, mesh, 2000).opacities
    assert np.median(opacities) == pytest.approx(
        disc_opacities(np.array([180 * width * np.sqrt(2 * np.pi)]))[0], rel=0.05
    )
    assert surface_splats(field, mesh, 2000).opacities == pytest.approx(MOST_OPAQUE)


def test_the_file_says_what_the_format_wants(ball, tmp_path):
    splats = surface_splats(*ball, 500)
    write_splats(tmp_path / "ball.ply", splats)
    found = read_splats(tmp_path / "ball.ply")
    assert list(found) == NAMES
    assert np.stack([found[name] for name in "xyz"], 1) == pytest.approx(splats.centers, abs=1e-6)
    assert 1 / (1 + np.exp(-found["opacity"])) == pytest.approx(splats.opacities, abs=1e-5)
    assert np.exp(found["scale_2"]) == pytest.approx(splats.scales[:, 2], rel=1e-5)
    assert 0.5 + found["f_dc_0"] / np.sqrt(4 * np.pi) == pytest.approx(splats.colors[:, 0], abs=1e-6)
    write_splats(tmp_path / "again.ply", surface_splats(*ball, 500))
    assert (tmp_path / "ball.ply").read_bytes() == (tmp_path / "again.ply").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_splats(tmp_path / "ball.ply", splats)
    with pytest.raises(InputError, match=r"cannot hold splats, .ply can; try ball.ply"):
        write_splats(tmp_path / "ball.splat", splats)


def seen(field, splats, path, cameras):
    """PSNR of the pictures of splats, read back from their file, to those of their field at 128 x 128."""
    write_splats(path, splats)
    found, wanted = read_splats(path), render(field, cameras, resolution=128).rgb
    squares = [
        (draw_splats(found, camera, 128) - rgb).square().mean() for camera, rgb in zip(cameras, wanted, strict=True)
    ]
    return [psnr(float(square)) for square in squares]


@pytest.mark.slow
def test_a_ball_of_splats_looks_like_the_ball(ball, tmp_path):
    cameras = Camera.from_spherical([0.0, 130.0], [20.0, -60.0], 2.0, fov_y_deg=25.0)
    assert min(seen(ball[0], surface_splats(*ball, 20_000), tmp_path / "ball.ply", cameras)) > 30


@pytest.mark.slow
def test_splats_of_every_class_look_like_their_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(view_colors, "_PICTURE_RESOLUTION", 128)  # as large as the pictures that are compared
    generator = load_generator("shapes", device="cpu")
    cameras = Camera.from_spherical([10.0, 250.0], [30.0, -20.0], 2.7, fov_y_deg=20.0)
    found = {}
    for name in generator.class_names:
        [field] = generator.fields(generator.latents([1], [name]))
        mesh = extract_mesh(field, resolution=96, colors=False)
        found[name] = np.mean(seen(field, surface_splats(field, mesh), tmp_path / f"{name}.ply", cameras))
    assert np.mean(list(found.values())) > 28.5, found
    assert min(found.values()) > 25, found
