"""Published pickles small enough for every test."""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from gen3d_tools.cameras.distributions.named import FixedCamera, GaussianLookAt
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.families.eg3d import EG3DConfig, EG3DGenerator
from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.generators.settings import ModelSettings
from tests.support.official_pickles import official_bytes
from tests.support.pickle_nodes import Layout

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDERS = {"epigraf": "epigraf", "threedgp": "3dgp"}
KWARGS = {
    "z_dim": 4,
    "c_dim": 25,
    "w_dim": 4,
    "img_resolution": 128,
    "img_channels": 3,
    "sr_num_fp16_res": 0,
    "mapping_kwargs": {"num_layers": 2, "embed_features": 4, "layer_features": 4},
    "channel_base": 32,
    "channel_max": 4,
    "conv_clamp": None,
    "sr_kwargs": {},
    "rendering_kwargs": {
        "depth_resolution": 6,
        "depth_resolution_importance": 4,
        "ray_start": 2.25,
        "ray_end": 3.3,
        "box_warp": 1,
        "disparity_space_sampling": False,
        "clamp_mode": "softplus",
        "superresolution_module": "training.superresolution.SuperresolutionHybrid2X",
        "superresolution_noise_mode": "none",
        "sr_antialias": True,
        "c_gen_conditioning_zero": False,
        "c_scale": 1.0,
    },
}


def eg3d_tensors() -> dict[str, Tensor]:
    """Give the state dict, with the constant filters that published files carry."""
    config = EG3DConfig(
        z_dim=4,
        w_dim=4,
        embed_dim=4,
        mapping_width=4,
        plane_resolution=8,
        plane_channels=4,
        channel_base=32,
        channel_max=4,
        decoder_width=4,
        super_resolution="2x",
    )
    view = {"radius": 2.7, "fov_y_deg": 13.4}
    render_config = RenderConfig(near=2.25, far=3.3)
    settings = ModelSettings(
        render_config=render_config, camera_distribution=GaussianLookAt(**view), default_view=FixedCamera(**view)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = EG3DGenerator(config, settings).state_dict()
    constant = low_pass_filter(torch.float32, torch.device("cpu"))
    layers = {name.rpartition(".")[0] for name in tensors if name.endswith("noise_const")}
    return tensors | {f"{layer}.resample_filter": constant.clone() for layer in sorted(layers)}


def eg3d_bytes(layout: Layout | None = None, **options) -> bytes:
    """Write the whole snapshot; options as for `official_bytes`."""
    attributes = {"": {"neural_rendering_resolution": 8}}
    return official_bytes("eg3d", KWARGS, eg3d_tensors(), layout=layout, **{"attributes": attributes, **options})


@cache
def recorded_bytes(family: str, *, classes: bool = False) -> bytes:
    """Write the snapshot of a recorded EpiGRAF or 3DGP generator: the first, or the first with classes."""
    for path in sorted((GOLDEN / FOLDERS[family]).glob("*.json")):
        case = json.loads(path.read_text())
        if "cfg" in case and (not classes or case["constructor"]["c_dim"]):
            stored = load_file(path.with_suffix(".safetensors"))
            params = {name[7:]: value for name, value in stored.items() if name.startswith("params.")}
            params = {name: value if value.element_size() == 8 else value.float() for name, value in params.items()}
            return official_bytes(family, case["constructor"], params, config=case["cfg"])
    raise FileNotFoundError(f"no recorded {family} generator in {GOLDEN}")
