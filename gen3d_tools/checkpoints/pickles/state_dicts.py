"""Snapshots that hold state dicts and constructor arguments by the networks' names: VolumeGAN's framework.

`models` has a state dict for each network, `model_kwargs_init` the arguments it was built with. The generator whose
parameters were averaged is `generator_smooth`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.checkpoints.pickles.config_values import NoSettingError, PlainValues
from gen3d_tools.checkpoints.pickles.records import TensorRecord
from gen3d_tools.checkpoints.pickles.torch_archive import TorchArchive
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import listed, quoted

_PREFERRED = ("generator_smooth", "generator")
_MODEL_TYPE = "VolumeGANGenerator"
_MAX_TENSORS = 20_000
_MAX_NAME = 200
_SUPPORTED = "a .pth can be a VolumeGAN snapshot of its training framework"

# First parts of the names of state dicts by which 2-D networks of the papers' tables are known.
_FLAT = {
    "BigGAN": ("blocks.0.0.conv", "generator.layers.", "GBlock"),
    "a diffusion model (ADM)": ("input_blocks.", "time_embed."),
    "a StyleGAN": ("synthesis.", "style.", "convs."),
}


@dataclass(frozen=True, eq=False)
class StateDict:
    """One network of a snapshot."""

    tensors: dict[str, Tensor]
    arguments: dict[str, Any]
    """What its class was called with, its name left out."""
    warnings: list[str]


def read_generator(archive: TorchArchive) -> StateDict:
    """Take the averaged generator out of a snapshot.

    Raises:
        CheckpointError: There is none, or it is another network than VolumeGAN's.
    """
    content = archive.content
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, dict):
        raise CheckpointError(_no_snapshot(content))
    warnings = [f"{name} was replaced by an inert placeholder" for name in archive.unknown]
    chosen = next((name for name in _PREFERRED if isinstance(models.get(name), dict)), None)
    if chosen is None:
        raise CheckpointError(f"it holds {_found(models)}, but no {_PREFERRED[0]}, the averaged generator")
    if chosen != _PREFERRED[0]:
        warnings.append(f"it holds no {_PREFERRED[0]}, so {chosen} is used, whose parameters are not averaged")
    state = models[chosen]
    check_names(state)
    arguments = _arguments(content, chosen, archive)
    if len(state) > _MAX_TENSORS:
        raise CheckpointError(f"it has {len(state)} tensors, more than any checkpoint")
    return StateDict({name: _tensor(name, record, archive) for name, record in state.items()}, arguments, warnings)


def check_names(names: Iterable[Any]) -> None:
    """Refuse what is no VolumeGAN by the names of its state dict.

    Raises:
        CheckpointError: One sentence that says what it is, if that is known.
    """
    named = [name for name in names if isinstance(name, str)]

    def has(prefix: str) -> bool:
        return any(name.startswith(prefix) for name in named)

    if has("ref_representation_generator.") or has("post_cnn."):
        raise CheckpointError(
            "it is VolumeGAN as rewritten in Carver, whose sampling is another; only the original's files are supported"
        )
    if has("nerfmlp.bg_"):
        raise CheckpointError("its network has a background branch (bg_cfg), which the published code cannot run")
    if "nerfmlp.fv.const" in named and "nerfmlp.fg_density.weight" in named:
        return
    if has("nerfmlp."):
        raise CheckpointError("its VolumeGAN network is incomplete; copy or download it again")
    for what, prefixes in _FLAT.items():
        if any(has(prefix) for prefix in prefixes):
            raise CheckpointError(
                f"it is {what}, a network of flat pictures: there is nothing 3-D in it to export; {_SUPPORTED}"
            )
    raise CheckpointError(
        f"its network with parts {_found(dict.fromkeys(part.split('.')[0] for part in named))} "
        f"has no radiance field that is known here; {_SUPPORTED}"
    )


def _no_snapshot(content: Any) -> str:
    """Say what a file without `models` is."""
    if not isinstance(content, dict):
        return f"it holds a {type(content).__name__}, no table of models; {_SUPPORTED}"
    inner = next((content[key] for key in ("state_dict", "g_ema", "model") if isinstance(content.get(key), dict)), None)
    state = content if inner is None else inner
    if any(isinstance(value, TensorRecord) for value in state.values()):
        try:
            check_names(state)
        except CheckpointError as error:
            return str(error)
        return f"it holds a state dict without the snapshot around it (models, model_kwargs_init); {_SUPPORTED}"
    return f"it holds {_found(content)}, but no models; {_SUPPORTED}"


def _found(names: Mapping[Any, Any]) -> str:
    return listed([name for name in names if isinstance(name, str)], 8)


def _arguments(content: dict[Any, Any], chosen: str, archive: TorchArchive) -> dict[str, Any]:
    """Give the constructor arguments of a network as plain values."""
    every = content.get("model_kwargs_init")
    stored = every.get(chosen) if isinstance(every, dict) else None
    if not isinstance(stored, dict):
        raise CheckpointError(f"it lacks the settings of {chosen} (model_kwargs_init); the file is incomplete")
    try:
        values = PlainValues(archive.tensors).plain(stored)
    except NoSettingError as error:
        raise CheckpointError(f"the settings of {chosen} hold something other than settings") from error
    assert isinstance(values, dict)
    found = values.pop("model_type", _MODEL_TYPE)
    if found != _MODEL_TYPE:
        raise CheckpointError(f"its generator is {quoted(found)}, not a {_MODEL_TYPE}; {_SUPPORTED}")
    return values


def _tensor(name: Any, record: Any, archive: TorchArchive) -> Tensor:
    if not isinstance(name, str) or not name.isascii() or not name.isprintable() or len(name) > _MAX_NAME:
        raise CheckpointError("a part of its generator has a name that is no name; the file is damaged")
    if not isinstance(record, TensorRecord):
        raise CheckpointError(f"{name} is no tensor; the file is damaged")
    try:
        tensor = archive.read(record).float()
    except CheckpointError as error:
        raise CheckpointError(f"tensor {name}: {error}") from error
    if not torch.isfinite(tensor).all():
        raise CheckpointError(f"tensor {name} holds NaN or infinity; the weights are unusable")
    return tensor
