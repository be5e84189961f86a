"""Flatness as 3DGP defines it, views compared, and what a super-resolution costs."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.workflows.evaluate import geometry as module
from gen3d_tools.workflows.evaluate.distribution.networks import load_network
from gen3d_tools.workflows.evaluate.geometry import (
    GeometryPlan,
    depth_range,
    flatness_cameras,
    geometry,
    trusted_turns,
)
from gen3d_tools.workflows.evaluate.run import EvalOptions, evaluate
from gen3d_tools.workflows.running.reporting import Reporter
from tests.generators.small_families import FAMILIES

PLAN = GeometryPlan(flatness_samples=5, view_samples=2, size=12)


@pytest.fixture(scope="module")
def encoder():
    return load_network(None)


def values(group):
    return {one.name: one.value for one in group.measures}


def test_flatness_takes_every_sample_in_batches_and_its_range(tiny_generator, encoder):
    group = geometry(tiny_generator, encoder, PLAN, Reporter())
    assert [row["seed"] for row in group.rows] == [0, 1, 2, 3, 4]
    assert group.facts["flatness"]["near"] == 2.2
    assert group.facts["flatness"]["far"] == 3.2
    assert all(1 <= row["nfs"] <= 64 for row in group.rows)
    assert values(group)["NFS"] == pytest.approx(np.mean([row["nfs"] for row in group.rows]))


def test_the_same_seed_scores_the_same_in_whole_batches(tiny_generator, encoder):
    eight = dataclasses.replace(PLAN, flatness_samples=8)
    twice = [geometry(tiny_generator, encoder, eight, Reporter()).rows for _ in range(2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize("family", ["eg3d", "epigraf", "threedgp"])
def test_every_family_has_a_geometry(family, encoder):
    generator = FAMILIES[family]().eval().requires_grad_(False)
    plan = dataclasses.replace(PLAN, flatness_samples=4, view_samples=1, size=None if family == "eg3d" else 12)
    found = values(geometry(generator, encoder, plan, Reporter()))
    assert 1 <= found["NFS"] <= 64
    assert ("drop by super-resolution" in found) <= (family == "eg3d")


def test_front_cameras_are_level_and_go_through_the_camera_generator():
    generator = FAMILIES["threedgp"]().eval().requires_grad_(False)
    cameras = flatness_cameras(generator, [0, 1], [0, 1])
    assert len(cameras) == 2
    generator.synthesis.camera_adaptor = None
    yaw, pitch, radius = flatness_cameras(generator, [0, 1], [0, 1]).spherical()
    torch.testing.assert_close(yaw, torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(pitch, torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(radius, torch.full((2,), 2.7))


def test_rays_through_the_box_are_counted_in_the_sphere_around_it(tiny_generator):
    [field] = tiny_generator.fields(tiny_generator.latents([0]))
    cameras = flatness_cameras(tiny_generator, [0], None)
    near, far = depth_range(field, cameras, RenderConfig(near="box", far="box"))
    assert far - near == pytest.approx(np.sqrt(3) * field.box_side, rel=1e-5)
    assert (near + far) / 2 == pytest.approx(2.7, rel=1e-4)


def test_turns_keep_to_the_views_that_are_trusted(tiny_generator):
    assert trusted_turns(tiny_generator) == module.TURNS_DEG
    narrow = copy.copy(tiny_generator)
    views = dataclasses.replace(tiny_generator.settings.trusted_views, yaw_min_deg=-10.0, yaw_max_deg=10.0)
    narrow.settings = dataclasses.replace(tiny_generator.settings, trusted_views=views)
    assert trusted_turns(narrow) == (-10, -5, 5, 10)


def test_a_set_of_pictures_has_no_geometry_of_its_own(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="name another one to compare it with"):
        evaluate(str(tmp_path / "pictures"), EvalOptions(geometry=True))
