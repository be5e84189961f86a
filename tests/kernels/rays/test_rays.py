"""Compiled rays against the plain ones, on random fields of every kind and on parts that are easy to miss."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from torch import nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.compiled import triplane_numbers
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.kernels.network.evaluate import hidden, network_of, raw_density
from gen3d_tools.kernels.network.numbers import DecoderNumbers
from gen3d_tools.kernels.rays.occupancy import build_occupancy_grid
from gen3d_tools.rendering.ray_rendering import render_rays, trace_rays
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render
from tests.kernels.conftest import KINDS, make_field

CAMERA = Camera.from_spherical(20.0, 10.0, 2.7, fov_y_deg=40.0)
AS_EG3D = RenderConfig(near=1.7, far=3.6, coarse_samples=24, fine_samples=24)
AS_3DGP = replace(
    AS_EG3D,
    jitter="intervals",
    marcher="classical",
    last_interval=1e10,
    importance="plain",
    coarse_unit="ray",
    distance_rule="sum",
    pixel_grid="corners",
)
CONFIGS = {
    "eg3d": AS_EG3D,
    "box": replace(AS_EG3D, near="box", far="box", background="white"),
    "closed": replace(AS_EG3D, last_interval=1e10),
    "3dgp": AS_3DGP,
    "last": replace(AS_3DGP, background="last", last_in_coarse_pass=True, last_interval=None),
    "one pass": replace(AS_EG3D, fine_samples=0),
}


def decibels(a, b):
    return -10 * torch.log10((a - b).square().mean() + 1e-20).item()


def sharp(kind, **changes):
    """A field of a kind whose density is mostly nothing, with steep rises."""
    field = make_field(kind, rough=0.1)
    with torch.no_grad():
        values = field.raw_density((torch.rand(2000, 3) - 0.5) * field.box_side)
    level = torch.quantile(values[values > -1e5], 0.9).item()
    gain = 30 / (values.max().item() - level)
    numbers = field.decoder.numbers()
    decoder = Scaled(field.decoder, gain, numbers).requires_grad_(False)
    return replace(field, decoder=decoder, density_shift=-gain * level, **changes)


class Scaled(nn.Module):
    """A decoder with another gain of the raw density."""

    def __init__(self, inner, gain, numbers):
        super().__init__()
        self.inner, self.gain, self._numbers = inner, gain, numbers

    def forward(self, features):
        values, raw = self.inner(features)
        return values, self.gain * raw

    def numbers(self):
        return replace(self._numbers, density_gain=self._numbers.density_gain * self.gain)


@numba.njit
def at_points(net, points, out):
    u, other = np.empty(64, np.float32), np.empty(64, np.float32)
    for i in range(len(points)):
        hidden(net, points[i, 0], points[i, 1], points[i, 2], u, other)
        out[i] = raw_density(net, u)


def points_around(field, count=1500):
    """Inside, beyond, and on the faces of the box and a texel from them."""
    points = (torch.rand(count, 3, generator=torch.Generator().manual_seed(3)) - 0.5) * field.box_side * 1.4
    half, texel = field.box_side / 2, field.box_side / field.planes.shape[-1]
    for row, place in enumerate((half, -half, half - texel / 2, half + texel / 2, half + texel, -half - texel)):
        points[30 * row : 30 * row + 30, row % 3] = place
    return points


def test_the_network_at_points_inside_on_and_outside_the_border(kind):
    field = replace(make_field(kind), outside="decode")
    points = points_around(field)
    out = np.empty(len(points), np.float32)
    at_points(network_of(triplane_numbers(field)), points.numpy(), out)
    with torch.no_grad():
        np.testing.assert_allclose(out, field.raw_density(points).numpy(), atol=3e-4)


def cells_of(guide, points):
    place = ((points.numpy() - guide.start) / guide.cell).astype(np.int64)
    return tuple(np.clip(place, 0, len(guide.skip) - 1).T)


def test_small_planes_have_two_cells_a_texel_and_large_ones_no_more_than_128(tiny_generator):
    [small] = tiny_generator.fields(tiny_generator.latents([0]))
    texels = small.planes.shape[-1]
    cells = len(build_occupancy_grid(network_of(triplane_numbers(small)), -7.0).skip)
    assert 2 * texels <= cells < 2 * texels + 8  # and those beyond the outermost texels
    large = load_generator("shapes", device="cpu")
    [field] = large.fields(large.latents([0]))
    assert 128 <= len(build_occupancy_grid(network_of(triplane_numbers(field)), -7.0).skip) < 136


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("eg3d", 16), ("eg3d", 200), ("3dgp", 200), ("shapes", 40)])
def test_cells_that_are_called_empty_hold_nothing(name, size):
    field = replace(make_field(KINDS[name], size=size, rough=0.2), outside="decode")
    points = points_around(field, 20000)
    with torch.no_grad():
        raw = field.raw_density(points).numpy()
    threshold = float(np.quantile(raw, 0.9))
    guide = build_occupancy_grid(network_of(triplane_numbers(field)), threshold)
    empty = ~guide.possible[cells_of(guide, points)]
    assert empty.any()
    assert raw[empty].max() <= threshold + 1e-4
    assert (guide.skip[~guide.possible] > 0).all()


def test_bounds_through_two_layers_keep_few_cells_in_which_nothing_is():
    """A forward pass alone keeps 3.4 times as many cells as there are to look at (a chair)."""
    generator = load_generator("shapes", device="cpu")
    [field] = generator.fields(generator.latents([2]))
    guide = build_occupancy_grid(network_of(triplane_numbers(field)), -6.4)
    assert guide.possible.sum() < 2.2 * (guide.skip == 0).sum()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind_name", ["eg3d", "3dgp", "shapes"])
def test_the_scheme_s_own_samples_give_the_plain_picture(kind_name, name):
    field = sharp(KINDS[kind_name], render_config=CONFIGS[name])
    plain = render(field, CAMERA, resolution=24, exact=True)
    fast = render(field, CAMERA, resolution=24, sampling="published")
    assert plain.rgb.std() > 0.01
    assert decibels(fast.rgb, plain.rgb) > 70
    assert (fast.opacity - plain.opacity).abs().max() < 2e-3
    solid = plain.opacity > 0.1
    torch.testing.assert_close(fast.distance[solid], plain.distance[solid], atol=5e-3, rtol=0)


def test_every_kind_of_field_is_followed(kind):
    field = sharp(kind, render_config=AS_EG3D)
    plain, fast = (render(field, CAMERA, resolution=16, sampling=how) for how in ("reference", "published"))
    assert decibels(fast.rgb, plain.rgb) > 70


def test_random_samples_are_those_that_were_given():
    field = sharp(KINDS["eg3d"], render_config=AS_EG3D)
    origins, directions = camera_rays(CAMERA, 16)
    generator = torch.Generator().manual_seed(1)
    numbers = {
        "coarse_offsets": torch.rand(256, 24, generator=generator),
        "fine_positions": torch.rand(256, 24, generator=generator),  # not ascending
    }
    with torch.no_grad():
        fast = render_rays(field, origins, directions, numbers=numbers)
        plain = trace_rays(field, origins, directions, sampling="default", numbers=numbers)
        other = render_rays(field, origins, directions)
    assert decibels(fast.values, plain.values) > 70
    assert decibels(fast.values, plain.values) > decibels(fast.values, other.values) + 10


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["default", "published"])
def test_pictures_do_not_depend_on_the_number_of_threads(sampling):
    field, before, pictures = sharp(KINDS["3dgp"], render_config=AS_3DGP), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fresh = replace(field)  # its lattice is made anew
            pictures.append(render(fresh, CAMERA, resolution=24, sampling=sampling))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(pictures[0].rgb, pictures[1].rgb)
    assert torch.equal(pictures[0].distance, pictures[1].distance)


class Shell(nn.Module):
    """Features r^2 -> raw density gain (width - |r^2 - radius^2|), by a leaky ReLU both ways."""

    def __init__(self, radius, width, gain):
        super().__init__()
        first = np.array([[1.0], [-1.0]], np.float32), np.array([-(radius**2), radius**2], np.float32)
        last = np.zeros((4, 2), np.float32), np.array([gain * width, 0.2, 0.5, 0.8], np.float32)
        last[0][0] = -gain / 0.8
        self.layers = first, last

    def forward(self, features):
        (w1, b1), (w2, b2) = [[torch.from_numpy(part) for part in layer] for layer in self.layers]
        output = nn.functional.leaky_relu(features @ w1.T + b1, 0.2) @ w2.T + b2
        return output[..., 1:], output[..., 0]

    def numbers(self):
        weights, biases = zip(*self.layers, strict=True)
        options = {"activation": "lrelu", "density_row": 0, "value_activation": "linear"}
        return DecoderNumbers(weights=weights, biases=biases, **options)


def shell(center, radius, width, gain, size=257):
    x, y, z = (torch.linspace(-1, 1, size) - c for c in center)
    nothing = torch.zeros(size, size)
    planes = torch.stack([y[:, None] ** 2 + x**2, z[:, None] ** 2 + nothing, nothing])[:, None]
    return TriplaneField(
        planes=planes,
        decoder=Shell(radius, width, gain),
        render_config=replace(AS_EG3D, near=2.0, far=4.0),
        box_side=2.0,
        plane_axes="xy-xz-yz",
        align_corners=True,
        combine="sum",
    )


def assert_nothing_is_lost(field, camera):
    """With samples dense enough to meet the part, skipping changes nothing."""
    many = replace(field.render_config, coarse_samples=400, fine_samples=50)
    plain, fast = (
        render(field, camera, resolution=12, config=many, sampling=how) for how in ("reference", "published")
    )
    assert plain.opacity.max() > 0.2
    assert (fast.opacity - plain.opacity).abs().max() < 2e-3
    assert decibels(fast.rgb, plain.rgb) > 70


@pytest.mark.parametrize("center", [(0.3047, 0.1016, -0.2109), (0.31, 0.109, -0.207), (0.7, -0.8, 0.11)])
def test_a_ball_between_the_points_of_the_lattice_is_not_skipped(center):
    radius = 0.0115
    field = shell(center, 0.0, radius**2, 2.5e5)  # raw density 33 in its middle
    guide = build_occupancy_grid(network_of(triplane_numbers(field)), -7.0)
    assert radius < guide.cell
    assert guide.possible[cells_of(guide, torch.tensor([center]))].all()
    camera = Camera.look_at(torch.tensor([0.0, 0.0, 3.0]), torch.tensor(center), fov_y_deg=0.7)
    assert_nothing_is_lost(field, camera)


def test_a_detached_ball_two_cells_wide_is_seen_by_default():
    center, radius = (0.31, 0.109, -0.207), 0.016
    field = shell(center, 0.0, radius**2, 4e5)
    assert radius < 1.1 * build_occupancy_grid(network_of(triplane_numbers(field)), -7.0).cell
    eye = torch.tensor([0.0, 0.0, 3.0])
    way = torch.tensor(center) - eye
    with torch.no_grad():
        seen = render_rays(field, eye[None], nn.functional.normalize(way, dim=0)[None])
    assert seen.opacity.item() > 0.5
    assert seen.distance.item() == pytest.approx(way.norm().item(), abs=0.02)


@pytest.mark.slow
def test_a_shell_thinner_than_a_cell_is_not_skipped():
    center, radius, half = (0.013, -0.021, 0.007), 0.6, 0.003
    field = shell(center, radius, 2 * radius * half, 3e4)
    guide = build_occupancy_grid(network_of(triplane_numbers(field)), -7.0)
    assert 2 * half < guide.cell
    turn = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0))
    on_it = nn.functional.normalize(turn, dim=-1) * radius + torch.tensor(center)
    assert guide.possible[cells_of(guide, on_it)].all()
    assert_nothing_is_lost(field, Camera.from_spherical(0.0, 0.0, 3.0, fov_y_deg=15.0))


@torch.no_grad()
def test_a_ray_in_the_plane_of_a_wall_spoils_no_other():
    field = make_field(KINDS["shapes"])
    middle = [0.1, 0.1, 2.0]
    origins = torch.tensor([middle, [-field.box_side / 2, 0.0, 2.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(2, 3).contiguous()
    both = render_rays(field, origins, directions, CONFIGS["box"])
    alone = render_rays(field, origins[:1], directions[:1], CONFIGS["box"])
    assert both.values.isfinite().all()
    torch.testing.assert_close(both.values[0], alone.values[0])
    torch.testing.assert_close(both.values[1, :3], torch.ones(3))  # the background
