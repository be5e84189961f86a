import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.ray_rendering import render_rays, trace_rays

CONFIG = RenderConfig(near=2.0, far=4.0, coarse_samples=24, fine_samples=24)
CLASSICAL = replace(CONFIG, marcher="classical", jitter="intervals", importance="plain")


def straight_rays(*starts):
    origins = torch.tensor(starts, dtype=torch.float32)
    return origins, torch.tensor([0.0, 0.0, -1.0]).expand_as(origins)


def slab(density=1.0, low=-0.5, high=0.5, **options):
    """A fog of constant density between two heights, sharp to 1/1000."""

    def raw(points):
        return density * (1000 * torch.minimum(points[..., 2] - low, high - points[..., 2])).clamp(0, 1)

    return FunctionField(raw_density_fn=raw, **{"render_config": CONFIG, **options})


@pytest.mark.parametrize("config", [CONFIG, CLASSICAL], ids=["midpoint", "classical"])
@pytest.mark.parametrize("sampling", ["reference", "default"])
def test_slab_has_the_opacity_and_mean_distance_of_the_closed_form(config, sampling):
    config = replace(config, coarse_samples=96, fine_samples=96)
    seen = render_rays(slab(1.5), *straight_rays((0, 0, 3)), config, sampling=sampling)
    thick = 1.5
    assert seen.opacity.item() == pytest.approx(1 - math.exp(-thick), abs=0.01)
    mean = 2.5 + (1 / thick - math.exp(-thick) / (1 - math.exp(-thick)))  # mean of a truncated exponential
    assert seen.distance.item() == pytest.approx(mean, abs=0.02)
    torch.testing.assert_close(seen.transmittance, 1 - seen.opacity)


def test_near_slab_hides_the_far_one():
    def raw(points):
        return 200.0 * ((points[..., 2].abs() > 0.2) & (points[..., 2].abs() < 0.6))

    def front_is_red(points):
        front = (points[..., 2] > 0).float()
        return torch.stack([front, 1 - front, torch.zeros_like(front)], -1)

    field = FunctionField(raw_density_fn=raw, values_fn=front_is_red, render_config=CONFIG)
    origins = torch.tensor([[0.0, 0, 3], [0, 0, -3]])
    seen = render_rays(field, origins, -origins / 3)
    torch.testing.assert_close(seen.values, torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("sampling", ["reference", "default"])
@pytest.mark.parametrize(("background", "level"), [("none", 0.0), ("grey", 0.5), ("white", 1.0)])
def test_background_is_exact_where_the_field_is_empty(background, level, sampling):
    field = slab(0.0, bounded=True, render_config=replace(CONFIG, background=background))
    seen = render_rays(field, *straight_rays((0, 0, 3), (9, 0, 3)), sampling=sampling)
    assert seen.values.tolist() == [[level] * 3] * 2
    assert seen.opacity.tolist() == [0.0, 0.0]


def test_rays_that_meet_nothing_have_the_scenes_far_end():
    origins, directions = straight_rays((0, 0, 3), (9, 0, 3))
    assert render_rays(slab(0.0), origins, directions).distance.tolist() == [4.0, 4.0]
    boxed = slab(0.0, render_config=replace(CONFIG, near="box", far="box"))
    expected = origins.norm(dim=-1) + math.sqrt(3)
    torch.testing.assert_close(render_rays(boxed, origins, directions).distance, expected)


def test_exact_distance_of_empty_rays_is_the_farthest_sample_of_the_whole_call():
    field = slab(30.0, render_config=replace(CONFIG, near="box", far="box"))
    origins = torch.tensor([[0.0, 0, 3], [0.9, 0.9, 3], [9, 0, 3]])
    towards = torch.nn.functional.normalize(torch.tensor([[0.0, 0, -1], [0.3, 0.3, -1], [0, 0, -1]]), dim=-1)
    for chunk in (1, 2, 3):
        seen = trace_rays(field, origins, towards, keep_samples=True, chunk_rays=chunk)
        assert seen.distance[2] == seen.samples.distances.max()
        assert seen.opacity[0] > 0.99


def test_rays_beside_a_bounded_field_are_not_followed():
    seen = trace_rays(
        slab(5.0, bounded=True), *straight_rays((0, 0, 3), (9, 0, 3)), sampling="default", keep_samples=True
    )
    assert len(seen.samples.distances) == 1
    assert seen.opacity[0] > 0.9
    assert seen.opacity[1] == 0


def test_cutting_rays_to_the_box_only_adds_accuracy():
    """The same slab, rendered within wide limits: the cut rays are nearer to the closed form."""
    wide = replace(CONFIG, near=0.1, far=9.0, coarse_samples=16, fine_samples=0)
    errors = []
    for bounded in (True, False):
        field = slab(1.5, -1.0, 1.0, box_side=2.0, bounded=bounded, render_config=wide)
        opacity = render_rays(field, *straight_rays((0, 0, 3.3))).opacity.item()
        errors.append(abs(opacity - (1 - math.exp(-3.0))))
    assert errors[0] < 0.01
    assert errors[0] < errors[1]


def test_a_closing_interval_does_not_fill_the_empty_space_behind_a_bounded_field():
    field = slab(0.3, -1.0, 1.0, box_side=2.0, bounded=True, render_config=replace(CLASSICAL, last_interval=1e10))
    assert render_rays(field, *straight_rays((0, 0, 3))).opacity.item() == pytest.approx(1 - math.exp(-0.6), abs=0.02)


@pytest.mark.parametrize("sampling", ["reference", "default"])
def test_camera_inside_the_box_is_finite(sampling):
    field = slab(3.0, -1.0, 1.0, render_config=replace(CONFIG, near="box", far="box"))
    seen = trace_rays(field, *straight_rays((0, 0, 0.2), (0.3, 0.1, 0.0)), sampling=sampling, keep_samples=True)
    assert seen.values.isfinite().all()
    assert seen.opacity[0] > 0.9
    assert (seen.samples.distances.min() < 0) == (
        sampling == "reference"
    )  # the published scheme starts behind the camera


def test_no_ray_meets_the_box():
    field = slab(3.0, bounded=True, render_config=replace(CONFIG, near="box", far="box", background="white"))
    for sampling in ("reference", "default"):
        seen = render_rays(field, *straight_rays((9, 0, 3), (8, 0, 3)), sampling=sampling)
        assert seen.values.tolist() == [[1.0] * 3] * 2
        assert seen.distance.isfinite().all()


@pytest.mark.parametrize("sampling", ["reference", "default"])
@pytest.mark.parametrize("fine_samples", [0, 24])
def test_results_do_not_depend_on_the_chunk(sampling, fine_samples):
    field = slab(3.0, bounded=True, values_fn=lambda p: torch.cat([p, p], -1))
    config = replace(CONFIG, fine_samples=fine_samples)
    origins = torch.randn(37, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + torch.tensor([0.0, 0.0, 3.0])
    directions = torch.tensor([0.0, 0.0, -1.0]).expand(37, 3)
    whole = render_rays(field, origins, directions, config, sampling=sampling, chunk_rays=1000)
    assert whole.values.shape == (37, 6)
    for chunk in (1, 10):
        pieces = render_rays(field, origins, directions, config, sampling=sampling, chunk_rays=chunk)
        for name in ("values", "distance", "opacity", "transmittance"):
            torch.testing.assert_close(getattr(pieces, name), getattr(whole, name), atol=1e-6, rtol=0)


@pytest.mark.parametrize("background", ["none", "last"])
def test_gradients_reach_planes_and_are_finite(background):
    planes = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)).mul_(30).requires_grad_()
    field = TriplaneField(
        planes=planes,
        decoder=lambda features: (features[..., 1:].sigmoid(), features[..., 0]),
        render_config=replace(CLASSICAL if background == "last" else CONFIG, background=background),
        box_side=2.0,
        plane_axes="xy-xz-zx",
        align_corners=False,
        density_shift=-1.0,
        outside="empty",
    )
    for sampling in ("reference", "default"):
        seen = render_rays(field, *straight_rays((0, 0, 3), (0.9, 0.3, 3), (9, 0, 3)), sampling=sampling)
        (gradient,) = torch.autograd.grad(seen.values.sum() + seen.opacity.sum(), planes)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
    loss = render_rays(field, *straight_rays((0, 0, 3), (9, 0, 3))).distance.sum()
    assert torch.autograd.grad(loss, planes)[0].isfinite().all()


@pytest.mark.parametrize("density", [0.0, 1e10, 3e38])
def test_extreme_densities_are_finite(density):
    for config in (CONFIG, replace(CLASSICAL, last_interval=1e10)):
        for sampling in ("reference", "default"):
            seen = render_rays(slab(density), *straight_rays((0, 0, 3)), config, sampling=sampling)
            for tensor in (seen.values, seen.distance, seen.opacity):
                assert tensor.isfinite().all()


def test_given_random_numbers_move_the_samples_and_nothing_else():
    origins, directions = straight_rays((0, 0, 3), (0.1, 0, 3))
    generator = torch.Generator().manual_seed(0)
    numbers = {"coarse_offsets": torch.rand(2, 24, generator=generator), "fine_positions": torch.rand(2, 24)}
    moved = trace_rays(slab(3.0), origins, directions, sampling="default", keep_samples=True, numbers=numbers)
    still = trace_rays(slab(3.0), origins, directions, sampling="default", keep_samples=True)
    assert not torch.equal(moved.samples.distances, still.samples.distances)
    torch.testing.assert_close(moved.opacity, still.opacity, atol=0.05, rtol=0)


def test_a_silly_chunk_is_refused():
    with pytest.raises(InputError, match="chunk_rays is 0"):
        render_rays(slab(), *straight_rays((0, 0, 3)), chunk_rays=0)
