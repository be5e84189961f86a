"""EpiGRAF and 3DGP pickles: native round trips, what settings they get, and every refusal."""

import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.loading import load_generator
from tests.generators.recorded import pickle_bytes, recorded, state_dict

CASES = (
    "epigraf/nobg",
    "epigraf/bg_plane",
    "epigraf/bg_sphere",
    "epigraf/class_cond",
    "epigraf/camera_cond",
    "epigraf/viewcond_posenc",
    "3dgp/class_cond_adaptors",
    "3dgp/mip",
    "3dgp/uncond_noadaptors",
    "3dgp/full_box",
)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickles")

    loaded = {}

    def write_and_load(name, **options):
        if not options and name in loaded:
            return loaded[name]
        path = folder / f"{name.replace('/', '-')}.pkl"
        path.write_bytes(pickle_bytes(name, **options))
        generator = load_generator(path, device="cpu")
        if not options:
            loaded[name] = generator
        return generator

    return write_and_load


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_native_checkpoint_keeps_every_bit(load, name, tmp_path):
    first = load(name)
    first.save(tmp_path / "native")
    again = load_generator(tmp_path / "native", device="cpu")
    assert again.config == first.config
    assert again.settings.to_dict() == first.settings.to_dict()
    for key, tensor in first.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key


@pytest.mark.parametrize("name", CASES)
def test_only_constants_and_the_mean_camera_leave_the_state_dict(load, name):
    official = state_dict(recorded(name)[1])
    generator = load(name)
    kept = generator.state_dict()
    for key, tensor in kept.items():
        assert torch.equal(official[key], tensor), key
    left = {key.rpartition(".")[2] for key in set(official) - set(kept)}
    assert left <= {"resample_filter", "fourier_coefs", "mean_camera_pose", "mean_camera_params"}
    [camera] = [tensor for key, tensor in official.items() if key.startswith("mapping.mean_camera")]
    assert generator.config.mean_camera == tuple(camera.double().tolist())


def test_faces_come_with_the_mean_camera_of_their_pictures(load):
    generator = load("epigraf/nobg")
    angles = pose_of(generator.default_camera(), yaw_zero="x").angles
    assert angles.tolist() == pytest.approx(generator.config.mean_camera, abs=1e-5)
    view = generator.settings.default_view
    assert view.yaw_deg == pytest.approx(90 - math.degrees(generator.config.mean_camera[0]), abs=1e-4)
    assert (view.fov_y_deg, view.radius) == (12.0, 1.0)


def test_objects_are_seen_from_everywhere_and_face_plus_x(load):
    settings = load("epigraf/class_cond").settings
    assert settings.default_view.yaw_deg == pytest.approx(90.0, abs=1e-4)
    assert settings.default_view.pitch_deg == pytest.approx(0.0, abs=1e-4)
    trusted = settings.trusted_views
    assert trusted.yaw_max_deg - trusted.yaw_min_deg == pytest.approx(360.0)
    assert (trusted.pitch_min_deg, trusted.pitch_max_deg) == pytest.approx((-90.0, 90.0), abs=1.0)
    heights = settings.camera_distribution.sample(400, range(400)).position[:, 1]
    assert heights.abs().mean().item() == pytest.approx(0.5, abs=0.05)  # uniform in area


def test_iso_level_is_the_scripts_as_activated_density(load):
    assert load("epigraf/class_cond").settings.iso_level == pytest.approx(25.5, abs=1e-6)  # density_shift 0.5
    assert load("3dgp/mip").settings.iso_level == pytest.approx(24.0, abs=1e-6)  # density_bias -1
    assert load("epigraf/viewcond_posenc").settings.iso_level == 25.0  # relu


def test_mean_camera_of_3dgp_averages_what_the_camera_generator_gives(load):
    generator = load("3dgp/class_cond_adaptors")
    seeds = range(1024)
    onehots = generator.class_onehots(list(seeds))
    prior = generator.settings.camera_distribution.sample_poses(1024, seeds)
    mean = generator.posterior_poses(prior, latent_z(seeds, generator.config.z_dim), onehots).mean()
    camera = generator.default_camera()
    torch.testing.assert_close(camera.position, mean.camera().position, atol=1e-4, rtol=0)
    torch.testing.assert_close(camera.forward, mean.camera().forward, atol=1e-4, rtol=0)
    assert camera.fov_y_deg.item() == pytest.approx(mean.fov_deg.item(), abs=1e-3)


def test_classes_are_named_by_their_index(load):
    assert load("3dgp/class_cond_adaptors").class_names == ("0", "1", "2", "3", "4")
    assert load("epigraf/nobg").class_names == ()


@pytest.mark.slow
def test_custom_cameras_of_3dgp_are_those_of_the_pictures(load):
    def custom(config):
        config["camera"]["origin"]["angles"] = {"dist": "custom"}

    generator = load("3dgp/mip_inf", change_config=custom)
    yaw, pitch, _, fov, radius = generator.config.mean_camera
    mean = Pose.build(yaw, pitch, fov_deg=fov, radius=radius).camera()
    torch.testing.assert_close(generator.default_camera().position, mean.position, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_old_files_have_the_camera_below_the_data_set_and_lack_settings(load):
    def old(config):
        config["dataset"]["camera"] = config.pop("camera")
        for name in ("use_full_box", "use_inf_depth", "density_bias"):
            del config[name]

    found, expected = load("3dgp/mip_inf", change_config=old).settings, load("3dgp/mip_inf").settings
    assert replace(found, provenance={}) == replace(expected, provenance={})


REFUSALS = {
    "epigraf/nobg": [
        (lambda c: c.update(backbone="stylegan3-r"), "backbone is 'stylegan3-r'"),
        (lambda c: c.pop("dataset"), "no table dataset"),
        (lambda c: c["dataset"].pop("camera"), "no table camera"),
        (lambda c: c["dataset"].pop("cube_scale"), "lacks cube_scale"),
        (lambda c: c["dataset"].update(cube_scale="big"), "cube_scale of dataset is 'big'"),
        (lambda c: c["dataset"]["camera"].update(dist="moon"), "unknown distribution of cameras 'moon'"),
        (lambda c: c["dataset"]["camera"].update(dist="normal"), "lacks horizontal_mean"),
        (lambda c: c["dataset"].update(white_back=True, last_back=True), "both white_back and last_back"),
        (lambda c: c.update(clamp_mode="exp"), "density_activation is 'exp'"),
        (lambda c: c["dataset"]["camera"].update(ray_start=2.0), "near < far"),
        (lambda c: c["dataset"]["camera"].update(fov=400.0), "fov_deg must lie between"),
        (lambda c: c.update(num_ray_steps=2.5), "num_ray_steps of the config is 2.5"),
        (lambda c: c["bg_model"].update(type="plane"), "do not fit"),
        (lambda c: c["bg_model"].update(type="cube"), "background is 'cube'"),
    ],
    "epigraf/bg_sphere": [
        (lambda c: c["bg_model"]["fmm"].update(enabled=True), "factorised"),
        (lambda c: c["bg_model"].update(output_channels=5), "read 4 numbers and give 4"),
        (lambda c: c["bg_model"].update(posenc_period_len=64.0), "does not belong to a period of 64"),
    ],
    "3dgp/class_cond_adaptors": [
        (lambda c: c.update(has_view_cond=True), "has_view_cond"),
        (lambda c: c.update(ray_marcher_type="fast"), "ray_marcher_type is 'fast'"),
        (lambda c: c.update(cbase=8), "leaves no channel"),
        (lambda c: c.pop("camera"), "no table camera"),
        (lambda c: c["camera"]["fov"].update(dist="normal", mean=20.0, std=2.0), "normal with a spread"),
        (lambda c: c["camera"]["origin"]["angles"].update(dist="moon"), "unknown distribution 'moon'"),
        (lambda c: c["camera"]["look_at"].pop("angles"), "no table angles"),
        (lambda c: c["camera_adaptor"].pop("adjust"), "no table adjust"),
        (lambda c: c["depth_adaptor"].update(out_strategy="best"), "out_strategy is 'best'"),
        (lambda c: c["depth_adaptor"].update(num_hid_layers=2), "layers.2.weight is unknown"),
        (lambda c: c["camera"]["ray"].pop("end"), "is None, it must be a number"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [(name, change, message) for name, changes in REFUSALS.items() for change, message in changes],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_ask_for_something_else_are_refused(load, name, change, message):
    with pytest.raises(CheckpointError, match=message) as refusal:
        load(name, change_config=change)
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("epigraf/nobg", lambda t: t.pop("mapping.fc1.weight"), "mapping.fc1.weight is missing"),
        ("epigraf/nobg", lambda t: t.update({"extra.weight": torch.zeros(2)}), "extra.weight is unknown"),
        ("epigraf/nobg", lambda t: t["synthesis.tri_plane_decoder.b4.resample_filter"].zero_(), "filter"),
        ("epigraf/nobg", lambda t: t.update({"mapping.mean_camera_pose": torch.zeros(2)}), "does not hold 3 numbers"),
        ("3dgp/mip", lambda t: t.update({"mapping.mean_camera_params": torch.zeros(3)}), "does not hold 5 numbers"),
        (
            "3dgp/mip",
            lambda t: t.pop("synthesis.camera_adaptor.origin_adaptor.main.0.bias"),
            "origin_adaptor.main.0.bias is missing",
        ),
        (
            "epigraf/viewcond_posenc",
            lambda t: t["synthesis.tri_plane_mlp.ray_dir_enc.fourier_encoder.fourier_coefs"].mul_(2),
            "period of 8",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(load, name, change, message):
    with pytest.raises(CheckpointError, match=message):
        load(name, change_tensors=change)
