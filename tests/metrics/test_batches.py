"""Samples rendered together: what a batch shares, and that it is all a batch shares."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.metrics.batches import render_rays_together
from gen3d_tools.rendering.ray_rendering import render_rays
from gen3d_tools.rendering.rays import camera_rays

CONFIG = RenderConfig(near=2.0, far=4.0, coarse_samples=12, fine_samples=6)
BOXED = replace(CONFIG, near="box", far="box")
CAMERAS = Camera.from_spherical([0.0, 50.0], [0.0, 30.0], [3.0, 3.5], fov_y_deg=45.0)
RAYS = camera_rays(CAMERAS, 6)


def cloud(points):
    return 3 - 4 * points.norm(dim=-1)


@pytest.mark.parametrize("config", [CONFIG, BOXED])
@pytest.mark.parametrize("seed", [None, 3])
def test_two_samples_of_one_field_are_one_long_list_of_rays(config, seed):
    field = FunctionField(raw_density_fn=cloud, box_side=1.5, render_config=config, density_activation="softplus")
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    together = render_rays_together([field, field], *RAYS, generator=generator)
    numbers = {}
    if seed is not None:
        generator.manual_seed(seed)
        shape = (72, 12)
        box = config.near == "box"
        offsets = torch.rand(shape[::-1], generator=generator).T if box else torch.rand(shape, generator=generator)
        numbers = {"coarse_offsets": offsets, "fine_positions": torch.rand(72, 6, generator=generator)}
    rays = [tensor.reshape(-1, 3) for tensor in RAYS]
    alone = render_rays(field, *rays, sampling="reference", numbers=numbers)
    for name in ("values", "distance", "opacity"):
        found = torch.cat([getattr(seen, name) for seen in together])
        torch.testing.assert_close(found, getattr(alone, name), atol=1e-6, rtol=1e-6)


def test_missed_rays_and_distances_depend_on_the_whole_batch():
    empty = FunctionField(raw_density_fn=lambda p: torch.full_like(p[..., 0], -1.0), box_side=1.5, render_config=BOXED)
    together = render_rays_together([empty, empty], *RAYS)
    farthest = max(seen.distance.max() for seen in together)
    assert all((seen.distance == farthest).all() for seen in together)
    alone = render_rays_together([empty], RAYS[0][:1], RAYS[1][:1])[0]
    assert alone.distance.max() < farthest
