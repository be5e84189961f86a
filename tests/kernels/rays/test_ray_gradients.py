"""Compiled rays with gradients: what plain torch gives at the same samples, in values and in every gradient."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.kernels.network.numbers import DecoderNumbers
from gen3d_tools.rendering.compiled.gradients import render_samples, trainable_field
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.volume.compositing import blend, march_rays
from tests.kernels.conftest import on_threads

SIZE, SIDE, SAMPLES = 9, 4, 11
FLOOR = 1e-4  # of the largest gradient: tensors whose gradients are smaller are compared with this much


class Rays(NamedTuple):
    origins: Tensor
    directions: Tensor
    distances: Tensor


MARCHERS = {
    "midpoint": RenderConfig(near="box", far="box"),
    "midpoint, closed": RenderConfig(near="box", far="box", last_interval=0.2),
    "classical": RenderConfig(near="box", far="box", marcher="classical"),
    "classical, closed": RenderConfig(near="box", far="box", marcher="classical", last_interval=1e10),
    "last": RenderConfig(near="box", far="box", marcher="classical", background="last"),
}
DECODERS = {
    "one layer": lambda: Decoder(8, [64], 3),
    "features": lambda: Decoder(12, [40], 9, lr_multiplier=0.5),
    "two layers": lambda: Decoder(8, [64, 32], 3, density_gain=4.0),
    "leaky": lambda: PlaneDecoder(8, 64, 2),
    "leaky, deep": lambda: PlaneDecoder(16, 24, 4, color_activation="sigmoid"),
}


def make_field(decoder: str, seed: int, **options) -> TriplaneField:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DECODERS[decoder]()
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter)
        channels = 12 if decoder == "features" else 16 if decoder == "leaky, deep" else 8
        planes = torch.randn(3, channels, SIZE, SIZE)
    chosen = {"plane_axes": "xy-xz-zy", "align_corners": False, "box_side": 1.4} | options
    return TriplaneField(planes=planes, decoder=network, render_config=MARCHERS["midpoint"], **chosen)


def make_rays(seed: int, samples: int = SAMPLES) -> Rays:
    random = torch.Generator().manual_seed(seed)
    yaw, pitch, fov = (torch.rand(3, generator=random) * torch.tensor([360.0, 120.0, 50.0])).tolist()
    camera = Camera.from_spherical(yaw, pitch - 60, 2.0, fov_y_deg=10 + fov)
    origins, directions = camera_rays(camera, SIDE)
    distances = (0.8 + 2.4 * torch.rand(len(origins), samples, generator=random)).sort(-1).values
    return Rays(origins.clone(), directions.clone(), distances)


def plain(field, rays, config, width=1.0):
    """The reference: every sample evaluated and blended by torch."""
    origins, directions, distances = rays
    points = origins[:, None] + distances[..., None] * directions[:, None]
    values, raw = field(points)
    marched = march_rays(
        raw,
        distances,
        lambda one: activate_density((one + field.density_shift) / width, field.density_activation) * width,
        marcher=config.marcher,
        last_interval=config.last_interval,
        last_takes_rest=config.background == "last",
    )
    moment = (marched.sample_weights * distances).sum(-1)
    ends = (moment, marched.opacity, marched.transmittance, marched.transmittance_before_last)
    return torch.cat([blend(marched.sample_weights, values), torch.stack(ends, -1)], -1)


def compiled(field, rays, config, width=1.0, threshold=0.0):
    laid_out = trainable_field(field)
    assert laid_out is not None
    seen = render_samples(laid_out, *rays, config, width=width, threshold=threshold)
    ends = (seen.distance_sum, seen.opacity, seen.transmittance, seen.transmittance_before_last)
    return torch.cat([seen.values, torch.stack(ends, -1)], -1)


def with_gradients(field, rays, render, dtype, seed):
    """Give a picture and the gradients of a random loss: of planes, decoder, origins and directions."""
    planes = field.planes.to(dtype, copy=True).requires_grad_()
    decoder = copy.deepcopy(field.decoder).to(dtype).requires_grad_(True)
    origins, directions = (one.to(dtype, copy=True).requires_grad_() for one in rays[:2])
    moved = Rays(origins, directions, rays.distances.to(dtype))
    seen = render(replace(field, planes=planes, decoder=decoder), moved)
    random = torch.Generator().manual_seed(seed)
    weights, targets = torch.randn(2, *seen.shape, generator=random).to(dtype)
    loss = (weights * seen).sum() + (seen - targets).square().sum()
    gradients = torch.autograd.grad(loss, [planes, origins, directions, *decoder.parameters()])
    return seen.detach().double(), [one.double() for one in gradients]


def agree(found, wanted):
    floor = FLOOR * max(float(one.norm()) for one in wanted) + 1e-12
    for ours, theirs in zip(found, wanted, strict=True):
        size = max(float(theirs.norm()), floor)
        if float((ours - theirs).norm()) > 1e-3 * size:
            return False
        cosine = float((ours * theirs).sum() / (ours.norm() * theirs.norm()).clamp_min(1e-30))
        if float(theirs.norm()) > floor and cosine < 0.99999:
            return False
    return True


def check(field, rays, config, *, width=1.0, seed=0, atol=1e-5):
    """Compare values and gradients with double precision.

    Where a texel or a leaky ReLU ends, gradients jump, and rounding chooses the side: there the plain path decides in
    single precision.
    """
    seen, gradients = with_gradients(field, rays, lambda *w: compiled(*w, config, width), torch.float32, seed)
    exact, wanted = with_gradients(field, rays, lambda *w: plain(*w, config, width), torch.float64, seed)
    torch.testing.assert_close(seen, exact, atol=atol, rtol=1e-5)
    if not agree(gradients, wanted):
        _, rounded = with_gradients(field, rays, lambda *w: plain(*w, config, width), torch.float32, seed)
        assert not agree(rounded, wanted), "only the compiled path is wrong"
        assert agree(gradients, rounded)
    return seen, wanted


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    decoder=st.sampled_from(sorted(DECODERS)),
    axes=st.sampled_from(["xy-xz-zx", "xy-xz-yz", "xy-xz-zy"]),
    align_corners=st.booleans(),
    combine=st.sampled_from(["mean", "sum"]),
    outside=st.sampled_from(["decode", "empty"]),
    activation=st.sampled_from(["softplus", "relu"]),
    shift=st.sampled_from([-3.0, 0.0, 2.0]),
    marcher=st.sampled_from(sorted(MARCHERS)),
    width=st.sampled_from([1.0, 2.5]),
    seed=st.integers(0, 10_000),
)
def test_values_and_gradients_are_those_of_double_precision(
    decoder, axes, align_corners, combine, outside, activation, shift, marcher, width, seed
):
    field = make_field(
        decoder,
        seed,
        plane_axes=axes,
        align_corners=align_corners,
        combine=combine,
        outside=outside,
        density_activation=activation,
        density_shift=shift,
    )
    check(field, make_rays(seed), MARCHERS[marcher], width=width, seed=seed)


@pytest.mark.parametrize("marcher", MARCHERS)
def test_a_thin_shell_between_samples_is_seen_where_plain_torch_sees_it(marcher):
    field = make_field("two layers", 3)
    field.decoder.density_gain = 300.0  # from empty to opaque within a hundredth of the box
    check(field, make_rays(4, samples=60), MARCHERS[marcher], atol=1e-4)


@pytest.mark.parametrize(("shift", "most"), [(-40.0, 1e-4), (60.0, 1.0)])
@pytest.mark.parametrize("decoder", ["one layer", "leaky"])
def test_empty_and_saturated_rays(decoder, shift, most):
    field = make_field(decoder, 5, density_shift=shift, combine="mean")
    seen, _ = check(field, make_rays(6), MARCHERS["midpoint"])
    assert seen[:, -3].max() <= most + 1e-6
    assert most < 1 or seen[:, -3].min() > 0.999


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("outside", ["decode", "empty"])
def test_rays_along_the_faces_and_edges_of_the_box(align_corners, outside):
    field = make_field("one layer", 7, align_corners=align_corners, outside=outside)
    half = field.box_side / 2
    starts = torch.tensor([[half, 0.1, -1.5], [-half, 0.1, -1.5], [half, half, -1.5], [0.1, -half, -1.5], [0, 0, -1.5]])
    directions = torch.tensor([[0.0, 0.0, 1.0]]).repeat(len(starts), 1)
    distances = torch.linspace(0.7, 2.3, 17).repeat(len(starts), 1)  # the first and the last lie beyond the box
    for marcher in ("midpoint", "classical"):
        rays = Rays(starts, directions, distances)
        exact, wanted = with_gradients(field, rays, lambda *w: plain(*w, MARCHERS[marcher]), torch.float32, 0)  # noqa: B023
        seen, found = with_gradients(field, rays, lambda *w: compiled(*w, MARCHERS[marcher]), torch.float32, 0)  # noqa: B023
        torch.testing.assert_close(seen, exact, atol=1e-5, rtol=1e-5)
        assert agree(found, wanted)
        assert all(one.norm() > 0 for one in wanted)


@pytest.mark.parametrize("decoder", ["two layers", "leaky"])
def test_the_plain_path_agrees_with_finite_differences_in_double(decoder):
    field, config = make_field(decoder, 8), MARCHERS["classical, closed"]
    field = replace(field, planes=field.planes.double(), decoder=copy.deepcopy(field.decoder).double())
    rays = Rays(*(one.double() for one in make_rays(9)))
    parts = [field.planes, *rays[:2], *(one.detach() for one in field.decoder.parameters())]
    random = torch.Generator().manual_seed(1)
    ways = [torch.randn(part.shape, generator=random).double() for part in parts]

    def loss(*moved):
        decoder = copy.deepcopy(field.decoder)
        names = [name for name, _ in decoder.named_parameters()]
        inside = replace(field, planes=moved[0], decoder=lambda x: torch.func.functional_call(decoder, given, x))
        given = dict(zip(names, moved[3:], strict=True))
        return plain(inside, Rays(*moved[1:3], rays.distances), config).square().sum()

    leaves = [part.clone().requires_grad_() for part in parts]
    slopes = torch.autograd.grad(loss(*leaves), leaves)
    for index, (slope, way) in enumerate(zip(slopes, ways, strict=True)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = list(parts)
            moved[index] = moved[index] + step * way
            ends.append(float(loss(*moved)))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float((slope * way).sum()), rel=1e-3, abs=1e-4)


@torch.no_grad()
def test_samples_below_the_threshold_have_no_part():
    field, rays, config = make_field("one layer", 10), make_rays(11), MARCHERS["midpoint"]
    points = rays.origins[:, None] + rays.distances[..., None] * rays.directions[:, None]
    raw = field.raw_density(points)
    weights = march_rays(raw, rays.distances, field.activate, marcher="midpoint").sample_weights
    ordered = weights.flatten().sort().values
    threshold = float(ordered[90:92].mean())  # between two
    seen = compiled(field, rays, config, threshold=threshold)[:, :3]
    kept = weights * (weights > threshold)
    torch.testing.assert_close(seen, blend(kept, field(points)[0]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_surface_that_fine_samples_open_is_looked_behind():
    """Behind a coarse interval that looks opaque nothing is evaluated, until finer samples show light there."""
    field = make_field("one layer", 12)
    field.decoder.density_gain = 2000.0
    rays, config = make_rays(13, samples=12), MARCHERS["classical"]
    positions = [torch.linspace(0.05, 0.95, 7)[None] for _ in range(2)]
    laid_out = trainable_field(field)
    at, raw = laid_out.place(config, 1.0, rays.origins, rays.directions, rays.distances, positions)
    points = rays.origins[:, None] + at[..., None] * rays.directions[:, None]
    exact = field.raw_density(points)
    lights = march_rays(exact, at, field.activate, marcher="classical").ray_weights.cumsum(-1)
    lit = torch.cat([torch.ones(len(at), 1), 1 - lights[:, :-1]], -1) > 1e-5
    assert not lit.all()
    torch.testing.assert_close(raw[lit], exact[lit], atol=0.05, rtol=1e-4)


class Wide(nn.Module):
    """A decoder that says nothing of itself."""

    def forward(self, features):
        return features[..., :3], features[..., 3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda field: replace(field, decoder=Wide()), "fully connected"),
        (lambda field: replace(field, decoder=Decoder(8, [80], 3)), "80 units"),
        (lambda field: replace(field, planes=field.planes.double()), "float64"),
        (lambda field: replace(field, planes=field.planes[..., :-1]), "not square"),
        (lambda field: replace(field, planes=field.planes * float("nan")), "not finite"),
    ],
)
def test_what_is_not_covered_is_said_once(change, reason, caplog, monkeypatch):
    from gen3d_tools.rendering.compiled import gradients

    monkeypatch.setattr(gradients, "_told", set())
    field = change(make_field("one layer", 0))
    with caplog.at_level("INFO", logger="gen3d_tools"):
        assert trainable_field(field) is None
        assert trainable_field(field) is None
    assert [reason in record.message for record in caplog.records] == [True]


def test_both_decoders_give_their_numbers_as_tensors():
    for make in DECODERS.values():
        decoder = make()
        numbers = decoder.numbers()
        assert isinstance(numbers, DecoderNumbers)
        for (weight, bias), *wanted in zip(decoder.tensors(), numbers.weights, numbers.biases, strict=True):
            assert weight.requires_grad
            assert np.array_equal(weight.detach().numpy(), wanted[0])
            assert np.array_equal(bias.detach().numpy(), wanted[1])


SCRIPT = """
import hashlib, json, sys
from dataclasses import replace
import torch
sys.path.insert(0, {root!r})
from tests.kernels.rays.test_ray_gradients import MARCHERS, Rays, compiled, make_field, make_rays
from gen3d_tools.rendering.compiled.gradients import trainable_field

torch.set_num_threads(int(sys.argv[2]))
field = make_field("two layers", 1)
rays = Rays(*(torch.cat([part] * 90) for part in make_rays(2)))
rays = Rays(*(part + 0.1 * torch.rand(part.shape, generator=torch.Generator().manual_seed(3)) for part in rays))
rays = Rays(*rays[:2], rays.distances.sort(-1).values)
leaves = [part.clone().requires_grad_() for part in (field.planes, *rays[:2])]
moved = replace(field, planes=leaves[0])
seen = compiled(moved, Rays(*leaves[1:], rays.distances), MARCHERS["classical"])
slopes = torch.autograd.grad(seen.square().sum(), [*leaves, *field.decoder.parameters()])
fine = torch.rand(2, len(rays.origins), 6, generator=torch.Generator().manual_seed(4))
placed = trainable_field(field).place(MARCHERS["midpoint"], 1.0, *rays, list(fine))
parts = [seen.detach(), *slopes, *placed]
print(json.dumps([hashlib.sha256(part.contiguous().numpy().tobytes()).hexdigest() for part in parts]))
"""


@pytest.mark.slow
def test_one_two_and_four_threads_give_the_same_bytes(tmp_path):
    first, *others = on_threads(SCRIPT.format(root=str(Path(__file__).parents[2])), tmp_path, 1, 2, 4)
    assert all(other == first for other in others)


MEMORY = """
import json, resource, sys
from dataclasses import replace
import torch
import gen3d_tools as g3
from benchmarks.measuring.timing import peak_bytes
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.rays import pixel_coordinates

torch.manual_seed(0)
config = RenderConfig(near=2.25, far=3.3, coarse_samples=48, fine_samples=48)
field = TriplaneField(
    planes=torch.randn(3, 32, 256, 256).requires_grad_(), decoder=Decoder(32, [64], 32), render_config=config,
    box_side=1.0, plane_axes="xy-xz-zx", align_corners=False,
)
camera = Camera.from_spherical(20.0, 10.0, 2.7, fov_y_deg=24.0)
render_differentiable(field, camera, pixel_coordinates(8)).rgb.square().sum().backward()
before = peak_bytes()
render_differentiable(field, camera, pixel_coordinates(128)).rgb.square().sum().backward()
print(json.dumps({"more": peak_bytes() - before}))
"""


@pytest.mark.slow
def test_a_large_view_takes_less_memory_than_300_mb(tmp_path):
    (measured,) = on_threads(MEMORY, tmp_path, 1)
    assert measured["more"] < 300e6
