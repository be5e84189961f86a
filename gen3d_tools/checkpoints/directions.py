"""A file of named directions in a model's latent space: unit vectors, and a header that says what they are.

One .safetensors file: the tensor `vectors` [directions, w_dim], and JSON under the key "gen3d" of its metadata. It
belongs to one model, known by the SHA-256 of its tensors. Reading is as strict as that of a model: sizes are checked
before they are believed, nothing is run.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen3d_tools.checkpoints.configs.schema import Choice, Either, ListOf, Nothing, Number, Table, Text, check
from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.checkpoints.native import aligned, open_tensors
from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.printable import listed

if TYPE_CHECKING:  # names are listed without torch
    from torch import Tensor

DIRECTIONS_NAME = "directions.safetensors"
"""The file beside a model that commands look into."""

DIRECTIONS_FORMAT, DIRECTIONS_VERSION = "gen3d-tools directions", 1
_KEY, _VECTORS = "gen3d", "vectors"
_MAX_BYTES = 2**28
NAME_FORM = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
"""What a direction may be called."""

_ENTRY = Table(
    {
        "name": Text(64, NAME_FORM, "a name of at most 64 letters, digits, - and _, a letter first"),
        "layers": ListOf(Number(0, 10_000, whole=True), 10_000, 1),
        "deviation": Number(0, 1e12, above=True),
        "method": Text(200),
        "class_index": Either(Nothing(), Number(0, 100_000, whole=True)),
        "correlation": Either(Nothing(), Number(-1, 1)),
    }
)
_HEADER = Table(
    {
        "format": Choice(DIRECTIONS_FORMAT),
        "version": Number(1, 1, whole=True),
        "model_sha256": Text(64, "[0-9a-f]{64}", "a SHA-256 of 64 digits"),
        "num_ws": Number(1, 10_001, whole=True),
        "w_dim": Number(1, 65_536, whole=True),
        "directions": ListOf(_ENTRY, 100_000, 1),
    }
)


@dataclass(frozen=True, kw_only=True)
class DirectionEntry:
    """What the header says of one direction."""

    name: str
    layers: tuple[int, ...]  # rows of ws that it moves
    deviation: float  # standard deviation of w along it, which an amount of 1 stands for
    method: str  # how it was found
    class_index: int | None = None  # the class that it is for; None = every class
    correlation: float | None = None  # between amounts and what the name says, on held-out latents


@dataclass(frozen=True, kw_only=True)
class DirectionHeader:
    """What a file says beside its vectors."""

    model_sha256: str
    num_ws: int
    w_dim: int
    entries: tuple[DirectionEntry, ...]


def write_directions(path: Path, header: DirectionHeader, vectors: "Tensor", *, overwrite: bool = False) -> None:
    """Write a file of directions, whole or not at all.

    Args:
        path: A .safetensors file.
        header: What they are.
        vectors: [directions, w_dim], unit length.
        overwrite: Replace an existing file.

    Raises:
        CheckpointError: A value is not one that `read_directions` takes.
    """
    from safetensors.torch import save

    config: dict[str, Any] = {
        "format": DIRECTIONS_FORMAT,
        "version": DIRECTIONS_VERSION,
        "model_sha256": header.model_sha256,
        "num_ws": header.num_ws,
        "w_dim": header.w_dim,
        "directions": [asdict(entry) | {"layers": list(entry.layers)} for entry in header.entries],
    }
    check(config, _HEADER, path.name)
    stored = {_VECTORS: vectors.detach().float().cpu().contiguous()}
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(stored, metadata={_KEY: json.dumps(config, allow_nan=False)}))


def read_header(path: Path) -> DirectionHeader:
    """Read what the directions of a file are; no vector is read, and torch is not needed.

    Raises:
        NotFoundError: There is no such file.
        CheckpointError: It is refused or broken.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}; give one that gen3d directions wrote")
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes, more than any file of directions")
    with open_tensors(path, framework="np") as file:
        text = (file.metadata() or {}).get(_KEY)
        if text is None:
            raise CheckpointError(f"{path} is no file of directions; gen3d directions writes them")
        config = parse_json(text, str(path))
        check(config, _HEADER, str(path))
        shape = [len(config["directions"]), config["w_dim"]]
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if found != {_VECTORS: shape}:
        raise CheckpointError(f"{path} holds {listed(sorted(found))}, it must hold {_VECTORS} of shape {shape}")
    entries = tuple(DirectionEntry(**{**one, "layers": tuple(one["layers"])}) for one in config["directions"])
    for entry in entries:
        if max(entry.layers) >= config["num_ws"] or len(set(entry.layers)) != len(entry.layers):
            raise CheckpointError(
                f"{path}: direction {entry.name} moves layers that a model of {config['num_ws']} lacks"
            )
    names = [(entry.name, entry.class_index) for entry in entries]
    if len(set(names)) != len(names):
        raise CheckpointError(f"{path}: two directions have one name; the file is damaged")
    return DirectionHeader(
        model_sha256=config["model_sha256"], num_ws=config["num_ws"], w_dim=config["w_dim"], entries=entries
    )


def read_directions(path: Path) -> tuple[DirectionHeader, "Tensor"]:
    """Read a file of directions.

    Returns:
        Its header, and the vectors [directions, w_dim], of unit length.

    Raises:
        NotFoundError: There is no such file.
        CheckpointError: It is refused or broken.
    """
    header = read_header(path)
    with open_tensors(path) as file:
        vectors = aligned(file.get_tensor(_VECTORS))
    if not vectors.is_floating_point() or not vectors.isfinite().all():
        raise CheckpointError(f"{path}: the vectors are of {vectors.dtype} or hold NaN or infinity")
    lengths = vectors.float().norm(dim=1, keepdim=True)
    if not ((lengths - 1).abs() < 1e-2).all():
        raise CheckpointError(f"{path}: its vectors are not of unit length; the file is damaged")
    return header, vectors.float() / lengths
