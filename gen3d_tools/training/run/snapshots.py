"""The state of a run as one file of tensors: written whole or not at all, read without running anything in it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from gen3d_tools.checkpoints.native import open_tensors, tensors_of
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.printable import listed
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.wording import option

STATE_NAME = "state.safetensors"
_FORMAT = "gen3d-tools training"
_NAMES, _CONTENT, _FEATURES = _DIGESTS = ("names and labels", "what is in their files", "features")


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
        "pictures": pictures_facts(trainer.pictures),
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
        InputError: The run was begun with other pictures.
    """
    facts, path = read_facts(folder), folder / STATE_NAME
    _check_pictures(trainer.pictures, facts.get("pictures"), folder)
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
    trainer.grow()
    trainer._signs = list(facts["signs"])
    if trainer.augmentation is not None:
        trainer.augmentation.strength = facts["strength"]
    notes: dict[str, Any] = facts["notes"]
    return notes


def pictures_facts(pictures: PictureSet) -> dict[str, Any]:
    """Describe a data set so that another one is noticed: in the words of messages, as plain JSON values.

    Where it lies does not count, nor whether it is a folder or an archive. None stands for what is not known: what is
    in files that are read only when they are drawn, and in features that no file holds.
    """
    digest = hashlib.sha256("\0".join(pictures.names).encode(errors="surrogateescape"))
    labels, features = pictures.labels, None
    if pictures.features is not None and pictures.section.features != "encoder":
        features = hashlib.sha256(pictures.features.numpy().tobytes()).hexdigest()
    for rows in (labels.classes, labels.cameras, labels.angles):
        digest.update(b"\0none" if rows is None else np.asarray(rows).tobytes())
    return {
        "number of pictures": pictures.count,
        "side in pixels": pictures.side,
        "classes": list(labels.class_names),
        _NAMES: digest.hexdigest(),
        _CONTENT: pictures.content,
        _FEATURES: features,
    }


def _check_pictures(pictures: PictureSet, begun: Mapping[str, Any] | None, folder: Path) -> None:
    """Refuse to go on with other pictures; runs of earlier versions do not say all of theirs.

    Raises:
        InputError: Something of them differs.
    """
    if begun is None:
        return
    for name, now in pictures_facts(pictures).items():
        then = begun.get(name)
        if then == now or None in (then, now):
            continue
        found, needed = (listed(one) if isinstance(one, list) else str(one) for one in (now, then))
        values = "other ones" if name in _DIGESTS or found == needed else f"{found}, not {needed}"
        begin = f"{option('start', str(folder), typed='--start-from')} in a new folder"
        raise InputError(
            f"{pictures.container.path} does not hold the pictures that the run was begun with ({name}: {values}); "
            f"give those, or begin another run with these: {begin}"
        )


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
