"""From a result folder to a tuned generator: find the base model, add what tuning changed, set the pivot."""

import os
from collections.abc import Callable
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.checkpoints.results import BaseModel, StoredResult, is_result, tensors_digest, tensors_file
from gen3d_tools.checkpoints.weight_delta import add_difference
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.pivot import Pivot


def find_base(folder: Path, base: BaseModel, resolve: Callable[[str], Path]) -> Path:
    """Find the model that a result was tuned from, and check that it is still the same.

    Args:
        folder: The result folder. A base beside it is found by its relative path, so that both can move together.
        base: What the result says about it.
        resolve: Finds a bundled name or a Hugging Face id.

    Raises:
        NotFoundError: It is nowhere.
        CheckpointError: What is there is another model.
    """
    if base.path is None:
        try:
            found = resolve(base.source)
        except NotFoundError as error:
            raise NotFoundError(
                f"{folder} was tuned from the model {base.source}, which is not there: {error}"
            ) from error
    else:
        places = [Path(os.path.normpath(folder.absolute() / base.source)), Path(base.path)]
        existing = [place for place in places if place.exists()]
        if not existing:
            raise NotFoundError(f"{folder} was tuned from the model {base.path}, which is not there; put it back")
        found = existing[0]
    if found.is_dir() and is_result(found):
        raise CheckpointError(f"{folder} says it was tuned from {found}, which is a result itself, not a model")
    if not tensors_file(found).is_file():
        raise NotFoundError(f"{folder} was tuned from the model {found}, which has no tensors any more; restore it")
    if (digest := tensors_digest(found)) != base.sha256:
        raise CheckpointError(
            f"{folder} was tuned from another {base.source}: its sha256 began with {base.sha256[:12]}, that of {found} "
            f"begins with {digest[:12]}; restore the old model, or invert the photo again"
        )
    return found


def tune(generator: Generator, stored: StoredResult, where: str) -> None:
    """Turn a base model, in place, into the tuned one.

    Args:
        generator: The base model as loaded.
        stored: The result.
        where: Names the folder in errors.

    Raises:
        CheckpointError: The result does not fit the generator.
    """
    classes, index = len(generator.class_names), stored.class_index
    if (index is None) != (classes == 0) or (index is not None and index >= classes):
        raise CheckpointError(f"{where} does not fit its base model: class {index} of {classes}")
    wanted = (1, generator.num_ws, generator.config.w_dim)
    if stored.ws.shape != wanted:
        raise CheckpointError(
            f"{where} does not fit its base model: its latent is {list(stored.ws.shape)}, not {wanted}"
        )
    try:
        camera = Camera.from_eg3d_label(stored.camera)
    except InputError as error:
        raise CheckpointError(f"{where}: {error}") from error
    add_difference(generator.state_dict(), stored.difference, where)
    generator.pivot = Pivot(stored.ws, camera, index)
