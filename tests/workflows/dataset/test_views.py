"""Cameras of a set: evenly spread, another turn for each object, always the same for one."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.cameras.formats import write_transforms
from gen3d_tools.cameras.paths import spiral
from gen3d_tools.errors import InputError
from gen3d_tools.workflows.dataset.options import DatasetOptions
from gen3d_tools.workflows.dataset.views import Band, check_depths, place_cameras, spread
from gen3d_tools.workflows.samples.selection import Sample

VIEW = FixedCamera(radius=2.7, fov_y_deg=20.0, target=(0.0, 0.1, 0.0))
BALL = Sample(3, 0, "ball")


def turned(views, band, seed=0):
    return spread(views, VIEW, band, np.random.RandomState(seed), None)


def test_cameras_are_spread_evenly_over_the_whole_sphere():
    cameras = turned(200, Band((-180.0, 180.0), (-90.0, 90.0)))
    outward = (cameras.position - torch.tensor(VIEW.target)) / VIEW.radius
    assert_close(outward.norm(dim=-1), torch.ones(200))
    assert outward.mean(0).norm() < 0.02
    angles = torch.rad2deg(torch.acos((outward @ outward.T - 2 * torch.eye(200)).amax(1).clamp(max=1)))
    hexagons = math.degrees(math.sqrt(4 * math.pi / 200 * 2 / math.sqrt(3)))  # the widest that any arrangement could be
    assert angles.min() > 0.5 * hexagons
    assert_close(cameras.forward, -outward)


def test_cameras_stay_in_their_band():
    yaw, pitch, radius = turned(100, Band((-30.0, 45.0), (-10.0, 60.0))).spherical(VIEW.target)
    assert -30 - 1e-3 <= yaw.min() < -28
    assert 43 < yaw.max() <= 45 + 1e-3
    assert -10 - 1e-3 <= pitch.min() < -8
    assert 56 < pitch.max() <= 60 + 1e-3
    assert_close(radius, torch.full((100,), VIEW.radius))


def test_objects_are_seen_from_different_places_and_each_always_from_the_same(tiny_generator):
    options = DatasetOptions(views=5)
    first, again, other, other_class = (
        place_cameras(tiny_generator, one, options).cam2world
        for one in (BALL, BALL, Sample(4, 0, "ball"), Sample(3, 1, "cube"))
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, other_class)


def test_the_pitch_is_that_asked_for_or_one_of_the_default_where_the_model_is_trusted(tiny_generator):
    asked = place_cameras(tiny_generator, BALL, DatasetOptions(views=40, pitch_range=(10.0, 20.0)))
    own = place_cameras(tiny_generator, BALL, DatasetOptions(views=40))
    _, pitch, _ = asked.spherical()
    assert 9.9 < pitch.min() < pitch.max() < 20.1
    _, pitch, _ = own.spherical()
    assert -30 <= pitch.min() < -25
    assert 65 < pitch.max() <= 75.1


def test_the_models_own_cameras_are_of_its_distribution(tiny_generator):
    cameras = place_cameras(tiny_generator, BALL, DatasetOptions(views=50, cameras="model"))
    _, pitch, radius = cameras.spherical()
    assert -10.1 < pitch.min() < pitch.max() < 60.1
    assert_close(radius, torch.full((50,), 2.7))
    assert len(torch.unique(pitch)) == 50


def test_a_path_is_the_one_that_films_take(tiny_generator):
    options = DatasetOptions(views=7, cameras="path", path="spiral", fov=30.0)
    wanted = spiral(7, tiny_generator.default_camera().with_fov(30.0))
    assert_close(place_cameras(tiny_generator, BALL, options).cam2world, wanted.cam2world, atol=1e-5, rtol=0)


def test_a_file_gives_its_cameras_as_they_are(tiny_generator, tmp_path):
    cameras = Camera.from_spherical([0.0, 50.0, 90.0], [10.0, 0.0, -20.0], 2.0, fov_y_deg=35.0)
    path = tmp_path / "transforms.json"
    write_transforms(path, cameras, width=64, height=64, names=["a.png", "b.png", "c.png"])
    found = place_cameras(tiny_generator, BALL, DatasetOptions(views=3, cameras="path", path=str(path)))
    assert_close(found.cam2world, cameras.cam2world, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match=r"holds 3 cameras, 50 views are asked for; add views=3"):
        place_cameras(tiny_generator, BALL, DatasetOptions(cameras="path", path=str(path)))


def test_depths_that_millimetres_cannot_hold_are_refused():
    far = Camera.from_spherical(0.0, 0.0, 40.0, fov_y_deg=2.0)
    with pytest.raises(InputError, match=r"up to 80 world units are expected, 16 bits hold 65.5 in millimetres"):
        check_depths(far, DatasetOptions())
    check_depths(far, DatasetOptions(include=("depth-float",)))
