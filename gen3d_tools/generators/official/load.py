"""Generators straight from published files: which module reads which family."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.checkpoints.configs.config_schema import SETTINGS
from gen3d_tools.checkpoints.configs.schema import check
from gen3d_tools.checkpoints.native import check_shapes
from gen3d_tools.checkpoints.official import OfficialModel, read_official
from gen3d_tools.checkpoints.published_folder import PublishedFolder
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.stylenerf import StyleNerfGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.families.volumegan import VolumeGANGenerator
from gen3d_tools.generators.official import eg3d as official_eg3d
from gen3d_tools.generators.official import epigraf as official_epigraf
from gen3d_tools.generators.official import stylenerf as official_stylenerf
from gen3d_tools.generators.official import threedgp as official_threedgp
from gen3d_tools.generators.official import triposr as official_triposr
from gen3d_tools.generators.official import volumegan as official_volumegan
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.generators.settings import ModelSettings

Translation = Callable[[OfficialModel], tuple[Any, ModelSettings, dict[str, Tensor]]]

OFFICIAL_FAMILIES: dict[str, tuple[type[Generator], Translation]] = {
    "eg3d": (EG3DGenerator, official_eg3d.from_official),
    "epigraf": (EpigrafGenerator, official_epigraf.from_official),
    "stylenerf": (StyleNerfGenerator, official_stylenerf.from_official),
    "threedgp": (ThreeDGPGenerator, official_threedgp.from_official),
    "volumegan": (VolumeGANGenerator, official_volumegan.from_official),
}
"""Family in a pickle -> its generator, and what turns the pickle's words into ours; a new one is added here."""

_log = logging.getLogger(__name__)


@cache
def _converter() -> str:
    return f"gen3d_tools {version('gen3d-tools')}"


def generator_from_pickle(path: Path, *, allow_unknown: bool = False) -> Generator:
    """Build the generator of a published checkpoint, on the CPU.

    Args:
        path: The pickle. Nothing in it is run.
        allow_unknown: See `read_official`. Placeholders are logged as warnings.

    Raises:
        NotFoundError: No such file.
        CheckpointError: It is refused or broken; nothing of it is loaded.
    """
    model = read_official(path, allow_unknown=allow_unknown)
    with refusing(str(path), "no generator can be made of it"):
        generator = generator_from_model(model)
    for warning in model.warnings:
        _log.warning("%s: %s", path, warning)
    return generator


def generator_from_model(model: OfficialModel) -> Generator:
    """Build the generator that a pickle's settings describe, with the pickle's tensors.

    Raises:
        CheckpointError: The settings ask for something else than its family, or do not fit the tensors.
    """
    family, translate = OFFICIAL_FAMILIES[model.family]
    with refusing(model.family, "its settings make no generator of this family"):
        config, settings, tensors = translate(model)
        origin = {"file": model.source, "sha256": model.sha256, "converter": _converter()}
        settings = replace(settings, provenance={**settings.provenance, **origin})
        check(settings.to_dict(), SETTINGS, "its settings")  # as those of a model folder
        with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
            generator = family.from_config(config.to_dict(), settings)
        generator.load_tensors(tensors, model.family)
    return generator


def describe_folder(path: Path) -> dict[str, Any]:
    """Say what a published folder is, without its numbers: family, network and settings.

    Raises:
        CheckpointError: It is refused or broken.
    """
    folder = PublishedFolder(path)
    with refusing(str(path), "no generator can be made of it"):
        config, settings = official_triposr.from_folder(folder)
        origin = {"file": folder.weights.name, "converter": _converter()}
        settings = replace(settings, provenance={**settings.provenance, **origin})
        check(settings.to_dict(), SETTINGS, "its settings")
    return {"family": TripoSR.family, "network": config, "settings": settings}


def generator_from_folder(path: Path) -> Generator:
    """Build the generator of a published folder, on the CPU.

    Args:
        path: Holds `config.yaml` and `model.ckpt`. Nothing in them is run.

    Raises:
        CheckpointError: It is refused or broken; nothing of it is loaded.
    """
    folder, told = PublishedFolder(path), describe_folder(path)
    settings: ModelSettings = told["settings"]
    settings = replace(settings, provenance={**settings.provenance, "sha256": folder.digest()})
    with refusing(str(path), "no generator can be made of it"):
        with torch.device("meta"):
            generator = TripoSR.from_config(told["network"], settings)
        check_shapes(folder.shapes(), generator.state_dict(), str(folder.weights))  # before 1.7 GB are read
        generator.load_tensors(folder.tensors(), str(folder.weights))
    return generator
