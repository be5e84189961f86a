"""Our own checkpoint: a folder with `config.json` and `model.safetensors` (and a model card, README.md).

Reading is strict: unknown and missing keys, unreadable or non-finite tensors are refused by name, and
nothing is loaded partially. Reading a folder runs no code from it.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from safetensors import SafetensorError, safe_open

from gen3d_tools.checkpoints.configs.config_schema import MODEL
from gen3d_tools.checkpoints.configs.schema import check
from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.errors import CheckpointError, Gen3DError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.printable import printable, quoted

if TYPE_CHECKING:  # a config and the header of a file of tensors are read without torch
    import torch
    from torch import Tensor

FORMAT = "gen3d-tools"
VERSION = 1
CONFIG_NAME = "config.json"
TENSORS_NAME = "model.safetensors"
CARD_NAME = "README.md"
ENCODER_NAME = "encoder.safetensors"  # may be there: the network that looks at photos
_PRECISIONS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_MAX_CONFIG_BYTES = 4 * 2**20
_MAX_TENSORS = 20_000
_LONGEST_PATH = 300  # characters of a path in a message
_ALIGNMENT = 64  # bytes, of what torch allocates


class Layout(NamedTuple):
    """A stored tensor without its values."""

    shape: tuple[int, ...]
    precision: str  # such as "float16"


def read_json(path: Path) -> dict[str, Any]:
    """Read the table in a `config.json`, whatever its format.

    Raises:
        NotFoundError: The folder or the file is not there.
        CheckpointError: It is too large, or holds no table.
    """
    if not path.is_file():
        inside = next(iter(sorted(path.parent.glob(f"*/{path.name}"))), None)  # that of a run is its folder latest
        hint = f"that in it is {printable(str(inside.parent), _LONGEST_PATH)}: give this" if inside else ""
        hint = hint or f"a model folder has {CONFIG_NAME} and {TENSORS_NAME}"
        raise NotFoundError(f"{path.parent} holds no {path.name}; {hint}")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes, more than any {path.name}")
    check_no_pointer(path)
    try:
        table = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or type(error).__name__})") from error
    return table if isinstance(table, dict) else {}


def read_config(folder: Path, table: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and check `config.json`: every value but those of the network, which `NetworkConfig` checks.

    Args:
        folder: The model folder.
        table: What `read_json` gave, if the file has been read.

    Raises:
        NotFoundError: The folder or the file is not there.
        CheckpointError: It is not a gen3d-tools config of this version.
    """
    path = folder / CONFIG_NAME
    config = read_json(path) if table is None else dict(table)
    if config.get("format") != FORMAT:
        raise CheckpointError(f'{path} is no gen3d-tools model: its "format" must be "{FORMAT}"')
    if config.get("version") != VERSION:
        found = config.get("version")
        wanted = f"this gen3d_tools reads {VERSION}; upgrade it"
        raise CheckpointError(f"{path} has format version {quoted(found)}, {wanted}")
    check(config, MODEL, str(path))
    return config


def read_tensors(folder: Path) -> dict[str, "Tensor"]:
    """Read every tensor of `model.safetensors` as float32.

    Raises:
        NotFoundError: The file is not there.
        CheckpointError: It is truncated or corrupt, or a tensor holds a value that is not finite.
    """
    layout, where = read_layout(folder), folder / TENSORS_NAME
    with open_tensors(where) as file:
        tensors = {name: aligned(file.get_tensor(name).float()) for name in layout}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{where}: tensor {printable(name)} holds NaN or infinity; the weights are unusable")
    return tensors


def read_layout(folder: Path) -> dict[str, Layout]:
    """Read name, shape and stored precision of every tensor, from the header of `model.safetensors` alone.

    Raises:
        NotFoundError: The file is not there.
        CheckpointError: It is truncated or corrupt, or holds tensors of another kind than ours.
    """
    path = folder / TENSORS_NAME
    with open_tensors(path, framework="np") as file:
        names: list[str] = file.keys()
        if len(names) > _MAX_TENSORS:
            raise CheckpointError(f"{path} holds {len(names):,} tensors; no model has more than {_MAX_TENSORS:,}")
        slices = {name: file.get_slice(name) for name in names}
        layout = {name: (one.get_shape(), one.get_dtype()) for name, one in slices.items()}
    strange = sorted({dtype for _, dtype in layout.values()} - set(_PRECISIONS))
    if strange:
        raise CheckpointError(f"{path} holds tensors of type {printable(strange[0])}, not {', '.join(_PRECISIONS)}")
    return {name: Layout(tuple(shape), _PRECISIONS[dtype]) for name, (shape, dtype) in layout.items()}


@contextmanager
def open_tensors(path: Path, framework: Literal["pt", "np"] = "pt") -> Iterator[Any]:
    """Open a file of tensors; what goes wrong in the block while reading it is a broken checkpoint.

    Args:
        path: The file.
        framework: Whose tensors are read: "pt" imports torch.
    """
    if not path.is_file():
        raise NotFoundError(f"{path.parent} holds no {path.name}; it belongs beside {CONFIG_NAME}")
    check_no_pointer(path)
    _check_unicode(path)
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except Gen3DError:
        raise
    except (SafetensorError, OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = printable(str(error).partition("\n")[0] or type(error).__name__)
        raise CheckpointError(f"{path} is corrupt or cut short ({reason}); copy or download it again") from error


def _check_unicode(path: Path) -> None:
    """Refuse a path that the reader of tensors cannot open, whatever the file holds.

    Raises:
        CheckpointError: Its bytes are no UTF-8.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CheckpointError(
            f"{printable(str(path), _LONGEST_PATH)} cannot be opened: its name, or that of a folder above, is not "
            "valid UTF-8; rename it, a name in ASCII opens everywhere"
        ) from error


def tensors_of(file: Any) -> "dict[str, Tensor]":
    """Read all tensors of a file that `open_tensors` opened, by their names; see `aligned`."""
    return {name: aligned(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def aligned(tensor: "Tensor") -> "Tensor":
    """Give a tensor where torch would have put it.

    Read from a file it may begin anywhere, and on some processors the last digits of sums depend on that.
    """
    anywhere = tensor.device.type == "cpu" and tensor.data_ptr() % _ALIGNMENT != 0
    return tensor.clone() if anywhere else tensor


def check_tensors(found: Mapping[str, "Tensor"], expected: Mapping[str, "Tensor"], where: str) -> None:
    """Refuse missing, surplus and wrongly shaped tensors by name.

    Raises:
        CheckpointError: One line with the first few differences and their number.
    """
    check_shapes({name: tuple(one.shape) for name, one in found.items()}, expected, where)


def check_shapes(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, "Tensor"], where: str) -> None:
    """Do what `check_tensors` does, with the shapes alone.

    Raises:
        CheckpointError: One line with the first few differences and their number.
    """
    problems = [f"{printable(name)} is missing" for name in expected if name not in found]
    problems += [f"{printable(name)} is unknown" for name in found if name not in expected]
    problems += [
        f"{printable(name)} is {list(found[name])}, the config asks for {list(expected[name].shape)}"
        for name in expected
        if name in found and found[name] != tuple(expected[name].shape)
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise CheckpointError(f"{where}: tensors do not fit the config: {'; '.join(problems[:3])}{more}")


def write_folder(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, "Tensor"],
    *,
    card: str | None = None,
    dtype: "torch.dtype | None" = None,
    halves: Collection[str] = (),
    overwrite: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        folder: Where to. Its name is the model's name.
        config: The sections of `config.json` without `format` and `version`.
        tensors: The state dict.
        card: Text of the model card.
        dtype: Stored precision, by default float32; float16 halves the size.
        halves: Tensors that are stored as float16 whatever `dtype` says.
        overwrite: Replace an existing folder.

    Raises:
        CheckpointError: A value of the config is not one that `read_config` takes.
    """
    import torch
    from safetensors.torch import save

    complete = {"format": FORMAT, "version": VERSION, **config}
    check(complete, MODEL, CONFIG_NAME)  # what is written can be read
    stored = {
        name: tensor.detach().to("cpu", torch.float16 if name in halves else dtype or torch.float32).contiguous()
        for name, tensor in tensors.items()
    }
    with atomic_path(folder, overwrite=overwrite) as temporary:
        temporary.mkdir(parents=True)
        (temporary / CONFIG_NAME).write_text(json.dumps(complete, indent=2) + "\n", encoding="utf-8")
        (temporary / TENSORS_NAME).write_bytes(save(stored, metadata={"format": "pt"}))  # save_file hides it: mode 600
        if card is not None:
            (temporary / CARD_NAME).write_text(card, encoding="utf-8")
