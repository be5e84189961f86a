"""3DGP's renderer from planes to picture, in four settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.ray_rendering import trace_rays

GOLDEN = Path(__file__).parents[2] / "golden" / "3dgp"
CLASSICAL = RenderConfig(
    near=0.75,
    far=1.25,
    coarse_samples=8,
    fine_samples=8,
    jitter="intervals",
    marcher="classical",
    last_interval=1e10,
    background="grey",
    importance="plain",
    coarse_unit="ray",
    distance_rule="sum",
)
MIDPOINT = replace(
    CLASSICAL, jitter="outward", marcher="midpoint", last_interval=None, background="none", importance="smoothed"
)
CASES = {
    "uncond_noadaptors": replace(CLASSICAL, last_interval=1e-3, background="last", last_in_coarse_pass=True),
    "full_box": replace(CLASSICAL, near="box", far="box", missed_rays="largest-far"),
    "mip": replace(MIDPOINT, background="white"),
    "mip_inf": replace(MIDPOINT, last_interval=1e10),
}


def load_case(name):
    config = CASES[name]
    golden = load_file(GOLDEN / f"{name}.safetensors")
    settings = json.loads((GOLDEN / f"{name}.json").read_text())["cfg"]
    ray = settings["camera"]["ray"]
    if config.near != "box":
        config = replace(config, near=ray["start"], far=ray["end"])
    config = replace(config, coarse_samples=settings["num_ray_steps"], fine_samples=settings["num_ray_steps"])
    layers = [
        (
            golden[f"params.synthesis.tri_plane_mlp.model.{i}.weight"].float(),
            golden[f"params.synthesis.tri_plane_mlp.model.{i}.bias"].float(),
        )
        for i in (0, 1)
    ]

    def decoder(features):
        (w0, b0), (w1, b1) = layers
        hidden = F.leaky_relu(F.linear(features, w0 / w0.shape[1] ** 0.5, b0), 0.2) * 2**0.5
        out = F.linear(hidden, w1 / w1.shape[1] ** 0.5, b1)
        colors = out[..., :3]
        if config.marcher == "midpoint":
            return torch.sigmoid(colors) * 1.002 - 0.001, out[..., 3]
        return (colors + 1) / 2, out[..., 3]

    fields = [
        TriplaneField(
            planes=planes.unflatten(0, (3, -1)),
            decoder=decoder,
            render_config=config,
            box_side=2 * settings["camera"]["cube_scale"],
            plane_axes="xy-xz-yz",
            align_corners=True,
            density_shift=settings["density_bias"] if config.marcher == "midpoint" else 0.0,
        )
        for planes in golden["out.planes"]
    ]
    return golden, fields


@pytest.mark.parametrize("name", CASES)
def test_field_answers_as_published(name):
    golden, fields = load_case(name)
    for index, field in enumerate(fields):
        values, raw = field(golden["in.coords"][index])
        expected = golden["out.rgb_at_coords"][index]
        if field.render_config.marcher == "classical":
            expected = (expected + 1) / 2
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(raw, golden["out.sigma_at_coords"][index].flatten(), atol=5e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_picture_and_its_intermediates_are_those_published(name):
    golden, fields = load_case(name)
    for index, field in enumerate(fields):
        seen = trace_rays(field, golden["out.ray_o"][index], golden["out.ray_d"][index], keep_samples=True)
        expected = {name: golden[f"out.{name}"][index] for name in ("w_coarse", "t_all", "w_all")}
        torch.testing.assert_close(seen.samples.coarse_weights, expected["w_coarse"], atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.samples.distances, expected["t_all"], atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.samples.ray_weights, expected["w_all"], atol=1e-4, rtol=0)
        image = (seen.values * 2 - 1).T.reshape(3, 16, 16)
        torch.testing.assert_close(image, golden["out.image"][index], atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.distance.reshape(1, 16, 16), golden["out.depth"][index], atol=1e-4, rtol=0)
        torch.testing.assert_close(
            seen.transmittance, golden["out.final_transmittance"][index].flatten(), atol=5e-5, rtol=0
        )
