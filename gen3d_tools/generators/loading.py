"""`load_generator`: a bundled name, a folder, a pickle, or a Hugging Face repository becomes a generator."""

import logging
from pathlib import Path

import torch

from gen3d_tools.checkpoints.native import read_tensors
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.checkpoints.results import read_result
from gen3d_tools.checkpoints.source import Source
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.generators.families.stylenerf import StyleNerfGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.families.volumegan import VolumeGANGenerator
from gen3d_tools.generators.official.load import generator_from_folder, generator_from_pickle
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.generators.source import base_source, find_source, model_config
from gen3d_tools.generators.tuned import tune

FAMILIES: dict[str, type[Generator]] = {
    family.family: family
    for family in (
        EG3DGenerator,
        EpigrafGenerator,
        GeometryAwareGenerator,
        Reconstruction,
        StyleNerfGenerator,
        ThreeDGPGenerator,
        TripoSR,
        VolumeGANGenerator,
    )
}
"""Every family that can be loaded; a new one is added here, and its config to `configs.CONFIGS`."""

_log = logging.getLogger(__name__)


def choose_device(device: str = "auto") -> torch.device:
    """Resolve "auto" to cuda, else mps, else cpu; anything else, in capitals or not, is taken as it is.

    Raises:
        InputError: No such device here, or one that computes nothing.
    """
    device = device.strip().lower()
    if device == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()  # "meta" has shapes only
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} is not available here; try auto, or cpu") from error
    return chosen


def load_generator(source: str | Path, *, device: str = "auto", base: str | Path | None = None) -> Generator:
    """Load a trained generator, in evaluation mode and without gradients of its parameters.

    Args:
        source: Bundled name ("shapes"), model folder, result folder of an inversion, published checkpoint (.pkl or
            .pth, or a folder of config.yaml and model.ckpt; nothing in it is run), or Hugging Face repository id
            ("org/name"). A folder of that name in the current directory comes first.
        device: "auto" is cuda, else mps, else cpu; the choice is logged.
        base: The model that a result was tuned from, named like `source`, where it is neither bundled nor beside the
            result. A result is never followed to another place or to the network.

    Raises:
        NotFoundError: No such model, or no base where one is looked for.
        CheckpointError: The checkpoint is refused or broken, or the base is not the one; nothing of it is loaded.
        InputError: No such device, or a base for what is no result.
    """
    found = find_source(source)
    chosen = choose_device(device)
    generator = _load(found, base)
    generator.source = found.name
    _log.info("loaded %s (%s) on %s", found.path.name, generator.family, chosen)
    return generator.to(chosen).eval().requires_grad_(False)


def _load(source: Source, base: str | Path | None) -> Generator:
    model = base_source(source, base)
    if model is source:
        return _load_model(model)
    stored = read_result(source.path, source.config)
    generator = _load_model(model)
    with refusing(str(source.path), "it cannot be added to its base model"):
        tune(generator, stored, str(source.path))
    return generator


def _load_model(source: Source) -> Generator:
    if source.kind == "pickle":
        return generator_from_pickle(source.path)
    if source.kind == "published":
        return generator_from_folder(source.path)
    model, tensors = model_config(source), read_tensors(source.path)
    with refusing(str(source.path), "no generator can be made of it"):
        with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
            generator = FAMILIES[model.family].from_config(model.network, model.settings)
        generator.load_tensors(tensors, str(source.tensors))
    return generator
