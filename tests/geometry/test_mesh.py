import logging

import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.mesh import extract_mesh, mesh_health
from tests.geometry.conftest import ISO_LEVEL, SURFACE_DEPTH, ball_depth, torus_depth, union

CENTER = (0.1, -0.2, 0.3)


@pytest.mark.parametrize("resolution", [64, 96])
def test_ball_comes_back_where_it_was_put(field_of, resolution):
    mesh = extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=resolution)
    radius = 0.5 - SURFACE_DEPTH
    voxel = 2.0 / (resolution - 1)
    off_surface = np.abs(np.linalg.norm(mesh.vertices - CENTER, axis=1) - radius) / voxel
    assert off_surface.mean() < 0.01
    assert off_surface.max() < 0.05
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.005)  # > 0: faces look outward
    assert mesh.center_mass == pytest.approx(CENTER, abs=0.001)
    assert mesh_health(mesh).watertight


def test_normals_of_a_ball_point_away_from_its_centre(field_of):
    mesh = extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=48)
    outward = (mesh.vertices - CENTER) / np.linalg.norm(mesh.vertices - CENTER, axis=1, keepdims=True)
    assert (mesh.vertex_normals * outward).sum(axis=1).min() > 0.99


def test_colours_are_those_at_the_surface(field_of):
    field = field_of(ball_depth(CENTER, 0.5), values_fn=lambda points: (points + 1) / 2)
    mesh = extract_mesh(field, resolution=48)
    assert mesh.visual.vertex_colors[:, :3] == pytest.approx((mesh.vertices + 1) / 2 * 255, abs=0.51)


def test_radial_colours_do_not_bleed(field_of):
    """Red changes by 8 per voxel across the surface: a vertex 0.1 voxel off would show it."""

    def radial(points):
        return (0.5 + (points.norm(dim=-1, keepdim=True) - 0.5 + SURFACE_DEPTH)).expand(points.shape)

    mesh = extract_mesh(field_of(ball_depth((0, 0, 0), 0.5), values_fn=radial), resolution=64)
    assert set(np.unique(mesh.visual.vertex_colors[:, :3])) <= {127, 128}


def test_colours_can_be_left_out(field_of):
    mesh = extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=16, colors=False)
    assert not mesh.visual.defined


def test_torus_has_one_hole(field_of):
    health = mesh_health(extract_mesh(field_of(torus_depth(0.5, 0.2)), resolution=48))
    assert (health.euler_number, health.parts, health.watertight) == (0, 1, True)
    assert health.volume == pytest.approx(2 * np.pi**2 * 0.5 * (0.2 - SURFACE_DEPTH) ** 2, rel=0.01)


def test_detached_parts_stay_and_floaters_go(field_of, caplog):
    parts = union(ball_depth((-0.5, 0, 0), 0.3), ball_depth((0.5, 0, 0), 0.15), ball_depth((0, 0.8, 0), 0.06))
    with caplog.at_level(logging.INFO):
        health = mesh_health(extract_mesh(field_of(parts), resolution=64))
    assert (health.parts, health.euler_number) == (2, 4)
    assert "1 of 3 parts removed" in caplog.text
    assert mesh_health(extract_mesh(field_of(parts), resolution=64, keep=0)).parts == 3
    assert mesh_health(extract_mesh(field_of(parts), resolution=64, keep=1)).parts == 1


def test_hollow_shell_keeps_both_walls(field_of):
    def shell(points):
        return 0.1 - (points.norm(dim=-1) - 0.5).abs()

    health = mesh_health(extract_mesh(field_of(shell), resolution=64))
    outer, inner = 0.6 - SURFACE_DEPTH, 0.4 + SURFACE_DEPTH
    assert (health.parts, health.watertight) == (2, True)
    assert health.volume == pytest.approx(4 / 3 * np.pi * (outer**3 - inner**3), rel=0.01)


def test_thin_slab_keeps_its_thickness(field_of):
    """1.4 voxels thick: both faces lie in neighbouring cells."""

    def slab(points):
        return torch.minimum(0.03 - points[..., 1].abs(), 0.7 - points[..., [0, 2]].abs().amax(-1))

    mesh = extract_mesh(field_of(slab), resolution=48, iso_level=ISO_LEVEL)
    assert mesh_health(mesh).watertight
    assert mesh.extents[1] == pytest.approx(2 * (0.03 - SURFACE_DEPTH), rel=0.01)


@pytest.mark.parametrize("bounded", [True, False])
def test_object_cut_by_the_box_is_capped_on_its_face(field_of, bounded):
    mesh = extract_mesh(field_of(ball_depth((1, 0, 0), 0.5), bounded=bounded), resolution=64)
    health = mesh_health(mesh)
    assert (health.watertight, health.parts, health.euler_number) == (True, 1, 2)
    assert mesh.bounds[1][0] == pytest.approx(1, abs=1e-4)
    assert health.volume == pytest.approx(2 / 3 * np.pi * (0.5 - SURFACE_DEPTH) ** 3, rel=0.01)


def test_beam_through_the_whole_box_is_closed_at_both_ends(field_of):
    mesh = extract_mesh(field_of(lambda points: 0.3 - points[..., :2].abs().amax(-1)), resolution=32)
    assert mesh_health(mesh).watertight
    assert mesh.bounds[:, 2] == pytest.approx([-1, 1], abs=1e-4)


def test_exploding_density_does_not_pull_the_surface():
    """The same ball with 100 times the gain on the inside: interpolating there would move the surface."""

    def steep(points):
        depth = 0.5 - points.norm(dim=-1)
        return torch.where(depth > 0.1, 1e5, 1000 * depth)

    field = FunctionField(raw_density_fn=steep, density_activation="softplus", box_side=2.0, iso_level=10.0)
    mesh = extract_mesh(field, resolution=64, iso_level=10.0)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.49, abs=0.05 * 2 / 63)


def test_iso_level_is_a_density_of_the_field(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.5))
    mesh = extract_mesh(field, resolution=64, iso_level=200.0)
    on_surface = field.density(torch.from_numpy(mesh.vertices).float())
    assert on_surface.numpy() == pytest.approx(200.0, abs=10)


def test_no_surface_says_what_would_work():
    field = FunctionField(raw_density_fn=lambda points: 3.2 - 2 * points.norm(dim=-1), iso_level=10.0)
    with pytest.raises(Gen3DError, match=r"no surface at level 10: densities span 0 to 3\.\d+; try iso_level=1\.\d+"):
        extract_mesh(field, resolution=32, iso_level=10.0)
    suggested = 1.6
    assert extract_mesh(field, resolution=32, iso_level=suggested).volume > 0


def test_box_that_is_full_everywhere_has_no_surface():
    field = FunctionField(raw_density_fn=lambda points: 20 + points[..., 0], iso_level=10.0)
    with pytest.raises(Gen3DError, match="densities span 19 to 21; try iso_level=20"):
        extract_mesh(field, resolution=16, iso_level=10.0)


def test_constant_field_has_no_level_to_try():
    field = FunctionField(raw_density_fn=lambda points: torch.zeros(points.shape[:-1]))
    with pytest.raises(Gen3DError, match="the densities are 0 everywhere"):
        extract_mesh(field, resolution=16)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_field_that_is_not_finite_is_named_with_the_place(bad):
    def broken(points):
        return torch.where(points[..., 0] > 0.9, bad, 10.0)

    with pytest.raises(Gen3DError, match=rf"the field is {bad} at \(1, -1, -1\)"):
        extract_mesh(FunctionField(raw_density_fn=broken), resolution=8)


@pytest.mark.parametrize("resolution", [7, 1025])
def test_resolution_outside_its_range_is_refused(field_of, resolution):
    with pytest.raises(InputError, match=f"resolution is {resolution}, it must be 8 to 1024"):
        extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=resolution)


@pytest.mark.parametrize("level", [0.0, -1.0, float("nan"), float("inf")])
def test_level_must_be_a_density(field_of, level):
    with pytest.raises(InputError, match="it must be a density above 0"):
        extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=16, iso_level=level)


def test_same_field_gives_the_same_mesh(field_of):
    first, second = (extract_mesh(field_of(ball_depth(CENTER, 0.5)), resolution=24) for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices)
    assert np.array_equal(first.faces, second.faces)


def test_health_reads_as_one_line():
    assert str(mesh_health(trimesh.creation.box())) == (
        "8 vertices, 12 faces, watertight, 1 part, Euler number 2, volume 1"
    )
    torn = trimesh.creation.box()
    torn.update_faces(np.arange(12) > 0)
    assert "NOT watertight" in str(mesh_health(torn))
