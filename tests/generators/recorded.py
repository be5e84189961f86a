"""Recorded EpiGRAF and 3DGP networks as pickles, small enough for every test."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.support.official_pickles import official_bytes

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILY = {"epigraf": "epigraf", "3dgp": "threedgp"}
ARGUMENTS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "channel_base", "channel_max")


def recorded(name: str) -> tuple[dict, dict[str, torch.Tensor]]:
    """Notes and tensors of a case, such as "epigraf/nobg"."""
    return json.loads((GOLDEN / f"{name}.json").read_text()), load_file(GOLDEN / f"{name}.safetensors")


def state_dict(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The network's tensors as a published file has them."""
    params = {name[7:]: tensor for name, tensor in tensors.items() if name.startswith("params.")}
    return {name: tensor if tensor.dtype == torch.float64 else tensor.float() for name, tensor in params.items()}


def pickle_bytes(name: str, *, change_config=None, change_tensors=None, **options) -> bytes:
    """A case as a published file; the functions change the configuration and the tensors in place."""
    notes, tensors = recorded(name)
    config, params = notes["cfg"], state_dict(tensors)
    for change, value in ((change_config, config), (change_tensors, params)):
        if change is not None:
            change(value)
    made = notes["constructor"]
    kwargs = {key: made[key] for key in ARGUMENTS if key in made}
    clamp = {"synthesis.tri_plane_decoder.b4.conv1": {"conv_clamp": made["conv_clamp"]}}
    return official_bytes(FAMILY[name.partition("/")[0]], kwargs, params, attributes=clamp, config=config, **options)
