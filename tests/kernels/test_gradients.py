"""Gradients flow through the reference alone; kernels read numbers and leave the graph alone."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d_tools.fields.compiled import triplane_numbers
from gen3d_tools.kernels.lattice.surface import bounded_lattice, find_surface
from tests.kernels.conftest import make_field


def doubled(field, planes):
    """The field in double precision: finite differences of single precision say little."""
    return replace(field, planes=planes, decoder=copy.deepcopy(field.decoder).double())


def test_gradients_of_the_raw_density_match_finite_differences(kind):
    field = make_field(kind)
    generator = torch.Generator().manual_seed(5)
    planes = field.planes.double().requires_grad_()
    points = ((torch.rand(60, 3, generator=generator) - 0.5) * 1.1 * field.box_side).double().requires_grad_()
    weights = torch.randn(60, generator=generator).double()

    def total(planes, points):
        return (doubled(field, planes).raw_density(points) * weights).sum()

    slopes = torch.autograd.grad(total(planes, points), (planes, points))
    directions = [torch.randn(part.shape, generator=generator).double() for part in (planes, points)]
    for index, (slope, direction) in enumerate(zip(slopes, directions, strict=True)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = [planes.detach(), points.detach()]
            moved[index] = moved[index] + step * direction
            ends.append(total(*moved))
        assert ((ends[0] - ends[1]) / 2e-6).item() == pytest.approx((slope * direction).sum().item(), rel=1e-3)


def test_a_field_that_wants_gradients_is_meshed_from_its_numbers(kind):
    plain = make_field(kind)
    wanting = replace(plain, planes=plain.planes.clone().requires_grad_())
    surfaces = []
    for field in (plain, wanting):
        bounded = bounded_lattice(triplane_numbers(field), 17)
        surfaces.append(find_surface(bounded, float((bounded.low.mean() + bounded.high.mean()) / 2)))
    assert all(np.array_equal(one, other) for one, other in zip(*surfaces, strict=True))
    assert wanting.planes.grad is None
    wanting.raw_density(torch.zeros(1, 3)).sum().backward()  # the graph is as it was
    assert wanting.planes.grad.abs().max() > 0
