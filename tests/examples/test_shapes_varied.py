"""The varied things that the encoder learns from: sound, in view, of many forms, and every number of theirs matters."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage


@pytest.fixture(scope="module")
def dataset(shapes_on_path):
    import dataset

    return dataset


@pytest.fixture(scope="module")
def varied(shapes_on_path):
    import varied

    return varied


def draw(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed))


def grid(side: int) -> torch.Tensor:
    centers = (torch.arange(side) + 0.5) / side - 0.5
    return torch.stack(torch.meshgrid(centers, centers, centers, indexing="ij"), dim=-1).reshape(1, -1, 3)


NAMES = ("car", "chair", "donut", "house", "lamp", "mug", "mushroom", "rocket", "sailboat", "tree")
EVERY_CLASS = pytest.mark.parametrize("name", NAMES)


def test_they_are_of_the_classes_of_the_toys(dataset, varied):
    assert tuple(varied.VARIED) == NAMES == dataset.CLASSES


@EVERY_CLASS
def test_every_thing_stays_in_view_and_its_small_pieces_are_few(dataset, varied, name):
    points = grid(48).expand(3, -1, -1)
    occupied = dataset.signed_distance(points, dataset.parameters(draw(3, seed=1)), varied.VARIED[name]) < 0
    for one in occupied:
        assert points[0, one].norm(dim=-1).max() < 2.7 * math.sin(math.radians(10))
        sizes = (
            torch.from_numpy(ndimage.label(one.view(48, 48, 48).numpy(), np.ones((3, 3, 3)))[0])
            .flatten()
            .bincount()[1:]
        )
        assert sizes.max() > 0.95 * sizes.sum()


@EVERY_CLASS
def test_distances_never_promise_more_room_than_there_is(dataset, varied, name):
    points, u = 0.9 * (grid(20).expand(2, -1, -1)), dataset.parameters(draw(2, seed=2))
    norm = dataset.gradient(points, u, varied.VARIED[name]).norm(dim=-1)
    assert norm.quantile(0.99) < 1.4  # sphere tracing would step through walls


@EVERY_CLASS
def test_two_of_a_class_differ_more_than_two_toys_do(dataset, varied, name):
    def spread(kind, z):
        solid = dataset.signed_distance(grid(24).expand(len(z), -1, -1), dataset.parameters(z), kind) < 0
        both = (solid[:, None] & solid).sum(-1) / (solid[:, None] | solid).sum(-1).clamp_min(1)
        return float(both[~torch.eye(len(z), dtype=torch.bool)].mean())

    toys = torch.randn(8, 10, generator=torch.Generator().manual_seed(3))
    assert spread(varied.VARIED[name], draw(8, seed=3)) < spread(dataset.CLASSES.index(name), toys)
