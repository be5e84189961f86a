"""The state of a run as one file of tensors: written whole or not at all, read without running anything in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gen3d_tools.checkpoints.native import open_tensors, tensors_of
from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.training.run.trainer import Trainer

STATE_NAME = "state.safetensors"
_FORMAT = "gen3d-tools training"


def write_state(trainer: Trainer, folder: Path, notes: Mapping[str, Any]) -> None:
    """Write everything that the next step depends on.

    Args:
        trainer: The run.
        folder: Where to; the file of the last snapshot is replaced.
        notes: Plain values to keep beside, such as the time spent.
    """
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, network in networks_of(trainer).items()
        for key, value in network.state_dict().items()
    }
    for which, optimiser in trainer.contest.optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{which}.{index}.{key}": torch.as_tensor(value).cpu() for key, value in state.items()}
    facts = {
        "iteration": trainer.iteration,
        "images": trainer.images,
        "strength": 0.0 if trainer.augmentation is None else trainer.augmentation.strength,
        "signs": trainer._signs,
        "recipe": trainer.recipe.to_dict(),
        "name": trainer.recipe.name,
        "small": trainer.recipe.small,
        "finish": trainer.recipe.finish,
        "notes": dict(notes),
    }
    with atomic_path(folder / STATE_NAME, overwrite=True) as temporary:
        temporary.write_bytes(save(tensors, metadata={"format": _FORMAT, "facts": json.dumps(facts)}))


def read_facts(folder: Path) -> dict[str, Any]:
    """Read counters, recipe and notes of a snapshot.

    Raises:
        NotFoundError: There is none.
        CheckpointError: The file is broken, or none of ours.
    """
    path = folder / STATE_NAME
    if not path.is_file():
        raise NotFoundError(f"{folder} holds no {STATE_NAME} to go on from; start without --resume")
    with open_tensors(path) as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is no state of a training run; start anew in another folder")
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts


def read_state(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Put a run where its snapshot was, and give the notes.

    Raises:
        NotFoundError: There is no snapshot.
        CheckpointError: It is broken, or of other networks.
    """
    facts, path = read_facts(folder), folder / STATE_NAME
    tensors = _tensors(path)
    for name, network in networks_of(trainer).items():
        try:
            network.load_state_dict(_named(tensors, name))
        except RuntimeError as error:
            raise CheckpointError(f"{path} was made with another recipe: its {name} does not fit") from error
    for which, optimiser in trainer.contest.optimisers.items():
        prefix = f"adam.{which}."
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, _, name = key[len(prefix) :].partition(".")
                states.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    trainer.iteration, trainer.images = facts["iteration"], facts["images"]
    trainer._signs = list(facts["signs"])
    if trainer.augmentation is not None:
        trainer.augmentation.strength = facts["strength"]
    notes: dict[str, Any] = facts["notes"]
    return notes


def read_networks(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Read the tensors of a snapshot's networks: "generator", "average", "discriminator".

    Raises:
        NotFoundError: There is no snapshot.
        CheckpointError: It is broken.
    """
    read_facts(folder)
    tensors = _tensors(folder / STATE_NAME)
    return {name: _named(tensors, name) for name in ("generator", "average", "discriminator")}


def _tensors(path: Path) -> dict[str, Tensor]:
    with open_tensors(path) as file:
        return tensors_of(file)


def _named(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}


def networks_of(trainer: Trainer) -> dict[str, nn.Module]:
    """Give the networks of a run by their names in its snapshots."""
    return {"generator": trainer.generator, "average": trainer.average, "discriminator": trainer.discriminator}
