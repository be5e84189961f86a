"""EpiGRAF and 3DGP as users hold them: seeds, classes, cameras, fields with what lies behind them."""

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.errors import InputError
from gen3d_tools.fields.backdrop import ScreenBackdrop, SphereBackdrop
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.rendering.renderer import render
from tests.generators.recorded import pickle_bytes, recorded


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickles")
    loaded = {}

    def write_and_load(name):
        if name not in loaded:
            path = folder / "model.pkl"
            path.write_bytes(pickle_bytes(name))
            loaded[name] = load_generator(path, device="cpu")
        return loaded[name]

    return write_and_load


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epigraf/class_cond", "3dgp/class_cond_adaptors"])
def test_truncation_pulls_towards_the_mean_of_the_class(load, name):
    generator = load(name)
    whole = generator.latents([1, 2, 3], [0, 1, 0])
    none, half = (generator.latents([1, 2, 3], [0, 1, 0], psi) for psi in (0.0, 0.5))
    torch.testing.assert_close(none[0], none[2])
    assert (none[0] - none[1]).abs().max() > 1e-3
    torch.testing.assert_close(half, (whole + none) / 2, atol=1e-5, rtol=0)
    onehot = torch.eye(generator.config.num_classes)[[1]].expand(256, -1)
    random = torch.randn(256, generator.config.z_dim, generator=torch.Generator().manual_seed(42))
    torch.testing.assert_close(none[1], generator.map(random, onehot).mean(0), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_truncation_without_classes_pulls_towards_the_mean(load):
    generator = load("epigraf/nobg")
    mean = generator.mapping.w_avg.expand(1, generator.num_ws, -1)
    torch.testing.assert_close(generator.latents([5], truncation_psi=0.0), mean)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epigraf/camera_cond", "3dgp/uncond_noadaptors"])
def test_a_camera_conditions_by_its_angles(load, name):
    generator = load(name)
    _, tensors = recorded(name)
    z, onehot = tensors["in.z"].float(), tensors.get("in.c")
    onehot = None if onehot is None else onehot.float()
    angles = tensors["in.camera_angles_cond"].float()
    yaw, pitch, _ = angles.unbind(-1)
    label = Pose.build(yaw, pitch, fov_deg=20.0, radius=1.3, yaw_zero=generator.yaw_zero).camera().to_eg3d_label()
    by_camera = generator.map(z, onehot, label)
    torch.testing.assert_close(by_camera, generator.map_angles(z, onehot, angles), atol=1e-5, rtol=0)
    assert (by_camera - generator.map(z, onehot)).abs().max() > 1e-3


def test_classes_must_be_given_where_there_are_any(load):
    with pytest.raises(InputError, match="5 classes"):
        load("epigraf/class_cond").map(torch.zeros(1, 20))
    with pytest.raises(InputError, match="no classes"):
        load("epigraf/nobg").map(torch.zeros(1, 24), torch.zeros(1, 3))


@pytest.mark.slow
def test_a_sample_does_not_depend_on_its_batch(load):
    generator = load("epigraf/bg_sphere")
    alone, among = generator.latents([7]), generator.latents([3, 7])
    torch.testing.assert_close(among[1], alone[0], atol=0, rtol=0)
    torch.testing.assert_close(generator.fields(among)[1].planes, generator.fields(alone)[0].planes, atol=0, rtol=0)


@pytest.mark.slow
def test_a_patch_of_a_plane_behind_is_cut_out_of_the_picture_at_its_full_size(load):
    generator = load("epigraf/bg_plane")
    config, ws = generator.config, generator.latents([0])[0]
    fine = torch.rand(3 * config.plane_channels + 3, 2 * config.image_resolution, 2 * config.image_resolution)
    full = F.interpolate(fine[None, -3:], (config.image_resolution,) * 2, mode="bilinear", align_corners=True)
    pixels = 0.2 + 0.6 * torch.rand(50, 2)
    for picture, in_patches in ((full, True), (fine[None, -3:], False)):
        backdrop = generator.backdrop(ws, fine, in_patches=in_patches)
        seen = backdrop(torch.zeros(50, 3), torch.zeros(50, 3), pixels).values[:, 0]
        expected = F.grid_sample(picture, (2 * pixels - 1)[None, None], align_corners=True)[0, :, 0].T
        torch.testing.assert_close(2 * seen - 1, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["epigraf/nobg", "epigraf/bg_plane", "epigraf/bg_sphere", "epigraf/class_cond"])
def test_exact_rendering_is_the_recorded_picture(load, name):
    generator = load(name)
    notes, tensors = recorded(name)
    yaw, pitch, _ = tensors["in.camera_angles"].unbind(-1)
    cameras = Pose.build(yaw, pitch, fov_deg=notes["cfg"]["dataset"]["camera"]["fov"], yaw_zero="x").camera()
    for index, field in enumerate(generator.fields(tensors["out.ws"])):
        frames = render(field, cameras[index], resolution=generator.image_resolution, exact=True)
        expected = ((tensors["out.image"][index] + 1) / 2).clamp(0, 1)
        torch.testing.assert_close(frames.rgb, expected, atol=1e-4, rtol=0)


def test_backdrops_follow_their_sample_and_their_device(load):
    plane, sphere = load("epigraf/bg_plane"), load("epigraf/bg_sphere")
    [field] = plane.fields(plane.latents([0]))
    assert isinstance(field.backdrop, ScreenBackdrop)
    [field] = sphere.fields(sphere.latents([0]))
    assert isinstance(field.backdrop, SphereBackdrop)
    moved = field.to("cpu")
    camera = sphere.default_camera()
    here, there = (render(one, camera, resolution=6).rgb for one in (field, moved))
    torch.testing.assert_close(here, there)
    [other] = sphere.fields(sphere.latents([1]))
    points = torch.nn.functional.normalize(torch.randn(5, 4), dim=-1)
    assert (field.backdrop.network(points)[1] - other.backdrop.network(points)[1]).abs().max() > 1e-3


def test_gradients_reach_the_latents_through_field_and_backdrop(load):
    generator = load("epigraf/bg_sphere")
    ws = generator.latents([0]).requires_grad_()
    [field] = generator.fields(ws)
    _, raw = field.backdrop.network(torch.rand(4, 4))
    (raw.sum() + field.raw_density(torch.zeros(1, 3)).sum()).backward()
    assert ws.grad[0, -1].abs().max() > 0
    assert ws.grad[0, 0].abs().max() > 0


def test_prior_cameras_of_epigraf_look_at_the_origin(load):
    cameras = load("epigraf/class_cond").sample_cameras(20, range(20))
    torch.testing.assert_close(cameras.forward, -cameras.position, atol=1e-5, rtol=0)


def test_learned_cameras_depend_on_z_and_class_and_keep_their_bounds(load):
    generator = load("3dgp/class_cond_adaptors")
    seeds = list(range(6))
    z = latent_z(seeds, generator.config.z_dim)
    cameras = generator.sample_cameras(6, seeds, z, [0] * 6)
    torch.testing.assert_close(cameras.cam2world, generator.sample_cameras(6, seeds, None, [0] * 6).cam2world)
    other_z = generator.sample_cameras(6, seeds, z.flip(0), [0] * 6)
    other_class = generator.sample_cameras(6, seeds, z, [1] * 6)
    assert (other_z.forward - cameras.forward).abs().max() > 1e-4
    assert (other_class.position - cameras.position).abs().max() > 1e-4
    angles = pose_of(cameras).angles
    low, high = generator.config.camera_low, generator.config.camera_high
    assert ((angles[:, :2] >= torch.tensor(low[:2]) - 1e-4) & (angles[:, :2] <= torch.tensor(high[:2]) + 1e-4)).all()
    assert ((cameras.fov_y_deg >= low[2] - 1e-3) & (cameras.fov_y_deg <= high[2] + 1e-3)).all()


def test_a_learned_camera_does_not_depend_on_its_batch(load):
    generator = load("3dgp/class_cond_adaptors")
    alone, among = generator.sample_cameras(1, [4]), generator.sample_cameras(3, [2, 4, 9])
    torch.testing.assert_close(among.cam2world[1], alone.cam2world[0], atol=1e-6, rtol=0)


@pytest.mark.slow
def test_without_a_camera_generator_cameras_are_the_priors(load):
    generator = load("3dgp/mip_inf")
    expected = generator.settings.camera_distribution.sample(3, [1, 2, 3])
    torch.testing.assert_close(generator.sample_cameras(3, [1, 2, 3]).cam2world, expected.cam2world)
    with pytest.raises(InputError, match="no camera generator"):
        generator.posterior_poses(Pose.from_parameters(torch.ones(1, 8)), torch.zeros(1, 24))
    with pytest.raises(InputError, match="no depth adaptor"):
        generator.adapt_depth(torch.ones(1, 1, 4, 4))


def test_every_camera_needs_its_latent(load):
    with pytest.raises(InputError, match="1 latents for 2 cameras"):
        load("3dgp/class_cond_adaptors").sample_cameras(2, [1, 2], torch.zeros(1, 24))
