"""How named directions of the shapes are measured: a fit that finds known parameters, names that mean what they say."""

import importlib
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def directions(shapes_on_path):
    return importlib.import_module("directions")


@pytest.fixture
def dataset(shapes_on_path):
    return importlib.import_module("dataset")


class TrueField:
    """A field that is the procedural shape itself, in the units of a generator's."""

    decoder = SimpleNamespace(density_gain=1500.0)

    def __init__(self, directions, dataset, u, label):
        self.directions, self.dataset, self.u, self.label = directions, dataset, u, label

    def __call__(self, points):
        truth = self.dataset.solid(points[None], self.u, self.label)
        shade = self.directions._shading(points[None], self.u, self.label)
        distance = -truth.distance()[0] / self.directions.SIGNED_DISTANCE_UNIT
        return (truth.color().clamp(0, 1) * shade)[0], distance * 1500.0


@pytest.mark.slow
def test_parameters_that_are_known_are_found_by_the_fit(directions, dataset):
    label = dataset.CLASSES.index("house")
    start = torch.full((1, 10), 0.5)
    wanted = start.clone()
    wanted[0, 4], wanted[0, 9] = 0.8, 0.25  # the roof's overhang, and how bright the walls are
    field = TrueField(directions, dataset, wanted, label)
    points = directions._points(start, label, 1500)
    found = directions.fit([field], start, label, points)
    assert torch.allclose(found[0, :6], wanted[0, :6], atol=0.06)
    assert found[0, 9] == pytest.approx(0.25, abs=0.06)


def test_every_parameter_of_every_class_has_a_name_of_its_own(directions, dataset):
    for label, name in enumerate(dataset.CLASSES):
        weights = directions.named_weights(label)
        assert len(weights) == 11, name
        assert sorted(row.abs().argmax().item() for key, row in weights.items() if key != "size") == list(range(10))


def test_what_moves_another_parameter_more_is_not_true(directions):
    direction = SimpleNamespace(name="x", class_index=0)
    row = directions.Measured(direction, 0.95, 0.2, 0.05, "y")
    assert directions.is_true(row)
    assert not directions.is_true(directions.Measured(direction, 0.79, 0.2, 0.05, "y"))
    assert not directions.is_true(directions.Measured(direction, 0.95, 0.2, 0.3, "y"))
    assert not directions.is_true(directions.Measured(direction, float("nan"), 0.2, 0.05, "y"))
    assert "| car | x | 0.95 | 20% | 5% (y) | yes |" in directions.table([row])
