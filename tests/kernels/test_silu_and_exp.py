"""Fields with silu layers and an exponential density (TripoSR's): the kernels say what the field says."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.compiled import compiled_field, compiled_network
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.official.triposr import settings_of
from gen3d_tools.generators.reconstructor_configs import TripoSRConfig
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.kernels.compiling.compiled import fast_exp, silu
from gen3d_tools.kernels.lattice.bounds import line_beside_silu
from gen3d_tools.kernels.lattice.sampled import is_deep, spacing
from gen3d_tools.kernels.lattice.surface import bounded_lattice, dense, find_surface
from gen3d_tools.metrics.pictures import psnr
from gen3d_tools.rendering.compiled.gradients import render_samples, trainable_field
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render


def ball_field(layers: int = 4, width: int = 24, noise: float = 0.3, gain: float = 1.6):
    """A ball in planes of noise: dense inside, empty outside, coloured."""
    config = TripoSRConfig(plane_resolution=16, plane_channels=6, decoder_width=width, decoder_layers=layers)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = Reconstruction(config.of_an_object(), settings_of(config, 32))
        for parameter in made.decoder.parameters():
            parameter.data = torch.randn_like(parameter) * (
                gain / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.1
            )
        axis = torch.linspace(-1, 1, 16)
        ball = 0.8 - axis[:, None].square() - axis.square()
        made.planes.data = torch.randn_like(made.planes) * noise + ball
        made.decoder.layers[-1].weight.data[0] *= 6
    made.requires_grad_(False)
    field = made.fields(made.no_latents())[0]
    points = (torch.rand(2000, 3) - 0.5) * field.box_side
    made.decoder.layers[-1].bias.data[0] += 3 - field.raw_density(points).quantile(0.8)
    return made.fields(made.no_latents())[0]


FIELD = ball_field()


@numba.njit
def bounds_of(low, high):  # what is inlined by force cannot be called from Python
    return line_beside_silu(low, high)


def test_activations_are_accurate():
    u = np.linspace(-90, 90, 4001, dtype=np.float32)
    exact = torch.nn.functional.silu(torch.from_numpy(u).double()).numpy()
    assert np.abs(np.array([silu(one) for one in u]) - exact).max() < 2e-5
    held = np.exp(np.clip(u.astype(np.float64), -80, 60))
    assert np.abs(np.array([fast_exp(one) for one in u]) / held - 1).max() < 2e-5


@pytest.mark.parametrize("seed", range(3))
def test_no_value_of_silu_leaves_its_bounds(seed):
    random = np.random.default_rng(seed)
    for _ in range(200):
        middle, length = random.normal(0, 4), abs(random.normal(0, 1)) * 10 ** random.uniform(-2, 1.5)
        low, high = np.float32(middle - length), np.float32(middle + length)
        slope, least, most = bounds_of(low, high)
        u = torch.linspace(float(low), float(high), 400, dtype=torch.float64)
        rest = torch.nn.functional.silu(u) - float(slope) * u
        slack = 1e-5 * (1 + abs(middle) + length)
        assert least - slack <= float(rest.min())
        assert float(rest.max()) <= most + slack


def test_an_exponential_density_never_overflows_and_its_gradient_is_itself():
    raw = torch.tensor([-200.0, 0.0, 3.0, 500.0], requires_grad=True)
    density = activate_density(raw, "exp", -1.0)
    assert torch.isfinite(density).all()
    density[1:3].sum().backward()
    torch.testing.assert_close(raw.grad[1:3], density[1:3].detach())


def test_points_and_lattice_have_the_fields_raw_density():
    compiled = compiled_network(FIELD)
    assert compiled is not None
    points = (torch.rand(500, 3) - 0.5) * FIELD.box_side
    torch.testing.assert_close(compiled.raw_density(points), FIELD.raw_density(points), atol=2e-3, rtol=1e-4)
    half = FIELD.box_side / 2
    axis = torch.linspace(-half, half, 20)
    wanted = FIELD.raw_density(torch.cartesian_prod(axis, axis, axis).clamp(-half, half)).reshape(20, 20, 20)
    bounded = bounded_lattice(compiled_field(FIELD).numbers, 20)
    torch.testing.assert_close(torch.from_numpy(dense(bounded).copy()), wanted, atol=2e-3, rtol=1e-4)
    blocks = wanted[7:15, 7:15, 7:15]
    assert bounded.low[1, 1, 1] <= float(blocks.min())
    assert float(blocks.max()) <= bounded.high[1, 1, 1]


@pytest.mark.slow
def test_pictures_by_the_kernels_are_those_of_the_reference():
    camera = Camera.from_spherical(30, 10, 1.9, fov_y_deg=40)
    fine = replace(FIELD.render_config, ray_length=None, coarse_samples=1500)
    truth = trace_rays(FIELD, *camera_rays(camera, 24), fine, sampling="default").values.T.reshape(3, 24, 24)
    found = render(FIELD, camera, resolution=24, config=fine).rgb
    assert psnr(found, truth.clamp(0, 1)) > 34


def test_the_published_rule_weighs_every_ray_by_shares_of_its_way():
    config = FIELD.render_config
    slab = replace(FIELD, render_config=config)
    straight, slanted = torch.tensor([[0.0, 0, 2]]), torch.tensor([[1.9, 0, 2.0]])
    for origin in (straight, slanted):
        towards = torch.nn.functional.normalize(-origin, dim=-1)
        seen = trace_rays(slab, origin, towards)
        count = config.coarse_samples
        start = origin.norm()
        near, far = _way(origin, towards, slab.box_side * config.box_share)
        places = near + (far - near) * (torch.arange(count) + 0.5) / count
        density = slab.density(origin + places[:, None] * towards) * slab.box_side
        expected = 1 - torch.exp(-(density / count).sum())
        assert seen.opacity[0] == pytest.approx(float(expected), abs=1e-4), start


def _way(origin, towards, side):
    times = torch.stack([(-side / 2 - origin) / towards, (side / 2 - origin) / towards])
    return times.amin(0).nan_to_num(-1e9).amax(), times.amax(0).nan_to_num(1e9).amin()


def test_a_ray_that_misses_or_only_grazes_the_box_sees_white():
    half = FIELD.box_side * FIELD.render_config.box_share / 2
    grazing = (
        torch.tensor([[half, 2.0, -2.0 + half - 0.002]]),
        torch.nn.functional.normalize(torch.tensor([[0.0, -1, 1]]), dim=-1),
    )
    missing = torch.tensor([[5.0, 0, 2]]), torch.tensor([[0.0, 0, -1]])
    for origins, directions in (grazing, missing):
        seen = trace_rays(FIELD, origins, directions)
        assert torch.equal(seen.values, torch.ones(1, 3))


@pytest.mark.slow
def test_gradients_of_the_kernels_are_those_of_the_field():
    config = RenderConfig(
        near="box", far="box", coarse_samples=12, fine_samples=0, marcher="classical", background="white"
    )
    field = ball_field(2, 8)
    planes = field.planes.clone().requires_grad_()
    origins, directions = camera_rays(Camera.from_spherical(0, 0, 1.9, fov_y_deg=30), 6)
    distances = torch.linspace(1.2, 2.6, 40).expand(len(origins), -1)
    seen = render_samples(trainable_field(replace(field, planes=planes)), origins, directions, distances, config)
    seen.values.square().sum().backward()
    found, planes = planes.grad, field.planes.clone().requires_grad_()
    moved = replace(field, planes=planes)
    points = origins[:, None] + distances[..., None] * directions[:, None]
    values, raw = moved(points)
    steps = torch.cat([distances.diff(dim=-1), torch.zeros_like(distances[:, :1])], -1)
    thickness = moved.activate(raw) * steps
    before = torch.exp(-torch.nn.functional.pad(thickness.cumsum(-1), (1, 0))[..., :-1])
    (((1 - torch.exp(-thickness)) * before)[..., None] * values).sum(1).square().sum().backward()
    scale = planes.grad.abs().max()
    torch.testing.assert_close(found / scale, planes.grad / scale, atol=2e-3, rtol=0)


@pytest.mark.parametrize("size", [16, 31, 40, 64])
def test_a_deep_network_is_looked_at_and_next_to_nothing_of_its_surface_is_lost(size):
    # As smooth as texels of a trained object are; in noise there is surface everywhere.
    field = ball_field(6, noise=0.03, gain=1.1)
    numbers = compiled_field(field).numbers
    assert is_deep(numbers)
    bounded = bounded_lattice(numbers, size)
    level = float(field.raw_density((torch.rand(2000, 3) - 0.5) * field.box_side).quantile(0.7))
    vertices, faces = find_surface(bounded, level)
    whole, all_faces = find_surface(bounded, level, prune=False)
    assert len(faces) > 100
    assert len(faces) >= 0.995 * len(all_faces)  # a bump within a texel may be
    assert {*map(tuple, vertices.tolist())} <= {*map(tuple, whole.tolist())}
    axis = torch.linspace(-field.box_side / 2, field.box_side / 2, size)
    wanted = field.raw_density(torch.cartesian_prod(axis, axis, axis)).reshape(size, size, size)
    torch.testing.assert_close(
        torch.from_numpy(dense(bounded).copy())[1:-1, 1:-1, 1:-1], wanted[1:-1, 1:-1, 1:-1], atol=2e-3, rtol=1e-4
    )


def test_points_are_looked_at_no_coarser_than_texels():
    numbers = compiled_field(ball_field(6)).numbers  # 16 texels
    assert [spacing(numbers, size) for size in (8, 16, 31, 32, 63, 64, 256)] == [1, 1, 1, 2, 2, 4, 4]
