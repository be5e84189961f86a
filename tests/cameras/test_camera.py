"""The camera value: closed forms, round trips over batch shapes, goldens and refusals."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera, intrinsics_from_focal, stack_cameras
from gen3d_tools.cameras.checks import float_tensor
from gen3d_tools.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "eg3d" / "camera.safetensors"
SQRT_HALF = math.sqrt(0.5)

batch_shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


def random_cameras(shape: tuple[int, ...], seed: int = 0) -> Camera:
    draw = torch.rand((5, *shape), generator=torch.Generator().manual_seed(seed))
    return Camera.from_spherical(
        360 * draw[0] - 180, 160 * draw[1] - 80, 0.5 + draw[2], fov_y_deg=10 + 60 * draw[3], target=(0.1, -0.2, 0.3)
    )


@pytest.mark.parametrize(
    ("yaw", "pitch", "position", "right"),
    [
        (0, 0, (0, 0, 2), (1, 0, 0)),  # the front
        (90, 0, (2, 0, 0), (0, 0, -1)),  # the object's left
        (180, 0, (0, 0, -2), (-1, 0, 0)),
        (0, 30, (0, 1, math.sqrt(3)), (1, 0, 0)),  # from above
        (0, 90, (0, 2, 0), (1, 0, 0)),  # straight down
        (90, -90, (0, -2, 0), (0, 0, -1)),  # straight up
    ],
)
def test_spherical_angles_place_the_camera_where_the_convention_says(yaw, pitch, position, right):
    camera = Camera.from_spherical(yaw, pitch, 2.0, fov_y_deg=30)
    assert_close(camera.position, torch.tensor(position, dtype=torch.float32), atol=1e-6, rtol=0)
    assert_close(camera.cam2world[:3, 0], torch.tensor(right, dtype=torch.float32), atol=1e-6, rtol=0)
    assert_close(camera.forward, -camera.position / 2, atol=1e-6, rtol=0)


def test_look_at_from_the_front_is_level_and_points_down_in_y():
    camera = Camera.look_at((0, 0, 3), fov_y_deg=40)
    expected = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 3], [0, 0, 0, 1]])
    assert_close(camera.cam2world, expected)


@settings(max_examples=25, deadline=None)
@given(batch_shapes, st.floats(-170, 170), st.floats(-85, 85))
def test_look_at_agrees_with_from_spherical(shape, yaw, pitch):
    camera = Camera.from_spherical(torch.full(shape, yaw), pitch, 1.3, fov_y_deg=20, target=(0.1, 0.2, 0.3))
    again = Camera.look_at(camera.position, (0.1, 0.2, 0.3), fov_y_deg=20)
    assert again.batch_shape == shape
    assert_close(again.cam2world, camera.cam2world, atol=1e-5, rtol=0)


@pytest.mark.parametrize("y", [2.0, -2.0])
def test_looking_along_up_takes_the_picture_of_yaw_zero(y):
    pole = Camera.from_spherical(0, math.copysign(90, y), 2, fov_y_deg=30)
    assert_close(Camera.look_at((0, y, 0), fov_y_deg=30).cam2world, pole.cam2world, atol=1e-6, rtol=0)


def test_looking_along_a_sideways_up_still_gives_a_rotation():
    camera = Camera.look_at((3, 0, 0), up=(1, 0, 0), fov_y_deg=30)
    assert_close(camera.forward, torch.tensor([-1.0, 0, 0]))


def test_up_stands_upright_in_the_picture():
    camera = Camera.look_at((0, 0, 3), up=(1, 1, 0), fov_y_deg=30)
    assert_close(camera.cam2world[:3, 1], torch.tensor([-SQRT_HALF, -SQRT_HALF, 0]))


@settings(max_examples=25, deadline=None)
@given(batch_shapes, st.integers(0, 99))
def test_spherical_undoes_from_spherical(shape, seed):
    camera = random_cameras(shape, seed)
    yaw, pitch, radius = camera.spherical((0.1, -0.2, 0.3))
    again = Camera.from_spherical(yaw, pitch, radius, fov_y_deg=camera.fov_y_deg, target=(0.1, -0.2, 0.3))
    assert_close(again.cam2world, camera.cam2world, atol=2e-5, rtol=0)
    assert_close(again.intrinsics, camera.intrinsics, atol=0, rtol=1e-5)


@pytest.mark.parametrize("pitch", [90, -90])
def test_yaw_survives_at_the_poles(pitch):
    yaw, pitch_back, _ = Camera.from_spherical(35, pitch, 2, fov_y_deg=30).spherical()
    assert yaw.item() == pytest.approx(35, abs=1e-3)
    assert pitch_back.item() == pytest.approx(pitch, abs=1e-3)


def test_yaw_pitch_and_radius_broadcast():
    camera = Camera.from_spherical(torch.zeros(4, 1), torch.zeros(3), 1.0, fov_y_deg=30)
    assert camera.batch_shape == (4, 3)
    assert Camera.from_spherical(0, 0, 1, fov_y_deg=[20, 30]).batch_shape == (2,)
    assert Camera.from_spherical(0, 0, 1, fov_y_deg=20, target=torch.zeros(5, 3)).batch_shape == (5,)


@settings(max_examples=25, deadline=None)
@given(batch_shapes, st.integers(0, 99))
def test_eg3d_label_round_trip_is_exact(shape, seed):
    camera = random_cameras(shape, seed)
    again = Camera.from_eg3d_label(camera.to_eg3d_label())
    assert again.batch_shape == shape
    assert torch.equal(again.cam2world, camera.cam2world)
    assert torch.equal(again.intrinsics, camera.intrinsics)


def test_eg3d_label_holds_cam2world_first():
    cam2world = load_file(GOLDEN)["out.lookat.cam2world"]
    intrinsics = intrinsics_from_focal(torch.full((8, 3), 4.2647))
    label = torch.cat([cam2world.reshape(8, 3, 16), intrinsics.reshape(8, 3, 9)], dim=-1)
    camera = Camera.from_eg3d_label(label)
    assert torch.equal(camera.cam2world, cam2world)
    assert torch.equal(camera.to_eg3d_label(), label)


@pytest.mark.parametrize("fov", [0.5, 13.37, 90.0, 179.0])
def test_vertical_field_of_view_round_trip(fov):
    camera = Camera.look_at((0, 0, 1), fov_y_deg=fov)
    assert camera.fov_y_deg.item() == pytest.approx(fov, rel=1e-5)
    assert camera.with_fov(40).fov_y_deg.item() == pytest.approx(40, rel=1e-5)


def test_a_point_at_the_edge_of_the_field_of_view_lands_on_the_picture_edge():
    camera = Camera.look_at((0, 0, 1), fov_y_deg=90)
    x, y, w = (camera.intrinsics @ torch.tensor([0.0, 1.0, 1.0])).tolist()  # 45 degrees down
    assert (x / w, y / w) == pytest.approx((0.5, 1.0))


def test_with_fov_keeps_aspect_and_principal_point():
    wide = Camera(torch.eye(4), torch.tensor([[2.0, 0.2, 0.4], [0, 1.0, 0.6], [0, 0, 1]]))
    zoomed = wide.with_fov(2 * math.degrees(math.atan(0.5 / 3))).intrinsics
    assert_close(zoomed, torch.tensor([[6.0, 0.6, 0.4], [0, 3.0, 0.6], [0, 0, 1]]))


def test_indexing_is_that_of_the_leading_axes():
    camera = random_cameras((4, 3))
    assert len(camera) == 4
    for index in (2, slice(1, 3), (slice(None), 1), ..., torch.tensor([3, 0]), (-1, -1)):
        assert torch.equal(camera[index].cam2world, camera.cam2world.reshape(4, 3, 16)[index].unflatten(-1, (4, 4)))
    assert [one.batch_shape for one in camera] == [(3,)] * 4
    assert camera.flatten().batch_shape == (12,)
    with pytest.raises(IndexError):
        camera[4]
    with pytest.raises(IndexError):
        camera[0, 0][0]
    with pytest.raises(TypeError, match="flatten"):
        len(camera[0, 0])


def test_stacking_undoes_iterating():
    camera = random_cameras((4, 3))
    assert torch.equal(stack_cameras(list(camera)).to_eg3d_label(), camera.to_eg3d_label())


def test_gradients_reach_the_angles():
    yaw = torch.tensor(10.0, requires_grad=True)
    Camera.from_spherical(yaw, 5.0, 2.0, fov_y_deg=30).position[0].backward()
    slope = 2 * math.cos(math.radians(10)) * math.cos(math.radians(5)) * math.pi / 180
    assert yaw.grad.item() == pytest.approx(slope, rel=1e-5)


def test_a_camera_cannot_be_changed_in_place_and_is_float32():
    camera = Camera(torch.eye(4, dtype=torch.float64), intrinsics_from_focal(torch.tensor(1.0)))
    assert camera.cam2world.dtype == torch.float32
    with pytest.raises(AttributeError):
        camera.cam2world = torch.eye(4)


@pytest.mark.parametrize("fov", [0, -1, 180, 200, math.nan, math.inf])
def test_impossible_field_of_view_is_refused(fov):
    for build in (
        lambda: Camera.look_at((0, 0, 1), fov_y_deg=fov),
        lambda: Camera.from_spherical(0, 0, 1, fov_y_deg=fov),
        lambda: Camera.look_at((0, 0, 1), fov_y_deg=20).with_fov(fov),
    ):
        with pytest.raises(InputError, match="fov_y_deg"):
            build()


LENS = intrinsics_from_focal(torch.tensor(1.0))


def shifted(matrix: torch.Tensor, row: int, column: int, by: float) -> torch.Tensor:
    changed = matrix.clone()
    changed[row, column] += by
    return changed


def camera_as_users_build_it(cam2world: object, intrinsics: object) -> Camera:
    """Without the shape checks of the test run, which would refuse wrong shapes before the library does."""
    camera = object.__new__(Camera)
    object.__setattr__(camera, "cam2world", cam2world)
    object.__setattr__(camera, "intrinsics", intrinsics)
    camera.__post_init__()
    return camera


@pytest.mark.parametrize(
    ("cam2world", "intrinsics", "message"),
    [
        (torch.eye(3), LENS, r"cam2world must be a tensor of shape \[..., 4, 4\], got \[3, 3\]"),
        (torch.eye(4), torch.eye(4), "intrinsics must be a tensor of shape"),
        (torch.eye(4).expand(2, 4, 4), LENS, "same leading axes"),
        (shifted(torch.eye(4), 0, 3, math.nan), LENS, "cam2world must be finite, got nan"),
        (torch.eye(4), shifted(LENS, 0, 0, -math.inf), "intrinsics must be finite, got -inf"),
        (shifted(torch.eye(4), 0, 0, 0.002), LENS, "not orthonormal"),
        (shifted(torch.eye(4), 0, 1, 0.002), LENS, "not orthonormal"),
        (torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])), LENS, "mirrors"),
        (shifted(torch.eye(4), 3, 1, 2.0), LENS, "last row of cam2world must be 0 0 0 1"),
        (torch.eye(4), shifted(LENS, 2, 0, 0.5), "last row of intrinsics must be 0 0 1"),
        (torch.eye(4), shifted(LENS, 1, 1, -1.0), "focal lengths must be positive, got 0"),
        ([[1.0]], LENS, "cam2world must be a tensor"),
    ],
)
def test_matrices_that_are_no_camera_are_refused_in_one_line(cam2world, intrinsics, message):
    with pytest.raises(InputError, match=message) as caught:
        camera_as_users_build_it(cam2world, intrinsics)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["far away", [1.0, None], object(), 10**400])
def test_what_is_not_a_number_is_named(value):
    with pytest.raises(InputError, match="position must be numbers, got"):
        float_tensor("position", value)


def test_a_rotation_within_rounding_is_accepted():
    assert Camera(shifted(torch.eye(4), 0, 0, 4e-4), LENS).batch_shape == ()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Camera.look_at((1, 2, 3), (1, 2, 3), fov_y_deg=20), "same point"),
        (lambda: Camera.look_at((1, 2, 3), up=(0, 0, 0), fov_y_deg=20), "up must have a length"),
        (lambda: Camera.look_at((1, 2), fov_y_deg=20), "position must be x, y, z"),
        (lambda: Camera.look_at((1, 2, math.nan), fov_y_deg=20), "position must be finite"),
        (lambda: Camera.look_at(torch.ones(2, 3), torch.zeros(5, 3), fov_y_deg=20), r"position \[2, 3\]"),
        (lambda: Camera.look_at(torch.ones(2, 3), fov_y_deg=torch.ones(5)), r"fov_y_deg \[5\]"),
        (lambda: Camera.from_spherical(0, 0, 0, fov_y_deg=20), "radius must be positive, got 0"),
        (lambda: Camera.from_spherical(math.inf, 0, 1, fov_y_deg=20), "yaw_deg must be finite"),
        (lambda: Camera.from_spherical([0, 1], [0, 1, 2], 1, fov_y_deg=20), r"yaw_deg \[2\], pitch_deg \[3\]"),
        (lambda: Camera.from_eg3d_label(torch.zeros(2, 24)), "25 numbers"),
        (lambda: Camera.look_at((0, 0, 1), fov_y_deg=20).spherical((0, 0, 1)), "stands on the target"),
        (lambda: stack_cameras([]), "no cameras"),
        (lambda: stack_cameras([random_cameras((2,)), random_cameras((3,))]), "same leading axes"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(build, message):
    with pytest.raises(InputError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
