"""Writes snapshots as VolumeGAN's training framework does: `torch.save` of state dicts and constructor arguments."""

import io
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor

MODEL_TYPE = "VolumeGANGenerator"


def snapshot(kwargs: Mapping, tensors: Mapping[str, Tensor], name: str = "generator_smooth") -> dict:
    """The parts of a snapshot that say what its generator is."""
    return {
        "models": {name: OrderedDict(tensors)},
        "model_kwargs_init": {name: {"model_type": MODEL_TYPE, **kwargs}},
    }


def archive_bytes(content: object) -> bytes:
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()
