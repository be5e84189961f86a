"""From what people type to a model on disk, and to what its config says; without torch, but for pickles and results."""

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.checkpoints.hub import download
from gen3d_tools.checkpoints.native import TENSORS_NAME, read_config
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.checkpoints.source import PICKLE_SUFFIXES, Source, is_pickle, open_source
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.configs import CONFIGS
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.printable import quoted

if TYPE_CHECKING:  # imports torch
    from gen3d_tools.checkpoints.results import BaseModel

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model is, without its weights."""

    family: str
    network: NetworkConfig
    settings: ModelSettings


def find_source(name: str | Path) -> Source:
    """Find the model, result or published pickle that `name` names, and open its config; see `load_generator`.

    Raises:
        NotFoundError: Nothing by that name; the message lists the nearest bundled names.
        CheckpointError: It is no model, or its config is not JSON.
    """
    path = resolve_model(name)
    return open_source(path, source_name(name, path))


def resolve_model(source: str | Path) -> Path:
    """Find the model or result folder, or the published pickle, that `source` names; see `load_generator`.

    Raises:
        NotFoundError: Nothing by that name; the message lists the nearest bundled names.
        CheckpointError: It is a file of another kind.
    """
    path = Path(source)
    bundled = bundled_models()
    if path.is_dir() or is_pickle(path):
        return path
    if str(source) in bundled:
        return bundled[str(source)]
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file; a model is a folder with config.json and {TENSORS_NAME}, or a published .pkl or .pth"
        )
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise NotFoundError(f"no file {path}; give the .pkl or .pth of a published checkpoint, or a model folder")
    if _REPO_ID.fullmatch(str(source)):
        return download(str(source))
    near = difflib.get_close_matches(str(source), bundled, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"bundled: {', '.join(bundled) or 'none'}"
    raise NotFoundError(
        f"no model {str(source)!r}: {hint}; or give a model folder, a .pkl, a .pth or a Hugging Face id org/name"
    )


def source_name(source: str | Path, found: Path) -> str:
    """Give a name by which a model is found from everywhere: absolute if it is a path."""
    return str(Path(source).absolute()) if found.absolute() == Path(source).absolute() else str(source)


def base_source(source: Source, base: str | Path | None = None) -> Source:
    """Give the model that a result was tuned from; any other model is its own base.

    Args:
        source: A model, a result or a pickle.
        base: See `load_generator`.

    Raises:
        NotFoundError: The base is not there.
        CheckpointError: The config is refused, or the base is not the one that was tuned.
        InputError: There is a base for what is no result.
    """
    if source.kind != "result":
        if base is not None:
            raise InputError(f"{source.path} is a model itself; only a result of an inversion has a base, leave it out")
        return source
    from gen3d_tools.checkpoints.results import base_model, read_result_config
    from gen3d_tools.generators.tuned import find_base

    named = None if base is None else find_source(base)
    return find_base(source.path, base_model(read_result_config(source.path, source.config)), named)


def reference(source: Source) -> "BaseModel":
    """Refer to a model on disk, or to the one that a result was tuned from: by its name, and by its digest.

    Raises:
        CheckpointError: The config of a result is refused.
    """
    from gen3d_tools.checkpoints.results import BaseModel, base_model, read_result_config

    if source.kind == "result":
        return base_model(read_result_config(source.path, source.config))
    name = source.path.name if Path(source.name).is_absolute() else source.name
    return BaseModel(source=name, sha256=source.digest())


def config_digest(source: Source, base: str | Path | None = None) -> str | None:
    """Compute the SHA-256 of what a model's config says; of a result, of its own and of its base's.

    Args:
        source: A model, a result or a pickle.
        base: See `load_generator`.

    Raises:
        Gen3DError: See `base_source`.
    """
    own = source.config_digest()
    if source.kind != "result":
        return own
    both = f"{own} {base_source(source, base).config_digest()}"
    return hashlib.sha256(both.encode()).hexdigest()


def model_config(source: Source, base: str | Path | None = None) -> ModelConfig:
    """Read and check what a model is; of a result, what its base is. A pickle has no header: it is read whole.

    Args:
        source: A model, a result or a pickle.
        base: See `load_generator`.

    Raises:
        NotFoundError: A result's base is not there.
        CheckpointError: The config is refused.
        InputError: There is a base for what is no result.
    """
    source = base_source(source, base)
    if source.kind == "pickle":
        from gen3d_tools.generators.official.load import generator_from_pickle

        generator = generator_from_pickle(source.path)
        return ModelConfig(family=generator.family, network=generator.config, settings=generator.settings)
    if source.kind == "published":
        from gen3d_tools.generators.official.load import describe_folder

        return ModelConfig(**describe_folder(source.path))
    config = read_config(source.path, source.config)
    family: str = config["family"]
    if family not in CONFIGS:
        raise CheckpointError(f"{source.path}: unknown family {quoted(family)}; supported: {', '.join(CONFIGS)}")
    with refusing(str(source.path), "its settings do not fit together"):
        network, settings = CONFIGS[family].from_dict(config["network"]), ModelSettings.from_dict(config)
    return ModelConfig(family=family, network=network, settings=settings)
