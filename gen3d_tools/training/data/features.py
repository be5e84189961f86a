"""What a pretrained network sees in each picture: the target of distillation (3DGP, section 3.3)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.perception.encoder import load_encoder
from gen3d_tools.printable import printable

ENCODER_MODEL = "shapes"
_BATCH = 64


def read_features(path: Path, names: Sequence[str]) -> Float[Tensor, "pictures features"]:
    """Read features that were computed before.

    Args:
        path: A .npy with one row per picture in the order of their names, or with a .json of the same name beside it
            that holds `filepath_to_idx`; or a .safetensors with the tensor `features`.
        names: The pictures.

    Raises:
        NotFoundError: There is no such file.
        InputError: It is another kind of file, or has another number of rows.
    """
    if not path.is_file():
        raise NotFoundError(f"there are no features at {path}; check the path")
    try:
        if path.suffix == ".npy":
            table = torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
        elif path.suffix == ".safetensors":
            table = load_file(path)["features"].float()
        else:
            raise InputError(f"{path} holds no features; give a .npy or a .safetensors")
    except (ValueError, OSError, SafetensorError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} holds no features that can be read ({printable(str(error), 80)})") from error
    index = path.with_suffix(".json")
    if index.is_file():
        rows = json.loads(index.read_text(encoding="utf-8")).get("filepath_to_idx", {})
        missing = next((name for name in names if name not in rows), None)
        if missing is not None:
            raise InputError(f"{index} has no row for {printable(missing)}; compute the features again")
        table = table[[rows[name] for name in names]]
    if table.ndim != 2 or len(table) != len(names):
        raise InputError(f"{path} holds features of shape {list(table.shape)}, needed are {len(names)} rows")
    return table


def encoder_features(
    images: Callable[[int, int], Float[Tensor, "b 3 n n"]], count: int
) -> Float[Tensor, "pictures features"]:
    """Compute features with the bundled encoder: its embedding, each number at unit variance.

    Args:
        images: From a first and a last entry to pictures in [0, 1].
        count: Pictures.

    Raises:
        NotFoundError: The bundled model has no encoder here.
    """
    encoder = load_encoder(ENCODER_MODEL)
    if encoder is None:
        raise NotFoundError(f"the model {ENCODER_MODEL} has no encoder here; give features from a file")
    parts = []
    with torch.no_grad():
        for start in range(0, count, _BATCH):
            parts.append(encoder(images(start, min(start + _BATCH, count))).embedding)
    table = torch.cat(parts)
    return (table - table.mean(0)) / table.std(0).clamp_min(1e-6)
