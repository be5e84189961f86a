"""Which samples a command is about."""

import copy
import shlex
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.workflows.samples.selection import Sample, choose_samples, make_ws
from gen3d_tools.workflows.samples.views import ViewOptions


@pytest.fixture
def tuned(tiny_generator):
    generator = copy.copy(tiny_generator)
    camera = Camera.from_spherical(-160, 10, 2.5, fov_y_deg=25)
    generator.pivot = Pivot(tiny_generator.latents([7], ["cube"]) + 0.1, camera, class_index=1)
    return generator


def test_files_of_a_sample_are_named_by_class_and_seed():
    assert Sample(3, 0, "coffee mug").stem == "coffee_mug-0003"
    assert Sample(12345, None, "").stem == "seed-12345"


def test_options_of_a_sample_can_be_typed_as_they_are():
    assert Sample(3, 0, "mug").options == " --class mug --seeds 3"
    assert shlex.split(Sample(3, 0, "coffee mug; rm x").options) == ["--class", "coffee mug; rm x", "--seeds", "3"]


def test_a_truncated_sample_is_typed_with_its_truncation():
    assert Sample(3, 1, "cube").options_at(0.7) == " --class cube --seeds 3 --psi 0.7"
    assert Sample(3, 1, "cube").options_at(1.0) == " --class cube --seeds 3"
    assert Sample(None, 1, "cube").options_at(1.0) == ""


def test_classes_of_one_name_keep_apart(tiny_generator):
    cranes = replace(tiny_generator.settings, class_names=("crane", "crane"))
    generator = GeometryAwareGenerator(tiny_generator.config, cranes)
    samples = choose_samples(generator, "0", "all")
    assert [sample.stem for sample in samples] == ["crane_0-0000", "crane_1-0000"]
    for sample in samples:  # what is suggested as the next command can be typed
        _, name, _, seed = shlex.split(sample.options)
        assert choose_samples(generator, seed, name) == [sample]


def test_every_class_meets_every_seed_class_by_class(tiny_generator):
    chosen = choose_samples(tiny_generator, "4,1", "cube,ball")
    assert [(sample.class_name, sample.seed) for sample in chosen] == [
        ("cube", 4),
        ("cube", 1),
        ("ball", 4),
        ("ball", 1),
    ]


def test_a_tuned_generator_shows_its_own_object_unless_seeds_or_classes_are_named(tuned):
    [one] = choose_samples(tuned, None, None)
    assert (one.stem, one.label, one.options) == ("cube", "the cube", "")
    torch.testing.assert_close(make_ws(tuned, [one]), tuned.pivot.ws)
    assert choose_samples(tuned, "3", None)[0].seed == 3
    assert choose_samples(tuned, None, "ball")[0].seed == 0


def test_the_pivot_is_not_drawn_so_it_cannot_be_truncated(tuned):
    with pytest.raises(InputError, match="leave psi out, or add seeds"):
        make_ws(tuned, choose_samples(tuned, None, None), psi=0.5)


def test_pictures_of_a_tuned_generator_are_taken_by_the_photos_camera(tuned):
    torch.testing.assert_close(ViewOptions().camera(tuned).cam2world, tuned.pivot.camera.cam2world)
    yaw, pitch, radius = ViewOptions(pitch=5).camera(tuned, turn=90).spherical()
    assert (round(float(yaw)), round(float(pitch)), round(float(radius), 4)) == (-70, 5, 2.5)
