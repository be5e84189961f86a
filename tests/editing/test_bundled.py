"""The directions that come with `shapes`: every class has some, and each was found to be true."""

import pytest
import torch

from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.editing.directions import load_directions
from gen3d_tools.generators.loading import load_generator


@pytest.fixture(scope="module")
def shapes():
    return load_generator("shapes", device="cpu")


@pytest.fixture(scope="module")
def known(shapes):
    return load_directions(bundled_models()["shapes"], shapes)


def test_they_are_of_this_model_and_small(known):
    assert (bundled_models()["shapes"] / "directions.safetensors").stat().st_size < 100_000
    assert len(known) >= 80


def test_every_class_has_a_size_and_a_hue_and_more(shapes, known):
    for index in range(len(shapes.class_names)):
        names = known.of_class(index).names
        assert {"size", "hue", "brightness"} <= set(names)
        assert len(names) >= 7
    assert known.named("roof-width", shapes.class_names.index("house")).class_index == 3


def test_each_was_measured_to_do_what_it_says(known):
    assert all(one.correlation is not None and one.correlation >= 0.8 for one in known)
    assert all(torch.isclose(one.vector.norm(), torch.tensor(1.0), atol=1e-3) for one in known)


@pytest.mark.slow
def test_a_larger_object_is_larger(shapes, known):
    """The box around what is inside, for every class: no regression says so, the field does."""
    axis = torch.linspace(-0.5, 0.5, 56)
    points = torch.cartesian_prod(axis, axis, axis)
    for index, name in enumerate(shapes.class_names):
        ws, size = shapes.latents([11], [index]), known.named("size", index)
        sides = []
        for amount in (-2.0, 2.0):
            [field] = shapes.fields(size.apply(ws, amount))
            inside = points[field.raw_density(points) > 0]
            sides.append(float((inside.amax(0) - inside.amin(0)).sum()))
        assert sides[1] > 1.03 * sides[0], name
