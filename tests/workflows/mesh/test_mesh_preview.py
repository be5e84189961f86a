"""Where meshes are looked at from: all around, or from where the model is trusted."""

from dataclasses import replace

import pytest
import torch
import trimesh

from gen3d_tools.generators.settings import TrustedViews
from gen3d_tools.workflows.mesh.preview import PreviewScene, film, portrait, ring, strip, turntable


@pytest.fixture
def settings(tiny_generator):
    return tiny_generator.settings


@pytest.fixture
def one_sided(settings):
    return replace(settings, trusted_views=TrustedViews(yaw_min_deg=-40, yaw_max_deg=60))


@pytest.fixture
def stage(tiny_generator):
    [field] = tiny_generator.fields(tiny_generator.latents([1], ["cube"]))
    return PreviewScene(field, trimesh.creation.box((0.5, 0.5, 0.5)), tiny_generator.settings)


def yaws(cameras, settings):
    return cameras.spherical(settings.default_view.target)[0]


def test_the_ring_goes_all_around_from_the_default_view(settings):
    cameras = ring(settings, 4)
    turn = torch.remainder(yaws(cameras, settings) - settings.default_view.yaw_deg, 360)
    assert turn.numpy() == pytest.approx([0, 90, 180, 270], abs=1e-3)
    _, pitch, radius = cameras.spherical(settings.default_view.target)
    assert pitch.numpy() == pytest.approx(settings.default_view.pitch_deg, abs=1e-3)
    assert radius.numpy() == pytest.approx(settings.default_view.radius, rel=1e-5)


def test_the_ring_ends_where_trust_ends(one_sided):
    assert yaws(ring(one_sided, 3), one_sided).numpy() == pytest.approx([-40, 10, 60], abs=1e-3)
    assert yaws(ring(one_sided, 1), one_sided).numpy() == pytest.approx([10], abs=1e-3)


def test_the_turntable_swings_between_the_ends_of_trust_and_loops(one_sided, settings):
    seen = yaws(turntable(one_sided, 8), one_sided)
    assert seen.numpy() == pytest.approx([10, 45.36, 60, 45.36, 10, -25.36, -40, -25.36], abs=0.01)
    assert torch.equal(turntable(settings, 8).cam2world, ring(settings, 8).cam2world)


def test_a_frame_shows_the_mesh_on_the_left_and_the_field_on_the_right(stage):
    frames = list(film(stage, frames=2, size=24))
    assert len(frames) == 2
    height, width = frames[0].shape[1:]
    assert width >= 2 * 24
    left, right = frames[0][:, :, : width // 2], frames[0][:, :, width // 2 :]
    assert (left[:, height - 24 :] - 0.7).abs().min() < 0.01  # the box is grey
    assert not torch.equal(left, right[..., : left.shape[-1]])


def test_the_strip_has_a_row_for_mesh_field_and_shape(stage):
    sheet = strip(stage, views=2, size=24)
    assert sheet.shape[1] >= 3 * 24
    assert sheet.shape[2] >= 2 * 24


def test_a_portrait_is_taken_from_the_default_view(stage):
    picture = portrait(stage, size=24)
    assert picture.shape == (3, 24, 24)
    assert picture[:, 12, 12].tolist() == pytest.approx([0.7] * 3)
