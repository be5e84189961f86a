"""`gen3d info`, `models`, `classes`: what a model is, from its config and the header of its tensors.

No weights are read into memory, so a model of any size answers at once.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.checkpoints.native import CONFIG_NAME, FORMAT, read_json, read_layout
from gen3d_tools.checkpoints.published_folder import PublishedFolder
from gen3d_tools.checkpoints.source import RESULT_FORMAT, Source
from gen3d_tools.errors import CheckpointError, Gen3DError, InputError
from gen3d_tools.generators.catalogue import CATALOGUE, FLAT_GENERATORS
from gen3d_tools.generators.configs import BUFFERS
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.generators.source import base_source, find_source, model_config
from gen3d_tools.workflows.running.places import model_name

MODELS_FOLDER = Path("models")


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """One model, as far as can be told without its weights."""

    name: str
    folder: Path  # or the published pickle
    family: str
    settings: ModelSettings
    network: dict[str, Any]  # the network's config
    scene: str  # what a scene is made of, in words
    parameters: int  # trained numbers
    precision: str  # how they are stored, such as "float16"
    size_bytes: int  # of the folder's files
    result: dict[str, Any] | None = None  # of an inversion's result: base, photos, camera, metrics

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "family": self.family,
            "parameters": self.parameters,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "network": self.network,
            "scene": self.scene,
            **({} if self.result is None else {"result": self.result}),
            **self.settings.to_dict(),
        }


def describe_model(source: str | Path, *, base: str | Path | None = None) -> ModelInfo:
    """Describe a model from its config and the header of its tensors' file.

    Whether the tensors are those that the config asks for is checked when the model is loaded.

    Args:
        source: Whatever `load_generator` takes.
        base: The model that a result was tuned from, see `load_generator`.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The config is refused, or the tensors' file is cut short.
    """
    return _describe(find_source(source), base)


def _describe(source: Source, base: str | Path | None = None) -> ModelInfo:
    if source.kind == "result":
        return _describe_result(source, base)
    source = base_source(source, base)
    if source.kind == "pickle":
        return _describe_pickle(source)
    if source.kind == "published":
        return _describe_folder(source)
    model, layout = model_config(source), read_layout(source.path)
    trained = (tensor for name, tensor in layout.items() if name.rpartition(".")[2] not in BUFFERS)
    return ModelInfo(
        name=model_name(source.name),
        folder=source.path,
        family=model.family,
        settings=model.settings,
        network=model.network.to_dict(),
        scene=model.network.scene,
        parameters=sum(math.prod(tensor.shape) for tensor in trained),
        precision=", ".join(sorted({tensor.precision for tensor in layout.values()})),
        size_bytes=source.size_bytes(),
    )


def _describe_result(source: Source, base_name: str | Path | None) -> ModelInfo:
    """Describe an inversion's result: its base model, and what was found."""
    from gen3d_tools.cameras.camera import Camera
    from gen3d_tools.checkpoints.results import read_result

    base = _describe(base_source(source, base_name))
    stored = read_result(source.path, source.config)
    try:
        camera = Camera.from_eg3d_label(stored.camera)
    except InputError as error:
        raise CheckpointError(f"{source.path}: {error}") from error
    yaw, pitch, radius = (float(one) for one in camera.spherical(base.settings.default_view.target))
    view = {"yaw_deg": yaw, "pitch_deg": pitch, "radius": radius, "fov_y_deg": float(camera.fov_y_deg)}
    report = {key: stored.report.get(key) for key in ("photos", "class_name", "metrics", "warnings", "storage", "edit")}
    return replace(
        base,
        name=model_name(source.name),
        folder=source.path,
        size_bytes=source.size_bytes(),
        result={"base": stored.base.source, "camera": view, **report},
    )


def _describe_pickle(source: Source) -> ModelInfo:
    """Describe a published checkpoint. Its generator is read whole: a pickle has no header."""
    from gen3d_tools.generators.official.load import generator_from_pickle

    generator = generator_from_pickle(source.path)
    return ModelInfo(
        name=model_name(source.name),
        folder=source.path,
        family=generator.family,
        settings=generator.settings,
        network=generator.config.to_dict(),
        scene=generator.scene,
        parameters=generator.num_parameters(),
        precision="float32",
        size_bytes=source.size_bytes(),
    )


def _describe_folder(source: Source) -> ModelInfo:
    """Describe a published folder from its config and the shapes of its tensors."""
    model, shapes = model_config(source), PublishedFolder(source.path).shapes()
    return ModelInfo(
        name=model_name(source.name),
        folder=source.path,
        family=model.family,
        settings=model.settings,
        network=model.network.to_dict(),
        scene=model.network.scene,
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        precision="float32",
        size_bytes=source.size_bytes(),
    )


def model_record(source: str, base: str | None = None) -> dict[str, Any]:
    """Give `describe_model` and the SHA-256 of the tensors as plain JSON values.

    Raises:
        Gen3DError: See `describe_model`.
    """
    found = find_source(source)
    return _describe(found, base).to_dict() | {"sha256": found.digest()}


@dataclass(frozen=True, kw_only=True)
class ModelLine:
    """One model in a list: enough to choose by."""

    source: str  # what to type for it
    family: str = ""
    classes: int = 0
    parameters: int = 0
    size_bytes: int = 0
    licence: str = ""
    problem: str = ""  # why it cannot be used; then the other fields are empty


def list_models() -> list[ModelLine]:
    """List the bundled models, then the model folders in `./models` and in the current directory."""
    sources = [*bundled_models(), *_model_folders()]
    return [_model_line(source) for source in sources]


def classes_record(source: str, base: str | None = None) -> dict[str, Any]:
    """Give a model's classes, in index order, as plain JSON values; none for an unconditional model.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The config is refused.
    """
    names = model_config(find_source(source), base).settings.class_names
    return {"model": source, "classes": [{"index": index, "name": name} for index, name in enumerate(names)]}


def models_record() -> dict[str, Any]:
    """Give `list_models` as plain JSON values."""
    return {"models": [asdict(line) for line in list_models()]}


def families_record() -> dict[str, Any]:
    """Give what is known about every family of generators as plain JSON values."""
    return {"families": [asdict(facts) for facts in CATALOGUE], "refused": FLAT_GENERATORS}


def _model_folders() -> list[str]:
    """Find folders that say they are ours: `models/x`, `models/org/x`, `./x`."""
    found: dict[Path, str] = {folder.resolve(): "" for folder in bundled_models().values()}
    for pattern in (f"{MODELS_FOLDER}/*", f"{MODELS_FOLDER}/*/*", "*"):
        for config in sorted(Path().glob(f"{pattern}/{CONFIG_NAME}")):
            if config.parent.resolve() not in found and _is_ours(config):
                found[config.parent.resolve()] = str(config.parent)
    return [source for source in found.values() if source]


def _is_ours(config: Path) -> bool:
    """Tell our config from the many others of that name."""
    try:
        return read_json(config).get("format") in (FORMAT, RESULT_FORMAT)
    except Gen3DError:
        return False


def _model_line(source: str) -> ModelLine:
    try:
        info = describe_model(source)
    except Gen3DError as error:
        return ModelLine(source=source, problem=str(error))
    return ModelLine(
        source=source,
        family=info.family,
        classes=len(info.settings.class_names),
        parameters=info.parameters,
        size_bytes=info.size_bytes,
        licence=info.settings.licence,
    )
