"""EG3D's renderer, step by step, against numbers of the published code."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from gen3d_tools.rendering.rays import pixel_coordinates, rays_through
from gen3d_tools.rendering.volume.compositing import add_background, blend, march_rays
from gen3d_tools.rendering.volume.sampling import (
    box_limits,
    coarse_shares,
    importance_samples,
    inverse_cdf_samples,
    place_on_rays,
    repaired_limits,
)

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def ops():
    return load_file(GOLDEN / "eg3d" / "ops.safetensors")


def softplus_minus_one(raw):
    return F.softplus(raw - 1)


def test_eg3d_rays():
    golden = load_file(GOLDEN / "eg3d" / "camera.safetensors")
    origins, directions = rays_through(golden["in.rays.cam2world"], golden["in.rays.intrinsics"], pixel_coordinates(5))
    torch.testing.assert_close(origins, golden["out.rays.origins"], atol=1e-6, rtol=0)
    torch.testing.assert_close(directions, golden["out.rays.directions"], atol=1e-6, rtol=0)


def test_eg3d_box(ops):
    near, far = box_limits(ops["in.box.origins"], ops["in.box.directions"], 1.5)
    torch.testing.assert_close(near, ops["out.box.near"][..., 0], atol=1e-5, rtol=0, equal_nan=True)
    torch.testing.assert_close(far, ops["out.box.far"][..., 0], atol=1e-5, rtol=0, equal_nan=True)


def test_eg3d_coarse_samples(ops):
    half = torch.full((2, 3, 5), 0.5)
    shares = coarse_shares("outward", half)

    def placed(near, far, spacing):
        return place_on_rays(shares, torch.full((2, 3), near), torch.full((2, 3), far), spacing)

    torch.testing.assert_close(placed(2.25, 3.3, "linear"), ops["out.strat.linear"][..., 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(placed(0.5, 4.0, "disparity"), ops["out.strat.disparity"][..., 0], atol=1e-5, rtol=0)
    auto = place_on_rays(shares, ops["in.strat.near"][..., 0], ops["in.strat.far"][..., 0], "linear")
    torch.testing.assert_close(auto, ops["out.strat.auto"][..., 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("background", ["none", "white"])
def test_eg3d_marching(ops, background):
    distances = ops["in.march.depths"][..., 0]
    marched = march_rays(ops["in.march.sigma"][..., 0], distances, softplus_minus_one, marcher="midpoint")
    values = add_background(blend(marched.sample_weights, ops["in.march.colors"]), marched.opacity, background)
    expected = ops["out.march.rgb_white1" if background == "white" else "out.march.rgb_white0"]
    torch.testing.assert_close(marched.ray_weights, ops["out.march.weights"][..., 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(values * 2 - 1, expected, atol=2e-6, rtol=0)


def test_eg3d_importance_samples(ops):
    positions = ((torch.arange(7) + 0.5) / 7).expand(1, 6, 7)
    found = importance_samples(
        ops["in.importance.depths"][..., 0], ops["in.importance.weights"][..., 0], positions, "smoothed"
    )
    torch.testing.assert_close(found, ops["out.importance.samples"][..., 0], atol=1e-5, rtol=0)


def test_eg3d_inverse_cdf(ops):
    bins, weights = ops["in.pdf.bins"], ops["in.pdf.weights"]
    found = inverse_cdf_samples(bins[:, : weights.shape[1] + 1], weights, ((torch.arange(7) + 0.5) / 7).expand(6, 7))
    torch.testing.assert_close(found, ops["out.pdf.samples"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", ["", "v_inside."])
def test_eg3d_passes_with_box_limits(variant):
    golden = load_file(GOLDEN / "eg3d" / "auto_limits_4x.safetensors")
    settings = json.loads((GOLDEN / "eg3d" / "auto_limits_4x.json").read_text())["init_kwargs"]["rendering_kwargs"]
    origins = golden[f"out.{variant}ray_origins"][:, None]
    directions = golden[f"out.{variant}ray_directions"]
    near, far = box_limits(origins.expand_as(directions), directions, settings["box_warp"])
    if not variant:
        torch.testing.assert_close(near, golden["out.ray_limit_near"].reshape(near.shape), atol=1e-5, rtol=0)
        torch.testing.assert_close(far, golden["out.ray_limit_far"].reshape(far.shape), atol=1e-5, rtol=0)
    near, far = repaired_limits(near, far, "largest-near")

    sub = {
        name: golden[f"out.{variant}sub.{name}"]
        for name in (
            "depths_coarse",
            "sigma_coarse",
            "weights_coarse",
            "depths_fine",
            "depths_all",
            "sigma_all",
            "weights_all",
        )
    }
    shares = coarse_shares("outward", torch.full((*near.shape, settings["depth_resolution"]), 0.5))
    coarse = place_on_rays(shares, near, far, "linear")
    subset = golden["in.ray_subset"][golden["in.ray_subset"] < near.shape[1]]
    rows = subset if len(subset) == sub["depths_coarse"].shape[1] else torch.arange(sub["depths_coarse"].shape[1])
    torch.testing.assert_close(coarse[:, rows], sub["depths_coarse"], atol=1e-5, rtol=0)

    marched = march_rays(sub["sigma_coarse"], sub["depths_coarse"], softplus_minus_one, marcher="midpoint")
    torch.testing.assert_close(marched.ray_weights, sub["weights_coarse"], atol=1e-5, rtol=0)
    fine = sub["depths_fine"].shape[-1]
    positions = ((torch.arange(fine) + 0.5) / fine).expand_as(sub["depths_fine"])
    found = importance_samples(sub["depths_coarse"], marched.ray_weights, positions, "smoothed")
    torch.testing.assert_close(found, sub["depths_fine"], atol=1e-4, rtol=0)
    final = march_rays(sub["sigma_all"], sub["depths_all"], softplus_minus_one, marcher="midpoint")
    torch.testing.assert_close(final.ray_weights, sub["weights_all"], atol=1e-5, rtol=0)
