import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.mesh import extract_mesh, mesh_health
from tests.geometry.conftest import ball_depth, torus_depth, union


def striped(points):
    """Red and green stripes along x."""
    red = (torch.sin(12 * points[..., :1]) > 0).float()
    return torch.cat([red, 1 - red, torch.zeros_like(red)], dim=-1)


def random_field(seed, lift=0.0):
    """A smooth sum of waves, cut by the box."""
    numbers = np.random.default_rng(seed)
    waves, phases = (torch.from_numpy(numbers.normal(size=shape).astype(np.float32)) for shape in ((8, 3), (8,)))
    return FunctionField(
        raw_density_fn=lambda points: 20 * (torch.sin(5 * points @ waves.T + 9 * phases).sum(-1) + lift),
        density_activation="softplus",
        box_side=2.0,
        iso_level=10.0,
    )


@pytest.mark.parametrize("faces", [4, 100, 1001, 4000])
def test_faces_asked_for_are_got(field_of, faces):
    field = field_of(ball_depth((0.1, 0, -0.1), 0.5), values_fn=striped)
    mesh = extract_mesh(field, resolution=64, faces=faces)
    health = mesh_health(mesh)
    assert health.sound
    assert faces - 1 <= health.faces <= faces
    assert (health.shells, health.euler_number) == (1, 2)
    assert mesh.metadata["decimation"].got == health.faces


def test_decimated_ball_is_still_the_ball(field_of):
    mesh = extract_mesh(field_of(ball_depth((0, 0, 0), 0.5)), resolution=64, iso_level=10.0, faces=1000)
    outward = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.4995, abs=0.003)
    assert (np.asarray(mesh.vertex_normals) * outward).sum(axis=1).min() > 0.999  # of the field, not of the faces


@pytest.mark.slow
def test_decimation_keeps_parts_handles_and_cavities(field_of):
    def shell(points):
        return 0.05 - ((points - torch.tensor([0.0, 0, 0.6])).norm(dim=-1) - 0.25).abs()

    depth = union(torus_depth(0.5, 0.15), shell, ball_depth((0, 0, -0.6), 0.2))
    full, small = (extract_mesh(field_of(depth), resolution=96, faces=faces) for faces in (None, 600))
    assert mesh_health(small).sound
    assert len(small.faces) == 600
    assert (mesh_health(small).parts, mesh_health(small).shells) == (4, 3)
    assert small.euler_number == full.euler_number
    assert small.volume == pytest.approx(full.volume, rel=0.05)


def test_report_travels_with_the_mesh(field_of, caplog):
    field = field_of(union(ball_depth((0, 0, 0), 0.5), ball_depth((0.8, 0.8, 0.8), 0.06)))
    with caplog.at_level(logging.INFO):
        notes = extract_mesh(field, resolution=48, faces=500, watertight=True).metadata
    assert notes["level"].level == pytest.approx(field.iso_level)
    assert notes["cleanup"].floaters == 1
    assert notes["decimation"].asked == 500
    assert str(notes["repair"]) == "nothing to repair"
    assert "level 10: the model's own" in caplog.text
    assert "1 floater" in caplog.text


def test_level_asked_for_is_the_level(field_of):
    mesh = extract_mesh(field_of(ball_depth((0, 0, 0), 0.5)), resolution=32, iso_level=200.0)
    assert mesh.metadata["level"].level == 200.0
    assert "as asked for" in str(mesh.metadata["level"])


def test_vertices_lie_on_the_level_set():
    """Curved across the surface, so that marching cubes alone is off by up to a sixth of a voxel."""
    field = FunctionField(raw_density_fn=lambda points: 40 * (0.5 - points.norm(dim=-1)).exp() - 20, box_side=2.0)
    mesh = extract_mesh(field, resolution=16, iso_level=10.0)
    radius = 0.5 - np.log(30 / 40)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(radius, abs=0.003 * 2 / 15)


def test_background_goes_unless_it_is_wanted(field_of):
    def room(points):
        return points.abs().amax(-1) - 0.9

    def curtain(points):
        return 0.05 - (points[..., 2] + 0.7).abs()

    scene = field_of(union(ball_depth((0, 0, 0), 0.4), curtain))
    assert mesh_health(extract_mesh(scene, resolution=48, iso_level=10)).parts == 1
    assert mesh_health(extract_mesh(scene, resolution=48, iso_level=10, keep_background=True)).parts == 2
    walled = field_of(union(ball_depth((0, 0, 0), 0.4), room))
    alone = extract_mesh(walled, resolution=48, iso_level=10)
    assert alone.extents == pytest.approx(0.8, abs=0.01)
    assert mesh_health(extract_mesh(walled, resolution=48, iso_level=10, keep_background=True)).parts == 3


@pytest.mark.slow
def test_smoothing_calms_a_rippled_ball(field_of):
    def rippled(points):
        return 0.5 - points.norm(dim=-1) + 0.005 * torch.sin(90 * points).sum(-1)

    rough, smooth = (extract_mesh(field_of(rippled), resolution=96, smooth=rounds) for rounds in (0, 40))
    assert mesh_health(smooth).watertight
    assert np.linalg.norm(smooth.vertices, axis=1).std() < 0.6 * np.linalg.norm(rough.vertices, axis=1).std()


@pytest.mark.slow
@given(st.integers(0, 2**31 - 1), st.sampled_from([-2.0, 0.0, 2.0]), st.sampled_from([None, 300]))
@settings(max_examples=12, deadline=None)
def test_meshes_of_random_fields_are_sound(seed, lift, faces):
    mesh = extract_mesh(random_field(seed, lift), resolution=24, iso_level=10.0, faces=faces, keep=0, colors=False)
    assert mesh_health(mesh).sound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faces": 3}, "faces is 3, a closed mesh needs at least 4; try 20000"),
        ({"smooth": -1}, "smooth is -1, it must be 0 to 200 rounds; try 10"),
        ({"keep": 2}, "keep is 2, it must be a share"),
        ({"iso_level": -1}, "iso level is -1, it must be a density above 0"),
        ({"resolution": 4}, "resolution is 4, it must be 8 to 1024"),
    ],
)
def test_impossible_wishes_are_refused_before_any_work(options, message):
    def untouched(points):
        raise AssertionError("the field was asked")

    with pytest.raises(InputError, match=message):
        extract_mesh(FunctionField(raw_density_fn=untouched), **options)
