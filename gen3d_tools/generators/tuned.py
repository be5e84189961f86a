"""From a result folder to a tuned generator: find the base model, add what tuning changed, set the pivot."""

import os
from pathlib import Path, PurePath

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.checkpoints.results import BaseModel, StoredResult
from gen3d_tools.checkpoints.source import Source, is_pickle, open_source
from gen3d_tools.checkpoints.weight_delta import add_difference
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.printable import quoted
from gen3d_tools.wording import option


def find_base(folder: Path, base: BaseModel, named: Source | None = None) -> Source:
    """Find the model that a result was tuned from, and check that it is the one.

    A result may come from anybody, so it does not say where to look: a path could be any file of this machine, and a
    Hugging Face id would open the network with the person's token. A base is a bundled model, a folder or pickle of
    its name beside the result, or what the person names.

    Args:
        folder: The result folder.
        base: What the result says about it.
        named: The model that the person says it is.

    Raises:
        NotFoundError: It is in none of these places.
        CheckpointError: What is there is another model.
    """
    name = PurePath(base.source).name
    found = named or _known(folder, base, name)
    if found is None:
        raise NotFoundError(
            f"{folder} was tuned from the model {quoted(base.source)}, which is neither bundled nor beside the result; "
            f"put it there, or name it with {option('base')}"
        )
    if found.kind == "result":
        raise CheckpointError(f"{folder} says it was tuned from {found.path}, which is a result itself, not a model")
    if not found.tensors.is_file():
        raise NotFoundError(
            f"{folder} was tuned from the model {found.path}, which has no tensors any more; restore it"
        )
    if found.digest() != base.sha256:
        raise CheckpointError(
            f"{folder} was tuned from another {quoted(name)} than {found.path}: its sha256 began with "
            f"{base.sha256[:12]}; name the right one with {option('base')}, restore the old model, "
            "or invert the photo again"
        )
    return found


def _known(folder: Path, base: BaseModel, name: str) -> Source | None:
    """The bundled model of that name, or what stands beside the result under it."""
    bundled = bundled_models()
    if base.source in bundled:
        return open_source(bundled[base.source], base.source)
    if not name.isprintable() or name in ("", ".", ".."):
        return None
    beside = Path(os.path.abspath(folder)).parent / name
    return open_source(beside, str(beside)) if beside.is_dir() or is_pickle(beside) else None


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
