import logging

import numpy as np
import pytest
import torch

from gen3d_tools.errors import OutOfMemoryError
from gen3d_tools.geometry.extraction import lattice
from gen3d_tools.geometry.extraction.lattice import check_resolution, lattice_axis, sample_lattice


def coded(points):
    """Each point's value names its place."""
    return points @ torch.tensor([1.0, 10.0, 100.0])


def test_axis_meets_both_faces_of_the_box():
    axis = lattice_axis(9, 0.7)
    assert axis[[0, -1]].tolist() == [np.float32(-0.35), np.float32(0.35)]
    assert np.diff(axis) == pytest.approx(0.7 / 8, rel=1e-5)
    assert axis == pytest.approx(-axis[::-1])


def test_lattice_is_indexed_x_y_z_without_shear():
    values = sample_lattice(coded, resolution=9, box_side=2.0)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 9)] * 3, indexing="ij")
    assert values.dtype == np.float32
    assert values == pytest.approx(x + 10 * y + 100 * z, abs=1e-4)


@pytest.mark.parametrize("chunk_points", [1, 7, 100, 350, 10**6])
def test_any_chunk_gives_the_same_values(chunk_points):
    def wavy(points):
        return torch.sin(7 * points).sum(-1) * torch.cos(3 * points[..., 0])

    whole = sample_lattice(wavy, resolution=10, box_side=1.0)
    assert np.array_equal(sample_lattice(wavy, resolution=10, box_side=1.0, chunk_points=chunk_points), whole)


def test_no_call_gets_more_points_than_the_chunk():
    seen = []

    def count(points):
        seen.append(points.shape[:-1].numel())
        return points[..., 0]

    sample_lattice(count, resolution=12, box_side=1.0, chunk_points=100)
    assert max(seen) <= 100
    assert sum(seen) == 12**3


def test_values_land_in_the_given_view():
    frame = np.full((10, 10, 10), 7, np.float32)
    sample_lattice(coded, resolution=8, box_side=2.0, out=frame[1:-1, 1:-1, 1:-1])
    assert np.array_equal(frame[1:-1, 1:-1, 1:-1], sample_lattice(coded, resolution=8, box_side=2.0))
    assert (frame[0] == 7).all()


def test_progress_ends_at_all_points():
    steps = []
    sample_lattice(coded, resolution=8, box_side=2.0, chunk_points=64, progress=lambda *at: steps.append(at))
    assert steps == [(64 * i, 512) for i in range(1, 9)]


def test_no_gradients_are_recorded():
    weight = torch.ones(3, requires_grad=True)
    assert np.isfinite(sample_lattice(lambda points: points @ weight, resolution=8, box_side=1.0)).all()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("x"), MemoryError(), RuntimeError("can't allocate memory")])
def test_running_out_of_memory_halves_the_chunk_and_goes_on(error, caplog):
    def small_only(points):
        if points.shape[:-1].numel() > 40:
            raise error
        return coded(points)

    with caplog.at_level(logging.WARNING):
        values = sample_lattice(small_only, resolution=8, box_side=2.0)
    assert np.array_equal(values, sample_lattice(coded, resolution=8, box_side=2.0))
    assert "smaller chunks" in caplog.text


def test_other_errors_are_not_taken_for_lack_of_memory():
    def broken(points):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        sample_lattice(broken, resolution=8, box_side=1.0)


def test_lattice_too_big_for_the_machine_is_refused_with_one_that_fits(monkeypatch):
    monkeypatch.setattr(lattice, "free_memory", lambda: 2 * 10**9)
    with pytest.raises(OutOfMemoryError, match=r"resolution 1024 needs 4\.3 GB, 2 GB are free; try resolution 784"):
        check_resolution(1024)
    check_resolution(784)


def test_systems_that_do_not_tell_their_memory_are_trusted(monkeypatch):
    monkeypatch.setattr(lattice, "free_memory", lambda: None)
    check_resolution(1024)
