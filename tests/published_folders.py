"""Published TripoSR folders, a few channels wide, as their authors write them: a YAML config and a bare state dict."""

import io
from collections import OrderedDict
from pathlib import Path

import torch

from gen3d_tools.generators.official.triposr import config_of, read_sections, settings_of
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.generators.reconstructors.triposr import TripoSR

CONFIG = """
cond_image_size: 32
image_tokenizer_cls: tsr.models.tokenizers.image.DINOSingleImageTokenizer
image_tokenizer:
  pretrained_model_name_or_path: facebook/dino-vitb16
tokenizer_cls: tsr.models.tokenizers.triplane.Triplane1DTokenizer
tokenizer:
  plane_size: 4
  num_channels: 8
backbone_cls: tsr.models.transformer.transformer_1d.Transformer1D
backbone:
  in_channels: ${tokenizer.num_channels}
  num_attention_heads: 2
  attention_head_dim: 4
  num_layers: 1
  cross_attention_dim: 64
  norm_num_groups: 2
post_processor_cls: tsr.models.network_utils.TriplaneUpsampleNetwork
post_processor:
  in_channels: 8
  out_channels: 4
decoder_cls: tsr.models.network_utils.NeRFMLP
decoder:
  in_channels: 12
  n_neurons: 8
  n_hidden_layers: 3
  activation: silu
renderer_cls: tsr.models.nerf_renderer.TriplaneNeRFRenderer
renderer:
  radius: 0.87
  feature_reduction: concat
  density_activation: exp
  density_bias: -1.0
  num_samples_per_ray: 16
"""

IMAGE = {
    "patch_size": 16,
    "trained_patches": 3,
    "image_width": 64,
    "image_layers": 1,
    "image_heads": 1,
    "image_hidden": 16,
}


def network() -> TripoSR:
    """The network of `CONFIG`, with random weights that are the same every time."""
    from gen3d_tools.checkpoints.configs.strict_yaml import parse_yaml

    config, samples = config_of(read_sections(parse_yaml(CONFIG.encode(), "config.yaml")), IMAGE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = TripoSR(config, settings_of(config, samples))
        for parameter in made.parameters():
            parameter.data = torch.randn_like(parameter) * (0.4 if parameter.ndim > 1 else 0.1)
    return made.eval().requires_grad_(False)


def an_object() -> Reconstruction:
    """What the network makes of a picture of noise."""
    picture = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    return network().reconstruct(picture)


def checkpoint(tensors: dict[str, torch.Tensor] | None = None) -> bytes:
    """What `torch.save` writes of a state dict."""
    file = io.BytesIO()
    torch.save(OrderedDict(network().state_dict() if tensors is None else tensors), file)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """A published folder's files by name."""
    return {"config.yaml": CONFIG.encode(), "model.ckpt": checkpoint()}


def write(folder: Path, **changed: bytes | None) -> Path:
    """Write a folder; a change is a file's new content by its stem, None leaves it out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        data = changed.get(name.partition(".")[0], data)
        if data is not None:
            (folder / name).write_bytes(data)
    return folder
