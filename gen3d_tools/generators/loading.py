"""`load_generator`: a bundled name, a folder, a pickle, or a Hugging Face repository becomes a generator."""

import difflib
import logging
import re
from pathlib import Path

import torch

from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.checkpoints.hub import download
from gen3d_tools.checkpoints.native import TENSORS_NAME, read_config, read_tensors
from gen3d_tools.checkpoints.official import SUFFIXES, is_official
from gen3d_tools.checkpoints.results import BaseModel, is_result, read_result, read_result_config
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.official.load import generator_from_pickle
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.generators.tuned import find_base, tune

FAMILIES: dict[str, type[Generator]] = {
    family.family: family for family in (EG3DGenerator, EpigrafGenerator, GeometryAwareGenerator, ThreeDGPGenerator)
}
"""Every family that can be loaded; a new one is added here."""

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_log = logging.getLogger(__name__)


def choose_device(device: str = "auto") -> torch.device:
    """Resolve "auto" to cuda, else mps, else cpu; anything else is taken as it is.

    Raises:
        InputError: No such device here.
    """
    if device == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} is not available here; try auto, or cpu") from error
    return chosen


def resolve_model(source: str | Path) -> Path:
    """Find the model or result folder, or the published pickle, that `source` names; see `load_generator`.

    Raises:
        NotFoundError: Nothing by that name; the message lists the nearest bundled names.
    """
    path = Path(source)
    bundled = bundled_models()
    if path.is_dir() or is_official(path):
        return path
    if str(source) in bundled:
        return bundled[str(source)]
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file; a model is a folder with config.json and {TENSORS_NAME}, or a published .pkl"
        )
    if path.suffix.lower() in SUFFIXES:
        raise NotFoundError(f"no file {path}; give the .pkl of a published checkpoint, or a model folder")
    if _REPO_ID.fullmatch(str(source)):
        return download(str(source))
    near = difflib.get_close_matches(str(source), bundled, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"bundled: {', '.join(bundled) or 'none'}"
    raise NotFoundError(
        f"no model {str(source)!r}: {hint}; or give a model folder, a .pkl or a Hugging Face id org/name"
    )


def load_settings(source: str | Path) -> tuple[Path, type[Generator], dict[str, object], ModelSettings]:
    """Read what a model is without its weights: folder, family, network section, settings; of a result, its base's.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The config is refused.
    """
    folder = base_folder(resolve_model(source))
    if folder.is_file():
        generator = generator_from_pickle(folder)
        return folder, type(generator), generator.config.to_dict(), generator.settings
    config = read_config(folder)
    family = FAMILIES.get(config["family"])
    if family is None:
        raise CheckpointError(f"{folder}: unknown family {config['family']!r}; supported: {', '.join(FAMILIES)}")
    return folder, family, config["network"], ModelSettings.from_dict(config)


def load_generator(source: str | Path, *, device: str = "auto") -> Generator:
    """Load a trained generator, in evaluation mode and without gradients of its parameters.

    Args:
        source: Bundled name ("shapes"), model folder, result folder of an inversion, published pickle (.pkl; nothing
            in it is run), or Hugging Face repository id ("org/name"). A folder of that name in the current directory
            comes first.
        device: "auto" is cuda, else mps, else cpu; the choice is logged.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The checkpoint is refused or broken; nothing of it is loaded.
        InputError: No such device.
    """
    found = resolve_model(source)
    chosen = choose_device(device)
    generator = _load(found)
    generator.source = source_name(source, found)
    _log.info("loaded %s (%s) on %s", found.name, generator.family, chosen)
    return generator.to(chosen).eval().requires_grad_(False)


def source_name(source: str | Path, found: Path) -> str:
    """Give a name by which a model is found from everywhere: absolute if it is a path."""
    return str(Path(source).absolute()) if found.absolute() == Path(source).absolute() else str(source)


def base_folder(found: Path) -> Path:
    """Give the model that a result folder was tuned from; any other model is its own base.

    Raises:
        NotFoundError: The base is not there.
        CheckpointError: The config is refused, or the base is not the one that was tuned.
    """
    if found.is_file() or not is_result(found):
        return found
    base = read_result_config(found)["base"]
    return find_base(found, BaseModel(**base), resolve_model)


def _load(found: Path) -> Generator:
    if found.is_file():
        return generator_from_pickle(found)
    if not is_result(found):
        return _from_folder(found)
    stored = read_result(found)
    generator = _load(find_base(found, stored.base, resolve_model))
    tune(generator, stored, str(found))
    return generator


def _from_folder(folder: Path) -> Generator:
    _, family, network, settings = load_settings(folder)
    tensors = read_tensors(folder)
    with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
        generator = family.from_config(network, settings)
    generator.load_tensors(tensors, str(folder / TENSORS_NAME))
    return generator
