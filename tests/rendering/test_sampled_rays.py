"""Rays through fields that are asked at points: a lattice of their densities says where, and they say what is there."""

import math
from dataclasses import dataclass, field, replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.sampled import Region, SampledField, density_lattice
from gen3d_tools.rendering.ray_rendering import render_rays, trace_rays
from gen3d_tools.rendering.rays import camera_rays

CAMERA = Camera.from_spherical(25.0, 15.0, 3.0, fov_y_deg=40.0)
CONFIG = RenderConfig(
    near=2.0, far=4.0, coarse_samples=24, fine_samples=24, marcher="classical", jitter="intervals", background="grey"
)


def _ball(points):
    return 40 * (0.5 - points.norm(dim=-1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ball(FunctionField):
    """A ball whose steepness is a tensor, with colours that are its coordinates; asked so many times."""

    steepness: torch.Tensor
    detail: float = 0.08
    asked: list[int] = field(default_factory=list)

    def tensors(self):
        return [self.steepness]

    def raw_density(self, points):
        self.asked.append(points[..., 0].numel())
        return self.steepness * super().raw_density(points)


def make_ball(**options):
    config = replace(CONFIG, **{name: options.pop(name) for name in list(options) if hasattr(CONFIG, name)})
    options = {"raw_density_fn": _ball, "values_fn": lambda points: points / 2 + 0.5, "box_side": 1.4} | options
    return Ball(steepness=torch.tensor(1.0), render_config=config, **options)


def _rays(side=48):
    return camera_rays(CAMERA, side, "centers")


def _converged(ball, rays):
    return trace_rays(ball, *rays, replace(ball.render_config, coarse_samples=256, fine_samples=256))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"density_activation": "softplus", "density_shift": -1.0},
        {"last_interval": 1e10},
        {"background": "last"},
        {"near": "box", "far": "box"},
    ],
    ids=str,
)
def test_pictures_are_nearer_to_the_converged_one_than_the_schemes(options):
    ball, rays = make_ball(**options), _rays()
    with torch.no_grad():
        truth, found, scheme = _converged(ball, rays), render_rays(ball, *rays), trace_rays(ball, *rays)
    for name in ("values", "opacity"):
        errors = [(getattr(seen, name) - getattr(truth, name)).square().mean().sqrt() for seen in (found, scheme)]
        assert errors[0] < 0.01
        assert errors[0] < errors[1] + 2e-3
    solid = truth.opacity > 0.99
    torch.testing.assert_close(found.distance[solid], truth.distance[solid], atol=0.02, rtol=0)


def test_the_field_is_asked_where_light_is_stopped_only():
    ball, rays = make_ball(), _rays(96)
    with torch.no_grad():
        render_rays(ball, *rays)
        ball.asked.clear()
        render_rays(ball, *rays)
        again = sum(ball.asked)
        trace_rays(ball, *rays)
    assert again < 0.1 * (sum(ball.asked) - again)


def test_few_rays_and_gradients_are_traced():
    ball, rays = make_ball(), _rays(4)
    with torch.no_grad():
        few = render_rays(ball, *rays)
        assert torch.equal(few.values, trace_rays(ball, *rays, sampling="default").values)
    origins, directions = _rays()
    origins.requires_grad_()
    render_rays(ball, origins, directions).values.sum().backward()
    assert origins.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"detail": 0.0}, {"bounded": True}], ids=str)
def test_fields_with_detail_of_any_size_or_a_wall_are_traced(options):
    ball, rays = make_ball(**options), _rays()
    with torch.no_grad():
        assert torch.equal(render_rays(ball, *rays).values, trace_rays(ball, *rays, sampling="default").values)


def test_rays_do_not_depend_on_those_beside_them():
    ball, rays = make_ball(), _rays(96)
    with torch.no_grad():
        whole = render_rays(ball, *rays)
        part = render_rays(ball, *(tensor[:6000] for tensor in rays))
    torch.testing.assert_close(part.values, whole.values[:6000], atol=1e-6, rtol=0)


def test_a_lattice_belongs_to_one_state_of_the_tensors():
    ball, region = make_ball(), Region((8, 8, 8))
    before = density_lattice(ball, region, 0.0)
    assert density_lattice(ball, region, 0.0) is before
    ball.steepness.mul_(0.5)
    after = density_lattice(ball, region, 0.0)
    assert after.raw.max() == pytest.approx(before.raw.max() / 2)


def test_a_region_holds_what_is_reached_with_cells_no_larger_than_the_detail():
    ball = make_ball()
    region = Region.holding(ball, torch.tensor([0.7, 0.2, 1.0]))
    half = region.half_side(ball)
    assert half >= 1.0
    assert 2 * half / region.cells(ball) <= ball.detail
    raw = density_lattice(ball, region, 0.0).raw
    axis = torch.linspace(-half, half, len(raw))
    for part, reached in zip(region.indices(ball), (0.7, 0.2, 1.0), strict=True):
        assert axis[part.start] <= -reached
        assert axis[part.stop - 1] >= reached
    assert region.points(ball) < raw.size / 2


def test_families_without_planes_are_sampled_fields():
    assert isinstance(make_ball(), SampledField)
    assert not isinstance(FunctionField(raw_density_fn=_ball), SampledField)


def test_a_density_that_does_not_change_along_a_step_is_no_hole():
    fog = make_ball(raw_density_fn=lambda points: torch.full(points.shape[:-1], 1.7), near=2.3, far=3.7)
    with torch.no_grad():
        seen = render_rays(fog, *_rays())
    torch.testing.assert_close(seen.opacity, torch.full_like(seen.opacity, 1 - math.exp(-1.7 * 1.4)), atol=1e-3, rtol=0)
    assert torch.isfinite(seen.values).all()
