"""Lattices evaluated near a level only: the same surface, from a part of the points."""

import numpy as np
import pytest
import torch

from gen3d_tools.errors import Gen3DError
from gen3d_tools.geometry.extraction.isosurface import bordered_lattice, marching_cubes
from gen3d_tools.geometry.extraction.sparse_lattice import block_side, sample_near_level


class Counted:
    """Two balls, one of them small, and how often they were asked."""

    def __init__(self):
        self.points = 0

    def __call__(self, points):
        self.points += points[..., 0].numel()
        large = 0.3 - (points - torch.tensor([0.1, -0.05, 0.0])).norm(dim=-1)
        small = 0.08 - (points - torch.tensor([-0.35, 0.3, 0.3])).norm(dim=-1)
        return torch.maximum(large, small)


@pytest.mark.parametrize("resolution", [33, 64, 71])
@pytest.mark.parametrize("detail", [0.04, 0.1])
def test_the_surface_is_that_of_the_whole_lattice(resolution, detail):
    whole, sparse = Counted(), Counted()
    options = {"resolution": resolution, "box_side": 1.0}
    expected = marching_cubes(bordered_lattice(whole, **options), box_side=1.0, iso_level=0.0)
    values = bordered_lattice(sparse, **options, detail=detail, iso_level=0.0)
    vertices, faces = marching_cubes(values, box_side=1.0, iso_level=0.0)
    np.testing.assert_allclose(vertices, expected[0], atol=1e-6)
    assert np.array_equal(faces, expected[1])
    if resolution > 40 and detail > 0.05:
        assert sparse.points < 0.3 * whole.points


def test_a_surface_that_runs_out_of_what_is_looked_at_is_followed():
    def hose(points):  # bends away from every plane of block corners
        x, y, z = points.unbind(-1)
        return 0.03 - torch.hypot(y - 0.25 * torch.sin(5 * x), z - 0.2 * torch.cos(7 * x))

    options = {"resolution": 96, "box_side": 1.0}
    whole = bordered_lattice(hose, **options)
    found = bordered_lattice(hose, **options, detail=0.05, iso_level=0.0)
    assert np.array_equal(whole[1:-1, 1:-1, 1:-1] > 0, found[1:-1, 1:-1, 1:-1] > 0)


def test_blocks_step_over_no_detail():
    assert block_side(0.0, 64, 1.0) == 1
    assert block_side(0.1, 101, 1.0) == 8
    assert block_side(0.05, 101, 1.0) == 4
    assert block_side(0.019, 101, 1.0) == 1


def test_numbers_that_are_not_finite_are_refused_with_their_place():
    def broken(points):
        return torch.where(points[..., 0] > 0.2, float("nan"), points[..., 1])

    with pytest.raises(Gen3DError, match="the field is nan at"):
        sample_near_level(broken, resolution=32, box_side=1.0, level=0.0, side=4, out=np.empty((32,) * 3, np.float32))
