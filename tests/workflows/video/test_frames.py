"""The frames of a video: made one at a time from fields made once, in settings that fit the whole path."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.generators.settings import config_for
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.samples.selection import Sample, make_fields
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video import frames as module
from gen3d_tools.workflows.video.frames import FilmSettings, depth_span, estimate_seconds, film
from gen3d_tools.workflows.video.layout import VideoLayout

BALL, CUBE = Sample(0, 0, "ball"), Sample(0, 1, "cube")


def around(count, radius=2.7):
    return stack_cameras([Camera.from_spherical(20 * i, 10, radius, fov_y_deg=20) for i in range(count)])


@pytest.fixture
def scene(tiny_generator):
    config = tiny_generator.settings.render_config
    return FilmSettings(tiny_generator, 1.0, ["rgb"], ViewOptions(size=8), around(1000), config)


@pytest.fixture
def counted(tiny_generator, monkeypatch):
    """Counts the planes and the pictures made."""
    made = {"planes": 0, "pictures": 0}
    real_planes, real_picture = tiny_generator.planes, module._picture

    def planes(ws, **options):
        made["planes"] += 1
        return real_planes(ws, **options)

    def picture(*arguments):
        made["pictures"] += 1
        return real_picture(*arguments)

    monkeypatch.setattr(tiny_generator, "planes", planes)
    monkeypatch.setattr(module, "_picture", picture)
    return made


def test_frames_are_made_when_they_are_asked_for_and_planes_once(scene, counted, tmp_path):
    frames = film(VideoLayout(tmp_path, "", [[BALL], [CUBE]], 2, 1), scene)
    pictures = [next(frames) for _ in range(3)]
    assert counted == {"planes": 2, "pictures": 6}  # of a film of 1000 frames
    assert [picture.shape for picture in pictures] == [(3, 8, 16)] * 3


def test_a_changing_sample_has_planes_per_frame(scene, counted, tmp_path):
    frames = film(VideoLayout(tmp_path, "", [[BALL, CUBE]]), scene)
    first, second = next(frames), next(frames)
    assert counted == {"planes": 2, "pictures": 2}
    assert not torch.equal(first, second)


def test_an_estimate_counts_all_cells_of_all_videos(scene, monkeypatch, tmp_path):
    ticks = iter(range(0, 100, 2))  # each frame takes two seconds
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))
    shots = [VideoLayout(tmp_path, "", [[BALL], [CUBE]], 2, 1), VideoLayout(tmp_path, "", [[BALL]])]
    assert estimate_seconds(shots, scene) == 2 * 3 * 1000


def test_render_settings_stay_at_the_models_distance_and_follow_the_box_elsewhere(tiny_generator):
    settings = tiny_generator.settings
    assert config_for(around(3), settings) is settings.render_config
    assert config_for(around(3, radius=3.0), settings).near == "box"


def test_render_settings_fit_the_front_of_a_model_that_looks_beside_the_origin(tiny_generator):
    """Seen from the side, such a camera is closer to the origin, where near and far were measured from."""
    view = replace(tiny_generator.settings.default_view, target=(0.0, 0.0, 0.2), radius=2.5, yaw_deg=0, pitch_deg=0)
    settings = replace(tiny_generator.settings, default_view=view)
    assert config_for(view.mean(), settings) is settings.render_config
    assert config_for(replace(view, yaw_deg=90).mean(), settings).near == "box"


def test_depth_colours_span_the_box_over_the_whole_path():
    assert depth_span(orbit(5, around(1)[0]), box_side=1.0) == pytest.approx((2.2, 3.2), abs=1e-5)
    both = stack_cameras([around(1)[0], around(1, radius=4.0)[0]])
    assert depth_span(both, box_side=1.0) == pytest.approx((2.2, 4.5), abs=1e-5)


def test_exact_frames_take_the_scheme_s_own_samples_by_compiled_code(scene, tmp_path):
    look = ViewOptions(size=24, exact=True)
    [frame] = film(VideoLayout(tmp_path, "", [[BALL]]), replace(scene, look=look, cameras=scene.cameras[[0]]))
    [field] = make_fields(scene.generator, [BALL], scene.psi)
    fast, plain, usual = (
        render(field, scene.cameras[0], resolution=24, sampling=how).rgb
        for how in ("published", "reference", "default")
    )
    assert torch.equal(frame, fast)
    assert (frame - plain).square().mean() < 1e-7  # 70 dB
    assert (usual - plain).square().mean() > 1e-7
