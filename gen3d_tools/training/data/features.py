"""What a pretrained network sees in each picture: the target of distillation (3DGP, section 3.3)."""

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
from gen3d_tools.printable import printable, quoted
from gen3d_tools.texts import parse_json

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
        InputError: It is another kind of file, has another number of rows, or numbers that are not finite.
    """
    if not path.is_file():
        raise NotFoundError(f"there are no features at {path}; check the path")
    table = _table(path)
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(f"{path} holds features of shape {list(table.shape)}, needed are {len(names)} rows of numbers")
    index = path.with_suffix(".json")
    if index.is_file():
        table = table[_rows(index, names, len(table))]
    if len(table) != len(names):
        raise InputError(f"{path} holds features of shape {list(table.shape)}, needed are {len(names)} rows")
    finite = table.isfinite().all(1)
    if not finite.all():
        worst = printable(names[int(finite.int().argmin())])
        raise InputError(f"{path} holds numbers for {worst} that are not finite in 32 bits; compute the features again")
    return table


def _table(path: Path) -> Float[Tensor, "..."]:
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file, np.errstate(over="ignore"):  # what overflows is infinite, and refused as that
                numbers = np.lib.format.read_array(file, allow_pickle=False)
                if numbers.dtype.kind not in "fiu":
                    raise ValueError(f"numbers of type {numbers.dtype}")
                return torch.from_numpy(numbers.astype(np.float32))
        if path.suffix == ".safetensors":
            return load_file(path)["features"].float()
    except (ValueError, EOFError, OSError, SafetensorError, KeyError) as error:
        raise InputError(
            f"{path} holds no features that can be read ({printable(str(error), 80)}); compute them again"
        ) from error
    raise InputError(f"{path} holds no features; give a .npy or a .safetensors")


def _rows(index: Path, names: Sequence[str], count: int) -> list[int]:
    """Rows of the pictures, as the table beside the features has them."""
    try:
        content = parse_json(index.read_bytes())
    except (ValueError, OSError) as error:
        raise InputError(f"{index} is no JSON that can be read ({printable(str(error), 80)}); restore it") from error
    rows = content.get("filepath_to_idx") if isinstance(content, dict) else None
    if not isinstance(rows, dict):
        raise InputError(f"{index} must hold a table filepath_to_idx from names to rows; restore or remove it")
    missing = next((name for name in names if name not in rows), None)
    if missing is not None:
        raise InputError(f"{index} has no row for {printable(missing)}; compute the features again")
    for name in names:
        row = rows[name]
        if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < count:
            raise InputError(
                f"{index} gives {printable(name)} the row {quoted(row)}, needed are whole numbers from 0 to "
                f"{count - 1}; compute the features again"
            )
    return [rows[name] for name in names]


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
    # Of one picture the deviation is 0; divided by one less than their count it would be NaN.
    return (table - table.mean(0)) / table.std(0, unbiased=False).clamp_min(1e-6)
