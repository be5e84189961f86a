from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3d_tools.fields.field import FunctionField, by_chain_rule
from gen3d_tools.geometry.extraction.projection import field_normals, project_to_level
from gen3d_tools.geometry.processing.health import mesh_health
from tests.geometry.conftest import ball_depth

VOXEL = 0.03


def smooth_ball(radius=0.5, **options):
    """Raw density 1 - r^2 / R^2 times ten: curved across the surface, so that one step is not the whole way."""
    return FunctionField(
        raw_density_fn=lambda points: 10 * (1 - points.square().sum(-1) / radius**2), box_side=2.0, **options
    )


def test_newton_step_lands_on_the_level_set():
    ball = trimesh.creation.icosphere(3, radius=0.5 + 0.4 * VOXEL)
    moved = project_to_level(smooth_ball(), ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL).vertices
    before, after = (np.abs(np.linalg.norm(points, axis=1) - 0.5).max() for points in (ball.vertices, moved))
    assert after < 0.05 * before


def test_no_step_is_as_long_as_a_voxel():
    ball = trimesh.creation.icosphere(3, radius=0.7)
    moved = project_to_level(smooth_ball(), ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL).vertices
    steps = np.linalg.norm(moved - ball.vertices, axis=1)
    assert 0 < steps.max() < VOXEL


def test_steps_that_do_not_come_nearer_are_not_taken():
    field = FunctionField(raw_density_fn=lambda points: torch.full(points.shape[:-1], 5.0))
    ball = trimesh.creation.icosphere(2)
    projected = project_to_level(field, ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL)
    assert np.array_equal(projected.vertices, ball.vertices)


def test_caps_at_the_box_stay_where_they_are():
    box = trimesh.creation.box(extents=[2, 2, 2]).subdivide()
    moved = project_to_level(smooth_ball(1.2), box.vertices, box.faces, raw_level=0.0, voxel=VOXEL).vertices
    assert np.array_equal(moved, box.vertices)


def test_faces_do_not_turn_over():
    """A field full of ripples shorter than a voxel would tear the vertices in all directions."""

    def ripples(points):
        return torch.sin(400 * points[..., 0]) + torch.sin(370 * points[..., 1]) + torch.sin(430 * points[..., 2])

    ball = trimesh.creation.icosphere(4, radius=0.3)
    moved = project_to_level(
        FunctionField(raw_density_fn=ripples), ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL
    ).vertices
    after = trimesh.Trimesh(moved, ball.faces, process=False)
    assert ((after.face_normals * ball.face_normals).sum(axis=1) > 0).all()
    assert not np.array_equal(moved, ball.vertices)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_projection_keeps_meshes_sound_over_random_fields(seed):
    waves = torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)) * 6
    field = FunctionField(
        raw_density_fn=lambda points: 5 * (0.5 - points.norm(dim=-1)) + 0.15 * torch.sin(points @ waves.T).sum(-1)
    )
    ball = trimesh.creation.icosphere(3, radius=0.5)
    moved = project_to_level(field, ball.vertices, ball.faces, raw_level=0.0, voxel=0.08).vertices
    before, after = (
        field.raw_density(torch.from_numpy(np.asarray(points, np.float32))).abs().numpy()
        for points in (ball.vertices, moved)
    )
    assert (after <= before + 1e-6).all()
    assert mesh_health(trimesh.Trimesh(moved, ball.faces, process=False)).sound


def test_normals_are_those_of_the_field_not_of_the_faces():
    """A coarse ball: the faces know its normals to a few degrees, the field exactly."""
    field = smooth_ball()
    ball = trimesh.creation.icosphere(1, radius=0.5)
    skewed = trimesh.Trimesh(ball.vertices, ball.faces[:-7], process=False)  # lopsided around the hole
    normals = field_normals(field, skewed)
    outward = skewed.vertices / np.linalg.norm(skewed.vertices, axis=1, keepdims=True)
    assert (normals * outward).sum(axis=1).min() > 0.9999
    assert (skewed.vertex_normals * outward).sum(axis=1).min() < 0.99


def test_normals_of_a_cap_are_those_of_the_box():
    """The field goes on behind the wall; its gradient there says nothing about the cap."""
    box = trimesh.creation.box(extents=[2, 2, 2])
    normals = field_normals(smooth_ball(3.0), box)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    assert (np.sign(normals) == np.sign(box.vertices)).all()
    assert (normals * box.vertex_normals).sum(axis=1).min() > 0.9


def test_normals_of_a_sheet_thinner_than_the_differences_look_outward(field_of):
    thin = field_of(lambda points: 0.001 - points[..., 1].abs(), box_side=2.0)
    sheet = trimesh.creation.box(extents=[1, 0.002, 1]).subdivide().subdivide()
    normals = field_normals(thin, sheet)
    assert np.isfinite(normals).all()
    assert ((normals * sheet.vertex_normals).sum(axis=1) > 0).all()


def test_normals_are_unit_vectors(field_of):
    ball = trimesh.creation.icosphere(2, radius=0.5)
    normals = field_normals(field_of(ball_depth((0, 0, 0), 0.5)), ball)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)


@dataclass(frozen=True, kw_only=True)
class KnownGradient(FunctionField):
    """A field that knows its gradient, and counts the points whose density alone is asked for."""

    asked: list[int] = dataclass_field(default_factory=list)

    def raw_density_gradient(self, points):
        return by_chain_rule(super().raw_density, points)

    def raw_density(self, points):
        self.asked.append(points[..., 0].numel())
        return super().raw_density(points)


def test_a_field_that_knows_its_gradient_is_asked_for_no_differences():
    ball, level = trimesh.creation.icosphere(3, radius=0.5 + 0.4 * VOXEL), smooth_ball()
    field = KnownGradient(raw_density_fn=level.raw_density_fn, box_side=2.0)
    by_differences = project_to_level(level, ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL)
    projected = project_to_level(field, ball.vertices, ball.faces, raw_level=0.0, voxel=VOXEL)
    assert by_differences.gradient is None
    assert np.abs(projected.vertices - by_differences.vertices).max() < 0.01 * VOXEL
    moved = trimesh.Trimesh(projected.vertices, ball.faces, process=False)
    normals = field_normals(field, moved, gradient=projected.gradient)
    assert sum(field.asked) == len(ball.vertices)  # whether each step led nearer
    np.testing.assert_allclose(normals, field_normals(field, moved), atol=1e-5)
    np.testing.assert_allclose(normals, moved.vertices / 0.5, atol=0.01)
