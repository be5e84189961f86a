"""The figures of the bundled model's meshes: what counts as good enough, and the table."""

import importlib
from dataclasses import replace

import pytest


@pytest.fixture
def meshes(shapes_on_path):
    return importlib.import_module("meshes")


@pytest.fixture
def good(meshes):
    return meshes.Result(
        class_name="mug", seed=0, faces=20_000, sound=True, shells=1, degenerate=0, iou=0.99, psnr=30.0, seconds=8.0
    )


@pytest.mark.parametrize("flaw", [{"sound": False}, {"iou": 0.984}, {"psnr": 25.9}, {"seconds": 12.1}])
def test_every_promise_counts(good, flaw):
    assert good.passes
    assert not replace(good, **flaw).passes


def test_a_class_shows_its_worst_seed(meshes, good, capsys):
    meshes.print_results([good, replace(good, seed=1, iou=0.95, shells=2)])
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.split() == ["mug", "1", "of", "2", "2", "of", "2", "1", "2", "0", "0.9500", "30.0", "dB", "8.0"]
