"""Rendering without the thinnest densities."""

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.metrics.batches import render_rays_cut
from gen3d_tools.rendering.ray_rendering import BatchContext, trace_rays

CONFIG = RenderConfig(
    near=1.0, far=2.0, coarse_samples=8, fine_samples=8, marcher="classical", importance="plain", jitter="intervals"
)
ORIGINS, DIRECTIONS = torch.zeros(2, 3), torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def slab(density):
    """Full from 1.5 on; thin before."""
    return FunctionField(
        raw_density_fn=lambda points: torch.where(points.norm(dim=-1) > 1.5, density, 0.01 * density),
        render_config=CONFIG,
    )


def test_no_quantile_changes_nothing():
    plain = trace_rays(slab(1.0), ORIGINS, DIRECTIONS)
    cut = trace_rays(slab(1.0), ORIGINS, DIRECTIONS, context=BatchContext(cut_quantile=0.0))
    torch.testing.assert_close(cut.distance, plain.distance, rtol=0, atol=0)


def test_thin_densities_vanish_and_thick_ones_stay():
    whole = trace_rays(slab(1.0), ORIGINS, DIRECTIONS)
    cut = trace_rays(slab(1.0), ORIGINS, DIRECTIONS, context=BatchContext(cut_quantile=0.5))
    assert (cut.opacity < whole.opacity).all()
    solid = FunctionField(
        raw_density_fn=lambda points: torch.where(points.norm(dim=-1) > 1.5, 1.0, 0.0), render_config=CONFIG
    )
    alone = trace_rays(solid, ORIGINS, DIRECTIONS)
    torch.testing.assert_close(cut.opacity, alone.opacity)


def test_quantile_of_a_batch_is_shared():
    thick, thin = slab(1.0), slab(0.005)
    alone = trace_rays(thin, ORIGINS, DIRECTIONS, context=BatchContext(cut_quantile=0.5))
    together = render_rays_cut([thick, thin], ORIGINS.expand(2, 2, 3), DIRECTIONS.expand(2, 2, 3), cut_quantile=0.7)
    assert alone.opacity.min() > 0
    assert together[1].opacity.max() == 0  # all of it is among the thinnest of both
    assert together[0].opacity.min() > 0


def test_batch_of_one_is_the_single_call():
    [one] = render_rays_cut([slab(1.0)], ORIGINS[None], DIRECTIONS[None], cut_quantile=0.3)
    torch.testing.assert_close(
        one.distance, trace_rays(slab(1.0), ORIGINS, DIRECTIONS, context=BatchContext(cut_quantile=0.3)).distance
    )


@pytest.mark.parametrize("quantile", [-0.1, 1.5, float("nan")])
def test_quantile_is_a_share(quantile):
    with pytest.raises(InputError, match="cut_quantile"):
        trace_rays(slab(1.0), ORIGINS, DIRECTIONS, context=BatchContext(cut_quantile=quantile))
