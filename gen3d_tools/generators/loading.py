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
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.checkpoints.results import base_model, is_result, read_result, read_result_config
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.official.load import generator_from_pickle
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.generators.tuned import find_base, tune
from gen3d_tools.printable import quoted

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


def load_settings(
    source: str | Path, *, base: str | Path | None = None
) -> tuple[Path, type[Generator], dict[str, object], ModelSettings]:
    """Read what a model is without its weights: folder, family, network section, settings; of a result, its base's.

    Args:
        source: See `load_generator`.
        base: See `load_generator`.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The config is refused.
    """
    folder = base_folder(resolve_model(source), base)
    if folder.is_file():
        generator = generator_from_pickle(folder)
        return folder, type(generator), generator.config.to_dict(), generator.settings
    config = read_config(folder)
    family = FAMILIES.get(config["family"])
    if family is None:
        known = ", ".join(FAMILIES)
        raise CheckpointError(f"{folder}: unknown family {quoted(config['family'])}; supported: {known}")
    with refusing(str(folder), "its settings do not fit together"):
        return folder, family, config["network"], ModelSettings.from_dict(config)


def load_generator(source: str | Path, *, device: str = "auto", base: str | Path | None = None) -> Generator:
    """Load a trained generator, in evaluation mode and without gradients of its parameters.

    Args:
        source: Bundled name ("shapes"), model folder, result folder of an inversion, published pickle (.pkl; nothing
            in it is run), or Hugging Face repository id ("org/name"). A folder of that name in the current directory
            comes first.
        device: "auto" is cuda, else mps, else cpu; the choice is logged.
        base: The model that a result was tuned from, named like `source`, where it is neither bundled nor beside the
            result. A result is never followed to another place or to the network.

    Raises:
        NotFoundError: No such model, or no base where one is looked for.
        CheckpointError: The checkpoint is refused or broken, or the base is not the one; nothing of it is loaded.
        InputError: No such device, or a base for what is no result.
    """
    found = resolve_model(source)
    chosen = choose_device(device)
    generator = _load(found, base)
    generator.source = source_name(source, found)
    _log.info("loaded %s (%s) on %s", found.name, generator.family, chosen)
    return generator.to(chosen).eval().requires_grad_(False)


def source_name(source: str | Path, found: Path) -> str:
    """Give a name by which a model is found from everywhere: absolute if it is a path."""
    return str(Path(source).absolute()) if found.absolute() == Path(source).absolute() else str(source)


def base_folder(found: Path, base: str | Path | None = None) -> Path:
    """Give the model that a result folder was tuned from; any other model is its own base.

    Args:
        found: A model, a result or a pickle.
        base: See `load_generator`.

    Raises:
        NotFoundError: The base is not there.
        CheckpointError: The config is refused, or the base is not the one that was tuned.
        InputError: There is a base for what is no result.
    """
    if found.is_dir() and is_result(found):
        named = None if base is None else resolve_model(base)
        return find_base(found, base_model(read_result_config(found)), named)
    if base is not None:
        raise InputError(f"{found} is a model itself; only a result of an inversion has a base, leave it out")
    return found


def _load(found: Path, base: str | Path | None) -> Generator:
    model = base_folder(found, base)
    if model is found:
        return _load_model(model)
    stored = read_result(found)
    generator = _load_model(model)
    with refusing(str(found), "it cannot be added to its base model"):
        tune(generator, stored, str(found))
    return generator


def _load_model(model: Path) -> Generator:
    if model.is_file():
        return generator_from_pickle(model)
    _, family, network, settings = load_settings(model)
    tensors = read_tensors(model)
    with refusing(str(model), "no generator can be made of it"):
        with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
            generator = family.from_config(network, settings)
        generator.load_tensors(tensors, str(model / TENSORS_NAME))
    return generator
