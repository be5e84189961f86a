"""A result folder: a model that was tuned to a photo, stored as what tuning changed.

    config.json              what it is: base model, camera, class, and a report of how it came about
    difference.safetensors   the object's latent, and the compressed difference of the weights

Reading is as strict as that of a model folder: sizes are checked before they are believed, nothing is run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor

from gen3d_tools.checkpoints.configs.config_schema import RESULT
from gen3d_tools.checkpoints.configs.schema import check
from gen3d_tools.checkpoints.native import CONFIG_NAME, open_tensors, read_json, tensors_of
from gen3d_tools.checkpoints.source import DIFFERENCE_NAME, RESULT_FORMAT
from gen3d_tools.checkpoints.weight_delta import Difference
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import listed, quoted

RESULT_VERSION = 1
_ENCODING = "deflated rows of int8"
_TENSORS = {"ws": torch.float32, "levels": torch.uint8, "scales": torch.float32}
_MAX_BYTES = 2**32


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """Which model was tuned. A name, and never a way to it: where a model is looked for is not the file's to say."""

    source: str  # bundled name, Hugging Face id, or the name of a folder or pickle
    sha256: str  # of its tensors, or of the pickle it is


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredResult:
    """Everything a result folder holds."""

    base: BaseModel
    ws: Float[Tensor, "1 num_ws w_dim"]
    camera: Float[Tensor, " 25"]
    """The photo's camera: cam2world, then intrinsics, row by row."""
    class_index: int | None
    difference: Difference
    report: Mapping[str, Any] = field(default_factory=dict)
    """How it came about, for people: photo, settings, metrics, losses, warnings. Plain JSON values."""


def write_result(folder: Path, result: StoredResult) -> None:
    """Write the two files into an existing folder; who calls makes it appear whole (`files.atomic_path`).

    Raises:
        CheckpointError: A value is not one that `read_result` takes.
    """
    difference = result.difference
    config = {
        "format": RESULT_FORMAT,
        "version": RESULT_VERSION,
        "base": {**vars(result.base), "path": None},  # older versions wrote, and ask for, a path there
        "camera": result.camera.tolist(),
        "class_index": result.class_index,
        "difference": {"encoding": _ENCODING, "tensors": list(difference.names)},
        "report": dict(result.report),
    }
    check(config, RESULT, CONFIG_NAME)
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    tensors = {
        "ws": result.ws.detach().cpu().clone(memory_format=torch.contiguous_format),
        "levels": difference.levels,
        "scales": difference.scales,
    }
    (folder / DIFFERENCE_NAME).write_bytes(save(tensors))


def read_result_config(folder: Path, table: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and check the `config.json` of a result.

    Args:
        folder: The result folder.
        table: What `read_json` gave, if the file has been read.

    Raises:
        NotFoundError: The folder or the file is not there.
        CheckpointError: It is not a result of this version, or a value in it cannot be.
    """
    path = folder / CONFIG_NAME
    config = read_json(path) if table is None else dict(table)
    if config.get("format") != RESULT_FORMAT:
        raise CheckpointError(f'{path} is no result of an inversion: its "format" must be "{RESULT_FORMAT}"')
    if config.get("version") != RESULT_VERSION:
        found = config.get("version")
        wanted = f"this gen3d_tools reads {RESULT_VERSION}; upgrade it"
        raise CheckpointError(f"{path} has version {quoted(found)}, {wanted}")
    check(config, RESULT, str(path))
    return config


def base_model(config: Mapping[str, Any]) -> BaseModel:
    """Take the base model out of what `read_result_config` gave. Paths that older versions wrote are left alone."""
    return BaseModel(source=config["base"]["source"], sha256=config["base"]["sha256"])


def read_result(folder: Path, table: Mapping[str, Any] | None = None) -> StoredResult:
    """Read a result folder.

    Args:
        folder: The result folder.
        table: What `read_json` gave of its config, if the file has been read.

    Raises:
        NotFoundError: A file is not there.
        CheckpointError: It is refused or broken.
    """
    config, path = read_result_config(folder, table), folder / DIFFERENCE_NAME
    with open_tensors(path) as file:
        found = set(file.keys())
        if found != set(_TENSORS):
            raise CheckpointError(f"{path} holds {listed(sorted(found))}, it must hold {listed(sorted(_TENSORS))}")
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes, more than any {DIFFERENCE_NAME}")
        tensors = tensors_of(file)
    for name, dtype in _TENSORS.items():
        if tensors[name].dtype != dtype or tensors[name].ndim != (3 if name == "ws" else 1):
            raise CheckpointError(f"{path}: tensor {name} is {list(tensors[name].shape)} of {tensors[name].dtype}")
    if not torch.isfinite(tensors["ws"]).all():
        raise CheckpointError(f"{path}: the latent holds NaN or infinity")
    return StoredResult(
        base=base_model(config),
        ws=tensors["ws"],
        camera=torch.tensor(config["camera"], dtype=torch.float32),
        class_index=config["class_index"],
        difference=Difference(tuple(config["difference"]["tensors"]), tensors["levels"], tensors["scales"]),
        report=config["report"],
    )
