"""The compiled density at points and along rays says what the field says."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d_tools.fields.compiled import compiled_network, raw_density_of, triplane_numbers
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.kernels.rays.silhouette import possible_tiles
from gen3d_tools.rendering.volume.sampling import tight_limits
from tests.kernels.conftest import KINDS, Kind, make_field


def points_around(field, count=3000):
    """Inside, on the border, and outside, near and far."""
    half = field.box_side / 2
    inside = (torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1) * half
    border = inside.clone()
    border[torch.arange(count), torch.arange(count) % 3] = half * (1 - 2 * (torch.arange(count) % 2))
    corners = torch.cartesian_prod(*[torch.tensor([-half, half])] * 3)
    return torch.cat([inside, border, corners, inside * 1.3, inside * 50])


def test_compiled_density_is_the_fields_inside_on_and_beyond_the_border(kind):
    field = make_field(kind)
    points = points_around(field)
    with torch.no_grad():
        expected = field.raw_density(points)
        found = raw_density_of(field)(points)
    assert compiled_network(field) is not None
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5 * float(expected[:3000].abs().max()))


def test_compiled_density_takes_points_of_any_shape():
    field = make_field(KINDS["shapes"])
    points = points_around(field)[:60]
    density = raw_density_of(field)
    assert torch.equal(density(points.reshape(4, 5, 3, 3)), density(points).reshape(4, 5, 3))
    assert density(points[:0]).shape == (0,)


@pytest.mark.parametrize("density_activation", ["softplus", "relu"])
@pytest.mark.parametrize("last_interval", [None, 1e10])
def test_rays_meet_the_largest_density_and_stop_as_much_light(kind, density_activation, last_interval):
    field = replace(make_field(kind, rough=0.1), density_activation=density_activation, density_shift=-1.0)
    origins = torch.randn(400, 3, generator=torch.Generator().manual_seed(2)) * 0.3 + torch.tensor([0.0, 0.0, 3.0])
    directions = torch.nn.functional.normalize(torch.tensor([0.1, -0.05, -1.0]).expand(400, 3), dim=-1)
    near, far, hit = tight_limits(origins, directions, field.box_side)
    rays = origins[hit], directions[hit], near[hit], far[hit]
    with torch.no_grad():
        densest, opaque = compiled_network(field).look_through(*rays, closing=last_interval or 0.0)
        distances = torch.linspace(0, 1 - 1e-5, 2001)[None] * (rays[3] - rays[2])[:, None] + rays[2][:, None]
        density = field.density(rays[0][:, None] + distances[..., None] * rays[1][:, None])
    thickness = density.mean(-1) * (rays[3] - rays[2]) + density[:, -1] * (last_interval or 0.0)
    clear = (thickness - math.log(2)).abs() > 0.05
    assert torch.equal(opaque[clear], (thickness > math.log(2))[clear])
    assert field.activate(densest).numpy() == pytest.approx(density.amax(-1).numpy(), rel=0.02, abs=0.02)


@pytest.mark.parametrize("align_corners", [True, False])
def test_tiles_that_are_left_out_hold_no_more_than_the_threshold(align_corners):
    field = replace(make_field(KINDS["narrow"], size=64, rough=0.0), align_corners=align_corners)
    points = points_around(field)[:3000]
    raw = field.raw_density(points).detach()
    threshold = float(raw.quantile(0.7))
    tiles = possible_tiles(triplane_numbers(field), threshold)
    index = (points.numpy() * tiles.per_unit + tiles.start).astype(int).T
    left_out = ~tiles.possible[tuple(index)]
    assert left_out.mean() > 0.2
    assert (raw.numpy()[left_out] <= threshold + 1e-4).all()
    assert np.isin(index, range(len(tiles.possible))).all()


def test_fields_that_kernels_do_not_serve_answer_themselves():
    field = FunctionField(raw_density_fn=lambda points: points.sum(-1))
    wide = make_field(Kind("softplus", (80,), "xy-xz-yz", True))
    for other in (field, wide):
        points = points_around(other)[:100]
        assert compiled_network(other) is None
        assert torch.equal(raw_density_of(other)(points), other.raw_density(points))
